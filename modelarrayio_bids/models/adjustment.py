"""p values of many tests, adjusted as R's ``p.adjust`` does it.

ModelArray adjusts the p values of each run over that run's elements alone, so those of slices have
to be adjusted once more when all elements are together. Every method is R's own (package stats,
``p.adjust``), operation by operation: numbers agree with R's to the last bit, but for sums that R
takes in 80 bits. A missing p value stays missing and counts as no test.

>>> p_adjust(np.array([0.01, 0.02, np.nan, 0.04]), 'fdr').tolist()
[0.03, 0.03, nan, 0.04]
>>> corrected('age.p.value.fdr')
('age.p.value', 'fdr')
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

#: Suffix of the names of p values in R and ModelArray.
P_VALUE = 'p.value'
#: R's ``p.adjust.methods``: the endings of adjusted p values. ``fdr`` is another word for ``BH``.
METHODS = ('holm', 'hochberg', 'hommel', 'bonferroni', 'BH', 'BY', 'fdr', 'none')
#: Corrected p values below it are significant.
LEVEL = 0.05
#: Ending of p values that permutations correct for all elements (family-wise error).
FWE = 'fwe'
#: Endings of all corrected p values.
CORRECTIONS = (*METHODS, FWE)


def corrected(name: str) -> tuple[str, str] | None:
    """Return the name of the raw p value, and the method, of an adjusted one.

    >>> corrected('age.p.value') is None
    True
    """
    raw, _, method = name.rpartition('.')
    return (raw, method) if method in METHODS and f'.{raw}'.endswith(f'.{P_VALUE}') else None


def p_adjust(p: np.ndarray, method: str) -> np.ndarray:
    """Adjust p values for their number.

    Parameters
    ----------
    p : numpy.ndarray
        (n,) float64; NaN where there was no test.
    method : str
        One of :data:`METHODS`. ``hommel`` takes time that grows with the square of n, as it does in
        R; the others sort.

    Returns
    -------
    numpy.ndarray
        (n,) float64, NaN where ``p`` is.
    """
    present = ~np.isnan(p)
    tests = p[present]
    adjusted = p.copy()
    if tests.size > 1:
        adjusted[present] = _METHODS[method](tests)
    return adjusted


def _holm(p: np.ndarray) -> np.ndarray:
    order = np.argsort(p)
    adjusted = np.empty_like(p)
    factors = np.arange(p.size, 0, -1)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(factors * p[order]))
    return adjusted


def _step_up(p: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Return the least of all greater p values times their factors, from the greatest p on."""
    order = np.argsort(p)[::-1]
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1, np.minimum.accumulate(factors * p[order]))
    return adjusted


def _benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    return _step_up(p, p.size / np.arange(p.size, 0, -1))


def _benjamini_yekutieli(p: np.ndarray) -> np.ndarray:
    harmonic = math.fsum(1 / np.arange(1, p.size + 1))
    return _step_up(p, harmonic * p.size / np.arange(p.size, 0, -1))


def _hommel(p: np.ndarray) -> np.ndarray:
    n = p.size
    if n == 2:
        return _METHODS['hochberg'](p)
    order = np.argsort(p)
    ascending = p[order]
    bound = np.full(n, np.min(n * ascending / np.arange(1, n + 1)))
    for j in range(n - 1, 1, -1):
        first = n - j + 1
        least = np.min(j * ascending[first:] / np.arange(2, j + 1))
        among = np.minimum(j * ascending[:first], least)
        np.maximum(bound[:first], among, out=bound[:first])
        np.maximum(bound[first:], among[-1], out=bound[first:])
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum(bound, ascending)
    return adjusted


_METHODS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    'holm': _holm,
    'hochberg': lambda p: _step_up(p, np.arange(1, p.size + 1)),
    'hommel': _hommel,
    'bonferroni': lambda p: np.minimum(1, p.size * p),
    'BH': _benjamini_hochberg,
    'BY': _benjamini_yekutieli,
    'fdr': _benjamini_hochberg,
    'none': np.copy,
}
