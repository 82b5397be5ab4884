"""The argument parser of all commands, and the two lengths of its help.

``--help`` shows the options that most runs need, each with the first sentence of its help;
``--help-all`` shows every option in full. An option is marked where it is added:
``group.add('--formula', common=True, ...)``.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import textwrap
from collections.abc import Collection, Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from modelarrayio_bids.errors import EXIT_USAGE, UsageError
from modelarrayio_bids.runtime import logs

#: Columns of a screen that help fills at most, and of those the column where descriptions start.
_WIDEST, _DESCRIPTIONS = 100, 33


class Parser(argparse.ArgumentParser):
    """An argument parser that ends with the exit code of a usage error (64).

    Parameters
    ----------
    add_help : bool, optional
        Add ``--help`` and ``--help-all``.
    **keywords
        As for :class:`argparse.ArgumentParser`.
    """

    #: The settings file, while its content is parsed in place of a command line.
    file: Path | None = None

    def __init__(self, *, add_help: bool = True, **keywords: Any) -> None:
        keywords.setdefault('formatter_class', CommonHelp)
        super().__init__(add_help=False, allow_abbrev=False, **keywords)
        if add_help:
            for spellings, formatter, text in (
                (('-h', '--help'), CommonHelp, 'show the options that most runs need'),
                (('--help-all', '--help_all'), FullHelp, 'show every option in full'),
            ):
                action = self.add_argument(
                    *spellings, action=_PrintHelp, formatter=formatter, help=text
                )
                mark_common(action)

    def error(self, message: str) -> NoReturn:
        """Print what is wrong with the command line, and stop."""
        message += self._suggested(message)
        if self.file is not None:
            raise UsageError(re.sub(r'argument -*([\w-]+)[^:]*', r'\1', message), self.file)
        if not logs.is_json():
            self.print_usage(sys.stderr)
        logs.say_end(self.prog, message, {'what': message, 'exit_code': EXIT_USAGE})
        self.exit(EXIT_USAGE)

    def _suggested(self, message: str) -> str:
        """Return the option that may have been meant by one that is not known, or a quote."""
        for unknown in re.findall(r' (-{1,2}[a-z][\w-]+)', message.partition('unrecognized')[2]):
            if close := get_close_matches(f'--{unknown.lstrip("-")}', sorted(self._spelled()), 1):
                return f'. Did you mean {close[0]}?'
        if re.search(r'unrecognized arguments: (.* )?[+*:~|-]( |$)', message):
            return ". Write the formula in quotes: --formula '~ age + sex'"
        return ''

    def _spelled(self) -> set[str]:
        """Return the long options of this parser and of its commands."""
        commands = [
            action.choices
            for action in self._actions
            if isinstance(action, argparse._SubParsersAction)  # noqa: SLF001
        ]
        own = {
            word for action in self._actions for word in action.option_strings if '_' not in word
        }
        parsers = (parser for choices in commands for parser in choices.values())
        return own.union(*(parser._spelled() for parser in parsers))  # noqa: SLF001

    # argparse has no public access to the options of a parser.

    def actions(self) -> list[argparse.Action]:
        """Return the arguments and options that have a value, in order."""
        return [action for action in self._actions if action.default is not argparse.SUPPRESS]

    def distinct(self) -> list[argparse.Action]:
        """Return the same, but only the first of several options that set one attribute."""
        once: dict[str, argparse.Action] = {}
        for action in self.actions():
            once.setdefault(action.dest, action)
        return list(once.values())

    def ignored(self, options: argparse.Namespace, levels: Collection[str]) -> dict[str, list[str]]:
        """Return the options given for other levels of the BIDS App than these, by level."""
        found: dict[str, list[str]] = {}
        for action in self.distinct():
            level = vars(action).get('level')
            if level and level not in levels and getattr(options, action.dest) != action.default:
                found.setdefault(level, []).append(action.option_strings[0])
        return found

    def exclusive(self) -> list[list[argparse.Action]]:
        """Return the groups of options that exclude each other."""
        return [group._group_actions for group in self._mutually_exclusive_groups]  # noqa: SLF001


def mark_common(action: argparse.Action) -> None:
    """Mark an option as one that ``--help`` shows."""
    vars(action)['common'] = True


def mark_level(action: argparse.Action, level: str) -> None:
    """Mark an option as one that only a level of the BIDS App heeds; blank: all do."""
    vars(action)['level'] = level


def _is_common(action: argparse.Action) -> bool:
    return vars(action).get('common', False) or action.required or not action.option_strings


class FullHelp(argparse.HelpFormatter):
    """Every option in full, as ``--help-all`` prints it.

    Spellings with an underscore are accepted but not shown.
    """

    def __init__(self, prog: str, **keywords: Any) -> None:
        width = min(shutil.get_terminal_size().columns, _WIDEST) - 2
        keywords = {'max_help_position': _DESCRIPTIONS, 'width': width} | keywords
        super().__init__(prog, **keywords)
        self.program, self.columns = prog, keywords['width']

    def add_usage(
        self,
        usage: str | None,
        actions: Iterable[argparse.Action],
        groups: Iterable[Any],
        prefix: str | None = None,
    ) -> None:
        """Show what every command line needs, and that there are options besides."""
        if usage is None:
            choices = [group for group in groups if group.required]
            chosen = {id(action) for group in choices for action in group._group_actions}  # noqa: SLF001
            needed = [a for a in actions if a.required or not a.option_strings or id(a) in chosen]
            formatter = argparse.HelpFormatter(self.program, width=10_000)
            formatter.add_usage(None, needed, choices, prefix='')
            usage = self._wrapped(f'{formatter.format_help().strip()} [options]')
        super().add_usage(usage.replace('%', '%%'), (), (), prefix)

    def _wrapped(self, usage: str) -> str:
        indent = ' ' * len('usage: ')
        lines = self._split_lines(usage, self.columns - len(indent))
        return f'\n{indent}'.join(lines)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        # Lines of examples and lists stay as they are.
        return text.rstrip() if '\n' in text else '\n'.join(self._split_lines(text, width))

    def format_help(self) -> str:
        """Return the help, with room for the names of commands, which are indented."""
        self._action_max_length += 2
        return super().format_help()

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(' '.join(text.split()), width, break_on_hyphens=False)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings:
            return super()._format_action_invocation(action)
        values = self._format_args(action, action.dest.upper())
        return ' '.join(filter(None, [', '.join(self._spellings(action)), values]))

    def _format_args(self, action: argparse.Action, default_metavar: str) -> str:
        return re.sub(r'\[.* \.\.\.\]', '...', super()._format_args(action, default_metavar))

    def _spellings(self, action: argparse.Action) -> list[str]:
        return [word for word in action.option_strings if '_' not in word]


class CommonHelp(FullHelp):
    """The options that most runs need, as ``--help`` prints them."""

    def add_argument(self, action: argparse.Action) -> None:
        """Add an option if it is a common one."""
        if _is_common(action):
            super().add_argument(action)

    def _spellings(self, action: argparse.Action) -> list[str]:
        """Return the short spelling and the first long one."""
        words = super()._spellings(action)
        short = [word for word in words if not word.startswith('--')]
        return short[:1] + [word for word in words if word.startswith('--')][:1]

    def _expand_help(self, action: argparse.Action) -> str:
        """Return the first sentence."""
        return re.split(r'[;.] ', super()._expand_help(action), maxsplit=1)[0]


class _PrintHelp(argparse.Action):
    """Print the help that a formatter makes, and stop."""

    def __init__(
        self, option_strings: Sequence[str], formatter: type[FullHelp], **keywords: Any
    ) -> None:
        keywords |= {'dest': argparse.SUPPRESS, 'default': argparse.SUPPRESS, 'nargs': 0}
        super().__init__(option_strings, **keywords)
        self.formatter = formatter

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        parser.formatter_class = self.formatter
        parser.print_help()
        parser.exit()
