import gzip
from dataclasses import replace
from itertools import product

import nibabel as nb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mrtrix import by_hand, dumped, run

from modelarrayio_bids.errors import FormatError, SourceNotFoundError
from modelarrayio_bids.formats import mif
from modelarrayio_bids.formats.mif import MifHeader

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
# A byte a value: bits are read, and nothing is written as bits.
WRITTEN = [name for name in DTYPES if name != 'bit']
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


def header_of(dtype, shape=SHAPE, affine=AFFINE, **more):
    return replace(MifHeader.on_grid(dtype, shape, affine), **more)


def load(path, *, realign=False):
    with mif.opened(path, realign=realign) as (header, values):
        return header, values.copy(order='K')


def save(path, values, affine=AFFINE, **more):
    mif.write(header_of(values.dtype, values.shape, affine, **more), values, path)


def values_of(path):
    return load(path)[1]


@pytest.mark.parametrize('strides', STRIDES, ids=str)
@pytest.mark.parametrize('name', DTYPES)
def test_files_of_mrconvert_are_read_as_mrdump_prints_them(tmp_path, name, strides):
    source = sample('c8' if name.startswith('c') else 'f4' if name[0] in 'fi' else 'u1')
    nb.save(nb.Nifti1Image(source, AFFINE), tmp_path / 'source.nii')
    path = tmp_path / 'image.mif'
    options = ['-datatype', name, '-strides', ','.join(map(str, strides))]
    run('mrconvert', tmp_path / 'source.nii', path, *options)
    header, values = load(path)
    assert header.dtype.str == DTYPES[name]
    assert header.strides == strides
    np.testing.assert_array_equal(values, dumped(path, SHAPE, strides))
    np.testing.assert_allclose(header.affine, AFFINE, atol=1e-5)


@pytest.mark.parametrize('strides', STRIDES, ids=str)
@pytest.mark.parametrize('name', WRITTEN)
def test_mrtrix_reads_what_is_written(tmp_path, name, strides):
    values = sample(DTYPES[name])
    path = tmp_path / 'image.mif'
    save(path, values, strides=strides)
    np.testing.assert_array_equal(dumped(path, SHAPE, strides), values)
    report = run('mrinfo', path, '-datatype', '-strides', '-transform').split('\n')
    assert report[0].lower() == name
    assert report[1].split() == [str(stride) for stride in strides]
    transform = np.array([line.split() for line in report[2:6]], dtype=float)
    np.testing.assert_allclose(transform * [2, 2.5, 3, 1], AFFINE, atol=1e-12)


@pytest.mark.parametrize('strides', STRIDES, ids=str)
def test_nibabel_sees_the_same_after_mrconvert(tmp_path, strides):
    values = sample('<f4')
    save(tmp_path / 'image.mif.gz', values, strides=strides)
    run('mrconvert', tmp_path / 'image.mif.gz', tmp_path / 'image.nii', '-strides', '1,2,3,4')
    nifti = nb.load(tmp_path / 'image.nii')
    np.testing.assert_array_equal(nifti.get_fdata(), values)
    np.testing.assert_allclose(nifti.affine, AFFINE, atol=1e-5)
    run('mrconvert', tmp_path / 'image.nii', tmp_path / 'theirs.mif.gz')
    np.testing.assert_array_equal(values_of(tmp_path / 'theirs.mif.gz'), values)


def test_a_header_with_its_data_beside_it(tmp_path):
    save(tmp_path / 'one.mif', sample('<i2'))
    run('mrconvert', tmp_path / 'one.mif', tmp_path / 'two.mih')
    assert (tmp_path / 'two.dat').exists()
    np.testing.assert_array_equal(values_of(tmp_path / 'two.mih'), sample('<i2'))
    assert MifHeader.from_file(tmp_path / 'two.mih').shape == SHAPE
    (tmp_path / 'two.dat').write_bytes(b'short')
    with pytest.raises(FormatError, match=r'two.dat: is truncated: 5 bytes of the 240'):
        MifHeader.from_file(tmp_path / 'two.mih')
    (tmp_path / 'two.dat').unlink()
    with pytest.raises(SourceNotFoundError, match=r'two.dat: no such file'):
        MifHeader.from_file(tmp_path / 'two.mih')
    with pytest.raises(SourceNotFoundError, match=r'two.dat: no such file'):
        load(tmp_path / 'two.mih')


