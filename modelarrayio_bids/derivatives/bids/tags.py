"""The table in which pybids keeps the entities of files, read without pybids.

``layout.get()`` makes an object and a query per file; one query gives the same for all of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from modelarrayio_bids.derivatives.bids.entities import Entities

#: A file, and its entities as an object of JSON.
Row = tuple[str, str]

#: What pybids calls the file in its ``database_path``.
DATABASE = 'layout_index.sqlite'

_BY_FILE = """
    SELECT file_path, json_group_object(entity_name, _value) FROM tags
    GROUP BY file_path ORDER BY file_path
"""


def read_rows(execute: Callable[[str], Iterable[Row]]) -> list[Row]:
    """Every file of a pybids database, sorted.

    Parameters
    ----------
    execute : callable
        Runs SQL, as :meth:`sqlite3.Connection.execute` does.
    """
    return [(path, entities) for path, entities in execute(_BY_FILE)]


def parse_rows(rows: Sequence[Row]) -> list[tuple[Path, Entities]]:
    """Paths and entities.

    >>> parse_rows([('/data/sub-01_cbf.nii.gz', '{"subject": "01", "suffix": "cbf"}')])
    [(PosixPath('/data/sub-01_cbf.nii.gz'), {'subject': '01', 'suffix': 'cbf'})]
    """
    # One text: its parser then keeps one copy of each key, not one per file.
    entities = json.loads(f'[{",".join(text for _, text in rows)}]')
    return [(Path(path), found) for (path, _), found in zip(rows, entities, strict=True)]
