"""A matrix read chunk by chunk."""

import h5py
import numpy as np

from modelarrayio_bids.store.chunk_reader import column_blocks


def test_threads_do_not_get_into_each_others_way(tmp_path):
    # h5py 3.12 ended the process, or failed, within some thousands of chunks.
    matrix = np.random.default_rng(0).integers(0, 9, (8, 20_000)).astype('f4')
    with h5py.File(tmp_path / 'x.h5', 'w') as file:
        file.create_dataset('a', data=matrix, chunks=(8, 10), compression=1, shuffle=True)
    with h5py.File(tmp_path / 'x.h5') as file:
        for _ in range(15):
            found = list(column_blocks(file['a'], threads=4))
            assert [start for start, _ in found] == list(range(0, 20_000, 10))
            np.testing.assert_array_equal(np.hstack([block for _, block in found]), matrix)
