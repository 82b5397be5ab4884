"""The index of a dataset: pybids' own tables, filled from a listing of names.

pybids is held as it must be to tell real derivatives apart: an entity configuration of our own,
one layout per dataset, no validation, no metadata. What is left of its time goes into objects that
it makes for every file and folder, and into asking the disk about each; so :class:`NameIndexer`,
which the layout calls in place of pybids' own indexer, matches pybids' entities on names listed
before and inserts the rows together. The layout, its ``get()`` and its database files stay pybids'.

Measured on 50,000 files of 500 subjects, 20,000 of them images (two cores, pybids 0.22; memory is
that of the process):

=================================================  ======  ======
pybids' own indexer, other extensions ignored      13.8 s  410 MB
names listed before, all rows inserted at once      2.6 s  280 MB
the same in parts: what this module does            2.8 s  120 MB
an index kept before (``index_cache``)              0.5 s   90 MB
=================================================  ======  ======

Entities are matched on the path below the dataset's folder, so that no folder above lends its name.
A dataset's own ``layout_config.json``, with which pybids would know further entities, is no matter.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bids import BIDSLayout
from bids.layout.models import Entity
from sqlalchemy.exc import DBAPIError

from modelarrayio_bids.derivatives.bids import entities as bids_entities
from modelarrayio_bids.derivatives.bids.entities import Entities
from modelarrayio_bids.derivatives.bids.tags import DATABASE, parse_rows, read_rows
from modelarrayio_bids.runtime.progress import tracked

#: So many names at a time keep memory flat; a layout for them takes 0.07 s to set up.
_PART = 5_000
_INSERT_FILE = """
    INSERT INTO files (path, filename, dirname, is_dir, class_) VALUES (?, ?, ?, 0, 'image_file')
"""
_INSERT_TAG = """
    INSERT INTO tags (file_path, entity_name, _value, _dtype, is_metadata)
    VALUES (?, ?, ?, 'str', 0)
"""


@dataclass(frozen=True)
class NameIndexer:
    """What :class:`bids.BIDSLayout` takes as ``indexer``.

    Parameters
    ----------
    parts : iterable of sequences of str
        Paths of images below the layout's root, with ``/`` between; some at a time.
    """

    parts: Iterable[Sequence[str]]

    def __call__(self, layout: BIDSLayout) -> None:
        """Fill the layout's tables."""
        entities = [
            entity for config in layout.config.values() for entity in config.entities.values()
        ]
        execute = layout.session.connection().exec_driver_sql
        for part in self.parts:
            # Ten times as fast as Path().
            files = [(name, os.path.join(layout.root, name)) for name in part]  # noqa: PTH118
            execute(_INSERT_FILE, [_file(path) for _, path in files])
            execute(_INSERT_TAG, [tag for file in files for tag in _tags(*file, entities)])
        layout.session.commit()


def index_names(root: Path, names: Sequence[str]) -> Iterator[tuple[Path, Entities]]:
    """Paths and entities of images, sorted, with nothing kept.

    Parameters
    ----------
    root : pathlib.Path
        The dataset's folder, absolute.
    names : sequence of str
        Paths from there, sorted.
    """
    for part in _parts(root, names):
        layout = _layout(root, [part])
        rows = read_rows(layout.session.connection().exec_driver_sql)
        _close(layout)
        yield from parse_rows(rows)


def write_database(root: Path, names: Sequence[str], folder: Path) -> Path:
    """Index images into a database file that pybids can open; where it is.

    Parameters
    ----------
    root, names
        As for :func:`index_names`.
    folder : pathlib.Path
        pybids' ``database_path``, which holds no database yet.

    Raises
    ------
    sqlite3.OperationalError
        If the disk is full, or cannot lock files.
    """
    try:
        _close(_layout(root, _parts(root, names), folder))
    except DBAPIError as error:
        raise sqlite3.OperationalError(str(error.orig)) from error
    return folder / DATABASE


def _layout(root: Path, parts: Iterable[Sequence[str]], folder: Path | None = None) -> BIDSLayout:
    return BIDSLayout(
        root,
        validate=False,
        config=[bids_entities.configuration()],
        indexer=NameIndexer(parts),
        database_path=folder,
    )


def _close(layout: BIDSLayout) -> None:
    layout.session.close()
    layout.connection_manager.engine.dispose()


def _parts(root: Path, names: Sequence[str]) -> Iterator[Sequence[str]]:
    starts = range(0, len(names), _PART)
    parts = (names[start : start + _PART] for start in starts)
    return tracked(parts, f'Indexing {root.name}', len(starts), f'parts of {_PART:,} names')


def _file(path: str) -> tuple[str, str, str]:
    folder, name = os.path.split(path)
    return path, name, folder


def _tags(name: str, path: str, entities: Sequence[Entity]) -> Iterator[tuple[str, str, str]]:
    for entity in entities:
        if found := entity.regex.search(f'/{name}'):
            yield path, entity.name, found[1]
