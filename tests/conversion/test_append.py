"""Files that grew are the files that would have been made at once."""

import json
import logging
import os
import subprocess
import sys
from itertools import pairwise

import greyordinates as cifti
import h5py
import numpy as np
import pytest
from folders import refuses
from hdf5 import contents
from images import SHAPE, expected_rows, save, subject_map, write_cohort
from mrtrix import fixel_directory, save_values
from stores import write_results

from modelarrayio_bids.cohort import Cohort
from modelarrayio_bids.conversion.append import append_sources
from modelarrayio_bids.conversion.build import is_up_to_date, to_modelarray
from modelarrayio_bids.errors import (
    CohortError,
    CohortProblemsError,
    DuplicateSourceError,
    MixedSpacesError,
    OutputError,
    SchemaError,
    SpaceMismatchError,
    UsageError,
    WouldLoseResultsError,
)
from modelarrayio_bids.results.export import export_results
from modelarrayio_bids.runtime.resources import Resources
from modelarrayio_bids.spaces import References, space_of
from modelarrayio_bids.store.chunk_layout import Layout

HISTORY = 'modelarrayio/history'


def voxels(folder):
    write_cohort(folder, subjects=7, scalars=('FA', 'MD'))
    return Cohort.from_csv(folder / 'cohort.csv'), References(mask=folder / 'group_mask.nii.gz')


def longitudinal(folder):
    """Every subject twice: first all of their first sessions, as such tables are sorted or not."""
    cohort, references = voxels(folder)
    rows = [
        row | {'participant_id': f'sub-{number // 2}', 'session_id': f'ses-{number % 2}'}
        for number, row in enumerate(cohort.rows)
    ]
    return Cohort.from_rows(rows), references


def images(paths):
    rows = [{'scalar_name': 'x', 'source_file': str(path)} for path in paths]
    return Cohort.from_rows(rows), References()


def fixels(folder):
    fixel_directory(folder)
    values = np.random.default_rng(0).random((7, 6))
    return images([save_values(folder / f'sub-{n}.mif', row) for n, row in enumerate(values)])


def greyordinates(folder):
    return images(
        cifti.save_map(folder / f'{n}.dscalar.nii', cifti.random_values(66, seed=n), axis)
        for n, axis in enumerate([cifti.brain_models()] * 7)
    )


def parcels(folder):
    return images(
        cifti.save_map(folder / f'{n}.pscalar.nii', cifti.random_values(4, seed=n), axis)
        for n, axis in enumerate([cifti.parcels()] * 7)
    )


def edges(folder):
    return images(
        cifti.save_matrix(folder / f'{n}.pconn.nii', cifti.random_values(4, 4, seed=n), axes)
        for n, axes in enumerate([(cifti.parcels(), cifti.parcels())] * 7)
    )


KINDS = [voxels, longitudinal, fixels, greyordinates, parcels, edges]


def parts(cohort, *bounds):
    """The cohort cut before these rows of each scalar."""
    of_scalars = [cohort.only(scalar).rows for scalar in cohort.scalars]
    for first, stop in pairwise([0, *bounds, len(cohort.rows)]):
        rows = [row for of_scalar in of_scalars for row in of_scalar[first:stop]]
        yield Cohort(cohort.columns, tuple(rows), cohort.folder)


def build(cohort, references, output, layout=Layout()):
    space = space_of(cohort.sources(), references)
    return to_modelarray(cohort, space, output, layout, summaries=True)


@pytest.fixture
def grown(tmp_path):
    """A file of four subjects and two scalars, the cohort of three more, and that of all."""
    cohort, references = voxels(tmp_path)
    first, more = parts(cohort, 4)
    return build(first, references, tmp_path / 'x.h5'), more, cohort, references


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('bounds', [(4,), (1, 2, 6)])
def test_it_is_the_file_that_is_made_at_once(tmp_path, kind, bounds):
    cohort, references = kind(tmp_path)
    at_once = build(cohort, references, tmp_path / 'at_once.h5')
    first, *others = parts(cohort, *bounds)
    store = build(first, references, tmp_path / 'x.h5')
    for more in others:
        append_sources(more, store)
    assert contents(store, without=[HISTORY]) == contents(at_once)
    # Known by the same identity, so that a run that would make it finds it made.
    assert is_up_to_date(cohort, space_of(cohort.sources(), references), store)


