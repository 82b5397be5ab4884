"""The image as its users run it: read-only, any user, no home.

``make test-image`` builds it and says in ``MODELARRAYIO_IMAGE`` what it is called.
"""

import json
import os
import subprocess

import h5py
import nibabel as nb
import numpy as np
import pytest
import trees
from stores import write_results
from tools import missing, require_tool

ANYONE = '4242:4242'


@pytest.fixture(scope='session')
def image():
    require_tool('docker')
    name = os.environ.get('MODELARRAYIO_IMAGE')
    if not name:
        missing('MODELARRAYIO_IMAGE names no image')
    return name


@pytest.fixture
def run(image, tmp_path):
    """Run the image with ``tmp_path`` as /data, writable only in /data/out."""
    trees.write_study(tmp_path / 'study', trees.people(24))
    output = tmp_path / 'out'
    output.mkdir()
    output.chmod(0o777)

    def call(*arguments):
        mounts = ['-v', f'{tmp_path / "study"}:/data:ro', '-v', f'{output}:/out']
        options = [
            '--rm',
            '--read-only',
            '--user',
            ANYONE,
            '--env',
            'HOME=/nowhere',
        ]
        command = ['docker', 'run', *options, *mounts, image, *arguments]
        return subprocess.run(command, check=False, capture_output=True, text=True)

    return call


def paths(folder):
    return {path.relative_to(folder) for path in folder.rglob('*')}


def test_it_says_its_version(image):
    command = ['docker', 'run', '--rm', '--read-only', image, '--version']
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.startswith('modelarrayio-bids ')


def test_from_derivatives_to_maps(run, tmp_path):
    before = paths(tmp_path / 'study')
    done = run('/data', '/out', 'group', '--scalars', 'cbf', 'dki_fa', '--nprocs', '2')
    assert done.returncode == 0, done.stderr
    stores = sorted((tmp_path / 'out').rglob('*_modelarray.h5'))
    assert [store.parent.name for store in stores] == ['cbf', 'dki_fa']
    for store in stores:
        # The container's user owns the file; a copy is ours to add results to.
        content = store.read_bytes()
        store.unlink()
        store.write_bytes(content)
        with h5py.File(store) as file:
            n = file['voxels'].shape[1]
            assert file[f'scalars/{store.parent.name}/values'].shape == (24, n)
        matrix = np.column_stack([np.arange(n), np.full(n, 0.25)])
        write_results(store, 'mylm', ['element_id', 'age.p.value'], matrix)
        store.parent.chmod(0o777)
    done = run('/data', '/out', 'export')
    assert done.returncode == 0, done.stderr
    maps = sorted((tmp_path / 'out').rglob('mylm_age.1m.p.value.nii.gz'))
    assert len(maps) == 2
    assert all(set(np.unique(nb.load(path).get_fdata())) == {0, 0.75} for path in maps)
    assert paths(tmp_path / 'study') == before
    description = json.loads((tmp_path / 'out' / 'dataset_description.json').read_text())
    assert description['GeneratedBy'][0]['Container']['Tag'] == os.environ['MODELARRAYIO_IMAGE']


def test_a_user_error_is_one_line_and_its_code(run):
    done = run('/data', '/out', 'participant')
    assert done.returncode == 17
    assert 'Use "group"' in done.stderr
    assert 'Traceback' not in done.stderr
