"""Parcels: the named regions of ``.pscalar.nii`` files, in the order of the file.

>>> from nibabel.cifti2 import BrainModelAxis, ParcelsAxis
>>> axis = ParcelsAxis.from_brain_models(
...     [
...         ('V1', BrainModelAxis.from_surface([0, 2], 4, 'CortexLeft')),
...         ('V2', BrainModelAxis.from_surface([1], 4, 'CortexLeft')),
...     ]
... )
>>> space = ParcelSpace.from_axis(axis)
>>> space
<ParcelSpace of 2 parcels>
>>> space.tables()['parcels/parcel_id'].values.tolist()
['V1', 'V2']
"""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike

import numpy as np

from modelarrayio_bids.formats import cifti
from modelarrayio_bids.formats.gifti import Mesh
from modelarrayio_bids.spaces.cifti_base import MapSpace, Parcels, spoken_structure
from modelarrayio_bids.spaces.panels import GridElements, Panel
from modelarrayio_bids.store.schema import ElementTable


class ParcelSpace(MapSpace):
    """The parcels of a ``.pscalar.nii`` file."""

    kind = 'parcels'
    has_maps = True
    extensions = (cifti.PSCALAR.extension,)
    cifti_kind = cifti.PSCALAR
    axis_class = Parcels

    @classmethod
    def from_pscalar(cls, path: str | PathLike[str], map_choice: str | None = None) -> ParcelSpace:
        """A space from a file, see :meth:`MapSpace.from_file`."""
        return cls.from_file(path, map_choice)

    def tables(self) -> dict[str, ElementTable]:
        """``parcels/parcel_id``: the names, (n_elements,) strings."""
        return {'parcels/parcel_id': ElementTable(self.elements.axis.name.astype(object))}

    def labels(self, elements: np.ndarray) -> list[str]:
        """Their names."""
        return self.elements.axis.name[elements].tolist()

    def coordinates(self, elements: np.ndarray) -> np.ndarray:
        """None: a parcel is many places."""
        return np.full((len(elements), 3), np.nan)

    def pieces(self, elements: np.ndarray, meshes: Mapping[str, Mesh]) -> np.ndarray:
        """Each by itself."""
        return np.arange(len(elements))

    def connection(self, meshes: Mapping[str, Mesh]) -> str:
        """None."""
        return 'each parcel by itself'

    def panels(self, values: np.ndarray, weights: np.ndarray | None = None) -> list[Panel]:
        """Slices through the voxels of parcels, each with its parcel's value."""
        axis = self.elements.axis
        counts = [len(voxels) for voxels in axis.voxels]
        if not any(counts):
            return []
        grid = GridElements.of(np.concatenate(axis.voxels).T, axis.volume_shape, axis.affine)
        seen = None if weights is None else np.repeat(weights, counts)
        return grid.panels(np.repeat(values, counts), seen)

    def surfaces(self, values: np.ndarray) -> dict[str, np.ndarray]:
        """By structure of vertices, each vertex with its parcel's value."""
        axis = self.elements.axis
        painted = {
            structure: np.full(n_vertices, np.nan, np.float32)
            for structure, n_vertices in axis.nvertices.items()
        }
        for value, members in zip(values, axis.vertices, strict=True):
            for structure, vertices in members.items():
                painted[structure][vertices] = value
        return painted

    def groups(self) -> dict[str, np.ndarray]:
        """By the structures of their vertices; those of voxels have no name."""
        groups: dict[str, list[int]] = {}
        for parcel, members in enumerate(self.elements.axis.vertices):
            structures = [spoken_structure(name) for name in members if len(members[name])]
            groups.setdefault(' and '.join(structures) or 'voxels', []).append(parcel)
        return {name: np.array(parcels) for name, parcels in groups.items()}
