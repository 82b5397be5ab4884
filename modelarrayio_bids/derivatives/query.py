"""What images a dataset holds: the one place where pybids is asked.

pybids is held as it must be to tell real derivatives apart: an entity configuration of our own
that looks at base names only, one layout per dataset, no validation, no metadata, and only what
can matter indexed. Of fixel directories it is not asked: see
:mod:`~modelarrayio_bids.derivatives.fixel_folders`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bids import BIDSLayout, BIDSLayoutIndexer
from bids.layout.models import Tag

from modelarrayio_bids.derivatives import entities as bids_entities
from modelarrayio_bids.derivatives.dataset import Dataset
from modelarrayio_bids.derivatives.entities import Entities
from modelarrayio_bids.derivatives.fixel_folders import fixel_files
from modelarrayio_bids.derivatives.naming import syntactic
from modelarrayio_bids.errors import AmbiguousMatchError
from modelarrayio_bids.spaces import space_class

logger = logging.getLogger(__name__)

#: Folders of a dataset's root that hold other datasets, or nothing that was measured.
_PASSED_OVER = ('derivatives', 'sourcedata', 'code', 'logs', 'figures', 'models', 'stimuli')


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
    """

    path: Path
    dataset: str
    entities: Entities

    @property
    def kind(self) -> str:
        """The kind of its elements.

        Raises
        ------
        UnknownSpaceError
            If no space reads files named so.
        """
        return space_class(self.path.name).kind


def find_images(
    dataset: Dataset, participants: Collection[str] = (), sessions: Collection[str] = ()
) -> list[Image]:
    """Every NIfTI and CIFTI image of a dataset, sorted by path.

    Nested datasets are not entered.

    Parameters
    ----------
    dataset : Dataset
        Where to look.
    participants, sessions : collection of str, optional
        Labels with or without ``sub-`` and ``ses-``. Only their folders are read; a file of no
        session is found with any, and so are the anatomical folders of other sessions, whose
        masks may be the only ones a participant has.
    """
    participants = {bids_entities.bare_label(label) for label in participants}
    sessions = {bids_entities.bare_label(label) for label in sessions}
    fixels = [folder.name for folder in dataset.fixel_directories]
    ignored = list(_ignored(participants, sessions, fixels))
    layout = BIDSLayout(
        dataset.root,
        validate=False,
        config=[bids_entities.configuration()],
        indexer=BIDSLayoutIndexer(validate=False, index_metadata=False, ignore=ignored),
    )
    images = [Image(Path(path), dataset.name, found) for path, found in _entities_by_path(layout)]
    logger.debug('%s: %d images', dataset.root, len(images))
    return _wanted(images, participants, sessions)


def find_fixel_files(
    dataset: Dataset, participants: Collection[str] = (), sessions: Collection[str] = ()
) -> list[Image]:
    """Every data file in the fixel directories of a dataset, sorted by path.

    Parameters
    ----------
    dataset : Dataset
        Where to look.
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
            *(dataset.root, len(unnamed), _some(unnamed, dataset.root)),
        )
    participants = {bids_entities.bare_label(label) for label in participants}
    sessions = {bids_entities.bare_label(label) for label in sessions}
    return _wanted(images, participants, sessions)


def _require_names_of_their_own(folders: Sequence[Path]) -> None:
    names: dict[str, Path] = {}
    for folder in folders:
        other = names.setdefault(syntactic(folder.name.lower()), folder)
        if other != folder:
            raise AmbiguousMatchError(
                f'would have the name of {other.name} as a scalar', folder, 'Rename one of them.'
            )


def _wanted(
    images: Iterable[Image], participants: Collection[str], sessions: Collection[str]
) -> list[Image]:
    return [
        image
        for image in images
        if (not participants or image.entities.get('subject') in participants)
        and (not sessions or _may_serve(image.entities, sessions))
    ]


def _some(paths: Sequence[Path], root: Path, most: int = 10) -> str:
    more = f' and {len(paths) - most} more' if len(paths) > most else ''
    return ', '.join(path.relative_to(root).as_posix() for path in paths[:most]) + more


def _ignored(
    participants: Collection[str], sessions: Collection[str], folders: Collection[str]
) -> Iterator[re.Pattern[str]]:
    """Patterns on paths below the root, of folders and files not to be read."""
    yield re.compile(rf'^/({_any_of({*_PASSED_OVER, *folders})})(/|$)')
    yield re.compile(r'/[^/]*\.[^/]*(?<!\.nii)(?<!\.nii\.gz)$')
    if participants:
        yield re.compile(rf'^/sub-(?!({_any_of(participants)})([/_.]|$))')
    if sessions:
        others = rf'ses-(?!({_any_of(sessions)})([/_.]|$))[^/]*'
        yield re.compile(rf'^/sub-[^/]+/{others}/(?!anat(/|$))')


def _any_of(labels: Iterable[str]) -> str:
    return '|'.join(re.escape(label) for label in sorted(labels))


def _entities_by_path(layout: BIDSLayout) -> Iterator[tuple[str, dict[str, str]]]:
    """Paths and entities, sorted by path, in one query: pybids' own ``get`` makes one per file."""
    columns = Tag.__table__.c
    rows = layout.session.query(columns.file_path, columns.entity_name, columns['_value'])
    found: dict[str, dict[str, str]] = {}
    for path, name, label in rows:
        found.setdefault(path, {})[name] = label
    yield from sorted((path, tags) for path, tags in found.items() if 'extension' in tags)


def _may_serve(found: Entities, sessions: Collection[str]) -> bool:
    session = found.get('session')
    return session is None or session in sessions or found.get('datatype') == 'anat'