@pytest.mark.parametrize('name', ['UInt8', 'Int16BE', 'UInt64LE'])
def test_scaling_of_integers_is_applied_once(tmp_path, name):
    header = HEADER.replace('UInt8', name) + 'scaling: -3,0.5\n'
    body = np.arange(6).astype(DTYPES[name.lower()]).tobytes()
    path = six_bytes(tmp_path / 'scaled.mif', body, header)
    assert MifHeader.from_file(path).scaling == (-3, 0.5)
    values = values_of(path)
    np.testing.assert_array_equal(values.ravel(order='F'), np.arange(6) * 0.5 - 3)
    # mrdump itself prints scaled integers as integers.
    run('mrconvert', path, tmp_path / 'theirs.mif', '-datatype', 'float32')
    np.testing.assert_array_equal(dumped(tmp_path / 'theirs.mif', (2, 3, 1)), values)


@pytest.mark.parametrize('name', ['Float32LE', 'Float64BE', 'CFloat32LE', 'Bit'])
def test_other_types_are_not_scaled_as_mrtrix_does_not(tmp_path, name):
    # mrconvert: "-scaling option has no effect for floating-point or binary images".
    header = HEADER.replace('UInt8', name) + 'scaling: -3,0.5\n'
    values = np.arange(6).astype(DTYPES[name.lower()])
    body = np.packbits(values) if name == 'Bit' else values
    path = six_bytes(tmp_path / 'scaled.mif', body.tobytes(), header)
    found = values_of(path)
    np.testing.assert_array_equal(np.ravel(found, order='F'), values)
    np.testing.assert_array_equal(dumped(path, (2, 3, 1)), found)


@pytest.mark.parametrize('code', ['<f2', '>f2'])
def test_half_floats_of_newer_versions_are_read(tmp_path, code):
    # MRtrix 3.1 names them so; 3.0 has none.
    name = {'<': 'Float16LE', '>': 'Float16BE'}[code[0]]
    values = np.array([0, 0.5, -2, 3, np.inf, 6], code)
    path = six_bytes(tmp_path / 'half.mif', values.tobytes(), HEADER.replace('UInt8', name))
    np.testing.assert_array_equal(values_of(path).ravel(order='F'), values)


@pytest.mark.parametrize('seed', range(8))
def test_realigned_headers_are_those_mrtrix_sees(tmp_path, seed):
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    affine = nb.affines.from_matvec(turn @ np.diag([2, 2.5, 3]), rng.normal(size=3) * 50)
    strides = STRIDES[seed % len(STRIDES)]
    path = tmp_path / 'turned.mif'
    save(path, sample('<i2'), affine, strides=strides)
    header, values = load(path, realign=True)
    report = run('mrinfo', path, '-size', '-strides', '-transform').split('\n')
    assert header.shape == tuple(map(int, report[0].split()))
    assert header.strides == tuple(map(int, report[1].split()))
    transform = np.array([line.split() for line in report[2:5]], dtype=float)
    np.testing.assert_allclose(header.transform, transform, atol=1e-9)
    np.testing.assert_array_equal(values, dumped(path, header.shape, header.strides))


def test_ambiguous_axes_are_resolved_as_mrtrix_does(tmp_path):
    # Every row's largest cosine is on the first axis.
    cosines = np.array([[0.8, 0.6, 0], [0.7, -0.5, 0.5], [-0.6, 0.3, 0.5]])
    path = tmp_path / 'turned.mif'
    save(path, sample('<i2'), nb.affines.from_matvec(cosines, [1, 2, 3]))
    header = MifHeader.from_file(path).realigned()
    report = run('mrinfo', path, '-size', '-strides').split('\n')
    assert header.shape == tuple(map(int, report[0].split()))
    assert header.strides == tuple(map(int, report[1].split()))


