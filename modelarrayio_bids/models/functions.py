"""Functions and operators that a formula may call, with R's arguments and R's answers.

Each is a function of Python whose parameters are called as R's are, with ``_`` for ``.``
(``include_lowest`` for ``include.lowest``). What is not in :data:`FUNCTIONS` or :data:`OPERATORS`
is refused by name.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from itertools import pairwise
from typing import Any

import numpy as np

from modelarrayio_bids.models import bases
from modelarrayio_bids.models.values import (
    ArgumentError,
    Basis,
    Contrasts,
    Factor,
    Numbers,
    Texts,
    Value,
    Vector,
    as_factor,
    factor_of,
    without_unused_levels,
)
from modelarrayio_bids.r_numbers import r_number

#: Values of a sequence, digits of a label, degree of a spline: no formula of a person needs more.
_LONGEST_SEQUENCE = 10_000
_MOST_DIGITS = 15
_HIGHEST_DEGREE = 25
_TRUE = Numbers(np.ones(1), 'logical', is_constant=True)
_FALSE = Numbers(np.zeros(1), 'logical', is_constant=True)
_QUARTILES = Numbers(np.linspace(0, 1, 5), is_constant=True)
#: Kinds of contrasts: R's ``contr.treatment`` and its like.
CONTRASTS = ('treatment', 'sum', 'helmert', 'poly', 'SAS')


def constant(*values: float) -> Numbers:
    """Return numbers that are the same for all rows."""
    return Numbers(np.array(values, np.float64), is_constant=True)


_ZERO, _ONE, _THREE = constant(0), constant(1), constant(3)


# ---- Arguments ----------------------------------------------------------------------------------


def _numbers(value: Value | None, name: str = '') -> Numbers:
    if not isinstance(value, Numbers):
        place = f' as {name}' if name else ''
        raise ArgumentError(f'needs numbers{place}, not {_kind(value)}')
    return value


def _kind(value: Value | None) -> str:
    kinds = {Texts: 'text', Factor: 'a factor', Basis: 'a basis', Contrasts: 'contrasts'}
    return kinds.get(type(value), 'NULL' if value is None else 'numbers')


def _vector(value: Value | None) -> Vector:
    if not isinstance(value, Numbers | Texts | Factor):
        raise ArgumentError(f'needs a column, not {_kind(value)}')
    return value


def _of_rows(value: Value | None) -> Vector:
    vector = _vector(value)
    if vector.is_constant:
        raise ArgumentError('needs a column')
    return vector


def _constants(value: Value | None, name: str) -> np.ndarray:
    numbers = _numbers(value, name)
    if not numbers.is_constant or numbers.missing.any():
        raise ArgumentError(f'needs numbers that are the same for all rows as {name}')
    return numbers.data


def _single(value: Value | None, name: str) -> float:
    values = _constants(value, name)
    if values.size != 1:
        raise ArgumentError(f'needs one number as {name}')
    return float(values[0])


def _count(value: Value | None, name: str, least: int, most: int) -> int:
    """Return a whole number between two."""
    number = _single(value, name)
    if not (least <= number <= most and number.is_integer()):
        raise ArgumentError(f'needs a whole number from {least} to {most} as {name}')
    return int(number)


def _flag(value: Value | None, name: str) -> bool:
    return bool(_single(value, name))


def _listed_texts(value: Value | None, name: str) -> list[str]:
    """Return the texts of ``c("a", "b")``."""
    vector = _vector(value)
    present = [text for text in vector.texts() if text is not None]
    if not vector.is_constant or len(present) < len(vector.missing):
        raise ArgumentError(f'needs values written out, as in c("a", "b"), as {name}')
    return present


# ---- Operators ----------------------------------------------------------------------------------


def _shared(*values: Vector) -> bool:
    """Return whether values are all constant, and check that they fit each other.

    R would repeat the shorter one.
    """
    lengths = {len(value.missing) for value in values if value.is_constant} - {1}
    rows = any(not value.is_constant for value in values)
    if len(lengths) > 1 or (rows and lengths):
        raise ArgumentError('combines values of different lengths')
    return not rows


def _arithmetic(function: Callable[..., np.ndarray]) -> Callable[..., Numbers]:
    def apply(*arguments: Value | None) -> Numbers:
        numbers = [_numbers(argument) for argument in arguments]
        is_constant = _shared(*numbers)
        values = function(*(number.data for number in numbers))
        return Numbers(np.asarray(values, np.float64), is_constant=is_constant)

    return apply


def _comparison(function: Callable[..., Any]) -> Callable[..., Numbers]:
    def apply(left: Value | None, right: Value | None) -> Numbers:
        first, second = _vector(left), _vector(right)
        is_constant = _shared(first, second)
        a, b = _comparable(first, second, equality=function in {operator.eq, operator.ne})
        missing = first.missing | second.missing
        return _logical(function(a, b), missing, is_constant=is_constant)

    return apply


def _comparable(first: Vector, second: Vector, *, equality: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return arrays that compare as R has it: as numbers, by levels that are ordered, as texts."""
    if isinstance(first, Numbers) and isinstance(second, Numbers):
        return first.data, second.data
    if equality:
        return _objects(first.texts()), _objects(second.texts())
    ordered = next((v for v in (first, second) if isinstance(v, Factor) and v.is_ordered), None)
    if ordered is None:
        raise ArgumentError('has an order for numbers and ordered factors alone')
    texts = set(first.texts()) | set(second.texts())
    if unknown := texts - {None} - set(ordered.levels):
        raise ArgumentError(f'compares with {min(map(str, unknown))!r}, which is no level')
    a, b = (as_factor(value.texts(), ordered.levels).codes for value in (first, second))
    return a, b


