"""The common part of greyordinates, parcels and edges: elements along a dimension of a matrix.

Two dimensions are equal when their elements are the same in the same order, with everything a
file says of them: structures, vertices and the number of vertices of their surface, voxels and
where they are in mm, names and members of parcels. The bytes are compared first; only other bytes
are parsed, and remembered when they turn out to say the same.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from itertools import groupby
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from nibabel.cifti2.cifti2_axes import Axis, BrainModelAxis, ParcelsAxis

from modelarrayio_bids.cohort import Source
from modelarrayio_bids.errors import FormatError, SpaceMismatchError, UsageError
from modelarrayio_bids.formats import cifti
from modelarrayio_bids.spaces.base import ElementSpace, References, Template
from modelarrayio_bids.spaces.geometry import Grid

_MOST_REMEMBERED = 8


class ElementAxis(ABC):
    """The elements along one dimension.

    Parameters
    ----------
    index_map : modelarrayio_bids.formats.cifti.IndexMap
        As in the file.
    path : path-like
        The file, for an error to name.

    Raises
    ------
    FormatError
        If it cannot be parsed, or is about no element.
    """

    #: As in the XML.
    index_type: ClassVar[str]
    #: Name for display, and advice for a file with other elements.
    noun: ClassVar[str]
    remedy: ClassVar[str]

    def __init__(self, index_map: cifti.IndexMap, path: str | PathLike[str]) -> None:
        self.index_map = index_map
        self.axis = index_map.axis(path)
        self._equal = [index_map.xml]
        if not len(self.axis):
            raise FormatError(f'holds no {self.noun}', path)

    @classmethod
    def from_axis(cls, axis: Axis) -> Self:
        """Make it of an axis of nibabel's."""
        return cls(cifti.IndexMap.from_axis(axis, 1), 'axis')

    @classmethod
    def from_bytes(cls, xml: np.ndarray) -> Self:
        """Make it again of :meth:`to_bytes`."""
        return cls(cifti.IndexMap.from_xml(xml.astype(np.uint8).tobytes(), 'template'), 'template')

    def to_bytes(self) -> np.ndarray:
        """Return the XML, (n_bytes,) uint8."""
        return np.frombuffer(self.index_map.xml, np.uint8)

    def __len__(self) -> int:
        return len(self.axis)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, type(self)):
            return NotImplemented
        return self.index_map.xml == other.index_map.xml or not self.mismatch(other.axis)

    __hash__ = None  # type: ignore[assignment]  # equality has a tolerance

    @abstractmethod
    def mismatch(self, other: Axis) -> str:
        """Say what tells the elements of another axis from these; empty if nothing does."""

    def require(self, matrix: cifti.Matrix, dimension: int, place: str = '') -> None:
        """Refuse a matrix that has other elements along a dimension.

        Parameters
        ----------
        matrix : modelarrayio_bids.formats.cifti.Matrix
            Matrix of the file.
        dimension : int
            The dimension to compare.
        place : str, optional
            Its name, where a file has two of the kind.

        Raises
        ------
        SpaceMismatchError
            If the elements are others.
        FormatError
            If the data are not as long as the elements are many.
        """
        index_map = matrix.index_maps[dimension]
        if index_map.xml not in self._equal:
            if what := self.mismatch(index_map.axis(matrix.path)):
                raise SpaceMismatchError(what + place, matrix.path, self.remedy)
            self._equal = [*self._equal[: _MOST_REMEMBERED - 1], index_map.xml]
        if matrix.shape[dimension] != len(self):
            raise FormatError(
                f'holds values for {matrix.shape[dimension]} {self.noun}{place}, but describes '
                f'{len(self)}',
                matrix.path,
            )


class BrainModels(ElementAxis):
    """Greyordinates: vertices of surfaces and voxels of structures."""

    index_type = 'BRAIN_MODELS'
    noun = 'greyordinates'
    remedy = 'Resample it to those of the example or first source, or leave it out.'
    axis: BrainModelAxis

    def mismatch(self, other: BrainModelAxis) -> str:
        """Compare structures and their sizes, vertices and voxels, then surfaces and volume."""
        mine, theirs = _structures(self.axis), _structures(other)
        for (name, count), (their_name, their_count) in zip(mine, theirs, strict=False):
            if (name, count) != (their_name, their_count):
                return f'has {their_count} {self.noun} of {their_name}, expected {count} of {name}'
        if len(mine) != len(theirs):
            return f'has {len(theirs)} structures, expected {len(mine)}'
        return (
            self._position_mismatch(other)
            or _surface_mismatch(self.axis.nvertices, other.nvertices)
            or _volume_mismatch(self.axis, other, int(self.axis.volume_mask.sum()))
        )

    def _position_mismatch(self, other: BrainModelAxis) -> str:
        differ = (self.axis.vertex != other.vertex) | (self.axis.voxel != other.voxel).any(axis=1)
        if not differ.any():
            return ''
        first = int(np.argmax(differ))
        return (
            f'has {np.count_nonzero(differ)} other {self.noun} than expected, in the same '
            f'structures; the first is {_place(other, first)}, expected {_place(self.axis, first)}'
        )


