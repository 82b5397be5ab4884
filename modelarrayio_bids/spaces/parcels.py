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

from os import PathLike

from modelarrayio_bids.formats import cifti
from modelarrayio_bids.spaces.cifti_base import MapSpace, Parcels
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
