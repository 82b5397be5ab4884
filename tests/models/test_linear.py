"""Linear models against R's own ``lm``, element by element."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from models.fitting import fit_all
from models.oracle import MODEL, R

from modelarrayio_bids.models.base import Outcome, counted, result_names
from modelarrayio_bids.models.design import design
from modelarrayio_bids.models.linear import LinearModel
from modelarrayio_bids.models.options import ModelOptions
from modelarrayio_bids.models.statistics import TERM_STATISTICS

FULL = ModelOptions(var_terms=TERM_STATISTICS, var_model=MODEL)
FORMULAS = [
    'y ~ age + sex',
    'y ~ age * sex + site',
    'y ~ 1',
    'y ~ 0 + age',
    'y ~ site - 1',
    'y ~ poly(age, 2) + I(motion^2) + site:sex',
    'y ~ age + year + I(year^2) + sex',
    'y ~ age + I(2 * age) + sex',
    'y ~ age + offset(shift) + site',
]


@pytest.fixture(scope='module')
def r(tmp_path_factory):
    process = R(tmp_path_factory.mktemp('r'))
    yield process
    process.close()


def cohort(n=48, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            'age': rng.uniform(8, 80, n),
            'sex': rng.choice(['F', 'M'], n),
            'site': rng.choice(list('ABCD'), n),
            'motion': rng.gamma(2, 0.1, n),
            'year': rng.integers(2005, 2021, n),
            'shift': rng.normal(0, 0.1, n),
        }
    )


def responses(table, n_elements=30, seed=1, missing=0.0):
    rng = np.random.default_rng(seed)
    effect = 0.02 * table['age'].to_numpy()[:, None] * (np.arange(n_elements) % 3)
    sex = 0.3 * (table['sex'] == 'M').to_numpy()[:, None]
    values = 5 + effect + sex + 0.4 * rng.normal(size=(len(table), n_elements))
    values[rng.random(values.shape) < missing] = np.nan
    return values


def fitted(model, *arrays, **options):
    values, _ = fit_all(model, *arrays, **options)
    return dict(zip(result_names(model), values, strict=True))


def labels(design):
    return [name if name != '(Intercept)' else 'Intercept' for name in design.names]


def close(found, expected, what, rtol=1e-9, atol=0.0):
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected), err_msg=what)
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=atol, err_msg=what)


def compare(answer, found):
    compare_coefficients(answer, found)
    for name in MODEL:
        tolerance = {'rtol': 1e-8, 'atol': 1e-300} if name == 'p.value' else {}
        if name.endswith('r.squared'):
            tolerance = {'rtol': 0, 'atol': 1e-9}
        close(found[f'model.{name}'], answer.model[name], f'model {name}', **tolerance)


def compare_coefficients(answer, found):
    for label, (*expected, estimable) in zip(labels(answer.design), answer.terms, strict=True):
        compare_tests(found, label, np.where(estimable == 1, expected, np.nan))


def compare_tests(found, name, expected):
    """Estimate, standard error, t and p, to a billionth of a standard error."""
    estimate, error, t, p = expected
    mine = [found[f'{name}.{statistic}'] for statistic in TERM_STATISTICS]
    sizes = np.where(error > 0, error, 1)
    close(mine[0] / sizes, estimate / sizes, f'{name} estimate', rtol=0, atol=1e-9)
    close(mine[1], error, f'{name} std.error')
    close(mine[2], t, f'{name} t', atol=1e-9)
    close(mine[3], p, f'{name} p', rtol=1e-8, atol=1e-300)


@pytest.mark.parametrize('missing', [0.0, 0.1, 0.5])
@pytest.mark.parametrize('formula', FORMULAS)
def test_every_statistic_is_that_of_lm(r, formula, missing):
    table = cohort()
    y = responses(table, missing=missing)
    answer = r.fit(formula, table, y)
    compare(answer, fitted(LinearModel(answer.design, FULL), y))


def test_blank_covariates_are_left_out(r):
    table = cohort()
    table.loc[[3, 17], 'age'] = np.nan
    y = responses(table, missing=0.1)
    answer = r.fit('y ~ age + site', table, y)
    compare(answer, fitted(LinearModel(answer.design, FULL), y))


@pytest.mark.parametrize('missing', [0.0, 0.2])
@pytest.mark.parametrize('formula', ['y ~ age * sex', 'y ~ 0 + site', 'y ~ site + offset(shift)'])
def test_weights(r, formula, missing):
    table = cohort()
    y = responses(table, missing=missing)
    weights = np.random.default_rng(5).gamma(2, 1, len(table))
    weights[[2, 30]] = 0
    weights[5] = np.nan
    answer = r.fit(formula, table, y, weights=weights)
    compare(answer, fitted(LinearModel(answer.design, FULL, weights), y))


def test_p_values_in_the_far_tail(r):
    table = cohort(400)
    size = np.logspace(-2, 1, 25)
    noise = 0.4 * np.random.default_rng(2).normal(size=(len(table), 25))
    y = 1 + table['age'].to_numpy()[:, None] * size + noise
    answer = r.fit('y ~ age + sex', table, y)
    p = answer.terms[1, 3]
    assert ((p > 1e-300) & (p < 1e-200)).any()
    compare(answer, fitted(LinearModel(answer.design, FULL), y))


def absent(table, y, seed=3):
    """A level away, the reference away, two away, all but one away, one image of a level left."""
    gone = [['D'], ['A'], ['A', 'C'], ['B', 'C', 'D']]
    y = y.copy()
    for element in range(y.shape[1]):
        y[table['site'].isin(gone[element % 4]), element] = np.nan
    rng = np.random.default_rng(seed)
    y[rng.random(y.shape) < np.where(np.arange(y.shape[1]) % 3 == 0, 0.1, 0)] = np.nan
    return y


@pytest.mark.parametrize('formula', ['y ~ age + site', 'y ~ site * age', 'y ~ 0 + site + sex'])
def test_absent_levels_leave_estimable_coefficients(r, formula):
    table = cohort(120)
    whole = responses(table, 24)
    y = absent(table, whole)
    design = r.fit(formula, table, whole[:, :1]).design
    # To lm the columns are given: from the formula it would make others where a level is absent.
    names = [f'x{index}' for index in range(len(design.names))]
    columns = pd.DataFrame(design.matrix, columns=names)
    intercept, *others = names if 0 in design.assign else ['0', *names]
    plain = r.fit(f'y ~ {intercept.replace("x0", "1")} + {" + ".join(others)}', columns, y)
    answer = dataclasses.replace(plain, design=design)
    found = fitted(LinearModel(design, FULL), y)
    assert np.isnan([found[f'{label}.estimate'] for label in labels(design)]).any()
    compare(answer, found)


def test_near_collinear_columns_are_kept_or_dropped_as_lm_does(r):
    table = cohort(60)
    rng = np.random.default_rng(9)
    for index, size in enumerate([1e-3, 1e-5, 1e-6, 1e-7, 1e-9]):
        table[f'near{index}'] = table['age'] + size * rng.normal(size=60)
        y = responses(table, 8, missing=0.1)
        answer = r.fit(f'y ~ age + near{index} + sex', table, y)
        found = fitted(LinearModel(answer.design, FULL), y)
        for name in ('nobs', 'df.residual'):
            close(found[f'model.{name}'], answer.model[name], name)
        # The rounding of the data itself is worth this much.
        close(found['sexM.estimate'], answer.terms[3, 0], 'sex', rtol=1e-7)
        close(found['age.std.error'], answer.terms[1, 1], 'age', rtol=1e-15 / size + 1e-9)


@pytest.mark.parametrize('missing', [0.0, 0.1])
@pytest.mark.parametrize('formula', ['y ~ MD + age', 'y ~ age * MD + site', 'y ~ sex:MD'])
def test_scalars_as_covariates(r, formula, missing):
    table = cohort(60)
    y = responses(table, missing=missing)
    scalar = 0.8 + 0.01 * np.random.default_rng(4).normal(size=y.shape)
    scalar[np.random.default_rng(6).random(y.shape) < missing / 2] = np.nan
    answer = r.fit(formula, table, y, scalar=scalar)
    model = LinearModel(answer.design, FULL)
    assert model.scalars == ('MD',)
    compare(answer, fitted(model, y, {'MD': scalar}))


def test_a_scalar_without_variation_leaves_other_coefficients(r):
    table = cohort()
    y = responses(table, 4)
    scalar = np.random.default_rng(4).normal(size=y.shape)
    scalar[:, 1], scalar[:, 2] = 3.7, 0.0
    answer = r.fit('y ~ MD + age', table, y, scalar=scalar)
    model = LinearModel(answer.design, FULL)
    found = fitted(model, y, {'MD': scalar})
    compare(answer, found)
    assert np.isnan(found['MD.estimate']).tolist() == [False, True, True, False]


def test_anova_is_that_of_car(r):
    table = cohort(80)
    y = responses(table, 8, missing=0.05)
    options = ModelOptions(anova=True)
    formulas = ['y ~ age + sex + site', 'y ~ age * sex * site', 'y ~ site:sex + age + site']
    # Terms that others explain are not tested, in car neither.
    for formula in [*formulas, 'y ~ I(2 * age) + site:age', 'y ~ sex + age + I(2 * age)']:
        answer = r.fit(formula, table, y, anova=True)
        found = fitted(LinearModel(answer.design, options), y)
        for term, (f, p) in zip(answer.design.terms, answer.anova, strict=True):
            close(found[f'{term}.anova.statistic'], f, f'{term} F', rtol=1e-8)
            close(found[f'{term}.anova.p.value'], p, f'{term} p', rtol=1e-7)


def test_anova_with_weights_and_scalars(r):
    table = cohort(80)
    y = responses(table, 8, missing=0.05)
    weights = np.random.default_rng(5).gamma(2, 1, len(table))
    scalar = np.random.default_rng(6).normal(size=y.shape)
    answer = r.fit('y ~ MD * sex + site', table, y, weights=weights, scalar=scalar, anova=True)
    found = fitted(LinearModel(answer.design, ModelOptions(anova=True), weights), y, {'MD': scalar})
    for term, (f, p) in zip(answer.design.terms, answer.anova, strict=True):
        close(found[f'{term}.anova.statistic'], f, f'{term} F', rtol=1e-8)
        close(found[f'{term}.anova.p.value'], p, f'{term} p', rtol=1e-7)


@pytest.mark.parametrize('missing', [0.0, 0.1])
def test_contrasts_and_joint_tests(r, missing):
    table = cohort(80)
    y = responses(table, missing=missing)
    # Columns: (Intercept), age, sexM, siteB, siteC, siteD, age:sexM.
    factors = [[0, 0, 1, 0, 0, 0, -1], [0, 0, 0, 0.5, 0.5, -1, 0], [1, 30, 0, 0, 0, 0, 0]]
    joint = [[0, 1, 0, 0, 0, 0, 1], [0, 0, 0, 1, 1, 1, 0], [0, 0, 1, 1, 0, 0, 0]]
    answer = r.fit('y ~ age * sex + site', table, y, contrasts=factors, joint=joint)
    options = ModelOptions(
        contrasts={
            'men': 'sexM - age:sexM',
            'sites': '0.5*(siteB + siteC) - siteD',
            'at30': 'Intercept + 30*age',
        },
        f_tests={'ages': 'age + age:sexM', 'places': 'site', 'some': 'sexM + siteB'},
    )
    found = fitted(LinearModel(answer.design, options), y)
    for name, expected in zip(options.contrasts, answer.contrasts, strict=True):
        compare_tests(found, name, expected)
    for name, (f, p) in zip(options.f_tests, answer.joint, strict=True):
        close(found[f'{name}.statistic'], f, f'{name} F', rtol=1e-8)
        close(found[f'{name}.p.value'], p, f'{name} p', rtol=1e-7)


def test_a_contrast_may_be_estimable_where_its_coefficients_are_not(r):
    """Without the reference level, levels can still be compared with each other."""
    table = cohort(120)
    y = responses(table, 3)
    y[table['site'] == 'A', 1] = np.nan
    y[table['site'] == 'C', 2] = np.nan
    whole = r.fit('y ~ site + age', table, y).design
    options = ModelOptions(contrasts={'c_b': 'siteC - siteB'}, f_tests={'site': 'site'}, anova=True)
    found = fitted(LinearModel(whole, options), y)
    assert np.isnan(found['siteB.estimate']).tolist() == [False, True, False]
    assert np.isnan(found['c_b.estimate']).tolist() == [False, False, True]
    # A test of all levels needs them all.
    for name in ('site', 'site.anova'):
        assert np.isnan(found[f'{name}.statistic']).tolist() == [False, True, True]
    assert not np.isnan(found['age.anova.statistic']).any()
    there = table['site'] != 'A'
    other = r.fit('y ~ site + age', table[there], y[there][:, [1]])
    close(found['c_b.estimate'][1:2], other.terms[2 - 1, 0], 'siteC with B as the reference')


def test_effect_sizes(r):
    table = cohort(80)
    y = responses(table, missing=0.1)
    answer = r.fit('y ~ age + sex + site', table, y, anova=True)
    options = ModelOptions(effect_sizes=True, anova=True, var_model=MODEL)
    found = fitted(LinearModel(answer.design, options), y)
    df = answer.model['df.residual']
    there = np.isfinite(y)
    ages = np.where(there, table['age'].to_numpy()[:, None], np.nan)
    t = answer.terms[1, 2]
    ratio = np.nanstd(ages, axis=0) / np.nanstd(y, axis=0)
    close(found['age.std.estimate'], answer.terms[1, 0] * ratio, 'standardised', rtol=1e-10)
    close(found['age.partial.rsq'], t**2 / (t**2 + df), 'partial R²')
    close(found['age.cohens.f2'], t**2 / df, 'f²')
    f = answer.anova[2, 0]
    close(found['site.anova.cohens.f2'], 3 * f / df, 'f² of three coefficients', rtol=1e-8)
    r2 = answer.model['r.squared']
    close(found['model.cohens.f2'], r2 / (1 - r2), 'f² of the model')


def test_columns_are_in_modelarrays_order(r):
    table = cohort()
    design = r.fit('y ~ age + sex', table, responses(table, 1)).design
    options = ModelOptions(
        correct_p_value_terms=('fdr', 'bonferroni'), correct_p_value_model=('holm',)
    )
    assert result_names(LinearModel(design, options)) == (
        'element_id',
        'Intercept.estimate', 'Intercept.statistic', 'Intercept.p.value',
        'age.estimate', 'age.statistic', 'age.p.value',
        'sexM.estimate', 'sexM.statistic', 'sexM.p.value',
        'model.adj.r.squared', 'model.p.value',
        'Intercept.p.value.fdr', 'age.p.value.fdr', 'sexM.p.value.fdr',
        'Intercept.p.value.bonferroni', 'age.p.value.bonferroni', 'sexM.p.value.bonferroni',
        'model.p.value.holm',
    )  # fmt: skip
    without = ModelOptions(var_terms=('estimate',), correct_p_value_model=('none',))
    assert not LinearModel(design, without).corrections


def test_elements_that_cannot_be_fitted_are_counted(r):
    table = cohort()
    y = responses(table, 8)
    y[11:, 1] = np.nan  # 11 images: more than 10, and more than a fifth of 48
    y[10:, 2] = np.nan
    y[:, 3] = 0.25
    y[40, 4] = np.inf
    y[20:, 5] = np.nan
    y[:20, 5] = 7
    y[12:, 6] = np.nan
    design = r.fit('y ~ age + sex', table, y[:, :1]).design
    model = LinearModel(design, dataclasses.replace(FULL, correct_p_value_model=('bonferroni',)))
    values, outcomes = fit_all(model, y)
    found = dict(zip(result_names(model), values, strict=True))
    assert outcomes.tolist() == [0, 0, 1, 2, 0, 2, 0, 0]
    assert counted(outcomes) == {'too few images': 1, 'constant response': 2}
    unfitted = np.isin(outcomes, (Outcome.TOO_FEW_IMAGES, Outcome.CONSTANT_RESPONSE))
    assert np.isnan(values[1:, unfitted]).all()
    assert found['model.nobs'][4] == 47
    # Not counted among the tests either: five elements are fitted.
    np.testing.assert_allclose(
        found['model.p.value.bonferroni'], np.minimum(1, 5 * found['model.p.value'])
    )


def test_without_residual_degrees_of_freedom_estimates_are_all(r):
    table = cohort()
    y = responses(table, 2)
    y[4:, 1] = np.nan
    answer = r.fit('y ~ age + motion + shift', table, y)
    options = dataclasses.replace(FULL, num_subj_lthr_abs=0, num_subj_lthr_rel=0)
    model = LinearModel(answer.design, options)
    values, outcomes = fit_all(model, y)
    found = dict(zip(result_names(model), values, strict=True))
    assert counted(outcomes) == {'no residual degrees of freedom': 1}
    close(found['age.estimate'], answer.terms[1, 0], 'age', rtol=1e-6)
    for name in ('age.p.value', 'model.sigma', 'model.statistic', 'model.logLik'):
        assert np.isnan(found[name]).tolist() == [False, True]


def test_from_formula_to_results(r):
    """The formula read here, not by R, with a square of a scalar."""
    table = cohort(60)
    y = responses(table, missing=0.1)
    scalar = np.random.default_rng(4).normal(1, 0.1, y.shape)
    formula = 'y ~ poly(age, 2) + I(MD^2) + MD:sex + site'
    answer = r.fit(formula, table, y, scalar=scalar)
    model = LinearModel(design(formula, table.astype(str), {'y', 'MD'}), FULL)
    compare(answer, fitted(model, y, {'MD': scalar}))
