import nibabel as nb
import numpy as np
import pytest
import trees

from modelarrayio_bids import resampling
from modelarrayio_bids.errors import SpaceMismatchError

FINE = trees.Grid((20, 20, 20), 5.0)


def millimetres(grid):
    indices = np.indices(grid.shape).reshape(3, -1).T
    return nb.affines.apply_affine(grid.affine, indices)


def ramp(grid):
    """Linear in mm, so that linear interpolation gives it back exactly."""
    values = 7 + millimetres(grid) @ [0.5, -0.25, 2]
    return values.reshape(grid.shape)


@pytest.mark.parametrize('dtype', [np.float32, np.float64, np.int16])
def test_a_linear_map_stays_what_it_is(tmp_path, dtype):
    grid = trees.TEMPLATE
    image = trees.save((4 * ramp(grid)).astype(dtype), tmp_path / 'map.nii.gz', grid)
    like = trees.save(np.ones(FINE.shape, np.uint8), tmp_path / 'like.nii.gz', FINE)
    resampling.write_map(image, like, tmp_path / 'out.nii.gz')
    found = nb.load(tmp_path / 'out.nii.gz')
    assert found.get_data_dtype() == np.float32
    np.testing.assert_allclose(found.affine, FINE.affine)
    # Whole numbers lose up to a whole one of four times the ramp.
    atol = 1.01 if dtype is np.int16 else 1e-4
    np.testing.assert_allclose(found.get_fdata(), 4 * ramp(FINE), atol=atol)


def test_beyond_the_field_of_view_and_beside_what_is_not_finite_nothing_is_made_up(tmp_path):
    values = ramp(FINE)
    values[10, 10, 10] = np.nan
    image = trees.save(values.astype(np.float32), tmp_path / 'map.nii', FINE)
    like = trees.save(np.ones(trees.TEMPLATE.shape), tmp_path / 'like.nii', trees.TEMPLATE)
    resampling.write_map(image, like, tmp_path / 'out.nii')
    found = nb.load(tmp_path / 'out.nii').get_fdata()
    places = millimetres(trees.TEMPLATE)
    edge = FINE.affine[:3, 3]
    beyond = (np.abs(places) > np.abs(edge) + 1e-6).any(axis=1)
    hole = nb.affines.apply_affine(FINE.affine, [10, 10, 10])
    beside = (np.abs(places - hole) < FINE.edge).all(axis=1)
    np.testing.assert_array_equal(np.isnan(found.ravel()), beyond | beside)
    assert beside.any()


def test_images_of_different_places_are_refused(tmp_path):
    image = trees.save(np.ones((4, 4, 4), np.float32), tmp_path / 'map.nii')
    affine = nb.affines.from_matvec(np.eye(3), [500, 0, 0])
    nb.save(nb.Nifti1Image(np.ones((4, 4, 4), np.float32), affine), tmp_path / 'far.nii')
    for check in (
        lambda: resampling.require_overlap(image, tmp_path / 'far.nii'),
        lambda: resampling.write_map(image, tmp_path / 'far.nii', tmp_path / 'out.nii'),
    ):
        with pytest.raises(SpaceMismatchError, match=r'shares no field of view with .*far.nii'):
            check()
    assert not (tmp_path / 'out.nii').exists()
