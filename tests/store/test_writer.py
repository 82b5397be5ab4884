import os
import subprocess
import sys

import h5py
import numpy as np
import pytest
from stores import write_results

from modelarrayio_bids.errors import OutputError, UsageError, WouldLoseResultsError
from modelarrayio_bids.store.chunk_layout import Blocks, Layout
from modelarrayio_bids.store.schema import ElementTable
from modelarrayio_bids.store.scratch import open_scratch
from modelarrayio_bids.store.writer import StoreWriter

MATRIX = np.random.default_rng(0).normal(size=(5, 103)).astype('f4')


def write(path, layout, threads=2, budget=1000, **keywords):
    """A file with one scalar, in several blocks of several chunks with an edge."""
    shape = MATRIX.shape
    blocks = Blocks.within(shape, layout.chunk(shape), np.dtype(layout.dtype).itemsize, budget)
    with (
        StoreWriter(path, layout, **keywords) as store,
        open_scratch(blocks, np.dtype(layout.dtype), path.parent) as scratch,
    ):
        for row, values in enumerate(MATRIX):
            scratch.put(row, values)
        store.write_scalar('FA', [f'é{n}.nii' for n in range(5)], scratch, threads)
    return path


@pytest.mark.parametrize('compression', ['gzip', 'lzf', 'none'])
@pytest.mark.parametrize('shuffle', [True, False])
@pytest.mark.parametrize('dtype', ['float32', 'float64'])
@pytest.mark.parametrize('columns', [1, 7, 103, 500])
def test_hdf5_reads_what_was_put_in(tmp_path, compression, shuffle, dtype, columns):
    layout = Layout(dtype, compression, None, shuffle, columns)
    with h5py.File(write(tmp_path / 'x.h5', layout)) as file:
        values = file['scalars/FA/values']
        np.testing.assert_array_equal(values[()], MATRIX)
        assert values.dtype == dtype
        assert values.chunks == (5, min(columns, 103))
        assert values.compression == (None if compression == 'none' else compression)
        assert values.shuffle == (shuffle and compression != 'none')
        # R reads every attribute, and trips over some: there are none.
        assert not values.attrs
        names = file['scalars/FA/column_names']
        assert names.asstr()[()].tolist() == [f'é{n}.nii' for n in range(5)]
        assert h5py.check_string_dtype(names.dtype).encoding == 'utf-8'


@pytest.mark.parametrize('level', [None, 0, 9])
def test_compression_levels_make_streams_hdf5_reads(tmp_path, level):
    with h5py.File(write(tmp_path / 'x.h5', Layout(level=level, chunk_columns=10))) as file:
        np.testing.assert_array_equal(file['scalars/FA/values'][()], MATRIX)


def test_tables_carry_their_names(tmp_path):
    table = ElementTable(np.arange(6).reshape(2, 3), ('a', 'b'), {'structure_names': ('x', 'y')})
    strings = ElementTable(np.array(['p', 'q', 'r'], dtype=object))
    with StoreWriter(tmp_path / 'x.h5', Layout()) as store:
        store.write_space('parcels', {'t': table, 'parcels/parcel_id': strings}, {})
    with h5py.File(tmp_path / 'x.h5') as file:
        assert file['t'].attrs['column_names'].tolist() == ['a', 'b']
        assert file['t'].attrs['structure_names'].tolist() == ['x', 'y']
        assert file['parcels/parcel_id'].asstr()[()].tolist() == ['p', 'q', 'r']


def test_nothing_is_left_of_a_file_that_was_not_finished(tmp_path):
    earlier = write(tmp_path / 'x.h5', Layout()).read_bytes()
    for path in (tmp_path / 'x.h5', tmp_path / 'new.h5'):
        with pytest.raises(KeyboardInterrupt), StoreWriter(path, Layout()):
            raise KeyboardInterrupt
    assert (tmp_path / 'x.h5').read_bytes() == earlier
    assert [path.name for path in tmp_path.iterdir()] == ['x.h5']


def test_results_are_not_lost_unless_told_to(tmp_path):
    path = write(tmp_path / 'x.h5', Layout())
    write_results(path, 'mylm', ['element_id'], np.arange(103)[:, None])
    before = path.read_bytes()
    with pytest.raises(WouldLoseResultsError, match='mylm.*--overwrite'):
        write(path, Layout())
    assert path.read_bytes() == before
    write(path, Layout(), overwrite=True)
    with h5py.File(path) as file:
        assert 'results' not in file


