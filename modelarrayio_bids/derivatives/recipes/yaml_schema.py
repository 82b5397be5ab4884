"""Hand-written YAML, validated with a JSON schema; faults are reported by line and key.

>>> schema = {'type': 'object', 'properties': {'name': {'type': 'string'}}, 'required': ['name'],
...           'additionalProperties': False}
>>> Document.from_text('nam: mine', Path('mine.yaml')).check(schema)
Traceback (most recent call last):
modelarrayio_bids.errors.RecipeError: mine.yaml: line 1 (nam): there is no such key as 'nam'.
Allowed here: name.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
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
from modelarrayio_bids.errors import RecipeError
from modelarrayio_bids.formats.delimited_text import read_text

_SHOW_FORM = 'docs/recipes.md shows the form.'


class _StrictLoader(yaml.SafeLoader):
    """PyYAML's loader, except that duplicate keys are errors."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys: list[Any] = []
        for name, _ in node.value:
            if name.value in keys:
                problem = f'has the key {name.value} twice'
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=name.start_mark)
            keys.append(name.value)
        return super().construct_mapping(node, deep)


@dataclass(frozen=True)
class Document:
    """A YAML file, with the line of each entry.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    content : object
        Content of the file.
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
        return cls.from_text(read_text(path)[0], path)

    @classmethod
    def from_text(cls, text: str, path: Path) -> Document:
        """Parse text that was read already; errors as :meth:`read`."""
        try:
            content = yaml.load(text, _StrictLoader)  # noqa: S506 - a SafeLoader
            return cls(path, content, yaml.compose(text, yaml.SafeLoader))
        except yaml.YAMLError as error:
            raise RecipeError(f'is not YAML: {_of_yaml(error)}', path, 'Fix it.') from error
        except RecursionError as error:
            raise RecipeError('is nested too deep', path, 'Fix it.') from error

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
        """Return the error of one place of the file."""
        place = f' ({key_path(keys)})' if keys else ''
        return RecipeError(f'line {self._line(keys)}{place}: {what}', self.path, remedy)

    def _order(self, fault: Fault) -> tuple[bool, int]:
        # A key that is lacking is often one that was misspelt: that one tells more.
        return fault.is_lacking, self._line(fault.keys)

    def _line(self, keys: Keys) -> int:
        """Return the line of what is nearest to these keys, the first one being 1."""
        place = node = self.root
        for key in keys:
            nearer, node = _step(node, key)
            place = nearer or place
        return 1 if place is None else place.start_mark.line + 1


def _step(node: yaml.Node | None, key: str | int) -> tuple[yaml.Node | None, yaml.Node | None]:
    """Return where a key or an entry stands, and its value."""
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if name.value == str(key):
                return name, value
    elif isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
        return node.value[key], node.value[key]
    return None, None


def _of_yaml(error: yaml.YAMLError) -> str:
    """Return PyYAML's own text on one line."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f'line {error.problem_mark.line + 1}: {error.problem}'
    return ' '.join(str(error).split())
