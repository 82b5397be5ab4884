import nibabel as nb
import numpy as np
import pytest
import trees

from modelarrayio_bids import masks
from modelarrayio_bids.cohort import Cohort
from modelarrayio_bids.derivatives.bids.output_names import sidecar
from modelarrayio_bids.derivatives.cohorts.collect import Request, collect
from modelarrayio_bids.derivatives.outputs.sidecars import sidecars
from modelarrayio_bids.errors import CohortProblemsError, SpaceError
from modelarrayio_bids.spaces import VoxelSpace

MNI = trees.SPACE


@pytest.fixture
def write(tmp_path):
    """Collect one scalar and write its cohort."""

    def write(root, scalar, threads=1):
        request = Request(root, tmp_path / 'out', scalars=(scalar,))
        found = collect(request)
        (group,) = found.groups
        outputs = group.outputs(request.output_dir)
        cohort = group.write_cohort(outputs, found.phenotypes, threads)
        return found, group, outputs, cohort

    return write


def test_the_cohort_is_what_to_modelarray_and_r_read(write, study):
    _, _, outputs, cohort = write(study, 'gm_probseg')
    read = Cohort.from_csv(outputs.cohort)
    assert read.columns == (
        'scalar_name', 'source_file', 'source_mask_file', 'mask_source', 'participant_id',
        'age', 'sex', 'site',
    )  # fmt: skip
    assert read.rows == cohort.rows
    assert [row['participant_id'] for row in read.rows] == ['sub-01', 'sub-02', 'sub-03', 'sub-04']
    # trees.write_participants: the second age is n/a.
    assert [row['age'] == '' for row in read.rows] == [False, True, False, False]
    assert all(source.path.is_absolute() and source.path.exists() for source in read.sources())
    assert all(source.mask.is_absolute() and source.mask.exists() for source in read.sources())


def test_masks_and_space_serve_the_images(write, study, tmp_path):
    _, _, outputs, cohort = write(study, 'dki_fa', threads=2)
    sources = cohort.sources()
    masks.group_mask([source.mask for source in sources], outputs.group_mask, 1.0)
    space = VoxelSpace.from_mask_file(outputs.group_mask)
    for source in sources:
        space.check(source)
        assert np.isfinite(space.read(source)).all()


def test_an_anatomical_mask_on_another_grid_is_resampled_beside_the_cohort(write, study):
    _, _, outputs, cohort = write(study, 'dki_fa')
    for source in cohort.sources():
        assert source.mask.parent == outputs.masks
        assert source.mask.name.endswith('_desc-resampled_mask.nii.gz')
        assert nb.load(source.mask).shape == trees.DIFFUSION.shape


def test_an_anatomical_mask_on_the_same_grid_is_used_as_it_is(write, dataset):
    root = dataset(
        'aslprep',
        [
            f'sub-01/perf/sub-01_space-{MNI}_cbf.nii.gz',
            f'sub-01/anat/sub-01_space-{MNI}_desc-brain_mask.nii.gz',
        ],
    )
    _, group, outputs, cohort = write(root, 'cbf')
    assert group.mask_sources == {'anatomical': 1}
    assert cohort.sources()[0].mask.parent == root / 'sub-01' / 'anat'
    assert not outputs.masks.exists()


def test_a_maps_own_mask_is_its_brain(write, study, persons):
    _, _, outputs, cohort = write(study / 'derivatives' / 'qsirecon', 'dki_mk')
    for source, person in zip(cohort.sources(), persons, strict=True):
        assert source.mask.parent == outputs.masks
        data = np.asanyarray(nb.load(source.mask).dataobj)
        np.testing.assert_array_equal(data, trees.brain(person, trees.DIFFUSION))


