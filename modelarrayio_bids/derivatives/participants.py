"""Phenotypes: what ``participants.tsv`` says of the participants."""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelarrayio_bids.cohort import MASK, MASK_RUNG, MISSING, SCALAR, SOURCE
from modelarrayio_bids.derivatives.entities import bare_label
from modelarrayio_bids.errors import FormatError

logger = logging.getLogger(__name__)

FILE = 'participants.tsv'
PARTICIPANT = 'participant_id'
SESSION = 'session_id'
RUN = 'run_id'
#: The columns of our own in a cohort, in their order.
OWN_COLUMNS = (SCALAR, SOURCE, MASK, MASK_RUNG, PARTICIPANT, SESSION, RUN)


@dataclass(frozen=True)
class Participants:
    """A table of phenotypes.

    Parameters
    ----------
    columns : tuple of str
        The phenotypes, in the order of the file.
    rows : dict
        Participant's label, without ``sub-``, to its phenotypes; blank where ``n/a``.
    path : pathlib.Path, optional
        The file.
    """

    columns: tuple[str, ...] = ()
    rows: Mapping[str, Mapping[str, str]] | None = None
    path: Path | None = None

    @classmethod
    def from_folders(cls, folders: Iterable[Path]) -> Participants:
        """The first ``participants.tsv`` in these folders; an empty table if there is none.

        Raises
        ------
        FormatError
            If it is no table of participants, or names one twice.
        """
        paths = [folder / FILE for folder in folders]
        path = next((path for path in paths if path.is_file()), None)
        if path is None:
            logger.warning('no %s found: the cohorts hold no phenotypes', FILE)
            return cls()
        return cls.from_tsv(path)

    @classmethod
    def from_tsv(cls, path: Path) -> Participants:
        """Read a table; its ``participant_id`` may stand with or without ``sub-``.

        Raises
        ------
        FormatError
            If it is no table of participants, or names one twice.
        """
        header, lines = _read(path)
        if PARTICIPANT not in header:
            raise FormatError(f'has no column {PARTICIPANT}', path, 'Name its first column so.')
        rows: dict[str, dict[str, str]] = {}
        for line in lines:
            cells = dict(zip(header, (_cell(text) for text in line), strict=True))
            label = bare_label(cells.pop(PARTICIPANT))
            if label in rows:
                raise FormatError(f'names sub-{label} twice', path, 'Keep one row for each.')
            rows[label] = cells
        columns = tuple(column for column in header if column != PARTICIPANT)
        return cls(columns, rows, path)

    def renamed(self, scalar: str) -> dict[str, str]:
        """Column to its name in the cohort of a scalar, where ``<column>_phenotype`` is needed.

        ModelArray's formulas cannot tell a phenotype from a scalar of the same name.
        """
        taken = {scalar, *OWN_COLUMNS}
        names: dict[str, str] = {}
        for column in self.columns:
            name = column
            while name in taken or (name != column and name in self.columns):
                name = f'{name}_phenotype'
            names[column] = name
            if name != column:
                logger.warning(
                    'the phenotype %r of %s is called %r in the cohort of %s, where %r is taken',
                    *(column, self.path, name, scalar, column),
                )
        return names

    def of(self, label: str, names: Mapping[str, str]) -> dict[str, str]:
        """The phenotypes of one participant under these names: blank if it is not listed."""
        cells = (self.rows or {}).get(label, {})
        return {names[column]: cells.get(column, '') for column in self.columns}

    def unlisted(self, labels: Iterable[str]) -> list[str]:
        """Which of these participants the table does not list, sorted."""
        return sorted(set(labels) - set(self.rows or {}))

    def blanks(self, labels: Iterable[str]) -> dict[str, int]:
        """How many of these participants lack each phenotype, where any does."""
        labels = set(labels)
        counts = {
            column: sum(self._lacks(label, column) for label in labels) for column in self.columns
        }
        return {column: count for column, count in counts.items() if count}

    def _lacks(self, label: str, column: str) -> bool:
        return (self.rows or {}).get(label, {}).get(column, '') in MISSING


def _read(path: Path) -> tuple[list[str], list[list[str]]]:
    try:
        with path.open(newline='', encoding='utf-8-sig') as file:
            lines = list(csv.reader(file, delimiter='\t'))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FormatError(f'is not a table in UTF-8 ({error})', path, 'Save it as TSV.') from error
    if not lines:
        raise FormatError('is empty', path, 'Give it a header and one row per participant.')
    header = [name.strip() for name in lines[0]]
    rows = [line for line in lines[1:] if any(cell.strip() for cell in line)]
    for problem in _problems(header, rows):
        raise FormatError(problem, path, 'Mend the table.')
    return header, rows


def _problems(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if '' in header:
        yield 'has a column without a name'
    if len(set(header)) < len(header):
        yield 'has several columns of one name'
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            yield f'row {number} has {len(row)} cells, expected {len(header)}'


def _cell(text: str) -> str:
    text = text.strip()
    return '' if text.lower() == 'n/a' else text
