"""Linear models, as R's ``lm`` fits them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelarrayio_bids.models.kinds.base import ASKED, ModelKind

if TYPE_CHECKING:
    import numpy as np

    from modelarrayio_bids.models.base import ElementwiseModel
    from modelarrayio_bids.models.design import Design
    from modelarrayio_bids.models.options import ModelOptions


class LinearKind(ModelKind):
    """Ordinary or weighted least squares."""

    name = 'lm'
    noun = 'linear model'
    help = 'a linear model, as ModelArray.lm fits it'
    #: As broom's ``tidy`` and ``glance`` name them, in the order of ModelArray's ``full.outputs``.
    term_statistics = ('estimate', 'std.error', 'statistic', 'p.value')
    default_term_statistics = ('estimate', 'statistic', 'p.value')
    model_statistics = (
        *('r.squared', 'adj.r.squared', 'sigma', 'statistic', 'p.value', 'df'),
        *('logLik', 'AIC', 'BIC', 'deviance', 'df.residual', 'nobs'),
    )
    default_model_statistics = ('adj.r.squared', 'p.value')
    takes = frozenset(ASKED)

    def model(
        self, design: Design, options: ModelOptions, weights: np.ndarray | None
    ) -> ElementwiseModel:
        """Make the model of a design."""
        from modelarrayio_bids.models.linear import LinearModel

        return LinearModel(design, options, weights)
