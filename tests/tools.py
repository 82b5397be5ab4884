"""The programs that tests use as oracles."""

import functools
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def require_tool(name):
    """Path of a program; without it the test is skipped, or fails where all must be there."""
    # Those that come from PyPI lie beside the interpreter, which need not be on PATH.
    places = os.pathsep.join([os.environ.get('PATH', ''), str(Path(sys.executable).parent)])
    path = shutil.which(name, path=places)
    if path is None:
        missing(f'{name} is not installed')
    return path


def missing(reason):
    """Skip, saying why; fail where ``REQUIRE_TOOLS=1`` promises that nothing is missing."""
    if os.environ.get('REQUIRE_TOOLS') == '1':
        pytest.fail(f'REQUIRE_TOOLS=1, but {reason}')
    pytest.skip(reason)


@functools.cache
def require_r(*packages):
    """Skip, or fail as :func:`missing` does, where R lacks one of some packages."""
    for package in packages:
        # To load it would take seconds.
        code = f'quit(status = !nzchar(system.file(package = "{package}")))'
        if subprocess.run([require_tool('Rscript'), '-e', code], check=False).returncode:
            missing(f'the R package {package} is not installed')


def without_rights():
    """What to put before a command so that it may do no more than an owner; root may do all."""
    if os.geteuid() != 0:
        return []
    return [require_tool('setpriv'), '--inh-caps=-all', '--bounding-set=-all']


def run_on_full_disk(command, size):
    """Run a program whose files may have so many bytes: more fails a write as a full disk does.

    Python would leave its compiled modules cut short, too, which nothing could load after that.
    """
    return subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
        env={**os.environ, 'PYTHONDONTWRITEBYTECODE': '1'},
    )


def slurm_answers():
    """Whether there is a Slurm, with a node."""
    # Of one that is down, sinfo would wait for an answer.
    return 'is UP' in _output('scontrol', 'ping') and bool(_output('sinfo', '--noheader').strip())


def _output(program, *arguments):
    """What a program prints; nothing if it fails, or is not there."""
    if shutil.which(program) is None:
        return ''
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    return '' if done.returncode else done.stdout
