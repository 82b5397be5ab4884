"""Summaries of the values of a scalar in a file, for quality control.

Of each source the shape of its distribution, and how it goes with the others; of each element its
mean and spread over the cohort. R ignores them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Quantiles of the distribution of a row.
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
#: Statistics of a row that are known when it is read.
ROW = np.dtype([
    ('n_missing', np.int64),  # outside the own mask, or NaN
    ('n_infinite', np.int64),
    ('n_zero', np.int64),
    ('minimum', np.float64),  # this and all below: of the finite values
    ('maximum', np.float64),
    ('mean', np.float64),
    ('sd', np.float64),
    ('quantiles', np.float64, (len(QUANTILES),)),
    ('sha256', 'S64'),  # of the file, in hexadecimal
])  # fmt: skip


@dataclass(frozen=True)
class Summary:
    """Distribution of the values of a scalar, by source and by element.

    Parameters
    ----------
    rows : numpy.ndarray
        (n_sources,) of type :data:`ROW`.
    correlation : numpy.ndarray
        (n_sources,) float64: Pearson's, of a row with the mean of the others over the elements that
        it shares with any of them. NaN where there are none, or a row is constant. Here and below,
        values more than ten usual ranges (from the 5th percentile to the 95th) away from the usual
        median count as so far.
    distance : numpy.ndarray
        (n_sources,) float64: root mean square, over its elements, of how many standard deviations
        a row is away from the mean of all. About 1 for a row like the others.
    count : numpy.ndarray
        (n_elements,) int32: sources with a finite value.
    mean, sd : numpy.ndarray
        (n_elements,) float32, over those sources; NaN where there are none, or for ``sd`` one.
    """

    rows: np.ndarray
    correlation: np.ndarray
    distance: np.ndarray
    count: np.ndarray
    mean: np.ndarray
    sd: np.ndarray

    def of_rows(self) -> dict[str, np.ndarray]:
        """Return by name, (n_sources, …): as a file keeps them."""
        recorded = {name: self.rows[name] for name in ROW.names or ()}
        return recorded | {'correlation': self.correlation, 'distance': self.distance}

    def of_elements(self) -> dict[str, np.ndarray]:
        """Return by name, (n_elements,): as a file keeps them."""
        return {'count': self.count, 'mean': self.mean, 'sd': self.sd}
