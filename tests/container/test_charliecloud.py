"""The image under a runtime of clusters: Charliecloud, without privileges, as the calling user."""

import os
import subprocess
import tarfile

import h5py
import pytest
from tools import require_tool


def let_in(*paths):
    """Let everybody into the folders that pytest made for its own user."""
    for path in paths:
        for folder in path.parents:
            if 'pytest-of-' in str(folder):
                folder.chmod(folder.stat().st_mode | 0o055)


@pytest.fixture(scope='module')
def ch_run(docker, image, anyone, tmp_path_factory):
    """Run the image, unpacked into a folder and read-only, as a user it does not know."""
    program = require_tool('ch-run')
    folder = tmp_path_factory.mktemp('charliecloud')
    root = folder / 'image'
    container = docker('create', image).stdout.strip()
    docker('export', '--output', folder / 'image.tar', container)
    docker('rm', container)
    with tarfile.open(folder / 'image.tar') as tar:
        # Devices are not for everybody to make, and are the host's.
        members = [member for member in tar if not member.isdev()]
        tar.extractall(root, members, filter='fully_trusted')
    (folder / 'image.tar').unlink()
    environment = docker('inspect', '--format', '{{range .Config.Env}}{{println .}}{{end}}', image)
    (root / 'environment').write_text(environment.stdout.strip() + '\n')
    for name in ('data', 'out'):
        (root / name).mkdir()
    who = {'user': anyone, 'group': anyone, 'extra_groups': []} if os.geteuid() == 0 else {}

    def call(*words, **binds):
        let_in(root, *binds.values())
        bound = [f'--bind={source}:/{name}' for name, source in binds.items()]
        command = [program, f'--set-env={root / "environment"}', *bound, str(root), '--', *words]
        environment = {'PATH': os.environ['PATH'], 'USER': 'anyone'}
        return subprocess.run(
            command, check=False, capture_output=True, text=True, env=environment, **who
        )

    if (first := call('true')).returncode:
        pytest.skip(f'this machine lends no user namespaces: {first.stderr}')
    return call


def test_the_group_level_writes_the_same_file(ch_run, study, built, writable, tmp_path):
    output = writable(tmp_path / 'out')
    words = ['modelarrayio-bids', '/data', '/out', 'group', '--scalars', 'cbf']
    done = ch_run(*words, data=study, out=output)
    assert done.returncode == 0, done.stderr
    (ours,) = (output / 'cbf').glob('*.h5')
    (theirs,) = (built[0] / 'cbf').glob('*.h5')
    with h5py.File(ours) as ours, h5py.File(theirs) as theirs:
        for name in ('values', 'column_names'):
            here, there = (file[f'scalars/cbf/{name}'][()] for file in (ours, theirs))
            assert here.tobytes() == there.tobytes() or here.tolist() == there.tolist()


def test_nothing_else_can_be_written(ch_run):
    done = ch_run('touch', '/opt/here')
    assert done.returncode
    assert 'Read-only file system' in done.stderr
