"""Adjusted p values against R's own ``p.adjust``."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tools import require_tool

from modelarrayio_bids.models.adjustment import METHODS, corrected, p_adjust

SCRIPT = Path(__file__).parents[1] / 'r' / 'p_adjust.R'
# Denormal numbers, the ends, and few distinct values for ties.
P_VALUES = st.one_of(
    st.floats(0, 1),
    st.floats(0, 1e-300),
    st.sampled_from([0.0, 1.0, 0.05, 0.5, 5e-324, float('nan')]),
)


@pytest.fixture(scope='module')
def r_adjusts():
    """R at work: a line of p values in, a line for each method out. Numbers are hexadecimal."""
    r = subprocess.Popen(
        [require_tool('Rscript'), SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def call(p):
        print(*(value.hex() for value in p), file=r.stdin, flush=True)
        return {method: numbers(r.stdout.readline()) for method in METHODS}

    yield call
    r.stdin.close()
    assert r.wait() == 0


def numbers(line):
    words = line.split()
    return [np.nan if word in {'NA', 'NaN'} else float.fromhex(word) for word in words]


def compare(p, expected):
    for method in METHODS:
        # Equal to the last bit, but that R sums the terms of BY in 80 bits.
        rtol = 1e-15 if method == 'BY' else 0
        np.testing.assert_allclose(
            p_adjust(np.array(p), method), expected[method], rtol=rtol, atol=0, err_msg=method
        )


@settings(deadline=None, max_examples=300)
@given(p=st.lists(P_VALUES, min_size=1, max_size=40))
def test_every_method_is_that_of_r(r_adjusts, p):
    compare(p, r_adjusts(p))


@pytest.mark.parametrize('n', [1, 2, 3, 1000, 2001])
def test_so_it_is_with_many(r_adjusts, n):
    rng = np.random.default_rng(n)
    p = rng.beta(0.3, 2, n)
    p[rng.random(n) < 0.1] = np.nan
    p[rng.random(n) < 0.3] = p[0]
    compare(p.tolist(), r_adjusts(p.tolist()))


def test_what_is_given_stays_as_it_is():
    p = np.array([0.5, np.nan, 0.1])
    for method in METHODS:
        p_adjust(p, method)
    np.testing.assert_array_equal(p, [0.5, np.nan, 0.1])


@pytest.mark.parametrize(
    ('name', 'parts'),
    [
        ('age.p.value.fdr', ('age.p.value', 'fdr')),
        ('s(age, k = 4).p.value.BH', ('s(age, k = 4).p.value', 'BH')),
        ('p.value.holm', ('p.value', 'holm')),
        ('model.p.value.none', ('model.p.value', 'none')),
        ('age.p.value', None),
        ('age.p.value.FDR', None),
        ('stop.value.fdr', None),
        ('element_id', None),
        ('', None),
    ],
)
def test_names_of_adjusted_p_values(name, parts):
    assert corrected(name) == parts
