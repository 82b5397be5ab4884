"""Rows in, column blocks out, within a memory budget.

Images come one subject after another, chunks need every subject of a few elements: a transpose of
the whole matrix. What fits the budget is transposed in memory. What does not goes through a file
laid out in column blocks, so that each row is a few long writes and each block one long read.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import numpy as np

from modelarrayio_bids.store.chunks import Blocks


class Scratch:
    """A matrix that is filled by rows and read by blocks of columns.

    Parameters
    ----------
    blocks : Blocks
        How it is cut; one block is held in memory.
    dtype : numpy.dtype
        Of the values kept.
    folder : pathlib.Path
        Where the file goes when there are several blocks. Never ``/tmp``, which may be memory.

    Examples
    --------
    >>> import numpy as np, pathlib
    >>> blocks = Blocks(n_rows=2, n_columns=3, chunk=1, width=2)
    >>> with Scratch(blocks, np.dtype('f4'), pathlib.Path()) as scratch:
    ...     scratch.put(1, np.array([4, 5, 6]))
    ...     scratch.put(0, np.array([1, 2, 3]))
    ...     [(start, block.tolist()) for start, block in scratch]
    [(0, [[1.0, 2.0], [4.0, 5.0]]), (2, [[3.0], [6.0]])]
    """

    def __init__(self, blocks: Blocks, dtype: np.dtype, folder: Path) -> None:
        self.blocks = blocks
        self.dtype = np.dtype(dtype)
        self._spans = blocks.spans()
        self._matrix: np.ndarray | None = None
        if len(self._spans) == 1:
            self._matrix = np.empty((blocks.n_rows, blocks.n_columns), self.dtype)
        else:
            # Without a name from the start: nothing stays, whatever ends the process.
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._matrix is None:
            self._file.close()
        self._matrix = None

    def put(self, row: int, values: np.ndarray) -> None:
        """Keep the values of one row, (n_columns,), from any thread."""
        with np.errstate(over='ignore'):
            values = values.astype(self.dtype, copy=False)
        if self._matrix is not None:
            self._matrix[row] = values
            return
        for start, stop in self._spans:
            self._write(values[start:stop], self._offset(start, stop, row))

    def __iter__(self) -> Iterator[tuple[int, np.ndarray]]:
        """First column and values (n_rows, width) of each block, valid until the next one."""
        if self._matrix is not None:
            yield 0, self._matrix
            return
        # One buffer for all blocks: a second one would double what a run needs.
        buffer = np.empty(self.blocks.n_rows * self.blocks.width, self.dtype)
        for start, stop in self._spans:
            block = buffer[: self.blocks.n_rows * (stop - start)]
            self._file.seek(self._offset(start, stop, 0))
            self._file.readinto(block.data.cast('B'))
            yield start, block.reshape(self.blocks.n_rows, stop - start)

    def _offset(self, start: int, stop: int, row: int) -> int:
        return (start * self.blocks.n_rows + (stop - start) * row) * self.dtype.itemsize

    def _write(self, values: np.ndarray, offset: int) -> None:
        data = values.data.cast('B')
        while data:
            written = os.pwrite(self._file.fileno(), data, offset)
            data, offset = data[written:], offset + written
