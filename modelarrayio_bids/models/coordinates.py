"""Coordinates in which least squares at many elements is cheap and well conditioned.

The columns of a design are factored once, with all its rows: A = Q R (Golub & Van Loan, "Matrix
Computations", section 5.2). Coefficients are β = R⁻¹ γ, where γ are the coordinates of the fitted
values in Q. At an element that has all rows, Q'Q is the identity; where rows are missing it stays
close to it, however nearly collinear the columns of A are.

Columns that hold a scalar differ by element. Each is divided into its part within Q and the rest,
which is scaled to length one and becomes a coordinate of its own: [A, Z] = [Q, Z⊥] [R, Q'Z; 0, s].

Throughout, n rows, p columns, k elements; elements are the last axis, so that one operation of
NumPy does the same step for all of them. Rows are multiplied by the root of their weight.
"""

from __future__ import annotations

import numpy as np

# Pivots of normal equations below the first, or of a column with less than the second outside the
# others (ten times the tolerance of R's lm), are left to the exact decision on rank.
_LEAST_PIVOT = 1e-10
_LEAST_INDEPENDENT_PART = 1e-6


class Coordinates:
    """Orthonormal coordinates of columns that are the same at all elements.

    Parameters
    ----------
    matrix : numpy.ndarray
        (n, p) float64 of full rank. If the model has an intercept, its column is the first.

    Attributes
    ----------
    lengths : numpy.ndarray
        (p, 1) norms of the columns.
    least_pivots : numpy.ndarray
        (p, 1) pivots of the normal equations above which a column certainly is independent.
    """

    def __init__(self, matrix: np.ndarray) -> None:
        self.matrix = matrix
        self.q, self.r = np.linalg.qr(matrix)
        self.inverse = np.linalg.inv(self.r)
        self.lengths = np.linalg.norm(matrix, axis=0)[:, None]
        self.least_pivots = least_pivots(self.lengths, np.abs(np.diag(self.r))[:, None])
        first, second = np.triu_indices(matrix.shape[1])
        self._pairs = first, second
        self._products = np.ascontiguousarray((self.q[:, first] * self.q[:, second]).T)

    def gram(self, present: np.ndarray) -> np.ndarray:
        """Return Q'Q over the rows that each element has, (p, p, k).

        Parameters
        ----------
        present : numpy.ndarray
            (n, k) float64, 1 for rows that are there and 0 for others.
        """
        p = self.q.shape[1]
        first, second = self._pairs
        gram = np.empty((p, p, present.shape[1]))
        gram[first, second] = gram[second, first] = self._products @ present
        return gram

    def project(self, residuals: np.ndarray) -> np.ndarray:
        """Return Q'e, (p, k), for residuals (n, k) that are 0 where a row is missing."""
        return self.q.T @ residuals

    def expand(self, coordinates: np.ndarray) -> np.ndarray:
        """Return Qγ, (n, k): the values that coordinates (p, k) stand for."""
        return self.q @ coordinates

    def coordinate_columns(self) -> list[np.ndarray]:
        """Return the column of each coordinate, (n, 1), with all rows."""
        return [column[:, None] for column in self.q.T]

    @property
    def log_scale(self) -> np.ndarray:
        """Log |R|, (1,)."""
        return np.log(np.abs(np.diag(self.r))).sum(keepdims=True)

    def coefficients(self, coordinates: np.ndarray) -> np.ndarray:
        """Return β = R⁻¹γ, (p, k)."""
        return self.inverse @ coordinates

    def combinations(self, factors: np.ndarray) -> np.ndarray:
        """Return L R⁻¹, so that Lβ is this times γ: (r, p), or (r, p, k) where elements differ.

        Parameters
        ----------
        factors : numpy.ndarray
            L, (r, p).
        """
        return factors @ self.inverse

    def columns(self, element: int) -> np.ndarray:
        """Return the columns of the design at an element, (n, p), with all rows."""
        return self.matrix

    def column(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return a column, (n, k) or (n, 1), and the factor of its own coordinate in it."""
        return self.matrix[:, [index]], np.abs(self.r[index, index])

    def triangle(self, element: int) -> np.ndarray:
        """Return R at an element, (p, p)."""
        return self.r

    def select(self, elements: np.ndarray) -> Coordinates:
        """Return the coordinates of some of the elements."""
        return self

    def patterns(self, present: np.ndarray) -> list[np.ndarray]:
        """Divide elements, whose rows (n, k) are given, into those that have the same columns."""
        packed = np.packbits(present > 0, axis=0)
        _, inverse, counts = np.unique(packed, axis=1, return_inverse=True, return_counts=True)
        order = np.argsort(inverse.ravel(), kind='stable')
        return np.split(order, np.cumsum(counts)[:-1])


class ElementCoordinates:
    """Coordinates of a design some of whose columns differ by element.

    It answers as :class:`Coordinates` does; q are the columns that are the same everywhere.

    Parameters
    ----------
    shared : Coordinates
        Coordinates of the q columns.
    own : numpy.ndarray
        (p - q, n, k) float64: the others, finite everywhere.
    """

    def __init__(self, shared: Coordinates, own: np.ndarray) -> None:
        self._shared = shared
        self._own = own
        self._within = np.stack([shared.project(column) for column in own])
        self._rest = own - np.stack([shared.expand(within) for within in self._within])
        self._orthogonalise_again()
        own_lengths = np.sqrt(np.einsum('cnk,cnk->ck', own, own))
        rest_lengths = np.sqrt(np.einsum('cnk,cnk->ck', self._rest, self._rest))
        # A column within the others is left as long as it is: scaled up, it would be noise.
        noise = rest_lengths <= _LEAST_INDEPENDENT_PART * own_lengths
        self._scale = np.where(noise, np.where(own_lengths > 0, own_lengths, 1), rest_lengths)
        self._rest /= self._scale[:, None]
        k = own.shape[2]
        self.lengths = np.concatenate([np.repeat(shared.lengths, k, axis=1), own_lengths])
        self.least_pivots = np.concatenate(
            [
                np.repeat(shared.least_pivots, k, axis=1),
                least_pivots(own_lengths, self._scale),
            ]
        )

    def _orthogonalise_again(self) -> None:
        """Remove from Z⊥ what rounding left within Q (Golub & Van Loan, section 5.2.9)."""
        for index in range(len(self._rest)):
            left = self._shared.project(self._rest[index])
            self._rest[index] -= self._shared.expand(left)
            self._within[index] += left

    def gram(self, present: np.ndarray) -> np.ndarray:
        """Return the products of all coordinates over the rows that are there, (p, p, k)."""
        q = self._shared.q.shape[1]
        p = q + len(self._own)
        gram = np.empty((p, p, present.shape[1]))
        gram[:q, :q] = self._shared.gram(present)
        for a, column in enumerate(self._rest):
            shown = column * present
            gram[q + a, :q] = gram[:q, q + a] = self._shared.project(shown)
            for b in range(a, len(self._rest)):
                product = np.einsum('nk,nk->k', shown, self._rest[b])
                gram[q + a, q + b] = gram[q + b, q + a] = product
        return gram

    def project(self, residuals: np.ndarray) -> np.ndarray:
        """Return the products of residuals (n, k) with the coordinates, (p, k)."""
        own = np.einsum('cnk,nk->ck', self._rest, residuals)
        return np.concatenate([self._shared.project(residuals), own])

    def expand(self, coordinates: np.ndarray) -> np.ndarray:
        """Return the values (n, k) that coordinates (p, k) stand for."""
        q = self._shared.q.shape[1]
        own = np.einsum('cnk,ck->nk', self._rest, coordinates[q:])
        return self._shared.expand(coordinates[:q]) + own

    def coordinate_columns(self) -> list[np.ndarray]:
        """Return the column of each coordinate, (n, 1) or (n, k), with all rows."""
        return [*self._shared.coordinate_columns(), *self._rest]

    @property
    def log_scale(self) -> np.ndarray:
        """Log |R|, (k,)."""
        return self._shared.log_scale + np.log(self._scale).sum(axis=0)

    def coefficients(self, coordinates: np.ndarray) -> np.ndarray:
        """Return β, (p, k)."""
        q = self._shared.q.shape[1]
        own = coordinates[q:] / self._scale
        shared = coordinates[:q] - np.einsum('cqk,ck->qk', self._within, own)
        return np.concatenate([self._shared.coefficients(shared), own])

    def combinations(self, factors: np.ndarray) -> np.ndarray:
        """Return what γ is multiplied by to give combinations (r, p) of β, (r, p, k)."""
        q = self._shared.q.shape[1]
        shared = self._shared.combinations(factors[:, :q])
        within = np.einsum('rq,cqk->rck', shared, self._within)
        own = (factors[:, q:, None] - within) / self._scale
        return np.concatenate([np.repeat(shared[:, :, None], own.shape[2], axis=2), own], axis=1)

    def column(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return a column, (n, k) or (n, 1), and the factor of its own coordinate in it."""
        q = self._shared.q.shape[1]
        if index < q:
            return self._shared.column(index)
        return self._own[index - q], self._scale[index - q]

    def columns(self, element: int) -> np.ndarray:
        """Return the columns of the design at an element, (n, p), with all rows."""
        return np.hstack([self._shared.matrix, self._own[:, :, element].T])

    def triangle(self, element: int) -> np.ndarray:
        """Return R at an element, (p, p)."""
        q = self._shared.q.shape[1]
        own = np.vstack([self._within[:, :, element].T, np.diag(self._scale[:, element])])
        return np.hstack([np.vstack([self._shared.r, np.zeros((len(own) - q, q))]), own])

    def select(self, elements: np.ndarray) -> ElementCoordinates:
        """Return the coordinates of some of the elements."""
        return ElementCoordinates(self._shared, self._own[:, :, elements])

    def patterns(self, present: np.ndarray) -> list[np.ndarray]:
        """Return each element for itself: each has columns of its own."""
        return list(np.arange(present.shape[1])[:, None])


def least_pivots(lengths: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Return the pivots above which columns are independent by R's rule, with a margin.

    A pivot d of the normal equations is the square of what a coordinate has outside those before
    it; of the column that is ``parts`` times √d, which R compares with the column's length.

    Parameters
    ----------
    lengths, parts : numpy.ndarray
        (p, k): norms of the columns, with all rows, and their parts outside the columns before.
    """
    needed = _LEAST_INDEPENDENT_PART * lengths / np.where(parts == 0, 1, parts)
    return np.maximum(_LEAST_PIVOT, needed**2)


def combined(combinations: np.ndarray, coordinates: np.ndarray) -> np.ndarray:
    """Return Tγ, (r, k), of combinations T, (r, p) or (r, p, k)."""
    if combinations.ndim == 2:
        return combinations @ coordinates
    return np.einsum('rpk,pk->rk', combinations, coordinates)


def variances_of(half: np.ndarray, combinations: np.ndarray) -> np.ndarray:
    """Return the diagonal of HT', (r, k), of H, (r, p, k)."""
    if combinations.ndim == 2:
        return np.einsum('rpk,rp->rk', half, combinations)
    return np.einsum('rpk,rpk->rk', half, combinations)


def covariance_of(half: np.ndarray, combinations: np.ndarray) -> np.ndarray:
    """Return HT', (t, t, k), of H, (t, p, k)."""
    if combinations.ndim == 2:
        return np.einsum('tpk,up->tuk', half, combinations)
    return np.einsum('tpk,upk->tuk', half, combinations)
