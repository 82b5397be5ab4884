import subprocess

import nibabel as nb
import numpy as np
import pytest
from greyordinates import maps, parcels, voxels
from images import AFFINE, SHAPE, save
from meshes import save_mesh, sphere
from mrtrix import AFFINE as FIXEL_AFFINE
from mrtrix import direction_values, run
from nibabel.cifti2 import BrainModelAxis
from scipy import ndimage
from tools import require_tool

from modelarrayio_bids.reports.findings.clusters import connectivity_rule, find_clusters
from modelarrayio_bids.reports.findings.meshes import Mesh
from modelarrayio_bids.spaces import (
    EdgeSpace,
    FixelSpace,
    GreyordinateSpace,
    ParcelSpace,
    VoxelSpace,
)

CORTEX = 'CIFTI_STRUCTURE_CORTEX_LEFT'
ALL = 10**6


def noise(shape, sigma, seed=2):
    """Smooth, of unit variance."""
    values = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), sigma)
    return values / values.std()


def test_voxels_by_hand():
    values = np.zeros(SHAPE)
    values[0, 0, 0], values[1, 1, 1] = 3, 4  # they share a corner
    values[2, 2, 2], values[2, 2, 3] = -6, -5  # touches, of the other sign
    values[3, 4, 5] = 9
    space = VoxelSpace.from_mask(np.ones(SHAPE), AFFINE)
    clusters = find_clusters(space, values.ravel(), values.ravel() != 0, {})
    assert clusters.count == 3
    # Both of the first have two voxels: the higher peak comes first. AFFINE is 2 mm, its x flipped,
    # from (90, -126, -72).
    assert [(each.size, each.value, each.where) for each in clusters.largest] == [
        (2, -6, '(86, -122, -68) mm'),
        (2, 4, '(88, -124, -70) mm'),
        (1, 9, '(84, -118, -62) mm'),
    ]
    assert clusters.largest[0].coordinates == (86, -122, -68)
    assert [each.volume for each in clusters.largest] == pytest.approx([16, 16, 8])


def test_only_the_largest_are_described():
    space = VoxelSpace.from_mask(np.ones((9, 9, 9)), np.eye(4))
    values = np.zeros((9, 9, 9))
    values[::2, ::2, ::2] = np.arange(125).reshape(5, 5, 5) + 1
    clusters = find_clusters(space, values.ravel(), values.ravel() > 0, {}, most=3)
    assert clusters.count == 125
    assert [each.value for each in clusters.largest] == [125, 124, 123]


def test_values_that_are_missing_do_not_survive_but_infinite_ones_do():
    space = VoxelSpace.from_mask(np.ones((3, 1, 1)), np.eye(4))
    clusters = find_clusters(space, np.array([np.nan, 1, np.inf]), np.ones(3, bool), {})
    assert [(each.size, each.value) for each in clusters.largest] == [(2, np.inf)]


def test_voxels_as_mrtrix_has_them(tmp_path):
    values = noise((30, 32, 28), 1.5)
    affine = np.diag([2.0, 2, 2, 1])
    space = VoxelSpace.from_mask(np.ones(values.shape), affine)
    clusters = find_clusters(space, values.ravel(), values.ravel() > 1.5, {}, most=ALL)
    path = save(tmp_path / 'mask.nii', (values > 1.5).astype(np.uint8), affine)
    labels = tmp_path / 'labels.nii'
    run('maskfilter', path, 'connect', '-connectivity', labels)
    sizes = np.unique(np.asanyarray(nb.load(labels).dataobj), return_counts=True)[1][1:]
    assert [each.size for each in clusters.largest] == sorted(sizes.tolist(), reverse=True)


