"""Folders of input datasets, which may be unreadable or link to each other in circles.

Nothing here raises: a folder that cannot be read is named in a warning, once, and is empty. Remote
folders are another matter: without an answer nothing is known of them.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from modelarrayio_bids.runtime.locations import RemoteEntry, RemotePath, location

logger = logging.getLogger(__name__)

Entry = os.DirEntry[str] | RemoteEntry


def entries(folder: Path) -> Sequence[Entry]:
    """Return what is in a folder, sorted by name; nothing of one that cannot be read."""
    if isinstance(folder, RemotePath):
        return folder.entries()
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        _say_unreadable(str(folder), error.strerror or str(error))
        return []


def subfolders(folder: Path) -> Iterator[Path]:
    """Yield the folders in a folder, sorted, if it is one; links to folders are some."""
    found = entries(folder) if is_folder(folder) else []
    return (location(entry.path) for entry in found if is_folder(entry))


def is_folder(path: os.PathLike[str]) -> bool:
    """Return whether there is a folder, or a link to one, that can be reached."""
    if isinstance(path, RemotePath | RemoteEntry):
        return path.is_dir()
    # Methods of pathlib and DirEntry raise if a folder is not accessible or links form a circle.
    return os.path.isdir(path)  # noqa: PTH112


def subject_folders(root: Path) -> Iterator[Path]:
    """Yield the ``sub-*`` folders of a dataset, sorted."""
    return (path for path in subfolders(root) if path.name.startswith('sub-'))


# A run looks into a dataset several times, and says it once.
@functools.cache
def _say_unreadable(folder: str, reason: str) -> None:
    logger.warning('%s cannot be read (%s): left out', folder, reason)
