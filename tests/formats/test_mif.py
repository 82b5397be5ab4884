import gzip
from itertools import product

import nibabel as nb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mrtrix import by_hand, dumped, run

from modelarrayio_bids.errors import FormatError, SourceNotFoundError
from modelarrayio_bids.formats import mif
from modelarrayio_bids.formats.mif import MifHeader, MifImage

SHAPE = (3, 4, 2, 5)
STRIDES = ((1, 2, 3, 4), (-1, -2, 3, 4), (4, 2, -1, 3), (-3, 4, -2, -1))
NUMBERS = {
    'int16': 'i2', 'uint16': 'u2', 'int32': 'i4', 'uint32': 'u4', 'int64': 'i8', 'uint64': 'u8',
    'float32': 'f4', 'float64': 'f8', 'cfloat32': 'c8', 'cfloat64': 'c16',
}  # fmt: skip
# numpy's name of each type MRtrix 3.0 lists under ``mrconvert -datatype``.
DTYPES = {'bit': '|b1', 'int8': '|i1', 'uint8': '|u1'} | {
    f'{name}{suffix}': f'{order}{code}'
    for (name, code), (suffix, order) in product(NUMBERS.items(), [('le', '<'), ('be', '>')])
}
# Oblique, near the scanner's axes, voxels of 2 × 2.5 × 3 mm.
AFFINE = nb.affines.from_matvec(
    nb.eulerangles.euler2mat(0.1, -0.2, 0.3) @ np.diag([2, 2.5, 3]), [-90, 12.5, 7]
)
HEADER = (
    'mrtrix image\ndim: 2,3,1\nvox: 2,2,2\nlayout: +0,+1,+2\ndatatype: UInt8\n'
    'transform: 1,0,0,0\ntransform: 0,1,0,0\ntransform: 0,0,1,0\n'
)


def sample(code):
    """Distinct values of up to six digits, since that is what mrdump prints."""
    numbers = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    kind = np.dtype(code).kind
    if kind == 'b':
        return numbers % 3 == 0
    if kind == 'c':
        return (numbers - 1j * (numbers + 0.5)).astype(code)
    return {'u': numbers, 'i': numbers - 60, 'f': numbers * 0.25 - 7}[kind].astype(code)


def six_bytes(path, body=bytes(range(6)), header=HEADER, offset=256):
    return by_hand(path, header, body, offset)


@pytest.mark.parametrize('strides', STRIDES, ids=str)
@pytest.mark.parametrize('name', DTYPES)
def test_files_of_mrconvert_are_read_as_mrdump_prints_them(tmp_path, name, strides):
    source = sample('c8' if name.startswith('c') else 'f4' if name[0] in 'fi' else 'u1')
    nb.save(nb.Nifti1Image(source, AFFINE), tmp_path / 'source.nii')
    path = tmp_path / 'image.mif'
    options = ['-datatype', name, '-strides', ','.join(map(str, strides))]
    run('mrconvert', tmp_path / 'source.nii', path, *options)
    image = MifImage.from_filename(path)
    assert image.get_data_dtype().str == DTYPES[name]
    assert image.header.strides == strides
    np.testing.assert_array_equal(image.dataobj, dumped(path, SHAPE, strides))
    np.testing.assert_allclose(image.affine, AFFINE, atol=1e-5)


@pytest.mark.parametrize('strides', STRIDES, ids=str)
@pytest.mark.parametrize('name', DTYPES)
def test_mrtrix_reads_what_is_written(tmp_path, name, strides):
    values = sample(DTYPES[name])
    header = MifHeader(DTYPES[name], SHAPE, strides=strides)
    path = tmp_path / 'image.mif'
    MifImage(values, AFFINE, header).to_filename(path)
    np.testing.assert_array_equal(dumped(path, SHAPE, strides), values)
    report = run('mrinfo', path, '-datatype', '-strides', '-transform').split('\n')
    assert report[0].lower() == name
    assert report[1].split() == [str(stride) for stride in strides]
    transform = np.array([line.split() for line in report[2:6]], dtype=float)
    np.testing.assert_allclose(transform * [2, 2.5, 3, 1], AFFINE, atol=1e-12)


