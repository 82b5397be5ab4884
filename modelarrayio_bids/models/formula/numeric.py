"""Functions of numbers, and conversions, that a formula may call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from modelarrayio_bids.models.formula.arguments import (
    FALSE,
    TRUE,
    check_lengths,
    column,
    constant,
    constants,
    count,
    flag,
    numbers_of,
    of_rows,
    single,
    vector,
)
from modelarrayio_bids.models.formula.operators import LONGEST_SEQUENCE, objects, sequence, steps
from modelarrayio_bids.models.formula.values import ArgumentError, Factor, Numbers, Texts, Value
from modelarrayio_bids.models.r_numbers import r_number

_MOST_DIGITS = 15
_NO_DIGITS = constant(0)
#: From here on, floats are whole.
_ALL_DIGITS = 2.0**52
_QUARTILES = constant(0, 0.25, 0.5, 0.75, 1)


def _as_is(x: Value) -> Value:
    """``I()``."""
    return vector(x)


def _offset(object: Value) -> Value:  # noqa: A002 - R's name
    numbers = numbers_of(object)
    return Numbers(numbers.data, is_constant=numbers.is_constant)


def _elementary(function: Callable[[np.ndarray], np.ndarray]) -> Callable[[Value], Numbers]:
    """Return a function of single numbers."""

    def apply(x: Value) -> Numbers:
        numbers = numbers_of(x)
        return Numbers(function(numbers.data), is_constant=numbers.is_constant)

    return apply


def _log(x: Value, base: Value | None = None) -> Value:
    if base is None:
        return _elementary(np.log)(x)
    of_base = single(base, 'base')
    # As exact as R, which takes log2() and log10() for these.
    exact = {2.0: np.log2, 10.0: np.log10}.get(of_base)
    return _elementary(exact or (lambda values: np.log(values) / np.log(of_base)))(x)


def _round(x: Value, digits: Value = _NO_DIGITS) -> Value:
    """``round()``: to the nearer neighbour or, of two as near, the even one (R's ``?round``)."""
    numbers = numbers_of(x)
    places = count(digits, 'digits', -_MOST_DIGITS, _MOST_DIGITS)
    power = 10.0 ** abs(places)
    scaled = numbers.data * power if places > 0 else numbers.data / power
    below, above = (
        whole / power if places > 0 else whole * power
        for whole in (np.floor(scaled), np.ceil(scaled))
    )
    to_below, to_above = numbers.data - below, above - numbers.data
    is_even = np.floor(scaled) % 2 == 0
    rounded = np.where((to_below < to_above) | ((to_below == to_above) & is_even), below, above)
    has_more_digits = np.abs(scaled) < _ALL_DIGITS
    return Numbers(
        np.where(has_more_digits, rounded, numbers.data), is_constant=numbers.is_constant
    )


def _scale(x: Value, center: Value = TRUE, scale: Value = TRUE) -> Value:
    """Centre by the mean, and divide by the standard deviation (or by the root mean square)."""
    values = column(x)
    present = values[~np.isnan(values)]
    middle = _chosen(center, 'center', float(present.mean()), 0.0)
    spread = float(np.sqrt(np.sum((present - middle) ** 2) / max(1, present.size - 1)))
    return Numbers((values - middle) / _chosen(scale, 'scale', spread, 1.0))


def _chosen(value: Value, name: str, yes: float, no: float) -> float:
    """Return a number as it is, and what TRUE and FALSE stand for."""
    if numbers_of(value, name).kind == 'logical':
        return yes if flag(value, name) else no
    return single(value, name)


def _summary(function: Callable[[np.ndarray], Any]) -> Callable[..., Numbers]:
    def apply(x: Value, na_rm: Value = FALSE) -> Numbers:
        return constant(float(function(_summarised(x, na_rm))))

    return apply


def _summarised(x: Value, na_rm: Value) -> np.ndarray:
    numbers = numbers_of(x)
    if numbers.missing.any() and not flag(na_rm, 'na.rm'):
        raise ArgumentError('has missing values: add na.rm = TRUE')
    present = numbers.data[~numbers.missing]
    if present.size < 2:
        raise ArgumentError('has fewer than two values')
    return present


def _quantile(x: Value, probs: Value = _QUARTILES, na_rm: Value = FALSE) -> Numbers:
    wanted = constants(probs, 'probs')
    if not ((wanted >= 0) & (wanted <= 1)).all():
        raise ArgumentError('needs probabilities from 0 to 1 as probs')
    return constant(*np.quantile(_summarised(x, na_rm), wanted))


def _combine(*values: Value) -> Value:
    """``c()``."""
    parts = [vector(value) for value in values]
    if not parts or not all(part.is_constant for part in parts):
        raise ArgumentError('needs values written out')
    if any(isinstance(part, Texts) for part in parts):
        return Texts(tuple(text for part in parts for text in part.texts()), is_constant=True)
    numbers = [numbers_of(part) for part in parts]
    kinds = {number.kind for number in numbers}
    kind = kinds.pop() if len(kinds) == 1 else 'number'
    return Numbers(np.concatenate([number.data for number in numbers]), kind, is_constant=True)


def _seq(
    from_: Value, to: Value, by: Value | None = None, length_out: Value | None = None
) -> Value:
    start, stop = single(from_, 'from'), single(to, 'to')
    if length_out is not None:
        number = count(length_out, 'length.out', 1, LONGEST_SEQUENCE)
        return Numbers(np.linspace(start, stop, number), is_constant=True)
    return steps(start, stop, single(by, 'by')) if by is not None else sequence(from_, to)


def _as_numeric(x: Value) -> Value:
    """``as.numeric()``: of a factor the numbers of its levels, of texts those that are numbers."""
    if isinstance(x, Factor):
        return Numbers(np.where(x.missing, np.nan, x.codes + 1.0))
    if isinstance(x, Texts):
        numbers = [r_number(text) if text is not None else None for text in x.data]
        return Numbers(np.array(numbers, np.float64), is_constant=x.is_constant)
    numeric = numbers_of(x)
    return Numbers(numeric.data, is_constant=numeric.is_constant)


def _as_integer(x: Value) -> Value:
    numbers = numbers_of(_as_numeric(x))
    return Numbers(np.trunc(numbers.data), 'whole', numbers.is_constant)


def _as_logical(x: Value) -> Value:
    if isinstance(x, Numbers):
        return Numbers(np.where(x.missing, np.nan, x.data != 0), 'logical', x.is_constant)
    words = {'T': 1, 'TRUE': 1, 'true': 1, 'True': 1, 'F': 0, 'FALSE': 0, 'false': 0, 'False': 0}
    values = [words.get(text or '') for text in vector(x).texts()]
    return Numbers(np.array(values, np.float64), 'logical', vector(x).is_constant)


def _as_character(x: Value) -> Value:
    return Texts(tuple(vector(x).texts()), vector(x).is_constant)


def _is_na(x: Value) -> Value:
    return Numbers(vector(x).missing.astype(np.float64), 'logical', vector(x).is_constant)


def _ifelse(test: Value, yes: Value, no: Value) -> Value:
    condition, first, second = numbers_of(of_rows(test), 'test'), vector(yes), vector(no)
    if isinstance(first, Factor) or isinstance(second, Factor):
        raise ArgumentError('would take numbers for levels: use as.character()')
    check_lengths(condition, first, second)
    is_true = condition.data != 0
    if isinstance(first, Texts) or isinstance(second, Texts):
        texts = np.where(is_true, objects(first.texts()), objects(second.texts()))
        texts[condition.missing] = None
        return Texts(tuple(texts.tolist()))
    kind = first.kind if first.kind == second.kind else 'number'
    chosen = np.where(is_true, first.data, second.data)
    return Numbers(np.where(condition.missing, np.nan, chosen), kind)


#: Functions of numpy with R's names, and with others.
_ALIKE = (
    *('abs', 'cos', 'cosh', 'exp', 'expm1', 'floor', 'log10', 'log1p', 'log2', 'sign', 'sin'),
    *('sinh', 'sqrt', 'tan', 'tanh', 'trunc'),
)
_ELEMENTARY: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    **{name: getattr(np, name) for name in _ALIKE},
    'acos': np.arccos,
    'asin': np.arcsin,
    'atan': np.arctan,
    'ceiling': np.ceil,
}
_SUMMARIES: dict[str, Callable[[np.ndarray], Any]] = {
    **{name: getattr(np, name) for name in ('max', 'mean', 'median', 'min', 'sum')},
    'sd': lambda values: np.std(values, ddof=1),
    'var': lambda values: np.var(values, ddof=1),
}
#: Functions by R's names.
NUMERIC: dict[str, Callable[..., Value]] = {
    **{name: _elementary(function) for name, function in _ELEMENTARY.items()},
    **{name: _summary(function) for name, function in _SUMMARIES.items()},
    'I': _as_is,
    'as.character': _as_character,
    'as.integer': _as_integer,
    'as.logical': _as_logical,
    'as.numeric': _as_numeric,
    'c': _combine,
    'ifelse': _ifelse,
    'is.na': _is_na,
    'log': _log,
    'offset': _offset,
    'quantile': _quantile,
    'round': _round,
    'scale': _scale,
    'seq': _seq,
}
