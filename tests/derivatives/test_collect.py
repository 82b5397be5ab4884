import json
import pickle

import pytest
import trees

from modelarrayio_bids.derivatives.bids.filters import BidsFilters
from modelarrayio_bids.derivatives.bids.output_names import sidecar
from modelarrayio_bids.derivatives.outputs.sidecars import sidecars
from modelarrayio_bids.errors import (
    AmbiguousMatchError,
    CohortProblemsError,
    InvalidDatasetError,
    NoMatchError,
    RecipeError,
    SourceNotFoundError,
    UsageError,
)

MNI = trees.SPACE
MNI6 = 'MNI152NLin6Asym'


def summary(collection):
    return {
        (row.scalar, row.stem): (row.n_images, row.mask_sources)
        for row in collection.table().itertuples()
    }


def test_a_study_of_three_pipelines(study, ask):
    """The table that ``trees.write_study`` describes, four persons each."""
    found = ask(study)
    asl = f'space-{MNI}'
    assert summary(found) == {
        ('cbf', asl): (4, {'same-dataset': 4}),
        ('cbf_score', asl): (4, {'same-dataset': 4}),
        ('cbf_scrub', asl): (4, {'same-dataset': 4}),
        ('dki_fa', asl): (4, {'anatomical': 4}),
        ('dki_mk', asl): (4, {'anatomical': 4}),
        ('tensor_fa', asl): (4, {'anatomical': 4}),
    }
    counts = {reason: len(out) for reason, out in found.left_out.items()}
    assert counts == {
        'a probability of a tissue, taken with --scalars csf_probseg gm_probseg wm_probseg': 4 * 3,
        "in the participant's own space (no space)": 4 * (3 + 3),
        "in the participant's own space (space-T1w)": 4 * 3,
        'a time series': 4 * 2,
        'a time series, or one volume of it': 4,
        'anatomical images (intensities are not comparable)': 4,
        "anatomical, which is fMRIPrep's or sMRIPrep's to give": 4,
        'a reference image or field map, not a measure': 4,
    }
    # The commonest first, and equally common ones by name.
    assert list(counts) == sorted(counts, key=lambda reason: (-counts[reason], reason))


def test_probabilities_are_for_those_who_ask(study, ask):
    found = ask(study, scalars=('*_probseg', 'dki_fa'))
    prep = f'space-{MNI}_res-2'
    assert summary(found) == {
        ('csf_probseg', prep): (4, {'same-dataset': 4}),
        ('dki_fa', f'space-{MNI}'): (4, {'anatomical': 4}),
        ('gm_probseg', prep): (4, {'same-dataset': 4}),
        ('wm_probseg', prep): (4, {'same-dataset': 4}),
    }


@pytest.mark.parametrize('options', [{}, {'space': (MNI,)}])
def test_a_study_of_probabilities_alone_says_how_to_get_them(dataset, ask, options):
    root = dataset('fmriprep', [f'sub-01/anat/sub-01_space-{MNI}_label-GM_probseg.nii.gz'])
    with pytest.raises(NoMatchError, match=r'taken with --scalars gm_probseg, such as sub-01'):
        ask(root, **options)


def test_qsirecon_alone_is_served_by_its_maps_themselves_and_says_so_once(study, ask, caplog):
    found = ask(study / 'derivatives' / 'qsirecon')
    assert [row.mask_sources for row in found.table().itertuples()] == [{'map-itself': 4}] * 3
    said = [record.message for record in caplog.records if 'no mask found' in record.message]
    (text,) = said
    assert text == (
        'no mask found for 12 of 12 images; their finite, non-zero voxels are used as masks. '
        'Scalars: dki_fa, dki_mk, tensor_fa. Give one mask for all images with --mask'
    )


def test_a_given_mask_serves_every_image(study, ask, tmp_path):
    mask = trees.write_mask(tmp_path / 'mask.nii.gz', trees.people(1)[0])
    found = ask(study, in_mask=mask, scalars=('cbf',))
    assert summary(found) == {('cbf', f'space-{MNI}'): (4, {'given': 4})}
    assert {row.mask for row in found.groups[0].rows} == {mask}
    with pytest.raises(SourceNotFoundError):
        ask(study, in_mask=tmp_path / 'none.nii.gz')


@pytest.mark.parametrize(
    ('patterns', 'scalars'),
    [(['dki_*'], ['dki_fa', 'dki_mk']), (['CBF', '*_mk'], ['cbf', 'dki_mk'])],
)
def test_scalars_by_name_or_pattern(study, ask, patterns, scalars):
    found = ask(study, scalars=tuple(patterns))
    assert [row.scalar for row in found.table().itertuples()] == scalars
    assert len(found.left_out['not among the scalars asked for']) == 4 * (9 - len(scalars))


