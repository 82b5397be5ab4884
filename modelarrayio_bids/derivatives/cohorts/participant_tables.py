"""Tables of people: the TSV of BIDS, and CSV as Excel writes it.

A table has one row per participant, or per visit where it has a column ``session_id`` (and perhaps
``run_id``). Beside what every table may have (:mod:`modelarrayio_bids.formats.delimited_text`),
decimal commas between semicolons, blank columns at the right and rows without them are taken as
meant. What BIDS says of its columns is read from the JSON file beside it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from modelarrayio_bids.derivatives.bids.entities import Entities, bare_label
from modelarrayio_bids.derivatives.bids.folders import subject_folders
from modelarrayio_bids.derivatives.cohorts.columns import (
    KEYS,
    PARTICIPANT,
    RUN,
    SESSION,
    read_dictionary,
)
from modelarrayio_bids.errors import FormatError, UsageError
from modelarrayio_bids.formats.delimited_text import MISSING, TSV, read_table, read_text
from modelarrayio_bids.runtime.grouping import grouped
from modelarrayio_bids.runtime.locations import is_there
from modelarrayio_bids.runtime.text_format import some

logger = logging.getLogger(__name__)

_DECIMAL_COMMA = r'[+-]?[0-9]+(,[0-9]+)?'
# Common names of visit columns: phenotypes, unless they are needed as keys.
_ALMOST_KEYS = {'session': SESSION, 'ses': SESSION, 'visit': SESSION, 'run': RUN}


class Visit(NamedTuple):
    """The participant, session and run of a row: labels, blank where it does not say.

    >>> str(Visit('01', '2'))
    'sub-01 ses-2'
    """

    participant: str
    session: str = ''
    run: str = ''

    @classmethod
    def of(cls, entities: Entities) -> Visit:
        """Return the visit of an image."""
        return cls(entities['subject'], entities.get('session', ''), entities.get('run', ''))

    def __str__(self) -> str:
        """Return it as BIDS writes its entities."""
        named = zip(('sub', 'ses', 'run'), self, strict=True)
        return ' '.join(f'{key}-{label}' for key, label in named if label)


@dataclass(frozen=True)
class Table:
    """The phenotypes that a file has of participants or of their visits.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    keys : tuple of str
        Columns among :data:`KEYS` that the table has.
    visits : tuple of Visit
        Visit of each row.
    frame : pandas.DataFrame
        Its other columns: a row per visit, text, blank where ``n/a``.
    dictionary : dict, optional
        Descriptions of columns in its JSON file.
    """

    path: Path
    keys: tuple[str, ...]
    visits: tuple[Visit, ...]
    frame: pd.DataFrame
    dictionary: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def from_file(cls, path: Path) -> Table:
        """Read a table and the JSON file beside it.

        Raises
        ------
        SourceNotFoundError
            If there is no such file, or its content was not fetched.
        FormatError
            If it is not a table of participants, or has two rows for one participant or visit.
        """
        frame = read_frame(path)
        if PARTICIPANT not in frame:
            raise FormatError(
                f'has no column {PARTICIPANT} (it has: {", ".join(map(str, frame))})',
                path,
                f'Name the column of participants {PARTICIPANT}.'
                if PARTICIPANT not in frame.columns[0]
                else 'Its columns could not be separated: save it with tabs, or as .csv.',
            )
        return cls._of(frame, path, read_dictionary(path.with_suffix('.json')))

    @classmethod
    def of_sessions(cls, root: Path) -> Table | None:
        """Read all ``sub-<label>/sub-<label>_sessions.tsv`` of a dataset together, if it has any.

        Raises
        ------
        FormatError
            If one is not a table of sessions, or has two rows for one session.
        """
        frames = []
        dictionary = dict(read_dictionary(root / 'sessions.json'))
        # One look for each participant: to list what their folders hold takes far longer.
        paths = (folder / f'{folder.name}_sessions.tsv' for folder in subject_folders(root))
        for path in filter(is_there, paths):
            frame = read_frame(path).assign(**{PARTICIPANT: path.parent.name})
            if SESSION not in frame:
                raise FormatError(f'has no column {SESSION}', path, 'Name its first column so.')
            _require_single(_visits(frame, path), frame, path)
            dictionary |= read_dictionary(path.with_suffix('.json'))
            frames.append(frame)
        if not frames:
            return None
        joined = pd.concat(frames, ignore_index=True).fillna('')
        return cls._of(joined, root / 'sub-*' / 'sub-*_sessions.tsv', dictionary)

    @classmethod
    def _of(cls, frame: pd.DataFrame, path: Path, dictionary: Mapping[str, Any]) -> Table:
        keys = tuple(key for key in KEYS if key in frame)
        visits = _visits(frame, path)
        _require_single(visits, frame, path)
        _say_blank_keys(frame[[*keys]], visits, path)
        return cls(path, keys, tuple(visits), frame.drop(columns=[*keys]), dictionary)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of its phenotypes, in its order."""
        return tuple(map(str, self.frame))

    def find(self, visit: Visit) -> Visit | None:
        """Return whose row serves a visit: its own; one that says less; its participant's only one.

        The last where the image names no session and no other run, and so can be of no other visit.
        """
        asked = self.normal(visit)
        less = (asked, asked._replace(run=''), asked._replace(session=''), Visit(asked.participant))
        for candidate in less:
            if candidate in self._rows:
                return candidate
        of_participant = self._of_participants.get(asked.participant, [])
        if len(of_participant) > 1 or asked.session:
            return None
        runs = {'', asked.run}
        return next((one for one in of_participant if not asked.run or one.run in runs), None)

    def values(self, visits: pd.Index) -> pd.DataFrame:
        """Return the phenotypes of some visits: a row for each, blank if it does not list it."""
        rows = [self._rows.get(self.find(Visit(*visit)), -1) for visit in visits]
        return self.frame.reindex(rows, fill_value='').set_axis(visits)

    def normal(self, visit: Visit) -> Visit:
        """Return a visit as far as this table tells them apart; runs are numbers."""
        return Visit(
            visit.participant,
            visit.session if SESSION in self.keys else '',
            _run(visit.run) if RUN in self.keys else '',
        )

    @cached_property
    def _rows(self) -> dict[Visit | None, int]:
        return {visit: number for number, visit in enumerate(self.visits)}

    @cached_property
    def _of_participants(self) -> dict[str, list[Visit]]:
        return grouped((visit.participant, visit) for visit in self.visits)


