"""HDF5 files opened and locked: those that are finished, and those to be judged as they are."""

from __future__ import annotations

import errno
import logging
import os
import stat
from pathlib import Path

import h5py

from modelarrayio_bids.errors import FormatError, OutputError, SourceNotFoundError

logger = logging.getLogger(__name__)

# Errors of file systems without locks. EAGAIN is not among them: it means that a writer has a lock.
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}


def is_store(path: Path) -> bool:
    """Return whether a file is HDF5."""
    # Not Path.is_file(), which raises for inaccessible folders.
    return os.path.isfile(path) and bool(h5py.is_hdf5(path))  # noqa: PTH113


def open_finished(path: Path) -> h5py.File:
    """Open a file that is not being written, and lock it while it is open.

    Where the file system cannot lock, it is opened without a lock, and that is said.

    Raises
    ------
    SourceNotFoundError
        If there is none.
    FormatError
        If it is not HDF5.
    OutputError
        If it is being written: what is in it may be half of something.
    """
    try:
        file = _opened(path)
    except BlockingIOError as error:
        raise _busy(path) from error
    # HDF5 opens a file once for a process, and somebody else here may have opened it to write.
    if file.mode != 'r':
        file.close()
        raise _busy(path)
    return file


def open_for_reading(path: Path) -> h5py.File:
    """Open a file to judge it as it is, one too that is being written.

    Raises
    ------
    SourceNotFoundError
        If there is none.
    FormatError
        If it is not HDF5.
    """
    try:
        return _opened(path)
    except BlockingIOError:
        logger.warning('%s: is being written by another program, and is read anyway', path)
        return h5py.File(path, 'r', locking=False)


def require_file(path: Path) -> None:
    """Refuse what is not a file, or may not be read.

    Raises
    ------
    SourceNotFoundError
        With what it is instead.
    """
    remedy = 'Check the path of the HDF5 file.'
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise SourceNotFoundError('no such file', path, remedy) from error
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL character
        said = f'cannot be read ({getattr(error, "strerror", error)})'
        raise SourceNotFoundError(said, path, remedy) from error
    if stat.S_ISDIR(mode):
        remedy = 'Name the HDF5 file in it; make one of a TileDB store with modelarrayio convert.'
        raise SourceNotFoundError('is a folder', path, remedy)
    if not stat.S_ISREG(mode):
        raise SourceNotFoundError('is a pipe, a socket or a device', path, remedy)
    if not os.access(path, os.R_OK):
        raise SourceNotFoundError(f'cannot be read ({os.strerror(errno.EACCES)})', path, remedy)


def _opened(path: Path) -> h5py.File:
    """Open a file; BlockingIOError if another program holds the lock to write."""
    require_file(path)
    try:
        return h5py.File(path, 'r')
    except BlockingIOError:
        raise
    except OSError as error:
        if error.errno in _NO_LOCKS:
            logger.warning('%s: cannot be locked (%s), read without a lock', path, error)
            return h5py.File(path, 'r', locking=False)
        raise FormatError(
            f'cannot be opened as HDF5 ({error})', path, 'Give an .h5 file that is whole.'
        ) from error


def _busy(path: Path) -> OutputError:
    return OutputError(
        'is being written by another program',
        path,
        'Wait for it to end, or close the file there: in R, h5closeAll() or q().',
    )
