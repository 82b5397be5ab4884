"""What ``modelarrayio-bids group`` takes, leaves out, and says of it."""

import csv
import json

import pytest
import trees

from modelarrayio_bids.cli.bids_app import main

MNI = trees.SPACE


@pytest.fixture(scope='module')
def study(tmp_path_factory):
    """Blood flow of four people, and what participants.tsv says of them."""
    root = trees.describe(tmp_path_factory.mktemp('selection') / 'study')
    trees.write_participants(root, trees.people(4))
    trees.write_aslprep(root / 'derivatives' / 'aslprep', trees.people(4))
    return root


@pytest.fixture
def group(study, tmp_path, capfd):
    """Run the group level on one scalar: exit code, standard output and standard error."""

    def run(*options, root=study, scalars=('cbf',)):
        chosen = ['--scalars', *scalars] if scalars else []
        code = main([str(root), str(tmp_path / 'out'), 'group', *chosen, *map(str, options)])
        return code, *capfd.readouterr()

    return run


@pytest.fixture
def cohort(tmp_path):
    """The rows of the one cohort a run wrote, and its sidecar."""

    def read():
        (path,) = (tmp_path / 'out').rglob('*_cohort.csv')
        with path.open(newline='', encoding='utf-8') as file:
            rows = list(csv.DictReader(file))
        return rows, json.loads(path.with_suffix('.json').read_text('utf-8'))

    return read


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


def test_rows_without_a_required_phenotype_are_left_out(group, cohort):
    code, _, said = group('--require', 'age', 'sex')
    assert code == 0
    rows, sidecar = cohort()
    # trees.write_participants: the second age is n/a.
    assert [row['participant_id'] for row in rows] == ['sub-01', 'sub-03', 'sub-04']
    (left_out,) = sidecar['LeftOut']
    assert (left_out['Of'], left_out['Reason']) == ('sub-02', 'without age')
    assert left_out['Image'].endswith('/sub-02_space-MNI152NLin2009cAsym_cbf.nii.gz')
    assert 'left out 1 images without age, of 1 participants or visits: sub-02' in said


@pytest.mark.parametrize(
    ('text', 'options', 'code', 'says'),
    [
        ('participant_id,age\n01,3\n', [], 65, 'has age 49.2 for sub-01, where'),
        ('participant_id,iq\n1,3\n2,4\n', [], 65, 'lists nobody who has images: it has sub-1'),
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
