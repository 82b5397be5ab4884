"""Reasons for leaving images out: by their names, and where names mislead, by their headers."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from modelarrayio_bids.derivatives.bids import entities as bids_entities
from modelarrayio_bids.derivatives.bids.query import Image
from modelarrayio_bids.errors import ModelArrayIOError, UnknownSpaceError
from modelarrayio_bids.masks import same_grid
from modelarrayio_bids.runtime.grouping import grouped
from modelarrayio_bids.spaces import SPACES, VoxelSpace

NO_SPACE = "in the participant's own space (no space)"
_SERIES = 'a time series'
_ONE_GRID = (
    'without space- in their names, though on one grid: a recipe can say which space it is '
    '(space: NAME in docs/recipes.md)'
)
_ONE_VOLUME = (
    'named like a time series, though of one volume: a recipe of your own takes it '
    '(docs/recipes.md)'
)
_CAPITALS = 'of no participant: BIDS writes sub- in lower case'
_PREFIXED = (
    'named as SPM and CAT12 do, with more before sub-, so that no participant is known: name them '
    'with --images (docs/patterns.md)'
)
_COPY = 'a copy, by its name, that a file manager or a synchroniser made'
# Signs that no name of BIDS has.
_OF_A_COPY = re.compile(r'[\s()~]|sync-conflict')
_OF_A_ROW = re.compile(r'(sub|ses|run|space|cohort|res|den)-[^_/.]+_?')


def why_odd(image: Image) -> str | None:
    """Return why a name is none that BIDS has, if it is."""
    name = image.path.name
    if _OF_A_COPY.search(name):
        return _COPY
    if 'subject' in image.entities or 'sub-' not in name.lower():
        return None
    return _CAPITALS if name.lower().startswith('sub-') else _PREFIXED


def why_unusable(image: Image) -> str | None:
    """Return why no group file can be made of an image, whatever it holds."""
    try:
        kind = image.kind
    except UnknownSpaceError as error:
        return error.what
    if 'subject' not in image.entities:
        return 'of no participant'
    space = image.entities.get('space')
    # A name need not give the elements if the file itself, or its folder, does.
    if bids_entities.is_native(space) and (space is not None or SPACES[kind].named_spaces):
        return f"in the participant's own space (space-{space})" if space else NO_SPACE
    return None


def kind_of_name(path: Path) -> str:
    """Return what is left of a name without whose it is, and in which space.

    >>> kind_of_name(Path('sub-01_ses-2_space-MNI152NLin6Asym_res-2_desc-mean_cbf.nii.gz'))
    'desc-mean_cbf.nii.gz'
    """
    return _OF_A_ROW.sub('', path.name)


def corrected(
    reasons: Mapping[str, Sequence[Path]], named_with_space: Collection[str]
) -> dict[str, list[Path]]:
    """Return images by reason, where headers were looked at before a name was believed.

    One header is read of each kind of name that tells a time series, and three of each that tells
    no space. Where names of the same kind have a space as well, those without are native.

    Parameters
    ----------
    reasons : mapping
        Reason to images, by their names.
    named_with_space : collection of str
        Kinds of names, see :func:`kind_of_name`, of which some have a space.
    """
    found: dict[str, list[Path]] = defaultdict(list)
    for reason, paths in reasons.items():
        for kind, alike in grouped((kind_of_name(path), path) for path in paths).items():
            is_native = reason == NO_SPACE and kind in named_with_space
            found[reason if is_native else _corrected(reason, alike)] += alike
    return found


def _corrected(reason: str, paths: Sequence[Path]) -> str:
    if reason == NO_SPACE and _on_one_grid(paths):
        return _ONE_GRID
    if reason.startswith(_SERIES) and _is_one_volume(paths[0]):
        return _ONE_VOLUME
    return reason


def _on_one_grid(paths: Sequence[Path]) -> bool:
    by_participant = {path.name.partition('_')[0]: path for path in paths}
    first, *others = list(by_participant.values())[:3]
    try:
        return bool(others) and all(same_grid(first, other) for other in others)
    except ModelArrayIOError:
        return False


def _is_one_volume(path: Path) -> bool:
    try:
        return path.name.endswith(VoxelSpace.extensions) and not VoxelSpace.holds_several(path)
    except ModelArrayIOError:
        return False
