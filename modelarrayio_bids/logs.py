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


def configure(level: str, file: Path | None = None) -> None:
    """Log to standard error, and to a file too if given, the level first.

    Parameters
    ----------
    level : str
        Least level shown.
    file : pathlib.Path, optional
        Appended to.
    """
    os.environ[_LEVEL] = level
    os.environ.pop(_FILE, None)
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if file is not None:
        os.environ[_FILE] = str(file)
        handlers.append(logging.FileHandler(file, encoding='utf-8'))
    logging.basicConfig(level=level, format=_FORMAT, handlers=handlers, force=True)
    _quieten_nipype(level)
    # Nipype's pools complain of workers that are stopped because another one failed.
    logging.getLogger('concurrent.futures').setLevel(logging.CRITICAL + 1)
    # nibabel's remarks on headers it repairs are not for the user of a command.
    for name in ('nibabel', 'nibabel.global'):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _quieten_nipype(level: str) -> None:
    """Nipype's steps and crashes interest who debugs; our own errors say more to a user."""
    for name in ('nipype', 'nipype.workflow', 'nipype.utils', 'nipype.interface'):
        nipype = logging.getLogger(name)
        # It brings a handler of its own, which would say everything twice.
        nipype.handlers.clear()
        nipype.setLevel(logging.INFO if level == 'DEBUG' else logging.CRITICAL)


def configure_worker() -> None:
    """The same in a process that a command of ours had started, and nothing in any other."""
    level = os.environ.get(_LEVEL)
    if level is None or logging.getLogger().handlers:
        return
    file = os.environ.get(_FILE)
    configure(level, Path(file) if file else None)
