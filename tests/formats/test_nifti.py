import gzip
import struct
import subprocess

import nibabel as nb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from images import AFFINE, SHAPE, save, subject_map
from tools import require_tool

from modelarrayio_bids.errors import FormatError, SourceNotFoundError
from modelarrayio_bids.formats import nifti

EVERY = np.arange(np.prod(SHAPE))


def read(path):
    """All values in C order, through the codec."""
    with nifti.opened(path) as voxels:
        return voxels.take(EVERY).reshape(voxels.volume.shape, order='F')


@pytest.mark.parametrize('ending', ['.nii', '.nii.gz'])
@pytest.mark.parametrize('image_class', [nb.Nifti1Image, nb.Nifti2Image])
@pytest.mark.parametrize('order', '<>')
@pytest.mark.parametrize('code', ['u1', 'i1', 'i2', 'u2', 'i4', 'u4', 'i8', 'u8', 'f4', 'f8'])
def test_values_are_nibabels(tmp_path, ending, image_class, order, code):
    data = (subject_map(1) * 50).astype(code)
    header = image_class.header_class(endianness=order)
    header.set_data_dtype(np.dtype(code).newbyteorder(order))
    path = tmp_path / f'x{ending}'
    nb.save(image_class(data, AFFINE, header), path)
    values = read(path)
    np.testing.assert_array_equal(values, nb.load(path).get_fdata())
    assert values.dtype == (np.float32 if code == 'f4' else np.float64)
    np.testing.assert_allclose(nifti.Volume.from_file(path).affine, AFFINE)


@pytest.mark.parametrize('code', ['i2', 'f4', 'f8'])
def test_scaling_keeps_the_sign_of_zero(tmp_path, code):
    path = save(tmp_path / 'x.nii', np.full(SHAPE, -0.0).astype(code))
    with open(path, 'r+b') as file:
        file.seek(112)  # scl_slope and scl_inter, nifti1.h
        file.write(struct.pack('<ff', -0.5, 0))
    assert read(path).tobytes() == nb.load(path).get_fdata().tobytes()


@settings(max_examples=40, deadline=None)
@given(
    slope=st.floats(2**-10, 2**10, width=32),
    inter=st.floats(-(2**10), 2**10, width=32),
    code=st.sampled_from(['u1', 'i2', 'f4']),
)
def test_scaling_is_nibabels_to_the_last_bit(tmp_path_factory, slope, inter, code):
    path = tmp_path_factory.mktemp('scaled') / 'x.nii'
    image = nb.Nifti1Image((subject_map(2) * 50).astype(code), AFFINE)
    image.header.set_slope_inter(slope, inter)
    nb.save(image, path)
    with open(path, 'r+b') as file:  # nibabel recomputes scaling when it saves
        file.seek(112)  # scl_slope and scl_inter, nifti1.h
        file.write(struct.pack('<ff', slope, inter))
    np.testing.assert_array_equal(read(path), nb.load(path).get_fdata())


def test_one_volume_in_four_dimensions_is_a_volume(tmp_path):
    path = save(tmp_path / 'x.nii.gz', subject_map(1)[..., None])
    np.testing.assert_array_equal(read(path), subject_map(1))


@pytest.mark.parametrize(
    ('data', 'says'),
    [
        (np.zeros((*SHAPE, 3), np.float32), '4 × 5 × 6 × 3, expected three dimensions'),
        (np.zeros((*SHAPE, 1, 3), np.float32), '4 × 5 × 6 × 1 × 3, expected three'),
        (np.zeros(SHAPE[:2], np.float32), '4 × 5, expected three'),
        (np.zeros(SHAPE, np.complex64), 'complex64, expected real numbers'),
        (np.zeros(SHAPE, [('R', 'u1'), ('G', 'u1'), ('B', 'u1')]), 'expected real numbers'),
    ],
)
def test_images_that_are_no_map(tmp_path, data, says):
    with pytest.raises(FormatError) as raised:
        nifti.Volume.from_file(save(tmp_path / 'x.nii.gz', data))
    assert says in str(raised.value)
    assert 'x.nii.gz' in str(raised.value)


HELLO = b'hello' * 200


@pytest.mark.parametrize('content', [b'', b'\0', HELLO, gzip.compress(HELLO, mtime=0)])
def test_files_that_are_no_image(tmp_path, content):
    (tmp_path / 'x.nii.gz').write_bytes(content)
    with pytest.raises(FormatError, match='is not a NIfTI image'):
        nifti.Volume.from_file(tmp_path / 'x.nii.gz')


@pytest.mark.parametrize('rotation', [(0.6, 0.6, 0.5293), (1, 1, 1), (0, 1.000001, 0)])
def test_a_rotation_that_rounding_made_too_long_is_made_short(tmp_path, rotation):
    path = tmp_path / 'x.nii'
    image = nb.Nifti1Image(subject_map(1), None)
    image.header['qform_code'], image.header['vox_offset'] = 1, 352
    image.header['pixdim'][:4] = 1, 2, 3, 4
    for part, value in zip('bcd', rotation, strict=True):
        image.header[f'quatern_{part}'] = value
    image.header['qoffset_x'] = 7
    path.write_bytes(image.header.binaryblock + bytes(4) + subject_map(1).tobytes(order='F'))
    affine = nifti.Volume.from_file(path).affine
    axes = affine[:3, :3] / [2, 3, 4]
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-6)
    # A half turn about the axis: it stays where it is.
    axis = np.array(rotation) / np.linalg.norm(rotation)
    np.testing.assert_allclose(axes @ axis, axis, atol=1e-6)
    # MRtrix would turn the axes for itself.
    as_it_is = ['-config', 'RealignTransform', 'false']
    command = [require_tool('mrinfo'), '-quiet', *as_it_is, '-transform', path]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    transform = np.array([line.split() for line in done.stdout.splitlines()], float)
    np.testing.assert_allclose(transform[:3, :3], axes, atol=1e-6)
    np.testing.assert_allclose(transform[:3, 3], affine[:3, 3], atol=1e-4)


