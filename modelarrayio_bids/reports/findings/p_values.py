"""Distributions of the uncorrected p values of an analysis.

Without any effect they are uniform: as many in each bin of a histogram, and on the diagonal of a
quantile-quantile plot.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from modelarrayio_bids.derivatives.outputs.statmaps import ResultName
from modelarrayio_bids.models.adjustment import P_VALUE
from modelarrayio_bids.reports.findings.terms import (
    IN_MEMORY,
    INTERCEPT,
    NO_CORRECTION,
    read_together,
)
from modelarrayio_bids.store.reader import Analysis

#: Bins of equal width from 0 to 1.
BINS = 20
# Points of a quantile-quantile plot: evenly spaced on its logarithmic axis.
_MOST_POINTS = 300
# As 0 has no logarithm.
_LEAST = float(np.finfo(np.float64).tiny)
_BYTES_PER_ROW = 8


@dataclass(frozen=True, eq=False)
class PValues:
    """The distribution of one result.

    Parameters
    ----------
    term : str
        Term of the formula; ``model`` for the whole model, or blank.
    counts : numpy.ndarray
        (BINS,) int: p values in each bin.
    n_significant : int
        Number of p values below 0.05.
    expected, observed : numpy.ndarray
        (n_points,) float64, -log10: quantiles of a uniform distribution, and of these p values.
    """

    term: str
    counts: np.ndarray
    n_significant: int
    expected: np.ndarray
    observed: np.ndarray

    @property
    def n(self) -> int:
        """Number of p values."""
        return int(self.counts.sum())

    @classmethod
    def of(cls, term: str, p: np.ndarray) -> PValues:
        """Count p values.

        Parameters
        ----------
        term : str
            Name of the term.
        p : numpy.ndarray
            (n_rows,) float64; values that are not probabilities are left out.
        """
        p = np.sort(p[(p >= 0) & (p <= 1)])
        counts, _ = np.histogram(p, BINS, (0, 1))
        ranks = _ranks(p.size)
        return cls(
            *(term, counts, int(np.searchsorted(p, 0.05))),
            *(-np.log10((ranks - 0.5) / max(p.size, 1)), -np.log10(p[ranks - 1].clip(_LEAST))),
        )


def _ranks(n: int) -> np.ndarray:
    """Return some of 1 to ``n``, all of the first ones."""
    if not n:
        return np.empty(0, int)
    return np.unique(np.geomspace(1, n, _MOST_POINTS).round().astype(int))


def find_p_values(results: Analysis, memory: int = IN_MEMORY) -> Iterator[PValues]:
    """Yield the distribution of each term's p values; the intercept's only if there is no other.

    Parameters
    ----------
    results : Analysis
        The analysis.
    memory : int, optional
        Bytes for the values of terms.

    Raises
    ------
    FormatError
        If the file is damaged.
    """
    named = raw_p_values(results.names)
    groups = [[name] for name in named.values()]
    found = read_together(results, groups, _BYTES_PER_ROW, memory=memory)
    for (term, name), rows in zip(named.items(), found, strict=True):
        yield PValues.of(term, rows[name])


def raw_p_values(names: Sequence[str]) -> dict[str, str]:
    """Return the results that are p values without a correction, by term.

    >>> raw_p_values(['Intercept.p.value', 'age.p.value', 'age.p.value.fdr', 'model.p.value'])
    {'age': 'age.p.value', 'model': 'model.p.value'}
    """
    found: dict[str, str] = {}
    for name in names:
        result = ResultName.of(name)
        if result.statistic == P_VALUE and result.correction in NO_CORRECTION:
            found.setdefault(result.term, name)
    others = {term: name for term, name in found.items() if term not in INTERCEPT}
    return others if others.keys() - {'model'} else found
