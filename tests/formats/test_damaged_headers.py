"""Headers of images that were damaged, or made to mislead: an image, or one of our errors.

What fuzzing found is kept as an example. ``MODELARRAYIO_FUZZ`` multiplies the number of tries.
"""

import os
import warnings
from io import BytesIO

import nibabel as nb
import numpy as np
import pytest
from greyordinates import brain_models, parcels, save_map
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from modelarrayio_bids.cohort import Source
from modelarrayio_bids.errors import FormatError, ModelArrayIOError, SourceNotFoundError
from modelarrayio_bids.formats import cifti, compression, mif, nifti
from modelarrayio_bids.spaces import (
    FixelSpace,
    GreyordinateSpace,
    ParcelSpace,
    VoxelSpace,
    space_class,
)

TRIES = settings(
    max_examples=150 * int(os.environ.get('MODELARRAYIO_FUZZ', '1')),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
SHAPE = (3, 4, 5)


def outcome(call):
    """Run it: the answer, or one of our errors in one line. Anything else fails the test."""
    with warnings.catch_warnings():
        warnings.simplefilter('error', ResourceWarning)
        try:
            return call()
        except ModelArrayIOError as error:
            assert '\n' not in str(error)
            return error


def read_mif(path, **options):
    with mif.opened(path, **options) as (header, values):
        return header, values.copy()


def volume_bytes(version=nb.Nifti1Image):
    image = version(np.arange(60, dtype=np.float32).reshape(SHAPE), np.diag([2.0, 2, 2, 1]))
    return image.to_bytes()


def field(header, name, value):
    """A NIfTI file with another value in one field of its header."""
    data = volume_bytes(header)
    block = header.header_class.from_fileobj(BytesIO(data), check=False)
    block[name] = value
    return block.binaryblock + data[block.structarr.nbytes :]


def changed(data, edits):
    """Bytes with others at some places."""
    data = bytearray(data)
    for place, replacement in edits:
        start = place % len(data)
        data[start : start + len(replacement)] = replacement
    return bytes(data)


EDITS = st.lists(st.tuples(st.integers(0, 10**6), st.binary(min_size=1, max_size=9)), max_size=4)


@pytest.mark.parametrize('version', [nb.Nifti1Image, nb.Nifti2Image])
@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('dim', [128, 3, 4, 5, 1, 1, 1, 1]),
        ('dim', [0, 3, 4, 5, 1, 1, 1, 1]),
        ('dim', [-3, 3, 4, 5, 1, 1, 1, 1]),
        ('dim', [8, 3, 4, 5, 1, 1, 1, 1]),
        ('dim', [3, -3, 4, 5, 1, 1, 1, 1]),
        ('dim', [3, -1, 1, 1, 1, 1, 1, 1]),
        ('dim', [3, 3, 0, 5, 1, 1, 1, 1]),
        ('dim', [7, *[32767] * 7]),
        ('vox_offset', 100),
        ('vox_offset', -352),
        ('pixdim', [1, np.nan, 2, 2, 0, 0, 0, 0]),
        ('datatype', 9999),
    ],
)
def test_a_volume_that_contradicts_itself(tmp_path, version, name, value):
    path = tmp_path / 'x.nii'
    path.write_bytes(field(version, name, value))
    if name == 'pixdim':  # the sform tells where voxels are
        assert isinstance(outcome(lambda: nifti.Volume.from_file(path)), nifti.Volume)
        return
    for read in (nifti.Volume.from_file, VoxelSpace.from_mask_file, VoxelSpace.holds_several):
        assert isinstance(outcome(lambda: read(path)), FormatError | bool)  # noqa: B023
    assert isinstance(outcome(lambda: nifti.Volume.from_file(path)), FormatError)


@pytest.mark.parametrize('offset', [-np.inf, np.inf, np.nan, 1e38, -1e38])
def test_data_at_no_byte(tmp_path, offset):
    (tmp_path / 'x.nii').write_bytes(field(nb.Nifti1Image, 'vox_offset', offset))
    found = outcome(lambda: nifti.Volume.from_file(tmp_path / 'x.nii'))
    assert isinstance(found, FormatError)


@TRIES
@given(
    edits=EDITS, version=st.sampled_from([nb.Nifti1Image, nb.Nifti2Image]), cut=st.integers(0, 9)
)
def test_a_damaged_volume(tmp_path, edits, version, cut):
    data = volume_bytes(version)
    path = tmp_path / 'x.nii'
    path.write_bytes(changed(data[: len(data) - cut], [(place % 600, new) for place, new in edits]))
    space = outcome(lambda: VoxelSpace.from_mask_file(path))
    if isinstance(space, VoxelSpace):
        source = Source('x', path.name, path, path)
        values = outcome(lambda: space.read(source))
        assert isinstance(values, ModelArrayIOError) or values.shape == (len(space),)
        assert outcome(lambda: space.write(np.zeros(len(space)), tmp_path / 'y.nii')) is None
    outcome(lambda: VoxelSpace.holds_several(path))


NUMBERS = st.sampled_from(
    [
        '9' * 5000,
        '-1',
        '0',
        '1e999',
        'nan',
        '-inf',
        '1.5',
        '',
        ' ',
        '3,,4',
        '٣',
        '99999999999999999',
    ]
)


