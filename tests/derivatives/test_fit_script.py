"""Scripts for R: what they say, and that what a person changed is kept."""

import csv
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelarrayio_bids.derivatives.rscripts.fit_script import FitScript, r_path, r_text
from modelarrayio_bids.errors import CohortError, OutputError


@pytest.fixture
def fit(tmp_path):
    """Write the script of a cohort: its path and what it says."""

    def write(columns, rows, *, name='fit_fa.R', cores=1, dictionary=None, scalar='fa'):
        folder = tmp_path / 'out' / scalar
        folder.mkdir(parents=True, exist_ok=True)
        cohort, store = folder / 'cohort.csv', folder / 'modelarray.h5'
        with cohort.open('w', newline='', encoding='utf-8') as file:
            writer = csv.writer(file)
            writer.writerow(['scalar_name', 'source_file', 'participant_id', *columns])
            writer.writerows(
                [scalar, f'/data/{n}.nii', f'sub-{n}', *cells] for n, cells in enumerate(rows)
            )
        (folder / 'cohort.json').write_text(json.dumps(dictionary or {}))
        script = FitScript(tmp_path / 'study', tmp_path / 'out', cohort, store, cores)
        return script.write(tmp_path / 'out' / 'code' / name)

    return write


AGES = [[str(20 + n)] for n in range(20)]


def test_it_has_what_is_needed_to_run(fit, tmp_path):
    script = fit(['age', 'sex'], [[str(n), 'FM'[n % 2]] for n in range(30)], cores=7)
    text = script.read_text('utf-8')
    for line in (
        'store <- "fa/modelarray.h5"',
        'cohort <- "fa/cohort.csv"',
        f'"{tmp_path}/out")',
        'model <- fa ~ age + sex',
        '  n_cores = 7',
        # So that one of the 15 of each level is always there.
        '  num.subj.lthr.abs = 15,',
        '#   age: numbers, 0 to 29',
        '#   sex: F (15), M (15)',
        f'#   modelarrayio-bids {tmp_path}/study {tmp_path}/out export',
    ):
        assert line in text


def test_every_phenotype_is_listed_and_what_speaks_against_age_or_sex(fit):
    rows = [['n/a' if n else '', 'x' * 70, f'p{n}'] for n in range(20)]
    text = fit(['sex', 'long', 'who'], rows).read_text('utf-8')
    assert '#   sex: n/a (19); blank for 1; no term: the same for all' in text
    assert f'#   long: {"x" * 59}… (20)\n' in text
    assert '#   who: p0 (1), p1 (1), p10 (1),' in text
    assert ' and 10 more\n' in text


def test_levels_that_differ_in_blanks_are_told_apart(fit):
    rows = [[('"a"', ' a', 'a', 'a  b', 'a b', 'a\tb')[n % 6]] for n in range(60)]
    text = fit(['site'], rows).read_text('utf-8')
    (line,) = (line for line in text.splitlines() if line.startswith('#   site: '))
    shown = line.removeprefix('#   site: ').partition(';')[0]
    assert set(shown.split(', ')) == {
        f'{level} (10)' for level in ('"a"', '" a"', 'a', '"a  b"', 'a b', '"a\\tb"')
    }


def test_without_phenotypes_there_is_the_mean(fit):
    text = fit([], [[]] * 20).read_text('utf-8')
    assert 'model <- fa ~ 1\n' in text
    assert '--phenotypes' in text


def test_names_that_r_has_no_use_for_are_shown_as_a_formula_takes_them(fit):
    text = fit(['age (years)', 'Größe\nin cm'], [['1', '2']] * 20).read_text('utf-8')
    assert '#   `age (years)`: numbers, 1 to 1\n#   `Größe in cm`: numbers, 2 to 2\n' in text


def test_levels_of_the_data_dictionary_are_names_in_its_order(fit):
    dictionary = {'group': {'Levels': {'2': 'control', '1': 'patient'}}}
    text = fit(['group'], [[str(1 + n % 2)] for n in range(20)], dictionary=dictionary).read_text()
    assert 'colClasses = c("group" = "character")' in text
    assert 'phenotypes[["group"]] <- with_levels(phenotypes[["group"]], c("2", "1"))' in text


def test_one_that_nobody_changed_is_replaced(fit):
    first = fit(['age'], AGES)
    before = first.read_text()
    assert fit(['age'], AGES) == first
    assert first.read_text() == before
    assert fit(['AGE'], AGES) == first
    assert 'model <- fa ~ AGE' in first.read_text()
    assert [path.name for path in first.parent.iterdir()] == ['fit_fa.R']


@pytest.mark.parametrize(
    'change',
    [
        lambda text: text.replace('~ age', '~ age + I(age^2)'),
        lambda text: '# Mine!\n' + text,
        lambda text: text.partition('\n')[2],
        lambda text: text.replace('\n', '\r\n'),
        lambda text: text + '\n',
        lambda text: '',
    ],
    ids=['model', 'note above', 'no first line', 'Windows', 'a line more', 'emptied'],
)
def test_one_that_a_person_changed_is_never_replaced(fit, change, caplog):
    script = fit(['age'], AGES)
    with script.open('r+', newline='') as file:
        changed = change(file.read())
        file.seek(0)
        file.truncate()
        file.write(changed)
    new = fit(['AGE'], AGES)
    with script.open(newline='') as file:
        assert file.read() == changed
    assert new.name == 'new_fit_fa.R'
    assert 'model <- fa ~ AGE' in new.read_text()
    assert f'{script} was changed and is kept; that of this run is {new}' in caplog.text
    # No glob for the first may find the second, or both would be run.
    assert list(script.parent.glob('fit_*.R')) == [script]


def test_nothing_is_written_beside_it_that_it_was_changed_from(fit):
    script = fit(['age'], AGES)
    script.write_text(script.read_text() + '# Mine!\n')
    assert fit(['age'], AGES) == script
    assert [path.name for path in script.parent.iterdir()] == ['fit_fa.R']


def test_the_new_one_may_be_changed_too(fit):
    for column, name in (('a', 'fit_fa.R'), ('b', 'new_fit_fa.R'), ('c', 'new2_fit_fa.R')):
        script = fit([column], AGES)
        assert script.name == name
        script.write_text(script.read_text() + '# Mine!\n')
    assert fit(['b'], AGES).name == 'new_fit_fa.R'
    assert fit(['d'], AGES).name == 'new3_fit_fa.R'


def test_what_is_in_the_way_is_an_error(fit, tmp_path):
    (tmp_path / 'out' / 'code' / 'fit_fa.R').mkdir(parents=True)
    with pytest.raises(OutputError, match='cannot be created'):
        fit(['age'], AGES)


def test_one_script_is_of_one_scalar(tmp_path):
    cohort = tmp_path / 'cohort.csv'
    cohort.write_text('scalar_name,source_file\nfa,1.nii\nmd,1.nii\n')
    script = FitScript(tmp_path, tmp_path, cohort, tmp_path / 'x.h5')
    with pytest.raises(CohortError, match=r'several scalars \(fa, md\)'):
        script.write(tmp_path / 'fit.R')
    assert not (tmp_path / 'fit.R').exists()


@given(st.text(st.characters(exclude_categories=['Cs'], exclude_characters='\0')))
def test_strings_of_r_end_where_they_should(text):
    # How R reads them: tests/test_fit_in_r.py.
    for quoted in (r_text(text), r_path(text)):
        assert quoted.count('\n') == 0
        assert quoted.replace(r'\\', '').replace(r'\"', '').count('"') == 2
    assert r_text(text).isascii()
