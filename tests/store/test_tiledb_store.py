"""HDF5 files as TileDB stores and back: nothing is lost on the way."""

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import tiledb
from hdf5_files import KINDS, write_base
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from images import expected_rows, write_cohort
from stores import write_results, write_scalar

from modelarrayio_bids.cli.files import main
from modelarrayio_bids.errors import FormatError, OutputError, SourceNotFoundError
from modelarrayio_bids.store.tiledb_store import from_tiledb, is_tiledb, to_tiledb

TEXTS = st.text(st.characters(exclude_categories=['Cs'], exclude_characters='\0'))


def held(item):
    """All that is in an HDF5 file, comparable: texts as text, numbers as bytes with their type."""
    if isinstance(item, h5py.Group):
        return plain(item), {name: held(part) for name, part in item.items()}
    if item.dtype.kind in 'OS':
        return plain(item), item.shape, np.char.decode(item[()].astype('S'), 'utf-8').tolist()
    return plain(item), item.shape, item.chunks, item.dtype, item[()].tobytes()


def plain(item):
    found = {}
    for name, value in item.attrs.items():
        texts = np.ravel(value).tolist()
        found[name] = [text.decode() if isinstance(text, bytes) else text for text in texts]
    return found


def there_and_back(store, folder):
    to_tiledb(store, folder / 'x.tdb', threads=2)
    return from_tiledb(folder / 'x.tdb', folder / 'back.h5', threads=2)


@pytest.mark.parametrize('kind', KINDS)
def test_all_of_a_file(tmp_path, kind):
    store = write_base(tmp_path / 'base', kind)
    with h5py.File(store) as before, h5py.File(there_and_back(store, tmp_path)) as after:
        assert held(before['results/lm']) == held(after['results/lm'])
        for name in set(before) - {'results'}:
            assert held(before[name]) == held(after[name])
        # What others wrote takes on our chunks: the values are the same.
        assert set(before['results']) == set(after['results'])
        for name, analysis in before['results'].items():
            matrix = analysis['results_matrix'][()]
            assert matrix.tobytes() == after[f'results/{name}/results_matrix'][()].tobytes()
            assert plain(analysis['results_matrix']) == plain(
                after[f'results/{name}/results_matrix']
            )
    assert main(['validate', str(tmp_path / 'back.h5')]) == 0