def _logical(values: Any, missing: np.ndarray, *, is_constant: bool) -> Numbers:
    filled = np.where(missing, np.nan, np.asarray(values, np.float64))
    return Numbers(filled, 'logical', is_constant)


def _and(left: Value | None, right: Value | None) -> Numbers:
    first, second = _numbers(left), _numbers(right)
    is_constant = _shared(first, second)
    false = (first.data == 0) | (second.data == 0)
    return _logical(~false, ~false & (first.missing | second.missing), is_constant=is_constant)


def _or(left: Value | None, right: Value | None) -> Numbers:
    return _not(_and(_not(left), _not(right)))


def _not(value: Value | None) -> Numbers:
    numbers = _numbers(value)
    return _logical(numbers.data == 0, numbers.missing, is_constant=numbers.is_constant)


def _is_in(value: Value | None, among: Value | None) -> Numbers:
    """``%in%``: a missing value is in nothing."""
    first, listed = _vector(value), _vector(among)
    allowed = set(listed.texts())
    found = np.array([text in allowed for text in first.texts()], np.float64)
    return Numbers(found, 'logical', first.is_constant)


def _sequence(first: Value | None, last: Value | None) -> Numbers:
    start, stop = _single(first, 'start'), _single(last, 'end')
    return _steps(start, stop, 1.0 if start <= stop else -1.0)


def _steps(start: float, stop: float, by: float) -> Numbers:
    n_steps = (stop - start) / by if by else np.inf
    if not 0 <= n_steps < _LONGEST_SEQUENCE:
        raise ArgumentError(f'is not a sequence of up to {_LONGEST_SEQUENCE:,} values')
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
    '%/%': _arithmetic(lambda a, b: np.floor(a / b)),
    '==': _comparison(operator.eq),
    '!=': _comparison(operator.ne),
    '<': _comparison(operator.lt),
    '<=': _comparison(operator.le),
    '>': _comparison(operator.gt),
    '>=': _comparison(operator.ge),
    '&': _and,
    '|': _or,
    '!': _not,
    '%in%': _is_in,
    ':': _sequence,
}


# ---- Numbers ------------------------------------------------------------------------------------


def _as_is(x: Value) -> Value:
    """``I()``."""
    return _vector(x)


def _offset(object: Value) -> Value:  # noqa: A002 - R's name
    numbers = _numbers(object)
    return Numbers(numbers.data, is_constant=numbers.is_constant)


def _elementary(function: Callable[[np.ndarray], np.ndarray]) -> Callable[[Value], Numbers]:
    """Return a function of single numbers."""

    def apply(x: Value) -> Numbers:
        numbers = _numbers(x)
        return Numbers(function(numbers.data), is_constant=numbers.is_constant)

    return apply


def _log(x: Value, base: Value | None = None) -> Value:
    if base is None:
        return _elementary(np.log)(x)
    of_base = _single(base, 'base')
    # As exact as R, which takes log2() and log10() for these.
    exact = {2.0: np.log2, 10.0: np.log10}.get(of_base)
    return _elementary(exact or (lambda values: np.log(values) / np.log(of_base)))(x)