def test_a_scalar_that_is_not_there_lists_those_that_are(study, ask):
    with pytest.raises(NoMatchError, match=r"'fa'.*cbf, cbf_score, .*wm_probseg") as caught:
        ask(study, scalars=('cbf', 'fa'))
    assert caught.value.exit_code == 18  # BIDS execution specification: filters selected nothing


def test_participants_are_chosen_and_missing_ones_named(study, ask):
    found = ask(study, participant_label=('sub-02', '04'))
    assert {group.participants for group in found.groups} == {('02', '04')}
    with pytest.raises(NoMatchError, match=r'participants 07, 9. There are: 01, 02, 03, 04'):
        ask(study, participant_label=('01', 'sub-9', '07'))


def test_what_left_nothing_is_named_not_the_scalar(dataset, ask):
    root = dataset('aslprep', [f'sub-01/ses-1/perf/sub-01_ses-1_space-{MNI}_cbf.nii.gz'])
    with pytest.raises(NoMatchError, match=r'no image of the sessions zz. There are: 1'):
        ask(root, session_label=('ses-zz',), scalars=('cbf',))
    filters = BidsFilters.from_dict({'scalar': {'acq': 'x'}})
    with pytest.raises(NoMatchError, match=r'that the BIDS filters let pass.*1 ruled out by'):
        ask(root, bids_filters=filters, scalars=('cbf',))
    with pytest.raises(NoMatchError, match=r"'fa' among the images of the participants 01. There"):
        ask(root, participant_label=('01',), scalars=('fa',))


@pytest.mark.parametrize('option', ['participant_label', 'session_label'])
@pytest.mark.parametrize('label', ['', ' ', 'sub-'])
def test_an_empty_label_is_a_usage_error(study, ask, option, label):
    with pytest.raises(UsageError, match='there is no label after') as caught:
        ask(study, **{option: ('01', label)})
    assert caught.value.exit_code == 64  # sysexits


def test_filters_on_scalars_and_masks(study, ask):
    no_desc = BidsFilters.from_dict({'scalar': {'desc': None, 'datatype': 'perf'}})
    assert [row.scalar for row in ask(study, bids_filters=no_desc).table().itertuples()] == ['cbf']
    other = BidsFilters.from_dict({'mask': {'desc': 'lesion'}})
    assert {
        mask_source
        for row in ask(study, bids_filters=other).table().itertuples()
        for mask_source in row.mask_sources
    } == {'map-itself'}


def test_nothing_left_says_what_was_found_and_why_it_is_not_used(dataset, ask):
    root = dataset('fmriprep', ['sub-01/anat/sub-01_label-GM_probseg.nii.gz'])
    with pytest.raises(NoMatchError) as caught:
        ask(root)
    assert 'among 1 images of fmriprep' in str(caught.value)
    assert "1 in the participant's own space (no space)" in str(caught.value)
    assert caught.value.exit_code == 18  # as above


def test_several_volumes_are_dropped_whatever_the_name_says(dataset, ask, persons):
    root = dataset('other', [f'sub-01/func/sub-01_space-{MNI}_stat-reho_boldmap.nii.gz'])
    path = root / f'sub-01/func/sub-01_space-{MNI}_stat-peaks_boldmap.nii.gz'
    trees.write_map(path, persons[0], volumes=3)
    found = ask(root)
    assert [row.scalar for row in found.table().itertuples()] == ['reho']
    assert found.left_out['several maps in one file'] == [path]


def test_a_damaged_first_image_is_kept_for_the_check_that_reports_all(dataset, ask):
    name = f'sub-01/func/sub-01_space-{MNI}_stat-reho_boldmap.nii.gz'
    root = dataset('other', [name])
    (root / name).write_bytes(b'no image')
    assert len(ask(root).groups) == 1


def test_runs_and_sessions_are_rows_and_tasks_groups(dataset, ask):
    paths = [
        f'sub-01/ses-{ses}/func/sub-01_ses-{ses}_task-{task}_run-{run}_space-{MNI}_stat-reho_'
        'boldmap.nii.gz'
        for ses in '12'
        for run in '12'
        for task in ('rest', 'play')
    ]
    root = dataset('xcp_d', paths)
    lines = [f'01\t{ses}\t{run}\t5' for ses in '12' for run in '12']
    header = 'participant_id\tsession_id\trun_id\tmood'
    (root / 'participants.tsv').write_text('\n'.join([header, *lines]))
    found = ask(root)
    assert [group.stem for group in found.groups] == [
        f'task-play_space-{MNI}',
        f'task-rest_space-{MNI}',
    ]
    assert [(row.session, row.run) for row in found.groups[0].rows] == [
        ('1', '1'), ('1', '2'), ('2', '1'), ('2', '2'),
    ]  # fmt: skip
    only = ask(root, session_label=('ses-2',))
    assert {row.session for row in only.groups[0].rows} == {'2'}


