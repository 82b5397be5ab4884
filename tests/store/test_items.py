"""The one door through which the content of HDF5 files comes in."""

import re
from pathlib import Path

import h5py
import numpy as np
import pytest

import modelarrayio_bids.store
from modelarrayio_bids.errors import FormatError
from modelarrayio_bids.store.items import (
    dataset_at,
    group_at,
    item_at,
    json_object,
    members,
    require_stored,
    texts_of,
    values_of,
)

STORE = Path(modelarrayio_bids.store.__file__).parent


@pytest.fixture
def file(tmp_path):
    with h5py.File(tmp_path / 'x.h5', 'w') as opened:
        opened['group/values'] = np.arange(3.0)
        opened['nowhere'] = h5py.SoftLink('/gone')
        opened['elsewhere'] = h5py.ExternalLink('gone.h5', '/x')
        opened['circle'] = h5py.SoftLink('/circle')
        yield opened


def test_nothing_else_reads_from_a_file():
    reading = re.compile(r'\[\(\)\]|\.attrs\.get\(|\.attrs\[[^]]*\](?! =)|json\.loads|file\.get\(')
    for path in STORE.rglob('*.py'):
        # TileDB has a library of its own, and what is copied to it is copied to the letter.
        if path.name not in {'items.py', 'tiledb_store.py'}:
            lines = [line for line in path.read_text('utf-8').splitlines() if '>>>' not in line]
            assert not [line for line in lines if reading.search(line)], path


@pytest.mark.parametrize('path', ['none', 'group/none', 'group/values/x', 'nowhere', 'elsewhere'])
def test_what_is_not_there_is_none(file, path):
    assert item_at(file, path) is None
    assert group_at(file, path) is None
    assert dataset_at(file, path) is None


def test_links_in_circles_and_other_kinds_are_told_with_their_path(file):
    with pytest.raises(FormatError, match='x.h5: cannot be read at /circle'):
        item_at(file, 'circle')
    with pytest.raises(FormatError, match='x.h5: /group is not a dataset'):
        dataset_at(file, 'group')
    with pytest.raises(FormatError, match='x.h5: /group/values is not a group'):
        group_at(file, 'group/values')
    del file['circle']
    assert list(members(file)) == ['group']


@pytest.mark.parametrize(
    'how',
    [
        {'shape': (3, 2**40), 'chunks': (3, 2**20), 'compression': 'gzip'},
        {'shape': (2**40,)},
        {'shape': (3, 4), 'chunks': (3, 2**28), 'maxshape': (3, None), 'compression': 'gzip'},
    ],
)
def test_more_than_is_stored_is_refused_before_it_is_asked_for(file, how):
    dataset = file.create_dataset('large', dtype='f4', **how)
    for read in (require_stored, values_of):
        with pytest.raises(FormatError, match='/large declares .* bytes and stores 0'):
            read(dataset)


def test_what_deflate_makes_of_zeros_is_read(file):
    # A mask of a fine grid: 64 MB of a few kB.
    zeros = file.create_dataset('mask', data=np.zeros(2**26, 'i1'), compression='gzip')
    assert zeros.id.get_storage_size() < 2**17
    assert values_of(zeros).size == 2**26


def test_numbers_that_are_texts_and_texts_that_are_numbers(file):
    file['texts'] = ['a', 'b']
    assert texts_of(file['group/values']) == ('0.0', '1.0', '2.0')
    with pytest.raises(FormatError, match='/texts is object, expected numbers'):
        values_of(file['texts'])


@pytest.mark.parametrize('said', ['', '{', '[1]', '5', '[' * 100_000, '9' * 5000, '{"\\ud800": 1}'])
def test_json_that_is_no_object(said):
    with pytest.raises(FormatError, match='x.h5: holds JSON that'):
        json_object(said, 'x.h5', '/modelarrayio')
