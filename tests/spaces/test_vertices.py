import gzip
import subprocess
from pathlib import Path

import nibabel as nb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spaces.contract import SpaceContract
from tools import require_tool
from vertices import (
    CORTEX,
    N_ELEMENTS,
    STRUCTURES,
    save,
    save_gifti,
    save_mgh,
    save_pair,
    whole,
)

from modelarrayio_bids.cohort import Source
from modelarrayio_bids.errors import (
    DuplicateSourceError,
    FormatError,
    SourceNotFoundError,
    SpaceError,
    SpaceMismatchError,
    UnknownSpaceError,
    UsageError,
)
from modelarrayio_bids.spaces import References, VertexSpace, space_of


def shrunk(side):
    """The cortex without one vertex of a hemisphere."""
    other = {each: inside.copy() for each, inside in CORTEX.items()}
    other[side][np.flatnonzero(other[side])[7]] = False
    return other


class _Contract(SpaceContract):
    pattern: str

    def make_space(self, folder):
        return VertexSpace(CORTEX, self.extension, 'fsaverage')

    def make_others(self, folder):
        larger = {'L': CORTEX['L'], 'R': np.append(CORTEX['R'], False)}
        return [
            VertexSpace(shrunk('L'), self.extension, 'fsaverage'),
            VertexSpace(shrunk('R'), self.extension, 'fsaverage'),
            VertexSpace(larger, self.extension, 'fsaverage'),
            VertexSpace({'L': CORTEX['L']}, self.extension, 'fsaverage'),
            VertexSpace({'L': CORTEX['R'], 'R': CORTEX['L']}, self.extension, 'fsaverage'),
            VertexSpace(CORTEX, self.extension, 'fsLR'),
        ]

    def make_row(self, folder, number, values):
        return {'source_file': str(save_pair(folder, self.pattern.format(number), values))}


class TestMgh(_Contract):
    extension = '.mgh'
    pattern = 'sub-{}/surf/{{hemi}}.thickness.fsaverage.mgh'


class TestMgz(_Contract):
    extension = '.mgz'
    pattern = 'sub-{}/surf/{{hemi}}.thickness.fsaverage.mgz'


class TestGifti(_Contract):
    extension = '.shape.gii'
    pattern = 'sub-{}_hemi-{{hemi}}_space-fsaverage_thickness.shape.gii'


def source(path):
    return Source('thickness', path.name, path)


def values_of(number):
    return np.random.default_rng(number).normal(2.5, 0.5, N_ELEMENTS).astype(np.float32)


PATTERN = 'sub-{}_hemi-{{hemi}}_space-fsaverage_thickness.shape.gii'


@pytest.fixture
def images(tmp_path):
    """The left files of three pairs, of 72 values each beside walls of zeros."""
    return [save_pair(tmp_path, PATTERN.format(n), values_of(n)) for n in range(3)]


def right(path):
    return path.with_name(path.name.replace('hemi-L', 'hemi-R'))


