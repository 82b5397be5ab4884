"""The group level on a Slurm that runs: one job is killed, and the next run goes on from there."""

import contextlib
import os
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest
import trees
from stores import read_results

from modelarrayio_bids.cli.bids_app import main

STORE = 'cbf/space-MNI152NLin2009cAsym_modelarray.h5'
#: In the names of this test's jobs, and of no other's.
OWNER = f'modelarrayio{os.getpid()}'


# On one of several nodes, --basetemp has to be a folder that all of them see.
pytestmark = pytest.mark.usefixtures('slurm')


def start(study, output, work):
    """The group level, its cohort in three blocks, each in a job of its own."""
    command = [sys.executable, '-m', 'modelarrayio_bids.cli.bids_app', study, output, 'group']
    options = ['--scalars', 'cbf', '--blocks', '3', '--nprocs', '1', '--mem-mb', '1000']
    where = ['--nipype-plugin', 'SLURM', '-w', work]
    return subprocess.Popen(
        [*command, *options, *where],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, 'LOGNAME': OWNER},
        text=True,
    )


def kill_running(name, process):
    """Kill the job of this name as soon as it runs."""
    while process.poll() is None:
        asked = ['squeue', '--noheader', '--states', 'RUNNING', '--format', '%i %j']
        queue = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
        for line in queue.splitlines():
            job, found = line.split()
            if name in found and OWNER in found:
                subprocess.run(['scancel', '--signal', 'KILL', job], check=True)
                return
        time.sleep(0.1)


def contents(path):
    """Every dataset of a file: its type, shape, filters, and its chunks as they lie on disk."""
    found = {}

    def take(name, item):
        if isinstance(item, h5py.Dataset):
            facts = (item.dtype.str, item.shape, item.chunks, item.compression, item.shuffle)
            found[name] = (*facts, raw_chunks(item) if item.chunks else item[()].tolist())

    with h5py.File(path) as file:
        file.visititems(take)
    return found


def raw_chunks(dataset):
    places = [dataset.id.get_chunk_info(n).chunk_offset for n in range(dataset.id.get_num_chunks())]
    return {place: dataset.id.read_direct_chunk(place) for place in places}


def times(folder):
    """When each row block was written; those in the making have another name."""
    found = {}
    for path in folder.glob('cbf_*.rows'):
        with contextlib.suppress(FileNotFoundError):  # removed meanwhile
            found[path.name] = path.stat().st_mtime_ns
    return found


def test_a_killed_job_is_named_and_the_next_run_reads_what_is_missing(tmp_path):
    study = trees.write_study(tmp_path / 'study', trees.people(5))
    output, work = tmp_path / 'slurm', tmp_path / 'work'
    process = start(study, output, work)
    kill_running('read_row_block1', process)
    said, _ = process.communicate(timeout=600)
    assert process.returncode == 75, said
    (told,) = [line for line in said.splitlines() if ': error: ' in line]
    assert 'row block 2 of' in told or 'read_row_block1' in told
    assert 'run the same command again' in told
    assert not (output / STORE).exists()
    done = times(work / 'row_blocks')
    assert len(done) == 2

    process = start(study, output, work)
    # The finished ones are looked at as long as they are there: they go with the last job.
    seen = {}
    while process.poll() is None:
        seen |= times(work / 'row_blocks')
        time.sleep(0.05)
    said, _ = process.communicate(timeout=600)
    assert process.returncode == 0, said
    assert len(seen) == 3
    assert {name: seen[name] for name in done} == done
    assert not (work / 'row_blocks').exists()

    arguments = ['--scalars', 'cbf', '--nprocs', '1']
    assert main([str(study), str(tmp_path / 'here'), 'group', *arguments]) == 0
    assert contents(output / STORE) == contents(tmp_path / 'here' / STORE)


def test_a_model_in_jobs_of_blocks_is_that_of_one_machine_to_the_last_bit(tmp_path):
    study, output = trees.write_study(tmp_path / 'study', trees.people(24)), tmp_path / 'out'
    arguments = [str(study), str(output), 'model', '--formula', '~ age + sex', '--no-report']
    assert main([str(study), str(output), 'group', '--scalars', 'cbf', '--no-report']) == 0
    assert main([*arguments, '--analysis-name', 'here']) == 0
    where = ['--nipype-plugin', 'SLURM', '-w', str(tmp_path / 'work'), '--blocks', '2']
    where += ['--nprocs', '1', '--mem-mb', '1000']
    assert main([*arguments, '--analysis-name', 'there', *where]) == 0
    here, there = (read_results(output / STORE, name) for name in ('here', 'there'))
    assert list(here) == list(there)
    for name in here:
        np.testing.assert_array_equal(here[name], there[name])
