"""Folders whose names are patterns to a shell, or no UTF-8: used as they are, or refused."""

import os

import h5py
import numpy as np
import pytest
import trees
from forks import run_forked
from images import expected_rows, write_cohort
from stores import write_results

from modelarrayio_bids.cli.bids_app import main as bids_app
from modelarrayio_bids.cli.files import main
from modelarrayio_bids.errors import UsageError
from modelarrayio_bids.workflows import init_modelarray_wf
from modelarrayio_bids.workflows.execution import run_workflow
from modelarrayio_bids.workflows.plugins import Plugin

PATTERNS = ['results [v2]', '[a-z]', 'every*', 'which?', '{a,b} $HOME']
LATIN_1 = os.fsdecode(b'donn\xe9es')


def run(*arguments):
    return main([str(argument) for argument in arguments])


def add_results(folder):
    (store,) = folder.rglob('*.h5')
    with h5py.File(store) as file:
        (scalar,) = file['scalars']
        n = file[f'scalars/{scalar}/values'].shape[1]
    write_results(store, 'lm', ['age.p.value'], np.full((n, 1), 0.5))
    return store


@pytest.mark.parametrize('name', PATTERNS)
def test_files_in_folders_that_look_like_patterns(tmp_path, name):
    folder = tmp_path / name
    write_cohort(folder)
    files = ('--mask', folder / 'group_mask.nii.gz', '--cohort-file', folder / 'cohort.csv')
    assert run('to-modelarray', *files, '--output', folder / 'x.h5') == 0
    with h5py.File(folder / 'x.h5') as file:
        np.testing.assert_array_equal(file['scalars/FA/values'][()], expected_rows())
    add_results(folder)
    options = ('--analysis-name', 'lm', '--input-hdf5', folder / 'x.h5')
    assert run('export-results', *options, '--output-dir', folder / name) == 0
    assert len(list((folder / name).glob('*.nii.gz'))) == 2


@pytest.mark.parametrize('name', PATTERNS)
def test_datasets_outputs_and_work_folders_that_look_like_patterns(tmp_path, name):
    folder = tmp_path / name
    root = trees.write_study(folder / 'study', trees.people(2))
    command = [str(root), str(folder / 'out'), '--scalars', 'cbf', '--no-report']
    options = ['-w', str(folder / 'work'), '--blocks', '2']
    # Twice, since Nipype looks for what it did before.
    for _ in range(2):
        assert bids_app([*command, 'group', *options]) == 0
    store = add_results(folder / 'out')
    report = [] if name == PATTERNS[0] else ['--no-report']
    assert bids_app([str(root), str(folder / 'out'), 'export', *report]) == 0
    assert list(store.parent.glob('*_node-lm/*.nii.gz'))


def test_a_cluster_needs_a_work_folder_that_is_no_pattern(tmp_path):
    workflow = init_modelarray_wf(tmp_path, tmp_path / 'out')
    with pytest.raises(UsageError, match=r'work \[1\]: has one of the characters .* with -w'):
        run_workflow(workflow, tmp_path / 'work [1]', tmp_path, Plugin('SLURM'))


def refused(command, arguments, folder='.'):
    """Whether a command in a folder is refused for its bytes, which Python has as surrogates."""
    done = run_forked(command, map(os.fsdecode, arguments), lambda: os.chdir(folder))
    said = done.stderr
    assert 'Traceback' not in said
    (line,) = [line for line in said.splitlines() if ': error: ' in line]
    assert r'donn\xe9es' in line
    return done.returncode == 64 and 'holds bytes that are not UTF-8' in line


@pytest.mark.parametrize('option', ['--output', '--mask', '--cohort-file'])
def test_files_that_are_no_utf_8(tmp_path, option):
    write_cohort(tmp_path)
    files = {
        '--output': tmp_path / 'x.h5',
        '--mask': tmp_path / 'group_mask.nii.gz',
        '--cohort-file': tmp_path / 'cohort.csv',
    }
    if files[option].exists():
        files[option].rename(tmp_path / LATIN_1)
    files[option] = tmp_path / LATIN_1
    before = set(tmp_path.rglob('*'))
    words = [word for pair in files.items() for word in pair]
    assert refused(main, ['to-modelarray', *words])
    assert set(tmp_path.rglob('*')) == before