class TestWall:
    def test_what_is_zero_or_missing_in_all_is_no_element(self, tmp_path, images):
        images.append(save_pair(tmp_path, PATTERN.format(3), values_of(3), fill=np.nan))
        space = space_of(list(map(source, images)), References())
        assert space == VertexSpace(CORTEX, '.shape.gii', 'fsaverage')
        for number, image in enumerate(images):
            np.testing.assert_array_equal(space.read(source(image)), values_of(number))

    def test_a_value_in_one_image_makes_an_element(self, tmp_path, images):
        values = whole(values_of(1))
        values['R'][-1] = 0.5
        save_gifti(right(images[1]), values['R'], 'CortexRight')
        space = space_of(list(map(source, images)), References())
        assert len(space) == N_ELEMENTS + 1
        assert space.read(source(images[0]))[-1] == 0

    @pytest.mark.parametrize('ending', ['.shape.gii', '.label.gii', '.mgh', '.label'])
    def test_masks_name_the_cortex(self, tmp_path, images, ending):
        for side, inside in CORTEX.items():
            mask = tmp_path / f'tpl_hemi-{side}_desc-cortex{ending}'
            inside = inside.copy()  # noqa: PLW2901
            inside[20] = False
            if ending == '.label':
                rows = [f'{vertex} 0.0 0.0 0.0 0.0' for vertex in np.flatnonzero(inside)]
                mask.write_text('\n'.join(['#!ascii label', str(len(rows)), *rows]) + '\n')
            elif ending == '.mgh':
                save_mgh(mask, inside.astype(np.int32))
            else:
                save_gifti(mask, inside.astype(np.int32))
        references = References(mask=tmp_path / f'tpl_hemi-R_desc-cortex{ending}')
        space = space_of(list(map(source, images)), references)
        assert len(space) == N_ELEMENTS - 2
        expected = whole(values_of(2))
        np.testing.assert_array_equal(
            space.read(source(images[2])),
            np.concatenate([np.delete(expected['L'], 20)[3:], np.delete(expected['R'], 20)[:34]]),
        )

    def test_a_mask_of_another_surface_is_refused(self, tmp_path, images):
        save_mgh(tmp_path / 'lh.cortex.mgh', np.ones(41, np.int32))
        references = References(mask=save_mgh(tmp_path / 'rh.cortex.mgh', np.ones(41, np.int32)))
        with pytest.raises(SpaceMismatchError, match='has 41 vertices, expected 40'):
            len(space_of(list(map(source, images)), references))

    @pytest.mark.parametrize(
        ('text', 'error', 'says'),
        [
            ('3\n1 0 0 0 0\n5 0 0 0 0\n', FormatError, 'lists 2 vertices of the 3'),
            ('1\n1 0 0 0 0\n5 0 0 0 0\n', FormatError, 'lists 2 vertices of the 1'),
            ('2\n1 0 0 0 0\n-5 0 0 0 0\n', SpaceMismatchError, 'has a vertex -5, expected 40'),
            ('2\n1 0 0 0 0\n40 0 0 0 0\n', SpaceMismatchError, 'has a vertex 40, expected 40'),
            ('1\n1.5 0 0 0 0\n', FormatError, 'is not a label of FreeSurfer'),
            ('', FormatError, 'is not a label of FreeSurfer'),
        ],
    )
    def test_a_label_of_other_vertices_is_refused(self, tmp_path, images, text, error, says):
        for side in ('lh', 'rh'):
            (tmp_path / f'{side}.cortex.label').write_text(f'#!ascii label\n{text}')
        with pytest.raises(error, match=says):
            space_of([source(images[0])], References(mask=tmp_path / 'lh.cortex.label'))

    @pytest.mark.parametrize('name', ['group_mask.nii.gz', 'cortex.label', 'lh.mask.nii'])
    def test_a_mask_of_something_else_is_refused(self, images, name):
        with pytest.raises(UsageError, match=f'{name} is no mask of a hemisphere'):
            space_of([source(images[0])], References(mask=Path(name)))

    def test_a_missing_mask_of_one_hemisphere_is_told(self, tmp_path, images):
        mask = save_mgh(tmp_path / 'lh.cortex.mgh', np.ones(40, np.int32))
        with pytest.raises(SourceNotFoundError, match=r'the right hemisphere of lh\.cortex\.mgh'):
            space_of([source(images[0])], References(mask=mask))

    def test_nothing_but_zeros_is_refused(self, tmp_path):
        image = save_pair(tmp_path, PATTERN.format(1), np.zeros(N_ELEMENTS, np.float32))
        with pytest.raises(SpaceError, match='no vertex has a value other than 0 in any image'):
            len(space_of([source(image)], References()))


