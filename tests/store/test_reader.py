import os
import subprocess
import sys

import h5py
import numpy as np
import pytest
from stores import being_written, write_results
from tools import require_tool

from modelarrayio_bids.errors import (
    AnalysisNotFoundError,
    FormatError,
    OutputError,
    SchemaError,
    SourceNotFoundError,
)
from modelarrayio_bids.store.opening import open_for_reading
from modelarrayio_bids.store.reader import StoreReader, analyses_of

NAMES = ['element_id', 'age.estimate', 'age.p.value']
MATRIX = np.column_stack([np.arange(4), [0.1, 0.2, 0.3, 0.4], [1, 0.5, 0.25, 0.125]])


def analysis(path, name='mylm'):
    return StoreReader(path).analysis(name)


def values_of(found, threads=1):
    """The whole matrix, from its blocks."""
    return np.hstack([values for _, values in found.blocks(threads)])


@pytest.mark.parametrize('where', ['attribute', 'dataset'])
def test_names_are_found_where_modelarray_puts_them(tmp_path, where):
    found = analysis(write_results(tmp_path / 'x.h5', 'mylm', NAMES, MATRIX, where=where))
    assert found.names == tuple(NAMES)
    np.testing.assert_array_equal(values_of(found), MATRIX.T)


def test_the_attribute_wins(tmp_path):
    path = write_results(tmp_path / 'x.h5', 'mylm', NAMES, MATRIX)
    with h5py.File(path, 'a') as file:
        file['results/mylm/column_names'] = ['x', 'y', 'z']
    assert analysis(path).names == tuple(NAMES)


def test_a_blank_name_keeps_its_place(tmp_path):
    # The predecessor drops it, and every later name moves up.
    path = write_results(tmp_path / 'x.h5', 'mylm', ['element_id', '', 'age.p.value'], MATRIX)
    assert analysis(path).names == ('element_id', 'component002', 'age.p.value')


@pytest.mark.parametrize(
    'layout',
    [
        {},
        {'chunks': (3, 4), 'compression': 'gzip'},
        {'chunks': (3, 4), 'compression': 'gzip', 'shuffle': True},
        {'chunks': (3, 4), 'compression': 'gzip', 'fletcher32': True},
        {'chunks': (2, 4), 'compression': 'gzip', 'shuffle': True},
        {'chunks': (3, 4), 'compression': 'lzf'},
        {'chunks': (3, 100)},
    ],
)
@pytest.mark.parametrize('dtype', ['<f8', '>f8', '<f4', '<i4'])
def test_blocks_are_the_matrix_however_it_is_stored(tmp_path, layout, dtype):
    matrix = np.arange(3 * 101).reshape(3, 101).astype(dtype)
    path = write_results(tmp_path / 'x.h5', 'mylm', NAMES, MATRIX)
    with h5py.File(path, 'a') as file:
        names = file['results/mylm/results_matrix'].attrs['colnames']
        del file['results/mylm/results_matrix']
        dataset = file.create_dataset('results/mylm/results_matrix', data=matrix, **layout)
        dataset.attrs['colnames'] = names
    for threads in (1, 2):
        np.testing.assert_array_equal(values_of(analysis(path), threads), matrix)


def test_chunks_that_were_never_written_are_zero(tmp_path):
    path = write_results(tmp_path / 'x.h5', 'mylm', NAMES, MATRIX)
    with h5py.File(path, 'a') as file:
        names = file['results/mylm/results_matrix'].attrs['colnames']
        del file['results/mylm/results_matrix']
        dataset = file.create_dataset(
            'results/mylm/results_matrix', (3, 9), 'f8', chunks=(3, 4), compression='gzip'
        )
        dataset.attrs['colnames'] = names
        dataset[:, :4] = 1
    assert values_of(analysis(path)).sum() == 12


def test_levels_of_factors(tmp_path):
    path = write_results(tmp_path / 'x.h5', 'mylm', NAMES, MATRIX, levels={2: ['F', 'M']})
    assert analysis(path).levels == {'age.estimate': ('F', 'M')}


@pytest.mark.parametrize(
    ('ids', 'n_elements', 'positions'),
    [([0, 1, 2, 3], 4, None), ([3, 1, 0, 2], 4, [3, 1, 0, 2]), ([9, 0, 5, 7], 10, [9, 0, 5, 7])],
)
def test_rows_are_placed_by_element_id(tmp_path, ids, n_elements, positions):
    matrix = MATRIX.copy()
    matrix[:, 0] = ids
    results = analysis(write_results(tmp_path / 'x.h5', 'mylm', NAMES, matrix))
    found = results.positions(values_of(results)[0], n_elements)
    assert (found if found is None else found.tolist()) == positions


