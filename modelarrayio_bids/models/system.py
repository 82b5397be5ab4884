"""A design with its weights: the least-squares problem that elements share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modelarrayio_bids.errors import CohortError
from modelarrayio_bids.models.coordinates import Coordinates, ElementCoordinates
from modelarrayio_bids.models.design import Design
from modelarrayio_bids.models.least_squares import (
    Hypotheses,
    Solution,
    solve_complete,
    solve_incomplete,
    sum_of_squares,
)
from modelarrayio_bids.models.rank import independent_columns, is_estimable, null_vectors
from modelarrayio_bids.models.responses import Responses
from modelarrayio_bids.models.statistics import Fit


@dataclass(frozen=True, eq=False)
class Sample:
    """The rows of a design that are fitted.

    Parameters
    ----------
    rows : numpy.ndarray
        (n,) int: which rows of the table these are.
    matrix : numpy.ndarray
        (n, n_columns) float64: their columns of the design.
    offset : numpy.ndarray or None
        (n,) float64.
    weights : numpy.ndarray or None
        (n,) float64, positive; None if all are 1.
    scalars : tuple of tuple of str
        See :class:`.design.Design`.
    intercept : bool
        True if the first column is the intercept.
    """

    rows: np.ndarray
    matrix: np.ndarray
    offset: np.ndarray | None
    weights: np.ndarray | None
    scalars: tuple[tuple[str, ...], ...]
    intercept: bool

    @classmethod
    def from_design(cls, design: Design, weights: np.ndarray | None) -> Sample:
        """Leave out rows without a weight, or with a weight of 0, as ``lm`` does.

        Raises
        ------
        CohortError
            If a weight is negative or infinite.
        """
        used = np.ones(len(design.rows), bool)
        own = None
        if weights is not None:
            own = np.asarray(weights, np.float64)[design.rows]
            if (own < 0).any() or np.isinf(own).any():
                raise CohortError(
                    'a weight is negative or infinite', remedy='Correct the column of weights.'
                )
            used = own > 0
            own = own[used]
        return cls(
            rows=design.rows[used],
            matrix=design.matrix[used],
            offset=None if design.offset is None else design.offset[used],
            weights=own,
            scalars=design.scalars,
            intercept=0 in design.assign,
        )

    def weighted(self, values: np.ndarray) -> np.ndarray:
        """Return values (n, k) times the root of the weights."""
        return values if self.weights is None else values * np.sqrt(self.weights)[:, None]

    def independent(self, columns: Sequence[int]) -> list[int]:
        """Return the columns that ``lm`` would not leave out as aliased, with all rows.

        Those that hold scalars are taken to be independent: at each element it is seen anew.
        """
        shared = [column for column in columns if not self.scalars[column]]
        kept = independent_columns(self.weighted(self.matrix[:, shared]))
        own = [column for column in columns if self.scalars[column]]
        return sorted([*(shared[index] for index in kept), *own])

    def is_estimable(self, factors: Sequence[float]) -> bool:
        """Return whether all rows together determine a combination of coefficients."""
        shared = [column for column, scalars in enumerate(self.scalars) if not scalars]
        matrix = self.weighted(self.matrix[:, shared])
        null = null_vectors(matrix, independent_columns(matrix))
        lengths = np.linalg.norm(matrix, axis=0)[:, None]
        return bool(is_estimable(np.array([factors])[:, shared], null, lengths).all())

    def column(self, index: int, block: Responses) -> np.ndarray:
        """Return a column of the design, (n, 1), or (n, k) where it holds scalars."""
        values = self.matrix[:, [index]]
        for scalar in self.scalars[index]:
            values = values * block.scalars[scalar]
        return values


class System:
    """Columns of a design, and the hypotheses about their coefficients.

    Parameters
    ----------
    sample : Sample
        The rows.
    columns : sequence of int
        Columns of the design, of full rank apart from those that hold scalars.
    contrasts : sequence of sequence of float
        Combinations, each with a factor for every column of the design.
    joint : sequence of sequence of int
        Columns of the design that are tested together; contrasts are counted on from these.

    Attributes
    ----------
    columns : list of int
        In the order of the solution's first estimates; those of the contrasts follow.
    own : list of int
        The last of them, which hold scalars.
    shared : Coordinates
        Coordinates of the others.
    """

    def __init__(
        self,
        sample: Sample,
        columns: Sequence[int],
        contrasts: Sequence[Sequence[float]] | np.ndarray = (),
        joint: Sequence[Sequence[int]] = (),
    ) -> None:
        self._sample = sample
        # Stable: those that are the same everywhere come first.
        self.columns = sorted(columns, key=lambda column: bool(sample.scalars[column]))
        self.own = [column for column in self.columns if sample.scalars[column]]
        shared = self.columns[: len(self.columns) - len(self.own)]
        self.shared = Coordinates(sample.weighted(sample.matrix[:, shared]))
        factors = np.reshape(contrasts, (-1, len(sample.scalars)))[:, self.columns]
        asked = [*self.columns, *range(len(sample.scalars), len(sample.scalars) + len(factors))]
        self._hypotheses = Hypotheses(
            np.vstack([np.eye(len(self.columns)), factors]),
            [[asked.index(column) for column in test] for test in joint],
        )

    def solve(self, block: Responses) -> Solution:
        """Solve a block whose elements either all have all rows, or all lack some."""
        y, intercept = self._sample.weighted(block.values), self._sample.intercept
        if block.present is None and not self.own:
            return solve_complete(self.shared, y, self._hypotheses, intercept=intercept)
        there = self.coordinates(block)
        return solve_incomplete(there, y, block.there, self._hypotheses, intercept=intercept)

    def coordinates(self, block: Responses) -> Coordinates | ElementCoordinates:
        """Return the coordinates of all columns."""
        if not self.own:
            return self.shared
        sample = self._sample
        own = [sample.weighted(sample.column(column, block)) for column in self.own]
        return ElementCoordinates(self.shared, np.stack(own))


def fit_of(sample: Sample, block: Responses, solution: Solution) -> Fit:
    """Return the sums of squares of a model."""
    n = block.n
    log_weights = np.zeros(len(n))
    if sample.weights is not None:
        log_weights += _present_sum(np.log(sample.weights), block)
    model_ss = solution.model_ss
    if sample.offset is not None:
        model_ss = _model_ss_with_offset(sample, block, solution)
    return Fit(n, solution.rank, solution.residual_ss, model_ss, log_weights, sample.intercept)


def _present_sum(values: np.ndarray, block: Responses) -> np.ndarray:
    """Return the sum of a value per row over the rows that each element has."""
    return values.sum() if block.present is None else values @ block.present


def _model_ss_with_offset(sample: Sample, block: Responses, solution: Solution) -> np.ndarray:
    """Return the sum of squares of fitted values with their offset, as R 4.2 counts it."""
    root = sample.weighted(np.ones((len(sample.rows), 1)))
    offset = root * np.asarray(sample.offset)[:, None]
    present = block.there
    fitted = (sample.weighted(block.values) - solution.residuals + offset) * present
    if sample.intercept:
        mean = (root * fitted).sum(axis=0) / (root**2 * present).sum(axis=0)
        fitted -= root * mean * present
    return sum_of_squares(fitted)
