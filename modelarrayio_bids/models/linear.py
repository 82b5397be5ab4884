"""Linear models at every element: the results of R's ``lm``, as ``ModelArray.lm`` names them.

An element is fitted with the images whose values are finite there. Statistics are those of
``summary.lm``, ``logLik``, ``AIC``, ``BIC`` and broom's ``tidy`` and ``glance``.

On purpose unlike R: coefficients are given where they are estimable from the images an element has,
and are NaN elsewhere (R drops columns, and with them the meaning of those that stay); a constant
response has no statistics, nor has a model without residual degrees of freedom any that would be
rounding noise; weights work with missing images.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar

import numpy as np

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
from modelarrayio_bids.models.design import INTERCEPT, Design
from modelarrayio_bids.models.hypotheses import PermutableModel
from modelarrayio_bids.models.kinds.base import ModelKind
from modelarrayio_bids.models.kinds.lm import LinearKind
from modelarrayio_bids.models.least_squares import Solution
from modelarrayio_bids.models.options import ModelOptions
from modelarrayio_bids.models.permutation import PermutationTest
from modelarrayio_bids.models.requested_tests import RequestedTests
from modelarrayio_bids.models.responses import Responses, read_responses
from modelarrayio_bids.models.statistics import (
    MODEL_STATISTICS,
    TERM_STATISTICS,
    Fit,
    cohens_f2,
    partial_r_squared,
    standard_deviations,
)
from modelarrayio_bids.models.system import Sample, System, fit_of

#: A result: its name, and its values (k,), or NaN at all elements.
Result = tuple[str, np.ndarray | float]


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
        nothing = Responses.empty(len(self._sample.rows), self.scalars)
        self.columns = tuple(name for name, _ in self._fit(nothing)[0])
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
                results, outcomes[elements] = self._fit(block.select(elements))
                where = slice(None) if elements.size == len(outcomes) else elements
                for row, (_, result) in enumerate(results):
                    values[row, where] = result
        return BlockFit(values, outcomes)

    @np.errstate(all='ignore')
    def _fit(self, block: Responses) -> tuple[list[Result], np.ndarray]:
        solution = self._system.solve(block)
        fit = fit_of(self._sample, block, solution)
        outcomes = np.full(len(fit.n), Outcome.FITTED, np.uint8)
        missing = np.isnan(solution.estimates[: len(self._estimated)]).any(axis=0)
        outcomes[missing] = Outcome.NOT_ALL_ESTIMABLE
        outcomes[fit.df_residual <= 0] = Outcome.NO_RESIDUAL_DF
        return list(self._results(block, solution, fit)), outcomes

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

    # ------------------------------------------------------------------ results

    def _results(self, block: Responses, solution: Solution, fit: Fit) -> Iterator[Result]:
        """Yield results in ModelArray's order; those it does not have come last.

        They are arrays (k,), or NaN at all elements.
        """
        sums = self._sums_of_squares(block, solution)
        found = fit.t_test(solution.estimates, solution.variances)
        yield from self._term_results(found, fit, sums)
        for statistic in self.options.var_model or ():
            yield f'{MODEL}.{statistic}', self._model_result(statistic, solution, fit, block)
        yield from rows_of(found, self._contrast_rows, TERM_STATISTICS)
        for test in self._named_tests():
            for statistic, row in fit.f_test(sums[test.name], len(test.tested)).items():
                yield f'{test.name}.{statistic}', row
        if self.options.effect_sizes:
            yield from self._effects(block, solution, fit, sums)

    def _term_results(
        self, found: Mapping[str, np.ndarray], fit: Fit, sums: Mapping[str, np.ndarray]
    ) -> Iterator[Result]:
        yield from rows_of(found, self._term_rows, self.options.var_terms or ())

    def _model_result(
        self, statistic: str, solution: Solution, fit: Fit, block: Responses
    ) -> np.ndarray:
        return MODEL_STATISTICS[statistic](fit)

    def _named_tests(self) -> list[JointTest]:
        """Return the F tests whose results stand behind those of terms and contrasts."""
        return self._tests

    @property
    def _term_rows(self) -> dict[str, int | None]:
        """Rows of the solution, by what results are called by; None of what is not estimated."""
        rows = {column: row for row, column in enumerate(self._system.columns)}
        return {label: rows.get(column) for column, label in enumerate(labels_of(self.design))}

    @property
    def _contrast_rows(self) -> dict[str, int | None]:
        start = len(self._estimated)
        return {each.name: row for row, each in enumerate(self._contrasts, start)}

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
    ) -> Iterator[Result]:
        standardised = dict(self._standardised(block, solution))
        of_one = solution.estimates**2 / solution.variances
        for name, row in (self._term_rows | self._contrast_rows).items():
            if name == INTERCEPT.strip('()'):
                continue
            if name in self._term_rows:
                yield f'{name}.std.estimate', np.nan if row is None else standardised[row]
            own = np.full(len(fit.n), np.nan) if row is None else of_one[row]
            yield from _sizes(name, own, fit)
        for test in self._tests:
            yield from _sizes(test.name, sums[test.name], fit)
        yield f'{MODEL}.cohens.f2', cohens_f2(fit.model_ss, fit.deviance)

    def _standardised(
        self, block: Responses, solution: Solution
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Yield coefficients in standard deviations of response and column, (k,) each, by row."""
        sample, weights, values = self._sample, block.there, block.values
        if sample.weights is not None:
            weights *= sample.weights[:, None]
        if sample.offset is not None:
            values = values + sample.offset[:, None]
        response = standard_deviations(values, weights)
        for row, column in enumerate(self._system.columns):
            own = standard_deviations(sample.column(column, block), weights)
            yield row, solution.estimates[row] * own / response

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


def rows_of(
    found: Mapping[str, np.ndarray], rows: Mapping[str, int | None], wanted: Iterable[str]
) -> Iterator[Result]:
    """Yield statistics, (r, k) each, of what has these rows; NaN without one."""
    for name, row in rows.items():
        for statistic in wanted:
            yield f'{name}.{statistic}', np.nan if row is None else found[statistic][row]


def _sizes(name: str, sum_of_squares: np.ndarray, fit: Fit) -> Iterator[Result]:
    yield f'{name}.partial.rsq', partial_r_squared(sum_of_squares, fit.deviance)
    yield f'{name}.cohens.f2', cohens_f2(sum_of_squares, fit.deviance)
