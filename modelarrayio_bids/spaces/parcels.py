"""Parcels: the named regions of ``.pscalar.nii`` files, in the order of the file.

>>> from nibabel.cifti2 import BrainModelAxis, ParcelsAxis
>>> axis = ParcelsAxis.from_brain_models(
...     [
...         ('V1', BrainModelAxis.from_surface([0, 2], 4, 'CortexLeft')),
...         ('V2', BrainModelAxis.from_surface([1], 4, 'CortexLeft')),
...     ]
... )
>>> space = ParcelSpace.from_axes(axis)
>>> space
<ParcelSpace of 2 parcels>
>>> space.tables()['parcels/parcel_id'].values.tolist()
['V1', 'V2']
"""

from __future__ import annotations

import numpy as np

from modelarrayio_bids.formats import cifti
from modelarrayio_bids.runtime.grouping import grouped
from modelarrayio_bids.spaces.cifti_base import MapSpace, Parcels, spoken_structure
from modelarrayio_bids.spaces.geometry import Grid, GridElements, SurfaceElements
from modelarrayio_bids.store.kinds import TableForm
from modelarrayio_bids.store.schema import ElementTable


class ParcelSpace(MapSpace):
    """The parcels of a ``.pscalar.nii`` file."""

    kind = 'parcels'
    table_forms = (TableForm('parcels/parcel_id'),)
    extensions = (cifti.PSCALAR.extension,)
    cifti_kind = cifti.PSCALAR
    axis_class = Parcels

    def tables(self) -> dict[str, ElementTable]:
        """Return ``parcels/parcel_id``: the names, (n_elements,) strings."""
        return {'parcels/parcel_id': ElementTable(self.axis.name.astype(object))}

    def labels(self, elements: np.ndarray) -> list[str]:
        """Return the names of parcels."""
        return self.axis.name[elements].tolist()

    def grid_elements(self) -> GridElements | None:
        """Return the voxels of all parcels."""
        axis = self.axis
        counts = [len(voxels) for voxels in axis.voxels]
        if not any(counts):
            return None
        parcels = np.repeat(np.arange(len(self)), counts)
        indices = np.concatenate(axis.voxels).T
        return GridElements.one_each(Grid(axis.volume_shape, axis.affine), indices, parcels)

    def surface_elements(self) -> dict[str, SurfaceElements]:
        """Return the vertices of all parcels."""
        axis = self.axis
        found = {}
        for structure, n_vertices in axis.nvertices.items():
            members = [vertices.get(structure, ()) for vertices in axis.vertices]
            parcels = np.repeat(np.arange(len(self)), [*map(len, members)])
            vertices = np.concatenate(members).astype(int)
            found[structure] = SurfaceElements(n_vertices, vertices, parcels)
        return found

    def structures(self) -> dict[str, np.ndarray]:
        """Return parcels by the structures of their vertices; those of voxels have no name."""
        structures = (
            ' and '.join(spoken_structure(name) for name in members if len(members[name]))
            for members in self.axis.vertices
        )
        groups = grouped((name or 'voxels', parcel) for parcel, name in enumerate(structures))
        return {name: np.array(parcels) for name, parcels in groups.items()}
