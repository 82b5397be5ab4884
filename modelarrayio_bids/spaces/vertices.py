"""Vertices: those of both cortices, from pairs of FreeSurfer's or GIFTI files of surface data.

An image is a pair of files, named by either of them: the other one is found by its name. A study of
one hemisphere has one file a row, and so has one whose files hold both hemispheres.

>>> space = VertexSpace({'L': [True, False, True], 'R': [True, True]}, '.mgh')
>>> space
<VertexSpace of 4 vertices>
>>> table = space.tables()['vertices']
>>> table.columns
('vertex_id', 'structure_id', 'surface_vertex')
>>> table.values.T.tolist()
[[0, 0, 0], [1, 0, 2], [2, 1, 0], [3, 1, 1]]
"""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np

from modelarrayio_bids.cohort import Source
from modelarrayio_bids.errors import (
    DuplicateSourceError,
    FormatError,
    ModelArrayIOError,
    SpaceError,
    SpaceMismatchError,
    UnknownSpaceError,
    UsageError,
)
from modelarrayio_bids.formats.maps import map_position
from modelarrayio_bids.formats.pointers import absence_error
from modelarrayio_bids.formats.surface_maps import (
    EXTENSIONS,
    MASK_EXTENSIONS,
    SIDES,
    SurfaceMaps,
    holds_both,
    in_side,
    is_curv,
    read_mask,
    side,
    write_map,
)
from modelarrayio_bids.runtime.grouping import grouped
from modelarrayio_bids.runtime.locations import is_there
from modelarrayio_bids.runtime.parallel import ordered_map
from modelarrayio_bids.spaces.base import ElementSpace, References, Template
from modelarrayio_bids.spaces.geometry import SurfaceElements, partner_vertices, structure_counts
from modelarrayio_bids.store.kinds import TableForm
from modelarrayio_bids.store.schema import ElementTable, Tables

logger = logging.getLogger(__name__)

_STRUCTURES = {'L': 'CIFTI_STRUCTURE_CORTEX_LEFT', 'R': 'CIFTI_STRUCTURE_CORTEX_RIGHT'}
_WORDS = {'L': 'left', 'R': 'right'}
#: Surfaces whose vertices correspond between people, by their number of vertices. The HCP's 164k
#: has as many as fsaverage: names of files tell it.
_SURFACES = {
    163_842: 'fsaverage',
    40_962: 'fsaverage6',
    10_242: 'fsaverage5',
    2_562: 'fsaverage4',
    642: 'fsaverage3',
    59_292: 'fsLR',
    32_492: 'fsLR',
    7_842: 'fsLR',
    4_002: 'fsLR',
}
# As BIDS, FreeSurfer and the HCP name surfaces in names of files.
_NAMED = re.compile(r'(?:^|[._])(?:space-([A-Za-z0-9]+)|(fsaverage\d?)|\w*(fs_LR))(?=[._])')
_BUILD_AGAIN = 'Build the file again.'
_RESAMPLE = 'Resample it to the surface of the example or first source, or leave it out.'
_TO_ONE_SURFACE = (
    'Resample each to fsaverage (FreeSurfer: recon-all -s SUBJECT -qcache, or mri_surf2surf; '
    'CAT12: Resample and Smooth Surface Data), and give those files.'
)
# Images that tell whether all are on surfaces of their own.
_OWN_LOOKED_AT = 3
# Bytes that reading takes for each vertex: what is on disk, inflated, and as numbers.
_VERTEX_BYTES = 24
_READERS = 4


