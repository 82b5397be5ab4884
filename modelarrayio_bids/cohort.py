"""The sources of an HDF5 file: images with their scalars and masks.

A cohort is a CSV (or TSV) of one row per image. ``scalar_name`` and ``source_file`` are needed,
``source_mask_file`` where the images are volumes; every other column is a phenotype, kept as it
was written. In a *wide* cohort each scalar has a column of paths of its own. Where a column
``source_volume`` says which volume of a 4-D file an image is, counted from 0 as FSL does, its name
is the file's with that number: ``all_FA.nii.gz,12``.

>>> from modelarrayio_bids.cohort import Cohort
>>> cohort = Cohort.from_rows(
...     [
...         {'scalar_name': 'FA', 'source_file': 'sub-01_FA.nii.gz', 'age': '10'},
...         {'scalar_name': 'FA', 'source_file': 'sub-02_FA.nii.gz', 'age': '20'},
...     ]
... )
>>> cohort.scalars
('FA',)
>>> [source.name for source in cohort.sources('FA')]
['sub-01_FA.nii.gz', 'sub-02_FA.nii.gz']
>>> cohort.phenotypes
('age',)
"""

from __future__ import annotations

import csv
import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from os import PathLike
from pathlib import Path

from modelarrayio_bids.errors import (
    CohortError,
    DuplicateSourceError,
    EmptyCohortError,
    raise_problems,
)
from modelarrayio_bids.formats.delimited_text import MISSING, TSV, TextTable, read_table
from modelarrayio_bids.runtime.atomic import replacing
from modelarrayio_bids.runtime.encoding import refusal
from modelarrayio_bids.runtime.locations import location, place_of

logger = logging.getLogger(__name__)

SCALAR = 'scalar_name'
SOURCE = 'source_file'
MASK = 'source_mask_file'
MASK_SOURCE = 'mask_source'
VOLUME = 'source_volume'
PATH_COLUMNS = (SOURCE, VOLUME, MASK, MASK_SOURCE)
#: Columns that say who a row is about, in the words of BIDS and of ModelArray's own examples.
SUBJECT_COLUMNS = ('participant_id', 'subject_id')

# In columns of paths, None is a missing value too.
_NO_PATH = MISSING | {'None'}
# Names that pandas gives to columns without a name, and to an index.
_UNNAMED = 'Unnamed: '


@dataclass(frozen=True)
class Source:
    """One image of one scalar.

    Parameters
    ----------
    scalar : str
        The scalar's name.
    name : str
        The path as the cohort wrote it: ModelArray matches sources by this text.
    path : pathlib.Path
        Path of the image, or its address.
    mask : pathlib.Path, optional
        The subject's own mask, where it has one.
    volume : int, optional
        Number of the volume in a 4-D file, from 0; by default the file is one image.
    """

    scalar: str
    name: str
    path: Path
    mask: Path | None = None
    volume: int | None = None


