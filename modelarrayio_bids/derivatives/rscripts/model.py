"""A first linear model of a cohort: age and sex, and how many images an element needs for it.

It is derived only from names and values, and meant to be edited. If age or sex cannot be a term,
the script shows the reason; other phenotypes are left to the user:

>>> age = Column('age', ('20', '31', '45', '') * 10)
>>> sex = Column('sex', ('F', 'M', 'F', 'M') * 10)
>>> site = Column('site', ('here', 'there') * 20)
>>> model = Model.suggested([site, age, sex], [f'sub-{n}' for n in range(40)])
>>> model.formula('cbf')
'cbf ~ sex'
>>> model.reasons
{'age': 'with it, only 30 of 40 images have all values'}
>>> model.fewest_images
20
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from modelarrayio_bids.models.r_numbers import r_number
from modelarrayio_bids.store.schema import in_formula

#: Phenotypes that become terms, by name in any case, in the order of the formula.
_TERMS = ('age', 'sex', 'gender')
#: Participants for each coefficient beside the intercept: the least that Harrell's "Regression
#: Modeling Strategies" (section 4.4) advises.
_PARTICIPANTS_PER_COEFFICIENT = 10
#: Part of the images that must have all values: lm leaves out the others.
_FEWEST_COMPLETE = 0.8
_MOST_LEVELS = 10
#: Images of a level: of one or two, a coefficient says more of them than of the level.
_FEWEST_OF_A_LEVEL = 5
#: The same as a part of all: a rarer level would ask too much of elements, see ``fewest_images``.
_RAREST_LEVEL = 0.1
#: ``num.subj.lthr.abs`` of ModelArray.lm, and up to how many images half of them are less.
DEFAULT_FEWEST = 10


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
    """

    name: str
    texts: tuple[str, ...]
    codes: tuple[str, ...] = ()

    @cached_property
    def present(self) -> np.ndarray:
        """True for images with a value, (n_images,) bool."""
        return np.array([text != '' for text in self.texts])

    @property
    def n_blank(self) -> int:
        """Number of images without a value."""
        return len(self.texts) - int(self.present.sum())

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """Number of images by value."""
        return Counter(filter(None, self.texts))

    @property
    def levels(self) -> list[str]:
        """The values, in the order of the dictionary, then alphabetically."""
        listed = [code for code in self.codes if code in self.counts]
        others = self.counts.keys() - set(listed)
        return [*listed, *sorted(others, key=lambda text: (text.casefold(), text))]

    @cached_property
    def numbers(self) -> np.ndarray | None:
        """Numeric values, (n_images,) float64 with NaN where blank; None if they are text."""
        if not self.counts or (self.codes and self.counts.keys() <= set(self.codes)):
            return None
        values = [r_number(text) if text else math.nan for text in self.texts]
        return None if None in values else np.array(values, np.float64)

    @property
    def is_factor(self) -> bool:
        """True if the values are levels of a factor."""
        return self.numbers is None

    def n_coefficients(self, rows: np.ndarray) -> int:
        """Count what lm estimates of these rows: one, or one for each level there but the first."""
        return len(set(np.array(self.texts)[rows])) - 1 if self.is_factor else 1


@dataclass(frozen=True)
class Model:
    """Terms of a linear model beside the intercept.

    Parameters
    ----------
    participants : tuple of str
        Participant of each image.
    terms : tuple of Column
        In the order of the formula.
    reasons : dict
        By its name: why a column is not a term.
    """

    participants: tuple[str, ...]
    terms: tuple[Column, ...] = ()
    reasons: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def suggested(cls, columns: Iterable[Column], participants: Sequence[str]) -> Model:
        """Return a model of age and sex, or else gender, unless something speaks against it."""
        model = cls(tuple(participants))
        known = [column for column in columns if column.name.lower() in _TERMS]
        for column in sorted(known, key=lambda column: _TERMS.index(column.name.lower())):
            larger = replace(model, terms=(*model.terms, column))
            reason = next(larger.objections(column), None)
            if reason is None:
                model = larger
            else:
                model = replace(model, reasons={**model.reasons, column.name: reason})
        return model

    def formula(self, scalar: str) -> str:
        """Return the formula of a scalar for R."""
        return f'{in_formula(scalar)} ~ {" + ".join(term.name for term in self.terms) or "1"}'

    @property
    def n_images(self) -> int:
        """Number of images."""
        return len(self.participants)

    @property
    def is_repeated(self) -> bool:
        """True if some participants have several images."""
        return len(set(self.participants)) < self.n_images

    @cached_property
    def complete(self) -> np.ndarray:
        """True for images with a value of every term, (n_images,) bool."""
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
        """Number of complete images of the rarest level of all factors; all, without factors."""
        counts = [self.n_images]
        for term in self.terms:
            if term.is_factor:
                counts += Counter(np.array(term.texts)[self.complete].tolist()).values()
        return min(counts)

    @property
    def _n_coefficients(self) -> int:
        return 1 + sum(term.n_coefficients(self.complete) for term in self.terms)

    def objections(self, column: Column) -> Iterator[str]:
        """Yield what speaks against the model with this column as its last term, gravest first."""
        yield from _flaws(column)
        names = [term.name.lower() for term in self.terms]
        if {'sex', 'gender'} <= set(names) or len(set(names)) < len(names):
            yield f'{self.terms[-2].name} is a term already'
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


def _flaws(column: Column) -> Iterator[str]:
    """Yield what speaks against a column in any model."""
    if not column.counts:
        yield 'blank for all'
    elif len(column.counts) == 1:
        yield 'the same for all'
    elif column.numbers is not None and not np.isfinite(column.numbers[column.present]).all():
        yield 'a number that is not finite'
    elif column.is_factor and len(column.counts) > _MOST_LEVELS:
        texts = sorted(column.counts, key=lambda text: r_number(text) is not None)
        yield f'{len(texts)} different texts, such as {texts[0]}'
