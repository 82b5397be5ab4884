"""Unfinished files and folders, and those that a killed run left.

A file or folder in the making has a name that tells its machine and its process, and the process
holds a lock on it. The kernel releases the lock however the process ends, also one in a container,
whose numbers other containers cannot see. The next run thus knows which files will not be finished.

Of another machine nothing is known: on some network file systems locks end at the machine. What it
left is named in a warning, and stays.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import platform
import secrets
import shutil
import weakref
from collections.abc import Iterator
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Self

from modelarrayio_bids.runtime.termination import undisturbed

logger = logging.getLogger(__name__)

MARK = '.unfinished-'
# In bytes, on most file systems.
_LONGEST_NAME = 255
_BOOT = Path('/proc/sys/kernel/random/boot_id')


class Unfinished:
    """An unfinished file or folder: a context manager that removes it unless it was renamed.

    Parameters
    ----------
    path : pathlib.Path
        Final path, after renaming. The temporary name has the same ending, which determines the
        format.
    folder : bool, optional
        Make a folder.

    Attributes
    ----------
    path : pathlib.Path
        Beside the other, and there already.

    Raises
    ------
    OSError
        If it cannot be made.

    Examples
    --------
    >>> with Unfinished(Path('FA.nii.gz')) as unfinished:
    ...     unfinished.path.exists(), unfinished.path.name.endswith('-FA.nii.gz')
    (True, True)
    >>> unfinished.path.exists()
    False
    """

    def __init__(self, path: Path, *, folder: bool = False) -> None:
        lock = None
        self._maker = os.getpid()
        while lock is None:
            self.path = path.with_name(_new_name(path.name))
            # A signal may end this very function, or close(): Python discards what was not closed.
            self._unclosed = weakref.finalize(self, _discard, self.path, self._maker)
            lock = _made_and_locked(self.path, folder=folder)
        self._lock: int | None = lock

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove it, if it has not become something else, and release the lock."""
        _discard(self.path, self._maker)
        self._unclosed.detach()
        self.release()

    def release(self) -> None:
        """Leave locking to the library that writes, if it has its own lock."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def remove_leftovers(folder: Path, ending: str = '', *, below: bool = False) -> list[Path]:
    """Remove what runs that were killed on this machine left in a folder.

    Parameters
    ----------
    folder : pathlib.Path
        Folder to search; need not exist.
    ending : str, optional
        Only what was to become this.
    below : bool, optional
        Look into the folders in it, too.

    Returns
    -------
    list of pathlib.Path
        Paths that were removed.
    """
    found = [path for path in _leftovers(folder, below=below) if path.name.endswith(ending)]
    removed = [path for path in found if _removed(path)]
    if removed:
        logger.info('Removed what a killed run had left unfinished in %s: %d', folder, len(removed))
    return removed


def _leftovers(folder: Path, *, below: bool) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        marked = [name for name in (*folders, *files) if name.startswith(MARK)]
        yield from (Path(root, name) for name in sorted(marked))
        folders[:] = sorted(set(folders) - set(marked)) if below else []


def _removed(path: Path) -> bool:
    """Remove a leftover, unless it may still be in use."""
    if not path.name.startswith(f'{MARK}{_machine()}-'):
        logger.warning(
            '%s: left unfinished by a run on another machine, or still being made there. Remove it '
            'when that run has ended.',
            path,
        )
        return False
    try:
        lock = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(path)
        finally:
            os.close(lock)
    except FileNotFoundError:  # it was finished, or removed, just now
        return False
    except OSError as error:
        if error.errno != errno.EWOULDBLOCK:
            logger.warning('%s: left unfinished, and cannot be removed (%s)', path, error)
        return False
    return True


def _made_and_locked(path: Path, *, folder: bool) -> int | None:
    """Make it and hold it; None if another run took it for a leftover in between."""
    if folder:
        path.mkdir()
    else:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        lock = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        # Shared, so that the finished file can be opened and locked for reading at once.
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno == errno.EWOULDBLOCK:
            os.close(lock)
            return None
        logger.debug('%s: made without a lock (%s)', path, error)
    if not path.exists():
        os.close(lock)
        return None
    return lock


def _new_name(name: str) -> str:
    maker = f'{MARK}{_machine()}-{os.getpid()}-{secrets.token_hex(4)}-'
    return maker + os.fsencode(name)[len(maker) - _LONGEST_NAME :].decode(errors='ignore')


def _discard(path: Path, maker: int) -> None:
    if os.getpid() != maker:  # a fork of it, which ends
        return
    try:
        with undisturbed():
            _remove(path)
    except OSError as error:
        logger.warning('%s: could not be removed (%s)', path, error)


def _remove(path: Path) -> None:
    if path.is_dir():
        # A thread that a signal surprised may write one last file into what is being removed.
        shutil.rmtree(path, ignore_errors=True)
        if path.exists():
            # An empty one takes no file descriptor, and there may be none left.
            with suppress(OSError):
                path.rmdir()
        if path.exists():
            shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _machine() -> str:
    """Return what is the same for all containers on a machine, until it starts again."""
    identity = _BOOT.read_text() if _BOOT.exists() else platform.node()
    return blake2b(identity.encode(), digest_size=4).hexdigest()
