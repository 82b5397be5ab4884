from itertools import permutations, product

import nibabel as nb
import numpy as np
import pytest
from greyordinates import parcels, voxels
from images import AFFINE, SHAPE, group_mask, subject_map
from mrtrix import AFFINE as FIXEL_AFFINE
from mrtrix import direction_values, index_values
from nibabel.cifti2 import ParcelsAxis
from nibabel.orientations import apply_orientation, inv_ornt_aff

from modelarrayio_bids.reports.figures.panels import density_panels, map_panels, painted_surfaces
from modelarrayio_bids.spaces import EdgeSpace, FixelSpace, ParcelSpace, VoxelSpace

ORIENTATIONS = [
    np.column_stack([order, flips])
    for order in permutations(range(3))
    for flips in product((1, -1), repeat=3)
]


def panels_of(values, mask, affine, weights=None):
    inside = mask > 0
    space = VoxelSpace.from_mask(mask, affine)
    return map_panels(space, values[inside], None if weights is None else weights[inside])


@pytest.mark.parametrize('orientation', ORIENTATIONS, ids=lambda each: str(each.tolist()))
def test_pictures_do_not_depend_on_how_a_file_is_stored(orientation):
    # The same voxels at the same places, with axes in another order or direction.
    expected = panels_of(subject_map(1), group_mask(), AFFINE)
    values, mask = (apply_orientation(each, orientation) for each in (subject_map(1), group_mask()))
    found = panels_of(values, mask, AFFINE @ inv_ornt_aff(orientation, SHAPE))
    assert len(found) == len(expected)
    for panel, other in zip(found, expected, strict=True):
        assert panel.title == other.title
        np.testing.assert_array_equal(panel.image, other.image)
        np.testing.assert_allclose(panel.plane, other.plane, atol=1e-9)


@pytest.mark.parametrize('angle', [0, 0.2])
def test_every_pixel_is_where_it_says(angle):
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    affine = turn @ AFFINE
    indices = np.indices(SHAPE).reshape(3, -1)
    places = nb.affines.apply_affine(affine, indices.T)
    for axis in range(3):
        values = places[:, axis].reshape(SHAPE)
        for panel in panels_of(values, group_mask(), affine):
            inside = np.isfinite(panel.image)
            found = panel.positions()[inside, axis]
            np.testing.assert_allclose(found, panel.image[inside], atol=1e-4)


def test_up_is_up_and_left_is_left():
    places = nb.affines.apply_affine(AFFINE, np.indices(SHAPE).reshape(3, -1).T)
    axial, _, _, _, coronal, _, sagittal, _ = panels_of(
        places[:, 0].reshape(SHAPE), np.ones(SHAPE), AFFINE
    )
    # x grows to the right, y to the top of an axial slice, z to the top of the others.
    for panel, down, right in ((axial, 1, 0), (coronal, 2, 0), (sagittal, 2, 1)):
        steps = np.diff(panel.positions(), axis=0), np.diff(panel.positions(), axis=1)
        assert (steps[0][..., down] < 0).all()
        assert (steps[1][..., right] > 0).all()
    assert [panel.sides for panel in (axial, coronal, sagittal)] == [
        ('L', 'R'),
        ('L', 'R'),
        ('P', 'A'),
    ]


def test_titles_are_coordinates():
    values = np.zeros((20, 20, 20))
    affine = np.diag([2.0, 2, 2, 1])
    affine[:3, 3] = -20
    for panel in panels_of(values, np.ones(values.shape), affine):
        axis = 'xyz'.index(panel.title[0])
        assert panel.title == f'{"xyz"[axis]} = {panel.positions()[0, 0, axis]:.0f} mm'
    finer = panels_of(values, np.ones(values.shape), affine @ np.diag([0.1, 0.1, 0.1, 1]))
    assert finer[0].title == 'z = -19.6 mm'  # the third of 20 slices, 0.2 mm apart
    oblique = nb.affines.from_matvec(nb.eulerangles.euler2mat(x=0.3))
    assert panels_of(values, np.ones(values.shape), oblique)[0].title.startswith('z ≈ ')


