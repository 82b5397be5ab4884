"""``{command-line}``: the reference of a command, from its parser.

The argument names what makes the parser, ``package.module:function``, and perhaps one of its
commands. Each group of options becomes a section, each option a ``{option}`` to refer to.
"""

from __future__ import annotations

import argparse
import importlib
import re
from collections.abc import Iterator

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

#: Defaults that are the machine's are told in words; the number is that of who builds the pages.
_OF_THE_MACHINE = ', %(default)s'


class CommandLine(SphinxDirective):
    """The options of a command."""

    required_arguments = 1
    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Write the page's Markdown, and have it read."""
        text = '\n'.join(_described(parser_of(*self.arguments)))
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def parser_of(place: str, command: str | None = None) -> argparse.ArgumentParser:
    """The parser, or that of one of its commands."""
    module, _, function = place.partition(':')
    parser = getattr(importlib.import_module(module), function)()
    if command is None:
        return parser
    (commands,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))  # noqa: SLF001
    return commands.choices[command]


def _described(parser: argparse.ArgumentParser) -> Iterator[str]:
    yield from (escaped(parser.description or ''), '')
    yield from (f'```{{program}} {parser.prog}', '```', '')
    for group in parser._action_groups:  # noqa: SLF001
        # argparse hangs exclusive groups below their own: they have no name here.
        actions = [action for action in group._group_actions if action.help != argparse.SUPPRESS]  # noqa: SLF001
        if not actions:
            continue
        yield from (f'## {(group.title or "").capitalize()}', '')
        for action in actions:
            yield from _option(action, parser)


def _option(action: argparse.Action, parser: argparse.ArgumentParser) -> Iterator[str]:
    yield f'````{{option}} {", ".join(_signatures(action))}'
    yield from (escaped(_help(action, parser)), '````', '')


def _signatures(action: argparse.Action) -> Iterator[str]:
    """Each spelling with its value; ``--like_this``, for the predecessor's scripts, goes unsaid."""
    if not action.option_strings:
        yield action.metavar or action.dest
        return
    value = '' if action.nargs == 0 else f' {_value(action)}'
    for spelling in action.option_strings:
        if '_' not in spelling:
            yield f'{spelling}{value}'


def _value(action: argparse.Action) -> str:
    choices = '{' + ','.join(map(str, action.choices)) + '}' if action.choices else None
    name = str(action.metavar or choices or action.dest.upper())
    return f'{name} [{name} ...]' if action.nargs == '+' else name


def _help(action: argparse.Action, parser: argparse.ArgumentParser) -> str:
    text = (action.help or '').replace(_OF_THE_MACHINE, '')
    required = ' (required)' if action.option_strings and action.required else ''
    return text % (vars(action) | {'prog': parser.prog}) + required


def escaped(text: str) -> str:
    """Plain text, in Markdown."""
    return re.sub(r'([\\`*_{}\[\]<>#|$])', r'\\\1', text)


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx."""
    app.add_directive('command-line', CommandLine)
    return {'parallel_read_safe': True}
