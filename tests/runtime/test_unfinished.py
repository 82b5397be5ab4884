"""What is being made, as other processes see it, and after its process was killed."""

import signal
import subprocess
import sys

import pytest
from held import Held

from modelarrayio_bids.runtime.termination import EXIT_TERMINATED
from modelarrayio_bids.runtime.unfinished import MARK, Unfinished, remove_leftovers

PROGRAM = """
import sys, time
from pathlib import Path
from modelarrayio_bids.runtime.unfinished import Unfinished
unfinished = Unfinished(Path(sys.argv[1]), folder=sys.argv[2] == 'folder')
if sys.argv[2] == 'folder':
    (unfinished.path / 'inside').write_text('text')
print('made', flush=True)
time.sleep(600)
"""

LEAVING = """
import sys
from pathlib import Path
from modelarrayio_bids.runtime.termination import terminable
from modelarrayio_bids.runtime.unfinished import Unfinished
with terminable(), Unfinished(Path(sys.argv[1]), folder=True) as unfinished:
    for number in range(40):
        folder = unfinished.path / str(number)
        folder.mkdir()
        (folder / 'file').touch()
"""

# The last file descriptor is taken before it can be locked.
WITHOUT_DESCRIPTORS = """
import os, resource, sys
from pathlib import Path
from modelarrayio_bids.runtime.unfinished import Unfinished
resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir('/proc/self/fd')) - 1,) * 2)
Unfinished(Path(sys.argv[1]), folder=True)
"""


@pytest.fixture(params=['file', 'folder'])
def maker(request, tmp_path):
    """Another process that is making something."""
    command = [sys.executable, '-c', PROGRAM, tmp_path / 'FA.nii.gz', request.param]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == 'made\n'
        yield process
        process.kill()


def test_what_is_being_made_stays_and_what_was_left_goes(maker, tmp_path):
    (making,) = tmp_path.iterdir()
    assert remove_leftovers(tmp_path) == []
    assert making.exists()
    maker.send_signal(signal.SIGKILL)
    maker.wait()
    assert remove_leftovers(tmp_path) == [making]
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_where_no_descriptor_is(tmp_path):
    command = [sys.executable, '-c', WITHOUT_DESCRIPTORS, tmp_path / 'stats']
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert 'Too many open files' in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('times', [1, 40], ids=['once', 'often'])
def test_a_signal_that_comes_while_it_is_removed(tmp_path, times):
    command = [sys.executable, '-c', LEAVING, tmp_path / 'work']
    # The folders in it go one by one, and then it.
    with Held(command, 'os.rmdir') as process:
        for number in range(times):
            assert process.stands()
            (making,) = tmp_path.iterdir()
            assert len([*making.iterdir()]) == 40 - number
            process.send_signal(signal.SIGTERM)
            process.go_on()
        process.let_go()
    assert process.returncode == EXIT_TERMINATED
    assert list(tmp_path.iterdir()) == []


def test_it_becomes_a_file_like_any_other(tmp_path):
    (tmp_path / 'plain').write_text('')
    with Unfinished(tmp_path / 'whole.txt') as unfinished:
        unfinished.path.write_text('text')
        unfinished.path.replace(tmp_path / 'whole.txt')
    whole, plain = tmp_path / 'whole.txt', tmp_path / 'plain'
    assert whole.read_text() == 'text'
    assert whole.stat().st_mode == plain.stat().st_mode


def test_of_another_machine_nothing_is_known(tmp_path, caplog):
    other = tmp_path / f'{MARK}00000000-12-abcdef01-FA.nii.gz'
    other.write_text('')
    assert remove_leftovers(tmp_path) == []
    assert other.exists()
    assert 'on another machine' in caplog.text
    assert other.name in caplog.text


def test_only_what_was_to_become_a_file_and_only_here(tmp_path):
    (tmp_path / 'below').mkdir()
    left = [Unfinished(tmp_path / name).path for name in ('one', 'two', 'below/one')]
    for path in left:
        # As a process that was killed leaves them: nobody holds them.
        path.write_text('')
    assert remove_leftovers(tmp_path, '-one') == [left[0]]
    assert remove_leftovers(tmp_path) == [left[1]]
    assert remove_leftovers(tmp_path, below=True) == [left[2]]


def test_a_folder_that_is_not_there(tmp_path):
    assert remove_leftovers(tmp_path / 'nowhere') == []
