"""Reading in a process of its own: what it answers, and how it ends."""

import os
import signal

import pytest

from modelarrayio_bids.errors import FormatError, SchemaError
from modelarrayio_bids.runtime.isolation import read_alone


@pytest.fixture
def path(tmp_path):
    (tmp_path / 'x.h5').write_bytes(b'anything')
    return tmp_path / 'x.h5'


def endless(path):
    while True:
        path.stat()


def crashing(path):
    os.kill(os.getpid(), signal.SIGSEGV)


def refusing(path):
    raise SchemaError('is odd', path, 'Build it again.')


def test_answers_and_errors_come_back_whole(path):
    assert read_alone(lambda path: {path: os.getpid()}, path)[path] != os.getpid()
    with pytest.raises(SchemaError, match='x.h5: is odd. Build it again.'):
        read_alone(refusing, path)


def test_one_that_never_ends_is_ended(path):
    with pytest.raises(FormatError, match='x.h5: cannot be read: HDF5 did not come to an end'):
        read_alone(endless, path)


def test_one_that_crashes_is_told(path):
    with pytest.raises(FormatError, match=r'x.h5: cannot be read: HDF5 crashed on it \(SIGSEGV\)'):
        read_alone(crashing, path)
