"""YAML that people write: read, compared with a JSON schema, its faults named by line and key.

>>> schema = {'type': 'object', 'properties': {'name': {'type': 'string'}}, 'required': ['name'],
...           'additionalProperties': False}
>>> Document.from_text('nam: mine', Path('mine.yaml')).check(schema)
Traceback (most recent call last):
modelarrayio_bids.errors.RecipeError: mine.yaml: line 1 (nam): there is no such key as 'nam'.
Allowed here: name.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from modelarrayio_bids.derivatives.recipes.schema_faults import (
    Fault,
    Keys,
    key_path,
    schema_faults,
)
from modelarrayio_bids.errors import RecipeError, SourceNotFoundError

_SHOW_FORM = 'docs/recipes.md shows the form.'


@dataclass(frozen=True)
class Document:
    """A YAML file, with the place of everything in it.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    content : object
        What it holds.
    root : yaml.Node or None
        The same, with the line of each part.
    """

    path: Path
    content: Any
    root: yaml.Node | None

    @classmethod
    def read(cls, path: Path) -> Document:
        """Read a file.

        Raises
        ------
        SourceNotFoundError
            If there is no such file.
        RecipeError
            If it is not YAML, or has one key twice.
        """
        try:
            text = path.read_text('utf-8-sig')
        except FileNotFoundError as error:
            raise SourceNotFoundError('no such file', path, 'Check the recipe.') from error
        except (OSError, UnicodeDecodeError) as error:
            raise RecipeError(f'cannot be read ({error})', path, 'Save it as UTF-8.') from error
        return cls.from_text(text, path)

    @classmethod
    def from_text(cls, text: str, path: Path) -> Document:
        """As :meth:`read`, of text that was read already."""
        try:
            root = yaml.compose(text, yaml.SafeLoader)
            document = cls(path, yaml.safe_load(text), root)
        except yaml.YAMLError as error:
            raise RecipeError(f'is not YAML: {_of_yaml(error)}', path, 'Fix it.') from error
        except RecursionError as error:
            raise RecipeError('is nested too deep', path, 'Fix it.') from error
        for node, key in _repeated(root):
            line = node.start_mark.line + 1
            raise RecipeError(f'line {line}: has the key {key} twice', path, 'Keep one of them.')
        return document

    def check(self, schema: Mapping[str, Any]) -> None:
        """Compare it with a JSON schema.

        Raises
        ------
        RecipeError
            The first fault in it: where, what, and what is allowed there.
        """
        faults = schema_faults(self.content, schema)
        first = min(faults, key=self._order, default=None)
        if first is not None:
            raise self.error(first.keys, first.what, first.allowed or _SHOW_FORM)

    def error(self, keys: Keys, what: str, remedy: str = _SHOW_FORM) -> RecipeError:
        """What is wrong at one place of the file, to be raised."""
        place = f' ({key_path(keys)})' if keys else ''
        return RecipeError(f'line {self._line(keys)}{place}: {what}', self.path, remedy)

    def _order(self, fault: Fault) -> tuple[bool, int]:
        # A key that is lacking is often one that was misspelt: that one tells more.
        return fault.is_lacking, self._line(fault.keys)

    def _line(self, keys: Keys) -> int:
        """The line of what is nearest to these keys, the first one being 1."""
        node, mark = self.root, None
        for key in keys:
            place, node = _step(node, key)
            if place is None:
                break
            mark = place.start_mark
        if mark is None:
            mark = self.root.start_mark if self.root is not None else None
        return 1 if mark is None else mark.line + 1


def _step(node: yaml.Node | None, key: str | int) -> tuple[yaml.Node | None, yaml.Node | None]:
    """Where a key or an entry stands, and its value."""
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if name.value == str(key):
                return name, value
    elif isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
        return node.value[key], node.value[key]
    return None, None


def _repeated(node: yaml.Node | None) -> Iterator[tuple[yaml.Node, str]]:
    """Keys that stand twice in one mapping: YAML's reader would drop the first in silence."""
    if isinstance(node, yaml.SequenceNode):
        for entry in node.value:
            yield from _repeated(entry)
    elif isinstance(node, yaml.MappingNode):
        seen: set[Hashable] = set()
        for name, value in node.value:
            if name.value in seen:
                yield name, str(name.value)
            seen.add(name.value if isinstance(name.value, str) else id(name))
            yield from _repeated(value)


def _of_yaml(error: yaml.YAMLError) -> str:
    """PyYAML's own text, on one line."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f'line {error.problem_mark.line + 1}: {error.problem}'
    return ' '.join(str(error).split())