@pytest.mark.parametrize(
    'layout',
    [
        Layout('float64', chunk_columns=5),
        Layout(compression='lzf', chunk_bytes=100),
        Layout(compression='none'),
        Layout(level=9, shuffle=False, chunk_columns=7),
    ],
)
@pytest.mark.parametrize('threads', [1, 3])
def test_values_are_stored_as_they_were(tmp_path, layout, threads):
    cohort, references = voxels(tmp_path)
    at_once = build(cohort, references, tmp_path / 'at_once.h5', layout)
    first, more = parts(cohort, 2)
    store = build(first, references, tmp_path / 'x.h5', layout)
    append_sources(more, store, resources=Resources(threads))
    assert contents(store, without=[HISTORY]) == contents(at_once)


def test_the_old_images_may_be_gone(tmp_path, grown):
    store, more, cohort, references = grown
    at_once = build(cohort, references, tmp_path / 'at_once.h5')
    for source in cohort.sources():
        if source not in more.sources():
            source.path.unlink()
            source.mask.unlink(missing_ok=True)
    append_sources(more, store)
    ours = ['modelarrayio', HISTORY]
    assert contents(store, without=ours) == contents(at_once, without=ours)
    # Nobody can tell any more whether the old rows are those of the images there were.
    with h5py.File(store) as file:
        assert 'identity' not in file['modelarrayio'].attrs


def test_an_old_image_that_changed_is_named(grown, caplog):
    store, more, cohort, references = grown
    changed = cohort.sources('MD')[2].path
    save(changed, subject_map(77))
    append_sources(more, store)
    assert 'Images of MD that changed since the file was made' in caplog.text
    assert str(changed) in caplog.text
    with h5py.File(store) as file:
        np.testing.assert_array_equal(file['scalars/MD/values'][()], expected_rows(7, 100))
    assert not is_up_to_date(cohort, space_of(cohort.sources(), references), store)


def test_to_another_file(tmp_path, grown):
    store, more, cohort, references = grown
    write_results(store, 'mylm', ['element_id'], np.arange(24)[:, None])
    before = store.read_bytes()
    append_sources(more, tmp_path / 'new' / 'y.h5', store)
    assert store.read_bytes() == before
    at_once = build(cohort, references, tmp_path / 'at_once.h5')
    assert contents(tmp_path / 'new' / 'y.h5', without=[HISTORY]) == contents(at_once)


def test_a_scalar_without_new_images_stays(tmp_path, grown, caplog):
    store, more, _, references = grown
    append_sources(more.only('MD'), store)
    assert 'FA stays as it is, with 4 sources' in caplog.text
    first, _ = parts(voxels(tmp_path)[0], 4)
    rows = (*first.only('FA').rows, *Cohort.from_csv(tmp_path / 'cohort.csv').only('MD').rows)
    at_once = build(Cohort(first.columns, rows), references, tmp_path / 'at_once.h5')
    ours = ['modelarrayio', HISTORY, *(f'modelarrayio/sources/{s}/modified' for s in ('FA', 'MD'))]
    assert contents(store, without=ours) == contents(at_once, without=ours)


def test_what_nobody_knows_stays_too(grown):
    store, more, *_ = grown
    with h5py.File(store, 'a') as file:
        file['notes/mine'] = [1, 2, 3]
        file['notes'].attrs['by'] = 'me'
    append_sources(more, store)
    with h5py.File(store) as file:
        assert file['notes/mine'][()].tolist() == [1, 2, 3]
        assert file['notes'].attrs['by'] == 'me'


