"""Rows of the result, as a table and as JSON."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path


@dataclass(frozen=True)
class Goal:
    """What is promised of a case: at least this ratio, at most all the others.

    Memory is in MiB, the floor and the size are ratios to the least time and the peer's file.
    """

    ratio: float | None = None
    seconds: float | None = None
    memory: float | None = None
    floor: float | None = None
    size: float | None = None

    def __str__(self):
        """The part about time."""
        if self.ratio is not None:
            return f'{self.ratio:g}×'
        return '' if self.seconds is None else f'{self.seconds:g} s'


@dataclass(frozen=True)
class Row:
    """What was measured of a case. What was not, or cannot be, is None."""

    case: str
    n: int | None = None
    peer_seconds: float | None = None
    seconds: float | None = None
    ratio: float | None = None
    peer_memory: float | None = None
    memory: float | None = None
    floor: float | None = None
    floor_cpu: float | None = None
    size: float | None = None
    identical: bool | None = None
    goal: Goal = Goal()

    @property
    def missed(self) -> list[str]:
        """Which promises were not kept."""
        missed = [
            name
            for name in ('seconds', 'memory', 'floor', 'size')
            if _above(getattr(self, name), getattr(self.goal, name))
        ]
        if _above(self.goal.ratio, self.ratio):
            missed.insert(0, 'ratio')
        return missed + (['values'] if self.identical is False else [])

    @property
    def verdict(self) -> str:
        """One word, or two and what was missed."""
        if self.missed:
            return f'misses {", ".join(self.missed)}'
        return 'holds' if self._compared else ''

    @property
    def _compared(self):
        """Whether anything that was promised could be looked at."""
        promised = ('ratio', 'seconds', 'memory', 'floor', 'size')
        return self.identical or any(
            getattr(self, name) is not None and getattr(self.goal, name) is not None
            for name in promised
        )


#: Heading and text of each column.
COLUMNS = {
    'case': lambda row: row.case,
    'n': lambda row: '' if row.n is None else f'{row.n:,}',
    'peer s': lambda row: _digits(row.peer_seconds),
    'ours s': lambda row: _digits(row.seconds),
    'ratio': lambda row: _digits(row.ratio),
    'target': lambda row: str(row.goal),
    'peer MB': lambda row: _whole(row.peer_memory),
    'ours MB': lambda row: _whole(row.memory),
    'target MB': lambda row: _whole(row.goal.memory),
    '× floor': lambda row: _digits(row.floor),
    'target ×': lambda row: '' if row.goal.floor is None else f'{row.goal.floor:g}',
    'of CPU': lambda row: _digits(row.floor_cpu),
    'size': lambda row: '' if row.size is None else f'{row.size:.3f}',
    'identical': lambda row: {None: '', True: 'yes', False: 'no'}[row.identical],
    '': lambda row: row.verdict,
}


def table(rows: Sequence[Row]) -> str:
    """Aligned columns, without those that say nothing of any row."""
    columns = [[heading, *map(text, rows)] for heading, text in COLUMNS.items()]
    columns = [column for column in columns if any(column[1:])]
    widths = [max(map(len, column)) for column in columns]
    lines = [
        '  '.join(
            cell.ljust(width) if number in {0, len(widths) - 1} else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in zip(*columns, strict=True)
    ]
    return '\n'.join([lines[0], '-' * max(map(len, lines)), *lines[1:]])


def machine() -> dict[str, str | int]:
    """Where and when this was measured."""
    return {
        'date': datetime.now(UTC).date().isoformat(),
        'cores': os.cpu_count() or 1,
        'processor': platform.machine(),
        'python': platform.python_version(),
        'modelarrayio-bids': version('modelarrayio-bids'),
    }


def save(path: Path, rows: Sequence[Row], notes: Sequence[str], runs: int) -> None:
    """Everything as JSON: seconds, MiB and ratios."""
    cases = [asdict(row) | {'missed': row.missed, 'verdict': row.verdict} for row in rows]
    content = {**machine(), 'runs': runs, 'cases': cases, 'notes': list(notes)}
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + '\n', encoding='utf-8')


def _above(value: float | None, most: float | None) -> bool:
    return value is not None and most is not None and value > most


def _digits(value: float | None) -> str:
    """Three digits, or all before the point."""
    if value is None:
        return ''
    return f'{value:.0f}' if value >= 100 else f'{value:#.3g}'


def _whole(value: float | None) -> str:
    return '' if value is None else f'{value:.0f}'