@pytest.mark.parametrize('column', [np.zeros(3), [2.0, 0, 0], [np.nan, 0, 1]])
def test_an_affine_without_places(tmp_path, column):
    affine = np.diag([2.0, 2, 2, 1])
    affine[:3, 2] = column
    image = nb.Nifti1Image(subject_map(1), np.eye(4))
    image.header.set_sform(affine, 1)
    path = tmp_path / 'x.nii'
    path.write_bytes(image.header.binaryblock + bytes(4) + subject_map(1).tobytes(order='F'))
    with pytest.raises(FormatError, match='x.nii: has an affine that cannot be used'):
        nifti.Volume.from_file(path)


def test_a_header_nibabel_refuses(tmp_path):
    path = save(tmp_path / 'x.nii', subject_map(1))
    with open(path, 'r+b') as file:
        file.seek(70)  # datatype, nifti1.h
        file.write(struct.pack('<h', 9999))
    with pytest.raises(FormatError, match='x.nii: has a NIfTI header that cannot be used'):
        nifti.Volume.from_file(path)


@pytest.mark.parametrize('ending', ['.nii', '.nii.gz'])
def test_truncation_is_seen_from_the_header_and_the_size(tmp_path, ending):
    whole = save(tmp_path / f'x{ending}', np.random.default_rng(0).random((20, 20, 20)))
    cut = tmp_path / f'cut{ending}'
    cut.write_bytes(whole.read_bytes()[:-5000])
    with pytest.raises(FormatError, match='cut.*: is truncated'):
        nifti.Volume.from_file(cut)


def test_several_gzip_members_are_no_truncation(tmp_path):
    data = save(tmp_path / 'x.nii', subject_map(1)).read_bytes()
    path = tmp_path / 'x.nii.gz'
    path.write_bytes(
        gzip.compress(data[:400]) + gzip.compress(data[400:-8]) + gzip.compress(data[-8:])
    )
    np.testing.assert_array_equal(read(path), subject_map(1))


def test_a_missing_file(tmp_path):
    with pytest.raises(SourceNotFoundError):
        nifti.Volume.from_file(tmp_path / 'none.nii.gz')


def test_masks_are_what_is_above_zero(tmp_path):
    data = np.zeros(SHAPE, np.float32)
    data[1, 2, 3], data[0, 0, 0], data[3, 4, 5] = 0.5, -1, np.nan
    with nifti.opened(save(tmp_path / 'm.nii.gz', data)) as voxels:
        assert np.argwhere(voxels.positive()).tolist() == [[1, 2, 3]]
        assert np.flatnonzero(voxels.take_positive(EVERY)).size == 1
        assert np.argwhere(voxels.present()).tolist() == [[0, 0, 0], [1, 2, 3]]


@pytest.mark.parametrize('ending', ['.nii', '.nii.gz'])
@pytest.mark.parametrize('image_class', [nb.Nifti1Image, nb.Nifti2Image])
def test_maps_keep_geometry_and_nothing_else(tmp_path, ending, image_class):
    template = image_class(np.ones(SHAPE, np.uint8), AFFINE)
    template.header.set_xyzt_units('mm', 'sec')
    template.header['cal_max'] = 1
    template.header.set_intent('label')
    header = nifti.map_header(template.header, 'ours')
    nifti.write_volume(header, subject_map(3), tmp_path / f'x{ending}')
    image = nb.load(tmp_path / f'x{ending}')
    assert type(image) is image_class
    assert image.get_data_dtype() == np.float32
    assert (image.header['cal_max'], image.header.get_intent()[0]) == (0, 'none')
    assert image.header.get_xyzt_units()[0] == 'mm'
    np.testing.assert_array_equal(image.affine, template.affine)
    np.testing.assert_array_equal(image.get_qform(), template.get_qform())
    np.testing.assert_array_equal(image.get_fdata(), subject_map(3))


@pytest.mark.parametrize('image_class', [nb.Nifti1Image, nb.Nifti2Image])
def test_extensions_are_passed_over(tmp_path, image_class):
    # AFNI, for one, writes some kilobytes of them between header and data.
    image = image_class(subject_map(1), AFFINE)
    image.header.extensions.append(nb.nifti1.Nifti1Extension('afni', b'<AFNI>' * 500))
    nb.save(image, tmp_path / 'x.nii')
    np.testing.assert_array_equal(read(tmp_path / 'x.nii'), subject_map(1))


def test_a_length_of_four_gibibytes_more_is_no_length_of_this_file(tmp_path):
    # Sizes are compared modulo 4 GiB for gzip alone, whose trailer says no more.
    path = save(tmp_path / 'x.nii', subject_map(1))
    nb.save(nb.Nifti2Image(subject_map(1), AFFINE), path)
    data = bytearray(path.read_bytes())
    struct.pack_into('<q', data, 168, 544 + 2**32)  # NIfTI-2: vox_offset is at byte 168
    path.write_bytes(data)
    with pytest.raises(FormatError, match='is truncated'):
        nifti.Volume.from_file(path)