def test_a_scalar_may_be_called_like_a_part_of_the_template(tmp_path):
    write_cohort(tmp_path, subjects=3, scalars=('FA', 'mask'))
    cohort = Cohort.from_csv(tmp_path / 'cohort.csv')
    references = References(mask=tmp_path / 'group_mask.nii.gz')
    first, more = parts(cohort, 2)
    store = build(first, references, tmp_path / 'x.h5')
    append_sources(more.only('FA'), store)
    with h5py.File(store) as file:
        assert file['modelarrayio/template/mask'].shape == SHAPE
        np.testing.assert_array_equal(file['scalars/mask/values'][()], expected_rows(2, 100))


def test_the_history_of_a_file(tmp_path, monkeypatch):
    monkeypatch.setenv('SOURCE_DATE_EPOCH', '0')
    cohort, references = voxels(tmp_path)
    first, second, third = parts(cohort, 2, 6)
    store = build(first, references, tmp_path / 'x.h5')
    append_sources(second, store)
    append_sources(third, store)
    with h5py.File(store) as file:
        events = [json.loads(text) for text in file[HISTORY].asstr()[()]]
    assert [event['n_sources'] for event in events] == [{'FA': n, 'MD': n} for n in (2, 6, 7)]
    assert {event['created'] for event in events} == {'1970-01-01T00:00:00+00:00'}


# Results of the smaller cohort.


def test_results_are_not_lost_unless_told_to(grown):
    store, more, *_ = grown
    write_results(store, 'mylm', ['element_id'], np.arange(24)[:, None])
    refuses(
        store,
        lambda: append_sources(more, store),
        WouldLoseResultsError,
        'x.h5: holds results of the smaller cohort: mylm',
        '--keep-results',
        '--overwrite',
    )
    append_sources(more, store, overwrite=True)
    with h5py.File(store) as file:
        assert 'results' not in file


def test_results_that_are_kept_are_marked(tmp_path, grown, caplog):
    store, more, *_ = grown
    matrix = np.column_stack([np.arange(24), np.linspace(0, 1, 24)])
    write_results(store, 'mylm', ['element_id', 'age.p.value'], matrix, levels={2: ['a', 'b']})
    before = contents(store)
    append_sources(more, store, keep_results=True)
    after = contents(store)
    kept = [path for path in before if path.startswith('results')]
    assert {path: after[path] for path in kept} == {path: before[path] for path in kept}
    export_results(store, 'mylm', tmp_path / 'maps')
    assert 'mylm was made when the file had fewer images: 4 of FA, 4 of MD' in caplog.text
    sidecar = json.loads((tmp_path / 'maps' / 'mylm_results.json').read_text('utf-8'))
    assert sidecar['NumberOfSources'] == {'FA': 4, 'MD': 4}


def test_a_mark_is_that_of_the_analysis(tmp_path):
    cohort, references = voxels(tmp_path)
    first, second, third = parts(cohort, 2, 6)
    store = build(first, references, tmp_path / 'x.h5')
    write_results(store, 'first', ['element_id'], np.arange(24)[:, None])
    append_sources(second, store, keep_results=True)
    write_results(store, 'second', ['element_id'], np.arange(24)[:, None])
    append_sources(third.only('FA'), store, keep_results=True)

    def noted(analysis):
        export_results(store, analysis, tmp_path / analysis)
        sidecar = tmp_path / analysis / f'{analysis}_results.json'
        return json.loads(sidecar.read_text('utf-8')).get('NumberOfSources')

    assert noted('first') == {'FA': 2, 'MD': 2}
    assert noted('second') == {'FA': 6}
    # As R writes an analysis anew.
    with h5py.File(store, 'a') as file:
        del file['results/first']
    write_results(store, 'first', ['element_id'], np.arange(24)[:, None])
    assert noted('first') is None


# What keeps images from being added.