def test_fewer_than_three_axes_are_filled_up_as_in_mrtrix(tmp_path):
    header = (
        'mrtrix image\ndim: 6\nvox: 2\nlayout: -0\ndatatype: UInt8\n'
        'transform: 0,1,0,3\ntransform: 1,0,0,0\ntransform: 0,0,1,0\n'
    )
    path = six_bytes(tmp_path / 'line.mif', header=header)
    seen, values = load(path, realign=True)
    assert seen.shape == (1, 6, 1)
    np.testing.assert_array_equal(values, dumped(path, (1, 6, 1), (2, 1, 3)))
    assert values_of(path).shape == (6,)


def test_unknown_geometry_is_what_mrtrix_makes_of_it(tmp_path):
    header = 'mrtrix image\ndim: 2,3,1\nvox: 2,nan,4\nlayout: +0,+1,+2\ndatatype: UInt8\n'
    path = six_bytes(tmp_path / 'bare.mif', header=header)
    report = run('mrinfo', path, '-spacing', '-transform').split('\n')
    spacing = np.array(report[0].split(), dtype=float)
    transform = np.array([line.split() for line in report[1:5]], dtype=float)
    affine = MifHeader.from_file(path).affine
    np.testing.assert_allclose(affine, transform * [*spacing, 1])


def test_entries_survive_in_order(tmp_path):
    pairs = {
        'zebra': 'last in MRtrix, first here',
        'dw_scheme': '0,0,1,0\n1,0,0,1000\n0,1,0,1000\n0,0,1,1000\n0,0,1,2000',
        'command_history': 'dwi2fod a b\nmrconvert b c',
        'comments': 'Größe in µm: 3 × 4',
    }
    save(tmp_path / 'image.mif', sample('<f4'), pairs=pairs)
    assert list(load(tmp_path / 'image.mif')[0].pairs.items()) == list(pairs.items())
    assert run('mrinfo', tmp_path / 'image.mif', '-property', 'comments') == 'Größe in µm: 3 × 4\n'
    gradients = run('mrinfo', tmp_path / 'image.mif', '-dwgrad').split()
    assert len(gradients) == 20
    run('mrconvert', tmp_path / 'image.mif', tmp_path / 'theirs.mif.gz')
    theirs = MifHeader.from_file(tmp_path / 'theirs.mif.gz').pairs
    assert theirs['command_history'].startswith('dwi2fod a b\nmrconvert b c\n')
    assert theirs['dw_scheme'].count('\n') == 4
    assert theirs['comments'] == pairs['comments']


def test_text_of_another_encoding_survives(tmp_path):
    start = HEADER.encode() + b'comments: Gr\xf6\xdfe\nfile: . 256\nEND\n'
    header = MifHeader.from_bytes(start.ljust(256, b'\0') + bytes(6))
    assert b'comments: Gr\xf6\xdfe\n' in header.to_bytes()


def test_comments_blank_lines_and_odd_spacing_are_understood(tmp_path):
    header = HEADER.replace('vox:', '# a remark\n\nVOX :').replace('\n', '  \r\n') + 'no colon\n'
    path = six_bytes(tmp_path / 'odd.mif', header=header)
    header, values = load(path)
    np.testing.assert_array_equal(values, dumped(path, (2, 3, 1)))
    assert not header.pairs


@pytest.mark.parametrize('ending', ['.mif', '.mif.gz'])
def test_a_header_of_any_length_is_read_alone(tmp_path, ending):
    pairs = {'comments': '\n'.join(map(str, range(20_000)))}
    path = tmp_path / f'long{ending}'
    save(path, sample('<i2'), pairs=pairs)
    found, again = MifHeader.from_file(path), load(path)[0]
    assert found.pairs == pairs == again.pairs
    assert found.to_bytes() == again.to_bytes()


signed_permutations = st.integers(1, 4).flatmap(
    lambda n: st.tuples(
        st.permutations(range(1, n + 1)), st.lists(st.sampled_from([-1, 1]), min_size=n, max_size=n)
    )
)
lines = st.text(st.characters(codec='utf-8', categories=['L', 'N', 'P'], exclude_characters='#'))
keys = lines.map(lambda line: 'x' + line.replace(':', ''))


