"""Outputs that are also inputs: detected before anything is read, so that no source is replaced."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from modelarrayio_bids.errors import UsageError


def refuse_inputs(outputs: Iterable[Path], inputs: Iterable[Path | None]) -> None:
    """Refuse outputs that are, or lead to, a file that is read.

    Links of both kinds are followed: an output may be a symbolic link to an input, have one to it,
    or be another name of the same file.

    Parameters
    ----------
    outputs : iterable of pathlib.Path
        Files to write; those that are not there cannot be inputs.
    inputs : iterable of pathlib.Path or None
        Files that are read. None stands for one that is not given.

    Raises
    ------
    UsageError
        With the first such output.

    Examples
    --------
    >>> refuse_inputs([Path('FA.h5')], [Path('cohort.csv'), None])
    """
    there = {key: path for path in outputs if (key := _identity(path)) is not None}
    if not there:
        return
    for path in filter(None, inputs):
        key = _identity(path)
        if key is not None and key in there:
            output = there[key]
            other = '' if path == output else f' (as {path})'
            raise UsageError(
                f'is read by this very run{other}, and would be replaced',
                output,
                'Write to another file.',
            )


def refuse_links(output: Path, inputs: Iterable[Path]) -> None:
    """Refuse an output that is another name of an input, where the input itself may be meant.

    Raises
    ------
    UsageError
        As :func:`refuse_inputs`.
    """
    refuse_inputs([output], [path for path in inputs if _place(path) != _place(output)])


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - of 100,000 images, five times as fast
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def _place(path: Path) -> Path:
    """Return the entry in a folder that a path names, whatever it links to."""
    return path.absolute().parent.resolve() / path.name
