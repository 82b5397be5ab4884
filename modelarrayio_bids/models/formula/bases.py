"""Columns made of one numeric variable: polynomials and regression splines, and their functions.

A basis is made once, of all rows of the table that have a value, so that a coefficient means the
same at every element. Missing values stay missing in all columns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from modelarrayio_bids.models.formula.arguments import (
    FALSE,
    column,
    constant,
    constants,
    count,
    flag,
)
from modelarrayio_bids.models.formula.values import ArgumentError, Basis, Value

# R's qr(), by which poly() decides that a degree is too high.
_TOLERANCE = 1e-7
_HIGHEST_DEGREE = 25
_ONE, _THREE = constant(1), constant(3)


def orthogonal_polynomials(x: np.ndarray, degree: int, tolerance: float = _TOLERANCE) -> np.ndarray:
    """Return orthonormal polynomials of degree 1 to ``degree``, as R's ``poly`` does.

    Parameters
    ----------
    x : numpy.ndarray
        (n,) float64, NaN where missing.
    tolerance : float, optional
        Least part of a power that the lower powers do not explain; R's for ``poly``.

    Returns
    -------
    numpy.ndarray
        (n, degree) float64: each column is orthogonal to the others and to a constant, has length
        1, and rises at the largest ``x``.

    Raises
    ------
    ArgumentError
        If there are not more distinct values than ``degree``, to the accuracy of floats.

    >>> orthogonal_polynomials(np.array([1.0, 2, 3]), 2).round(3)[:, 1].tolist()
    [0.408, -0.816, 0.408]
    """
    present = x[~np.isnan(x)]
    if degree >= np.unique(present).size:
        raise ArgumentError('has a degree that is not below the number of distinct values')
    powers = np.vander(present - present.mean(), degree + 1, increasing=True)
    orthogonal, triangle = np.linalg.qr(powers)
    diagonal = np.diag(triangle)
    if not (np.abs(diagonal) > tolerance * np.linalg.norm(powers, axis=0)).all():
        raise ArgumentError('has too high a degree for its values')
    return _filled(orthogonal[:, 1:] * np.sign(diagonal[1:]), x)


def natural_splines(
    x: np.ndarray, knots: np.ndarray, boundary: tuple[float, float], *, intercept: bool
) -> np.ndarray:
    """Return natural cubic splines, as R's ``ns`` does: straight lines beyond the boundary.

    They are the cubic B-splines (without the first unless ``intercept``) in coordinates in which
    the second derivatives at the boundary are zero, by a QR decomposition (R's ``?ns``; Hastie in
    Chambers and Hastie 1992, chapter 7).

    Returns
    -------
    numpy.ndarray
        (n, m + 1 + intercept) float64.
    """
    present = x[~np.isnan(x)]
    spline = _spline(knots, boundary, degree=3)
    nearest = np.clip(present, *boundary)
    values = spline(nearest) + (present - nearest)[:, np.newaxis] * spline(nearest, 1)
    curvature = spline(np.array(boundary), 2)
    first = 0 if intercept else 1
    rotation, _ = np.linalg.qr(curvature[:, first:].T, mode='complete')
    return _filled(values[:, first:] @ rotation[:, 2:], x)


def _spline(knots: np.ndarray, boundary: tuple[float, float], degree: int) -> Any:
    """Return B-splines (de Boor, "A Practical Guide to Splines"), as a function of values."""
    from scipy.interpolate import BSpline  # noqa: PLC0415 - takes longer to load than --help

    lower, upper = boundary
    all_knots = np.concatenate([[lower] * (degree + 1), knots, [upper] * (degree + 1)])
    return BSpline(all_knots, np.eye(len(all_knots) - degree - 1), degree)


def _filled(columns: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return columns for all rows, NaN where x is missing."""
    filled = np.full((x.size, columns.shape[1]), np.nan)
    filled[~np.isnan(x)] = columns
    return filled


def _poly(x: Value, degree: Value = _ONE, raw: Value = FALSE) -> Basis:
    values = column(x)
    n_distinct = np.unique(values[~np.isnan(values)]).size
    if n_distinct < 2:
        raise ArgumentError('is of one value only')
    highest = count(degree, 'degree', 1, n_distinct - 1)
    if flag(raw, 'raw'):
        return Basis(values[:, np.newaxis] ** np.arange(1, highest + 1))
    return Basis(orthogonal_polynomials(values, highest))


def _ns(
    x: Value,
    df: Value | None = None,
    knots: Value | None = None,
    intercept: Value = FALSE,
    Boundary_knots: Value | None = None,  # noqa: N803 - R's name
) -> Basis:
    values, has_intercept = column(x), flag(intercept, 'intercept')
    ends = _boundary(values, Boundary_knots)
    inner = _knots(values, ends, df, knots, least=1 + has_intercept)
    return Basis(natural_splines(values, inner, ends, intercept=has_intercept))


def _bs(
    x: Value,
    df: Value | None = None,
    knots: Value | None = None,
    *,
    degree: Value = _THREE,
    intercept: Value = FALSE,
    Boundary_knots: Value | None = None,  # noqa: N803 - R's name
) -> Basis:
    values, has_intercept = column(x), flag(intercept, 'intercept')
    ends = _boundary(values, Boundary_knots)
    order = count(degree, 'degree', 1, _HIGHEST_DEGREE)
    inner = _knots(values, ends, df, knots, least=order + has_intercept)
    # Missing values give missing rows; beyond its boundary knots each goes on as a polynomial.
    columns = _spline(inner, ends, order)(values)
    return Basis(columns if has_intercept else columns[:, 1:])


def _boundary(values: np.ndarray, given: Value | None) -> tuple[float, float]:
    ends = [np.nanmin(values), np.nanmax(values)]
    if given is not None:
        ends = sorted(constants(given, 'Boundary.knots').tolist())
    if len(ends) != 2 or not -np.inf < ends[0] < ends[1] < np.inf:
        raise ArgumentError('needs two different boundary knots')
    return float(ends[0]), float(ends[1])


def _knots(
    values: np.ndarray,
    ends: tuple[float, float],
    df: Value | None,
    knots: Value | None,
    least: int,
) -> np.ndarray:
    """Return interior knots: those given, or at quantiles, so many that there are df columns."""
    if knots is not None:
        inner = np.sort(constants(knots, 'knots'))
        if not ((inner > ends[0]) & (inner < ends[1])).all() or inner.size > values.size:
            raise ArgumentError(f'needs knots between {ends[0]:g} and {ends[1]:g}')
        return inner
    number = 0 if df is None else count(df, 'df', least, max(least, values.size)) - least
    if number == 0:
        return np.empty(0)
    inside = values[(values >= ends[0]) & (values <= ends[1])]
    if not inside.size:
        raise ArgumentError('has no values between its boundary knots')
    inner = np.quantile(inside, np.linspace(0, 1, number + 2)[1:-1])
    if inner[0] == ends[0] or inner[-1] == ends[1]:
        raise ArgumentError('has too few distinct values for so large a df')
    return inner


#: Functions by R's names.
BASES: dict[str, Callable[..., Value]] = {'bs': _bs, 'ns': _ns, 'poly': _poly}
