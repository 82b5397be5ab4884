"""Greyordinates, parcels, edges and fixels, from datasets to cohorts."""

import nibabel as nb
import numpy as np
import pytest
import trees

from modelarrayio_bids.cohort import Cohort
from modelarrayio_bids.derivatives.bids.filters import BidsFilters
from modelarrayio_bids.derivatives.bids.output_names import sidecar
from modelarrayio_bids.derivatives.outputs.sidecars import sidecars
from modelarrayio_bids.errors import (
    AmbiguousMatchError,
    CohortProblemsError,
    FormatError,
    NoMatchError,
    SpaceMismatchError,
)

TASK, ATLAS = 'task-rest_space-fsLR_den-91k', 'task-rest_space-fsLR_atlas-Tian_den-91k'
FUNC = 'sub-01/func/sub-01_task-rest_space-fsLR'


def summary(collection):
    return {
        (row.scalar, row.kind, row.stem): row.n_images for row in collection.table().itertuples()
    }


def reasons(collection):
    return {reason: len(out) for reason, out in collection.left_out.items()}


def test_xcp_d(tmp_path, persons, ask):
    """What ``trees.write_xcp_d`` describes, four persons each."""
    found = ask(trees.write_xcp_d(tmp_path / 'xcp_d', persons))
    assert summary(found) == {
        ('alff', 'greyordinates', f'{TASK}_desc-greyordinates'): 4,
        ('alff_smooth', 'greyordinates', f'{TASK}_desc-greyordinates'): 4,
        ('coverage', 'parcels', f'{ATLAS}_desc-parcels'): 4,
        ('pearsoncorrelation', 'edges', f'{ATLAS}_desc-edges'): 4,
        ('thickness', 'greyordinates', 'space-fsLR_den-91k_desc-greyordinates'): 4,
    }
    assert {
        mask_source for row in found.table().itertuples() for mask_source in row.mask_sources
    } == {'not-needed'}
    assert [row.label for row in found.table().itertuples()][-2:] == [
        'task-rest fsLR atlas-Tian den-91k',
        'fsLR den-91k',
    ]
    assert reasons(found) == {'a time series': 8}
    found.reconciled()


def test_fixels(tmp_path, persons, ask):
    found = ask(trees.write_fixels(tmp_path / 'template', persons))
    assert summary(found) == {
        ('fd', 'fixels', 'desc-fixels'): 4,
        ('log_fc', 'fixels', 'desc-fixels'): 4,
    }
    assert [group.long_name for group in found.groups] == [
        'fibre density',
        'logarithm of the fibre cross-section',
    ]
    assert found.table().iloc[0].label == 'n/a'
    found.reconciled()


def test_one_scalar_in_a_volume_and_on_a_surface_has_two_stems_in_one_folder(ask, dataset):
    paths = ['MNI152NLin6Asym_res-2_stat-alff_boldmap.nii.gz']
    paths += ['fsLR_den-91k_stat-alff_boldmap.dscalar.nii']
    root = dataset('xcp_d', [f'sub-01/func/sub-01_task-rest_space-{path}' for path in paths])
    volume, surface = ask(root).groups
    assert (surface.scalar, volume.scalar) == ('alff', 'alff')
    assert surface.kind == 'greyordinates'
    assert volume.stem == 'task-rest_space-MNI152NLin6Asym_res-2'
    one, other = (group.outputs(root) for group in (surface, volume))
    assert one.folder == other.folder
    assert one.store != other.store


def test_volumes_of_xcp_d_are_served_by_the_masks_of_fmriprep(ask, dataset):
    stem = 'sub-01/func/sub-01_task-rest_run-01_space-MNI152NLin6Asym_res-2'
    xcp_d = dataset('xcp_d', [f'{stem}_stat-alff_boldmap.nii.gz'])
    fmriprep = dataset('fmriprep', [f'{stem}_desc-brain_mask.nii.gz'])
    found = ask(xcp_d, datasets={'xcp_d': xcp_d, 'fmriprep': fmriprep})
    assert [(row.scalar, row.mask_sources) for row in found.table().itertuples()] == [
        ('alff', {'other-dataset': 1})
    ]


