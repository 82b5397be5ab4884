"""Permutation tests with the maximum statistic over all elements (Freedman and Lane).

Residuals of the model without the tested coefficients are rearranged and fitted by the whole model
(Freedman and Lane, 1983; Winkler et al., "Permutation inference for the general linear model",
2014). A p value corrected for all elements (family-wise error) is the share of labellings whose
greatest statistic anywhere is at least as great as the element's.

Here the rows of the design change places, and the images stay: the same, and cheap. All tests
share one product: with Q a basis of the design, R = Y - Q Q'Y its residuals and T a basis of the
tested coefficients after the others, the residuals without them are R + Q T (T'Q'Y), so a
labelling needs Q*'R, and small corrections for each test. Where images are missing they are
missing at their new places: Q*'Q* is made anew for each labelling and element, and factored
(Cholesky).

n rows, p columns, k elements, m labellings, s coefficients that a test is about.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from scipy import special

from modelarrayio_bids.errors import UsageError
from modelarrayio_bids.models.adjustment import FWE, P_VALUE
from modelarrayio_bids.models.base import Outcome
from modelarrayio_bids.models.cholesky import Cholesky, packed, rotation
from modelarrayio_bids.models.coordinates import Coordinates
from modelarrayio_bids.models.exchangeability import Labellings
from modelarrayio_bids.models.options import ModelOptions
from modelarrayio_bids.models.responses import Responses, read_responses
from modelarrayio_bids.models.system import Sample, System
from modelarrayio_bids.runtime.text_format import count

#: Labellings at a time: parts of a run begin at its multiples, so that they are computed alike.
BATCH = 16
# Elements at a time: with a batch, about what the processor's cache holds. Those with missing
# images need a matrix each.
_TILE, _INCOMPLETE_TILE = 1024, 256
# Statistics that differ by less than this are equal: labellings that tie differ by rounding.
_TIE = 1e-9
# Relative residual sum of squares of a perfect fit: rounding noise of either sign.
_NOISE = 1e-13


@dataclass(frozen=True, eq=False)
class LinearHypothesis:
    """Coefficients that are tested together, in orthonormal coordinates of a model.

    Parameters
    ----------
    name : str
        Name of the results.
    basis : numpy.ndarray
        (p, p) orthogonal: coordinates of the reduced model, then of what is tested, then of what
        the test leaves out of account.
    n_reduced, n_tested : int
        Columns of the first two.
    is_t : bool
        True if the statistic is |t|, False if it is F.
    """

    name: str
    basis: np.ndarray
    n_reduced: int
    n_tested: int
    is_t: bool

    @classmethod
    def after(cls, name: str, reduced: np.ndarray, tested: np.ndarray) -> LinearHypothesis:
        """Test what coordinates add to others.

        Parameters
        ----------
        reduced, tested : numpy.ndarray
            (p, r) and (p, s) coordinates of columns, independent.
        """
        both = np.hstack([reduced, tested])
        basis = np.linalg.qr(both, mode='complete')[0]
        return cls(name, basis, reduced.shape[1], tested.shape[1], is_t=False)

    @classmethod
    def of_combinations(
        cls, name: str, combinations: np.ndarray, *, is_t: bool = False
    ) -> LinearHypothesis:
        """Test that independent combinations of the coordinates, (s, p), are all zero."""
        s, p = combinations.shape
        basis = np.linalg.qr(combinations.T, mode='complete')[0]
        return cls(name, np.roll(basis, -s, axis=1), p - s, s, is_t=is_t)

    @property
    def is_of_all(self) -> bool:
        """Return whether it is adjusted for all other columns of the model."""
        return self.n_reduced + self.n_tested == len(self.basis)

    @property
    def tested(self) -> np.ndarray:
        """(p, s) coordinates of the tested columns."""
        return self.basis[:, self.n_reduced : self.n_reduced + self.n_tested]

    @property
    def outside(self) -> np.ndarray:
        """(p, d) coordinates that the reduced model lacks."""
        return self.basis[:, self.n_reduced :]


@dataclass(frozen=True, eq=False)
class PermutationTest:
    """Permutation tests of a linear model.

    Parameters
    ----------
    sample : Sample
        The rows, none of whose columns holds a scalar.
    coordinates : Coordinates
        Coordinates of the columns of the model.
    hypotheses : sequence of LinearHypothesis
        Hypotheses to test.
    labellings : Labellings
        The rearrangements.
    options : ModelOptions
        Options with the thresholds for the number of images.
    left_out : dict of str, optional
        Tests that permutations cannot make, and why.
    model : str, optional
        Formula that is fitted, if it is not the model of the other results.
    """

    sample: Sample
    coordinates: Coordinates
    hypotheses: Sequence[LinearHypothesis]
    labellings: Labellings
    options: ModelOptions
    left_out: Mapping[str, str] = field(default_factory=dict)
    model: str = ''

    @cached_property
    def _reduced(self) -> list[System | None]:
        return [_reduced_model(self.coordinates.q, hypothesis) for hypothesis in self.hypotheses]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the results."""
        return tuple(f'{hypothesis.name}.{P_VALUE}.{FWE}' for hypothesis in self.hypotheses)

    @property
    def df(self) -> int:
        """Residual degrees of freedom with all rows."""
        n, p = self.coordinates.q.shape
        return n - p

    def block(self, number: int, n_blocks: int) -> range:
        """Return one of so many blocks of labellings, as alike as they can be."""
        n_batches = -(-len(self.labellings) // BATCH)
        first, end = (BATCH * (n_batches * n // n_blocks) for n in (number, number + 1))
        return range(first, min(end, len(self.labellings)))

    def facts(self) -> dict[str, Any]:
        """Return what is to be known of the labellings: for files, sidecars and reports."""
        made = self.labellings
        return {
            'model': self.model,
            'n_labellings': len(made),
            'is_exact': made.is_exact,
            'flips_signs': made.signs is not None,
            'shuffle': made.shuffling.name,
            'n_blocks': made.shuffling.n_blocks,
            'n_fixed': made.n_fixed,
            'df': self.df,
            'left_out': dict(self.left_out),
        }

    def described(self) -> str:
        """Describe the labellings in a line."""
        made = self.labellings
        what = 'sign flips' if made.signs is not None else 'permutations'
        number = f'all {len(made):,}' if made.is_exact else f'{len(made):,} random'
        of_model = f' of {self.model}' if self.model else ''
        fixed = f'; {count(made.n_fixed, "image")} never moved' if made.n_fixed else ''
        return f'Permutation test{of_model}: {number} {what}{made.shuffling.described()}{fixed}'

    def working_bytes(self, n_labellings: int) -> int:
        """Return about the most bytes that the greatest statistics of a block take.

        Parameters
        ----------
        n_labellings : int
            Labellings that are asked for at a time.
        """
        (n, p), n_tests = self.coordinates.q.shape, len(self.hypotheses)
        complete = _TILE * (2 * n + n_tests + BATCH * (3 * p + n_tests + 6))
        pairs = p * (p + 1) // 2
        incomplete = _INCOMPLETE_TILE * (n * (n_tests + 4) + BATCH * (3 * pairs + 4 * p + n_tests))
        moved = BATCH * n * (2 * p + pairs)
        # Degrees of freedom that elements may have, in a block and in those before it.
        maxima = 2 * n * n_tests * n_labellings
        return 8 * (max(complete, incomplete) + moved + maxima)

    def observed(self, responses: np.ndarray) -> np.ndarray:
        """Return |t| or F without rearrangement, (n_tests, k); NaN where a test cannot be made.

        Those of elements that lack rows are the ones that are as unlikely with all rows.

        Parameters
        ----------
        responses : numpy.ndarray
            (n_table_rows, k) of any float type; what is not finite is missing.
        """
        found = np.full((len(self.hypotheses), responses.shape[1]), np.nan)
        for elements, tile in self._tiles(responses):
            found[:, elements] = self._comparable(tile.observed(self.labellings), tile.df)
        return found

    def maxima(self, responses: np.ndarray, part: slice) -> Maxima:
        """Return the greatest statistic of each labelling in a part of them.

        Parameters
        ----------
        responses : numpy.ndarray
            See :meth:`observed`.
        part : slice
            Range of labellings; begins at a multiple of :data:`BATCH`.
        """
        greatest: Maxima = {}
        for _, tile in self._tiles(responses):
            take_greater(greatest, tile.maxima(self.labellings, part))
        return greatest

    def null_distribution(self, maxima: Maxima) -> np.ndarray:
        """Return the greatest |t| or F of all elements, (n_tests, n_labellings).

        Raises
        ------
        UsageError
            If no element can be tested.
        """
        if not maxima:
            raise UsageError(
                'no element can be tested',
                remedy='Lower --num-subj-lthr-abs or --num-subj-lthr-rel.',
            )
        return np.fmax.reduce([self._comparable(values, df) for df, values in maxima.items()])

    def _comparable(self, f: np.ndarray, df: np.ndarray | int) -> np.ndarray:
        """Return |t| or F as with all rows, of F with some degrees of freedom, (n_tests, ...)."""
        rows = [
            equivalent(row, hypothesis.n_tested, df, self.df)
            for row, hypothesis in zip(f, self.hypotheses, strict=True)
        ]
        pairs = zip(rows, self.hypotheses, strict=True)
        return np.array([np.sqrt(np.maximum(row, 0)) if hyp.is_t else row for row, hyp in pairs])

    def _tiles(self, responses: np.ndarray) -> Iterator[tuple[np.ndarray, _Tile]]:
        sample, q, fewest = self.sample, self.coordinates.q, self.options.fewest(len(responses))
        block, outcomes = read_responses(responses, {}, sample.rows, sample.offset, fewest)
        fitted, complete = outcomes == Outcome.FITTED, block.n == len(sample.rows)
        for elements in _cut(np.flatnonzero(fitted & complete), _TILE):
            y = sample.weighted(block.values[:, elements])
            yield elements, _CompleteTile(self.hypotheses, q, y)
        for elements in _cut(np.flatnonzero(fitted & ~complete), _INCOMPLETE_TILE):
            part = block.select(elements)
            weighted = Responses(sample.weighted(part.values), part.present, {})
            yield elements, _IncompleteTile(self.hypotheses, q, self._reduced, weighted)


#: The greatest statistic of each test and labelling, (n_tests, m), by residual degrees of freedom
#: of the elements: what is great with few images is small with many.
Maxima = dict[int, np.ndarray]


def take_greater(greatest: Maxima, others: Maxima) -> None:
    """Raise the greatest statistics to those of other elements."""
    for df, values in others.items():
        greatest[df] = np.fmax(greatest[df], values) if df in greatest else values


def _cut(elements: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for first in range(0, len(elements), size):
        yield elements[first : first + size]


def _reduced_model(q: np.ndarray, hypothesis: LinearHypothesis) -> System | None:
    """Return the model without what is tested; None without any column."""
    columns = q @ hypothesis.basis[:, : hypothesis.n_reduced]
    number = columns.shape[1]
    sample = Sample(np.arange(len(q)), columns, None, None, ((),) * number, intercept=False)
    return System(sample, range(number)) if number else None


class _Tile:
    """A group of elements whose statistics are computed for any labelling.

    Attributes
    ----------
    df : numpy.ndarray
        (k,) residual degrees of freedom.
    """

    df: np.ndarray

    def statistics(self, labellings: Labellings, part: slice) -> np.ndarray:
        """Return F of each test, (n_tests, m, k)."""
        raise NotImplementedError

    def observed(self, labellings: Labellings) -> np.ndarray:
        """Return F without rearrangement, (n_tests, k), computed as the greatest ones are."""
        return self.statistics(labellings, slice(0, min(BATCH, len(labellings))))[:, 0]

    def maxima(self, labellings: Labellings, part: slice) -> Maxima:
        """Return the greatest statistics, see :meth:`PermutationTest.maxima`."""
        first, stop, _ = part.indices(len(labellings))
        unusable = np.isnan(self.observed(labellings))
        order = np.argsort(self.df, kind='stable')
        degrees, starts = np.unique(self.df[order], return_index=True)
        found = np.full((len(degrees), len(unusable), stop - first), -np.inf)
        for begin in range(first, stop, BATCH):
            end = min(begin + BATCH, stop)
            values = self.statistics(labellings, slice(begin, end))
            if unusable.any():
                values[np.broadcast_to(unusable[:, None], values.shape)] = -np.inf
            if len(degrees) == 1:
                found[0, :, begin - first : end - first] = np.fmax.reduce(values, axis=2)
                continue
            greatest = np.fmax.reduceat(values[:, :, order], starts, axis=2)
            found[:, :, begin - first : end - first] = np.moveaxis(greatest, 2, 0)
        return {int(df): values for df, values in zip(degrees, found, strict=True)}


class _CompleteTile(_Tile):
    """Elements that have all rows."""

    def __init__(
        self, hypotheses: Sequence[LinearHypothesis], q: np.ndarray, y: np.ndarray
    ) -> None:
        self._hypotheses, self._q = hypotheses, q
        found = q.T @ y
        self._residuals = y - q @ found
        n, p = q.shape
        self.df = np.full(y.shape[1], n - p)
        residual_ss = np.einsum('nk,nk->k', self._residuals, self._residuals)
        self._own = [hypothesis.outside.T @ found for hypothesis in hypotheses]
        self._total = [residual_ss + np.einsum('dk,dk->k', own, own) for own in self._own]

    def statistics(self, labellings: Labellings, part: slice) -> np.ndarray:
        """Return F of each test, (n_tests, m, k)."""
        n, p = self._q.shape
        moved = labellings.moved(self._q, part).transpose(0, 2, 1).reshape(-1, n)
        found = (moved @ self._residuals).reshape(-1, p, len(self.df))
        basis = (moved @ self._q).reshape(-1, p, p)
        squares = np.einsum('mpk,mpk->mk', found, found)
        values = np.empty((len(self._hypotheses), *squares.shape))
        with np.errstate(all='ignore'):
            for number in range(len(values)):
                values[number] = self._test(number, found, basis, squares)
        return values

    def _test(
        self, number: int, found: np.ndarray, basis: np.ndarray, squares: np.ndarray
    ) -> np.ndarray:
        """Return F of a test, (m, k).

        Parameters
        ----------
        number : int
            Number of the test.
        found, basis, squares : numpy.ndarray
            Q*'R (m, p, k), Q*'Q (m, p, p), and the sums of squares of the former, (m, k).
        """
        hypothesis, own = self._hypotheses[number], self._own[number]
        tested = hypothesis.tested.T
        shift = basis @ hypothesis.outside
        turned = shift.transpose(0, 2, 1)
        cross = turned @ found
        cross *= 2
        cross += (turned @ shift) @ own
        cross *= own
        effect = tested @ found
        effect += (tested @ shift) @ own
        rest = self._total[number] - squares
        rest -= cross[:, 0] if len(own) == 1 else cross.sum(axis=1)
        np.maximum(rest, _NOISE * self._total[number], out=rest)
        effect *= effect
        rest *= len(tested) / self.df[0]
        return np.divide(effect[:, 0] if len(tested) == 1 else effect.sum(axis=1), rest, out=rest)


class _IncompleteTile(_Tile):
    """Elements that lack rows."""

    def __init__(
        self,
        hypotheses: Sequence[LinearHypothesis],
        q: np.ndarray,
        reduced: Sequence[System | None],
        block: Responses,
    ) -> None:
        self._hypotheses, self._q = hypotheses, q
        self._pairs = packed(q.shape[1])
        self._present = np.asarray(block.present, np.float64)
        self._residuals = [
            block.values if system is None else system.solve(block).residuals for system in reduced
        ]
        self._total = [np.einsum('nk,nk->k', own, own) for own in self._residuals]
        self._n = block.n
        products = q[:, self._pairs[0]] * q[:, self._pairs[1]]
        with np.errstate(all='ignore'):
            self.df = self._n - Cholesky(products.T @ self._present).rank

    def statistics(self, labellings: Labellings, part: slice) -> np.ndarray:
        """Return F of each test, (n_tests, m, k)."""
        moved = np.ascontiguousarray(labellings.moved(self._q, part).transpose(2, 0, 1))
        p, m, n = moved.shape
        products = moved[self._pairs[0]] * moved[self._pairs[1]]
        gram = (products.reshape(-1, n) @ self._present).reshape(len(products), -1)
        values = np.empty((len(self._hypotheses), m, len(self._n)))
        with np.errstate(all='ignore'):
            factors = Cholesky(gram.copy())
            df = np.tile(self._n, m) - factors.rank
            for number, hypothesis in enumerate(self._hypotheses):
                found = (moved.reshape(-1, n) @ self._residuals[number]).reshape(p, -1)
                effect = self._effect(hypothesis, gram, factors, found)
                total = np.tile(self._total[number], m)
                rest = np.maximum(total - np.einsum('pk,pk->k', found, found), _NOISE * total)
                f = np.where(df > 0, effect / (rest / df), np.nan)
                values[number] = f.reshape(m, -1)
        return values

    @staticmethod
    def _effect(
        hypothesis: LinearHypothesis, gram: np.ndarray, factors: Cholesky, found: np.ndarray
    ) -> np.ndarray:
        """Return the mean square of a test, (m k,); NaN where the rows that are there do not tell.

        ``found``, Q*'e, turns into the coordinates of the whole model's fitted values.
        """
        if hypothesis.is_of_all:
            factors.solve(found)
            return _mean_square(factors, hypothesis.tested, found)
        # In the model without what the test leaves out of account, where it comes last.
        there = hypothesis.basis[:, : hypothesis.n_reduced + hypothesis.n_tested]
        own = there.T @ found
        smaller = Cholesky(rotation(there) @ gram)
        smaller.solve(own)
        factors.solve(found)
        tested = slice(hypothesis.n_reduced, None)
        effect = np.einsum('sk,sk->k', own[tested], own[tested]) / hypothesis.n_tested
        return np.where(smaller.kept[tested].all(axis=0), effect, np.nan)


def _mean_square(factors: Cholesky, tested: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Return the mean square of combinations of coefficients, (k,); NaN if not estimable.

    With G = L L' a combination c'G⁻Q'e is that of L⁻¹c and of L⁻¹Q'e; several are made orthogonal.
    """
    total, axes = np.zeros(found.shape[1]), list[np.ndarray]()
    for combination in tested.T:
        axis = np.repeat(combination[:, None], found.shape[1], axis=1)
        is_estimable = factors.solve(axis)
        for other in axes:
            axis -= other * np.einsum('pk,pk->k', other, axis)
        squares = np.einsum('pk,pk->k', axis, axis)
        effect = np.einsum('pk,pk->k', axis, found) ** 2 / squares
        total += np.where(is_estimable, effect, np.nan)
        if tested.shape[1] > 1:
            axes.append(axis / np.sqrt(squares))
    return total / tested.shape[1]


def equivalent(f: np.ndarray, n_tested: int, df: np.ndarray | int, reference: int) -> np.ndarray:
    """Return the F that has the same p value with other residual degrees of freedom.

    Parameters
    ----------
    f : numpy.ndarray
        Statistics.
    n_tested : int
        Degrees of freedom of the numerator.
    df, reference : int
        Denominator degrees of freedom of the statistic, and of the result.

    Examples
    --------
    A t of 3 with 5 degrees of freedom is as unlikely as one of 2.33 with 20:

    >>> equivalent(np.array([9.0]), 1, 5, 20).round(2).tolist()
    [5.45]
    """
    with np.errstate(all='ignore'):
        # Abramowitz and Stegun, "Handbook of Mathematical Functions", 26.6.2.
        p = special.betainc(df / 2, n_tested / 2, df / (df + n_tested * f))
        x = special.betaincinv(reference / 2, n_tested / 2, p)
        found = reference * (1 - x) / (n_tested * x)
    return np.where((df == reference) | (f <= 0), f, found)


def family_wise_p(observed: np.ndarray, maxima: np.ndarray) -> np.ndarray:
    """Return the share of labellings whose greatest statistic is at least as great.

    Parameters
    ----------
    observed : numpy.ndarray
        (k,) statistics, NaN where there is no test.
    maxima : numpy.ndarray
        (n_labellings,) the greatest statistic of each, that of the unpermuted one among them.

    Returns
    -------
    numpy.ndarray
        (k,) float64, NaN where there is no test.

    Examples
    --------
    >>> family_wise_p(np.array([1.0, 3.0, np.nan]), np.array([3.0, 1.5, 0.5, 1.0])).tolist()
    [0.75, 0.25, nan]
    """
    smaller = np.searchsorted(np.sort(maxima), observed * (1 - _TIE))
    return np.where(np.isnan(observed), np.nan, (len(maxima) - smaller) / len(maxima))
