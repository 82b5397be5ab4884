"""Analyses of slices are, when merged, the analysis that would have been run at once."""

import itertools
import json
import logging
import os
import resource
import subprocess
import sys

import h5py
import nibabel as nb
import numpy as np
import pytest
from folders import refuses
from hdf5 import contents
from hypothesis import given, settings
from hypothesis import strategies as st
from images import group_mask, save, write_cohort
from stores import write_results

from modelarrayio_bids.cohort import Cohort
from modelarrayio_bids.conversion.build import is_up_to_date, to_modelarray
from modelarrayio_bids.errors import (
    AnalysisNotFoundError,
    CohortError,
    CohortProblemsError,
    OutputError,
    SchemaError,
    SpaceMismatchError,
    UsageError,
    WouldLoseResultsError,
)
from modelarrayio_bids.models.adjustment import p_adjust
from modelarrayio_bids.results.export import export_results
from modelarrayio_bids.results.merge import joined_levels, merge_results
from modelarrayio_bids.runtime.resources import Resources
from modelarrayio_bids.spaces import VoxelSpace
from modelarrayio_bids.store.reader import StoreReader

N = int(group_mask().sum())
NAMES = [
    'element_id',
    'Intercept.estimate',
    'age.p.value',
    'age.p.value.bonferroni',
    'age.p.value.fdr',
    'model.p.value',
    'model.p.value.BY',
    'model.nobs',
]


def analysed(elements, values):
    """What a run of ModelArray on these elements gives: p values are adjusted for them alone."""
    part = np.array(values)[elements]
    for column, name in enumerate(NAMES):
        raw, _, method = name.rpartition('.')
        if method in {'bonferroni', 'fdr', 'BY'}:
            part[:, column] = p_adjust(np.ascontiguousarray(part[:, NAMES.index(raw)]), method)
    return part


@pytest.fixture
def values():
    """Results of every element, one of them without enough subjects."""
    values = np.random.default_rng(5).beta(0.3, 2, (N, len(NAMES)))
    values[:, 0] = np.arange(N)
    values[3, 1:] = np.nan
    return values


@pytest.fixture
def store(tmp_path):
    write_cohort(tmp_path)
    space = VoxelSpace.from_mask_file(tmp_path / 'group_mask.nii.gz')
    return to_modelarray(Cohort.from_csv(tmp_path / 'cohort.csv'), space, tmp_path / 'x.h5')


@pytest.fixture
def sliced(store, values):
    """The file with three slices that are about all elements."""
    for number, elements in enumerate(np.split(np.arange(N), [5, 11])):
        write_results(store, f'mylm_part{number}', NAMES, analysed(elements, values))
    return store


def held(path, analysis='mylm'):
    """Names and matrix, (n_rows, n_results) as R sees it."""
    with StoreReader(path) as reader:
        results = reader.analysis(analysis)
        return list(results.names), results.matrix[()].T


def test_it_is_the_analysis_that_is_run_at_once(sliced, values):
    before = contents(sliced)
    merge_results([sliced], ['mylm_part*'], 'mylm')
    names, matrix = held(sliced)
    assert names == NAMES
    np.testing.assert_array_equal(matrix, analysed(np.arange(N), values))
    # All else is as it was.
    ours = {path for path in contents(sliced) if path.startswith('results/mylm/')}
    assert contents(sliced, without={'results/mylm', *ours}) == before


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_elements_may_be_shared_out_in_any_way(tmp_path_factory, data):
    values = np.random.default_rng(0).beta(0.3, 2, (N, len(NAMES)))
    values[:, 0] = np.arange(N)
    owners = np.array(data.draw(st.lists(st.integers(0, 3), min_size=N, max_size=N)))
    order = np.array(data.draw(st.permutations(range(N))))
    folder = tmp_path_factory.mktemp('slices')
    paths = []
    for number in np.unique(owners):
        elements = order[owners == number]
        where = data.draw(st.sampled_from(['attribute', 'dataset']))
        path = folder / f'{number}.h5'
        paths.append(write_results(path, 'x', NAMES, analysed(elements, values), where=where))
    output = folder / 'merged.h5'
    threads = data.draw(st.integers(1, 3))
    merge_results(paths, ['x'], 'mylm', output, allow_gaps=True, resources=Resources(threads))
    np.testing.assert_array_equal(held(output)[1], analysed(np.arange(N), values))


