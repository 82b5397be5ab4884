"""``modelarrayio`` on fixels and CIFTI: to HDF5 and back, and what is refused with which words."""

import h5py
import nibabel as nb
import numpy as np
import pytest
from greyordinates import (
    brain_models,
    left,
    maps,
    parcels,
    random_values,
    right,
    save_map,
    save_matrix,
    voxels,
)
from images import save, write_csv
from mrtrix import VOXELS, direction_values, fixel_directory, index_values, save_mif, save_values
from stores import write_results

from modelarrayio_bids.cli.files import main

# As many fixels as VOXELS has, the first two voxels having changed places.
SWAPPED = ((VOXELS[1][0], 3, 0), (VOXELS[0][0], 1, 3), VOXELS[2])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def cohort(*names):
    write_csv('cohort.csv', ['scalar_name', 'source_file'], [['x', name] for name in names])


def build(*more):
    return main(['to-modelarray', '--cohort-file', 'cohort.csv', '--output', 'x.h5', *more])


def export(*more):
    options = ['--analysis-name', 'mylm', '--input-hdf5', 'x.h5', '--output-dir', 'maps']
    return main(['export-results', *options, *more])


def add_results(n):
    matrix = np.stack([np.arange(n), np.linspace(0, 1, n)], axis=1)
    write_results('x.h5', 'mylm', ['element_id', 'age.p.value'], matrix)


def three_fixel_files(folder):
    fixel_directory(folder / 'fd')
    for number in range(3):
        save_values(folder / f'fd/sub-{number}.mif', np.arange(6) + number)
    cohort(*(f'fd/sub-{number}.mif' for number in range(3)))


def three_dscalars(folder):
    for number in range(3):
        save_map(folder / f'{number}.dscalar.nii', random_values(66, seed=number), brain_models())
    cohort(*(f'{number}.dscalar.nii' for number in range(3)))


def three_pscalars(folder):
    for number in range(3):
        save_map(folder / f'{number}.pscalar.nii', random_values(4, seed=number), parcels())
    cohort(*(f'{number}.pscalar.nii' for number in range(3)))


def three_pconns(folder):
    for number in range(3):
        values = random_values(4, 4, seed=number)
        save_matrix(folder / f'{number}.pconn.nii', values, (parcels(), parcels()))
    cohort(*(f'{number}.pconn.nii' for number in range(3)))


def test_a_fixel_directory_there_and_back(folder):
    three_fixel_files(folder)
    assert build() == 0
    add_results(6)
    assert export('--no-compress') == 0
    assert {path.name for path in (folder / 'maps').iterdir()} == {
        'index.mif',
        'directions.mif',
        'mylm_element_id.mif',
        'mylm_age.p.value.mif',
        'mylm_age.1m.p.value.mif',
        'mylm_results.json',
    }


def test_index_and_directions_may_be_named(folder):
    three_fixel_files(folder)
    (folder / 'fd/index.mif').rename(folder / 'index.mif')
    (folder / 'fd/directions.mif').rename(folder / 'directions.mif')
    both = ['--index-file', 'index.mif', '--directions-file', 'directions.mif']
    assert build(*both) == 0
    add_results(6)
    assert export(*both) == 0
    assert (folder / 'maps/mylm_age.p.value.mif.gz').exists()


@pytest.mark.parametrize(
    'example', [[], ['--example-file', '0.dscalar.nii'], ['--cohort-file', 'cohort.csv']]
)
def test_greyordinates_there_and_back(folder, example):
    three_dscalars(folder)
    assert build() == 0
    add_results(66)
    assert export(*example) == 0
    image = nb.load(folder / 'maps/mylm_age.1m.p.value.dscalar.nii')
    assert image.header.get_axis(0).name.tolist() == ['age.1m.p.value']
    assert image.header.get_axis(1) == brain_models()
    expected = (1 - np.linspace(0, 1, 66)).astype(np.float32)
    np.testing.assert_array_equal(image.get_fdata()[0], expected)


@pytest.mark.parametrize('chosen', ['second', '2'])
def test_a_map_is_chosen_by_name_or_number(folder, chosen):
    values = random_values(2, 66)
    save_matrix(folder / '0.dscalar.nii', values, (maps('first', 'second'), brain_models()))
    cohort('0.dscalar.nii')
    assert build('--map', chosen) == 0
    with h5py.File('x.h5') as file:
        np.testing.assert_array_equal(file['scalars/x/values'][0], values[1])