def read_frame(path: Path) -> pd.DataFrame:
    """Read a table: every cell text without blanks around it, blank where there is no value.

    Raises
    ------
    SourceNotFoundError, FormatError
        As :func:`modelarrayio_bids.formats.delimited_text.read_table`, or if its columns have no
        names, or equal ones, or its rows other numbers of cells.
    """
    table = read_table(path)
    header = [_cell(name) for name in table.header]
    while header and not header[-1]:
        header.pop()
    if not header:
        raise FormatError('is empty', path, 'Give it a header and one row per participant.')
    if '' in header or len(set(header)) < len(header):
        what = 'a column without a name' if '' in header else 'several columns of one name'
        raise FormatError(f'has {what}', path, 'Fix the table.')
    cells = [[_cell(text) for text in row] for row in table.rows]
    rows = [_fitted(row, len(header), strict=path.suffix == TSV) for row in cells if any(row)]
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            what = f'row {number} has {len(row)} cells, expected {len(header)}'
            raise FormatError(what, path, 'Fix the table.')
    frame = pd.DataFrame(rows, columns=header, dtype=object)
    return frame.apply(_decimal_points) if table.separator == ';' else frame


def read_labels(path: Path, column: str) -> list[str]:
    """Read labels: the words of a text file, where ``#`` begins a comment; a column of a table.

    Raises
    ------
    SourceNotFoundError, FormatError
        As :func:`modelarrayio_bids.formats.delimited_text.read_table`.
    UsageError
        If there is none.
    """
    lines = read_text(path)[0].splitlines()
    if lines and column in lines[0]:
        table = read_table(path)
        names = [name.strip() for name in table.header]
        if column in names:
            cells = (row[names.index(column) :] for row in table.rows)
            return list(filter(None, (cell.strip() for row in cells for cell in row[:1])))
    # Words may stand in quotes, as R writes them; none of them goes on in another line.
    words = (re.split(r'[\s,;]+', line.partition('#')[0].replace('"', ' ')) for line in lines)
    if labels := [label for several in words for label in several if label]:
        return labels
    raise UsageError('contains no label', path, 'Write one label per line.')


def _fitted(row: list[str], width: int, *, strict: bool) -> list[str]:
    """Return a row without blanks beyond the header, filled up where Excel may have cut it."""
    while len(row) > width and not row[-1]:
        row = row[:-1]
    return row if strict else row + [''] * (width - len(row))


def _decimal_points(column: pd.Series) -> pd.Series:
    """Return a column of nothing but numbers with decimal commas with points, others unchanged."""
    are_numbers = column[column != ''].str.fullmatch(_DECIMAL_COMMA).all()
    return column.str.replace(',', '.', regex=False) if are_numbers else column


def _cell(text: str) -> str:
    text = text.strip()
    return '' if text in MISSING else text


def _visits(frame: pd.DataFrame, path: Path) -> list[Visit]:
    keys = frame.reindex(columns=[*KEYS], fill_value='')
    visits = [
        Visit(bare_label(participant), bare_label(session), _run(run))
        for participant, session, run in keys.itertuples(index=False)
    ]
    for number, visit in enumerate(visits, start=1):
        if not visit.participant:
            what = f'row {number} has no {PARTICIPANT}'
            raise FormatError(what, path, 'Name its participant, or remove the row.')
    return visits


def _run(text: str) -> str:
    label = text.removeprefix('run-')
    return label.lstrip('0') or label


def _require_single(visits: list[Visit], frame: pd.DataFrame, path: Path) -> None:
    repeated = pd.Index(visits, tupleize_cols=False).duplicated()
    if not repeated.any():
        return
    remedy = 'Keep one row for each.'
    if almost := {name: key for name, key in _ALMOST_KEYS.items() if name in frame}:
        name, key = next(iter(almost.items()))
        remedy = (
            f'If the column {name} distinguishes them, call it {key}; else keep one row for each.'
        )
    elif SESSION not in frame:
        remedy = f'Keep one row for each; of visits, distinguish them in a column {SESSION}.'
    raise FormatError(f'names {visits[repeated.argmax()]} twice', path, remedy)


def _say_blank_keys(keys: pd.DataFrame, visits: list[Visit], path: Path) -> None:
    """Warn of rows without a session or run in a table whose other rows have one."""
    for key in keys.columns[1:]:
        blank = keys[key] == ''
        if blank.any() and not blank.all():
            people = dict.fromkeys(
                visit.participant for visit in pd.Series(visits)[blank.to_numpy()]
            )
            logger.warning(
                '%s: %d of %d rows have no %s, and serve every image of their participant that '
                'has no row of its own: %s',
                *(path, blank.sum(), len(blank), key, some(f'sub-{label}' for label in people)),
            )
