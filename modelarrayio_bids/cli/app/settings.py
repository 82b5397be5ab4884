"""Settings in files: ``--config-file FILE``, and those of a run, written beside its log.

A settings file is TOML with a key for each option, by its long name, with ``-`` or ``_``::

    bids_dir = "/study"
    output_dir = "results"                # relative to the file, wherever the command is run
    analysis_level = "group"
    scalars = ["cbf", "dki_*"]
    overwrite = true

    [datasets]
    aslprep = "derivatives/aslprep"

What is given on the command line replaces what the file says.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from modelarrayio_bids.__about__ import __version__
from modelarrayio_bids.cli.options import Section, dataset, disk_path, label, named, place
from modelarrayio_bids.cli.parser import Parser
from modelarrayio_bids.errors import UsageError
from modelarrayio_bids.runtime.redaction import redacted

#: Types of options whose values are text, which TOML tells from numbers.
_TEXTS = (None, disk_path, place, label, dataset, named)


@dataclass(frozen=True)
class Settings:
    """Settings of a run, in full.

    Parameters
    ----------
    command : str
        The command line.
    values : dict
        By its name in a settings file: what each option was, paths absolute.
    unset : tuple of str
        Names of the options that were nothing.
    """

    command: str
    values: Mapping[str, Any]
    unset: tuple[str, ...]

    def write(self, path: Path) -> None:
        """Write them so that ``--config-file`` runs the same again."""
        import tomli_w

        program = self.command.partition(' ')[0]
        header = [
            f'{program} {__version__}, {datetime.now().astimezone().isoformat(timespec="seconds")}',
            self.command,
            f'The same again: {program} --config-file {shlex.quote(str(path))}',
            f'Not set: {", ".join(self.unset)}',
        ]
        comments = '\n'.join(map(_comment, header))
        path.write_text(redacted(f'{comments}\n\n{tomli_w.dumps(self.values)}'), 'utf-8')


def add_config_file(group: Section) -> None:
    """Add ``--config-file``."""
    group.add_path(
        '--config-file',
        metavar='TOML',
        help='TOML file with options by their long names and paths relative to the file. Options '
        'of the command line take precedence. Each run writes its own to OUTPUT_DIR/logs',
    )


def parse(parser: Parser, arguments: Sequence[str]) -> argparse.Namespace:
    """Return options of the command line, else of its settings file, else the defaults.

    Returns
    -------
    argparse.Namespace
        Has an attribute ``settings`` of type :class:`Settings` besides.

    Raises
    ------
    SourceNotFoundError, FormatError
        If there is no such file, or it is not TOML.
    UsageError
        If it has a key that is not an option, or a value that the option does not take.
    """
    file = _config_file(parser.prog, arguments)
    options = parser.parse_args(arguments) if file is None else _merged(parser, arguments, file)
    named = {
        _name(action): (action, getattr(options, action.dest))
        for action in parser.distinct()
        if action.dest != 'config_file'
    }
    options.settings = Settings(
        shlex.join([parser.prog, *arguments]),
        {name: _plain(*pair) for name, pair in named.items() if pair[1] is not None},
        tuple(name for name, (_, value) in named.items() if value is None),
    )
    return options


def _config_file(program: str, arguments: Sequence[str]) -> Path | None:
    """Return the settings file: what is in it need not be on the command line."""
    parser = Parser(prog=program, add_help=False)
    add_config_file(Section(parser))
    return parser.parse_known_args(arguments)[0].config_file


def _merged(parser: Parser, arguments: Sequence[str], file: Path) -> argparse.Namespace:
    """Parse the command line and, for options that it leaves out, the words of a file."""
    replaced = _replaced(parser, arguments)
    words: list[str] = []
    for action, value in _from_file(parser, file).items():
        if not action.option_strings:
            action.default = value if is_list(action) else value[0]
        elif action not in replaced:
            words += [word for option in value for word in option]
    positional = [action for action in parser.actions() if not action.option_strings]
    for action in positional:
        action.nargs, action.required = '*' if is_list(action) else '?', False
    parser.file = file
    parser.parse_intermixed_args(words)
    parser.file = None
    options = parser.parse_intermixed_args([*arguments, *words])
    if missing := [action.dest for action in positional if not getattr(options, action.dest)]:
        parser.error(f'neither the command line nor {file} has {", ".join(missing)}')
    return options


def _replaced(parser: Parser, arguments: Sequence[str]) -> set[argparse.Action]:
    """Return options that the command line has, and those that they exclude."""
    flags = {flag for word in arguments for flag in (word.partition('=')[0], word[:2])}
    given = {action.dest for action in parser.actions() if flags & {*action.option_strings}}
    for actions in parser.exclusive():
        if any(action.dest in given for action in actions):
            given |= {action.dest for action in actions}
    return {action for action in parser.actions() if action.dest in given}


def _from_file(parser: Parser, file: Path) -> dict[argparse.Action, list[Any]]:
    """Return the option of each key of a settings file, and words of a command line for it."""
    actions = {
        name: action
        for action in parser.actions()
        if action.dest != 'config_file'
        for name in _names(action)
    }
    found: dict[argparse.Action, list[Any]] = {}
    for key, value in _read(file).items():
        action = actions.get(key.replace('_', '-'))
        if action is None:
            raise UsageError(f'has an unknown key {key!r}', file, _known(key, actions))
        if action in found:
            raise UsageError(f'has {_name(action)} twice, as {key} too', file, 'Keep one.')
        found[action] = _words(action, key, value, file)
    return found


def _read(file: Path) -> dict[str, Any]:
    import tomllib

    from modelarrayio_bids.derivatives.bids.json_files import parse_file

    return parse_file(file, tomllib.loads, 'TOML')


def _known(key: str, names: Mapping[str, Any]) -> str:
    import difflib

    near = difflib.get_close_matches(key.replace('_', '-'), names, 1)
    return f'Did you mean {near[0]}?' if near else f'Keys are: {", ".join(sorted(names))}.'


def _words(action: argparse.Action, key: str, value: Any, file: Path) -> list[Any]:
    """Return an option and its values, as often as it is given; of a positional, text."""
    flag = f'--{key.replace("_", "-")}'
    if action.nargs == 0 and isinstance(value, int):
        return [[flag]] * value
    if isinstance(value, dict):
        value = [f'{name}={item}' for name, item in value.items()]
    items = value if isinstance(value, list) else [value]
    if action.type in _TEXTS and not all(isinstance(item, str) for item in items):
        raise UsageError(f'{key} cannot be {value!r}', file, 'Put it in quotes.')
    if isinstance(value, list) and not is_list(action):
        raise UsageError(f'{key} cannot be {value!r}', file, 'It takes one value.')
    texts = [_rooted(action, _text(item), file.absolute().parent) for item in items]
    if not action.option_strings:
        return texts
    if action.nargs == '+':
        return [[flag, *texts]] if texts else []
    return [[f'{flag}={text}'] for text in texts]


def _text(value: Any) -> str:
    # 0.0 is written 0 on a command line.
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value) if whole else value)


def _rooted(action: argparse.Action, text: str, folder: Path) -> str:
    """Return a value with the path in it, if there is one, taken from a folder."""
    if action.type in {disk_path, place, dataset} and '://' in text:
        return text
    if action.type in {disk_path, place}:
        return str(folder / text)
    if action.type is label and text.startswith('@'):
        return f'@{folder / text[1:]}'
    if action.type is dataset:
        name, equals, path = text.partition('=')
        named = equals and '/' not in name
        return f'{name}={folder / path}' if named else str(folder / text)
    return text


def _plain(action: argparse.Action, value: Any) -> Any:
    """Return a parsed value as TOML has it."""
    if isinstance(value, list | tuple):
        return [_plain(action, item) for item in value]
    if action.nargs == 0 and action.const is not None:
        return value == action.const
    return _rooted(action, str(value), Path.cwd()) if isinstance(value, str | Path) else value


def is_list(action: argparse.Action) -> bool:
    """Return whether an option may be given several times, or takes several values."""
    return isinstance(action.default, list) or action.nargs in {'+', '*'}


def _names(action: argparse.Action) -> list[str]:
    """Return the long spellings of an option, all with hyphens."""
    spellings = [word[2:] for word in action.option_strings if word.startswith('--')]
    return [word.replace('_', '-') for word in spellings or [action.dest]]


def _name(action: argparse.Action) -> str:
    return _names(action)[0]


def _comment(line: str) -> str:
    # TOML allows no control character in a comment.
    return '# ' + ''.join(letter if letter.isprintable() else ' ' for letter in line)
