"""Functions of factors, and ``cut``, which makes them of numbers, that a formula may call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np

from modelarrayio_bids.models.formula.arguments import (
    FALSE,
    TRUE,
    constant,
    constants,
    count,
    flag,
    listed_texts,
    numbers_of,
    of_rows,
)
from modelarrayio_bids.models.formula.values import (
    CONTRASTS,
    ArgumentError,
    Contrasts,
    Factor,
    Numbers,
    Value,
    as_factor,
    factor_of,
    without_unused_levels,
)
from modelarrayio_bids.runtime.text_format import some

_MOST_LEVELS = 10_000
_MOST_INTERVALS = 1_000
_MOST_DIGITS = 15
_THREE_DIGITS = constant(3)


def _factor(
    x: Value,
    levels: Value | None = None,
    labels: Value | None = None,
    ordered: Value | None = None,
) -> Factor:
    vector = of_rows(x)
    if levels is None:
        factor = without_unused_levels(factor_of(vector))
    else:
        listed = listed_texts(levels, 'levels')
        if len(set(listed)) < len(listed):
            raise ArgumentError('has a level twice')
        factor = as_factor(vector.texts(), listed)
    if labels is not None:
        factor = _labelled(factor, listed_texts(labels, 'labels'))
    was_ordered = isinstance(vector, Factor) and vector.is_ordered
    is_ordered = was_ordered if ordered is None else flag(ordered, 'ordered')
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
    return factor_of(of_rows(x))


def _ordered(x: Value, levels: Value | None = None, labels: Value | None = None) -> Factor:
    return _factor(x, levels, labels, TRUE)


def _relevel(x: Value, ref: Value) -> Factor:
    """``relevel()``: the level named becomes the first, the reference."""
    factor = _as_factor(x)
    if factor.is_ordered:
        raise ArgumentError('cannot change the first of ordered levels')
    if isinstance(ref, Numbers):
        wanted = factor.levels[count(ref, 'ref', 1, len(factor.levels)) - 1]
    else:
        wanted = ' '.join(listed_texts(ref, 'ref'))
    if wanted not in factor.levels:
        raise ArgumentError(f'has no level {wanted!r}: levels are {some(factor.levels, 10)}')
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
        n_levels = None if n is None else count(n, 'n', 2, _MOST_LEVELS)
        if base is not None and kind != 'treatment':
            raise ArgumentError('has no argument base')
        first = 1 if base is None else count(base, 'base', 1, n_levels or _MOST_LEVELS)
        return Contrasts(kind, first, is_numbered=True, n_levels=n_levels)

    return apply


def _cut(
    x: Value,
    breaks: Value,
    *,
    labels: Value | None = None,
    include_lowest: Value = FALSE,
    right: Value = TRUE,
    dig_lab: Value = _THREE_DIGITS,
    ordered_result: Value = FALSE,
) -> Value:
    """Return the interval of each number, as R's ``cut`` does: a factor, or a number.

    Parameters
    ----------
    x : Value
        Numbers.
    breaks : Value
        The ends of the intervals, or how many of equal length there are.
    labels : Value, optional
        Names of the intervals; FALSE for numbers.
    include_lowest, right : Value, optional
        Include the outermost end; include the right instead of the left ends.
    dig_lab : Value, optional
        Digits of the ends in names.
    ordered_result : Value, optional
        Return an ordered factor.
    """
    values = numbers_of(of_rows(x)).data
    ends = _breaks(values, constants(breaks, 'breaks'))
    closed_right, lowest = flag(right, 'right'), flag(include_lowest, 'include.lowest')
    codes = _intervals(values, ends, closed_right=closed_right, lowest=lowest)
    if isinstance(labels, Numbers) and labels.kind == 'logical' and not flag(labels, 'labels'):
        return Numbers(np.where(codes < 0, np.nan, codes + 1.0), 'whole')
    if labels is None:
        digits = count(dig_lab, 'dig.lab', 1, _MOST_DIGITS)
        names = _interval_names(ends, digits, closed_right=closed_right, lowest=lowest)
    else:
        names = listed_texts(labels, 'labels')
    if len(names) != len(ends) - 1 or len(set(names)) < len(names):
        raise ArgumentError(f'needs {len(ends) - 1} different labels')
    return Factor(codes, tuple(names), flag(ordered_result, 'ordered_result'))


def _breaks(values: np.ndarray, breaks: np.ndarray) -> np.ndarray:
    """Return the ends of intervals: those given, or so many of equal length."""
    if breaks.size > 1:
        ends = np.sort(breaks)
    else:
        number = count(constant(*breaks), 'breaks', 2, _MOST_INTERVALS)
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


#: Functions by R's names.
FACTORS: dict[str, Callable[..., Value]] = {
    **{f'contr.{kind}': _contrasts(kind) for kind in CONTRASTS},
    'C': _choose_contrasts,
    'as.factor': _as_factor,
    'as.ordered': lambda x: replace(_as_factor(x), is_ordered=True),
    'cut': _cut,
    'droplevels': lambda x: without_unused_levels(_as_factor(x)),
    'factor': _factor,
    'ordered': _ordered,
    'relevel': _relevel,
}
