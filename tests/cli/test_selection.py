"""What ``modelarrayio-bids group`` takes, leaves out, and says of it."""

import json
from collections import Counter
from pathlib import Path

import pytest
import trees

MNI = trees.SPACE


def test_tables_are_joined_and_their_dictionaries_kept(group, cohort, tmp_path):
    table = tmp_path / 'more.csv'
    table.write_bytes('\ufeffparticipant_id,group\r\n01,1\r\nsub-02,2\r\n9,2\r\n'.encode())
    levels = {'group': {'Description': 'Arm.', 'Levels': {'1': 'drug', '2': 'placebo'}}}
    table.with_suffix('.json').write_text(json.dumps(levels))
    code, _, said = group('--phenotypes', table)
    assert code == 0
    rows, sidecar = cohort()
    assert [row['group'] for row in rows] == ['1', '2', '', '']
    assert list(rows[0])[-4:] == ['age', 'sex', 'site', 'group']
    assert sidecar['group'] == levels['group']
    assert sidecar['age'] == {'Description': 'A phenotype, from participants.tsv; blank where n/a.'}
    assert sidecar['Unmatched'] == {
        str(table): {'WithoutPhenotypes': ['sub-03', 'sub-04'], 'WithoutImages': ['sub-9']}
    }
    assert f'2 with images are not in {table}' in said
    assert f'1 in {table} have no image: sub-9' in said


def test_labels_that_lost_their_zeros_are_pointed_out(group, cohort, tmp_path):
    table = tmp_path / 'more.csv'
    table.write_text('participant_id,iq\n1,100\n02,90\n')
    code, _, said = group('--phenotypes', table)
    assert code == 0
    assert [row['iq'] for row in cohort()[0]] == ['', '90', '', '']
    assert 'did a spreadsheet drop leading zeros? Nothing is joined to sub-01\n' in said


def test_rows_without_a_required_phenotype_are_left_out(group, cohort):
    code, _, said = group('--require', 'age', 'sex')
    assert code == 0
    rows, sidecar = cohort()
    # trees.write_participants: the second age is n/a.
    assert [row['participant_id'] for row in rows] == ['sub-01', 'sub-03', 'sub-04']
    (left_out,) = sidecar['LeftOut']
    assert (left_out['Of'], left_out['Reason']) == ('sub-02', 'without age')
    assert left_out['Image'].endswith('/sub-02_space-MNI152NLin2009cAsym_cbf.nii.gz')
    assert 'Unmatched' not in sidecar  # sub-02 is left out, and not without images
    assert 'left out 1 images without age, of 1 participants or visits: sub-02' in said


@pytest.mark.parametrize(
    ('text', 'options', 'code', 'says'),
    [
        ('participant_id,age\n01,3\n', [], 65, 'has age 49.2 for sub-01, where'),
        ('participant_id,iq\n1,3\n2,4\n', [], 65, 'participants with images: it has sub-1'),
        ('participant_id,iq\n01,3\n01,4\n', [], 65, 'names sub-01 twice'),
        ('participant_id,iq\n01,3\n', ['--require', 'height'], 64, 'no table of phenotypes has a'),
        ('participant_id,iq\n01,\n', ['--require', 'iq'], 18, '4 without iq, such as'),
    ],
)  # fmt: skip
def test_tables_that_cannot_serve(group, tmp_path, text, options, code, says):
    table = tmp_path / 'more.csv'
    table.write_text(text)
    ended, _, said = group('--phenotypes', table, *options)
    assert ended == code
    assert says in said
    assert not list(tmp_path.rglob('*.h5'))


def test_a_table_that_is_not_there(group, tmp_path):
    code, _, said = group('--phenotypes', tmp_path / 'none.tsv')
    assert code == 66
    assert 'none.tsv: no such file' in said


def listed(printed):
    """Scalar to its participants, from ``--list-scalars --json``."""
    return {one['scalar']: one['participants'] for one in json.loads(printed)['scalars']}


@pytest.mark.parametrize(
    ('options', 'participants'),
    [
        (['--exclude-participant-label', 'sub-01', '03'], ['02', '04']),
        (['--exclude_participant_label', '04', '--participant-label', '02', '04'], ['02']),
        (['--participant-label', '@labels.txt'], ['01', '03', '04']),
        (['--participant-label', '02', '@table.tsv'], ['01', '02', '03']),
        (['--exclude-participant-label', '@labels.txt'], ['02']),
    ],
)
def test_people_are_chosen(group, tmp_path, monkeypatch, options, participants):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'labels.txt').write_text('# passed the control\nsub-01 03\n\n04, # and 05?\n')
    (tmp_path / 'table.tsv').write_text('partner\tparticipant_id\n04\tsub-01\n04\t03\n')
    code, printed, _ = group('--list-scalars', '--json', *options)
    assert code == 0
    assert listed(printed) == {'cbf': participants}


