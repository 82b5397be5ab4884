import json
import tempfile
from pathlib import Path

import pytest
import trees
from hypothesis import given
from hypothesis import strategies as st

from modelarrayio_bids.derivatives.cohorts.collect import collect
from modelarrayio_bids.derivatives.cohorts.participant_tables import Table, Visit
from modelarrayio_bids.derivatives.cohorts.phenotypes import Phenotypes
from modelarrayio_bids.derivatives.cohorts.request import Request
from modelarrayio_bids.errors import (
    CohortProblemsError,
    FormatError,
    NotFetchedError,
    SourceNotFoundError,
    UsageError,
)

MNI = trees.SPACE


@pytest.fixture
def table(tmp_path):
    def write(text, name='participants.tsv'):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def read(*paths):
    return Phenotypes.of([Table.from_file(path) for path in paths])


def test_not_available_is_blank_and_columns_keep_their_order(table):
    found = read(table('participant_id\tsite\tage\nsub-01\tA\t9\n02\tn/a\tN/A\n'))
    visits = [Visit('01'), Visit('02'), Visit('03')]
    assert found.columns == ('site', 'age')
    assert found.values(visits).to_dict('records') == [
        {'site': 'A', 'age': '9'},
        {'site': '', 'age': ''},
        {'site': '', 'age': ''},
    ]
    assert found.blanks(visits) == {'site': 2, 'age': 2}


def test_what_visits_lack(table):
    found = read(table('participant_id\tsite\tage\n01\tA\t9\n02\tn/a\t9\n03\tn/a\t\n'))
    visits = [Visit('01'), Visit('02'), Visit('03')]
    assert found.lacking(visits, ['age', 'site']) == {
        Visit('02'): ['site'],
        Visit('03'): ['age', 'site'],
    }
    assert found.lacking(visits, ['age']) == {Visit('03'): ['age']}


@pytest.mark.parametrize(
    'text',
    [
        '\ufeffage,participant_id\r\n9.5,sub-01\r\n\r\n',
        'sep=;\r\nparticipant_id;age\r\nsub-01;9,5\r\n',
        'participant_id;age;;\r\n01;9,5;;\r\n;;;\r\n',
        'participant_id\tage\nsub-01\t9.5\n'.encode('utf-16'),
        'participant_id,age,site\n01,9.5\n02,8\n',
        ' participant_id , age \n\xa0sub-01\xa0, 9.5 \n',
        'participant_id,age\n"sub-01","9.5"\n',
    ],
    ids=['mark', 'sep=', 'semicolons', 'utf-16', 'short rows', 'blanks', 'quotes'],
)
def test_a_table_as_excel_writes_it(table, text):
    path = table(text, 'from_excel.csv')
    assert read(path).values([Visit('01')])['age'].tolist() == ['9.5']


def test_decimal_commas_are_points_only_where_all_are_numbers(table):
    path = table('participant_id;age;note\n01;9,5;1,2 and 3\n02;;4,5\n', 'x.csv')
    assert Table.from_file(path).frame.to_dict('records') == [
        {'age': '9.5', 'note': '1,2 and 3'},
        {'age': '', 'note': '4,5'},
    ]


def test_errors_of_a_spreadsheet_are_blank_and_none_is_a_value(table):
    path = table('participant_id,iq,drug\n01,#DIV/0!,None\n02,NA,n/a\n', 'x.csv')
    found = Table.from_file(path)
    assert found.visits == (Visit('01'), Visit('02'))
    assert found.frame.to_dict('records') == [
        {'iq': '', 'drug': 'None'},
        {'iq': '', 'drug': ''},
    ]


@pytest.mark.parametrize(
    ('text', 'says'),
    [
        ('', 'empty'),
        ('age\n3\n', 'no column participant_id'),
        ('participant_id\tage\nsub-01\n', 'row 1 has 1 cells, expected 2'),
        ('participant_id\tage\tage\n', 'several columns'),
        ('participant_id\t\tage\n', 'without a name'),
        ('participant_id\tage\nn/a\t3\n', 'row 1 has no participant_id'),
        ('participant_id\n01\nsub-01\n', 'names sub-01 twice.*session_id'),
        ('participant_id\tsession_id\n01\t1\n01\tses-1\n', 'names sub-01 ses-1 twice'),
        ('participant_id\tname\n01\tJosé\n'.encode('latin-1'), 'UTF-8'),
    ],
)
def test_a_table_that_cannot_be_used(table, text, says):
    path = table(text)
    with pytest.raises(FormatError, match=says) as caught:
        Table.from_file(path)
    assert caught.value.path == str(path)