def test_it_is_stored_as_modelarray_does(sliced):
    merge_results([sliced], ['mylm_part*'], 'mylm')
    with h5py.File(sliced) as file:
        group = file['results/mylm']
        assert group['results_matrix'].dtype == np.dtype('<f8')
        assert group['results_matrix'].chunks == (len(NAMES), N)
        # R reads every attribute, and trips over some: there are none.
        assert not group['results_matrix'].attrs
        assert group['column_names'].asstr()[()].tolist() == NAMES


def test_what_was_merged_is_told(sliced, monkeypatch):
    monkeypatch.setenv('SOURCE_DATE_EPOCH', '0')
    merge_results([sliced], ['mylm_part*'], 'mylm')
    with h5py.File(sliced) as file:
        ours = file['results/mylm/modelarrayio']
        told = ours['merged_analysis'].asstr()[()].tolist()
        assert told == ['mylm_part0', 'mylm_part1', 'mylm_part2']
        assert ours['merged_file'].asstr()[()].tolist() == [str(sliced)] * 3
        assert ours.attrs['created'] == '1970-01-01T00:00:00+00:00'


def test_the_data_are_still_those_of_their_images(tmp_path, sliced):
    merge_results([sliced], ['mylm_part*'], 'mylm')
    cohort = Cohort.from_csv(tmp_path / 'cohort.csv')
    assert is_up_to_date(cohort, VoxelSpace.from_mask_file(tmp_path / 'group_mask.nii.gz'), sliced)


def test_maps_of_a_merged_analysis(tmp_path, sliced, values):
    merge_results([sliced], ['mylm_part*'], 'mylm')
    export_results(sliced, 'mylm', tmp_path / 'maps')
    data = nb.load(tmp_path / 'maps' / 'mylm_age.p.value.fdr.nii.gz').get_fdata(dtype=np.float32)
    expected = analysed(np.arange(N), values)[:, NAMES.index('age.p.value.fdr')]
    np.testing.assert_array_equal(data[group_mask() > 0], expected.astype(np.float32))


# Where slices are, and where the outcome goes.


@pytest.fixture
def jobs(tmp_path, values):
    """A file for each job, with the same name for its analysis in all of them."""
    return [
        write_results(tmp_path / f'job{number}.h5', 'mylm', NAMES, analysed(elements, values))
        for number, elements in enumerate(np.split(np.arange(N), [5, 11]))
    ]


def test_a_file_for_each_job_into_that_of_the_data(store, jobs, values):
    merge_results(jobs, ['mylm'], 'mylm', store)
    np.testing.assert_array_equal(held(store)[1], analysed(np.arange(N), values))


def test_a_copy_of_the_data_for_each_job(tmp_path, store, values):
    copies = [tmp_path / f'{number}.h5' for number in range(2)]
    for path, elements in zip(copies, np.split(np.arange(N), [9]), strict=True):
        path.write_bytes(store.read_bytes())
        write_results(path, 'mylm', NAMES, analysed(elements, values))
    before = [path.read_bytes() for path in copies]
    merge_results(copies, ['mylm'], 'mylm', tmp_path / 'new' / 'merged.h5')
    assert [path.read_bytes() for path in copies] == before
    # A new file has the elements, for the export, and not the data.
    export_results(tmp_path / 'new' / 'merged.h5', 'mylm', tmp_path / 'maps')
    with h5py.File(tmp_path / 'new' / 'merged.h5') as file:
        assert set(file) == {'voxels', 'modelarrayio', 'results'}
        assert file['modelarrayio'].attrs['software'] == 'modelarrayio-bids'


def test_one_of_the_files_may_be_the_output(tmp_path, store, jobs, values):
    write_results(store, 'mylm', NAMES, analysed(np.arange(5), values))
    files = [store, *jobs[1:]]
    refuses(
        store,
        lambda: merge_results(files, ['mylm'], 'mylm', store),
        WouldLoseResultsError,
        'x.h5: holds an analysis mylm that would be lost',
        '--overwrite',
    )
    merge_results(files, ['mylm'], 'mylm', store, overwrite=True)
    np.testing.assert_array_equal(held(store)[1], analysed(np.arange(N), values))


def test_several_files_need_an_output(jobs):
    with pytest.raises(UsageError, match='the analyses are in 3 files.*--output-hdf5'):
        merge_results(jobs, ['mylm'], 'merged')


