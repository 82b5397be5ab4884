"""Our nodes and workflows inside someone else's."""

import h5py
import nibabel as nb
import numpy as np
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


def test_exports_are_a_workflow(tmp_path):
    cohort = write_cohort(tmp_path)
    mask = str(tmp_path / 'group_mask.nii.gz')
    build = Node(ToModelArray(cohort_file=str(cohort), in_mask=mask), 'build', base_dir=str(tmp_path))
    store = fit(build.run().outputs.out_file)
    workflow = init_export_wf([store], 'means', [tmp_path / 'maps'], compress=False)
    workflow.base_dir = str(tmp_path / 'work')
    workflow.run()
    data = nb.load(tmp_path / 'maps' / 'means_mean.estimate.nii').get_fdata(dtype=np.float32)
    expected = np.nanmean(expected_rows(), axis=0)
    np.testing.assert_array_equal(data[group_mask() > 0], expected)