class VertexSpace(ElementSpace):
    """Vertices of the surface of one or both hemispheres.

    Parameters
    ----------
    included : mapping
        By hemisphere, ``L`` and ``R``: (n_vertices,) boolean, which of its vertices are elements.
    extension : str
        Ending of the images that are written.
    surface : str, optional
        Name of the surface.
    """

    kind = 'vertices'
    extensions = EXTENSIONS
    heeds = ('mask',)
    mask_extensions = MASK_EXTENSIONS
    table_forms = (
        TableForm(
            'vertices', ('vertex_id', 'structure_id', 'surface_vertex'), ('structure_names',)
        ),
    )
    part_entity = 'hemi'
    named_spaces = True
    has_maps = True
    stacks = True
    has_neighbours = True

    def __init__(self, included: Mapping[str, Any], extension: str, surface: str = '') -> None:
        #: Number of vertices of each hemisphere there is, left before right.
        self.counts = {each: len(included[each]) for each in SIDES if each in included}
        self.surface = surface
        self._extension = extension
        # Asked for once, when elements are needed: headers are checked before images are read.
        self._included: Callable[[], Mapping[str, Any]] = lambda: included

    @functools.cached_property
    def vertices(self) -> dict[str, np.ndarray]:
        """Vertices that are elements, by hemisphere: (n,) int32 positions on its surface."""
        included = self._included()
        found = {
            each: np.flatnonzero(np.asarray(included[each], bool)).astype(np.int32)
            for each in self.counts
        }
        if not any(map(len, found.values())):
            raise SpaceError(
                'no vertex has a value other than 0 in any image',
                remedy='Look at the images, or give the vertices of the cortex with --mask.',
            )
        return found

    @classmethod
    def reads(cls, name: str) -> bool:
        """Return whether it is a file of one hemisphere, or of both, by its ending or its start."""
        return super().reads(name) or holds_both(name) or is_curv(name)

    @classmethod
    def n_stacked(cls, path: Path) -> int:
        """Return the number of maps."""
        return len(SurfaceMaps.from_file(path).names)

    @classmethod
    def from_references(cls, references: References, sources: Sequence[Source]) -> Self:
        """Make the space of ``references.example``, else of the sources.

        Elements are the vertices that ``references.mask`` names, one file of a pair; without it all
        but those that are 0 or missing in every source, such as the medial wall.
        """
        images = list(dict.fromkeys(source.path for source in sources))
        if references.example is not None:
            images.insert(0, references.example)
        if not images:
            raise UsageError(
                'vertices need an image that lists them',
                remedy='Give a .shape.gii or .mgh file of one hemisphere with --example-file.',
            )
        _require_one_row_each(sources)
        files = _first_of_each_side(images)
        headers = {each: SurfaceMaps.from_file(path, each) for each, path in files.items()}
        _require_one_surface(images)
        n_vertices = max(header.n_vertices for header in headers.values())
        space = cls(
            {each: np.zeros(header.n_vertices, bool) for each, header in headers.items()},
            _extension(images[0]),
            _told_surface(images[0], n_vertices) or _SURFACES.get(n_vertices, ''),
        )
        space.map_choice = references.map
        if references.mask is None:
            volumes = grouped((one.path, one.volume) for one in sources if one.volume is not None)
            space._included = functools.partial(space._present, images, volumes)
        else:
            included = space._masked(references.mask)
            space._included = lambda: included
        return space

    @classmethod
    def from_template(cls, template: Template) -> Self:
        """Make the space again of its :meth:`template`."""
        extension, surface = (
            np.asarray(template[name], np.uint8).tobytes().decode('latin-1')
            for name in ('extension', 'surface')
        )
        masks = {each: np.asarray(template[name]) for each, name in _WORDS.items()}
        counts = dict(zip(SIDES, np.asarray(template['n_vertices']).tolist(), strict=True))
        if counts != {each: len(mask) for each, mask in masks.items()} or not all(
            mask.ndim == 1 and mask.dtype == np.uint8 and mask.max(initial=0) <= 1
            for mask in masks.values()
        ):
            raise FormatError('has no mask for each hemisphere', 'template', _BUILD_AGAIN)
        if extension not in EXTENSIONS:
            raise FormatError(f'names an ending {extension!r}', 'template', _BUILD_AGAIN)
        return cls({each: mask for each, mask in masks.items() if len(mask)}, extension, surface)

    def template(self) -> Template:
        """Return which vertices are elements, the surface and the ending of images.

        ``left`` and ``right``, (n_vertices,) uint8, empty for a hemisphere that is not there;
        ``n_vertices`` of both, int64; ``surface`` and ``extension`` as bytes.
        """
        masks = {_WORDS[each]: np.zeros(self.counts.get(each, 0), np.uint8) for each in SIDES}
        for each, vertices in self.vertices.items():
            masks[_WORDS[each]][vertices] = 1
        return {
            **masks,
            'n_vertices': np.array([self.counts.get(each, 0) for each in SIDES]),
            'surface': np.frombuffer(self.surface.encode('latin-1'), np.uint8),
            'extension': np.frombuffer(self._extension.encode('latin-1'), np.uint8),
        }

    @classmethod
    def stored_facts(cls, tables: Tables, template: Mapping[str, Any]) -> dict[str, Any]:
        """Return the surface and the number of vertices of each hemisphere, where they are told."""
        facts: dict[str, Any] = {}
        if 'surface' in template:
            surface = np.asarray(template['surface'][()], np.uint8).tobytes()
            facts['surface'] = surface.decode('latin-1')
        if (counts := structure_counts(tables.get('vertices'))) is not None:
            facts['structures'] = counts
        return facts

    @classmethod
    def files_of(cls, path: Path) -> tuple[Path, ...]:
        """Return the files of both hemispheres, left before right."""
        return tuple(dict.fromkeys(path.with_name(in_side(path.name, each)) for each in SIDES))

    def written_files(self, path: Path) -> tuple[Path, ...]:
        """Return the files of the hemispheres there are."""
        return tuple(path.with_name(in_side(path.name, each)) for each in self.counts)

    @property
    def name_entities(self) -> Mapping[str, str]:
        """The first hemisphere there is."""
        return {'hemi': next(iter(self.counts))}

    def __len__(self) -> int:
        return sum(map(len, self.vertices.values()))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, VertexSpace):
            return NotImplemented
        return (self.surface, self.counts) == (other.surface, other.counts) and all(
            np.array_equal(mine, other.vertices[each]) for each, mine in self.vertices.items()
        )

    __hash__ = None

    def tables(self) -> dict[str, ElementTable]:
        """Return ``vertices``: int32 (3, n_elements), with the names of the structures.

        ``vertex_id`` counts all elements from 0, ``structure_id`` is a position in
        ``structure_names``, and ``surface_vertex`` the number of the vertex on its surface.
        """
        numbers = np.repeat(np.arange(len(self.counts)), [*map(len, self.vertices.values())])
        rows = [np.arange(len(self)), numbers, np.concatenate([*self.vertices.values()])]
        names = tuple(_STRUCTURES[each] for each in self.counts)
        (form,) = self.table_forms
        table = ElementTable(
            np.stack(rows).astype(np.int32), form.columns, {'structure_names': names}
        )
        return {form.path: table}

    def flip_candidates(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield the two cortices, where their surfaces have corresponding vertices: in fsLR."""
        if self.surface == 'fsLR' and len(self.counts) == len(SIDES):
            pair = [*self.surface_elements().values()]
            yield 'left and right', partner_vertices(pair, len(self))

    def check(self, source: Source) -> int:
        """Compare the hemispheres, their numbers of vertices, and the name of the surface."""
        files = (self._checked(source.path, each, source.volume) for each in self.counts)
        return sum(file.n_vertices for file in files) * _VERTEX_BYTES

    def read(self, source: Source) -> np.ndarray:
        """Read the one map of each hemisphere, or that chosen: float32 if so on disk."""
        return np.concatenate(
            [
                self._checked(source.path, each).read(self.map_choice)[vertices]
                for each, vertices in self.vertices.items()
            ]
        )

    def stacked(self, path: Path, numbers: Sequence[int]) -> Iterator[np.ndarray]:
        """Yield the values of some maps of a file, in rising order."""
        files = [self._checked(path, each, max(numbers)).maps(numbers) for each in self.counts]
        vertices = self.vertices.values()
        for maps in zip(*files, strict=True):
            pairs = zip(maps, vertices, strict=True)
            yield np.concatenate([values[elements] for values, elements in pairs])

    def read_stacked(self, source: Source, stored: np.ndarray) -> np.ndarray:
        """Return the values, which :meth:`stacked` took from both hemispheres."""
        return stored

    def write(self, values: np.ndarray, path: Path, fill: float = 0.0, name: str = '') -> None:
        """Write a map of each hemisphere, ``fill`` at vertices that are no elements."""
        for each, elements in self._elements.items():
            whole = np.full(self.counts[each], fill, np.float64)
            whole[self.vertices[each]] = values[elements]
            file = path.with_name(in_side(path.name, each))
            write_map(whole, file, name or path.name.removesuffix(self._extension))

    def extension(self, compress: bool) -> str:
        """Return that of the images that the space was made of."""
        return self._extension

    def labels(self, elements: np.ndarray) -> list[str]:
        """Return vertices by number, with their hemisphere."""
        table = self.tables()['vertices'].values[1:, elements]
        words = [_WORDS[each] for each in self.counts]
        return [f'vertex {vertex} of {words[number]} cortex' for number, vertex in table.T.tolist()]

    def structures(self) -> dict[str, np.ndarray]:
        """Return the elements by hemisphere."""
        return {f'{_WORDS[each]} cortex': elements for each, elements in self._elements.items()}

    def surface_elements(self) -> dict[str, SurfaceElements]:
        """Return the vertices, one element each."""
        return {
            _STRUCTURES[each]: SurfaceElements(
                self.counts[each], self.vertices[each], elements, self.surface
            )
            for each, elements in self._elements.items()
        }

    @property
    def _elements(self) -> dict[str, np.ndarray]:
        """Elements of each hemisphere: (n,) positions."""
        bounds = np.cumsum([0, *map(len, self.vertices.values())])
        pairs = zip(self.counts, pairwise(bounds), strict=True)
        return {each: np.arange(*ends) for each, ends in pairs}

    def _checked(self, path: Path, each: str, number: int | None = None) -> SurfaceMaps:
        """Return the header of a hemisphere's file, which fits this space and has such a map."""
        maps = SurfaceMaps.from_file(_require(path, each), each)
        if maps.side not in {'', each}:
            raise SpaceMismatchError(
                f'is of the {_WORDS[maps.side]} hemisphere, as it says itself',
                maps.path,
                'Rename it, or make it again.',
            )
        if maps.n_vertices != self.counts[each]:
            raise SpaceMismatchError(
                f'has {maps.n_vertices:,} vertices, expected {self.counts[each]:,}',
                maps.path,
                _RESAMPLE,
            )
        told = _told_surface(maps.path, maps.n_vertices)
        if told and self.surface and told != self.surface:
            raise SpaceMismatchError(f'is on {told}, expected {self.surface}', maps.path, _RESAMPLE)
        if number is None:
            map_position(maps.names, self.map_choice, maps.path)
        elif number >= len(maps.names):
            what = f'has {len(maps.names)} maps, and no map {number}'
            raise FormatError(what, maps.path, 'Count maps from 0.')
        return maps

    def _masked(self, mask: Path) -> dict[str, np.ndarray]:
        """Return the vertices that a pair of masks names.

        Raises
        ------
        UsageError
            If it is no mask of a hemisphere.
        """
        if not (mask.name.endswith(MASK_EXTENSIONS) and side(mask.name)):
            raise UsageError(
                f'{mask} is no mask of a hemisphere, and the images are of vertices',
                remedy='Give a pair such as lh.cortex.label and rh.cortex.label, naming one.',
            )
        return {each: read_mask(_require(mask, each), count) for each, count in self.counts.items()}

    def _present(
        self, images: Sequence[Path], volumes: Mapping[Path, Sequence[int]]
    ) -> dict[str, np.ndarray]:
        """Return the vertices that are neither 0 nor missing in every image."""
        present = {each: np.zeros(count, bool) for each, count in self.counts.items()}
        nonzero_of = functools.partial(self._nonzero, volumes)
        for found in ordered_map(nonzero_of, images, _READERS):
            for each, nonzero in found.items():
                present[each] |= nonzero
            if all(inside.all() for inside in present.values()):
                break
        return present

    def _nonzero(self, volumes: Mapping[Path, Sequence[int]], path: Path) -> dict[str, np.ndarray]:
        """Return the vertices of an image that are not; what cannot be read is told by others."""
        found = {}
        try:
            for each in self.counts:
                maps = self._maps(path, each, volumes)
                present = ((values != 0) & np.isfinite(values) for values in maps)
                found[each] = functools.reduce(np.logical_or, present)
        except ModelArrayIOError:
            return {}
        return found

    def _maps(
        self, path: Path, each: str, volumes: Mapping[Path, Sequence[int]]
    ) -> Iterator[np.ndarray]:
        """Yield the one map of a hemisphere that is an image; of a stack, those that are."""
        if numbers := volumes.get(path):
            yield from self._checked(path, each, max(numbers)).maps(numbers)
        else:
            yield self._checked(path, each).read(self.map_choice)


def _require_one_surface(images: Sequence[Path]) -> None:
    """Refuse the participants' own surfaces, whose vertices do not correspond.

    Raises
    ------
    SpaceMismatchError
        If the first few images all have other numbers of vertices than each other, none of them
        that of a surface known. A single odd one is reported with all others that are.
    """
    counts = {}
    for path in images[:_OWN_LOOKED_AT]:
        try:
            counts[path] = SurfaceMaps.from_file(path, SIDES[0]).n_vertices
        except ModelArrayIOError:
            return
    if len(set(counts.values())) < len(counts) or not _SURFACES.keys().isdisjoint(counts.values()):
        return
    if len(counts) > 1:
        first, *others = (f'{count:,}' for count in counts.values())
        raise SpaceMismatchError(
            f'has {first} vertices, and the next images have {", ".join(others)}: they are on the '
            "participants' own surfaces, whose vertices do not correspond",
            images[0],
            _TO_ONE_SURFACE,
        )


def _first_of_each_side(images: Sequence[Path]) -> dict[str, Path]:
    """Return by hemisphere the first file there is; the hemispheres of a study are any image's.

    Raises
    ------
    UnknownSpaceError
        If the name of an image tells no hemisphere.
    SourceNotFoundError
        If no file is there.
    """
    for path in images:
        _require_side(path)
    found = {}
    for each in SIDES:
        files = (path.with_name(in_side(path.name, each)) for path in images)
        first = next(filter(is_there, files), None)
        if first is not None:
            found[each] = first
    if not found:
        raise absence_error(images[0])
    for each in set(SIDES) - set(found):
        other = images[0].with_name(in_side(images[0].name, each))
        logger.warning(
            'Only one hemisphere: no image has a %s one, such as %s', _WORDS[each], other
        )
    return found


def _require_side(path: Path) -> None:
    if not (side(path.name) or holds_both(path.name)):
        raise UnknownSpaceError(
            'has a name that tells no hemisphere',
            path,
            'Write it as lh. and rh., hemi-L and hemi-R, or .L. and .R.; make NIfTI of a volume.',
        )


def _require(path: Path, each: str) -> Path:
    """Return the file of a hemisphere, of an image or a mask.

    Raises
    ------
    UnknownSpaceError
        If the name tells no hemisphere.
    SourceNotFoundError
        If it is not there, and the other hemisphere's is.
    """
    _require_side(path)
    file = path.with_name(in_side(path.name, each))
    if holds_both(path.name):
        return file
    (other,) = (both for both in VertexSpace.files_of(path) if both != file)
    if not is_there(file) and is_there(other):
        raise absence_error(
            file,
            f'no such file: the {_WORDS[each]} hemisphere of {other.name} is missing',
            'Make it, or leave this image out.',
        )
    return file


def _require_one_row_each(sources: Sequence[Source]) -> None:
    """Refuse cohorts that name both files of a pair, each in a row of its own."""
    seen: dict[tuple[str, Path, int | None], Source] = {}
    for source in sources:
        key = source.scalar, VertexSpace.files_of(source.path)[0], source.volume
        if (other := seen.setdefault(key, source)) is not source:
            raise DuplicateSourceError(
                f'{source.name} is the other hemisphere of {other.name}, and one row names both',
                remedy='Remove the rows of one hemisphere.',
            )


def _told_surface(path: Path, n_vertices: int) -> str:
    """Return the surface that a file's name tells, of its number of vertices where it may be any.

    >>> _told_surface(Path('lh.sulc.fsaverage.mgh'), 10_242)
    'fsaverage5'
    >>> _told_surface(Path('100307.L.sulc.164k_fs_LR.shape.gii'), 163_842)
    'fsLR'
    """
    found = _NAMED.search(path.name)
    told = next(filter(None, found.groups()), '') if found else ''
    if told.startswith('fsaverage'):
        return _SURFACES.get(n_vertices, told)
    return 'fsLR' if told == 'fs_LR' else told


def _extension(path: Path) -> str:
    """Return the ending of maps that are made of such images; where these have none, the usual."""
    usual = '.mgh' if is_curv(path.name) else '.shape.gii'
    return next((ending for ending in EXTENSIONS if path.name.endswith(ending)), usual)
