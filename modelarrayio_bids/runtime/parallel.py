"""Work shared between threads. isal, zlib and numpy release the GIL, so threads are enough."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

from modelarrayio_bids.errors import UsageError

Item = TypeVar('Item')
Result = TypeVar('Result')


def ordered_map(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int
) -> Iterator[Result]:
    """Yield results in the order of the items, few of them waiting at any time.

    Unlike ``Executor.map`` it takes items only as results are used, so a long run stays flat in
    memory; and what was not started when an error comes up is not started after it. One thread is a
    thread of its own too: what it keeps for itself ends with it.

    >>> list(ordered_map(abs, [-3, 2, -1], threads=2))
    [3, 2, 1]

    Raises
    ------
    UsageError
        If the system cannot start more threads.
    """
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(max(1, threads)) as pool:
        try:
            for item in items:
                waiting.append(_submitted(pool, function, item))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


@contextmanager
def short_turns() -> Iterator[None]:
    """Let threads hand Python's lock on sooner in a ``with`` block.

    A thread that has inflated or multiplied waits up to an interval for one that is running Python.
    By default that is 5 ms, as long as a block of elements takes: a tenth of the time of ``fit``.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def one_blas_thread() -> AbstractContextManager[object]:
    """Hold linear algebra to one thread in a ``with`` block, where threads are ours already.

    Its own threads wait for each other by spinning: where cores are shared, they take several times
    the processor time.
    """
    from threadpoolctl import threadpool_limits  # noqa: PLC0415 - only models need it

    return threadpool_limits(1, user_api='blas')


def _submitted(
    pool: ThreadPoolExecutor, function: Callable[[Item], Result], item: Item
) -> Future[Result]:
    try:
        return pool.submit(function, item)
    except RuntimeError as error:
        raise UsageError(
            'the system cannot start more threads',
            remedy='Give fewer (--nprocs), or raise the limits on addresses and processes '
            '(ulimit -v, ulimit -u).',
        ) from error