def test_kinds_of_the_same_entities_are_not_mixed(ask, dataset):
    endings = ['.nii.gz', '.dscalar.nii', '.pscalar.nii', '.pconn.nii']
    found = ask(dataset('other', [f'{FUNC}_stat-mean_boldmap{ending}' for ending in endings]))
    assert summary(found) == {
        ('mean', 'voxels', 'task-rest_space-fsLR'): 1,
        ('mean', 'greyordinates', 'task-rest_space-fsLR_desc-greyordinates'): 1,
        ('mean', 'parcels', 'task-rest_space-fsLR_desc-parcels'): 1,
        ('mean', 'edges', 'task-rest_space-fsLR_desc-edges'): 1,
    }


def test_atlases_and_densities_are_groups_and_runs_are_rows(ask, dataset):
    names = [
        f'run-{run}_space-fsLR_atlas-{atlas}_den-{den}'
        for run in '12'
        for atlas in ('HCP', 'Tian')
        for den in ('91k', '170k')
    ]
    ending = '_stat-coverage_boldmap.pscalar.nii'
    root = dataset('xcp_d', [f'sub-01/func/sub-01_{name}{ending}' for name in names])
    found = ask(root, bids_filters=BidsFilters.from_dict({'scalar': {'run': '*'}}))
    assert summary(found) == {
        ('coverage', 'parcels', f'space-fsLR_atlas-{atlas}_den-{den}_desc-parcels'): 2
        for atlas in ('HCP', 'Tian')
        for den in ('91k', '170k')
    }


def test_cifti_that_is_no_scalar_is_left_out_and_says_why(ask, dataset):
    root = dataset('other', [f'{FUNC}_stat-z_boldmap.dscalar.nii'])
    for ending in ('x.dtseries.nii', 'x.ptseries.nii', 'x.dlabel.nii', 'x.dconn.nii'):
        (root / f'{FUNC}_{ending}').touch()
    (root / f'{FUNC}_x.dscalar.nii.gz').touch()
    trees.write_cifti(root / f'{FUNC}_contrasts.dscalar.nii', trees.people(1)[0], maps=2)
    found = ask(root)
    assert [row.scalar for row in found.table().itertuples()] == ['z']
    assert reasons(found) == {
        'is CIFTI dense series (dtseries), which cannot be analysed as it is': 1,
        'is CIFTI parcellated series (ptseries), which cannot be analysed as it is': 1,
        'is CIFTI dense labels (dlabel), which cannot be analysed as it is': 1,
        'is CIFTI dense connectivity (dconn), which cannot be analysed as it is': 1,
        'is compressed, which CIFTI files must not be': 1,
        'several maps in one file': 1,
    }


def test_a_file_that_tells_its_elements_needs_no_space_but_may_not_have_its_own(ask, dataset):
    root = dataset(
        'other',
        [
            'sub-01/func/sub-01_atlas-Tian_stat-r_conn.pconn.nii',
            'sub-01/func/sub-01_space-fsnative_stat-r_conn.dscalar.nii',
        ],
    )
    found = ask(root)
    assert [row.stem for row in found.table().itertuples()] == ['atlas-Tian_desc-edges']
    assert reasons(found) == {"in the participant's own space (space-fsnative)": 1}


@pytest.mark.parametrize('origin', ['fmriprep', 'nibabies'])
def test_morphometry_that_xcp_d_handed_on_is_taken_from_its_origin(ask, dataset, tmp_path, origin):
    trees.describe(tmp_path)
    names = [f'sub-0{n}/anat/sub-0{n}_space-fsLR_den-91k_sulc.dscalar.nii' for n in (1, 2)]
    for pipeline in (origin, 'xcp_d'):
        dataset(pipeline, names, root=tmp_path / 'derivatives')
    found = ask(tmp_path)
    assert [(row.dataset, row.n_images) for row in found.table().itertuples()] == [(origin, 2)]
    assert reasons(found) == {f'a copy of what {origin} wrote': 2}
    (tmp_path / 'derivatives' / origin / names[1]).unlink()
    with pytest.raises(AmbiguousMatchError, match='sulc .* comes from 2 datasets'):
        ask(tmp_path)


def test_a_mask_serves_volumes_alone(ask, dataset, tmp_path):
    mask = trees.write_mask(tmp_path / 'mask.nii.gz', trees.people(1)[0])
    found = ask(dataset('xcp_d', [f'{FUNC}_stat-alff_boldmap.dscalar.nii']), in_mask=mask)
    assert found.groups[0].mask_sources == {'not-needed': 1}


