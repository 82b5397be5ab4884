import shutil

import numpy as np
import pytest
from images import save
from mrtrix import (
    AFFINE,
    SHAPE,
    VOXELS,
    direction_values,
    dumped,
    fixel_directory,
    index_values,
    run,
    save_mif,
    save_values,
)
from spaces.contract import SpaceContract

from modelarrayio_bids.cohort import Source
from modelarrayio_bids.errors import (
    FormatError,
    OutputError,
    SourceNotFoundError,
    SpaceError,
    SpaceMismatchError,
    UsageError,
)
from modelarrayio_bids.spaces import FixelSpace, References, space_of


def source(path):
    return Source('fd', path.name, path)


class TestFixelSpace(SpaceContract):
    def make_space(self, folder):
        return FixelSpace.from_fixel_directory(fixel_directory(folder / 'fixels'))

    def make_others(self, folder):
        directions = direction_values()
        turned = directions.copy()
        turned[5] *= -1
        shifted = AFFINE.copy()
        shifted[2, 3] += 0.1
        swapped = (((0, 1, 0), 1, 0), ((2, 0, 1), 3, 1), ((1, 1, 1), 2, 4))
        elsewhere = (((2, 0, 1), 3, 0), ((0, 1, 1), 1, 3), ((1, 1, 1), 2, 4))
        return [
            FixelSpace.from_arrays(index_values(), turned, AFFINE),
            FixelSpace.from_arrays(index_values(), directions, shifted),
            FixelSpace.from_arrays(index_values(swapped), directions, AFFINE),
            FixelSpace.from_arrays(index_values(elsewhere), directions, AFFINE),
            FixelSpace.from_arrays(index_values(VOXELS[:2]), directions[:4], AFFINE),
        ]

    def make_row(self, folder, number, values):
        return {'source_file': str(save_values(folder / f'fd-{number}.mif', values))}


@pytest.fixture
def folder(tmp_path):
    return fixel_directory(tmp_path / 'fixels')


@pytest.fixture
def space(folder):
    return FixelSpace.from_fixel_directory(folder)


def test_tables_are_in_mrtrix_order(space):
    # Voxels by their first fixel, as the predecessor's gather_fixels numbers them.
    tables = space.tables()
    assert tables['voxels'].columns == ('voxel_id', 'i', 'j', 'k')
    assert tables['voxels'].values.T.tolist() == [[0, 2, 0, 1], [1, 0, 1, 0], [2, 1, 1, 1]]
    fixels = tables['fixels']
    assert fixels.columns == ('fixel_id', 'voxel_id', 'x', 'y', 'z')
    assert fixels.values[:2].tolist() == [[0, 1, 2, 3, 4, 5], [0, 0, 0, 1, 2, 2]]
    np.testing.assert_array_equal(fixels.values[2:].T, direction_values())


@pytest.mark.parametrize('ending', ['.mif', '.mif.gz', '.nii', '.nii.gz'])
@pytest.mark.parametrize('strides', ['1,2,3,4', '-2,3,-1,4', '3,-1,2,4'])
def test_the_order_on_disk_does_not_matter(tmp_path, folder, space, ending, strides):
    # NIfTI has no strides: mrconvert turns the image itself, and MRtrix turns it back.
    other = tmp_path / 'other'
    other.mkdir()
    run('mrconvert', folder / 'index.mif', other / f'index{ending}', '-strides', strides)
    for name, order in (('directions', '-1,2,3'), ('fd', '-1,3,2')):
        data = (
            save_values(tmp_path / 'fd.mif', range(6)) if name == 'fd' else folder / f'{name}.mif'
        )
        run('mrconvert', data, other / f'{name}{ending}', '-strides', order)
    assert FixelSpace.from_fixel_directory(other) == space
    if ending in ('.mif', '.mif.gz'):
        assert space.read(source(other / f'fd{ending}')).tolist() == [0, 1, 2, 3, 4, 5]


