"""BIDS filter files: a person's own conditions on the scalars and the masks.

As fMRIPrep's ``--bids-filter-file``: JSON of entities to labels, ``null`` for "must be absent",
``"*"`` for "must be there", lists for "any of these"::

    {"scalar": {"acq": "10per000", "session": ["01", "02"]}, "mask": {"desc": "brain"}}

What ``scalar`` says comes on top of the recipe's own conditions; what ``mask`` says of an entity
takes the place of what the recipe says of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelarrayio_bids.derivatives.bids.entities import Conditions, parse_conditions
from modelarrayio_bids.errors import FormatError, SourceNotFoundError, UsageError

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
    def from_file(cls, path: Path) -> BidsFilters:
        """Read a filter file.

        Raises
        ------
        SourceNotFoundError
            If there is no such file.
        FormatError
            If it is not JSON.
        UsageError
            As :meth:`from_dict`.
        """
        try:
            raw = json.loads(path.read_text('utf-8-sig'))
        except FileNotFoundError as error:
            raise SourceNotFoundError('no such file', path, 'Check --bids-filter-file.') from error
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise FormatError(f'is not JSON ({error})', path, 'Mend the file.') from error
        return cls.from_dict(raw, path)

    @classmethod
    def from_dict(cls, raw: Any, origin: Path | None = None) -> BidsFilters:
        """Filters from what JSON gave.

        Raises
        ------
        UsageError
            If it speaks of anything but scalars and masks, of an unknown entity, or of a value
            that is no label: nothing is dropped silently.
        """
        if not isinstance(raw, Mapping):
            raise UsageError(
                'should be an object', origin, 'Write it as {"scalar": {"acq": "label"}}.'
            )
        if unknown := [str(key) for key in raw if key not in KINDS]:
            raise UsageError(
                f'filters {", ".join(unknown)}, which nothing here is called',
                origin,
                f'Write filters for: {", ".join(KINDS)}.',
            )
        try:
            return cls(**{kind: parse_conditions(raw[kind]) for kind in KINDS if kind in raw})
        except ValueError as error:
            raise UsageError(str(error), origin, 'Mend the BIDS filters.') from error