def _round(x: Value, digits: Value = _ZERO) -> Value:
    numbers = _numbers(x)
    places = _count(digits, 'digits', -_MOST_DIGITS, _MOST_DIGITS)
    # Python rounds decimals correctly, NumPy in binary.
    finite = np.isfinite(numbers.data)
    values = numbers.data.copy()
    values[finite] = [round(value, places) for value in values[finite].tolist()]
    return Numbers(values, is_constant=numbers.is_constant)


def _scale(x: Value, center: Value = _TRUE, scale: Value = _TRUE) -> Value:
    """Centre by the mean, and divide by the standard deviation (or by the root mean square)."""
    values = _column(x)
    present = values[~np.isnan(values)]
    middle = _chosen(center, 'center', float(present.mean()), 0.0)
    spread = float(np.sqrt(np.sum((present - middle) ** 2) / max(1, present.size - 1)))
    return Numbers((values - middle) / _chosen(scale, 'scale', spread, 1.0))


def _chosen(value: Value, name: str, yes: float, no: float) -> float:
    """Return a number as it is, and what TRUE and FALSE stand for."""
    if _numbers(value, name).kind == 'logical':
        return yes if _flag(value, name) else no
    return _single(value, name)


def _summary(function: Callable[[np.ndarray], Any]) -> Callable[..., Numbers]:
    def apply(x: Value, na_rm: Value = _FALSE) -> Numbers:
        return constant(float(function(_summarised(x, na_rm))))

    return apply


def _summarised(x: Value, na_rm: Value) -> np.ndarray:
    numbers = _numbers(x)
    if numbers.missing.any() and not _flag(na_rm, 'na.rm'):
        raise ArgumentError('has missing values: add na.rm = TRUE')
    present = numbers.data[~numbers.missing]
    if present.size < 2:
        raise ArgumentError('has fewer than two values')
    return present


def _quantile(x: Value, probs: Value = _QUARTILES, na_rm: Value = _FALSE) -> Numbers:
    wanted = _constants(probs, 'probs')
    if not ((wanted >= 0) & (wanted <= 1)).all():
        raise ArgumentError('needs probabilities from 0 to 1 as probs')
    return constant(*np.quantile(_summarised(x, na_rm), wanted))


def _combine(*values: Value) -> Value:
    """``c()``."""
    parts = [_vector(value) for value in values]
    if not parts or not all(part.is_constant for part in parts):
        raise ArgumentError('needs values written out')
    if any(isinstance(part, Texts) for part in parts):
        return Texts(tuple(text for part in parts for text in part.texts()), is_constant=True)
    numbers = [_numbers(part) for part in parts]
    kinds = {number.kind for number in numbers}
    kind = kinds.pop() if len(kinds) == 1 else 'number'
    return Numbers(np.concatenate([number.data for number in numbers]), kind, is_constant=True)


def _seq(
    from_: Value, to: Value, by: Value | None = None, length_out: Value | None = None
) -> Value:
    start, stop = _single(from_, 'from'), _single(to, 'to')
    if length_out is not None:
        number = _count(length_out, 'length.out', 1, _LONGEST_SEQUENCE)
        return Numbers(np.linspace(start, stop, number), is_constant=True)
    return _steps(start, stop, _single(by, 'by')) if by is not None else _sequence(from_, to)


def _as_numeric(x: Value) -> Value:
    """``as.numeric()``: of a factor the numbers of its levels, of texts those that are numbers."""
    if isinstance(x, Factor):
        return Numbers(np.where(x.missing, np.nan, x.codes + 1.0))
    if isinstance(x, Texts):
        numbers = [r_number(text) if text is not None else None for text in x.data]
        return Numbers(np.array(numbers, np.float64), is_constant=x.is_constant)
    numeric = _numbers(x)
    return Numbers(numeric.data, is_constant=numeric.is_constant)


def _as_integer(x: Value) -> Value:
    numbers = _numbers(_as_numeric(x))
    return Numbers(np.trunc(numbers.data), 'whole', numbers.is_constant)


def _as_logical(x: Value) -> Value:
    if isinstance(x, Numbers):
        return _not(_not(x))
    words = {'T': 1, 'TRUE': 1, 'true': 1, 'True': 1, 'F': 0, 'FALSE': 0, 'false': 0, 'False': 0}
    values = [words.get(text or '') for text in _vector(x).texts()]
    return Numbers(np.array(values, np.float64), 'logical', _vector(x).is_constant)


def _as_character(x: Value) -> Value:
    return Texts(tuple(_vector(x).texts()), _vector(x).is_constant)


