"""What must not matter: order of rows, blocks, threads, units of response and covariates."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from models.fitting import fit_all

from modelarrayio_bids.models.base import result_names
from modelarrayio_bids.models.design import Design
from modelarrayio_bids.models.linear import LinearModel
from modelarrayio_bids.models.options import ModelOptions

OPTIONS = ModelOptions(
    var_terms=('statistic', 'p.value'),
    var_model=('statistic', 'p.value', 'df.residual', 'r.squared'),
    contrasts={'c': 'siteB - siteC'},
    f_tests={'f': 'age + site'},
    anova=True,
    num_subj_lthr_abs=6,
)


@st.composite
def studies(draw):
    """A design of an intercept, two numbers and a factor, and responses with gaps of all kinds."""
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    n = draw(st.integers(12, 60))
    k = draw(st.integers(1, 40))
    site = rng.integers(0, 3, n)
    columns = [np.ones(n), rng.uniform(8, 80, n), rng.normal(size=n), site == 1, site == 2]
    design = Design(
        matrix=np.column_stack(columns).astype(float),
        names=('(Intercept)', 'age', 'iq', 'siteB', 'siteC'),
        terms=('age', 'iq', 'site'),
        assign=(0, 1, 2, 3, 3),
        rows=np.arange(n),
        offset=None,
        levels={},
        scalars=((),) * 5,
        response='FA',
        formula='FA ~ age + iq + site',
        factors=(('age',), ('iq',), ('site',)),
    )
    y = rng.normal(size=(n, k)) + draw(st.sampled_from([0, 0.5, 100]))
    y[rng.random(y.shape) < draw(st.sampled_from([0, 0.1, 0.5]))] = np.nan
    for element in np.flatnonzero(rng.random(k) < draw(st.sampled_from([0, 0.4]))):
        y[site == rng.integers(3), element] = np.nan
    return design, y


def model_of(design):
    try:
        return LinearModel(design, OPTIONS)
    except ValueError:
        # A site that nobody is from: its contrast is refused.
        return LinearModel(design, dataclasses.replace(OPTIONS, contrasts={}, f_tests={}))


def results_of(design, y, **options):
    model = model_of(design)
    values, _ = fit_all(model, y, **options)
    return values[1 : 1 + len(model.columns)]


def equal(found, expected, rtol=1e-7):
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol)


@given(studies(), st.randoms(use_true_random=False))
def test_the_order_of_rows(study, random):
    design, y = study
    order = list(range(len(y)))
    random.shuffle(order)
    shuffled = dataclasses.replace(design, matrix=design.matrix[order])
    equal(results_of(shuffled, y[order]), results_of(design, y))


@given(studies(), st.integers(1, 50), st.integers(1, 3))
def test_blocks_and_threads(study, block, threads):
    design, y = study
    equal(results_of(design, y, block=block, threads=threads), results_of(design, y), rtol=1e-12)


@given(studies(), st.sampled_from([-20, -3, 5, 20]))
def test_the_unit_of_the_response(study, exponent):
    design, y = study
    scaled = results_of(design, y * 10.0**exponent)
    names = model_of(design).columns
    units = [10.0**-exponent if name in {'c.estimate', 'c.std.error'} else 1 for name in names]
    equal(scaled * np.array(units)[:, None], results_of(design, y))


@given(studies(), st.sampled_from([-50.0, 2000.0]), st.sampled_from([1e-6, 365.25, 1e6]))
def test_the_unit_and_the_zero_of_a_covariate(study, zero, unit):
    design, y = study
    matrix = design.matrix.copy()
    matrix[:, 1] = (matrix[:, 1] + zero) * unit
    model = model_of(design)
    kept = [not name.startswith('Intercept') for name in model.columns]
    moved = results_of(dataclasses.replace(design, matrix=matrix), y)
    equal(moved[kept], results_of(design, y)[kept])


@given(studies(), st.sampled_from(['f4', '>f8', 'f2']))
def test_the_type_of_the_responses(study, kind):
    design, y = study
    stored = y.astype(kind)
    equal(results_of(design, stored), results_of(design, stored.astype(float)), rtol=0)


@given(studies())
def test_a_covariate_of_each_element_that_is_the_same_everywhere(study):
    """A scalar on the right-hand side is a covariate like any other."""
    design, y = study
    own = np.repeat(design.matrix[:, [2]], y.shape[1], axis=1)
    matrix = design.matrix.copy()
    matrix[:, 2] = 1
    scalars = ((), (), ('iq',), (), ())
    model = model_of(dataclasses.replace(design, matrix=matrix, scalars=scalars))
    values, _ = fit_all(model, y, {'iq': own})
    equal(values[1 : 1 + len(model.columns)], results_of(design, y))


@given(studies())
def test_weights_of_one_kind(study):
    """The unit of weights does not matter, and 0 is as if the row were not there."""
    design, y = study
    plain = results_of(design, y)
    model = LinearModel(design, model_of(design).options, np.full(len(y), 7.0))
    values, _ = fit_all(model, y)
    equal(values[1 : 1 + len(model.columns)], plain)


def test_results_have_an_element_number():
    design, y = _small()
    model = LinearModel(design)
    values, _ = fit_all(model, y, block=3)
    assert result_names(model)[0] == 'element_id'
    assert values[0].tolist() == [0, 1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize('threads', [1, 2])
def test_the_same_numbers_to_the_last_bit_whatever_the_threads(threads):
    design, y = _small()
    model = LinearModel(design)
    once, _ = fit_all(model, y, block=3)
    again, _ = fit_all(model, y, block=3, threads=threads)
    np.testing.assert_array_equal(again, once)


def _small():
    rng = np.random.default_rng(0)
    n = 20
    design = Design(
        np.column_stack([np.ones(n), rng.normal(size=n)]),
        ('(Intercept)', 'age'), ('age',), (0, 1), np.arange(n), None, {}, ((), ()), 'FA',
        'FA ~ age', (('age',),),
    )  # fmt: skip
    return design, rng.normal(size=(n, 7))
