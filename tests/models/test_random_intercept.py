"""Random intercepts: the numbers of lme4 and lmerTest, and what does not change them."""

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models.fitting import fit_all
from tools import missing, require_tool

from modelarrayio_bids.errors import CohortError, FormulaError, UsageError
from modelarrayio_bids.models.base import counted, result_names
from modelarrayio_bids.models.design import design
from modelarrayio_bids.models.formula.terms import Terms
from modelarrayio_bids.models.kinds import kind_of
from modelarrayio_bids.models.options import ModelOptions
from modelarrayio_bids.models.permutation import family_wise_p

SCRIPT = Path(__file__).parents[1] / 'r' / 'mixed_models.R'
T_TEST = ('estimate', 'std.error', 'df', 'statistic', 'p.value')
F_TEST = ('statistic', 'df.residual', 'p.value')
GROUP = 'participant_id.sd__Intercept'
#: Ratios of deviations from R's that are allowed: of an estimate in standard errors, else relative.
ALLOWED = {
    'estimate': 1e-6,
    'std.error': 1e-6,
    'df': 1e-4,
    'df.residual': 1e-4,
    'statistic': 1e-5,
    'p.value': 1e-3,
}
#: A smaller p changes by more than it is told exactly, with df exact to 1e-4.
SMALLEST_P = 1e-12


def people(sizes, seed=0):
    """Return a row for each image of some participants, with as many images as sizes say."""
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(len(sizes)), sizes)
    visit = np.concatenate([np.arange(size) for size in sizes])
    return pd.DataFrame({
        'participant_id': [f'sub-{one:03d}' for one in who],
        'number': who * 10,
        'age': (rng.uniform(20, 60, len(sizes))[who] + 1.7 * visit).round(1),
        'sex': rng.choice(['F', 'M'], len(sizes))[who],
        'site': rng.choice(['a', 'b', 'c'], len(sizes))[who],
        'motion': rng.gamma(2, 0.1, len(who)).round(3),
    })  # fmt: skip


def values(table, n_elements, *, seed=1, absent=0.0, by='participant_id'):
    """Return responses with more or less variance between groups, and none in every fifth."""
    rng = np.random.default_rng(seed)
    who = np.unique(table[by], return_inverse=True)[1]
    between = rng.uniform(0.2, 2, n_elements) * (np.arange(n_elements) % 5 != 4)
    y = 100 + np.outer(table['age'], rng.normal(0, 0.05, n_elements))
    y += rng.normal(size=(who.max() + 1, n_elements))[who] * between
    y += rng.normal(size=y.shape)
    y[rng.random(y.shape) < absent] = np.nan
    return y


def model_of(formula, table, **options):
    kind = kind_of(Terms.of(formula))
    columns = design(formula, table.astype(str), ['y', 'MD'])
    return kind.build(columns, ModelOptions(**options))


def fitted(model, y, scalars=None, **how):
    found, outcomes = fit_all(model, y, scalars, **how)
    return dict(zip(result_names(model), found, strict=True)), outcomes


@dataclass
class Case:
    """A model that R fits too."""

    formula: str
    sizes: list
    absent: float = 0.0
    by: str = 'participant_id'
    options: dict = field(default_factory=dict)
    contrasts: list = field(default_factory=list)
    joint: list = field(default_factory=list)
    with_scalar: bool = False


CASES = {
    'balanced': Case('y ~ age + sex + (1 | participant_id)', [3] * 30),
    'missing': Case(
        'y ~ age * sex + site + (1 | participant_id)',
        [1, 2, 3, 4] * 10,
        absent=0.15,
        options={'contrasts': {'c': 'siteb - 0.5*sitec'}, 'f_tests': {'f': 'site + sexM'}},
        contrasts=[[0, 0, 0, 1, -0.5, 0]],
        joint=[[0, 0, 1, 0, 0, 0], [0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 1, 0]],
    ),
    'anova': Case(
        'y ~ motion + sex * site + (1 | participant_id)', [2, 3] * 20, options={'anova': True}
    ),
    'large groups': Case('y ~ age + (1 | site)', [1] * 60, absent=0.2, by='site'),
    'few people': Case(
        'y ~ sex + number + (1 | participant_id)',
        [5, 6, 4, 5],
        options={'f_tests': {'f': 'sexM + number'}},
        joint=[[0, 1, 0], [0, 0, 1]],
    ),
    'numbers': Case('y ~ age + I(age^2) - 1 + sex + (1 | number)', [2, 3] * 15, absent=0.1),
    'offset': Case('y ~ sex + offset(motion) + (1 | participant_id)', [1, 4] * 12, absent=0.1),
    'element-wise': Case(
        'y ~ MD + age + (1 | participant_id)', [3] * 25, absent=0.1, with_scalar=True
    ),
}


