"""The interfaces' specifications, and each of them run by itself."""

import h5py
import nibabel as nb
import numpy as np
import pytest
import trees
from images import expected_rows, group_mask, write_cohort
from nipype import Node
from stores import write_results

from modelarrayio_bids import interfaces
from modelarrayio_bids.errors import SourceNotFoundError
from modelarrayio_bids.interfaces import CollectCohort, ExportResults, GroupMask, ToModelArray
from modelarrayio_bids.interfaces.base import LibraryInterface
from modelarrayio_bids.interfaces.node_errors import errors_below

# A change here is a change for everyone whose pipeline has the interface in it.
SPECIFICATIONS = {
    'CollectCohort': {
        'bids_dir': 'Directory!',
        'output_dir': 'Directory',
        'datasets': 'Dict',
        'participant_label': 'InputMultiObject',
        'session_label': 'InputMultiObject',
        'exclude_participant_label': 'InputMultiObject',
        'scalars': 'InputMultiObject',
        'space': 'InputMultiObject',
        'bids_filters': 'Dict',
        'in_mask': 'File',
        'mask_source': 'InputMultiObject',
        'group_mask_file': 'File',
        'on_grid_mismatch': 'Enum',
        'phenotypes': 'InputMultiObject',
        'required_columns': 'InputMultiObject',
        'recipes': 'InputMultiObject',
        'images': 'InputMultiObject',
        'masks': 'InputMultiObject',
        'images_space': 'Str',
        'threshold': 'Range',
        'overwrite': 'Bool',
        'needed_columns': 'List',
        'warn_of_repeats': 'Bool',
        'num_threads': 'Int',
    },
    'WriteSidecars': {
        'sidecars_file': 'File!',
        'in_files': 'InputMultiObject!',
        'seconds': 'List',
        'peak_mb': 'List',
    },
    'MakeReport': {
        'output_dir': 'Directory!',
        'bids_dir': 'Directory',
        'in_files': 'List',
        'left_out': 'Dict',
        'show_intercept': 'Bool',
        'mem_mb': 'Int',
    },
    'WriteFitScripts': {
        'bids_dir': 'Directory!',
        'output_dir': 'Directory!',
        'cohort_files': 'InputMultiObject!',
        'store_files': 'InputMultiObject!',
        'script_files': 'InputMultiObject!',
        'sidecar_files': 'InputMultiObject',
        'n_cores': 'Int',
    },
    'GroupMask': {
        'cohort_file': 'File!',
        'in_files': 'InputMultiObject!',
        'threshold': 'Range',
        'group_mask_file': 'File',
        'num_threads': 'Int',
        'out_mask': 'File',
        'out_coverage': 'File',
    },
    'ToModelArray': {
        'cohort_file': 'File!',
        'scalar_columns': 'InputMultiObject',
        'in_mask': 'TraitCompound',
        'index_file': 'File',
        'directions_file': 'File',
        'example_file': 'File',
        'map': 'Str',
        'out_file': 'File',
        'dtype': 'Enum',
        'compression': 'Enum',
        'compression_level': 'Range',
        'shuffle': 'Bool',
        'chunk_voxels': 'Int',
        'target_chunk_mb': 'Float',
        'overwrite': 'Bool',
        'reuse_existing': 'Bool',
        'summaries': 'Bool',
        'num_threads': 'Int',
        'mem_mb': 'Int',
    },
    'ExportResults': {
        'in_file': 'File!',
        'analysis_name': 'Str!',
        'output_dir': 'Directory',
        'bids_root': 'Directory',
        'in_mask': 'TraitCompound',
        'index_file': 'File',
        'directions_file': 'File',
        'example_file': 'File',
        'compress': 'Bool',
        'log_p': 'Bool',
        'outside': 'Enum',
        'num_threads': 'Int',
        'mem_mb': 'Int',
    },
    'FitModel': {
        'in_file': 'File!',
        'in_identity': 'Str',
        'cohort_file': 'File!',
        'formula': 'Str!',
        'analysis_name': 'Str',
        'method': 'Str',
        'var_terms': 'InputMultiObject',
        'var_model': 'InputMultiObject',
        'full_outputs': 'Bool',
        'correct_p_value_terms': 'InputMultiObject',
        'correct_p_value_model': 'InputMultiObject',
        'num_subj_lthr_abs': 'Float',
        'num_subj_lthr_rel': 'Range',
        'weights': 'Str',
        'contrasts': 'Dict',
        'f_tests': 'Dict',
        'anova': 'Bool',
        'effect_sizes': 'Bool',
        'allow_repeated': 'Bool',
        'permutations': 'Int',
        'seed': 'Int',
        'exchangeability': 'Str',
        'shuffle': 'Enum',
        'null_files': 'InputMultiObject',
        'elements': 'Tuple',
        'out_file': 'File',
        'overwrite': 'Bool',
        'reuse_existing': 'Bool',
        'num_threads': 'Int',
        'mem_mb': 'Int',
    },
}
OUTPUTS = {
    'CollectCohort': {
        'bids_dir',
        'output_dir',
        'scalars',
        'cohort_files',
        'group_mask_files',
        'coverage_files',
        'store_files',
        'script_files',
        'left_out',
        'sidecars_file',
    },
    'WriteSidecars': {'out_files'},
    'WriteFitScripts': {'out_files'},
    'GroupMask': {'out_mask', 'out_coverage'},
    'ToModelArray': {'out_file', 'seconds', 'peak_mb'},
    'MakeReport': {'out_file'},
    'ExportResults': {'out_files'},
    'FitModel': {'out_file', 'analysis_name'},
}


