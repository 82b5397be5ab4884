"""What tests of several folders need."""

import gc
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from tools import missing, require_tool, slurm_answers

# Before NumPy is imported, and for what tests start: as many processes as cores are at work.
for library in ('OMP', 'OPENBLAS', 'MKL'):
    os.environ.setdefault(f'{library}_NUM_THREADS', '1')
# Nipype asks its makers' server for its newest version.
os.environ.setdefault('NIPYPE_NO_ET', '1')

# What tests start, hundreds of times, is compiled once, and so are they.
os.environ.pop('PYTHONDONTWRITEBYTECODE', None)
sys.dont_write_bytecode = False

# `make test`: the same examples each time. How long a machine takes that others use too is nothing
# to fail for.
settings.register_profile(
    'few',
    deadline=None,
    derandomize=True,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow],
)
# `make fuzz`: many more, other ones each time.
settings.register_profile('fuzz', settings.get_profile('few'), derandomize=False, max_examples=5000)
settings.load_profile(os.environ.get('HYPOTHESIS_PROFILE', 'few'))

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As shells start what runs in the background, and it would start others; some are interrupted.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish():
    """Leave aside what stays to the end: thousands of tests and all modules are no garbage."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope='session')
def shared(tmp_path_factory):
    """A folder of all processes of this run, for :func:`once.once`."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if 'PYTEST_XDIST_WORKER' in os.environ else folder


@pytest.fixture(scope='session')
def rscript(tmp_path_factory):
    """Run a script of tests/r, by the packages that ModelArray uses, and return what it prints."""
    scripts, out = Path(__file__).with_name('r'), tmp_path_factory.mktemp('r') / 'out.txt'
    command = [require_tool('Rscript'), scripts / 'serve.R']
    pipes = dict.fromkeys(('stdin', 'stdout'), subprocess.PIPE)
    with subprocess.Popen(command, text=True, encoding='utf-8', **pipes) as r:
        if r.stdout.readline() != 'ready\n':
            missing('the R packages rhdf5 and HDF5Array are not installed')

        def run(script, *arguments):
            print(out, scripts / script, *arguments, sep='\t', file=r.stdin, flush=True)
            end = r.stdout.readline()
            assert end == 'done\n', end
            return out.read_text('utf-8', errors='replace')

        yield run


@pytest.fixture(scope='session')
def slurm():
    """Skip a test where no Slurm answers.

    Whatever REQUIRE_TOOLS says: a cluster is no program that can be installed beside the others.
    """
    if not slurm_answers():
        pytest.skip('there is no Slurm that answers')
