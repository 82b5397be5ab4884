"""Work in a separate process, for calls that may hang or crash.

HDF5's library goes round in circles on some damaged files, and crashes on others: nothing in the
same process can stop it.
"""

from __future__ import annotations

import multiprocessing
import resource
import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from modelarrayio_bids.errors import FormatError

Result = TypeVar('Result')

# Seconds of processor time: for any file, and for each byte of it.
_SECONDS, _BYTES_A_SECOND = 5, 20_000_000


def read_alone(function: Callable[[Path], Result], path: Path) -> Result:
    """Return what a function makes of a file, computed in a fork of this process.

    Parameters
    ----------
    function : callable
        Takes the path; its result and its errors can be pickled.
    path : pathlib.Path
        The file.

    Raises
    ------
    FormatError
        If reading does not come to an end, or crashes.
    """
    seconds = _SECONDS
    # One that cannot be looked at is the function's to refuse.
    with suppress(OSError, ValueError):
        seconds += int(path.stat().st_size / _BYTES_A_SECOND)
    # A fork has the libraries already.
    context = multiprocessing.get_context('fork')
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_answer, args=(function, path, seconds, sender))
    child.start()
    sender.close()
    try:
        succeeded, answer = receiver.recv()
    except EOFError:
        child.join()
        raise _not_read(path, child.exitcode or 0, seconds) from None
    finally:
        child.kill()
        child.join()
        receiver.close()
    if not succeeded:
        raise answer
    return answer


def _answer(function: Callable[[Path], Any], path: Path, seconds: int, sender: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        answer = True, function(path)
    except BaseException as error:  # noqa: BLE001 - the parent's to judge
        answer = False, error
    sender.send(answer)


def _not_read(path: Path, code: int, seconds: int) -> FormatError:
    ended = signal.Signals(-code).name if code < 0 else f'exit code {code}'
    said = f'HDF5 crashed on it ({ended})'
    if code in {-signal.SIGXCPU, -signal.SIGKILL}:
        said = f'HDF5 did not come to an end within {seconds} s of processor time'
    return FormatError(
        f'cannot be read: {said}', path, 'Copy the file again, or build it again: it is damaged.'
    )