class Parcels(ElementAxis):
    """Named sets of vertices and voxels."""

    index_type = 'PARCELS'
    noun = 'parcels'
    remedy = 'Parcellate it with the atlas of the example or first source, or leave it out.'
    axis: ParcelsAxis

    def mismatch(self, other: ParcelsAxis) -> str:
        """Compare names in order, then members, then surfaces. The order of the members is free."""
        mine, theirs = self.axis.name.tolist(), other.name.tolist()
        if mine != theirs:
            return _name_mismatch(mine, theirs)
        # Workbench lists all surfaces of the data, nibabel those with a member.
        used = {name for index in range(len(self)) for name in _vertices(self.axis, index)}
        surfaces = {name: self.axis.nvertices[name] for name in sorted(used)}
        return (
            self._member_mismatch(other)
            or _surface_mismatch(surfaces, other.nvertices)
            or _volume_mismatch(self.axis, other, sum(map(len, self.axis.voxels)))
        )

    def _member_mismatch(self, other: ParcelsAxis) -> str:
        for index, name in enumerate(self.axis.name.tolist()):
            if _vertices(self.axis, index) != _vertices(other, index):
                return f'has the expected parcels, but other vertices in {name!r}'
            if _voxels(self.axis, index) != _voxels(other, index):
                return f'has the expected parcels, but other voxels in {name!r}'
        return ''


class CiftiSpace(ElementSpace):
    """Elements along one dimension of a CIFTI file, or from each along one to each along another.

    Parameters
    ----------
    *axes : ElementAxis
        The elements along each dimension that has some.
    """

    cifti_kind: ClassVar[cifti.Kind]
    axis_class: ClassVar[type[ElementAxis]]
    #: By name in the template, for each dimension with elements: where that is, in messages.
    places: ClassVar[Mapping[str, str]]

    def __init__(self, *axes: ElementAxis) -> None:
        self.axes = axes

    @classmethod
    def from_axes(cls, *axes: Axis) -> Self:
        """Make a space of axes of nibabel's."""
        return cls(*map(cls.axis_class.from_axis, axes))

    @classmethod
    def from_file(cls, path: str | PathLike[str]) -> Self:
        """Make a space of an image.

        Raises
        ------
        SourceNotFoundError, FormatError
            If it cannot be read, is of another kind, or its data are not as long as it describes
            elements.
        """
        matrix = cifti.Matrix.from_file(path, cls.cifti_kind)
        dimensions = matrix.dimensions(cls.axis_class.index_type)
        space = cls(*(cls.axis_class(matrix.index_maps[number], path) for number in dimensions))
        space._require(matrix)
        return space

    @classmethod
    def from_references(cls, references: References, sources: Sequence[Source]) -> Self:
        """Make the space of ``references.example``, else of the first source."""
        space = cls.from_file(_example_file(cls, references, sources))
        return space if references.map is None else space.with_map(references.map)

    @classmethod
    def from_template(cls, template: Template) -> Self:
        """Make the space again of its :meth:`template`."""
        return cls(*(cls.axis_class.from_bytes(np.asarray(template[name])) for name in cls.places))

    def template(self) -> Template:
        """Return the XML about the elements along each dimension, (n_bytes,) uint8."""
        return {name: axis.to_bytes() for name, axis in zip(self.places, self.axes, strict=True)}

    def __len__(self) -> int:
        return math.prod(map(len, self.axes))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and self.axes == other.axes

    __hash__ = None

    def check(self, source: Source) -> int:
        """Compare the elements of all dimensions, whole."""
        return self._matrix(source.path).reading_bytes

    def extension(self, compress: bool) -> str:
        """Return the kind's one ending: CIFTI files are not compressed."""
        return self.cifti_kind.extension

    def _matrix(self, path: Path) -> cifti.Matrix:
        matrix = cifti.Matrix.from_file(path, self.cifti_kind)
        self._require(matrix)
        return matrix

    def _require(self, matrix: cifti.Matrix) -> None:
        dimensions = matrix.dimensions(self.axis_class.index_type)
        for axis, number, place in zip(self.axes, dimensions, self.places.values(), strict=True):
            axis.require(matrix, number, place)


