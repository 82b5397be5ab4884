"""Rank and estimability of the columns of a design, as R's ``lm`` decides them.

R factors the design by LINPACK's ``dqrdc`` with *limited pivoting* (``dqrdc2``): columns are taken
in their order, and one whose part outside the columns before it is shorter than ``tol`` times the
column itself is moved behind all others. Its coefficient is missing ("aliased"); see R's ``?qr``
and ``?lm.fit``.
"""

from __future__ import annotations

import numpy as np

#: Tolerance of R's ``lm``.
TOLERANCE = 1e-7
# A linear combination of coefficients is estimable if no null vector of the design changes it by
# more than this, with columns scaled to length one (Seber & Lee, "Linear Regression Analysis",
# 2nd edition, section 3.9).
_ESTIMABLE = 1e-6


def independent_columns(matrix: np.ndarray) -> list[int]:
    """Return the columns that R's ``lm`` keeps: those with a part of their own after earlier ones.

    Parameters
    ----------
    matrix : numpy.ndarray
        (n_rows, n_columns) float64.

    Examples
    --------
    >>> independent_columns(np.array([[1., 1, 0, 2], [1, 0, 1, 0], [1, 0, 1, 1]]))
    [0, 1, 3]
    """
    basis = np.empty(matrix.shape)
    kept: list[int] = []
    for index, column in enumerate(matrix.T):
        before = basis[:, : len(kept)]
        # Gram-Schmidt twice is as good as Householder (Golub & Van Loan, section 5.2.9).
        rest = column - before @ (before.T @ column)
        rest -= before @ (before.T @ rest)
        length, left = np.linalg.norm(column), np.linalg.norm(rest)
        if len(kept) < len(matrix) and left > 0 and left >= TOLERANCE * length:
            basis[:, len(kept)] = rest / left
            kept.append(index)
    return kept


def null_vectors(matrix: np.ndarray, kept: list[int]) -> np.ndarray:
    """Return combinations of columns that are zero, one for each column that was not kept.

    Parameters
    ----------
    matrix : numpy.ndarray
        (n_rows, n_columns) float64.
    kept : list of int
        See :func:`independent_columns`.

    Returns
    -------
    numpy.ndarray
        (n_columns, n_columns - n_kept) float64: a basis of the null space.
    """
    others = [column for column in range(matrix.shape[1]) if column not in kept]
    vectors = np.zeros((matrix.shape[1], len(others)))
    vectors[others, range(len(others))] = 1
    if kept and others:
        q, r = np.linalg.qr(matrix[:, kept])
        vectors[kept] = -np.linalg.solve(r, q.T @ matrix[:, others])
    return vectors


def is_estimable(
    combinations: np.ndarray, null: np.ndarray, lengths: np.ndarray | float
) -> np.ndarray:
    """Return which combinations of coefficients null vectors leave alone.

    Parameters
    ----------
    combinations : numpy.ndarray
        (n_combinations, n_columns): the factor of each coefficient.
    null : numpy.ndarray
        (n_columns, n_vectors): combinations of columns that are zero.
    lengths : numpy.ndarray
        (n_columns, 1) or (n_columns, n_vectors): the norms of the columns.

    Returns
    -------
    numpy.ndarray
        (n_combinations, n_vectors) bool.
    """
    lengths = np.where(lengths == 0, 1.0, lengths)
    lengths = np.broadcast_to(lengths, null.shape)
    largest = np.stack([np.max(np.abs(row)[:, None] / lengths, axis=0) for row in combinations])
    return np.abs(combinations @ null) <= _ESTIMABLE * largest * np.linalg.norm(
        null * lengths, axis=0
    )
