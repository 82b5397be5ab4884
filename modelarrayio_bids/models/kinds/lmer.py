"""Linear models with a random intercept, as R's ``lmer`` fits them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from modelarrayio_bids.errors import FormulaError
from modelarrayio_bids.models.formula.syntax import Call, Number, deparse, without_parentheses
from modelarrayio_bids.models.formula.terms import BARS, Terms, data_of, written
from modelarrayio_bids.models.kinds.base import ModelKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from modelarrayio_bids.models.base import ElementwiseModel
    from modelarrayio_bids.models.design import Design
    from modelarrayio_bids.models.options import ModelOptions

# Operators that join grouping columns: nested and crossed groups.
_JOINING = frozenset({'/', ':', '+', '*', '%in%'})


class RandomInterceptKind(ModelKind):
    """Restricted maximum likelihood of one random intercept."""

    name = 'lmer'
    noun = 'random-intercept model'
    help = 'a linear model with a random intercept, (1 | participant_id), as lmerTest fits it'
    notation = BARS
    term_statistics = ('estimate', 'std.error', 'statistic', 'df', 'p.value')
    default_term_statistics = ('estimate', 'statistic', 'df', 'p.value')
    model_statistics = (
        *('icc', 'sigma', 'logLik', 'AIC', 'BIC', 'REMLcrit'),
        *('df.residual', 'nobs', 'ngrps'),
    )
    default_model_statistics = ('icc',)
    own_statistics: ClassVar[Mapping[str, str]] = {
        'sd__Intercept': 'Standard deviation of the random intercepts',
        'sd__Observation': 'Standard deviation (within groups)',
        'icc': 'Intraclass correlation: share of the variance that is between groups',
        'REMLcrit': 'REML criterion',
        'ngrps': 'Number of groups',
    }
    takes = frozenset({'contrasts', 'f_tests', 'anova', 'permutations', 'offset', 'scalars'})

    def check(self, terms: Terms) -> None:
        """Refuse all but one random intercept.

        Raises
        ------
        FormulaError
            With the lines of R that fit it.
        """
        if not terms.special:
            raise FormulaError(
                'the formula has no random intercept',
                remedy='Add one, such as (1 | participant_id), or leave out --method.',
            )
        problem = _problem(terms)
        if problem:
            raise FormulaError(f'{problem}, which is not fitted here', remedy=_in_r(terms))

    def model(
        self, design: Design, options: ModelOptions, weights: np.ndarray | None
    ) -> ElementwiseModel:
        """Make the model of a design."""
        from modelarrayio_bids.models.random_intercept import RandomInterceptModel

        return RandomInterceptModel(design, options)


def _problem(terms: Terms) -> str:
    """Return what of the random effects is not one intercept; blank if nothing is."""
    first, *others = terms.special
    if others:
        return (
            f'the formula has several random effects, {" and ".join(map(written, terms.special))}'
        )
    effect = without_parentheses(first.arguments[0])
    if effect != Number(1.0):
        return f'{written(first)} has a random slope, {deparse(effect)}'
    group = without_parentheses(data_of(first)[0])
    if isinstance(group, Call) and group.function in _JOINING:
        return f'{written(first)} has groups within groups, {deparse(group)}'
    return ''


def _in_r(terms: Terms) -> str:
    """Return the lines of R that fit a formula."""
    response = terms.response or 'FA'
    right = ' + '.join([*(terms.labels or ('1',)), *map(written, terms.special)])
    return (
        f'In R: ModelArray.wrap(function(data, ...) '
        f'lme4::fixef(lme4::lmer({response} ~ {right}, data = data)), data = modelarray, '
        f'phenotypes = phenotypes, scalar = "{response}").'
    )
