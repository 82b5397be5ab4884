"""Turn what Python raises about a user's input into an error of one line.

Paths, numbers and JSON come from command lines, tables and files; problems
that no reader has detected are reported here.
"""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path

from modelarrayio_bids.errors import (
    FormatError,
    ModelArrayIOError,
    OutputError,
    SourceNotFoundError,
    UsageError,
)
from modelarrayio_bids.runtime.encoding import refusal
from modelarrayio_bids.runtime.locations import RemotePath, location

#: Words of Python's messages, and what they are about.
_SAID = {
    'embedded null': 'a path that was given has a NUL character',
    'Symlink loop': 'a path that was given is a link to itself',
    'home directory': 'a path begins with ~ and the name of an unknown user',
    'Exceeds the limit': 'a number that was given has thousands of digits',
}


def input_error(error: Exception) -> ModelArrayIOError | None:
    """Return the error to tell a user: itself, or one instead; None for what is a bug.

    >>> print(input_error(ValueError('embedded null byte')))
    a path that was given has a NUL character. Check the command line and the files it names.
    >>> input_error(ValueError('x'))
    """
    if isinstance(error, ModelArrayIOError):
        return error
    if isinstance(error, UnicodeEncodeError):
        return refusal(error)
    if isinstance(error, MemoryError):
        return UsageError(
            'the system has no more memory',
            remedy='Allow more (ulimit -v), or use less: --mem-mb, or fewer threads with --nprocs.',
        )
    if isinstance(error, RecursionError):
        return FormatError(
            'something that was given is nested too deep', remedy='Check the files that were named.'
        )
    for word, what in _SAID.items():
        if isinstance(error, RuntimeError | ValueError) and word in str(error):
            return UsageError(what, remedy='Check the command line and the files it names.')
    return None


def open_regular(path: str | os.PathLike[str], *, whole: bool = False) -> io.BufferedReader:
    """Open a file for reading in binary, which ends: no device, and no pipe.

    Parameters
    ----------
    path : path-like
        The file, on a disk or behind an address.
    whole : bool, optional
        Say that all of it will be read, which makes remote ones come in fewer requests.

    Raises
    ------
    SourceNotFoundError
        If it is something else.
    RemoteFileError
        If it is remote and does not come.
    OSError
        If it cannot be opened.
    """
    if isinstance(place := location(path), RemotePath):
        return place.open_binary(whole=whole)
    mode = Path(path).stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise SourceNotFoundError(
            'is a pipe, a socket or a device, expected a file that can be read twice',
            path,
            'Save it as a file, and name that.',
        )
    return open(path, 'rb')


def resolved(path: str | os.PathLike[str]) -> Path:
    """Return the place an output's path leads to.

    Raises
    ------
    OutputError
        If links go round in circles, or it cannot be looked at.
    """
    try:
        return Path(path).resolve()
    except (RuntimeError, ValueError) as error:
        raise OutputError('is a link to itself', path, 'Name another file.') from error
    except OSError as error:
        raise OutputError.from_os_error(error, path) from error
