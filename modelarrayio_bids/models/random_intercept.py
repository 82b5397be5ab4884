"""Linear models with a random intercept at every element: the results of R's lmerTest.

An element is fitted, by restricted maximum likelihood, with the images whose values are finite
there. Statistics are those of ``lme4::lmer``, lmerTest's ``summary`` and ``contest``, and
broom.mixed's ``tidy`` and ``glance``.

As in :mod:`.linear`, coefficients are given where they are estimable from the images an element
has, and are NaN elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from modelarrayio_bids.errors import CohortError, UsageError
from modelarrayio_bids.models.adjustment import P_VALUE
from modelarrayio_bids.models.anova import JointTest
from modelarrayio_bids.models.base import (
    MODEL,
    REASONS,
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
from modelarrayio_bids.models.contrasts import factors_of
from modelarrayio_bids.models.coordinates import Coordinates, ElementCoordinates
from modelarrayio_bids.models.design import INTERCEPT, Design
from modelarrayio_bids.models.formula.syntax import deparse
from modelarrayio_bids.models.formula.terms import data_of
from modelarrayio_bids.models.formula.values import Factor, Numbers
from modelarrayio_bids.models.grouping import Grouping
from modelarrayio_bids.models.hypotheses import PermutableModel
from modelarrayio_bids.models.kinds.lmer import RandomInterceptKind
from modelarrayio_bids.models.least_squares import swept
from modelarrayio_bids.models.options import ModelOptions
from modelarrayio_bids.models.permutation import PermutationTest
from modelarrayio_bids.models.rank import independent_columns, is_estimable, null_vectors
from modelarrayio_bids.models.reml import MOST_RATIO, Likelihood, Products, best_ratio
from modelarrayio_bids.models.requested_tests import RequestedTests
from modelarrayio_bids.models.responses import Responses, read_responses
from modelarrayio_bids.models.satterthwaite import Estimates
from modelarrayio_bids.models.system import Sample, System
from modelarrayio_bids.runtime.text_format import count

#: Outcomes beside those of :class:`.base.Outcome`.
NOTHING_REPEATED, ONE_GROUP, NO_VARIANCE_WITHIN, SINGULAR = 16, 17, 18, 19
_WITH_RESULTS = (Outcome.FITTED, Outcome.NOT_ALL_ESTIMABLE, SINGULAR)
# Elements that are solved at once: few enough for the processor's cache.
_WIDTH = 512
# Normal equations whose inverse has a greater trace are left to a factorisation.
_GREATEST_TRACE = 1e5
# Minimal relative length of the part of a group's column outside all other columns.
_LEFT = 1e-7
_LEAST_SQUARES = 'the fixed effects by least squares'


class RandomInterceptModel(ElementwiseModel):
    """A linear model with an intercept for each group, by restricted maximum likelihood.

    Parameters
    ----------
    design : Design
        Its columns, and one random intercept in ``special``.
    options : ModelOptions
        Options with the statistics to write.

    Attributes
    ----------
    group : str
        Label of the variable that groups the images.

    Raises
    ------
    UsageError
        If there are no more images than coefficients; a contrast or test has a name that is not in
        the model, or is not estimable; two results have one name.
    CohortError
        If the groups cannot be used: one group, no group with several images, groups that the
        other terms tell apart already.
    """

    reasons: ClassVar[Mapping[int, str]] = {
        **REASONS,
        NOTHING_REPEATED: 'one image of each group',
        ONE_GROUP: 'images of one group alone',
        NO_VARIANCE_WITHIN: 'no variance within groups',
        SINGULAR: 'singular fit: no variance between groups',
    }

    def __init__(self, design: Design, options: ModelOptions | None = None) -> None:
        self.design = design
        self.scalars = tuple(dict.fromkeys(name for names in design.scalars for name in names))
        self.group = deparse(data_of(design.special[0])[0])
        self.options = self._permuting(RandomInterceptKind().settled(options or ModelOptions()))
        self._sample = Sample.from_design(design, None)
        self._codes = _codes(design, self.group)
        self._grouping = Grouping(self._codes)
        requested = RequestedTests(design, self._sample, self.options)
        requested.check_size()
        self.aliased = requested.aliased
        estimated = self._sample.independent(range(len(design.names)))
        self._system = System(self._sample, estimated)
        self._columns = self._system.columns
        self._check_groups()
        self._contrasts = requested.contrasts()
        self._tests = requested.joint_tests()
        self._factors, self._rows = self._hypotheses()
        self.columns = tuple(self._names())
        self.corrections = corrections_of(self.columns, self.options)
        check_unique(self.columns)

    @property
    def groups(self) -> np.ndarray:
        """Groups of rows, (n_rows,) int."""
        return self._codes

    @property
    def tested(self) -> Mapping[str, Hypothesis]:
        """Hypotheses by the prefix of their results."""
        return {
            **tested_coefficients(self.design, self.options),
            **tested_jointly(self._tests, self.options),
        }

    def permutation_test(self, blocks: np.ndarray | None = None) -> PermutationTest:
        """Return the permutation test of the fixed effects, fitted by least squares.

        Images are exchangeable within groups, and groups as wholes, whatever the variances of the
        model (Winkler et al., "Multi-level block permutation", 2015). See :mod:`.hypotheses`.

        Parameters
        ----------
        blocks : numpy.ndarray, optional
            (n_table_rows,) int: other blocks of exchangeability than the groups.
        """
        if blocks is None:
            blocks = np.zeros(self._sample.rows.max() + 1, int)
            blocks[self._sample.rows] = self._codes
        shared = self.design, self.options, self._sample, self._columns
        asked = self._columns, self._contrasts, self._tests
        return PermutableModel(*shared, *asked, model=_LEAST_SQUARES).test(blocks)

    def described(self) -> Iterator[str]:
        """Describe the groups."""
        sizes = self._grouping.sizes
        each = zip(*np.unique(sizes, return_counts=True), strict=True)
        images = ', '.join(f'{size} in {count(int(groups), "group")}' for size, groups in each)
        yield f'Random intercept of {self.group}: {count(len(sizes), "group")}; images: {images}'

    @property
    def summarised(self) -> tuple[str, ...]:
        """Variance components and their ratio."""
        names = (f'{MODEL}.icc', f'{self.group}.sd__Intercept', 'Residual.sd__Observation')
        return tuple(name for name in names if name in self.columns)

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
        fewest = self.options.fewest(len(responses))
        block, outcomes = read_responses(responses, used, sample.rows, sample.offset, fewest)
        self._judge_groups(block, outcomes)
        values = np.full((len(self.columns), len(outcomes)), np.nan)
        for problem, elements in self._problems(block, outcomes):
            with np.errstate(all='ignore'):
                found, outcomes[elements] = self._solve(problem)
            for row, name in enumerate(self.columns):
                values[row, elements] = found[name]
        values[:, ~np.isin(outcomes, _WITH_RESULTS)] = np.nan
        return BlockFit(values, outcomes)

    # ------------------------------------------------------------------ elements

    def _judge_groups(self, block: Responses, outcomes: np.ndarray) -> None:
        """Set the outcome of elements whose images do not make groups."""
        if block.present is None:
            return
        sizes = self._grouping.sums(block.present.astype(np.int64))
        fitted = outcomes == Outcome.FITTED
        outcomes[fitted & (sizes.max(axis=0) < 2)] = NOTHING_REPEATED
        outcomes[fitted & ((sizes > 0).sum(axis=0) < 2)] = ONE_GROUP

    def _problems(
        self, block: Responses, outcomes: np.ndarray
    ) -> Iterator[tuple[_Problem, np.ndarray]]:
        """Yield the elements to fit, some at a time; those with all images first."""
        complete = block.n == len(self._sample.rows)
        for whole in (True, False):
            elements = np.flatnonzero((complete == whole) & (outcomes == Outcome.FITTED))
            for start in range(0, elements.size, _WIDTH):
                some_elements = elements[start : start + _WIDTH]
                part = block.select(some_elements)
                if whole and not self._system.own:
                    yield self._complete(part), some_elements
                else:
                    for problem, among in self._incomplete(part):
                        yield problem, some_elements[among]

    def _complete(self, block: Responses) -> _Problem:
        there = self._system.shared
        start = there.project(block.values)
        residuals = block.values - there.expand(start)
        columns = there.coordinate_columns()
        p = len(columns)
        products = self._grouping.products(columns, np.eye(p)[:, :, None], residuals, None, p)
        factors = there.combinations(self._factors)
        return _Problem(products, start, factors, None, there.log_scale)

    def _incomplete(self, block: Responses) -> Iterator[tuple[_Problem, np.ndarray]]:
        """Yield elements that lack images, or have columns of their own: the doubtful ones last."""
        there, present = self._system.coordinates(block), block.there
        gram = there.gram(present)
        inverse, dropped, _ = swept(gram, there.least_pivots)
        doubtful = dropped.any(axis=0) | ~(np.trace(inverse) <= _GREATEST_TRACE)
        for elements, problem in (
            (np.flatnonzero(~doubtful), self._well_conditioned),
            (np.flatnonzero(doubtful), self._factored),
        ):
            if elements.size:
                values, rows = block.values[:, elements], present[:, elements]
                yield problem(there.select(elements), values, rows), elements

    def _well_conditioned(
        self, there: Coordinates | ElementCoordinates, y: np.ndarray, present: np.ndarray
    ) -> _Problem:
        gram = there.gram(present)
        start = np.linalg.solve(np.moveaxis(gram, 2, 0), there.project(y).T[:, :, None])[:, :, 0].T
        residuals = (y - there.expand(start)) * present
        columns = [column * present for column in there.coordinate_columns()]
        products = self._grouping.products(columns, gram, residuals, present, len(gram))
        return _Problem(products, start, there.combinations(self._factors), None, there.log_scale)

    def _factored(
        self, there: Coordinates | ElementCoordinates, y: np.ndarray, present: np.ndarray
    ) -> _Problem:
        """Factor the columns of each element: some depend on others there, or nearly so."""
        (n, k), p, r = y.shape, len(self._columns), len(self._factors)
        columns, combinations = np.zeros((p, n, k)), np.zeros((r, p, k))
        estimable, rank, log_r = np.ones((r, k), bool), np.zeros(k, int), np.zeros(k)
        for pattern in there.patterns(present):
            first = int(pattern[0])
            rows = present[:, first] > 0
            matrix = there.columns(first)[rows]
            kept = independent_columns(matrix)
            q, triangle = np.linalg.qr(matrix[:, kept])
            places = np.ix_(np.arange(len(kept)), np.flatnonzero(rows), pattern)
            columns[places] = q.T[:, :, None]
            made = self._factors[:, kept] @ np.linalg.inv(triangle)
            combinations[:, : len(kept), pattern] = made[:, :, None]
            null, lengths = null_vectors(matrix, kept), np.linalg.norm(matrix, axis=0)[:, None]
            known = is_estimable(self._factors, null, lengths)
            estimable[:, pattern] = np.all(known, axis=1, keepdims=True)
            rank[pattern] = len(kept)
            log_r[pattern] = np.log(np.abs(np.diag(triangle))).sum()
        start = np.einsum('pnk,nk->pk', columns, y)
        residuals = y - np.einsum('pnk,pk->nk', columns, start)
        # A coordinate that is not used is by itself.
        gram = np.eye(p)[:, :, None] * np.ones(k)
        products = self._grouping.products([*columns], gram, residuals, present, rank)
        return _Problem(products, start, combinations, estimable, log_r)

    def _solve(self, problem: _Problem) -> tuple[dict[str, np.ndarray | float], np.ndarray]:
        products = problem.products
        ratio = best_ratio(products)
        found = Estimates.of(products, ratio, problem.combinations, problem.start)
        outcomes = np.full(ratio.size, Outcome.FITTED, np.uint8)
        outcomes[ratio == 0] = SINGULAR
        outcomes[ratio >= MOST_RATIO / 2] = NO_VARIANCE_WITHIN
        if problem.estimable is not None:
            found.estimates[~problem.estimable] = np.nan
            partly = ~problem.estimable[: len(self._columns)].all(axis=0)
            outcomes[partly] = Outcome.NOT_ALL_ESTIMABLE
        outcomes[products.df <= 0] = Outcome.NO_RESIDUAL_DF
        return dict(self._results(problem, found)), outcomes

    # ------------------------------------------------------------------ results, by name

    def _names(self) -> Iterator[str]:
        options = self.options
        for term in labels_of(self.design):
            yield from (f'{term}.{statistic}' for statistic in options.var_terms or ())
        yield f'{self.group}.sd__Intercept'
        yield 'Residual.sd__Observation'
        yield from (f'{MODEL}.{statistic}' for statistic in options.var_model or ())
        for contrast in self._contrasts:
            for statistic in RandomInterceptKind.term_statistics:
                yield f'{contrast.name}.{statistic}'
        for test in self._tests:
            yield from (f'{test.name}.{end}' for end in ('statistic', 'df.residual', P_VALUE))

    def _results(
        self, problem: _Problem, found: Estimates
    ) -> Iterator[tuple[str, np.ndarray | float]]:
        """Yield results by name: an array (k,), or NaN at all elements."""
        yield from ((name, np.nan) for name in self._names())
        labels = labels_of(self.design)
        singles = [labels[column] for column in self._columns]
        singles += [contrast.name for contrast in self._contrasts]
        for statistic, rows in found.t_test(slice(0, len(singles))).items():
            for name, row, estimate in zip(singles, rows, found.estimates, strict=False):
                yield f'{name}.{statistic}', np.where(np.isfinite(estimate), row, np.nan)
        for test, tested in zip(self._tests, self._rows, strict=True):
            if test.tested:
                for statistic, row in found.f_test(tested).items():
                    yield f'{test.name}.{statistic}', row
        model = _model_statistics(problem, found.there)
        yield f'{self.group}.sd__Intercept', np.sqrt(found.there.ratio) * model['sigma']
        yield 'Residual.sd__Observation', model['sigma']
        for statistic in self.options.var_model or ():
            yield f'{MODEL}.{statistic}', model[statistic]

    # ------------------------------------------------------------------ what is asked

    def _permuting(self, options: ModelOptions) -> ModelOptions:
        """Return options with the groups as blocks of exchangeability, if there are no others."""
        if not options.permutations or options.exchangeability:
            return options
        # Signs of one group flip together: errors of its images are alike.
        how = 'whole' if self.design.names == (INTERCEPT,) else 'both'
        return replace(options, exchangeability=self.group, shuffle=options.shuffle or how)

    def _check_groups(self) -> None:
        sizes = self._grouping.sizes
        if len(sizes) == 1:
            raise CohortError(
                f'all images of the model have the same {self.group}',
                remedy=f'Leave out (1 | {self.group}).',
            )
        if sizes.max() == 1:
            raise CohortError(
                f'every image of the model has a different {self.group}, but a random intercept '
                'needs groups with several images',
                remedy=f'Leave out (1 | {self.group}): the model is a linear model.',
            )
        members = (self._codes[:, None] == np.arange(len(sizes))) * 1.0
        left = members - self._system.shared.expand(self._system.shared.project(members))
        if (np.linalg.norm(left, axis=0) <= _LEFT * np.sqrt(sizes)).all():
            raise CohortError(
                f'the random intercept of {self.group} is collinear with other terms',
                remedy=f'Leave out (1 | {self.group}), or these terms.',
            )

    def _hypotheses(self) -> tuple[np.ndarray, list[slice]]:
        """Return combinations of the columns, (r, p), and which of them each joint test is about.

        The first p are the columns themselves, then come the contrasts.
        """
        contrasts = np.reshape(
            [contrast.factors for contrast in self._contrasts], (-1, len(self.design.names))
        )
        blocks = [np.eye(len(self._columns)), contrasts[:, self._columns]]
        rows, start = [], len(self._columns) + len(contrasts)
        for test in self._tests:
            block = self._joint_factors(test)
            blocks.append(block)
            rows.append(slice(start, start + len(block)))
            start += len(block)
        return np.vstack(blocks), rows

    def _joint_factors(self, test: JointTest) -> np.ndarray:
        """Return what is tested, a combination of the columns in each row: (t, p).

        A test of type II is made in a model without the terms that contain the tested one. There a
        coefficient estimates this combination of the whole model's, over all images (Searle,
        "Linear Models", section 3.5): its own, and what the terms left out add to it.
        """
        if test.tested and test.tested[-1] >= len(self.design.names):
            factors = factors_of(test.tested, self._contrasts, len(self.design.names))
            return factors[:, self._columns]
        others = [column for column in test.columns if column not in test.tested]
        left_out = [column for column in self._columns if column not in test.columns]
        if any(self.design.scalars[column] for column in left_out):
            raise UsageError(
                f'{test.name}: a term is contained in another that differs by element',
                remedy='Leave out --anova, and ask for F tests by name: --f-test.',
            )
        factors = np.zeros((len(test.tested), len(self._columns)))
        places = [self._columns.index(column) for column in test.tested]
        factors[range(len(places)), places] = 1
        if left_out and test.tested:
            matrix = self._sample.matrix
            rest = _outside(matrix[:, others], matrix[:, [*test.tested, *left_out]])
            tested, added = np.split(rest, [len(test.tested)], axis=1)
            shares = np.linalg.lstsq(tested, added, rcond=None)[0]
            factors[:, [self._columns.index(column) for column in left_out]] = shares
        return factors


@dataclass(frozen=True, eq=False)
class _Problem:
    """Elements to solve.

    Parameters
    ----------
    products : Products
        Products of the residuals about the starting values.
    start : numpy.ndarray
        (p, k) coordinates.
    combinations : numpy.ndarray
        (r, p) or (r, p, k): hypotheses as combinations of coordinates.
    estimable : numpy.ndarray or None
        (r, k) bool; None if all are.
    log_scale : numpy.ndarray or float
        (k,) log determinant of the triangle that takes coefficients to coordinates.
    """

    products: Products
    start: np.ndarray
    combinations: np.ndarray
    estimable: np.ndarray | None
    log_scale: np.ndarray | float


def _model_statistics(problem: _Problem, there: Likelihood) -> dict[str, np.ndarray]:
    """Return :attr:`.RandomInterceptKind.model_statistics` as lme4 and ``glance`` have them."""
    products, ratio = problem.products, there.ratio
    n = (products.counts * products.sizes).sum(axis=0) * np.ones(ratio.shape)
    n_groups = (products.counts * (products.sizes > 0)).sum(axis=0) * np.ones(ratio.shape)
    n_parameters = n - products.df + 2
    constant = products.df * (1 + np.log(2 * np.pi) - np.log(products.df)) + 2 * problem.log_scale
    # -2 log of the restricted likelihood.
    reml = there.criterion + constant
    return {
        'icc': ratio / (1 + ratio),
        'sigma': np.sqrt(there.variance),
        'logLik': -reml / 2,
        'AIC': reml + 2.0 * n_parameters,
        'BIC': reml + np.log(n) * n_parameters,
        'REMLcrit': reml,
        'df.residual': n - n_parameters,
        'nobs': n,
        'ngrps': n_groups,
    }


def _codes(design: Design, label: str) -> np.ndarray:
    """Return the group of each row, (n_rows,) int from 0."""
    values = design.variables[label]
    if isinstance(values, Factor):
        data = values.codes
    elif isinstance(values, Numbers):
        data = values.data
    else:
        raise UsageError(
            f'{label} does not name groups', remedy='Give a column: (1 | participant_id).'
        )
    return np.unique(data, return_inverse=True)[1].ravel()


def _outside(columns: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return what is left of values (n, m) outside columns (n, p)."""
    q = np.linalg.qr(columns)[0]
    return values - q @ (q.T @ values)