def test_a_working_folder_that_is_no_utf_8(tmp_path):
    (tmp_path / LATIN_1).mkdir()
    assert refused(main, ['info', 'x.h5'], tmp_path / LATIN_1)


@pytest.mark.parametrize('which', ['study', 'out', 'work', 'datasets'])
def test_folders_that_are_no_utf_8(tmp_path, which):
    study = trees.write_study(tmp_path / 'study', trees.people(2))
    names = {'study': 'study', 'out': 'out', 'work': 'work', 'datasets': 'none'}
    if which == 'study':
        study.rename(tmp_path / LATIN_1)
    names[which] = LATIN_1
    paths = {key: tmp_path / name for key, name in names.items()}
    options = ['-w', paths['work']]
    if which == 'datasets':
        options += ['-d', f'x={paths["datasets"]}']
    assert refused(bids_app, [paths['study'], paths['out'], 'group', *options])
    assert not (tmp_path / 'out').exists()


def test_an_image_that_is_no_utf_8(tmp_path):
    study = trees.write_study(tmp_path / 'study', trees.people(2))
    derivatives = study / 'derivatives' / 'aslprep'
    derivatives.rename(derivatives.with_name(LATIN_1))
    assert refused(bids_app, [study, tmp_path / 'out', 'group', '--scalars', 'cbf'])
    assert not list((tmp_path / 'out').rglob('*.h5'))


def test_a_link_leads_to_a_dataset_that_is_no_utf_8(tmp_path):
    trees.write_study(tmp_path / LATIN_1, trees.people(2))
    (tmp_path / 'study').symlink_to(tmp_path / LATIN_1)
    command = [str(tmp_path / 'study'), str(tmp_path / 'out'), 'group', '--scalars', 'cbf']
    assert bids_app([*command, '--no-report']) == 0


# Linux names have at most 255 bytes, and paths 4095.
TOO_LONG = ['x' * 300, '/'.join(['y' * 200] * 30)]


def one_line(capfd):
    err = capfd.readouterr().err
    assert 'Traceback' not in err
    (line,) = [line for line in err.splitlines() if 'error: ' in line]
    return line


@pytest.mark.parametrize('name', TOO_LONG)
@pytest.mark.parametrize('below', [False, True])
def test_outputs_whose_names_are_too_long(tmp_path, capfd, name, below):
    write_cohort(tmp_path)
    output = tmp_path / name / 'x.h5' if below else tmp_path / f'{name}.h5'
    files = ('--mask', tmp_path / 'group_mask.nii.gz', '--cohort-file', tmp_path / 'cohort.csv')
    assert run('to-modelarray', *files, '--output', output) == 73
    assert 'cannot be created (File name too long)' in one_line(capfd)
    assert run('to-modelarray', *files, '--output', tmp_path / 'x.h5') == 0
    add_results(tmp_path)
    options = ('--analysis-name', 'lm', '--input-hdf5', tmp_path / 'x.h5')
    assert run('export-results', *options, '--output-dir', output) == 73
    assert 'cannot be created (File name too long)' in one_line(capfd)


@pytest.mark.parametrize('name', TOO_LONG)
def test_datasets_whose_names_are_too_long(tmp_path, capfd, name):
    for level in (['group', '--list-scalars'], ['group', 'model', 'export']):
        assert bids_app([name, str(tmp_path / 'out'), *level]) == 66
        assert 'cannot be read (File name too long)' in one_line(capfd)
    study = trees.write_study(tmp_path / 'study', trees.people(2))
    assert bids_app([str(study), name, 'group', '--scalars', 'cbf']) == 73
    assert 'cannot be created (File name too long)' in one_line(capfd)
