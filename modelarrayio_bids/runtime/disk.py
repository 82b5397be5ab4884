"""Disk space, checked before anything is written, and copies of large files."""

from __future__ import annotations

import fcntl
import shutil
from pathlib import Path
from typing import BinaryIO

from modelarrayio_bids.errors import OutputError
from modelarrayio_bids.runtime.text_format import amount

# ioctl_ficlone(2): the copy shares the blocks of the original, on XFS, Btrfs and some others.
_FICLONE = 0x40049409


def require_room(folder: Path, needed: int, output: Path) -> None:
    """Refuse to begin what the disk has no room for.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the output; need not exist yet.
    needed : int
        Bytes that it takes, beside all that is there.
    output : pathlib.Path
        Path of the output, for the error message.

    Raises
    ------
    OutputError
        With both amounts.
    """
    there = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(there).free
    if free < needed:
        raise OutputError(
            f'needs about {amount(needed)} of disk space, but only {amount(free)} are free',
            output,
            'Free some space, or write to another disk.',
        )


def copy(original: Path, target: Path) -> None:
    """Make a file that is there a copy of another; in no time where the disk can.

    Raises
    ------
    OutputError
        If the disk has no room for it.
    OSError
        If it cannot be read or written.
    """
    with open(original, 'rb') as source, open(target, 'wb') as file:
        if _cloned(source, file):
            return
    require_room(target.parent, original.stat().st_size, original)
    # Linux copies by itself there, without our own buffers.
    shutil.copyfile(original, target)


def _cloned(source: BinaryIO, target: BinaryIO) -> bool:
    try:
        fcntl.ioctl(target.fileno(), _FICLONE, source.fileno())
    except OSError:
        return False
    return True