@settings(deadline=None)
@given(st.data(), signed_permutations, st.sampled_from([*map(DTYPES.get, WRITTEN), '<f2', '>f2']))
def test_any_image_comes_back(data, layout, code):
    strides = tuple(sign * rank for rank, sign in zip(*layout, strict=True))
    shape = tuple(
        data.draw(st.lists(st.integers(1, 5), min_size=len(strides), max_size=len(strides)))
    )
    dtype = np.dtype(code)
    n_bytes = int(np.prod(shape)) * dtype.itemsize
    noise = np.random.default_rng(data.draw(st.integers(0, 99))).integers(0, 256, n_bytes, np.uint8)
    # Any bit pattern, NaN with a payload included.
    values = noise.view(dtype).reshape(shape)
    zooms = data.draw(st.tuples(*[st.floats(0.1, 10)] * 3))
    affine = nb.affines.from_matvec(nb.eulerangles.euler2mat(*zooms) * zooms, zooms)
    pairs = data.draw(
        st.dictionaries(keys, st.lists(lines.filter(bool), min_size=1).map('\n'.join))
    )
    header = header_of(dtype, shape, affine, strides=strides, pairs=pairs)
    data = header.to_bytes() + header.encode(values)
    again = MifHeader.from_bytes(data)
    stored = again.decode(data)
    assert (stored.dtype, stored.shape, stored.tobytes()) == (dtype, shape, values.tobytes())
    assert (again.strides, again.pairs) == (strides, pairs)
    axes = [*range(min(3, len(shape))), 3]
    np.testing.assert_allclose(again.affine[:, axes], affine[:, axes], rtol=1e-12, atol=1e-12)


def test_values_keep_their_type(tmp_path):
    header = HEADER.replace('UInt8', 'Float32BE')
    path = six_bytes(tmp_path / 'image.mif', np.arange(6, dtype='>f4').tobytes(), header)
    assert values_of(path).dtype == '>f4'


def test_types_mrtrix_lacks_are_refused():
    with pytest.raises(FormatError, match='cannot hold values of type <U1'):
        header_of('<U1')


def test_only_single_files_are_written(tmp_path):
    with pytest.raises(FormatError, match=r'image.mih: is not a valid name .* Use .mif or .mif.gz'):
        save(tmp_path / 'image.mih', sample('<f4'))


@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [
        ('mrtrix image', 'mrtrix tracks', 'is not an MRtrix image'),
        ('dim: 2,3,1\n', '', 'has no "dim"'),
        ('dim: 2,3,1', 'dim: 2,x,1', 'expected lengths of axes'),
        ('dim: 2,3,1', 'dim: 2,0,1', 'expected lengths of axes, of 1 or more'),
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
    for read in (MifHeader.from_file, load):
        with pytest.raises(FormatError, match=message) as raised:
            read(path)
        assert raised.value.path == str(path)
        assert raised.value.remedy


def test_files_cut_short_are_found_from_the_header_alone(tmp_path):
    for path in (tmp_path / 'plain.mif', tmp_path / 'packed.mif.gz'):
        save(path, np.random.default_rng(0).normal(size=SHAPE))
        path.write_bytes(path.read_bytes()[:-9])
        for read in (MifHeader.from_file, load):
            with pytest.raises(FormatError, match=f'{path.name}: is (truncated|damaged)'):
                read(path)


def test_several_gzip_members_are_one_image(tmp_path):
    save(tmp_path / 'whole.mif', sample('<f4'))
    data = (tmp_path / 'whole.mif').read_bytes()
    path = tmp_path / 'members.mif.gz'
    path.write_bytes(gzip.compress(data[:300]) + gzip.compress(data[300:]))
    assert MifHeader.from_file(path).shape == SHAPE
    np.testing.assert_array_equal(values_of(path), sample('<f4'))


def test_other_files_are_no_images(tmp_path):
    path = tmp_path / 'table.mif'
    for content in (b'', b'a,b\n1,2\n', b'\x1f\x8b'):
        path.write_bytes(content)
        with pytest.raises(FormatError):
            MifHeader.from_file(path)
    with pytest.raises(SourceNotFoundError, match='no such file'):
        MifHeader.from_file(tmp_path / 'none.mif')
