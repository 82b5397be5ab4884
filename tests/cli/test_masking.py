"""Which masks ``modelarrayio-bids group`` takes, and on which grids images may be."""

import h5py
import nibabel as nb
import numpy as np
import pytest
import trees

from modelarrayio_bids.cli import masking
from modelarrayio_bids.derivatives.pairing import SOURCES

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
    ('sources', 'rungs'),
    [
        ([], {'anatomical': 1, 'map-itself': 1}),
        (['map-itself'], {'map-itself': 2}),
        (['anatomical', 'map-itself'], {'anatomical': 1, 'map-itself': 1}),
        (['same-dataset', 'map-itself'], {'map-itself': 2}),
    ],
)
def test_sources_of_masks_are_allowed(group, cohort, unmasked, sources, rungs):
    options = ['--mask-source', *sources] if sources else []
    code, _, _ = group(*options, root=unmasked, scalars=())
    assert code == 0
    rows, _ = cohort()
    found = [row['source_mask_rung'] for row in rows]
    assert {rung: found.count(rung) for rung in found} == rungs


@pytest.mark.parametrize(
    ('options', 'code', 'says'),
    [
        (['--mask-source', 'no-map-itself'], 18, '1 of 2 images have no mask that --mask-source'),
        (['--mask-source', 'same-dataset'], 18, '2 of 2 images have no mask'),
        (['--mask-source', 'no-map-itself', 'map-itself'], 64, 'contradict each other'),
        (['--mask-source', 'same-dataset', '--mask', 'mask.nii.gz'], 64, 'serves every volume'),
        (['--mask-source', 'best'], 64, "invalid choice: 'best'"),
        (['--group-mask-file', 'none.nii.gz'], 66, 'Check --group-mask-file'),
        (['--group-mask-file', 'mask.nii.gz', '--group-mask-threshold', '0.5'], 64, 'no threshold'),
        (['--group-mask-file', 'other.nii.gz'], 65, 'expected is that of'),
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
    assert {row['source_mask_rung'] for row in rows} == {'same-dataset'}
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