@pytest.mark.parametrize(
    ('text', 'code', 'participants'),
    [
        ('"participant_id"\n"01"\n"03"\n', 0, ['02', '04']),
        ('"01"\n"03"\n', 0, ['02', '04']),
        ('# participant_id of the failed\n01\n03\n', 0, ['02', '04']),
        ('participant_id;why\n01;moved\n03;"a ""b"" c"\n', 0, ['02', '04']),
        ('participant_id,why\n01,"moved\n03,blurred\n', 65, None),
        ('participant_id,why\n01,"moved\n02,x\n03,"blurred\n', 65, None),
    ],
)
def test_lists_of_labels_lose_nobody(group, tmp_path, text, code, participants):
    (tmp_path / 'failed.csv').write_text(text)
    option = ['--exclude-participant-label', f'@{tmp_path / "failed.csv"}']
    ended, printed, said = group('--list-scalars', '--json', *option)
    assert ended == code
    if participants is None:
        assert 'failed.csv: the quote that opens a cell in line 2 has no match' in said
    else:
        assert listed(printed) == {'cbf': participants}


def test_images_that_are_not_fetched_are_counted(group, tmp_path):
    root = trees.write_aslprep(tmp_path / 'aslprep', trees.people(5))
    images = sorted(root.rglob(f'*{MNI}_cbf.nii.gz'))
    for image in images[:4]:
        image.unlink()
        image.symlink_to(f'/nowhere/.git/annex/objects/{image.name}')
    images[4].write_text('/annex/objects/MD5E-s1--d4.nii.gz\n')
    command = f'datalad get {root}/sub-0*/perf/sub-0*_space-{MNI}_cbf.nii.gz'
    code, printed, _ = group('--list-scalars', root=root)
    assert code == 0
    assert 'Not fetched: the content of 5 files is not here: ' in printed
    assert printed.count('/perf/sub-0') == 3 + 1  # examples, and the command's pattern
    assert command in printed
    code, printed, _ = group('--list-scalars', '--json', root=root)
    assert json.loads(printed)['not_fetched'] == list(map(str, images))
    code, _, said = group(root=root)
    assert code == 66
    assert command in said


def test_subdatasets_that_are_not_installed_are_named(group, tmp_path):
    root = trees.write_aslprep(tmp_path / 'aslprep', trees.people(3))
    (root / '.gitmodules').write_text('[submodule "a"]\n\tpath = sub-04\n\turl = ./sub-04\n')
    (root / 'sub-04').mkdir()
    code, _, said = group('--list-scalars', root=root)
    assert code == 0
    assert f'not installed, so its files are not found: 1 subdataset ({root}/sub-04)' in said
    assert f'datalad get -n {root}/sub-04' in said


def test_derivatives_that_are_not_installed_are_named(group, tmp_path):
    root = trees.describe(tmp_path / 'study')
    (root / 'sub-01').mkdir()
    (root / '.gitmodules').write_text('[submodule "a"]\n\tpath = derivatives/aslprep\n')
    (root / 'derivatives' / 'aslprep').mkdir(parents=True)
    code, _, said = group('--list-scalars', root=root)
    assert code == 16
    assert f'not installed: datalad get -n {root}/derivatives/aslprep' in said


def test_people_to_exclude_need_not_be_there(group):
    code, printed, said = group(
        '--list-scalars', '--json', '--exclude-participant-label', '9', '01'
    )
    assert code == 0
    assert listed(printed) == {'cbf': ['02', '03', '04']}
    assert 'no dataset has these participants to exclude: 9' in said


@pytest.mark.parametrize(
    ('labels', 'code', 'says'),
    [
        (['9', 'sub-10'], 18, 'no dataset has any of the participants to exclude: 10, 9'),
        (['sub-01,sub-03'], 64, 'Labels are separated by spaces, not commas: 01 03'),
        (['01,', '03'], 64, 'Labels are separated by spaces, not commas: 01 03'),
    ],
)
def test_labels_that_exclude_nobody(group, labels, code, says):
    ended, printed, said = group('--list-scalars', '--exclude-participant-label', *labels)
    assert (ended, printed) == (code, '')
    assert says in said