def own_traits(specification):
    return {
        name: trait
        for name, trait in specification().traits().items()
        if not name.startswith('trait_')
    }


@pytest.mark.parametrize('name', interfaces.__all__)
def test_specifications(name):
    interface = getattr(interfaces, name)
    inputs = {
        trait_name: type(trait.trait_type).__name__ + ('!' if trait.mandatory else '')
        for trait_name, trait in own_traits(interface.input_spec).items()
    }
    assert inputs == SPECIFICATIONS[name]
    assert set(own_traits(interface.output_spec)) == OUTPUTS[name]
    for specification in (interface.input_spec, interface.output_spec):
        assert all(trait.desc for trait in own_traits(specification).values())


def run(interface, folder, **inputs):
    node = Node(interface(**inputs), interface.__name__.lower(), base_dir=str(folder))
    return node.run().outputs


def test_cohort_to_store_to_images(tmp_path):
    cohort = write_cohort(tmp_path / 'data')
    masked = run(GroupMask, tmp_path, cohort_file=str(cohort), threshold=0.5)
    # All but each subject's own missing voxel are in at least two of three masks.
    np.testing.assert_array_equal(nb.load(masked.out_mask).get_fdata(), group_mask())
    built = run(ToModelArray, tmp_path, cohort_file=str(cohort), in_mask=masked.out_mask)
    with h5py.File(built.out_file) as file:
        np.testing.assert_array_equal(file['scalars/FA/values'][()], expected_rows())
    n = int(group_mask().sum())
    write_results(built.out_file, 'mylm', ['age.p.value'], np.full((n, 1), 0.5))
    exported = run(ExportResults, tmp_path, in_file=built.out_file, analysis_name='mylm')
    assert [path.split('/')[-1] for path in exported.out_files] == [
        'mylm_age.p.value.nii.gz',
        'mylm_age.1m.p.value.nii.gz',
    ]
    assert all(path.startswith(str(tmp_path)) for path in exported.out_files)
    named = {'analysis_name': 'mylm', 'bids_root': str(tmp_path)}
    exported = run(ExportResults, tmp_path, in_file=built.out_file, **named)
    assert [path.split('/')[-1] for path in exported.out_files] == [
        'node-mylm_contrast-age_stat-p_statmap.nii.gz',
        'node-mylm_contrast-age_stat-1mp_statmap.nii.gz',
    ]


def test_masks_may_be_listed_by_hand(tmp_path):
    write_cohort(tmp_path / 'data')
    masks = [str(path) for path in sorted((tmp_path / 'data' / 'masks').iterdir())]
    outputs = run(GroupMask, tmp_path, in_files=masks, threshold=1.0)
    counts = np.sum([nb.load(mask).get_fdata() for mask in masks], axis=0)
    np.testing.assert_array_equal(nb.load(outputs.out_mask).get_fdata(), counts == 3)
    np.testing.assert_array_equal(nb.load(outputs.out_coverage).get_fdata(), counts)


def test_cohorts_are_collected(tmp_path):
    study = trees.write_study(tmp_path / 'study', trees.people(2))
    outputs = run(CollectCohort, tmp_path, bids_dir=str(study), scalars=['cbf', 'dki_fa'])
    assert outputs.scalars == ['cbf', 'dki_fa']
    assert all(path.startswith(str(tmp_path / 'collectcohort')) for path in outputs.store_files)
    assert [path.split('/')[-2] for path in outputs.cohort_files] == ['cbf', 'dki_fa']


def test_relative_paths_count_from_where_they_are_set(tmp_path, monkeypatch):
    write_cohort(tmp_path)
    monkeypatch.chdir(tmp_path)
    given = {'cohort_file': 'cohort.csv', 'in_mask': 'group_mask.nii.gz', 'out_file': 'made/FA.h5'}
    built = Node(ToModelArray(**given), 'built', base_dir=str(tmp_path / 'work'))
    masked = GroupMask(cohort_file='cohort.csv', out_mask='made/mask.nii.gz')
    masked = Node(masked, 'masked', base_dir=str(tmp_path / 'work'))
    monkeypatch.chdir('/')
    assert built.run().outputs.out_file == str(tmp_path / 'made' / 'FA.h5')
    outputs = masked.run().outputs
    assert outputs.out_mask == str(tmp_path / 'made' / 'mask.nii.gz')
    # Left out, it is in the node's folder.
    assert outputs.out_coverage == str(tmp_path / 'work' / 'masked' / 'coverage.nii.gz')


def test_the_base_is_no_interface():
    with pytest.raises(TypeError, match='abstract'):
        LibraryInterface()


def test_an_error_of_ours_is_left_for_the_caller(tmp_path):
    cohort = write_cohort(tmp_path / 'data')
    (tmp_path / 'data' / 'FA' / 'sub-01_FA.nii.gz').unlink()
    mask = str(tmp_path / 'data' / 'group_mask.nii.gz')
    with pytest.raises(Exception, match='no such file'):
        run(ToModelArray, tmp_path / 'work', cohort_file=str(cohort), in_mask=mask)
    (error,) = errors_below(tmp_path / 'work')
    assert isinstance(error, SourceNotFoundError)
    assert error.path.endswith('sub-01_FA.nii.gz')
