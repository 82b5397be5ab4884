"""Columns of factors: contrasts, and which terms need them.

A factor of k levels has k - 1 columns (its contrasts) where the terms before it span the k-th, and
k columns otherwise (Chambers and Hastie, "Statistical Models in S", 1992, section 2.4).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from modelarrayio_bids.models.formula.bases import orthogonal_polynomials
from modelarrayio_bids.models.formula.values import Contrasts, Factor

_POLYNOMIALS = ('.L', '.Q', '.C')


def contrasts_of(factor: Factor) -> Contrasts:
    """Return the contrasts chosen for a factor, or R's default for its kind."""
    return factor.contrasts or Contrasts('poly' if factor.is_ordered else 'treatment')


def contrast_matrix(
    levels: Sequence[str], contrasts: Contrasts
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return contrasts of levels, and the names of their columns.

    Parameters
    ----------
    levels : sequence of str
        k levels.
    contrasts : Contrasts
        Kind of contrasts, as in R's help page ``?contrasts``.

    Returns
    -------
    numpy.ndarray
        (k, k - 1) float64: a row for each level.
    tuple of str
        Suffixes of the names of columns, which start with the name of the factor.

    >>> matrix, names = contrast_matrix(['a', 'b', 'c'], Contrasts('treatment', base=2))
    >>> names, matrix.tolist()
    (('a', 'c'), [[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]])
    >>> contrast_matrix(['a', 'b', 'c'], Contrasts('sum'))[0].tolist()
    [[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]]
    >>> contrast_matrix(['a', 'b', 'c'], Contrasts('helmert'))[0].tolist()
    [[-1.0, -1.0], [1.0, -1.0], [0.0, 2.0]]
    """
    k = len(levels)
    numbers = tuple(str(number) for number in range(1, k + 1))
    if contrasts.kind == 'poly':
        matrix = orthogonal_polynomials(np.arange(1.0, k + 1), k - 1, tolerance=0)
        return matrix, (_POLYNOMIALS + tuple(f'^{degree}' for degree in range(4, k)))[: k - 1]
    if contrasts.kind == 'sum':
        return np.vstack([np.eye(k - 1), -np.ones(k - 1)]), numbers[:-1]
    if contrasts.kind == 'helmert':
        # Each level against the mean of those before it.
        below = -np.triu(np.ones((k, k - 1)))
        return below + np.eye(k, k - 1, -1) * np.arange(1, k), numbers[:-1]
    base = k if contrasts.kind == 'SAS' else contrasts.base
    names = numbers if contrasts.is_numbered else tuple(levels)
    kept = [index for index in range(k) if index != base - 1]
    return np.eye(k)[:, kept], tuple(names[index] for index in kept)


def coded(factor: Factor, *, by_contrasts: bool) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the columns of a factor, (n_rows, k - 1) by contrasts or (n_rows, k), and names."""
    if by_contrasts:
        matrix, names = contrast_matrix(factor.levels, contrasts_of(factor))
    else:
        matrix, names = np.eye(len(factor.levels)), factor.levels
    return matrix[factor.codes], names


def uses_contrasts(variable: str, term: Sequence[str], earlier: Sequence[Sequence[str]]) -> bool:
    """Return whether a factor is coded by contrasts in a term.

    It is where the term without it, its margin, is the intercept or in an earlier term. That is the
    rule of R's ``terms.formula``, which looks for *any* earlier term that contains the margin.

    >>> uses_contrasts('sex', ['sex', 'age'], earlier=[['age']])
    True
    >>> uses_contrasts('sex', ['sex', 'age'], earlier=[])
    False
    """
    margin = set(term) - {variable}
    return not margin or any(margin <= set(other) for other in earlier)