@dataclass(frozen=True)
class Cohort:
    """A validated table of sources.

    Parameters
    ----------
    columns : tuple of str
        Every column, in the order of the table.
    rows : tuple of dict
        One per source: column to text, as written.
    folder : pathlib.Path, optional
        Folder where relative paths are looked for, after the working folder.
    """

    columns: tuple[str, ...]
    rows: tuple[Mapping[str, str], ...]
    folder: Path | None = None

    @classmethod
    def from_rows(
        cls,
        rows: Iterable[Mapping[str, str]],
        folder: Path | None = None,
        origin: str | None = None,
    ) -> Cohort:
        """Take rows in the long format, leave out those without a source, and check the rest.

        Raises
        ------
        CohortError
            If a needed column is missing, nothing is left, or a row is there twice.
        """
        rows = [dict(row) for row in rows]
        columns = tuple(dict.fromkeys(column for row in rows for column in row))
        if rows:
            _require_columns(columns, origin)
        kept = tuple(_stripped(row) for row in rows if _has_source(row))
        if not kept:
            raise EmptyCohortError(
                'lists no source', origin, f'Give {SCALAR} and {SOURCE} for at least one image.'
            )
        cohort = cls(columns, kept, folder)
        raise_problems(list(_duplicates(cohort, origin)))
        return cohort

    @classmethod
    def from_csv(cls, path: str | PathLike[str], scalar_columns: Sequence[str] = ()) -> Cohort:
        """Read a cohort from a CSV file, or from a tab-separated one named ``.tsv``.

        Parameters
        ----------
        path : path-like
            The table, in UTF-8.
        scalar_columns : sequence of str, optional
            In a wide cohort: the columns of paths, each named like its scalar.

        Raises
        ------
        SourceNotFoundError
            If there is no such file.
        FormatError
            If it is not a table.
        CohortError
            If it is one, and cannot be used.
        """
        path = location(path)
        table, columns, rows = read_rows(path)
        if odd := what_r_wants(table):
            logger.warning('%s %s: save it as CSV UTF-8, with commas, for R', path, odd)
        if scalar_columns:
            rows = _lengthened(rows, columns, scalar_columns, path)
        else:
            _require_columns(columns, str(path))
        return cls.from_rows(rows, path.absolute().parent, str(path))

    def to_csv(self, path: str | PathLike[str]) -> None:
        """Write the table, every column and row as it is; it appears when it is whole.

        Raises
        ------
        OutputError
            If it cannot be written.
        UsageError
            If the name of a file is not UTF-8.
        """
        try:
            with (
                replacing(path) as partial,
                open(partial, 'w', newline='', encoding='utf-8') as file,
            ):
                writer = csv.DictWriter(file, self.columns, restval='', lineterminator='\n')
                writer.writeheader()
                writer.writerows(self.rows)
        except UnicodeEncodeError as error:
            raise refusal(error) from error

    @property
    def scalars(self) -> tuple[str, ...]:
        """The scalars' names, in the order of their first rows."""
        return tuple(dict.fromkeys(row[SCALAR] for row in self.rows))

    @property
    def phenotypes(self) -> tuple[str, ...]:
        """The columns that are neither paths nor the scalar's name."""
        return tuple(c for c in self.columns if c not in {SCALAR, *PATH_COLUMNS})

    @property
    def has_masks(self) -> bool:
        """Return whether the table has a column of masks."""
        return MASK in self.columns

    def sources(self, scalar: str | None = None) -> tuple[Source, ...]:
        """Return the sources of a scalar, or all of them, in the order of the table."""
        return tuple(s for s in self._sources if scalar is None or s.scalar == scalar)

    def only(self, scalar: str) -> Cohort:
        """Return the part of the cohort that is about one scalar."""
        rows = tuple(row for row in self.rows if row[SCALAR] == scalar)
        return Cohort(self.columns, rows, self.folder)

    @cached_property
    def _sources(self) -> tuple[Source, ...]:
        # Paths are looked for once: that took a tenth of a second for 400 images.
        return tuple(map(self._source, self.rows))

    def _source(self, row: Mapping[str, str]) -> Source:
        mask, volume = row.get(MASK, ''), row.get(VOLUME, '')
        return Source(
            row[SCALAR],
            row[SOURCE],
            self._resolved(row[SOURCE].removesuffix(f',{volume}')),
            None if mask in _NO_PATH else self._resolved(mask),
            int(volume) if volume else None,
        )

    def _resolved(self, text: str) -> Path:
        """Find a path from the working folder, as the predecessor did, or the table's own."""
        if '://' in text:
            return location(text)
        path = _expanded(text)
        if path.is_absolute() and '\\' not in text:
            return path
        # Windows writes backslashes; elsewhere they are signs of a name like others.
        names = (path, _expanded(text.replace('\\', '/')))
        places = [place for name in names for place in (name, (self.folder or Path()) / name)]
        return next(filter(os.path.lexists, places), path)


