"""The end of a command: one line and an exit code for errors a user can fix, else a traceback."""

from __future__ import annotations

import errno
import logging
import os
import resource
import select
import signal
import sys
from collections.abc import Callable
from typing import Any

from modelarrayio_bids.errors import (
    EXIT_INTERNAL,
    CohortProblemsError,
    ModelArrayIOError,
    OutputError,
    UnfinishedOutputError,
    UsageError,
)
from modelarrayio_bids.runtime import logs
from modelarrayio_bids.runtime.clock import run_date
from modelarrayio_bids.runtime.termination import (
    EXIT_TERMINATED,
    Terminated,
    terminable,
    was_terminated,
)
from modelarrayio_bids.runtime.user_input import input_error

logger = logging.getLogger(__name__)

_ONLY_WRITING = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EPIPE}
EXIT_INTERRUPTED = 128 + signal.SIGINT
#: Exit code of other programs in front of ``head``, which are ended by the signal.
EXIT_NOT_READ = 128 + signal.SIGPIPE
_AGAIN = (
    'nothing half-written was left, and what is whole stays. Run the same command again to finish'
)


def run(program: str, command: Callable[[], int], least_mb: int = 0) -> int:
    """Run a command and turn how it ended into an exit code.

    Parameters
    ----------
    program : str
        Name that starts an error's line.
    command : callable
        Returns an exit code.
    least_mb : int, optional
        Addresses that it takes to start (``ulimit -v``), in MiB.
    """
    _hear_interrupts()
    try:
        _require_addresses(least_mb)
        run_date()  # refused before anything is read, if it cannot be
        with terminable():
            code = command()
        _flush_output()
    except KeyboardInterrupt:
        return _ended(program, f'interrupted; {_AGAIN}', EXIT_INTERRUPTED)
    except Terminated:
        return _terminated(program)
    except Exception as error:  # noqa: BLE001 - the last resort
        return _failed(program, error)
    return code


def _hear_interrupts() -> None:
    """Raise KeyboardInterrupt from here on: see :mod:`modelarrayio_bids.cli.entrypoint`."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _require_addresses(least_mb: int) -> None:
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return
    # It takes addresses for each of its threads, and ends the process where there are none.
    os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')
    if limit < least_mb * 2**20:
        raise UsageError(
            f'{limit // 2**20} MB of addresses (ulimit -v) are too few to start',
            remedy=f'Give at least {least_mb} MB: ulimit -v {least_mb * 1024}.',
        )


def _failed(program: str, error: Exception) -> int:
    if isinstance(error, BrokenPipeError) and _is_not_read():
        return EXIT_NOT_READ
    told = input_error(error) or (_file_error(error) if isinstance(error, OSError) else None)
    if told is not None:
        logger.debug('raised here', exc_info=error)
        return _ended(program, str(told), told.exit_code, _facts(told))
    if was_terminated(error):
        return _terminated(program)
    # Everything there is to report.
    logger.critical('unexpected error', exc_info=error)
    return _ended(program, 'this is a bug; please report the lines above', EXIT_INTERNAL)


def _flush_output() -> None:
    # Python has none where it was closed before the start.
    if sys.stdout is not None:
        sys.stdout.flush()


def _file_error(error: OSError) -> OutputError:
    path = error.filename or 'an output'
    if error.errno in _ONLY_WRITING or error.errno is None:
        return UnfinishedOutputError.from_os_error(error, path)
    if error.errno == errno.ENAMETOOLONG:
        # Readers say it of their files themselves.
        return OutputError.from_os_error(error, path)
    # Reading may have failed as well, so nothing is said of writing.
    what = f'cannot be opened or used ({error.strerror or error})'
    return UnfinishedOutputError(what, path, 'Check the path, its permissions and the disk.')


def _is_not_read() -> bool:
    """Return whether the reader of standard output has ended, as ``head`` does."""
    if sys.stdout is None:
        return False
    output = select.poll()
    output.register(sys.stdout, 0)
    if not output.poll(0):
        return False
    # Python writes what it still holds at its end, and would complain.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return True


def _ended(program: str, message: str, code: int, facts: dict[str, Any] | None = None) -> int:
    logs.say_end(program, message, (facts or {'what': message}) | {'exit_code': code})
    return code


def _facts(error: ModelArrayIOError) -> dict[str, Any]:
    """Return the parts of an error; of several together, those of each."""
    facts: dict[str, Any] = {'what': error.what, 'file': error.path, 'remedy': error.remedy}
    if isinstance(error, CohortProblemsError):
        facts['problems'] = [
            _facts(problem) | {'exit_code': problem.exit_code} for problem in error.problems
        ]
    return facts


def _terminated(program: str) -> int:
    return _ended(program, f'terminated (SIGTERM); {_AGAIN}', EXIT_TERMINATED)
