"""The table of all results that a report leaves, for the last lines of a run and for programs."""

from __future__ import annotations

import csv
from pathlib import Path

#: Its name in the folder of figures, without an extension.
RESULTS = 'desc-results_summary'


def read_results(output_dir: Path) -> list[dict[str, str]]:
    """Return its rows, as ``columns.yaml`` says; none where there is no such table.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    path = output_dir / 'figures' / f'{RESULTS}.tsv'
    if not path.exists():
        return []
    with open(path, newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file, delimiter='\t'))