@pytest.mark.parametrize(
    ('ids', 'says'),
    [
        ([0, 1, 2, 4], 'has the element_id 4, expected 0 to 3'),
        ([-1, 1, 2, 3], 'has the element_id -1'),
        ([0, 1, 1.5, 3], 'has the element_id 1.5'),
        ([0, 1, np.nan, 3], 'has the element_id nan'),
        ([0, 1, 1, 3], 'twice'),
    ],
)
def test_rows_that_match_no_elements(tmp_path, ids, says):
    matrix = MATRIX.copy()
    matrix[:, 0] = ids
    results = analysis(write_results(tmp_path / 'x.h5', 'mylm', NAMES, matrix))
    with pytest.raises(SchemaError, match=says):
        results.positions(values_of(results)[0], 4)


def test_without_ids_only_all_elements_in_order_will_do(tmp_path):
    path = write_results(tmp_path / 'x.h5', 'mylm', ['a', 'b', 'c'], MATRIX)
    analysis(path).require_elements(4)
    assert analysis(path).positions(None, 4) is None
    with pytest.raises(SchemaError, match='4 rows and no element_id, the file 9 elements'):
        analysis(path).require_elements(9)


def test_an_analysis_that_is_not_there_names_those_that_are(tmp_path):
    path = write_results(tmp_path / 'x.h5', 'mylm', NAMES, MATRIX)
    write_results(path, 'mygam', NAMES, MATRIX)
    with pytest.raises(AnalysisNotFoundError, match="no analysis 'lm'. .*: mygam, mylm"):
        analysis(path, 'lm')


def test_results_without_names_were_not_finished(tmp_path):
    path = write_results(tmp_path / 'x.h5', 'mylm', NAMES, MATRIX, where=None)
    with pytest.raises(SchemaError, match='analysis mylm has results without names'):
        analysis(path)


def test_a_group_without_results_was_not_finished(tmp_path):
    with h5py.File(tmp_path / 'x.h5', 'w') as file:
        file.create_group('results/mylm')
    with pytest.raises(SchemaError, match='mylm has no results matrix'):
        analysis(tmp_path / 'x.h5')


def test_a_wrong_number_of_names(tmp_path):
    path = write_results(tmp_path / 'x.h5', 'mylm', NAMES[:2], MATRIX)
    with pytest.raises(SchemaError, match='3 results and 2 names'):
        analysis(path)


def test_files_that_are_no_store(tmp_path):
    with pytest.raises(SourceNotFoundError):
        StoreReader(tmp_path / 'none.h5')
    (tmp_path / 'x.h5').write_text('not HDF5')
    with pytest.raises(FormatError, match='cannot be opened as HDF5'):
        StoreReader(tmp_path / 'x.h5')


def test_a_folder_is_called_a_folder(tmp_path):
    with pytest.raises(SourceNotFoundError, match='is a folder. Name the HDF5 file in it'):
        StoreReader(tmp_path)


# Locks.


@pytest.mark.parametrize('read', [StoreReader, analyses_of])
def test_a_file_that_is_being_written_is_not_read(tmp_path, read):
    path = write_results(tmp_path / 'x.h5', 'mylm', NAMES, MATRIX)
    busy = 'x.h5: is being written by another program. Wait for it to end'
    with being_written(path), pytest.raises(OutputError, match=busy):
        read(path)
    with h5py.File(path, 'r+'), pytest.raises(OutputError, match=busy):
        read(path)
    read(path)


def test_a_file_that_is_being_written_can_be_judged(tmp_path, caplog):
    path = write_results(tmp_path / 'x.h5', 'mylm', NAMES, MATRIX)
    with being_written(path), open_for_reading(path) as file:
        assert 'results/mylm' in file
    assert 'x.h5: is being written by another program, and is read anyway' in caplog.text


# What flock() of a file system without locks says, in place of the C library's.
NO_LOCKS = '#include <errno.h>\nint flock(int f, int how) { errno = %s; return -1; }\n'


@pytest.mark.parametrize('error', ['ENOLCK', 'EOPNOTSUPP'])
def test_where_there_are_no_locks_files_are_read_without(tmp_path, error):
    path = write_results(tmp_path / 'x.h5', 'mylm', NAMES, MATRIX)
    (tmp_path / 'flock.c').write_text(NO_LOCKS % error)
    library = tmp_path / 'flock.so'
    compiler = require_tool('cc')
    subprocess.run([compiler, '-shared', '-fPIC', '-o', library, tmp_path / 'flock.c'], check=True)
    done = subprocess.run(
        [sys.executable, '-m', 'modelarrayio_bids.cli.files', 'info', path],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {'LD_PRELOAD': str(library)},
    )
    assert 'x.h5: cannot be locked' in done.stderr
    assert 'mylm' in done.stdout
