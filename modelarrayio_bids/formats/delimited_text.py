"""Tables of text, read strictly: CSV and TSV as programs and spreadsheets write them.

Excel's habits are taken as meant: a byte order mark, UTF-16, ``;`` for the separator, ``sep=;`` in
the first line, blanks after separators. No row is lost silently: a quote that is not closed, or
that is closed by one of a later row, is an error with its line.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import NamedTuple

from modelarrayio_bids.errors import FormatError
from modelarrayio_bids.formats.pointers import opened
from modelarrayio_bids.runtime.locations import location

#: Texts that mean "no value" in every table: those of pandas.read_csv, hence of R and BIDS, but
#: for ``None``, which is a level people use (no medication); and a spreadsheet's errors.
MISSING = frozenset(
    {'', '#N/A', '#N/A N/A', '#NA', '<NA>', 'N/A', 'n/a', 'NA', 'NULL', 'null', 'NaN', 'nan'}
    | {'-NaN', '-nan', '1.#IND', '-1.#IND', '1.#QNAN', '-1.#QNAN'}
    | {'#NULL!', '#DIV/0!', '#VALUE!', '#REF!', '#NAME?', '#NUM!'}
)
TSV = '.tsv'

_SEPARATORS = '\t,;'
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_SEP_LINE = re.compile(r'"?sep=([^"\r\n])"?')
# One of them is in the header of every table that is read here.
_COLUMNS = frozenset({'participant_id', 'scalar_name', 'source_file', 'session_id'})


@dataclass(frozen=True)
class TextTable:
    """The cells of a table as they were written.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    encoding : str
        ``utf-8``, ``utf-8-sig`` (with a byte order mark) or ``utf-16``.
    separator : str
        Character between cells.
    header : tuple of str
        The first line that is not blank; empty in an empty table.
    rows : list of list of str
        The others; their numbers of cells may differ.
    blanks : bool, optional
        True if blanks after separators were dropped.
    """

    path: Path
    encoding: str
    separator: str
    header: tuple[str, ...]
    rows: list[list[str]]
    blanks: bool = False


class _Record(NamedTuple):
    """The cells of a row, the number of the line before it, and its lines if they are several."""

    cells: list[str]
    before: int
    lines: tuple[str, ...]


def read_table(path: str | PathLike[str], *, tidy: bool = True) -> TextTable:
    """Read a table in UTF-8 or UTF-16, separated by tabs, commas or semicolons.

    Parameters
    ----------
    path : path-like
        The file; ``.tsv`` stands for tabs.
    tidy : bool, optional
        Drop blanks after separators if the header has them.

    Raises
    ------
    SourceNotFoundError
        If there is no such file, or its content was not fetched.
    FormatError
        If it is not text, or its quotes do not match.
    """
    path = location(path)
    text, encoding = read_text(path)
    separator, n_skipped, text = _separator(text, path)
    header = _first_line(text)
    skip = tidy and header.count(separator) == header.count(f'{separator} ') > 0
    records = list(_records(text, separator, path, n_skipped, skip_blanks=skip))
    _require_whole(records, separator, path, blanks=skip)
    rows = [one.cells for one in records]
    return TextTable(path, encoding, separator, tuple(rows[0]) if rows else (), rows[1:], skip)


def read_text(path: Path) -> tuple[str, str]:
    """Read a text file and return its text and encoding; errors as :func:`read_table`."""
    with opened(path) as file:
        content = file.read()
    encoding = 'utf-16' if content.startswith(_UTF16) else 'utf-8-sig'
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise FormatError(
            f'is not text in UTF-8 ({error})', path, 'Save it as UTF-8 (in Excel: CSV UTF-8).'
        ) from error
    if '\0' in text:
        line = text.count('\n', 0, text.index('\0')) + 1
        remedy = 'Save it as CSV UTF-8.'
        raise FormatError(f'is not text: line {line} holds a NUL character', path, remedy)
    if encoding == 'utf-8-sig' and not content.startswith(codecs.BOM_UTF8):
        encoding = 'utf-8'
    return text, encoding


def _separator(text: str, path: Path) -> tuple[str, int, str]:
    """Return a table's separator, and the table without the line in which Excel names it."""
    first, _, rest = text.partition('\n')
    if found := _SEP_LINE.fullmatch(first.strip()):
        return found[1], 1, rest
    if path.suffix.lower() == TSV:
        return '\t', 0, text
    header = _first_line(text)
    # The one that makes a column known by name, or the most columns.
    columns = {mark: [name.strip(' \r"') for name in header.split(mark)] for mark in _SEPARATORS}
    best = max(
        columns, key=lambda mark: (not _COLUMNS.isdisjoint(columns[mark]), len(columns[mark]))
    )
    return best, 0, text


