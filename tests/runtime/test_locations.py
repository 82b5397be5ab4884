"""Addresses as paths: their text is kept, and their parts are those of a path."""

import copy
import os
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelarrayio_bids.errors import UsageError
from modelarrayio_bids.runtime.locations import location, place_of

IMAGE = 's3://bucket/derivatives/sub-01/FA.nii.gz'
# Keys of S3 are any text.
keys = st.text(st.characters(exclude_categories=['Cs', 'Cc']), min_size=1)


@given(keys)
def test_any_key_keeps_its_text(key):
    address = f's3://bucket/folder/{key.rstrip("/")}x'
    path = location(address)
    assert str(path) == os.fspath(path) == path.as_uri() == place_of(path) == address
    for again in (copy.deepcopy(path), pickle.loads(pickle.dumps(path)), location(path)):
        assert (str(again), again, hash(again)) == (address, path, hash(path))


@given(keys, keys)
def test_addresses_are_equal_if_their_texts_are(one, other):
    one, other = (f's3://bucket/{key}/x' for key in (one, other))
    assert (location(one) == location(other)) == (one == other)


def test_parts_are_those_of_a_path():
    path = location(IMAGE)
    assert (path.name, path.suffix, path.stem) == ('FA.nii.gz', '.gz', 'FA.nii')
    assert str(path.parent / 'MD.nii.gz') == IMAGE.replace('FA', 'MD')
    assert str(path.with_name('MD.nii.gz')) == IMAGE.replace('FA', 'MD')
    above = ['s3://bucket/derivatives/sub-01', 's3://bucket/derivatives', 's3://bucket']
    assert list(map(str, path.parents)) == above
    root = location('s3://bucket/derivatives/')
    assert root == path.parents[1]
    assert path.relative_to(root).as_posix() == 'sub-01/FA.nii.gz'
    assert path.is_relative_to(root)
    assert not path.is_relative_to(Path.cwd())
    assert not Path.cwd().is_relative_to(root)
    assert path.absolute() == path.resolve() == path


def test_the_name_of_a_web_address_has_no_query():
    assert location('https://host/a/FA.nii.gz?to=http://b/c').name == 'FA.nii.gz'
    assert location('s3://bucket/a/FA?.nii.gz').name == 'FA?.nii.gz'


@pytest.mark.parametrize('text', ['FA.nii.gz', '/data/FA.nii.gz', 's3:/bucket/FA', 'a b://c', ''])
def test_other_texts_are_paths(text):
    assert type(location(text)) is type(Path())
    assert location(text) == Path(text)


@pytest.mark.parametrize('text', ['ftp://host/FA.nii.gz', 's3://', 'file:///FA.nii.gz'])
def test_addresses_that_nothing_reads(text):
    with pytest.raises(UsageError, match='is an address that cannot be read'):
        location(text)