def _expanded(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:  # of nobody known here
        return Path(text)


def read_rows(
    path: Path, *, tidy: bool = True
) -> tuple[TextTable, tuple[str, ...], list[dict[str, str]]]:
    """Read a table: itself, the names of its columns, and its rows, every cell as it was written.

    Raises
    ------
    SourceNotFoundError, FormatError
        As :func:`modelarrayio_bids.formats.delimited_text.read_table`.
    CohortError
        If a row has more cells than the header.
    """
    table = read_table(path, tidy=tidy)
    columns = _column_names(table.header, path)
    for number, line in enumerate(table.rows, start=1):
        if len(line) > len(columns):
            raise CohortError(
                f'row {number} has {len(line)} cells, expected the {len(columns)} of the header',
                path,
                'Put values that hold the separator in quotes.',
            )
    rows = [dict(zip_longest(columns, line, fillvalue='')) for line in table.rows]
    if VOLUME in columns and SOURCE in columns:
        rows = [_with_volume(row, number, path) for number, row in enumerate(rows, start=1)]
    return table, columns, rows


def _with_volume(row: Mapping[str, str], number: int, path: Path) -> dict[str, str]:
    """Return a row whose source is named with its volume; as it is without one."""
    volume, source = row[VOLUME].strip(), row[SOURCE].strip()
    if volume in MISSING:
        return {**row, VOLUME: ''}
    if not re.fullmatch('[0-9]{1,9}', volume):
        raise CohortError(
            f'row {number} has the {VOLUME} {volume!r}, which is not a volume number',
            path,
            'Count from 0.',
        )
    volume = str(int(volume))
    return {**row, VOLUME: volume, SOURCE: f'{source.removesuffix(f",{volume}")},{volume}'}


def _column_names(header: Sequence[str], path: Path) -> tuple[str, ...]:
    """Return distinct names as pandas makes them: ``Unnamed: 3`` for a blank, ``x.1`` for an x."""
    names: dict[str, None] = {}
    for number, text in enumerate(header):
        name = text.strip() or f'{_UNNAMED}{number}'
        if name in names and name in {SCALAR, SOURCE, MASK}:
            raise CohortError(f'has several columns named {name}', path, 'Leave one of them.')
        candidates = (name, *(f'{name}.{again}' for again in range(1, len(header))))
        names[next(candidate for candidate in candidates if candidate not in names)] = None
    return tuple(names)


def _require_columns(columns: Sequence[str], origin: str | None) -> None:
    if not columns:
        raise CohortError('is empty', origin, 'Give a table with a header and a row per image.')
    missing = [column for column in (SCALAR, SOURCE) if column not in columns]
    if not missing:
        return
    remedy = 'Add it, or name the columns of a wide table with --scalar-columns.'
    spelt = {re.sub('[^a-z]+', '_', column.lower()): column for column in columns}
    if odd := {column: spelt[column] for column in missing if column in spelt}:
        renamed = ' and '.join(f'{other!r} to {column}' for column, other in odd.items())
        remedy = f'Rename the column {renamed}: names must be identical, letter by letter.'
    elif any(SOURCE in column for column in columns):
        remedy = (
            'Its columns could not be separated: save it with commas as .csv, or with tabs as .tsv.'
        )
    raise CohortError(f'has no column {" and no column ".join(missing)}', origin, remedy)


def what_r_wants(table: TextTable) -> str:
    """Return why R's ``read.csv`` does not read a table that this package reads; mostly blank."""
    found = ['is in UTF-16'] if table.encoding == 'utf-16' else []
    named = table.path.suffix.lower() == TSV
    if len(table.header) > 1 and not named and table.separator != ',':
        found.append(f'has {table.separator!r} between its columns')
    if table.blanks:
        found.append('has blanks after its separators')
    return ' and '.join(found)


def _has_source(row: Mapping[str, str]) -> bool:
    return _NO_PATH.isdisjoint({row[SCALAR].strip(), row[SOURCE].strip()})


def _stripped(row: Mapping[str, str]) -> dict[str, str]:
    """Strip paths and names of the blanks around them; leave phenotypes as they are."""
    tidy = {SCALAR, *PATH_COLUMNS}
    return {column: text.strip() if column in tidy else text for column, text in row.items()}


def _lengthened(
    rows: Sequence[Mapping[str, str]],
    columns: Sequence[str],
    scalar_columns: Sequence[str],
    path: Path,
) -> list[dict[str, str]]:
    """Make one row per scalar and image of a wide table, in the predecessor's order."""
    if missing := [column for column in scalar_columns if column not in columns]:
        raise CohortError(
            f'has no column {" and no column ".join(missing)}',
            path,
            f'It has: {", ".join(columns)}.',
        )
    if both := [column for column in (SCALAR, SOURCE) if column in columns]:
        raise CohortError(
            f'is wide, one column for each of {", ".join(scalar_columns)}, and also has a column '
            f'{" and a column ".join(both)}',
            path,
            'Leave out --scalar-columns, or those columns.',
        )
    others = [column for column in columns if column not in scalar_columns]
    return [
        {SCALAR: scalar, SOURCE: row[scalar], **{column: row[column] for column in others}}
        for row in rows
        for scalar in dict.fromkeys(scalar_columns)
    ]


def _duplicates(cohort: Cohort, origin: str | None) -> Iterator[CohortError]:
    """Yield files, and people whom no column tells apart, that stand twice in a scalar."""
    subject = next((column for column in SUBJECT_COLUMNS if column in cohort.columns), None)
    telling = [
        column
        for column in cohort.columns
        if column not in PATH_COLUMNS and not column.startswith(_UNNAMED)
    ]
    files: set[tuple[str, str, int | None]] = set()
    people: dict[tuple[str, ...], str] = {}
    for row, source in zip(cohort.rows, cohort.sources(), strict=True):
        file = (source.scalar, place_of(source.path), source.volume)
        if file in files:
            yield DuplicateSourceError(
                f'{source.name} is listed twice for {source.scalar}', origin, 'Remove one row.'
            )
        elif subject is not None and row[subject] not in MISSING:
            person = tuple(row[column] for column in telling)
            earlier = people.setdefault(person, source.name)
            if earlier != source.name:
                yield DuplicateSourceError(
                    f'{row[subject]} is listed twice for {source.scalar} ({earlier} and '
                    f'{source.name}), and no column distinguishes the rows',
                    origin,
                    'Remove one, or add a column such as session_id.',
                )
        files.add(file)
