"""Which masks ``modelarrayio-bids group`` takes, and on which grids images may be."""

import h5py
import nibabel as nb
import numpy as np
import pytest
import trees

from modelarrayio_bids.cli.app import masking
from modelarrayio_bids.derivatives.cohorts.mask_matching import SOURCES

CBF = f'cbf/space-{trees.SPACE}'


def data(path):
    return np.asanyarray(nb.load(path).dataobj)


@pytest.fixture(scope='module')
def unmasked(tmp_path_factory):
    """Diffusion maps with nothing but an anatomical mask, of one person of two."""
    root = trees.describe(tmp_path_factory.mktemp('unmasked') / 'qsirecon', 'qsirecon')
    for person in trees.people(2):
        name = f'sub-{person.label}_space-{trees.SPACE}'
        dwi = root / f'sub-{person.label}' / 'dwi'
        trees.write_map(dwi / f'{name}_model-dki_param-fa_dwimap.nii.gz', person)
    anat = root / 'sub-01' / 'anat' / f'sub-01_space-{trees.SPACE}_desc-brain_mask.nii.gz'
    trees.write_mask(anat, trees.people(1)[0])
    return root


def test_the_help_knows_every_source():
    assert masking.MASK_SOURCES == SOURCES


@pytest.mark.parametrize(
    ('sources', 'mask_sources'),
    [
        ([], {'anatomical': 1, 'map-itself': 1}),
        (['map-itself'], {'map-itself': 2}),
        (['anatomical', 'map-itself'], {'anatomical': 1, 'map-itself': 1}),
        (['same-dataset', 'map-itself'], {'map-itself': 2}),
    ],
)
def test_sources_of_masks_are_allowed(group, cohort, unmasked, sources, mask_sources):
    options = ['--mask-source', *sources] if sources else []
    code, _, _ = group(*options, root=unmasked, scalars=())
    assert code == 0
    rows, _ = cohort()
    found = [row['mask_source'] for row in rows]
    assert {mask_source: found.count(mask_source) for mask_source in found} == mask_sources


@pytest.mark.parametrize(
    ('options', 'code', 'says'),
    [
        (['--mask-source', 'no-map-itself'], 18, '1 of 2 images have no mask that --mask-source'),
        (['--mask-source', 'same-dataset'], 18, '2 of 2 images have no mask'),
        (['--mask-source', 'no-map-itself', 'map-itself'], 64, 'contradict each other'),
        (
            ['--mask-source', 'same-dataset', '--mask', 'mask.nii.gz'],
            64,
            'is used for every volume',
        ),
        (['--mask-source', 'best'], 64, "invalid choice: 'best'"),
        (['--group-mask-file', 'none.nii.gz'], 66, 'Check --group-mask-file'),
        (
            ['--group-mask-file', 'mask.nii.gz', '--group-mask-threshold', '0.5'],
            64,
            'has no effect',
        ),
        (['--group-mask-file', 'other.nii.gz'], 65, 'other.nii.gz: is on another grid than all '),
        (['--group-mask-file', 'empty.nii.gz'], 65, 'is an empty mask'),
    ],
)
def test_masks_that_cannot_serve(group, unmasked, tmp_path, monkeypatch, options, code, says):
    monkeypatch.chdir(tmp_path)
    person = trees.people(1)[0]
    trees.write_mask(tmp_path / 'mask.nii.gz', person)
    trees.write_mask(tmp_path / 'other.nii.gz', person, trees.DIFFUSION)
    trees.save(np.zeros(trees.TEMPLATE.shape, np.uint8), tmp_path / 'empty.nii.gz')
    try:
        ended, _, said = group(*options, root=unmasked, scalars=())
    except SystemExit as stopped:  # argparse's way
        assert stopped.code == code
        return
    assert ended == code
    assert says in said
    assert not list(tmp_path.rglob('*.h5'))