def answers(case, table, y, scalar, folder):
    """Return what lmerTest finds, (n_numbers, n_elements)."""
    table.to_csv(folder / 'table.csv', index=False)
    (folder / 'formula.txt').write_text(case.formula)
    (folder / 'responses.bin').write_bytes(y.tobytes('F'))
    if case.with_scalar:
        (folder / 'scalar.bin').write_bytes(scalar.tobytes('F'))
    for name in ('contrasts', 'joint'):
        if rows := getattr(case, name):
            np.savetxt(folder / f'{name}.csv', rows, delimiter=',')
    if case.options.get('anova'):
        (folder / 'anova').touch()
    command = [require_tool('Rscript'), SCRIPT, folder]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if 'there is no package called' in done.stderr:
        missing(done.stderr.strip().splitlines()[0])
    assert done.returncode == 0, done.stderr
    return np.loadtxt(folder / 'results.csv', delimiter=',').T


def told_by_r(model, case):
    """Yield names of results in the order in which the script writes them."""
    for term in model.design.names:
        yield from ((term.replace('(Intercept)', 'Intercept'), name) for name in T_TEST)
    yield (model.group, 'sd__Intercept')
    yield ('Residual', 'sd__Observation')
    for name in ('REMLcrit', 'logLik', 'AIC', 'BIC', 'df.residual', 'nobs', 'ngrps'):
        yield ('model', name)
    for name in case.options.get('contrasts', ()):
        # As contest1D has them.
        order = ('estimate', 'std.error', 'df', 'statistic', 'p.value')
        yield from ((name, each) for each in order)
    tests = [*case.options.get('f_tests', ())]
    if case.options.get('anova'):
        tests += [f'{term}.anova' for term in model.design.terms]
    for name in tests:
        yield from ((name, each) for each in F_TEST)


@pytest.mark.parametrize('name', CASES)
def test_numbers_are_those_of_lmertest(name, tmp_path):
    case = CASES[name]
    table = people(case.sizes)
    y = values(table, 10, absent=case.absent, by=case.by)
    scalar = np.random.default_rng(7).normal(size=y.shape)
    scalars = {'MD': scalar} if case.with_scalar else None
    model = model_of(case.formula, table, full_outputs=True, num_subj_lthr_abs=5, **case.options)
    found, _ = fitted(model, y, scalars)
    numbers = answers(case, table, y, scalar, tmp_path)
    names = [*told_by_r(model, case)]
    assert len(names) == len(numbers)
    expected = {f'{term}.{end}': row for (term, end), row in zip(names, numbers, strict=True)}
    for term, end in names:
        if end in ALLOWED and term != 'model':
            assert_close(found, expected, term, end)
    worse = found['model.REMLcrit'] - expected['model.REMLcrit']
    assert worse.max() < 1e-8
    for end in ('REMLcrit', 'logLik', 'AIC', 'BIC'):
        np.testing.assert_allclose(found[f'model.{end}'], expected[f'model.{end}'], atol=1e-6)
    for end in ('df.residual', 'nobs', 'ngrps'):
        np.testing.assert_array_equal(found[f'model.{end}'], expected[f'model.{end}'])
    deviations = f'{model.group}.sd__Intercept', 'Residual.sd__Observation'
    for one in deviations:
        np.testing.assert_allclose(found[one], expected[one], rtol=1e-5, atol=1e-4)
    # lme4's own bound of a singular fit, isSingular()'s tolerance.
    singular = expected[deviations[0]] < 1e-4 * expected[deviations[1]]
    np.testing.assert_array_equal(found[deviations[0]] == 0, singular)
    between, within = (found[one] ** 2 for one in deviations)
    np.testing.assert_allclose(found['model.icc'], between / (between + within))


