"""Edges: the entries of ``.pconn.nii`` files, from each parcel to each parcel.

All entries are elements, the diagonal and both triangles too: a matrix need not be symmetric, nor
have the same parcels along both dimensions. They are in C order, that of the columns fastest, with
rows and columns as nibabel has them (dimension 0 of the XML are the rows).

>>> from nibabel.cifti2 import BrainModelAxis, ParcelsAxis
>>> axis = ParcelsAxis.from_brain_models(
...     [
...         ('V1', BrainModelAxis.from_surface([0, 2], 4, 'CortexLeft')),
...         ('V2', BrainModelAxis.from_surface([1], 4, 'CortexLeft')),
...     ]
... )
>>> space = EdgeSpace.from_axes(axis, axis[:1])
>>> space
<EdgeSpace of 2 edges>
>>> space.tables()['parcels/parcel_id_to'].values.tolist()
['V1']
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from modelarrayio_bids.cohort import Source
from modelarrayio_bids.formats import cifti
from modelarrayio_bids.spaces.cifti_base import CiftiSpace, Parcels
from modelarrayio_bids.store.kinds import TableForm
from modelarrayio_bids.store.schema import ElementTable, Tables


class EdgeSpace(CiftiSpace):
    """The edges of a ``.pconn.nii`` file.

    Parameters
    ----------
    rows, columns : Parcels
        The parcels along either dimension.
    """

    kind = 'edges'
    table_forms = (TableForm('parcels/parcel_id_from'), TableForm('parcels/parcel_id_to'))
    extensions = (cifti.PCONN.extension,)
    cifti_kind = cifti.PCONN
    axis_class = Parcels
    places: ClassVar[Mapping[str, str]] = {
        'rows': ' along its rows',
        'columns': ' along its columns',
    }

    @classmethod
    def stored_facts(cls, tables: Tables, template: Mapping[str, Any]) -> dict[str, Any]:
        """Return the shape of the matrix."""
        ends = tuple(
            tables[form.path].values.size for form in cls.table_forms if form.path in tables
        )
        return {'grid': ends} if len(ends) == len(cls.table_forms) else {}

    def tables(self) -> dict[str, ElementTable]:
        """Return the names of the parcels: of the rows as ``…_from``, of the columns as ``…_to``.

        As in the predecessor's files, each is as long as its dimension; edge ``e`` goes from
        ``e // n_columns`` to ``e % n_columns``.
        """
        names = (axis.axis.name.astype(object) for axis in self.axes)
        return {
            form.path: ElementTable(each)
            for form, each in zip(self.table_forms, names, strict=True)
        }

    def read(self, source: Source) -> np.ndarray:
        """Read all entries in C order: float32 if so on disk, float64 otherwise."""
        return self._matrix(source.path).read().reshape(-1)

    def write(self, values: np.ndarray, path: Path, fill: float = 0.0, name: str = '') -> None:
        """Write a float32 matrix, which keeps no name. There is nothing to fill."""
        index_maps = [axis.index_map for axis in self.axes]
        cifti.write_matrix(cifti.PCONN, index_maps, values.reshape(self.matrix_shape()), path)

    def labels(self, elements: np.ndarray) -> list[str]:
        """Return the names of both parcels."""
        numbers = np.unravel_index(elements, self.matrix_shape())
        starts, ends = (axis.axis.name[at] for axis, at in zip(self.axes, numbers, strict=True))
        return [f'{start} – {end}' for start, end in zip(starts, ends, strict=True)]

    def matrix_shape(self) -> tuple[int, int]:
        """Return the numbers of parcels along the rows and along the columns."""
        rows, columns = self.axes
        return len(rows), len(columns)

    def mirror(self) -> np.ndarray | None:
        """Return for the edge from one parcel to another that from the other to the one."""
        rows, columns = self.axes
        if rows != columns:
            return None
        return np.arange(len(self)).reshape(self.matrix_shape()).T.ravel()