def test_files_of_other_kinds_are_told(folder, capsys):
    three_dscalars(folder)
    assert build('--mask', 'group_mask.nii.gz', '--index-file', 'fd/index.mif') == 0
    told = capsys.readouterr().err
    assert 'WARNING: group_mask.nii.gz is not used: greyordinates need no mask file' in told
    assert 'index.mif is not used: greyordinates need no index file' in told


def test_a_source_without_any_value_is_told(folder, capsys):
    three_fixel_files(folder)
    save_values(folder / 'fd/sub-1.mif', np.full(6, np.nan))
    assert build() == 0
    assert 'fd/sub-1.mif: has no finite value at any element' in capsys.readouterr().err


def test_a_directory_of_other_fixels_keeps_its_index(folder, capsys):
    three_fixel_files(folder)
    assert build() == 0
    add_results(6)
    other = fixel_directory(folder / 'maps')
    save_mif(other / 'index.mif', index_values(SWAPPED))
    before = (other / 'index.mif').read_bytes()
    assert export() == 73
    assert 'maps: is a fixel directory of other fixels' in capsys.readouterr().err
    assert (other / 'index.mif').read_bytes() == before
    assert not list(other.glob('mylm*'))


def test_only_some_kinds_have_maps(folder, capsys):
    three_fixel_files(folder)
    assert build('--map', '1') == 64
    assert 'fixels have no maps to choose from' in capsys.readouterr().err


def test_missing_and_infinite_values_are_kept(folder):
    values = random_values(66)
    values[:3] = np.nan, np.inf, -np.inf
    save_map(folder / '0.dscalar.nii', values, brain_models())
    cohort('0.dscalar.nii')
    assert build() == 0
    with h5py.File('x.h5') as file:
        np.testing.assert_array_equal(file['scalars/x/values'][0], values)


# Bad input: the cohort it spoils, how, what must be said, and the exit code.


def replace_text(path, old, new):
    path.write_bytes(path.read_bytes().replace(old, new, 1))


def cut(path, n_bytes):
    path.write_bytes(path.read_bytes()[:-n_bytes])


def index(voxels):
    return lambda folder: save_mif(folder / 'fd/index.mif', index_values(voxels))


def other_dscalar(elements):
    return lambda folder: save_map(folder / '1.dscalar.nii', random_values(len(elements)), elements)


def other_pscalar(elements):
    return lambda folder: save_map(folder / '1.pscalar.nii', random_values(len(elements)), elements)


def other_members():
    changed = parcels()
    changed.vertices[0] = {'CIFTI_STRUCTURE_CORTEX_LEFT': np.array([3, 5, 39])}
    return changed


def not_square(folder):
    path = folder / '1.pconn.nii'
    save_matrix(path, random_values(4, 3), (parcels(), parcels()[:3]))


def plain_nifti(name):
    return lambda folder: nb.Nifti2Image(random_values(4, 5, 6), np.eye(4)).to_filename(
        folder / name
    )


def several_maps(folder):
    save_matrix(folder / '1.dscalar.nii', random_values(2, 66), (maps('a', 'b'), brain_models()))


def another_directory(folder):
    other = fixel_directory(folder / 'other')
    save_mif(other / 'index.mif', index_values(SWAPPED))
    save_values(other / 'sub-1.mif', np.arange(6))
    cohort('fd/sub-0.mif', 'other/sub-1.mif')


def complex_mif(folder):
    save_mif(folder / 'fd/sub-1.mif', np.zeros((6, 1, 1), '<c8'))


SHIFTED = left(range(1, 38, 2)) + right() + voxels() + voxels('ThalamusLeft', 50, 10)

