"""One breach for each rule, each made in a file that has no other; and what R makes of it."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest
from images import group_mask, write_cohort, write_csv
from stores import write_results

from modelarrayio_bids.cli.files import main
from modelarrayio_bids.errors import FormatError, SourceNotFoundError
from modelarrayio_bids.spaces.stored import validate
from modelarrayio_bids.store.validation import RULES, Severity, is_valid

STRINGS = h5py.string_dtype('utf-8')
VALUES, NAMES = 'scalars/FA/values', 'scalars/FA/column_names'
N_SOURCES, N = 5, int(group_mask().sum())
RESULTS = ['element_id', 'age.estimate', 'age.p.value']
MATRIX = np.column_stack([np.arange(N), np.linspace(0, 1, N), np.linspace(1, 0, N)])


@pytest.fixture(scope='session')
def built(tmp_path_factory):
    """A cohort and its file, with an analysis: to be copied only."""
    folder = tmp_path_factory.mktemp('built')
    write_cohort(folder, subjects=N_SOURCES)
    options = ['--mask', folder / 'group_mask.nii.gz', '--cohort-file', folder / 'cohort.csv']
    assert main(['to-modelarray', *map(str, options), '--output', str(folder / 'x.h5')]) == 0
    write_results(folder / 'x.h5', 'mylm', RESULTS, MATRIX, levels={2: ['low', 'high']})
    return folder


@pytest.fixture
def store(built, tmp_path):
    """A copy of the file, to be spoiled."""
    path = tmp_path / 'x.h5'
    path.write_bytes((built / 'x.h5').read_bytes())
    return path


def ids(findings):
    return [finding.rule.id for finding in findings]


def test_a_file_of_ours_breaks_no_rule(built, store):
    assert validate(store, built / 'cohort.csv') == ()


# Breaches: by rule, and by what exactly is done.

BREACHES = {}


def breach(rule, *cases):
    """A function that spoils an open file, perhaps once for each case."""

    def register(spoil):
        name = spoil.__name__
        if not cases:
            BREACHES[f'{rule}: {name}'] = rule, spoil
        for case in cases:
            BREACHES[f'{rule}: {name} {case}'] = rule, lambda file, case=case: spoil(file, case)
        return spoil

    return register


def values(file, data=None, **layout):
    """Write the values again, in another way."""
    data = file[VALUES][()] if data is None else data
    del file[VALUES]
    chunks = (data.shape[0], max(1, data.shape[-1] // 2)) if data.ndim == 2 else True
    return file.create_dataset(VALUES, data=data, **{'chunks': chunks, **layout})


def names(file, texts=None, dtype=STRINGS, path=NAMES, **layout):
    """Write the names again, in another way."""
    texts = file[NAMES].asstr()[()].tolist() if texts is None else texts
    del file[NAMES]
    return file.create_dataset(path, data=texts, dtype=dtype, **layout)


def claimed(file, path, number):
    """Write a dataset again as one whose chunks went through a filter that h5py has not."""
    data = file[path]
    settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    settings.set_chunk(data.shape)
    settings.set_filter(number, h5py.h5z.FLAG_OPTIONAL)
    kind, space, content = data.id.get_type(), data.id.get_space(), data[()].tobytes()
    attributes = dict(data.attrs)
    del file[path]
    written = h5py.Dataset(h5py.h5d.create(file.id, path.encode(), kind, space, settings))
    written.id.write_direct_chunk((0,) * written.ndim, content)
    written.attrs.update(attributes)


# HDF5 2.0 came with a layout of its own; types grew in 1.12.
NEWER = ['type', 'layout'] if h5py.version.hdf5_version_tuple >= (2,) else ['type']


@breach('file-too-new', *NEWER)
def a_dataset_of_a_newer_hdf5(file, case):
    path = Path(file.filename)
    file.close()
    with h5py.File(path, 'r+', libver='latest') as newer:
        if case == 'type':
            newer['flags'] = [True, False]
        else:
            newer.create_dataset('extra', data=np.zeros(9), compression='gzip')


@breach('file-damaged')
def names_that_are_overwritten(file):
    path = Path(file.filename)
    file.close()
    content = path.read_bytes()
    assert b'GCOL' in content  # where HDF5 keeps strings of variable length
    path.write_bytes(content.replace(b'GCOL', b'XXXX'))


@breach('file-without-scalars')
def no_scalars(file):
    del file['scalars']


@breach('file-without-scalars')
def an_empty_group_of_scalars(file):
    del file['scalars/FA']


# Numbers of the HDF Group's registry: bitshuffle, zstd, blosc2, and one that nobody has.
@breach('file-elsewhere', 'scalars', 'scalars/FA', VALUES, NAMES, 'voxels', 'results/mylm')
def a_part_in_another_file(file, path):
    with h5py.File(Path(file.filename).with_suffix('.other.h5'), 'w') as other:
        file.copy(path, other, 'part')
    del file[path]
    file[path] = h5py.ExternalLink(Path(file.filename).with_suffix('.other.h5').name, '/part')


@breach('filter-unknown', 32008, 32015, 32026, 60000)
def a_filter_r_has_not(file, number):
    claimed(file, VALUES, number)


@breach('filter-unknown', 'voxels', 'results/mylm/results_matrix')
def a_filter_elsewhere(file, path):
    claimed(file, path, 32015)


@breach('filter-unknown')
def a_filter_of_the_names_of_results(file):
    with h5py.File(analysed(file, where='dataset'), 'r+') as again:
        del again['results/mylm/column_names']
        again['results/mylm/column_names'] = np.array(RESULTS, 'S20')
        claimed(again, 'results/mylm/column_names', 32015)


@breach('filter-rare')
def numbers_rounded(file):
    values(file, np.round(np.nan_to_num(file[VALUES][()]), 2), scaleoffset=3)


@breach('attribute', True, 3, 'mm', 1j)
def an_attribute(file, value):
    file[VALUES].attrs['x'] = value


@breach('attribute')
def a_scale(file):
    file['scale'] = np.arange(N_SOURCES)
    file['scale'].make_scale()
    file[VALUES].dims[0].attach_scale(file['scale'])


@breach('attribute')
def an_attribute_of_results(file):
    file['results/mylm/results_matrix'].attrs['formula'] = 'FA ~ age'


@breach('attribute-deadly')
def one_label_of_two(file):
    file[VALUES].dims[0].label = 'source'


@breach('attribute-deadly')
def an_empty_text(file):
    file[VALUES].attrs['x'] = h5py.Empty(STRINGS)


@breach('attribute')
def a_text_of_fixed_length_that_is_nothing(file):
    file[VALUES].attrs['x'] = h5py.Empty('S4')


@breach('scalar-name', '2FA', 'FA-1', 'if', 'scalars', '_FA')
def a_name_r_takes_for_something_else(file, name):
    file.move('scalars/FA', 'FA')
    file.move('FA', f'scalars/{name}')


@breach('scalar-nested')
def a_scalar_too_deep(file):
    file.copy('scalars/FA', 'scalars/scalars/MD')


@breach('scalar-stray', 'empty', 'names', 'no matrix')
def a_group_beside_a_scalar(file, case):
    group = file.create_group('scalars/junk')
    if case == 'names':
        group['column_names'] = file[NAMES].asstr()[()][:1].tolist()
    elif case == 'no matrix':
        group['values'] = np.zeros(3)


@breach('values-missing')
def no_values(file):
    del file[VALUES]


@breach('values-missing')
def a_group_of_values(file):
    del file[VALUES]
    file.create_group(VALUES)


@breach('values-missing', (N_SOURCES,), (N_SOURCES, N, 1), (N_SOURCES, 0), None)
def values_of_another_shape(file, shape):
    del file[VALUES]
    if shape is None:
        file[VALUES] = h5py.Empty('f4')
    else:
        file.create_dataset(VALUES, shape, 'f4')


@breach('values-type', 'u1', '?', 'c8')
def a_type_r_cannot_use(file, dtype):
    values(file, np.zeros((N_SOURCES, N), dtype))


@breach('values-type')
def texts_for_values(file):
    values(file, np.full((N_SOURCES, N), 'x', object), dtype=STRINGS)


@breach('values-type')
def an_enumeration(file):
    codes = h5py.enum_dtype({'low': 0, 'high': 1}, basetype='i2')
    values(file, np.zeros((N_SOURCES, N), 'i2'), dtype=codes)


@breach('values-type')
def a_compound(file):
    values(file, np.zeros((N_SOURCES, N), [('a', 'f4'), ('b', 'f4')]))


@breach('values-virtual')
def values_from_elsewhere(file):
    file.move(VALUES, 'elsewhere')
    layout = h5py.VirtualLayout((N_SOURCES, N), 'f4')
    layout[:] = h5py.VirtualSource('.', 'elsewhere', (N_SOURCES, N))
    file.create_virtual_dataset(VALUES, layout)


@breach('values-integer', 'i1', '<i4', '<u4', '<i8')
def whole_numbers(file, dtype):
    values(file, np.arange(N_SOURCES * N).reshape(N_SOURCES, N).astype(dtype))


@breach('values-float', '<f2', '>f4', '>f8')
def another_float(file, dtype):
    values(file, np.nan_to_num(file[VALUES][()]).astype(dtype))


@breach('values-turned')
def elements_first(file):
    values(file, file[VALUES][()].T, chunks=(6, N_SOURCES))


@breach('values-square')
def as_many_sources_as_elements(file):
    texts = [f'sub-{n}' for n in range(N)]
    names(file, texts)
    values(file, np.random.default_rng(0).random((N, N)))


@breach('values-chunks')
def a_chunk_for_each_source(file):
    values(file, chunks=(1, N))


@breach('values-chunks')
def one_piece(file):
    values(file, chunks=None)


@breach('values-large-chunks')
def a_chunk_of_16_mib(file):
    n = 2**24 // 4 // N_SOURCES
    del file[VALUES], file['results']
    of_another_program(file)
    file.create_dataset(VALUES, (N_SOURCES, n), 'f4', chunks=(N_SOURCES, n), compression='gzip')
    table = file.create_dataset('voxels', (4, n), 'i4', compression='gzip')
    table[0] = np.arange(n)
    table.attrs['column_names'] = ['voxel_id', 'i', 'j', 'k']


@breach('names-missing')
def no_names(file):
    del file[NAMES]


@breach('names-count', 4, 6)
def another_number_of_names(file, count):
    names(file, [f'sub-{n}' for n in range(count)])


@breach('names-text')
def names_in_latin_1(file):
    texts = [f'sub-é{n}'.encode('latin-1') for n in range(N_SOURCES)]
    names(file, np.array(texts, object))


@breach('names-blank')
def a_name_never_written(file):
    texts = file[NAMES].asstr()[()].tolist()
    del file[NAMES]
    dataset = file.create_dataset(NAMES, (N_SOURCES,), STRINGS)
    dataset[:-1] = texts[:-1]


@breach('names-twice')
def a_name_twice(file):
    file[NAMES][1] = file[NAMES][0]


@breach('names-form', 'fixed', 'ascii', 'two dimensions')
def names_of_another_form(file, case):
    texts = file[NAMES].asstr()[()].tolist()
    if case == 'two dimensions':
        names(file, [[text] for text in texts])
    else:
        names(file, dtype='S200' if case == 'fixed' else h5py.string_dtype('ascii'))


@breach('names-attribute')
def names_in_an_attribute(file):
    file[VALUES].attrs.create('column_names', file[NAMES].asstr()[()].tolist(), dtype=STRINGS)


@breach('names-attribute')
def names_in_an_attribute_alone(file):
    names_in_an_attribute(file)
    del file[NAMES]


@breach('names-attribute')
def more_names_than_an_attribute_usually_holds(file):
    texts = [f'sub-{n}' for n in range(5000)]
    path = Path(file.filename)
    file.close()
    # In a header of the older form: "object header message is too large".
    with h5py.File(path, 'r+', libver=('v108', 'v110')) as newer:
        names(newer, texts)
        dataset = values(newer, np.random.default_rng(0).random((5000, N)))
        dataset.attrs.create('column_names', texts, dtype=STRINGS)


@breach('names-contradict')
def other_names_in_the_attribute(file):
    file[VALUES].attrs['column_names'] = [f'sub-{n}' for n in range(N_SOURCES)]


@breach('names-contradict')
def another_order_in_the_attribute(file):
    texts = file[NAMES].asstr()[()].tolist()
    file[VALUES].attrs.create('column_names', texts[::-1], dtype=STRINGS)


@breach('names-nested')
def names_too_deep(file):
    file.move(NAMES, 'scalars/scalars/FA/column_names')


@breach('sources-differ')
def another_scalar_of_others(file):
    file.copy('scalars/FA', 'scalars/MD')
    file['scalars/MD/column_names'][0] = 'another.nii.gz'


@breach('elements-missing')
def no_table(file):
    del file['voxels']


@breach('elements-form')
def a_table_of_texts(file):
    del file['voxels']
    file['voxels'] = [['a', 'b']]


@breach('elements-form')
def parcels_with_numbers(file):
    of_another_program(file)
    file['parcels/parcel_id'] = np.arange(N)


@breach('elements-columns')
def columns_without_names(file):
    del file['voxels'].attrs['column_names']


@breach('elements-columns')
def other_columns(file):
    file['voxels'].attrs['column_names'] = ['voxel_id', 'x', 'y', 'z']


@breach('elements-columns')
def structures_without_names(file):
    of_another_program(file)
    file['greyordinates'] = np.stack([np.arange(N), np.zeros(N, int)])
    file['greyordinates'].attrs['column_names'] = ['vertex_id', 'structure_id']


@breach('elements-companion')
def edges_with_one_end(file):
    of_another_program(file)
    file['parcels/parcel_id_from'] = ['a', 'b']


@breach('elements-count')
def fewer_voxels(file):
    table = file['voxels'][:, :-1]
    del file['voxels']
    file['voxels'] = table
    file['voxels'].attrs['column_names'] = ['voxel_id', 'i', 'j', 'k']


@breach('elements-count')
def parcels_for_other_edges(file):
    of_another_program(file)
    for end in ('from', 'to'):
        file[f'parcels/parcel_id_{end}'] = ['a', 'b']


@breach('elements-count')
def a_scalar_with_fewer_elements(file):
    file.copy('scalars/FA', 'scalars/MD')
    part = file['scalars/MD/values'][:, 1:]
    del file['scalars/MD/values']
    file.create_dataset('scalars/MD/values', data=part, chunks=(N_SOURCES, 2))


@breach('elements-ids', 'voxels', 'fixels', 'greyordinates')
def ids_from_one(file, path):
    table_of(file, path, np.arange(1, N + 1))


@breach('elements-ids')
def an_id_of_an_element_twice(file):
    file['voxels'][0, 3] = 2


@breach('elements-kinds')
def greyordinates_beside_voxels(file):
    voxels = file['voxels']
    data, attributes = voxels[()], dict(voxels.attrs)
    table_of(file, 'greyordinates', np.arange(N))
    file['voxels'] = data
    file['voxels'].attrs.update(attributes)


@breach('elements-kinds')
def parcels_beside_voxels(file):
    del file['modelarrayio/template']
    file['parcels/parcel_id'] = [f'p{n}' for n in range(N)]


def of_another_program(file):
    """Remove what says that the elements are voxels."""
    del file['voxels'], file['modelarrayio/template']


def table_of(file, path, first):
    """Write one table in place of that of voxels, with this first column."""
    columns = {
        'voxels': ['voxel_id', 'i', 'j', 'k'],
        'fixels': ['fixel_id', 'voxel_id', 'x', 'y', 'z'],
        'greyordinates': ['vertex_id', 'structure_id'],
    }[path]
    voxels, attributes = file['voxels'][()], dict(file['voxels'].attrs)
    of_another_program(file)
    file[path] = np.vstack([first, np.zeros((len(columns) - 1, first.size))])
    file[path].attrs['column_names'] = columns
    if path == 'fixels':
        file['voxels'] = voxels
        file['voxels'].attrs.update(attributes)
    elif path == 'greyordinates':
        file[path].attrs['structure_names'] = ['CIFTI_STRUCTURE_CORTEX_LEFT']


@breach('elements-companion')
def fixels_without_voxels(file):
    of_another_program(file)
    file['fixels'] = np.vstack([np.arange(N), np.zeros((4, N))])
    file['fixels'].attrs['column_names'] = ['fixel_id', 'voxel_id', 'x', 'y', 'z']


def template(file, part, data):
    """Write a part of the template again."""
    del file[f'modelarrayio/template/{part}']
    file[f'modelarrayio/template/{part}'] = data


@breach('elements-template')
def a_mask_with_one_voxel_more(file):
    mask = file['modelarrayio/template/mask'][()]
    mask[np.unravel_index(np.argmin(mask), mask.shape)] = 1
    template(file, 'mask', mask)


@breach('elements-template')
def a_mask_with_one_voxel_elsewhere(file):
    mask = file['modelarrayio/template/mask'][()]
    template(file, 'mask', np.flip(mask, 0))


@breach('elements-template')
def a_mask_that_is_turned(file):
    template(file, 'mask', file['modelarrayio/template/mask'][()].T)


@breach('elements-template')
def an_affine_that_is_not_that_of_the_header(file):
    template(file, 'affine', np.diag([3.0, 3, 3, 1]))


@breach('elements-template')
def a_header_of_another_image(file):
    header = file['modelarrayio/template/header'][()]
    header[42] += 1  # the first of three voxel counts (NIfTI-1)
    template(file, 'header', header)


@breach('elements-template', 'mask', 'header', 'affine')
def a_part_of_the_template_is_missing(file, part):
    del file[f'modelarrayio/template/{part}']


@breach('elements-template', 'cubes', '')
def a_template_of_a_kind_that_nobody_knows(file, kind):
    file['modelarrayio/template'].attrs['kind'] = kind


@breach('elements-template')
def a_template_of_voxels_beside_a_table_of_parcels(file):
    del file['voxels']
    file['parcels/parcel_id'] = [f'p{n}' for n in range(N)]


def analysed(file, texts=RESULTS, matrix=MATRIX, **options):
    """Write the analysis again, in another way; the file, which is closed then."""
    del file['results']
    path = Path(file.filename)
    file.close()
    return write_results(path, 'mylm', texts, matrix, **options)


@breach('results-missing')
def no_matrix(file):
    del file['results/mylm/results_matrix']


@breach('results-missing')
def results_without_rows(file):
    analysed(file, matrix=MATRIX[:0])


@breach('results-unnamed')
def a_killed_run(file):
    analysed(file, where=None)


@breach('results-count')
def a_name_too_few(file):
    analysed(file, RESULTS[:-1])


@breach('results-turned')
def results_first(file):
    with h5py.File(analysed(file), 'r+') as again:
        matrix = again['results/mylm/results_matrix']
        data, texts = matrix[()].T, matrix.attrs['colnames']
        del again['results/mylm/results_matrix']
        again['results/mylm/results_matrix'] = data
        again['results/mylm/results_matrix'].attrs['colnames'] = texts


@breach('results-contradict', RESULTS[::-1], ['element_id', 'sex.estimate', 'age.p.value'])
def other_names_of_results_in_the_dataset(file, texts):
    file['results/mylm/column_names'] = texts


@breach('results-blank')
def a_blank_result(file):
    analysed(file, ['element_id', '', 'age.p.value'])


@breach('results-collide', 'age estimate', 'AGE_estimate', 'age/estimate', 'age_estimate')
def results_that_become_one_file(file, name):
    analysed(file, ['element_id', 'age_estimate', name])


@breach('results-without-ids')
def no_ids(file):
    analysed(file, ['x', 'y', 'z'])


@breach('results-without-ids')
def ids_in_another_place(file):
    analysed(file, [RESULTS[1], RESULTS[0], RESULTS[2]], MATRIX[:, [1, 0, 2]])


@breach('results-rows')
def fewer_rows_without_ids(file):
    analysed(file, ['x', 'y', 'z'], MATRIX[:-1])


@breach('results-ids', N, -1, 0.5, np.nan, np.inf)
def an_id_of_no_element(file, number):
    matrix = MATRIX.copy()
    matrix[3, 0] = number
    analysed(file, matrix=matrix)


@breach('results-ids-twice', 1, N - 1)
def an_id_twice(file, row):
    matrix = MATRIX.copy()
    matrix[row, 0] = 0
    analysed(file, matrix=matrix)


@breach('results-levels')
def levels_of_no_result(file):
    file.move('results/mylm/lut_forcol2', 'results/mylm/lut_forcol4')


@breach('results-levels')
def levels_that_are_numbers(file):
    del file['results/mylm/lut_forcol2']
    file['results/mylm/lut_forcol2'] = [1, 2]


@pytest.mark.parametrize('case', BREACHES)
def test_a_breach_is_found_and_nothing_else(store, case):
    rule, spoil = BREACHES[case]
    with h5py.File(store, 'r+') as file:
        spoil(file)
    findings = validate(store)
    assert set(ids(findings)) == {rule}
    assert is_valid(findings) == (findings[0].rule.severity != Severity.ERROR)


# Of the table that R gets: its header and its rows.


def rows(store):
    with h5py.File(store) as file:
        return [['FA', name] for name in file[NAMES].asstr()[()]]


COHORT_BREACHES = {
    'cohort-column': (['scalar_name', 'path'], lambda rows: rows),
    'cohort-scalar': (['FA', 'source_file'], lambda rows: [['1', row[1]] for row in rows]),
    'cohort-twice': (['scalar_name', 'source_file'], lambda rows: [*rows, rows[0]]),
    'cohort-mixed': (['scalar_name', 'source_file'], lambda rows: [*rows, ['MD', 'x.nii']]),
    'cohort-sources': (['scalar_name', 'source_file'], lambda rows: rows[1:]),
    'cohort-sources, one more': (
        ['scalar_name', 'source_file'],
        lambda rows: [*rows, ['FA', 'x.nii']],
    ),
    'cohort-sources, none': (['scalar_name', 'source_file'], lambda rows: [['MD', 'x.nii']]),
    # R keeps the blank.
    'cohort-sources, a blank': (
        ['scalar_name', 'source_file'],
        lambda rows: [['FA', f'{rows[0][1]} '], *rows[1:]],
    ),
}


@pytest.mark.parametrize('case', COHORT_BREACHES)
def test_a_table_that_does_not_fit(store, tmp_path, case):
    header, change = COHORT_BREACHES[case]
    table = write_csv(tmp_path / 'other.csv', header, change(rows(store)))
    (finding,) = validate(store, table)
    assert finding.rule.id == case.partition(',')[0]
    assert finding.where == str(table)


def test_a_table_from_elsewhere_is_told_as_such(store, tmp_path):
    moved = [[scalar, f'/data/{Path(name).name}'] for scalar, name in rows(store)]
    table = write_csv(tmp_path / 'other.csv', ['scalar_name', 'source_file'], moved)
    (finding,) = validate(store, table)
    assert finding.found.startswith('lacks 5 sources of FA (')
    assert finding.found.endswith('; only the folders differ')


def test_a_table_that_does_not_tell_scalars_apart(store, tmp_path):
    table = write_csv(tmp_path / 'other.csv', ['source_file'], [row[1:] for row in rows(store)])
    assert validate(store, table) == ()


def test_a_table_with_a_byte_order_mark(store, built, tmp_path):
    table = tmp_path / 'marked.csv'
    table.write_bytes(b'\xef\xbb\xbf' + (built / 'cohort.csv').read_bytes())
    assert ids(validate(store, table)) == ['cohort-mark']


def test_every_rule_has_a_breach():
    broken = {rule for rule, _ in BREACHES.values()}
    broken |= {case.partition(',')[0] for case in COHORT_BREACHES} | {'file-locked', 'cohort-mark'}
    assert broken == set(RULES)


@pytest.fixture
def writer(store):
    """Another program that has the file open for writing."""
    code = 'import h5py, sys; f = h5py.File(sys.argv[1], "r+"); print("open", flush=True); input()'
    with subprocess.Popen(
        [sys.executable, '-c', code, store], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b'open\n'
        yield process
        process.communicate(b'\n')


def test_a_file_that_is_being_written(writer, store):
    assert ids(validate(store)) == ['file-locked']


def test_several_breaches_errors_first(store):
    with h5py.File(store, 'r+') as file:
        values(file, chunks=(1, N))
        a_name_twice(file)
    assert ids(validate(store)) == ['names-twice', 'values-chunks']


def test_one_scalar_that_cannot_be_read_does_not_hide_another(store):
    with h5py.File(store, 'r+') as file:
        file.copy('scalars/FA', 'scalars/MD')
        values(file, chunks=(1, N))
        del file['scalars/MD/column_names']
        file['scalars/MD/column_names'] = np.zeros(N_SOURCES)
        claimed(file, 'scalars/MD/column_names', 32015)
    found = {(finding.rule.id, finding.where) for finding in validate(store)}
    assert ('values-chunks', f'/{VALUES}') in found
    assert ('filter-unknown', '/scalars/MD/column_names') in found
    assert 'file-damaged' not in {rule for rule, _ in found}


def test_what_a_user_block_moves_is_found_all_the_same(tmp_path, store):
    with (
        h5py.File(tmp_path / 'block.h5', 'w', userblock_size=512, libver='latest') as moved,
        h5py.File(store) as file,
    ):
        for name in file:
            file.copy(name, moved)
        moved['flags'] = [True, False]
    assert set(ids(validate(tmp_path / 'block.h5'))) == {'file-too-new'}


@pytest.mark.parametrize('libver', [('earliest', 'v108'), ('v108', 'v110'), ('v110', 'v110')])
def test_older_forms_break_no_rule(tmp_path, store, libver):
    with h5py.File(tmp_path / 'older.h5', 'w', libver=libver) as written, h5py.File(store) as file:
        for name in file:
            file.copy(name, written)
    assert validate(tmp_path / 'older.h5') == ()


@pytest.mark.parametrize('times', [False, True])
@pytest.mark.parametrize('order', [0, h5py.h5p.CRT_ORDER_TRACKED])
@pytest.mark.parametrize('phases', [None, (4, 2)])
def test_headers_of_every_form_are_read(store, times, order, phases):
    # What is kept of times and attributes makes a header longer, in front of its messages.
    settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    settings.set_obj_track_times(times)
    settings.set_attr_creation_order(order)
    if phases:
        settings.set_attr_phase_change(*phases)
    with h5py.File(store, 'r+', libver='latest') as file:
        kind = h5py.h5t.py_create(np.dtype(bool), logical=True)
        h5py.h5d.create(file.id, b'flags', kind, h5py.h5s.create_simple((2,)), settings)
        for number in range(9):
            file['flags'].attrs[f'note{number}'] = 'x' * 100
    (finding,) = validate(store)
    assert (finding.rule.id, finding.where) == ('file-too-new', '/flags')


def test_only_links_of_what_r_reads_matter(store):
    with h5py.File(store, 'r+') as file:
        file['notes'] = h5py.ExternalLink('gone.h5', '/x')
        file['modelarrayio/x'] = h5py.ExternalLink('gone.h5', '/x')
        file['scalars/FA/again'] = file['scalars']
    assert validate(store) == ()


def test_another_file_that_is_gone_is_named(store):
    with h5py.File(store, 'r+') as file:
        del file[VALUES]
        file[VALUES] = h5py.ExternalLink('gone.h5', '/x')
    found = {finding.rule.id: finding.found for finding in validate(store)}
    said = 'is in another file, gone.h5, as /x; nothing can be read there'
    assert found == {'values-missing': 'is not there', 'file-elsewhere': said}


def test_an_empty_dataset_of_names_contradicts_nothing(store):
    with h5py.File(store, 'r+') as file:
        file['results/mylm/column_names'] = h5py.Empty(STRINGS)
    assert validate(store) == ()


def test_links_that_lead_nowhere_and_names_nobody_can_write(store):
    with h5py.File(store, 'r+') as file:
        file['scalars/FA/again'] = file['scalars']
        file['results/other'] = h5py.SoftLink('/nowhere')
        h5py.h5g.create(file['scalars'].id, b'\xff')
        file['modelarrayio/summaries/FA/mean'] = np.zeros(N_SOURCES)
    assert validate(store) == ()


def test_a_type_that_numpy_has_not(store):
    with h5py.File(store, 'r+') as file:
        del file[VALUES]
        space, kind = h5py.h5s.create_simple((N_SOURCES, N)), h5py.h5t.UNIX_D32LE
        h5py.h5d.create(file.id, VALUES.encode(), kind, space)
    (finding,) = validate(store)
    assert (finding.rule.id, finding.where) == ('file-damaged', '/scalars/FA')


def test_files_that_are_none(tmp_path):
    with pytest.raises(SourceNotFoundError):
        validate(tmp_path / 'none.h5')
    (tmp_path / 'x.h5').write_text('not HDF5')
    with pytest.raises(FormatError):
        validate(tmp_path / 'x.h5')


# R itself.

LOCKED = 'file-locked'


def seen_by_r(rscript, out, asked):
    """A line of ``open_store.R`` for each pair of a file and what in it is asked for."""
    rscript('open_store.R', out, *(word for pair in asked for word in pair))
    return out.read_text('utf-8', errors='replace').splitlines()


@pytest.fixture(scope='session')
def in_r(built, rscript, tmp_path_factory):
    """What R saw of the file with each breach, and of the file without one: a line each."""
    folder, asked = tmp_path_factory.mktemp('in_r'), {}
    for number, case in enumerate(['', *BREACHES]):
        path = folder / f'{number}.h5'
        path.write_bytes((built / 'x.h5').read_bytes())
        if case:
            with h5py.File(path, 'r+') as file:
                BREACHES[case][1](file)
        asked[case] = path, 'results/mylm' if case.startswith('results-') else 'scalars/FA'
    asked[LOCKED] = folder / 'locked.h5', 'scalars/FA'
    asked[LOCKED][0].write_bytes((built / 'x.h5').read_bytes())
    with h5py.File(asked[LOCKED][0], 'r+'):
        lines = seen_by_r(rscript, folder / 'out.txt', asked.values())
    return {case: Seen(asked[case][0], line) for case, line in zip(asked, lines, strict=True)}


@dataclass
class Seen:
    """What ``open_store.R`` said of a file."""

    path: Path
    line: str

    def is_usable(self):
        """Whether there are numbers; those of R's raw bytes, and texts, are none."""
        words = self.line.split('\t')
        return words[0] not in {'stopped', 'crashed'} and words[-N_SOURCES:] != ['-'] * N_SOURCES

    def is_whole(self, *, turned=False):
        """Whether shape, names and numbers are those in the file, which R sees transposed."""
        with h5py.File(self.path) as file:
            matrix = file[VALUES][()] if turned else file[VALUES][()].T
            texts = names_in(file)
        shape, *words = self.line.split('\t')
        numbers = [float.fromhex(w) if w != '-' else np.nan for w in words[len(texts) :]]
        first = np.where(np.isfinite(matrix[0]), matrix[0], np.nan)
        return (
            shape == f'{matrix.shape[0]} {matrix.shape[1]}'
            and words[: len(texts)] == texts
            and np.array_equal(numbers, first, equal_nan=True)
        )


