"""Texts for a terminal, made of the templates in ``data/terminal``."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from modelarrayio_bids.runtime.data_files import templates
from modelarrayio_bids.runtime.text_format import amount, by, count

if TYPE_CHECKING:
    from jinja2 import Environment


def terminal_text(template: str, **values: Any) -> str:
    """Return a text, made of a template and what it shows."""
    text = _environment().get_template(f'{template}.txt.j2').render(values)
    return '\n'.join(line.rstrip() for line in text.rstrip().split('\n'))


def aligned(rows: Iterable[Sequence[str]], most: int | None = None) -> str:
    """Return rows as lines: every column as wide as its widest cell.

    Parameters
    ----------
    rows : iterable of sequence of str
        Cells.
    most : int, optional
        Number of lines before one that counts the others.

    Examples
    --------
    >>> print(aligned([('SCALAR', 'IMAGES'), ('FA', '24'), ('MD', '24')], most=2))
    SCALAR  IMAGES
    FA      24
      and 1 more
    """
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ['  '.join(map(str.ljust, row, widths)).rstrip() for row in rows]
    if most is not None and len(lines) > most:
        lines[most:] = [f'  and {len(lines) - most} more']
    return '\n'.join(lines)


@cache
def _environment() -> Environment:
    return templates(
        'terminal',
        aligned=aligned,
        amount=amount,
        by=by,
        count=count,
        filled=partial(textwrap.fill, width=100, subsequent_indent=' ' * 9),
        number='{:g}'.format,
        thousands='{:,}'.format,
    )