def assert_close(found, expected, term, end):
    ours, theirs = found[f'{term}.{end}'], expected[f'{term}.{end}']
    unit = np.abs(theirs)
    if end == 'estimate':
        unit = expected[f'{term}.std.error']
    elif end == 'statistic':
        unit = 1 + np.abs(theirs)
    elif end == 'p.value':
        unit = np.where(theirs > SMALLEST_P, theirs, np.inf)
    assert np.max(np.abs(ours - theirs) / unit) < ALLOWED[end], f'{term}.{end}'


def dense_criterion(x, who, y, ratio):
    """Return -2 log of the restricted likelihood, by its definition with n × n matrices.

    Bates et al. (2015), with X'X left out as a constant.
    """
    v = np.eye(len(y)) + ratio * (who[:, None] == who)
    gram = x.T @ np.linalg.solve(v, x)
    rest = y - x @ np.linalg.solve(gram, x.T @ np.linalg.solve(v, y))
    df = len(y) - x.shape[1]
    variance = rest @ np.linalg.solve(v, rest) / df
    logs = np.linalg.slogdet(v)[1] + np.linalg.slogdet(gram)[1]
    return df * (1 + np.log(2 * np.pi * variance)) + logs


@settings(max_examples=40)
@given(
    sizes=st.lists(st.integers(1, 5), min_size=4, max_size=9).filter(lambda s: max(s) > 1),
    seed=st.integers(0, 10_000),
    between=st.sampled_from([0.0, 0.05, 0.5, 3.0, 40.0]),
)
def test_no_other_ratio_of_variances_is_more_likely(sizes, seed, between):
    table = people(sizes, seed)
    table['age'] += np.arange(len(table)) % 3
    rng = np.random.default_rng(seed)
    who = np.unique(table['participant_id'], return_inverse=True)[1]
    y = rng.normal(size=len(sizes))[who] * between + rng.normal(size=len(who))
    model = model_of(
        'y ~ age + (1 | participant_id)', table, full_outputs=True, num_subj_lthr_abs=1
    )
    found, _ = fitted(model, y[:, None])
    ours = found['model.REMLcrit'][0]
    x = model.design.matrix
    ratio = (found[GROUP] / found['Residual.sd__Observation'])[0] ** 2
    assert dense_criterion(x, who, y, ratio) == pytest.approx(ours, abs=1e-6)
    others = [0, *np.geomspace(1e-4, 1e5, 60)]
    assert ours <= min(dense_criterion(x, who, y, other) for other in others) + 1e-8


@settings(max_examples=15)
@given(
    seed=st.integers(0, 1000), shift=st.floats(-1e3, 1e3), scale=st.sampled_from([1e-3, 0.7, 50.0])
)
def test_units_of_the_response_change_units_of_the_results(seed, shift, scale):
    table = people([2, 3] * 12, seed)
    y = values(table, 6, seed=seed, absent=0.1)
    model = model_of('y ~ age + sex + (1 | participant_id)', table, full_outputs=True)
    one, outcomes = fitted(model, y)
    other, other_outcomes = fitted(model, shift + scale * y)
    np.testing.assert_array_equal(outcomes, other_outcomes)
    for name in ('age.estimate', 'sexM.std.error', GROUP):
        np.testing.assert_allclose(other[name], scale * one[name], rtol=1e-5, atol=1e-7 * scale)
    for name in ('age.statistic', 'age.df', 'sexM.p.value', 'model.icc'):
        np.testing.assert_allclose(other[name], one[name], rtol=1e-5, atol=1e-7)


@settings(max_examples=15)
@given(seed=st.integers(0, 1000), block=st.integers(1, 40))
def test_order_of_rows_blocks_and_threads_change_nothing(seed, block):
    table = people([1, 2, 3] * 8, seed)
    y = values(table, 40, seed=seed, absent=0.2)
    y[:, ::3] = values(table, 40, seed=seed + 1)[:, ::3]
    formula = 'y ~ age + site + (1 | participant_id)'
    whole, outcomes = fitted(model_of(formula, table), y)
    order = np.random.default_rng(seed).permutation(len(table))
    shuffled, _ = fitted(model_of(formula, table.iloc[order]), y[order])
    parts, part_outcomes = fitted(model_of(formula, table), y, block=block)
    threads, _ = fitted(model_of(formula, table), y, threads=2)
    np.testing.assert_array_equal(outcomes, part_outcomes)
    for name, row in whole.items():
        np.testing.assert_array_equal(threads[name], row)
        for others in (shuffled, parts):
            np.testing.assert_allclose(others[name], row, rtol=1e-6, atol=1e-9)


