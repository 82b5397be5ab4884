"""Additive models with smooths of fixed degrees of freedom, as mgcv's ``gam`` fits them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelarrayio_bids.models.kinds.base import ASKED, ModelKind

if TYPE_CHECKING:
    import numpy as np

    from modelarrayio_bids.models.base import ElementwiseModel
    from modelarrayio_bids.models.design import Design
    from modelarrayio_bids.models.options import ModelOptions


class AdditiveKind(ModelKind):
    """Least squares with curves of covariates."""

    name = 'gam'
    noun = 'additive model'
    help = 'curves of covariates, s(age, k = 4, fx = TRUE), as ModelArray.gam fits them'
    notation = frozenset({'s', 'te', 'ti', 't2'})
    #: Statistics of coefficients and of smooths; each has its own subset.
    term_statistics = ('estimate', 'std.error', 'edf', 'ref.df', 'statistic', 'p.value')
    default_term_statistics = ('estimate', 'statistic', 'p.value')
    #: As mgcv's ``summary.gam`` and broom's ``glance`` name them, in ModelArray's order.
    model_statistics = (
        *('adj.r.squared', 'dev.expl', 'sp.criterion', 'scale', 'df'),
        *('logLik', 'AIC', 'BIC', 'deviance', 'df.residual', 'nobs'),
    )
    default_model_statistics = ('dev.expl',)
    takes = frozenset(ASKED) - {'anova'}

    def model(
        self, design: Design, options: ModelOptions, weights: np.ndarray | None
    ) -> ElementwiseModel:
        """Make the model of a design."""
        from modelarrayio_bids.models.additive import AdditiveModel

        return AdditiveModel(design, options, weights)
