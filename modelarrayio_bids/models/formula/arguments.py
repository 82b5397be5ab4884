"""The arguments of functions in a formula: checked, and told apart."""

from __future__ import annotations

import numpy as np

from modelarrayio_bids.models.formula.values import (
    ArgumentError,
    Basis,
    Contrasts,
    Factor,
    Numbers,
    Texts,
    Value,
    Vector,
)

TRUE = Numbers(np.ones(1), 'logical', is_constant=True)
FALSE = Numbers(np.zeros(1), 'logical', is_constant=True)


def constant(*values: float) -> Numbers:
    """Return numbers that are the same for all rows."""
    return Numbers(np.array(values, np.float64), is_constant=True)


def numbers_of(value: Value | None, name: str = '') -> Numbers:
    """Return numbers; ``name`` is the argument's, for the message."""
    if not isinstance(value, Numbers):
        place = f' as {name}' if name else ''
        raise ArgumentError(f'needs numbers{place}, not {_kind(value)}')
    return value


def _kind(value: Value | None) -> str:
    kinds = {Texts: 'text', Factor: 'a factor', Basis: 'a basis', Contrasts: 'contrasts'}
    return kinds.get(type(value), 'NULL' if value is None else 'numbers')


def vector(value: Value | None) -> Vector:
    """Return numbers, texts or a factor."""
    if not isinstance(value, Numbers | Texts | Factor):
        raise ArgumentError(f'needs a column, not {_kind(value)}')
    return value


def of_rows(value: Value | None) -> Vector:
    """Return values that differ by row."""
    values = vector(value)
    if values.is_constant:
        raise ArgumentError('needs a column')
    return values


def constants(value: Value | None, name: str) -> np.ndarray:
    """Return numbers that are the same for all rows, (k,) float64."""
    numbers = numbers_of(value, name)
    if not numbers.is_constant or numbers.missing.any():
        raise ArgumentError(f'needs numbers that are the same for all rows as {name}')
    return numbers.data


def single(value: Value | None, name: str) -> float:
    """Return one number."""
    values = constants(value, name)
    if values.size != 1:
        raise ArgumentError(f'needs one number as {name}')
    return float(values[0])


def count(value: Value | None, name: str, least: int, most: int) -> int:
    """Return a whole number between two."""
    number = single(value, name)
    if not (least <= number <= most and number.is_integer()):
        raise ArgumentError(f'needs a whole number from {least} to {most} as {name}')
    return int(number)


def flag(value: Value | None, name: str) -> bool:
    """Return TRUE or FALSE."""
    return bool(single(value, name))


def listed_texts(value: Value | None, name: str) -> list[str]:
    """Return the texts of ``c("a", "b")``."""
    values = vector(value)
    present = [text for text in values.texts() if text is not None]
    if not values.is_constant or len(present) < len(values.missing):
        raise ArgumentError(f'needs values written out, as in c("a", "b"), as {name}')
    return present


def column(value: Value) -> np.ndarray:
    """Return numbers that differ by row, finite or missing, (n_rows,) float64."""
    numbers = numbers_of(of_rows(value))
    if not np.isfinite(numbers.data).any():
        raise ArgumentError('has no values')
    if np.isinf(numbers.data).any():
        raise ArgumentError('has values that are not finite')
    return numbers.data


def check_lengths(*values: Vector) -> None:
    """Check that values can be combined: columns, and constants of one length. R would repeat."""
    lengths = {len(value.missing) for value in values if value.is_constant} - {1}
    if len(lengths) > 1 or (lengths and not all(value.is_constant for value in values)):
        raise ArgumentError('combines values of different lengths')


def are_constant(*values: Vector) -> bool:
    """Return whether values that can be combined are all the same for all rows."""
    check_lengths(*values)
    return all(value.is_constant for value in values)
