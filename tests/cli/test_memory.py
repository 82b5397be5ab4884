"""A cohort of four times the memory there is, as 2 GB of values in 512 MB."""

import csv
import os
import subprocess
import sys

import h5py
import nibabel as nb
import numpy as np
import pytest
from images import save
from stores import read_results, write_scalar

EDGE, SUBJECTS = 96, 200
#: Bytes of the values alone: 675 MiB.
COHORT = SUBJECTS * EDGE**3 * 4
LIMIT = COHORT // 4 // 2**20
PROGRAM = """
import sys
from modelarrayio_bids.cli.files import main
code = main(sys.argv[1:])
print(*(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))
sys.exit(code)
"""


def write_cohort(folder):
    """Hard links to one image: a cohort may be large on a small disk."""
    image = np.indices((EDGE,) * 3).sum(0).astype(np.uint8)
    save(folder / 'mask.nii.gz', np.ones_like(image), np.eye(4))
    save(folder / '0.nii.gz', image, np.eye(4))
    with open(folder / 'cohort.csv', 'w', newline='') as file:
        table = csv.writer(file)
        table.writerow(['scalar_name', 'source_file', 'source_mask_file'])
        for n in range(SUBJECTS):
            if n:
                os.link(folder / '0.nii.gz', folder / f'{n}.nii.gz')
            table.writerow(['FA', folder / f'{n}.nii.gz', folder / 'mask.nii.gz'])
    return image


def test_a_fourth_of_the_cohort_is_enough(tmp_path):
    image = write_cohort(tmp_path)
    options = ['--mask', tmp_path / 'mask.nii.gz', '--cohort-file', tmp_path / 'cohort.csv']
    options += ['--mem-mb', str(LIMIT), '--nprocs', '2', '--output', tmp_path / 'x.h5']
    command = [sys.executable, '-c', PROGRAM, 'to-modelarray', *options]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) // 1024 <= LIMIT
    with h5py.File(tmp_path / 'x.h5') as file:
        last = file['scalars/FA/values'][-1]
    assert np.array_equal(last, image.ravel())


def test_thousands_of_images_are_fitted_by_few_elements(tmp_path):
    """Of 10,000 images, a block of 2,000 elements alone would take 1.6 GB."""
    n, limit, store, table = 10_000, 500, tmp_path / 'x.h5', tmp_path / 'cohort.csv'
    names, x = [f'{number}.nii.gz' for number in range(n)], np.linspace(-1, 1, n)
    slopes = np.arange(300.0)
    noise = np.random.default_rng(0).normal(size=(n, slopes.size))
    write_scalar(store, 'FA', slopes * x[:, None] + noise, names)
    with open(table, 'w', newline='') as file:
        csv.writer(file).writerows([('source_file', 'x'), *zip(names, x, strict=True)])
    words = ['fit', store, '--formula', 'FA ~ x', '--cohort-file', table]
    command = [sys.executable, '-c', PROGRAM, *words, '--mem-mb', str(limit), '--nprocs', '2']
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) // 1024 <= limit
    # The standard error of a slope: 1 / (sd(x) √n) = √3 / √n.
    found = read_results(store, 'lm')['x.estimate']
    np.testing.assert_allclose(found, slopes, atol=5 * np.sqrt(3 / n))


@pytest.mark.parametrize('limit', [110, 60])
def test_merging_and_exporting_keep_to_the_memory_allowed(tmp_path, limit):
    """Results whose slices R put into one chunk each: 29 MiB of values, and several copies."""
    shape, n_results, store = (50, 50, 25), 30, tmp_path / 'x.h5'
    n, names = 62_500, ['element_id', *(f'x{number}.p.value' for number in range(29))]
    order, expected = np.random.default_rng(2).permutation(n), np.empty((n_results, n))
    save(tmp_path / 'mask.nii.gz', np.ones(shape, np.uint8), np.eye(4))
    with h5py.File(store, 'w') as file:
        for number in range(2):
            ids = order[number * n // 2 : (number + 1) * n // 2]
            values = np.random.default_rng(number).random((n_results, ids.size))
            values[0] = ids
            expected[:, ids] = values
            matrix = file.create_dataset(
                f'results/part{number}/results_matrix', data=values, chunks=values.shape,
                compression='gzip', compression_opts=1,
            )  # fmt: skip
            matrix.attrs['colnames'] = np.array([name.encode() for name in names])
    limits = ['--mem-mb', str(limit), '--nprocs', '2']
    merge = ['merge-results', '--input-hdf5', store, '--analysis-name', 'part?', '--allow-gaps']
    export = ['export-results', '--input-hdf5', store, '--mask', tmp_path / 'mask.nii.gz']
    for words in (
        [*merge, '--merged-name', 'all', *limits],
        [*export, '--analysis-name', 'all', '--output-dir', tmp_path / 'maps', *limits],
    ):
        done = subprocess.run(
            [sys.executable, '-c', PROGRAM, *words], check=False, capture_output=True, text=True
        )
        if limit == 60:
            # Less than Python takes with its libraries.
            assert done.returncode == 64
            assert 'Give at least' in done.stderr
            return
        assert done.returncode == 0, done.stderr
        assert int(done.stdout.split()[-1]) // 1024 <= limit
    for name, values in zip(names, expected, strict=True):
        data = nb.load(tmp_path / 'maps' / f'all_{name}.nii.gz').get_fdata(dtype=np.float32)
        np.testing.assert_array_equal(data.ravel(), values.astype(np.float32))
