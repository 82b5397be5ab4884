"""Our nodes and workflows inside someone else's."""

import h5py
import nibabel as nb
import numpy as np
import pytest
import trees
from images import expected_rows, group_mask, write_cohort
from nipype import Function, MapNode, Node, Workflow

from modelarrayio_bids.interfaces import CollectCohort, ExportResults, GroupMask, ToModelArray
from modelarrayio_bids.workflows import init_export_wf, init_modelarray_wf


def write_study(folder):
    """A pipeline's sink: it writes derivatives and says where."""
    from pathlib import Path

    import trees

    return str(trees.write_study(Path(folder), trees.people(3)))


def fit(store):
    """A stand-in for R: the mean over sources of each element, as ModelArray would store it."""
    import h5py
    import numpy as np

    with h5py.File(store, 'a') as file:
        if 'results' in file:  # Nipype runs a node again whose input has changed
            return store
        (scalar,) = file['scalars']
        mean = np.nanmean(file[f'scalars/{scalar}/values'][()], axis=0)
        matrix = np.stack([np.arange(mean.size), mean])
        results = file.create_dataset('results/means/results_matrix', data=matrix)
        results.attrs['colnames'] = np.array([b'element_id', b'mean.estimate'])
    return store


def count(images):
    return len(images)


def test_the_four_interfaces_between_nodes_of_others(tmp_path):
    before = Node(Function(['folder'], ['study'], write_study), 'before')
    before.inputs.folder = str(tmp_path / 'study')
    collect = Node(CollectCohort(scalars=['cbf'], output_dir=str(tmp_path / 'out')), 'collect')
    mask = MapNode(GroupMask(), ['cohort_file'], 'mask')
    build = MapNode(ToModelArray(), ['cohort_file', 'in_mask'], 'build')
    model = MapNode(Function(['store'], ['store'], fit), ['store'], 'model')
    export = MapNode(ExportResults(analysis_name='means'), ['in_file'], 'export')
    after = MapNode(Function(['images'], ['n'], count), ['images'], 'after')
    workflow = Workflow('theirs', base_dir=str(tmp_path / 'work'))
    workflow.connect([
        (before, collect, [('study', 'bids_dir')]),
        (collect, mask, [('cohort_files', 'cohort_file')]),
        (collect, build, [('cohort_files', 'cohort_file')]),
        (mask, build, [('out_mask', 'in_mask')]),
        (build, model, [('out_file', 'store')]),
        (model, export, [('store', 'in_file')]),
        (export, after, [('out_files', 'images')]),
    ])  # fmt: skip
    graph = workflow.run()
    results = {node.name: node.result.outputs for node in graph.nodes()}
    assert results['after'].n == [2]
    mean = nb.load(results['export'].out_files[0][1]).get_fdata()
    maps = [
        np.where(trees.brain(person), trees.map_values(person, 'cbf'), np.nan)
        for person in trees.people(3)
    ]
    assert mean.shape == maps[0].shape
    assert (mean != 0).any()


def test_our_workflow_feeds_someone_elses(tmp_path):
    study = trees.write_study(tmp_path / 'study', trees.people(2))
    inner = init_modelarray_wf(study, tmp_path / 'out', scalars=['cbf', 'gm_probseg'])
    after = Node(Function(['images'], ['n'], count), 'after')
    workflow = Workflow('theirs', base_dir=str(tmp_path / 'work'))
    workflow.connect(inner, 'outputnode.store_files', after, 'images')
    graph = workflow.run()
    (found,) = [node for node in graph.nodes() if node.name == 'after']
    assert found.result.outputs.n == 2
    for store in (tmp_path / 'out').rglob('*.h5'):
        with h5py.File(store) as file:
            assert len(file['scalars']) == 1


#: What Nipype says of its nodes as it schedules them, in its order.
EVENTS = []


def note(node, event):
    EVENTS.append((node.name, event))


def chain(folder):
    """Theirs, ours, a model, ours again, theirs: four gigabytes for each of our nodes that work."""
    before = Node(Function(['folder'], ['study'], write_study), 'before')
    before.inputs.folder = str(folder / 'study')
    scalars, output = ['cbf', 'gm_probseg'], folder / 'out'
    build = init_modelarray_wf(
        output_dir=output, scalars=scalars, nprocs=1, mem_mb=4096, report=False
    )
    model = MapNode(Function(['store'], ['store'], fit), ['store'], 'model')
    maps = init_export_wf(analysis_name='means', bids_root=output, nprocs=1, mem_mb=4096)
    after = MapNode(Function(['images'], ['n'], count), ['images'], 'after')
    workflow = Workflow('theirs', base_dir=str(folder / 'work'))
    workflow.config['execution'] = {'poll_sleep_duration': '0.1'}
    workflow.connect([
        (before, build, [('study', 'inputnode.bids_dir')]),
        (build, model, [('outputnode.store_files', 'store')]),
        (model, maps, [('store', 'inputnode.in_files')]),
        (maps, after, [('outputnode.out_files', 'images')]),
    ])  # fmt: skip
    return workflow


