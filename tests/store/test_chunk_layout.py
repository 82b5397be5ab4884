import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelarrayio_bids.errors import UsageError
from modelarrayio_bids.store.chunk_layout import Blocks, chunk_columns, plain, shuffled

small = st.integers(1, 50)


@given(small, small, small, st.integers(1, 10**6))
def test_blocks_cover_every_column_once_within_the_budget(n_rows, n_columns, chunk, budget):
    chunk = min(chunk, n_columns)
    blocks = Blocks.within((n_rows, n_columns), chunk, 4, budget)
    columns = [column for start, stop in blocks.spans() for column in range(start, stop)]
    assert columns == list(range(n_columns))
    assert blocks.width % chunk == 0
    least = n_rows * chunk * 4
    assert n_rows * blocks.width * 4 <= max(budget, least)


@given(small, small, st.sampled_from([4, 8]), st.floats(1, 10**5))
def test_chunks_span_all_rows_and_stay_near_their_target(n_rows, n_columns, itemsize, target):
    columns = chunk_columns((n_rows, n_columns), itemsize, target)
    assert 1 <= columns <= n_columns
    least = 8 if target >= 64 * 1024 else 1
    assert columns <= least or columns * n_rows * itemsize <= target


def test_what_the_user_asks_for_wins():
    assert chunk_columns((10, 1000), 4, columns=77) == 77
    assert chunk_columns((10, 50), 4, columns=77) == 50


def test_chunks_of_many_rows_keep_some_columns():
    # Unless a smaller size is asked for: --target-chunk-mb 0 is one element a chunk.
    assert chunk_columns((10_000, 230_585), 4) == 8
    assert chunk_columns((10_000, 230_585), 4, target_bytes=0) == 1


def test_chunks_hdf5_would_refuse():
    with pytest.raises(UsageError, match='4 GiB'):
        chunk_columns((40_000, 200_000), 8, columns=200_000)


@given(small, small, st.sampled_from(['f4', 'f8']))
def test_shuffled_is_hdf5s_shuffle(n_rows, columns, dtype):
    # H5Z shuffle: the n-th bytes of all values lie together.
    block = np.random.default_rng(0).random((n_rows, columns)).astype(dtype)
    whole = shuffled(block, 0, columns, columns).tobytes()
    itemsize = block.dtype.itemsize
    assert whole == b''.join(block.tobytes()[byte::itemsize] for byte in range(itemsize))


def test_edge_chunks_are_padded():
    block = np.arange(6, dtype='f4').reshape(2, 3)
    assert plain(block, 2, 3, 2).tolist() == [[2, 0], [5, 0]]
    assert shuffled(block, 2, 3, 2).shape == (4, 2, 2)