def test_a_group_mask_says_which_voxels_and_own_masks_which_values(group, cohort, tmp_path):
    given = np.zeros(trees.TEMPLATE.shape, np.uint8)
    given[:, 4:14, 8] = 1  # a slice, wider than any brain
    trees.save(given, tmp_path / 'slice.nii.gz')
    code, _, _ = group('--group-mask-file', tmp_path / 'slice.nii.gz')
    assert code == 0
    rows, _ = cohort()
    assert {row['mask_source'] for row in rows} == {'same-dataset'}
    out = tmp_path / 'out'
    np.testing.assert_array_equal(data(out / f'{CBF}_desc-group_mask.nii.gz'), given)
    counts = np.sum([data(row['source_mask_file']) for row in rows], axis=0)
    np.testing.assert_array_equal(data(out / f'{CBF}_coverage.nii.gz'), counts)
    with h5py.File(out / f'{CBF}_modelarray.h5') as file:
        values = file['scalars/cbf/values'][()]
    for row, stored in zip(rows, values, strict=True):
        own = data(row['source_mask_file']) > 0
        expected = np.where(own, data(row['source_file']), np.nan)[given > 0]
        np.testing.assert_array_equal(stored, expected)
    assert np.isnan(values).any()


@pytest.mark.parametrize('option', ['--mask', '--group-mask-file'])
def test_an_image_given_as_a_mask_is_not_taken_silently(group, unmasked, tmp_path, option):
    shades = np.arange(np.prod(trees.TEMPLATE.shape), dtype=np.float32) + 1
    trees.save(shades.reshape(trees.TEMPLATE.shape), tmp_path / 'T1w.nii.gz')
    code, _, said = group(option, tmp_path / 'T1w.nii.gz', root=unmasked, scalars=())
    assert code == 0
    warning = f'has {shades.size:,} different values, a mask has two, 0 and another'
    assert said.count(f'T1w.nii.gz: {warning}') == 1
    assert 'voxels above 0 are taken, all.' in said


@pytest.fixture
def odd(tmp_path):
    """Blood flow of four people, that of the third and its mask on a coarser grid."""
    root = trees.write_aslprep(tmp_path / 'aslprep', trees.people(4))
    person = trees.people(4)[2]
    name = root / 'sub-03' / 'perf' / f'sub-03_space-{trees.SPACE}'
    trees.write_map(name.with_name(f'{name.name}_cbf.nii.gz'), person, trees.DIFFUSION)
    trees.write_mask(name.with_name(f'{name.name}_desc-brain_mask.nii.gz'), person, trees.DIFFUSION)
    return root


def odd_image(root):
    return root / 'sub-03' / 'perf' / f'sub-03_space-{trees.SPACE}_cbf.nii.gz'


def test_an_odd_grid_is_an_error_that_names_it_and_that_of_the_others(group, odd, tmp_path):
    for more in ([], ['--dry-run']):
        code, _, said = group(*more, root=odd)
        assert code == 65
        assert '2 problems, nothing was written' in said
        assert f'{odd_image(odd)}: has shape 13 × 15 × 13, expected 16 × 18 × 16; ' in said
        assert '; the grid of 6 of 8 files is expected' in said
        assert '(--on-grid-mismatch resample), or leave its image out (drop)' in said
    assert not list((tmp_path / 'out').rglob('*.csv'))


def test_an_odd_image_is_left_out_and_listed(group, cohort, odd):
    code, _, said = group('--on-grid-mismatch', 'drop', root=odd)
    assert code == 0
    rows, sidecar = cohort()
    assert [row['participant_id'] for row in rows] == ['sub-01', 'sub-02', 'sub-04']
    assert 'resampled' not in rows[0]
    (left_out,) = sidecar['LeftOut']
    assert (left_out['Image'], left_out['Of']) == (str(odd_image(odd)), 'sub-03')
    assert 'has shape 13 × 15 × 13' in left_out['Reason']
    assert 'left out 1 of 4 images, on another grid: sub-03' in said