def most_at_once(name):
    """The most nodes of a name that were begun and not ended."""
    running, most = 0, 0
    for node, event in EVENTS:
        # Nipype's name of each run of a MapNode.
        if node.rstrip('0123456789') == f'_{name}':
            running += {'start': 1, 'end': -1}[event]
            most = max(most, running)
    return most


@pytest.mark.parametrize(('memory_gb', 'at_once'), [(7, 1), (9, 2)])
def test_nodes_wait_for_memory(tmp_path, memory_gb, at_once):
    EVENTS.clear()
    arguments = {'n_procs': 3, 'memory_gb': memory_gb, 'status_callback': note}
    graph = chain(tmp_path).run('MultiProc', plugin_args=arguments)
    # Two scalars, each of which may run: only the memory lets the second wait.
    for name in ('group_mask', 'to_modelarray', 'export_results'):
        assert most_at_once(name) == at_once
    results = {node.name: node.result.outputs for node in graph.nodes()}
    assert results['after'].n == [2, 2]
    images = [path.rpartition('/')[2] for path in results['export_results'].out_files[0]]
    assert 'space-MNI152NLin2009cAsym_node-means_contrast-mean_stat-effect_statmap.nii.gz' in images


@pytest.mark.parametrize(('options', 'gigabytes'), [({}, 1.0), ({'mem_mb': 3072}, 3.0)])
@pytest.mark.parametrize('blocks', [{}, {'blocks_dir': 'blocks'}])
def test_every_node_says_what_it_may_use(options, gigabytes, blocks):
    light = {'write_sidecars', 'write_fit_scripts', 'inputnode', 'outputnode'}
    for workflow in (
        init_modelarray_wf(nprocs=3, **options, **blocks),
        init_export_wf(nprocs=3, **options),
    ):
        for name in set(workflow.list_node_names()) - light:
            node = workflow.get_node(name)
            assert (node.n_procs, node.mem_gb) == (3, gigabytes)
            limit = getattr(node.interface.inputs, 'mem_mb', options.get('mem_mb'))
            assert limit == options.get('mem_mb') or not options
        for name in light & set(workflow.list_node_names()):
            node = workflow.get_node(name)
            assert node.n_procs == 1
            # Those that only hand on what they are given have Nipype's own 0.2.
            assert node.mem_gb == (0.2 if name in {'inputnode', 'outputnode'} else 0.25)


def test_relative_paths_count_from_where_a_workflow_is_built(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trees.write_study(tmp_path / 'study', trees.people(2))
    (tmp_path / 'ages.tsv').write_text('participant_id\tweight\nsub-01\t70\nsub-02\t80\n')
    build = init_modelarray_wf('study', 'out', scalars=['cbf'], phenotypes=['ages.tsv'])
    build.base_dir = 'work'
    build.run()
    # Nowhere else: in no node's folder.
    (store,) = tmp_path.rglob('*.h5')
    assert store.parts[-3:-1] == ('out', 'cbf')
    (cohort,) = store.parent.glob('*_cohort.csv')
    assert 'weight' in cohort.read_text()
    fit(store)
    maps = init_export_wf(['out/cbf/' + store.name], 'means', ['maps'], compress=False)
    maps.base_dir = 'work'
    maps.run()
    assert (tmp_path / 'maps' / 'means_mean.estimate.nii').exists()


def test_exports_are_a_workflow(tmp_path):
    cohort = write_cohort(tmp_path)
    mask = str(tmp_path / 'group_mask.nii.gz')
    build = Node(
        ToModelArray(cohort_file=str(cohort), in_mask=mask), 'build', base_dir=str(tmp_path)
    )
    store = fit(build.run().outputs.out_file)
    workflow = init_export_wf([store], 'means', [tmp_path / 'maps'], compress=False)
    workflow.base_dir = str(tmp_path / 'work')
    workflow.run()
    data = nb.load(tmp_path / 'maps' / 'means_mean.estimate.nii').get_fdata(dtype=np.float32)
    expected = np.nanmean(expected_rows(), axis=0)
    np.testing.assert_array_equal(data[group_mask() > 0], expected)
