"""Effect sizes: standardised coefficients, partial R² and Cohen's f²."""

from __future__ import annotations

import numpy as np


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
