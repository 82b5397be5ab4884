from contextlib import contextmanager

import numpy as np
import pytest
from stores import write_results

from modelarrayio_bids.reports.findings.terms import Term, read_terms, terms_of
from modelarrayio_bids.store.reader import StoreReader

NAMES = ('element_id', 'age.estimate', 'age.p.value', 'sex.statistic', 'sex.p.value.fdr')


@contextmanager
def analysis(path, names, matrix):
    with StoreReader(write_results(path, 'mylm', names, matrix)) as reader:
        yield reader.analysis('mylm')


@pytest.mark.parametrize(
    ('names', 'expected'),
    [
        (['age.estimate', 'model.nobs'], []),
        (['age.p.value'], [Term('age', '', 'age.p.value', '')]),
        (
            ['age.estimate', 'age.statistic', 'age.p.value.fdr', 'age.p.value'],
            [Term('age', 'age.statistic', 'age.p.value.fdr', 'fdr')],
        ),
        (
            ['a.p.value.none', 'a.p.value.bonferroni', 'a.p.value.fdr'],
            [Term('a', '', 'a.p.value.bonferroni', 'bonferroni')],
        ),
        (['a.p.value.none'], [Term('a', '', 'a.p.value.none', '')]),
        (
            ['s_age.edf', 's_age.p.value', 's_age.partial.rsq'],
            [Term('s_age', 's_age.partial.rsq', 's_age.p.value', '')],
        ),
        (['p.value', 'statistic'], [Term('', 'statistic', 'p.value', '')]),
    ],
)
def test_which_result_decides_and_which_is_shown(names, expected):
    assert terms_of(names) == expected


def test_the_formulas_terms_come_first():
    names = [f'{term}.p.value' for term in ('Intercept', 'model', 'sex', 'age:sexM')]
    assert [term.name for term in terms_of(names)] == ['sex', 'age:sexM', 'model']
    assert [term.name for term in terms_of(names[:2])] == ['model', 'Intercept']
    wanted = [term.name for term in terms_of(names, show_intercept=True)]
    assert wanted == ['sex', 'age:sexM', 'model', 'Intercept']


def test_the_rule_says_what_was_not_corrected():
    corrected, uncorrected = terms_of(['a.p.value.BH', 'b.p.value'])
    assert corrected.rule == 'BH-corrected p < 0.05'
    assert uncorrected.rule == 'uncorrected p < 0.001'


@pytest.mark.parametrize('memory', [1, 10**9])
def test_values_are_those_of_the_file(tmp_path, memory):
    rng = np.random.default_rng(1)
    matrix = np.column_stack([np.arange(5000), rng.normal(size=(5000, 4))])
    matrix[:, [2, 4]] = rng.random((5000, 2)) ** 8
    matrix[7, 1:] = np.nan
    with analysis(tmp_path / 'x.h5', NAMES, matrix) as results:
        found = list(read_terms(results, threads=2, memory=memory))
    for values, shown, p, level in zip(found, (1, 3), (2, 4), (0.001, 0.05), strict=True):
        np.testing.assert_array_equal(values.shown, matrix[:, shown].astype(np.float32))
        np.testing.assert_array_equal(values.kept, matrix[:, p] < level)
        assert values.n_tested == 4999
        assert values.smallest_p == np.nanmin(matrix[:, p])
        np.testing.assert_array_equal(values.element_ids, matrix[:, 0])
        assert np.isnan(values.n_images[0])


def test_p_that_is_too_small_for_float32_is_compared_as_it_is(tmp_path):
    matrix = np.array([[1e-60], [0.0], [np.nextafter(0.001, 0)], [0.001]])
    with analysis(tmp_path / 'x.h5', ['age.p.value'], matrix) as results:
        (values,) = read_terms(results)
    assert values.kept.tolist() == [True, True, True, False]
    assert values.shown.tolist() == [60, np.inf, 3, 3]
    assert values.smallest_p == 0


def test_the_number_of_images_may_differ(tmp_path):
    matrix = np.array([[0.5, 20], [0.5, np.nan], [0.5, 24]])
    with analysis(tmp_path / 'x.h5', ['age.p.value', 'model.nobs'], matrix) as results:
        (values,) = read_terms(results)
    assert values.n_images == (20, 24)