def test_a_data_file_that_runs_to_the_left_is_read_as_mrtrix_does(tmp_path, space):
    geometry = 'vox: 2,2,2\ntransform: -1,0,0,0\ntransform: 0,1,0,0\ntransform: 0,0,1,0\n'
    data = np.arange(6, dtype='<f4').reshape(6, 1, 1)
    path = save_mif(tmp_path / 'left.mif', data, geometry)
    assert space.read(source(path)).tolist() == [5, 4, 3, 2, 1, 0]
    assert dumped(path, (6,)).tolist() == [5, 4, 3, 2, 1, 0]


def test_references_may_be_files_or_a_directory(tmp_path, folder, space):
    index, directions = folder / 'index.mif', folder / 'directions.mif'
    values = save_values(tmp_path / 'fd.mif', range(6))
    inside = save_values(folder / 'fd.mif', range(6))
    named = References(index=index, directions=directions)
    assert space_of([source(values)], named) == space
    assert space_of([source(values)], References(index=folder)) == space
    assert space_of([source(inside)], References()) == space
    assert FixelSpace.from_references(References(example=inside), []) == space
    for lacking in (References(index=index), References(directions=directions)):
        with pytest.raises(UsageError, match='--index-file'):
            FixelSpace.from_references(lacking, [source(inside)])
    with pytest.raises(UsageError, match='--index-file'):
        FixelSpace.from_references(References(), [])
    with pytest.raises(SourceNotFoundError, match=r'has no index image .* --index-file'):
        FixelSpace.from_references(References(), [source(values)])


def test_a_directory_has_one_of_each(folder):
    shutil.copy(folder / 'index.mif', folder / 'index.nii')
    with pytest.raises(SpaceError, match=r'has 2 index images: index.mif, index.nii'):
        FixelSpace.from_fixel_directory(folder)
    (folder / 'index.nii').unlink()
    (folder / 'directions.mif').unlink()
    with pytest.raises(SourceNotFoundError, match='has no directions image'):
        FixelSpace.from_fixel_directory(folder)


@pytest.mark.parametrize(
    ('voxels', 'message'),
    [
        (
            [((2, 0, 1), 3, 0), ((0, 1, 0), 1, 2), ((1, 1, 1), 2, 4)],
            r'has ranges that overlap: the fixels of voxel \(0, 1, 0\) start at 2, expected 3',
        ),
        (
            [((2, 0, 1), 3, 0), ((0, 1, 0), 1, 3), ((1, 1, 1), 2, 5)],
            r'leaves a gap: the fixels of voxel \(1, 1, 1\) start at 5, expected 4',
        ),
        (
            [((2, 0, 1), 3, 1), ((0, 1, 0), 2, 4)],
            r'leaves a gap: the fixels of voxel \(2, 0, 1\) start at 1, expected 0',
        ),
        ([], 'is an index without a single fixel'),
    ],
)
def test_an_index_that_contradicts_itself_is_refused(tmp_path, voxels, message):
    folder = fixel_directory(tmp_path / 'fixels', voxels)
    with pytest.raises(SpaceError, match=message) as raised:
        FixelSpace.from_fixel_directory(folder)
    assert raised.value.path == str(folder / 'index.mif')


@pytest.mark.parametrize('n_directions', [5, 7])
def test_directions_of_another_number_are_refused(tmp_path, n_directions):
    folder = fixel_directory(tmp_path / 'fixels', n_directions=n_directions)
    message = (
        rf'directions.mif: holds {n_directions} directions, expected 6, the fixels of .*index.mif'
    )
    with pytest.raises(SpaceMismatchError, match=message):
        FixelSpace.from_fixel_directory(folder)


