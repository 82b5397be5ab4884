"""Errors of nodes, left as JSON in the folders of the nodes, and read from there.

Nipype hands on a traceback as text. With these files the caller of a workflow has the error itself,
whatever plugin ran the node.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from modelarrayio_bids.errors import CohortProblemsError, ModelArrayIOError
from modelarrayio_bids.runtime.termination import Terminated

#: Name of the file in the folder of a node that failed with an error that a user can fix.
ERROR_FILE = 'modelarrayio_error.json'


def leave_error(error: BaseException, folder: Path) -> None:
    """Write why a node ended into its folder."""
    (folder / ERROR_FILE).write_text(json.dumps(_to_dict(error)), 'utf-8')


def forget_error(folder: Path) -> None:
    """Remove the error of a node that ended well, or whose error is reported elsewhere."""
    (folder / ERROR_FILE).unlink(missing_ok=True)


def forget_errors(folder: Path) -> None:
    """Remove the errors of all nodes of an earlier run in this folder."""
    for path in folder.rglob(ERROR_FILE):
        path.unlink()


def errors_below(folder: Path) -> list[BaseException]:
    """Return the errors of the nodes of a workflow that ran in this folder."""
    found = (_from_json(path) for path in sorted(folder.rglob(ERROR_FILE)))
    return [error for error in found if error is not None]


def _to_dict(error: BaseException) -> dict[str, Any]:
    content: dict[str, Any] = {'class': type(error).__name__}
    if isinstance(error, ModelArrayIOError):
        content |= {'what': error.what, 'path': error.path, 'remedy': error.remedy}
        content['exit_code'] = error.exit_code
    elif isinstance(error, SystemExit):
        content['exit_code'] = error.code
    if isinstance(error, CohortProblemsError):
        content['problems'] = [_to_dict(problem) for problem in error.problems]
    return content


def _from_json(path: Path) -> BaseException | None:
    """Return the error in a file; None if the process was killed while it was written."""
    try:
        return _from_dict(json.loads(path.read_text('utf-8')))
    except (ValueError, KeyError, TypeError):
        return None


def _from_dict(content: dict[str, Any]) -> BaseException:
    name = content['class']
    if name in _ENDS:
        return _ENDS[name]()
    if name == SystemExit.__name__:
        return SystemExit(content['exit_code'])
    if 'problems' in content:
        return CohortProblemsError([_error(problem) for problem in content['problems']])
    return _error(content)


def _error(content: dict[str, Any]) -> ModelArrayIOError:
    kinds = {kind.__name__: kind for kind in _kinds(ModelArrayIOError)}
    # One of a program that embeds us has its exit code, if not its class.
    kind = kinds.get(content['class'], ModelArrayIOError)
    error = kind(content['what'], content['path'], content['remedy'])
    error.exit_code = int(content['exit_code'])
    return error


def _kinds(kind: type[ModelArrayIOError]) -> Iterator[type[ModelArrayIOError]]:
    yield kind
    for special in kind.__subclasses__():
        yield from _kinds(special)


_ENDS = {end.__name__: end for end in (KeyboardInterrupt, Terminated)}
