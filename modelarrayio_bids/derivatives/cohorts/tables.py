"""Tables of people as people keep them: the TSV of BIDS, and CSV as Excel writes it.

A table has one row per participant, or per visit where it has a column ``session_id`` (and perhaps
``run_id``). Excel's habits are taken as meant: a byte order mark, UTF-16, ``;`` for the separator
with decimal commas, ``sep=;`` in the first line, blank columns at the right and rows without them,
``#N/A`` and other errors for no value. What BIDS says of its columns is read from the JSON file
beside it.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from modelarrayio_bids.derivatives.bids.entities import Entities, bare_label
from modelarrayio_bids.errors import FormatError, SourceNotFoundError

PARTICIPANT = 'participant_id'
SESSION = 'session_id'
RUN = 'run_id'
KEYS = (PARTICIPANT, SESSION, RUN)

_TSV = '.tsv'
_SEPARATORS = '\t,;'
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# As BIDS, R, and spreadsheets write what is not there; "None" is a value people use.
_BLANKS = frozenset(
    {'n/a', 'N/A', 'NA', 'NaN', 'nan'}
    | {'#NULL!', '#DIV/0!', '#VALUE!', '#REF!', '#NAME?', '#NUM!', '#N/A'}
)
_DECIMAL_COMMA = re.compile(r'[+-]?[0-9]+(,[0-9]+)?')


class Visit(NamedTuple):
    """Whom, and which visit of theirs, a row is about: labels, blank where it does not say.

    >>> str(Visit('01', '2'))
    'sub-01 ses-2'
    """

    participant: str
    session: str = ''
    run: str = ''

    @classmethod
    def of(cls, entities: Entities) -> Visit:
        """The visit an image is of."""
        return cls(entities['subject'], entities.get('session', ''), entities.get('run', ''))

    def __str__(self) -> str:
        """As BIDS writes its entities."""
        named = zip(('sub', 'ses', 'run'), self, strict=True)
        return ' '.join(f'{key}-{label}' for key, label in named if label)


@dataclass(frozen=True)
class Table:
    """What a file says of participants or of their visits.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    keys : tuple of str
        Those of :data:`KEYS` it has columns of.
    columns : tuple of str
        Its other columns, in its order.
    rows : dict
        Visit to column to text; blank where ``n/a``.
    dictionary : dict, optional
        What its JSON file says of columns.
    """

    path: Path
    keys: tuple[str, ...]
    columns: tuple[str, ...]
    rows: Mapping[Visit, Mapping[str, str]]
    dictionary: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def from_file(cls, path: Path) -> Table:
        """Read a table and the JSON file beside it.

        Raises
        ------
        SourceNotFoundError
            If there is no such file.
        FormatError
            If it is no table of participants, or has two rows for one of them or of their visits.
        """
        header, lines = read_lines(path)
        if PARTICIPANT not in header:
            raise FormatError(
                f'has no column {PARTICIPANT} (it has: {", ".join(header)})',
                path,
                f'Call the column of participants {PARTICIPANT}.'
                if PARTICIPANT not in header[0]
                else 'Its columns are not told apart: save it with tabs, or with commas as .csv.',
            )
        keys = tuple(key for key in KEYS if key in header)
        rows: dict[Visit, dict[str, str]] = {}
        for number, line in enumerate(lines, start=1):
            cells = dict(zip(header, line, strict=True))
            visit = _visit(cells, number, path)
            if visit in rows:
                raise _twice(visit, keys, path)
            rows[visit] = cells
        columns = tuple(column for column in header if column not in keys)
        return cls(path, keys, columns, rows, read_dictionary(path.with_suffix('.json')))

    @classmethod
    def of_sessions(cls, root: Path) -> Table | None:
        """All ``sub-<label>/sub-<label>_sessions.tsv`` of a dataset together, if it has any.

        Raises
        ------
        FormatError
            If one is no table of sessions, or has two rows for one.
        """
        rows: dict[Visit, dict[str, str]] = {}
        dictionary = dict(read_dictionary(root / 'sessions.json'))
        # One look for each participant: to list what their folders hold takes far longer.
        paths = (folder / f'{folder.name}_sessions.tsv' for folder in sorted(root.glob('sub-*')))
        for path in filter(Path.is_file, paths):
            header, lines = read_lines(path)
            if SESSION not in header:
                raise FormatError(f'has no column {SESSION}', path, 'Name its first column so.')
            dictionary |= read_dictionary(path.with_suffix('.json'))
            label = path.parent.name
            for number, line in enumerate(lines, start=1):
                cells = {**dict(zip(header, line, strict=True)), PARTICIPANT: label}
                visit = _visit(cells, number, path)
                if visit in rows:
                    raise _twice(visit, (PARTICIPANT, SESSION), path)
                rows[visit] = cells
        columns = tuple(dict.fromkeys(column for cells in rows.values() for column in cells))
        path = root / 'sub-*' / 'sub-*_sessions.tsv'
        return cls(path, (PARTICIPANT, SESSION), columns, rows, dictionary) if rows else None

    def find(self, visit: Visit) -> Visit | None:
        """Whose row serves a visit: its own; one that says less; the only one of its participant.

        The last where the image names no session and no other run, and so can be of no other visit.
        """
        asked = self.normal(visit)
        less = (asked, asked._replace(run=''), asked._replace(session=''), Visit(asked.participant))
        for candidate in less:
            if candidate in self.rows:
                return candidate
        of_participant = self._visits.get(asked.participant, [])
        if len(of_participant) > 1 or asked.session:
            return None
        runs = {'', asked.run}
        return next((one for one in of_participant if not asked.run or one.run in runs), None)

    def get(self, visit: Visit) -> Mapping[str, str]:
        """What it says of a visit: nothing if it does not list it."""
        found = self.find(visit)
        return {} if found is None else self.rows[found]

    def normal(self, visit: Visit) -> Visit:
        """A visit as far as this table tells them apart; runs are numbers."""
        return Visit(
            visit.participant,
            visit.session if SESSION in self.keys else '',
            _run(visit.run) if RUN in self.keys else '',
        )

    @cached_property
    def _visits(self) -> dict[str, list[Visit]]:
        visits: dict[str, list[Visit]] = {}
        for visit in self.rows:
            visits.setdefault(visit.participant, []).append(visit)
        return visits


def read_lines(path: Path) -> tuple[list[str], list[list[str]]]:
    """The header of a table and its other lines, as many cells in each, missing ones blank.

    Raises
    ------
    SourceNotFoundError
        If there is no such file.
    FormatError
        If it is no table.
    """
    text = _text(path)
    separator, text = _separator(text, path)
    try:
        # Not str.splitlines(): a cell may hold what ends a line elsewhere, as Excel's vertical tab.
        lines = list(csv.reader(io.StringIO(text, newline=''), delimiter=separator))
    except csv.Error as error:
        raise FormatError(f'is no table ({error})', path, 'Save it as TSV or CSV.') from error
    lines = [[_cell(text) for text in line] for line in lines]
    lines = [line for line in lines if any(line)]
    if not lines:
        raise FormatError('is empty', path, 'Give it a header and one row per participant.')
    header, *rows = lines
    width = max((number for number, name in enumerate(header, start=1) if name), default=0)
    rows = [_fitted(row, width, strict=path.suffix == _TSV) for row in rows]
    for problem in _problems(header[:width], rows):
        raise FormatError(problem, path, 'Mend the table.')
    return header[:width], _decimal_points(rows) if separator == ';' else rows


def read_dictionary(path: Path) -> dict[str, dict[str, Any]]:
    """What a JSON file says of the columns of the table it is called like; nothing without one.

    Raises
    ------
    FormatError
        If it is not JSON, or no object.
    """
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text('utf-8-sig'))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise FormatError(f'is not JSON ({error})', path, 'Mend the file.') from error
    if not isinstance(content, dict):
        raise FormatError('should be an object', path, 'Map the names of columns to objects.')
    return {column: said for column, said in content.items() if isinstance(said, dict)}


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise SourceNotFoundError('no such file', path, 'Check the path of the table.') from error
    except OSError as error:
        raise FormatError(f'cannot be read ({error})', path, 'Check the file.') from error
    try:
        return content.decode('utf-16' if content.startswith(_UTF16) else 'utf-8-sig')
    except UnicodeDecodeError as error:
        raise FormatError(
            f'is not a table in UTF-8 ({error})', path, 'Save it as TSV, or as CSV UTF-8.'
        ) from error


def _separator(text: str, path: Path) -> tuple[str, str]:
    """The separator of a table, and the table without the line in which Excel names it."""
    first, _, rest = text.partition('\n')
    if found := re.fullmatch(r'"?sep=(.)"?', first.strip()):
        return found[1], rest
    if path.suffix == _TSV:
        return '\t', text
    # The one that makes a column of participants, or the most columns.
    columns = {separator: next(csv.reader([first], delimiter=separator), []) for separator
               in _SEPARATORS}  # fmt: skip
    best = max(columns, key=lambda s: (PARTICIPANT in map(str.strip, columns[s]), len(columns[s])))
    return best, text


def _fitted(row: list[str], width: int, *, strict: bool) -> list[str]:
    """A row without blanks beyond the header, and filled up where Excel may have cut it."""
    while len(row) > width and not row[-1]:
        row = row[:-1]
    return row if strict else row + [''] * (width - len(row))


def _problems(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if '' in header:
        yield 'has a column without a name'
    if len(set(header)) < len(header):
        yield 'has several columns of one name'
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            yield f'row {number} has {len(row)} cells, expected {len(header)}'


def _decimal_points(rows: list[list[str]]) -> list[list[str]]:
    """Columns of nothing but numbers with decimal commas, with points."""
    columns = [_points(column) for column in zip(*rows, strict=True)]
    return [list(row) for row in zip(*columns, strict=True)]


def _points(column: Sequence[str]) -> Iterable[str]:
    if all(_DECIMAL_COMMA.fullmatch(cell) for cell in column if cell):
        return [cell.replace(',', '.') for cell in column]
    return column


def _cell(text: str) -> str:
    text = text.strip()
    return '' if text in _BLANKS else text


def _visit(cells: dict[str, str], number: int, path: Path) -> Visit:
    """Take the keys out of a row."""
    participant, session, run = (cells.pop(key, '') for key in KEYS)
    if not participant:
        raise FormatError(
            f'row {number} has no {PARTICIPANT}', path, 'Name its participant, or remove the row.'
        )
    return Visit(bare_label(participant), bare_label(session), _run(run))


def _run(text: str) -> str:
    label = text.removeprefix('run-')
    return label.lstrip('0') or label


def _twice(visit: Visit, keys: Sequence[str], path: Path) -> FormatError:
    remedy = 'Keep one row for each.'
    if SESSION not in keys:
        remedy = f'Keep one row for each; of visits, tell them apart in a column {SESSION}.'
    return FormatError(f'names {visit} twice', path, remedy)
