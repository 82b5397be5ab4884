import gzip
import struct
import subprocess
import sys
import zlib

import h5py
import nibabel as nb
import numpy as np
import pytest
from images import AFFINE, group_mask, save, subject_map, write_csv

from modelarrayio_bids.errors import FormatError, SourceNotFoundError
from modelarrayio_bids.formats import compression, nifti

DATA = bytes(range(256)) * 400


def read_whole(path):
    with compression.inflated(path) as data:
        return bytes(data)


def test_plain_gzip_and_several_members_are_read(tmp_path):
    # bgzip writes files of several members.
    cut = len(DATA) // 3
    files = {
        'plain': DATA,
        'one.gz': gzip.compress(DATA),
        'two.gz': gzip.compress(DATA[:cut]) + gzip.compress(DATA[cut:]),
        'named.txt': gzip.compress(DATA),
        'padded.gz': gzip.compress(DATA) + bytes(512),
        'followed.gz': gzip.compress(DATA) + b'something else',
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        assert read_whole(tmp_path / name) == DATA
        assert compression.read_start(tmp_path / name, 100) == DATA[:100]


@pytest.mark.parametrize('damage', [lambda d: d[:-20], lambda d: d[:500] + b'\0' * 50 + d[550:]])
def test_damage_is_named(tmp_path, damage):
    path = tmp_path / 'x.gz'
    path.write_bytes(damage(gzip.compress(DATA, 1)))
    with pytest.raises(FormatError, match='x.gz: is (truncated|damaged)'):
        read_whole(path)


def test_what_is_not_there_or_is_a_folder(tmp_path):
    for read in (read_whole, lambda path: compression.read_start(path, 4)):
        with pytest.raises(SourceNotFoundError, match='no such file'):
            read(tmp_path / 'none.gz')
        with pytest.raises(SourceNotFoundError, match='cannot be read'):
            read(tmp_path)


def test_a_link_that_leads_nowhere_says_how_datalad_gets_it(tmp_path):
    link = tmp_path / 'sub-01_FA.nii.gz'
    link.symlink_to('../.git/annex/objects/x')
    with pytest.raises(SourceNotFoundError, match=r'link to what is not there .*datalad get'):
        read_whole(link)


@pytest.mark.parametrize('level', [None, 0, 1, 4, 9])
def test_deflate_makes_zlib_streams(level):
    assert zlib.decompress(compression.deflate(DATA, level)) == DATA


def test_equal_data_give_equal_files():
    assert compression.gzip_compress(DATA) == compression.gzip_compress(DATA)
    assert gzip.decompress(compression.gzip_compress(DATA)) == DATA


def test_sizes_without_inflating(tmp_path):
    (tmp_path / 'x.gz').write_bytes(gzip.compress(DATA))
    (tmp_path / 'x').write_bytes(DATA)
    assert compression.has_size(tmp_path / 'x.gz', len(DATA))
    assert compression.has_size(tmp_path / 'x', len(DATA))


def test_the_standard_library_does_the_same_where_isal_is_absent(tmp_path):
    (tmp_path / 'x.gz').write_bytes(gzip.compress(DATA))
    (tmp_path / 'cut.gz').write_bytes(gzip.compress(DATA)[:-20])
    code = f"""
import gzip, sys, zlib
sys.modules['isal'] = None
from modelarrayio_bids.formats import compression as c
from modelarrayio_bids.errors import FormatError
assert not c.HAS_ISAL
with c.inflated({str(tmp_path / 'x.gz')!r}) as found:
    data = bytes(found)
assert data == bytes(range(256)) * 400
assert zlib.decompress(c.deflate(data)) == data
assert gzip.decompress(c.gzip_compress(data)) == data
try:
    with c.inflated({str(tmp_path / 'cut.gz')!r}):
        pass
except FormatError:
    sys.exit(7)
"""
    assert subprocess.run([sys.executable, '-c', code], check=False).returncode == 7


def test_a_last_trailer_that_says_less_than_the_whole(tmp_path):
    # As bgzip ends its files: a member without any content.
    for name, last in {'short.gz': DATA[:9], 'empty.gz': b''}.items():
        path = tmp_path / name
        path.write_bytes(gzip.compress(DATA) + gzip.compress(DATA) + gzip.compress(last))
        assert compression.has_size(path, len(last))
        assert read_whole(path) == DATA + DATA + last
    (tmp_path / 'tiny.gz').write_bytes(compression.GZIP_MAGIC)
    with pytest.raises(FormatError, match='is truncated'):
        read_whole(tmp_path / 'tiny.gz')


#: 1,100 × 1,100 × 1,000 float32: 4.5 GiB.
LARGE = (1100, 1100, 1000)


def large_header():
    image = nb.Nifti2Image(np.broadcast_to(np.float32(0), LARGE), AFFINE)
    image.header.set_data_offset(544)
    image.header['magic'] = b'n+2\0\r\n\x1a\n'
    return image.header.binaryblock + bytes(4)


def test_sizes_above_4_gib_are_checked(tmp_path):
    size = 544 + 4 * int(np.prod(LARGE))
    path = tmp_path / 'x.nii'
    with open(path, 'wb') as file:
        file.write(large_header())
        file.truncate(size)  # a hole: it takes no space
    volume = nifti.Volume.from_file(path)
    assert volume.shape == LARGE
    assert volume.n_bytes == size > 2**32
    assert compression.has_size(path, size)
    nifti.require_whole(path, volume.n_bytes)


def with_trailer(content, size):
    """A gzip member that says it has this size."""
    return gzip.compress(content)[:-4] + struct.pack('<I', size % 2**32)


def test_a_size_modulo_4_gib_is_trusted_until_the_data_are_read(tmp_path):
    path = tmp_path / 'x.nii.gz'
    size = 544 + 4 * int(np.prod(LARGE))
    path.write_bytes(with_trailer(large_header() + bytes(1000), size))
    assert nifti.Volume.from_file(path).n_bytes == size
    with pytest.raises(FormatError, match='x.nii.gz: is (truncated|damaged)'), nifti.opened(path):
        pass
    # Another size gives itself away in the header's check.
    path.write_bytes(gzip.compress(large_header() + bytes(1000)))
    with pytest.raises(FormatError, match=f'is truncated: 1544 bytes of the {size}'):
        nifti.Volume.from_file(path)


def saved(folder, form, number):
    """One map as some program may have left it, and what nibabel reads from it."""
    data = subject_map(number)
    ending = '.nii' if form == 'uncompressed' else '.nii.gz'
    path = folder / f'sub-{number}_FA{ending}'
    header = nb.Nifti1Header(endianness='>' if form == 'big-endian' else '<')
    if form == 'scaled integers':
        header.set_data_dtype(np.int16)  # nibabel then finds slope and intercept
    nb.save(nb.Nifti1Image(data, AFFINE, header), path)
    if form == 'members':
        content = gzip.decompress(path.read_bytes())
        pieces = (content[:100], content[100:900], content[900:], b'')
        path.write_bytes(b''.join(map(gzip.compress, pieces)))
    return path, nb.load(path).get_fdata()


FORMS = ['big-endian', 'scaled integers', 'uncompressed', 'members', 'plain']


@pytest.mark.parametrize('isal', [True, False])
def test_all_forms_through_the_whole_command(tmp_path, isal):
    mask = save(tmp_path / 'group_mask.nii.gz', group_mask())
    maps = [saved(tmp_path, form, number) for number, form in enumerate(FORMS)]
    header = ['scalar_name', 'source_file', 'source_mask_file']
    cohort = write_csv(tmp_path / 'cohort.csv', header, [('FA', path, mask) for path, _ in maps])
    absent = '' if isal else "sys.modules['isal'] = None; "
    code = f'import sys; {absent}from modelarrayio_bids.cli.files import main; sys.exit(main())'
    options = ['--cohort-file', cohort, '--mask', mask, '--dtype', 'float64']
    output = ['--output', tmp_path / 'x.h5']
    subprocess.run([sys.executable, '-c', code, 'to-modelarray', *options, *output], check=True)
    with h5py.File(tmp_path / 'x.h5') as file:
        values = file['scalars/FA/values'][()]
    np.testing.assert_array_equal(values, [data[group_mask() > 0] for _, data in maps])