@pytest.mark.parametrize('strides', STRIDES, ids=str)
def test_nibabel_sees_the_same_after_mrconvert(tmp_path, strides):
    values = sample('<f4')
    image = MifImage(values, AFFINE, MifHeader('<f4', SHAPE, strides=strides))
    image.to_filename(tmp_path / 'image.mif.gz')
    run('mrconvert', tmp_path / 'image.mif.gz', tmp_path / 'image.nii', '-strides', '1,2,3,4')
    nifti = nb.load(tmp_path / 'image.nii')
    np.testing.assert_array_equal(nifti.get_fdata(), values)
    np.testing.assert_allclose(nifti.affine, AFFINE, atol=1e-5)
    run('mrconvert', tmp_path / 'image.nii', tmp_path / 'theirs.mif.gz')
    np.testing.assert_array_equal(MifImage.load(tmp_path / 'theirs.mif.gz').dataobj, values)


def test_a_header_with_its_data_beside_it(tmp_path):
    MifImage(sample('<i2'), AFFINE).to_filename(tmp_path / 'one.mif')
    run('mrconvert', tmp_path / 'one.mif', tmp_path / 'two.mih')
    assert (tmp_path / 'two.dat').exists()
    np.testing.assert_array_equal(MifImage.load(tmp_path / 'two.mih').dataobj, sample('<i2'))
    assert MifHeader.from_file(tmp_path / 'two.mih').get_data_shape() == SHAPE
    (tmp_path / 'two.dat').write_bytes(b'short')
    with pytest.raises(FormatError, match=r'two.dat: is truncated: 5 bytes of the 240'):
        MifHeader.from_file(tmp_path / 'two.mih')
    (tmp_path / 'two.dat').unlink()
    with pytest.raises(SourceNotFoundError, match=r'two.dat: no such file'):
        MifHeader.from_file(tmp_path / 'two.mih')
    with pytest.raises(SourceNotFoundError, match=r'two.dat: no such file'):
        MifImage.load(tmp_path / 'two.mih')


@pytest.mark.parametrize('name', ['UInt8', 'Int16BE', 'UInt64LE'])
def test_scaling_of_integers_is_applied_once(tmp_path, name):
    header = HEADER.replace('UInt8', name) + 'scaling: -3,0.5\n'
    body = np.arange(6).astype(DTYPES[name.lower()]).tobytes()
    path = six_bytes(tmp_path / 'scaled.mif', body, header)
    assert MifHeader.from_file(path).scaling == (-3, 0.5)
    image = MifImage.load(path)
    np.testing.assert_array_equal(image.get_fdata().ravel(order='F'), np.arange(6) * 0.5 - 3)
    # mrdump itself prints scaled integers as integers.
    run('mrconvert', path, tmp_path / 'theirs.mif', '-datatype', 'float32')
    np.testing.assert_array_equal(dumped(tmp_path / 'theirs.mif', (2, 3, 1)), image.dataobj)
    image.to_filename(tmp_path / 'ours.mif')
    np.testing.assert_array_equal(dumped(tmp_path / 'ours.mif', (2, 3, 1)), image.dataobj)
    np.testing.assert_array_equal(MifImage.load(tmp_path / 'ours.mif').dataobj, image.dataobj)


@pytest.mark.parametrize('name', ['Float32LE', 'Float64BE', 'CFloat32LE', 'Bit'])
def test_other_types_are_not_scaled_as_mrtrix_does_not(tmp_path, name):
    # mrconvert: "-scaling option has no effect for floating-point or binary images".
    header = HEADER.replace('UInt8', name) + 'scaling: -3,0.5\n'
    values = np.arange(6).astype(DTYPES[name.lower()])
    body = np.packbits(values) if name == 'Bit' else values
    path = six_bytes(tmp_path / 'scaled.mif', body.tobytes(), header)
    image = MifImage.load(path)
    np.testing.assert_array_equal(np.ravel(image.dataobj, order='F'), values)
    np.testing.assert_array_equal(dumped(path, (2, 3, 1)), image.dataobj)


