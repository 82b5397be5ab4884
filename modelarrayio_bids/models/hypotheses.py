"""Hypotheses of a linear model that permutations test."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from modelarrayio_bids.errors import UsageError
from modelarrayio_bids.models.anova import JointTest
from modelarrayio_bids.models.base import labels_of
from modelarrayio_bids.models.contrasts import Contrast, factors_of
from modelarrayio_bids.models.coordinates import Coordinates
from modelarrayio_bids.models.design import Design
from modelarrayio_bids.models.exchangeability import Shuffling, labellings, sign_flips
from modelarrayio_bids.models.options import ModelOptions
from modelarrayio_bids.models.permutation import LinearHypothesis, PermutationTest
from modelarrayio_bids.models.system import Sample
from modelarrayio_bids.runtime.text_format import count, some

# Maximal fraction of a constant outside a reduced model that contains it.
_OUTSIDE = 1e-8
# Places of all images in all labellings, 4 bytes each.
_MOST = 2**28


@dataclass(frozen=True, eq=False)
class PermutableModel:
    """Hypotheses of a linear model, and the permutations that test them.

    Parameters
    ----------
    design : Design
        The columns.
    options : ModelOptions
        Number of permutations, seed and shuffling.
    sample : Sample
        The rows.
    estimated : sequence of int
        Columns that are not aliased.
    coefficients : sequence of int
        Coefficients that are tested one by one.
    contrasts : sequence of Contrast
        Combinations of coefficients.
    tests : sequence of JointTest
        F tests.
    model : str, optional
        Model that is fitted, if it is not the one asked for.
    """

    design: Design
    options: ModelOptions
    sample: Sample
    estimated: Sequence[int]
    coefficients: Sequence[int]
    contrasts: Sequence[Contrast]
    tests: Sequence[JointTest]
    model: str = ''

    def test(self, blocks: np.ndarray | None) -> PermutationTest:
        """Return the permutation test of all coefficients, contrasts and F tests that have one.

        Parameters
        ----------
        blocks : numpy.ndarray, optional
            (n_table_rows,) int: blocks of exchangeability.

        Raises
        ------
        UsageError
            If a column holds a scalar, blocks do not allow the shuffling, or nothing is left to
            test.
        """
        self._check_columns()
        options, sample = self.options, self.sample
        coordinates = Coordinates(sample.weighted(sample.matrix[:, self.estimated]))
        shuffling = self._shuffling(blocks)
        if self.is_one_sample:
            shuffling.require_flips()
        else:
            shuffling.require_places()
        reasons = {
            hypothesis: self._why_not(hypothesis, columns, coordinates, shuffling)
            for hypothesis, columns in self._hypotheses(coordinates)
        }
        tested = [hypothesis for hypothesis, reason in reasons.items() if not reason]
        left_out = {one.name: reason for one, reason in reasons.items() if reason}
        if not tested:
            raise UsageError(
                f'permutations cannot test {some(left_out)}: {next(iter(left_out.values()))}',
                remedy='Test something else, or leave --permutations out.',
            )
        rows = coordinates.matrix
        if options.permutations * len(rows) > _MOST:
            raise UsageError(
                f'{count(options.permutations, "permutation")} of {count(len(rows), "image")} '
                'are too many',
                remedy=f'At most {_MOST // len(rows):,} can be held; 5000 to 10000 are usual.',
            )
        made = sign_flips if self.is_one_sample else labellings
        found = made(rows, shuffling, number=options.permutations, seed=options.seed)
        return PermutationTest(sample, coordinates, tested, found, options, left_out, self.model)

    @property
    def is_one_sample(self) -> bool:
        """Return whether only the mean is tested, by flipping signs."""
        matrix, scalars = self.design.matrix, self.design.scalars
        return scalars == ((),) and bool((matrix == matrix[0]).all() and matrix[0].all())

    def _check_columns(self) -> None:
        scalars = sorted({name for names in self.sample.scalars for name in names})
        if scalars:
            raise UsageError(
                f'{some(scalars)} has other values at each element, and permutations need one '
                'design for all',
                remedy='Leave it out of the formula, or leave --permutations out.',
            )

    def _shuffling(self, blocks: np.ndarray | None) -> Shuffling:
        """Return how images may change places; whole blocks where no column varies in them."""
        rows, how = self.sample.rows, self.options.shuffle
        if blocks is None:
            if how:
                raise UsageError(
                    '--shuffle has no effect without blocks',
                    remedy='Name their column: --exchangeability participant_id.',
                )
            return Shuffling(np.zeros(len(rows), int))
        codes = np.unique(blocks[rows], return_inverse=True)[1]
        sizes = np.bincount(codes)
        if not how:
            varies = sizes.max() > 1 and Shuffling(codes).moves(self.sample.matrix)
            how = 'within' if varies else 'whole'
        return Shuffling(codes, within=how != 'whole', whole=how != 'within')

    def _hypotheses(
        self, coordinates: Coordinates
    ) -> Iterator[tuple[LinearHypothesis, Sequence[int]]]:
        """Yield what can be asked, with the columns of the design that it is about."""
        labels = labels_of(self.design)
        for column, combination in zip(self.estimated, coordinates.inverse, strict=True):
            if column in self.coefficients:
                name = labels[column]
                yield LinearHypothesis.of_combinations(name, combination[None], is_t=True), [column]
        for contrast in self.contrasts:
            factors = np.array(contrast.factors)
            combination = (factors[self.estimated] @ coordinates.inverse)[None]
            columns = np.flatnonzero(factors).tolist()
            yield LinearHypothesis.of_combinations(contrast.name, combination, is_t=True), columns
        place = {column: number for number, column in enumerate(self.estimated)}
        for test in self.tests:
            if test.tested and test.tested[-1] >= len(self.design.names):
                factors = factors_of(test.tested, self.contrasts, len(self.design.names))
                combinations = factors[:, self.estimated] @ coordinates.inverse
                columns = np.flatnonzero(factors.any(axis=0)).tolist()
                yield LinearHypothesis.of_combinations(test.name, combinations), columns
            elif test.tested:
                others = [place[column] for column in test.columns if column not in test.tested]
                tested = [place[column] for column in test.tested]
                r = coordinates.r
                yield LinearHypothesis.after(test.name, r[:, others], r[:, tested]), test.tested

    def _why_not(
        self,
        hypothesis: LinearHypothesis,
        columns: Sequence[int],
        coordinates: Coordinates,
        shuffling: Shuffling,
    ) -> str:
        """Return why permutations say nothing about a hypothesis; blank if they do."""
        if self.is_one_sample:
            return ''
        constant = self.sample.weighted(np.ones((len(coordinates.q), 1)))[:, 0]
        reduced = coordinates.q @ hypothesis.basis[:, : hypothesis.n_reduced]
        outside = constant - reduced @ (reduced.T @ constant)
        if np.linalg.norm(outside) > _OUTSIDE * np.linalg.norm(constant):
            return 'it is about the mean, which no permutation changes'
        if not shuffling.moves(self.sample.matrix[:, columns]):
            return 'it is the same in all places that images may have'
        return ''