def test_rows_are_in_the_order_of_participants_sessions_and_runs(dataset, ask):
    """Not of paths: there ``run-10_`` stands before ``run-1_``."""
    start = f'sub-01/perf/sub-01_{{}}space-{MNI}_cbf.nii.gz'
    names = [start.format(f'run-{run}_') for run in (1, 10, 2)]
    root = dataset('aslprep', [*names, start.format('').replace('01', '02')])
    (root / 'participants.tsv').write_text('participant_id\trun_id\n01\t1\n01\t10\n01\t2\n02\t1\n')
    (group,) = ask(root).groups
    assert [(row.participant, row.run) for row in group.rows] == [
        ('01', '1'), ('01', '10'), ('01', '2'), ('02', None),
    ]  # fmt: skip


def test_an_image_of_no_session_is_left_out_where_sessions_are_asked_for(dataset, ask):
    root = dataset(
        'aslprep',
        [
            f'sub-01/perf/sub-01_space-{MNI}_cbf.nii.gz',
            f'sub-02/ses-1/perf/sub-02_ses-1_space-{MNI}_cbf.nii.gz',
        ],
    )
    found = ask(root, session_label=('1',))
    assert found.groups[0].participants == ('02',)
    assert len(found.left_out['of no session asked for']) == 1


def test_two_acquisitions_show_candidates_and_the_filter_that_decides(dataset, ask):
    paths = [
        f'sub-{sub}/perf/sub-{sub}_acq-{acq}_space-{MNI}{desc}_cbf.nii.gz'
        for sub in ('01', '02')
        for acq in 'ab'
        for desc in ('', '_desc-scrub')
    ]
    root = dataset('aslprep', paths)
    with pytest.raises(AmbiguousMatchError) as caught:
        ask(root)
    said = str(caught.value)
    assert str(root / paths[0]) in said
    assert said.startswith(f'cbf, cbf_scrub (space-{MNI}) have several images for one row')
    assert '2 participants' in said
    assert 'acq: a, b' in said
    advice = said.partition('for instance ')[2].rstrip('.')
    found = ask(root, bids_filters=BidsFilters.from_dict(json.loads(advice)))
    assert [row.n_images for row in found.table().itertuples()] == [2, 2]


@pytest.fixture
def repeated(dataset):
    """Blood flow of two visits with two runs each, and a map of one run alone."""
    return dataset(
        'aslprep',
        [
            f'sub-0{sub}/ses-{ses}/perf/sub-0{sub}_ses-{ses}_run-{run}_space-{MNI}{desc}_cbf.nii.gz'
            for sub in (1, 2)
            for ses in ('a', 'b')
            for run in (1, 2)
            for desc in ('', '_desc-score')
        ],
    )


def test_visits_that_nothing_tells_apart_show_the_options_that_decide(repeated, ask):
    (repeated / 'participants.tsv').write_text('participant_id\tage\n01\t9\n02\t8\n')
    with pytest.raises(CohortProblemsError) as caught:
        ask(repeated)
    session, run = caught.value.problems
    first = f'{repeated}/sub-01/ses-a/perf/sub-01_ses-a_run-1_space-{MNI}'
    assert 'cbf, cbf_score: 2 participants have several sessions' in str(session)
    assert f'{first}_cbf.nii.gz' in str(session)
    assert (
        'Choose one with --session-label a; or take each as a row with --session-label a b; '
        in str(session)
    )
    assert '2 participants have several runs' in str(run)
    one, each = (
        json.loads(f'{{"scalar": {{"run": {text}}}}}')
        for text in (str(run).split('"run": ')[n].split('}}')[0] for n in (1, 2))
    )
    assert (one, each) == ({'scalar': {'run': '1'}}, {'scalar': {'run': ['1', '2']}})
    for filters, sessions, count in ((one, ['a'], 2), (each, ['a'], 4), (each, ['a', 'b'], 8)):
        found = ask(
            repeated, bids_filters=BidsFilters.from_dict(filters), session_label=tuple(sessions)
        )
        assert [row.n_images for row in found.table().itertuples()] == [count, count]


def test_a_table_of_visits_tells_sessions_apart_and_not_runs(repeated, ask, tmp_path):
    table = tmp_path / 'visits.csv'
    table.write_text('participant_id,session_id,age\n1,a,9\n01,a,9\n01,b,10\n02,a,8\n02,b,9\n')
    with pytest.raises(AmbiguousMatchError, match='several runs'):
        ask(repeated, phenotypes=(table,))
    one_run = BidsFilters.from_dict({'scalar': {'run': 1}})
    found = ask(repeated, phenotypes=(table,), bids_filters=one_run)
    assert [(row.participant, row.session) for row in found.groups[0].rows] == [
        ('01', 'a'), ('01', 'b'), ('02', 'a'), ('02', 'b'),
    ]  # fmt: skip


