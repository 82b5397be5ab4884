"""Files that are either complete or absent."""

from __future__ import annotations

import errno
import filecmp
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

from modelarrayio_bids.errors import ModelArrayIOError, OutputError, UnfinishedOutputError
from modelarrayio_bids.runtime.unfinished import Unfinished


@contextmanager
def replacing(path: str | PathLike[str], *, if_other: bool = False) -> Iterator[Path]:
    """Hand over a name beside ``path`` to write, which becomes ``path`` when the block ends well.

    The ending of the name is kept, since it chooses the format. After an error, or an interrupt,
    what was at ``path`` before is still there and nothing lies beside it; of a process that was
    killed, see :mod:`~modelarrayio_bids.runtime.unfinished`.

    Parameters
    ----------
    path : path-like
        The file to be.
    if_other : bool, optional
        Leave a file of the same bytes as it is, and with it its time: what depends on the file can
        tell that it did not change.

    Raises
    ------
    OutputError
        If the folder or the file cannot be written.
    """
    path = Path(path)
    began = False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with Unfinished(path) as unfinished:
            began = True
            yield unfinished.path
            if not (if_other and _same(unfinished.path, path)):
                unfinished.path.replace(path)
    except ModelArrayIOError:
        raise
    except OSError as error:
        began = began and error.errno not in {errno.EACCES, errno.EROFS}
        kind = UnfinishedOutputError if began else OutputError
        raise kind.from_os_error(error, path) from error


def _same(new: Path, old: Path) -> bool:
    return old.is_file() and filecmp.cmp(new, old, shallow=False)
