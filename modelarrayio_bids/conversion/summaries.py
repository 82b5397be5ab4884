"""Summaries of a scalar, made in the one pass over its values that builds the file.

A row is looked at when it has been read (:class:`RowRecorder`), the columns when they are about to
be written (:class:`SummarisedBlocks`); neither keeps values. What is kept is described in
:mod:`modelarrayio_bids.store.summary`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from modelarrayio_bids.cohort import Source
from modelarrayio_bids.runtime.parallel import ordered_map
from modelarrayio_bids.runtime.user_input import open_regular
from modelarrayio_bids.spaces.input_files import image_files
from modelarrayio_bids.store.chunk_layout import Blocks
from modelarrayio_bids.store.scratch import ColumnBlocks, as_stored
from modelarrayio_bids.store.summary import QUANTILES, ROW, Summary

# Values that quantiles are taken of: of more, as many evenly spaced ones. Their error is that of
# a rank of 0.4% (binomial), and sorting a row of two millions would take longer than reading it.
_SAMPLE = 2**14
# Values of a part of a block that a thread works on: what it makes of them fits its cache.
_PART = 2**16
# Digits of a correlation: the last bits of sums depend on how a matrix was cut.
_DIGITS = 6
# Of the sum of squares: rounding errors of a constant row are not variance.
_LEAST_SPREAD = 1e-12
# Values this many usual ranges (from the 5th percentile to the 95th) away from what is usual count
# as that far when rows are compared: else a few wild ones would be all there is to compare.
_REACH = 10
# Bytes, for each value of a part, of what is made of it: three matrices of float64 and a mask.
_BYTES_OF_VALUE = 3 * 8 + 1
# Bytes, for each value of a row, of its finite ones and two masks.
_BYTES_IN_ROW = 8 + 2
_BYTES_OF_ELEMENT = sum(np.dtype(kind).itemsize for kind in ('i4', 'f4', 'f4'))


def memory_needed(n_elements: int, threads: int) -> int:
    """Return the most bytes that summaries take beside the values."""
    working = max(_PART * _BYTES_OF_VALUE, n_elements * _BYTES_IN_ROW)
    return n_elements * _BYTES_OF_ELEMENT + threads * working


@dataclass
class RowRecorder:
    """Recorder of each row on its way, for ``row_reader.read_rows`` to call.

    Parameters
    ----------
    sources : sequence of Source
        Sources of the rows.
    put : callable
        Takes the number of a row and its values next.
    dtype : numpy.dtype
        Data type in which values are kept and summarised.
    """

    sources: Sequence[Source]
    put: Callable[[int, np.ndarray], None]
    dtype: np.dtype

    def __post_init__(self) -> None:
        self.records = np.zeros(len(self.sources), ROW)

    def __call__(self, row: int, values: np.ndarray) -> None:
        """Record one row and hand it on, from any thread."""
        values = as_stored(values, self.dtype)
        self.records[row] = row_record(values)
        # Just read: the file is still in the system's cache.
        self.records[row]['sha256'] = checksum(*image_files(self.sources[row]))
        self.put(row, values)


def row_record(values: np.ndarray) -> np.ndarray:
    """Return facts about a row, (n_elements,), but for its file: () of type :data:`ROW`.

    >>> record = row_record(np.array([0, 1, 2, 3, np.nan, np.inf]))
    >>> [record[name].item() for name in ('n_missing', 'n_infinite', 'n_zero', 'mean', 'maximum')]
    [1, 1, 1, 1.5, 3.0]
    """
    record = np.zeros((), ROW)
    finite = values[np.isfinite(values)]
    record['n_infinite'] = np.count_nonzero(np.isinf(values))
    record['n_missing'] = values.size - finite.size - record['n_infinite']
    record['n_zero'] = finite.size - np.count_nonzero(finite)
    if not finite.size:
        for name in ('minimum', 'maximum', 'mean', 'sd', 'quantiles'):
            record[name] = np.nan
        return record
    record['minimum'], record['maximum'] = finite.min(), finite.max()
    record['mean'] = finite.mean(dtype=np.float64)
    record['sd'] = finite.std(dtype=np.float64)
    sample = finite[:: -(-finite.size // _SAMPLE)]
    record['quantiles'] = np.quantile(sample, QUANTILES)
    return record


def checksum(*paths: Path) -> str:
    """Return the SHA-256 of a file, or of several one after the other, in hexadecimal."""
    digest = hashlib.sha256()
    for path in paths:
        with open_regular(path, whole=True) as file:
            hashlib.file_digest(file, lambda: digest)
    return digest.hexdigest()


class SummarisedBlocks:
    """A matrix read by blocks of columns, each summarised on its way.

    Parameters
    ----------
    matrix : ColumnBlocks
        The values.
    rows : numpy.ndarray
        (n_rows,) of type :data:`ROW`: what was recorded of the rows when they were read.
    threads : int
        Threads that work on a block.
    """

    def __init__(self, matrix: ColumnBlocks, rows: np.ndarray, threads: int) -> None:
        self.blocks: Blocks = matrix.blocks
        self.dtype = matrix.dtype
        self._matrix = matrix
        self._rows = rows
        self._threads = threads
        self._count = np.zeros(self.blocks.n_columns, np.int32)
        self._mean = np.full(self.blocks.n_columns, np.nan, np.float32)
        self._sd = self._mean.copy()
        self._sums = np.zeros((self.blocks.n_rows, _N_SUMS))
        # Taken away from all values: squares of what is left lose no digits. The median, since one
        # wild row would take those of all others.
        medians = rows['quantiles'][:, QUANTILES.index(0.5)]
        medians = medians[np.isfinite(medians)]
        self._centre = float(np.median(medians)) if medians.size else 0.0
        ranges = rows['quantiles'][:, -1] - rows['quantiles'][:, 0]
        ranges = ranges[np.isfinite(ranges) & (ranges > 0)]
        self._reach = _REACH * float(np.median(ranges)) if ranges.size else np.inf

    def __iter__(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield blocks as :class:`ColumnBlocks` does."""
        width = max(1, _PART // self.blocks.n_rows)
        summarise = partial(_summarised, self._centre, self._reach)
        for start, block in self._matrix:
            parts = [block[:, first : first + width] for first in range(0, block.shape[1], width)]
            column = start
            for moments, sums in ordered_map(summarise, parts, self._threads):
                stop = column + moments[0].size
                for kept, found in zip((self._count, self._mean, self._sd), moments, strict=True):
                    kept[column:stop] = found
                self._sums += sums
                column = stop
            yield start, block

    def summary(self) -> Summary:
        """Return the summary, once all blocks have passed."""
        correlation, distance = (
            np.round(measure(self._sums), _DIGITS) for measure in (_correlation, _distance)
        )
        return Summary(self._rows, correlation, distance, self._count, self._mean, self._sd)


#: Values and their squares, those of the others, and products; then z² and how many there are.
_N_SUMS = 8


def _summarised(
    centre: float, reach: float, part: np.ndarray
) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """Return moments of some columns, and for each row the sums that compare it with the others.

    The mean of the others at an element is ``(total − x) / (count − 1)``. Multiplied out, every sum
    over it is a product of the values, or of their squares, with a vector. So is that of z².
    """
    finite = np.isfinite(part)
    known = finite.astype(np.float64)
    x = np.where(finite, np.subtract(part, centre, dtype=np.float64), 0)
    count = known.sum(axis=0)
    mean, variance = _moments(count, x.sum(axis=0), (x * x).sum(axis=0))
    moments = count, mean + centre, np.sqrt(variance)
    if np.abs(x).max(initial=0) > reach:
        x = np.clip(x, -reach, reach)
    squares = x * x
    total = x.sum(axis=0)
    mean, variance = _moments(count, total, squares.sum(axis=0))
    share, precision = _reciprocal(count - 1), _reciprocal(variance)
    shared, others, pull = share > 0, total * share, np.nan_to_num(mean) * precision
    at_mean = np.nan_to_num(mean) * pull
    of_known = known @ np.stack([shared, others, others**2, at_mean, precision > 0], axis=1)
    of_x = x @ np.stack([shared, share, others, others * share, pull], axis=1)
    of_squares = squares @ np.stack([shared, share, share**2, precision], axis=1)
    sums = np.stack([
        of_known[:, 0],
        of_x[:, 0],
        of_squares[:, 0],
        of_known[:, 1] - of_x[:, 1],
        of_known[:, 2] - 2 * of_x[:, 3] + of_squares[:, 2],
        of_x[:, 2] - of_squares[:, 1],
        of_squares[:, 3] - 2 * of_x[:, 4] + of_known[:, 3],
        of_known[:, 4],
    ], axis=1)  # fmt: skip
    return moments, sums


def _moments(
    count: np.ndarray, total: np.ndarray, squares: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and variance (over n − 1) of columns, NaN where there are too few values."""
    with np.errstate(divide='ignore', invalid='ignore'):
        mean = total / count
        spread = squares - total * mean
        spread[spread < _LEAST_SPREAD * squares] = 0
        return mean, np.where(count > 1, spread / (count - 1), np.nan)


def _reciprocal(values: np.ndarray) -> np.ndarray:
    """Return 1 / values, and 0 for what is not above 0."""
    return np.divide(1, values, out=np.zeros_like(values), where=values > 0)


def _correlation(sums: np.ndarray) -> np.ndarray:
    """Return Pearson's correlation for each row of sums."""
    n, x, xx, y, yy, xy, *_ = sums.T
    spread = _spread(n, x, xx) * _spread(n, y, yy)
    with np.errstate(divide='ignore', invalid='ignore'):
        return np.where(spread > 0, (n * xy - x * y) / np.sqrt(spread), np.nan)


def _spread(n: np.ndarray, total: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Return n² times a variance, 0 where it is but rounding."""
    spread = n * squares - total * total
    return np.where(spread > _LEAST_SPREAD * n * squares, spread, 0)


def _distance(sums: np.ndarray) -> np.ndarray:
    """Return the root mean square of z, for each row of sums."""
    squares, n = sums[:, 6], sums[:, 7]
    with np.errstate(divide='ignore', invalid='ignore'):
        return np.sqrt(np.maximum(squares, 0) / n)
