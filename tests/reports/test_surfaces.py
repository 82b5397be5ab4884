import sys

import nibabel as nb
import numpy as np
import pytest
from meshes import save_mesh, sphere

from modelarrayio_bids.reports.figures.surfaces import View, find_surfaces, meshes_of, shade
from modelarrayio_bids.reports.findings.meshes import Mesh

LEFT, RIGHT = 'CIFTI_STRUCTURE_CORTEX_LEFT', 'CIFTI_STRUCTURE_CORTEX_RIGHT'
SIZES = {LEFT: 60, RIGHT: 62, 'CIFTI_STRUCTURE_CEREBELLUM': 5}


@pytest.fixture(autouse=True)
def templates(tmp_path, monkeypatch):
    """An empty TemplateFlow."""
    monkeypatch.setenv('TEMPLATEFLOW_HOME', str(tmp_path / 'templateflow'))
    return tmp_path / 'templateflow'


@pytest.fixture
def source(tmp_path):
    """A map of a study's xcp_d, with fmriprep beside it."""
    subject = tmp_path / 'study' / 'derivatives' / 'xcp_d' / 'sub-01' / 'ses-1'
    (tmp_path / 'study' / 'derivatives' / 'fmriprep').mkdir(parents=True)
    return subject / 'func' / 'sub-01_ses-1_space-fsLR_den-91k_stat-alff_boldmap.dscalar.nii'


def save_both(folder, name, sizes=(60, 62)):
    """A mesh of either hemisphere; ``{}`` in the name is L or R."""
    for side, size in zip('LR', sizes, strict=True):
        save_mesh(folder / name.format(side), *sphere(size))


def names(surfaces):
    return [surface.path.name for surface in surfaces.values()]


def test_a_template_is_preferred_and_its_inflated_shape(templates, source):
    save_both(source.parents[1] / 'anat', 'sub-01_space-fsLR_hemi-{}_inflated.surf.gii')
    for shape in ('midthickness', 'inflated', 'sphere', 'veryinflated'):
        save_both(templates / 'tpl-fsLR', f'tpl-fsLR_den-32k_hemi-{{}}_{shape}.surf.gii')
    surfaces = find_surfaces(SIZES, [source])
    assert list(surfaces) == [LEFT, RIGHT]
    assert names(surfaces) == [
        'tpl-fsLR_den-32k_hemi-L_inflated.surf.gii',
        'tpl-fsLR_den-32k_hemi-R_inflated.surf.gii',
    ]
    assert [len(mesh.points) for mesh in meshes_of(surfaces).values()] == [60, 62]
    assert [surface.hemisphere for surface in surfaces.values()] == ['L', 'R']


@pytest.mark.parametrize(
    ('folder', 'name'),
    [
        ('xcp_d/sub-01/anat', 'sub-01_space-fsLR_den-32k_hemi-{}_desc-hcp_midthickness.surf.gii'),
        ('xcp_d/sub-01/ses-1/anat', 'sub-01_ses-1_space-fsLR_hemi-{}_midthickness.surf.gii'),
        ('fmriprep/sub-01/anat', 'sub-01_hemi-{}_space-fsLR_den-32k_midthickness.surf.gii'),
        ('xcp_d/sub-01', '01.{}.midthickness_MSMAll.32k_fs_LR.surf.gii'),
    ],
)
def test_meshes_near_the_sources_are_found(tmp_path, source, folder, name):
    save_both(tmp_path / 'study' / 'derivatives' / folder, name)
    assert names(find_surfaces(SIZES, [source])) == [name.format('L'), name.format('R')]


def test_the_file_may_tell_the_hemisphere(source):
    paths = [source.parents[1] / 'anat' / f'{name}-fsLR-white.surf.gii' for name in ('a', 'b')]
    save_mesh(paths[0], *sphere(62), 'CortexRight')
    save_mesh(paths[1], *sphere(60), 'CortexLeft')
    surfaces = find_surfaces(SIZES, [source])
    assert {name: each.path for name, each in surfaces.items()} == {LEFT: paths[1], RIGHT: paths[0]}


def test_what_does_not_fit_is_not_taken(templates, source):
    anat = source.parents[1] / 'anat'
    # Another density, one hemisphere only, a subject's own space, a sphere, and no mesh at all.
    save_both(templates / 'tpl-fsLR', 'tpl-fsLR_den-164k_hemi-{}_midthickness.surf.gii', (70, 70))
    save_mesh(templates / 'tpl-fsaverage' / 'tpl-fsaverage_hemi-L_white.surf.gii', *sphere(60))
    save_both(anat, 'sub-01_hemi-{}_midthickness.surf.gii')
    save_both(anat, 'sub-01_space-fsLR_hemi-{}_sphere.surf.gii')
    for side in 'LR':
        (anat / f'sub-01_space-fsLR_hemi-{side}_pial.surf.gii').write_bytes(b'no mesh')
        # What TemplateFlow has not fetched.
        (templates / 'tpl-fsLR' / f'tpl-fsLR_hemi-{side}_inflated.surf.gii').touch()
    assert find_surfaces(SIZES, [source]) == {}
    assert find_surfaces({'CIFTI_STRUCTURE_CEREBELLUM': 5}, [source]) == {}
    assert find_surfaces(SIZES, []) == {}


def test_other_studies_are_not_looked_into(tmp_path, source):
    # Beside the study, and beside a dataset that is in no folder of derivatives.
    save_both(tmp_path / 'other' / 'sub-01' / 'anat', 'fsLR_hemi-{}_midthickness.surf.gii')
    assert find_surfaces(SIZES, [source]) == {}
    assert find_surfaces(SIZES, [tmp_path / 'xcp_d' / 'sub-01' / 'x.dscalar.nii']) == {}