def test_vertices_as_workbench_has_them(tmp_path):
    tool = require_tool('wb_command')
    points, triangles = sphere(2000)
    mesh = Mesh(points, triangles)
    axis = BrainModelAxis.from_surface(np.arange(100, 1900), 2000, 'CortexLeft')
    values = np.sin(points[100:1900] / 9).sum(axis=1).astype(np.float32)
    space = GreyordinateSpace.from_axes(axis)
    clusters = find_clusters(space, values, values > 0.8, {CORTEX: mesh}, most=ALL)
    surface = save_mesh(tmp_path / 'L.surf.gii', points, triangles, 'CortexLeft')
    path, labels = tmp_path / 'x.dscalar.nii', tmp_path / 'labels.dscalar.nii'
    nb.save(nb.Cifti2Image(values[np.newaxis], (maps('x'), axis)), path)
    thresholds = ['0.8', '0', '0.8', '0', 'COLUMN', labels, '-left-surface', surface]
    subprocess.run([tool, '-cifti-find-clusters', path, *thresholds], check=True)
    found = nb.load(labels).get_fdata()[0]
    sizes = np.unique(found[found > 0], return_counts=True)[1].tolist()
    assert len(sizes) > 5
    assert [each.size for each in clusters.largest] == sorted(sizes, reverse=True)
    for each in clusters.largest:
        assert len(set(found[each.elements].tolist())) == 1


def test_structures_are_apart():
    stem, thalamus = voxels(count=2), voxels('ThalamusLeft', 2, 1)
    space = GreyordinateSpace.from_axes(stem + thalamus)
    clusters = find_clusters(space, np.ones(3), np.ones(3, bool), {})
    assert [(each.size, each.where) for each in clusters.largest] == [
        (2, '(90, -126, -72) mm, brain stem'),
        (1, '(90, -126, -68) mm, left thalamus'),
    ]
    assert connectivity_rule(space, {}).endswith('or a corner, within a structure')


def test_without_a_surface_a_cortex_is_one():
    points, triangles = sphere(50)
    axis = BrainModelAxis.from_surface(np.arange(50), 50, 'CortexLeft') + voxels(count=1)
    space = GreyordinateSpace.from_axes(axis)
    keep = np.zeros(51, bool)
    keep[[0, 49, 50]] = True
    values = np.arange(51.0)
    (cortex, stem) = find_clusters(space, values, keep, {}).largest
    assert cortex.elements.tolist() == [0, 49]
    assert cortex.where == 'vertex 49 of left cortex'
    assert cortex.coordinates is None
    assert cortex.volume is None
    assert stem.volume == pytest.approx(8)
    assert 'no surface was found' in connectivity_rule(space, {})
    # The poles of a sphere are far apart.
    mesh = {CORTEX: Mesh(points, triangles)}
    assert find_clusters(space, values, keep, mesh).count == 3
    assert 'an edge of the surface' in connectivity_rule(space, mesh)


def test_fixels_touch_where_their_voxels_do():
    index = np.zeros((5, 1, 1, 2), np.uint32)
    index[:, 0, 0] = [(1, 0), (2, 1), (0, 0), (1, 3), (0, 0)]
    space = FixelSpace.from_arrays(index, direction_values(4), FIXEL_AFFINE)
    values = np.array([1.0, 5, -2, 3])
    clusters = find_clusters(space, values, np.ones(4, bool), {})
    # FIXEL_AFFINE: 2 mm from (-10, 20, 30).
    assert [(each.elements.tolist(), each.where) for each in clusters.largest] == [
        ([0, 1], 'fixel 1 at (-8, 20, 30) mm'),
        ([3], 'fixel 3 at (-4, 20, 30) mm'),
        ([2], 'fixel 2 at (-8, 20, 30) mm'),
    ]


def test_parcels_and_edges_are_by_themselves():
    keep = np.array([True, False, True, True])
    clusters = find_clusters(ParcelSpace.from_axes(parcels()), np.array([1.0, 9, -3, 2]), keep, {})
    assert [(each.where, each.value) for each in clusters.largest] == [
        ('MT', -3),
        ('Thalamus', 2),
        ('V1', 1),
    ]
    space = EdgeSpace.from_axes(parcels(), parcels()[:3])
    assert space.labels(np.array([5])) == ['V2 – MT']
