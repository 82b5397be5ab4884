"""Regions of elements, of atlases laid out as QSIRecon, XCP-D and TemplateFlow do."""

import nibabel as nb
import numpy as np
import pytest
from greyordinates import left, right, save_matrix, voxels
from images import AFFINE, SHAPE, save

from modelarrayio_bids.reports.findings.atlases import Regions
from modelarrayio_bids.spaces import GreyordinateSpace, VoxelSpace

SPACE = 'MNI152NLin2009cAsym'
TABLE = 'index\tname\n1\tThalamus\n2\tCaudate\n'


@pytest.fixture(autouse=True)
def templates(tmp_path, monkeypatch):
    """An empty TemplateFlow."""
    monkeypatch.setenv('TEMPLATEFLOW_HOME', str(tmp_path / 'templateflow'))
    return tmp_path / 'templateflow'


@pytest.fixture
def dataset(tmp_path):
    return tmp_path / 'study' / 'derivatives' / 'qsirecon'


@pytest.fixture
def source(dataset):
    return dataset / 'sub-01' / 'dwi' / f'sub-01_space-{SPACE}_param-fa_dwimap.nii.gz'


@pytest.fixture
def space():
    return VoxelSpace.from_mask(np.ones(SHAPE), AFFINE)


def segmentation():
    """Two regions, and a number that no table names."""
    numbers = np.zeros(SHAPE, np.uint16)
    numbers[0], numbers[1], numbers[2, 0] = 1, 2, 9
    return numbers


def write(image, table, text=TABLE, numbers=None):
    save(image, segmentation() if numbers is None else numbers)
    table.write_text(text)


def regions(space, source):
    found = Regions.of(space, [source])
    return np.array([found[element] for element in range(len(space))]).reshape(SHAPE)


@pytest.mark.parametrize(
    ('folder', 'image', 'table', 'name'),
    [
        (
            f'sourcedata/atlases/tpl-{SPACE}',
            f'tpl-{SPACE}_atlas-4S156Parcels_res-01_dseg',
            f'tpl-{SPACE}_atlas-4S156Parcels_res-01_dseg',
            '4S156Parcels',
        ),
        ('atlases/atlas-Gordon', f'atlas-Gordon_space-{SPACE}_dseg', 'atlas-Gordon_dseg', 'Gordon'),
        (
            f'../../../templateflow/tpl-{SPACE}',
            f'tpl-{SPACE}_res-01_atlas-Schaefer2018_desc-100Parcels7Networks_dseg',
            f'tpl-{SPACE}_atlas-Schaefer2018_desc-100Parcels7Networks_dseg',
            'Schaefer2018',
        ),
    ],
)
def test_regions_are_those_of_the_table(dataset, source, space, folder, image, table, name):
    dataset.mkdir(parents=True)
    write(dataset / folder / f'{image}.nii.gz', dataset / folder / f'{table}.tsv')
    found = regions(space, source)
    assert (found[0] == f'Thalamus ({name})').all()
    assert (found[1] == f'Caudate ({name})').all()
    assert (found[2:] == '').all()


def test_an_atlas_on_another_grid_is_looked_up_in_mm(dataset, source, space):
    folder = dataset / 'atlases'
    image = folder / f'atlas-Fine_space-{SPACE}_dseg.nii.gz'
    # Each voxel is eight, and the first of these is at its centre.
    numbers = np.kron(segmentation(), np.ones((2, 2, 2), np.uint16))
    save(image, numbers[:5], AFFINE @ np.diag([0.5, 0.5, 0.5, 1]))
    (folder / 'atlas-Fine_dseg.tsv').write_text(TABLE.replace('name', 'label'))
    found = regions(space, source)
    assert (found[0] == 'Thalamus (Fine)').all()
    assert (found[1] == 'Caudate (Fine)').all()
    # The last voxels lie outside of its grid.
    assert (found[3] == '').all()


def test_what_one_atlas_leaves_the_next_names(dataset, source, space):
    folder = dataset / 'atlases'
    stem = folder / f'atlas-A_space-{SPACE}_dseg'
    write(stem.with_suffix('.nii.gz'), stem.with_suffix('.tsv'))
    stem = folder / f'atlas-Second_space-{SPACE}_dseg'
    numbers = np.full(SHAPE, 1, np.uint16)
    write(stem.with_suffix('.nii.gz'), stem.with_suffix('.tsv'), 'index\tname\n1\tRest\n', numbers)
    found = regions(space, source)
    assert (found[0] == 'Thalamus (A)').all()
    assert (found[2:] == 'Rest (Second)').all()


@pytest.mark.parametrize(
    ('name', 'text'),
    [
        (f'atlas-A_space-{SPACE}', None),
        (f'atlas-A_space-{SPACE}', 'number\tname\n1\tThalamus\n'),
        ('atlas-A_space-MNI152NLin6Asym', TABLE),
        (f'atlas-A_space-{SPACE}', 'index\tname\n1\t"Thalamus\n'),
        (f'atlas-A_space-{SPACE}', 'index\tname\n1\n0\tOutside\n'),
    ],
    ids=['no table', 'no column', 'another space', 'an open quote', 'no regions'],
)
def test_others_are_passed_over(dataset, source, space, name, text):
    image = save(dataset / 'atlases' / f'{name}_dseg.nii.gz', segmentation())
    if text is not None:
        image.with_name(f'{name}_dseg.tsv').write_text(text)
    assert (regions(space, source) == '').all()


def test_a_damaged_atlas_is_passed_over(dataset, source, space):
    image = dataset / 'atlases' / f'atlas-A_space-{SPACE}_dseg.nii.gz'
    write(image, image.with_name('atlas-A_dseg.tsv'))
    image.write_bytes(image.read_bytes()[:100])
    assert (regions(space, source) == '').all()


def test_greyordinates_have_the_labels_of_a_dlabel(dataset):
    models = left(range(40)) + right(range(40)) + voxels(count=60)
    labels = {0: ('???', (0, 0, 0, 0)), 1: ('L_V1', (1, 0, 0, 1)), 2: ('Stem', (0, 1, 0, 1))}
    numbers = np.zeros((1, len(models)), np.float32)
    numbers[0, 10:20], numbers[0, 82:84] = 1, 2
    path = dataset / 'sourcedata' / 'atlases' / 'tpl-fsLR' / 'tpl-fsLR_atlas-HCP_dseg.dlabel.nii'
    save_matrix(path, numbers, (nb.cifti2.LabelAxis(['x'], [labels]), models))
    # Vertices 3, 5, ..., 39 of the left, all of the right cortex, seven voxels of the brain stem.
    space = GreyordinateSpace.from_axes(left() + right() + voxels())
    source = dataset / 'sub-01' / 'func' / 'sub-01_space-fsLR_den-91k_alff.dscalar.nii'
    found = Regions.of(space, [source])
    named = {element: found[element] for element in range(len(space)) if found[element]}
    vertices = np.array(range(3, 40, 2))
    cortex = np.flatnonzero((vertices >= 10) & (vertices < 20))
    stem = 19 + 30 + np.array([2, 3])
    assert named == dict.fromkeys(cortex, 'L_V1 (HCP)') | dict.fromkeys(stem, 'Stem (HCP)')
