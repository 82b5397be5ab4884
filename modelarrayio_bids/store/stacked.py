"""The rows of a file with more rows below them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from modelarrayio_bids.store.scalars import Scalar
from modelarrayio_bids.store.scratch import ColumnBlocks


class StackedRows:
    """A matrix whose first rows are in an HDF5 file, read by blocks of columns.

    Parameters
    ----------
    above : Scalar
        Of the file: its values, (n_above, n_columns), are the first rows.
    below : ColumnBlocks
        The rows that follow, (n_below, n_columns); their cut is that of the whole.
    threads : int, optional
        That inflate.
    """

    def __init__(self, above: Scalar, below: ColumnBlocks, threads: int = 1) -> None:
        self.blocks = below.blocks.with_rows(len(above.names) + below.blocks.n_rows)
        self.dtype = below.dtype
        self._above = above
        self._below = below
        self._threads = threads

    def __iter__(self) -> Iterator[tuple[int, np.ndarray]]:
        """As :class:`~modelarrayio_bids.store.scratch.ColumnBlocks`."""
        n_above = len(self._above.names)
        # One buffer for all blocks: a second one would double what a run needs.
        buffer = np.empty(self.blocks.n_rows * self.blocks.width, self.dtype)
        for start, rows in self._below:
            width = rows.shape[1]
            block = buffer[: self.blocks.n_rows * width].reshape(self.blocks.n_rows, width)
            self._above.read_into(start, block[:n_above], self._threads)
            block[n_above:] = rows
            yield start, block
