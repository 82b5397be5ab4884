"""The table of all results that a report leaves, for the last lines of a run and for programs."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from modelarrayio_bids.derivatives.outputs.statmaps import MODEL

#: Its name in the folder of figures, without an extension.
RESULTS = 'desc-results_summary'


def significant(
    rows: Iterable[Mapping[str, Any]], *, found: bool = True
) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of terms, but not of whole models, that have significant elements, or none."""
    for row in rows:
        if row['term'] != MODEL and bool(int(row['survived'])) == found:
            yield row


def finding(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a term for people: scalar, analysis, term, elements, strongest, smallest p, where."""
    strongest = f'{float(row["peak"]):.3g}'
    return (
        *(row['scalar'], row['analysis'], row['term']),
        f'{int(row["survived"]):,} of {int(row["elements"]):,} {row["kind"]}',
        strongest if row['statistic'] == 'n/a' else f'{row["statistic"]} = {strongest}',
        f'{float(row["smallest_p"]):.2g}',
        row['where'],
    )


def read_results(output_dir: Path) -> list[dict[str, str]]:
    """Return its rows, as ``columns.yaml`` says; none where there is no such table.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    return read_table(output_dir / 'figures' / f'{RESULTS}.tsv')


def read_table(path: Path) -> list[dict[str, str]]:
    """Return the rows of a table; none where there is no such file."""
    if not path.exists():
        return []
    with open(path, newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file, delimiter='\t'))
