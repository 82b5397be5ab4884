"""Progress of a long piece of work: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from modelarrayio_bids.runtime.logs import draws_bars

logger = logging.getLogger(__name__)

Item = TypeVar('Item')

#: Seconds between two lines in a log.
INTERVAL = 15.0


def tracked(items: Iterable[Item], what: str, total: int | None, unit: str) -> Iterator[Item]:
    """Pass items on while showing how many have come.

    Parameters
    ----------
    items : iterable
        The work, item by item.
    what : str
        Name of the task: ``'Reading FA'``.
    total : int or None
        Number of items to come, where it is known.
    unit : str
        Name of the items, in the plural.
    """
    if not logger.isEnabledFor(logging.INFO):
        yield from items
    elif draws_bars():
        yield from _bar(items, what, total, unit)
    else:
        yield from _lines(items, what, total, unit)


def _bar(items: Iterable[Item], what: str, total: int | None, unit: str) -> Iterator[Item]:
    from tqdm import tqdm  # noqa: PLC0415 - 30 ms that only a terminal needs

    bar: Any = tqdm(
        items, desc=what, total=total, unit=f' {unit}', leave=False, dynamic_ncols=True
    )  # fmt: skip
    yield from bar


def _lines(items: Iterable[Item], what: str, total: int | None, unit: str) -> Iterator[Item]:
    started = said = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - said >= INTERVAL and done != total:
            facts = {'stage': what, 'done': done, 'total': total, 'unit': unit}
            logger.info('%s', _line(what, done, total, unit, now - started), extra={'facts': facts})
            said = now


def _line(what: str, done: int, total: int | None, unit: str, seconds: float) -> str:
    """Say how far it is, and for how long it will go on.

    >>> _line('Reading FA', 50, 200, 'images', 20.0)
    'Reading FA: 50 of 200 images, 2.5/s, 60 s left'
    >>> _line('Looking for images', 5000, None, 'names', 20.0)
    'Looking for images: 5000 names, 250.0/s'
    """
    rate = done / seconds
    if total is None:
        return f'{what}: {done} {unit}, {rate:.1f}/s'
    return f'{what}: {done} of {total} {unit}, {rate:.1f}/s, {(total - done) / rate:.0f} s left'
