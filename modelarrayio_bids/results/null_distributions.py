"""Null distributions of the greatest statistic over all elements of an HDF5 file."""

from __future__ import annotations

from collections.abc import Mapping
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
    n_elements = values.response.shape[1]
    n_blocks = -(-n_elements // block_width(values.response))
    # The elements are read once for each part.
    work = (
        (part, columns) for part in parts for _, columns in values.stored_blocks(range(n_elements))
    )
    found = [np.empty((len(test.columns), 0))]
    with one_blas_thread():
        maxima = ordered_map(partial(_maxima, test, values), work, threads)
        maxima = tracked(
            maxima, f'Permuting {values.response.name}', len(parts) * n_blocks, 'parts'
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
    test: PermutationTest, values: Values, work: tuple[range, Mapping[str, StoredColumns]]
) -> tuple[range, Maxima]:
    """Return the greatest statistics of a part of the labellings in a block of elements."""
    part, stored = work
    responses = values.inflate(stored)[values.response.name]
    return part, test.maxima(responses, slice(part.start, part.stop))