@pytest.mark.parametrize('code', ['<f2', '>f2'])
def test_half_floats_of_newer_versions_are_read(tmp_path, code):
    # MRtrix 3.1 names them so; 3.0 has none.
    name = {'<': 'Float16LE', '>': 'Float16BE'}[code[0]]
    values = np.array([0, 0.5, -2, 3, np.inf, 6], code)
    path = six_bytes(tmp_path / 'half.mif', values.tobytes(), HEADER.replace('UInt8', name))
    np.testing.assert_array_equal(MifImage.load(path).get_fdata().ravel(order='F'), values)


@pytest.mark.parametrize('seed', range(8))
def test_realigned_headers_are_those_mrtrix_sees(tmp_path, seed):
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    affine = nb.affines.from_matvec(turn @ np.diag([2, 2.5, 3]), rng.normal(size=3) * 50)
    strides = STRIDES[seed % len(STRIDES)]
    path = tmp_path / 'turned.mif'
    MifImage(sample('<i2'), affine, MifHeader('<i2', SHAPE, strides=strides)).to_filename(path)
    header, values = mif.read(path, realign=True)
    report = run('mrinfo', path, '-size', '-strides', '-transform').split('\n')
    assert header.get_data_shape() == tuple(map(int, report[0].split()))
    assert header.strides == tuple(map(int, report[1].split()))
    transform = np.array([line.split() for line in report[2:5]], dtype=float)
    np.testing.assert_allclose(header.transform, transform, atol=1e-9)
    np.testing.assert_array_equal(values, dumped(path, header.get_data_shape(), header.strides))


def test_ambiguous_axes_are_resolved_as_mrtrix_does(tmp_path):
    # Every row's largest cosine is on the first axis.
    cosines = np.array([[0.8, 0.6, 0], [0.7, -0.5, 0.5], [-0.6, 0.3, 0.5]])
    path = tmp_path / 'turned.mif'
    MifImage(sample('<i2'), nb.affines.from_matvec(cosines, [1, 2, 3])).to_filename(path)
    header = MifHeader.from_file(path).realigned()
    report = run('mrinfo', path, '-size', '-strides').split('\n')
    assert header.get_data_shape() == tuple(map(int, report[0].split()))
    assert header.strides == tuple(map(int, report[1].split()))


def test_fewer_than_three_axes_are_filled_up_as_in_mrtrix(tmp_path):
    header = (
        'mrtrix image\ndim: 6\nvox: 2\nlayout: -0\ndatatype: UInt8\n'
        'transform: 0,1,0,3\ntransform: 1,0,0,0\ntransform: 0,0,1,0\n'
    )
    path = six_bytes(tmp_path / 'line.mif', header=header)
    seen, values = mif.read(path, realign=True)
    assert seen.get_data_shape() == (1, 6, 1)
    np.testing.assert_array_equal(values, dumped(path, (1, 6, 1), (2, 1, 3)))
    assert MifImage.load(path).shape == (6,)


def test_unknown_geometry_is_what_mrtrix_makes_of_it(tmp_path):
    header = 'mrtrix image\ndim: 2,3,1\nvox: 2,nan,4\nlayout: +0,+1,+2\ndatatype: UInt8\n'
    path = six_bytes(tmp_path / 'bare.mif', header=header)
    report = run('mrinfo', path, '-spacing', '-transform').split('\n')
    spacing = np.array(report[0].split(), dtype=float)
    transform = np.array([line.split() for line in report[1:5]], dtype=float)
    affine = MifImage.load(path).affine
    np.testing.assert_allclose(affine, transform * [*spacing, 1])


