"""HDF5 files that are not as expected: every command that reads one ends with a line, and soon.

`make test` tries a few files, `make fuzz` many (see ``tests/conftest.py``).
"""

import random
import shutil
from pathlib import Path

import h5py
import hdf5_files
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

# Each example is five commands: a smaller one is not looked for.
BUDGET = settings(
    max_examples=settings().max_examples // 5,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)


@pytest.fixture(scope='module')
def bases(tmp_path_factory):
    folder = tmp_path_factory.mktemp('bases')
    return {kind: hdf5_files.write_base(folder / kind, kind) for kind in hdf5_files.KINDS}


def judge(base, store):
    """Whether every command copes with a file, which is removed."""
    try:
        faults = [ended.fault for ended in hdf5_files.all_ended(store, base) if ended.fault]
    finally:
        shutil.rmtree(store.parent)
    assert not faults


def spoilt(bases, folder, kind, place, how):
    store = hdf5_files.temporary_copy(folder, bases[kind].read_bytes())
    hdf5_files.spoil(store, place, how)
    judge(bases[kind], store)


@BUDGET
@given(st.data())
def test_anything_anywhere(bases, tmp_path_factory, data):
    kind = data.draw(st.sampled_from(hdf5_files.KINDS))
    place = data.draw(st.sampled_from(hdf5_files.places(bases[kind])))
    others = (
        [*hdf5_files.OBJECTS, *hdf5_files.TEXTS] if place[1] is None else [*hdf5_files.ATTRIBUTES]
    )
    spoilt(bases, tmp_path_factory.getbasetemp(), kind, place, data.draw(st.sampled_from(others)))


@BUDGET
@given(st.data())
def test_bytes_that_changed(bases, tmp_path_factory, data):
    kind = data.draw(st.sampled_from(hdf5_files.KINDS))
    content = bases[kind].read_bytes()
    places = st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255))
    numbers = data.draw(st.lists(places, min_size=1, max_size=20))
    store = hdf5_files.temporary_copy(
        tmp_path_factory.getbasetemp(), hdf5_files.damage(content, numbers)
    )
    judge(bases[kind], store)


#: What a campaign found, once: each ended a command with a traceback, or took all memory.
FOUND = [
    ('voxels', ('scalars/FA', None), 'a link to itself'),
    ('voxels', ('scalars/FA/values', None), 'a link elsewhere'),
    ('voxels', ('results/s1/column_names', None), 'a TiB of texts'),
    ('voxels', ('modelarrayio/sources/FA/path', None), 'one number'),
    ('voxels', ('modelarrayio/sources/FA/modified', None), 'other kinds'),
    ('voxels', ('modelarrayio/template/mask', None), 'a group'),
    ('fixels', ('scalars/FA/column_names', None), 'huge in one piece'),
    ('fixels', ('modelarrayio', 'layout'), 'many digits'),
    ('fixels', ('modelarrayio/template/positions', None), 'truth'),
    ('greyordinates', ('modelarrayio/sources', None), 'a link to itself'),
    ('parcels', ('modelarrayio/template/axis', None), 'bytes'),
    ('edges', ('parcels/parcel_id_from', None), 'one number'),
    ('edges', ('modelarrayio/sources/FA/modified', None), 'a deflate bomb'),
]


@pytest.mark.parametrize(('kind', 'place', 'how'), FOUND)
def test_what_was_found_once(bases, tmp_path, kind, place, how):
    spoilt(bases, tmp_path, kind, place, how)


def test_bytes_that_were_found_once(bases, tmp_path):
    # An object's address that is past the end of the file.
    content = bytearray(bases['fixels'].read_bytes())
    rng = random.Random(7)
    for _ in range(40):
        content[rng.randrange(96, len(content))] = 255
    judge(bases['fixels'], hdf5_files.temporary_copy(tmp_path, bytes(content)))


def test_a_path_names_the_part_of_the_file(bases, tmp_path):
    store = Path(shutil.copy(bases['voxels'], tmp_path / 'x.h5'))
    hdf5_files.spoil(store, ('results/s0/results_matrix', None), 'seven TiB')
    said = hdf5_files.ended('export', hdf5_files.commands(store, bases['voxels'])['export-results'])
    assert said.code == 65
    assert '/results/s0/results_matrix declares' in said.said


def test_texts_that_never_end(bases, tmp_path):
    # A heap of texts has a size of 0 for the first, and HDF5 looks for the next at the same place
    # (HDF5 File Format Specification, III.E: 16 bytes of header, 8 before the size of an object).
    with h5py.File(tmp_path / 'x.h5', 'w') as file:
        file.create_group('modelarrayio/template').attrs['kind'] = 'voxels'
    content = bytearray((tmp_path / 'x.h5').read_bytes())
    size = content.index(b'GCOL') + 24
    content[size : size + 8] = bytes(8)
    (tmp_path / 'x.h5').write_bytes(content)
    words = hdf5_files.commands(tmp_path / 'x.h5', bases['voxels'])['export-results']
    said = hdf5_files.ended('export', words)
    assert said.code == 65
    assert 'HDF5 did not come to an end within 5 s of processor time' in said.said