@TRIES
@given(
    key=st.sampled_from(['dim', 'vox', 'layout', 'datatype', 'transform', 'scaling', 'file']),
    value=NUMBERS | st.text(max_size=20),
    times=st.integers(0, 4),
)
@example(key='dim', value='9' * 5000, times=1)
@example(key='layout', value='+' + '9' * 5000, times=1)
@example(key='file', value='. ' + '9' * 5000, times=1)
@example(key='vox', value='1e999,1,1', times=1)
@example(key='file', value='/dev/zero 0', times=1)
@example(key='file', value='\0', times=1)
def test_an_entry_of_mrtrix_that_cannot_be(tmp_path, key, value, times):
    header = mif.MifHeader(np.dtype(np.float32), SHAPE, (1.0,) * len(SHAPE))
    head, place, rest = header.to_bytes().partition(b'file: ')
    lines = [line for line in head.split(b'\n')[1:] if not line.startswith(key.encode())]
    new = f'{key}: {value}\n'.encode('utf-8', 'surrogateescape') * times
    data = b'\n'.join([b'mrtrix image', new, *lines])
    data += (place + rest if key != 'file' else b'END\n') + bytes(240)
    path = tmp_path / 'x.mif'
    path.write_bytes(data)
    found = outcome(lambda: read_mif(path))
    assert isinstance(found, ModelArrayIOError) or found[1].shape == found[0].shape
    outcome(lambda: mif.MifHeader.from_file(path))


@TRIES
@given(edits=EDITS)
def test_a_damaged_mrtrix_image(tmp_path, edits):
    header = mif.MifHeader(np.dtype(np.float32), SHAPE, (1.0,) * len(SHAPE))
    path = tmp_path / 'x.mif'
    path.write_bytes(changed(header.to_bytes() + bytes(240), edits))
    outcome(lambda: read_mif(path, realign=True))
    outcome(lambda: FixelSpace.from_files(path, path))


KINDS = {'dscalar': (GreyordinateSpace, brain_models), 'pscalar': (ParcelSpace, parcels)}


def cifti_bytes(kind, folder):
    _, axis = KINDS[kind]
    return save_map(
        folder / f'whole.{kind}.nii', np.arange(float(len(axis()))), axis()
    ).read_bytes()


@pytest.mark.parametrize(
    ('old', 'new'),
    [
        (b'</Matrix></CIFTI>', b'</Matrix>        '),
        (b'</Matrix></CIFTI>', b'         </CIFTI>'),
        (b'</MatrixIndicesMap><MatrixIndicesMap', b'</MatrixIndicesMa ><MatrixIndicesMap'),
        (b'<Matrix>', b'<Matri>>'),
        (b'IndexCount="19"', b'IndexCount="99"'),
        (b'IndexCount="19"', b'IndexCount="-1"'),
    ],
)
def test_xml_that_is_left_open_or_promises_more(tmp_path, old, new):
    data = cifti_bytes('dscalar', tmp_path)
    assert old in data
    path = tmp_path / 'x.dscalar.nii'
    path.write_bytes(data.replace(old, new, 1))
    assert isinstance(outcome(lambda: GreyordinateSpace.from_file(path)), FormatError)


@TRIES
@given(
    kind=st.sampled_from(list(KINDS)),
    edits=EDITS,
    digits=st.sampled_from([None, b'9' * 9, b'-1', b'1e9', b'', b'\xd9\xa3']),
    place=st.integers(0, 200),
)
def test_a_damaged_cifti_file(tmp_path, kind, edits, digits, place):
    data = cifti_bytes(kind, tmp_path)
    if digits is not None:
        # One of the numbers in quotes, at the cost of the padding before the data.
        numbers = [at for at in range(len(data) - 1) if data[at : at + 2] == b'="']
        start = numbers[place % len(numbers)] + 2
        end = data.index(b'"', start)
        padding = data.index(b'</CIFTI>') + 8
        longer = len(digits) - (end - start)
        if longer <= data[padding:].count(0, 0, 16):
            tail = bytes(-longer) if longer < 0 else b''
            data = b''.join(
                [data[:start], digits, data[end:padding], tail, data[padding + max(longer, 0) :]]
            )
    path = tmp_path / f'x.{kind}.nii'
    path.write_bytes(changed(data, edits))
    space = outcome(lambda: KINDS[kind][0].from_file(path))
    if not isinstance(space, ModelArrayIOError):
        outcome(lambda: space.read(Source('x', path.name, path)))
        outcome(lambda: space.holds_several(path))
        outcome(space.tables)
        outcome(space.grid_elements)


@pytest.mark.parametrize('name', ['x.nii', 'x.nii.gz', 'x.mif', 'x.dscalar.nii', 'x.pconn.nii'])
def test_what_never_ends_or_is_waited_for_is_no_image(tmp_path, name):
    pipe, device = tmp_path / name, tmp_path / f'device-{name}'
    os.mkfifo(pipe)
    device.symlink_to('/dev/zero')
    for path in (pipe, device):
        for read in (
            lambda: compression.read_start(path, 540),  # noqa: B023
            lambda: compression.inflated(path).__enter__(),  # noqa: B023
            lambda: compression.digest(path),  # noqa: B023
            lambda: space_class(path.name).holds_several(path),  # noqa: B023
        ):
            found = outcome(read)
            assert isinstance(found, SourceNotFoundError) or found is False
    assert isinstance(outcome(lambda: nifti.Volume.from_file(pipe)), SourceNotFoundError)
    assert isinstance(outcome(lambda: read_mif(pipe)), SourceNotFoundError)
    assert isinstance(
        outcome(lambda: cifti.Matrix.from_file(pipe, cifti.DSCALAR)), SourceNotFoundError
    )
