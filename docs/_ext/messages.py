"""``{messages}``: every error of the package with every message it is raised with.

Read from the source, so that the page cannot fall behind it. What a message fills in is shown as …
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from command_line import escaped
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import modelarrayio_bids
from modelarrayio_bids import errors

PACKAGE = Path(modelarrayio_bids.__file__).parent
GAP = '…'


@dataclass(frozen=True, order=True)
class Message:
    """What an error says, and what it tells its reader to do."""

    what: str
    remedy: str = ''


def error_classes() -> list[type[errors.ModelArrayIOError]]:
    """All of them, in the order of the module."""
    found = vars(errors).values()
    return [c for c in found if isinstance(c, type) and issubclass(c, errors.ModelArrayIOError)]


def exit_codes() -> dict[str, int]:
    """By their names in ``errors.py``."""
    return {name: code for name, code in vars(errors).items() if name.startswith('EXIT_')}


def messages() -> dict[str, list[Message]]:
    """By the name of the error, the messages it is raised with."""
    found: dict[str, set[Message]] = defaultdict(set)
    for path in PACKAGE.rglob('*.py'):
        for error, message in _raised_in(ast.parse(path.read_text('utf-8'))):
            found[error].add(message)
    return {error: sorted(texts) for error, texts in found.items()}


def _raised_in(tree: ast.Module) -> Iterator[tuple[str, Message]]:
    names = {error.__name__ for error in error_classes()}
    texts = _assigned(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
            what = _text(node.args[0], texts) if node.args else ''
            if what.strip(GAP):
                yield node.func.id, Message(what, _remedy(node, texts))


def _remedy(call: ast.Call, texts: dict[str, str]) -> str:
    named = [keyword.value for keyword in call.keywords if keyword.arg == 'remedy']
    third = [*named, *call.args[2:3]]
    return _text(third[0], texts) if third else ''


def _assigned(tree: ast.Module) -> dict[str, str]:
    """Texts that have a name; one that has two texts is told as neither."""
    found: dict[str, set[str]] = defaultdict(set)
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id].add(_text(node.value, {}))
    return {name: texts.pop() for name, texts in found.items() if len(texts) == 1}


def _text(node: ast.expr, texts: dict[str, str]) -> str:
    """A literal, what is filled in left open."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return ''.join(_text(part, texts) for part in node.values)
    if isinstance(node, ast.Name):
        return texts.get(node.id, GAP)
    return GAP


class Messages(SphinxDirective):
    """A section for each error: its exit code, what it means, its messages."""

    def run(self) -> list[nodes.Node]:
        """Write the page's Markdown, and have it read."""
        text = '\n'.join(_listed(messages()))
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def _listed(found: dict[str, list[Message]]) -> Iterator[str]:
    for error in error_classes():
        meaning = (error.__doc__ or '').partition('\n')[0]
        yield from (f'### {error.__name__}', '', f'{meaning} Exit code {error.exit_code}.', '')
        for message in found.get(error.__name__, []):
            remedy = '' if message.remedy in {'', GAP} else f' — {escaped(message.remedy)}'
            yield f'* *{escaped(message.what.strip())}*{remedy}'
        yield ''


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx."""
    app.add_directive('messages', Messages)
    return {'parallel_read_safe': True}