def test_an_image_of_no_session_beside_one_is_decided_by_a_filter(dataset, ask):
    root = dataset(
        'aslprep',
        [
            f'sub-01/perf/sub-01_space-{MNI}_cbf.nii.gz',
            f'sub-01/ses-1/perf/sub-01_ses-1_space-{MNI}_cbf.nii.gz',
        ],
    )
    with pytest.raises(AmbiguousMatchError, match='several sessions') as caught:
        ask(root)
    assert '{"scalar": {"session": [null, "1"]}}' in str(caught.value)


def test_acquisitions_that_differ_between_people_become_a_column(dataset, ask, tmp_path, caplog):
    root = dataset(
        'aslprep',
        [
            f'sub-0{sub}/perf/sub-0{sub}{acq}_space-{MNI}{desc}_cbf.nii.gz'
            for sub, acq in ((1, '_acq-long'), (2, '_acq-short'), (3, ''), (4, '_acq-long'))
            for desc in ('', '_desc-score')
        ],
    )
    found = ask(root)
    said = [record.message for record in caplog.records if 'acq labels' in record.message]
    (text,) = said
    assert text == (
        'images of several acq labels are combined, with a column acq_id: '
        'long (2), short (1), none (1); to select some, use --bids-filter-file. Scalars: cbf, '
        'cbf_score'
    )
    group = found.groups[0]
    cohort = group.write_cohort(group.outputs(tmp_path / 'out'), found.phenotypes)
    assert [row['acq_id'] for row in cohort.rows] == ['acq-long', 'acq-short', '', 'acq-long']
    only = ask(root, bids_filters=BidsFilters.from_dict({'scalar': {'acq': 'long'}}))
    assert [group.mixed for group in only.groups] == [(), ()]


def test_one_scalar_of_two_datasets_is_ambiguous_even_for_different_people(dataset, ask, tmp_path):
    trees.describe(tmp_path)
    for number in '12':
        name = f'sub-0{number}/perf/sub-0{number}_space-{MNI}_cbf.nii.gz'
        dataset(f'aslprep-{number}', [name], 'ASLPrep', tmp_path / 'derivatives')
    with pytest.raises(AmbiguousMatchError, match=r'2 datasets \(aslprep-1: .*aslprep-2: '):
        ask(tmp_path)


def test_two_masks_from_one_source_are_named_and_not_used(dataset, ask, caplog):
    root = dataset(
        'aslprep',
        [
            f'sub-01/perf/sub-01_run-1_space-{MNI}_cbf.nii.gz',
            f'sub-01/perf/sub-01_run-2_space-{MNI}_desc-brain_mask.nii.gz',
            f'sub-01/perf/sub-01_run-3_space-{MNI}_desc-brain_mask.nii.gz',
        ],
    )
    assert ask(root).table().iloc[0].mask_sources == {'map-itself': 1}
    assert 'run-2' in caplog.text
    assert 'run-3' in caplog.text


def test_a_resolution_of_its_own_is_a_group_of_its_own(dataset, ask):
    root = dataset(
        'fmriprep',
        [f'sub-01/anat/sub-01_space-{MNI}_res-{r}_label-GM_probseg.nii.gz' for r in '12'],
    )
    assert [row.space for row in ask(root, scalars=('gm_probseg',)).table().itertuples()] == [
        f'{MNI}:res-1',
        f'{MNI}:res-2',
    ]


def test_what_was_found_can_be_pickled(study, ask):
    found = ask(study, scalars=('cbf',))
    again = pickle.loads(pickle.dumps(found))
    assert again.table().equals(found.table())
    assert again.groups[0].rows == found.groups[0].rows


def test_a_persons_own_recipe_names_describes_and_is_written_beside_the_store(
    dataset, ask, tmp_path
):
    recipe = tmp_path / 'mine.yaml'
    recipe.write_text(
        'name: mine\n'
        'datasets: [aslprep]\n'
        'scalars:\n'
        "  - {where: {suffix: cbf}, name: 'perfusion[_{desc}]'}\n"
        'known:\n'
        '  - {names: perfusion, long_name: blood flow, units: mL/min, range: [0, 80]}\n'
    )
    paths = [f'sub-01/perf/sub-01_space-{MNI}{end}_cbf.nii.gz' for end in ('', '_desc-timeseries')]
    found = ask(dataset('aslprep', paths), recipes=(recipe,))
    assert [row.scalar for row in found.table().itertuples()] == [
        'perfusion',
        'perfusion_timeseries',
    ]
    group = found.groups[0]
    outputs = group.outputs(tmp_path / 'out')
    cohort = group.write_cohort(outputs, found.phenotypes)
    content = sidecars(group, outputs, cohort, found)[sidecar(outputs.store)]
    assert {key: content[key] for key in ('LongName', 'Units', 'DisplayRange')} == {
        'LongName': 'blood flow',
        'Units': 'mL/min',
        'DisplayRange': [0, 80],
    }


