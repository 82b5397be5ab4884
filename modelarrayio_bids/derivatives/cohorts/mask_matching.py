"""Masks for images: sources in a fixed search order, and the one that was used.

1. ``given``: the mask that a user named for all images.
2. ``same-dataset``: a mask with the same entities in the same dataset.
3. ``other-dataset``: a mask with the same entities in another dataset.
4. ``relaxed``: a mask that differs only in run, acquisition or task.
5. ``anatomical``: the brain mask of that participant's anatomy in that space, on any grid.
6. ``map-itself``: the finite, non-zero voxels of the image.

Images of fixels, greyordinates, parcels and edges need no mask.

If a source has several masks, none of them is used: the next source is tried, and the candidates
are kept for a warning. ``--mask-source`` allows some of the sources only.

>>> from modelarrayio_bids.derivatives.bids.query import Image
>>> one = {'subject': '01', 'space': 'MNI152NLin6Asym', 'datatype': 'perf'}
>>> image = Image(Path('cbf.nii.gz'), 'aslprep', {**one, 'suffix': 'cbf', 'desc': 'scrub'})
>>> mask = Image(Path('mask.nii.gz'), 'aslprep', {**one, 'suffix': 'mask', 'desc': 'brain'})
>>> pair(image, MaskIndex.from_images([mask])).mask_source
'same-dataset'
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelarrayio_bids.derivatives.bids.entities import Entities, names
from modelarrayio_bids.derivatives.bids.query import Image
from modelarrayio_bids.errors import UsageError
from modelarrayio_bids.runtime.grouping import grouped

GIVEN = 'given'
SAME_DATASET = 'same-dataset'
OTHER_DATASET = 'other-dataset'
RELAXED = 'relaxed'
ANATOMICAL = 'anatomical'
MAP_ITSELF = 'map-itself'
#: In place of a source, for images that need no mask.
NOT_NEEDED = 'not-needed'
#: In place of a source, for images without an allowed mask.
UNSERVED = 'none'
SEARCH_ORDER = (GIVEN, SAME_DATASET, OTHER_DATASET, RELAXED, ANATOMICAL, MAP_ITSELF)
#: All sources but the last.
NO_MAP_ITSELF = 'no-map-itself'
#: Values of ``--mask-source``.
SOURCES = (*SEARCH_ORDER[1:], NO_MAP_ITSELF)

# Others belong to the map: C-PAC's reg-36Parameter has no mask of its own.
_KNOWN = frozenset(names())
#: Entities in which a map may differ from its mask.
_OF_THE_MAP = frozenset(
    {'model', 'param', 'stat', 'contrast', 'desc', 'label', 'bundle', 'atlas', 'seg'}
    | {'meas', 'pvc', 'ref', 'taskcontrast', 'seed'}
    | {'suffix', 'extension'}
)
_OF_THE_RUN = frozenset({'run', 'acq', 'task', 'feature', 'setting'})
#: Entities by which several anatomical masks are narrowed down, in this order.
_NARROWING = ('session', 'res', 'den')

Key = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Pairing:
    """The mask found for an image.

    Parameters
    ----------
    mask : pathlib.Path or None
        None if the image is its own mask, or if there is none.
    mask_source : str
        One of :data:`SEARCH_ORDER`, or :data:`UNSERVED`.
    passed_over : tuple
        For each source that had several candidates: its name and their paths.
    """

    mask: Path | None
    mask_source: str
    passed_over: tuple[tuple[str, tuple[Path, ...]], ...] = ()


@dataclass(frozen=True)
class MaskIndex:
    """An index of the masks of all datasets by their entities."""

    exact: Mapping[Key, list[Image]]
    relaxed: Mapping[Key, list[Image]]
    anatomical: Mapping[Key, list[Image]]

    @classmethod
    def from_images(cls, masks: Iterable[Image]) -> MaskIndex:
        """Return an index of these masks."""
        masks = list(masks)
        of_anatomy = [mask for mask in masks if mask.entities.get('datatype') == 'anat']
        return cls(
            grouped((_exact(mask.entities), mask) for mask in masks),
            grouped((_relaxed(mask.entities), mask) for mask in masks),
            grouped((_anatomical(mask.entities), mask) for mask in of_anatomy),
        )


def allowed(sources: Collection[str]) -> frozenset[str]:
    """Return the sources that the values of ``--mask-source`` allow: all if there are none.

    >>> sorted(allowed(['relaxed', 'same-dataset']))
    ['relaxed', 'same-dataset']
    >>> 'map-itself' in allowed(['no-map-itself'])
    False

    Raises
    ------
    UsageError
        If two values contradict each other.
    """
    if {MAP_ITSELF, NO_MAP_ITSELF} <= set(sources):
        raise UsageError(
            f'{MAP_ITSELF} and {NO_MAP_ITSELF} contradict each other', remedy='Give one of them.'
        )
    named = set(sources) - {NO_MAP_ITSELF} or set(SEARCH_ORDER)
    return frozenset(named - {MAP_ITSELF} if NO_MAP_ITSELF in sources else named)


def pair(
    image: Image,
    masks: MaskIndex,
    given: Path | None = None,
    sources: Collection[str] = SEARCH_ORDER,
) -> Pairing:
    """Return the mask of an image, from the first allowed source that has exactly one."""
    if given is not None:
        return Pairing(given, GIVEN)
    passed_over: list[tuple[str, tuple[Path, ...]]] = []
    for source, candidates in _candidates(image, masks):
        if source not in sources:
            continue
        if len(candidates) == 1:
            return Pairing(candidates[0].path, source, tuple(passed_over))
        if candidates:
            passed_over.append((source, tuple(mask.path for mask in candidates)))
    return Pairing(None, MAP_ITSELF if MAP_ITSELF in sources else UNSERVED, tuple(passed_over))


def _candidates(image: Image, masks: MaskIndex) -> tuple[tuple[str, Sequence[Image]], ...]:
    exact = masks.exact.get(_exact(image.entities), [])
    relaxed = masks.relaxed.get(_relaxed(image.entities), [])
    anatomical = masks.anatomical.get(_anatomical(image.entities), [])
    return (
        (SAME_DATASET, _alike(image, [mask for mask in exact if mask.dataset == image.dataset])),
        (OTHER_DATASET, _alike(image, [mask for mask in exact if mask.dataset != image.dataset])),
        (RELAXED, _alike(image, _own_first(image, relaxed))),
        (ANATOMICAL, _narrowed(image, anatomical)),
    )


def _alike(image: Image, candidates: Sequence[Image]) -> Sequence[Image]:
    """Return the masks that share most labels of entities unknown to BIDS with the image."""
    if len(candidates) < 2:
        return candidates
    ours = image.entities.items() - _only(_KNOWN, image.entities)
    shared = [len(ours & mask.entities.items()) for mask in candidates]
    return [mask for mask, n in zip(candidates, shared, strict=True) if n == max(shared)]


def _own_first(image: Image, candidates: Sequence[Image]) -> Sequence[Image]:
    own = [mask for mask in candidates if mask.dataset == image.dataset]
    return own or candidates


def _narrowed(image: Image, candidates: Sequence[Image]) -> Sequence[Image]:
    """Return the masks that are most similar to the image."""
    for entity in _NARROWING:
        label = image.entities.get(entity)
        alike = [mask for mask in candidates if mask.entities.get(entity) == label]
        candidates = alike or candidates
    return _own_first(image, candidates)


def _exact(entities: Entities) -> Key:
    return _only(_KNOWN - _OF_THE_MAP, entities)


def _relaxed(entities: Entities) -> Key:
    return _only(_KNOWN - _OF_THE_MAP - _OF_THE_RUN, entities)


def _anatomical(entities: Entities) -> Key:
    return _only({'subject', 'space', 'cohort'}, entities)


def _only(kept: Collection[str], entities: Entities) -> Key:
    return frozenset(item for item in entities.items() if item[0] in kept)
