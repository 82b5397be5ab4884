"""Tests of fixed effects with the degrees of freedom of Satterthwaite.

The variance of a combination of coefficients is a function of γ and σ²; how uncertain these are
follows from the curvature of the restricted likelihood, and gives the variance degrees of freedom
(Satterthwaite, Biometrics Bulletin 2, 1946; Giesbrecht and Burns, Biometrics 41, 1985; Kuznetsova,
Brockhoff and Christensen, "lmerTest package", J. Stat. Softw. 82, 2017). A joint test is divided
into independent t tests whose degrees of freedom are combined (Fai and Cornelius, J. Stat. Comput.
Simul. 54, 1996).

r combinations, p coordinates, k elements.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from modelarrayio_bids.models.coordinates import combined, covariance_of, variances_of
from modelarrayio_bids.models.reml import Likelihood, Products
from modelarrayio_bids.models.statistics import two_sided_p, upper_p

# Degrees of freedom that differ by less are equal, as in lmerTest.
_EQUAL_DF = 1e-8


@dataclass(frozen=True, eq=False)
class Estimates:
    """Fixed effects at the best γ.

    Parameters
    ----------
    there : Likelihood
        At the best γ.
    combinations : numpy.ndarray
        (r, p) or (r, p, k): what coordinates are multiplied by.
    estimates : numpy.ndarray
        (r, k).
    half : numpy.ndarray
        (r, p, k): combinations times the covariance of the coordinates.
    gram1 : numpy.ndarray
        (p, p, k): how the inverse of that covariance changes with γ.
    covariance : numpy.ndarray
        (2, 2, k) of the estimates of γ and σ².
    """

    there: Likelihood
    combinations: np.ndarray
    estimates: np.ndarray
    half: np.ndarray
    gram1: np.ndarray
    covariance: np.ndarray

    @classmethod
    def of(
        cls, products: Products, ratio: np.ndarray, combinations: np.ndarray, start: np.ndarray
    ) -> Self:
        """Estimate combinations of coordinates.

        Parameters
        ----------
        start : numpy.ndarray
            (p, k) coordinates that the residuals of the products are about.
        """
        there = Likelihood.at(products, ratio)
        change = there.derivatives()
        form = 'rp,pqk->rqk' if combinations.ndim == 2 else 'rpk,pqk->rqk'
        half = np.einsum(form, combinations, there.inverse)
        estimates = combined(combinations, start + there.solution)
        variance = there.variance
        by_ratio = change.log2 + change.ss2 / variance
        by_both = -change.ss1 / variance**2
        by_variance = products.df / variance**2
        covariance = _inverse_hessian(by_ratio, by_both, by_variance, ratio)
        return cls(there, combinations, estimates, half, change.gram1, covariance)

    @property
    def variances(self) -> np.ndarray:
        """(r, k) in units of σ²."""
        return variances_of(self.half, self.combinations)

    def t_test(self, rows: slice) -> dict[str, np.ndarray]:
        """Return statistics of some combinations, as broom.mixed names them: (n, k) each."""
        variances = self.variances[rows]
        error = np.sqrt(variances * self.there.variance)
        t = self.estimates[rows] / error
        df = self._df(variances, self._change(self.half[rows]))
        return {
            'estimate': self.estimates[rows],
            'std.error': error,
            'statistic': t,
            'df': df,
            'p.value': two_sided_p(t, df),
        }

    def f_test(self, rows: slice) -> dict[str, np.ndarray]:
        """Return F, the degrees of freedom of its denominator, and p, (k,)."""
        combinations, half = self.combinations[rows], self.half[rows]
        covariance = np.moveaxis(covariance_of(half, combinations), 2, 0)
        estimable = np.isfinite(self.estimates[rows]).all(axis=0)
        covariance = np.where(estimable[:, None, None], covariance, np.eye(len(half)))
        lengths, directions = np.linalg.eigh(covariance)
        rotated = np.einsum('ktm,tpk->mpk', directions, half)
        values = np.einsum('ktm,tk->mk', directions, self.estimates[rows])
        f = (values**2 / (lengths.T * self.there.variance)).mean(axis=0)
        df = _joint_df(self._df(lengths.T, self._change(rotated)))
        df = np.where(estimable, df, np.nan)
        return {'statistic': f, 'df.residual': df, 'p.value': upper_p(f, len(half), df)}

    def _change(self, half: np.ndarray) -> np.ndarray:
        """Return how variances change with γ, (n, k)."""
        return -np.einsum('rqk,rqk->rk', np.einsum('rpk,pqk->rqk', half, self.gram1), half)

    def _df(self, variances: np.ndarray, change: np.ndarray) -> np.ndarray:
        """Return 2 V² / var(V) of variances V = σ² times these, (n, k)."""
        by_ratio = self.there.variance * change
        (of_ratio, both), (_, of_variance) = self.covariance
        uncertain = by_ratio**2 * of_ratio + 2 * by_ratio * variances * both
        uncertain = uncertain + variances**2 * of_variance
        return 2 * (self.there.variance * variances) ** 2 / uncertain


def _inverse_hessian(
    by_ratio: np.ndarray, by_both: np.ndarray, by_variance: np.ndarray, ratio: np.ndarray
) -> np.ndarray:
    """Return the covariance of γ and σ², (2, 2, k): of σ² alone where γ is at its bound."""
    determinant = by_ratio * by_variance - by_both**2
    inside = ratio > 0
    both = np.where(inside, -by_both / determinant, 0.0)
    return 2 * np.array([
        [np.where(inside, by_variance / determinant, 0.0), both],
        [both, np.where(inside, by_ratio / determinant, 1 / by_variance)],
    ])  # fmt: skip


def _joint_df(df: np.ndarray) -> np.ndarray:
    """Combine the degrees of freedom of independent t tests: (n, k) to (k,); see ``?contest``."""
    # F has an expectation, which the combination is about, beyond 2 degrees of freedom only.
    mean, least = df.mean(axis=0), df.min(axis=0)
    few = np.where(np.ptp(df, axis=0) < _EQUAL_DF, mean, np.where(np.isnan(mean), np.nan, 2.0))
    expected = (df / (df - 2)).sum(axis=0)
    return np.where(least > 2, 2 * expected / (expected - len(df)), few)
