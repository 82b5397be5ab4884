"""Models fitted by a workflow, whole and in blocks of elements."""

import h5py
import numpy as np
import pandas as pd
import pytest
from nipype import Node, Workflow
from nipype.interfaces.utility import IdentityInterface
from stores import read_results, write_scalar

from modelarrayio_bids.interfaces import FitModel
from modelarrayio_bids.workflows import init_model_wf

# More elements than are fitted at once.
N, ELEMENTS = 30, 5000


@pytest.fixture
def files(tmp_path):
    """Two HDF5 files and their cohorts."""
    rng = np.random.default_rng(0)
    made = []
    for scalar in ('FA', 'MD'):
        folder = tmp_path / scalar
        folder.mkdir()
        names = [f'sub-{n:02d}_{scalar}.nii.gz' for n in range(N)]
        ages = rng.uniform(8, 80, N).round(1)
        pd.DataFrame({'source_file': names, 'age': ages}).to_csv(folder / 'c.csv', index=False)
        values = rng.normal(size=(N, ELEMENTS)) + np.outer(ages, np.linspace(0, 0.1, ELEMENTS))
        values[:12, 4000:] = np.nan
        made.append((write_scalar(folder / 'x.h5', scalar, values, names), folder / 'c.csv'))
    return made


def run(workflow, folder):
    workflow.base_dir = str(folder)
    workflow.config['execution'] = {'check_version': 'false', 'crashdump_dir': str(folder)}
    return workflow.run()


def results(files, analysis='lm'):
    return [read_results(store, analysis) for store, _ in files]


def same(ones, others):
    return all(
        list(one) == list(other)
        and all(np.array_equal(one[name], other[name], equal_nan=True) for name in one)
        for one, other in zip(ones, others, strict=True)
    )


def test_another_pipeline_embeds_it(files, tmp_path):
    before = Node(IdentityInterface(['stores', 'tables']), 'before')
    before.inputs.stores, before.inputs.tables = map(list, zip(*files, strict=True))
    ours = init_model_wf(formula='~ age', options={'var_terms': ['estimate', 'std.error']})
    workflow = Workflow('theirs')
    workflow.connect([(before, ours, [
        ('stores', 'inputnode.in_files'), ('tables', 'inputnode.cohort_files'),
    ])])  # fmt: skip
    run(workflow, tmp_path / 'work')
    for store, table in files:
        interface = FitModel(in_file=store, cohort_file=table, formula='~ age')
        interface.inputs.trait_set(analysis_name='alone', var_terms=['estimate', 'std.error'])
        interface.run(cwd=tmp_path)
    assert same(results(files), results(files, 'alone'))
    assert 'age.std.error' in results(files)[0]


@pytest.mark.parametrize('n_blocks', [1, 2, 200])
def test_blocks_give_the_same_to_the_last_bit(files, tmp_path, n_blocks):
    stores, tables = zip(*files, strict=True)
    whole = init_model_wf(stores, tables, '~ age', 'whole')
    run(whole, tmp_path / 'work')
    blocks = init_model_wf(stores, tables, ['FA ~ age', 'MD ~ age'], 'lm', n_blocks=n_blocks)
    run(blocks, tmp_path / 'work')
    assert same(results(files), results(files, 'whole'))


def test_an_analysis_of_the_same_model_is_kept(files, tmp_path):
    stores, tables = zip(*files, strict=True)
    again = {'reuse_existing': True, 'name': 'again'}
    run(init_model_wf(stores, tables, '~ age'), tmp_path / 'work')
    before = [store.stat().st_mtime_ns for store in stores]
    run(init_model_wf(stores, tables, '~ age', **again), tmp_path / 'work')
    assert [store.stat().st_mtime_ns for store in stores] == before
    with pytest.raises(Exception, match='holds an analysis lm that would be lost'):
        run(init_model_wf(stores, tables, '~ I(age^2)', **again), tmp_path / 'work')
    run(init_model_wf(stores, tables, '~ I(age^2)', overwrite=True), tmp_path / 'work')
    assert 'I(age^2).estimate' in results(files)[0]


def test_blocks_of_a_file_that_was_made_anew_are_fitted_anew(files, tmp_path):
    (store, table), *_ = files
    for number in range(2):
        blocks = init_model_wf([store], [table], '~ age', n_blocks=2, overwrite=True)
        run(blocks, tmp_path / 'work')
        found = read_results(store, 'lm')
        whole = init_model_wf([store], [table], '~ age', f'whole{number}', name='whole_wf')
        run(whole, tmp_path / 'work')
        assert same([found], [read_results(store, f'whole{number}')])
        with h5py.File(store, 'a') as file:
            file['scalars/FA/values'][...] = file['scalars/FA/values'][()][::-1]


@pytest.mark.parametrize('n_blocks', [1, 3])
def test_blocks_of_permutations_give_the_same_to_the_last_bit(files, tmp_path, n_blocks):
    stores, tables = zip(*files, strict=True)
    asked = {'options': {'permutations': 40, 'seed': 3}, 'name': 'permuted'}
    run(init_model_wf(stores, tables, '~ age', 'whole', **asked), tmp_path / 'work')
    blocks = init_model_wf(stores, tables, '~ age', 'lm', n_blocks=n_blocks, **asked)
    run(blocks, tmp_path / 'more')
    assert same(results(files), results(files, 'whole'))
    assert 'age.p.value.fwe' in results(files)[0]
