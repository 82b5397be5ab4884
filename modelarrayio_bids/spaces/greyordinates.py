"""Greyordinates: the vertices and voxels of ``.dscalar.nii`` files, in the order of the file.

>>> from nibabel.cifti2 import BrainModelAxis
>>> left = BrainModelAxis.from_surface([0, 2], 4, 'CortexLeft')
>>> stem = BrainModelAxis('BrainStem', [[1, 2, 3]], affine=np.eye(4), volume_shape=(4, 4, 4))
>>> space = GreyordinateSpace.from_axes(left + stem)
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
from typing import Any

import numpy as np
from nibabel.affines import apply_affine

from modelarrayio_bids.formats import cifti
from modelarrayio_bids.spaces.cifti_base import BrainModels, MapSpace, spoken_structure
from modelarrayio_bids.spaces.geometry import (
    Grid,
    GridElements,
    SurfaceElements,
    partner_vertices,
    place_names,
    structure_counts,
)
from modelarrayio_bids.store.kinds import TableForm
from modelarrayio_bids.store.schema import ElementTable, Tables


class GreyordinateSpace(MapSpace):
    """The greyordinates of a ``.dscalar.nii`` file."""

    kind = 'greyordinates'
    table_forms = (
        # As in the predecessor's files: it writes no more columns.
        TableForm('greyordinates', ('vertex_id', 'structure_id'), ('structure_names',)),
    )
    has_neighbours = True
    extensions = (cifti.DSCALAR.extension,)
    cifti_kind = cifti.DSCALAR
    axis_class = BrainModels

    @classmethod
    def stored_facts(cls, tables: Tables, template: Mapping[str, Any]) -> dict[str, Any]:
        """Return the number of greyordinates of each structure, where the table says."""
        counts = structure_counts(tables.get('greyordinates'))
        return {} if counts is None else {'structures': counts}

    def flip_candidates(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield the two cortices: their surfaces have corresponding vertices in fsLR."""
        found = self.surface_elements()
        pair = [found.get(f'CIFTI_STRUCTURE_CORTEX_{side}') for side in ('LEFT', 'RIGHT')]
        partners = partner_vertices([one for one in pair if one is not None], len(self))
        if (partners >= 0).any():
            yield 'left and right', partners

    def tables(self) -> dict[str, ElementTable]:
        """Return ``greyordinates``: int32 (2, n_elements), with the names of the structures.

        The predecessor's rows and no others: ``mergeModelArrays`` compares them. ``vertex_id``
        counts all greyordinates from 0, ``structure_id`` is a position in ``structure_names``;
        vertices and voxels are in the template.
        """
        axis = self.axis
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
        """Return vertices by number, voxels by place, both with their structure."""
        axis = self.axis
        structures = map(spoken_structure, axis.name[elements].tolist())
        places = place_names(self.coordinates(elements), self._grid.voxel_edge if self._grid else 1)
        return [
            f'vertex {vertex} of {structure}' if vertex >= 0 else f'{place}, {structure}'
            for vertex, structure, place in zip(
                axis.vertex[elements].tolist(), structures, places, strict=True
            )
        ]

    def coordinates(self, elements: np.ndarray) -> np.ndarray:
        """Return the centres of voxels; a vertex has a place on a surface only, and so NaN."""
        axis = self.axis
        places = np.full((len(elements), 3), np.nan)
        voxels = np.flatnonzero(axis.volume_mask[elements])
        if voxels.size:
            places[voxels] = apply_affine(axis.affine, axis.voxel[elements[voxels]])
        return places

    def volumes(self, elements: np.ndarray) -> np.ndarray:
        """Return the volume of each voxel in mm³; NaN for vertices."""
        axis = self.axis
        volume = self._grid.voxel_volume if self._grid else np.nan
        return np.where(axis.volume_mask[elements], volume, np.nan)

    def grid_elements(self) -> GridElements | None:
        """Return the voxels, one element each."""
        axis = self.axis
        inside = np.flatnonzero(axis.volume_mask)
        if self._grid is None or not inside.size:
            return None
        return GridElements.one_each(self._grid, axis.voxel[inside].T, inside)

    def surface_elements(self) -> dict[str, SurfaceElements]:
        """Return the vertices, one element each."""
        axis = self.axis
        members = {name: np.flatnonzero(axis.name == name) for name in axis.nvertices}
        return {
            name: SurfaceElements(axis.nvertices[name], axis.vertex[here], here)
            for name, here in members.items()
        }

    def structures(self) -> dict[str, np.ndarray]:
        """Return the elements by structure, in the order of the file."""
        names = self.axis.name
        return {
            spoken_structure(name): np.flatnonzero(names == name)
            for name in dict.fromkeys(names.tolist())
        }

    @property
    def _grid(self) -> Grid | None:
        """Grid of the voxels; None where there are none."""
        axis = self.axis
        return None if axis.affine is None else Grid(axis.volume_shape, axis.affine)
