"""Phenotypes: tables of participants and of visits, joined.

``participants.tsv`` and the ``sessions.tsv`` of each participant are found, other tables are given.
A visit's own row says more than its participant's: where both have a column, the visit's value is
taken. Two tables of one grain must not contradict each other.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd

from modelarrayio_bids.derivatives.cohorts.columns import OWN_COLUMNS, PARTICIPANT
from modelarrayio_bids.derivatives.cohorts.participant_tables import Table, Visit
from modelarrayio_bids.derivatives.cohorts.phenotype_checks import Remark, remarks
from modelarrayio_bids.errors import FormatError, ModelArrayIOError, UsageError, raise_problems
from modelarrayio_bids.models.r_numbers import r_number
from modelarrayio_bids.runtime.locations import is_there
from modelarrayio_bids.runtime.text_format import some

logger = logging.getLogger(__name__)

FILE = 'participants.tsv'


@dataclass(frozen=True)
class Unmatched:
    """Participants without images, or without phenotypes.

    Parameters
    ----------
    table : pathlib.Path
        The file.
    without_phenotypes : tuple of str
        Participants with images only, as ``sub-01 ses-2``.
    without_images : tuple of str
        Participants in the table only.
    """

    table: Path
    without_phenotypes: tuple[str, ...]
    without_images: tuple[str, ...]


@dataclass(frozen=True)
class Phenotypes:
    """Tables, joined by participant and, where they have it, session and run.

    Parameters
    ----------
    tables : tuple of Table
        The coarsest first.
    """

    tables: tuple[Table, ...] = ()

    @classmethod
    def find(cls, folders: Sequence[Path], given: Iterable[Path] = ()) -> Phenotypes:
        """Read the tables of the first of these folders that has any, and the files given.

        Raises
        ------
        SourceNotFoundError
            If a file given is not there.
        FormatError
            If one is not a table of participants, or two contradict each other.
        """
        # A link whose content was not fetched is there, and an error.
        found = filter(is_there, (folder / FILE for folder in folders))
        participants = next(found, None)
        sessions = next(filter(None, map(Table.of_sessions, folders)), None)
        paths = [*([participants] if participants else []), *dict.fromkeys(given)]
        if not paths and sessions is None:
            logger.warning(
                'no %s found: the cohorts hold no phenotypes. Give a table with --phenotypes', FILE
            )
        tables = [Table.from_file(path) for path in paths]
        return cls.of(tables if sessions is None else [sessions, *tables])

    @classmethod
    def of(cls, tables: Iterable[Table]) -> Phenotypes:
        """Join tables.

        Raises
        ------
        FormatError
            If two of one grain contradict each other; several such together.
        """
        joined = cls(tuple(sorted(tables, key=lambda table: len(table.keys))))
        problems: list[ModelArrayIOError] = []
        for coarse, fine in combinations(joined.tables, 2):
            if coarse.keys == fine.keys:
                problems += _contradictions(coarse, fine)
            else:
                _say_finer(coarse, fine)
        raise_problems(problems)
        return joined

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The phenotypes, each once, in the order of the tables."""
        return tuple(dict.fromkeys(column for table in self.tables for column in table.columns))

    def values(self, visits: Iterable[Visit]) -> pd.DataFrame:
        """Return every phenotype of some visits.

        Parameters
        ----------
        visits : iterable of Visit
            Visits of the images.

        Returns
        -------
        pandas.DataFrame
            A row per visit, in their order, a column per phenotype: text, blank where no table
            has it.
        """
        index = pd.Index(list(visits), tupleize_cols=False)
        key = tuple(index)
        if key not in self._joined:
            joined = pd.DataFrame('', index, list(self.columns), dtype=object)
            for table in self.tables:
                values = table.values(index)
                joined[values.columns] = values.where(values != '', joined[values.columns])
            self._joined[key] = joined
        return self._joined[key]

    @cached_property
    def _joined(self) -> dict[tuple[Visit, ...], pd.DataFrame]:
        # Tables of thousands of columns are joined once for all scalars of the same visits.
        return {}

    def tell_apart(self, visits: Sequence[Visit]) -> bool:
        """Return whether the tables have a row of its own for each of these visits."""
        found = {tuple(table.find(visit) for table in self.tables) for visit in visits}
        return len(found) == len(set(visits))

    def lacking(self, visits: Iterable[Visit], columns: Sequence[str]) -> dict[Visit, list[str]]:
        """Return which of these columns have no value, for visits that lack any."""
        blank = self.values(dict.fromkeys(visits))[[*columns]] == ''
        return {
            visit: [column for column in columns if row[column]]
            for visit, row in zip(blank.index, blank.to_dict('records'), strict=True)
            if any(row.values())
        }

    def require(self, columns: Iterable[str]) -> None:
        """Refuse columns that no table has.

        Raises
        ------
        UsageError
            With those there are.
        """
        if unknown := [column for column in columns if column not in self.columns]:
            raise UsageError(
                f'no table of phenotypes has a column {" or ".join(unknown)}',
                remedy=f'There are: {", ".join(self.columns) or "none"}.',
            )

    def require_served(self, paths: Collection[Path], visits: Collection[Visit]) -> None:
        """Refuse those of these files that know none of the visits.

        Raises
        ------
        FormatError
            With some labels of both sides.
        """
        for table in self.tables:
            if table.path in paths and not any(map(table.find, visits)):
                raise FormatError(
                    f'contains none of the participants with images: it has {some(table.visits)}; '
                    f'there are images of {some(sorted(visits))}',
                    table.path,
                    f'Write {PARTICIPANT} as in the names of the images; spreadsheets drop '
                    'leading zeros.',
                )

    def unmatched(
        self, visits: Iterable[Visit], wanted: Callable[[Visit], bool]
    ) -> list[Unmatched]:
        """Return participants without images or phenotypes, for each table with any.

        Parameters
        ----------
        visits : iterable of Visit
            Visits of the images in a cohort.
        wanted : callable
            Returns True if a visit was selected; others are not expected to have images.
        """
        visits = set(visits)
        found = [_unmatched(table, visits, wanted) for table in self.tables]
        return [one for one in found if one.without_phenotypes or one.without_images]

    def blanks(self, visits: Iterable[Visit]) -> dict[str, int]:
        """Return how many of these visits lack each phenotype, where any does."""
        counts = (self.values(visits) == '').sum()
        return {str(column): int(count) for column, count in counts[counts > 0].items()}

    def description(self, column: str) -> dict[str, Any]:
        """Return the description of a column by the data dictionaries, and its table."""
        holders = [table for table in self.tables if column in table.columns]
        said: dict[str, Any] = {}
        for table in holders:
            said |= table.dictionary.get(column, {})
        names = ', '.join(dict.fromkeys(table.path.name for table in holders))
        return {'Description': f'A phenotype, from {names}; blank where n/a.', **said}

    def remarks(self, visits: Iterable[Visit]) -> list[Remark]:
        """Return what looks like a slip in the values of these visits."""
        described = {column: self.description(column) for column in self.columns}
        return remarks(self.values(visits), described)

    def renamed(self, scalar: str) -> dict[str, str]:
        """Return the name of each column in the cohort of a scalar: some need ``_phenotype``.

        ModelArray's formulas cannot tell a phenotype from a scalar of the same name.
        """
        taken = {scalar, *OWN_COLUMNS}
        names: dict[str, str] = {}
        for column in self.columns:
            name = column
            while name in taken or (name != column and name in self.columns):
                name = f'{name}_phenotype'
            names[column] = name
        return names