def _is_na(x: Value) -> Value:
    return Numbers(_vector(x).missing.astype(np.float64), 'logical', _vector(x).is_constant)


def _ifelse(test: Value, yes: Value, no: Value) -> Value:
    condition, first, second = _numbers(test, 'test'), _vector(yes), _vector(no)
    if isinstance(first, Factor) or isinstance(second, Factor):
        raise ArgumentError('would take numbers for levels: use as.character()')
    is_constant = _shared(condition, first, second)
    is_true = condition.data != 0
    if isinstance(first, Texts) or isinstance(second, Texts):
        texts = np.where(is_true, _objects(first.texts()), _objects(second.texts()))
        texts[condition.missing] = None
        return Texts(tuple(texts.tolist()), is_constant)
    kind = first.kind if first.kind == second.kind else 'number'
    chosen = np.where(is_true, first.data, second.data)
    return Numbers(np.where(condition.missing, np.nan, chosen), kind, is_constant)


def _objects(texts: list[str | None]) -> np.ndarray:
    return np.array(texts, object)


# ---- Factors ------------------------------------------------------------------------------------


def _factor(
    x: Value,
    levels: Value | None = None,
    labels: Value | None = None,
    ordered: Value | None = None,
) -> Factor:
    vector = _of_rows(x)
    if levels is None:
        factor = without_unused_levels(factor_of(vector))
    else:
        listed = _listed_texts(levels, 'levels')
        if len(set(listed)) < len(listed):
            raise ArgumentError('has a level twice')
        factor = as_factor(vector.texts(), listed)
    if labels is not None:
        factor = _labelled(factor, _listed_texts(labels, 'labels'))
    was_ordered = isinstance(vector, Factor) and vector.is_ordered
    is_ordered = was_ordered if ordered is None else _flag(ordered, 'ordered')
    return replace(factor, is_ordered=is_ordered, contrasts=None)


def _labelled(factor: Factor, labels: list[str]) -> Factor:
    """Rename levels; levels of one label become one."""
    n_levels = len(factor.levels)
    if len(labels) == 1 and n_levels > 1:
        labels = [f'{labels[0]}{number}' for number in range(1, n_levels + 1)]
    if len(labels) != n_levels:
        raise ArgumentError(f'has {len(labels)} labels for {n_levels} levels')
    texts = [None if code < 0 else labels[code] for code in factor.codes.tolist()]
    return as_factor(texts, list(dict.fromkeys(labels)))


def _as_factor(x: Value) -> Factor:
    return factor_of(_of_rows(x))


def _ordered(x: Value, levels: Value | None = None, labels: Value | None = None) -> Factor:
    return _factor(x, levels, labels, _TRUE)


def _as_ordered(x: Value) -> Factor:
    return replace(_as_factor(x), is_ordered=True)


def _droplevels(x: Value) -> Factor:
    return without_unused_levels(_as_factor(x))


def _relevel(x: Value, ref: Value) -> Factor:
    """``relevel()``: the level named becomes the first, the reference."""
    factor = _as_factor(x)
    if factor.is_ordered:
        raise ArgumentError('cannot change the first of ordered levels')
    [wanted, *others] = _listed_texts(ref, 'ref')
    if others or wanted not in factor.levels:
        raise ArgumentError(f'has no level {wanted!r}: levels are {", ".join(factor.levels)}')
    levels = sorted(factor.levels, key=lambda level: level != wanted)
    return as_factor(factor.texts(), levels)


def _choose_contrasts(
    object: Value,  # noqa: A002 - R's name
    contr: Value | None = None,
    base: Value | None = None,
) -> Factor:
    """``C()``: choose the contrasts of a factor."""
    factor = without_unused_levels(_as_factor(object))
    if contr is None:
        return replace(factor, contrasts=None)
    if not isinstance(contr, Contrasts):
        raise ArgumentError('needs contrasts, such as contr.sum')
    if base is not None:
        contr = _contrasts(contr.kind)(base=base)
    if contr.n_levels not in {None, len(factor.levels)}:
        raise ArgumentError(
            f'has contrasts of {contr.n_levels} levels for a factor of {len(factor.levels)}'
        )
    if contr.base > len(factor.levels):
        raise ArgumentError(f'has no level {contr.base}')
    return replace(factor, contrasts=contr)


