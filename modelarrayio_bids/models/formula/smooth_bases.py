"""Columns of smooths: cubic regression splines, thin plate regression splines, their products.

Each covariate has k functions that span a constant and k - 1 curves whose mean over the rows is 0
(Wood, "Generalized Additive Models", 2nd edition, 2017, sections 5.3.1 and 5.5.1). A smooth that
is not penalised depends on the space its columns span alone; here the curves are orthonormal.

* ``cr``: natural cubic splines with knots at quantiles of the distinct values (section 5.3.1).
* ``tp``: a line, and the thin plate splines of the distinct values in the eigenvectors whose
  eigenvalues are largest (Wood, "Thin plate regression splines", JRSS B 65, 2003, section 3).
* ``te``: all products of the functions of several covariates, a constant taken out of the whole
  (Wood, "Low-rank scale-invariant tensor product smooths", Biometrics 62, 2006).
* ``ti``: products of the curves alone: it holds no function of one covariate (section 5.6.3).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from modelarrayio_bids.models.formula.bases import natural_splines
from modelarrayio_bids.models.formula.smooths import LEAST_K
from modelarrayio_bids.models.formula.values import ArgumentError

#: Distinct values that thin plate splines are made of; of more mgcv draws some at random.
MOST_DISTINCT = 2000

_Functions = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Curves:
    """Orthonormal curves of one covariate, whose means over the rows are 0.

    Parameters
    ----------
    functions : callable
        From (n,) values to (n, k - 1): with a constant they span the basis.
    means : numpy.ndarray
        (k - 1,) means of the functions over the rows.
    triangle : numpy.ndarray
        (k - 1, k - 1): the functions, centred, are the curves times this.
    """

    functions: _Functions
    means: np.ndarray
    triangle: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, basis: str, k: int) -> Curves:
        """Make the curves of a covariate.

        Parameters
        ----------
        x : numpy.ndarray
            (n,) float64, finite.
        basis : {'tp', 'cr'}
            Kind of basis, as ``bs`` in mgcv.
        k : int
            Functions of the basis, the constant among them; 3 or more.

        Raises
        ------
        ArgumentError
            If there are fewer distinct values than k, or too many for ``tp``.
        """
        distinct, place = np.unique(x, return_inverse=True)
        if distinct.size < k:
            fewer = (
                f'choose {distinct.size} or less' if distinct.size >= LEAST_K else 'no curve fits'
            )
            raise ArgumentError(f'has a k of {k} for {distinct.size} distinct values: {fewer}')
        if basis == 'tp' and distinct.size > MOST_DISTINCT:
            raise ArgumentError(
                f'has {distinct.size:,} distinct values, more than {MOST_DISTINCT:,}: '
                'use bs = "cr", or round them'
            )
        functions = _FUNCTIONS[basis](distinct, k)
        values = functions(distinct)[place]
        means = values.mean(axis=0)
        return cls(functions, means, np.linalg.qr(values - means)[1])

    def at(self, x: np.ndarray) -> np.ndarray:
        """Return the curves at some values, (n, k - 1)."""
        # Thousands of participants have few distinct ages: functions are computed once for each.
        distinct, place = np.unique(x, return_inverse=True)
        values = self.functions(distinct) - self.means
        return np.linalg.solve(self.triangle.T, values.T).T[place]


@dataclass(frozen=True, eq=False)
class SmoothBasis:
    """The columns of a smooth, for any values of its covariates.

    Parameters
    ----------
    curves : tuple of Curves
        Curves of each covariate.
    function : {'s', 'ti', 'te'}
        Function of mgcv, which determines how curves are multiplied.
    is_centred : bool
        True if a constant is removed: false only for smooths that a number multiplies.
    """

    curves: tuple[Curves, ...]
    function: str
    is_centred: bool = True
    means: np.ndarray | None = None

    @classmethod
    def of(
        cls,
        covariates: Sequence[np.ndarray],
        function: str,
        bases: Sequence[str],
        dimensions: Sequence[int],
        *,
        is_centred: bool = True,
    ) -> SmoothBasis:
        """Make the basis of some rows: (n,) float64 for each covariate; see :class:`Curves`."""
        curves = tuple(map(Curves.of, covariates, bases, dimensions))
        basis = cls(curves, function, is_centred)
        if function == 'te' and is_centred:
            return cls(curves, function, is_centred, basis.at(covariates).mean(axis=0))
        return basis

    def at(self, covariates: Sequence[np.ndarray]) -> np.ndarray:
        """Return the columns at some values of the covariates, (n, n_columns)."""
        margins = [c.at(x) for c, x in zip(self.curves, covariates, strict=True)]
        if self.function == 'ti' or (self.function == 's' and self.is_centred):
            return _products(margins)
        columns = _products([np.column_stack([np.ones(len(one)), one]) for one in margins])
        if not self.is_centred:
            return columns
        return columns[:, 1:] - (0 if self.means is None else self.means)


def _products(margins: Sequence[np.ndarray]) -> np.ndarray:
    """Return all products of a column of each, row by row."""
    columns, *others = margins
    for other in others:
        columns = (columns[:, :, np.newaxis] * other[:, np.newaxis]).reshape(len(columns), -1)
    return columns


def _cubic(distinct: np.ndarray, k: int) -> _Functions:
    knots = np.quantile(distinct, np.linspace(0, 1, k))
    ends = float(knots[0]), float(knots[-1])
    return lambda x: natural_splines(x, knots[1:-1], ends, intercept=False)


def _thin_plate(distinct: np.ndarray, k: int) -> _Functions:
    """Return a line and k - 2 truncated thin plate splines (penalty of the second derivative)."""
    middle, length = distinct.mean(), np.ptp(distinct)

    def distances(x: np.ndarray) -> np.ndarray:
        return np.abs((x[:, np.newaxis] - distinct) / length) ** 3

    values, vectors = np.linalg.eigh(distances(distinct))
    kept = vectors[:, np.argsort(-np.abs(values), kind='stable')[:k]]
    lines = np.column_stack([np.ones(distinct.size), (distinct - middle) / length])
    # Coefficients that are orthogonal to lines at the distinct values.
    free = np.linalg.qr((lines.T @ kept).T, mode='complete')[0][:, 2:]
    weights = kept @ free
    return lambda x: np.column_stack([(x - middle) / length, distances(x) @ weights])


_FUNCTIONS: dict[str, Callable[[np.ndarray, int], _Functions]] = {
    'cr': _cubic,
    'tp': _thin_plate,
}
