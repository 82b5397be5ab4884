"""Write the command line as a Boutiques descriptor (schema 0.5): platforms make forms of it.

Everything is read off the argument parser. The package ships the result: ``make descriptor``.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from modelarrayio_bids import errors
from modelarrayio_bids.__about__ import URL, __version__
from modelarrayio_bids.cli.app.settings import is_list
from modelarrayio_bids.cli.bids_app import get_parser
from modelarrayio_bids.cli.options import disk_path, place, positive
from modelarrayio_bids.cli.parser import Parser
from modelarrayio_bids.cli.run import EXIT_INTERRUPTED
from modelarrayio_bids.runtime.termination import EXIT_TERMINATED

#: Where the package has it.
FILE = Path(__file__).parents[2] / 'modelarrayio_bids' / 'data' / 'boutiques.json'
# Made if they are not there; a File of Boutiques has to be there before.
_OUTPUTS = {'output_dir', 'work_dir', 'cache_dir', 'bids_database_dir'}
# Of the machine that prints the descriptor.
_NO_DEFAULT = {'nprocs'}
_CODES = {
    errors.EXIT_INVALID_BIDS: 'An input is not a BIDS dataset',
    errors.EXIT_UNKNOWN_LEVEL: 'There is no such analysis level',
    errors.EXIT_NOTHING_SELECTED: 'What was asked for is not in the datasets',
    errors.EXIT_USAGE: 'Options that cannot be used so',
    errors.EXIT_DATA: 'Data that cannot be used',
    errors.EXIT_NO_INPUT: 'A file that was named is not there',
    errors.EXIT_INTERNAL: 'A bug',
    errors.EXIT_CANNOT_CREATE: 'An output cannot be created',
    errors.EXIT_IO: 'An output could not be finished',
    errors.EXIT_TRY_AGAIN: 'A job was killed; the same command goes on from there',
    EXIT_INTERRUPTED: 'Interrupted',
    EXIT_TERMINATED: 'Terminated',
}


def descriptor() -> str:
    """Return the JSON text that the package has to ship."""
    return json.dumps(_described(get_parser()), indent=2) + '\n'


def _described(parser: Parser) -> dict[str, Any]:
    inputs = [_input(action, parser) for action in _actions(parser)]
    return {
        'name': parser.prog,
        'description': parser.description,
        'tool-version': __version__,
        'schema-version': '0.5',
        'author': 'The modelarrayio-bids developers',
        'url': URL,
        'tags': {'domain': ['neuroinformatics'], 'standard': ['BIDS']},
        # Positional arguments come first, where no list of values can swallow them.
        'command-line': ' '.join([parser.prog, *(one['value-key'] for one in inputs)]),
        'inputs': inputs,
        'groups': [*_exclusive(parser), *_titled(parser)],
        'output-files': [
            {
                'id': 'outputs',
                'name': 'Outputs',
                'description': 'The folder of all outputs, a BIDS derivative',
                'path-template': '[OUTPUT_DIR]',
                'optional': False,
            }
        ],
        'error-codes': [{'code': code, 'description': what} for code, what in _CODES.items()],
    }


def _actions(parser: Parser) -> list[argparse.Action]:
    """What a form can ask: each thing once, positional arguments first."""
    return sorted(parser.distinct(), key=lambda action: bool(action.option_strings))


def _input(action: argparse.Action, parser: Parser) -> dict[str, Any]:
    entry: dict[str, Any] = {
        'id': action.dest,
        'name': action.dest.replace('_', ' ').capitalize(),
        'description': _help(action, parser),
        'value-key': f'[{action.dest.upper()}]',
        'optional': not action.required,
        **_type(action),
    }
    if action.option_strings:
        entry['command-line-flag'] = _flag(action)
    if is_list(action):
        entry |= {'list': True, 'min-list-entries': 1}
        if action.nargs is None:
            # One value each time: the flag comes again between them.
            entry['list-separator'] = f' {_flag(action)} '
    if choices := _choices(action):
        entry['value-choices'] = choices
    default = action.default
    if entry['type'] != 'Flag' and default not in (None, []) and action.dest not in _NO_DEFAULT:
        entry['default-value'] = _default(default, entry)
    return entry


def _type(action: argparse.Action) -> dict[str, Any]:
    if action.nargs == 0:
        return {'type': 'Flag'}
    if action.type is positive:
        return {'type': 'Number', 'integer': True, 'minimum': 1}
    if action.type is int:
        return {'type': 'Number', 'integer': True}
    if action.type is float:
        return {'type': 'Number'}
    is_input = action.type in {disk_path, place} and action.dest not in _OUTPUTS
    return {'type': 'File' if is_input else 'String'}


def _choices(action: argparse.Action) -> list[str]:
    """Those that argparse checks, or those of a ``{name,other}`` that we check ourselves."""
    if action.choices is not None:
        return [str(choice) for choice in action.choices]
    shown = re.fullmatch(r'\{(.+)\}', str(action.metavar))
    return shown[1].split(',') if shown else []


def _flag(action: argparse.Action) -> str:
    return next(word for word in action.option_strings if word.startswith('--'))


def _help(action: argparse.Action, parser: Parser) -> str:
    return (action.help or '') % {**vars(action), 'prog': parser.prog}


def _default(value: Any, entry: dict[str, Any]) -> Any:
    if entry.get('list'):
        return [_text(item) for item in value]
    return _text(value) if entry['type'] == 'String' else value


def _text(value: Any) -> str:
    return f'{value:g}' if isinstance(value, float) else str(value)


def _exclusive(parser: Parser) -> Iterator[dict[str, Any]]:
    for number, actions in enumerate(parser.exclusive(), start=1):
        yield {
            'id': f'one_of_{number}',
            'name': ' or '.join(_flag(action) for action in actions),
            'members': [action.dest for action in actions],
            'mutually-exclusive': True,
        }


def _titled(parser: Parser) -> Iterator[dict[str, Any]]:
    """The groups of ``--help``, without what is in a group that excludes."""
    taken = {action.dest for actions in parser.exclusive() for action in actions}
    for group in parser._action_groups:  # noqa: SLF001 - argparse tells nobody else
        wanted = {action.dest for action in group._group_actions} - taken  # noqa: SLF001
        members = [action.dest for action in _actions(parser) if action.dest in wanted]
        if members:
            title = group.title or ''
            name = re.sub(r'\W+', '_', title)
            yield {'id': f'about_{name}', 'name': title.capitalize(), 'members': members}


if __name__ == '__main__':
    FILE.write_text(descriptor(), 'utf-8')