def test_a_recipe_for_none_of_the_datasets_is_an_error(study, ask, tmp_path):
    recipe = tmp_path / 'mine.yaml'
    recipe.write_text("name: mine\ndatasets: [m]\nscalars: [{where: {}, name: '{suffix}'}]\n")
    with pytest.raises(RecipeError, match='none of the datasets, which are known as ASLPrep, '):
        ask(study, recipes=(recipe,))


def test_adding_a_dataset_renames_nothing(study, dataset, ask, tmp_path):
    """Nor does a description that gets lost, or any other name of the dataset."""
    cbf = [f'sub-01/perf/sub-01_space-{MNI}{end}_cbf.nii.gz' for end in ('', '_desc-score')]
    fa = f'sub-01/dwi/sub-01_space-{MNI}_model-tensor_param-fa_dwimap.nii.gz'
    roots = {
        'asl': dataset('asl', cbf, 'ASLPrep', tmp_path / 'a'),
        'dsi': dataset('qsirecon-DSIStudio', [fa], 'qsirecon'),
        'tortoise': dataset('qsirecon-TORTOISE', [fa], 'qsirecon'),
    }
    alone = {
        (name, row.scalar)
        for name, root in roots.items()
        for row in ask(root, datasets={name: root}).table().itertuples()
    }
    together = {
        (row.dataset, row.scalar) for row in ask(study, datasets=roots).table().itertuples()
    }
    assert together == alone
    assert together == {
        ('asl', 'cbf'),
        ('asl', 'cbf_score'),
        ('dsi', 'tensor_fa'),
        ('tortoise', 'tortoise_tensor_fa'),
    }
    (roots['asl'] / 'dataset_description.json').unlink()
    renamed = ask(roots['asl'], datasets={'mine': roots['asl']})
    assert [row.scalar for row in renamed.table().itertuples()] == ['cbf', 'cbf_score']


def test_templates_of_infants_are_groups_by_age_in_either_spelling(dataset, ask):
    """As NiBabies 21 and 25 write them."""
    spaces = ('MNIInfant_cohort-1', 'MNIInfant_cohort-2', 'MNIInfant+1')
    names = [
        f'sub-01/ses-1mo/anat/sub-01_ses-1mo_run-001_space-{space}_{end}.nii.gz'
        for space in spaces
        for end in ('label-GM_probseg', 'desc-brain_mask')
    ]
    found = ask(dataset('nibabies', names), scalars=('gm_probseg',))
    assert summary(found) == {
        ('gm_probseg', f'space-{space}'): (1, {'same-dataset': 1}) for space in spaces
    }
    assert {row.space for row in found.table().itertuples()} == {
        'MNIInfant:cohort-1',
        'MNIInfant:cohort-2',
        'MNIInfant+1',
    }


def test_effects_of_first_level_models_are_taken_and_other_statistics_on_request(dataset, ask):
    """As FitLins writes them: a folder for each node, and maps without a subject for the group."""
    stats = ('effect', 'variance', 'z', 'p')
    maps = [
        f'contrast-{contrast}_stat-{stat}_statmap.nii.gz' for contrast in 'ab' for stat in stats
    ]
    stem = f'task-rest_space-{MNI}'
    root = dataset(
        'fitlins',
        [f'node-runLevel/sub-{s}/sub-{s}_{stem}_{name}' for s in ('01', '02') for name in maps]
        + [f'node-dataLevel/{name}' for name in maps[:1]],
    )
    found = ask(root)
    assert summary(found) == {
        ('a_effect', stem): (2, {'map-itself': 2}),
        ('b_effect', stem): (2, {'map-itself': 2}),
    }
    counts = {reason: len(out) for reason, out in found.left_out.items()}
    assert counts['of no participant'] == 1
    assert counts['a p value or degrees of freedom'] == 4
    some = 'taken with --scalars a_variance a_z b_variance (and 1 more)'
    assert counts[f'a statistic of a single participant, {some}'] == 8
    assert [row.scalar for row in ask(root, scalars=('*_z',)).table().itertuples()] == [
        'a_z',
        'b_z',
    ]


def test_masks_of_bundles_regions_and_halves_are_not_the_brains(dataset, ask):
    """As TractSeg and others name them, without a desc."""
    others = ('bundle-CST', 'roi-hippocampus', 'hemi-L', 'seg-GM', 'atlas-X', 'label-lesion')
    root = dataset(
        'tractseg',
        [
            f'sub-01/dwi/sub-01_space-{MNI}_FA.nii.gz',
            *(f'sub-01/{kind}/sub-01_space-{MNI}_{one}_mask.nii.gz'
              for kind in ('dwi', 'anat') for one in others),
        ],
    )  # fmt: skip
    assert ask(root).table().iloc[0].mask_sources == {'map-itself': 1}
    trees.write_mask(root / f'sub-01/anat/sub-01_space-{MNI}_mask.nii.gz', trees.people(9)[0])
    assert ask(root).table().iloc[0].mask_sources == {'anatomical': 1}


