"""Operators that a formula may use within variables, with R's answers."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np

from modelarrayio_bids.models.formula.arguments import are_constant, numbers_of, single, vector
from modelarrayio_bids.models.formula.values import (
    ArgumentError,
    Factor,
    Numbers,
    Value,
    Vector,
    as_factor,
)

#: More values than a sequence in a formula has.
LONGEST_SEQUENCE = 10_000


def _arithmetic(function: Callable[..., np.ndarray]) -> Callable[..., Numbers]:
    def apply(*arguments: Value | None) -> Numbers:
        numbers = [numbers_of(argument) for argument in arguments]
        is_constant = are_constant(*numbers)
        values = function(*(number.data for number in numbers))
        return Numbers(np.asarray(values, np.float64), is_constant=is_constant)

    return apply


def _comparison(function: Callable[..., Any]) -> Callable[..., Numbers]:
    def apply(left: Value | None, right: Value | None) -> Numbers:
        first, second = vector(left), vector(right)
        is_constant = are_constant(first, second)
        a, b = _comparable(first, second, equality=function in {operator.eq, operator.ne})
        missing = first.missing | second.missing
        return _logical(function(a, b), missing, is_constant=is_constant)

    return apply


def _comparable(first: Vector, second: Vector, *, equality: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return arrays that compare as R has it: as numbers, by levels that are ordered, as texts."""
    if isinstance(first, Numbers) and isinstance(second, Numbers):
        return first.data, second.data
    if equality:
        return objects(first.texts()), objects(second.texts())
    ordered = next((v for v in (first, second) if isinstance(v, Factor) and v.is_ordered), None)
    if ordered is None:
        raise ArgumentError('has an order for numbers and ordered factors alone')
    texts = set(first.texts()) | set(second.texts())
    if unknown := texts - {None} - set(ordered.levels):
        raise ArgumentError(f'compares with {min(map(str, unknown))!r}, which is not a level')
    a, b = (as_factor(value.texts(), ordered.levels).codes for value in (first, second))
    return a, b


def objects(texts: list[str | None]) -> np.ndarray:
    """Return texts as an array, (n,) object."""
    return np.array(texts, object)


def _logical(values: Any, missing: np.ndarray, *, is_constant: bool) -> Numbers:
    filled = np.where(missing, np.nan, np.asarray(values, np.float64))
    return Numbers(filled, 'logical', is_constant)


def _and(left: Value | None, right: Value | None) -> Numbers:
    first, second = numbers_of(left), numbers_of(right)
    is_constant = are_constant(first, second)
    false = (first.data == 0) | (second.data == 0)
    return _logical(~false, ~false & (first.missing | second.missing), is_constant=is_constant)


def _not(value: Value | None) -> Numbers:
    numbers = numbers_of(value)
    return _logical(numbers.data == 0, numbers.missing, is_constant=numbers.is_constant)


def _is_in(value: Value | None, among: Value | None) -> Numbers:
    """``%in%``: a missing value is in nothing."""
    first, listed = vector(value), vector(among)
    if isinstance(first, Numbers) and isinstance(listed, Numbers):
        found = np.isin(first.data, listed.data)
    else:
        allowed = {*listed.texts()} - {None}
        found = np.array([text in allowed for text in first.texts()], bool)
    return Numbers(found.astype(np.float64), 'logical', first.is_constant)


def sequence(first: Value | None, last: Value | None) -> Numbers:
    """Return the numbers from one to another, in steps of 1."""
    start, stop = single(first, 'start'), single(last, 'end')
    return steps(start, stop, 1.0 if start <= stop else -1.0)


def steps(start: float, stop: float, by: float) -> Numbers:
    """Return the numbers from one to another in steps."""
    n_steps = (stop - start) / by if by else np.inf
    if not 0 <= n_steps < LONGEST_SEQUENCE:
        raise ArgumentError(f'is not a sequence of up to {LONGEST_SEQUENCE:,} values')
    # R's seq() allows for rounding, so that seq(0, 1, by = 0.1) ends with 1.
    return Numbers(start + by * np.arange(int(n_steps + 1e-10) + 1), is_constant=True)


#: Operators by R's names. With one argument, ``+`` and ``-`` are signs.
OPERATORS: dict[str, Callable[..., Value]] = {
    '+': _arithmetic(lambda *terms: reduce(np.add, terms)),
    '-': _arithmetic(lambda *terms: -terms[0] if len(terms) == 1 else terms[0] - terms[1]),
    '*': _arithmetic(np.multiply),
    '/': _arithmetic(np.divide),
    '^': _arithmetic(np.power),
    '%%': _arithmetic(np.mod),
    '%/%': _arithmetic(np.floor_divide),
    '==': _comparison(operator.eq),
    '!=': _comparison(operator.ne),
    '<': _comparison(operator.lt),
    '<=': _comparison(operator.le),
    '>': _comparison(operator.gt),
    '>=': _comparison(operator.ge),
    '&': _and,
    '|': lambda left, right: _not(_and(_not(left), _not(right))),
    '!': _not,
    '%in%': _is_in,
    ':': sequence,
}
