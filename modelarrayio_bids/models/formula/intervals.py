"""Numbers to intervals: R's ``cut``."""

from __future__ import annotations

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
    ArgumentError,
    Factor,
    Numbers,
    Value,
)

_MOST_INTERVALS = 1_000
_MOST_DIGITS = 15
_THREE_DIGITS = constant(3)


def cut(
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
