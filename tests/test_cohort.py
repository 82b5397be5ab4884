import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from images import write_csv

from modelarrayio_bids.cohort import Cohort, what_r_wants
from modelarrayio_bids.errors import (
    CohortError,
    CohortProblemsError,
    DuplicateSourceError,
    EmptyCohortError,
    FormatError,
    SourceNotFoundError,
    UsageError,
)
from modelarrayio_bids.formats.delimited_text import read_table

LONG = ['scalar_name', 'source_file', 'source_mask_file', 'participant_id', 'age']


def test_rows_keep_their_order_and_text(tmp_path):
    rows = [['FA', 'b.nii', 'm.nii', 'sub-2', ''], ['FA', 'a.nii', 'm.nii', 'sub-1', '007']]
    cohort = Cohort.from_csv(write_csv(tmp_path / 'c.csv', LONG, rows))
    assert [source.name for source in cohort.sources()] == ['b.nii', 'a.nii']
    assert cohort.phenotypes == ('participant_id', 'age')
    assert [row['age'] for row in cohort.rows] == ['', '007']


def test_written_and_read_again_is_the_same(tmp_path):
    rows = [
        ['FA', 'a.nii', 'm.nii', 'sub-1', 'says "ten", twice'],
        ['MD', 'b.nii', '', 'sub-1', '1'],
    ]
    cohort = Cohort.from_csv(write_csv(tmp_path / 'c.csv', LONG, rows))
    cohort.to_csv(tmp_path / 'again.csv')
    again = Cohort.from_csv(tmp_path / 'again.csv')
    assert (again.columns, again.rows) == (cohort.columns, cohort.rows)


def test_one_scalar_of_several(tmp_path):
    rows = [['FA', 'a.nii', 'm.nii', 'sub-1', '9'], ['MD', 'b.nii', '', 'sub-1', '9']]
    cohort = Cohort.from_csv(write_csv(tmp_path / 'c.csv', LONG, rows))
    assert [source.name for source in cohort.sources('MD')] == ['b.nii']
    assert [source.name for source in cohort.only('FA').sources()] == ['a.nii']
    assert cohort.has_masks
    assert not Cohort.from_rows([{'scalar_name': 'FA', 'source_file': 'a.nii'}]).has_masks


def test_blanks_around_paths_and_names_go_and_those_of_phenotypes_stay():
    row = {
        'scalar_name': ' FA',
        'source_file': 'a.nii ',
        'source_mask_file': ' m.nii',
        'note': ' x',
    }
    (found,) = Cohort.from_rows([row]).rows
    assert list(found.values()) == ['FA', 'a.nii', 'm.nii', ' x']


@pytest.mark.parametrize(
    ('columns', 'remedy'),
    [
        (['a', 'b'], 'Add it, or name the columns of a wide table'),
        (['scalar_name|source_file', 'b'], 'Its columns could not be separated'),
    ],
)
def test_rows_without_the_columns_that_are_needed(columns, remedy):
    with pytest.raises(CohortError, match=remedy):
        Cohort.from_rows([dict.fromkeys(columns, 'x')])


def test_a_table_of_one_column_is_read_alike_in_r(tmp_path):
    (tmp_path / 'c.csv').write_text('source_file\na.nii\n')
    assert what_r_wants(read_table(tmp_path / 'c.csv')) == ''


@given(st.lists(st.text('abcäöß,"\' \t', min_size=1), min_size=1, max_size=5))
def test_any_phenotype_survives_a_round_trip(tmp_path_factory, texts):
    folder = tmp_path_factory.mktemp('cohort')
    rows = [
        {'scalar_name': 'FA', 'source_file': f'{number}.nii', 'note': text}
        for number, text in enumerate(texts)
    ]
    Cohort.from_rows(rows).to_csv(folder / 'c.csv')
    assert [row['note'] for row in Cohort.from_csv(folder / 'c.csv').rows] == texts


def test_wide_cohorts_are_read_in_the_predecessors_order(tmp_path):
    # modelarrayio 26.0.0, cohort_to_long_dataframe: rows first, then scalars; blanks are left out.
    rows = [['sub-1', 'fa1.nii', 'md1.nii', 'm1.nii'], ['sub-2', 'n/a', 'md2.nii', 'm2.nii']]
    path = write_csv(tmp_path / 'w.csv', ['participant_id', 'FA', 'MD', 'source_mask_file'], rows)
    cohort = Cohort.from_csv(path, ['FA', 'MD'])
    found = [(source.scalar, source.name, source.mask.name) for source in cohort.sources()]
    assert found == [
        ('FA', 'fa1.nii', 'm1.nii'),
        ('MD', 'md1.nii', 'm1.nii'),
        ('MD', 'md2.nii', 'm2.nii'),
    ]
    assert cohort.columns == ('scalar_name', 'source_file', 'participant_id', 'source_mask_file')
    with pytest.raises(CohortError, match='has no column RD.*It has: participant_id, FA'):
        Cohort.from_csv(path, ['FA', 'RD'])
    assert cohort.scalars == ('FA', 'MD')
    assert len(cohort.only('MD').rows) == 2


