import nibabel as nb
import numpy as np
import pytest
import trees
from hypothesis import given
from hypothesis import strategies as st

from modelarrayio_bids import masks
from modelarrayio_bids.errors import (
    CohortProblemsError,
    EmptyCohortError,
    FormatError,
    SourceNotFoundError,
    SpaceError,
    SpaceMismatchError,
    UsageError,
)

SMALL = trees.Grid((2, 3, 1), 2.0)


def save(path, values, edge=2.0):
    """A row of voxels."""
    data = np.asarray(values).reshape(-1, 1, 1)
    return trees.save(data, path, trees.Grid(data.shape, edge))


@pytest.fixture
def five(tmp_path):
    """Five masks: voxel n of the first row is in n + 1 of them, the last in none."""
    paths = []
    for number in range(5):
        data = np.zeros(6, np.uint8)
        data[number:5] = 1
        paths.append(save(tmp_path / f'sub-{number}_mask.nii.gz', data))
    return paths


def test_coverage_counts_the_masks_above_zero(five):
    found = masks.coverage(five)
    assert found.counts.ravel().tolist() == [1, 2, 3, 4, 5, 0]
    assert found.counts.dtype == np.int32
    assert found.n_masks == 5


def test_a_file_counts_as_often_as_it_stands(five):
    assert masks.coverage([five[0]] * 3 + [five[4]]).counts.ravel().tolist() == [3, 3, 3, 3, 4, 0]


def test_nan_and_negative_values_are_outside(tmp_path):
    path = save(tmp_path / 'mask.nii', np.array([1, np.nan, -1, 0, 0.5, np.inf], np.float32))
    assert masks.coverage([path]).counts.ravel().tolist() == [1, 0, 0, 0, 1, 1]


@pytest.mark.parametrize(
    ('threshold', 'voxels'), [(0.2, 5), (0.21, 4), (0.4, 4), (0.6, 3), (1.0, 1)]
)
def test_a_voxel_needs_the_fraction_rounded_up(five, threshold, voxels):
    assert masks.coverage(five).group_mask(threshold).sum() == voxels


@given(st.integers(1, 50_000), st.data())
def test_a_fraction_of_whole_subjects_needs_just_them(n, data):
    k = data.draw(st.integers(1, n))
    assert masks.masks_needed(k / n, n) == k


@pytest.mark.parametrize('threshold', [0, -0.1, 1.01, float('nan')])
def test_a_threshold_that_is_no_fraction_is_refused(five, threshold):
    with pytest.raises(UsageError, match='not a fraction'):
        masks.coverage(five).group_mask(threshold)


def test_masks_that_do_not_overlap_say_how_far_they_do(five):
    apart = save(five[0].with_name('apart.nii'), np.array([1, 0, 0, 0, 0, 0], np.uint8))
    found = masks.coverage([five[3], five[4], apart])
    with pytest.raises(SpaceError, match=r'in 3 of the 3 masks \(the best covered is in 2\)'):
        found.group_mask(1.0)


def test_every_problem_is_reported_before_data_are_read(five, tmp_path):
    damaged = tmp_path / 'damaged.nii.gz'
    damaged.write_bytes(b'no image')
    other = save(tmp_path / 'shifted.nii', np.ones(6, np.uint8), edge=3.0)
    shape = save(tmp_path / 'shape.nii', np.ones(7, np.uint8))
    with pytest.raises(CohortProblemsError) as caught:
        masks.coverage([other, *five, damaged, tmp_path / 'none.nii', shape])
    assert {(type(problem), problem.path) for problem in caught.value.problems} == {
        (SpaceMismatchError, str(other)),
        (SpaceMismatchError, str(shape)),
        (FormatError, str(damaged)),
        (SourceNotFoundError, str(tmp_path / 'none.nii')),
    }


def test_no_mask_at_all_is_an_empty_cohort():
    with pytest.raises(EmptyCohortError):
        masks.coverage([])


def test_group_mask_and_coverage_are_images_nibabel_reads(five, tmp_path):
    output, counts = tmp_path / 'out' / 'mask.nii.gz', tmp_path / 'out' / 'coverage.nii.gz'
    assert masks.group_mask(five, output, 0.5, counts) == output
    mask, coverage = nb.load(output), nb.load(counts)
    assert mask.get_data_dtype() == np.uint8
    assert coverage.get_data_dtype() == np.int32
    assert np.asanyarray(mask.dataobj).ravel().tolist() == [0, 0, 1, 1, 1, 0]
    assert np.asanyarray(coverage.dataobj).ravel().tolist() == [1, 2, 3, 4, 5, 0]
    np.testing.assert_array_equal(mask.affine, nb.load(five[0]).affine)


def test_a_mask_that_is_given_is_the_groups(five, tmp_path):
    given = save(tmp_path / 'given.nii', np.array([1, 0, 0, 0, 0, 1], np.uint8))
    masks.group_mask(five, tmp_path / 'mask.nii.gz', given=given)
    written = np.asanyarray(nb.load(tmp_path / 'mask.nii.gz').dataobj)
    assert written.ravel().tolist() == [1, 0, 0, 0, 0, 1]
    fine = save(tmp_path / 'fine.nii', np.ones(6, np.uint8), edge=1.0)
    with pytest.raises(SpaceMismatchError, match='Give a group mask on the grid'):
        masks.group_mask(five, tmp_path / 'other.nii.gz', given=fine)