@pytest.mark.parametrize(
    ('name', 'data', 'message'),
    [
        ('index', index_values()[..., 0], 'is 3 × 2 × 2, expected a fixel index'),
        ('index', index_values().astype('<f4') + 0.5, 'whole numbers from 0'),
        ('index', np.full((*SHAPE, 2), np.inf, '<f4'), 'whole numbers from 0'),
        ('index', -index_values().astype('<i2'), 'whole numbers from 0'),
        ('index', index_values().astype('<c8'), 'whole numbers from 0'),
        ('directions', direction_values(), None),
        ('directions', direction_values()[..., np.newaxis, np.newaxis], None),
        ('directions', np.zeros((6, 2, 1), '<f4'), r'is 6 × 2 × 1, expected fixels × 3 × 1'),
        ('directions', np.zeros((6, 3, 2), '<f4'), r'is 6 × 3 × 2, expected fixels × 3 × 1'),
        ('directions', np.zeros((6, 3, 1), '<c8'), 'expected real numbers'),
    ],
)
def test_other_images_are_no_index_and_no_directions(folder, name, data, message):
    path = save_mif(folder / f'{name}.mif', data)
    if message is None:
        assert len(FixelSpace.from_fixel_directory(folder)) == 6
        return
    with pytest.raises(FormatError, match=message) as raised:
        FixelSpace.from_fixel_directory(folder)
    assert raised.value.path == str(path)


def test_nifti_images_of_other_kinds_are_refused(folder):
    directions = direction_values()[..., np.newaxis].astype(np.complex64)
    (folder / 'directions.mif').unlink()
    path = save(folder / 'directions.nii.gz', directions)
    with pytest.raises(FormatError, match='complex64, expected real numbers'):
        FixelSpace.from_fixel_directory(folder)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(FormatError, match=r'directions.nii.gz: is'):
        FixelSpace.from_fixel_directory(folder)


def test_a_whole_number_is_one_in_any_type(folder, space):
    save_mif(folder / 'index.mif', index_values().astype('<f4'))
    assert FixelSpace.from_fixel_directory(folder) == space


@pytest.mark.parametrize(
    ('data', 'error', 'message'),
    [
        (np.zeros((5, 1, 1), '<f4'), SpaceMismatchError, 'holds 5 fixels, expected 6'),
        (np.zeros((1, 6, 1), '<f4'), FormatError, r'is 1 × 6 × 1, expected one value'),
        (np.zeros((6, 3, 1), '<f4'), FormatError, r'is 6 × 3 × 1, .* mrconvert -coord 1'),
        (np.zeros((6, 1, 1), '<c8'), FormatError, 'complex64, expected real numbers'),
    ],
)
def test_sources_that_do_not_fit_are_refused(tmp_path, space, data, error, message):
    path = save_mif(tmp_path / 'fd.mif', data)
    for ask in (space.check, space.read):
        with pytest.raises(error, match=message) as raised:
            ask(source(path))
        assert raised.value.path == str(path)


def test_sources_cut_short_are_refused(tmp_path, space):
    path = save_values(tmp_path / 'fd.mif', range(6))
    path.write_bytes(path.read_bytes()[:-1])
    for ask in (space.check, space.read):
        with pytest.raises(FormatError, match=r'fd.mif: is truncated: 279 bytes of the 280'):
            ask(source(path))
    with pytest.raises(SourceNotFoundError):
        space.check(source(tmp_path / 'none.mif'))


@pytest.mark.parametrize(
    ('code', 'read_as'), [('<f4', 'f4'), ('<f8', 'f8'), ('<i2', 'f8'), ('<u4', 'f8')]
)
def test_values_are_read_without_loss(tmp_path, space, code, read_as):
    data = np.array([0, 1, 2, 3, 4, 5]).astype(code).reshape(6, 1, 1)
    values = space.read(source(save_mif(tmp_path / 'fd.mif', data)))
    assert values.dtype == read_as
    np.testing.assert_array_equal(values, data.ravel())
    values[0] = np.nan  # what is read belongs to the reader