def test_what_the_file_holds_already_is_named(grown):
    store, more, cohort, _ = grown
    again = Cohort(cohort.columns, (*more.rows, *cohort.only('FA').rows[1:3]), cohort.folder)
    refuses(
        store,
        lambda: append_sources(again, store),
        DuplicateSourceError,
        'x.h5: holds 2 of the new sources of FA already:',
        'sub-01_FA.nii.gz',
        'sub-02_FA.nii.gz',
    )


def test_another_name_of_the_same_image_is_known(tmp_path, grown, monkeypatch):
    store, _, cohort, _ = grown
    monkeypatch.chdir(tmp_path)
    row = cohort.rows[0] | {'source_file': f'masks/../FA/{cohort.sources()[0].path.name}'}
    again = Cohort(cohort.columns, (row,), cohort.folder)
    refuses(
        store, lambda: append_sources(again, store), DuplicateSourceError, 'masks/../FA/sub-00_FA'
    )


def test_all_problems_are_told_before_anything_is_read(tmp_path, grown):
    store, more, cohort, _ = grown
    (wrong, gone, *_) = more.sources('FA')
    save(wrong.path, subject_map(0, (4, 5, 7)))
    gone.path.unlink()
    rows = (*more.rows, cohort.rows[0], cohort.rows[1] | {'scalar_name': 'AD'})
    refuses(
        store,
        lambda: append_sources(Cohort(cohort.columns, rows), store),
        CohortProblemsError,
        '4 problems, nothing was written',
        "x.h5: holds no scalar 'AD'; it holds FA, MD",
        'x.h5: holds 1 of the new sources of FA already',
        f'{wrong.path}: has shape 4 × 5 × 7, expected 4 × 5 × 6',
        f'{gone.path}: no such file',
    )


def test_images_of_another_kind(tmp_path, grown):
    store, *_ = grown
    path = cifti.save_map(tmp_path / 'a.dscalar.nii', cifti.random_values(66), cifti.brain_models())
    cohort = Cohort.from_rows([{'scalar_name': 'FA', 'source_file': str(path)}])
    refuses(
        store,
        lambda: append_sources(cohort, store),
        CohortProblemsError,
        'x.h5: holds voxels, and',
        'a.dscalar.nii is of greyordinates',
        'no row of the cohort has a source_mask_file',
    )


def test_voxels_need_masks(grown):
    store, more, *_ = grown
    rows = [{k: v for k, v in row.items() if k != 'source_mask_file'} for row in more.rows]
    refuses(
        store,
        lambda: append_sources(Cohort.from_rows(rows), store),
        CohortError,
        'no row of the cohort has a source_mask_file',
    )


def test_another_mask_than_that_of_the_file(tmp_path, grown):
    store, more, *_ = grown
    other = save(tmp_path / 'other.nii.gz', np.ones(SHAPE, np.uint8))
    refuses(
        store,
        lambda: append_sources(more, store, references=References(mask=other)),
        SpaceMismatchError,
        'x.h5: holds 24 voxels, and',
    )


def test_maps_are_chosen_as_in_the_beginning(tmp_path):
    values = [cifti.random_values(2, 66, seed=n) for n in range(3)]
    axes = cifti.maps('a', 'b'), cifti.brain_models()
    paths = [
        cifti.save_matrix(tmp_path / f'{n}.dscalar.nii', v, axes) for n, v in enumerate(values)
    ]
    cohort, _ = images(paths)
    references = References(map='b')
    at_once = build(cohort, references, tmp_path / 'at_once.h5')
    first, more = parts(cohort, 1)
    store = build(first, references, tmp_path / 'x.h5')
    with pytest.raises(ValueError, match='2 maps'):
        append_sources(more, store)
    append_sources(more, store, references=references)
    assert contents(store, without=[HISTORY]) == contents(at_once)


def test_voxels_have_no_maps(grown):
    store, more, *_ = grown
    refuses(
        store,
        lambda: append_sources(more, store, references=References(map='1')),
        UsageError,
        'no maps',
    )


# Files that others made.