BAD = {
    'another directory': (
        three_fixel_files,
        another_directory,
        'other/sub-1.mif: lies in a fixel directory with another index',
    ),
    'fixel count': (
        three_fixel_files,
        lambda folder: save_values(folder / 'fd/sub-1.mif', np.arange(7)),
        'fd/sub-1.mif: holds 7 fixels, expected 6',
    ),
    'index overlap': (
        three_fixel_files,
        index(((VOXELS[0][0], 3, 0), (VOXELS[1][0], 1, 2), (VOXELS[2][0], 2, 4))),
        'fd/index.mif: ',
    ),
    'index gap': (
        three_fixel_files,
        index(((VOXELS[0][0], 3, 0), (VOXELS[1][0], 1, 4), (VOXELS[2][0], 2, 5))),
        'fd/index.mif: ',
    ),
    'directions': (
        three_fixel_files,
        lambda folder: save_mif(folder / 'fd/directions.mif', direction_values(5)[..., None]),
        'fd/directions.mif: holds 5 directions, expected 6',
    ),
    'wrong offset': (
        three_fixel_files,
        lambda folder: replace_text(folder / 'fd/sub-1.mif', b'file: . 256', b'file: . 250'),
        'fd/sub-1.mif: ',
    ),
    'truncated body': (
        three_fixel_files,
        lambda folder: cut(folder / 'fd/sub-1.mif', 4),
        'fd/sub-1.mif: is truncated',
    ),
    'unknown type': (
        three_fixel_files,
        lambda folder: replace_text(folder / 'fd/sub-1.mif', b'Float32LE', b'Float31LE'),
        'fd/sub-1.mif: ',
    ),
    'complex': (three_fixel_files, complex_mif, 'fd/sub-1.mif: holds values of type complex64'),
    'other vertices': (three_dscalars, other_dscalar(SHIFTED), '1.dscalar.nii: '),
    'fewer structures': (three_dscalars, other_dscalar(left() + right()), '1.dscalar.nii: '),
    'several maps': (three_dscalars, several_maps, '1.dscalar.nii: '),
    'plain NIfTI': (
        three_dscalars,
        plain_nifti('1.dscalar.nii'),
        '1.dscalar.nii: is a plain NIfTI-2 image',
    ),
    'parcel order': (three_pscalars, other_pscalar(parcels()[[1, 0, 2, 3]]), '1.pscalar.nii: '),
    'parcel members': (three_pscalars, other_pscalar(other_members()), '1.pscalar.nii: '),
    'not square': (three_pconns, not_square, '1.pconn.nii: '),
}


@pytest.mark.parametrize('case', BAD)
def test_what_is_refused(folder, capsys, case):
    make, spoil, says = BAD[case]
    make(folder)
    spoil(folder)
    before = {path: path.is_file() and path.read_bytes() for path in folder.rglob('*')}
    assert build() == 65
    (line,) = [line for line in capsys.readouterr().err.splitlines() if ': error: ' in line]
    assert says in line
    assert 'expected' in line or 'Give' in line or 'again' in line
    assert {path: path.is_file() and path.read_bytes() for path in folder.rglob('*')} == before


def test_a_compressed_fixel_file_cut_short(folder, capsys):
    import gzip

    three_fixel_files(folder)
    whole = gzip.compress((folder / 'fd/sub-1.mif').read_bytes())
    (folder / 'fd/sub-1.mif.gz').write_bytes(whole[:-20])
    cohort('fd/sub-0.mif', 'fd/sub-1.mif.gz')
    assert build() == 65
    assert 'fd/sub-1.mif.gz: is truncated' in capsys.readouterr().err


def test_a_cifti_named_like_a_volume(folder, capsys):
    save(folder / 'mask.nii.gz', np.ones((4, 5, 6), np.uint8))
    path = save_map(folder / 'x.dscalar.nii', random_values(66), brain_models())
    path.rename(folder / 'x.nii')
    row = ['x', 'x.nii', 'mask.nii.gz']
    write_csv('cohort.csv', ['scalar_name', 'source_file', 'source_mask_file'], [row])
    assert build('--mask', 'mask.nii.gz') == 65
    assert 'x.nii: is a CIFTI image, expected a volume' in capsys.readouterr().err


@pytest.mark.parametrize('ending', ['dlabel', 'dtseries', 'dconn', 'ptseries'])
def test_other_kinds_of_cifti_are_refused_by_name(folder, capsys, ending):
    cohort(f'sub-1.{ending}.nii')
    assert build() == 65
    assert f'sub-1.{ending}.nii: is CIFTI' in capsys.readouterr().err
