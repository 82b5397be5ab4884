"""SIGTERM and interrupts, wherever in Python they come."""

import signal
import subprocess
import sys

import pytest

from modelarrayio_bids.runtime.termination import (
    Terminated,
    terminable,
    undisturbed,
    was_terminated,
)

# What Python calls when an object goes: it prints what is raised there, and drops it. Threads keep
# the main one from leaving it at once.
PROGRAM = """
import signal, sys, time
from threading import Thread
from modelarrayio_bids.runtime.termination import Terminated, terminable

class Going:
    def __del__(self):
        {statement}

def work():
    while True:
        sum(range(1000))

for _ in range(3):
    Thread(target=work, daemon=True).start()
for _ in range(20):
    try:
        with terminable():
            Going()
            time.sleep({seconds})
    except (Terminated, KeyboardInterrupt) as ended:
        print(type(ended).__name__)
"""


def run(statement, seconds):
    command = [sys.executable, '-c', PROGRAM.format(statement=statement, seconds=seconds)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)


@pytest.mark.parametrize(
    ('sent', 'raised'), [('SIGTERM', 'Terminated'), ('SIGINT', 'KeyboardInterrupt')]
)
def test_it_is_not_lost_where_python_drops_exceptions(sent, raised):
    done = run(f'signal.raise_signal(signal.{sent})', 600)
    assert done.stdout.split() == [raised] * 20
    assert done.stderr == ''


def test_other_exceptions_that_python_drops_are_told_as_ever():
    done = run('1 / 0', 0)
    assert done.stdout == ''
    assert done.stderr.count('ZeroDivisionError') == 20


def careless():
    """Like some setters of a library, which make an error of their own of everything."""
    try:
        signal.raise_signal(signal.SIGTERM)
    except:  # noqa: E722 - just so
        raise ValueError('not a value for this') from None


def test_an_error_that_was_made_of_it():
    with pytest.raises(ValueError, match='not a value') as caught, terminable():
        careless()
    assert was_terminated(caught.value)
    assert not was_terminated(ValueError())


@pytest.mark.parametrize('sent', [signal.SIGTERM, signal.SIGINT])
def test_what_cleans_up_ends_first_however_often_it_is_asked(sent):
    steps = []

    def clean_up(step):
        signal.raise_signal(sent)
        steps.append(step)

    with pytest.raises((Terminated, KeyboardInterrupt)), terminable(), undisturbed():
        [clean_up(step) for step in range(3)]
    assert steps == [0, 1, 2]


def test_signals_are_as_they_were_after_it():
    before = signal.getsignal(signal.SIGTERM), sys.unraisablehook
    with pytest.raises(Terminated), terminable(), undisturbed():
        signal.raise_signal(signal.SIGTERM)
    assert (signal.getsignal(signal.SIGTERM), sys.unraisablehook) == before
