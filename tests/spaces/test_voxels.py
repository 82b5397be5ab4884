import nibabel as nb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from images import AFFINE, SHAPE, group_mask, save, subject_map
from spaces.contract import SpaceContract

from modelarrayio_bids.cohort import Source
from modelarrayio_bids.errors import CohortError, SpaceError, SpaceMismatchError, UsageError
from modelarrayio_bids.spaces import References, VoxelSpace, space_class, space_of
from modelarrayio_bids.spaces.geometry import Grid


def moved(millimetres):
    affine = AFFINE.copy()
    affine[0, 3] += millimetres
    return affine


class TestVoxelSpace(SpaceContract):
    def make_space(self, folder):
        return VoxelSpace.from_mask_file(save(folder / 'group_mask.nii.gz', group_mask()))

    def make_others(self, folder):
        smaller = group_mask()
        smaller[0, 2, 3] = 0
        swapped = group_mask()
        swapped[0, 2, 3], swapped[0, 0, 0] = 0, 1
        return [
            VoxelSpace.from_mask(smaller, AFFINE),
            VoxelSpace.from_mask(swapped, AFFINE),
            VoxelSpace.from_mask(group_mask(), moved(0.5)),
            VoxelSpace.from_mask(group_mask((4, 5, 7)), AFFINE),
        ]

    def make_row(self, folder, number, values):
        data = np.zeros(SHAPE, np.float32)
        data[group_mask() > 0] = values
        mask = save(folder / 'ones.nii.gz', np.ones(SHAPE, np.uint8))
        source = save(folder / f'map-{number}.nii.gz', data)
        return {'source_file': str(source), 'source_mask_file': str(mask)}


@pytest.fixture
def space(tmp_path):
    return VoxelSpace.from_mask_file(save(tmp_path / 'g.nii.gz', group_mask()))


def source(tmp_path, data, mask, affine=AFFINE, mask_affine=AFFINE):
    image = save(tmp_path / 'map.nii.gz', data, affine)
    return Source('x', 'map.nii.gz', image, save(tmp_path / 'mask.nii.gz', mask, mask_affine))


def test_outside_the_own_mask_is_nan(tmp_path, space):
    mask = group_mask()
    mask[2] = 0
    values = space.read(source(tmp_path, subject_map(1), mask))
    expected = np.where(mask > 0, subject_map(1), np.nan)[group_mask() > 0]
    np.testing.assert_array_equal(values, expected)


def test_one_voxel_is_a_space(tmp_path):
    # The predecessor crashes on it.
    mask = np.zeros(SHAPE, np.uint8)
    mask[1, 2, 3] = 1
    space = VoxelSpace.from_mask(mask, AFFINE)
    values = space.read(source(tmp_path, subject_map(1), mask))
    assert values.tolist() == [subject_map(1)[1, 2, 3]]


@pytest.mark.parametrize('broken', ['map', 'mask'])
def test_another_affine_is_refused_beyond_rounding(tmp_path, space, broken):
    # Voxels are 2 mm: 1% of that is allowed.
    near, far = moved(0.019), moved(0.021)
    as_map, as_mask = (near, AFFINE) if broken == 'map' else (AFFINE, near)
    space.check(source(tmp_path, subject_map(1), group_mask(), as_map, as_mask))
    as_map, as_mask = (far, AFFINE) if broken == 'map' else (AFFINE, far)
    with pytest.raises(SpaceMismatchError) as raised:
        space.check(source(tmp_path, subject_map(1), group_mask(), as_map, as_mask))
    assert f'{broken}.nii.gz: has the expected shape 4 × 5 × 6 but another affine' in str(
        raised.value
    )
    assert '0.021 mm away (allowed: 0.02 mm)' in str(raised.value)


def test_another_shape_is_refused(tmp_path, space):
    with pytest.raises(SpaceMismatchError, match='has shape 4 × 5 × 7, expected 4 × 5 × 6'):
        space.check(source(tmp_path, subject_map(1, (4, 5, 7)), group_mask()))


def test_an_affine_through_a_quaternion_is_the_same_grid(tmp_path):
    turn = nb.eulerangles.euler2mat(0.1, 0.2, 0.3) * 1.7
    affine = nb.affines.from_matvec(turn, [-90, 120, 70])
    header = nb.Nifti1Header()
    header.set_qform(affine)
    assert Grid(SHAPE, affine) == Grid(SHAPE, header.get_qform())


@given(st.integers(0, 5), st.floats(0.05, 3))
def test_any_shift_of_a_visible_size_is_another_grid(axis, millimetres):
    affine = AFFINE.copy()
    affine[axis % 3, 3] += millimetres * (-1) ** axis
    assert Grid(SHAPE, affine) != Grid(SHAPE, AFFINE)


def test_masks_that_cannot_serve(tmp_path, space):
    empty = save(tmp_path / 'empty.nii.gz', np.zeros(SHAPE, np.uint8))
    with pytest.raises(SpaceError, match='empty.nii.gz: is an empty mask'):
        VoxelSpace.from_mask_file(empty)
    with pytest.raises(SpaceError, match='empty'):
        VoxelSpace.from_mask(np.zeros(SHAPE), AFFINE)
    apart = (group_mask() == 0).astype(np.uint8)
    with pytest.raises(SpaceMismatchError, match='mask.nii.gz: has no voxel in common'):
        space.read(source(tmp_path, subject_map(1), apart))
    with pytest.raises(CohortError, match='map.nii.gz has no mask'):
        space.check(Source('x', 'map.nii.gz', save(tmp_path / 'map.nii.gz', subject_map(1))))
    with pytest.raises(UsageError, match='--mask'):
        space_of([Source('x', 'a.nii.gz', tmp_path / 'a.nii.gz')], References())


def test_the_mask_may_be_scaled_or_floating(tmp_path):
    soft = group_mask().astype(np.float32) * 0.25
    space = VoxelSpace.from_mask_file(save(tmp_path / 'soft.nii.gz', soft))
    np.testing.assert_array_equal(space.mask, group_mask() > 0)


def test_outside_the_group_mask_is_the_fill(tmp_path, space):
    values = np.arange(1, len(space) + 1, dtype=np.float64)
    space.write(values, tmp_path / 'zero.nii')
    space.write(values, tmp_path / 'nan.nii', fill=np.nan)
    outside = group_mask() == 0
    assert (nb.load(tmp_path / 'zero.nii').get_fdata()[outside] == 0).all()
    assert np.isnan(nb.load(tmp_path / 'nan.nii').get_fdata()[outside]).all()


def test_names_of_no_space():
    with pytest.raises(ValueError, match='is not of a supported format'):
        space_class('sub-01_FA.nrrd')


def test_a_map_is_described_by_its_name(tmp_path, space):
    path = tmp_path / 'x.nii.gz'
    for name, described in (('age.p.value', b'age.p.value'), ('', b'modelarrayio-bids')):
        space.write(np.zeros(len(space)), path, name=name)
        assert nb.load(path).header['descrip'] == described
