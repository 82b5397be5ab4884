import subprocess

import nibabel as nb
import numpy as np
import pytest
from greyordinates import (
    brain_models,
    left,
    maps,
    parcels,
    random_values,
    right,
    save_map,
    save_matrix,
    voxels,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from images import AFFINE
from nibabel.cifti2 import BrainModelAxis, LabelAxis, ParcelsAxis
from spaces.contract import SpaceContract
from tools import require_tool

from modelarrayio_bids.cohort import Source
from modelarrayio_bids.errors import FormatError, SpaceMismatchError
from modelarrayio_bids.spaces import ParcelSpace


def changed(index, name, members):
    """The four parcels, but for one."""
    models = [
        ('V1', left([3, 5, 7])),
        ('V2', left([9, 11])),
        ('MT', right([0, 4, 8])),
        ('Thalamus', voxels('ThalamusLeft', 50, 4) + right([20])),
    ]
    models[index] = (name, members)
    return ParcelsAxis.from_brain_models(models)


#: What only looks like the four parcels, and what tells it apart.
OTHERS = {
    "has the expected parcels in another order: number 1 is 'V2', expected 'V1'": parcels()[
        [1, 0, 2, 3]
    ],
    "has other parcels than expected: number 2 is 'V3', expected 'V2'": changed(
        1, 'V3', left([9, 11])
    ),
    'has 3 parcels, expected 4': parcels()[:3],
    "has the expected parcels, but other vertices in 'MT'": changed(2, 'MT', right([0, 4, 9])),
    "has the expected parcels, but other vertices in 'V2'": changed(1, 'V2', right([9, 11])),
    "has the expected parcels, but other vertices in 'Thalamus'": changed(
        3, 'Thalamus', voxels('ThalamusLeft', 50, 4)
    ),
    "has the expected parcels, but other voxels in 'Thalamus'": changed(
        3, 'Thalamus', voxels('ThalamusLeft', 51, 4) + right([20])
    ),
    'is on a surface of 41 vertices for CIFTI_STRUCTURE_CORTEX_LEFT, expected 40': ParcelsAxis(
        parcels().name,
        parcels().voxels,
        parcels().vertices,
        AFFINE,
        (4, 5, 6),
        {**parcels().nvertices, 'CIFTI_STRUCTURE_CORTEX_LEFT': 41},
    ),
    'another affine: its grid lies up to 2 mm away': parcels(
        affine=AFFINE + np.diag([2, 0, 0, 0])[:, [1, 2, 3, 0]]
    ),
}


def source(path):
    return Source('x', path.name, path)


class TestParcelSpace(SpaceContract):
    def make_space(self, folder):
        return ParcelSpace.from_axes(parcels())

    def make_others(self, folder):
        return [ParcelSpace.from_axes(axis) for axis in OTHERS.values()]

    def make_row(self, folder, number, values):
        path = save_map(folder / f'map-{number}.pscalar.nii', values, parcels())
        return {'source_file': str(path)}


@pytest.fixture
def space():
    return ParcelSpace.from_axes(parcels())


@pytest.mark.parametrize('what', OTHERS)
def test_other_parcels_are_refused(tmp_path, space, what):
    axis = OTHERS[what]
    path = save_map(tmp_path / 'sub-02.pscalar.nii', random_values(len(axis)), axis)
    with pytest.raises(SpaceMismatchError) as raised:
        space.read(source(path))
    assert what in raised.value.what
    assert raised.value.path == str(path)


def test_members_may_be_listed_in_any_order(tmp_path, space):
    axis = changed(2, 'MT', right([8, 0, 4]))
    assert axis != parcels()
    space.check(source(save_map(tmp_path / 'x.pscalar.nii', random_values(4), axis)))


def test_a_volume_or_surface_without_members_does_not_matter():
    surface = parcels()[:3]
    without = ParcelsAxis(
        surface.name,
        surface.voxels,
        surface.vertices,
        None,
        None,
        dict.fromkeys([*surface.nvertices, 'CIFTI_STRUCTURE_CEREBELLUM'], 40),
    )
    assert ParcelSpace.from_axes(surface) == ParcelSpace.from_axes(without)


def test_tables_are_the_names(space):
    assert {path: table.values.tolist() for path, table in space.tables().items()} == {
        'parcels/parcel_id': ['V1', 'V2', 'MT', 'Thalamus']
    }


def test_names_in_any_script_and_with_any_sign(tmp_path):
    axis = changed(0, 'Brodmann <17> & "ü" 視覚', left([3, 5, 7]))
    space = ParcelSpace.from_axes(axis)
    path = tmp_path / 'x.pscalar.nii'
    space.write(random_values(4), path, name='≥ 5')
    assert ParcelSpace.from_file(path) == space
    assert nb.load(path).header.get_axis(1) == axis
    assert nb.load(path).header.get_axis(0).name.tolist() == ['≥ 5']
    assert ParcelSpace.from_template(space.template()) == space


def test_maps_along_the_other_dimension(tmp_path, space):
    data = random_values(4, 2)
    path = save_matrix(tmp_path / 'x.pscalar.nii', data, (parcels(), maps('a', 'b')))
    chosen = ParcelSpace.from_file(path).with_map('2')
    assert chosen == space
    np.testing.assert_array_equal(chosen.read(source(path)), data[:, 1])


def test_a_dscalar_under_a_pscalars_name(tmp_path, space):
    path = save_map(tmp_path / 'x.pscalar.nii', random_values(66), brain_models())
    what = r'holds dense scalars \(dscalar\), expected parcellated scalars \(pscalar\)'
    with pytest.raises(FormatError, match=what):
        space.check(source(path))


def test_what_workbench_parcellates_is_read_and_written(tmp_path):
    tool = require_tool('wb_command')
    values = random_values(66)
    dense = save_map(tmp_path / 'x.dscalar.nii', values, brain_models())
    table = {0: ('???', (0, 0, 0, 0)), 1: ('A', (1, 0, 0, 1)), 2: ('B', (0, 1, 0, 1))}
    keys = np.repeat([1, 0, 2], [25, 15, 26])
    labels = save_matrix(
        tmp_path / 'x.dlabel.nii',
        keys[np.newaxis].astype(np.float32),
        (LabelAxis(['atlas'], [table]), brain_models()),
    )
    path = tmp_path / 'x.pscalar.nii'
    subprocess.run([tool, '-cifti-parcellate', dense, labels, 'COLUMN', path], check=True)
    space = ParcelSpace.from_file(path)
    assert space.tables()['parcels/parcel_id'].values.tolist() == ['A', 'B']
    means = [values[keys == key].mean() for key in (1, 2)]
    np.testing.assert_allclose(space.read(source(path)), means, rtol=1e-5)
    again, text = tmp_path / 'again.pscalar.nii', tmp_path / 'again.txt'
    space.write(np.array([0.25, -3]), again)
    subprocess.run(
        [
            tool,
            '-cifti-math',
            'x + y',
            tmp_path / 'sum.pscalar.nii',
            '-var',
            'x',
            path,
            '-var',
            'y',
            again,
        ],
        check=True,
    )
    subprocess.run([tool, '-cifti-convert', '-to-text', again, text], check=True)
    np.testing.assert_array_equal(np.loadtxt(text), [0.25, -3])
    np.testing.assert_allclose(
        space.read(source(tmp_path / 'sum.pscalar.nii')), np.add(means, [0.25, -3]), rtol=1e-5
    )


PARCELS = st.lists(
    st.tuples(
        st.sampled_from(['a', 'b', 'c']),
        st.sets(st.integers(0, 3), min_size=1, max_size=2),
        st.sampled_from(['CortexLeft', 'CortexRight']),
    ),
    min_size=1,
    max_size=3,
)


def axis_of(named):
    axis = ParcelsAxis.from_brain_models(
        [
            (name, BrainModelAxis.from_surface(sorted(members), 9, structure))
            for name, members, structure in named
        ]
    )
    axis.nvertices = {f'CIFTI_STRUCTURE_CORTEX_{side}': 9 for side in ('LEFT', 'RIGHT')}
    return axis


@settings(max_examples=60)
@given(mine=PARCELS, theirs=PARCELS, same=st.booleans())
def test_equal_exactly_where_everything_is(mine, theirs, same):
    theirs = list(mine) if same else theirs
    equal = ParcelSpace.from_axes(axis_of(mine)) == ParcelSpace.from_axes(axis_of(theirs))
    assert equal == (mine == theirs)
