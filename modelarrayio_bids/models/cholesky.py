"""Cholesky's factors of many small matrices of cross-products at once.

Matrices are packed: the lower triangle, column after column, in the first axis; the matrices are in
the last one, so that one operation of NumPy does the same step for all of them (Golub & Van Loan,
"Matrix Computations", section 4.2).

>>> factors = Cholesky(np.array([[4.0], [2.0], [5.0]]))
>>> right = np.array([[8.0], [8.0]])
>>> factors.solve(right)
True
>>> right.ravel().tolist()
[4.0, 2.0]
"""

from __future__ import annotations

import numpy as np

# A column with less than this share of its squares outside those before it is dependent.
_DEPENDENT = 1e-10
# A right-hand side differs by less than this, relative to 1, from those of dependent columns.
_CONSISTENT = 1e-6


def packed(p: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and columns of a packed triangle.

    >>> [places.tolist() for places in packed(2)]
    [[0, 1, 1], [0, 0, 1]]
    """
    columns, rows = np.triu_indices(p)
    return rows, columns


def rotation(basis: np.ndarray) -> np.ndarray:
    """Return the matrix that makes packed B'GB of packed G.

    Parameters
    ----------
    basis : numpy.ndarray
        B, (p, m).
    """
    rows, columns = packed(len(basis))
    first, second = packed(basis.shape[1])
    left, right = basis[:, first], basis[:, second]
    halves = np.where(rows == columns, 0.5, 1.0)
    return halves * (left[rows] * right[columns] + left[columns] * right[rows]).T


class Cholesky:
    """Factors L of positive semidefinite matrices, columns that depend on earlier ones left out.

    Parameters
    ----------
    gram : numpy.ndarray
        (p (p + 1) / 2, k) packed matrices, overwritten.

    Attributes
    ----------
    kept : numpy.ndarray
        (p, k) bool: columns that do not depend on those before them.
    """

    def __init__(self, gram: np.ndarray) -> None:
        p = int(np.sqrt(2 * len(gram)))
        starts = np.cumsum([0, *range(p, 0, -1)])
        self._columns = [gram[starts[a] : starts[a + 1]] for a in range(p)]
        self._scales = np.empty((p, gram.shape[1]))
        self.kept = np.empty(self._scales.shape, bool)
        least = _DEPENDENT * gram[starts[:-1]]
        for a in range(p):
            self._factor(a, least[a])

    @property
    def rank(self) -> np.ndarray:
        """(k,) int."""
        return np.add.reduce(self.kept, axis=0, dtype=int)

    def _factor(self, a: int, least: np.ndarray) -> None:
        column = self._columns[a]
        kept = np.greater(column[0], least, out=self.kept[a])
        scale = np.divide(kept, np.sqrt(column[0]), out=self._scales[a])
        if not kept.all():
            scale[~kept] = 0
        column *= scale
        for b in range(a + 1, len(self._columns)):
            self._columns[b] -= column[b - a :] * column[b - a]

    def solve(self, right: np.ndarray) -> np.ndarray | bool:
        """Solve L x = b, in place; 0 for columns left out.

        Parameters
        ----------
        right : numpy.ndarray
            (p, k), overwritten.

        Returns
        -------
        numpy.ndarray or bool
            (k,) whether there is a solution: b is the same for columns that are the same.
        """
        consistent: np.ndarray | bool = True
        for a, column in enumerate(self._columns):
            if not self.kept[a].all():
                consistent = consistent & (self.kept[a] | (np.abs(right[a]) < _CONSISTENT))
            right[a] *= self._scales[a]
            right[a + 1 :] -= column[1:] * right[a]
        return consistent
