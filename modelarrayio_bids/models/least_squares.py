"""Least squares at every element, using the rows with a value there.

At elements that have all rows, coordinates are Q'y. The others are solved together by normal
equations in the coordinates of :mod:`.coordinates`, where these are well conditioned, and a step
of iterative refinement (Golub & Van Loan, "Matrix Computations", section 5.3.8). Where rows leave
columns dependent, or nearly so, the columns themselves decide, by R's rule.

n rows, p columns, k elements, r linear combinations of coefficients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modelarrayio_bids.models.coordinates import (
    Coordinates,
    ElementCoordinates,
    combined,
    covariance_of,
    variances_of,
)
from modelarrayio_bids.models.rank import TOLERANCE, independent_columns, is_estimable, null_vectors

# Normal equations whose inverse has no greater trace are solved to 1e-11 of a standard error.
_GREATEST_TRACE = 1e5
# A column is dependent beyond doubt if it keeps a hundredth of the part that R's rule asks for.
_DEPENDENT = TOLERANCE / 100


@dataclass(frozen=True, eq=False)
class Hypotheses:
    """Linear combinations of coefficients to estimate, and coefficients to test together.

    Parameters
    ----------
    combinations : numpy.ndarray
        (r, p) float64: the factor of each coefficient. The first p are the coefficients themselves.
    joint : sequence of list of int
        For each test the combinations that are tested together.
    """

    combinations: np.ndarray
    joint: Sequence[list[int]] = ()


@dataclass(frozen=True, eq=False)
class Solution:
    """Least squares at k elements.

    Parameters
    ----------
    rank : numpy.ndarray
        (k,) int.
    residual_ss, model_ss : numpy.ndarray
        (k,) weighted sums of squares of the residuals, and of the fitted values about their mean
        (about 0 without an intercept).
    estimates, variances : numpy.ndarray
        (r, k) combinations of coefficients, and their variances in units of the residual variance;
        NaN where they are not estimable.
    joint_ss : numpy.ndarray
        (n_tests, k) sums of squares of the joint tests; NaN where one is not estimable.
    residuals : numpy.ndarray
        (n, k), times the root of the weights, 0 where missing.
    """

    rank: np.ndarray
    residual_ss: np.ndarray
    model_ss: np.ndarray
    estimates: np.ndarray
    variances: np.ndarray
    joint_ss: np.ndarray
    residuals: np.ndarray


def solve_complete(
    coordinates: Coordinates, y: np.ndarray, hypotheses: Hypotheses, *, intercept: bool
) -> Solution:
    """Solve elements that have all rows of a design that is the same for all.

    Parameters
    ----------
    y : numpy.ndarray
        (n, k) float64 responses, times the root of the weights.
    """
    found = coordinates.project(y)
    residuals = _difference(y, coordinates.expand(found))
    combinations = coordinates.combinations(hypotheses.combinations)
    p, k = found.shape
    bases = [np.linalg.qr(combinations[test].T)[0] for test in hypotheses.joint]
    joint = [sum_of_squares(basis.T @ found) for basis in bases]
    return Solution(
        rank=np.full(k, p),
        residual_ss=sum_of_squares(residuals),
        # The first coordinate is that of the mean.
        model_ss=sum_of_squares(found[int(intercept) :]),
        estimates=combinations @ found,
        variances=np.repeat((combinations**2).sum(axis=1)[:, None], k, axis=1),
        joint_ss=np.reshape(joint, (len(joint), k)),
        residuals=residuals,
    )


def solve_incomplete(
    coordinates: Coordinates | ElementCoordinates,
    y: np.ndarray,
    present: np.ndarray,
    hypotheses: Hypotheses,
    *,
    intercept: bool,
) -> Solution:
    """Solve elements that lack some rows, or have columns of their own.

    Parameters
    ----------
    y : numpy.ndarray
        (n, k) float64 responses times the root of the weights, 0 where missing.
    present : numpy.ndarray
        (n, k) float64: 1 for the rows that an element has, 0 for others.
    """
    gram = coordinates.gram(present)
    normal = _NormalEquations(coordinates, gram, present, hypotheses.combinations)
    found = normal.inverse_times(coordinates.project(y))
    for _ in range(normal.refinements):
        residuals = _difference(y, coordinates.expand(found))
        residuals *= present
        gradient = coordinates.project(residuals)
        step = normal.inverse_times(gradient)
        found += step
    combinations = coordinates.combinations(hypotheses.combinations)
    joint = [normal.joint_ss(combinations[test], found, test) for test in hypotheses.joint]
    # The last step changes the sum by this much, and the residuals by less than can be seen.
    residual_ss = sum_of_squares(residuals) - np.einsum('pk,pk->k', step, gradient)
    return Solution(
        rank=normal.rank,
        residual_ss=np.maximum(residual_ss, 0),
        model_ss=_model_ss(gram, found, intercept=intercept),
        estimates=np.where(normal.estimable, combined(combinations, found), np.nan),
        variances=np.where(normal.estimable, normal.variances(combinations), np.nan),
        joint_ss=np.reshape(joint, (len(joint), y.shape[1])),
        residuals=residuals,
    )


class _NormalEquations:
    """Inverses of Q'Q at k elements, and the estimable coefficients.

    Attributes
    ----------
    inverse : numpy.ndarray
        (p, p, k), a generalised inverse where columns are dependent.
    rank : numpy.ndarray
        (k,) int.
    estimable : numpy.ndarray
        (r, k) bool.
    refinements : int
        Steps of refinement that a solution needs.
    """

    def __init__(
        self,
        coordinates: Coordinates | ElementCoordinates,
        gram: np.ndarray,
        present: np.ndarray,
        combinations: np.ndarray,
    ) -> None:
        self._coordinates = coordinates
        self._present = present
        self._combinations = combinations
        self.inverse, dropped, rest = swept(gram, coordinates.least_pivots)
        self.rank = len(gram) - np.count_nonzero(dropped, axis=0)
        self.estimable = np.ones((len(combinations), gram.shape[2]), bool)
        doubtful = np.trace(self.inverse) > _GREATEST_TRACE
        for column in np.flatnonzero(dropped.any(axis=1)).tolist():
            elements = np.flatnonzero(dropped[column] & ~doubtful)
            null = np.where(dropped[:, elements], 0.0, -rest[:, column, elements])
            null[column] = 1
            doubtful[elements] = ~self._drop(column, elements, null)
        self.refinements = 2 if doubtful.any() else 1
        elements = np.flatnonzero(doubtful)
        if elements.size:
            for pattern in coordinates.patterns(present[:, elements]):
                self._decide(elements[pattern])

    def inverse_times(self, vectors: np.ndarray) -> np.ndarray:
        """Return G⁻v, (p, k)."""
        return np.einsum('pqk,qk->pk', self.inverse, vectors)

    def variances(self, combinations: np.ndarray) -> np.ndarray:
        """Return the diagonal of T G⁻ T', (r, k)."""
        return variances_of(self._times_inverse(combinations), combinations)

    def joint_ss(self, combinations: np.ndarray, found: np.ndarray, test: list[int]) -> np.ndarray:
        """Return (Tγ)' (T G⁻ T')⁻¹ Tγ, (k,): Seber & Lee, "Linear Regression", theorem 4.1."""
        estimable = self.estimable[test].all(axis=0)
        values = combined(combinations, found)
        covariance = covariance_of(self._times_inverse(combinations), combinations)
        covariance = np.where(estimable, covariance, np.eye(len(test))[:, :, None])
        solved = np.linalg.solve(np.moveaxis(covariance, 2, 0), values.T[:, :, None])[:, :, 0]
        return np.where(estimable, np.einsum('tk,kt->k', values, solved), np.nan)

    def _times_inverse(self, combinations: np.ndarray) -> np.ndarray:
        """Return T G⁻, (r, p, k)."""
        if combinations.ndim == 2:
            p, _, k = self.inverse.shape
            return (combinations @ self.inverse.reshape(p, p * k)).reshape(-1, p, k)
        return np.einsum('rpk,pqk->rqk', combinations, self.inverse)

    def _drop(self, column: int, elements: np.ndarray, null: np.ndarray) -> np.ndarray:
        """Take what a null vector (p, k) changes from the estimable; return where it surely is one.

        Normal equations alone cannot tell a dependent column from one that R would keep.
        """
        there, present = self._coordinates.select(elements), self._present[:, elements]
        values, factor = there.column(column)
        left = factor * np.sqrt(sum_of_squares(there.expand(null) * present))
        length = np.sqrt(sum_of_squares(values * present))
        self._mark(elements, there.coefficients(null), there.lengths)
        return (length == 0) | (left < _DEPENDENT * length)

    def _mark(self, elements: np.ndarray, null: np.ndarray, lengths: np.ndarray) -> None:
        self.estimable[:, elements] &= is_estimable(self._combinations, null, lengths)

    def _decide(self, pattern: np.ndarray) -> None:
        """Factor the columns themselves, at elements that have the same columns and rows."""
        first = int(pattern[0])
        rows = self._present[:, first] > 0
        matrix = self._coordinates.columns(first)[rows]
        kept = independent_columns(matrix)
        r = np.linalg.qr(matrix[:, kept])[1]
        half = np.linalg.solve(r.T, self._coordinates.triangle(first)[:, kept].T)
        self.inverse[:, :, pattern] = (half.T @ half)[:, :, None]
        self.rank[pattern] = len(kept)
        self.estimable[:, pattern] = True
        lengths = np.linalg.norm(matrix, axis=0)[:, None]
        for null in null_vectors(matrix, kept).T:
            self._mark(pattern, null[:, None], lengths)


