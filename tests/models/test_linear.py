"""Linear models against R's own ``lm``, element by element."""

import numpy as np
import pandas as pd
import pytest
from models.oracle import MODEL, R

from modelarrayio_bids.models.base import fit_all, result_names
from modelarrayio_bids.models.linear import LinearModel, LinearOptions
from modelarrayio_bids.models.statistics import TERM_STATISTICS

N = 48
FULL = LinearOptions(var_terms=TERM_STATISTICS, var_model=MODEL)


@pytest.fixture(scope='module')
def r(tmp_path_factory):
    process = R(tmp_path_factory.mktemp('r'))
    yield process
    process.close()


def cohort(n=N, seed=0):
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


def responses(table, n_elements=30, seed=1, missing=0.0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(len(table), n_elements))
    effect = 0.02 * table['age'].to_numpy()[:, None] * (np.arange(n_elements) % 3)
    values = (5 + effect + 0.3 * (table['sex'] == 'M').to_numpy()[:, None] + 0.4 * noise).astype(
        dtype
    )
    values[rng.random(values.shape) < missing] = np.nan
    return values


def by_name(model, values):
    return dict(zip(result_names(model), values, strict=True))


def labels(design):
    return [name if name != '(Intercept)' else 'Intercept' for name in design.names]


def close(found, expected, rtol, what, atol=0.0):
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected), err_msg=what)
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=atol, err_msg=what)


def compare(answer, found, same=slice(None)):
    """``same``: the coefficients that R gives wherever they are estimable."""
    design = answer.design
    for index, label in enumerate(labels(design)):
        estimate, error, t, p, estimable = answer.terms[index]
        for expected in (estimate, error, t, p):
            expected[estimable == 0] = np.nan
        mine = [found[f'{label}.{statistic}'] for statistic in TERM_STATISTICS]
        close(mine[0] / error, estimate / error, 0, f'{label} estimate', atol=1e-9)
        close(mine[1], error, 1e-9, f'{label} std.error')
        close(mine[2], t, 1e-9, f'{label} t', atol=1e-9)
        close(mine[3], p, 1e-8, f'{label} p')
    for name in MODEL:
        squared = name.endswith('r.squared')
        close(
            found[f'model.{name}'], answer.model[name], 0 if squared else 1e-8 if name == 'p.value'
            else 1e-9, f'model {name}', atol=1e-9 if squared else 0,
        )  # fmt: skip


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


@pytest.mark.parametrize('missing', [0.0, 0.1, 0.5])
@pytest.mark.parametrize('formula', FORMULAS)
def test_every_statistic_is_that_of_lm(r, formula, missing):
    table = cohort()
    y = responses(table, missing=missing)
    answer = r.fit(formula, table, y)
    model = LinearModel(answer.design, FULL)
    found, _ = fit_all(model, y)
    compare(answer, by_name(model, found))
