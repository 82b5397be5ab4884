"""Indexes kept between runs, in the folder given as ``--bids-database-dir``.

::

    DIR/
      qsirecon-1f0c2a9b3d4e/layout_index.sqlite    one for each dataset and selection

Each is a pybids database (``BIDSLayout(database_path=DIR / 'qsirecon-…')``) with a table of our
own, which says what it is an index of: our version and pybids', the entity configuration, the
dataset's folder and *the name of every image in it*, as one digest. The entities of an image are
in its name, so nothing else can make an index stale. The names are listed anew in each run, which
takes 0.15 s for 50,000 files; times of change, coarse or shifted on network disks, are not asked.

An index is read only if that digest is the same, and used only if what was read has the digest it
was written with: one that is damaged is made again, with a warning. It is written elsewhere and
renamed, and opened as a file that never changes, without locks: runs at once do not disturb each
other, and a folder that cannot be written serves as long as its indexes hold.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from importlib import metadata
from pathlib import Path

from modelarrayio_bids.__about__ import __version__
from modelarrayio_bids.derivatives.bids import entities as bids_entities
from modelarrayio_bids.derivatives.bids.entities import Entities
from modelarrayio_bids.derivatives.bids.tags import DATABASE, Row, parse_rows, read_rows
from modelarrayio_bids.errors import OutputError
from modelarrayio_bids.runtime.atomic import replacing
from modelarrayio_bids.runtime.unfinished import Unfinished, remove_leftovers

logger = logging.getLogger(__name__)

_CREATE = 'CREATE TABLE modelarrayio_bids (index_of TEXT, content TEXT)'
_INSERT = 'INSERT INTO modelarrayio_bids VALUES (?, ?)'
_SELECT = 'SELECT index_of, content FROM modelarrayio_bids'


def find_entities(
    root: Path,
    names: Sequence[str],
    ignored: re.Pattern[str] | None = None,
    database_dir: Path | None = None,
) -> list[tuple[Path, Entities]]:
    """Paths and entities of images, sorted, from an index kept where there is one that holds.

    Parameters
    ----------
    root : pathlib.Path
        The dataset's folder, absolute.
    names : sequence of str
        Paths of the images from there, sorted.
    ignored : re.Pattern, optional
        What was left out of them: each selection has an index of its own.
    database_dir : pathlib.Path, optional
        The folder of indexes; without it nothing is kept.

    Raises
    ------
    OutputError
        If an index has to be written there and cannot be.
    """
    if database_dir is None:
        from modelarrayio_bids.derivatives.bids import index  # noqa: PLC0415

        return list(index.index_names(root, names))
    selection = _digest([str(root), '' if ignored is None else ignored.pattern])
    file = database_dir / f'{root.name}-{selection[:12]}' / DATABASE
    index_of = _index_of(root, names)
    rows = _kept(file, index_of)
    return parse_rows(_made(file, index_of, root, names) if rows is None else rows)


def _kept(file: Path, index_of: str) -> list[Row] | None:
    """What an index holds; None if there is none, or it is of something else, or damaged."""
    if not file.is_file():
        return None
    try:
        with closing(sqlite3.connect(f'{file.as_uri()}?immutable=1', uri=True)) as database:
            ((stored, content),) = database.execute(_SELECT).fetchall()
            if stored != index_of:
                logger.info('%s: the dataset or the software changed; indexed anew', file)
                return None
            rows = read_rows(database.execute)
    except (sqlite3.Error, ValueError) as error:
        logger.warning('%s is damaged (%s); indexed anew', file, error)
        return None
    if content_digest(rows) != content:
        logger.warning('%s is damaged (not what was written); indexed anew', file)
        return None
    return rows


def _made(file: Path, index_of: str, root: Path, names: Sequence[str]) -> list[Row]:
    """What a new index holds, once it is in its place."""
    # Loads pybids, which takes half a second that an index which holds does without.
    from modelarrayio_bids.derivatives.bids import index  # noqa: PLC0415

    remove_leftovers(file.parent)
    with replacing(file) as partial, Unfinished(file, folder=True) as folder:
        try:
            written = index.write_database(root, names, folder.path)
            with closing(sqlite3.connect(written)) as database, database:
                rows = read_rows(database.execute)
                database.execute(_CREATE)
                database.execute(_INSERT, (index_of, content_digest(rows)))
        except sqlite3.Error as error:
            raise OutputError(
                f'no index could be written ({error})',
                file.parent,
                'Choose another folder, or leave --bids-database-dir out.',
            ) from error
        written.replace(partial)
    return rows


def _index_of(root: Path, names: Iterable[str]) -> str:
    software = [__version__, metadata.version('pybids')]
    return _digest([json.dumps([software, bids_entities.configuration(), str(root)]), *names])


def content_digest(rows: Iterable[Row]) -> str:
    """What is kept beside an index to tell whether it is what was written."""
    return _digest(text for row in rows for text in row)


def _digest(texts: Iterable[str]) -> str:
    # No name holds a null character, so no two lists of names make the same text.
    text = '\0'.join(texts)
    return hashlib.blake2b(text.encode(errors='surrogateescape'), digest_size=20).hexdigest()