def test_a_second_time(sliced, values):
    merge_results([sliced], ['mylm*'], 'mylm')
    merge_results([sliced], ['mylm*'], 'mylm', overwrite=True)
    np.testing.assert_array_equal(held(sliced)[1], analysed(np.arange(N), values))


def test_a_file_named_twice_counts_once(sliced):
    merge_results([sliced, sliced], ['mylm_part*'], 'mylm', sliced)


@pytest.mark.parametrize('name', ['', ' ', 'a/b', '..'])
def test_names_that_are_places(sliced, name):
    refuses(sliced, lambda: merge_results([sliced], ['mylm_part*'], name), SchemaError, repr(name))


def test_a_name_may_look_like_a_pattern(store, values):
    write_results(store, 'a[1]', NAMES, analysed(np.arange(5), values))
    write_results(store, 'a1', NAMES, analysed(np.arange(5, N), values))
    merge_results([store], ['a[1]'], 'mylm')
    assert len(held(store)[1]) == N


# What makes no one analysis.


def test_gaps_are_named(store, values, caplog):
    for number, elements in enumerate([np.arange(3, 5), np.arange(9, 11), [13, 15, 17, 19]]):
        write_results(store, f'part{number}', NAMES, analysed(elements, values))
    refuses(
        store,
        lambda: merge_results([store], ['part*'], 'mylm'),
        SchemaError,
        '16 elements are in none of the slices (3 analyses): element_id 0–2, 5–8, 11–12 and '
        '4 more ranges',
        'element.subset = 1:3 first',
        '--allow-gaps',
    )
    merge_results([store], ['part*'], 'mylm', allow_gaps=True)
    assert '16 elements are in none of the slices (3 analyses)' in caplog.text
    there = [3, 4, 9, 10, 13, 15, 17, 19]
    np.testing.assert_array_equal(held(store)[1], analysed(there, values))


def test_a_gap_of_one(store, values):
    write_results(store, 'part', NAMES, analysed(np.arange(1, N), values))
    refuses(
        store,
        lambda: merge_results([store], ['part'], 'mylm'),
        SchemaError,
        '1 element is in none of the slices (1 analysis): element_id 0. Run it in R, '
        'which counts from 1 (element.subset = 1:1), or do without it: --allow-gaps.',
    )


def test_a_gap_at_the_end_is_seen_by_the_data(store, jobs):
    refuses(
        store,
        lambda: merge_results(jobs[:2], ['mylm'], 'mylm', store),
        SchemaError,
        f'element_id 11–{N - 1}',
        f'element.subset = 12:{N})',
    )


def test_without_the_data_nobody_knows_of_a_gap_at_the_end(tmp_path, jobs):
    with pytest.raises(UsageError, match='no file contains the number of elements'):
        merge_results(jobs, ['mylm'], 'mylm', tmp_path / 'new.h5')
    assert not (tmp_path / 'new.h5').exists()


def test_overlaps_are_named(sliced, values):
    write_results(sliced, 'other', NAMES, analysed([4, 5, 6, 20], values))
    refuses(
        sliced,
        lambda: merge_results([sliced], ['mylm_part*', 'other'], 'mylm'),
        CohortProblemsError,
        f'mylm_part0 ({sliced}) and other ({sliced}) overlap: both have the element_id 4',
        'both have the element_id 5–6',
        'both have the element_id 20',
    )


@pytest.mark.parametrize(
    ('names', 'says'),
    [
        (NAMES[:-1], 'has 7 results, not 8 (without model.nobs)'),
        ([*NAMES, 'model.AIC'], 'has 9 results, not 8 (with model.AIC)'),
        ([*NAMES[:-1], 'model.AIC'], "has 'model.AIC' as its result 8, not 'model.nobs'"),
        ([*NAMES[:1], *NAMES[:0:-1]], "has 'model.nobs' as its result 2, not 'Intercept.estimate'"),
    ],
)
def test_other_results_are_named(sliced, values, names, says):
    matrix = np.random.default_rng(0).random((3, len(names)))
    matrix[:, 0] = [0, 1, 2]
    write_results(sliced, 'other', names, matrix)
    refuses(
        sliced,
        lambda: merge_results([sliced], ['mylm_part*', 'other'], 'mylm'),
        SchemaError,
        f'x.h5: analysis other {says}, unlike mylm_part0',
    )