def test_a_phenotype_never_takes_the_name_of_the_scalar_or_of_our_columns(table):
    header = 'participant_id\tcbf\tsource_file\tage\tcbf_phenotype'
    found = read(table(f'{header}\nsub-01\t1\t2\t3\t4\n'))
    assert found.renamed('cbf') == {
        'cbf': 'cbf_phenotype_phenotype',
        'source_file': 'source_file_phenotype',
        'age': 'age',
        'cbf_phenotype': 'cbf_phenotype',
    }
    assert found.renamed('fa')['cbf'] == 'cbf'


def test_a_visit_is_served_by_its_own_row(table):
    found = Table.from_file(
        table('participant_id\tsession_id\tage\n01\tses-1\t9\n01\t2\t10\n02\t1\t20\n03\t\t30\n')
    )
    ages = {
        Visit('01', '1'): '9',
        Visit('01', '2', '1'): '10',
        Visit('01'): None,  # two rows, and nothing says which
        Visit('01', '3'): None,
        Visit('02'): '20',  # an image of no session, a table of one visit
        Visit('02', '2'): None,
        Visit('03', '1'): '30',  # a row that names no session
    }
    rows = dict(zip(found.visits, found.frame['age'], strict=True))
    assert {visit: rows.get(found.find(visit)) for visit in ages} == ages


def test_the_row_of_one_run_is_not_that_of_another(table):
    found = Table.from_file(table('participant_id\trun_id\tmotion\n01\t1\t0.11\n'))
    assert found.find(Visit('01', '', '1')) == Visit('01', '', '1')
    assert found.find(Visit('01')) == Visit('01', '', '1')  # an image of no run
    assert found.find(Visit('01', '', '2')) is None
    found = Table.from_file(table('participant_id\tsession_id\trun_id\tage\n01\t1\tn/a\t9\n'))
    assert found.find(Visit('01', '', '1')) == Visit('01', '1')  # a row of no run


@pytest.mark.parametrize('sign', ['\x0b', '\x0c', '\x1c', '\x85', '\u2028'])
def test_signs_that_end_a_line_elsewhere_stay_in_their_cell(tmp_path, sign):
    path = tmp_path / 'table.csv'
    text = f'participant_id,site,age\n01,foo{sign}bar,9\r\n02,x,8\n'
    path.write_bytes(text.encode())
    found = Table.from_file(path)
    assert found.frame.to_dict('records')[0] == {'site': f'foo{sign}bar', 'age': '9'}
    assert found.visits == (Visit('01'), Visit('02'))


def test_runs_are_numbers(table):
    found = Table.from_file(table('participant_id\trun_id\tscore\n01\trun-01\t5\n01\t2\t6\n'))
    assert found.frame['score'].tolist() == ['5', '6']
    assert found.find(Visit('01', '', '1')) == found.visits[0]
    assert found.find(Visit('01', 'any', '002')) == found.visits[1]


def test_tables_of_one_grain_must_agree(table):
    one = table('participant_id\tage\tsex\n01\t9\tF\n02\t8\tM\n03\tn/a\tM\n')
    other = table('participant_id,age,sex\n01,9.0,F\n02,7,F\n03,6,\n', 'more.csv')
    with pytest.raises(CohortProblemsError) as caught:
        read(one, other)
    says = [str(problem) for problem in caught.value.problems]
    assert f'{one}: has age 8 for sub-02, where {other} has 7.' in says[0]
    assert 'has sex M for sub-02' in says[1]
    other.write_text('participant_id,age\n01,9.0\n03,6\n')
    joined = read(one, other).values([Visit(n) for n in ('01', '02', '03')])
    assert joined['age'].tolist() == ['9.0', '8', '6']


def test_a_visits_own_value_is_taken_and_said(table, caplog):
    people = table('participant_id\tage\tsex\n01\t9\tF\n')
    visits = table('participant_id,session_id,age\n01,2,10\n01,3,\n', 'visits.csv')
    found = read(visits, people)
    assert found.values([Visit('01', '2')]).to_dict('records') == [{'age': '10', 'sex': 'F'}]
    assert found.values([Visit('01', '3')]).to_dict('records') == [{'age': '9', 'sex': 'F'}]
    assert f'age: 1 rows of {visits} differ from {people} (first: sub-01 ses-2)' in caplog.text


