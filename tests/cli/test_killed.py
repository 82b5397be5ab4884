"""A run that a scheduler ends, or the kernel, and the same command after it."""

import signal
import subprocess
import sys
import time

import h5py
import pytest
import trees

COMMAND = [sys.executable, '-m', 'modelarrayio_bids.cli.entrypoint']


def begun(command, output):
    """A run that has finished one HDF5 file of several."""
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    while process.poll() is None and not list(output.rglob('[!.]*.h5')):
        time.sleep(0.001)
    assert process.poll() is None
    return process


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
    command = [*COMMAND, study, output, 'group', '--scalars', 'cbf*', 'dki_*']
    process = begun(command, output)
    process.send_signal(sent)
    _, said = process.communicate()
    assert process.returncode == code
    assert 'Traceback' not in said
    finished = whole(output)
    if sent == signal.SIGTERM:
        assert 'Run the same command again' in said
        assert not left(output)
    else:
        assert left(output)

    again = subprocess.run(command, check=True, capture_output=True, text=True)
    assert again.stderr.count('Kept, made of the same images') == len(finished)
    assert ('Removed what a killed run had left' in again.stderr) == (sent == signal.SIGKILL)
    assert not left(output)
    everything = whole(output)
    assert finished.items() < everything.items()


@pytest.mark.parametrize('times', [1, 3])
def test_asked_to_end_while_it_removes_its_work_folder(tmp_path, times):
    study, output = trees.write_study(tmp_path / 'study', trees.people(2)), tmp_path / 'out'
    for number in range(8000):
        folder = tmp_path / 'more' / str(number % 40)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / str(number)).touch()
    command = [*COMMAND, study, output, 'group', '--scalars', 'cbf']
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not (work := list(output.glob('.unfinished-*-work'))):
        time.sleep(0.001)
    # As a larger study would have them, so that to remove them takes a while.
    more = (tmp_path / 'more').rename(work[0] / 'more')
    while process.poll() is None and len([*more.glob('*')]) == 40:
        time.sleep(0.001)
    for _ in range(times):
        process.send_signal(signal.SIGTERM)
        time.sleep(0.005)
    _, said = process.communicate()
    # One that comes after the last line finds nobody to answer.
    assert process.returncode in {143, -signal.SIGTERM}
    assert 'Run the same command again' in said
    assert 'Traceback' not in said
    assert not left(output)
    assert len(whole(output)) == 1


def test_another_image_is_read_again(tmp_path):
    study, output = trees.write_study(tmp_path / 'study', trees.people(4)), tmp_path / 'out'
    command = [*COMMAND, study, output, 'group', '--scalars', 'cbf', 'dki_fa']
    subprocess.run(command, check=True, capture_output=True)
    first = whole(output)
    changed = next(study.rglob('sub-01*_space-MNI*cAsym_cbf.nii.gz'))
    changed.touch()
    again = subprocess.run(command, check=True, capture_output=True, text=True)
    assert again.stderr.count('Kept, made of the same images') == 1
    kept = [path for path, made in whole(output).items() if first[path] == made]
    assert [path.parent.name for path in kept] == ['dki_fa']
    subprocess.run([*command, '--overwrite'], check=True, capture_output=True)
    assert not first.items() & whole(output).items()


def test_two_runs_leave_each_other_alone(tmp_path):
    study, output = trees.write_study(tmp_path / 'study', trees.people(4)), tmp_path / 'out'
    process = begun([*COMMAND, study, output, 'group'], output)
    command = [*COMMAND, study, output, 'group', '--scalars', 'dki_fa']
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert 'Removed' not in done.stderr
    _, said = process.communicate()
    assert process.returncode == 0, said