def test_entries_survive_in_order(tmp_path):
    pairs = {
        'zebra': 'last in MRtrix, first here',
        'dw_scheme': '0,0,1,0\n1,0,0,1000\n0,1,0,1000\n0,0,1,1000\n0,0,1,2000',
        'command_history': 'dwi2fod a b\nmrconvert b c',
        'comments': 'Größe in µm: 3 × 4',
    }
    image = MifImage(sample('<f4'), AFFINE, MifHeader('<f4', SHAPE, pairs=pairs))
    image.to_filename(tmp_path / 'image.mif')
    assert list(MifImage.load(tmp_path / 'image.mif').header.pairs.items()) == list(pairs.items())
    assert run('mrinfo', tmp_path / 'image.mif', '-property', 'comments') == 'Größe in µm: 3 × 4\n'
    gradients = run('mrinfo', tmp_path / 'image.mif', '-dwgrad').split()
    assert len(gradients) == 20
    run('mrconvert', tmp_path / 'image.mif', tmp_path / 'theirs.mif.gz')
    theirs = MifImage.load(tmp_path / 'theirs.mif.gz').header.pairs
    assert theirs['command_history'].startswith('dwi2fod a b\nmrconvert b c\n')
    assert theirs['dw_scheme'].count('\n') == 4
    assert theirs['comments'] == pairs['comments']


def test_text_of_another_encoding_survives(tmp_path):
    header = HEADER.encode() + b'comments: Gr\xf6\xdfe\nfile: . 256\nEND\n'
    image = MifImage.from_bytes(header.ljust(256, b'\0') + bytes(6))
    assert b'comments: Gr\xf6\xdfe\n' in image.to_bytes()


def test_comments_blank_lines_and_odd_spacing_are_understood(tmp_path):
    header = HEADER.replace('vox:', '# a remark\n\nVOX :').replace('\n', '  \r\n') + 'no colon\n'
    path = six_bytes(tmp_path / 'odd.mif', header=header)
    image = MifImage.load(path)
    np.testing.assert_array_equal(image.dataobj, dumped(path, (2, 3, 1)))
    assert not image.header.pairs


@pytest.mark.parametrize('ending', ['.mif', '.mif.gz'])
def test_a_header_of_any_length_is_read_alone(tmp_path, ending):
    header = MifHeader('<i2', SHAPE, pairs={'comments': '\n'.join(map(str, range(20_000)))})
    path = tmp_path / f'long{ending}'
    MifImage(sample('<i2'), AFFINE, header).to_filename(path)
    found = MifHeader.from_file(path)
    assert found.pairs == header.pairs
    assert found == MifImage.load(path).header


signed_permutations = st.integers(1, 4).flatmap(
    lambda n: st.tuples(
        st.permutations(range(1, n + 1)), st.lists(st.sampled_from([-1, 1]), min_size=n, max_size=n)
    )
)
lines = st.text(st.characters(codec='utf-8', categories=['L', 'N', 'P'], exclude_characters='#'))
keys = lines.map(lambda line: 'x' + line.replace(':', ''))


@settings(deadline=None)
@given(st.data(), signed_permutations, st.sampled_from([*DTYPES.values(), '<f2', '>f2']))
def test_any_image_comes_back(data, layout, code):
    strides = tuple(sign * rank for rank, sign in zip(*layout, strict=True))
    shape = tuple(
        data.draw(st.lists(st.integers(1, 5), min_size=len(strides), max_size=len(strides)))
    )
    dtype = np.dtype(code)
    n_bytes = int(np.prod(shape)) * dtype.itemsize
    noise = np.random.default_rng(data.draw(st.integers(0, 99))).integers(0, 256, n_bytes, np.uint8)
    # Any bit pattern, NaN with a payload included; a boolean has but two.
    values = (noise % 2 if dtype.kind == 'b' else noise).view(dtype).reshape(shape)
    zooms = data.draw(st.tuples(*[st.floats(0.1, 10)] * 3))
    affine = nb.affines.from_matvec(nb.eulerangles.euler2mat(*zooms) * zooms, zooms)
    pairs = data.draw(
        st.dictionaries(keys, st.lists(lines.filter(bool), min_size=1).map('\n'.join))
    )
    image = MifImage(values, affine, MifHeader(dtype, shape, strides=strides, pairs=pairs))
    again = MifImage.from_bytes(image.to_bytes())
    stored = np.asarray(again.dataobj)
    assert (stored.dtype, stored.shape, stored.tobytes()) == (dtype, shape, values.tobytes())
    assert (again.header.strides, again.header.pairs) == (strides, pairs)
    axes = [*range(min(3, len(shape))), 3]
    np.testing.assert_allclose(again.affine[:, axes], affine[:, axes], rtol=1e-12, atol=1e-12)


