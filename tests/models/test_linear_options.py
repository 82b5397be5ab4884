"""What a linear model refuses."""

import numpy as np
import pytest

from modelarrayio_bids.errors import CohortError, UsageError
from modelarrayio_bids.models.design import Design
from modelarrayio_bids.models.linear import LinearModel
from modelarrayio_bids.models.options import ModelOptions


def design(n=20, p=2):
    names = ['(Intercept)', *(f'x{column}' for column in range(1, p))][:p]
    matrix = np.random.default_rng(0).normal(size=(n, p))
    matrix[:, :1] = 1
    return Design(
        matrix, tuple(names), tuple(names[1:]), tuple(range(p)), np.arange(n), None, {},
        ((),) * p, 'FA', 'FA ~ x', tuple((name,) for name in names[1:]),
    )  # fmt: skip


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'var_terms': ('estimate', 'beta')}, "--var-terms: 'beta' is not known. Choose among est"),
        ({'var_model': ('rsq',)}, "--var-model: 'rsq' is not known. Choose among r.squared"),
        ({'correct_p_value_terms': ('fwe',)}, "--correct-p-value-terms: 'fwe' is not known"),
        ({'correct_p_value_model': ('fwe',)}, "--correct-p-value-model: 'fwe' is not known"),
    ],
)
def test_unknown_statistics_and_methods(options, message):
    with pytest.raises(UsageError) as caught:
        LinearModel(design(), ModelOptions(**options))
    assert message in str(caught.value)


def test_what_is_asked_twice_is_given_once():
    options = ModelOptions(
        var_terms=('estimate', 'p.value', 'estimate'), correct_p_value_terms=('fdr', 'none', 'fdr')
    )
    model = LinearModel(design(), options)
    assert model.columns[:2] == ('Intercept.estimate', 'Intercept.p.value')
    assert model.corrections == (
        ('Intercept.p.value', 'fdr'), ('x1.p.value', 'fdr'), ('model.p.value', 'fdr'),
    )  # fmt: skip


@pytest.mark.parametrize('weight', [-1.0, np.inf])
def test_weights_that_are_none(weight):
    weights = np.ones(20)
    weights[3] = weight
    with pytest.raises(CohortError, match='a weight is negative or infinite'):
        LinearModel(design(), weights=weights)


def test_more_coefficients_than_images():
    with pytest.raises(UsageError, match='5 coefficients cannot be tested with 5 images'):
        LinearModel(design(5, 5))
    weights = np.zeros(20)
    with pytest.raises(UsageError, match='2 coefficients cannot be tested with 0 images'):
        LinearModel(design(), weights=weights)


def test_a_model_without_coefficients():
    with pytest.raises(UsageError, match='no coefficients'):
        LinearModel(design(20, 0))
