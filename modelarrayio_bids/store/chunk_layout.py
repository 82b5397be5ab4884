"""Blocks and chunks of a matrix, and the form of its storage: pure arithmetic.

ModelArray reads one element at a time, so a chunk spans every source and few elements. Users wait
for that read, and R inflates a whole chunk for it: with chunks of 2 MiB it took 14 ms, of 256 KiB
5.7 ms, of 64 KiB 4.9 ms, most of which is R's own. Building takes as long with either.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

import numpy as np

from modelarrayio_bids.errors import UsageError

DEFAULT_CHUNK_BYTES = 64 * 1024
#: Columns of a chunk at least, unless smaller chunks are asked for: of 10,000 sources, each column
#: would be a chunk, and HDF5's index of them larger in memory than a block.
_FEWEST_COLUMNS = 8
# Columns of chunks that are shuffled faster in two steps: 10,000 × 8 in half the time.
_NARROW = 16
#: HDF5 refuses a chunk of 4 GiB (``H5Pset_chunk``).
MAX_CHUNK_BYTES = 2**32 - 1


@dataclass(frozen=True)
class Blocks:
    """A matrix cut into column blocks, and these into chunks.

    Parameters
    ----------
    n_rows, n_columns : int
        Shape of the matrix.
    chunk : int
        Columns of one chunk.
    width : int
        Columns of one block: a multiple of ``chunk``, the last block may be narrower.

    Examples
    --------
    >>> blocks = Blocks(n_rows=3, n_columns=10, chunk=2, width=4)
    >>> list(blocks.spans())
    [(0, 4), (4, 8), (8, 10)]
    """

    n_rows: int
    n_columns: int
    chunk: int
    width: int

    @classmethod
    def within(cls, shape: tuple[int, int], chunk: int, itemsize: int, budget: int) -> Blocks:
        """Return the widest blocks of whole chunks, one at least, that fit a budget in bytes."""
        n_rows, n_columns = shape
        fitting = max(1, budget // (n_rows * chunk * itemsize))
        needed = -(-n_columns // chunk)
        return cls(n_rows, n_columns, chunk, chunk * min(fitting, needed))

    def with_rows(self, n_rows: int) -> Blocks:
        """Return the same columns of another number of rows."""
        return replace(self, n_rows=n_rows)

    def spans(self) -> list[tuple[int, int]]:
        """Return first and past-the-last column of each block."""
        starts = range(0, self.n_columns, self.width)
        return [(start, min(start + self.width, self.n_columns)) for start in starts]


def chunk_columns(
    shape: tuple[int, int],
    itemsize: int,
    target_bytes: float = DEFAULT_CHUNK_BYTES,
    columns: int = 0,
) -> int:
    """Return how many columns a chunk has that spans every row.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of the matrix.
    itemsize : int
        Bytes of one value.
    target_bytes : float, optional
        Size to aim for; of 64 KiB or more, chunks have 8 columns at least.
    columns : int, optional
        Columns that the user asked for; 0 to choose.

    Raises
    ------
    UsageError
        If the chunk would be larger than HDF5 allows.

    Examples
    --------
    >>> chunk_columns((400, 230_585), 4)
    40
    """
    n_rows, n_columns = shape
    fewest = _FEWEST_COLUMNS if target_bytes >= DEFAULT_CHUNK_BYTES else 1
    wanted = columns or max(fewest, int(target_bytes / (n_rows * itemsize)))
    chosen = max(1, min(wanted, n_columns))
    if chosen * n_rows * itemsize > MAX_CHUNK_BYTES:
        raise UsageError(
            f'chunks of {chosen} elements × {n_rows} sources pass the 4 GiB HDF5 allows',
            remedy='Give a smaller --chunk-voxels or --target-chunk-mb.',
        )
    return chosen


DTYPES = ('float32', 'float64')
COMPRESSIONS = ('gzip', 'lzf', 'none')


@dataclass(frozen=True)
class Layout:
    """Type, chunks and compression of values.

    Parameters
    ----------
    dtype : {'float32', 'float64'}
        R reads no other type without loss.
    compression : {'gzip', 'lzf', 'none'}
        R's HDF5 opens no other filter.
    level : int, optional
        zlib's level, 0 to 9. By default the fastest available codec: see
        :func:`modelarrayio_bids.formats.compression.deflate`.
    shuffle : bool
        Order bytes by significance before they are compressed.
    chunk_columns : int
        Elements of a chunk; 0 to choose by ``chunk_bytes``.
    chunk_bytes : float
        Size of a chunk to aim for; 0 or less for one element a chunk.
    """

    dtype: str = 'float32'
    compression: str = 'gzip'
    level: int | None = None
    shuffle: bool = True
    chunk_columns: int = 0
    chunk_bytes: float = DEFAULT_CHUNK_BYTES

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES or self.compression not in COMPRESSIONS:
            raise UsageError(
                f'{self.dtype} values with {self.compression} compression cannot be read by R',
                remedy=f'Choose among {", ".join(DTYPES)} and {", ".join(COMPRESSIONS)}.',
            )
        if self.level is not None and not 0 <= self.level <= 9:
            raise UsageError(
                f'there is no compression level {self.level}', remedy='Give one from 0 to 9.'
            )
        if self.chunk_columns < 0 or not math.isfinite(self.chunk_bytes):
            raise UsageError('a chunk needs a size', remedy='Leave the option out.')

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Self:
        """Return the layout of some fields by name; those of a later version do not count.

        >>> Layout.from_dict(json.loads(Layout(chunk_columns=40).to_json()))
        Layout(dtype='float32', compression='gzip', level=None, shuffle=True, ...)
        """
        known = {field.name for field in fields(cls)}
        layout = cls(**{name: value for name, value in found.items() if name in known})
        layout.chunk((1, 1))
        layout.filters()
        return layout

    def to_json(self) -> str:
        """Return the text that a file stores, for later additions."""
        return json.dumps(asdict(self))

    def chunk(self, shape: tuple[int, int]) -> int:
        """Return how many elements a chunk of a matrix of this shape has."""
        itemsize = np.dtype(self.dtype).itemsize
        return chunk_columns(shape, itemsize, self.chunk_bytes, self.chunk_columns)

    def filters(self) -> dict[str, Any]:
        """Return compression and order of bytes in the words of ``h5py.Group.create_dataset``."""
        if self.compression == 'none':
            return {}
        level = (4 if self.level is None else self.level) if self.compression == 'gzip' else None
        return {'compression': self.compression, 'compression_opts': level, 'shuffle': self.shuffle}


def shuffled(block: np.ndarray, start: int, stop: int, columns: int) -> np.ndarray:
    """Return a chunk of a block, padded to full width, its bytes in the order of HDF5's shuffle.

    Parameters
    ----------
    block : numpy.ndarray
        (n_rows, width), C order.
    start, stop : int
        Columns of the chunk within the block.
    columns : int
        Full width of a chunk.

    Returns
    -------
    numpy.ndarray
        (itemsize, n_rows, columns) uint8, contiguous: all first bytes, then all second bytes, …
    """
    n_rows, itemsize = block.shape[0], block.dtype.itemsize
    if columns < _NARROW:
        values = plain(block, start, stop, columns).view(np.uint8).reshape(-1, itemsize)
        return np.ascontiguousarray(values.T).reshape(itemsize, n_rows, columns)
    as_bytes = block.view(np.uint8).reshape(n_rows, -1, itemsize)[:, start:stop]
    empty = np.empty if stop - start == columns else np.zeros
    planes = empty((itemsize, n_rows, columns), np.uint8)
    planes[:, :, : stop - start] = as_bytes.transpose(2, 0, 1)
    return planes


def unshuffled(data: bytes, shape: tuple[int, int], dtype: np.dtype) -> np.ndarray:
    """Return the inverse of :func:`shuffled`, for a whole chunk: (n_rows, columns).

    >>> block = np.arange(6, dtype='<f8').reshape(2, 3)
    >>> unshuffled(shuffled(block, 0, 3, 3).tobytes(), (2, 3), block.dtype).tolist()
    [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    """
    planes = np.frombuffer(data, np.uint8).reshape(dtype.itemsize, -1)
    return np.ascontiguousarray(planes.T).view(dtype).reshape(shape)


def plain(block: np.ndarray, start: int, stop: int, columns: int) -> np.ndarray:
    """Return a chunk of a block, padded to full width: (n_rows, columns), contiguous."""
    chunk = np.zeros((block.shape[0], columns), block.dtype)
    chunk[:, : stop - start] = block[:, start:stop]
    return chunk