def test_all_problems_of_all_groups_are_told_at_once(tmp_path, persons, ask):
    root = trees.describe(tmp_path / 'study') / 'derivatives'
    trees.write_xcp_d(root / 'xcp_d', persons)
    trees.write_fixels(root / 'mrtrix', persons, ('fd',))
    first, _, third, _ = sorted(root.rglob('*stat-alff_boldmap.dscalar.nii'))
    first.write_bytes(first.read_bytes()[:-8])
    image = nb.load(third)
    rows, elements = (image.header.get_axis(n) for n in (0, 1))
    nb.save(nb.Cifti2Image(image.get_fdata()[:, ::-1], (rows, elements[::-1])), third)
    short = trees.save_mif(np.zeros((7, 1, 1), 'f4'), root / 'mrtrix' / 'fd' / 'sub-02.mif')
    with pytest.raises(CohortProblemsError) as caught:
        ask(tmp_path / 'study').reconciled()
    assert [(type(problem), problem.path) for problem in caught.value.problems] == [
        (FormatError, str(first)),
        (SpaceMismatchError, str(third)),
        (SpaceMismatchError, str(short)),
    ]


def test_a_damaged_index_is_told_once(tmp_path, persons, ask):
    root = trees.write_fixels(tmp_path / 'template', persons, ('fd',))
    index = root / 'fd' / 'index.mif'
    index.write_bytes(index.read_bytes()[:-8])
    with pytest.raises(FormatError) as caught:
        ask(root).reconciled()
    assert caught.value.path == str(index)


def test_cohort_and_sidecars_of_images_without_masks(tmp_path, persons, ask):
    root = trees.write_xcp_d(tmp_path / 'xcp_d', persons)
    trees.write_participants(root, persons)
    found = ask(root, scalars=('thickness',))
    (group,) = found.groups
    outputs = group.outputs(tmp_path / 'out')
    cohort = group.write_cohort(outputs, found.phenotypes)
    read = Cohort.from_csv(outputs.cohort)
    assert read.columns == ('scalar_name', 'source_file', 'participant_id', 'age', 'sex', 'site')
    assert read.rows == cohort.rows
    assert not read.has_masks
    written = sidecars(group, outputs, cohort, found, 0.2)
    assert list(written) == [sidecar(outputs.cohort), sidecar(outputs.store)]
    table, store = written.values()
    assert 'mask' not in table['Description']
    image = 'sub-01_space-fsLR_den-91k_thickness.dscalar.nii'
    assert store['Sources'][:2] == [
        'bids::thickness/space-fsLR_den-91k_desc-greyordinates_cohort.csv',
        f'bids:xcp_d:sub-01/anat/{image}',
    ]
    assert store['Elements'] == 'greyordinates'
    assert store['Units'] == 'mm'
    assert 'GroupMaskThreshold' not in store


def test_participants_of_a_template_are_chosen_and_missing_ones_named(tmp_path, persons, ask):
    root = trees.write_fixels(tmp_path / 'template', persons, ('fd',))
    trees.save_mif(np.zeros((180, 1, 1), 'f4'), root / 'fd' / 'sub-010.mif')
    (group,) = ask(root, participant_label=('sub-01', '03')).groups
    assert group.participants == ('01', '03')
    with pytest.raises(NoMatchError, match='participants 1. There are: 01, 010, 02'):
        ask(root, participant_label=('1',))


def test_fixel_data_that_cannot_be_used_are_left_out(tmp_path, persons, ask):
    root = trees.write_fixels(tmp_path / 'template', persons, ('fd',))
    (root / 'fd' / 'tvalue.mif').touch()
    (root / 'fd' / 'sub-09.nii').touch()
    found = ask(root)
    assert {reason: tuple(out) for reason, out in found.left_out.items()} == {
        'of no participant': (root / 'fd' / 'tvalue.mif',),
        'fixel data as NIfTI, which cannot be read yet': (root / 'fd' / 'sub-09.nii',),
    }


def test_one_participant_twice_in_a_fixel_directory(tmp_path, persons, ask):
    root = trees.write_fixels(tmp_path / 'template', persons, ('fd',))
    (root / 'fd' / 'sub-01_fd.mif').touch()
    with pytest.raises(AmbiguousMatchError, match=r'sub-01.mif, .*sub-01_fd.mif'):
        ask(root)
