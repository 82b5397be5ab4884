"""4-D files whose volumes are the images of a cohort: FSL's all_FA_skeletonised and its like."""

import csv

import h5py
import nibabel as nb
import numpy as np
import pytest

from modelarrayio_bids.cli.files import main

SHAPE, N = (5, 6, 4), 7
AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
APPEND = ['append', '--output', 'FA.h5', '--cohort-file', 'cohort.csv']
NAMES = [f'all_FA.nii.gz,{number}' for number in range(N)]


@pytest.fixture
def stack(tmp_path, monkeypatch):
    """A stack of seven volumes, gzipped, a mask, and the values as nibabel reads them."""
    monkeypatch.chdir(tmp_path)
    values = np.random.default_rng(1).random((*SHAPE, N), np.float32)
    nb.save(nb.Nifti1Image(values, AFFINE), 'all_FA.nii.gz')
    mask = np.random.default_rng(2).random(SHAPE) < 0.5
    nb.save(nb.Nifti1Image(mask.astype(np.uint8), AFFINE), 'mask.nii.gz')
    return values[mask]


def write_cohort(volumes, file='all_FA.nii.gz'):
    with open('cohort.csv', 'w', newline='', encoding='utf-8') as table:
        writer = csv.writer(table)
        writer.writerow(['scalar_name', 'source_file', 'source_volume', 'source_mask_file', 'age'])
        for volume in volumes:
            writer.writerow(['FA', file, volume, 'mask.nii.gz', 20 + int(volume or 0) % 5])


def build(*options):
    words = ['--cohort-file', 'cohort.csv', '--mask', 'mask.nii.gz', '--output', 'FA.h5']
    return main(['to-modelarray', *words, *options])


def stored():
    with h5py.File('FA.h5') as file:
        return file['scalars/FA/values'][()], file['scalars/FA/column_names'].asstr()[()].tolist()


@pytest.mark.parametrize('order', [range(N), [6, 0, 3, 2], ['05', 4]])
@pytest.mark.parametrize('threads', ['1', '3'])
def test_volumes_are_rows(stack, order, threads):
    write_cohort(order)
    assert build('--nprocs', threads) == 0
    values, names = stored()
    numbers = list(map(int, order))
    np.testing.assert_array_equal(values, stack.T[numbers])
    assert names == [NAMES[number] for number in numbers]


def test_scaled_numbers_uncompressed(stack):
    stored_as = np.arange(np.prod(SHAPE) * 3, dtype=np.int16).reshape(*SHAPE, 3)
    image = nb.Nifti1Image(stored_as, AFFINE)
    image.header.set_slope_inter(0.5, 3)
    nb.save(image, 'all.nii')
    write_cohort([2, 0], 'all.nii')
    assert build() == 0
    read = np.asarray(nb.load('all.nii').dataobj)[np.asarray(nb.load('mask.nii.gz').dataobj) > 0]
    np.testing.assert_array_equal(stored()[0], read.T[[2, 0]].astype(np.float32))


def test_stacks_stand_beside_files_of_their_own(stack):
    nb.save(nb.Nifti1Image(np.full(SHAPE, 2.0, np.float32), AFFINE), 'one.nii.gz')
    write_cohort([1, 4])
    with open('cohort.csv', 'a', encoding='utf-8') as table:
        table.write('FA,one.nii.gz,,mask.nii.gz,30\n')
    assert build() == 0
    values, names = stored()
    np.testing.assert_array_equal(values[:2], stack.T[[1, 4]])
    assert (values[2] == 2).all()
    assert names == [NAMES[1], NAMES[4], 'one.nii.gz']


@pytest.mark.parametrize(
    ('volumes', 'says'),
    [
        ([0, 7], 'has 7 volumes, and no volume 7'),
        ([-1], "row 1 has the source_volume '-1'"),
        (['1.5'], "row 1 has the source_volume '1.5'"),
        ([3, 3], 'is listed twice'),
    ],
)
def test_volumes_that_cannot_be(stack, volumes, says, capsys):
    write_cohort([])
    with open('cohort.csv', 'a', encoding='utf-8') as table:
        table.writelines(f'FA,all_FA.nii.gz,{one},mask.nii.gz,20\n' for one in volumes)
    assert build() == 65
    assert says in capsys.readouterr().err


def test_a_stack_that_ends_early(stack, tmp_path, capsys):
    whole = (tmp_path / 'all_FA.nii.gz').read_bytes()
    (tmp_path / 'all_FA.nii.gz').write_bytes(whole[: len(whole) // 2])
    write_cohort(range(N))
    assert build() == 65
    assert 'truncated' in capsys.readouterr().err
    assert not (tmp_path / 'FA.h5').exists()


def test_the_cohort_goes_on_to_fit_validate_and_append(stack, capsys):
    write_cohort(range(N))
    assert build() == 0
    assert main(['validate', 'FA.h5', '--cohort-file', 'cohort.csv']) == 0
    words = ['--formula', 'FA ~ age', '--cohort-file', 'cohort.csv', '--num-subj-lthr-abs', '3']
    assert main(['fit', 'FA.h5', *words]) == 0
    assert 'all_FA.nii.gz,6' not in capsys.readouterr().err


def test_further_volumes_are_appended(stack, capsys):
    write_cohort([0, 2])
    assert build() == 0
    write_cohort([5])
    assert main(APPEND) == 0
    values, names = stored()
    np.testing.assert_array_equal(values, stack.T[[0, 2, 5]])
    assert names == [NAMES[0], NAMES[2], NAMES[5]]
    assert main(APPEND) != 0
    assert 'all_FA.nii.gz,5' in capsys.readouterr().err
