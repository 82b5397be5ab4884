import pytest

from modelarrayio_bids.derivatives.participants import Participants
from modelarrayio_bids.errors import FormatError


@pytest.fixture
def table(tmp_path):
    def write(text):
        path = tmp_path / 'participants.tsv'
        path.write_text(text, 'utf-8')
        return path

    return write


def test_not_available_is_blank_and_columns_keep_their_order(table):
    path = table('participant_id\tsite\tage\nsub-01\tA\t9\n02\tn/a\tN/A\n')
    found = Participants.from_tsv(path)
    names = found.renamed('fa')
    assert found.columns == ('site', 'age')
    assert found.of('01', names) == {'site': 'A', 'age': '9'}
    assert found.of('02', names) == {'site': '', 'age': ''}
    assert found.of('03', names) == {'site': '', 'age': ''}
    assert found.blanks(['01', '02', '03']) == {'site': 2, 'age': 2}
    assert found.unlisted(['03', '01']) == ['03']


def test_a_byte_order_mark_carriage_returns_and_blank_lines_are_harmless(table):
    path = table('\ufeffage\tparticipant_id\r\n9\tsub-01\r\n\r\n')
    assert Participants.from_tsv(path).rows == {'01': {'age': '9'}}


def test_a_phenotype_never_takes_the_name_of_the_scalar_or_of_our_columns(table, caplog):
    header = 'participant_id\tcbf\tsession_id\tage\tcbf_phenotype'
    path = table(f'{header}\nsub-01\t1\t2\t3\t4\n')
    found = Participants.from_tsv(path)
    assert found.of('01', found.renamed('cbf')) == {
        'cbf_phenotype_phenotype': '1',
        'session_id_phenotype': '2',
        'age': '3',
        'cbf_phenotype': '4',
    }
    assert "'cbf' of" in caplog.text
    assert found.renamed('fa')['cbf'] == 'cbf'


@pytest.mark.parametrize(
    ('text', 'says'),
    [
        ('', 'empty'),
        ('age\n3\n', 'no column participant_id'),
        ('participant_id\tage\nsub-01\n', 'row 1 has 1 cells, expected 2'),
        ('participant_id\tage\tage\n', 'several columns'),
        ('participant_id\tage\t\n', 'without a name'),
        ('participant_id\n01\nsub-01\n', 'names sub-01 twice'),
    ],
)
def test_a_table_that_cannot_be_used(table, text, says):
    path = table(text)
    with pytest.raises(FormatError, match=says) as caught:
        Participants.from_tsv(path)
    assert caught.value.path == str(path)


def test_a_table_in_another_encoding(table, tmp_path):
    (tmp_path / 'participants.tsv').write_bytes(
        'participant_id\tname\n01\tJosé\n'.encode('latin-1')
    )
    with pytest.raises(FormatError, match='UTF-8'):
        Participants.from_tsv(tmp_path / 'participants.tsv')


def test_the_first_folder_that_has_one_is_read(table, tmp_path, caplog):
    table('participant_id\tage\nsub-01\t9\n')
    assert Participants.from_folders([tmp_path / 'none', tmp_path]).columns == ('age',)
    assert Participants.from_folders([tmp_path / 'none']).columns == ()
    assert 'no participants.tsv' in caplog.text
