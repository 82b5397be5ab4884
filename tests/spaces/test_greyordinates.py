import subprocess

import nibabel as nb
import numpy as np
import pytest
from greyordinates import (
    N_VERTICES,
    brain_models,
    left,
    maps,
    random_values,
    right,
    save_map,
    save_matrix,
    voxels,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from images import AFFINE
from nibabel.cifti2 import BrainModelAxis
from spaces.contract import SpaceContract
from tools import require_tool

from modelarrayio_bids.cohort import Source
from modelarrayio_bids.errors import (
    FormatError,
    SpaceMismatchError,
    UnknownSpaceError,
    UsageError,
)
from modelarrayio_bids.spaces import GreyordinateSpace, References, space_class, space_of


def moved(millimetres):
    affine = AFFINE.copy()
    affine[0, 3] += millimetres
    return affine


def source(path):
    return Source('x', path.name, path)


#: What only looks like the 66 greyordinates, and what tells it apart.
OTHERS = {
    'has 18 greyordinates of CIFTI_STRUCTURE_CORTEX_LEFT, expected 19': (
        left(range(3, 39, 2)) + right() + voxels() + voxels('ThalamusLeft', 50, 10)
    ),
    # The same structures and counts, which the predecessor takes.
    'has 18 other greyordinates than expected, in the same structures; the first is vertex 4 of '
    'CIFTI_STRUCTURE_CORTEX_LEFT, expected vertex 5 of CIFTI_STRUCTURE_CORTEX_LEFT': (
        left([3, *range(4, 40, 2)]) + right() + voxels() + voxels('ThalamusLeft', 50, 10)
    ),
    'the first is voxel (0, 0, 1) of CIFTI_STRUCTURE_BRAIN_STEM, expected voxel (0, 0, 0)': (
        left() + right() + voxels(first=1) + voxels('ThalamusLeft', 50, 10)
    ),
    'is on a surface of 41 vertices for CIFTI_STRUCTURE_CORTEX_RIGHT, expected 40': (
        left()
        + BrainModelAxis.from_surface(list(range(30)), N_VERTICES + 1, 'CortexRight')
        + voxels()
        + voxels('ThalamusLeft', 50, 10)
    ),
    'has 30 greyordinates of CIFTI_STRUCTURE_CORTEX_RIGHT, expected 19 of': (
        right() + left() + voxels() + voxels('ThalamusLeft', 50, 10)
    ),
    'the first is voxel (0, 0, 0) of CIFTI_STRUCTURE_CORTEX_LEFT, expected vertex 3 of': (
        voxels('CortexLeft', count=19) + right() + voxels() + voxels('ThalamusLeft', 50, 10)
    ),
    'has 3 structures, expected 4': left() + right() + voxels(),
    'its grid lies up to 0.5 mm away (allowed: 0.02 mm)': brain_models(affine=moved(0.5)),
    'has a volume that has shape 4 × 5 × 7, expected 4 × 5 × 6': BrainModelAxis(
        brain_models().name,
        brain_models().voxel,
        brain_models().vertex,
        AFFINE,
        (4, 5, 7),
        brain_models().nvertices,
    ),
}


class TestGreyordinateSpace(SpaceContract):
    def make_space(self, folder):
        return GreyordinateSpace.from_axes(brain_models())

    def make_others(self, folder):
        return [GreyordinateSpace.from_axes(axis) for axis in OTHERS.values()]

    def make_row(self, folder, number, values):
        path = save_map(folder / f'map-{number}.dscalar.nii', values, brain_models())
        return {'source_file': str(path)}


@pytest.fixture
def space():
    return GreyordinateSpace.from_axes(brain_models())


@pytest.mark.parametrize('what', OTHERS)
def test_other_greyordinates_are_refused(tmp_path, space, what):
    axis = OTHERS[what]
    path = save_map(tmp_path / 'sub-02.dscalar.nii', random_values(len(axis)), axis)
    for ask in (space.check, space.read):
        with pytest.raises(SpaceMismatchError) as raised:
            ask(source(path))
        assert what in raised.value.what
        assert raised.value.path == str(path)
        assert 'leave it out' in raised.value.remedy


@pytest.mark.parametrize('millimetres', [0, 1e-7, 0.01])
def test_rounding_of_the_affine_is_allowed(tmp_path, space, millimetres):
    axis = brain_models(affine=moved(millimetres))
    space.check(source(save_map(tmp_path / 'x.dscalar.nii', random_values(66), axis)))
    assert space == GreyordinateSpace.from_axes(axis)


def test_what_workbench_writes_has_the_same_greyordinates(tmp_path, space):
    tool = require_tool('wb_command')
    values = random_values(66)
    path, doubled = tmp_path / 'x.dscalar.nii', tmp_path / 'doubled.dscalar.nii'
    space.write(values, path)
    subprocess.run([tool, '-cifti-math', 'x * 2', doubled, '-var', 'x', path], check=True)
    # Other bytes: Workbench indents its XML and adds where the file is from.
    assert space.template()['axis'].tobytes() not in doubled.read_bytes()
    for _ in range(2):
        np.testing.assert_array_equal(space.read(source(doubled)), values * 2)
    assert GreyordinateSpace.from_file(doubled) == space


def test_workbench_sees_every_structure(tmp_path, space):
    tool = require_tool('wb_command')
    path = tmp_path / 'age p.value.dscalar.nii'
    space.write(random_values(66), path)
    said = subprocess.run(
        [tool, '-file-information', path], check=True, capture_output=True, text=True
    ).stdout
    for line in (
        'CIFTI - Dense Scalar',
        '19 out of 40 vertices',
        '30 out of 40 vertices',
        '7 voxels',
        '10 voxels',
        '-2,0,0,90;0,2,0,-126;0,0,2,-72',
        'age p.value',
    ):
        assert line in said


def test_tables_are_those_of_the_predecessor(space):
    table = space.tables()['greyordinates']
    rows = table.values.T
    assert rows.dtype == np.int32
    names = [name.removeprefix('CIFTI_STRUCTURE_') for name in table.attributes['structure_names']]
    assert names == ['CORTEX_LEFT', 'CORTEX_RIGHT', 'BRAIN_STEM', 'THALAMUS_LEFT']
    np.testing.assert_array_equal(rows[:, 0], np.arange(66))
    np.testing.assert_array_equal(rows[:, 1], np.repeat([0, 1, 2, 3], [19, 30, 7, 10]))


class TestMaps:
    @pytest.fixture
    def path(self, tmp_path):
        axes = maps('mean', 'sd'), brain_models()
        return save_matrix(tmp_path / 'two.dscalar.nii', random_values(2, 66), axes)

    @pytest.mark.parametrize(('choice', 'row'), [('mean', 0), ('sd', 1), ('1', 0), ('2', 1)])
    def test_one_is_chosen(self, path, choice, row):
        references = References(map=choice)
        space = GreyordinateSpace.from_references(references, [source(path)])
        np.testing.assert_array_equal(space.read(source(path)), random_values(2, 66)[row])

    def test_several_without_a_choice_are_refused(self, path, space):
        for ask in (space.check, space.read):
            with pytest.raises(FormatError, match=r"holds 2 maps, .* \(1 'mean', 2 'sd'\)"):
                ask(source(path))

    def test_an_example_may_have_several(self, tmp_path, path):
        space = GreyordinateSpace.from_references(References(example=path), [])
        space.write(random_values(66), tmp_path / 'a.dscalar.nii')
        written = nb.load(tmp_path / 'a.dscalar.nii')
        assert written.shape == (1, 66)
        assert written.header.get_axis(0).name.tolist() == ['a']


def test_maps_along_the_other_dimension(tmp_path):
    data = random_values(66, 3)
    path = save_matrix(tmp_path / 'x.dscalar.nii', data, (brain_models(), maps(*'abc')))
    space = GreyordinateSpace.from_file(path).with_map('b')
    assert space == GreyordinateSpace.from_axes(brain_models())
    np.testing.assert_array_equal(space.read(source(path)), data[:, 1])
    space.write(data[:, 1], tmp_path / 'b.dscalar.nii')
    np.testing.assert_array_equal(nb.load(tmp_path / 'b.dscalar.nii').get_fdata(), data[:, 1:2].T)


def test_a_map_is_float32_and_named_after_its_result(tmp_path):
    # The predecessor writes into the example's type, under the name of the example's map.
    example = save_map(tmp_path / 'x.dscalar.nii', np.arange(66, dtype=np.int16), brain_models())
    space = GreyordinateSpace.from_file(example)
    path = tmp_path / 'mylm_age.p.value.dscalar.nii'
    p_values = np.linspace(1e-9, 1, 66)
    space.write(p_values, path, name='age.p.value <uncorrected>')
    image = nb.load(path)
    assert image.get_data_dtype() == np.float32
    np.testing.assert_array_equal(image.get_fdata()[0], p_values.astype(np.float32))
    assert image.header.get_axis(0).name.tolist() == ['age.p.value <uncorrected>']
    space.write(p_values, path)
    assert nb.load(path).header.get_axis(0).name.tolist() == ['mylm_age.p.value']


def test_missing_and_infinite_values_stay(tmp_path, space):
    values = random_values(66)
    values[[0, 40, 60]] = np.nan, np.inf, -np.inf
    path = save_map(tmp_path / 'x.dscalar.nii', values, brain_models())
    np.testing.assert_array_equal(space.read(source(path)), values)
    space.write(values, path)
    np.testing.assert_array_equal(nb.load(path).get_fdata()[0], values)


def test_too_large_for_float32_becomes_infinite(tmp_path, space):
    path = tmp_path / 'x.dscalar.nii'
    space.write(np.full(66, 1e300), path)
    assert np.isposinf(space.read(source(path))).all()


def test_data_that_are_not_as_long_as_described(tmp_path, space):
    path = save_map(tmp_path / 'x.dscalar.nii', random_values(66), brain_models())
    data = bytearray(path.read_bytes())
    data[64:72] = (65).to_bytes(8, 'little')  # NIfTI-2: dim[6] is at byte 64
    path.write_bytes(data)
    what = 'holds values for 65 greyordinates, but describes 66'
    with pytest.raises(FormatError, match=what):
        space.check(source(path))
    with pytest.raises(FormatError, match=what):
        GreyordinateSpace.from_file(path)


def test_something_must_list_the_greyordinates():
    with pytest.raises(UsageError, match=r'greyordinates need an image .* --example-file'):
        GreyordinateSpace.from_references(References(), [])


def test_the_first_source_does(tmp_path, space):
    path = save_map(tmp_path / 'x.dscalar.nii', random_values(66), brain_models())
    assert space_of([source(path)], References()) == space


@pytest.mark.parametrize(
    ('name', 'what'),
    [
        ('x.dtseries.nii', r'is CIFTI dense series \(dtseries\), which .* -cifti-reduce'),
        ('x.ptseries.nii', r'is CIFTI parcellated series \(ptseries\)'),
        ('x.dlabel.nii', r'is CIFTI dense labels \(dlabel\), which .* Labels are not measurements'),
        ('x.dconn.nii', r'is CIFTI dense connectivity \(dconn\), which .* -cifti-parcellate'),
        ('x.dtseries.nii.gz', r'is CIFTI dense series \(dtseries\)'),
        ('x.dscalar.nii.gz', 'is compressed, which CIFTI files must not be'),
    ],
)
def test_names_of_other_cifti_files_are_no_volumes(name, what):
    with pytest.raises(UnknownSpaceError, match=f'^{name}: {what}'):
        space_class(name)


ELEMENT_SETS = st.sets(st.integers(0, 5), min_size=1, max_size=4).map(sorted)
STRUCTURES = st.lists(
    st.tuples(
        st.sampled_from(['CortexLeft', 'CortexRight', 'BrainStem', 'ThalamusLeft']),
        ELEMENT_SETS,
        st.integers(6, 7),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda structure: structure[0],
)


def axis_of(structures):
    axes = [
        BrainModelAxis.from_surface(elements, size, name)
        if name.startswith('Cortex')
        else BrainModelAxis(
            name,
            [(element, size, 0) for element in elements],
            affine=AFFINE,
            volume_shape=(8, 8, 8),
        )
        for name, elements, size in structures
    ]
    return sum(axes[1:], axes[0])


@settings(max_examples=60)
@given(mine=STRUCTURES, theirs=STRUCTURES, same=st.booleans())
def test_equal_exactly_where_everything_is(tmp_path_factory, mine, theirs, same):
    theirs = list(mine) if same else theirs
    space = GreyordinateSpace.from_axes(axis_of(mine))
    axis = axis_of(theirs)
    assert (space == GreyordinateSpace.from_axes(axis)) == (mine == theirs)
    folder = tmp_path_factory.mktemp('x')
    path = save_map(folder / 'x.dscalar.nii', random_values(len(axis)), axis)
    if mine == theirs:
        space.check(source(path))
    else:
        with pytest.raises(SpaceMismatchError):
            space.check(source(path))
