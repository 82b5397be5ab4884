"""Restricted maximum likelihood of a random intercept, at many elements at once.

The model is y = Xβ + Zu + e, where Z tells the group of each row: rows of one group share an
intercept of variance τ², and each row has a residual of variance σ². With γ = τ²/σ² the covariance
is σ²(I + γZZ'), whose inverse within a group of m rows is (I - w 11')/σ² with w = γ/(1 + γm)
(Sherman and Morrison). So everything is made of products over all rows and of sums by group, and
groups of one size share their w. For given γ the best β and σ² are known; what is left is a
criterion of γ alone, -2 log of the restricted likelihood (Bates, Mächler, Bolker and Walker,
"Fitting linear mixed-effects models using lme4", J. Stat. Softw. 67, 2015, sections 2.1 and 3.4;
Patterson and Thompson, Biometrika 58, 1971). It is minimised by Newton's steps that are kept within
a bracket.

p coordinates of the fixed effects, c classes of groups, k elements. The last axis is 1 where all
elements share a value.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np

#: Greatest ratio of variances: a response that has no variance within groups goes beyond.
MOST_RATIO = 1e8
# Grid on which the minimum of the criterion is bracketed.
_GRID = np.concatenate([[0.0], np.geomspace(1e-3, 1e4, 15)])
_MOST_STEPS = 80
_TOLERANCE = 1e-11
# A criterion that is no more than this above another is as good, but for rounding.
_AS_GOOD = 1e-10


@dataclass(frozen=True, eq=False)
class Products:
    """Parts of the criterion.

    Parameters
    ----------
    df : numpy.ndarray
        (k,) rows less independent columns.
    gram, moments, squares : numpy.ndarray
        (p, p, k), (p, k) and (k,): products of the columns, of columns and response, and of the
        response, over all rows.
    sizes, counts : numpy.ndarray
        (c, k) rows of a group of each class, and groups of the class.
    gram_sums, moment_sums, square_sums : numpy.ndarray
        (c, p, p, k), (c, p, k) and (c, k): the same products of the sums over each group, added up
        over the groups of a class.
    """

    df: np.ndarray
    gram: np.ndarray
    moments: np.ndarray
    squares: np.ndarray
    sizes: np.ndarray
    counts: np.ndarray
    gram_sums: np.ndarray
    moment_sums: np.ndarray
    square_sums: np.ndarray

    def select(self, elements: np.ndarray) -> Self:
        """Return those of some elements."""
        parts = {field.name: getattr(self, field.name) for field in fields(self)}
        return type(self)(**{
            name: part if part.shape[-1] == 1 else part[..., elements]
            for name, part in parts.items()
        })  # fmt: skip


@dataclass(frozen=True, eq=False)
class Likelihood:
    """The restricted likelihood at one γ of each element.

    Parameters
    ----------
    products : Products
        Cross products of the data.
    ratio : numpy.ndarray
        (k,) γ.
    inflation : numpy.ndarray
        (c, k) 1 + γm.
    inverse : numpy.ndarray
        (p, p, k) inverse of X'(I + γZZ')⁻¹X, the covariance of the coordinates in units of σ².
    log_determinant : numpy.ndarray
        (k,) of the matrix that was inverted.
    solution : numpy.ndarray
        (p, k) best coordinates.
    residual_ss : numpy.ndarray
        (k,) generalised sum of squares of the residuals.
    """

    products: Products
    ratio: np.ndarray
    inflation: np.ndarray
    inverse: np.ndarray
    log_determinant: np.ndarray
    solution: np.ndarray
    residual_ss: np.ndarray

    @classmethod
    def at(cls, products: Products, ratio: np.ndarray) -> Self:
        """Solve for the coordinates at a γ."""
        inflation = 1 + ratio * products.sizes
        weights = ratio / inflation
        gram = _less(products.gram, weights, products.gram_sums)
        moments = _less(products.moments, weights, products.moment_sums)
        squares = _less(products.squares, weights, products.square_sums)
        inverse, log_determinant = _inverted(gram)
        solution = _times(inverse, moments)
        residual_ss = np.maximum(squares - _dot(solution, moments), np.finfo(float).tiny)
        return cls(products, ratio, inflation, inverse, log_determinant, solution, residual_ss)

    @property
    def criterion(self) -> np.ndarray:
        """-2 log likelihood up to a constant, (k,)."""
        of_groups = (self.products.counts * np.log(self.inflation)).sum(axis=0)
        return self.products.df * np.log(self.residual_ss) + self.log_determinant + of_groups

    @property
    def variance(self) -> np.ndarray:
        """σ², (k,)."""
        return self.residual_ss / self.products.df

    def derivatives(self) -> Derivatives:
        """Return how the likelihood changes with γ."""
        products, solution = self.products, self.solution
        first = 1 / self.inflation**2
        second = -2 * products.sizes / self.inflation**3
        gram1, gram2 = (_less(0.0, w, products.gram_sums) for w in (first, second))
        moments1, moments2 = (_less(0.0, w, products.moment_sums) for w in (first, second))
        squares1, squares2 = (_less(0.0, w, products.square_sums) for w in (first, second))
        gram1_solution = _times(gram1, solution)
        rest = moments1 - gram1_solution
        ss1 = squares1 - _dot(solution, 2 * moments1 - gram1_solution)
        ss2 = squares2 - _dot(solution, 2 * moments2 - _times(gram2, solution))
        ss2 = ss2 - 2 * _dot(rest, _times(self.inverse, rest))
        share = products.sizes / self.inflation
        relative = np.einsum('pqk,qrk->prk', self.inverse, gram1)
        log1 = (products.counts * share).sum(axis=0) + np.einsum('ppk->k', relative)
        log2 = -(products.counts * share**2).sum(axis=0)
        log2 = log2 + np.einsum('pqk,qpk->k', self.inverse, gram2)
        log2 = log2 - np.einsum('pqk,qpk->k', relative, relative)
        return Derivatives(gram1, ss1, ss2, log1, log2)


@dataclass(frozen=True, eq=False)
class Derivatives:
    """First and second derivatives by γ.

    Parameters
    ----------
    gram1 : numpy.ndarray
        (p, p, k) of the inverse of :attr:`Likelihood.inverse`.
    ss1, ss2 : numpy.ndarray
        (k,) of the sum of squares.
    log1, log2 : numpy.ndarray
        (k,) of the logarithms of determinants.
    """

    gram1: np.ndarray
    ss1: np.ndarray
    ss2: np.ndarray
    log1: np.ndarray
    log2: np.ndarray

    def slope(self, there: Likelihood) -> np.ndarray:
        """Return the first derivative of the criterion, (k,)."""
        return self.log1 + there.products.df * self.ss1 / there.residual_ss

    def curvature(self, there: Likelihood) -> np.ndarray:
        """Return the second derivative of the criterion, (k,)."""
        relative = self.ss1 / there.residual_ss
        ss = self.ss2 / there.residual_ss - relative**2
        return self.log2 + there.products.df * ss


def best_ratio(products: Products) -> np.ndarray:
    """Return the γ of the least criterion: (k,), 0 or more, at most :data:`MOST_RATIO`."""
    search = _Search(products)
    search.narrow()
    best = search.ratio
    at_zero = Likelihood.at(products, np.zeros(1))
    none_better = at_zero.criterion <= Likelihood.at(products, best).criterion + _AS_GOOD
    return np.where(none_better, 0.0, best)


class _Search:
    """Brackets around the minimum of the criterion of each element."""

    def __init__(self, products: Products) -> None:
        self._products = products
        found = np.array([Likelihood.at(products, np.array([ratio])).criterion for ratio in _GRID])
        least = found.argmin(axis=0)
        ends = np.append(_GRID, MOST_RATIO)
        self._low, self._high = ends[np.maximum(least - 1, 0)], ends[least + 1]
        self.ratio = np.where(least == 0, self._high / 2, _GRID[least])

    def narrow(self) -> None:
        """Step until no element moves."""
        active = np.arange(self.ratio.size)
        products = self._products
        for _ in range(_MOST_STEPS):
            moved = self._step(active, products)
            if not moved.any():
                return
            if 2 * moved.sum() < active.size:
                active, products = active[moved], products.select(moved)

    def _step(self, active: np.ndarray, products: Products) -> np.ndarray:
        """Take a step at some elements; return which of them moved, (k,) bool."""
        here, low, high = self.ratio[active], self._low[active], self._high[active]
        there = Likelihood.at(products, here)
        change = there.derivatives()
        slope, curvature = change.slope(there), change.curvature(there)
        low, high = np.where(slope < 0, here, low), np.where(slope > 0, here, high)
        new = here - slope / np.where(curvature > 0, curvature, np.nan)
        new = np.where((new > low) & (new < high), new, _middle(low, high))
        self._low[active], self._high[active], self.ratio[active] = low, high, new
        return np.abs(new - here) > _TOLERANCE * (1e-8 + here)


def _middle(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    return np.where(low > 0, np.sqrt(low * high), high / 2)


def _less(whole: np.ndarray | float, weights: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Return the whole less the weighted parts: weights (c, k), parts (c, ..., k)."""
    left = np.asarray(whole)
    for weight, part in zip(weights, parts, strict=True):
        left = left - weight * part
    return left


def _inverted(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Invert positive definite matrices (p, p, k) by sweeping all pivots (Goodnight, 1979).

    Returns
    -------
    inverse : numpy.ndarray
        (p, p, k).
    log_determinant : numpy.ndarray
        (k,).
    """
    a = matrix.copy()
    log_determinant = np.zeros(a.shape[-1])
    for j in range(len(a)):
        row, pivot = a[j].copy(), a[j, j].copy()
        log_determinant += np.log(pivot)
        scaled = row / pivot
        a -= scaled[:, None] * row
        a[j] = a[:, j] = scaled
        a[j, j] = -1 / pivot
    return -a, log_determinant


def _times(matrix: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    return np.einsum('pqk,qk->pk', matrix, vectors)


def _dot(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.einsum('pk,pk->k', one, other)
