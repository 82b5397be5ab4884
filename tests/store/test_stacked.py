from functools import partial

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelarrayio_bids.store.chunk_layout import Blocks
from modelarrayio_bids.store.reader import StoreReader
from modelarrayio_bids.store.scratch import StackedRows, open_scratch


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('stacked')


def write(path, values, **storage):
    with h5py.File(path, 'w') as file:
        file.create_dataset('scalars/x/values', data=values, **storage)
        names = [f'{n}.nii' for n in range(len(values))]
        file.create_dataset('scalars/x/column_names', data=names, dtype=h5py.string_dtype())
    return path


@settings(deadline=None)
@given(st.data())
def test_rows_of_a_file_stand_above_the_new_ones(folder, data):
    n_above, n_below, n_columns = (data.draw(st.integers(1, n)) for n in (5, 5, 30))
    matrix = np.random.default_rng(0).normal(size=(n_above + n_below, n_columns)).astype('f4')
    old_chunk = data.draw(st.one_of(st.none(), st.integers(1, n_columns)))
    old_rows = data.draw(st.integers(1, n_above))
    storage = {} if old_chunk is None else {'chunks': (old_rows, old_chunk)}
    if old_chunk is not None and data.draw(st.booleans()):
        storage |= {'compression': 'gzip', 'shuffle': data.draw(st.booleans())}
    path = write(folder / 'x.h5', matrix[:n_above], **storage)
    chunk = data.draw(st.integers(1, n_columns))
    shape = (n_below, n_columns)
    blocks = Blocks.within(shape, chunk, 4, data.draw(st.integers(1, 500)))
    with StoreReader(path) as reader, open_scratch(blocks, np.dtype('f4'), folder) as scratch:
        for row, values in enumerate(matrix[n_above:]):
            scratch.put(row, values)
        above = partial(reader.scalar('x').read_into, threads=data.draw(st.integers(1, 3)))
        whole = blocks.with_rows(len(matrix))
        stacked = StackedRows(
            whole, scratch.dtype, [(n_above, above), (n_below, scratch.read_into)]
        )
        found = [(start, block.copy()) for start, block in stacked]
    assert [start for start, _ in found] == [start for start, _ in blocks.spans()]
    np.testing.assert_array_equal(np.hstack([block for _, block in found]), matrix)