class TestHemispheres:
    def test_either_file_names_the_pair(self, images):
        by_left, by_right = (
            space_of([source(named) for named in each], References())
            for each in (images, list(map(right, images)))
        )
        assert by_left == by_right
        np.testing.assert_array_equal(by_left.read(source(right(images[1]))), values_of(1))

    def test_a_missing_one_is_told(self, images):
        right(images[1]).unlink()
        space = space_of(list(map(source, images)), References())
        with pytest.raises(SourceNotFoundError) as raised:
            space.check(source(images[1]))
        assert str(raised.value) == (
            f'{right(images[1])}: no such file: the right hemisphere of {images[1].name} is '
            'missing. Make it, or leave this image out.'
        )

    @pytest.mark.parametrize(('gone', 'kept'), [('L', 'R'), ('R', 'L')])
    def test_a_study_may_have_one(self, tmp_path, images, caplog, gone, kept):
        named = {'L': images, 'R': list(map(right, images))}
        for path in named[gone]:
            path.unlink()
        space = space_of(list(map(source, named[kept])), References())
        assert space.counts == {kept: 40}
        assert 'Only one hemisphere: no image has a' in caplog.text
        part = slice(0, 37) if kept == 'L' else slice(37, None)
        np.testing.assert_array_equal(space.read(source(named[kept][2])), values_of(2)[part])
        (written,) = space.written_files(tmp_path / f'x_hemi-{kept}.shape.gii')
        space.write(values_of(1)[part], written, name='age')
        assert nb.load(written).meta['AnatomicalStructurePrimary'] == STRUCTURES[kept]

    def test_rows_for_each_file_of_a_pair_are_refused(self, images):
        with pytest.raises(DuplicateSourceError, match='is the other hemisphere of'):
            space_of([source(images[0]), source(right(images[0]))], References())

    def test_the_content_may_not_contradict_the_name(self, images):
        save_gifti(right(images[1]), whole(values_of(1))['R'], 'CortexLeft')
        space = space_of([source(images[0])], References())
        with pytest.raises(SpaceMismatchError, match='is of the left hemisphere, as it says'):
            space.check(source(images[1]))

    def test_a_name_has_to_tell(self, tmp_path):
        path = save_mgh(tmp_path / 'brain.mgz', np.ones((40, 3), np.float32))
        with pytest.raises(UnknownSpaceError, match='has a name that tells no hemisphere'):
            space_of([source(path)], References())
        with pytest.raises(UnknownSpaceError, match='has a name that tells no hemisphere'):
            VertexSpace(CORTEX, '.mgz').check(source(path))

    @pytest.mark.parametrize('name', ['lh.x.reg.rh.mgh', 'R.lh.x.mgh', 'sub-lh01.rh.x.mgh'])
    def test_a_file_is_of_its_own_pair(self, tmp_path, name):
        """Whatever else in a name looks like a hemisphere."""
        files = VertexSpace.files_of(tmp_path / name)
        assert tmp_path / name in files
        assert {VertexSpace.files_of(file) for file in files} == {files}


class TestSurfaces:
    def test_other_counts_are_refused(self, tmp_path, images):
        path = right(images[2])
        save_gifti(path, np.ones(41, np.float32), 'CortexRight')
        space = space_of(list(map(source, images)), References())
        with pytest.raises(SpaceMismatchError, match='has 41 vertices, expected 40') as raised:
            space.check(source(images[2]))
        assert raised.value.path == str(path)

    def test_other_surfaces_of_as_many_vertices_are_refused(self, tmp_path, images):
        pattern = PATTERN.replace('fsaverage', 'fsLR').format(9)
        other = save_pair(tmp_path, pattern, values_of(9))
        space = space_of(list(map(source, images)), References())
        with pytest.raises(SpaceMismatchError, match='is on fsLR, expected fsaverage'):
            space.check(source(other))

    @pytest.mark.parametrize(
        ('name', 'count', 'surface'),
        [
            ('lh.thickness.mgh', 642, 'fsaverage3'),
            ('lh.thickness.fsaverage.mgh', 642, 'fsaverage3'),
            ('x_hemi-L_space-fsLR_den-4k_sulc.mgh', 4002, 'fsLR'),
            ('100307.L.sulc.164k_fs_LR.mgh', 642, 'fsLR'),
            ('x_hemi-L_space-onavg_sulc.mgh', 642, 'onavg'),
            ('lh.thickness.mgh', 643, ''),
        ],
    )
    def test_names_and_counts_tell_the_surface(self, tmp_path, name, count, surface):
        path = save_mgh(tmp_path / name, np.ones(count, np.float32))
        assert space_of([source(path)], References()).surface == surface

    def test_a_volume_is_refused(self, tmp_path):
        volume = nb.freesurfer.MGHImage(np.ones((4, 5, 6), np.float32), None)
        nb.save(volume, tmp_path / 'lh.ribbon.mgz')
        with pytest.raises(FormatError, match=r'holds a volume \(4 × 5 × 6\)'):
            space_of([source(tmp_path / 'lh.ribbon.mgz')], References())


