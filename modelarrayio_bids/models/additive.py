"""Additive models with smooths of fixed degrees of freedom, as in mgcv's ``gam``.

Such a smooth adds columns to a linear model (:mod:`.smooth_terms`), and is tested by the F test of
these. Statistics are those of mgcv's ``summary.gam`` and broom's ``glance``, by ModelArray's names.

The p value is that of F with whole degrees of freedom. mgcv (1.8-41) finds the rank of a smooth
with rounding, and where it is 2.9999999999999725 its p differs from that of 3 by 4e-5 of itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import ClassVar

import numpy as np
from scipy import special

from modelarrayio_bids.errors import FormulaError
from modelarrayio_bids.models.anova import JointTest
from modelarrayio_bids.models.base import CONFIDENCE, MODEL, FittedCurve, Hypothesis
from modelarrayio_bids.models.design import Design
from modelarrayio_bids.models.formula.values import Numbers
from modelarrayio_bids.models.kinds.base import ModelKind
from modelarrayio_bids.models.kinds.gam import AdditiveKind
from modelarrayio_bids.models.least_squares import Solution, sum_of_squares
from modelarrayio_bids.models.linear import LinearModel, Result, rows_of
from modelarrayio_bids.models.options import ModelOptions
from modelarrayio_bids.models.rank import independent_columns
from modelarrayio_bids.models.responses import Responses, read_responses
from modelarrayio_bids.models.smooth_terms import SmoothTerm, with_smooths
from modelarrayio_bids.models.statistics import MODEL_STATISTICS, TERM_STATISTICS, Fit
from modelarrayio_bids.models.system import System, fit_of
from modelarrayio_bids.runtime.text_format import count

# Values of the covariate at which a curve is drawn.
_GRID = 101

_EFFECTS = ('delta.adj.rsq', 'partial.rsq')


class AdditiveModel(LinearModel):
    """An additive model, by ordinary or weighted least squares.

    Parameters
    ----------
    design : Design
        The columns of the model but those of its smooths.
    options, weights
        See :class:`.linear.LinearModel`.

    Attributes
    ----------
    smooths : tuple of SmoothTerm
        In the order of the formula.

    Raises
    ------
    FormulaError
        If a smooth cannot be made, or other terms hold some of its curves.
    """

    kind: ClassVar[ModelKind] = AdditiveKind()

    def __init__(
        self,
        design: Design,
        options: ModelOptions | None = None,
        weights: np.ndarray | None = None,
    ) -> None:
        whole, self.smooths = with_smooths(design)
        super().__init__(whole, options, weights)
        # ModelArray.gam refits the model when all else is written.
        if self.options.effect_sizes:
            self.last_columns = tuple(f'{name}.{one}' for name in self._reduced for one in _EFFECTS)

    @property
    def tested(self) -> Mapping[str, Hypothesis]:
        """Hypotheses by the prefix of their results."""
        own = {f'{smooth.label}.' for smooth in self.smooths}
        tested = {
            name: each
            for name, each in super().tested.items()
            if not any(name.startswith(label) for label in own)
        }
        smooths = {
            smooth.name: Hypothesis(smooth.label, 'F', {f'{smooth.name}.edf': len(smooth.columns)})
            for smooth in self.smooths
        }
        n_residual = len(self._sample.rows) - len(self._estimated)
        df = {'model.df': len(self._estimated), 'model.df.residual': n_residual}
        return {**tested, **smooths, MODEL: Hypothesis('', '', df)}

    def described(self) -> Iterator[str]:
        """Describe the smooths."""
        for smooth in self.smooths:
            yield f'Smooth {smooth.label}: {len(smooth.columns)} degrees of freedom'

    def concerns(self) -> Iterator[str]:
        """Return a warning for each factor ``by`` that is not a term: curves have the mean 0."""
        factors = {smooth.smooth.by for smooth in self.smooths if smooth.level}
        for by in sorted(factors - set(self.design.terms)):
            yield (
                f'smooths by {by} have curves of the mean 0 at each level, and nothing in the '
                f'formula has the levels themselves: add {by}'
            )

    def curve(
        self, term: str, response: np.ndarray, scalars: Mapping[str, np.ndarray]
    ) -> FittedCurve | None:
        """Return a smooth of one covariate at an element, by the name of its results.

        See :meth:`.base.ElementwiseModel.curve`.
        """
        for smooth in self.smooths:
            if smooth.name == term and len(smooth.smooth.covariates) == 1:
                return self._curve(smooth, response, scalars)
        return None

    def _curve(
        self, smooth: SmoothTerm, response: np.ndarray, scalars: Mapping[str, np.ndarray]
    ) -> FittedCurve | None:
        used = {name: scalars[name][:, None] for name in self.scalars}
        sample = self._sample
        block, _ = read_responses(response[:, None], used, sample.rows, sample.offset, 0)
        own = sample.matrix[:, smooth.columns]
        there = own.any(axis=1) & (True if block.present is None else block.present[:, 0])
        x = self._covariate(smooth)
        if not there.any():
            return None
        grid = np.linspace(x[there].min(), x[there].max(), _GRID)
        factors = np.zeros((grid.size, len(self.design.names)))
        factors[:, smooth.columns] = smooth.basis.at([grid])
        system = System(sample, self._estimated, factors)
        with np.errstate(all='ignore'):
            solution = system.solve(block)
            fit = fit_of(sample, block, solution)
            found = fit.t_test(solution.estimates, solution.variances)
        n = len(self._estimated)
        quantile = special.stdtrit(fit.df_residual, (1 + CONFIDENCE) / 2)
        margin = (quantile * found['std.error'][n:])[:, 0]
        if not np.isfinite(margin).all():
            return None
        coefficients = found['estimate'][[system.columns.index(c) for c in smooth.columns], 0]
        root = 1 if sample.weights is None else np.sqrt(sample.weights)
        shown = there & (smooth.number == '')
        return FittedCurve(
            *(smooth.label, smooth.smooth.covariates[0], smooth.number),
            *(grid, found['estimate'][n:, 0], margin),
            *(x[shown], (own @ coefficients + solution.residuals[:, 0] / root)[shown]),
        )

    def _covariate(self, smooth: SmoothTerm) -> np.ndarray:
        """Return the covariate of a smooth in the rows that are fitted, (n,)."""
        values = self.design.variables[smooth.smooth.covariates[0]]
        in_sample = np.isin(self.design.rows, self._sample.rows)
        return np.asarray(values.data)[in_sample] if isinstance(values, Numbers) else np.empty(0)

    # ------------------------------------------------------------------ names

    def _coefficients(self) -> list[int]:
        return [column for column in self._estimated if column < self._n_parametric]

    def _named_tests(self) -> list[JointTest]:
        return self._tests[len(self.smooths) :]

    @property
    def _term_rows(self) -> dict[str, int | None]:
        return dict(list(super()._term_rows.items())[: self._n_parametric])

    @cached_property
    def _n_parametric(self) -> int:
        return len(self.design.names) - sum(len(smooth.columns) for smooth in self.smooths)

    # ------------------------------------------------------------------ what is asked

    def _joint_tests(self) -> list[JointTest]:
        estimated = tuple(self._estimated)
        for smooth in self.smooths:
            if not set(smooth.columns) <= set(estimated):
                self._require_distinct(smooth)
                raise FormulaError(
                    f'other terms of the formula hold some of the curves of {smooth.label}',
                    remedy='Leave one of them out; beside s() of each covariate write ti(), not '
                    'te(); with s() of all rows the by has to be ordered().',
                )
        own = [JointTest(smooth.name, estimated, smooth.columns) for smooth in self.smooths]
        return [*own, *super()._joint_tests()]

    def _require_distinct(self, smooth: SmoothTerm) -> None:
        """Refuse a smooth of covariates, at a level, that have too few values for its curves.

        Raises
        ------
        FormulaError
            With the ways out.
        """
        own = self._sample.matrix[:, smooth.columns]
        distinct = np.unique(own[own.any(axis=1)], axis=0)
        curves = distinct
        if smooth.basis.is_centred:
            curves = np.column_stack([np.ones(len(distinct)), distinct])
        if len(independent_columns(curves)) < curves.shape[1]:
            raise FormulaError(
                f'{smooth.label} has {count(len(distinct), "distinct value")}, which do not tell '
                f'{len(smooth.columns)} curves apart',
                remedy='Choose a smaller k'
                + (', or leave out the images of that level.' if smooth.level else '.'),
            )

    @cached_property
    def _reduced(self) -> dict[str, System]:
        """Models without one term each, by its name; terms contained in others are kept."""
        return {
            name: System(self._sample, [c for c in self._estimated if c not in columns])
            for name, columns in self._terms()
        }

    def _terms(self) -> Iterator[tuple[str, list[int]]]:
        smooths = {smooth.smooth.label: smooth.smooth.name for smooth in self.smooths}
        for term in self.design.terms:
            columns = self.design.columns(term)
            if not self.design.containing(term) and len(columns) < len(self._estimated):
                yield smooths.get(term, term), columns

    # ------------------------------------------------------------------ results

    def _term_results(
        self, found: Mapping[str, np.ndarray], fit: Fit, sums: Mapping[str, np.ndarray]
    ) -> Iterator[Result]:
        wanted = self.options.var_terms or ()
        for smooth in self.smooths:
            tested = fit.f_test(sums[smooth.name], len(smooth.columns))
            df = np.where(np.isnan(tested['statistic']), np.nan, len(smooth.columns))
            own = {'edf': df, 'ref.df': df, **tested}
            yield from ((f'{smooth.name}.{one}', own[one]) for one in wanted if one in own)
        plain = [one for one in wanted if one in TERM_STATISTICS]
        yield from rows_of(found, self._term_rows, plain)

    def _model_result(
        self, statistic: str, solution: Solution, fit: Fit, block: Responses
    ) -> np.ndarray:
        own: dict[str, Callable[[], np.ndarray]] = {
            'adj.r.squared': lambda: self._adjusted_r_squared(block, solution, fit),
            'dev.expl': lambda: 1 - fit.deviance / _null_deviance(solution),
            # Wood 2017, section 6.2.5: the criterion of generalised cross validation.
            'sp.criterion': lambda: fit.n * fit.deviance / fit.df_residual**2,
            'scale': lambda: fit.variance,
            'df': lambda: fit.rank,
        }
        return own[statistic]() if statistic in own else MODEL_STATISTICS[statistic](fit)

    def _effects(
        self, block: Responses, solution: Solution, fit: Fit, sums: Mapping[str, np.ndarray]
    ) -> Iterator[Result]:
        whole = self._adjusted_r_squared(block, solution, fit)
        for name, system in self._reduced.items():
            smaller = system.solve(block)
            reduced = fit_of(self._sample, block, smaller)
            change = whole - self._adjusted_r_squared(block, smaller, reduced)
            explained = 1 - fit.deviance / reduced.deviance
            is_larger = fit.rank > reduced.rank
            yield f'{name}.delta.adj.rsq', np.where(is_larger, change, np.nan)
            yield f'{name}.partial.rsq', np.where(is_larger, explained, np.nan)

    def _adjusted_r_squared(self, block: Responses, solution: Solution, fit: Fit) -> np.ndarray:
        """Return 1 less the ratio of the variances of residuals and response (``?summary.gam``).

        Both are taken after multiplication by the root of the weights, about their means.
        """
        sample = self._sample
        left, total = fit.residual_ss, _null_deviance(solution)
        if sample.weights is not None or sample.offset is not None or not sample.intercept:
            left, total = _spread(solution.residuals, fit.n), self._total_spread(block)
        left = np.where(fit.df_residual > 0, left, np.nan)
        return 1 - left / total * ((fit.n - 1) / fit.df_residual)

    def _total_spread(self, block: Responses) -> np.ndarray:
        """Return the spread of deviations from the weighted mean, times the root of the weights."""
        sample = self._sample
        offset = 0 if sample.offset is None else sample.offset[:, None]
        present = block.there
        values = (block.values + offset) * present
        weights = sample.weighted(sample.weighted(present))
        mean = (weights * values).sum(axis=0) / weights.sum(axis=0)
        return _spread(sample.weighted((values - mean) * present), block.n)


def _null_deviance(solution: Solution) -> np.ndarray:
    """Return the deviance without all terms but the offset: about the mean, or about 0."""
    return solution.model_ss + solution.residual_ss


def _spread(values: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Return the sum of squares about the mean of n values, (k,)."""
    return sum_of_squares(values) - values.sum(axis=0) ** 2 / n
