"""A disk that fills, wherever HDF5 is by then: 74, and nothing is left."""

import subprocess
import sys

import nibabel as nb
import numpy as np
import pytest
from images import AFFINE
from tools import files_of_at_most

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


# At the file's head, among tables, chunks, and at the very end.
@pytest.mark.parametrize('limit', [0, 1, 2048, 8192, 20_000, 60_000, 200_000, 280_000])
@pytest.mark.parametrize('compression', ['gzip', 'lzf', 'none'])
def test_to_modelarray(data, tmp_path, compression, limit):
    files = ['--mask', data / 'mask.nii.gz', '--cohort-file', data / 'cohort.csv']
    options = ['--output', tmp_path / 'x.h5', '--compression', compression]
    command = [sys.executable, '-m', 'modelarrayio_bids.cli.files', 'to-modelarray']
    done = subprocess.run(
        [*command, *files, *options],
        check=False,
        capture_output=True,
        text=True,
        # A limit on file size fails a write as a full disk does.
        **files_of_at_most(limit),
    )
    assert done.returncode == 74, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith(f'modelarrayio: error: {tmp_path}/x.h5: could not be written')
    assert not list(tmp_path.iterdir())
