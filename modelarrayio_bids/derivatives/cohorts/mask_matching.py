"""Masks for images: sources in a fixed search order, and the one that served is recorded.

1. ``given``: the mask a user named, for every image.
2. ``same-dataset``: the dataset has a mask of just these entities.
3. ``other-dataset``: another dataset has.
4. ``relaxed``: a mask that differs in run, acquisition or task alone.
5. ``anatomical``: the brain mask of that participant's anatomy in that space, whatever its grid.
6. ``map-itself``: the image's own finite voxels other than zero.

Images of fixels, greyordinates, parcels and edges need none and do not go down the ladder.

Of several masks on one rung none is taken: the next rung is tried, and the candidates are kept to
be named. A person may allow some of the rungs only (``--mask-source``).

>>> from modelarrayio_bids.derivatives.bids.query import Image
>>> one = {'subject': '01', 'space': 'MNI152NLin6Asym', 'datatype': 'perf'}
>>> image = Image(Path('cbf.nii.gz'), 'aslprep', {**one, 'suffix': 'cbf', 'desc': 'scrub'})
>>> mask = Image(Path('mask.nii.gz'), 'aslprep', {**one, 'suffix': 'mask', 'desc': 'brain'})
>>> pair(image, MaskIndex.from_images([mask])).rung
'same-dataset'
"""

from __future__ import annotations

import functools
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
#: Not a rung: what is said of images that are complete without a mask.
NOT_NEEDED = 'not-needed'
#: Not a rung either: what is said of images that no rung allowed serves.
UNSERVED = 'none'
RUNGS = (GIVEN, SAME_DATASET, OTHER_DATASET, RELAXED, ANATOMICAL, MAP_ITSELF)
#: What ``--mask-source`` takes: rungs, or all but the last.
NO_MAP_ITSELF = 'no-map-itself'
SOURCES = (*RUNGS[1:], NO_MAP_ITSELF)

#: What tells a map from the mask of the same brain, and one map of it from another.
_OF_THE_MAP = frozenset(
    {'model', 'param', 'stat', 'contrast', 'desc', 'label', 'bundle', 'atlas', 'seg'}
    | {'meas', 'pvc', 'ref', 'taskcontrast', 'seed'}
    | {'suffix', 'extension'}
)
_OF_THE_RUN = frozenset({'run', 'acq', 'task', 'feature', 'setting'})
#: In this order the anatomical masks of a participant and space are narrowed down.
_NARROWING = ('session', 'res', 'den')

Key = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Pairing:
    """The mask found for an image.

    Parameters
    ----------
    mask : pathlib.Path or None
        None on the last rung.
    rung : str
        One of :data:`RUNGS`, or :data:`UNSERVED`.
    passed_over : tuple
        For each rung that had several candidates: its name and their paths.
    """

    mask: Path | None
    rung: str
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
    """Return the rungs that some of :data:`SOURCES` allow: all of them if there is none.

    >>> sorted(allowed(['relaxed', 'same-dataset']))
    ['relaxed', 'same-dataset']
    >>> 'map-itself' in allowed(['no-map-itself'])
    False

    Raises
    ------
    UsageError
        If two contradict each other.
    """
    if {MAP_ITSELF, NO_MAP_ITSELF} <= set(sources):
        raise UsageError(
            f'{MAP_ITSELF} and {NO_MAP_ITSELF} contradict each other', remedy='Give one of them.'
        )
    rungs = set(sources) - {NO_MAP_ITSELF} or set(RUNGS)
    return frozenset(rungs - {MAP_ITSELF} if NO_MAP_ITSELF in sources else rungs)


def pair(
    image: Image,
    masks: MaskIndex,
    given: Path | None = None,
    rungs: Collection[str] = RUNGS,
) -> Pairing:
    """Return the mask of an image: of the first source allowed that has exactly one."""
    if given is not None:
        return Pairing(given, GIVEN)
    passed_over: list[tuple[str, tuple[Path, ...]]] = []
    for rung, candidates in _ladder(image, masks):
        if rung not in rungs:
            continue
        if len(candidates) == 1:
            return Pairing(candidates[0].path, rung, tuple(passed_over))
        if candidates:
            passed_over.append((rung, tuple(mask.path for mask in candidates)))
    return Pairing(None, MAP_ITSELF if MAP_ITSELF in rungs else UNSERVED, tuple(passed_over))


def _ladder(image: Image, masks: MaskIndex) -> tuple[tuple[str, Sequence[Image]], ...]:
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
    """Return the masks that have most of the image's labels of entities that BIDS does not know."""
    if len(candidates) < 2:
        return candidates
    ours = image.entities.items() - _without(image.entities, frozenset())
    shared = [len(ours & mask.entities.items()) for mask in candidates]
    return [mask for mask, n in zip(candidates, shared, strict=True) if n == max(shared)]


def _own_first(image: Image, candidates: Sequence[Image]) -> Sequence[Image]:
    own = [mask for mask in candidates if mask.dataset == image.dataset]
    return own or candidates


def _narrowed(image: Image, candidates: Sequence[Image]) -> Sequence[Image]:
    """Return the masks most like the image, where some are more like it than others."""
    for entity in _NARROWING:
        label = image.entities.get(entity)
        alike = [mask for mask in candidates if mask.entities.get(entity) == label]
        candidates = alike or candidates
    return _own_first(image, candidates)


def _exact(entities: Entities) -> Key:
    return _without(entities, _OF_THE_MAP)


def _relaxed(entities: Entities) -> Key:
    return _without(entities, _OF_THE_MAP | _OF_THE_RUN)


def _without(entities: Entities, left: frozenset[str]) -> Key:
    # What BIDS does not know is of the map: C-PAC's reg-36Parameter, say, has no mask of its own.
    known = _known_but(left)
    return frozenset(item for item in entities.items() if item[0] in known)


@functools.cache
def _known_but(left: frozenset[str]) -> frozenset[str]:
    return frozenset(names()) - left


def _anatomical(entities: Entities) -> Key:
    kept = ('subject', 'space', 'cohort')
    return frozenset((name, entities[name]) for name in kept if name in entities)
