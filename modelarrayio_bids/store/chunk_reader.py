"""A matrix in an HDF5 file read chunk by chunk, inflated in threads.

R writes the results of an analysis in chunks that span all of them. HDF5 inflates a chunk each time
it is asked for a part of it, in one thread; here each is inflated once, by whatever codec is the
fastest, and handed on whole.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import h5py
import numpy as np

from modelarrayio_bids.formats.compression import inflate_exactly
from modelarrayio_bids.runtime.parallel import ordered_map
from modelarrayio_bids.store.chunk_layout import unshuffled
from modelarrayio_bids.store.hdf5_filters import filters_of

# Columns of a dataset that is not compressed as R does it, read at a time: about this many bytes.
_PART_BYTES = 4 * 2**20
# A chunk deflated, inflated, and in order.
_COPIES = 3
# More than this is not taken in several threads.
_IN_THREADS = 64 * 2**20
_DEFLATE = ('gzip',)
_SHUFFLE_DEFLATE = ('shuffle', 'gzip')


def column_blocks(dataset: h5py.Dataset, threads: int = 1) -> Iterator[tuple[int, np.ndarray]]:
    """Yield runs of columns, each whole, in order, every chunk inflated once.

    Parameters
    ----------
    dataset : h5py.Dataset
        Dataset of two dimensions.
    threads : int, optional
        Threads that decompress, if chunks span all rows.

    Yields
    ------
    tuple
        First column, and values (n_rows, width) in the type of the dataset.
    """
    # R may have put all into one chunk: several at a time would be all there is.
    alone = _COPIES * _block_bytes(dataset) * (threads + 1) > _IN_THREADS
    return _runs(dataset, 0, dataset.shape[1], 1 if alone else threads)


def inflating_bytes(dataset: h5py.Dataset, threads: int = 1) -> int:
    """Return the bytes that :func:`column_blocks` takes at a time."""
    alone = _COPIES * _block_bytes(dataset)
    together = alone * (threads + 1)
    return together if together <= _IN_THREADS else alone


def _block_bytes(dataset: h5py.Dataset) -> int:
    """Return the bytes of a run of columns, or of a chunk where that is more."""
    values = max(dataset.shape[0] * block_columns(dataset), math.prod(dataset.chunks or ()))
    return values * dataset.dtype.itemsize


def read_columns(dataset: h5py.Dataset, start: int, into: np.ndarray, threads: int = 1) -> None:
    """Read some columns, decompressing each chunk once.

    Parameters
    ----------
    dataset : h5py.Dataset
        Dataset of two dimensions.
    start : int
        First column.
    into : numpy.ndarray
        (n_rows, width), C order.
    threads : int, optional
        Threads that decompress, if chunks span all rows.
    """
    stop = start + into.shape[1]
    if not _is_simple(dataset):
        dataset.read_direct(into, np.s_[:, start:stop])
        return
    for first, values in _runs(dataset, start, stop, threads):
        into[:, first - start : first - start + values.shape[1]] = values


class StoredForm(NamedTuple):
    """The form of a dataset's chunks: asked of HDF5 once, not for each of them."""

    by_chunk: bool
    decode: Callable[[bytes | np.ndarray], np.ndarray]

    @classmethod
    def of(cls, dataset: h5py.Dataset) -> StoredForm:
        """Return the form of a dataset."""
        shuffled = filters_of(dataset) == _SHUFFLE_DEFLATE
        decode = partial(_decoded, dataset.chunks, dataset.dtype, shuffled=shuffled)
        return cls(_is_simple(dataset), decode)


@dataclass(frozen=True, eq=False)
class StoredColumns:
    """Columns of a dataset as they are stored, not decompressed yet.

    Reading takes HDF5's lock, inflating does not: one thread reads, others inflate.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns.
    dtype : numpy.dtype
        Type of the values.
    chunks : tuple
        First column of each chunk, relative to ``self``, and its bytes or values.
    decode : callable
        Turns a chunk into values.
    """

    shape: tuple[int, int]
    dtype: np.dtype
    chunks: tuple[tuple[int, bytes | np.ndarray], ...]
    decode: Callable[[bytes | np.ndarray], np.ndarray]

    @classmethod
    def read(cls, dataset: h5py.Dataset, start: int, stop: int, form: StoredForm) -> StoredColumns:
        """Read the columns from ``start`` to ``stop``, the latter not among them."""
        if form.by_chunk:
            firsts = range(start - start % dataset.chunks[1], stop, dataset.chunks[1])
            chunks = tuple((first - start, _stored(dataset, first)) for first in firsts)
        else:
            chunks = ((0, dataset[:, start:stop]),)
        return cls((dataset.shape[0], stop - start), dataset.dtype, chunks, form.decode)

    def values(self) -> np.ndarray:
        """Return the values, (n_rows, width)."""
        n_rows, width = self.shape
        if len(self.chunks) == 1:
            ((first, chunk),) = self.chunks
            return self.decode(chunk)[:n_rows, -first : width - first]
        into = np.empty(self.shape, self.dtype)
        for first, stored in self.chunks:
            chunk = self.decode(stored)
            begin, end = max(first, 0), min(first + chunk.shape[1], width)
            into[:, begin:end] = chunk[:n_rows, begin - first : end - first]
        return into


def block_columns(dataset: h5py.Dataset) -> int:
    """Return how many columns the runs have that :func:`column_blocks` yields: whole chunks."""
    n_rows, n_columns = dataset.shape
    if _is_simple(dataset):
        return min(dataset.chunks[1], n_columns)
    wanted = max(1, _PART_BYTES // (n_rows * dataset.dtype.itemsize))
    chunk = dataset.chunks[1] if dataset.chunks else 1
    return min(max(1, wanted // chunk) * chunk, n_columns)


def _is_simple(dataset: h5py.Dataset) -> bool:
    """Return whether chunks span all rows and are deflated, shuffled or not, and nothing else."""
    if not dataset.chunks or dataset.chunks[0] < dataset.shape[0]:
        return False
    return filters_of(dataset) in {_DEFLATE, _SHUFFLE_DEFLATE}


def _runs(
    dataset: h5py.Dataset, start: int, stop: int, threads: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the columns from ``start`` to ``stop`` chunk by chunk, inflated in threads."""
    width = block_columns(dataset)
    starts = [start, *range(start - start % width + width, stop, width)]
    # Reading a chunk as it is takes no lock in older h5py, which then fails, or ends the process,
    # where threads do it at once: it is left to the thread that takes the results.
    form = StoredForm.of(dataset)
    stored = (StoredColumns.read(dataset, *span, form) for span in pairwise([*starts, stop]))
    yield from zip(starts, ordered_map(StoredColumns.values, stored, threads), strict=True)


def _stored(dataset: h5py.Dataset, start: int) -> bytes | np.ndarray:
    """Return a chunk as it is stored; its values where it is not compressed."""
    info = dataset.id.get_chunk_info_by_coord((0, start))
    if info.byte_offset is None or info.filter_mask:
        # Never written, or stored as it is because compression did not pay.
        return dataset[:, start : start + dataset.chunks[1]]
    return dataset.id.read_direct_chunk((0, start))[1]


def _decoded(
    shape: tuple[int, int], dtype: np.dtype, stored: bytes | np.ndarray, *, shuffled: bool
) -> np.ndarray:
    if isinstance(stored, np.ndarray):
        return stored
    data = inflate_exactly(stored, shape[0] * shape[1] * dtype.itemsize)
    return unshuffled(data, shape, dtype) if shuffled else np.frombuffer(data, dtype).reshape(shape)
