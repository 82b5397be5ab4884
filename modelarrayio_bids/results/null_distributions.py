"""Null distributions of the greatest statistic over all elements of an HDF5 file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby
from operator import itemgetter

import numpy as np

from modelarrayio_bids.models.permutation import BATCH, Maxima, PermutationTest, take_greater
from modelarrayio_bids.results.values import Values, block_width
from modelarrayio_bids.runtime.parallel import one_blas_thread, ordered_map
from modelarrayio_bids.runtime.progress import tracked
from modelarrayio_bids.store.chunk_reader import StoredColumns

# Labellings for which the elements are read once.
_PART = 64 * BATCH
# Bytes for each image and element of a block: measured.
_BYTES_PER_VALUE = 40


def null_distribution(
    test: PermutationTest, values: Values, part: range | None = None, *, threads: int = 1
) -> np.ndarray:
    """Return the greatest statistic of each labelling over all elements.

    Numbers do not depend on threads, nor on how labellings are divided.

    Parameters
    ----------
    test : PermutationTest
        Test to run.
    values : Values
        The response.
    part : range, optional
        Range of labellings, from a multiple of :data:`~.permutation.BATCH` (default: all).
    threads : int, optional
        Blocks of elements at the same time.

    Returns
    -------
    numpy.ndarray
        (n_tests, n_labellings) float64: |t| or F.
    """
    part = range(len(test.labellings)) if part is None else part
    parts = [part[first : first + _PART] for first in range(0, len(part), _PART)]
    n_blocks = -(-values.response.shape[1] // block_width(values.response))
    found = [np.empty((len(test.columns), 0))]
    with one_blas_thread():
        maxima = tracked(
            *(_maxima(test, values, parts, threads), f'Permuting {values.response.name}'),
            *(len(parts) * n_blocks, 'parts'),
        )
        for _, several in groupby(maxima, itemgetter(0)):
            greatest: Maxima = {}
            for _, of_block in several:
                take_greater(greatest, of_block)
            found.append(test.null_distribution(greatest))
    return np.concatenate(found, axis=1)


def working_bytes(test: PermutationTest, values: Values, threads: int) -> int:
    """Return the bytes that permuting takes beside the results."""
    n_images, width = values.response.shape[0], block_width(values.response)
    # A block as it is stored, inflated and chosen from.
    of_block = width * n_images * _BYTES_PER_VALUE
    return threads * (of_block + test.working_bytes(_PART)) + test.labellings.nbytes


def _maxima(
    test: PermutationTest, values: Values, parts: Sequence[range], threads: int
) -> Iterator[tuple[range, Maxima]]:
    """Yield the greatest statistics of each block of elements, for one part after another."""
    for part in parts:
        stored = values.stored_blocks(range(values.response.shape[1]))
        for found in ordered_map(partial(_of_block, test, values, part), stored, threads):
            yield part, found


def _of_block(
    test: PermutationTest,
    values: Values,
    part: range,
    stored: tuple[range, Mapping[str, StoredColumns]],
) -> Maxima:
    responses = values.inflate(stored[1])[values.response.name]
    return test.maxima(responses, slice(part.start, part.stop))
