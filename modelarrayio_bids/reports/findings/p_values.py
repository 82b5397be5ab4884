"""Distributions of p values that are not corrected, and of the statistics of permutations.

Without any effect p values are uniform: as many in each bin of a histogram, and on the diagonal of
a quantile-quantile plot.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from modelarrayio_bids.derivatives.outputs.statmaps import ResultName
from modelarrayio_bids.models.adjustment import LEVEL, P_VALUE
from modelarrayio_bids.reports.findings.terms import (
    IN_MEMORY,
    INTERCEPT,
    NO_CORRECTION,
    read_together,
)
from modelarrayio_bids.results.model_facts import ModelFacts
from modelarrayio_bids.store.reader import Analysis, StoreReader

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
            *(term, counts, int(np.searchsorted(p, LEVEL))),
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


@dataclass(frozen=True, eq=False)
class NullDistribution:
    """Greatest statistics over all elements, one for each labelling.

    Parameters
    ----------
    term : str
        Term that is tested.
    statistic : str
        ``|t|`` or ``F``.
    maxima : numpy.ndarray
        (n_labellings,) float64; that of the unpermuted one first.
    """

    term: str
    statistic: str
    maxima: np.ndarray

    @property
    def observed(self) -> float:
        """The greatest statistic without permutation."""
        return float(self.maxima[0])

    @property
    def p(self) -> float:
        """The least corrected p value: that of the greatest statistic."""
        return float(np.mean(self.maxima >= self.observed))

    @property
    def threshold(self) -> float:
        """The statistic above which the corrected p value is less than :data:`LEVEL`.

        >>> NullDistribution('age', '|t|', np.arange(100.0)).threshold
        95.0
        """
        rank = math.ceil(LEVEL * len(self.maxima))
        return float(np.sort(self.maxima)[-rank])


def find_null_distributions(store: StoreReader, analysis: str) -> list[NullDistribution]:
    """Return the null distributions that a file keeps of an analysis.

    Raises
    ------
    SchemaError
        If they are damaged.
    """
    facts = ModelFacts.of(store.described(analysis))
    if facts is None:
        return []
    found = []
    for name, maxima in store.null_distributions(analysis).items():
        term = ResultName.of(name).term
        tested = facts.tested.get(term)
        is_f = tested is not None and tested.statistic == 'F'
        found.append(NullDistribution(term, 'F' if is_f else '|t|', maxima))
    return found
