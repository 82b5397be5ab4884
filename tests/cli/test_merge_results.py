"""``modelarrayio merge-results`` as its user meets it."""

import signal
import sys

import h5py
import numpy as np
import pytest
from folders import bytes_of
from held import X_BEGUN, X_WHOLE, end
from images import group_mask, write_cohort
from stores import write_results
from tools import run_on_full_disk

from modelarrayio_bids.cli.files import main
from modelarrayio_bids.models.adjustment import p_adjust

COMMAND = [sys.executable, '-m', 'modelarrayio_bids.cli.files']
N = int(group_mask().sum())
NAMES = ['element_id', 'age.p.value', 'age.p.value.fdr']


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with a file of two slices, and one of a third."""
    monkeypatch.chdir(tmp_path)
    write_cohort(tmp_path)
    arguments = ['--cohort-file', 'cohort.csv', '--mask', 'group_mask.nii.gz', '--output', 'x.h5']
    assert main(['to-modelarray', *arguments]) == 0
    p = np.linspace(0, 0.5, N)
    first, second, third = np.split(np.column_stack([np.arange(N), p, p]), [5, 20])
    write_results('x.h5', 'mylm_part1', NAMES, first)
    write_results('x.h5', 'mylm_part2', NAMES, second)
    write_results('job3.h5', 'mylm_part3', NAMES, third)
    return tmp_path


def merge(*more, files=('x.h5', 'job3.h5'), name='mylm_part*', merged='mylm'):
    arguments = ['--input-hdf5', *files, '--analysis-name', name, '--merged-name', merged]
    return main(['merge-results', *arguments, *more])


def test_slices_become_one_analysis(folder, capsys):
    assert merge('--output-hdf5', 'x.h5') == 0
    said = capsys.readouterr().err.splitlines()
    assert said[-1] == 'INFO: Wrote mylm of x.h5: 2 results at 24 elements, from 3 analyses'
    with h5py.File('x.h5') as file:
        ids, p, fdr = file['results/mylm/results_matrix'][()]
    assert ids.tolist() == list(range(N))
    assert p.tolist() == np.linspace(0, 0.5, N).tolist()
    assert fdr.tolist() == p_adjust(p, 'fdr').tolist()


def test_both_spellings_of_every_option(folder):
    arguments = ['--input_hdf5', 'x.h5', '--analysis_name', 'mylm_part1', 'mylm_part2']
    arguments += ['--merged_name', 'some', '--output_hdf5', 'new.h5', '--allow_gaps']
    arguments += ['--overwrite', '--nprocs', '2', '--log_level', 'ERROR']
    assert main(['merge-results', *arguments]) == 0
    # The elements are known from the file of the slices.
    arguments = ['--input-hdf5', 'new.h5', '--analysis-name', 'some', '--output-dir', 'maps']
    assert main(['export-results', *arguments]) == 0
    assert (folder / 'maps' / 'some_age.p.value.fdr.nii.gz').exists()


@pytest.mark.parametrize(
    ('arguments', 'options', 'code', 'says'),
    [
        ([], {}, 64, 'the analyses are in 2 files'),
        (
            [],
            {'files': ['x.h5']},
            65,
            '4 elements are in none of the slices (2 analyses): element_id',
        ),
        ([], {'files': ['x.h5'], 'name': 'mygam'}, 66, "x.h5: holds no analysis 'mygam'"),
        ([], {'files': ['none.h5']}, 66, 'none.h5: no such file'),
        ([], {'files': ['cohort.csv']}, 65, 'cohort.csv: cannot be opened as HDF5'),
        ([], {'files': ['x.h5'], 'merged': 'a/b'}, 65, "'a/b' cannot be the name of an analysis"),
        (['--output-hdf5', 'x.h5'], {'merged': 'mylm_part1'}, 73, 'holds an analysis mylm_part1'),
        (['--output-hdf5', 'cohort.csv/y.h5'], {}, 73, 'cohort.csv/y.h5: cannot be created'),
        (['--output-hdf5', 'maps'], {}, 73, 'maps: exists and is not a file'),
    ],
)
def test_what_cannot_be(folder, capsys, arguments, options, code, says):
    (folder / 'maps').mkdir()
    before = bytes_of(folder)
    assert merge(*arguments, **options) == code
    said = capsys.readouterr().err
    assert says in said
    assert 'Traceback' not in said
    assert bytes_of(folder) == before


@pytest.mark.parametrize('broken', ['scalars', 'results/mylm_part1/results_matrix'])
def test_a_file_of_another_shape_is_one_line(folder, capsys, broken):
    with h5py.File('x.h5', 'r+') as file:
        del file[broken]
        file[broken] = np.zeros(3) if broken == 'scalars' else h5py.SoftLink('/nowhere')
    assert merge(files=['x.h5']) == 65
    said = capsys.readouterr().err
    assert 'Traceback' not in said
    assert ': error: ' in said


def large(folder):
    """Slices of 600,000 elements, and the command that merges them."""
    n, names = 600_000, ['element_id', *(f'{t}.p.value{c}' for t in 'abcd' for c in ('', '.fdr'))]
    matrix = np.random.default_rng(0).random((n, len(names)))
    matrix[:, 0] = np.arange(n)
    for number, part in enumerate(np.split(matrix, 3)):
        write_results(folder / 'x.h5', f'part{number}', names, part)
    return merging(folder, 'part*')


def merging(folder, name):
    options = ['--input-hdf5', folder / 'x.h5', '--analysis-name', name, '--merged-name', 'all']
    return [*COMMAND, 'merge-results', *options, '--allow-gaps']


# In between: the copy is about to be written to.
MOMENTS = {'begun': X_BEGUN, 'copying': ('open', r'-x\.h5 w '), 'whole': X_WHOLE}


@pytest.mark.parametrize('sent', [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize('moment', MOMENTS)
def test_a_run_that_is_ended_leaves_the_file_as_it_was(folder, tmp_path, sent, moment):
    command = merging(tmp_path, 'mylm_part[12]')
    before = bytes_of(tmp_path)
    end(command, MOMENTS[moment], sent, tmp_path)
    assert (tmp_path / 'x.h5').read_bytes() == before[tmp_path / 'x.h5']
    left = set(bytes_of(tmp_path)) - set(before)
    assert len(left) == (1 if sent == signal.SIGKILL else 0)
    # The next run removes what is left, and ends well.
    assert main(list(map(str, command[len(COMMAND) :]))) == 0
    assert set(bytes_of(tmp_path)) == set(before)


@pytest.mark.parametrize('limit', [2**10, 2**20, 45 * 2**20])
def test_a_disk_that_fills(tmp_path, limit):
    # The slices have 43 MB, which are copied first.
    command = large(tmp_path)
    before = bytes_of(tmp_path)
    done = run_on_full_disk(command, limit)
    assert done.returncode == 74, done.stderr
    assert f'modelarrayio: error: {tmp_path}/x.h5: could not be written' in done.stderr
    assert bytes_of(tmp_path) == before