@pytest.fixture(scope='module')
def spaces(tmp_path_factory):
    """Grey matter in two templates, one at two resolutions."""
    root = trees.describe(tmp_path_factory.mktemp('spaces') / 'fmriprep', 'fMRIPrep')
    for person in trees.people(2):
        for space in (
            f'space-{MNI}_res-1',
            f'space-{MNI}_res-2',
            'space-MNIPediatricAsym_cohort-1',
        ):
            name = f'sub-{person.label}_{space}_label-GM_probseg.nii.gz'
            trees.write_map(root / f'sub-{person.label}' / 'anat' / name, person)
    return root


@pytest.mark.parametrize(
    ('patterns', 'found'),
    [
        ([MNI], [f'{MNI}:res-1', f'{MNI}:res-2']),
        ([f'{MNI.lower()}:res-2'], [f'{MNI}:res-2']),
        (['*:res-1', 'mniped*'], [f'{MNI}:res-1', 'MNIPediatricAsym:cohort-1']),
    ],
)
def test_spaces_are_chosen(group, spaces, patterns, found):
    code, printed, _ = group('--list-scalars', '--json', '--space', *patterns, root=spaces,
                             scalars=('gm_probseg',))  # fmt: skip
    assert code == 0
    document = json.loads(printed)
    assert sorted(one['space'] for one in document['scalars']) == sorted(found)
    assert {out['reason']: out['count'] for out in document['left_out']}.get(
        'in no space asked for', 0
    ) == 2 * (3 - len(found))


def test_json_tells_every_image(group, flow):
    code, printed, _ = group('--list-scalars', '--json', '--participant-label', '02')
    assert code == 0
    (scalar,) = json.loads(printed)['scalars']
    perf = flow / 'derivatives' / 'aslprep' / 'sub-02' / 'perf'
    assert scalar == {
        'scalar': 'cbf',
        'long_name': 'cerebral blood flow',
        'units': 'mL/100 g/min',
        'kind': 'voxels',
        'space': MNI,
        'entities': {'space': MNI},
        'dataset': 'aslprep',
        'participants': ['02'],
        'masks': {'same-dataset': 1},
        'images': [
            {
                'path': f'{perf}/sub-02_space-{MNI}_cbf.nii.gz',
                'participant': '02',
                'session': None,
                'run': None,
                'mask': f'{perf}/sub-02_space-{MNI}_desc-brain_mask.nii.gz',
                'mask_source': 'same-dataset',
            }
        ],
    }


@pytest.mark.parametrize(
    ('options', 'code', 'says'),
    [
        (
            ['--space', 'MNI*', 'fsLR'],
            18,
            f"no scalar is in a space called 'fsLR'. There are: {MNI}",
        ),
        (['--participant-label', '01', '9'], 18, 'no dataset has the participants 9'),
        (['--participant-label', '@none.txt'], 66, 'none.txt: no such file'),
        (['--participant-label', '@empty.txt'], 64, 'empty.txt: contains no label'),
        (['--json'], 64, '--json shows --list-scalars alone'),
    ],
)
def test_selections_that_cannot_serve(group, tmp_path, monkeypatch, options, code, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'empty.txt').write_text('\n# nobody\n')
    ended, printed, said = group(*options)
    assert (ended, printed) == (code, '')
    assert says in said


def test_nobody_left(group):
    everybody = ['--exclude-participant-label', '01', '02', '03', '04']
    code, printed, said = group('--list-scalars', '--json', *everybody, scalars=())
    assert (code, printed) == (18, '')
    assert 'images of excluded participants' in said


@pytest.mark.parametrize('option', ['--list-scalars', '--dry-run'])
def test_an_ambiguity_of_one_scalar_does_not_hide_the_others(group, tmp_path, option):
    root = trees.write_aslprep(tmp_path / 'aslprep', trees.people(2))
    perf = root / 'sub-01' / 'perf'
    trees.write_map(perf / f'sub-01_space-{MNI}_kernel-b_cbf.nii.gz', trees.people(1)[0])
    code, printed, said = group(option, root=root, scalars=())
    rows = {line.split()[0]: line.split()[2:5] for line in printed.splitlines() if MNI in line}
    assert rows['cbf_score'] == [MNI, '2', '2']
    assert rows['cbf'] == [MNI, '2', '3']
    assert code == 65
    assert 'error: cbf (space-MNI152NLin2009cAsym) has several images for one row' in said
    assert 'would be written' not in printed