def test_entities_of_pet_and_halfpipe_tell_scalars_apart(dataset, ask):
    """BEP 23 (meas, pvc, ref) and HALFpipe (feature, seed, taskcontrast)."""
    start = f'sub-01/func/sub-01_task-rest_feature-corr_seed-{{}}_space-{MNI}'
    root = dataset(
        'somepipe',
        [
            f'sub-01/pet/sub-01_space-{MNI}_model-MRTM2_meas-BPND_mimap.nii.gz',
            f'sub-01/pet/sub-01_space-{MNI}_model-MRTM2_meas-R1_mimap.nii.gz',
            f'{start.format("amyg")}_stat-effect_statmap.nii.gz',
            f'{start.format("hipp")}_stat-effect_statmap.nii.gz',
            f'sub-01/func/sub-01_task-rest_feature-corr_space-{MNI}_mask.nii.gz',
            f'sub-01/pet/sub-01_space-{MNI}_desc-brain_mask.nii.gz',
        ],
    )
    assert [(row.scalar, row.mask_sources) for row in ask(root).table().itertuples()] == [
        ('corr_amyg_effect_statmap', {'same-dataset': 1}),
        ('corr_hipp_effect_statmap', {'same-dataset': 1}),
        ('mrtm2_bpnd_mimap', {'same-dataset': 1}),
        ('mrtm2_r1_mimap', {'same-dataset': 1}),
    ]


def test_entities_nobody_knows_are_named_where_they_alone_differ(dataset, ask, caplog):
    name = f'sub-0{{0}}/dwi/sub-0{{0}}_kernel-{{1}}_space-{MNI}_FA.nii.gz'
    root = dataset('newpipe', [name.format(1, 'a'), name.format(1, 'b')])
    with pytest.raises(AmbiguousMatchError, match=r'differ in kernel: a, b.*--select kernel=a'):
        ask(root)
    chosen = ask(root, bids_filters=BidsFilters.from_dict({'scalar': {'kernel': 'b'}}))
    assert [row.image.name for row in chosen.groups[0].rows] == [name.format(1, 'b').split('/')[-1]]
    (root / name.format(1, 'b')).unlink()
    dataset('newpipe', [name.format(2, 'b')])
    assert ask(root).table().iloc[0].n_images == 2
    assert 'differ in kernel-, which is not an entity of BIDS, are combined: a, b' in caplog.text


@pytest.mark.parametrize('entity', ['proc', 'flip', 'inv', 'mod', 'part', 'chunk'])
def test_whatever_differs_between_people_becomes_a_column(dataset, ask, tmp_path, caplog, entity):
    paths = [f'sub-0{one}/perf/sub-0{one}_{entity}-{one}_space-{MNI}_cbf.nii.gz' for one in (1, 2)]
    found = ask(dataset('aslprep', paths))
    assert f'images of several {entity} labels are combined' in caplog.text
    (group,) = found.groups
    cohort = group.write_cohort(group.outputs(tmp_path / 'out'), found.phenotypes)
    assert [row[f'{entity}_id'] for row in cohort.rows] == [f'{entity}-1', f'{entity}-2']


def test_an_image_in_the_folder_of_another_is_of_nobody(dataset, ask):
    """Below the dataset alone: folders above it may be called anything."""
    right = f'sub-01/ses-1/perf/sub-01_ses-1_space-{MNI}_cbf.nii.gz'
    root = dataset('sub-99/ses-9/aslprep', [right], 'ASLPrep')
    assert ask(root).table().iloc[0].n_images == 1
    for wrong in (right.replace('sub-01_', 'sub-02_'), right.replace('ses-1_', 'ses-2_')):
        dataset('sub-99/ses-9/aslprep', [wrong], 'ASLPrep')
        with pytest.raises(AmbiguousMatchError, match='lies in the folder of') as caught:
            ask(root)
        assert str(root / wrong) in str(caught.value)
        (root / wrong).unlink()


@pytest.mark.parametrize('label', ['A-01', 'A_01'])
def test_a_label_that_would_be_cut_short_is_an_error(dataset, ask, label):
    root = dataset('aslprep', [f'sub-{label}/perf/sub-{label}_space-{MNI}_cbf.nii.gz'])
    with pytest.raises(AmbiguousMatchError, match=r'not a BIDS label|folder of subject A_01'):
        ask(root)


