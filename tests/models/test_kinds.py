"""Which kind of model a formula asks for."""

import pytest
from models.contract import KindContract

from modelarrayio_bids.errors import FormulaError, UsageError
from modelarrayio_bids.models.formula.terms import Terms
from modelarrayio_bids.models.kinds import kind_of


def test_a_formula_of_columns_asks_for_least_squares():
    assert kind_of(Terms.of('FA ~ age * sex')).name == 'lm'


def test_smooths_and_random_effects_are_no_terms():
    terms = Terms.of('FA ~ sex + s(age, k = 4, by = site) + motion + (1 | id)')
    assert terms.labels == ('sex', 'motion')
    assert list(terms.variables) == ['sex', 'age', 'site', 'motion', 'id']
    assert [special.function for special in terms.special] == ['s', '|']
    assert Terms.of('FA ~ age + (1 | id) - (1 | id)').special == ()


@pytest.mark.parametrize(
    ('formula', 'method', 'said'),
    [
        ('FA ~ age + (1 | site)', 'lm', '(1 | site) is a random effect'),
        ('FA ~ age + (1 + age || site)', 'lm', 'Leave it out and fit one image of each'),
        ('FA ~ s(age, k = 4) + sex', 'lm', 's(age, k = 4) is a smooth'),
        ('FA ~ ti(age, motion)', 'lm', 'Use ns(), bs() or poly() here, or ModelArray.gam in R.'),
        ('FA ~ sex:s(age)', '', 's(age) is part of a product'),
        ('FA ~ sex * (1 | id)', '', '(1 | id) is part of a product'),
        ('FA ~ age', 'rlm', "there is no method 'rlm'"),
    ],
)
def test_what_no_kind_takes_is_refused(formula, method, said):
    with pytest.raises((FormulaError, UsageError)) as caught:
        kind_of(Terms.of(formula), method)
    assert said in str(caught.value)
    assert '\n' not in str(caught.value)


class TestLinearModels(KindContract):
    name = 'lm'
    formula = 'y ~ age * sex'


class TestAdditiveModels(KindContract):
    name = 'gam'
    formula = 'y ~ sex + s(age, k = 4, fx = TRUE)'


class TestRandomIntercepts(KindContract):
    name = 'lmer'
    formula = 'y ~ age + sex + (1 | participant_id)'