def test_sessions_and_runs_are_columns_where_there_are_any(write, dataset):
    root = dataset(
        'aslprep',
        [
            f'sub-01/ses-1/perf/sub-01_ses-1_run-01_space-{MNI}_cbf.nii.gz',
            f'sub-01/ses-1/perf/sub-01_ses-1_run-02_space-{MNI}_cbf.nii.gz',
            f'sub-02/perf/sub-02_space-{MNI}_cbf.nii.gz',
        ],
    )
    (root / 'participants.tsv').write_text('participant_id\trun_id\nsub-01\t1\nsub-01\t2\n')
    *_, cohort = write(root, 'cbf')
    assert cohort.columns[4:] == ('participant_id', 'session_id', 'run_id')
    assert [(row['session_id'], row['run_id']) for row in cohort.rows] == [
        ('ses-1', 'run-01'), ('ses-1', 'run-02'), ('', ''),
    ]  # fmt: skip


def test_a_phenotype_named_like_the_scalar_is_renamed_and_said(write, dataset, caplog):
    root = dataset('aslprep', [f'sub-01/perf/sub-01_space-{MNI}_cbf.nii.gz'])
    (root / 'participants.tsv').write_text('participant_id\tcbf\tage\nsub-01\t55\t30\n')
    *_, cohort = write(root, 'cbf')
    assert cohort.rows[0]['cbf_phenotype'] == '55'
    assert 'cbf' not in cohort.columns
    assert "the phenotype 'cbf' is called 'cbf_phenotype' in the cohort of cbf" in caplog.text
    assert "'age' is called" not in caplog.text


def test_people_the_table_does_not_list_are_named(write, dataset, caplog):
    root = dataset('aslprep', [f'sub-01/perf/sub-01_space-{MNI}_cbf.nii.gz'])
    (root / 'participants.tsv').write_text('participant_id\tage\nsub-02\t55\n')
    *_, cohort = write(root, 'cbf')
    assert cohort.rows[0]['age'] == ''
    assert f'1 with images are not in {root / "participants.tsv"}' in caplog.text
    assert 'are blank: sub-01' in caplog.text


def test_all_masks_that_cannot_be_made_are_reported_and_no_cohort_is_written(
    write, dataset, tmp_path
):
    names = [f'sub-0{n}/perf/sub-0{n}_space-{MNI}_cbf.nii.gz' for n in (1, 2, 3)]
    root = dataset('aslprep', names)
    for name in names[1:]:
        trees.save(np.zeros((4, 4, 4), np.float32), root / name)
    with pytest.raises(CohortProblemsError) as caught:
        write(root, 'cbf')
    assert [type(problem) for problem in caught.value.problems] == [SpaceError] * 2
    assert [problem.path for problem in caught.value.problems] == [str(root / n) for n in names[1:]]
    assert not list((tmp_path / 'out').rglob('*.csv'))


def test_sidecars_say_what_each_output_is_made_of(write, study):
    found, group, outputs, cohort = write(study, 'dki_fa')
    written = sidecars(group, outputs, cohort, found, 0.2)
    assert list(written) == [
        sidecar(path)
        for path in (outputs.cohort, outputs.group_mask, outputs.coverage, outputs.store)
    ]
    table, mask, coverage, store = written.values()
    name = f'sub-01_space-{MNI}_model-dki_param-fa'
    image = f'bids:qsirecon-DIPYDKI:sub-01/dwi/{name}_dwimap.nii.gz'
    made = f'bids::dki_fa/masks/{name}_desc-resampled_mask.nii.gz'
    assert table['Sources'][0] == image
    assert set(cohort.columns) <= set(table)
    assert mask['Sources'][0] == coverage['Sources'][0] == made
    assert mask['GroupMaskThreshold'] == store['GroupMaskThreshold'] == 0.2
    assert store['LongName'] == 'fractional anisotropy'
    assert store['Sources'][:3] == [
        f'bids::dki_fa/space-{MNI}_cohort.csv',
        f'bids::dki_fa/space-{MNI}_desc-group_mask.nii.gz',
        image,
    ]
    assert all(one['GeneratedBy'][0]['Name'] == 'modelarrayio-bids' for one in (table, store))
