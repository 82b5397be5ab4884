"""What images a dataset holds: the one place where pybids is asked.

pybids is held as it must be to tell real derivatives apart: an entity configuration of our own
that looks at base names only, one layout per dataset, no validation, no metadata, and only what
can matter indexed.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bids import BIDSLayout, BIDSLayoutIndexer
from bids.layout.models import Tag

from modelarrayio_bids.derivatives import entities as bids_entities
from modelarrayio_bids.derivatives.dataset import Dataset
from modelarrayio_bids.derivatives.entities import Entities

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


def find_images(
    dataset: Dataset, participants: Collection[str] = (), sessions: Collection[str] = ()
) -> list[Image]:
    """Every NIfTI image of a dataset, sorted by path; nested datasets are not entered.

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
    ignored = list(_ignored(participants, sessions))
    layout = BIDSLayout(
        dataset.root,
        validate=False,
        config=[bids_entities.configuration()],
        indexer=BIDSLayoutIndexer(validate=False, index_metadata=False, ignore=ignored),
    )
    images = [Image(Path(path), dataset.name, found) for path, found in _entities_by_path(layout)]
    logger.debug('%s: %d images', dataset.root, len(images))
    return [
        image
        for image in images
        if (not participants or image.entities.get('subject') in participants)
        and (not sessions or _may_serve(image.entities, sessions))
    ]


def _ignored(participants: Collection[str], sessions: Collection[str]) -> Iterator[re.Pattern[str]]:
    """Patterns on paths below the root, of folders and files not to be read."""
    yield re.compile(rf'^/({"|".join(_PASSED_OVER)})(/|$)')
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
