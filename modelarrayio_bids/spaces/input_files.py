"""The files that are read for an HDF5 file, or for images of its results."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from modelarrayio_bids.cohort import Source
from modelarrayio_bids.runtime.locations import is_there
from modelarrayio_bids.spaces import files_of
from modelarrayio_bids.spaces.base import References
from modelarrayio_bids.spaces.fixels import COMPANIONS, DIRECTORY_ENDINGS


def image_files(source: Source) -> list[Path]:
    """Return the files of an image: that which the source names and, where there are, others."""
    others = (path for path in files_of(source.path) if path != source.path)
    return [source.path, *filter(is_there, others)]


def files_read(sources: Iterable[Source], references: References) -> Iterator[Path]:
    """Yield images, masks, and the files that say which elements there are, named or found.

    Parameters
    ----------
    sources : iterable of Source
        The rows.
    references : References
        Reference files that a user named.
    """
    folders: set[Path] = set()
    for source in sources:
        yield from image_files(source)
        folders.add(source.path.parent)
        if source.mask is not None:
            yield source.mask
    yield from reference_files(references, folders)


def reference_files(references: References, folders: Iterable[Path] = ()) -> Iterator[Path]:
    """Yield the files that say which elements there are; of a fixel directory, its two."""
    yield from references.named
    own = [] if references.index is None else [references.index]
    for folder in (*folders, *own):
        for ending in DIRECTORY_ENDINGS:
            yield from (folder / f'{stem}{ending}' for stem in COMPANIONS)
