"""What tests of several folders need."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from tools import missing, require_tool

# How long a machine takes that others use too is nothing to fail for.
settings.register_profile('untimed', deadline=None, suppress_health_check=[HealthCheck.too_slow])
# `make fuzz`: many more examples, other ones each time.
settings.register_profile('fuzz', settings.get_profile('untimed'), max_examples=5000)
settings.load_profile(os.environ.get('HYPOTHESIS_PROFILE', 'untimed'))

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As shells start what runs in the background, and it would start others; some are interrupted.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope='session')
def rscript():
    """Run a script of tests/r, by the packages that ModelArray reads and writes with."""
    program = require_tool('Rscript')
    code = 'quit(status = !all(sapply(c("rhdf5", "HDF5Array"), requireNamespace, quietly = TRUE)))'
    if subprocess.run([program, '-e', code], check=False, capture_output=True).returncode:
        missing('the R packages rhdf5 and HDF5Array are not installed')
    scripts = Path(__file__).with_name('r')
    return lambda script, *arguments: subprocess.run(
        [program, scripts / script, *map(str, arguments)], check=True, capture_output=True
    )