class TestDamage:
    """Each is told in a line, by commands too: no other exception leaves the space."""

    @pytest.mark.parametrize(
        ('word', 'other'),
        [
            ('NIFTI_TYPE_FLOAT32', 'NIFTI_TYPE_FLOAT99'),
            ('NIFTI_INTENT_SHAPE', 'NIFTI_INTENT_FORM'),
            ('GZipBase64Binary', 'Base65'),
            ('RowMajorOrder', 'AnyOrder'),
            ('LittleEndian', 'MiddleEndian'),
            ('Dim0="40"', ''),
            ('Dim0="40"', 'Dim0="41"'),
            ('Dimensionality="1"', 'Dimensionality="3"'),
            ('<Data>', '<Data></Data><Data>'),
            ('GIFTI ', 'SVG '),
        ],
    )
    def test_of_gifti(self, images, word, other):
        text = images[0].read_text()
        assert word in text
        images[0].write_text(text.replace(word, other).replace('/GIFTI', f'/{other.strip()}'))
        with pytest.raises(FormatError, match='is not a GIFTI file'):
            space_of([source(images[0])], References())

    def test_listed_vertices_are_not_all(self, tmp_path):
        arrays = [
            nb.gifti.GiftiDataArray(np.arange(9, dtype=np.int32), 'NIFTI_INTENT_NODE_INDEX'),
            nb.gifti.GiftiDataArray(np.arange(9, dtype=np.float32), 'NIFTI_INTENT_SHAPE'),
        ]
        path = tmp_path / 'x_hemi-L.func.gii'
        nb.save(nb.gifti.GiftiImage(darrays=arrays), path)
        with pytest.raises(FormatError, match='lists the vertices it has values of'):
            space_of([source(path)], References(map='2'))

    @pytest.mark.parametrize('name', ['lh.x.mgh', 'lh.x.mgz'])
    @pytest.mark.parametrize('offset', [4, 16])  # the numbers of vertices and of maps
    def test_of_sizes_no_file_holds(self, tmp_path, name, offset):
        path = save_mgh(tmp_path / 'lh.whole.mgh', np.ones(40, np.float32))
        data = bytearray(path.read_bytes())
        data[offset : offset + 4] = b'\x7f\xff\xff\xff'
        path = tmp_path / name
        path.write_bytes(gzip.compress(data) if name.endswith('z') else data)
        with pytest.raises(FormatError, match='is too small for'):
            space_of([source(path)], References())


class TestMaps:
    @pytest.mark.parametrize(('choice', 'column'), [('b', 1), ('1', 0)])
    def test_one_is_chosen(self, tmp_path, choice, column):
        data = np.random.default_rng(3).normal(size=(40, 2)).astype(np.float32)
        for side in 'LR':
            path = save_gifti(tmp_path / f'x_hemi-{side}_cope.func.gii', data)
        space = space_of([source(path)], References(map=choice))
        np.testing.assert_array_equal(space.read(source(path)), np.tile(data[:, column], 2))

    def test_several_without_a_choice_are_refused(self, tmp_path):
        path = save_mgh(tmp_path / 'lh.all.mgh', np.ones((40, 3), np.float32))
        assert VertexSpace.holds_several(path)
        space = space_of([source(path)], References())
        with pytest.raises(FormatError, match='holds 3 maps, expected one'):
            space.check(source(path))


@pytest.mark.parametrize('dtype', [np.uint8, np.int16, np.int32, np.float32])
@pytest.mark.parametrize('name', ['lh.x.mgh', 'lh.x.mgz'])
def test_types_of_freesurfer_are_read_as_nibabel_reads_them(tmp_path, dtype, name):
    path = save_mgh(tmp_path / name, np.arange(1, 41, dtype=dtype))
    values = space_of([source(path)], References()).read(source(path))
    np.testing.assert_array_equal(values, nb.load(path).get_fdata().ravel())
    assert values.dtype == (np.float32 if dtype is np.float32 else np.float64)


