"""How a command ends before it has begun: interrupts, and too few addresses to start."""

import re
import resource
import signal
import subprocess
import sys

import pytest
import trees
from images import write_cohort

MIB = 2**20
# Interrupts the process when a module is about to be imported.
INTERRUPTED = """
import os, signal, sys
sys.argv = ['modelarrayio', *sys.argv[2:]] if (at := sys.argv[1]) else []

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == at:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder())
from modelarrayio_bids.cli.entrypoint import {entry}
sys.exit({entry}())
"""


def interrupted(entry, module, *arguments):
    code = INTERRUPTED.format(entry=entry)
    return subprocess.run(
        [sys.executable, '-c', code, module, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize('module', ['argparse', 'logging', 'modelarrayio_bids.cli.files'])
@pytest.mark.parametrize('entry', ['main', 'modelarrayio'])
def test_an_interrupt_before_the_command_runs_says_nothing(tmp_path, entry, module):
    done = interrupted(entry, module, 'info', tmp_path / 'x.h5')
    # Which a shell calls 130.
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, '', '')


@pytest.mark.parametrize('module', ['numpy', 'h5py', 'nibabel'])
def test_an_interrupt_while_libraries_are_loaded(tmp_path, module):
    write_cohort(tmp_path)
    output = tmp_path / 'x.h5'
    files = ('--mask', tmp_path / 'group_mask.nii.gz', '--cohort-file', tmp_path / 'cohort.csv')
    done = interrupted('modelarrayio', module, 'to-modelarray', *files, '--output', output)
    assert done.returncode == 130
    (line,) = done.stderr.splitlines()
    assert 'error: interrupted; nothing half-written was left' in line
    assert not output.exists()


def with_addresses(megabytes, *command):
    limit = (megabytes * MIB, megabytes * MIB)
    return subprocess.run(
        [sys.executable, '-m', *map(str, command)],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, limit),
    )


@pytest.mark.parametrize('megabytes', [70, 100, 130, 160])
def test_too_few_addresses_to_start(tmp_path, megabytes):
    study = trees.write_study(tmp_path / 'study', trees.people(2))
    files = 'modelarrayio_bids.cli.files', 'info', tmp_path / 'x.h5'
    group = 'modelarrayio_bids.cli.bids_app', study, tmp_path / 'out', 'group'
    for command in (files, group):
        done = with_addresses(megabytes, *command)
        assert done.returncode == 64, done.stderr
        (line,) = done.stderr.splitlines()
        assert f'{megabytes} MB of addresses (ulimit -v) are too few to start. Give at' in line


def test_the_least_that_is_named_is_enough(tmp_path):
    write_cohort(tmp_path)
    files = ('--mask', tmp_path / 'group_mask.nii.gz', '--cohort-file', tmp_path / 'cohort.csv')
    options = ('--output', tmp_path / 'x.h5', '--nprocs', '1')
    command = 'modelarrayio_bids.cli.files', 'to-modelarray', *files, *options
    least = int(re.search(r'Give at least (\d+) MB', with_addresses(100, *command).stderr)[1])
    done = with_addresses(least, *command)
    assert done.returncode == 0, done.stderr


def test_sidecars_are_the_same_of_two_runs_with_a_date(tmp_path, monkeypatch):
    from modelarrayio_bids.cli.bids_app import main

    monkeypatch.setenv('SOURCE_DATE_EPOCH', '1700000000')
    study = trees.write_study(tmp_path / 'study', trees.people(2))
    command = [str(study), str(tmp_path / 'out'), 'group', '--scalars', 'cbf', '--no-report']

    def sidecars():
        assert main([*command, '--overwrite']) == 0
        return {path: path.read_text() for path in (tmp_path / 'out' / 'cbf').rglob('*.json')}

    first = sidecars()
    assert first
    assert not any('Building' in text for text in first.values())
    assert sidecars() == first