def test_a_folder_for_a_session_of_a_participant_is_right(dataset, ask):
    root = dataset('aslprep', [f'sub-01_ses-2/perf/sub-01_ses-2_space-{MNI}_cbf.nii.gz'])
    assert ask(root).table().iloc[0].n_images == 1


@pytest.mark.parametrize('space', ['nativepro', 'RASMM', 'petref'])
def test_spaces_of_ones_own_that_other_pipelines_name(dataset, ask, space):
    root = dataset('micapipe', [f'sub-01/maps/sub-01_space-{space}_model-DTI_FA.nii.gz'])
    with pytest.raises(NoMatchError, match="in the participant's own space"):
        ask(root)


CPAC = 'sub-0{}/func/sub-0{}_task-rest_space-MNI152NLin6Asym_reg-{}_desc-{}_{}.nii.gz'


@pytest.fixture
def cpac(dataset):
    """Maps as C-PAC names them: of two regressions and two descriptions, three suffixes each."""
    kinds = [(reg, desc) for reg in ('36Parameter', 'aCompCor') for desc in ('sm6', 'zstd')]
    paths = [
        CPAC.format(person, person, *kind, suffix)
        for person in (1, 2)
        for kind in kinds
        for suffix in ('alff', 'falff', 'reho')
    ]
    masks = [f'sub-0{n}/func/sub-0{n}_task-rest_space-{MNI6}_desc-bold_mask.nii.gz' for n in (1, 2)]
    return dataset('cpac', [*paths, *masks], 'C-PAC')


def filtered(**conditions):
    return BidsFilters.from_dict({'scalar': conditions})


def test_what_is_ambiguous_in_one_way_is_said_once(cpac, ask):
    with pytest.raises(AmbiguousMatchError) as caught:
        ask(cpac)
    said = str(caught.value)
    assert said.count('they differ in') == 1
    assert 'they differ in reg: 36Parameter, aCompCor)' in said
    scalars = 'sm6_alff, sm6_falff, sm6_reho, zstd_alff, zstd_falff, zstd_reho'
    assert said.startswith(f'{scalars} (task-rest_space-{MNI6}) have several images')
    assert '--select reg=36Parameter, or' in said


@pytest.mark.parametrize(
    ('condition', 'reg'),
    [('36Parameter', '36Parameter'), (['aCompCor', None], 'aCompCor'), ('aCompCor', 'aCompCor')],
)
def test_entities_that_bids_does_not_know_choose(cpac, ask, condition, reg):
    found = ask(cpac, bids_filters=filtered(reg=condition, desc='zstd'))
    assert [group.scalar for group in found.groups] == ['zstd_alff', 'zstd_falff', 'zstd_reho']
    assert all(f'reg-{reg}_desc-zstd' in row.image.name for g in found.groups for row in g.rows)


def test_entities_that_bids_does_not_know_stand_in_recipes(cpac, ask, tmp_path):
    recipe = tmp_path / 'mine.yaml'
    recipe.write_text(
        'name: mine\ndatasets: [cpac]\nmasks: {suffix: mask, desc: bold}\nscalars:\n'
        '  - where: {suffix: alff, reg: [36Parameter, aCompCor], desc: zstd}\n'
        "    name: '{suffix}_{reg}'\n"
    )
    found = ask(cpac, recipes=(recipe,))
    # The masks have no reg-, and serve all the same.
    assert summary(found) == {
        ('alff_36parameter', f'task-rest_space-{MNI6}'): (2, {'same-dataset': 2}),
        ('alff_acompcor', f'task-rest_space-{MNI6}'): (2, {'same-dataset': 2}),
    }


def test_of_masks_that_bids_cannot_tell_apart_the_one_named_alike_serves(cpac, dataset, ask):
    mask = f'sub-01/func/sub-01_task-rest_space-{MNI6}_reg-{{}}_desc-brain_mask.nii.gz'
    dataset('cpac', [mask.format('36Parameter'), mask.format('aCompCor')], 'C-PAC')
    found = ask(cpac, bids_filters=filtered(reg='aCompCor', desc='zstd'), participant_label=('01',))
    assert {row.mask.name for row in found.groups[0].rows} == {mask.format('aCompCor')[12:]}


@pytest.mark.parametrize('kind', ['scalar', 'mask'])
def test_an_entity_in_no_name_is_misspelt(cpac, ask, kind):
    with pytest.raises(UsageError, match=r"'rge' that no file has \(do you mean .*reg") as caught:
        ask(cpac, bids_filters=BidsFilters.from_dict({kind: {'rge': 'a'}}))
    assert caught.value.exit_code == 64


