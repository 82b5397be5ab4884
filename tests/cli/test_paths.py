"""Paths that may not be read, or hold odd signs: nothing else is lost for them."""

import os
import subprocess
import sys

import h5py
import pytest
import trees
from forks import drop_rights, run_forked
from tools import without_rights

from modelarrayio_bids.cli.bids_app import main

PEOPLE = trees.people(3)


@pytest.fixture
def study(tmp_path):
    return trees.write_asl_study(tmp_path / 'study', PEOPLE)


@pytest.fixture
def locked():
    """Take all rights of a folder, until the test is over."""
    paths = []

    def lock(path, mode=0):
        path.mkdir(parents=True, exist_ok=True)
        paths.append(path)
        path.chmod(mode)

    yield lock
    for path in paths:
        path.chmod(0o755)


def run(root, *options):
    arguments = [root, root.parent / 'out', 'group', '--list-scalars', *options]
    return run_forked(main, arguments, drop_rights)


def run_at_home(home, root):
    """Run in a process of its own: pybids looks into the home while it is loaded."""
    command = [sys.executable, '-m', 'modelarrayio_bids.cli.bids_app', root, root.parent / 'out']
    return subprocess.run(
        [*without_rights(), *map(str, command), 'group', '--list-scalars'],
        check=False, capture_output=True, text=True, env=os.environ | {'HOME': str(home)},
    )  # fmt: skip


def subjects(done, scalar='cbf'):
    """The number of subjects that ``--list-scalars`` shows of one scalar."""
    assert done.returncode == 0, done.stderr
    (line,) = (line for line in done.stdout.splitlines() if line.startswith(f'{scalar} '))
    return int(line.split()[3])


@pytest.mark.parametrize('mode', [0o000, 0o444, 0o111])
@pytest.mark.parametrize('name', ['secret', 'secret/sub-01', 'aslprep/derivatives'])
def test_a_folder_of_derivatives_that_may_not_be_read(study, locked, name, mode):
    (study / 'derivatives' / name).mkdir(parents=True)
    locked(study / 'derivatives' / name, mode)
    assert subjects(run(study)) == 3


def test_it_is_named_once(study, locked):
    locked(study / 'derivatives' / 'secret')
    done = run(study)
    named = f'{study}/derivatives/secret cannot be read (Permission denied): left out'
    assert done.stderr.count(named) == 1


@pytest.mark.parametrize('mode', [0o000, 0o111])
def test_a_subject_that_may_not_be_read(study, locked, mode):
    locked(study / 'derivatives' / 'aslprep' / 'sub-02', mode)
    done = run(study)
    assert subjects(done) == 2
    assert 'sub-02 cannot be read (Permission denied): left out' in done.stderr


def test_a_description_that_may_not_be_read(study):
    path = study / 'derivatives' / 'aslprep' / 'dataset_description.json'
    path.chmod(0)
    done = run(study)
    assert subjects(done) == 3
    assert f'{path} cannot be read (Permission denied)' in done.stderr


@pytest.mark.parametrize('mode', [0o000, 0o444])
def test_a_home_that_may_not_be_entered(study, locked, tmp_path, mode):
    locked(tmp_path / 'home', mode)
    assert subjects(run_at_home(tmp_path / 'home', study)) == 3


def test_settings_of_pybids_are_none_of_ours(study, tmp_path):
    (tmp_path / 'pybids_config.json').write_text('{')
    assert subjects(run_at_home(tmp_path, study)) == 3


@pytest.mark.parametrize('where', ['study', 'derivatives', 'phenotypes', 'mask', 'filters'])
def test_what_was_named_and_may_not_be_read_is_an_error_of_reading(study, locked, tmp_path, where):
    hidden = tmp_path / 'hidden'
    table = hidden / 'table.tsv'
    options = {
        'study': (study,),
        'derivatives': (study, '-d', f'x={hidden}'),
        'phenotypes': (study, '--phenotypes', table),
        'mask': (study, '--mask', table),
        'filters': (study, '--bids-filter-file', table),
    }
    locked(study if where == 'study' else hidden)
    done = run(*options[where])
    assert done.returncode in {65, 66}  # sysexits: no input that can be read
    assert 'Permission denied' in done.stderr.splitlines()[-1]
    assert 'written' not in done.stderr


COMMANDS = {
    'info': ['info', 'FILE'],
    'validate': ['validate', 'FILE'],
    'export-results': [
        *('export-results', '--input-hdf5', 'FILE', '--analysis-name', 'lm', '--output-dir', 'x')
    ],
    'merge-results': [
        *('merge-results', '--input-hdf5', 'FILE', '--analysis-name', 'a', 'b'),
        *('--merged-name', 'm'),
    ],
    'append': [
        *('append', '--cohort-file', 'cohort.csv', '--input-hdf5', 'FILE', '--output', 'new.h5')
    ],
    'fit': ['fit', 'FILE', '--formula', 'FA ~ age', '--cohort-file', 'cohort.csv'],
}


@pytest.mark.parametrize('which', ['file', 'folder'])
@pytest.mark.parametrize('command', COMMANDS)
def test_an_hdf5_file_that_may_not_be_read_is_an_error_of_reading(
    tmp_path, locked, monkeypatch, command, which
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'cohort.csv').write_text('scalar_name,source_file,age\nFA,a.nii,9\n')
    (tmp_path / 'folder').mkdir()
    file = tmp_path / 'folder' / 'FA.h5'
    with h5py.File(file, 'w') as opened:
        opened['x'] = 1
    locked(file.parent) if which == 'folder' else file.chmod(0)
    words = [str(file) if word == 'FILE' else word for word in COMMANDS[command]]
    program = [*without_rights(), sys.executable, '-m', 'modelarrayio_bids.cli.files']
    done = subprocess.run([*program, *words], check=False, capture_output=True, text=True)
    assert done.returncode in {65, 66}, done.stderr
    assert f'{file}: ' in done.stderr.splitlines()[-1]
    assert 'Permission denied' in done.stderr.splitlines()[-1]
