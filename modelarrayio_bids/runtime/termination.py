"""SIGTERM as an exception, so that context managers remove unfinished files.

Schedulers and container engines ask a process to end this way, some seconds before they kill it.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

EXIT_TERMINATED = 128 + signal.SIGTERM
_HELD_BACK = (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)
# Seconds after which Python has mostly left a callback.
_SOON = 0.01


class Terminated(SystemExit):
    """Request to end the process; like an interrupt, only context managers should handle it."""

    def __init__(self, code: int = EXIT_TERMINATED) -> None:
        super().__init__(code)


@contextmanager
def terminable() -> Iterator[None]:
    """Raise :class:`Terminated` in the main thread, which has to enter this, at each SIGTERM.

    An interrupt that Python drops is raised again.

    Examples
    --------
    >>> try:
    ...     with terminable():
    ...         signal.raise_signal(signal.SIGTERM)
    ... except Terminated as ended:
    ...     ended.code
    143
    """
    hook = sys.unraisablehook
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGALRM)}
    is_interrupted = False

    def _terminate(number: int, frame: FrameType | None) -> None:
        nonlocal is_interrupted
        # Again and again until it is seen on its way: Python drops what is raised in callbacks, of
        # an import's lock or an object that goes, and a system call that was about to begin does
        # not see a signal.
        signal.setitimer(signal.ITIMER_REAL, _SOON, _SOON)
        if frame is not None and frame.f_code is _unraisable.__code__:
            return
        if is_interrupted and number == signal.SIGALRM:
            is_interrupted = False
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise KeyboardInterrupt
        if not was_terminated(sys.exception()):
            raise Terminated

    def _unraisable(dropped: UnraisableHookArgs) -> None:
        nonlocal is_interrupted
        if issubclass(dropped.exc_type, KeyboardInterrupt):
            is_interrupted = True
            signal.setitimer(signal.ITIMER_REAL, _SOON, _SOON)
        elif not issubclass(dropped.exc_type, Terminated):
            hook(dropped)

    sys.unraisablehook = _unraisable
    for number in before:
        signal.signal(number, _terminate)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
        sys.unraisablehook = hook


@contextmanager
def undisturbed() -> Iterator[None]:
    """Hold SIGTERM and interrupts back until the block has ended, which cleans up.

    Other threads than the main one are never disturbed.

    Examples
    --------
    >>> try:
    ...     with terminable(), undisturbed():
    ...         signal.raise_signal(signal.SIGTERM)
    ...         print('cleaned up')
    ... except Terminated:
    ...     print('terminated')
    cleaned up
    terminated
    """
    if current_thread() is not main_thread():
        yield
        return
    came: list[int] = []
    # None is a handler that is not Python's to put back.
    found = ((number, signal.getsignal(number)) for number in _HELD_BACK)
    before = {number: handler for number, handler in found if handler is not None}
    for number in before:
        signal.signal(number, lambda number, _frame: came.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


def was_terminated(error: BaseException | None) -> bool:
    """Return whether an error is a termination, or was made of one by a bare ``except``."""
    while error is not None and not isinstance(error, Terminated):
        error = error.__context__
    return error is not None
