"""The contract of a model that is fitted at every element.

A model takes blocks of elements and returns a column of results for each name in ``columns``.
Blocks are independent: results do not depend on how elements are divided, so threads and machines
can share them. What needs all elements, the adjustment of p values, is done once at the end.

A new kind of model is a class with these attributes, and a description of it for people
(:mod:`.kinds`), in a file of its own.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from modelarrayio_bids.errors import UsageError
from modelarrayio_bids.models.adjustment import P_VALUE
from modelarrayio_bids.models.anova import JointTest
from modelarrayio_bids.models.design import INTERCEPT, Design
from modelarrayio_bids.models.options import ModelOptions

if TYPE_CHECKING:
    from modelarrayio_bids.models.permutation import PermutationTest

ELEMENT_ID = 'element_id'
#: Prefix of results about the whole model.
MODEL = 'model'
#: Share of the intervals of a curve's band.
CONFIDENCE = 0.95


class Outcome(enum.IntEnum):
    """Outcome of the fit at an element."""

    FITTED = 0
    TOO_FEW_IMAGES = 1
    CONSTANT_RESPONSE = 2
    NO_RESIDUAL_DF = 3
    #: Fitted, but some coefficients are not estimable from the images the element has.
    NOT_ALL_ESTIMABLE = 4


TOO_FEW = 'too few images'
#: Description of each outcome for messages.
REASONS: Mapping[int, str] = {
    Outcome.TOO_FEW_IMAGES: TOO_FEW,
    Outcome.CONSTANT_RESPONSE: 'constant response',
    Outcome.NO_RESIDUAL_DF: 'no residual degrees of freedom',
    Outcome.NOT_ALL_ESTIMABLE: 'some coefficients not estimable',
}


@dataclass(frozen=True, eq=False)
class BlockFit:
    """Results of a block of elements.

    Parameters
    ----------
    values : numpy.ndarray
        (n_columns, n_elements) float64, a row for each of the model's ``columns``.
    outcomes : numpy.ndarray
        (n_elements,) uint8: an :class:`Outcome` each.
    """

    values: np.ndarray
    outcomes: np.ndarray


@dataclass(frozen=True)
class Hypothesis:
    """A tested hypothesis.

    Parameters
    ----------
    contrast : str
        In coefficients or terms; blank of the whole model.
    statistic : str
        Its statistic: ``t``, ``F``, ``z``; blank without one.
    df : dict of float
        Degrees of freedom that are the same at all elements, or that elements have where every
        image has a value, by the name of the result that would hold them.
    """

    contrast: str
    statistic: str
    df: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class FittedCurve:
    """A function of one covariate as it was fitted at an element.

    Parameters
    ----------
    label : str
        R's name of it: ``s(age)``.
    covariate : str
        Its covariate.
    by : str
        A number that multiplies the curve; blank without.
    grid, values, margin : numpy.ndarray
        (m,) values of the covariate, the curve there, and half the width of its pointwise band.
    x, y : numpy.ndarray
        (n,) covariate of each image that the curve is about, and the curve there plus the residual;
        empty if ``by`` is a number.
    """

    label: str
    covariate: str
    by: str
    grid: np.ndarray
    values: np.ndarray
    margin: np.ndarray
    x: np.ndarray
    y: np.ndarray


class ElementwiseModel(ABC):
    """A model that is fitted at each element on its own."""

    #: Columns of the model, and which statistics are wanted.
    design: Design
    options: ModelOptions
    #: Names of the results, as ModelArray writes them, without ``element_id`` and corrections. The
    #: ending says what a result is, as broom has it: ``age.estimate``, ``age.p.value``.
    columns: tuple[str, ...]
    #: Columns that are adjusted over all elements, and the methods.
    corrections: tuple[tuple[str, str], ...]
    #: Columns that stand behind the adjusted p values in the file, because R's function adds them
    #: when all others are there.
    last_columns: tuple[str, ...] = ()
    #: Scalars of the file that stand on the right-hand side.
    scalars: tuple[str, ...] = ()
    #: Coefficients that have no results, because the other columns determine them.
    aliased: tuple[str, ...] = ()
    #: Description of each outcome for messages.
    reasons: ClassVar[Mapping[int, str]] = REASONS

    @abstractmethod
    def fit(self, responses: np.ndarray, scalars: Mapping[str, np.ndarray]) -> BlockFit:
        """Fit a block of elements.

        Parameters
        ----------
        responses : numpy.ndarray
            (n_table_rows, n_elements), of any float type; what is not finite is missing.
        scalars : mapping
            For each of ``self.scalars`` an array of the same shape.
        """

    @property
    def groups(self) -> np.ndarray | None:
        """Groups of rows whose dependence the model takes into account; None if there are none.

        (n_rows,) int of the rows of the design.
        """
        return None

    @property
    def tested(self) -> Mapping[str, Hypothesis]:
        """Hypotheses, by what names of results begin with."""
        return {}

    def permutation_test(self, blocks: np.ndarray | None) -> PermutationTest:
        """Return the permutation test that the options ask for.

        Parameters
        ----------
        blocks : numpy.ndarray or None
            (n_table_rows,) int: blocks of exchangeability.

        Raises
        ------
        UsageError
            If images cannot be rearranged so, or nothing can be tested.
        """
        raise NotImplementedError

    @property
    def summarised(self) -> tuple[str, ...]:
        """Results without a test, whose distribution over elements describes the model.

        Reports show it, and a map of the first.
        """
        return ()

    def described(self) -> Iterator[str]:
        """Describe what is particular to the model, a line each: ``Smooth s(age): …``."""
        return iter(())

    def curve(
        self, term: str, response: np.ndarray, scalars: Mapping[str, np.ndarray]
    ) -> FittedCurve | None:
        """Return the curve that a term is, as it is fitted at an element.

        Parameters
        ----------
        term : str
            Prefix of the names of its results.
        response : numpy.ndarray
            (n_table_rows,) values of the element; what is not finite is missing.
        scalars : mapping
            For each of ``self.scalars`` an array of that shape.

        Returns
        -------
        FittedCurve or None
            None if the term is not a function of one covariate, or not estimable there.
        """
        return None

    def concerns(self) -> Iterator[str]:
        """Return warnings about what was asked for, a line each."""
        return iter(())


def result_names(model: ElementwiseModel) -> tuple[str, ...]:
    """Return the names of all results in the order of the file.

    Element, columns, adjusted p values, and the model's ``last_columns``.
    """
    columns = [name for name in model.columns if name not in model.last_columns]
    adjusted_p = [f'{raw}.{how}' for raw, how in model.corrections]
    return (ELEMENT_ID, *columns, *adjusted_p, *model.last_columns)


def column_places(model: ElementwiseModel) -> list[int]:
    """Return where the model's columns stand among :func:`result_names`."""
    places = {name: place for place, name in enumerate(result_names(model))}
    return [places[name] for name in model.columns]


