"""Contrasts and tests read from text."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from models.fitting import fit_all

from modelarrayio_bids.errors import ModelArrayIOError, UsageError
from modelarrayio_bids.models.base import result_names
from modelarrayio_bids.models.contrasts import Contrast, columns_to_test
from modelarrayio_bids.models.design import Design
from modelarrayio_bids.models.design import design as design_of
from modelarrayio_bids.models.formula.terms import Terms
from modelarrayio_bids.models.kinds import kind_of
from modelarrayio_bids.models.linear import LinearModel
from modelarrayio_bids.models.options import ModelOptions

NAMES = (
    '(Intercept)', 'age', 'sexM', 'siteB', 'siteB-1', 'age:sexM', 'poly(age, 2)1',
    'poly(age, 2)2', 'I(age^2)', 'ord.L', 'factor(x)b c',
)  # fmt: skip


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('age', {'age': 1}),
        ('-age', {'age': -1}),
        ('sexM - age:sexM', {'sexM': 1, 'age:sexM': -1}),
        ('sexM-age:sexM', {'sexM': 1, 'age:sexM': -1}),
        ('siteB-1', {'siteB-1': 1}),
        ('siteB - siteB-1', {'siteB': 1, 'siteB-1': -1}),
        ('0.5*siteB + sexM*.5', {'siteB': 0.5, 'sexM': 0.5}),
        ('1/2 * (siteB + sexM) - 2e1*age', {'siteB': 0.5, 'sexM': 0.5, 'age': -20}),
        ('(siteB + sexM)/2 - -age', {'siteB': 0.5, 'sexM': 0.5, 'age': 1}),
        ('Intercept + 30 * age', {'(Intercept)': 1, 'age': 30}),
        ('(Intercept) + 30 * (age)', {'(Intercept)': 1, 'age': 30}),
        ('poly(age, 2)1 - poly(age, 2)2', {'poly(age, 2)1': 1, 'poly(age, 2)2': -1}),
        ('I(age^2) + ord.L', {'I(age^2)': 1, 'ord.L': 1}),
        ('2*factor(x)b c - `age`', {'factor(x)b c': 2, 'age': -1}),
        ('age + age', {'age': 2}),
        ('2 - 2 + age', {'age': 1}),
    ],
)
def test_combinations(text, expected):
    contrast = Contrast.parse('c', text, NAMES)
    found = dict(zip(NAMES, contrast.factors, strict=True))
    assert {name: factor for name, factor in found.items() if factor} == expected


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('agee', "'agee' is not a coefficient. There are Intercept, age, sexM"),
        ('site', "'site' is not a coefficient"),
        ('age - sex', "'age - sex' has 'sex', which is not a coefficient"),
        ('age * sexM', 'multiplies coefficients'),
        ('age / sexM', 'divides by what is not a number other than 0'),
        ('age / 0', 'divides by what is not a number other than 0'),
        ('age + 1', 'adds a number'),
        ('age - age', 'is zero whatever the coefficients'),
        ('', 'ends where a coefficient should be'),
        ('age +', 'ends where a coefficient should be'),
        ('(age', 'lacks a closing bracket'),
        ('age)', "cannot be read from ')'"),
        ('age sexM', "cannot be read from 'sexM'"),
        ('__import__("os")', 'is not a coefficient'),
        ('(' * 10_000, 'is not a coefficient'),
    ],
)
def test_what_cannot_be_read_is_one_line(text, message):
    with pytest.raises(UsageError) as caught:
        Contrast.parse('mine', text, NAMES)
    assert message in str(caught.value)
    assert str(caught.value).startswith('contrast mine: ')
    assert '\n' not in str(caught.value)
    assert caught.value.exit_code == 64


@given(st.text(st.sampled_from('age sexM:+-*/()0123.`eE^[]{}"\'\\,;=~_é\n')))
def test_nothing_else_happens_whatever_is_written(text):
    try:
        contrast = Contrast.parse('c', text, NAMES)
    except ModelArrayIOError:
        return
    assert any(contrast.factors)


def design(columns=None):
    rng = np.random.default_rng(0)
    n = 30
    site = rng.integers(0, 3, n)
    columns = columns or [np.ones(n), rng.normal(size=n), site == 1, site == 2]
    matrix = np.column_stack([*columns, 2.0 * columns[1]])
    return Design(
        matrix.astype(float),
        ('(Intercept)', 'age', 'siteB', 'siteC', 'twice'), ('age', 'site', 'twice'),
        (0, 1, 2, 2, 3), np.arange(n), None, {}, ((),) * 5, 'FA', 'FA ~ age + site + twice',
        (('age',), ('site',), ('twice',)),
    )  # fmt: skip


@pytest.mark.parametrize(
    ('text', 'columns'),
    [('site', [2, 3]), ('age + site', [1, 2, 3]), ('siteC,age', [1, 3]), ('Intercept', [0])],
)
def test_joint_tests_name_terms_or_coefficients(text, columns):
    assert columns_to_test('f', text, design()) == columns


@pytest.mark.parametrize('text', ['', 'sit', 'site +', 'site - age', '2*age', 'site age'])
def test_joint_tests_that_cannot_be_read(text):
    with pytest.raises(UsageError, match='F test mine: '):
        columns_to_test('mine', text, design())


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'contrasts': {'c': 'twice'}}, "contrast c: 'twice' is not estimable. Other terms"),
        ({'contrasts': {'c': 'age'}}, "contrast c: 'age' is not estimable"),
        ({'f_tests': {'f': 'twice'}}, "F test f: 'twice' is not estimable"),
        ({'f_tests': {'f': 'age'}}, "F test f: 'age' is not estimable"),
        ({'contrasts': {'age': 'siteB'}}, 'two results would be called age.estimate'),
        ({'f_tests': {'model': 'siteB'}}, 'two results would be called model.p.value'),
    ],
)
def test_questions_that_the_whole_design_cannot_answer(options, message):
    with pytest.raises(UsageError) as caught:
        LinearModel(design(), ModelOptions(**options))
    assert message in str(caught.value)


def test_combinations_of_aliased_coefficients_may_be_estimable():
    """age + 2 twice is what the data tell, however the two share it."""
    model = LinearModel(design(), ModelOptions(contrasts={'c': 'age + 2*twice'}))
    assert model.aliased == ('twice',)


PEOPLE = pd.DataFrame({
    'who': [f's{n // 2}' for n in range(40)],
    'site': [('a', 'b', 'c')[n // 2 % 3] for n in range(40)],
    'age': np.random.default_rng(4).normal(size=40).round(2).astype(str),
})  # fmt: skip


@pytest.mark.parametrize('missing', [0, 0.1])
@pytest.mark.parametrize('formula', ['y ~ site + age', 'y ~ site + age + (1 | who)'])
def test_contrasts_that_span_a_term_test_what_it_does(formula, missing):
    rng = np.random.default_rng(6)
    y = rng.normal(size=(40, 12)) + np.repeat(rng.normal(size=(20, 12)), 2, axis=0)
    y[rng.random(y.shape) < missing] = np.nan
    asked = ModelOptions(
        contrasts={'b_c': 'siteb - sitec', 'b': '2*siteb', 'c': 'sitec'},
        f_tests={
            'term': 'site',
            'two': 'b_c + b',
            'three': 'b_c + b + c',
            'mixed': 'siteb, b_c',
            'all': 'b + c + age',
        },
    )
    plan = design_of(formula, PEOPLE, ['y'])
    model = kind_of(Terms.of(formula)).build(plan, asked)
    found = dict(zip(result_names(model), fit_all(model, y)[0], strict=True))
    # lmerTest's denominators depend a little on which contrasts span a hypothesis.
    close = 1e-2 if 'who' in formula else 1e-6
    for name in ('two', 'three', 'mixed'):
        for end, rel in {'statistic': 1e-6, 'p.value': close}.items():
            expected = found[f'term.{end}']
            assert found[f'{name}.{end}'] == pytest.approx(expected, rel=rel, nan_ok=True)
    again = kind_of(Terms.of(formula)).build(plan, ModelOptions(f_tests={'all': 'site + age'}))
    expected = dict(zip(result_names(again), fit_all(again, y)[0], strict=True))['all.statistic']
    assert found['all.statistic'] == pytest.approx(expected, rel=1e-6, nan_ok=True)