def test_results_that_came_meanwhile_are_not_lost(tmp_path):
    path = write(tmp_path / 'x.h5', Layout())
    with pytest.raises(WouldLoseResultsError), StoreWriter(path, Layout()):
        write_results(path, 'mylm', ['element_id'], np.arange(103)[:, None])
    with h5py.File(path) as file:
        assert 'mylm' in file['results']


def test_through_a_link_its_target_is_written(tmp_path):
    (tmp_path / 'real').mkdir()
    link = tmp_path / 'x.h5'
    link.symlink_to(tmp_path / 'real' / 'x.h5')
    write(link, Layout())
    assert link.is_symlink()
    with h5py.File(tmp_path / 'real' / 'x.h5') as file:
        np.testing.assert_array_equal(file['scalars/FA/values'][()], MATRIX)


def test_what_is_no_hdf5_file_is_not_replaced_unless_told_to(tmp_path):
    path = tmp_path / 'cohort.csv'
    path.write_text('scalar_name')
    with pytest.raises(OutputError, match='is not an HDF5 file'):
        write(path, Layout())
    assert path.read_text() == 'scalar_name'
    write(path, Layout(), overwrite=True)
    (tmp_path / 'empty.h5').touch()  # as mktemp leaves it
    write(tmp_path / 'empty.h5', Layout())


@pytest.mark.skipif(os.geteuid() == 0, reason='root may write everything')
def test_a_write_protected_file_stays(tmp_path):
    path = write(tmp_path / 'x.h5', Layout())
    path.chmod(0o444)
    with pytest.raises(OutputError, match='is write-protected.*chmod'):
        write(path, Layout(), overwrite=True)


def test_permissions_stay(tmp_path):
    path = write(tmp_path / 'x.h5', Layout())
    path.chmod(0o640)
    write(path, Layout())
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_file_may_begin_as_a_copy(tmp_path):
    path = write(tmp_path / 'x.h5', Layout())
    write_results(path, 'mylm', ['element_id'], np.arange(103)[:, None])
    with StoreWriter(path, Layout(), overwrite=True, copy_of=path) as store:
        store.write_history(['{}'])
    with h5py.File(path) as file:
        assert set(file) == {'scalars', 'results', 'modelarrayio'}
        np.testing.assert_array_equal(file['scalars/FA/values'][()], MATRIX)
    assert [left.name for left in tmp_path.iterdir()] == ['x.h5']


def test_places_that_cannot_be_written(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    with pytest.raises(OutputError, match='exists and is not a file'):
        StoreWriter(tmp_path / 'pipe', Layout(), overwrite=True)
    (tmp_path / 'file').touch()
    with pytest.raises(OutputError, match='cannot be created'):
        StoreWriter(tmp_path / 'file' / 'x.h5', Layout())
    with pytest.raises(OutputError, match='exists and is not a file'):
        StoreWriter(tmp_path, Layout())


@pytest.mark.parametrize(
    'wrong',
    [
        {'compression': 'zstd'},
        {'dtype': 'float16'},
        {'level': 10},
        {'chunk_columns': -1},
        {'chunk_bytes': float('nan')},
    ],
)
def test_layouts_r_or_hdf5_cannot_read(wrong):
    with pytest.raises(UsageError):
        Layout(**wrong)


@pytest.mark.parametrize('locking', ['TRUE', 'BEST_EFFORT', 'FALSE'])
def test_whatever_hdf5_is_told_about_locks(tmp_path, locking):
    """Clusters set this for network file systems; HDF5 reads it as it is loaded."""
    program = (
        'import sys; from pathlib import Path; from modelarrayio_bids.runtime.unfinished import *; '
    )
    program += 'from modelarrayio_bids.store.writer import *\n'
    program += 'with StoreWriter(Path(sys.argv[1], "x.h5"), Layout()) as store:\n'
    program += '    print(remove_leftovers(Path(sys.argv[1])))'
    done = subprocess.run(
        [sys.executable, '-c', program, tmp_path],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {'HDF5_USE_FILE_LOCKING': locking},
    )
    assert done.stdout == '[]\n'
    assert [path.name for path in tmp_path.iterdir()] == ['x.h5']
