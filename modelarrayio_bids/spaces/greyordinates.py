"""Greyordinates: the vertices and voxels of ``.dscalar.nii`` files, in the order of the file.

>>> from nibabel.cifti2 import BrainModelAxis
>>> left = BrainModelAxis.from_surface([0, 2], 4, 'CortexLeft')
>>> stem = BrainModelAxis('BrainStem', [[1, 2, 3]], affine=np.eye(4), volume_shape=(4, 4, 4))
>>> space = GreyordinateSpace.from_axis(left + stem)
>>> space
<GreyordinateSpace of 3 greyordinates>
>>> table = space.tables()['greyordinates']
>>> table.columns
('vertex_id', 'structure_id')
>>> table.values.T.tolist()
[[0, 0], [1, 0], [2, 1]]
>>> table.attributes['structure_names']
('CIFTI_STRUCTURE_CORTEX_LEFT', 'CIFTI_STRUCTURE_BRAIN_STEM')
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from os import PathLike

import numpy as np
from nibabel.affines import apply_affine

from modelarrayio_bids.formats import cifti
from modelarrayio_bids.formats.gifti import Mesh
from modelarrayio_bids.spaces.cifti_base import BrainModels, MapSpace, spoken_structure
from modelarrayio_bids.spaces.clusters import TOUCHING, connected, touching
from modelarrayio_bids.spaces.panels import GridElements, Panel, place_names
from modelarrayio_bids.store.schema import ElementTable


class GreyordinateSpace(MapSpace):
    """The greyordinates of a ``.dscalar.nii`` file."""

    kind = 'greyordinates'
    has_maps = True
    extensions = (cifti.DSCALAR.extension,)
    cifti_kind = cifti.DSCALAR
    axis_class = BrainModels

    @classmethod
    def from_dscalar(
        cls, path: str | PathLike[str], map_choice: str | None = None
    ) -> GreyordinateSpace:
        """A space from a file, see :meth:`MapSpace.from_file`."""
        return cls.from_file(path, map_choice)

    def mirrors(self) -> Iterator[tuple[str, np.ndarray]]:
        """The two cortices: their surfaces have corresponding vertices in fsLR."""
        axis = self.elements.axis
        pair = [axis.name == f'CIFTI_STRUCTURE_CORTEX_{side}' for side in ('LEFT', 'RIGHT')]
        size = max(axis.nvertices.values(), default=0)
        partners = np.full(len(self), -1)
        for here, there in (pair, pair[::-1]):
            of_vertex = np.full(size, -1)
            of_vertex[axis.vertex[there]] = np.flatnonzero(there)
            partners[here] = of_vertex[axis.vertex[here]]
        if (partners >= 0).any():
            yield 'left and right', partners

    def tables(self) -> dict[str, ElementTable]:
        """``greyordinates``: int32 (2, n_elements), with the names of the structures.

        The predecessor's rows and no others: ``mergeModelArrays`` compares them. ``vertex_id``
        counts all greyordinates from 0, ``structure_id`` is a position in ``structure_names``;
        vertices and voxels are in the template.
        """
        axis = self.elements.axis
        names = tuple(dict.fromkeys(axis.name.tolist()))
        numbers = {name: number for number, name in enumerate(names)}
        structure_id = [numbers[name] for name in axis.name.tolist()]
        values = np.stack([np.arange(len(self)), structure_id])
        return {
            'greyordinates': ElementTable(
                values.astype(np.int32),
                ('vertex_id', 'structure_id'),
                {'structure_names': names},
            )
        }

    def labels(self, elements: np.ndarray) -> list[str]:
        """Vertices by number, voxels by place, both with their structure."""
        axis = self.elements.axis
        structures = map(spoken_structure, axis.name[elements].tolist())
        places = place_names(self.coordinates(elements), self._edge)
        return [
            f'vertex {vertex} of {structure}' if vertex >= 0 else f'{place}, {structure}'
            for vertex, structure, place in zip(
                axis.vertex[elements].tolist(), structures, places, strict=True
            )
        ]

    def coordinates(self, elements: np.ndarray) -> np.ndarray:
        """Centres of voxels. Where a vertex is depends on the surface one takes: it is nowhere."""
        axis = self.elements.axis
        places = np.full((len(elements), 3), np.nan)
        voxels = np.flatnonzero(axis.volume_mask[elements])
        if voxels.size:
            places[voxels] = apply_affine(axis.affine, axis.voxel[elements[voxels]])
        return places

    def volumes(self, elements: np.ndarray) -> np.ndarray:
        """Those of voxels."""
        axis = self.elements.axis
        volume = np.nan if axis.affine is None else abs(np.linalg.det(axis.affine[:3, :3]))
        return np.where(axis.volume_mask[elements], volume, np.nan)

    def pieces(self, elements: np.ndarray, meshes: Mapping[str, Mesh]) -> np.ndarray:
        """Within each structure: voxels that touch, vertices joined by an edge of its mesh.

        Without a mesh the vertices of a structure are one piece.
        """
        pieces = np.empty(len(elements), np.int64)
        above = 0
        for structure, here in self._by_structure(elements):
            pieces[here] = self._pieces_of(structure, elements[here], meshes) + above
            above = int(pieces[here].max()) + 1
        return pieces

    def connection(self, meshes: Mapping[str, Mesh]) -> str:
        """The rule for vertices, and that for voxels, where there are some."""
        axis = self.elements.axis
        rules = []
        if axis.surface_mask.any():
            whole = all(structure in meshes for structure in axis.nvertices)
            joined = 'vertices that an edge of the surface joins'
            rules.append(joined if whole else 'all vertices of a cortex (no surface was at hand)')
        if axis.volume_mask.any():
            rules.append(TOUCHING)
        return f'{", or ".join(rules)}, within a structure'

    def panels(self, values: np.ndarray, weights: np.ndarray | None = None) -> list[Panel]:
        """Slices through the structures of voxels, see :meth:`GridElements.panels`."""
        axis = self.elements.axis
        inside = axis.volume_mask
        if not inside.any():
            return []
        grid = GridElements.of(axis.voxel[inside].T, axis.volume_shape, axis.affine)
        return grid.panels(values[inside], None if weights is None else weights[inside])

    def surfaces(self, values: np.ndarray) -> dict[str, np.ndarray]:
        """By structure of vertices, as the file calls it."""
        axis = self.elements.axis
        painted = {}
        for structure, n_vertices in axis.nvertices.items():
            here = np.flatnonzero(axis.name == structure)
            painted[structure] = np.full(n_vertices, np.nan, np.float32)
            painted[structure][axis.vertex[here]] = values[here]
        return painted

    def groups(self) -> dict[str, np.ndarray]:
        """By structure, in the order of the file."""
        everything = np.arange(len(self))
        return {spoken_structure(name): here for name, here in self._by_structure(everything)}

    @property
    def _edge(self) -> float:
        """Length in mm of the shortest edge of a voxel; 1 where there are none."""
        affine = self.elements.axis.affine
        return 1.0 if affine is None else float(np.linalg.norm(affine[:3, :3], axis=0).min())

    def _by_structure(self, elements: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        """Each structure that some elements are of, and which of them."""
        names = self.elements.axis.name[elements]
        for name in dict.fromkeys(names.tolist()):
            yield name, np.flatnonzero(names == name)

    def _pieces_of(
        self, structure: str, elements: np.ndarray, meshes: Mapping[str, Mesh]
    ) -> np.ndarray:
        axis = self.elements.axis
        if structure not in axis.nvertices:
            return touching(axis.voxel[elements].T)
        if structure in meshes:
            return connected(meshes[structure], axis.vertex[elements])
        return np.zeros(len(elements), np.int64)
