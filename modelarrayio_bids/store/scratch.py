"""Rows in, column blocks out, within a memory budget.

Images come one subject after another, chunks need every subject of a few elements: a transpose of
the whole matrix. What fits the budget is transposed in memory. What does not goes through a file
laid out in column blocks, so that each row is a few long writes and each block one long read; or
through several such files, each with some of the rows, written by different machines.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np

from modelarrayio_bids.store.chunk_layout import Blocks


class ColumnBlocks(Protocol):
    """A matrix that is read by blocks of columns."""

    blocks: Blocks
    dtype: np.dtype

    def __iter__(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield first column and values (n_rows, width) of each block, valid until the next one."""
        ...


class RowFile:
    """Some rows of a matrix in an open file, laid out in column blocks.

    Parameters
    ----------
    file : binary file
        Closed by its owner.
    blocks : Blocks
        Division of the matrix of these rows into column blocks.
    dtype : numpy.dtype
        Data type of the values.
    """

    def __init__(self, file: BinaryIO, blocks: Blocks, dtype: np.dtype) -> None:
        self._file = file
        self.blocks = blocks
        self.dtype = np.dtype(dtype)

    def put(self, row: int, values: np.ndarray) -> None:
        """Keep the values of one row, (n_columns,), from any thread."""
        values = as_stored(values, self.dtype)
        for start, stop in self.blocks.spans():
            self._write(values[start:stop], self._offset(start, stop, row))

    def read_into(self, start: int, block: np.ndarray) -> None:
        """Read the block that begins with a column, contiguous (n_rows, width)."""
        self._file.seek(self._offset(start, start + block.shape[1], 0))
        if self._file.readinto(block.data.cast('B')) < block.nbytes:  # type: ignore[attr-defined]
            raise OSError(f'{self._file.name} is shorter than its rows')

    def put_block(self, start: int, block: np.ndarray) -> None:
        """Keep one of the blocks, (n_rows, width), that begins with a column."""
        stop = start + block.shape[1]
        self._write(np.ascontiguousarray(block, self.dtype).ravel(), self._offset(start, stop, 0))

    def put_columns(self, columns: np.ndarray, values: np.ndarray) -> None:
        """Keep the values of some columns, (n_rows, columns.size), wherever these are."""
        width = self.blocks.width
        for number in np.unique(columns // width):
            start, stop = number * width, min((number + 1) * width, self.blocks.n_columns)
            inside = columns // width == number
            block = np.empty((self.blocks.n_rows, stop - start), self.dtype)
            if np.count_nonzero(inside) < stop - start:
                self.read_into(start, block)
            block[:, columns[inside] - start] = values[:, inside]
            self.put_block(start, block)

    def row(self, row: int) -> np.ndarray:
        """Read the values of one row, (n_columns,), from any thread."""
        values = np.empty(self.blocks.n_columns, self.dtype)
        for start, stop in self.blocks.spans():
            part = values[start:stop].data.cast('B')
            if os.preadv(self._file.fileno(), [part], self._offset(start, stop, row)) < len(part):
                raise OSError(f'{self._file.name} is shorter than its rows')
        return values

    def __iter__(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield blocks as :class:`ColumnBlocks` does."""
        yield from StackedRows(self.blocks, self.dtype, [(self.blocks.n_rows, self.read_into)])

    def _offset(self, start: int, stop: int, row: int) -> int:
        return (start * self.blocks.n_rows + (stop - start) * row) * self.dtype.itemsize

    def _write(self, values: np.ndarray, offset: int) -> None:
        data = values.data.cast('B')
        while data:
            written = os.pwrite(self._file.fileno(), data, offset)
            data, offset = data[written:], offset + written


@dataclass
class HeldRows:
    """Rows of a matrix in memory: filled and read as a :class:`RowFile`.

    Parameters
    ----------
    blocks : Blocks
        One block.
    dtype : numpy.dtype
        Data type of the values.
    """

    blocks: Blocks
    dtype: np.dtype

    def __post_init__(self) -> None:
        self._matrix = np.empty((self.blocks.n_rows, self.blocks.n_columns), self.dtype)

    def put(self, row: int, values: np.ndarray) -> None:
        """Keep the values of one row, (n_columns,), from any thread."""
        self._matrix[row] = as_stored(values, self.dtype)

    def put_block(self, start: int, block: np.ndarray) -> None:
        """Keep some columns, (n_rows, width)."""
        self._matrix[:, start : start + block.shape[1]] = block

    def put_columns(self, columns: np.ndarray, values: np.ndarray) -> None:
        """Keep the values of some columns, (n_rows, columns.size), wherever these are."""
        self._matrix[:, columns] = values

    def row(self, row: int) -> np.ndarray:
        """Return the values of one row, (n_columns,), from any thread."""
        return self._matrix[row]

    def read_into(self, start: int, block: np.ndarray) -> None:
        """Read some columns, (n_rows, width)."""
        block[:] = self._matrix[:, start : start + block.shape[1]]

    def __iter__(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the matrix as :class:`ColumnBlocks` does."""
        yield 0, self._matrix


#: A matrix that is filled one way and read the other.
Scratch = RowFile | HeldRows


@contextmanager
def open_scratch(blocks: Blocks, dtype: np.dtype, folder: Path) -> Iterator[Scratch]:
    """Hand over a matrix to fill one way and read the other.

    By rows and then by blocks of columns, as images come and chunks are wanted, or the other way
    round.

    Parameters
    ----------
    blocks : Blocks
        Division into column blocks; one block is held in memory.
    dtype : numpy.dtype
        Data type of the values.
    folder : pathlib.Path
        Folder of the file for several blocks. Never ``/tmp``, which may be memory.

    Examples
    --------
    >>> import numpy as np, pathlib
    >>> blocks = Blocks(n_rows=2, n_columns=3, chunk=1, width=2)
    >>> with open_scratch(blocks, np.dtype('f4'), pathlib.Path()) as scratch:
    ...     scratch.put(1, np.array([4, 5, 6]))
    ...     scratch.put(0, np.array([1, 2, 3]))
    ...     [(start, block.tolist()) for start, block in scratch]
    [(0, [[1.0, 2.0], [4.0, 5.0]]), (2, [[3.0], [6.0]])]
    """
    if len(blocks.spans()) == 1:
        yield HeldRows(blocks, dtype)
        return
    # Without a name from the start: nothing stays, whatever ends the process.
    with tempfile.TemporaryFile(dir=folder) as file:
        # Missing values are zero, and can be read.
        file.truncate(blocks.n_rows * blocks.n_columns * dtype.itemsize)
        yield RowFile(file, blocks, dtype)


@dataclass
class StackedRows:
    """A matrix whose rows are in several places, read by blocks of columns.

    Parameters
    ----------
    blocks : Blocks
        Division of the whole matrix into column blocks.
    dtype : numpy.dtype
        Type of the values.
    parts : sequence of tuple
        From top to bottom, the number of rows of a part, and the function that reads into an array,
        contiguous (n_rows, width), the columns that begin with one: ``read_into(start, block)``.
    """

    blocks: Blocks
    dtype: np.dtype
    parts: Sequence[tuple[int, Callable[[int, np.ndarray], object]]]

    def __iter__(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield blocks as :class:`ColumnBlocks` does."""
        n_rows = self.blocks.n_rows
        # One buffer for all blocks: a second one would double what a run needs.
        buffer = np.empty(n_rows * self.blocks.width, self.dtype)
        for start, stop in self.blocks.spans():
            block = buffer[: n_rows * (stop - start)].reshape(n_rows, stop - start)
            first = 0
            for n_part, read_into in self.parts:
                read_into(start, block[first : first + n_part])
                first += n_part
            yield start, block


def as_stored(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return values in the type that is kept; what is too large for it becomes infinite."""
    with np.errstate(over='ignore'):
        return values.astype(dtype, copy=False)