def test_slices_show_the_voxels_that_weigh():
    mask, weights = np.ones((30, 30, 30)), np.zeros((30, 30, 30))
    weights[4:7, 20:24, 11:18] = 1
    weights[5, 21, 12] = 2
    affine = np.eye(4)
    panels = panels_of(np.zeros(mask.shape), mask, affine, weights)
    places = {
        name: [float(panel.title.split()[2]) for panel in panels if panel.title[0] == name]
        for name in 'xyz'
    }
    assert places['z'][0] >= 11
    assert places['z'][-1] <= 17
    # One of each direction goes through the heaviest.
    assert 12 in places['z']
    assert 21 in places['y']
    assert 5 in places['x']
    # Without weights they spread: each at an eighth, three eighths … of the voxels.
    assert [panel.title for panel in panels_of(np.zeros(mask.shape), mask, affine)[:4]] == [
        'z = 3 mm',
        'z = 11 mm',
        'z = 18 mm',
        'z = 26 mm',
    ]


def test_one_slice_is_shown_once():
    mask = np.zeros((5, 6, 7))
    mask[1:4, 2:5, 3] = 1
    titles = [panel.title for panel in panels_of(np.ones(mask.shape), mask, np.eye(4))]
    assert titles == ['z = 3 mm', 'y = 2 mm', 'y = 4 mm', 'x = 1 mm', 'x = 3 mm']


def test_there_is_a_margin_within_the_grid():
    mask = np.zeros((100, 100, 100))
    mask[10:90, 0:40, 30:50] = 1
    axial = panels_of(np.ones(mask.shape), mask, np.eye(4))[0]
    # 80 voxels and 4 on either side; 40 and 2 in front, none behind the grid's end.
    assert axial.image.shape == (42, 88)
    assert axial.extent == (88, 42)


def test_an_affine_without_inverse_is_shown_as_it_is_stored():
    header = nb.Nifti1Header()
    header.set_data_shape((2, 3, 4))
    header.set_sform(np.diag([1.0, 1, 0, 1]), code='aligned')
    space = VoxelSpace(np.ones((2, 3, 4)), header)
    assert map_panels(space, np.zeros(24))[0].image.shape == (3, 2)


def test_fixels_show_the_mean_of_a_voxel():
    space = FixelSpace.from_arrays(index_values(), direction_values(), FIXEL_AFFINE)
    values = np.array([1.0, 2, np.nan, 4, np.nan, np.nan])
    shown = np.concatenate([panel.image.ravel() for panel in map_panels(space, values)])
    # Three fixels, one without a value; one; two without a value.
    assert set(shown[np.isfinite(shown)].tolist()) == {1.5, 4}
    counts = np.concatenate([panel.image.ravel() for panel in density_panels(space)])
    assert set(counts[np.isfinite(counts)].tolist()) == {3, 1, 2}


def test_a_matrix_has_the_rows_of_the_file():
    space = EdgeSpace.from_axes(parcels(), parcels()[:3])
    (panel,) = map_panels(space, np.arange(12))
    np.testing.assert_array_equal(panel.image, np.arange(12).reshape(4, 3))
    assert panel.extent == (3, 4)
    with pytest.raises(ValueError, match='is not a place'):
        panel.positions()


def test_parcels_paint_their_vertices_and_voxels():
    space = ParcelSpace.from_axes(parcels())
    painted = painted_surfaces(space, np.array([1.0, 2, 3, 4]))
    cortex = painted['CIFTI_STRUCTURE_CORTEX_LEFT']
    assert {number: cortex[number] for number in np.flatnonzero(np.isfinite(cortex))} == {
        3: 1,
        5: 1,
        7: 1,
        9: 2,
        11: 2,
    }
    assert painted['CIFTI_STRUCTURE_CORTEX_RIGHT'][20] == 4
    assert {name: members.tolist() for name, members in space.structures().items()} == {
        'left cortex': [0, 1],
        'right cortex': [2, 3],
    }
    of_voxels = ParcelSpace.from_axes(ParcelsAxis.from_brain_models([('Stem', voxels())]))
    assert list(of_voxels.structures()) == ['voxels']
    assert not painted_surfaces(of_voxels, np.ones(1))