def names_in(file):
    """The names, wherever they are."""
    if 'column_names' in file[VALUES].attrs:
        return list(file[VALUES].attrs['column_names'])
    place = NAMES if NAMES in file else 'scalars/scalars/FA/column_names'
    return file[place].asstr()[()].ravel().tolist()


def of_scalars(errors):
    """Cases whose breach shows, or does not, when the scalar FA is opened."""
    severities = {name: rule.severity for name, rule in RULES.items()}
    elsewhere = ('scalar-name', 'scalar-nested', 'elements-', 'results-', 'filter-unknown: a_filt')
    return [
        case
        for case, (rule, _) in BREACHES.items()
        if (severities[rule] == Severity.ERROR) == errors and not case.startswith(elsewhere)
    ]


def test_r_opens_a_file_of_ours(in_r):
    assert in_r[''].is_whole()


# These are opened: what they are called, or that they are there twice, stops the analysis.
TAKEN = ('names-text', 'names-twice', 'names-contradict')


@pytest.mark.parametrize('case', [c for c in of_scalars(errors=True) if not c.startswith(TAKEN)])
def test_r_cannot_use_what_is_called_an_error(in_r, case):
    assert not in_r[case].is_usable()
    crashes = case.startswith(('attribute-deadly', 'names-blank'))
    assert (in_r[case].line == 'crashed') == crashes


