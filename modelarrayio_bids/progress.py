"""How far a long piece of work is: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

logger = logging.getLogger(__name__)

Item = TypeVar('Item')

#: Seconds between two lines in a log.
INTERVAL = 15.0


def tracked(items: Iterable[Item], what: str, total: int, unit: str) -> Iterator[Item]:
    """Pass items on while showing how many have come.

    Parameters
    ----------
    items : iterable
        The work, item by item.
    what : str
        What is being done, for a person: ``'Reading FA'``.
    total : int
        Number of items to come.
    unit : str
        What an item is, in the plural.
    """
    if not logger.isEnabledFor(logging.INFO):
        yield from items
    elif sys.stderr.isatty():
        yield from _bar(items, what, total, unit)
    else:
        yield from _lines(items, what, total, unit)


def _bar(items: Iterable[Item], what: str, total: int, unit: str) -> Iterator[Item]:
    from tqdm import tqdm  # noqa: PLC0415 - 30 ms that only a terminal needs

    bar: Any = tqdm(items, desc=what, total=total, unit=f' {unit}', leave=False)
    yield from bar


def _lines(items: Iterable[Item], what: str, total: int, unit: str) -> Iterator[Item]:
    started = said = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - said >= INTERVAL and done < total:
            rate = done / (now - started)
            left = (total - done) / rate
            logger.info('%s: %d of %d %s, %.1f/s, %.0f s left', what, done, total, unit, rate, left)
            said = now
