"""Linear models at every element: the results of R's ``lm``, as ``ModelArray.lm`` names them.

An element is fitted with the images whose values are finite there. Statistics are those of
``summary.lm``, ``logLik``, ``AIC``, ``BIC`` and broom's ``tidy`` and ``glance``.

On purpose unlike R: coefficients are given where they are estimable from the images an element has,
and are NaN elsewhere (R drops columns, and with them the meaning of those that stay); a constant
response has no statistics, nor has a model without residual degrees of freedom any that would be
rounding noise; weights work with missing images.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np

from modelarrayio_bids.models.adjustment import P_VALUE
from modelarrayio_bids.models.anova import JointTest
from modelarrayio_bids.models.base import (
    MODEL,
    BlockFit,
    ElementwiseModel,
    Hypothesis,
    Outcome,
    check_unique,
    corrections_of,
    labels_of,
    tested_coefficients,
    tested_jointly,
)
from modelarrayio_bids.models.design import Design
from modelarrayio_bids.models.effects import cohens_f2, partial_r_squared, standard_deviations
from modelarrayio_bids.models.hypotheses import PermutableModel
from modelarrayio_bids.models.kinds.base import ModelKind
from modelarrayio_bids.models.kinds.lm import LinearKind
from modelarrayio_bids.models.least_squares import Solution
from modelarrayio_bids.models.options import ModelOptions
from modelarrayio_bids.models.permutation import PermutationTest
from modelarrayio_bids.models.requested_tests import RequestedTests
from modelarrayio_bids.models.responses import Responses, read_responses
from modelarrayio_bids.models.statistics import MODEL_STATISTICS, TERM_STATISTICS, Fit
from modelarrayio_bids.models.system import Sample, System, fit_of


class LinearModel(ElementwiseModel):
    """A linear model, by ordinary or weighted least squares.

    Parameters
    ----------
    design : Design
        The columns of the model.
    options : ModelOptions
        Options with the statistics to write.
    weights : numpy.ndarray, optional
        (n_table_rows,) weights as for ``lm``. Rows without one, or with 0, are left out.

    Attributes
    ----------
    columns, corrections, scalars
        See :class:`~.base.ElementwiseModel`.
    aliased : tuple of str
        Coefficients that R's ``lm`` leaves out even with all rows: their results are NaN.

    Raises
    ------
    UsageError
        If there are no more images than coefficients; a contrast or test has a name that is not in
        the model, or is not estimable; two results have one name.
    CohortError
        If a weight is negative or infinite.
    """

    #: Says which statistics there are.
    kind: ClassVar[ModelKind] = LinearKind()

    def __init__(
        self,
        design: Design,
        options: ModelOptions | None = None,
        weights: np.ndarray | None = None,
    ) -> None:
        self.design = design
        self.options = self.kind.settled(options or ModelOptions())
        self.scalars = tuple(dict.fromkeys(name for names in design.scalars for name in names))
        self._sample = Sample.from_design(design, weights)
        self._estimated = self._sample.independent(range(len(design.names)))
        self._requested = RequestedTests(design, self._sample, self.options)
        self._requested.check_size()
        self.aliased = self._requested.aliased
        self._contrasts = self._requested.contrasts()
        self._tests = self._joint_tests()
        self._system = self._system_of(tuple(self._estimated))
        self._subsystems = {
            test.columns: self._system_of(test.columns)
            for test in self._tests
            if test.tested and test.columns != tuple(self._estimated)
        }
        self.columns = tuple(self._names())
        self.corrections = corrections_of(self.columns, self.options)
        check_unique(self.columns)

    def fit(
        self, responses: np.ndarray, scalars: Mapping[str, np.ndarray] | None = None
    ) -> BlockFit:
        """Fit a block of elements.

        Parameters
        ----------
        responses : numpy.ndarray
            (n_table_rows, n_elements) of any float type; what is not finite is missing.
        scalars : mapping, optional
            For each of ``self.scalars`` an array of that shape.

        Returns
        -------
        BlockFit
        """
        sample = self._sample
        used = {name: (scalars or {})[name] for name in self.scalars}
        block, outcomes = read_responses(
            responses, used, sample.rows, sample.offset, self.options.fewest(len(responses))
        )
        values = np.full((len(self.columns), len(outcomes)), np.nan)
        complete = block.n == len(sample.rows)
        for part in (complete, ~complete):
            elements = np.flatnonzero(part & (outcomes == Outcome.FITTED))
            if elements.size:
                with np.errstate(all='ignore'):
                    results, outcomes[elements] = self._fit(block.select(elements))
                where = slice(None) if elements.size == len(outcomes) else elements
                for row, name in enumerate(self.columns):
                    values[row, where] = results[name]
        return BlockFit(values, outcomes)

    def _fit(self, block: Responses) -> tuple[dict[str, np.ndarray | float], np.ndarray]:
        solution = self._system.solve(block)
        fit = fit_of(self._sample, block, solution)
        outcomes = np.full(len(fit.n), Outcome.FITTED, np.uint8)
        missing = np.isnan(solution.estimates[: len(self._estimated)]).any(axis=0)
        outcomes[missing] = Outcome.NOT_ALL_ESTIMABLE
        outcomes[fit.df_residual <= 0] = Outcome.NO_RESIDUAL_DF
        return dict(self._results(block, solution, fit)), outcomes

    def permutation_test(self, blocks: np.ndarray | None = None) -> PermutationTest:
        """Return the permutation test that the options ask for: see :mod:`.hypotheses`."""
        shared = self.design, self.options, self._sample, self._estimated
        asked = self._coefficients(), self._contrasts, self._tests
        return PermutableModel(*shared, *asked).test(blocks)

    def _coefficients(self) -> list[int]:
        """Return the columns whose coefficients have results of their own."""
        return self._estimated

    @property
    def tested(self) -> Mapping[str, Hypothesis]:
        """Hypotheses by the prefix of their results."""
        n_estimated = len(self._estimated)
        of_model = {
            f'{MODEL}.df': n_estimated - self._sample.intercept,
            f'{MODEL}.df.residual': len(self._sample.rows) - n_estimated,
        }
        return {
            MODEL: Hypothesis('', 'F', of_model),
            **tested_coefficients(self.design, self.options),
            **tested_jointly(self._tests, self.options),
        }

    # ------------------------------------------------------------------ results, by name

    def _names(self) -> Iterator[str]:
        """Yield the names of results in ModelArray's order; those it does not have come last."""
        options = self.options
        yield from self._term_names()
        yield from (f'model.{statistic}' for statistic in options.var_model or ())
        for contrast in self._contrasts:
            yield from (f'{contrast.name}.{statistic}' for statistic in TERM_STATISTICS)
        yield from self._test_names()
        if options.effect_sizes:
            yield from self._effect_names()

    def _test_names(self) -> Iterator[str]:
        for test in self._tests:
            yield from (f'{test.name}.{statistic}' for statistic in ('statistic', P_VALUE))

    def _term_names(self) -> Iterator[str]:
        for term in labels_of(self.design):
            yield from (f'{term}.{statistic}' for statistic in self._coefficient_statistics())

    def _coefficient_statistics(self) -> tuple[str, ...]:
        return self.options.var_terms or ()

    def _effect_names(self) -> Iterator[str]:
        for label in labels_of(self.design):
            if label != 'Intercept':
                yield f'{label}.std.estimate'
                yield from _effects_of(label)
        for contrast in self._contrasts:
            yield from _effects_of(contrast.name)
        for test in self._tests:
            yield from _effects_of(test.name)
        yield 'model.cohens.f2'

    def _results(
        self, block: Responses, solution: Solution, fit: Fit
    ) -> Iterator[tuple[str, np.ndarray | float]]:
        """Yield results by name: an array (k,), or NaN at all elements."""
        n_estimated = len(self._estimated)
        terms = fit.t_test(
            solution.estimates[:n_estimated],
            solution.variances[:n_estimated],
            self._coefficient_statistics(),
        )
        labels = labels_of(self.design)
        for statistic, found in terms.items():
            yield from ((f'{label}.{statistic}', np.nan) for label in labels)
            for row, column in zip(found, self._system.columns, strict=True):
                yield f'{labels[column]}.{statistic}', row
        yield from self._model_results(block, solution, fit)
        contrasts = fit.t_test(
            solution.estimates[n_estimated:], solution.variances[n_estimated:], TERM_STATISTICS
        )
        for statistic, found in contrasts.items():
            for row, contrast in zip(found, self._contrasts, strict=True):
                yield f'{contrast.name}.{statistic}', row
        sums = self._sums_of_squares(block, solution)
        for test in self._tests:
            for statistic, row in fit.f_test(sums[test.name], len(test.tested)).items():
                yield f'{test.name}.{statistic}', row
        if self.options.effect_sizes:
            yield from self._effects(block, solution, fit, sums)

    def _model_results(
        self, block: Responses, solution: Solution, fit: Fit
    ) -> Iterator[tuple[str, np.ndarray]]:
        for statistic in self.options.var_model or ():
            yield f'model.{statistic}', MODEL_STATISTICS[statistic](fit)

    def _sums_of_squares(self, block: Responses, solution: Solution) -> dict[str, np.ndarray]:
        """Return the sum of squares of each F test, (k,)."""
        found = {tuple(self._estimated): solution.joint_ss}
        for columns, system in self._subsystems.items():
            found[columns] = system.solve(block).joint_ss
        sums = {test.name: np.full(len(solution.rank), np.nan) for test in self._tests}
        for columns, rows in found.items():
            sums |= zip((test.name for test in self._tests_in(columns)), rows, strict=True)
        return sums

    def _effects(
        self, block: Responses, solution: Solution, fit: Fit, sums: Mapping[str, np.ndarray]
    ) -> Iterator[tuple[str, np.ndarray | float]]:
        labels = labels_of(self.design)
        yield from ((name, np.nan) for name in self._effect_names())
        yield from (
            (f'{labels[column]}.std.estimate', row)
            for column, row in self._standardised(block, solution)
        )
        tested = [
            *(labels[column] for column in self._system.columns),
            *(contrast.name for contrast in self._contrasts),
        ]
        of_one = dict(zip(tested, solution.estimates**2 / solution.variances, strict=True))
        for name, sum_of_squares in {**of_one, **sums}.items():
            yield f'{name}.partial.rsq', partial_r_squared(sum_of_squares, fit.deviance)
            yield f'{name}.cohens.f2', cohens_f2(sum_of_squares, fit.deviance)
        yield 'model.cohens.f2', cohens_f2(fit.model_ss, fit.deviance)

    def _standardised(
        self, block: Responses, solution: Solution
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Yield coefficients in standard deviations of response and column, (k,) each."""
        sample = self._sample
        weights = np.ones(block.values.shape) if block.present is None else block.present * 1.0
        if sample.weights is not None:
            weights *= sample.weights[:, None]
        values = block.values
        if sample.offset is not None:
            values = values + sample.offset[:, None]
        response = standard_deviations(values, weights)
        for row, column in zip(solution.estimates, self._system.columns, strict=False):
            own = standard_deviations(sample.column(column, block), weights)
            yield column, row * own / response

    # ------------------------------------------------------------------ what is asked

    def _joint_tests(self) -> list[JointTest]:
        return self._requested.joint_tests()

    def _tests_in(self, columns: tuple[int, ...]) -> list[JointTest]:
        return [test for test in self._tests if test.columns == columns and test.tested]

    def _system_of(self, columns: tuple[int, ...]) -> System:
        """Return the model of some columns, with its tests; the contrasts are of the whole one."""
        whole = columns == tuple(self._estimated)
        factors = [contrast.factors for contrast in self._contrasts] if whole else []
        joint = [test.tested for test in self._tests_in(columns)]
        return System(self._sample, columns, factors, joint)


def _effects_of(name: str) -> tuple[str, str]:
    return f'{name}.partial.rsq', f'{name}.cohens.f2'
