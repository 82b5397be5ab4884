"""The kinds of models, and which of them a formula asks for.

Belongs here: name, help and statistics of each kind, and when a formula means it.
Does not: its arithmetic, which is in ``models``.

>>> from modelarrayio_bids.models.formula.terms import Terms
>>> kind_of(Terms.of('FA ~ age + sex')).name
'lm'
"""

from __future__ import annotations

from collections.abc import Mapping

from modelarrayio_bids.errors import FormulaError, UsageError
from modelarrayio_bids.models.formula.terms import BARS, Terms, written
from modelarrayio_bids.models.kinds.base import ModelKind
from modelarrayio_bids.models.kinds.gam import AdditiveKind
from modelarrayio_bids.models.kinds.lm import LinearKind
from modelarrayio_bids.models.kinds.lmer import RandomInterceptKind

__all__ = ['KINDS', 'ModelKind', 'kind_of', 'own_statistics']

#: By name; in the order in which a formula is tried with them.
KINDS: dict[str, ModelKind] = {
    kind.name: kind for kind in (LinearKind(), AdditiveKind(), RandomInterceptKind())
}


def kind_of(terms: Terms, method: str = '') -> ModelKind:
    """Return the kind of model that a formula asks for.

    Parameters
    ----------
    terms : Terms
        The formula.
    method : str, optional
        The name of a kind: that one, whatever the formula.

    Raises
    ------
    UsageError
        If no kind has that name.
    FormulaError
        If the formula has a smooth or a random effect that the kind, or any kind, does not take.
    """
    if method and method not in KINDS:
        raise UsageError(f'there is no method {method!r}', remedy=f'There are {", ".join(KINDS)}.')
    asked = {special.function for special in terms.special}
    kinds = [KINDS[method]] if method else KINDS.values()
    for kind in kinds:
        # Among kinds without their own notation, the first is the default: least squares.
        if asked <= kind.notation:
            kind.check(terms)
            return kind
    raise _not_taken(terms, method)


def own_statistics() -> Mapping[str, str]:
    """Return the statistics that kinds have beside the common ones, described."""
    return {name: words for kind in KINDS.values() for name, words in kind.own_statistics.items()}


def _not_taken(terms: Terms, method: str) -> FormulaError:
    """Return why a formula is refused: its first smooth or random effect that no model supports."""
    taken = KINDS[method].notation if method else frozenset[str]()
    others = [special for special in terms.special if special.function not in taken]
    what = others[0]
    is_bar = what.function in BARS
    noun = KINDS[method].noun if method else 'linear model'
    known = frozenset[str]().union(*(kind.notation for kind in KINDS.values()))
    if not method and {special.function for special in terms.special} <= known:
        return FormulaError(
            'no model has ' + ' and '.join(map(written, terms.special)),
            remedy='Leave smooths or random effects out, or use ModelArray.wrap in R.',
        )
    return FormulaError(
        f'{written(what)} is a {"random effect" if is_bar else "smooth"}, which {noun}s do not '
        f'have',
        remedy='Leave it out and fit one image of each participant, or use lme4 in R.'
        if is_bar
        else 'Use ns(), bs() or poly() here, or ModelArray.gam in R.',
    )
