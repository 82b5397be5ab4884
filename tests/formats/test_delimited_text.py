"""Tables of text: everything that they hold is read, or an error says where it ends."""

import csv
import io
import os
import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modelarrayio_bids.errors import (
    FormatError,
    ModelArrayIOError,
    NotFetchedError,
    SourceNotFoundError,
)
from modelarrayio_bids.formats.delimited_text import read_table

HEADER = 'participant_id,site,notes'


@pytest.fixture
def table(tmp_path):
    def write(content, name='table.csv'):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@given(st.binary(max_size=80) | st.text('",;\t \r\n\0ab\ufeffé', max_size=40).map(str.encode))
@example(b'participant_id,' + b'a' * 140_000 + b'\n01,2\n')
@example(b'\xff\xfe' + 'participant_id\n01\n'.encode('utf-16-le'))
@example(b'\xff\xfe\x00\xd8\n\x00')
@example(b'sep=""\na,b\n')
@example('a\n\ud800'.encode('utf-8', 'surrogatepass'))
def test_any_bytes_are_a_table_or_one_of_our_errors(content):
    with tempfile.TemporaryDirectory() as folder:
        for name in ('table.csv', 'table.tsv'):
            path = Path(folder, name)
            path.write_bytes(content)
            try:
                found = read_table(path)
            except ModelArrayIOError as error:
                assert error.path == str(path)
            else:
                assert all(isinstance(cell, str) for row in found.rows for cell in row)


CELLS = st.text('ab01-./', min_size=1, max_size=4)


@given(st.text('",;\t \r\nab1\ufeffé', max_size=40), st.sampled_from(['.csv', '.tsv']))
@example('participant_id,x\n01,"a\n02\n03"\n', '.csv')
@example('a\x0bb,c\x1c\n\x85d,e\n', '.csv')
def test_a_table_has_all_that_is_in_the_file(text, ending):
    def without_marks(text, separator):
        kept = (sign for sign in text if not sign.isspace() and sign not in f'"{separator}')
        return ''.join(kept)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f'table{ending}')
        path.write_text(text, encoding='utf-8', newline='')
        try:
            found = read_table(path)
        except FormatError:
            return
    written = text.removeprefix('\ufeff')
    cells = ''.join(cell for row in [found.header, *found.rows] for cell in row)
    assert without_marks(cells, found.separator) == without_marks(written, found.separator)
    if '"' not in text:
        # As many rows as lines that are not blank, counted by splitting alone.
        lines = re.split('\r\n|\r|\n', written)
        full = [line for line in lines if line.replace(found.separator, '').strip()]
        assert len(found.rows) == max(len(full) - 1, 0)


@given(
    data=st.data(),
    width=st.integers(1, 4),
    n_rows=st.integers(1, 6),
    separator=st.sampled_from('\t,;'),
    beginning=st.sampled_from(['{}', '0{}', 'sub-{}', 'FA']),
)
def test_no_stray_quote_loses_a_row(data, width, n_rows, separator, beginning):
    # Rows whose cells hold neither separators nor quotes, some of them short; quotes opened and
    # closed anywhere.
    rows = [['participant_id', *(f'0.{column}' for column in range(1, width))]]
    for row in range(1, n_rows + 1):
        full = [beginning.format(row), *(f'{row}.{column}' for column in range(1, width))]
        rows.append(full[: data.draw(st.integers(1, width))])
    places = st.integers(0, n_rows).flatmap(
        lambda row: st.tuples(st.just(row), st.integers(0, len(rows[row]) - 1))
    )
    for row, column in data.draw(st.lists(places, min_size=1, max_size=3)):
        rows[row][column] = '"' + rows[row][column]
    for row, column in data.draw(st.lists(places, max_size=2)):
        rows[row][column] += '"'
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'table.tsv' if separator == '\t' else 'table.csv')
        path.write_text('\n'.join(map(separator.join, rows)) + '\n')
        try:
            found = read_table(path)
        except FormatError as error:
            assert 'the quote that opens a cell in line' in error.what
        else:
            assert len(found.rows) == n_rows


@given(st.lists(st.tuples(CELLS, st.text('ab ",;\n', max_size=8)), min_size=1, max_size=5))
def test_what_is_written_with_quotes_is_read_again(pairs):
    file = io.StringIO()
    rows = [[name, note, 'x'] for name, note in pairs]
    csv.writer(file).writerows([['participant_id', 'note', 'site'], *rows])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'table.csv')
        path.write_bytes(file.getvalue().encode())
        try:
            found = read_table(path)
        except FormatError as error:
            # Lines of a note with as many cells as a row, or that begin as rows do.
            assert 'looks like rows' in error.what
            assert any('\n' in note for _, note in pairs)
        else:
            assert found.rows == rows


@pytest.mark.parametrize(
    ('rows', 'line'),
    [
        (['01,A,ok', '02,B,"moved', '03,C,ok'], 3),
        (['01,A,"moved', '02,B,ok', '03,C,"moved'], 2),
        (['01,A,"moved', '02,B,ok', '03,C,done"'], 2),
        (['01,"A,ok', '02,B",ok'], 2),
        (['"01,A,ok', '02",B,ok'], 2),
        (['01,A', '02,B', '', '"03,C', '04",D'], 5),
        (['01,A,"said "yes" twice"'], 2),
        (['01,A,"moved', '02,B"'], 2),
        (['01,A,ok', '02,"B', '03"'], 3),
        (['FA,a.nii,"m.nii', 'FA,b.nii"', 'FA,c.nii,m.nii'], 2),
    ],
)
def test_a_quote_without_a_match_is_named_by_its_line(table, rows, line):
    path = table('\n'.join([HEADER, *rows]) + '\n')
    with pytest.raises(FormatError, match=f'opens a cell in line {line} has no match') as raised:
        read_table(path)
    assert raised.value.path == str(path)


