"""Images of a dataset, with their entities.

pybids parses their names, see :mod:`~modelarrayio_bids.derivatives.bids.index`, but not those of
fixel directories: see :mod:`~modelarrayio_bids.derivatives.bids.fixel_folders`.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from modelarrayio_bids.derivatives.bids import entities as bids_entities
from modelarrayio_bids.derivatives.bids.dataset import Dataset
from modelarrayio_bids.derivatives.bids.entities import Entities
from modelarrayio_bids.derivatives.bids.fixel_folders import fixel_files
from modelarrayio_bids.derivatives.bids.index import index_names
from modelarrayio_bids.derivatives.bids.listing import image_names, passed_over
from modelarrayio_bids.derivatives.bids.output_names import syntactic
from modelarrayio_bids.errors import AmbiguousMatchError, UnknownSpaceError
from modelarrayio_bids.runtime.text_format import some
from modelarrayio_bids.spaces import ElementSpace, space_class

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Image:
    """A file found in a dataset.

    Parameters
    ----------
    path : pathlib.Path
        Absolute.
    dataset : str
        The name of its dataset.
    entities : dict
        Entity to label, with ``suffix``, ``datatype`` and ``extension``.
    columns : tuple, optional
        Further columns of its row in a cohort, each with its cell, where its path holds some.
    by_path : bool, optional
        True if a pattern of paths described the image, so that any name is valid.
    """

    path: Path
    dataset: str
    entities: Entities
    columns: tuple[tuple[str, str], ...] = ()
    by_path: bool = False

    @property
    def kind(self) -> str:
        """The kind of its elements.

        Raises
        ------
        UnknownSpaceError
            If no space reads files named so.
        """
        return _kind(_ending(self.path.name))


def find_images(
    dataset: Dataset, participants: Collection[str] = (), sessions: Collection[str] = ()
) -> list[Image]:
    """Return every NIfTI, CIFTI and GIFTI image of a dataset, sorted by path.

    Nested datasets are not entered.

    Parameters
    ----------
    dataset : Dataset
        Dataset to search.
    participants, sessions : collection of str, optional
        Labels with or without ``sub-`` and ``ses-``. Only their folders are read; a file of no
        session is found with any, and so are the anatomical folders of other sessions, whose
        masks may be the only ones a participant has.
    """
    participants, sessions = _bare(participants), _bare(sessions)
    fixels = [folder.name for folder in dataset.fixel_directories]
    ignored = passed_over(participants, sessions, fixels)
    names = image_names(dataset.root, ignored)
    found = index_names(dataset.root, names)
    images = [*whole_images(Image(path, dataset.name, entities) for path, entities in found)]
    logger.debug('%s: %d images', dataset.root, len(images))
    return wanted(images, participants, sessions)


def find_fixel_files(
    dataset: Dataset, participants: Collection[str] = (), sessions: Collection[str] = ()
) -> list[Image]:
    """Return every data file in the fixel directories of a dataset, sorted by path.

    Parameters
    ----------
    dataset : Dataset
        Dataset to search.
    participants, sessions : collection of str, optional
        As for :func:`find_images`.

    Raises
    ------
    AmbiguousMatchError
        If two folders have names that are one to R or to a file system.
    """
    _require_names_of_their_own(dataset.fixel_directories)
    images = [
        Image(path, dataset.name, found)
        for folder in dataset.fixel_directories
        for path, found in fixel_files(folder)
    ]
    if unnamed := [image.path for image in images if 'subject' not in image.entities]:
        logger.warning(
            '%s: left out %d fixel files whose names do not begin with sub-<label>: %s',
            *(dataset.root, len(unnamed)),
            some((path.relative_to(dataset.root).as_posix() for path in unnamed), most=10),
        )
    return wanted(images, participants, sessions)


def whole_images(files: Iterable[Image]) -> Iterator[Image]:
    """Yield each image once, by the first of its files, without what tells them from each other.

    Surface data are a file for each hemisphere: their image has neither an entity ``hemi`` nor a
    field of that name.
    """
    found: set[Path] = set()
    for file in files:
        space = _space(_ending(file.path.name))
        if space is None or not (part := space.part_entity):
            yield file
        elif (first := space.files_of(file.path)[0]) not in found:
            found.add(first)
            entities = {name: label for name, label in file.entities.items() if name != part}
            columns = tuple(column for column in file.columns if column[0] != part)
            yield replace(file, entities=entities, columns=columns)


def _ending(name: str) -> str:
    """Return what tells the kind of an image; FreeSurfer's values without ending begin with it."""
    return name if name.startswith(('lh.', 'rh.')) else name[name.find('.') :]


@functools.cache
def _kind(ending: str) -> str:
    return space_class(ending).kind


@functools.cache
def _space(ending: str) -> type[ElementSpace] | None:
    try:
        return space_class(ending)
    except UnknownSpaceError:
        return None


def _require_names_of_their_own(folders: Sequence[Path]) -> None:
    names: dict[str, Path] = {}
    for folder in folders:
        other = names.setdefault(syntactic(folder.name.lower()), folder)
        if other != folder:
            raise AmbiguousMatchError(
                f'would have the name of {other.name} as a scalar', folder, 'Rename one of them.'
            )


def wanted(
    images: Iterable[Image], participants: Collection[str], sessions: Collection[str]
) -> list[Image]:
    """Return the images of some participants and sessions, labels as for :func:`find_images`."""
    participants, sessions = _bare(participants), _bare(sessions)
    return [
        image
        for image in images
        if (not participants or image.entities.get('subject') in participants)
        and (not sessions or _may_serve(image.entities, sessions))
    ]


def _bare(labels: Collection[str]) -> set[str]:
    return set(map(bids_entities.bare_label, labels))


def _may_serve(found: Entities, sessions: Collection[str]) -> bool:
    session = found.get('session')
    return session is None or session in sessions or found.get('datatype') == 'anat'