def test_an_ambiguity_names_the_scalars_that_can_be_built(cpac, dataset, ask):
    more = [
        f'sub-0{n}/func/sub-0{n}_task-rest_space-{MNI6}_{s}.nii.gz' for n in (1, 2) for s in 'ab'
    ]
    dataset('cpac', more, 'C-PAC')
    with pytest.raises(AmbiguousMatchError, match=r'with --scalars a b$') as caught:
        ask(cpac)
    words = str(caught.value).rpartition('--scalars ')[2].split()
    assert [group.scalar for group in ask(cpac, scalars=tuple(words)).groups] == ['a', 'b']


@pytest.mark.parametrize(
    'copy',
    [
        'sub-01_space-{}_cbf.sync-conflict-20240131-120000-ABCDEFG.nii.gz',
        'sub-01_space-{}_cbf (1).nii.gz',
        'sub-01_space-{}_cbf (Conflicted copy 2024-01-31).nii.gz',
        'sub-01_space-{}_cbf - Copy.nii.gz',
        'sub-01_space-{}_cbf copy.nii.gz',
        'sub-01_space-{}_cbf~.nii.gz',
        'sub-01_space-{}_desc-brain_mask.sync-conflict-20240131-120000-ABCDEFG.nii.gz',
    ],
)
def test_copies_are_no_second_image(dataset, ask, copy):
    folder = 'sub-01/perf/'
    names = [f'sub-01_space-{MNI}_cbf.nii.gz', f'sub-01_space-{MNI}_desc-brain_mask.nii.gz']
    found = ask(dataset('aslprep', [folder + name for name in (*names, copy.format(MNI))]))
    assert summary(found) == {('cbf', f'space-{MNI}'): (1, {'same-dataset': 1})}
    ((reason, out),) = found.left_out.items()
    assert reason.startswith('a copy, by its name')
    assert [path.name for path in out] == [copy.format(MNI)]


def test_endings_in_capitals_are_named(dataset, ask, caplog):
    start = f'sub-0{{}}/perf/sub-0{{}}_space-{MNI}_cbf'
    root = dataset('aslprep', [f'{start.format(1, 1)}.nii.gz', f'{start.format(2, 2)}.nii.gz'])
    (root / f'{start.format(2, 2)}.nii.gz').rename(root / f'{start.format(2, 2)}.NII.GZ')
    assert ask(root).groups[0].participants == ('01',)
    assert '1 images end in capitals, not in .nii or .nii.gz: left out; rename them' in caplog.text
    assert f'{start.format(2, 2)}.NII.GZ' in caplog.text


@pytest.mark.parametrize(
    ('one', 'other'),
    [
        (f'{MNI}_res-2', f'{MNI}_res-02'),
        ('MNI152NLin6Asym', 'MNI152NLin6ASym'),
    ],
)
def test_labels_that_differ_in_zeros_or_capitals_are_pointed_out(dataset, ask, caplog, one, other):
    names = [f'sub-0{n}/perf/sub-0{n}_space-{s}_cbf.nii.gz' for n, s in ((1, one), (2, other))]
    found = ask(dataset('aslprep', names))
    assert len(found.groups) == 2
    assert 'cbf is in 2 files, as labels differ in capitals or zeros alone' in caplog.text


def test_labels_that_differ_in_more_are_two(dataset, ask, caplog):
    names = [f'sub-01/perf/sub-01_space-{MNI}_res-{res}_cbf.nii.gz' for res in ('2', '20', '1')]
    assert len(ask(dataset('aslprep', names)).groups) == 3
    assert 'capitals or zeros' not in caplog.text


@pytest.mark.parametrize('name', ['SUB-02', 'Sub-02'])
def test_participants_in_capitals_are_named(dataset, ask, name):
    start = f'sub-01/perf/sub-01_space-{MNI}_cbf.nii.gz'
    found = ask(dataset('aslprep', [start, start.replace('sub-01', name)]))
    assert found.groups[0].participants == ('01',)
    assert list(found.left_out) == ['of no participant: BIDS writes sub- in lower case']


def test_a_dataset_of_participants_in_capitals_says_so(dataset, ask):
    root = dataset('x', [f'SUB-01/perf/sub-01_space-{MNI}_cbf.nii.gz'])
    (root / 'dataset_description.json').unlink()
    with pytest.raises(InvalidDatasetError, match='SUB-01 is none: BIDS writes sub- in lower'):
        ask(root)


def test_participants_of_the_raw_data_of_a_derivative_are_found(dataset, ask):
    """As OpenNeuroDerivatives has them: ds000001-fmriprep/sourcedata/raw/participants.tsv."""
    root = dataset('aslprep', [f'sub-01/perf/sub-01_space-{MNI}_cbf.nii.gz'])
    (root / 'sourcedata' / 'raw').mkdir(parents=True)
    (root / 'sourcedata' / 'raw' / 'participants.tsv').write_text('participant_id\tage\n01\t9\n')
    phenotypes = ask(root).phenotypes
    assert [table.path.parent.name for table in phenotypes.tables] == ['raw']