def _contrasts(kind: str) -> Callable[..., Contrasts]:
    """``contr.sum(4)`` and its like."""

    def apply(n: Value | None = None, base: Value | None = None) -> Contrasts:
        n_levels = None if n is None else _count(n, 'n', 2, _LONGEST_SEQUENCE)
        if base is not None and kind != 'treatment':
            raise ArgumentError('has no argument base')
        first = 1 if base is None else _count(base, 'base', 1, n_levels or _LONGEST_SEQUENCE)
        return Contrasts(kind, first, is_numbered=True, n_levels=n_levels)

    return apply


def _cut(
    x: Value,
    breaks: Value,
    *,
    labels: Value | None = None,
    include_lowest: Value = _FALSE,
    right: Value = _TRUE,
    dig_lab: Value = _THREE,
    ordered_result: Value = _FALSE,
) -> Value:
    """``cut()``: numbers to intervals."""
    values = _numbers(_of_rows(x)).data
    ends = _breaks(values, _constants(breaks, 'breaks'))
    closed_right, lowest = _flag(right, 'right'), _flag(include_lowest, 'include.lowest')
    codes = _intervals(values, ends, closed_right=closed_right, lowest=lowest)
    if isinstance(labels, Numbers) and labels.kind == 'logical' and not _flag(labels, 'labels'):
        return Numbers(np.where(codes < 0, np.nan, codes + 1.0), 'whole')
    if labels is None:
        digits = _count(dig_lab, 'dig.lab', 1, _MOST_DIGITS)
        names = _interval_names(ends, digits, closed_right=closed_right, lowest=lowest)
    else:
        names = _listed_texts(labels, 'labels')
    if len(names) != len(ends) - 1 or len(set(names)) < len(names):
        raise ArgumentError(f'needs {len(ends) - 1} different labels')
    return Factor(codes, tuple(names), _flag(ordered_result, 'ordered_result'))


def _breaks(values: np.ndarray, breaks: np.ndarray) -> np.ndarray:
    """Return the ends of intervals: those given, or so many of equal length."""
    if breaks.size > 1:
        ends = np.sort(breaks)
    else:
        number = _count(constant(*breaks), 'breaks', 2, _LONGEST_SEQUENCE)
        if not np.isfinite(values).any():
            raise ArgumentError('has no values')
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        # As R does, the outer ends lie a thousandth of the range beyond the values.
        beyond = ((high - low) or abs(low)) / 1000
        if high == low:
            return np.linspace(low - beyond, high + beyond, number + 1)
        ends = np.linspace(low, high, number + 1)
        ends[[0, -1]] = low - beyond, high + beyond
    if not (np.diff(ends) > 0).all():
        raise ArgumentError('has a break twice')
    return ends


def _intervals(
    values: np.ndarray, ends: np.ndarray, *, closed_right: bool, lowest: bool
) -> np.ndarray:
    """Return the index of each value's interval, -1 where it is in none."""
    codes = np.searchsorted(ends, values, side='left' if closed_right else 'right') - 1
    if lowest:
        edge = ends[0] if closed_right else ends[-1]
        codes[values == edge] = 0 if closed_right else ends.size - 2
    codes[np.isnan(values) | (codes >= ends.size - 1)] = -1
    return codes


def _interval_names(
    ends: np.ndarray, digits: int, *, closed_right: bool, lowest: bool
) -> list[str]:
    """Return ``(20,40]`` for each interval, with more digits where ends would look the same."""
    for precision in range(digits, max(digits, 12) + 1):
        texts = [_end_text(end, precision) for end in ends.tolist()]
        if len(set(texts)) == len(texts):
            break
    opening, closing = ('(', ']') if closed_right else ('[', ')')
    names = [f'{opening}{a},{b}{closing}' for a, b in pairwise(texts)]
    if lowest and closed_right:
        names[0] = f'[{names[0][1:]}'
    elif lowest:
        names[-1] = f'{names[-1][:-1]}]'
    return names


def _end_text(end: float, digits: int) -> str:
    # R's formatC sets infinity with a blank for its sign.
    return ' Inf' if end == np.inf else '-Inf' if end == -np.inf else f'{end:.{digits}g}'


# ---- Bases --------------------------------------------------------------------------------------


def _column(value: Value) -> np.ndarray:
    numbers = _numbers(_of_rows(value))
    if not np.isfinite(numbers.data).any():
        raise ArgumentError('has no values')
    if np.isinf(numbers.data).any():
        raise ArgumentError('has values that are not finite')
    return numbers.data


