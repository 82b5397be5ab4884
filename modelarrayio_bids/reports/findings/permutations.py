"""Null distributions of an analysis with a permutation test."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from modelarrayio_bids.derivatives.outputs.statmaps import ResultName
from modelarrayio_bids.results.model_facts import ModelFacts
from modelarrayio_bids.store.reader import StoreReader

#: Below which a p value corrected by permutations counts.
LEVEL = 0.05


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