def test_missing_and_infinite_values_pass(tmp_path, space):
    expected = [np.nan, np.inf, -np.inf, 0, -1, 1e-30]
    values = space.read(source(save_values(tmp_path / 'fd.mif', expected)))
    np.testing.assert_array_equal(values, np.array(expected, np.float32))


@pytest.mark.parametrize('compress', [True, False])
def test_an_export_is_a_fixel_directory_to_mrtrix(tmp_path, folder, space, compress):
    out = tmp_path / 'out'
    out.mkdir()
    values = np.array([0.5, 1, 2, 4, 8, 16])
    name = f'lm_age.estimate{space.extension(compress=compress)}'
    space.write(values, out / name)
    assert [path.name for path in space.write_companions(out)] == ['index.mif', 'directions.mif']
    assert FixelSpace.from_fixel_directory(out) == space

    # Sum and number of each voxel's fixels, computed by hand from VOXELS.
    for operation, expected in (('count', [3, 1, 2]), ('sum', [3.5, 4, 24])):
        run('fixel2voxel', out / name, operation, tmp_path / 'voxels.nii')
        run(
            'mrconvert', tmp_path / 'voxels.nii', tmp_path / f'{operation}.mif', '-strides', '1,2,3'
        )
        image = dumped(tmp_path / f'{operation}.mif', SHAPE)
        assert [image[voxel] for voxel, _, _ in VOXELS] == expected
        (tmp_path / 'voxels.nii').unlink()
    assert run('mrinfo', out / 'index.mif', '-property', 'nfixels') == '6\n'
    assert run('mrinfo', out / name, '-size', '-datatype') == '6 1 1\nFloat32LE\n'
    assert run('mrstats', out / name, '-output', 'mean', '-output', 'max') == '5.25 16 \n'
    assert dumped(out / 'directions.mif', (6, 3, 1)) == pytest.approx(
        dumped(folder / 'directions.mif', (6, 3, 1)), abs=1e-6
    )


def test_the_index_keeps_its_header(tmp_path, folder):
    run('mrconvert', folder / 'index.mif', folder / 'index.mif.gz', '-strides', '1,3,2,4')
    (folder / 'index.mif').unlink()
    space = FixelSpace.from_template(FixelSpace.from_fixel_directory(folder).template())
    index, _ = space.write_companions(tmp_path)
    assert run('mrinfo', index, '-datatype', '-strides') == 'UInt32LE\n1 3 2 4\n'
    assert run('mrinfo', index, '-property', 'command_history').count('mrconvert ') == 1
    np.testing.assert_array_equal(
        dumped(index, (*SHAPE, 2), (1, 3, 2, 4)), index_values().astype(float)
    )


def test_companions_replace_their_own_kind_only(tmp_path, space):
    out = tmp_path / 'out'
    out.mkdir()
    (out / 'index.mif').write_bytes(b'of another run')
    space.write_companions(out)
    assert FixelSpace.from_fixel_directory(out) == space
    (out / 'directions.nii.gz').write_bytes(b'of another program')
    with pytest.raises(OutputError, match=r'directions.nii.gz: would exist twice'):
        space.write_companions(out)


def test_values_beyond_float32_are_infinite(tmp_path, space):
    space.write(np.full(6, 1e300), tmp_path / 'fd.mif')
    assert np.isposinf(space.read(source(tmp_path / 'fd.mif'))).all()


def test_rounding_does_not_make_another_space(space):
    assert space.index != 'an index'
    near = AFFINE.copy()
    near[:3] += 1e-6
    directions = direction_values() + np.float32(5e-7)
    assert FixelSpace.from_arrays(index_values(), directions, near) == space
    with pytest.raises(
        SpaceMismatchError, match=r'directions of shape \(5, 3\), expected \(6, 3\)'
    ):
        FixelSpace.from_arrays(index_values(), directions[:5], AFFINE)