def test_relative_paths_start_from_the_working_folder_then_the_table(tmp_path, monkeypatch):
    here, table = tmp_path / 'here', tmp_path / 'table'
    for folder, name in ((here, 'both.nii'), (table, 'both.nii'), (table, 'beside.nii')):
        folder.mkdir(exist_ok=True)
        (folder / name).touch()
    rows = [['FA', 'both.nii', '', 's1', ''], ['FA', 'beside.nii', '', 's2', '']]
    path = write_csv(table / 'c.csv', LONG, rows)
    monkeypatch.chdir(here)
    both, beside = Cohort.from_csv(path).sources()
    assert both.path.resolve() == here / 'both.nii'
    assert beside.path == table / 'beside.nii'
    assert (both.name, both.mask) == ('both.nii', None)


def test_a_byte_order_mark_and_tabs_are_understood(tmp_path):
    path = tmp_path / 'c.tsv'
    path.write_text('\ufeffscalar_name\tsource_file\nFA\ta.nii\n', encoding='utf-8')
    assert Cohort.from_csv(path).scalars == ('FA',)


@pytest.mark.parametrize(
    ('text', 'error', 'says'),
    [
        ('', CohortError, 'is empty. Give a table with a header'),
        ('scalar_name,age\nFA,1\n', CohortError, 'no column source_file'),
        ('scalar_name,source_file\n', EmptyCohortError, 'lists no source'),
        ('scalar_name,source_file\nFA,\n,a.nii\n', EmptyCohortError, 'lists no source'),
        ('scalar_name,source_file\nFA,a.nii,1\n', CohortError, 'row 1 has 3 cells, expected the 2'),
        ('scalar_name,source_file,source_file\nFA,a,b\n', CohortError, 'several columns named so'),
        (
            'scalar_name,source_file\nFA,a.nii\nFA,x/../a.nii\n',
            DuplicateSourceError,
            'is listed twice',
        ),
        ('scalar_name,source_file\nFA,a.nii\nFA,a.nii\n', DuplicateSourceError, 'listed twice'),
        ('scalar_name,source_file\nFA,a.nii\nFA,./a.nii\n', DuplicateSourceError, 'listed twice'),
        (
            'scalar_name,source_file,participant_id,age\nFA,a.nii,s1,3\nFA,b.nii,s1,3\n',
            DuplicateSourceError,
            's1 is listed twice for FA (a.nii and b.nii), and no column distinguishes the rows',
        ),
    ],
)
def test_unusable_tables(tmp_path, text, error, says):
    path = tmp_path / 'c.csv'
    path.write_text(text)
    with pytest.raises(error) as raised:
        Cohort.from_csv(path)
    assert says in str(raised.value)
    assert raised.value.path == str(path)


@pytest.mark.parametrize(
    ('text', 'says'),
    [
        ('scalar_name;source_file\nFA;a.nii\n', "has ';' between its columns"),
        ('scalar_name,source_file\nFA,a.nii\n'.encode('utf-16'), 'is in UTF-16'),
        ('scalar_name, source_file\nFA, "a.nii"\n', 'has blanks after its separators'),
        ('scalar_name\tsource_file\nFA\ta.nii\n', "has '\\t' between its columns"),
    ],
)
def test_what_other_programs_save_is_taken_as_meant(tmp_path, caplog, text, says):
    path = tmp_path / 'c.csv'
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    (source,) = Cohort.from_csv(path).sources()
    assert (source.scalar, source.name) == ('FA', 'a.nii')
    assert (f'{path} {says}: save it as CSV UTF-8' in caplog.text) == bool(says)


def test_a_name_of_a_column_in_other_letters_is_pointed_out(tmp_path):
    path = tmp_path / 'c.csv'
    path.write_text('Scalar_Name,Source File\nFA,a.nii\n')
    with pytest.raises(CohortError, match="Rename the column 'Scalar_Name' to scalar_name and"):
        Cohort.from_csv(path)
    path = path.with_suffix('.tsv')
    path.write_text('scalar_name,source_file\nFA,a.nii\n')
    with pytest.raises(CohortError, match='could not be separated'):
        Cohort.from_csv(path)


def test_the_backslashes_of_windows_divide_folders(tmp_path):
    (tmp_path / 'sub-01').mkdir()
    (tmp_path / 'sub-01' / 'FA.nii').touch()
    path = tmp_path / 'c.csv'
    path.write_text('scalar_name,source_file\nFA,sub-01\\FA.nii\n')
    (source,) = Cohort.from_csv(path).sources()
    absolute = Cohort.from_rows(
        [{'scalar_name': 'FA', 'source_file': f'{tmp_path}\\sub-01\\FA.nii'}]
    )
    assert absolute.sources()[0].path == source.path
    # ModelArray matches sources by what the table says.
    assert (source.name, source.path) == ('sub-01\\FA.nii', tmp_path / 'sub-01' / 'FA.nii')