def test_the_same_mask_again_keeps_its_time(five, tmp_path):
    output = tmp_path / 'mask.nii.gz'
    masks.group_mask(five, output)
    before = output.stat()
    masks.group_mask(five, output)
    assert (output.stat().st_ino, output.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_voxel_needs_one_mask_at_least():
    # 3e-9 masks, rounded to a millionth, are none.
    assert masks.masks_needed(1e-9, 3) == 1


def test_problems_of_grids_are_found_in_headers(five, tmp_path):
    fine = save(tmp_path / 'fine.nii', np.ones(6, np.uint8), edge=1.0)
    gone = tmp_path / 'gone.nii'
    assert masks.same_grid(five[0], five[1])
    assert not masks.same_grid(five[0], fine)
    assert masks.grid_problems(five) == []

    def places(*asked):
        return [problem.path for problem in masks.grid_problems(*asked)]

    assert places([gone]) == [str(gone)]
    assert places([*five, fine, gone]) == [str(gone), str(fine)]
    assert places([*five, fine], fine) == [str(path) for path in five]
    assert places([*five, fine], gone) == [str(gone)]


def test_voxels_of_a_coverage_map_by_the_number_of_masks(five, tmp_path):
    masks.group_mask(five, tmp_path / 'mask.nii.gz', 0.5, tmp_path / 'coverage.nii.gz')
    assert masks.coverage_counts(tmp_path / 'coverage.nii.gz', 5).tolist() == [1, 1, 1, 1, 1, 1]
    # Of an earlier cohort of more people: those beyond are in all.
    assert masks.coverage_counts(tmp_path / 'coverage.nii.gz', 3).tolist() == [1, 1, 1, 3]
    # Nothing is in all of them.
    assert masks.coverage_counts(tmp_path / 'coverage.nii.gz', 7).tolist() == [1] * 6 + [0, 0]


def test_nothing_is_written_when_no_voxel_is_left(five, tmp_path):
    empty = save(tmp_path / 'empty.nii', np.zeros(6, np.uint8))
    with pytest.raises(SpaceError):
        masks.group_mask([empty], tmp_path / 'out' / 'mask.nii.gz')
    assert not (tmp_path / 'out').exists()


def test_resampling_keeps_the_brain_where_it_was(tmp_path):
    """The ellipsoid is defined in mm, so both grids must show it within a voxel's diagonal."""
    person = trees.people(1)[0]
    mask = trees.write_mask(tmp_path / 'mask.nii.gz', person)
    like = trees.write_map(tmp_path / 'map.nii.gz', person, trees.DIFFUSION)
    masks.write_resampled(mask, like, tmp_path / 'resampled.nii.gz')
    image = nb.load(tmp_path / 'resampled.nii.gz')
    assert image.shape == trees.DIFFUSION.shape
    np.testing.assert_allclose(image.affine, trees.DIFFUSION.affine)
    assert image.get_data_dtype() == np.uint8
    indices = np.indices(image.shape).reshape(3, -1).T
    radius = np.linalg.norm(nb.affines.apply_affine(image.affine, indices), axis=1)
    inside = np.asanyarray(image.dataobj).astype(bool).ravel()
    assert inside[radius < 70 - 10].all()
    assert not inside[radius > 75 + 10].any()


def test_a_mask_that_misses_the_grid_is_refused(tmp_path):
    person = trees.people(1)[0]
    mask = trees.write_mask(tmp_path / 'mask.nii.gz', person)
    affine = nb.affines.from_matvec(np.eye(3), [500] * 3)
    image = nb.Nifti1Image(np.ones((3, 3, 3), np.float32), affine)
    nb.save(image, tmp_path / 'far.nii')
    with pytest.raises(SpaceMismatchError, match='no voxel on the grid'):
        masks.write_resampled(mask, tmp_path / 'far.nii', tmp_path / 'out.nii.gz')
    assert not (tmp_path / 'out.nii.gz').exists()


def test_a_maps_own_mask_is_where_it_is_finite_and_not_zero(tmp_path):
    data = np.array([1, -1, 0, np.nan, np.inf, 2], np.float32).reshape(SMALL.shape)
    path = trees.save(data, tmp_path / 'map.nii.gz', SMALL)
    masks.write_present(path, tmp_path / 'mask.nii.gz')
    mask = np.asanyarray(nb.load(tmp_path / 'mask.nii.gz').dataobj)
    assert mask.ravel().tolist() == [1, 1, 0, 0, 0, 1]


def test_a_blank_map_has_no_mask(tmp_path):
    path = trees.save(np.zeros(SMALL.shape, np.float32), tmp_path / 'map.nii.gz', SMALL)
    with pytest.raises(SpaceError, match='no finite value'):
        masks.write_present(path, tmp_path / 'mask.nii.gz')