def test_p_values_that_permutations_corrected_within_slices_are_not_joined(store, values):
    """A family-wise p value is about the greatest statistic of all elements."""
    names = ['element_id', 'age.p.value', 'age.p.value.fwe']
    cells = np.array(values)[:, [0, 2, 3]]
    slices = [
        write_results(store.with_name(f'{number}.h5'), 'lm', names, part)
        for number, part in enumerate(np.split(cells, [N // 2]))
    ]
    with pytest.raises(SchemaError, match=r'has age\.p\.value\.fwe, which permutations corrected'):
        merge_results(slices, ['lm'], 'all', store, overwrite=True)
    assert merge_results(slices[:1], ['lm'], 'part', store, allow_gaps=True) == store


def test_adjusted_p_values_need_raw_ones(store, values):
    names = ['element_id', 'age.estimate', 'age.p.value.fdr']
    write_results(store, 'all', names, values[:, :3])
    refuses(
        store,
        lambda: merge_results([store], ['all'], 'mylm'),
        SchemaError,
        'x.h5: analysis all has age.p.value.fdr without age.p.value',
    )


def test_all_that_is_wrong_is_told_at_once(sliced, values):
    write_results(sliced, 'killed', NAMES, values, where=None)
    write_results(sliced, 'nameless', ['a', 'b'], values[:, :2])
    write_results(sliced, 'far', ['element_id', 'b'], [[99, 0]])
    refuses(
        sliced,
        lambda: merge_results([sliced], ['*'], 'mylm'),
        CohortProblemsError,
        'x.h5: analysis killed has results without names: it was not finished',
        'x.h5: analysis nameless has no element_id',
        f'x.h5: analysis far has the element_id 99, expected 0 to {N - 1}',
    )


def test_analyses_that_are_not_there(tmp_path, sliced, jobs):
    refuses(
        sliced,
        lambda: merge_results([sliced], ['mygam*'], 'x'),
        AnalysisNotFoundError,
        "x.h5: holds no analysis 'mygam*'. Analyses it holds: mylm_part0, mylm_part1, mylm_part2.",
    )
    refuses(
        sliced,
        lambda: merge_results([sliced], ['mylm_part0', 'mylm_part9'], 'x'),
        AnalysisNotFoundError,
        "no file holds an analysis 'mylm_part9'",
    )
    refuses(
        jobs[0],
        lambda: merge_results([*jobs, sliced], ['mylm'], 'x', tmp_path / 'new.h5'),
        AnalysisNotFoundError,
        "x.h5: holds no analysis 'mylm'.",
    )
    assert not (tmp_path / 'new.h5').exists()


def test_files_about_other_elements(tmp_path, store, values):
    write_cohort(tmp_path / 'other')
    mask = group_mask()
    mask[0, 0, 0], mask[2, 2, 2] = 1, 0
    other = VoxelSpace.from_mask_file(save(tmp_path / 'mask.nii.gz', mask))
    cohort = Cohort.from_csv(tmp_path / 'cohort.csv')
    files = [store, to_modelarray(cohort, other, tmp_path / 'other.h5')]
    for path, elements in zip(files, np.split(np.arange(N), [9]), strict=True):
        write_results(path, 'mylm', NAMES, analysed(elements, values))
    refuses(
        store,
        lambda: merge_results(files, ['mylm'], 'x', store),
        SpaceMismatchError,
        'other.h5: has other elements than',
        'x.h5',
    )


# Factors.


def factor(store, analysis, elements, codes, levels):
    write_results(
        store,
        analysis,
        ['element_id', 'best'],
        np.column_stack([elements, codes]),
        levels=None if levels is None else {2: levels},
    )


def merged_factor(store):
    merge_results([store], ['part*'], 'mylm', allow_gaps=True)
    with StoreReader(store) as reader:
        levels = reader.analysis('mylm').levels['best']
    codes = held(store)[1][:, 1]
    return levels, [None if np.isnan(code) else levels[int(code) - 1] for code in codes]


def test_levels_that_some_slices_lack(store):
    # R numbers the levels there are: each slice has numbers of its own.
    factor(store, 'part0', [0, 1, 2], [2, 1, np.nan], ['linear', 'null'])
    factor(store, 'part1', [3, 4, 5], [1, 2, 3], ['cubic', 'linear', 'null'])
    factor(store, 'part2', [6, 7], [np.nan, np.nan], [])
    factor(store, 'part3', [8, 9], [2, 1], ['null', 'step'])
    levels, found = merged_factor(store)
    assert levels == ('cubic', 'linear', 'null', 'step')
    expected = ['null', 'linear', None, 'cubic', 'linear', 'null', None, None, 'step', 'null']
    assert found == expected


def test_the_order_of_levels_is_not_that_of_the_slices(store):
    factor(store, 'part0', [0, 1], [1, 2], ['b', 'c'])
    factor(store, 'part1', [2, 3], [1, 2], ['a', 'b'])
    assert merged_factor(store) == (('a', 'b', 'c'), ['b', 'c', 'a', 'b'])


@given(st.data())
def test_levels_are_in_the_order_of_every_slice(data):
    whole = data.draw(st.lists(st.text(max_size=3), unique=True))
    kept = st.lists(st.booleans(), min_size=len(whole), max_size=len(whole))
    slices = [
        tuple(itertools.compress(whole, which))
        for which in data.draw(st.lists(kept, min_size=1, max_size=5))
    ]
    joined = joined_levels(slices)
    for levels in slices:
        assert tuple(level for level in joined if level in levels) == levels
    assert sorted(joined) == sorted(set().union(*slices))
    assert joined_levels(data.draw(st.permutations(slices))) == joined


@given(st.data())
def test_levels_that_contradict_each_other_are_in_the_order_of_their_names(data):
    names = st.sampled_from('abcdef')
    first = data.draw(st.lists(names, unique=True, min_size=2))
    slices = [first, first[::-1], data.draw(st.lists(names, unique=True))]
    expected = tuple(sorted({*slices[0], *slices[2]}))
    assert joined_levels(data.draw(st.permutations(slices))) == expected


def test_levels_and_numbers_do_not_mix(store):
    factor(store, 'part0', [0, 1], [2, 1], ['linear', 'null'])
    factor(store, 'part1', [2, 3], [2, 1], None)
    refuses(
        store,
        lambda: merge_results([store], ['part*'], 'mylm'),
        SchemaError,
        'analysis part1 has numbers where the other has levels, or the reverse, in best',
    )


@pytest.mark.parametrize('code', [0, 3, 1.5, np.inf])
def test_codes_without_a_level(store, code):
    factor(store, 'part0', [0, 1], [code, 1], ['linear', 'null'])
    factor(store, 'part1', [2, 3, 4], [1, 2, 3], ['cubic', 'linear', 'null'])
    refuses(
        store,
        lambda: merge_results([store], ['part*'], 'mylm', allow_gaps=True),
        SchemaError,
        'result best of part0 is a factor of 2 levels',
    )


# After images were appended.


def test_a_mark_of_fewer_sources_stays(tmp_path, sliced):
    marks = {'n_sources': json.dumps({'FA': 2})}
    with h5py.File(sliced, 'a') as file:
        for number in range(2):
            file.create_group(f'results/mylm_part{number}/modelarrayio').attrs.update(marks)
    refuses(
        sliced,
        lambda: merge_results([sliced], ['mylm_part*'], 'mylm'),
        CohortError,
        'analysis mylm_part2 is of other sources of FA than mylm_part0',
        'with ',
        'sub-02_FA.nii.gz',
    )
    with h5py.File(sliced, 'a') as file:
        file.create_group('results/mylm_part2/modelarrayio').attrs.update(marks)
    merge_results([sliced], ['mylm_part*'], 'mylm')
    export_results(sliced, 'mylm', tmp_path / 'maps')
    sidecar = json.loads((tmp_path / 'maps' / 'mylm_results.json').read_text('utf-8'))
    assert sidecar['NumberOfSources'] == {'FA': 2}


# Of which images slices were made.


def copies(folder, values, *cohorts, scalars=('FA', 'FA')):
    """Two files with half of the elements each, of so many of the same subjects."""
    paths = []
    for number, (subjects, scalar) in enumerate(zip(cohorts, scalars, strict=True)):
        # The larger cohort last: the images of the smaller one are among its.
        write_cohort(folder, subjects=subjects, scalars=(scalar,))
        space = VoxelSpace.from_mask_file(folder / 'group_mask.nii.gz')
        cohort = Cohort.from_csv(folder / 'cohort.csv')
        paths.append(to_modelarray(cohort, space, folder / f'job{number}.h5'))
        elements = np.split(np.arange(N), [9])[number]
        write_results(paths[-1], 'mylm', NAMES, analysed(elements, values))
    return paths


def test_slices_of_other_images(tmp_path, values):
    files = copies(tmp_path, values, 2, 4)
    refuses(
        files[0],
        lambda: merge_results(files, ['mylm'], 'mylm', tmp_path / 'new.h5'),
        CohortError,
        f'{files[1]}: analysis mylm is of other sources of FA than mylm ({files[0]}): with ',
        'sub-02_FA.nii.gz, ',
        'sub-03_FA.nii.gz. Merge analyses of the same images.',
    )


def test_slices_of_other_scalars(tmp_path, values):
    files = copies(tmp_path, values, 3, 3, scalars=('alff', 'alff_smooth'))
    refuses(
        files[0],
        lambda: merge_results(files, ['mylm'], 'mylm', tmp_path / 'new.h5'),
        SchemaError,
        f'{files[1]}: analysis mylm is of alff_smooth, mylm ({files[0]}) of alff.',
    )


def test_a_file_that_lacks_images_of_the_slices(tmp_path, values):
    smaller, larger = copies(tmp_path, values, 2, 4)
    refuses(
        smaller,
        lambda: merge_results([larger], ['mylm'], 'merged', smaller, allow_gaps=True),
        CohortError,
        f'{smaller}: the file to write to is of other sources of FA than mylm ({larger}): without ',
    )


def test_a_file_that_has_grown_since(tmp_path, values):
    smaller, larger = copies(tmp_path, values, 2, 4)
    merge_results([smaller], ['mylm'], 'merged', larger, allow_gaps=True)
    with StoreReader(larger) as reader:
        assert reader.analysis('merged').n_sources == {'FA': 2}
    # An analysis kept while its file grew is still one of the same images.
    with h5py.File(larger, 'a') as file:
        file.move('results/mylm', 'results/kept')
        mark = {'n_sources': json.dumps({'FA': 2})}
        file.create_group('results/kept/modelarrayio').attrs.update(mark)
    merge_results([smaller, larger], ['mylm', 'kept'], 'all', tmp_path / 'new.h5')


def test_files_with_results_alone_have_no_images_to_compare(tmp_path, jobs, values):
    files = copies(tmp_path / 'with', values, 2, 2)
    merge_results(jobs, ['mylm'], 'merged', files[0])
    with StoreReader(files[0]) as reader:
        assert not reader.analysis('merged').n_sources


# The file is safe.


def test_a_disk_without_room(sliced):
    # A hole of 2⁴³ bytes takes no room, and a copy of it would.
    os.truncate(sliced, 2**43)
    beside = sorted(sliced.parent.iterdir())
    with pytest.raises(OutputError, match=r'x.h5: needs about 8,796\.\d GB of disk space'):
        merge_results([sliced], ['mylm_part*'], 'mylm')
    assert sliced.stat().st_size == 2**43
    assert sorted(sliced.parent.iterdir()) == beside


def test_an_output_that_is_no_hdf5_file(tmp_path, jobs):
    (tmp_path / 'cohort.csv').write_text('mine')
    with pytest.raises(ValueError, match='cohort.csv: cannot be opened as HDF5'):
        merge_results(jobs, ['mylm'], 'mylm', tmp_path / 'cohort.csv', allow_gaps=True)
    assert (tmp_path / 'cohort.csv').read_text() == 'mine'


def test_a_file_that_changed_meanwhile_stays(store, values):
    write_results(store, 'part', NAMES, analysed(np.arange(N - 1), values))

    class Touching(logging.Handler):
        """Changes the file as soon as a gap is told of."""

        def emit(self, record):
            os.utime(store, (1, 1))

    logger, handler = logging.getLogger('modelarrayio_bids.results.merge'), Touching()
    logger.addHandler(handler)
    try:
        refuses(
            store,
            lambda: merge_results([store], ['part'], 'mylm', allow_gaps=True),
            OutputError,
            'was changed by another program',
        )
    finally:
        logger.removeHandler(handler)


def test_many_more_files_than_may_be_open(tmp_path, values):
    paths = [
        write_results(tmp_path / f'{n}.h5', 'mylm', NAMES, analysed([n], values)) for n in range(N)
    ]
    program = (
        'import sys; from modelarrayio_bids.results.merge import joined_levels, merge_results\n'
    )
    program += 'merge_results(sys.argv[2:], ["mylm"], "mylm", sys.argv[1], allow_gaps=True)'
    subprocess.run(
        [sys.executable, '-c', program, tmp_path / 'merged.h5', *paths],
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20)),
    )
    np.testing.assert_array_equal(held(tmp_path / 'merged.h5')[1], analysed(range(N), values))
