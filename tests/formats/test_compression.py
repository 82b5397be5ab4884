import gzip
import subprocess
import sys
import zlib

import pytest

from modelarrayio_bids.errors import FormatError, SourceNotFoundError
from modelarrayio_bids.formats import compression

DATA = bytes(range(256)) * 400


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
        assert compression.read_file(tmp_path / name) == DATA
        assert compression.read_start(tmp_path / name, 100) == DATA[:100]


@pytest.mark.parametrize('damage', [lambda d: d[:-20], lambda d: d[:500] + b'\0' * 50 + d[550:]])
def test_damage_is_named(tmp_path, damage):
    path = tmp_path / 'x.gz'
    path.write_bytes(damage(gzip.compress(DATA, 1)))
    with pytest.raises(FormatError, match='x.gz: is (truncated|damaged)'):
        compression.read_file(path)


def test_what_is_not_there_or_is_a_folder(tmp_path):
    for read in (compression.read_file, lambda path: compression.read_start(path, 4)):
        with pytest.raises(SourceNotFoundError, match='no such file'):
            read(tmp_path / 'none.gz')
        with pytest.raises(SourceNotFoundError, match='cannot be read'):
            read(tmp_path)


@pytest.mark.parametrize('level', [None, 0, 1, 4, 9])
def test_deflate_makes_zlib_streams(level):
    assert zlib.decompress(compression.deflate(DATA, level)) == DATA


def test_equal_data_give_equal_files():
    assert compression.gzip_compress(DATA) == compression.gzip_compress(DATA)
    assert gzip.decompress(compression.gzip_compress(DATA)) == DATA


def test_sizes_without_inflating(tmp_path):
    (tmp_path / 'x.gz').write_bytes(gzip.compress(DATA))
    (tmp_path / 'x').write_bytes(DATA)
    assert compression.inflated_size(tmp_path / 'x.gz') == len(DATA)
    assert compression.inflated_size(tmp_path / 'x') == len(DATA)


def test_the_standard_library_does_the_same_where_isal_is_absent(tmp_path):
    (tmp_path / 'x.gz').write_bytes(gzip.compress(DATA))
    (tmp_path / 'cut.gz').write_bytes(gzip.compress(DATA)[:-20])
    code = f"""
import gzip, sys, zlib
sys.modules['isal'] = None
from modelarrayio_bids.formats import compression as c
from modelarrayio_bids.errors import FormatError
assert not c.HAS_ISAL
data = c.read_file({str(tmp_path / 'x.gz')!r})
assert data == bytes(range(256)) * 400
assert zlib.decompress(c.deflate(data)) == data
assert gzip.decompress(c.gzip_compress(data)) == data
try:
    c.read_file({str(tmp_path / 'cut.gz')!r})
except FormatError:
    sys.exit(7)
"""
    assert subprocess.run([sys.executable, '-c', code], check=False).returncode == 7