@pytest.mark.parametrize('case', of_scalars(errors=False))
def test_r_sees_the_same_in_what_is_called_a_warning(in_r, case):
    assert in_r[case].is_whole(turned='values-turned' in case)


def test_r_turns_results_as_it_turns_scalars(in_r):
    shape, *words = in_r['results-turned: results_first'].line.split('\t')
    assert (shape, words[:3]) == (f'{N} 3', RESULTS)
    assert [float.fromhex(word) for word in words[3:]] == MATRIX[0].tolist()


def test_r_cuts_whole_numbers_as_it_is_said(rscript, tmp_path):
    """Each is the first value of the first source; R makes 2^53 + 1 the double that is nearest."""
    numbers = {
        ('i4', -(2**31)): '-',
        ('u4', 2**32 - 1): 2**31 - 1,
        ('i8', 5_000_000_000): 5_000_000_000,
        ('i8', 2**53 + 1): 2**53,
        ('u8', 5_000_000_000): 5_000_000_000,
    }
    asked = []
    for dtype, number in numbers:
        path = tmp_path / f'{dtype}_{number}.h5'
        with h5py.File(path, 'w') as file:
            file.create_dataset(VALUES, data=np.full((2, 3), number, f'<{dtype}'))
            file[NAMES] = ['a', 'b']
        asked.append((path, 'scalars/FA'))
    seen = [line.split('\t')[-1] for line in seen_by_r(rscript, tmp_path / 'out.txt', asked)]
    assert [s if s == '-' else float.fromhex(s) for s in seen] == list(numbers.values())


def test_r_cannot_open_what_is_being_written(in_r):
    assert in_r[LOCKED].line.startswith('stopped')


def test_r_takes_the_names_of_the_attribute(in_r):
    seen = in_r['names-contradict: other_names_in_the_attribute']
    assert seen.line.split('\t')[1 : 1 + N_SOURCES] == [f'sub-{n}' for n in range(N_SOURCES)]


def test_r_opens_a_file_whatever_its_elements_are(in_r):
    cases = [case for case in BREACHES if case.startswith('elements-')]
    assert all(in_r[case].is_whole() for case in cases)


STOPPED = ('results-missing: no_matrix', 'results-unnamed', 'results-count')


@pytest.mark.parametrize('case', [case for case in BREACHES if case.startswith('results-')])
def test_r_stops_at_results_where_that_is_said(in_r, case):
    if case != 'results-missing: results_without_rows':  # there is no row to look at
        assert in_r[case].line.startswith('stopped') == case.startswith(STOPPED)