def test_values_keep_their_type(tmp_path):
    header = HEADER.replace('UInt8', 'Float32BE')
    path = six_bytes(tmp_path / 'image.mif', np.arange(6, dtype='>f4').tobytes(), header)
    assert np.asarray(MifImage.load(path).dataobj).dtype == '>f4'


def test_a_template_of_integers_does_not_round(tmp_path):
    template = MifImage(sample('<i2'), AFFINE)
    p_values = np.full(SHAPE, 0.04, np.float32)
    image = MifImage(p_values, None, template.header)
    assert image.get_data_dtype() == np.float32
    np.testing.assert_allclose(image.affine, AFFINE)
    image.to_filename(tmp_path / 'p.mif')
    np.testing.assert_array_equal(MifImage.load(tmp_path / 'p.mif').dataobj, p_values)


@pytest.mark.parametrize(
    ('values', 'code'),
    [
        (np.array([0.5]), 'i2'),
        (np.array([300]), 'u1'),
        (np.array([-1]), 'u2'),
        (np.array([np.nan]), 'i4'),
        (np.array([2]), '?'),
        (np.array([1j]), 'f4'),
    ],
)
def test_types_that_would_change_the_values_are_refused(values, code):
    image = MifImage(values.reshape(1, 1, 1), np.eye(4))
    image.set_data_dtype(code)
    with pytest.raises(FormatError, match='would change as'):
        image.to_bytes()


def test_types_that_hold_the_values_are_taken():
    image = MifImage(np.arange(6.0).reshape(3, 2, 1), np.eye(4))
    image.set_data_dtype('>u2')
    again = MifImage.from_bytes(image.to_bytes(dtype='i1'))
    assert again.get_data_dtype() == np.int8
    again = MifImage.from_bytes(image.to_bytes())
    assert again.get_data_dtype() == '>u2'
    np.testing.assert_array_equal(again.dataobj, image.dataobj)


def test_types_mrtrix_lacks_are_refused():
    with pytest.raises(FormatError, match='cannot hold values of type <U1'):
        MifImage(np.array([[['a']]]), np.eye(4))


@pytest.mark.parametrize('pair', [('dim', '1'), ('a:b', 'c'), ('a', 'b # c'), ('', 'c')])
def test_entries_that_could_not_be_read_back_are_refused(pair):
    image = MifImage(np.zeros((1, 1, 1)), np.eye(4))
    image.header.pairs.update([pair])
    with pytest.raises(FormatError, match='could not be read back'):
        image.to_bytes()


def test_only_single_files_are_written(tmp_path):
    with pytest.raises(FormatError, match=r'image.mih: is no name .* Use .mif or .mif.gz'):
        MifImage(np.zeros((1, 1, 1)), np.eye(4)).to_filename(tmp_path / 'image.mih')


def test_nibabel_can_work_with_it(tmp_path):
    affine = np.diag([-2, 2, 2, 1])
    image = MifImage(sample('<i2'), affine)
    turned = nb.as_closest_canonical(image)
    assert isinstance(turned, MifImage)
    np.testing.assert_array_equal(turned.dataobj, sample('<i2')[::-1])
    image.to_filename(tmp_path / 'image.mif')
    assert MifImage.from_file_map(image.file_map).header == image.header
    other = MifImage.from_image(nb.Nifti1Image(sample('<f4'), AFFINE))
    assert other.header.get_zooms() == pytest.approx((2, 2.5, 3, 1))
    assert MifHeader.from_header(None).get_data_shape() == (1,)


def test_headers_are_compared_by_what_they_would_write():
    header = MifHeader(np.int16, SHAPE, (2, 2, 2, np.nan))
    assert header == header.copy()
    assert header != MifHeader(np.int16, SHAPE, (2, 2, 3, np.nan))
    assert header != 'a header'


