"""Columns of text, for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence


def aligned(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield rows as lines: every column as wide as its widest cell.

    >>> list(aligned([('SCALAR', 'IMAGES'), ('FA', '24')]))
    ['SCALAR  IMAGES', 'FA      24']
    """
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield '  '.join(cells).rstrip()
