"""A run that a scheduler ends, or the kernel, and the same command after it."""

import signal
import subprocess
import sys
from contextlib import contextmanager

import h5py
import pytest
import trees
from forks import run_forked
from held import Held

from modelarrayio_bids.cli.bids_app import main

COMMAND = [sys.executable, '-m', 'modelarrayio_bids.cli.entrypoint']


@contextmanager
def begun(command, output):
    """A run that stands where it has finished one HDF5 file of several, and written another."""
    pipes = {'stdout': subprocess.DEVNULL, 'stderr': subprocess.PIPE}
    with Held(command, 'os.rename', r'\.h5 ', 2, text=True, **pipes) as process:
        assert process.stands()
        assert len(whole(output)) == 1
        yield process


def left(output):
    return list(output.rglob('.unfinished-*'))


def whole(output):
    """The HDF5 files that have their names, and when they were made: each is complete."""
    made = {}
    for path in output.rglob('[!.]*.h5'):
        with h5py.File(path) as file:
            # Written last.
            assert 'created' in file['modelarrayio'].attrs
        made[path] = path.stat().st_mtime_ns
    return made


@pytest.mark.parametrize(
    ('sent', 'code'), [(signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_the_same_command_finishes_what_was_killed(tmp_path, sent, code):
    study, output = trees.write_study(tmp_path / 'study', trees.people(4)), tmp_path / 'out'
    arguments = [study, output, 'group', '--scalars', 'cbf', 'dki_*', '--no-report']
    with begun([*COMMAND, *arguments], output) as process:
        process.send_signal(sent)
        process.let_go()
        _, said = process.communicate()
    assert process.returncode == code
    assert 'Traceback' not in said
    finished = whole(output)
    if sent == signal.SIGTERM:
        assert 'Run the same command again' in said
        assert not left(output)
    else:
        assert left(output)

    again = run_forked(main, arguments)
    assert again.returncode == 0, again.stderr
    assert again.stderr.count('Kept, made of the same images') == len(finished)
    assert ('Removed what a killed run had left' in again.stderr) == (sent == signal.SIGKILL)
    assert not left(output)
    everything = whole(output)
    assert finished.items() < everything.items()


@pytest.mark.parametrize('times', [1, 3])
def test_asked_to_end_while_it_removes_its_work_folder(tmp_path, times):
    study, output = trees.write_study(tmp_path / 'study', trees.people(2)), tmp_path / 'out'
    command = [*COMMAND, study, output, 'group', '--scalars', 'cbf', '--no-report']
    # The folders in it go one by one.
    with Held(command, 'os.rmdir', stderr=subprocess.PIPE, text=True) as process:
        for _ in range(times):
            assert process.stands()
            assert len(left(output)) == 1
            process.send_signal(signal.SIGTERM)
            process.go_on()
        process.let_go()
        _, said = process.communicate()
    assert process.returncode == 143
    assert 'Run the same command again' in said
    assert 'Traceback' not in said
    assert not left(output)
    assert len(whole(output)) == 1


def test_another_image_is_read_again(tmp_path):
    study, output = trees.write_study(tmp_path / 'study', trees.people(4)), tmp_path / 'out'
    arguments = [study, output, 'group', '--scalars', 'cbf', 'dki_fa', '--no-report']
    assert run_forked(main, arguments).returncode == 0
    first = whole(output)
    changed = next(study.rglob('sub-01*_space-MNI*cAsym_cbf.nii.gz'))
    changed.touch()
    again = run_forked(main, arguments)
    assert again.stderr.count('Kept, made of the same images') == 1
    kept = [path for path, made in whole(output).items() if first[path] == made]
    assert [path.parent.name for path in kept] == ['dki_fa']
    assert run_forked(main, [*arguments, '--overwrite']).returncode == 0
    assert not first.items() & whole(output).items()


def test_two_runs_leave_each_other_alone(tmp_path):
    study, output = trees.write_study(tmp_path / 'study', trees.people(4)), tmp_path / 'out'
    command = [*COMMAND, study, output, 'group', '--scalars', 'dki_fa', 'cbf', '--no-report']
    with begun(command, output) as process:
        done = run_forked(main, [study, output, 'group', '--scalars', 'dki_fa', '--no-report'])
        assert done.returncode == 0, done.stderr
        assert 'Removed' not in done.stderr
        process.let_go()
        _, said = process.communicate()
    assert process.returncode == 0, said