@pytest.mark.parametrize(
    'content', [b'{"age": ', b'\x92', b'[]', b'[' * 100_000, b'{"age": ' + b'9' * 5000 + b'}']
)
def test_a_dictionary_that_cannot_be_read_is_done_without(table, caplog, content):
    path = table('participant_id\tage\n01\t9\n')
    path.with_suffix('.json').write_bytes(content)
    assert read(path).description('age')['Description'] == (
        'A phenotype, from participants.tsv; blank where n/a.'
    )
    assert str(path.with_suffix('.json')) in caplog.text


def test_a_dictionary_is_text_that_can_be_written(table):
    path = table('participant_id\tage\n01\t9\n')
    path.with_suffix('.json').write_text(r'{"age": {"Units": "\ud800 years"}}')
    read(path).description('age')['Units'].encode('utf-8')


def test_a_table_whose_content_is_elsewhere_stops_the_run(table, tmp_path, caplog):
    people = tmp_path / 'participants.tsv'
    people.symlink_to('.git/annex/objects/x/participants.tsv')
    with pytest.raises(NotFetchedError, match=f'datalad get {people}'):
        Phenotypes.find([tmp_path])
    people.unlink()
    table('participant_id\tage\n01\t9\n')
    (tmp_path / 'participants.json').symlink_to('.git/annex/objects/x/participants.json')
    assert Phenotypes.find([tmp_path]).columns == ('age',)
    assert f'datalad get {tmp_path / "participants.json"}' in caplog.text


def test_columns_that_are_almost_keys_are_pointed_out(table):
    path = table('participant_id\trun\tage\n01\t1\t9\n01\t2\t9\n')
    with pytest.raises(FormatError, match='If the column run distinguishes them, call it run_id'):
        read(path)
    assert read(table('participant_id\trun\n01\t1\n')).columns == ('run',)


def test_rows_of_no_session_beside_others_are_said(table, caplog):
    path = table('participant_id\tsession_id\tage\n01\t1\t9\n01\t\t8\n02\tn/a\t7\n')
    found = read(path).values([Visit('01', '1'), Visit('01', '2'), Visit('02', '1')])
    assert found['age'].tolist() == ['9', '8', '7']
    assert f'{path}: 2 of 3 rows have no session_id, and serve every image' in caplog.text
    assert 'no row of its own: sub-01, sub-02' in caplog.text


@pytest.mark.parametrize('sessions', [('1', '2'), ('', 'n/a')], ids=['all', 'none'])
def test_sessions_of_all_rows_or_none_need_no_word(table, caplog, sessions):
    first, second = sessions
    read(table(f'participant_id\tsession_id\tage\n01\t{first}\t9\n02\t{second}\t7\n'))
    assert 'have no session_id' not in caplog.text


def test_sessions_are_read_from_each_participants_folder(table, tmp_path):
    table('participant_id\tsex\nsub-01\tF\n')
    table('session_id\tage\nses-1\t9\nses-2\tn/a\n', 'sub-01/sub-01_sessions.tsv')
    table('session_id\tscore\n1\t5\n', 'sub-02/sub-02_sessions.tsv')
    table('{"age": {"Units": "year"}}', 'sessions.json')
    found = Phenotypes.find([tmp_path / 'none', tmp_path])
    assert found.columns == ('sex', 'age', 'score')
    assert found.values([Visit('01', '1')]).to_dict('records') == [
        {'sex': 'F', 'age': '9', 'score': ''}
    ]
    assert found.values([Visit('02', '1')]).to_dict('records') == [
        {'sex': '', 'age': '', 'score': '5'}
    ]
    assert found.description('age')['Units'] == 'year'


def test_without_any_table_there_are_no_phenotypes(tmp_path, caplog):
    assert Phenotypes.find([tmp_path]).columns == ()
    assert 'no participants.tsv' in caplog.text
    with pytest.raises(SourceNotFoundError):
        Phenotypes.find([tmp_path], [tmp_path / 'none.csv'])