def test_a_quote_in_a_header_swallows_no_row(table):
    path = table('participant_id,"age\n01",9\n02,8\n')
    with pytest.raises(FormatError, match='line 1 has no match'):
        read_table(path)


@pytest.mark.parametrize(
    'row',
    [
        ['01', 'A', 'first line\nsecond, with a comma'],
        ['01', 'A', 'one,\ntwo,\nthree'],
        ['01', 'two\nlines', 'x'],
        ['first\nsecond', 'A', 'x'],
        ['01', 'A', 'says "yes",\n"no"'],
        ['01', '5" wide', 'x'],
        ['01', 'A', 'scanned twice:\n2 hours later, again\n3'],
    ],
)
def test_cells_of_several_lines_are_cells(table, row):
    file = io.StringIO()
    csv.writer(file).writerows([HEADER.split(','), row, ['02', 'B', 'ok']])
    assert read_table(table(file.getvalue())).rows == [row, ['02', 'B', 'ok']]


def test_a_header_of_several_lines_is_one(table):
    found = read_table(table('participant_id,"age\n(years)",sex\n01,9,F\n'))
    assert (found.header, found.rows) == (
        ('participant_id', 'age\n(years)', 'sex'),
        [['01', '9', 'F']],
    )


@pytest.mark.parametrize(
    'content',
    [
        'participant_id,site\n01,A B\n',
        'participant_id;site\n01;A B\n',
        'sep=;\nparticipant_id;site\n01;A B\n',
        'participant_id\tsite\n01\tA B\n',
        'participant_id, site\n01, "A B"\n',
        '\n\r\nparticipant_id,site\r\n\r\n01,A B\r\n',
        'participant_id,site\r01,A B\r',
        'participant_id;site\n01;A B\n'.encode('utf-16'),
        'participant_id,site\n01,A B\n'.encode('utf-8-sig'),
    ],
    ids=['commas', 'semicolons', 'sep=', 'tabs', 'blanks', 'blank lines', 'cr', 'utf-16', 'mark'],
)
def test_separators_and_encodings_are_found(table, content):
    found = read_table(table(content))
    assert ([name.strip() for name in found.header], found.rows) == (
        ['participant_id', 'site'],
        [['01', 'A B']],
    )


@pytest.mark.parametrize(
    ('content', 'says'),
    [(b'a,b\n1,\0\n', 'line 2 holds a NUL'), ('José'.encode('latin-1'), 'not text in UTF-8')],
)
def test_what_is_no_text_says_so(table, content, says):
    with pytest.raises(FormatError, match=says):
        read_table(table(content))


@pytest.mark.parametrize('make', [os.mkfifo, os.mkdir, lambda path: path.symlink_to('/dev/zero')])
def test_what_is_no_file_is_not_waited_for(tmp_path, make):
    make(tmp_path / 'table.csv')
    with pytest.raises(
        SourceNotFoundError, match=r'table\.csv: (is a pipe|cannot be read \(Is a dir)'
    ):
        read_table(tmp_path / 'table.csv')


@pytest.mark.parametrize('name', ['a\0b.csv', 'x' * 300 + '.csv', 'loop.csv'])
def test_a_path_that_cannot_be_one(tmp_path, name):
    (tmp_path / 'loop.csv').symlink_to('loop.csv')
    with pytest.raises(SourceNotFoundError):
        read_table(tmp_path / name)


ANNEX = '/annex/objects/MD5E-s8123--d41d8cd98f00b204e9800998ecf8427e.csv\n'
LFS = 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n'


@pytest.mark.parametrize(
    ('content', 'says'), [(ANNEX, 'Get it: datalad get .*table.csv'), (LFS, 'git lfs pull')]
)
def test_a_file_that_only_names_its_content(table, content, says):
    with pytest.raises(NotFetchedError, match=says):
        read_table(table(content))


def test_links_of_git_annex_and_subdatasets_say_how_to_get_them(tmp_path):
    (tmp_path / 'table.csv').symlink_to('.git/annex/objects/xx/yy/table.csv')
    with pytest.raises(NotFetchedError, match='datalad get .*table.csv'):
        read_table(tmp_path / 'table.csv')
    (tmp_path / '.gitmodules').write_text('[submodule "raw"]\n\tpath = source/raw\n\turl = x\n')
    (tmp_path / 'source' / 'raw').mkdir(parents=True)
    folder = tmp_path / 'source' / 'raw'
    with pytest.raises(NotFetchedError, match=f'Install it: datalad get -n {folder}'):
        read_table(folder / 'sub-01' / 'table.csv')
    (tmp_path / 'link.csv').symlink_to('nowhere.csv')
    with pytest.raises(SourceNotFoundError, match=r'is a link to what is not there \(nowhere.csv'):
        read_table(tmp_path / 'link.csv')