def test_visits_that_nothing_tells_apart_end_with_the_options_that_decide(group, tmp_path):
    root = trees.describe(tmp_path / 'aslprep', 'ASLPrep')
    for ses in '12':
        name = f'sub-01/ses-{ses}/perf/sub-01_ses-{ses}_space-{MNI}_cbf.nii.gz'
        trees.write_map(root / name, trees.people(1)[0])
    code, printed, said = group('--list-scalars', '--json', root=root)
    assert code == 65
    choice = '--session-label 1; or take each as a row with --session-label 1 2'
    assert choice in said
    (problem,) = json.loads(printed)['problems']
    assert choice in problem
    code, printed, _ = group('--list-scalars', '--json', '--session-label', 'ses-1', '2', root=root)
    assert code == 0
    assert len(json.loads(printed)['scalars'][0]['images']) == 2


@pytest.fixture
def xcp(tmp_path):
    """Maps of two tasks and two atlases, smoothed or not."""
    root, people = trees.describe(tmp_path / 'xcp_d', 'xcp_d'), trees.people(2)
    for person in people:
        stem = root / f'sub-{person.label}' / 'func' / f'sub-{person.label}'
        for task in ('rest', 'nback'):
            start = f'{stem}_task-{task}_space-fsLR'
            for atlas in ('Tian', 'Glasser'):
                name = f'{start}_atlas-{atlas}_den-91k_stat-coverage_boldmap.pscalar.nii'
                trees.write_cifti(Path(name), person)
            for desc in ('', '_desc-smooth'):
                name = f'{start}_den-91k_stat-alff{desc}_boldmap.dscalar.nii'
                trees.write_cifti(Path(name), person)
    trees.write_participants(root, people)
    return root


@pytest.mark.parametrize(
    ('options', 'found'),
    [
        (['--task-id', 'rest'], {('rest', None): 2, ('rest', 'Tian'): 1, ('rest', 'Glasser'): 1}),
        (['--task_id', 'rest', 'nback', '--select', 'atlas=Tian'],
         {('rest', 'Tian'): 1, ('nback', 'Tian'): 1}),
        (['-t', 'rest', '--select', 'atlas=', 'desc=smooth'], {('rest', None): 1}),
        (['--select', 'atlas=*', 'task=rest'], {('rest', 'Tian'): 1, ('rest', 'Glasser'): 1}),
        (['--select', 'atlas=Tian,Glasser', '--select', 'task=nback'],
         {('nback', 'Tian'): 1, ('nback', 'Glasser'): 1}),
        (['--select', 'density=91k', 'desc=smooth', '-t', 'nback'], {('nback', None): 1}),
    ],
)  # fmt: skip
def test_labels_of_any_entity_choose(group, xcp, options, found):
    code, printed, said = group('--list-scalars', '--json', *options, root=xcp, scalars=())
    assert code == 0, said
    entities = [scalar['entities'] for scalar in json.loads(printed)['scalars']]
    assert Counter((one.get('task'), one.get('atlas')) for one in entities) == found


def test_what_is_selected_is_built(group, xcp, tmp_path):
    code, _, said = group('-t', 'rest', '--select', 'desc=smooth', root=xcp, scalars=())
    assert code == 0, said
    (store,) = tmp_path.rglob('*_modelarray.h5')
    assert store.name == 'task-rest_space-fsLR_den-91k_desc-greyordinates_modelarray.h5'


@pytest.mark.parametrize(
    ('options', 'code', 'says'),
    [
        (['--select', 'atlas'], 64, "--select 'atlas' has no label. Write it as KEY=LABEL."),
        (['--select', '=x'], 64, 'has no label'),
        (['--select', 'a-b=x'], 64, "there is no entity 'a-b'"),
        (['--select', 'atlsa=x'], 64, "'atlsa' that no file has (do you mean atlas"),
        (['--select', 'task=rest', '--task-id', 'rest'], 64, 'both choose by task'),
        (['--select', 'atlas=None'], 18, 'nothing to analyse among'),
        (['--task-id', 'motor'], 18, 'nothing to analyse among'),
    ],
)
def test_labels_that_choose_nothing(group, xcp, options, code, says):
    ended, _, said = group('--list-scalars', *options, root=xcp, scalars=())
    assert ended == code
    assert says in said


def test_filters_of_a_file_and_of_options_come_together(group, xcp, tmp_path):
    filters = tmp_path / 'filters.json'
    filters.write_text('{"scalar": {"atlas": null}}')
    options = ['--list-scalars', '--json', '--bids-filter-file', filters]
    code, printed, _ = group(*options, '--select', 'desc=', 'task=rest', root=xcp, scalars=())
    assert code == 0
    assert [scalar['scalar'] for scalar in json.loads(printed)['scalars']] == ['alff']
    code, _, said = group(*options, '--select', 'atlas=Tian', root=xcp, scalars=())
    assert (code, 'both choose by atlas' in said) == (64, True)