def test_an_odd_image_is_resampled_and_the_original_kept(group, cohort, odd, tmp_path):
    before = odd_image(odd).read_bytes()
    code, _, said = group('--on-grid-mismatch', 'resample', root=odd)
    assert code == 0
    assert odd_image(odd).read_bytes() == before
    rows, sidecar = cohort()
    assert [row['resampled'] for row in rows] == ['no', 'no', 'yes', 'no']
    name = f'sub-03_space-{trees.SPACE}_desc-resampled'
    out = tmp_path / 'out'
    moved, mask = out / f'cbf/maps/{name}_cbf.nii.gz', out / f'cbf/masks/{name}_mask.nii.gz'
    assert (rows[2]['source_file'], rows[2]['source_mask_file']) == (str(moved), str(mask))
    assert nb.load(moved).shape == nb.load(mask).shape == trees.TEMPLATE.shape
    assert sidecar['Resampling']['Originals'] == {
        f'bids::cbf/maps/{name}_cbf.nii.gz': (
            f'bids:aslprep:sub-03/perf/sub-03_space-{trees.SPACE}_cbf.nii.gz'
        )
    }
    assert 'linear' in sidecar['Resampling']['Interpolation']
    assert sidecar['Resampling']['Grid'].endswith(f'sub-01_space-{trees.SPACE}_cbf.nii.gz')
    assert '1 of 4 images are resampled to the grid of' in said
    with h5py.File(out / f'{CBF}_modelarray.h5') as file:
        stored = file['scalars/cbf/values'][2]
    inside = data(out / f'{CBF}_desc-group_mask.nii.gz') > 0
    expected = np.where(data(mask) > 0, data(moved), np.nan)
    np.testing.assert_array_equal(stored, expected[inside])
    # The middle of the brain, in which noise of 0.05 is all that tells neighbours apart.
    middle = trees.map_values(trees.people(4)[2], f'space-{trees.SPACE}_cbf.nii.gz')[7:9, 8:10, 7:9]
    np.testing.assert_allclose(data(moved)[7:9, 8:10, 7:9].mean(), middle.mean(), atol=0.3)


def test_the_group_mask_says_which_grid_is_meant(group, cohort, odd, tmp_path):
    mask = tmp_path / 'mask.nii.gz'
    trees.write_mask(mask, trees.people(1)[0], trees.DIFFUSION)
    code, _, _ = group('--on-grid-mismatch', 'resample', '--group-mask-file', mask, root=odd)
    assert code == 0
    rows, sidecar = cohort()
    assert [row['resampled'] for row in rows] == ['yes', 'yes', 'no', 'yes']
    assert sidecar['Resampling']['Grid'] == mask.as_uri()
    for row in rows:
        assert nb.load(row['source_file']).shape == trees.DIFFUSION.shape
        assert nb.load(row['source_mask_file']).shape == trees.DIFFUSION.shape


def test_a_map_without_a_mask_is_resampled_with_its_own_voxels(group, cohort, odd):
    sources = ['--mask-source', 'map-itself']
    code, _, _ = group('--on-grid-mismatch', 'resample', *sources, root=odd)
    assert code == 0
    rows, _ = cohort()
    own = data(rows[2]['source_mask_file']) > 0
    # The ellipsoid is defined in mm: nearest neighbour moves it by a voxel's diagonal at most.
    indices = np.indices(own.shape).reshape(3, -1).T
    radius = np.linalg.norm(nb.affines.apply_affine(trees.TEMPLATE.affine, indices), axis=1)
    assert own.ravel()[radius < 70 - 12].all()
    assert not own.ravel()[radius > 75 + 12].any()


def test_grids_that_cannot_be_mended(group, odd, tmp_path):
    far = nb.Nifti1Image(
        np.ones(trees.DIFFUSION.shape, np.float32), nb.affines.from_matvec(np.eye(3), [900] * 3)
    )
    nb.save(far, odd_image(odd))
    code, _, said = group('--on-grid-mismatch', 'resample', root=odd)
    assert code == 65
    assert f'{odd_image(odd)}: shares no field of view with' in said
    everybody = ['--participant-label', '01', '03']
    code, _, said = group('--on-grid-mismatch', 'drop', *everybody, root=odd)
    assert code == 65
    assert 'only 1 of 2 images are on one grid' in said
    odd_image(odd).write_bytes(b'no image')
    code, _, said = group('--on-grid-mismatch', 'drop', root=odd)
    assert code == 65
    assert 'is not a NIfTI image' in said
    (tmp_path / 'mask.nii').write_bytes(b'no mask')
    given = ['--group-mask-file', tmp_path / 'mask.nii']
    code, _, said = group('--on-grid-mismatch', 'drop', *given, root=odd)
    assert code == 65
    assert '2 problems' in said
    assert 'mask.nii: is not a NIfTI image' in said
    assert not list(tmp_path.rglob('*.h5'))


