"""Faults that a JSON schema finds in a hand-written file, in plain words.

>>> schema = {'type': 'object', 'properties': {'name': {'type': 'string'}}, 'required': ['name'],
...           'additionalProperties': False}
>>> for fault in schema_faults({'nam': 'mine'}, schema):
...     print(fault.keys, fault.what)
() lacks name
('nam',) there is no such key as 'nam'
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator, ValidationError

#: From the outermost to the innermost: a key, or the index of an entry of a list.
Keys = Sequence[str | int]

_WORDS = {
    'object': 'keys with values',
    'array': 'a list',
    'string': 'text',
    'boolean': 'true or false',
    'number': 'a number',
    'integer': 'a whole number',
    'null': 'null',
}


@dataclass(frozen=True)
class Fault:
    """A place in a file that violates a schema.

    Parameters
    ----------
    keys : sequence of str or int
        The place.
    what : str
        Description of the fault.
    allowed : str
        Allowed values, as a sentence: ``remedy`` of the schema; may be empty.
    is_lacking : bool
        True if required keys are missing.
    """

    keys: Keys
    what: str
    allowed: str
    is_lacking: bool


def schema_faults(content: Any, schema: Mapping[str, Any]) -> Iterator[Fault]:
    """Compare the content of a file with a JSON schema, and yield all faults."""
    # jsonschema reports each absent key on its own.
    yield from dict.fromkeys(_faults(content, schema))


def _faults(content: Any, schema: Mapping[str, Any]) -> Iterator[Fault]:
    for error in Draft202012Validator(schema).iter_errors(content):
        place: tuple[str | int, ...] = tuple(error.absolute_path)
        is_lacking = error.validator == 'required'
        for key in _unknown(error):
            what = f'there is no such key as {key!r}'
            yield Fault((*place, key), what, _allowed(error), is_lacking=False)
        if error.validator != 'additionalProperties':
            yield Fault(place, _what(error), _allowed(error), is_lacking)


def key_path(keys: Keys) -> str:
    """Return keys with numbers from 1.

    >>> key_path(['scalars', 0, 'where'])
    'scalars, entry 1, where'
    """
    return ', '.join(f'entry {key + 1}' if isinstance(key, int) else key for key in keys)


def _unknown(error: ValidationError) -> list[str]:
    if error.validator != 'additionalProperties' or not _properties(error):
        return []
    found: Any = error.instance
    return [str(key) for key in found if key not in _properties(error)]


def _properties(error: ValidationError) -> Mapping[str, Any]:
    schema = error.schema
    return schema.get('properties', {}) if isinstance(schema, Mapping) else {}


def _what(error: ValidationError) -> str:
    wanted: Any = error.validator_value
    found: Any = error.instance
    if error.validator == 'required':
        return f'lacks {", ".join(key for key in wanted if key not in found)}'
    if error.validator == 'type':
        kinds = [wanted] if isinstance(wanted, str) else wanted
        return f'should be {" or ".join(_WORDS[kind] for kind in kinds)}, found {found!r}'
    if error.validator in {'minItems', 'minProperties', 'minLength'} and not found:
        return 'should not be empty'
    if error.validator in {'maxItems', 'maxProperties', 'maxLength'} and not wanted:
        return f'should be empty, found {found!r}'
    if error.validator == 'enum':
        return f'should be {" or ".join(map(repr, wanted))}, found {found!r}'
    return ' '.join(error.message.split())


def _allowed(error: ValidationError) -> str:
    if error.validator in {'required', 'additionalProperties'}:
        return f'Allowed here: {", ".join(_properties(error))}.'
    schema: Any = error.schema
    return str(schema.get('remedy', ''))
