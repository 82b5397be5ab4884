"""Every error of the package with every message it is raised with, read from the source.

What a message fills in is shown as …; one that is put together elsewhere than where it is raised is
not found.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

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
    trees = [ast.parse(path.read_text('utf-8')) for path in sorted(PACKAGE.rglob('*.py'))]
    found: dict[str, set[Message]] = defaultdict(set)
    for tree in trees:
        _name_classes(tree)
        for error, message in _raised_in(tree):
            found[error].add(message)
    return {error: sorted(texts) for error, texts in found.items()}


#: By the name of a function or a variable of a module: the expressions it may stand for.
Meanings = Mapping[str, Sequence[ast.expr]]


def _raised_in(tree: ast.Module) -> Iterator[tuple[str, Message]]:
    names = {error.__name__ for error in error_classes()}
    meanings: dict[str, list[ast.expr]] = defaultdict(list)
    for name, expression in (*_assigned(tree), *_returned(tree)):
        meanings[name].append(expression)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args and _name(node.func) in names:
            remedies = [keyword.value for keyword in node.keywords if keyword.arg == 'remedy']
            for what in _texts(node.args[0], meanings):
                given = [*remedies, *node.args[2:3]] or [_usual_remedy(_name(node.func))]
                for remedy in _texts(given[0], meanings):
                    # What is said of a whole file's content can be anything.
                    if what.strip(f'{GAP} ()'):
                        yield _name(node.func), Message(what.strip(), remedy)


def _name_classes(tree: ast.Module) -> None:
    """Call a class by its name in its own constructors."""
    for definition in (node for node in tree.body if isinstance(node, ast.ClassDef)):
        for node in ast.walk(definition):
            if isinstance(node, ast.Name) and node.id == 'cls':
                node.id = definition.name


def _usual_remedy(error: str) -> ast.expr:
    return ast.Constant(getattr(errors, error).usual_remedy)


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ''


def _texts(node: ast.expr, meanings: Meanings) -> list[str]:
    """What an expression may say; what is filled in is left open."""
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if isinstance(node, ast.JoinedStr):
        parts = (part.value if isinstance(part, ast.Constant) else GAP for part in node.values)
        return [''.join(map(str, parts))]
    meant: Sequence[ast.expr] = ()
    if isinstance(node, ast.IfExp):
        meant = (node.body, node.orelse)
    elif isinstance(node, ast.BinOp):
        meant = (node.left,)
    elif isinstance(node, ast.Name | ast.Call):
        meant = meanings.get(_name(node.func if isinstance(node, ast.Call) else node), ())
    # Of a name that stands for itself nothing is to be had.
    rest = {name: found for name, found in meanings.items() if found is not meant}
    return [text for one in meant for text in _texts(one, rest)] or [GAP]


def _assigned(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Names that stand for a text."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and _may_be_text(node.value):
            for target in node.targets:
                yield _name(target), node.value
        elif isinstance(node, ast.NamedExpr) and _may_be_text(node.value):
            yield _name(node.target), node.value


def _may_be_text(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str)
    return isinstance(node, ast.JoinedStr | ast.Call | ast.IfExp)


def _returned(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Functions that return a text."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef) and 'str' in ast.unparse(
            function.returns or ast.Constant('')
        ):
            for node in ast.walk(function):
                if isinstance(node, ast.Return) and isinstance(node.value, ast.JoinedStr):
                    yield function.name, node.value
