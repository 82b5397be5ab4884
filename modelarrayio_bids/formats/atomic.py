"""Files that are either whole or not there."""

from __future__ import annotations

import errno
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

from modelarrayio_bids.errors import ModelArrayIOError, OutputError, UnfinishedOutputError


@contextmanager
def replacing(path: str | PathLike[str]) -> Iterator[Path]:
    """A name beside ``path`` to write to, which becomes ``path`` when the block ends well.

    The ending of the name is kept, since it chooses the format. After an error, or an interrupt,
    what was at ``path`` before is still there and nothing lies beside it.

    Raises
    ------
    OutputError
        If the folder or the file cannot be written.
    """
    path = Path(path)
    # Not tempfile: its files are readable by their owner alone, and would stay so once renamed.
    partial = path.with_name(f'.{secrets.token_hex(4)}-{path.name}')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        partial.replace(path)
    except ModelArrayIOError:
        raise
    except OSError as error:
        began = partial.parent.is_dir() and error.errno not in {errno.EACCES, errno.EROFS}
        kind = UnfinishedOutputError if began else OutputError
        raise kind.from_os_error(error, path) from error
    finally:
        # Where the folder itself could not be made there is nothing to remove either.
        if partial.parent.is_dir():
            partial.unlink(missing_ok=True)