def test_a_level_that_no_image_of_an_element_has():
    table = people([3] * 30)
    y = values(table, 4)
    y[:, 2:] = y[:, :2]
    y[(table['site'] == 'c').to_numpy(), :2] = np.nan
    y[(table['site'] == 'a').to_numpy(), 2:] = np.nan
    options = {'contrasts': {'c_b': 'sitec - siteb'}, 'f_tests': {'any': 'site'}}
    model = model_of('y ~ age + site + (1 | participant_id)', table, **options)
    found, outcomes = fitted(model, y)
    assert counted(outcomes, model.reasons) == {'some coefficients not estimable': 4}
    without_c = (table['site'] != 'c').to_numpy()
    own = model_of('y ~ age + site + (1 | participant_id)', table[without_c])
    expected, _ = fitted(own, y[without_c, :2])
    for end in ('estimate', 'df', 'p.value'):
        for term in ('Intercept', 'age', 'siteb'):
            ours = found[f'{term}.{end}']
            np.testing.assert_allclose(ours[:2], expected[f'{term}.{end}'], rtol=1e-6)
    assert np.isnan(found['sitec.estimate'][:2]).all()
    without_a = (table['site'] != 'a').to_numpy()
    own = model_of('y ~ age + site + (1 | participant_id)', table[without_a])
    expected, _ = fitted(own, y[without_a, 2:])
    assert np.isnan(found['siteb.estimate'][2:]).all()
    np.testing.assert_allclose(found['c_b.p.value'][2:], expected['sitec.p.value'], rtol=1e-6)
    assert np.isnan([found['any.statistic'], found['any.df.residual'], found['any.p.value']]).all()


def test_elements_without_what_a_random_intercept_needs_are_counted():
    table = people([2] * 20)
    y = values(table, 6, seed=3)
    first = np.arange(len(table)) % 2 == 0
    y[~first, 0] = np.nan
    y[2:, 1] = np.nan
    y[:, 2] = 5
    y[:, 3] = y[first, 3].repeat(2)
    model = model_of(
        'y ~ sex + (1 | participant_id)', table, num_subj_lthr_abs=1, num_subj_lthr_rel=0
    )
    found, outcomes = fitted(model, y)
    told = [model.reasons.get(outcome, '') for outcome in outcomes[:4]]
    assert told == [
        *('one image of each group', 'images of one group alone'),
        *('constant response', 'no variance within groups'),
    ]
    assert np.isnan(found['sexM.p.value'][:4]).all()
    assert np.isfinite(found['sexM.p.value'][4:]).all()


@pytest.mark.parametrize(
    ('formula', 'said'),
    [
        (
            'y ~ age + (1 | site) + (1 | participant_id)',
            'has several random effects, (1 | site)',
        ),
        ('y ~ age + (1 + age | participant_id)', '(1 + age | participant_id) has a random slope'),
        ('y ~ age + (age || participant_id)', 'lme4::lmer(y ~ age + (age || participant_id)'),
        ('y ~ (1 | site/participant_id)', 'has groups within groups, site/participant_id'),
        ('y ~ age + (1 | site:sex)', 'ModelArray.wrap(function(data, ...) lme4::fixef('),
        ('y ~ age + (1 | family)', 'there is no column family'),
        ('y ~ age + (1 | MD)', 'MD does not name groups'),
        (
            'y ~ participant_id2 + (1 | participant_id)',
            'random intercept of participant_id is collinear',
        ),
        ('y ~ sex + (1 | row)', 'every image of the model has a different row'),
        ('y ~ sex + (1 | one)', 'all images of the model have the same one'),
    ],
)
def test_what_cannot_be_fitted_is_refused_in_one_line(formula, said):
    table = people([3] * 8)
    table['row'], table['one'] = np.arange(len(table)), 'x'
    table['participant_id2'] = 'p' + table['participant_id']
    with pytest.raises((CohortError, FormulaError, UsageError)) as caught:
        model_of(formula, table)
    assert said in str(caught.value)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        ({'effect_sizes': True}, 'a random-intercept model has no effect sizes here'),
        ({'var_model': ('r.squared',)}, 'Choose among icc, sigma'),
        ({'contrasts': {'c': 'sexF'}}, "'sexF' is not a coefficient"),
        ({'contrasts': {'age': 'sexM'}}, 'two results would be called age.'),
    ],
)
def test_options_that_it_does_not_have(options, said):
    with pytest.raises(UsageError) as caught:
        model_of('y ~ age + sex + (1 | participant_id)', people([3] * 8), **options)
    assert said in str(caught.value)


