"""Checks of phenotypes before they are modelled: values that look like mistakes are listed.

Nothing is changed. Each remark names the rows, and what to change where it is a slip:

>>> values = pd.DataFrame({'age': ['31', '28', '-999', '40']}, ['sub-1', 'sub-2', 'sub-3', 'sub-4'])
>>> for remark in remarks(values):
...     print(remark)
age: -999 of sub-3 is far from the others (28 to 40). If it means "missing", write n/a.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from modelarrayio_bids.models.r_numbers import r_number
from modelarrayio_bids.runtime.grouping import grouped
from modelarrayio_bids.runtime.text_format import some

#: Numbers that data banks and questionnaires write for "missing".
_CODES = frozenset({-9.0, -99.0, -999.0, -9999.0, 99.0, 999.0, 9999.0})
#: Half the range of the others: what is farther away from them is "far".
_FAR = 0.5
#: Part of the values that must be numbers before the others are called odd.
_MOSTLY = 0.7
#: Interquartile ranges beyond the quartiles: "far out" (Tukey, Exploratory Data Analysis, 2D).
_FAR_OUT = 3
_FEWEST_FOR_OUTLIERS = 12
#: With more outliers than this fraction, the distribution is skewed.
_MOST_OUTLIERS = 0.05
#: From this number of participants, equal or constant columns are not due to chance.
_FEWEST_PEOPLE = 3
_AGE = re.compile(r'(?:^|[\W_])age(?:$|[\W_])', re.IGNORECASE)
#: The oldest person ever was 122 (Robine and Allard, Science 279, 1998); in other units likewise.
_OLDEST = {'y': 122, 'm': 122 * 12, 'w': 122 * 52.2, 'd': 122 * 365.25}


@dataclass(frozen=True)
class Remark:
    """A suspicious value or column of a phenotype table.

    Parameters
    ----------
    check : str
        Name of the check, such as ``outlier``.
    columns : tuple of str
        Mostly one.
    what : str
        Description of the problem.
    rows : tuple of str
        Rows with such values, as ``sub-01 ses-2``; empty if it is about all rows.
    remedy : str
        Suggested correction.
    """

    check: str
    columns: tuple[str, ...]
    what: str
    rows: tuple[str, ...]
    remedy: str

    def __str__(self) -> str:
        """Return a line of the log."""
        return f'{" and ".join(self.columns)}: {self.what}. {self.remedy}'


def remarks(
    values: pd.DataFrame, dictionary: Mapping[str, Mapping[str, Any]] | None = None
) -> list[Remark]:
    """Return what looks like a slip in the phenotypes of some people.

    Parameters
    ----------
    values : pandas.DataFrame
        A row per participant or visit, named by its index; text, blank where there is no value.
    dictionary : mapping, optional
        Column to its ``Levels`` and ``Units``: values that are levels are none to remark on.
    """
    dictionary = dictionary or {}
    labels = list(map(str, values.index))
    columns = [
        _Column(str(name), values[name].set_axis(labels), dictionary.get(str(name), {}))
        for name in values
    ]
    found = [remark for column in columns for remark in column.remarks()]
    return [*found, *_constant(columns), *_equal(columns)]


@dataclass(frozen=True)
class _Column:
    name: str
    texts: pd.Series
    said: Mapping[str, Any]

    @cached_property
    def levels(self) -> list[str]:
        """Levels by the dictionary."""
        levels = self.said.get('Levels')
        return list(map(str, levels)) if isinstance(levels, Mapping) else []

    @cached_property
    def present(self) -> pd.Series:
        """Values that are present and not listed in the dictionary."""
        return self.texts[self._is_present]

    @cached_property
    def _is_present(self) -> pd.Series:
        return ~self.texts.isin(['', *self.levels])

    @cached_property
    def parsed(self) -> pd.Series:
        """Numbers as R parses the cells; None for cells that are not numbers."""
        return self.texts.map(r_number).astype(object)

    @cached_property
    def numbers(self) -> pd.Series:
        """Values that are finite numbers: float64."""
        numbers = self.parsed.astype('float64')[self._is_present]
        return numbers[numbers.abs() < float('inf')]

    def remarks(self) -> Iterator[Remark]:
        if self.present.empty:
            return
        if self.levels:
            what = f'{_listed(self.present)} of {{}} is not one of its levels'
            remedy = f'They are: {some(self.levels)}. Correct it, or the data dictionary.'
            yield self._remark('level', what, self.present.index, remedy)
        if len(self.numbers) < len(self.present):
            yield from self._spellings()
            odd = list(self._odd_among_numbers())
            yield from odd
            if not odd or self.numbers.empty:
                return
        else:
            yield from self._numbers_written_twice()
        codes = self._missing_codes()
        for code, rows in codes.groupby(codes):
            others = self.numbers.drop(codes.index)
            what = f'is far from the others ({others.min():g} to {others.max():g})'
            remedy = 'If it means "missing", write n/a.'
            yield self._remark('missing code', f'{code:g} of {{}} {what}', rows.index, remedy)
        rest = self.numbers.drop(codes.index)
        ages = self._implausible_ages(rest)
        if len(ages):
            what = f'{_listed(ages)} of {{}} is not a plausible age'
            yield self._remark('age', what, ages.index, 'Correct it, or write n/a.')
        yield from self._outliers(rest.drop(ages.index))

    def _remark(self, check: str, what: str, rows: pd.Index, remedy: str) -> Remark:
        names = tuple(dict.fromkeys(map(str, rows)))
        return Remark(check, (self.name,), what.replace('{}', some(names)), names, remedy)

    def _spellings(self) -> Iterator[Remark]:
        """Yield levels that differ in nothing but case or blanks."""
        alike = grouped((''.join(text.casefold().split()), text) for text in self.present)
        for texts in alike.values():
            if len(set(texts)) > 1:
                (_, _), *others = ordered = Counter(texts).most_common()
                rare = self.present[self.present.isin([text for text, _ in others])]
                shown = ' and '.join(f'{text!r} ({number})' for text, number in ordered)
                what = f'{shown} are different levels to R; the rarer: {{}}'
                yield self._remark('spelling', what, rare.index, 'Write one of them everywhere.')

    def _odd_among_numbers(self) -> Iterator[Remark]:
        """Yield cells that make text of a column of numbers: decimal commas above all."""
        odd = self.present.drop(self.numbers.index)
        commas = odd.str.fullmatch(r'[+-]?\d+,\d+')
        if commas.all():
            what = f'has decimal commas ({_listed(odd)} of {{}}), so R reads it as text'
            yield self._remark('decimal comma', what, odd.index, 'Write points.')
        elif self.said.get('Units') or len(self.numbers) >= _MOSTLY * len(self.present):
            what = f'{_listed(odd)} of {{}} is not a number, so R reads the column as text'
            yield self._remark('no number', what, odd.index, 'Correct it, or write n/a.')

    def _numbers_written_twice(self) -> Iterator[Remark]:
        for _, texts in self.present.groupby(self.numbers, sort=False):
            if len(texts.unique()) > 1:
                shown = ' and '.join(map(repr, texts.unique()))
                what = f'{shown} are the same number, but different levels of a factor: {{}}'
                yield self._remark('number', what, texts.index, 'Write numbers one way.')
                return

    def _missing_codes(self) -> pd.Series:
        """Return numbers that stand for "missing", as far as they are from all others."""
        coded = self.numbers.isin(_CODES)
        others = self.numbers[~coded]
        if not coded.any() or len(others) < 2:
            return self.numbers[:0]
        low, high = others.min(), others.max()
        room = _FAR * (high - low)
        codes = self.numbers[coded]
        far = (codes < low - room) | (codes > high + room) | ((codes < 0) & (low >= 0))
        return codes[far]

    def _implausible_ages(self, numbers: pd.Series) -> pd.Series:
        if not _AGE.search(self.name):
            return numbers[:0]
        units = str(self.said.get('Units', '')).strip().lower()
        old = numbers > _OLDEST.get(units[:1], _OLDEST['y'])
        # Ages of infants are given in days or weeks.
        return numbers[(numbers < 0) | (old & (old.mean() < 0.5))]

    def _outliers(self, numbers: pd.Series) -> Iterator[Remark]:
        if len(numbers) < _FEWEST_FOR_OUTLIERS:
            return
        low, high = numbers.quantile(0.25), numbers.quantile(0.75)
        room = _FAR_OUT * (high - low)
        far = numbers[(numbers < low - room) | (numbers > high + room)]
        if room and 0 < len(far) <= max(1, _MOST_OUTLIERS * len(numbers)):
            what = f'{_listed(far)} of {{}} is far from the middle half ({low:g} to {high:g})'
            yield self._remark('outlier', what, far.index, 'Correct it if it is a mistake.')


def _constant(columns: Sequence[_Column]) -> Iterator[Remark]:
    """Yield columns with one value for everybody: no model can have them as terms."""
    for column in columns:
        first, *others = set(column.texts)
        if first and not others and len(column.texts) >= _FEWEST_PEOPLE:
            what = f'is {first!r} for all participants'
            yield Remark('constant', (column.name,), what, (), 'It cannot be a term of a model.')


def _equal(columns: Sequence[_Column]) -> Iterator[Remark]:
    """Yield columns with equal values: a model can have one of them as a term."""
    alike = grouped(
        (tuple(column.parsed.where(column.parsed.notna(), column.texts)), column.name)
        for column in columns
        if len(column.texts) >= _FEWEST_PEOPLE and len(set(column.texts)) > 1
    )
    for names in alike.values():
        if len(names) > 1:
            remedy = 'Only one of them can be a term of a model.'
            yield Remark('equal', tuple(names), 'have the same values', (), remedy)


def _listed(values: pd.Series) -> str:
    texts = (f'{value:g}' if isinstance(value, float) else repr(value) for value in values)
    return some(dict.fromkeys(texts))
