"""Curves that a model has fitted, to be drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Share of the intervals of a curve's band.
CONFIDENCE = 0.95


@dataclass(frozen=True, eq=False)
class FittedCurve:
    """A function of one covariate as it was fitted at an element.

    Parameters
    ----------
    label : str
        R's name of it: ``s(age)``.
    covariate : str
        Its covariate.
    by : str
        A number that multiplies the curve; blank without.
    grid, values, margin : numpy.ndarray
        (m,) values of the covariate, the curve there, and half the width of its pointwise band.
    x, y : numpy.ndarray
        (n,) covariate of each image that the curve is about, and the curve there plus the residual;
        empty if ``by`` is a number.
    """

    label: str
    covariate: str
    by: str
    grid: np.ndarray
    values: np.ndarray
    margin: np.ndarray
    x: np.ndarray
    y: np.ndarray
