"""``modelarrayio-bids`` on every kind of elements, there and back."""

import csv
import json

import h5py
import nibabel as nb
import numpy as np
import pytest
import trees
from mrtrix import dumped, run
from stores import write_results

from modelarrayio_bids.cli.bids_app import main

FSLR, TIAN = 'task-rest_space-fsLR_den-91k', 'task-rest_space-fsLR_atlas-Tian_den-91k'
#: Scalar to the kind and stem of its files, as ``trees.write_demo`` makes them.
UNMASKED = {
    'alff': ('greyordinates', FSLR),
    'alff_smooth': ('greyordinates', FSLR),
    'coverage': ('parcels', TIAN),
    'fd': ('fixels', ''),
    'log_fc': ('fixels', ''),
    'pearsoncorrelation': ('edges', TIAN),
    'thickness': ('greyordinates', 'space-fsLR_den-91k'),
}
#: How images of results end that are not compressed.
ENDINGS = {
    'greyordinates': '.dscalar.nii',
    'parcels': '.pscalar.nii',
    'edges': '.pconn.nii',
    'fixels': '.mif',
}
COUNT = 4


@pytest.fixture(scope='module')
def study(tmp_path_factory):
    return trees.write_demo(tmp_path_factory.mktemp('kinds') / 'study', trees.people(COUNT))


@pytest.fixture(scope='module')
def outputs(study):
    """What one run over all kinds leaves, to be read only."""
    output = study.parent / 'out'
    assert main([str(study), str(output), 'group', '--nprocs', '2', '--no-report']) == 0
    return output


def stem_of(scalar):
    kind, stem = UNMASKED[scalar]
    return '_'.join(part for part in (stem, f'desc-{kind}') if part)


def values_of(path):
    """The values of a file by another reader than ours: nibabel, or mrdump."""
    if path.endswith('.mif'):
        return dumped(path, (int(trees.N_FIXELS.sum()), 1, 1)).reshape(-1)
    return nb.load(path).get_fdata().reshape(-1)


def precision(scalar):
    """mrdump prints six digits; nibabel gives what is in the file."""
    return 1e-5 if UNMASKED[scalar][0] == 'fixels' else 0


def made(folder):
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize('scalar', UNMASKED)
def test_the_matrix_holds_the_images_and_no_mask_is_made(outputs, scalar):
    stem = stem_of(scalar)
    assert made(outputs / scalar) == {
        f'{stem}_{ending}'
        for ending in ('cohort.csv', 'cohort.json', 'modelarray.h5', 'modelarray.json')
    }
    with open(outputs / scalar / f'{stem}_cohort.csv', newline='', encoding='utf-8') as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ['scalar_name', 'source_file', 'participant_id', 'age', 'sex', 'site']
    with h5py.File(outputs / scalar / f'{stem}_modelarray.h5') as file:
        stored = file[f'scalars/{scalar}/values'][()]
        names = file[f'scalars/{scalar}/column_names'].asstr()[()].tolist()
    assert names == [row['source_file'] for row in rows]
    assert [row['participant_id'] for row in rows] == [f'sub-0{n + 1}' for n in range(COUNT)]
    for row, found in zip(rows, stored, strict=True):
        np.testing.assert_allclose(found, values_of(row['source_file']), rtol=precision(scalar))


def test_voxels_of_the_same_run_have_their_masks(outputs):
    stem = f'space-{trees.SPACE}'
    assert {f'{stem}_desc-group_mask.nii.gz', f'{stem}_coverage.nii.gz'} < made(outputs / 'cbf')
    mask = nb.load(outputs / 'cbf' / f'{stem}_desc-group_mask.nii.gz').get_fdata() > 0
    with h5py.File(outputs / 'cbf' / f'{stem}_modelarray.h5') as file:
        assert file['scalars/cbf/values'].shape == (COUNT, mask.sum())


def test_the_list_shows_kinds_and_that_no_mask_is_needed(study, tmp_path, capsys):
    assert main([str(study), str(tmp_path / 'out'), 'group', '--list-scalars']) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ['SCALAR', 'KIND', 'SPACE']
    table = {line.split()[0]: line for line in lines[1:] if line and line[0] != ' '}
    for scalar, (kind, _) in UNMASKED.items():
        assert table[scalar].split()[1] == kind
        assert 'not needed' in table[scalar]
    assert table['cbf'].split()[1] == 'voxels'