def _poly(x: Value, degree: Value = _ONE, raw: Value = _FALSE) -> Basis:
    values = _column(x)
    n_distinct = np.unique(values[~np.isnan(values)]).size
    if n_distinct < 2:
        raise ArgumentError('is of one value only')
    highest = _count(degree, 'degree', 1, n_distinct - 1)
    if _flag(raw, 'raw'):
        return Basis(bases.raw_polynomials(values, highest))
    return Basis(bases.orthogonal_polynomials(values, highest))


def _ns(
    x: Value,
    df: Value | None = None,
    knots: Value | None = None,
    intercept: Value = _FALSE,
    Boundary_knots: Value | None = None,  # noqa: N803 - R's name
) -> Basis:
    values, has_intercept = _column(x), _flag(intercept, 'intercept')
    ends = _boundary(values, Boundary_knots)
    inner = _knots(values, ends, df, knots, least=1 + has_intercept)
    return Basis(bases.natural_splines(values, inner, ends, intercept=has_intercept))


def _bs(
    x: Value,
    df: Value | None = None,
    knots: Value | None = None,
    *,
    degree: Value = _THREE,
    intercept: Value = _FALSE,
    Boundary_knots: Value | None = None,  # noqa: N803 - R's name
) -> Basis:
    values, has_intercept = _column(x), _flag(intercept, 'intercept')
    ends = _boundary(values, Boundary_knots)
    order = _count(degree, 'degree', 1, _HIGHEST_DEGREE)
    inner = _knots(values, ends, df, knots, least=order + has_intercept)
    columns = bases.b_splines(values, inner, ends, order)
    return Basis(columns if has_intercept else columns[:, 1:])


def _boundary(values: np.ndarray, given: Value | None) -> tuple[float, float]:
    ends = [np.nanmin(values), np.nanmax(values)]
    if given is not None:
        ends = sorted(_constants(given, 'Boundary.knots').tolist())
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
        inner = np.sort(_constants(knots, 'knots'))
        if not ((inner > ends[0]) & (inner < ends[1])).all() or inner.size > values.size:
            raise ArgumentError(f'needs knots between {ends[0]:g} and {ends[1]:g}')
        return inner
    number = 0 if df is None else _count(df, 'df', least, max(least, values.size)) - least
    if number and not ((values >= ends[0]) & (values <= ends[1])).any():
        raise ArgumentError('has no values between its boundary knots')
    return bases.interior_knots(values, number, ends)


# ---- All ----------------------------------------------------------------------------------------

_ELEMENTARY: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    'abs': np.abs,
    'acos': np.arccos,
    'asin': np.arcsin,
    'atan': np.arctan,
    'ceiling': np.ceil,
    'cos': np.cos,
    'cosh': np.cosh,
    'exp': np.exp,
    'expm1': np.expm1,
    'floor': np.floor,
    'log10': np.log10,
    'log1p': np.log1p,
    'log2': np.log2,
    'sign': np.sign,
    'sin': np.sin,
    'sinh': np.sinh,
    'sqrt': np.sqrt,
    'tan': np.tan,
    'tanh': np.tanh,
    'trunc': np.trunc,
}
_SUMMARIES: dict[str, Callable[[np.ndarray], Any]] = {
    'max': np.max,
    'mean': np.mean,
    'median': np.median,
    'min': np.min,
    'sd': lambda values: np.std(values, ddof=1),
    'sum': np.sum,
    'var': lambda values: np.var(values, ddof=1),
}
#: Functions by R's names.
FUNCTIONS: dict[str, Callable[..., Value]] = {
    **{name: _elementary(function) for name, function in _ELEMENTARY.items()},
    **{name: _summary(function) for name, function in _SUMMARIES.items()},
    **{f'contr.{kind}': _contrasts(kind) for kind in CONTRASTS},
    'C': _choose_contrasts,
    'I': _as_is,
    'as.character': _as_character,
    'as.factor': _as_factor,
    'as.integer': _as_integer,
    'as.logical': _as_logical,
    'as.numeric': _as_numeric,
    'as.ordered': _as_ordered,
    'bs': _bs,
    'c': _combine,
    'cut': _cut,
    'droplevels': _droplevels,
    'factor': _factor,
    'ifelse': _ifelse,
    'is.na': _is_na,
    'log': _log,
    'ns': _ns,
    'offset': _offset,
    'ordered': _ordered,
    'poly': _poly,
    'quantile': _quantile,
    'relevel': _relevel,
    'round': _round,
    'scale': _scale,
    'seq': _seq,
}