@settings(deadline=None, max_examples=15)
@given(
    values=arrays.arrays('f4', st.tuples(st.integers(1, 4), st.integers(1, 40))),
    names=st.lists(TEXTS, min_size=1, max_size=4),
    odd=arrays.arrays(st.sampled_from(['i4', 'u1', 'f8', 'i8']), arrays.array_shapes(max_dims=3)),
    note=TEXTS,
)
def test_any_values_and_texts(tmp_path_factory, values, names, odd, note):
    folder = tmp_path_factory.mktemp('any')
    write_scalar(folder / 'x.h5', 'FA', values, [f'{number}' for number in range(len(values))])
    with h5py.File(folder / 'x.h5', 'a') as file:
        file.create_dataset('more/texts', data=names, dtype=h5py.string_dtype())
        file.create_dataset('more/odd', data=odd)
        file.create_dataset('more/one', data=odd.ravel()[0])
        file.create_dataset('more/none', data=np.empty((0, 3), 'f4'))
        file['more'].attrs.update({'note': note, 'n': 3, 'list': ['a', '[']})
    there_and_back(folder / 'x.h5', folder)
    with h5py.File(folder / 'x.h5') as before, h5py.File(folder / 'back.h5') as after:
        assert before['more/texts'][()].tolist() == after['more/texts'][()].tolist()
        for name in ('scalars/FA/values', 'more/odd', 'more/one', 'more/none'):
            assert before[name].dtype == after[name].dtype
            assert before[name].shape == after[name].shape
            assert before[name][()].tobytes() == after[name][()].tobytes()
        assert plain(before['more']) == plain(after['more'])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with the cohort of tests/images.py."""
    monkeypatch.chdir(tmp_path)
    write_cohort(tmp_path)
    return tmp_path


def opened(path, mode='r'):
    # TileDB itself takes relative paths from the folder the process started in.
    return tiledb.open(str(Path(path).absolute()), mode)


def build(*options, output='x.tdb'):
    command = ['to-modelarray', '--cohort-file', 'cohort.csv', '--mask', 'group_mask.nii.gz']
    return main([*command, '--backend', 'tiledb', '--output', output, *options])


@pytest.mark.parametrize('compression', ['gzip', 'zstd', 'none'])
def test_a_build(folder, compression):
    assert build('--compression', compression, '--chunk-voxels', '5') == 0
    with opened('x.tdb/scalars/FA/values') as array:
        np.testing.assert_array_equal(array[:]['values'], expected_rows().astype('f4'))
        assert [array.dim(axis).name for axis in (0, 1)] == ['subjects', 'items']
        assert [array.dim(axis).tile for axis in (0, 1)] == [3, 5]
        names = json.loads(array.meta['column_names'])
    with opened('x.tdb/scalars/FA/column_names') as array:
        assert array[:]['values'].tolist() == names
    # Nothing but what was asked for.
    assert [path.name for path in folder.iterdir() if path.suffix in {'.h5', '.tdb'}] == ['x.tdb']


def test_the_store_has_a_name_of_its_own(folder, capsys):
    command = ['to-modelarray', '--cohort-file', 'cohort.csv', '--mask', 'group_mask.nii.gz']
    assert main([*command, '--backend', 'tiledb']) == 0
    assert is_tiledb(Path('modelarray.tdb'))
    assert capsys.readouterr().err.splitlines() == ['INFO: Wrote modelarray.tdb']


def of_another_program(folder, metadata=(), *, start=0, names=('values',), **keywords):
    """A store with one array of values from 0 to 5 for two subjects, as another program has it."""
    for name in ('old.tdb', 'old.tdb/scalars', 'old.tdb/scalars/FA'):
        tiledb.group_create(str(folder / name))
    dimensions = [
        tiledb.Dim(name=name, domain=(start, start + n - 1), tile=n, dtype=np.int64)
        for name, n in (('subjects', 2), ('items', 3))
    ]
    attributes = [tiledb.Attr(name=name, dtype='f4') for name in names]
    schema = tiledb.ArraySchema(tiledb.Domain(*dimensions), attributes, **keywords)
    tiledb.Array.create(str(folder / 'old.tdb/scalars/FA/values'), schema)
    if not keywords and not start:
        with opened(folder / 'old.tdb/scalars/FA/values', 'w') as array:
            array[:] = {name: np.arange(6, dtype='f4').reshape(2, 3) for name in names}
            array.meta.update(metadata)


def test_a_store_of_another_program(folder):
    """One array of values, its sources in the metadata: all that modelarrayio 26.0.0 is sure of."""
    of_another_program(folder, {'column_names': json.dumps(['a.nii.gz', 'b.nii.gz'])})
    assert main(['convert', 'old.tdb', 'new.h5']) == 0
    with h5py.File('new.h5') as file:
        np.testing.assert_array_equal(file['scalars/FA/values'], np.arange(6).reshape(2, 3))
        names = file['scalars/FA/column_names'].asstr()[()]
    assert names.tolist() == ['a.nii.gz', 'b.nii.gz']


def test_maps_from_a_store(folder, capsys):
    command = ['to-modelarray', '--cohort-file', 'cohort.csv', '--mask', 'group_mask.nii.gz']
    assert main([*command, '--output', 'x.h5']) == 0
    n = expected_rows().shape[1]
    write_results('x.h5', 'mylm', ['element_id', 'age.estimate'], np.stack([np.arange(n)] * 2, 1))
    assert main(['convert', 'x.h5', 'x.tdb']) == 0
    for store, maps in (('x.h5', 'from_file'), ('x.tdb', 'from_store')):
        words = ['--analysis-name', 'mylm', '--input-hdf5', store, '--output-dir', maps]
        assert main(['export-results', *words]) == 0
    image = 'mylm_age.estimate.nii.gz'
    assert (folder / 'from_file' / image).read_bytes() == (
        folder / 'from_store' / image
    ).read_bytes()
    assert sorted(path.name for path in folder.glob('.*')) == []
    sidecar = json.loads(Path('from_store/mylm_results.json').read_text())
    assert sidecar['Sources'] == [str(folder / 'x.tdb')]
    words = ['--analysis-name', 'other', '--input-hdf5', 'x.tdb', '--output-dir', 'maps']
    assert main(['export-results', *words]) == 66
    assert "error: x.tdb: holds no analysis 'other'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ('words', 'says', 'code'),
    [
        (['x.tdb', 'y.h5'], 'x.tdb: no such file', 66),
        (['cohort.csv', 'y.tdb'], 'cohort.csv: cannot be opened as HDF5', 65),
        (['.', 'y.h5'], 'is no TileDB store', 65),
        (['cohort.csv', 'cohort.csv'], 'is read by this very run', 64),
    ],
)
def test_what_is_no_store(folder, capsys, words, says, code):
    before = sorted(path.name for path in folder.iterdir())
    assert main(['convert', *words]) == code
    assert says in capsys.readouterr().err
    assert sorted(path.name for path in folder.iterdir()) == before


def test_a_store_is_replaced_only_on_request(folder, capsys):
    assert build() == 0
    assert build() == 73
    assert 'x.tdb: is there' in capsys.readouterr().err
    assert build('--overwrite') == 0
    assert build('--overwrite', output='.') == 73
    assert 'is there, and is no TileDB store' in capsys.readouterr().err
    assert build('--compression', 'lzf', output='y.tdb') == 64
    assert sorted(path.name for path in folder.glob('.*')) == []


def test_a_store_that_lacks_a_part(folder):
    assert build() == 0
    for path in (folder / 'x.tdb/scalars/FA/values/__fragments').rglob('*.tdb'):
        path.write_bytes(path.read_bytes()[:10])
    with pytest.raises(FormatError, match=r'x\.tdb.* cannot be read'):
        from_tiledb('x.tdb', 'x.h5')
    assert not (folder / 'x.h5').exists()


def test_values_that_were_not_copied_are_missed(folder):
    """TileDB itself hands over NaN for them."""
    assert build() == 0
    shutil.rmtree(folder / 'x.tdb/scalars/FA/values/__commits')
    with pytest.raises(FormatError, match='values: lacks some of its values'):
        from_tiledb('x.tdb', 'x.h5')
    assert not (folder / 'x.h5').exists()


@pytest.mark.parametrize('form', [{'sparse': True}, {'start': 1}, {'names': ('a', 'b')}], ids=str)
def test_arrays_of_another_form_are_refused(folder, capsys, form):
    of_another_program(folder, **form)
    assert main(['convert', 'old.tdb', 'x.h5']) == 65
    said = 'FA/values: is not a dense array of one attribute with dimensions from 0'
    assert said in capsys.readouterr().err
    assert not Path('x.h5').exists()


@pytest.mark.parametrize(
    'metadata',
    [
        {'column_names': '["a"'},
        {'column_names': '{"a": 1}'},
        {'column_names': 3},
        {'column_names': '[1, 2]'},
        {'modelarrayio_lists': 'x'},
        {'modelarrayio_lists': '["x"]', 'x': '[[1], {"a": 2}]'},
        {'modelarrayio_shape': '[7, 8]'},
        {'modelarrayio_shape': '"x"'},
    ],
    ids=str,
)
def test_metadata_that_mean_nothing_are_refused(folder, capsys, metadata):
    of_another_program(folder, metadata)
    assert main(['convert', 'old.tdb', 'x.h5']) == 65
    assert 'FA/values: cannot be an item of an HDF5 file' in capsys.readouterr().err
    assert not Path('x.h5').exists()


@pytest.mark.parametrize(
    ('name', 'value', 'says'),
    [
        ('__x', np.ones(3), '/more/__x has a name that TileDB keeps for itself'),
        ('half', np.ones((2, 3), 'f2'), '/more/half is of a type that TileDB cannot hold'),
        ('table', np.zeros(2, [('a', 'f4')]), '/more/table '),
        ('loop', h5py.SoftLink('/'), '/more/loop is a link to what holds it'),
    ],
)
def test_an_item_that_tiledb_cannot_hold_is_told(folder, capsys, name, value, says):
    write_scalar(folder / 'x.h5', 'FA', np.ones((2, 3), 'f4'), ['a', 'b'])
    with h5py.File('x.h5', 'a') as file:
        file[f'more/{name}'] = value
    assert main(['convert', 'x.h5', 'x.tdb']) == 65
    assert f'error: x.h5: {says}' in capsys.readouterr().err
    assert [path.name for path in folder.iterdir() if 'tdb' in path.name] == []


def test_numbers_of_another_order_of_bytes(folder):
    values = np.arange(6).reshape(2, 3)
    write_scalar(folder / 'x.h5', 'FA', values.astype('>f4'), ['a', 'b'])
    with h5py.File('x.h5', 'a') as file:
        file['more'] = values.astype('>i4')
    there_and_back(folder / 'x.h5', folder)
    with h5py.File('back.h5') as file:
        np.testing.assert_array_equal(file['scalars/FA/values'], values)
        np.testing.assert_array_equal(file['more'], values)


def test_a_store_keeps_what_is_in_it(folder, capsys):
    assert build() == 0
    assert main(['convert', 'x.tdb', 'x.h5']) == 0
    inside = Path('x.h5').rename('x.tdb/in.h5')
    for words, says in (
        (['x.tdb/in.h5', 'x.tdb', '--overwrite'], 'holds x.tdb/in.h5, which is read'),
        (['x.tdb/in.h5', 'x.tdb/y.tdb'], 'is inside the TileDB store'),
        (['x.tdb', 'x.tdb/scalars/x.h5'], 'is inside the TileDB store'),
        (['x.tdb/scalars', 'y.h5'], 'is a part of a TileDB store'),
    ):
        assert main(['convert', *words]) in {64, 65, 73}
        assert says in capsys.readouterr().err
    assert inside.exists()
    assert main(['info', 'x.tdb']) == 66
    assert 'make one of a TileDB store with modelarrayio convert' in capsys.readouterr().err


def test_a_link_stays_one(folder):
    Path('disk').mkdir()
    Path('x.tdb').symlink_to('disk/far.tdb')
    assert build() == 0
    assert build('--overwrite') == 0
    assert Path('x.tdb').is_symlink()
    assert is_tiledb(folder / 'disk/far.tdb')
    assert [path.name for path in Path('disk').iterdir()] == ['far.tdb']
    assert main(['convert', 'x.tdb', 'x.h5']) == 0


def test_a_folder_that_cannot_be_written(folder):
    assert build() == 0
    from_tiledb('x.tdb', 'x.h5')
    with pytest.raises(OutputError, match=r'cohort\.csv/y\.tdb'):
        to_tiledb('x.h5', 'cohort.csv/y.tdb')
    with pytest.raises(SourceNotFoundError):
        to_tiledb('nothing.h5', 'y.tdb')
    assert is_tiledb(folder / 'x.tdb')
    assert not is_tiledb(folder)
