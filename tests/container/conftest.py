"""The image, and how its users run it: read-only, any user, no home, no network.

``make test-image`` builds it and says in ``MODELARRAYIO_IMAGE`` what it is called.
"""

import os
import random
import subprocess

import pytest
import trees
from tools import missing, require_tool


@pytest.fixture(scope='session')
def anyone():
    """Number of a user whom the image cannot know."""
    return random.randrange(10_000, 60_000)


@pytest.fixture(scope='session')
def docker():
    program = require_tool('docker')

    def call(*arguments):
        command = [program, *map(str, arguments)]
        return subprocess.run(command, check=False, capture_output=True, text=True)

    return call


@pytest.fixture(scope='session')
def image():
    name = os.environ.get('MODELARRAYIO_IMAGE')
    if not name:
        missing('MODELARRAYIO_IMAGE names no image')
    return name


@pytest.fixture(scope='session')
def confined(docker, image, anyone):
    """Options of ``docker run`` that leave an application nothing but its mounts."""
    options = ['--rm', '--read-only', '--user', f'{anyone}:{anyone}']
    if docker('run', '--rm', '--network', 'none', image, '--version').returncode == 0:
        # An engine that has no network to lend may refuse to be told so.
        options += ['--network', 'none']
    if '--read-only-tmpfs' in docker('run', '--help').stdout:
        # Podman lends a /tmp that Docker does not.
        options.append('--read-only-tmpfs=false')
    return options


@pytest.fixture(scope='session')
def study(tmp_path_factory):
    return trees.write_demo(tmp_path_factory.mktemp('study') / 'study', trees.people(24))


@pytest.fixture(scope='session')
def writable():
    """Make a folder that everybody may write to."""

    def call(folder):
        folder.mkdir(parents=True)
        folder.chmod(0o777)
        return folder

    return call


@pytest.fixture(scope='session')
def built(docker, image, confined, study, writable, tmp_path_factory):
    """What the group level makes of two scalars of a study, and what it said."""
    output = writable(tmp_path_factory.mktemp('built') / 'out')
    mounts = ['-v', f'{study}:/data:ro', '-v', f'{output}:/out']
    command = [
        '/data',
        '/out',
        'group',
        '--scalars',
        'cbf',
        'dki_fa',
        'fd',
        'alff',
        '--nprocs',
        '2',
    ]
    done = docker('run', *confined, *mounts, image, *command)
    assert done.returncode == 0, done.stderr
    return output, done
