"""A disk that fills, wherever HDF5 is by then: 74, and nothing is left."""

import subprocess
import sys

import nibabel as nb
import numpy as np
import pytest
from images import AFFINE
from tools import run_on_full_disk

COMMAND = [sys.executable, '-m', 'modelarrayio_bids.cli.files']
SHAPE = (20, 24, 20)


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Eight images that do not compress: 307 kB of values."""
    folder = tmp_path_factory.mktemp('data')
    rng = np.random.default_rng(1)
    mask = folder / 'mask.nii.gz'
    inside = np.ones(SHAPE, np.uint8)
    # A mask that leaves nothing out is warned of.
    inside[0, 0, 0] = 0
    nb.save(nb.Nifti1Image(inside, AFFINE), mask)
    lines = ['scalar_name,source_file,source_mask_file']
    for number in range(8):
        image = nb.Nifti1Image(rng.random(SHAPE, np.float32), AFFINE)
        nb.save(image, folder / f'{number}.nii.gz')
        lines.append(f'FA,{folder / f"{number}.nii.gz"},{mask}')
    (folder / 'cohort.csv').write_text('\n'.join([*lines, '']))
    return folder


@pytest.mark.parametrize('limit', [0, 2048, 100_000])
def test_a_store_of_tiledb(data, tmp_path, limit):
    """While the HDF5 file is written that it is made of, and while a store is made of one."""
    pytest.importorskip('tiledb')
    words = ['--mask', data / 'mask.nii.gz', '--cohort-file', data / 'cohort.csv', '--output']
    if not (data / 'whole.h5').exists():
        subprocess.run([*COMMAND, 'to-modelarray', *words, data / 'whole.h5'], check=True)
    commands = (
        ['to-modelarray', *words, tmp_path / 'x.tdb', '--backend', 'tiledb'],
        ['convert', data / 'whole.h5', tmp_path / 'x.tdb'],
    )
    for command in commands:
        done = run_on_full_disk([*COMMAND, *command], limit)
        assert done.returncode == 74, done.stderr
        (line,) = done.stderr.splitlines()
        assert line.startswith(f'modelarrayio: error: {tmp_path}/x.tdb: could not be written')
        assert not list(tmp_path.iterdir())


# At the file's head, among tables, chunks, and at the very end.
@pytest.mark.parametrize('limit', [0, 1, 2048, 8192, 20_000, 60_000, 200_000, 280_000])
@pytest.mark.parametrize('compression', ['gzip', 'lzf', 'none'])
def test_to_modelarray(data, tmp_path, compression, limit):
    files = ['--mask', data / 'mask.nii.gz', '--cohort-file', data / 'cohort.csv']
    options = ['--output', tmp_path / 'x.h5', '--compression', compression]
    done = run_on_full_disk([*COMMAND, 'to-modelarray', *files, *options], limit)
    assert done.returncode == 74, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith(f'modelarrayio: error: {tmp_path}/x.h5: could not be written')
    assert not list(tmp_path.iterdir())