@pytest.mark.parametrize('dataset', ['xcp_d', 'mrtrix'])
def test_a_run_without_any_voxels_and_again_in_its_work_folder(study, tmp_path, dataset):
    output = tmp_path / 'out'
    arguments = ['-d', f'mine={study / "derivatives" / dataset}', '-w', str(tmp_path / 'work')]
    arguments.append('--no-report')
    expected = {
        scalar for scalar in UNMASKED if (scalar in {'fd', 'log_fc'}) == (dataset == 'mrtrix')
    }
    for _ in range(2):
        assert main([str(study), str(output), 'group', *arguments]) == 0
        assert {path.parent.name for path in output.rglob('*.h5')} == expected
    assert not list(output.rglob('*mask*'))


@pytest.mark.parametrize('threads', ['1', '2'])
def test_results_come_back_in_each_kind(study, tmp_path, threads):
    output, scalars = tmp_path / 'out', ['thickness', 'coverage', 'pearsoncorrelation', 'fd']
    assert main([str(study), str(output), 'group', '--no-report', '--scalars', *scalars]) == 0
    expected = {}
    for store in output.rglob('*.h5'):
        with h5py.File(store) as file:
            expected[store.parent.name] = file[f'scalars/{store.parent.name}/values'][()].mean(0)
        mean = expected[store.parent.name]
        write_results(store, 'means', ['mean.estimate'], mean[:, np.newaxis])
    arguments = ['--no-report', '--no-compress', '--nprocs', threads]
    assert main([str(study), str(output), 'export', *arguments]) == 0
    for scalar, mean in expected.items():
        kind, stem = UNMASKED[scalar]
        folder = output / scalar / f'{stem_of(scalar)}_node-means'
        name = '_'.join(filter(None, (stem, 'node-means_contrast-mean_stat-effect_statmap')))
        image = folder / (name + ENDINGS[kind])
        np.testing.assert_allclose(values_of(str(image)), mean, rtol=precision(scalar))
        described = json.loads((folder / f'{name}.json').read_text('utf-8'))
        assert described['Result'] == 'mean.estimate'
        assert described['Elements'] == kind
        beside = {'index.mif', 'directions.mif'} if kind == 'fixels' else set()
        assert made(folder) == {image.name, f'{name}.json'} | beside


def test_an_exported_fixel_directory_is_one_to_mrtrix(study, tmp_path):
    output = tmp_path / 'out'
    assert main([str(study), str(output), 'group', '--no-report', '--scalars', 'fd']) == 0
    n = int(trees.N_FIXELS.sum())
    write_results(output / 'fd' / 'desc-fixels_modelarray.h5', 'ones', ['x'], np.ones((n, 1)))
    assert main([str(study), str(output), 'export', '--no-report', '--no-compress']) == 0
    folder = output / 'fd' / 'desc-fixels_node-ones'
    sums = tmp_path / 'sums.mif'
    run('fixel2voxel', folder / 'node-ones_stat-x_statmap.mif', 'sum', sums)
    # Of ones, the sum over the fixels of a voxel is their number.
    np.testing.assert_array_equal(dumped(sums, (4, 5, 6)).reshape(-1), trees.N_FIXELS)


def test_problems_of_any_kind_end_the_run_before_anything_is_made(tmp_path, capsys):
    study = trees.write_demo(tmp_path / 'study', trees.people(3))
    bad = study / 'derivatives' / 'mrtrix' / 'fd' / 'sub-02.mif'
    trees.save_mif(np.zeros((7, 1, 1), 'f4'), bad)
    (cut,) = study.rglob('sub-03*_thickness.dscalar.nii')
    cut.write_bytes(cut.read_bytes()[:-4])
    assert main([str(study), str(tmp_path / 'out'), 'group']) == 65
    words = capsys.readouterr().err
    assert '2 problems, nothing was written' in words
    assert f'{bad}: holds 7 fixels, expected 180' in words  # N_FIXELS: 30 times 1 + 2 + 0 + 3
    assert f'{cut}: is truncated' in words
    assert made(tmp_path / 'out') == {'logs'}


def test_fixel_files_that_name_nobody(tmp_path, capfd):
    root = trees.write_fixels(tmp_path / 'template', [], ('fd',))
    (root / 'fd' / 'control1.mif').touch()
    assert main([str(root), str(tmp_path / 'out'), 'group']) == 18
    words = capfd.readouterr().err
    assert 'names do not begin with sub-<label>: fd/control1.mif' in words
    assert '1 of no participant, such as control1.mif' in words