@pytest.fixture
def of_predecessor(grown):
    """As ``modelarrayio`` 26.0.0 leaves a file: no template, chunks of 2 MiB, zlib's level 4."""
    store, more, cohort, references = grown
    with h5py.File(store, 'a') as file:
        del file['modelarrayio']
        for scalar in ('FA', 'MD'):
            values = file[f'scalars/{scalar}/values'][()]
            del file[f'scalars/{scalar}/values']
            file.create_dataset(
                f'scalars/{scalar}/values', data=values, chunks=(4, 24), compression='gzip'
            )
    return store, more, cohort, references


def test_a_file_of_the_predecessor_needs_its_mask(of_predecessor):
    store, more, _, references = of_predecessor
    refuses(store, lambda: append_sources(more, store), UsageError, '--mask')
    append_sources(more, store, references=references)
    with h5py.File(store) as file:
        for first_seed, scalar in ((0, 'FA'), (100, 'MD')):
            values = file[f'scalars/{scalar}/values']
            np.testing.assert_array_equal(values[()], expected_rows(7, first_seed))
            assert (values.compression, values.compression_opts) == ('gzip', 4)
            assert not values.shuffle
        # Nobody knows of the first ones what the file does not say.
        sizes = file['modelarrayio/sources/FA/size'][()]
        assert (sizes[:4] == -1).all()
        assert (sizes[4:] > 0).all()
        assert 'identity' not in file['modelarrayio'].attrs
    # It is one of ours now.
    with pytest.raises(CohortProblemsError, match='of the new sources of FA already'):
        append_sources(more, store)


def test_names_in_an_attribute_and_scalars_one_group_further_in(of_predecessor):
    store, more, _, references = of_predecessor
    with h5py.File(store, 'a') as file:
        for scalar in ('FA', 'MD'):
            group = file[f'scalars/{scalar}']
            group['values'].attrs['column_names'] = group['column_names'].asstr()[()].tolist()
            del group['column_names']
        file.move('scalars', 'inner')
        file.create_group('scalars')
        file.move('inner', 'scalars/scalars')
    append_sources(more.only('FA'), store, references=references)
    with h5py.File(store) as file:
        assert set(file['scalars']) == {'FA', 'MD'}
        assert len(file['scalars/FA/column_names']) == 7
        assert not file['scalars/FA/values'].attrs
        np.testing.assert_array_equal(file['scalars/MD/values'][()], expected_rows(4, 100))


@pytest.mark.parametrize('chunks', [(1, 24), None, (2, 5)])
def test_chunks_that_do_not_span_the_sources(of_predecessor, chunks):
    store, more, _, references = of_predecessor
    with h5py.File(store, 'a') as file:
        values = file['scalars/FA/values'][()]
        del file['scalars/FA/values']
        file.create_dataset('scalars/FA/values', data=values, chunks=chunks)
    append_sources(more, store, references=references)
    with h5py.File(store) as file:
        np.testing.assert_array_equal(file['scalars/FA/values'][()], expected_rows(7))
        assert file['scalars/FA/values'].chunks[0] == 7


def test_values_of_both_types_lose_nothing(of_predecessor):
    store, more, _, references = of_predecessor
    precise = np.random.default_rng(0).random((4, 24))
    with h5py.File(store, 'a') as file:
        del file['scalars/MD/values']
        file['scalars/MD/values'] = precise
    append_sources(more, store, references=references)
    with h5py.File(store) as file:
        np.testing.assert_array_equal(file['scalars/MD/values'][:4], precise)


