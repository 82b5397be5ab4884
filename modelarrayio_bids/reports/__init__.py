"""The report of an output folder: an HTML page, its figures, and its numbers as tables.

Belongs here: everything that is said and drawn of outputs that are there, from these alone.
Does not: making them; so a report can be made again at any time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from modelarrayio_bids.runtime.resources import MIB, Resources
from modelarrayio_bids.runtime.unfinished import Unfinished

#: Bytes that loading what draws and a figure take, and for each element its maps and places:
#: measured with 300 and 218,000 elements, as the most beyond what a process held before.
DRAWING, DRAWING_ELEMENT = 85 * MIB, 300
#: Folder of matplotlib's font list and of a user's settings (which we ignore).
_CACHE = 'MPLCONFIGDIR'


def make_report(
    output_dir: Path,
    bids_dir: str | os.PathLike[str] | None = None,
    left_out: Mapping[str, int] | None = None,
    resources: Resources = Resources(),
    *,
    show_intercept: bool = False,
) -> Path:
    """Write the page: see :func:`modelarrayio_bids.reports.page.report.write_page`.

    Raises
    ------
    UsageError
        If the memory allowed is not enough.
    ModelArrayIOError
        As there.
    """
    resources.room(0, DRAWING, to='draw')
    with _cache_beside(output_dir):
        # It loads matplotlib, which takes half a second.
        from modelarrayio_bids.reports.page.report import write_page  # noqa: PLC0415

        return write_page(output_dir, bids_dir, left_out, resources, show_intercept=show_intercept)


@contextmanager
def _cache_beside(output_dir: Path) -> Iterator[None]:
    """Give matplotlib a folder to write to where it would find none: in a container, say."""
    if _CACHE in os.environ or _has_cache():
        yield
        return
    with Unfinished(output_dir / 'matplotlib', folder=True) as folder:
        os.environ[_CACHE] = str(folder.path)
        try:
            yield
        finally:
            del os.environ[_CACHE]


def _has_cache() -> bool:
    """Return whether matplotlib can write to its own folders (``get_cachedir``, on Linux)."""
    places = (('XDG_CACHE_HOME', '.cache'), ('XDG_CONFIG_HOME', '.config'))
    return all(
        _can_write(Path(os.environ.get(variable) or Path('~', usual)).expanduser() / 'matplotlib')
        for variable, usual in places
    )


def _can_write(folder: Path) -> bool:
    try:
        # As matplotlib would: asking alone does not tell of file systems that refuse.
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return folder.is_absolute() and os.access(folder, os.W_OK)
