"""Polynomials and splines as a formula calls them; their arithmetic is in ``bases``."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from modelarrayio_bids.models.formula import bases
from modelarrayio_bids.models.formula.arguments import (
    FALSE,
    column,
    constant,
    constants,
    count,
    flag,
)
from modelarrayio_bids.models.formula.values import (
    ArgumentError,
    Basis,
    Value,
)

_HIGHEST_DEGREE = 25
_ONE, _THREE = constant(1), constant(3)


def _poly(x: Value, degree: Value = _ONE, raw: Value = FALSE) -> Basis:
    values = column(x)
    n_distinct = np.unique(values[~np.isnan(values)]).size
    if n_distinct < 2:
        raise ArgumentError('is of one value only')
    highest = count(degree, 'degree', 1, n_distinct - 1)
    if flag(raw, 'raw'):
        return Basis(bases.raw_polynomials(values, highest))
    return Basis(bases.orthogonal_polynomials(values, highest))


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
    return Basis(bases.natural_splines(values, inner, ends, intercept=has_intercept))


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
    columns = bases.b_splines(values, inner, ends, order)
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
    if not ((values >= ends[0]) & (values <= ends[1])).any():
        raise ArgumentError('has no values between its boundary knots')
    inner = bases.interior_knots(values, number, ends)
    if inner[0] == ends[0] or inner[-1] == ends[1]:
        raise ArgumentError('has too few distinct values for so large a df')
    return inner


#: Functions by R's names.
CURVES: dict[str, Callable[..., Value]] = {'bs': _bs, 'ns': _ns, 'poly': _poly}