def test_images_that_cannot_be_resampled_are_all_told_before_any_is(group, odd, tmp_path):
    for number, away in ((2, 900), (3, -900)):
        affine = nb.affines.from_matvec(np.eye(3), [away] * 3)
        name = f'sub-0{number}_space-{trees.SPACE}_cbf.nii.gz'
        image = odd_image(odd).parents[2] / f'sub-0{number}' / 'perf' / name
        nb.save(nb.Nifti1Image(np.ones(trees.DIFFUSION.shape, np.float32), affine), image)
    code, _, said = group('--on-grid-mismatch', 'resample', '--dry-run', root=odd)
    assert code == 65
    assert '2 problems, nothing was written' in said
    assert said.count('shares no field of view with') == 2
    assert not list((tmp_path / 'out').rglob('*.nii.gz'))


def test_no_image_says_which_grid_is_meant(group, odd, tmp_path):
    """Masks share one grid, of which no image is: there is none to resample the others to."""
    for number, person in enumerate(trees.people(4), start=1):
        folder = odd / f'sub-0{number}' / 'perf'
        name = f'sub-0{number}_space-{trees.SPACE}'
        trees.write_mask(folder / f'{name}_desc-brain_mask.nii.gz', person)
        shape = (13, 15, 10 + number)
        image = nb.Nifti1Image(np.ones(shape, np.float32), trees.DIFFUSION.affine)
        nb.save(image, folder / f'{name}_cbf.nii.gz')
    code, _, said = group('--on-grid-mismatch', 'resample', root=odd)
    assert code == 65
    assert '4 problems, nothing was written' in said
    assert not list(tmp_path.rglob('*.h5'))


def test_the_group_mask_says_which_images_are_left_out(group, cohort, odd, tmp_path):
    mask, far = tmp_path / 'mask.nii.gz', tmp_path / 'far.nii.gz'
    trees.write_mask(mask, trees.people(1)[0], trees.DIFFUSION)
    code, _, said = group('--on-grid-mismatch', 'drop', '--group-mask-file', mask, root=odd)
    assert code == 0
    rows, _ = cohort()
    assert [row['participant_id'] for row in rows] == ['sub-03']
    assert 'left out 3 of 4 images, on another grid: sub-01, sub-02, sub-04; first: ' in said
    trees.save(np.ones((5, 5, 5), np.uint8), far)
    code, _, said = group('--on-grid-mismatch', 'drop', '--group-mask-file', far, root=odd)
    assert code == 65
    assert 'only 0 of 4 images are on one grid' in said


def test_what_was_left_out_before_stays_listed(group, cohort, odd, tmp_path):
    table = tmp_path / 'table.tsv'
    table.write_text('participant_id\tiq\nsub-01\t99\nsub-02\t98\nsub-03\t97\nsub-04\tn/a\n')
    options = ['--phenotypes', table, '--require', 'iq', '--on-grid-mismatch', 'drop']
    code, _, _ = group(*options, root=odd)
    assert code == 0
    rows, sidecar = cohort()
    assert [row['participant_id'] for row in rows] == ['sub-01', 'sub-02']
    assert [one['Of'] for one in sidecar['LeftOut']] == ['sub-04', 'sub-03']


def test_the_first_image_is_the_odd_one(group, cohort, odd):
    for one, other in (('01', '03'), ('03', '01')):
        (odd / f'sub-{one}').rename(odd / f'sub-{one}-')
        (odd / f'sub-{one}-').rename(odd / f'sub-x{other}')
    for one, other in (('01', '03'), ('03', '01')):
        folder = odd / f'sub-{other}'
        (odd / f'sub-x{other}').rename(folder)
        for path in (folder / 'perf').iterdir():
            path.rename(path.with_name(path.name.replace(f'sub-{one}_', f'sub-{other}_')))
    code, _, _ = group('--on-grid-mismatch', 'resample', root=odd)
    assert code == 0
    rows, sidecar = cohort()
    assert [row['resampled'] for row in rows] == ['yes', 'no', 'no', 'no']
    assert sidecar['Resampling']['Grid'].endswith(f'sub-02_space-{trees.SPACE}_cbf.nii.gz')


