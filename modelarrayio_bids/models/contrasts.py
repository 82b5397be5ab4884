"""Linear combinations of coefficients, read from text such as ``0.5*(siteB + siteC) - siteD``.

Names of coefficients are R's, and may hold spaces, signs and brackets (``poly(age, 2)1``,
``I(age^2)``): the longest name that fits is taken. Nothing is evaluated but sums, differences and
products with numbers.

>>> Contrast.parse('young', '0.5*(siteB + siteC) - age', ('(Intercept)', 'age', 'siteB', 'siteC'))
Contrast(name='young', factors=(0.0, -1.0, 0.5, 0.5))
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modelarrayio_bids.errors import UsageError
from modelarrayio_bids.models.design import INTERCEPT, Design

_NUMBER = re.compile(r'(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?')
_WORD = re.compile(r'`[^`]*`|[^\s()*/+,-]+')
_SIGNS = {'+': 1, '-': -1}


@dataclass(frozen=True)
class Contrast:
    """A linear combination of coefficients.

    Parameters
    ----------
    name : str
        Name of the results.
    factors : tuple of float
        The factor of each coefficient, in the order of the design's columns.
    """

    name: str
    factors: tuple[float, ...]

    @classmethod
    def parse(cls, name: str, text: str, names: Sequence[str]) -> Contrast:
        """Read a combination.

        Parameters
        ----------
        name : str
            The contrast's name.
        text : str
            The combination, such as ``sexM - age:sexM``.
        names : sequence of str
            Names of the coefficients; the intercept's brackets may be left out in the text.

        Raises
        ------
        UsageError
            If the text is not a combination, or has a name that is not a coefficient.
        """
        *factors, constant = _Reader(f'contrast {name}', text, names).read_all().tolist()
        if constant or not any(factors):
            what = 'adds a number' if constant else 'is zero whatever the coefficients'
            raise UsageError(f'contrast {name}: {text!r} {what}', remedy='Name coefficients.')
        return cls(name, tuple(factors))


def columns_to_test(
    name: str, text: str, design: Design, contrasts: Sequence[str] = ()
) -> list[int]:
    """Read what is tested together, such as ``age + age:sexM`` or ``site``.

    Parameters
    ----------
    name : str
        The test's name.
    text : str
        Terms (all their coefficients), coefficients and contrasts, separated by ``+`` or commas.
    design : Design
        The model.
    contrasts : sequence of str, optional
        Names of contrasts.

    Returns
    -------
    list of int
        Columns of the design, ascending; contrasts are counted on from these: see
        :func:`factors_of`.

    Raises
    ------
    UsageError
        If a name is none of these.
    """
    known = tuple(dict.fromkeys((*design.names, *design.terms, *contrasts)))
    found = _Reader(f'F test {name}', text, known).read_list()
    return sorted({column for item in found for column in _columns(item, design, contrasts)})


def factors_of(tested: Sequence[int], contrasts: Sequence[Contrast], n_columns: int) -> np.ndarray:
    """Return the combinations of coefficients that :func:`columns_to_test` counts.

    Returns
    -------
    numpy.ndarray
        (n_tested, n_columns) float64.

    Examples
    --------
    >>> factors_of([0, 2], [Contrast('difference', (1.0, -1.0))], 2).tolist()
    [[1.0, 0.0], [1.0, -1.0]]
    """
    rows = np.vstack([np.eye(n_columns), *(contrast.factors for contrast in contrasts)])
    return rows[list(tested)]


def _columns(name: str, design: Design, contrasts: Sequence[str]) -> list[int]:
    if name in design.terms:
        return design.columns(name)
    return [(*design.names, *contrasts).index(name)]


class _Reader:
    """A recursive-descent reader of sums of coefficients.

    A value is an array, (n_names + 1,) float64: the factor of each coefficient, then a number.
    """

    def __init__(self, what: str, text: str, names: Sequence[str]) -> None:
        self._what, self._text, self._position = what, text, 0
        self._names = tuple(names)
        spelled = {name: name for name in names}
        if INTERCEPT in spelled:
            spelled.setdefault(INTERCEPT.strip('()'), INTERCEPT)
        self._spelled = dict(sorted(spelled.items(), key=lambda item: -len(item[0])))

    def read_all(self) -> np.ndarray:
        value = self._sum()
        self._require_end()
        return value

    def read_list(self) -> list[str]:
        names = [self._name()]
        while self._takes('+,'):
            names.append(self._name())
        self._require_end()
        return names

    def _require_end(self) -> None:
        if rest := self._rest():
            raise self._error(f'cannot be read from {rest!r}')

    def _sum(self, depth: int = 0) -> np.ndarray:
        value = self._product(depth)
        while sign := self._takes('+-'):
            value = value + _SIGNS[sign] * self._product(depth)
        return value

    def _product(self, depth: int) -> np.ndarray:
        left = self._signed(depth)
        while operator := self._takes('*/'):
            right = self._signed(depth)
            if operator == '/':
                right = self._inverted(right)
            left = self._multiplied(left, right)
        return left

    def _signed(self, depth: int) -> np.ndarray:
        sign = 1
        while found := self._takes('+-'):
            sign *= _SIGNS[found]
        return sign * self._atom(depth)

    def _atom(self, depth: int) -> np.ndarray:
        value = np.zeros(len(self._names) + 1)
        if name := self._known_name():
            value[self._names.index(name)] = 1
        elif depth < 50 and self._takes('('):
            value = self._sum(depth + 1)
            if not self._takes(')'):
                raise self._error('lacks a closing bracket')
        elif number := _NUMBER.match(self._text, self._position):
            self._position = number.end()
            value[-1] = float(number[0])
        else:
            raise self._unknown()
        return value

    def _multiplied(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        if left[:-1].any() and right[:-1].any():
            raise self._error('multiplies coefficients')
        return np.append(left[-1] * right[:-1] + right[-1] * left[:-1], left[-1] * right[-1])

    def _inverted(self, value: np.ndarray) -> np.ndarray:
        if value[:-1].any() or not value[-1]:
            raise self._error('divides by what is not a number other than 0')
        return np.append(value[:-1], 1 / value[-1])

    def _name(self) -> str:
        if name := self._known_name():
            return name
        raise self._unknown()

    def _known_name(self) -> str | None:
        """Return the longest name that stands here, and step over it."""
        rest = self._rest()
        for spelling, name in self._spelled.items():
            for written in (spelling, f'`{spelling}`'):
                if rest.startswith(written) and _ends(rest, len(written)):
                    self._position += len(written)
                    return name
        return None

    def _takes(self, characters: str) -> str:
        """Step over one of some characters, and return it; blank where there is none."""
        found = self._rest()[:1]
        if found not in characters:
            return ''
        self._position += len(found)
        return found

    def _rest(self) -> str:
        """Return what is left of the text, after the blanks that stand here."""
        rest = self._text[self._position :].lstrip()
        self._position = len(self._text) - len(rest)
        return rest

    def _unknown(self) -> UsageError:
        if not self._rest():
            return self._error('ends where a coefficient should be')
        word = _WORD.match(self._rest())
        shown = word[0] if word else self._rest()[0]
        where = '' if shown == self._text.strip() else f'has {shown!r}, which '
        return self._error(f'{where}is not a coefficient')

    def _error(self, what: str) -> UsageError:
        known = ', '.join(name.strip('()') if name == INTERCEPT else name for name in self._names)
        return UsageError(f'{self._what}: {self._text!r} {what}', remedy=f'There are {known}.')


def _ends(text: str, length: int) -> bool:
    """Return whether a name may end here: not in the middle of a longer word."""
    return length == len(text) or not (text[length].isalnum() or text[length] in '._:^[')