def test_one_hemisphere_is_enough_where_there_is_one(source):
    save_mesh(source.parents[1] / 'anat' / 'x_hemi-R_space-fsLR_pial.surf.gii', *sphere(62))
    assert list(find_surfaces({RIGHT: 62}, [source])) == [RIGHT]
    assert find_surfaces(SIZES, [source]) == {}


@pytest.mark.parametrize('place', ['beside', 'SUBJECTS_DIR', 'FREESURFER_HOME'])
def test_freesurfers_own_are_taken_for_its_surface_alone(tmp_path, monkeypatch, place):
    source = tmp_path / 'study/sub-01/surf/lh.thickness.fwhm10.fsaverage.mgh'
    monkeypatch.delenv('FREESURFER_HOME', raising=False)
    monkeypatch.delenv('SUBJECTS_DIR', raising=False)
    if place != 'beside':
        monkeypatch.setenv(place, str(tmp_path / 'elsewhere'))
    folders = {'beside': 'study', 'SUBJECTS_DIR': 'elsewhere'}
    surf = tmp_path / folders.get(place, 'elsewhere/subjects') / 'fsaverage' / 'surf'
    surf.mkdir(parents=True)
    for hemisphere, size in (('l', 60), ('r', 62)):
        for shape in ('inflated', 'pial', 'inflated.H'):
            nb.freesurfer.write_geometry(surf / f'{hemisphere}h.{shape}', *sphere(size))
    found = find_surfaces(SIZES, [source], 'fsaverage')
    assert names(found) == ['lh.inflated', 'rh.inflated']
    np.testing.assert_allclose(found[LEFT].mesh.points, sphere(SIZES[LEFT])[0], rtol=1e-6)
    (surf / 'lh.inflated').write_bytes(b'no mesh')
    assert names(find_surfaces(SIZES, [source], 'fsaverage')) == ['lh.pial', 'rh.pial']
    assert find_surfaces(SIZES, [source], 'fsLR') == {}
    assert find_surfaces(SIZES, [source]) == {}


def test_the_nearest_side_is_seen():
    points, triangles = sphere(3000)
    mesh = Mesh(points, triangles)
    for direction in (1, -1):
        view = View.of(mesh, direction)
        seen = view.vertices[view.vertices >= 0]
        assert (points[seen, 0] * direction > -3).all()
        # Where a pixel is, there is the vertex: its neighbours are 4 to 6 mm away.
        panel = view.panel(points[:, 1], '')
        inside = view.vertices >= 0
        apart = np.abs(panel.positions()[inside] - points[seen])[:, 1:]
        assert apart.max() < 5
        # An ellipse of half axes 85 and 55 mm.
        area = inside.sum() * np.prod(np.abs([view.plane[2, 0], view.plane[1, 1]]))
        assert area == pytest.approx(np.pi * 85 * 55, rel=0.01)
    assert view.sides == ('A', 'P')
    assert panel.positions()[0, 0, 1] > panel.positions()[0, -1, 1]


def test_what_is_hidden_is_not_seen():
    # A large triangle to the right of a small one.
    points = np.array([[0, 0, 0], [0, 9, 0], [0, 0, 9], [1, -9, -9], [1, 30, -9], [1, -9, 30]])
    mesh = Mesh(points.astype(np.float32), np.array([[0, 1, 2], [3, 4, 5]], np.int32))
    assert set(View.of(mesh, 1).vertices.ravel().tolist()) == {-1, 3, 4, 5}
    assert set(View.of(mesh, -1).vertices.ravel().tolist()) == {-1, 0, 1, 2, 3, 4, 5}


def test_sulci_are_darker():
    points, triangles = sphere(3000, radii=(50, 50, 50))
    # Three furrows around the ball.
    depth = np.cos(points[:, 2] / 50 * 3 * np.pi)
    folded = points * (1 + 0.1 * depth[:, np.newaxis])
    grey = shade(Mesh(folded.astype(np.float32), triangles))
    assert grey.min() > 0.5
    assert grey[depth < -0.9].mean() < grey[depth > 0.9].mean() - 0.1
    # Some programs wind triangles the other way.
    inwards = shade(Mesh(folded.astype(np.float32), triangles[:, ::-1]))
    np.testing.assert_allclose(inwards, grey, atol=1e-6)


def test_meshes_that_are_no_brain():
    flat = np.zeros((4, 3), np.float32)
    tall = flat + np.array([[0, 0, 0], [0, 0, 500], [0, 1e-9, 0], [1, 0, 9]], np.float32)
    triangles = np.array([[0, 1, 2], [1, 2, 3]], np.int32)
    for points in (flat, tall):
        mesh = Mesh(points, triangles)
        assert max(View.of(mesh, 1).vertices.shape) <= 402
        assert np.isfinite(shade(mesh)).all()


def test_views_of_a_real_size_are_drawn_without_a_loop_over_triangles():
    mesh = Mesh(*sphere(32_492))
    lines, before = 0, sys.gettrace()

    def count(_frame, event, _argument):
        nonlocal lines
        lines += event == 'line'
        return count

    sys.settrace(count)
    try:
        for direction in (1, -1):
            View.of(mesh, direction)
    finally:
        sys.settrace(before)
    # A closed surface has about twice as many triangles as vertices; a loop would take minutes.
    assert len(mesh.triangles) > 60_000
    assert lines < 6_000
