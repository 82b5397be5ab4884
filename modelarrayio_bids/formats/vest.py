"""FSL's VEST files: matrices that Glm and ``Text2Vest`` write.

Their names end with ``.mat``, ``.con``, ``.fts`` or ``.grp``. Lines of ``/Key value`` come first;
after ``/Matrix`` each line is a row of numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from modelarrayio_bids.errors import FormatError
from modelarrayio_bids.formats.pointers import opened
from modelarrayio_bids.runtime.text_format import count

_REMEDY = "Write it with FSL's Glm or Text2Vest."
# Numbers of rows: of images, and of contrasts or F tests.
_ROWS = ('NumPoints', 'NumContrasts')


@dataclass(frozen=True, eq=False)
class VestMatrix:
    """A matrix with its header.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    matrix : numpy.ndarray
        (n_rows, n_columns) float64, finite.
    header : dict of str
        Values by key, without the slash: ``{'NumWaves': '2'}``.
    """

    path: Path
    matrix: np.ndarray
    header: Mapping[str, str]

    def names(self, key: str, otherwise: str, number: int) -> list[str]:
        """Return names that the header numbers from 1, such as ``/ContrastName1 group``.

        Parameters
        ----------
        key : str
            ``ContrastName``, say.
        otherwise : str
            Prefix of the name for items without one, followed by the number.
        number : int
            Number of items.

        Raises
        ------
        FormatError
            If two are the same.
        """
        numbers = range(1, number + 1)
        names = [
            self.header.get(f'{key}{n}', '').strip(' "\t') or f'{otherwise}{n}' for n in numbers
        ]
        if twice := {name for name in names if names.count(name) > 1}:
            raise FormatError(f'calls two {min(twice)!r}', self.path, f'Change a /{key}.')
        return names


def read_vest(path: str | PathLike[str]) -> VestMatrix:
    """Read a VEST file.

    Raises
    ------
    SourceNotFoundError
        If it cannot be read.
    FormatError
        If it is not a VEST file, a cell is not a finite number, or rows and columns are not as
        many as the header says.
    """
    path = Path(path)
    with opened(path) as file:
        content = file.read()
    try:
        lines = content.decode('utf-8-sig').splitlines()
    except UnicodeDecodeError as error:
        raise FormatError('is not a VEST file: it is not UTF-8 text', path, _REMEDY) from error
    starts = [number for number, line in enumerate(lines, 1) if line.split() == ['/Matrix']]
    if len(starts) != 1:
        found = 'no line' if not starts else 'several lines'
        raise FormatError(f'is not a VEST file: it has {found} /Matrix', path, _REMEDY)
    header = dict(_header(lines[: starts[0] - 1]))
    rows = list(_rows(lines, starts[0], path))
    _check_size(rows, header, path)
    return VestMatrix(path, np.array(rows, np.float64), header)


def _header(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        if line.strip().startswith('/'):
            key, *value = line.strip()[1:].split(maxsplit=1)
            yield key, ''.join(value)


def _rows(lines: Sequence[str], start: int, path: Path) -> Iterator[list[float]]:
    """Yield the rows of the matrix."""
    first = 0
    for number, line in enumerate(lines[start:], start + 1):
        if cells := line.split():
            first = first or len(cells)
            if len(cells) != first:
                raise FormatError(
                    f'line {number} has {len(cells)} numbers, those before it have {first}',
                    path,
                    _REMEDY,
                )
            yield [_number(cell, number, path) for cell in cells]


def _number(cell: str, line: int, path: Path) -> float:
    try:
        value = math.nan if '_' in cell else float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise FormatError(f'line {line}: {cell!r} is not a number', path, 'Correct it.')
    return value


def _check_size(rows: Sequence[Sequence[float]], header: Mapping[str, str], path: Path) -> None:
    """Check that the matrix is as large as the header says."""
    if not rows:
        raise FormatError('has no rows after /Matrix', path, _REMEDY)
    sizes = {**dict.fromkeys(_ROWS, (len(rows), 'row')), 'NumWaves': (len(rows[0]), 'column')}
    for key, (found, what) in sizes.items():
        if key in header and header[key].strip() != str(found):
            raise FormatError(
                f'has {count(found, what)}, and /{key} says {header[key]}', path, _REMEDY
            )
