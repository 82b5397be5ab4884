"""The spaces, and which of them answers for which file.

Belongs here: which elements there are, in which order and place, for each kind of images.
Does not: bytes on disk (``formats``), how HDF5 keeps them (``store``).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from modelarrayio_bids.cohort import Source
from modelarrayio_bids.errors import MixedSpacesError, UnknownSpaceError, UsageError
from modelarrayio_bids.formats import cifti
from modelarrayio_bids.spaces.base import ElementSpace, References, Template
from modelarrayio_bids.spaces.edges import EdgeSpace
from modelarrayio_bids.spaces.fixels import FixelSpace
from modelarrayio_bids.spaces.greyordinates import GreyordinateSpace
from modelarrayio_bids.spaces.parcels import ParcelSpace
from modelarrayio_bids.spaces.vertices import VertexSpace
from modelarrayio_bids.spaces.voxels import VoxelSpace

logger = logging.getLogger(__name__)

__all__ = [
    'SPACES',
    'EdgeSpace',
    'ElementSpace',
    'FixelSpace',
    'GreyordinateSpace',
    'ParcelSpace',
    'References',
    'Template',
    'VertexSpace',
    'VoxelSpace',
    'files_of',
    'space_class',
    'space_of',
    'space_of_references',
]

#: By kind; in the order in which file names are tried, the most particular ending first.
SPACES: dict[str, type[ElementSpace]] = {
    space.kind: space
    for space in (
        *(GreyordinateSpace, ParcelSpace, EdgeSpace, FixelSpace, VertexSpace),
        VoxelSpace,
    )
}


def space_class(name: str) -> type[ElementSpace]:
    """Return the space whose images are named like this one.

    >>> space_class('sub-01_FA.nii.gz').kind
    'voxels'

    Raises
    ------
    UnknownSpaceError
        If there is none, or if it is a CIFTI file of a kind that has no one value per element.
    """
    _refuse_other_cifti(name)
    for space in SPACES.values():
        if space.reads(name):
            return space
    endings = ', '.join(ending for space in SPACES.values() for ending in space.extensions)
    raise UnknownSpaceError('is not of a supported format', name, f'Endings read: {endings}.')


def files_of(path: Path) -> tuple[Path, ...]:
    """Return the files that one image may consist of, by the path of any, in their order.

    >>> [file.name for file in files_of(Path('rh.sulc.fsaverage.mgh'))]
    ['lh.sulc.fsaverage.mgh', 'rh.sulc.fsaverage.mgh']
    """
    try:
        return space_class(path.name).files_of(path)
    except UnknownSpaceError:
        return (path,)


def space_of(sources: Sequence[Source], references: References) -> ElementSpace:
    """Return the one space of all sources.

    Raises
    ------
    UnknownSpaceError
        If a file's name belongs to no space.
    MixedSpacesError
        If they are of several kinds.
    UsageError
        If a map is chosen where images have none.
    """
    kinds = {space_class(source.path.name).kind: source.name for source in sources}
    if len(kinds) > 1:
        examples = ', '.join(f'{kind} ({name})' for kind, name in kinds.items())
        raise MixedSpacesError(
            f'the cohort mixes {examples}', remedy='Make one cohort for each kind.'
        )
    space = space_class(sources[0].path.name)
    if references.map is not None and not space.has_maps:
        raise UsageError(f'{space.kind} have no maps to choose from', remedy='Leave out --map.')
    for name in ('mask', 'index', 'directions'):
        if (file := getattr(references, name)) is not None and name not in space.heeds:
            logger.warning('%s is not used: %s need no %s file', file, space.kind, name)
    return space.from_references(references, sources)


def space_of_references(references: References, kind: str | None = None) -> ElementSpace | None:
    """Return the space that files named beside an HDF5 file describe; None where none is named.

    Parameters
    ----------
    references : References
        The files.
    kind : str, optional
        The kind the HDF5 file is known to hold; without it, a mask speaks of voxels, an index of
        fixels, and an example is of the kind its name tells.
    """
    if references == References():
        return None
    if kind is not None:
        return SPACES[kind].from_references(references, ())
    if (mask := references.mask) is not None and references.example is None:
        masked = (each for each in SPACES.values() if mask.name.endswith(each.mask_extensions))
        return next(masked, VoxelSpace).from_references(references, ())
    if references.example is None or references.index is not None:
        return FixelSpace.from_references(references, ())
    return space_class(references.example.name).from_references(references, ())


def _refuse_other_cifti(name: str) -> None:
    """Refuse CIFTI files of other kinds, whose names all end like those of volumes."""
    kind = cifti.kind_of_name(name)
    if kind is None or (name.endswith(kind.extension) and not kind.remedy):
        return
    if kind.remedy:
        raise UnknownSpaceError(
            f'is CIFTI {kind.noun} ({kind.name}), which cannot be analysed as it is',
            name,
            kind.remedy,
        )
    raise UnknownSpaceError('is compressed, which CIFTI files must not be', name, 'Use gunzip.')
