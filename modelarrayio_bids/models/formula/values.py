"""Values in a formula: numbers, texts, factors and bases, with what is missing in each.

Columns become values as R's ``read.csv`` makes them (``?type.convert``): logical if every cell is
T, F, TRUE or FALSE, else numbers if every cell is one, else text. Cells that are blank, ``NA`` or
BIDS's ``n/a`` are missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from modelarrayio_bids.models.r_numbers import number_text, r_number

#: Texts of a cell that has no value.
MISSING = frozenset({'', 'NA', 'n/a'})
_LOGICALS = {'T': True, 'TRUE': True, 'F': False, 'FALSE': False}
_BLANKS = ' \t\n\v\f\r'
_WHOLE = re.compile(r'[+-]?[0-9]+')
_LARGEST_WHOLE = 2**31 - 1


class ArgumentError(Exception):
    """A function of a formula that cannot take its arguments; its text goes on after the call's."""


@dataclass(frozen=True, eq=False)
class Numbers:
    """Numbers or logical values.

    Parameters
    ----------
    data : numpy.ndarray
        (n_rows,) float64, NaN where missing, 1 and 0 for true and false; (k,) for a constant.
    kind : {'number', 'whole', 'logical'}
        R's types double, integer and logical.
    is_constant : bool
        True if the values were written in the formula or are the same for all rows, as
        ``c(1, 2)`` and ``mean(age)``.
    """

    data: np.ndarray
    kind: str = 'number'
    is_constant: bool = False

    @property
    def missing(self) -> np.ndarray:
        """(n,) bool."""
        return np.isnan(self.data)

    def texts(self) -> list[str | None]:
        """Return the values as R's ``as.character`` writes them; None where missing."""
        return [None if np.isnan(value) else self._text(value) for value in self.data.tolist()]

    def _text(self, value: float) -> str:
        if self.kind == 'logical':
            return 'TRUE' if value else 'FALSE'
        return f'{value:.0f}' if self.kind == 'whole' else number_text(value)


@dataclass(frozen=True, eq=False)
class Texts:
    """Texts; None where missing."""

    data: tuple[str | None, ...]
    is_constant: bool = False

    @property
    def missing(self) -> np.ndarray:
        """(n,) bool."""
        return np.array([text is None for text in self.data], bool)

    def texts(self) -> list[str | None]:
        """Return the texts."""
        return list(self.data)


#: R's ``contr.treatment`` and its like.
CONTRASTS = ('treatment', 'sum', 'helmert', 'poly', 'SAS')


@dataclass(frozen=True)
class Contrasts:
    """A choice of contrasts.

    Parameters
    ----------
    kind : str
        One of :data:`CONTRASTS`.
    base : int, optional
        Number of the reference level of treatment contrasts, from 1.
    is_numbered : bool, optional
        Name columns by the numbers of levels, as R does with ``contr.treatment(4)``.
    n_levels : int, optional
        For how many levels they were asked for, as in ``contr.sum(4)``.
    """

    kind: str
    base: int = 1
    is_numbered: bool = False
    n_levels: int | None = None


@dataclass(frozen=True, eq=False)
class Factor:
    """A factor.

    Parameters
    ----------
    codes : numpy.ndarray
        (n,) int: index of each level, -1 where missing.
    levels : tuple of str
        The levels in their order.
    is_ordered : bool
        True if contrasts are polynomial by default.
    contrasts : Contrasts, optional
        Contrasts set by ``C()``.
    """

    codes: np.ndarray
    levels: tuple[str, ...]
    is_ordered: bool = False
    contrasts: Contrasts | None = None

    is_constant: ClassVar[bool] = False

    @property
    def missing(self) -> np.ndarray:
        """(n,) bool."""
        return self.codes < 0

    def texts(self) -> list[str | None]:
        """Return the level of each value; None where missing."""
        levels = (*self.levels, None)
        return [levels[code] for code in self.codes.tolist()]


@dataclass(frozen=True, eq=False)
class Basis:
    """Several columns made of one variable, such as a spline's.

    Parameters
    ----------
    data : numpy.ndarray
        (n_rows, n_columns) float64.
    """

    data: np.ndarray

    is_constant: ClassVar[bool] = False

    @property
    def missing(self) -> np.ndarray:
        """(n_rows,) bool."""
        return np.isnan(self.data).any(axis=1)


