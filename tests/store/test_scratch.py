import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from modelarrayio_bids.store.chunk_layout import Blocks
from modelarrayio_bids.store.scratch import open_scratch


@given(st.data())
def test_what_goes_in_as_rows_comes_out_as_columns(tmp_path_factory, data):
    n_rows, n_columns = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 30))
    chunk = data.draw(st.integers(1, n_columns))
    blocks = Blocks.within((n_rows, n_columns), chunk, 4, data.draw(st.integers(1, 500)))
    matrix = np.random.default_rng(0).normal(size=(n_rows, n_columns))
    order = data.draw(st.permutations(range(n_rows)))
    folder = tmp_path_factory.mktemp('scratch')
    with open_scratch(blocks, np.dtype('f4'), folder) as scratch:
        for row in order:
            scratch.put(row, matrix[row])
        found = np.hstack([block.copy() for _, block in scratch])
    np.testing.assert_array_equal(found, matrix.astype('f4'))
    assert list(folder.iterdir()) == []
