"""BIDS filter files: conditions of the user on scalars and masks.

As fMRIPrep's ``--bids-filter-file``: JSON of entities to labels, ``null`` for "must be absent",
``"*"`` for "must be there", lists for "any of these"::

    {"scalar": {"acq": "10per000", "session": ["01", "02"]}, "mask": {"desc": "brain"}}

What ``scalar`` says comes on top of the recipe's own conditions; what ``mask`` says of an entity
takes the place of what the recipe says of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelarrayio_bids.derivatives.bids.entities import (
    ALIASES,
    Conditions,
    entity_name,
    parse_conditions,
)
from modelarrayio_bids.errors import UsageError

KINDS = ('scalar', 'mask')


@dataclass(frozen=True)
class BidsFilters:
    """Conditions on the scalars and on the masks.

    >>> BidsFilters.from_dict({'scalar': {'acquisition': 'a'}}).scalar
    {'acq': frozenset({'a'})}
    """

    scalar: Conditions = field(default_factory=dict)
    mask: Conditions = field(default_factory=dict)

    @classmethod
    def from_dict(cls, raw: Any, origin: Path | None = None) -> BidsFilters:
        """Return filters from what JSON gave.

        Raises
        ------
        UsageError
            If it speaks of anything but scalars and masks, of what cannot be an entity, or of a
            value that is not a label: nothing is dropped silently.
        """
        if not isinstance(raw, Mapping):
            raise UsageError(
                'should be an object', origin, 'Write it as {"scalar": {"acq": "label"}}.'
            )
        if unknown := [str(key) for key in raw if key not in KINDS]:
            raise UsageError(
                f'has filters for {", ".join(unknown)}, which do not exist',
                origin,
                f'Write filters for: {", ".join(KINDS)}.',
            )
        try:
            return cls(**{kind: parse_conditions(raw[kind]) for kind in KINDS if kind in raw})
        except ValueError as error:
            raise UsageError(str(error), origin, 'Fix the BIDS filters.') from error


def selected(words: Iterable[str]) -> dict[str, list[str | None]]:
    """Return the conditions that ``--select KEY=LABEL`` gives, as a filter file would have them.

    >>> selected(['atlas=Tian', 'desc=', 'run=1,2'])
    {'atlas': ['Tian'], 'desc': [None], 'run': ['1', '2']}

    Raises
    ------
    UsageError
        If a word is not of this form, or names what cannot be an entity.
    """
    found: dict[str, list[str | None]] = {}
    for word in words:
        key, equals, labels = word.partition('=')
        if not equals or not key:
            raise UsageError(f'--select {word!r} has no label', remedy='Write it as KEY=LABEL.')
        try:
            entity = entity_name(key)
        except ValueError as error:
            raise UsageError(f'--select {word!r}: {error}', remedy='Fix the key.') from error
        found.setdefault(entity, []).extend(label or None for label in labels.split(','))
    return found


def merged(raw: Any, chosen: Mapping[str, Any], option: str) -> Any:
    """Return filters with the conditions on scalars that an option adds.

    Raises
    ------
    UsageError
        If the filters speak of one of its entities already.
    """
    if not chosen or not isinstance(raw, Mapping):
        return raw
    scalar = raw.get('scalar', {})
    if not isinstance(scalar, Mapping):
        return raw
    for key in scalar:
        if ALIASES.get(str(key), key) in chosen:
            raise UsageError(
                f'{option} and other filters both choose by {key}', remedy='Choose by one of them.'
            )
    return {**raw, 'scalar': {**scalar, **chosen}}