def test_none_is_no_path_and_a_value_of_a_phenotype(tmp_path):
    rows = [['FA', 'a.nii', 'None', 's1', 'None'], ['FA', 'None', '', 's2', '1']]
    (row,) = Cohort.from_csv(write_csv(tmp_path / 'c.csv', LONG, rows)).rows
    (source,) = Cohort.from_csv(tmp_path / 'c.csv').sources()
    assert (row['age'], source.mask) == ('None', None)


def test_a_home_of_nobody_is_a_path_like_others():
    (source,) = Cohort.from_rows([{'scalar_name': 'FA', 'source_file': '~nosuch/a.nii'}]).sources()
    assert str(source.path) == '~nosuch/a.nii'


def test_a_name_that_is_not_utf8_is_refused_when_written(tmp_path):
    cohort = Cohort.from_rows([{'scalar_name': 'FA', 'source_file': 'caf\udce9.nii'}])
    with pytest.raises(UsageError, match='not UTF-8'):
        cohort.to_csv(tmp_path / 'c.csv')
    assert not list(tmp_path.iterdir())


def test_visits_are_told_apart_by_any_column():
    rows = [
        {'scalar_name': 'FA', 'source_file': f'{n}.nii', 'subject_id': 's1', 'visit': str(n)}
        for n in range(2)
    ]
    assert len(Cohort.from_rows(rows).rows) == 2


def test_all_duplicates_are_named_at_once(tmp_path):
    rows = [['FA', name, '', '', ''] for name in ('a.nii', 'a.nii', 'b.nii', 'b.nii')]
    with pytest.raises(CohortProblemsError) as raised:
        Cohort.from_csv(write_csv(tmp_path / 'c.csv', LONG, rows))
    assert [problem.what for problem in raised.value.problems] == [
        'a.nii is listed twice for FA',
        'b.nii is listed twice for FA',
    ]


def test_tables_are_read_as_pandas_reads_them(tmp_path):
    # Two blank columns, a repeated one, a short row, a blank line: all from Excel.
    path = tmp_path / 'c.csv'
    path.write_text('scalar_name,source_file,x,x,,\r\nFA,a.nii,1,2,,\r\nFA,b.nii\r\n , ,\r\n')
    cohort = Cohort.from_csv(path)
    assert cohort.columns[2:] == ('x', 'x.1', 'Unnamed: 4', 'Unnamed: 5')
    assert [(row['x'], row['x.1']) for row in cohort.rows] == [('1', '2'), ('', '')]


def test_an_index_column_tells_nobody_apart(tmp_path):
    path = tmp_path / 'c.csv'
    path.write_text(',scalar_name,source_file,subject_id\n0,FA,a.nii,s1\n1,FA,b.nii,s1\n')
    with pytest.raises(DuplicateSourceError, match='s1 is listed twice'):
        Cohort.from_csv(path)


def test_a_wide_table_must_not_be_long_as_well(tmp_path):
    path = write_csv(tmp_path / 'c.csv', ['source_file', 'FA'], [['a.nii', 'b.nii']])
    with pytest.raises(CohortError, match='is wide.*also has a column source_file'):
        Cohort.from_csv(path, ['FA'])


def test_the_home_folder_may_be_abbreviated(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    (source,) = Cohort.from_rows([{'scalar_name': 'FA', 'source_file': '~/a.nii'}]).sources()
    assert (source.name, source.path) == ('~/a.nii', tmp_path / 'a.nii')


def test_a_missing_table(tmp_path):
    with pytest.raises(SourceNotFoundError):
        Cohort.from_csv(tmp_path / 'none.csv')


def test_a_table_that_is_no_text(tmp_path):
    (tmp_path / 'c.csv').write_bytes(b'\xff\x00\xfe\x01')
    with pytest.raises(FormatError):
        Cohort.from_csv(tmp_path / 'c.csv')


def test_remote_sources_keep_their_text():
    rows = [
        {'scalar_name': 'FA', 'source_file': address, 'source_mask_file': 's3://b/mask.nii.gz'}
        for address in ('s3://bucket/a/../b.nii.gz', 's3://bucket/b.nii.gz', 'http://h/c.nii.gz?d')
    ]
    sources = Cohort.from_rows(rows).sources()
    assert [source.name for source in sources] == [row['source_file'] for row in rows]
    assert [str(source.path) for source in sources] == [row['source_file'] for row in rows]
    assert [source.path.name for source in sources] == ['b.nii.gz', 'b.nii.gz', 'c.nii.gz']
    assert pickle.loads(pickle.dumps(sources)) == sources


def test_addresses_that_nothing_reads_are_refused_by_name():
    rows = [{'scalar_name': 'FA', 'source_file': 'ftp://host/a.nii.gz'}]
    with pytest.raises(UsageError, match='ftp://host/a.nii.gz'):
        Cohort.from_rows(rows)