def test_a_blank_group_leaves_the_image_out():
    table = people([3] * 10)
    table.loc[4, 'participant_id'] = 'n/a'
    model = model_of('y ~ age + (1 | participant_id)', table)
    assert 4 not in model.design.rows
    assert model.design.lost['participant_id'].tolist() == [4]


SIZES = [1, 2, 2, 2, 2, 3, 3, 3, 1, 2, 4]
EVERYWHERE = {'num_subj_lthr_abs': 0, 'num_subj_lthr_rel': 0}
FORMULA = 'y ~ age + sex + (1 | participant_id)'


def null_distribution(test, y):
    return test.null_distribution(test.maxima(y, slice(0, len(test.labellings))))


def test_permutations_are_those_of_a_linear_model_within_and_of_the_groups():
    """With contrasts and F tests, images missing, and an image without a group."""
    table = people(SIZES)
    table.loc[4, 'participant_id'] = 'n/a'
    y = values(table, 6, absent=0.1)
    asked = {
        **EVERYWHERE, 'permutations': 40, 'seed': 2, 'anova': True,
        'contrasts': {'c': 'age - sexM'}, 'f_tests': {'f': 'age + sex'},
    }  # fmt: skip
    model = model_of(FORMULA, table, **asked)
    test = model.permutation_test()
    assert test.described() == (
        'Permutation test of the fixed effects by least squares: 40 random permutations within '
        'and of 11 blocks'
    )
    assert test.columns == tuple(
        f'{name}.p.value.fwe' for name in ('age', 'sexM', 'c', 'f', 'age.anova', 'sex.anova')
    )
    assert (model.options.exchangeability, model.options.shuffle) == ('participant_id', 'both')
    blocks = np.unique(table.participant_id, return_inverse=True)[1]
    y[4] = np.nan
    left = table.assign(age=table.age.where(table.participant_id != 'n/a'))
    linear = model_of('y ~ age + sex', left, **asked, exchangeability='b', shuffle='both')
    other = linear.permutation_test(blocks)
    np.testing.assert_array_equal(test.labellings.order, other.labellings.order)
    np.testing.assert_array_equal(null_distribution(test, y), null_distribution(other, y))
    np.testing.assert_array_equal(test.observed(y), other.observed(y))


@pytest.mark.parametrize(
    ('formula', 'options', 'said'),
    [
        (FORMULA, {'shuffle': 'whole'}, ': 20 random permutations of 11 blocks; 4 images never'),
        (FORMULA, {'exchangeability': 'site', 'shuffle': 'within'}, 'permutations within 3 blocks'),
        ('y ~ 1 + (1 | participant_id)', {}, ': 20 random sign flips of 11 blocks'),
        ('y ~ 1 + (1 | participant_id)', {'shuffle': 'both'}, 'sign flips within and of 11 blocks'),
    ],
)
def test_blocks_that_are_asked_for_are_those_of_permutations(formula, options, said):
    table = people(SIZES)
    model = model_of(formula, table, permutations=20, **options)
    blocks = np.unique(table.site, return_inverse=True)[1] if 'exchangeability' in options else None
    assert said in model.permutation_test(blocks).described()


def test_permutations_keep_false_positives_rare_where_images_are_alike():
    """Any p of 0.05 or less in 5% ± 2.2% of 400 data sets (two standard errors) without an effect.

    Two thirds of the variance are between groups: taken for independent, images have 33%.
    """
    table, rng, n_sets = people([2] * 8 + [3] * 6 + [1] * 4), np.random.default_rng(4), 400
    test = model_of(FORMULA, table, **EVERYWHERE, permutations=60).permutation_test()
    who = np.unique(table.participant_id, return_inverse=True)[1]
    wrong = np.zeros(2)
    for _ in range(n_sets):
        y = rng.normal(size=(len(table), 6)) + 1.4 * rng.normal(size=(18, 6))[who]
        null, observed = null_distribution(test, y), test.observed(y)
        wrong += [family_wise_p(*both).min() <= 0.05 for both in zip(observed, null, strict=True)]
    assert (np.abs(wrong / n_sets - 0.05) <= 0.022).all()
