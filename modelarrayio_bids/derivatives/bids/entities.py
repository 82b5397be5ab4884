"""The entities of BIDS names, and conditions on them.

A condition is what a recipe or a BIDS filter file says of one entity, as in fMRIPrep's
``--bids-filter-file``: a label, a list of labels, ``null`` for "must be absent", ``"*"`` for "must
be there".

>>> conditions = parse_conditions({'suffix': 'dwimap', 'param': ['fa', 'md'], 'desc': None})
>>> matches({'suffix': 'dwimap', 'param': 'fa'}, conditions)
True
>>> matches({'suffix': 'dwimap', 'param': 'fa', 'desc': 'modulated'}, conditions)
False
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterable, Mapping
from typing import Any

from modelarrayio_bids.runtime.data_files import data_table

Entities = Mapping[str, str]
#: By entity: the labels allowed. None among them allows its absence, ``'*'`` any label.
Conditions = Mapping[str, frozenset[str | None]]

ANY = '*'

_NAMES = data_table('bids_names.toml')
#: Other names in use of entities.
ALIASES: Mapping[str, str] = _NAMES['aliases']

# The pattern of each entity in data/entities.json.
_PATTERN = r'[/\\_]{}-([a-zA-Z0-9+]+)(?=[^/\\]*$)'
_KEY = re.compile(r'[a-zA-Z0-9]+')
# Keys that are as alike as this to a known one are taken for a slip of the pen.
_SLIP = 0.88

_NATIVE = frozenset(space.lower() for space in _NAMES['native_spaces'])


def configuration(further: Iterable[str] = ()) -> dict[str, Any]:
    """Return a configuration for pybids: every entity, matched on a file's base name alone.

    Parameters
    ----------
    further : iterable of str, optional
        Keys that BIDS does not know, which are entities as well.
    """
    known = data_table('entities.json')
    own = [{'name': key, 'pattern': _PATTERN.format(re.escape(key))} for key in further]
    return {**known, 'entities': [*known['entities'], *own]}


@functools.cache
def names() -> tuple[str, ...]:
    """Return the entities known, in the order in which BIDS writes them.

    >>> names()[:3]
    ('subject', 'session', 'sample')
    """
    return tuple(entity['name'] for entity in data_table('entities.json')['entities'])


@functools.cache
def _known() -> frozenset[str]:
    return frozenset({*names(), *ALIASES})


def entity_name(text: str) -> str:
    """Return our name of an entity; any key that may stand in a file's name is one.

    >>> entity_name('acquisition'), entity_name('acq'), entity_name('reg')
    ('acq', 'acq', 'reg')

    Raises
    ------
    ValueError
        If no name can hold it, or a letter or two make it one that BIDS knows.
    """
    name = ALIASES.get(text, text)
    if name not in names():
        slip = difflib.get_close_matches(text, [*names(), *ALIASES], n=1, cutoff=_SLIP)
        if slip or not _KEY.fullmatch(text):
            raise ValueError(f'there is no entity {text!r} ({hint(text)})')
    return name


def hint(text: str, further: Iterable[str] = ()) -> str:
    """Return which entities may be meant by a text that is none.

    >>> hint('sufix')
    'do you mean suffix?'
    """
    known = [*names(), *further]
    close = difflib.get_close_matches(text, [*known, *ALIASES], n=2)
    return f'do you mean {" or ".join(close)}?' if close else f'known: {", ".join(known)}'


def parse_conditions(raw: Any) -> Conditions:
    """Return conditions from what YAML or JSON gave.

    Raises
    ------
    ValueError
        If an entity is unknown or a value is neither a label nor a list of them.
    """
    if not isinstance(raw, Mapping):
        raise ValueError(f'{raw!r} should map entities to labels')  # noqa: TRY004 - one kind
    return {entity_name(str(key)): _allowed(str(key), value) for key, value in raw.items()}


def matches(entities: Entities, conditions: Conditions) -> bool:
    """Return whether a file's entities fulfil every condition."""
    return all(
        entities.get(name) in allowed or (ANY in allowed and name in entities)
        for name, allowed in conditions.items()
    )


def is_native(space: str | None) -> bool:
    """Return whether a space is a subject's own; no space at all is.

    >>> is_native(None), is_native('T1w'), is_native('MNI152NLin2009cAsym')
    (True, True, False)
    """
    return space is None or space.lower() in _NATIVE


def unknown_pairs(name: str) -> dict[str, str]:
    """Return the entities in a file's name that BIDS does not know.

    >>> unknown_pairs('sub-01_space-MNI152NLin6Asym_kernel-6_desc-smooth_cbf.nii.gz')
    {'kernel': '6'}
    """
    pairs = (part.split('-', 1) for part in name.partition('.')[0].split('_') if '-' in part)
    return {key: label for key, label in pairs if key not in _known() and _KEY.fullmatch(key)}


def bare_label(text: str) -> str:
    """Return a label without the entity before it.

    >>> bare_label('sub-01'), bare_label('ses-01'), bare_label('01')
    ('01', '01', '01')
    """
    return text.removeprefix('sub-').removeprefix('ses-')


def _allowed(key: str, value: Any) -> frozenset[str | None]:
    values = value if isinstance(value, list) else [value]
    return frozenset(label for one in values for label in _labels(key, one))


def _labels(key: str, value: Any) -> Iterable[str | None]:
    if value is None:
        return (None,)
    if isinstance(value, bool) or not isinstance(value, str | int) or value == '':
        raise ValueError(f'{key}: {value!r} is not a label; give text, a list, null or "*"')
    name = entity_name(key)
    if isinstance(value, int) or (name in _NAMES['indices'] and value.isdecimal()):
        # pybids takes run: 1 and run: "1" for run-01 and run-001, and filter files rely on it.
        return tuple(f'{int(value):0{width}d}' for width in (1, 2, 3))
    if name == 'extension':
        return (value if value == ANY else f'.{value.lstrip(".")}',)
    return (bare_label(value) if name in {'subject', 'session'} else value,)
