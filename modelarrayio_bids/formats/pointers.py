"""Files without content: pointers of git-annex and Git LFS, and subdatasets not installed.

A clone of a DataLad dataset has every name and no content until ``datalad get``: links into
``.git/annex/objects`` that lead nowhere, small files that name the content (annexed and unlocked,
or of Git LFS), and empty folders for subdatasets.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from os import PathLike
from pathlib import Path
from shlex import quote

from modelarrayio_bids.errors import ModelArrayIOError, NotFetchedError, SourceNotFoundError
from modelarrayio_bids.runtime.locations import RemotePath, is_address, location
from modelarrayio_bids.runtime.user_input import open_regular

# git-annex takes no longer file for a pointer (its page "internals/pointer file").
_LONGEST = 32 * 2**10
_ANNEX, _LFS = b'/annex/objects/', b'version https://git-lfs'
_GET = 'Get it: datalad get {}'
_SUBDATASET = re.compile(r'^\s*path\s*=\s*(.+?)\s*$', re.MULTILINE)


def pointer_error(start: bytes, path: str | PathLike[str]) -> NotFetchedError | None:
    """Return the error of a file that only names its content, judged by its first bytes."""
    if start.startswith(_ANNEX):
        what, remedy = 'holds the key of its content in git-annex', _GET.format(quote(str(path)))
    elif start.startswith(_LFS):
        what, remedy = 'names its content in Git LFS', 'Get it, in its repository: git lfs pull'
    else:
        return None
    if is_address(str(path)):
        remedy = 'Give the address of its content, or get the dataset and give files of it.'
    return NotFetchedError(f'{what}, which is not here', path, remedy)


def absence_error(
    path: str | PathLike[str], what: str = 'no such file', remedy: str = 'Check the path.'
) -> SourceNotFoundError:
    """Return the error of a path that leads nowhere: a link without its content, or what is said.

    Parameters
    ----------
    path : path-like
        The file or folder.
    what, remedy : str, optional
        Said where nothing tells that the path is of content that can be fetched.
    """
    path = location(path)
    if isinstance(path, RemotePath):
        return SourceNotFoundError(what, path, remedy)
    if path.is_symlink():
        target = path.readlink()
        what, remedy = f'is a link to what is not there ({target})', 'Check the link.'
        if 'annex' in target.parts:
            return NotFetchedError(what, path, _GET.format(quote(str(path))))
    elif (folder := _not_installed(path)) is not None:
        what = f'is not here: {folder} is a subdataset that is not installed'
        return NotFetchedError(what, path, f'Install it: datalad get -n {quote(str(folder))}')
    return SourceNotFoundError(what, path, remedy)


@contextmanager
def opened(
    path: str | PathLike[str], remedy: str = 'Check the path.', *, whole: bool = False
) -> Iterator[BufferedReader]:
    """Open a file in binary whose content is here, and which ends: no device, and no pipe.

    Parameters
    ----------
    path : path-like
        The file, on a disk or behind an address.
    remedy : str, optional
        Advice where there is none.
    whole : bool, optional
        As for :func:`modelarrayio_bids.runtime.user_input.open_regular`.

    Raises
    ------
    SourceNotFoundError
        If it is not there, cannot be read, or its content was not fetched.
    """
    try:
        with open_regular(path, whole=whole) as file:
            if error := pointer_error(file.peek(_LONGEST)[:_LONGEST], path):
                raise error
            yield file
    except ModelArrayIOError:
        raise
    except FileNotFoundError as error:
        raise absence_error(path, remedy=remedy) from error
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL character
        what = f'cannot be read ({getattr(error, "strerror", None) or error})'
        raise SourceNotFoundError(what, path, 'Check that it is a file you may read.') from error


def fetch_error(path: Path) -> SourceNotFoundError | None:
    """Return the error that reading a file would meet because its content is not here."""
    try:
        if isinstance(path, RemotePath) or path.stat().st_size > _LONGEST:
            return None
        with open_regular(path) as file:
            return pointer_error(file.read(len(_LFS)), path)
    except FileNotFoundError:
        return absence_error(path)
    except OSError:
        return None


def not_installed(root: Path) -> list[Path]:
    """Return the subdatasets of a dataset whose folders are empty, by their paths."""
    if isinstance(root, RemotePath):
        return []
    try:
        modules = (root / '.gitmodules').read_text('utf-8', 'replace')
    except OSError:
        return []
    return sorted(
        folder for text in _SUBDATASET.findall(modules) if _is_empty(folder := root / text)
    )


def _not_installed(path: Path) -> Path | None:
    """Return the subdataset that a path is in, or that it is, where that is not installed."""
    path = path.absolute()
    folder = next((above for above in (path, *path.parents) if above.exists()), path)
    if not folder.is_dir() or not _is_empty(folder):
        return None
    installed = (above for above in folder.parents if (above / '.gitmodules').is_file())
    return folder if folder in not_installed(next(installed, folder)) else None


def _is_empty(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is None
    except FileNotFoundError:
        return True
    except OSError:
        return False