class MapSpace(CiftiSpace):
    """Elements along one dimension of a CIFTI file, maps along the other."""

    has_maps = True
    places: ClassVar[Mapping[str, str]] = {'axis': ''}

    @property
    def axis(self) -> Any:
        """The elements, as an axis of nibabel's."""
        return self.axes[0].axis

    @classmethod
    def holds_several(cls, path: Path) -> bool:
        """Return whether the file names more than one map."""
        return len(cifti.Matrix.from_file(path, cls.cifti_kind).map_names()) > 1

    def check(self, source: Source) -> int:
        """Compare the elements, whole, and look for the map chosen."""
        matrix = self._matrix(source.path)
        matrix.map_index(self.map_choice)
        return matrix.reading_bytes

    def read(self, source: Source) -> np.ndarray:
        """Read the one map, or that chosen: float32 if so on disk, float64 otherwise."""
        matrix = self._matrix(source.path)
        index = matrix.map_index(self.map_choice)
        return matrix.read(
            (slice(None), index) if matrix.dimensions('SCALARS') == [1] else (index,)
        )

    def write(self, values: np.ndarray, path: Path, fill: float = 0.0, name: str = '') -> None:
        """Write one float32 map; without a name it gets the file's. There is nothing to fill."""
        maps = cifti.map_axis(name or path.name.removesuffix(self.cifti_kind.extension))
        index_maps = cifti.IndexMap.from_axis(maps, 0), self.axes[0].index_map
        cifti.write_matrix(self.cifti_kind, index_maps, values.reshape(1, len(self)), path)


def _example_file(
    space: type[ElementSpace], references: References, sources: Sequence[Source]
) -> Path:
    """Return the file that says which elements there are: the example, else the first source.

    Raises
    ------
    UsageError
        If there is neither.
    """
    if references.example is not None:
        return references.example
    if not sources:
        raise UsageError(
            f'{space.kind} need an image that lists them',
            remedy=f'Give a {space.extensions[0]} file with --example-file.',
        )
    return sources[0].path


def spoken_structure(name: str) -> str:
    """Return the name of a CIFTI structure for display.

    >>> spoken_structure('CIFTI_STRUCTURE_CORTEX_LEFT'), spoken_structure('CIFTI_STRUCTURE_OTHER')
    ('left cortex', 'other')
    """
    plain = name.removeprefix('CIFTI_STRUCTURE_').lower()
    words = plain.replace('diencephalon_ventral', 'ventral_diencephalon').split('_')
    if words[-1] in {'left', 'right'}:
        words = [words[-1], *words[:-1]]
    return ' '.join(words)


def _structures(axis: BrainModelAxis) -> list[tuple[str, int]]:
    """Return each run of one structure: its name and number of greyordinates."""
    return [(name, len(list(run))) for name, run in groupby(axis.name.tolist())]


def _place(axis: BrainModelAxis, index: int) -> str:
    if axis.vertex[index] >= 0:
        return f'vertex {axis.vertex[index]} of {axis.name[index]}'
    return f'voxel {tuple(axis.voxel[index].tolist())} of {axis.name[index]}'


def _name_mismatch(mine: Sequence[str], theirs: Sequence[str]) -> str:
    if len(mine) != len(theirs):
        return f'has {len(theirs)} parcels, expected {len(mine)}'
    pairs = zip(mine, theirs, strict=True)
    first = next(index for index, (name, their) in enumerate(pairs) if name != their)
    order = (
        'the expected parcels in another order'
        if sorted(mine) == sorted(theirs)
        else ('other parcels than expected')
    )
    return f'has {order}: number {first + 1} is {theirs[first]!r}, expected {mine[first]!r}'


def _surface_mismatch(mine: Mapping[str, int], theirs: Mapping[str, int]) -> str:
    for name, count in mine.items():
        if theirs[name] != count:
            return f'is on a surface of {theirs[name]} vertices for {name}, expected {count}'
    return ''


def _volume_mismatch(
    mine: BrainModelAxis | ParcelsAxis, theirs: BrainModelAxis | ParcelsAxis, n_voxels: int
) -> str:
    """Say where the voxels, equal by index, lie otherwise. Without voxels it does not matter."""
    if not n_voxels:
        return ''
    expected, found = (Grid(axis.volume_shape, axis.affine) for axis in (mine, theirs))
    what = expected.mismatch(found)
    return f'has a volume that {what}' if what else ''


def _vertices(axis: ParcelsAxis, index: int) -> dict[str, list[int]]:
    members = axis.vertices[index]
    return {name: sorted(vertices.tolist()) for name, vertices in members.items() if len(vertices)}


def _voxels(axis: ParcelsAxis, index: int) -> list[list[int]]:
    return sorted(axis.voxels[index].tolist())