def test_what_the_dictionary_did_not_lead_one_to_expect_is_said(table):
    path = table('participant_id\tage\tsex\tgroup\n01\t90+\tF\t1\n02\t8\tX\t2\n03\t\t\t\n')
    dictionary = {'age': {'Units': 'year'}, 'sex': {'Levels': {'F': 'female', 'M': 'male'}}}
    path.with_suffix('.json').write_text(json.dumps(dictionary))
    found = read(path).remarks([Visit('01'), Visit('02'), Visit('03')])
    assert [(one.columns, one.what) for one in found] == [
        (('age',), "'90+' of sub-01 is not a number, so R reads the column as text"),
        (('sex',), "'X' of sub-02 is not one of its levels"),
    ]


@pytest.fixture
def visits(dataset, tmp_path):
    """Two participants with two visits each, and a table of them."""
    names = [
        f'sub-0{sub}/ses-{ses}/perf/sub-0{sub}_ses-{ses}_space-{MNI}_cbf.nii.gz'
        for sub in (1, 2)
        for ses in (1, 2)
    ]
    root = dataset('aslprep', names)
    path = tmp_path / 'visits.csv'
    path.write_text('participant_id,session_id,age\n1,1,9\n01,1,9\n01,2,10\n02,1,20\n02,2,\n')
    return root, path


def test_a_longitudinal_table_keeps_one_row_per_visit(visits, tmp_path):
    root, path = visits
    found = collect(Request(root, tmp_path / 'out', phenotypes=(path,)))
    (group,) = found.groups
    cohort = group.write_cohort(group.outputs(tmp_path / 'out'), found.phenotypes)
    assert [(row['participant_id'], row['session_id'], row['age']) for row in cohort.rows] == [
        ('sub-01', 'ses-1', '9'),
        ('sub-01', 'ses-2', '10'),
        ('sub-02', 'ses-1', '20'),
        ('sub-02', 'ses-2', ''),
    ]
    (unmatched,) = found.unmatched(group)
    assert (unmatched.without_phenotypes, unmatched.without_images) == ((), ('sub-1 ses-1',))


def test_a_required_phenotype_that_no_table_has(visits, tmp_path):
    root, path = visits
    request = Request(root, tmp_path / 'out', phenotypes=(path,), required_columns=('iq',))
    with pytest.raises(UsageError, match='no table of phenotypes has a column iq. There are: '):
        collect(request)


def test_visits_without_a_required_phenotype_are_left_out(visits, tmp_path, caplog):
    root, path = visits
    found = collect(Request(root, tmp_path / 'out', phenotypes=(path,), required_columns=('age',)))
    (group,) = found.groups
    assert len(group.rows) == 3
    assert [(str(one.visit), one.reason) for one in group.left_out] == [
        ('sub-02 ses-2', 'without age')
    ]
    assert len(found.left_out['without age']) == 1
    assert 'left out 1 images without age, of 1 participants or visits: sub-02 ses-2' in caplog.text


WORDS = st.text('abcXYZ 019.+', min_size=1, max_size=6).map(str.strip).filter(bool)


@given(
    rows=st.dictionaries(
        st.from_regex('[b-zB-Z0-9]{1,4}', fullmatch=True),  # neither NA nor nan
        st.tuples(WORDS, st.decimals(-99, 99, places=2).map(str), st.just('n/a')),
        min_size=1,
        max_size=5,
    ),
    separator=st.sampled_from('\t,;'),
    encoding=st.sampled_from(['utf-8', 'utf-8-sig', 'utf-16']),
    end=st.sampled_from(['\n', '\r\n']),
    prefix=st.sampled_from(['', 'sub-']),
)
def test_a_table_says_the_same_however_it_was_saved(rows, separator, encoding, end, prefix):
    lines = [['participant_id', 'word', 'number', 'nothing']]
    for label, (word, number, nothing) in rows.items():
        written = number.replace('.', ',') if separator == ';' else number
        lines.append([prefix + label, word, written, nothing])
    text = end.join(separator.join(line) for line in lines) + end
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'table.csv'
        path.write_bytes(text.encode(encoding))
        found = Table.from_file(path)
    assert found.visits == tuple(map(Visit, rows))
    assert found.frame.to_dict('records') == [
        {'word': word, 'number': number, 'nothing': ''} for word, number, _ in rows.values()
    ]


@pytest.mark.parametrize('separator', [',', ';', ' '])
def test_a_tsv_without_tabs_says_so(tmp_path, separator):
    table = tmp_path / 'participants.tsv'
    table.write_text(f'participant_id{separator}age\nsub-01{separator}20\n')
    with pytest.raises(FormatError, match='columns could not be separated: save it with tabs'):
        Table.from_file(table)
