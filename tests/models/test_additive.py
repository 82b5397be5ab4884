"""Smooths of fixed degrees of freedom against mgcv, element by element."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models.fitting import fit_all
from models.mgcv import Mgcv
from scipy import special

from modelarrayio_bids.errors import ModelArrayIOError
from modelarrayio_bids.models.additive import AdditiveModel
from modelarrayio_bids.models.adjustment import p_adjust
from modelarrayio_bids.models.base import Outcome, result_names
from modelarrayio_bids.models.design import design
from modelarrayio_bids.models.formula.smooth_bases import Curves
from modelarrayio_bids.models.formula.values import ArgumentError
from modelarrayio_bids.models.linear import LinearModel
from modelarrayio_bids.models.options import ModelOptions

FULL = ModelOptions(full_outputs=True, effect_sizes=True)
FORMULAS = [
    'y ~ s(age, k = 4, fx = TRUE)',
    'y ~ sex + motion + s(age, k = 4, fx = TRUE)',
    'y ~ s(age, fx = TRUE)',
    'y ~ s(age, k = 6, fx = TRUE, bs = "cr") + s(motion, k = 3, fx = TRUE)',
    'y ~ s(year, k = 5, fx = TRUE) + sex',
    'y ~ s(log(age), k = 4, fx = TRUE, bs = "tp")',
    'y ~ sex + s(age, k = 4, fx = TRUE, by = sex)',
    'y ~ s(age, k = 4, fx = TRUE, by = sex)',
    'y ~ ordered(site) + s(age, k = 4, fx = TRUE) + s(age, k = 4, fx = TRUE, by = ordered(site))',
    'y ~ site + s(age, k = 5, fx = TRUE, bs = "cr", by = motion)',
    'y ~ s(age, k = 4, fx = TRUE) + s(motion, k = 3, fx = TRUE) + ti(age, motion, fx = TRUE)',
    'y ~ sex + ti(age, motion, k = c(3, 4), bs = c("tp", "cr"), fx = TRUE, by = sex)',
    'y ~ ti(age, fx = TRUE) + ti(age, motion, k = 3, fx = TRUE, by = shift)',
    'y ~ te(age, motion, k = 3, fx = TRUE) + sex',
    'y ~ te(age, motion, k = 3, fx = TRUE, by = shift) + age:sex',
    'y ~ 0 + site + s(age, k = 4, fx = TRUE)',
    'y ~ 0 + motion + s(age, k = 4, fx = TRUE)',
    'y ~ offset(shift) + s(age, k = 4, fx = TRUE)',
    'y ~ s(age, k = 4, fx = TRUE, by = two)',
]


@pytest.fixture(scope='module')
def mgcv(tmp_path_factory):
    process = Mgcv(tmp_path_factory.mktemp('mgcv'))
    yield process
    process.close()


def cohort(n=90, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            'age': rng.uniform(8, 22, n).round(1),
            'sex': rng.choice(['F', 'M'], n),
            'site': rng.choice(list('ABC'), n),
            'motion': rng.gamma(2, 0.1, n),
            'year': rng.integers(2005, 2021, n),
            'shift': rng.normal(0, 0.1, n),
            'two': 2.0,
        }
    )


def responses(table, n_elements=6, missing=0.0, seed=1):
    rng = np.random.default_rng(seed)
    age = table['age'].to_numpy()[:, None]
    values = (
        5
        + 0.3 * np.sin(age / 3 + np.arange(n_elements))
        + (table['sex'] == 'M').to_numpy()[:, None] * 0.1
    )
    values += 0.4 * rng.normal(size=values.shape)
    values[rng.random(values.shape) < missing] = np.nan
    return values


def model(formula, table, options=FULL, weights=None):
    cells = table.astype(object).map(str).replace('nan', '')
    return AdditiveModel(design(formula, cells), options, weights)


def fitted(model, y):
    values, _ = fit_all(model, y)
    return dict(zip(result_names(model), values, strict=True))


def compare(found, expected):
    """Compare all that R gave; F and p of smooths with those of lm on mgcv's columns, too.

    Where mgcv finds a rank of 3 but for rounding, its p is an approximation to that of a mixture,
    with an error of 3e-7, and 0 below that (seen with mgcv 1.8-41).
    """
    for name, values in expected.items():
        known = ~np.isnan(values)
        if name.endswith('.exact.df'):
            close(found[name.replace('.exact.df', '.edf')], values, name)
        elif '.exact.' in name:
            close(found[name.replace('.exact.', '.')], values, name)
        elif f'{name.removesuffix(".p.value")}.ref.df' in expected:
            rank = expected[f'{name.removesuffix(".p.value")}.ref.df']
            whole = known & (rank == rank.round())
            close(found[name][whole], values[whole], name)
            np.testing.assert_allclose(found[name][known], values[known], 1e-5, 1e-6, err_msg=name)
        elif f'{name.removesuffix(".statistic")}.ref.df' in expected:
            np.testing.assert_allclose(found[name][known], values[known], 1e-6, err_msg=name)
        else:
            close(found[name][known], values[known], name)


def close(found, expected, what):
    absolute = 1e-9 if 'rsq' in what or 'squared' in what or 'estimate' in what else 1e-300
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=absolute, err_msg=what)


@pytest.mark.parametrize('formula', FORMULAS)
def test_every_number_is_that_of_mgcv(mgcv, formula):
    table = cohort()
    y = responses(table)
    found, expected = fitted(model(formula, table), y), mgcv.fit(formula, table, y)
    compare(found, expected)
    exact = {name for name in expected if '.exact.' in name}
    corrected = {name for name in found if name.endswith('.fdr')}
    assert set(found) - corrected - {'element_id'} == set(expected) - exact


@pytest.mark.parametrize('formula', FORMULAS[1:12:3])
def test_elements_that_lack_images_have_the_curves_of_all(mgcv, formula):
    table = cohort()
    y = responses(table, missing=0.15)
    compare(fitted(model(formula, table), y), mgcv.fit(formula, table, y))


@pytest.mark.parametrize('missing', [0.0, 0.15])
@pytest.mark.parametrize('formula', [FORMULAS[1], FORMULAS[16], FORMULAS[17]])
def test_weights(mgcv, formula, missing):
    table = cohort()
    y = responses(table, missing=missing)
    weights = np.random.default_rng(3).gamma(2, 1, len(table))
    found = fitted(model(formula, table, weights=weights), y)
    compare(found, mgcv.fit(formula, table, y, weights))


def test_blank_covariates_are_left_out_before_curves_are_made(mgcv):
    table = cohort()
    table.loc[[3, 17], 'age'] = np.nan
    table.loc[[5], 'sex'] = np.nan
    y, formula = responses(table), FORMULAS[6]
    compare(fitted(model(formula, table), y), mgcv.fit(formula, table, y))


@pytest.mark.parametrize('missing', [0.0, 0.1])
@pytest.mark.parametrize(
    'formula',
    [
        'y ~ sex + s(age, k = 5, fx = TRUE) + s(motion, fx = TRUE, k = 4, bs = "cr")',
        'y ~ sex + s(age, k = 4, fx = TRUE, by = sex)',
        'y ~ s(age, k = 4, fx = TRUE, by = shift) + motion',
    ],
)
def test_curves_and_bands_are_those_of_predict(mgcv, formula, missing):
    table = cohort()
    weights = np.random.default_rng(4).gamma(2, 1, len(table))
    blank = np.random.default_rng(5).random(len(table)) < missing
    table.loc[blank, 'age'] = np.nan
    y = responses(table)[:, 0]
    fit = model(formula, table, weights=weights)
    expected = mgcv.curves(formula, table, np.nan_to_num(y), weights)
    quantile = special.stdtrit(dict(fit.tested['model'].df)['model.df.residual'], 0.975)
    for smooth in fit.smooths:
        curve, of_r = (
            fit.curve(smooth.name, np.nan_to_num(y), {}),
            expected[expected.label == smooth.label],
        )
        np.testing.assert_allclose(curve.grid, of_r['x'], rtol=1e-9)
        np.testing.assert_allclose(curve.values, of_r['fit'], rtol=1e-7, atol=1e-8)
        np.testing.assert_allclose(curve.margin, quantile * of_r['se'], rtol=1e-6)


def test_a_curve_has_the_images_that_it_is_about():
    table = cohort()
    y = responses(table)[:, 0]
    y[[2, 5]] = np.nan
    fit = model('y ~ sex + s(age, k = 4, fx = TRUE, by = sex) + ti(age, motion, fx = TRUE)', table)
    shown = table[(table['sex'] == 'M') & np.isfinite(y)]
    curve = fit.curve('s_age_BYsexM', y, {})
    np.testing.assert_array_equal(curve.x, shown['age'])
    # The mean of curve and residual is that of the curve: residuals have no share of a level.
    at_images = np.interp(curve.x, curve.grid, curve.values)
    assert curve.y.mean() == pytest.approx(at_images.mean(), abs=1e-3)
    assert fit.curve('ti_age_motion', y, {}) is None
    assert fit.curve('sexM', y, {}) is None


@given(
    values=st.lists(st.integers(0, 60), min_size=12, max_size=40, unique=True),
    k=st.integers(3, 8),
    basis=st.sampled_from(['tp', 'cr']),
    scale=st.sampled_from([1e-6, 0.1, 1.0, 1e5]),
    shift=st.sampled_from([-1e3, 0.0, 77.0]),
)
@settings(deadline=None)
def test_curves_are_orthonormal_and_know_no_units(values, k, basis, scale, shift):
    x = np.array(values, float)
    curves = Curves.of(x, basis, k).at(x)
    assert curves.shape == (len(values), k - 1)
    np.testing.assert_allclose(curves.T @ curves, np.eye(k - 1), atol=1e-8)
    np.testing.assert_allclose(curves.sum(axis=0), 0, atol=1e-8)
    other = (x + shift) * scale
    changed = Curves.of(other, basis, k).at(other)
    # The same space: each curve is wholly within the others.
    np.testing.assert_allclose(changed @ (changed.T @ curves), curves, atol=1e-6)


def test_thin_plates_of_more_values_than_mgcv_takes_are_refused():
    x = np.linspace(8, 80, 2001)
    with pytest.raises(
        ArgumentError, match='2,001 distinct values, more than 2,000: use bs = "cr"'
    ):
        Curves.of(x, 'tp', 4)
    assert Curves.of(x, 'cr', 4).at(x).shape == (2001, 3)
    assert Curves.of(np.tile(x[:500], 40), 'tp', 4).at(x).shape == (2001, 3)


@pytest.mark.parametrize('function', ['s', 'te', 'ti'])
def test_a_basis_at_the_rows_is_the_design(function):
    table = cohort()
    names = ['age'] if function == 's' else ['age', 'motion']
    fit = model(f'y ~ {function}({", ".join(names)}, k = 4, fx = TRUE)', table)
    (smooth,) = fit.smooths
    covariates = [table[name].to_numpy() for name in names]
    np.testing.assert_array_equal(smooth.basis.at(covariates), fit.design.matrix[:, smooth.columns])


def test_a_smooth_that_an_element_cannot_have_is_missing_there():
    table = cohort()
    y = responses(table)
    old = table['year'] > 2012
    table.loc[old, 'motion'] = 0.5
    y[~old, 1] = np.nan
    y[:, 2] = 3.0
    fit = model('y ~ sex + s(motion, k = 4, fx = TRUE)', table)
    values, outcomes = fit_all(fit, y)
    found = dict(zip(result_names(fit), values, strict=True))
    assert outcomes[:3].tolist() == [
        Outcome.FITTED, Outcome.NOT_ALL_ESTIMABLE, Outcome.CONSTANT_RESPONSE,
    ]  # fmt: skip
    of_smooth = [name for name in found if name.startswith('s_motion')]
    assert all(np.isnan(found[name][1:3]).all() for name in of_smooth)
    assert np.isfinite(found['sexM.p.value'][1])
    assert np.isfinite([found[name][0] for name in of_smooth]).all()


def test_default_results_are_those_of_modelarray():
    fit = model('y ~ sex + s(age, k = 4, fx = TRUE)', cohort(), ModelOptions())
    assert result_names(fit) == (
        'element_id',
        *('s_age.statistic', 's_age.p.value'),
        *('Intercept.estimate', 'Intercept.statistic', 'Intercept.p.value'),
        *('sexM.estimate', 'sexM.statistic', 'sexM.p.value', 'model.dev.expl'),
        *('s_age.p.value.fdr', 'Intercept.p.value.fdr', 'sexM.p.value.fdr'),
    )


def test_effect_sizes_stand_behind_adjusted_p_values_as_in_modelarray():
    """ModelArray.gam 0.1.5 binds them to its table last, with changed.rsq.term.index."""
    options = ModelOptions(effect_sizes=True)
    fit = model('y ~ sex + s(age, k = 4, fx = TRUE)', cohort(), options)
    names = result_names(fit)
    assert names[-7:] == (
        *('s_age.p.value.fdr', 'Intercept.p.value.fdr', 'sexM.p.value.fdr'),
        *('sex.delta.adj.rsq', 'sex.partial.rsq', 's_age.delta.adj.rsq', 's_age.partial.rsq'),
    )
    values, _ = fit_all(fit, responses(cohort()), block=3)
    found = dict(zip(names, values, strict=True))
    np.testing.assert_array_equal(
        found['s_age.p.value.fdr'], p_adjust(found['s_age.p.value'], 'fdr')
    )
    assert (found['s_age.partial.rsq'] > found['s_age.delta.adj.rsq'])[:3].all()


@pytest.mark.parametrize(
    ('formula', 'said'),
    [
        ('s(age, k = 4)', 's(age, k = 4) is a penalised smooth, whose degrees of freedom are'),
        ('s(age, k = 4)', 'ModelArray.gam(y ~ s(age, k = 4), modelarray, phenotypes, "y")'),
        ('s(age, fx = FALSE)', 'Fix them, as in s(age, k = 4, fx = TRUE), or fit it in R'),
        (
            's(dose, k = 4, fx = TRUE)',
            's(dose) has a k of 4 for 3 distinct values: choose 3 or less',
        ),
        ('s(age, k = 2, fx = TRUE)', 'has a k of 2, below 3. Choose k = 3 or more'),
        ('s(age, k = 4.5, fx = TRUE)', 'has a k that is not a whole number'),
        ('s(age, k = c(4, 5), fx = TRUE)', 'has a k that is not a whole number'),
        ('s(age, bs = "ps", fx = TRUE)', "a basis 'ps' that is not known here. Known are 'tp'"),
        ('s(age, bs = tp, fx = TRUE)', 'has a bs that is not the name of a basis'),
        ('s(age, sp = 1, fx = TRUE)', 'an argument sp that is not known here. Known are k, fx, bs'),
        ('s(age, by = nothing, fx = TRUE)', 'there is no column nothing'),
        ('s(nothing, fx = TRUE)', 'there is no column nothing'),
        ('s(age, by = poly(motion, 2), fx = TRUE)', 'that is neither a factor nor a number'),
        ('s(sex, fx = TRUE)', 'is of a factor: use the term sex, or a smooth with by = sex'),
        ('s(poly(age, 2), fx = TRUE)', 'is not of a column of numbers'),
        ('s(MD, fx = TRUE)', 'is not of a column of numbers'),
        ('s(age, motion, fx = TRUE)', 'Write te(age, motion, fx = TRUE), or ti() beside an s()'),
        ('t2(age, motion, fx = TRUE)', 'is not fitted here'),
        ('ti(age, age, fx = TRUE)', 'has a covariate twice'),
        ('s(fx = TRUE)', 'is not a smooth of columns'),
        ('s(4, fx = TRUE)', '4 is neither a column'),
        ('s(age, k = 4, k = 5, fx = TRUE)', 'has k twice'),
        ('s(age + motion, fx = TRUE)', 'is of an expression, of which mgcv would use only a part'),
        ('s(age, k = 4, fx = TRUE) - 1', 'nor an intercept beside s(age, k = 4, fx = TRUE)'),
        (
            'few + s(age, k = 4, fx = TRUE, by = few)',
            's(age):fewfew has 2 distinct values, which do not tell 3 curves apart',
        ),
        (
            'te(dose, other, k = 3, fx = TRUE)',
            'te(dose,other) has 3 distinct values, which do not tell 8 curves apart',
        ),
        ('sex:s(age, fx = TRUE)', 'is part of a product'),
        ('age + s(age, k = 4, fx = TRUE)', 'hold some of the curves of s(age)'),
        ('s(age, fx = TRUE) + s(age, fx = TRUE, by = sex)', 'of s(age):sexM'),
        ('s(age, fx = TRUE) + te(age, motion, fx = TRUE)', 'write ti(), not te()'),
        ('s(age, k = 90, fx = TRUE)', 'distinct values'),
        ('te(age, motion, k = 10, fx = TRUE) + sex + site', 'cannot be tested'),
    ],
)
def test_what_cannot_be_fitted_is_said_in_a_line(formula, said):
    table = cohort().assign(dose=lambda cells: cells.index % 3, few='many')
    table['other'] = table['dose'] ** 2
    table.loc[:1, 'few'] = 'few'
    cells = table.astype(object).map(str)
    with pytest.raises(ModelArrayIOError) as caught:
        AdditiveModel(design(f'y ~ {formula}', cells, ['y', 'MD'], path='cohort.csv'))
    assert said in str(caught.value)
    assert '\n' not in str(caught.value)


def test_permutations_test_a_smooth_as_its_columns_together():
    table, formula = cohort(40), 'y ~ sex + s(age, k = 4, fx = TRUE)'
    options = {'permutations': 15, 'seed': 2}
    test = model(formula, table, ModelOptions(**options)).permutation_test()
    assert test.columns == ('sexM.p.value.fwe', 's_age.p.value.fwe')
    columns = model(formula, table).design
    asked = ModelOptions(**options, f_tests={'smooth': 's(age)'})
    linear = LinearModel(dataclasses.replace(columns, special=()), asked).permutation_test()
    y = responses(table)
    of_smooth, expected = (one.maxima(y, slice(0, 15)) for one in (test, linear))
    found = test.null_distribution(of_smooth)[1]
    np.testing.assert_allclose(found, linear.null_distribution(expected)[-1], rtol=1e-12)
    assert linear.columns[-1] == 'smooth.p.value.fwe'
