"""Messages of the commands: on a terminal, in the log of a run, or as JSON for programs.

The library only logs; what becomes of it is its caller's business. A record may carry ``facts``,
a dictionary for programs to read (``extra={'facts': {...}}``): in JSON they stand beside the text,
on a terminal, the text has to say everything.

======================  =====================================================
to a terminal           ``WARNING: …``, the word coloured, around progress bars
to a file or a pipe     the same without colour
to the log of a run     ``2026-11-25 20:28:26 WARNING: …``
as JSON, anywhere       ``{"time": …, "level": …, "logger": …, "message": …}``
======================  =====================================================
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from modelarrayio_bids.runtime.redaction import redacted

TEXT, JSON = FORMATS = ('text', 'json')

# Processes that Nipype starts know nothing of the command's logging but what the environment says.
_SETTINGS = 'MODELARRAYIO_LOG'
# ECMA-48, "select graphic rendition": yellow, red, and back.
_COLOURS = {'WARNING': '\033[33m', 'ERROR': '\033[31m', 'CRITICAL': '\033[31m'}
_PLAIN = '\033[0m'

logger = logging.getLogger('modelarrayio_bids')


def configure(
    level: str, file: Path | str | None = None, *, form: str = TEXT, nipype: bool = False
) -> None:
    """Log to standard error, and to a file too if given.

    Parameters
    ----------
    level : str
        Least level shown. A file gets ``INFO`` at least, however little is shown.
    file : path-like, optional
        Appended to.
    form : {'text', 'json'}, optional
        Format of both: text, or one JSON object per line.
    nipype : bool, optional
        Show what Nipype says of its steps, too.
    """
    settings = {'level': level, 'file': file and str(file), 'form': form, 'nipype': nipype}
    os.environ[_SETTINGS] = json.dumps(settings)
    handlers = [_console(level, form)]
    if file is not None:
        handlers.append(_log_file(file, level, form))
    least = min(handler.level for handler in handlers)
    logging.basicConfig(level=least, handlers=handlers, force=True)
    logging.captureWarnings(form == JSON)
    _quieten_others(nipype=nipype)


def also_to(file: Path) -> None:
    """Log to a file besides, as much as before."""
    configure(**json.loads(os.environ[_SETTINGS]) | {'file': file})


def configure_worker() -> None:
    """Log as the command does in a process that it had started, and change nothing in any other."""
    settings = os.environ.get(_SETTINGS)
    if settings is not None and not logging.getLogger().handlers:
        configure(**json.loads(settings))


def say_end(program: str, message: str, facts: Mapping[str, Any]) -> None:
    """Say what a command ended for, whatever level is shown, and keep it in the log of the run.

    Parameters
    ----------
    program : str
        Name that starts the line on standard error.
    message : str
        Problem, file and remedy.
    facts : mapping
        The same for a program.
    """
    more = {'program': program, 'facts': dict(facts)}
    record = logger.makeRecord(
        *(logger.name, logging.ERROR, __file__, 0, message, (), None), extra=more
    )  # fmt: skip
    for handler in logging.getLogger().handlers or [_console('INFO', TEXT)]:
        handler.handle(record)


def say_done(text: str, facts: Mapping[str, Any]) -> None:
    """Print what a command did, unless it is to be quiet, and keep it in the log of the run.

    Parameters
    ----------
    text : str
        Lines for standard output.
    facts : mapping
        The same for a program: where messages are JSON, to standard error.
    """
    if not _is_quiet():
        print(f'\n{redacted(text)}')  # noqa: T201 - users look at the last lines
    logger.info('%s', text, extra={'facts': dict(facts), 'is_printed': True})


def is_json() -> bool:
    """Return whether messages are for programs."""
    return any(map(_is_json, logging.getLogger().handlers))


def draws_bars() -> bool:
    """Return whether standard error is a terminal where somebody sees more than warnings.

    Processes that Nipype starts share it: several bars would write over each other.
    """
    if multiprocessing.parent_process() is not None or not _is_terminal(sys.stderr):
        return False
    return any(
        handler.stream is sys.stderr and handler.level <= logging.INFO and not _is_json(handler)
        for handler in logging.getLogger().handlers
        if isinstance(handler, logging.StreamHandler)
    )


class _Text(logging.Formatter):
    """Lines for people.

    Parameters
    ----------
    dated : bool
        Begin each with the time.
    coloured : bool
        Colour the words that ask for attention.
    """

    def __init__(self, *, dated: bool = False, coloured: bool = False) -> None:
        super().__init__(datefmt='%Y-%m-%d %H:%M:%S')
        self._dated, self._coloured = dated, coloured

    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        if self._dated:
            return f'{self.formatTime(record, self.datefmt)} {record.levelname}: {record.message}'
        program = getattr(record, 'program', None)
        if program is not None:
            return f'{program}: {self._coloured_as(record, "error")}: {record.message}'
        return f'{self._coloured_as(record, record.levelname)}: {record.message}'

    def _coloured_as(self, record: logging.LogRecord, word: str) -> str:
        colour = _COLOURS.get(record.levelname) if self._coloured else None
        return f'{colour}{word}{_PLAIN}' if colour else word


class _Json(logging.Formatter):
    """JSON, with one object per line."""

    def format(self, record: logging.LogRecord) -> str:
        said = {
            'time': datetime.fromtimestamp(record.created)
            .astimezone()
            .isoformat(timespec='seconds'),
            'level': record.levelname,
            'logger': record.name,
            'message': record.getMessage(),
            **getattr(record, 'facts', {}),
        }
        if record.exc_info:
            said['traceback'] = self.formatException(record.exc_info)
        # ASCII alone: a terminal of another encoding would make other escapes of the rest.
        return redacted(json.dumps(said, default=str)).replace('…', r'\u2026')


class _Console(logging.StreamHandler[IO[str]]):
    """Standard error: lines go above a progress bar, not through it."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        with _bars_aside(self.stream):
            super().emit(record)


