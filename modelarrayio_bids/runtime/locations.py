"""Locations of inputs: paths on a disk, and addresses such as ``s3://bucket/sub-01_FA.nii.gz``.

Everything that reads takes both: an address is a path whose questions are answered by a server.

>>> place = location('s3://bucket/derivatives/sub-01_FA.nii.gz')
>>> place.name, str(place.parent), str(place.parent / 'sub-02_FA.nii.gz')
('sub-01_FA.nii.gz', 's3://bucket/derivatives', 's3://bucket/derivatives/sub-02_FA.nii.gz')
>>> location('derivatives/sub-01_FA.nii.gz')
PosixPath('derivatives/sub-01_FA.nii.gz')
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PosixPath
from typing import Any

from modelarrayio_bids.errors import UsageError
from modelarrayio_bids.runtime import remote
from modelarrayio_bids.runtime.redaction import redacted

SCHEMES = ('s3', 'https', 'http')


def location(place: str | os.PathLike[str]) -> Path:
    """Return the path, or the address, that a text or a path names.

    Raises
    ------
    UsageError
        If it is an address that nothing here reads.
    """
    if isinstance(place, RemotePath):
        return place
    text = os.fspath(place)
    if not names_address(text):
        return Path(place)
    scheme, _, rest = text.partition('://')
    if scheme.lower() not in SCHEMES or not rest.strip('/'):
        raise UsageError(
            'is an address that cannot be read',
            text,
            f'Give a file, or an address of {", ".join(f"{known}://" for known in SCHEMES)}.',
        )
    return RemotePath.of(f'{scheme.lower()}://{rest}')


def names_address(text: str) -> bool:
    """Return whether a text is an address, be it one that cannot be read."""
    scheme, separator, _ = text.partition('://')
    return bool(separator) and scheme.isalnum()


def is_address(text: str) -> bool:
    """Return whether a text is an address that can be read."""
    return text.partition('://')[0].lower() in SCHEMES and '://' in text


def look_up(paths: Iterable[Path | None]) -> None:
    """Ask for sizes and times of the remote ones, several at a time, to have them at once later.

    Raises
    ------
    RemoteFileError, UsageError
        If there is no answer, or there cannot be one.
    """
    addresses = {str(path): None for path in paths if isinstance(path, RemotePath)}
    if addresses:
        remote.look_up(addresses)


def is_there(path: Path) -> bool:
    """Return whether something is at a path, be it a link that leads nowhere."""
    return path.exists() if isinstance(path, RemotePath) else os.path.lexists(path)


def place_of(path: Path) -> str:
    """Return a text that is equal for the same place, without a look at it."""
    return str(path) if isinstance(path, RemotePath) else os.path.normpath(path.absolute())


def is_file(path: Path) -> bool:
    """Return whether there is a file that can be reached."""
    # pathlib's own raises where a folder may not be entered, and where a name is too long.
    return path.is_file() if isinstance(path, RemotePath) else os.path.isfile(path)  # noqa: PTH113


def held_bytes(path: Path | None) -> int:
    """Return the bytes of a file that are in memory, as they come, while it is read."""
    return min(path.stat().st_size, remote.PIECE) if isinstance(path, RemotePath) else 0


def readers(paths: Iterable[Path | None], threads: int) -> int:
    """Return how many files are read at a time: more than so many threads if any is remote."""
    waits = any(isinstance(path, RemotePath) for path in paths)
    return max(threads, remote.workers()) if waits else threads


def list_below(path: Path) -> None:
    """Ask once for everything below a remote folder, before single questions about it.

    Raises
    ------
    SourceNotFoundError, RemoteFileError, UsageError
        If it cannot be listed.
    """
    if isinstance(path, RemotePath):
        remote.entries(str(path))


@dataclass(frozen=True)
class RemoteEntry:
    """A name in a remote folder, with what :class:`os.DirEntry` would say of it.

    Parameters
    ----------
    name, path : str
        The name, and the address.
    folder : bool
        True for a folder.
    """

    name: str
    path: str
    folder: bool

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """Return whether it is a folder."""
        return self.folder

    def is_symlink(self) -> bool:
        """Return False."""
        return False

    def __fspath__(self) -> str:
        return self.path


class RemotePath(PosixPath):
    """A path behind an address; :func:`location` makes it."""

    # The text, where that of a path would be another.
    _address: str = ''

    @classmethod
    def of(cls, address: str) -> RemotePath:
        """Return the path of an address, its text kept as it is."""
        path = cls(address)
        if str(path) != address.rstrip('/'):
            # Keys may hold empty parts, and queries further addresses.
            path._address = address
        return path

    def __str__(self) -> str:
        if self._address:
            return self._address
        scheme, slash, rest = super().__str__().partition(':/')
        return f'{scheme}://{rest}' if slash else scheme

    def __fspath__(self) -> str:
        return str(self)

    # Of two addresses that differ in empty parts alone, pathlib would make one path.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemotePath) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return RemotePath.of, (str(self),)

    @property
    def name(self) -> str:
        """Name of the file, without the query of its address."""
        text = str(self)
        if not text.startswith('http'):
            return super().name
        return text.partition('?')[0].rstrip('/').rpartition('/')[2]

    @property
    def parents(self) -> Sequence[RemotePath]:
        """Folders above, up to the bucket or the server."""
        return tuple(path for path in super().parents if str(path).count('/') > 1)

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Return size and time; errors as :func:`modelarrayio_bids.runtime.remote.status`."""
        return remote.status(str(self))

    def open_binary(self, *, whole: bool = False) -> io.BufferedReader:
        """Open the file; see :func:`modelarrayio_bids.runtime.remote.open_binary`."""
        return remote.open_binary(str(self), whole=whole)

    def digest(self) -> bytes:
        """Return what tells the file's bytes from any other's, 16 bytes."""
        return remote.digest(str(self))

    def exists(self, **_: Any) -> bool:
        """Return whether there is a file or a folder."""
        return self.is_file() or self.is_dir()

    def is_file(self, **_: Any) -> bool:
        """Return whether there is a file."""
        return remote.is_of_type(str(self), 'file')

    def is_dir(self, **_: Any) -> bool:
        """Return whether there is a folder: names that begin with its own."""
        return remote.is_of_type(str(self), 'directory')

    def entries(self) -> list[RemoteEntry]:
        """Return what is in the folder, sorted by name."""
        found = remote.entries(str(self)).items()
        return [RemoteEntry(name, f'{self}/{name}', folder) for name, folder in sorted(found)]

    def is_symlink(self) -> bool:
        """Return False: there are no links."""
        return False

    def is_absolute(self) -> bool:
        """Return True."""
        return True

    def absolute(self) -> RemotePath:
        """Return the path itself."""
        return self

    def resolve(self, strict: bool = False) -> RemotePath:
        """Return the path itself."""
        return self

    def expanduser(self) -> RemotePath:
        """Return the path itself."""
        return self

    def as_uri(self) -> str:
        """Return the address, without what gives access to it: it is for descriptions of files."""
        return redacted(str(self))
