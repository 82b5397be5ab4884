"""The base of all interfaces: one call of the library, absolute paths, errors that arrive."""

from __future__ import annotations

import os
import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    Bunch,
    SimpleInterface,
    Undefined,
    isdefined,
    traits,
)
from nipype.interfaces.base import Directory as NipypeDirectory
from nipype.interfaces.base import File as NipypeFile

from modelarrayio_bids.errors import JobError, ModelArrayIOError
from modelarrayio_bids.interfaces.node_errors import forget_error, leave_error
from modelarrayio_bids.runtime import logs
from modelarrayio_bids.runtime.locations import is_address, location
from modelarrayio_bids.runtime.resources import MIB, Resources
from modelarrayio_bids.runtime.termination import EXIT_TERMINATED, Terminated, terminable
from modelarrayio_bids.runtime.user_input import input_error

#: Advice for a job that was killed.
AGAIN = (
    'Check its memory and time in the records of the scheduler, and run the same command again: '
    'what is done is kept in the work folder, and jobs still in the queue go on.'
)


class _Absolute:
    """A path; a relative one counts from the folder where it is set, not from the node's."""

    def validate(self, *arguments: Any, **keywords: Any) -> Any:
        """Check the path, and make it absolute without following links; let an address be."""
        *_, given = arguments
        if is_address(str(given)):
            return str(given)
        value = super().validate(*arguments, **keywords)  # type: ignore[misc]
        return type(value)(Path(value).absolute())


class File(_Absolute, NipypeFile):
    """A file, made absolute where it is set."""


class Directory(_Absolute, NipypeDirectory):
    """A folder, made absolute where it is set."""


class ResourcesInputSpec(BaseInterfaceInputSpec):
    """Threads and memory of an interface; neither changes its results."""

    num_threads = traits.Int(1, usedefault=True, nohash=True, desc='threads that work')
    mem_mb = traits.Int(nohash=True, desc='memory the run may use, in MiB')


class LibraryInterface(SimpleInterface, ABC):
    """An interface that is one call of the library."""

    @property
    def what(self) -> str:
        """The interface in a message: its name, unless it has more to say."""
        return type(self).__name__

    @abstractmethod
    def _call(self, folder: Path) -> dict[str, Any]:
        """Call the library; outputs without a path of their own go to ``folder``."""

    def _run_interface(self, runtime: Bunch) -> Bunch:
        logs.configure_worker()
        folder = Path(runtime.cwd)
        # Stays behind if the process is killed: a job out of memory, or out of time.
        leave_error(JobError(f'{self.what} was begun, and its process ended', remedy=AGAIN), folder)
        try:
            with _clean_when_terminated():
                self._results.update(self._call(folder))
        except (ModelArrayIOError, KeyboardInterrupt, SystemExit) as error:
            # Nipype makes an error of its own even of an interrupt.
            leave_error(error, folder)
            raise
        except Exception as error:
            told = input_error(error)
            if told is None:
                # A bug: Nipype's crash file has all there is to say.
                forget_error(folder)
                raise
            leave_error(told, folder)
            raise told from error
        forget_error(folder)
        return runtime

    def given(self, *names: str) -> dict[str, Any]:
        """Return the inputs among these that were set."""
        values = {name: getattr(self.inputs, name, Undefined) for name in names}
        return {name: value for name, value in values.items() if isdefined(value)}

    def path(self, name: str) -> Path | None:
        """Return the path that an input was set to, or None."""
        value = self.given(name).get(name)
        return None if value is None else location(value)

    def resources(self) -> Resources:
        """Return the threads and the memory that the inputs allow."""
        given = self.given('num_threads', 'mem_mb')
        memory = given['mem_mb'] * MIB if 'mem_mb' in given else None
        return Resources(given.get('num_threads', 1), memory)


@contextmanager
def _clean_when_terminated() -> Iterator[None]:
    """Have SIGTERM take away what is half-written before it ends a worker or a job.

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