def _first_line(text: str) -> str:
    return next(filter(str.strip, io.StringIO(text, newline='')), '')


def _records(
    text: str, separator: str, path: Path, n_skipped: int, *, skip_blanks: bool
) -> Iterator[_Record]:
    """Yield the records of a table that are not blank."""
    fed: list[str] = []

    def lines() -> Iterator[str]:
        # Not str.splitlines(): a cell may hold other line separators, such as Excel's vertical tab.
        for line in io.StringIO(text, newline=''):
            fed.append(line)
            yield line

    # The module's limit of a cell's length is one for all of its users.
    csv.field_size_limit(max(len(text), csv.field_size_limit()))
    reader = csv.reader(lines(), delimiter=separator, skipinitialspace=skip_blanks, strict=True)
    while True:
        fed.clear()
        before = n_skipped + reader.line_num
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise _quote_error(fed, separator, before, path, str(error)) from error
        if cells is None:
            return
        if any(cell.strip() for cell in cells):
            yield _Record(cells, before, tuple(fed) if len(fed) > 1 else ())


def _require_whole(records: Sequence[_Record], separator: str, path: Path, *, blanks: bool) -> None:
    """Refuse records of several lines that look like rows of the table each."""
    spanning = [record for record in records if record.lines]
    is_row = _row_test(records, separator, blanks=blanks)
    begins_as_row = _beginning_test(records, separator)
    for record in spanning:
        first, *inner, last = record.lines
        looks_whole = any(map(is_row, inner)) or (is_row(first) and is_row(last))
        odd_header = record is records[0] and _is_odd_header(record, records, separator)
        if looks_whole or odd_header or any(map(begins_as_row, [*inner, last])):
            why = 'what it holds looks like rows'
            raise _quote_error(record.lines, separator, record.before, path, why)


def _row_test(records: Sequence[_Record], separator: str, *, blanks: bool) -> Callable[[str], bool]:
    """Return whether a line has as many cells as the header or as most other rows.

    And no blanks before them, as prose with commas has.
    """
    widths = Counter(len(record.cells) for record in records if not record.lines)
    usual = {width for width, _ in widths.most_common(1)}
    if records and not usual:
        usual = {records[0].lines[0].count(separator) + 1}
    elif records and not records[0].lines:
        usual.add(len(records[0].cells))

    def is_row(line: str) -> bool:
        _, *others = line.split(separator)
        return len(others) + 1 in usual and (blanks or not any(one[:1] == ' ' for one in others))

    return is_row


def _beginning_test(records: Sequence[_Record], separator: str) -> Callable[[str], bool]:
    """Return whether a line, however short, begins as rows do.

    With the same text, or with digits in the same places.
    """

    def beginning(line: str) -> str:
        return line.split(separator, maxsplit=1)[0].strip(' "\r\n')

    known = {
        beginning(record.lines[0]) if record.lines else record.cells[0].strip()
        for record in records
    } - {''}
    known |= set(map(_digits_masked, known))

    def begins_as_row(line: str) -> bool:
        found = beginning(line)
        masked = _digits_masked(found)
        return found in known or (masked != found and masked in known)

    return begins_as_row


def _is_odd_header(header: _Record, records: Sequence[_Record], separator: str) -> bool:
    """Return whether names of columns swallowed rows: a line break in one is common, and alone."""
    several = any(separator in cell and re.search(r'[\r\n]', cell) for cell in header.cells)
    return len(records) == 1 or several


def _digits_masked(text: str) -> str:
    return re.sub(r'\d', '\0', text)


def _quote_error(
    lines: Sequence[str], separator: str, before: int, path: Path, why: str
) -> FormatError:
    """Return the error of a record whose quotes do not match, with the line of the first odd."""
    text = ''.join(lines)
    cell = re.compile(
        rf'[ ]*+(?:"(?:[^"\r\n]|"")*+"|(?!")[^{re.escape(separator)}\r\n]*+)'
        rf'(?:{re.escape(separator)}|\r\n|\r|\n|\Z)'
    )
    position = 0
    while (found := cell.match(text, position)) and found.end() > position:
        position = found.end()
    line = before + 1 + len(re.findall(r'\r\n|\r|\n', text[:position]))
    return FormatError(
        f'the quote that opens a cell in line {line} has no match, and rows would be lost ({why})',
        path,
        'Close the quote, or remove it; a quote within a quoted cell is doubled.',
    )