def test_a_mask_on_another_grid_than_its_image(group, cohort, odd):
    trees.write_map(odd_image(odd), trees.people(4)[2])
    code, _, said = group('--on-grid-mismatch', 'drop', root=odd)
    assert code == 0
    rows, sidecar = cohort()
    assert [row['participant_id'] for row in rows] == ['sub-01', 'sub-02', 'sub-04']
    mask = odd_image(odd).with_name(f'sub-03_space-{trees.SPACE}_desc-brain_mask.nii.gz')
    (left_out,) = sidecar['LeftOut']
    assert left_out['Reason'].startswith(f'on another grid: {mask} has shape 13 × 15 × 13')
    assert f'on another grid: sub-03; first: {mask} has shape 13 × 15 × 13' in said


def test_what_is_not_of_voxels_is_left_out_or_an_error(group, cohort, tmp_path):
    root = trees.describe(tmp_path / 'xcp_d', 'xcp_d')
    for person in trees.people(3):
        name = f'sub-{person.label}_task-rest_space-fsLR_den-91k_stat-alff_boldmap.dscalar.nii'
        path = trees.write_cifti(root / f'sub-{person.label}' / 'func' / name, person)
    image = nb.load(path)
    axes = [image.header.get_axis(0), image.header.get_axis(1)[:100]]
    nb.save(nb.Cifti2Image(image.get_fdata(dtype=np.float32)[:, :100], axes), path)
    code, _, _ = group('--on-grid-mismatch', 'resample', root=root, scalars=())
    assert code == 65
    code, _, _ = group('--on-grid-mismatch', 'drop', root=root, scalars=())
    assert code == 0
    rows, sidecar = cohort()
    assert [row['participant_id'] for row in rows] == ['sub-01', 'sub-02']
    assert sidecar['LeftOut'][0]['Of'] == 'sub-03'


@pytest.mark.parametrize(
    ('name', 'options'),
    [
        ('{}/FA.nii.gz', ['--images', 'FA={participant}/FA.nii.gz']),
        ('FA_{}.nii.gz', ['--images', 'FA=FA_{participant}.nii.gz']),
    ],
)
def test_files_made_for_images_of_one_name_are_each_images_own(
    group, cohort, tmp_path, name, options
):
    root = trees.describe(tmp_path / 'maps', 'tractseg')
    shifted = nb.affines.from_matvec(np.eye(3), [1, 0, 0])
    for number in range(1, 6):
        # Each has a number, in as many slices; two are a voxel further along the first axis.
        values = np.zeros((8, 8, 8), np.float32)
        values[1:7, 1:7, :number] = number
        path = root / name.format(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        nb.save(nb.Nifti1Image(values, shifted if number > 3 else np.eye(4)), path)
    threshold = ['--group-mask-threshold', '0.1']
    resample = ['--on-grid-mismatch', 'resample']
    code, _, _ = group(*options, *resample, *threshold, root=root, scalars=())
    assert code == 0
    rows, _ = cohort()
    for column in ('source_file', 'source_mask_file'):
        assert len({row[column] for row in rows}) == 5
    (store,) = (tmp_path / 'out').rglob('*.h5')
    with h5py.File(store) as file:
        (scalar,) = file['scalars'].values()
        stored = scalar['values'][()]
    # Where a shifted image has its edge, linear interpolation has nothing to mix but zeros.
    assert [set(row[np.isfinite(row)]) for row in stored] == [{n} for n in range(1, 6)]
    # Slices of 6 x 6 voxels, moved by one along the first axis, which the grid has room for.
    assert [np.isfinite(row).sum() for row in stored] == [36 * n for n in range(1, 6)]
