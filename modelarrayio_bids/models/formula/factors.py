"""Functions of factors that a formula may call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from modelarrayio_bids.models.formula.arguments import (
    TRUE,
    count,
    flag,
    listed_texts,
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


def _as_ordered(x: Value) -> Factor:
    return replace(_as_factor(x), is_ordered=True)


def _droplevels(x: Value) -> Factor:
    return without_unused_levels(_as_factor(x))


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


#: Functions by R's names.
FACTORS: dict[str, Callable[..., Value]] = {
    **{f'contr.{kind}': _contrasts(kind) for kind in CONTRASTS},
    'C': _choose_contrasts,
    'as.factor': _as_factor,
    'as.ordered': _as_ordered,
    'droplevels': _droplevels,
    'factor': _factor,
    'ordered': _ordered,
    'relevel': _relevel,
}