def _console(level: str, form: str) -> logging.Handler:
    handler = _Console(sys.stderr)
    handler.setLevel(level)
    if form == JSON:
        handler.setFormatter(_Json())
    else:
        handler.setFormatter(_Text(coloured=_is_coloured(sys.stderr)))
        handler.addFilter(lambda record: not hasattr(record, 'is_printed'))
    return handler


def _log_file(file: Path | str, level: str, form: str) -> logging.Handler:
    handler = logging.FileHandler(file, encoding='utf-8', errors='backslashreplace')
    handler.setLevel(min(logging.getLevelNamesMapping()[level], logging.INFO))
    handler.setFormatter(_Json() if form == JSON else _Text(dated=True))
    return handler


@contextmanager
def _bars_aside(stream: IO[str]) -> Iterator[None]:
    """Take progress bars away and put them back, if there are any."""
    loaded = sys.modules.get('tqdm')
    if loaded is None:
        yield
        return
    with loaded.tqdm.external_write_mode(file=stream):
        yield


def _is_json(handler: logging.Handler) -> bool:
    return isinstance(handler.formatter, _Json)


def _is_quiet() -> bool:
    """Return whether our own handler of standard error hides messages below warnings."""
    consoles = [one for one in logging.getLogger().handlers if isinstance(one, _Console)]
    return any(console.level > logging.INFO for console in consoles)


def _is_terminal(stream: IO[str]) -> bool:
    """Return whether a stream is a terminal that can do more than append lines."""
    return stream.isatty() and os.environ.get('TERM') != 'dumb'


def _is_coloured(stream: IO[str]) -> bool:
    # https://no-color.org: whatever the variable holds, unless nothing.
    return _is_terminal(stream) and not os.environ.get('NO_COLOR')


def _quieten_others(*, nipype: bool) -> None:
    """Silence what other libraries say: it is for who debugs; our own errors say more to a user."""
    for name in ('nipype', 'nipype.workflow', 'nipype.utils', 'nipype.interface'):
        theirs = logging.getLogger(name)
        # It brings a handler of its own, which would say everything twice.
        theirs.handlers.clear()
        theirs.setLevel(logging.INFO if nipype else logging.CRITICAL)
    # Nipype's pools complain of workers that are stopped because another one failed.
    logging.getLogger('concurrent.futures').setLevel(logging.CRITICAL + 1)
    # Fonts of matplotlib and endpoints of botocore are of no interest.
    for name in ('matplotlib', 'botocore', 'aiobotocore', 's3fs', 'fsspec', 'asyncio'):
        logging.getLogger(name).setLevel(logging.WARNING)
    # nibabel's remarks on headers it repairs are not for the user of a command.
    for name in ('nibabel', 'nibabel.global'):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