@pytest.mark.parametrize('extension', ['.mgh', '.mgz', '.shape.gii'])
def test_maps_are_read_by_nibabel(tmp_path, extension):
    space = VertexSpace(CORTEX, extension, 'fsaverage')
    values = values_of(5)
    values[[0, 40]] = np.nan, np.inf
    space.write(values, tmp_path / f'map_hemi-L{extension}', fill=-1, name='age.p.value')
    for side, expected in whole(values, fill=-1).items():
        image = nb.load(tmp_path / f'map_hemi-{side}{extension}')
        if extension == '.shape.gii':
            assert image.meta['AnatomicalStructurePrimary'] == STRUCTURES[side]
            assert image.darrays[0].meta['Name'] == 'age.p.value'
            found = image.agg_data()
        else:
            assert image.get_data_dtype() == np.dtype('>f4')
            found = image.get_fdata(dtype=np.float32).ravel()
        np.testing.assert_array_equal(found, expected)


def test_workbench_reads_maps_and_writes_sources(tmp_path):
    tool = require_tool('wb_command')
    space = VertexSpace(CORTEX, '.shape.gii')
    space.write(values_of(1), tmp_path / 'x_hemi-L.shape.gii', name='age')
    for side in 'LR':
        written, doubled = (tmp_path / f'{name}_hemi-{side}.shape.gii' for name in 'xy')
        subprocess.run([tool, '-metric-math', 'x * 2', doubled, '-var', 'x', written], check=True)
        said = subprocess.run(
            [tool, '-file-information', doubled], check=True, capture_output=True, text=True
        ).stdout
        assert STRUCTURES[side] in said
    made = source(tmp_path / 'y_hemi-L.shape.gii')
    assert space_of([made], References()) == space
    np.testing.assert_array_equal(space.read(made), values_of(1) * 2)


@settings(max_examples=40)
@given(
    counts=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    zeros=st.lists(st.tuples(st.sets(st.integers(0, 8)), st.sets(st.integers(0, 8))), min_size=1),
    extension=st.sampled_from(['.mgh', '.mgz', '.func.gii']),
)
def test_elements_are_what_any_image_has(tmp_path_factory, counts, zeros, extension):
    folder = tmp_path_factory.mktemp('x')
    data, sources = [], []
    for number, walls in enumerate(zeros):
        pair = [
            np.where([vertex in wall for vertex in range(count)], 0, 1 + number).astype(np.float32)
            for count, wall in zip(counts, walls, strict=True)
        ]
        for side, one in zip(('lh', 'rh'), pair, strict=True):
            save(folder / f'{side}.{number}{extension}', one, 'L' if side == 'lh' else 'R')
        data.append(np.concatenate(pair))
        sources.append(source(folder / f'lh.{number}{extension}'))
    present = (np.array(data) != 0).any(axis=0)
    space = space_of(sources, References())
    if not present.any():
        with pytest.raises(SpaceError):
            len(space)
        return
    for one, row in zip(sources, data, strict=True):
        np.testing.assert_array_equal(space.read(one), row[present])
    table = space.tables()['vertices'].values
    np.testing.assert_array_equal(
        table[2] + np.array([0, counts[0]])[table[1]], np.flatnonzero(present)
    )


def test_corresponding_vertices_are_flip_candidates_in_fslr():
    ((what, partners),) = VertexSpace(CORTEX, '.mgh', 'fsLR').flip_candidates()
    assert what == 'left and right'
    # Left vertices 3 to 39 are elements 0 to 36, right ones 0 to 34 elements 37 to 71.
    assert partners[:3].tolist() == [40, 41, 42]
    assert partners[35:40].tolist() == [-1, -1, -1, -1, -1]
    assert partners[40] == 0
    assert not list(VertexSpace(CORTEX, '.mgh', 'fsaverage').flip_candidates())