def counted(outcomes: np.ndarray, reasons: Mapping[int, str] = REASONS) -> dict[str, int]:
    """Return how many elements were not fitted, or not wholly, by reason.

    >>> counted(np.array([0, 1, 1, 2], np.uint8))
    {'too few images': 2, 'constant response': 1}
    """
    counts = np.bincount(outcomes, minlength=1 + max(reasons))
    return {reason: int(counts[outcome]) for outcome, reason in reasons.items() if counts[outcome]}


def labels_of(design: Design) -> list[str]:
    """Return what results of each column of a design begin with: ModelArray's names."""
    return [INTERCEPT.strip('()') if name == INTERCEPT else name for name in design.names]


def corrections_of(columns: Iterable[str], options: ModelOptions) -> tuple[tuple[str, str], ...]:
    """Return the p values that are adjusted: by method all terms, then the model."""
    p_values = [name for name in columns if name.endswith(f'.{P_VALUE}')]
    of_model = f'{MODEL}.{P_VALUE}'
    return (
        *_corrected(options.correct_p_value_terms, [p for p in p_values if p != of_model]),
        *_corrected(options.correct_p_value_model, [p for p in p_values if p == of_model]),
    )


def _corrected(methods: Sequence[str], p_values: Sequence[str]) -> Iterator[tuple[str, str]]:
    for method in methods:
        if method != 'none':
            yield from ((name, method) for name in p_values)


def tested_coefficients(design: Design, options: ModelOptions) -> dict[str, Hypothesis]:
    """Return the t tests of coefficients and contrasts."""
    coefficients = dict(zip(labels_of(design), design.names, strict=True))
    return {
        name: Hypothesis(text, 't') for name, text in {**coefficients, **options.contrasts}.items()
    }


def tested_jointly(tests: Iterable[JointTest], options: ModelOptions) -> dict[str, Hypothesis]:
    """Return the F tests: those that were asked for, and those of terms."""
    return {
        test.name: Hypothesis(
            options.f_tests.get(test.name, test.name.removesuffix('.anova')),
            'F',
            {f'{test.name}.df': len(test.tested)},
        )
        for test in tests
    }


def check_unique(names: Sequence[str]) -> None:
    """Check that no two results have one name.

    Raises
    ------
    UsageError
        If a contrast or test is called as a term is.
    """
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(
            f'two results would be called {twice[0]}',
            remedy='Give contrasts and F tests names that no term has, and no column the name '
            f'{MODEL}, which is that of the whole model.',
        )