def _unmatched(table: Table, visits: Iterable[Visit], wanted: Callable[[Visit], bool]) -> Unmatched:
    served = {visit: table.find(visit) for visit in visits}
    unserved = {table.normal(visit) for visit, row in served.items() if row is None}
    rows = set(table.visits) - set(served.values())
    return Unmatched(table.path, _sorted(unserved), _sorted(filter(wanted, rows)))


def _sorted(visits: Iterable[Visit]) -> tuple[str, ...]:
    return tuple(map(str, sorted(visits)))


def _contradictions(one: Table, other: Table) -> Iterator[FormatError]:
    for column, differing in _differing(one, other).items():
        visit, values = differing.index[0], differing.iloc[0]
        yield FormatError(
            f'has {column} {values["coarse"]} for {visit}, where {other.path} has {values["fine"]}'
            + (f', and {len(differing) - 1} more such' if len(differing) > 1 else ''),
            one.path,
            'Rename or remove the column in one of them.',
        )


def _say_finer(coarse: Table, fine: Table) -> None:
    for column, differing in _differing(coarse, fine).items():
        logger.warning(
            '%s: %d rows of %s differ from %s (first: %s); the visit\'s own value is taken',
            *(column, len(differing), fine.path, coarse.path, differing.index[0]),
        )  # fmt: skip


def _differing(coarse: Table, fine: Table) -> dict[str, pd.DataFrame]:
    """Return, by column that both have, the values in which they contradict each other."""
    visits = pd.Index(list(fine.visits), tupleize_cols=False)
    values = coarse.values(visits)
    found = {}
    for column in (column for column in fine.columns if column in coarse.columns):
        both = pd.DataFrame({'coarse': values[column], 'fine': fine.frame[column].set_axis(visits)})
        odd = both[[_differ(*pair) for pair in both.itertuples(index=False)]]
        if len(odd):
            found[column] = odd
    return found


def _differ(one: str, other: str) -> bool:
    """Return whether two values contradict each other: 9 and 9.0 do not, nor does a blank."""
    if not one or not other or one == other:
        return False
    numbers = [r_number(text) for text in (one, other)]
    return None in numbers or numbers[0] != numbers[1]
