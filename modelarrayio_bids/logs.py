"""Logging of the commands. The library only logs; what becomes of it is its caller's business."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

_FORMAT = '%(levelname)s: %(message)s'
# Processes that Nipype starts know nothing of the command's logging but what the environment says.
_LEVEL = 'MODELARRAYIO_LOG_LEVEL'
_FILE = 'MODELARRAYIO_LOG_FILE'
_NIPYPE = 'MODELARRAYIO_LOG_NIPYPE'


def configure(level: str, file: Path | None = None, *, nipype: bool = False) -> None:
    """Log to standard error, and to a file too if given, the level first.

    Parameters
    ----------
    level : str
        Least level shown.
    file : pathlib.Path, optional
        Appended to.
    nipype : bool, optional
        Show what Nipype says of its steps, too.
    """
    os.environ[_LEVEL] = level
    os.environ[_NIPYPE] = 'yes' if nipype else ''
    os.environ.pop(_FILE, None)
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if file is not None:
        os.environ[_FILE] = str(file)
        handlers.append(logging.FileHandler(file, encoding='utf-8'))
    logging.basicConfig(level=level, format=_FORMAT, handlers=handlers, force=True)
    _quieten_nipype('INFO' if nipype else logging.CRITICAL)
    # Nipype's pools complain of workers that are stopped because another one failed.
    logging.getLogger('concurrent.futures').setLevel(logging.CRITICAL + 1)
    # nibabel's remarks on headers it repairs are not for the user of a command.
    for name in ('nibabel', 'nibabel.global'):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def also_to(file: Path) -> None:
    """Log to a file besides, as much as before."""
    configure(os.environ[_LEVEL], file, nipype=bool(os.environ[_NIPYPE]))


def _quieten_nipype(level: str | int) -> None:
    """Nipype's steps and crashes interest who debugs; our own errors say more to a user."""
    for name in ('nipype', 'nipype.workflow', 'nipype.utils', 'nipype.interface'):
        nipype = logging.getLogger(name)
        # It brings a handler of its own, which would say everything twice.
        nipype.handlers.clear()
        nipype.setLevel(level)


def configure_worker() -> None:
    """The same in a process that a command of ours had started, and nothing in any other."""
    level = os.environ.get(_LEVEL)
    if level is None or logging.getLogger().handlers:
        return
    file = os.environ.get(_FILE)
    configure(level, Path(file) if file else None, nipype=bool(os.environ.get(_NIPYPE)))
