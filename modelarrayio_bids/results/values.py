"""Values of the scalars of a model, read by blocks of elements.

Blocks have fixed positions, so that linear algebra gives the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from modelarrayio_bids.store.chunk_reader import StoredColumns
from modelarrayio_bids.store.scalars import Scalar

# Elements fitted at a time by a thread: enough for BLAS, few enough for the processor's cache.
_BLOCK_ELEMENTS = 2048
# Values fitted at a time by a thread: of more than 1,000 images, fewer elements.
_BLOCK_VALUES = 2**21
# Elements of a chunk of results: about 1000, as ModelArray has them, in whole chunks of values.
_CHUNK_ELEMENTS = 1000


@dataclass(frozen=True)
class Values:
    """Values of the scalars of a model, by blocks of elements.

    Parameters
    ----------
    scalars : dict of Scalar
        By name, the response first.
    rows : dict of numpy.ndarray
        By name: (n_images,) int, the row of the scalar's values for each image of the model, -1
        where there is none.
    """

    scalars: Mapping[str, Scalar]
    rows: Mapping[str, np.ndarray]

    @property
    def response(self) -> Scalar:
        """The scalar that is modelled."""
        return next(iter(self.scalars.values()))

    def stored(self, start: int, stop: int) -> dict[str, StoredColumns]:
        """Read some elements of each scalar, as they are stored."""
        return {name: scalar.stored(start, stop) for name, scalar in self.scalars.items()}

    def inflate(self, stored: Mapping[str, StoredColumns]) -> dict[str, np.ndarray]:
        """Return by scalar (n_images, width), NaN where there is no image."""
        return {name: self._inflate(name, columns) for name, columns in stored.items()}

    def _inflate(self, name: str, stored: StoredColumns) -> np.ndarray:
        values, rows = self.scalars[name].inflate(stored), self.rows[name]
        if np.array_equal(rows, np.arange(len(values))):
            return values
        taken = values[rows]
        taken[rows < 0] = np.nan
        return taken

    def stored_blocks(self, chosen: range) -> Iterator[tuple[range, dict[str, StoredColumns]]]:
        """Yield the blocks that hold some elements, with their values as they are stored."""
        width, n_elements = block_width(self.response), self.response.shape[1]
        for first in range(chosen.start // width * width, chosen.stop, width):
            block = range(first, min(first + width, n_elements))
            yield block, self.stored(block.start, block.stop)


def block_width(scalar: Scalar) -> int:
    """Return how many elements are fitted at once.

    Blocks lie at its multiples, whichever elements are asked for: the last bits of linear algebra
    depend on how it is cut, and slices are to give the numbers of the whole.
    """
    chunk = chunk_width(scalar)
    return max(1, min(_BLOCK_ELEMENTS, _most_elements(scalar)) // chunk) * chunk


def chunk_width(scalar: Scalar) -> int:
    """Return how many elements a chunk of results has."""
    own = scalar.chunk_columns
    return max(1, round(min(_CHUNK_ELEMENTS, _most_elements(scalar)) / own)) * own


def _most_elements(scalar: Scalar) -> int:
    return _BLOCK_VALUES // scalar.shape[0]
