"""A first linear model of a cohort: which phenotypes it can have, and how many images it needs.

It is made of names and values alone, for a person to change. A phenotype becomes a term unless
there is a reason against it, which is kept and shown:

>>> age = Column('age', ('20', '31', '45', '') * 10)
>>> sex = Column('sex', ('F', 'M', 'F', 'M') * 10)
>>> site = Column('site', ('here',) * 40)
>>> model = Model.suggested([age, sex, site], [f'sub-{n}' for n in range(40)])
>>> [term.name for term in model.terms]
['sex']
>>> model.reasons
{'age': 'with it, only 30 of 40 images have all values', 'site': 'the same for all'}
>>> model.fewest_images
20
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from modelarrayio_bids.derivatives.cohorts.columns import OWN_COLUMNS, RUN, SESSION
from modelarrayio_bids.derivatives.cohorts.r_numbers import r_number

#: Participants for each coefficient beside the intercept: the least that Harrell's "Regression
#: Modeling Strategies" (section 4.4) advises.
_PARTICIPANTS_PER_COEFFICIENT = 10
#: Part of the images that must have all values: lm leaves out the others.
_FEWEST_COMPLETE = 0.8
_MOST_TERMS = 6
_MOST_LEVELS = 10
#: Images of a level: of one or two, a coefficient says more of them than of the level.
_FEWEST_OF_A_LEVEL = 5
#: The same as a part of all: a rarer level would ask too much of elements, see ``fewest_images``.
_RAREST_LEVEL = 0.1
#: Terms that come before the others, whatever the order of the table.
_FIRST = ('age', 'sex', 'gender')
#: ``num.subj.lthr.abs`` of ModelArray.lm, and up to how many images half of them are less.
DEFAULT_FEWEST = 10

_IDENTIFIER = re.compile(r'(.*[._ -])?(id|guid|uuid|mrn)', re.IGNORECASE)
# How ModelArray begins the names of results of the intercept, and of the model as a whole.
_NAMES_TAKEN = frozenset({'intercept', 'model'})
# Which visit a row is of. It tells rows of one person apart, and no person from another.
_OF_A_VISIT = (SESSION, RUN)


@dataclass(frozen=True)
class Column:
    """A phenotype of a cohort, as a model would take it.

    Parameters
    ----------
    name : str
        Its name in the cohort.
    texts : tuple of str
        Its value for each image, blank where there is none.
    codes : tuple of str, optional
        The ``Levels`` of its data dictionary: its values are names then, even if they look like
        numbers.
    r_name : str, optional
        Its name in R, where that has to be another one.
    """

    name: str
    texts: tuple[str, ...]
    codes: tuple[str, ...] = ()
    r_name: str = ''

    @property
    def in_r(self) -> str:
        """What a formula calls it."""
        return self.r_name or self.name

    @cached_property
    def present(self) -> np.ndarray:
        """Which images have a value, (n_images,) bool."""
        return np.array([text != '' for text in self.texts])

    @property
    def n_blank(self) -> int:
        """How many have none."""
        return len(self.texts) - int(self.present.sum())

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """How often each value stands."""
        return Counter(filter(None, self.texts))

    @property
    def levels(self) -> list[str]:
        """The values: as the dictionary orders them, the others by alphabet."""
        listed = [code for code in self.codes if code in self.counts]
        others = self.counts.keys() - set(listed)
        return [*listed, *sorted(others, key=lambda text: (text.casefold(), text))]

    @cached_property
    def numbers(self) -> np.ndarray | None:
        """Its values, (n_images,) float64 with NaN where blank; None if they are names."""
        if not self.counts or (self.codes and self.counts.keys() <= set(self.codes)):
            return None
        values = [r_number(text) if text else math.nan for text in self.texts]
        return None if None in values else np.array(values, np.float64)

    @property
    def is_factor(self) -> bool:
        """Whether its values are names of levels."""
        return self.numbers is None

    @property
    def coefficients(self) -> list[str]:
        """What lm calls its coefficients: its name and, of levels, each but the first."""
        suffixes = self.levels[1:] if self.is_factor else ['']
        return [f'{self.in_r}{suffix}' for suffix in suffixes]

    def design(self, rows: np.ndarray) -> np.ndarray:
        """Its columns of the model matrix for these rows, (n_rows, n_columns) float64.

        A number stands for itself, in units of its spread; of the levels there, all but the first
        have a column.
        """
        if self.numbers is not None:
            values = self.numbers[rows] - self.numbers[rows].mean()
            return (values / (np.abs(values).max(initial=0) or 1))[:, np.newaxis]
        there = np.array(self.texts)[rows]
        levels = [level for level in self.levels if level in there]
        return (there[:, np.newaxis] == np.array(levels[1:], there.dtype)).astype(np.float64)


@dataclass(frozen=True)
class Model:
    """Terms of a linear model beside the intercept.

    Parameters
    ----------
    participants : tuple of str
        Whom each image is of.
    terms : tuple of Column
        In the order of the formula.
    reasons : dict
        By its name: why a column is no term.
    """

    participants: tuple[str, ...]
    terms: tuple[Column, ...] = ()
    reasons: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def suggested(cls, columns: Iterable[Column], participants: Sequence[str]) -> Model:
        """A model of all columns that nothing speaks against: age and sex before the others."""
        model = cls(tuple(participants))
        for column in sorted(columns, key=_rank):
            larger = replace(model, terms=(*model.terms, column))
            reason = next(larger.objections(column), None)
            if reason is None:
                model = larger
            else:
                model = replace(model, reasons={**model.reasons, column.name: reason})
        return model

    @property
    def n_images(self) -> int:
        """All images."""
        return len(self.participants)

    @property
    def is_repeated(self) -> bool:
        """Whether some participants have several images."""
        return len(set(self.participants)) < self.n_images

    @cached_property
    def complete(self) -> np.ndarray:
        """Which images have a value of every term, (n_images,) bool."""
        return np.logical_and.reduce(
            [np.ones(self.n_images, bool), *(t.present for t in self.terms)]
        )

    @property
    def fewest_images(self) -> int:
        """``num.subj.lthr.abs``: an element needs values of *more* images than this.

        ModelArray's default is 10, or half of the images if these are few. At least so many that
        no level of a factor can be absent: lm gives fewer statistics then, and ModelArray, which
        binds what it gives to rows, would put them into wrong columns. And so many that lm has
        more images than coefficients. An element that all images have is always analysed.
        """
        needed = [
            min(DEFAULT_FEWEST, self.n_images // 2),
            self.n_images - int(self.complete.sum()) + self._n_coefficients,
            self.n_images - self.fewest_of_a_level,
        ]
        return min(max(needed), self.n_images - 1)

    @property
    def fewest_of_a_level(self) -> int:
        """How many complete images the rarest level of all factors has; all, without factors."""
        counts = [self.n_images]
        for term in self.terms:
            if term.is_factor:
                counts += Counter(np.array(term.texts)[self.complete].tolist()).values()
        return min(counts)

    @property
    def _n_coefficients(self) -> int:
        return 1 + sum(term.design(self.complete).shape[1] for term in self.terms)

    def objections(self, column: Column) -> Iterator[str]:
        """What speaks against the model with this column as its last term, gravest first."""
        yield from _flaws(column)
        if taken := self._names_taken():
            yield f'its results would be called {taken[0]}, as others are'
        if len(self.terms) > _MOST_TERMS:
            yield f'there are {_MOST_TERMS} terms already'
        n_complete, rarest = int(self.complete.sum()), self.fewest_of_a_level
        if n_complete < _FEWEST_COMPLETE * self.n_images:
            yield f'with it, only {n_complete} of {self.n_images} images have all values'
        elif rarest < self.n_images and rarest < max(
            _FEWEST_OF_A_LEVEL, _RAREST_LEVEL * self.n_images
        ):
            yield f'a level has only {rarest} of {self.n_images} images'
        n_people = np.unique(np.array(self.participants)[self.complete]).size
        if _PARTICIPANTS_PER_COEFFICIENT * (self._n_coefficients - 1) > n_people:
            yield (
                f'{n_people} participants are too few for one more '
                f'({_PARTICIPANTS_PER_COEFFICIENT} for each coefficient)'
            )
        elif self._is_redundant():
            yield 'told by the other terms already'

    def _names_taken(self) -> list[str]:
        """Coefficients of the last term whose maps would have the names of others.

        Case does not tell them apart: some file systems do not know it.
        """
        *others, column = self.terms
        taken = {name.casefold() for term in others for name in term.coefficients} | _NAMES_TAKEN
        return [name for name in column.coefficients if name.casefold() in taken]

    def _is_redundant(self) -> bool:
        parts = [term.design(self.complete) for term in self.terms]
        matrix = np.column_stack([np.ones(int(self.complete.sum())), *parts])
        return bool(np.linalg.matrix_rank(matrix) < matrix.shape[1])


def _flaws(column: Column) -> Iterator[str]:
    """What speaks against a column in any model."""
    if column.name in _OF_A_VISIT:
        yield 'it tells images of one participant apart'
    elif column.name not in OWN_COLUMNS and _IDENTIFIER.fullmatch(column.name):
        yield 'an identifier, by its name'
    elif not column.counts:
        yield 'blank for all'
    elif len(column.counts) == 1:
        yield 'the same for all'
    elif odd_number := _not_finite(column):
        yield f'a number that is not finite: {odd_number}'
    elif column.is_factor and len(column.counts) > _MOST_LEVELS:
        odd = [text for text in column.levels if r_number(text) is None]
        if 0 < 2 * len(odd) < len(column.counts):
            yield f'text among numbers: {odd[0]}'
        else:
            yield f'{len(column.counts)} different texts'


def _not_finite(column: Column) -> str:
    """The first of its numbers that lm stops at, or leaves out; blank if there is none."""
    if column.numbers is None:
        return ''
    odd = column.present & ~np.isfinite(column.numbers)
    return column.texts[int(odd.argmax())] if odd.any() else ''


def _rank(column: Column) -> int:
    name = column.name.casefold()
    return _FIRST.index(name) if name in _FIRST else len(_FIRST)