@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [
        ('mrtrix image', 'mrtrix tracks', 'is not an MRtrix image'),
        ('dim: 2,3,1\n', '', 'has no "dim"'),
        ('dim: 2,3,1', 'dim: 2,x,1', 'expected lengths of axes'),
        ('dim: 2,3,1', 'dim: 2,0,1', 'expected lengths of 1 or more'),
        ('dim: 2,3,1', 'dim: 2,3', 'expected each of 0 to 1 once'),
        ('vox: 2,2,2', 'vox: 2,2', 'expected one voxel size for each axis'),
        ('vox: 2,2,2', 'vox: 2,-2,2', 'expected one voxel size for each axis'),
        ('vox: 2,2,2', 'vox: a,b,c', 'expected numbers'),
        ('layout: +0,+1,+2', 'layout: +0,+0,+2', 'expected each of 0 to 2 once'),
        ('layout: +0,+1,+2', 'layout: x,y,z', r'expected axes such as \+0,-1,\+2'),
        ('UInt8', 'Float128LE', 'has "datatype: Float128LE" in its header, expected Bit'),
        ('transform: 0,1,0,0\n', '', 'expected three rows of four numbers'),
        ('transform: 0,1,0,0', 'transform: 0,1,0', 'expected three rows of four numbers'),
        ('END', 'THE', 'is damaged: its header has no END'),
        ('file: . 256', 'file: . 20', 'has its data at byte 20, which is within the'),
        ('file: . 256', 'file: . 252', 'has 262 bytes where its header promises 258'),
        ('file: . 256', 'file: . 260', 'is truncated: 262 bytes of the 266'),
        ('file: . 256', 'file: . far', r'has "file: . far" in its header'),
        ('file: . 256', 'fold: . 256', r'has "file: " in its header'),
        ('dim: 2,3,1', 'dim: 2,3,9999999999999', 'is truncated'),
        ('datatype', 'scaling: 1\ndatatype', 'expected an offset and a scale'),
    ],
)
def test_damaged_files_say_what_is_wrong(tmp_path, old, new, message):
    good = six_bytes(tmp_path / 'good.mif').read_bytes()
    assert old.encode() in good
    header, body = good[:256], good[256:]
    changed = header.rstrip(b'\0').replace(old.encode(), new.encode()).ljust(256, b'\0')
    path = tmp_path / 'bad.mif'
    path.write_bytes(changed + body)
    for read in (MifHeader.from_file, MifImage.load):
        with pytest.raises(FormatError, match=message) as raised:
            read(path)
        assert raised.value.path == str(path)
        assert raised.value.remedy


def test_files_cut_short_are_found_from_the_header_alone(tmp_path):
    image = MifImage(np.random.default_rng(0).normal(size=SHAPE), AFFINE)
    image.to_filename(tmp_path / 'plain.mif')
    image.to_filename(tmp_path / 'packed.mif.gz')
    for path in (tmp_path / 'plain.mif', tmp_path / 'packed.mif.gz'):
        path.write_bytes(path.read_bytes()[:-9])
        for read in (MifHeader.from_file, MifImage.load):
            with pytest.raises(FormatError, match=f'{path.name}: is (truncated|damaged)'):
                read(path)


def test_several_gzip_members_are_one_image(tmp_path):
    image = MifImage(sample('<f4'), AFFINE)
    data = image.to_bytes()
    path = tmp_path / 'members.mif.gz'
    path.write_bytes(gzip.compress(data[:300]) + gzip.compress(data[300:]))
    assert MifHeader.from_file(path).get_data_shape() == SHAPE
    np.testing.assert_array_equal(MifImage.load(path).dataobj, sample('<f4'))


def test_other_files_are_no_images(tmp_path):
    path = tmp_path / 'table.mif'
    for content in (b'', b'a,b\n1,2\n', b'\x1f\x8b'):
        path.write_bytes(content)
        with pytest.raises(FormatError):
            MifHeader.from_file(path)
    with pytest.raises(SourceNotFoundError, match='no such file'):
        MifHeader.from_file(tmp_path / 'none.mif')
    with pytest.raises(FormatError, match='has its data in another file'):
        MifImage.from_bytes(HEADER.encode() + b'file: x.dat\nEND\n')