Vector = Numbers | Texts | Factor
Value = Vector | Basis | Contrasts


def column_values(cells: Iterable[object], levels: Sequence[str] = ()) -> Vector:
    """Return the values of a table's column.

    Parameters
    ----------
    cells : iterable
        Texts; anything else (NaN, None) is missing.
    levels : sequence of str, optional
        The codes that a data dictionary lists. A column of these alone is a factor, even if they
        look like numbers.

    >>> column_values(['31', '', '45.5']).data.tolist()
    [31.0, nan, 45.5]
    >>> column_values(['M', 'F', 'n/a']).texts()
    ['M', 'F', None]
    >>> column_values(['1', '2', '2'], levels=['2', '1']).levels
    ('2', '1')
    """
    texts = [_present(cell) for cell in cells]
    present = {text for text in texts if text is not None}
    if levels and (present <= set(levels) or not _are_numbers(present)):
        listed = [level for level in dict.fromkeys(levels) if level in present]
        return as_factor(texts, [*listed, *in_order(present.difference(listed))])
    if present and present <= _LOGICALS.keys():
        return Numbers(_numbers(texts, _LOGICALS.get), 'logical')
    if _are_numbers(present):
        values = _numbers(texts, r_number)
        return Numbers(values, 'whole' if _are_whole(present, values) else 'number')
    return Texts(tuple(texts))


def _present(cell: object) -> str | None:
    """Return the text of a cell, None if it has no value."""
    return None if not isinstance(cell, str) or cell.strip(_BLANKS) in MISSING else cell


def _are_numbers(texts: Iterable[str]) -> bool:
    return all(r_number(text) is not None for text in texts)


def _are_whole(texts: Iterable[str], values: np.ndarray) -> bool:
    small = not (np.abs(values) > _LARGEST_WHOLE).any()
    return small and all(_WHOLE.fullmatch(text) for text in texts)


def _numbers(texts: Iterable[str | None], number: Callable[[str], float | None]) -> np.ndarray:
    return np.array([None if text is None else number(text) for text in texts], np.float64)


def in_order(texts: Iterable[str]) -> list[str]:
    """Return texts by the alphabet, whatever their case, and the same on every machine.

    R sorts as the locale has it: ``a, B, c`` in most, ``B, a, c`` in the locale ``C``.

    >>> in_order(['b', 'C', 'A', 'a'])
    ['A', 'a', 'b', 'C']
    """
    return sorted(texts, key=lambda text: (text.casefold(), text))


def as_factor(texts: Sequence[str | None], levels: Sequence[str]) -> Factor:
    """Return a factor of texts; texts that are not levels are missing.

    >>> as_factor(['b', 'a', None, 'x'], ['a', 'b']).codes.tolist()
    [1, 0, -1, -1]
    """
    index: dict[str | None, int] = {level: code for code, level in enumerate(levels)}
    codes = np.array([index.get(text, -1) for text in texts], int)
    return Factor(codes, tuple(levels))


def factor_of(value: Vector) -> Factor:
    """Return a value as ``factor()`` does with its defaults: numbers sorted, texts in order."""
    if isinstance(value, Factor):
        return value
    texts = value.texts()
    if isinstance(value, Texts):
        return as_factor(texts, in_order({text for text in texts if text is not None}))
    distinct = np.unique(value.data[~value.missing])
    levels = Numbers(distinct, value.kind).texts()
    return as_factor(texts, [text for text in dict.fromkeys(levels) if text is not None])


def without_unused_levels(factor: Factor) -> Factor:
    """Return a factor of the levels that occur, as ``lm`` makes of one whose rows are left out."""
    used = np.unique(factor.codes[factor.codes >= 0])
    if used.size == len(factor.levels):
        return factor
    codes = np.where(factor.codes < 0, -1, np.searchsorted(used, factor.codes))
    levels = tuple(factor.levels[code] for code in used)
    contrasts = factor.contrasts
    if contrasts is not None:
        # The reference stays what it was; without it, the first level is.
        base = used.tolist().index(contrasts.base - 1) if contrasts.base - 1 in used else 0
        contrasts = replace(contrasts, base=base + 1)
    return Factor(codes, levels, factor.is_ordered, contrasts)
