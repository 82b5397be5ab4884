"""Statistics of linear models from their sums of squares, as R's ``summary.lm`` defines them.

Effect sizes are standardised coefficients, partial R² and Cohen's f².

Arrays have one entry per element, k; those of coefficients a row per coefficient, (r, k).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

from modelarrayio_bids.models.adjustment import P_VALUE
from modelarrayio_bids.models.kinds.lm import LinearKind

#: Statistics of a coefficient.
TERM_STATISTICS = LinearKind.term_statistics


def two_sided_p(t: np.ndarray, df: np.ndarray) -> np.ndarray:
    """Return the p value of a t statistic; exact in the tail, down to 1e-300."""
    return 2 * special.stdtr(df, -np.abs(t))


def upper_p(f: np.ndarray, df_model: np.ndarray | float, df_residual: np.ndarray) -> np.ndarray:
    """Return the p value of an F statistic."""
    return special.fdtrc(df_model, df_residual, f)


@dataclass(frozen=True, eq=False)
class Fit:
    """Sums of squares of a model at k elements.

    Parameters
    ----------
    n : numpy.ndarray
        (k,) rows that were fitted.
    rank : numpy.ndarray
        (k,) coefficients that the rows determine.
    residual_ss, model_ss : numpy.ndarray
        (k,) weighted sums of squares of residuals and of fitted values, the latter about their
        mean if there is an intercept.
    log_weights : numpy.ndarray
        (k,) sums of the logarithms of the weights.
    intercept : bool
        True if the model has an intercept.
    """

    n: np.ndarray
    rank: np.ndarray
    residual_ss: np.ndarray
    model_ss: np.ndarray
    log_weights: np.ndarray
    intercept: bool

    @property
    def df_residual(self) -> np.ndarray:
        """Residual degrees of freedom."""
        return self.n - self.rank

    @property
    def df(self) -> np.ndarray:
        """Numerator of F. Like broom's, missing where there is but one coefficient."""
        return np.where(self.rank > 1, self.rank - self.intercept, np.nan)

    @property
    def deviance(self) -> np.ndarray:
        """Residual sum of squares; NaN without residual degrees of freedom."""
        return np.where(self.df_residual > 0, self.residual_ss, np.nan)

    @property
    def variance(self) -> np.ndarray:
        """Residual variance σ²."""
        return self.deviance / self.df_residual

    @property
    def sigma(self) -> np.ndarray:
        """Residual standard error."""
        return np.sqrt(self.variance)

    @property
    def r_squared(self) -> np.ndarray:
        """R², about zero without an intercept (``?summary.lm``); 0 of an intercept alone."""
        share = self.model_ss / (self.model_ss + self.residual_ss)
        return np.where(self.rank > self.intercept, share, 0.0)

    @property
    def adjusted_r_squared(self) -> np.ndarray:
        """R² adjusted for the number of coefficients."""
        r_squared = self.r_squared
        share = 1 - (1 - r_squared) * ((self.n - self.intercept) / self.df_residual)
        return np.where(self.rank > self.intercept, share, r_squared)

    @property
    def statistic(self) -> np.ndarray:
        """F of all coefficients but the intercept."""
        return self.model_ss / self.df / self.variance

    @property
    def p_value(self) -> np.ndarray:
        """The p value of that F."""
        return upper_p(self.statistic, self.df, self.df_residual)

    @property
    def log_likelihood(self) -> np.ndarray:
        """Log-likelihood at the maximum, with σ² = RSS / n (``?logLik``)."""
        fitted = np.log(2 * np.pi) + 1 - np.log(self.n) + np.log(self.deviance)
        return 0.5 * (self.log_weights - self.n * fitted)

    @property
    def aic(self) -> np.ndarray:
        """Akaike's criterion; σ counts as a parameter."""
        return -2 * self.log_likelihood + 2 * (self.rank + 1)

    @property
    def bic(self) -> np.ndarray:
        """Schwarz's criterion."""
        return -2 * self.log_likelihood + np.log(self.n) * (self.rank + 1)

    def t_test(self, estimates: np.ndarray, variances: np.ndarray) -> dict[str, np.ndarray]:
        """Return statistics of combinations of coefficients.

        Parameters
        ----------
        estimates, variances : numpy.ndarray
            (r, k); variances in units of the residual variance.

        Returns
        -------
        dict
            An array (r, k) for each of :data:`TERM_STATISTICS`.
        """
        error = np.sqrt(variances * self.variance)
        t = estimates / error
        p = two_sided_p(t, self.df_residual)
        return {'estimate': estimates, 'std.error': error, 'statistic': t, P_VALUE: p}

    def f_test(self, sum_of_squares: np.ndarray, df: int) -> dict[str, np.ndarray]:
        """Return F and p, (k,), of coefficients tested together."""
        f = sum_of_squares / df / self.variance
        return {'statistic': f, P_VALUE: upper_p(f, df, self.df_residual)}


#: Statistics of the model.
MODEL_STATISTICS: dict[str, Callable[[Fit], np.ndarray]] = {
    'r.squared': lambda fit: fit.r_squared,
    'adj.r.squared': lambda fit: fit.adjusted_r_squared,
    'sigma': lambda fit: fit.sigma,
    'statistic': lambda fit: fit.statistic,
    P_VALUE: lambda fit: fit.p_value,
    'df': lambda fit: fit.df,
    'logLik': lambda fit: fit.log_likelihood,
    'AIC': lambda fit: fit.aic,
    'BIC': lambda fit: fit.bic,
    'deviance': lambda fit: fit.deviance,
    'df.residual': lambda fit: fit.df_residual,
    'nobs': lambda fit: fit.n,
}


def partial_r_squared(sum_of_squares: np.ndarray, residual_ss: np.ndarray) -> np.ndarray:
    """Return the share of what a term leaves unexplained that it explains itself.

    Cohen, Cohen, West & Aiken, "Applied Multiple Regression", section 3.3: SS / (SS + RSS); of one
    coefficient t² / (t² + df).
    """
    return sum_of_squares / (sum_of_squares + residual_ss)


def cohens_f2(sum_of_squares: np.ndarray, residual_ss: np.ndarray) -> np.ndarray:
    """Return R² / (1 - R²) of a partial R² (Cohen, "Statistical Power Analysis", section 9.2)."""
    return sum_of_squares / residual_ss


def standard_deviations(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return weighted standard deviations, (k,), up to a factor that all columns share.

    Parameters
    ----------
    values : numpy.ndarray
        (n, k) or (n, 1) float64, finite where there is a weight.
    weights : numpy.ndarray
        (n, k): the rows' weights, 0 where a row is missing.
    """
    total = weights.sum(axis=0)
    mean = np.einsum('nk,nk->k', weights, np.broadcast_to(values, weights.shape)) / total
    return np.sqrt(np.einsum('nk,nk->k', weights, (values - mean) ** 2) / total)
