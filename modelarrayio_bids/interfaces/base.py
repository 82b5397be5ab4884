"""What the interfaces share: how an error of ours leaves a node."""

from __future__ import annotations

import os
import pickle
import signal
import threading
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nipype.interfaces.base import Bunch, SimpleInterface, isdefined

from modelarrayio_bids.errors import JobError, ModelArrayIOError
from modelarrayio_bids.runtime import logs
from modelarrayio_bids.runtime.termination import EXIT_TERMINATED, Terminated, terminable

#: Written into the folder of a node that failed for a reason a user can mend. Nipype hands on a
#: traceback as text; with this the workflow's caller has the error itself, whatever the plugin.
ERROR_FILE = 'modelarrayio_error.pickle'
#: What to do about a job that was killed.
AGAIN = (
    'Look at what the scheduler says of it (memory, time), and run the same command again: what is '
    'done is kept in the work folder, and jobs still in the queue go on.'
)


class LibraryInterface(SimpleInterface):
    """An interface that is one call of the library."""

    @property
    def what(self) -> str:
        """What the interface works on, for a person: its name, unless it has more to say."""
        return type(self).__name__

    @abstractmethod
    def _call(self, folder: Path) -> dict[str, Any]:
        """Call the library; outputs without a path of their own go to ``folder``."""

    def _run_interface(self, runtime: Bunch) -> Bunch:
        logs.configure_worker()
        folder = Path(runtime.cwd)
        # Stays behind if the process is killed: a job out of memory, or out of time.
        _leave(JobError(f'{self.what} was begun, and its process ended', remedy=AGAIN), folder)
        try:
            with _clean_when_terminated():
                self._results.update(self._call(folder))
        except (ModelArrayIOError, KeyboardInterrupt, SystemExit) as error:
            # Nipype makes an error of its own even of an interrupt.
            _leave(error, folder)
            raise
        except Exception:
            # A bug: Nipype's crash file has all there is to say.
            (folder / ERROR_FILE).unlink()
            raise
        (folder / ERROR_FILE).unlink()
        return runtime

    def given(self, *names: str) -> dict[str, Any]:
        """The inputs among these that were set."""
        values = {name: getattr(self.inputs, name) for name in names}
        return {name: value for name, value in values.items() if isdefined(value)}


def _leave(error: BaseException, folder: Path) -> None:
    (folder / ERROR_FILE).write_bytes(pickle.dumps(error))


def forget_errors(folder: Path) -> None:
    """Remove what nodes of an earlier run in this folder failed for."""
    for path in folder.rglob(ERROR_FILE):
        path.unlink()


@contextmanager
def _clean_when_terminated() -> Iterator[None]:
    """In a worker or a job, let SIGTERM take away what is half-written before it ends the process.

    Nipype catches every exception of a node, so the process has to be ended here. A command of
    ours, or a program that embeds us, has its own way with signals.
    """
    in_thread = threading.current_thread() is not threading.main_thread()
    if in_thread or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    try:
        with terminable():
            yield
    except Terminated:
        os._exit(EXIT_TERMINATED)


def errors_below(folder: Path) -> list[BaseException]:
    """What the nodes of a workflow that ran in this folder ended for."""
    # Of this run: those of an earlier one in the same folder were forgotten before it.
    return [pickle.loads(path.read_bytes()) for path in sorted(folder.rglob(ERROR_FILE))]  # noqa: S301