@pytest.mark.parametrize(
    ('spoil', 'says'),
    [
        (lambda names, values: (names[:3], values), 'FA has 4 rows of values and 3 names'),
        (lambda names, values: (names, values.astype(int)), 'expected a matrix of float32'),
        (lambda names, values: (names, values[0]), 'values of FA are 1-dimensional'),
        (lambda names, values: (names, values[:, 1:]), 'has 23 values for each source of FA'),
    ],
)
def test_files_that_contradict_themselves(grown, spoil, says):
    store, more, *_ = grown
    with h5py.File(store, 'a') as file:
        group = file['scalars/FA']
        names, values = spoil(group['column_names'].asstr()[()], np.nan_to_num(group['values'][()]))
        del group['column_names'], group['values']
        group.create_dataset('column_names', data=list(names), dtype=h5py.string_dtype())
        group['values'] = values
    refuses(store, lambda: append_sources(more, store), SchemaError, 'x.h5', says)


def test_damaged_values_are_not_taken_for_a_full_disk(tmp_path):
    cohort, references = voxels(tmp_path)
    first, more = parts(cohort, 4)
    store = build(first, references, tmp_path / 'x.h5')
    with h5py.File(store) as file:
        chunk = file['scalars/FA/values'].id.get_chunk_info(0)
    data = bytearray(store.read_bytes())
    data[chunk.byte_offset + 2 : chunk.byte_offset + chunk.size] = b'\xff' * (chunk.size - 2)
    store.write_bytes(data)
    refuses(
        store,
        lambda: append_sources(more, store),
        ValueError,
        'x.h5: cannot be read at /scalars/FA/values',
    )


# The old file is safe.


WRITER = """
import sys, h5py
with h5py.File(sys.argv[1], 'a') as file:
    file['notes'] = 1
    print('open', flush=True)
    sys.stdin.read()
"""


def test_who_writes_to_the_file_meanwhile_loses_nothing(grown):
    store, more, *_ = grown
    command = [sys.executable, '-c', WRITER, store]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout.readline() == b'open\n'
        refuses(
            store, lambda: append_sources(more, store), OutputError, 'is being written by another'
        )
        writer.stdin.close()
        assert writer.wait() == 0
    with h5py.File(store, 'a') as file:
        assert file['notes'][()] == 1
        with pytest.raises(OutputError, match='is being written by another'):
            append_sources(more, store)


def test_a_file_that_changed_meanwhile_stays(grown):
    # Where the file system has no locks, size and time tell.
    store, more, *_ = grown
    read = more.sources('FA')[0].path

    class Touching(logging.Handler):
        """Changes the file as soon as anything is said of the images."""

        def emit(self, record):
            os.utime(store, (1, 1))

    # Which is warned of when it is read.
    save(read, np.full(SHAPE, np.nan, np.float32))
    logger = logging.getLogger('modelarrayio_bids.conversion.row_reader')
    handler = Touching()
    logger.addHandler(handler)
    try:
        refuses(
            store,
            lambda: append_sources(more, store),
            OutputError,
            'was changed by another program',
        )
    finally:
        logger.removeHandler(handler)


def test_a_disk_without_room(grown):
    store, more, *_ = grown
    # A hole of 2⁴³ bytes takes no room, and a copy of it would.
    os.truncate(store, 2**43)
    beside = sorted(store.parent.iterdir())
    with pytest.raises(OutputError, match=r'x.h5: needs about 8,796\.\d GB of disk space'):
        append_sources(more, store)
    assert store.stat().st_size == 2**43
    assert sorted(store.parent.iterdir()) == beside


def test_through_a_link_its_target_grows(tmp_path, grown):
    store, more, *_ = grown
    link = tmp_path / 'links' / 'y.h5'
    link.parent.mkdir()
    link.symlink_to(store)
    append_sources(more, link)
    assert link.is_symlink()
    with h5py.File(store) as file:
        assert len(file['scalars/FA/column_names']) == 7
    assert [path.name for path in link.parent.iterdir()] == ['y.h5']


def test_what_the_kinds_have_in_common_is_told_apart(tmp_path):
    """Parcels and edges share their names, not their images."""
    cohort, references = parcels(tmp_path)
    store = build(cohort, references, tmp_path / 'x.h5')
    more, _ = edges(tmp_path / 'edges')
    refuses(store, lambda: append_sources(more, store), MixedSpacesError, 'holds parcels')