def swept(gram: np.ndarray, least: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Invert symmetric matrices by sweeping their pivots in turn, leaving out small ones.

    Beaton's operator (Goodnight, "A tutorial on the sweep operator", 1979): the pivot of a column
    is the square of what it has outside those before it.

    Parameters
    ----------
    gram : numpy.ndarray
        (p, p, k) float64, positive semidefinite.
    least : numpy.ndarray
        (p, 1) or (p, k): pivots that are not greater are left out.

    Returns
    -------
    inverse : numpy.ndarray
        (p, p, k), with rows and columns of zeros for pivots left out.
    dropped : numpy.ndarray
        (p, k) bool: the pivots left out.
    swept : numpy.ndarray
        (p, p, k): among the columns of pivots left out the regression of these on the others.
    """
    a = gram.copy()
    p, k = len(a), a.shape[2]
    dropped = np.zeros((p, k), bool)
    # Only the lower triangle is kept up, a row at a time: that stays in the cache.
    for j in range(p):
        column = np.concatenate([a[j, :j], a[j:, j]])
        dropped[j] = column[j] <= least[j]
        pivot = np.where(dropped[j], 1.0, column[j])
        scaled = np.where(dropped[j], 0.0, column / pivot)
        for i in range(p):
            a[i, : i + 1] -= column[i] * scaled[: i + 1]
        scaled = np.where(dropped[j], column, scaled)
        scaled[j] = np.where(dropped[j], column[j], -1 / pivot)
        a[j, :j], a[j:, j] = scaled[:j], scaled[j:]
    for i in range(p):
        a[:i, i] = a[i, :i]
    inverse = -a
    if dropped.any():
        inverse[dropped[:, None] | dropped[None]] = 0
    return inverse, dropped, a


def sum_of_squares(values: np.ndarray) -> np.ndarray:
    """Return the sum of squares over the rows, (k,)."""
    return np.einsum('nk,nk->k', values, values)


def _difference(y: np.ndarray, fitted: np.ndarray) -> np.ndarray:
    """Return y minus fitted values, in the place of the latter."""
    return np.subtract(y, fitted, out=fitted)


def _model_ss(gram: np.ndarray, found: np.ndarray, *, intercept: bool) -> np.ndarray:
    """Return γ'Gγ, about the mean if the first coordinate is that of the intercept."""
    if not intercept:
        return np.einsum('pk,pqk,qk->k', found, gram, found, optimize=True)
    mean = np.einsum('pk,pk->k', gram[0, 1:], found[1:])
    about_zero = np.einsum('pk,pk->k', np.einsum('pqk,qk->pk', gram[1:, 1:], found[1:]), found[1:])
    return about_zero - mean**2 / gram[0, 0]
