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

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from nibabel.cifti2.cifti2_axes import ParcelsAxis

from modelarrayio_bids.cohort import Source
from modelarrayio_bids.formats import cifti
from modelarrayio_bids.spaces.base import ElementSpace, References, Template
from modelarrayio_bids.spaces.cifti_base import Parcels, example_file
from modelarrayio_bids.store.kinds import TableForm
from modelarrayio_bids.store.schema import ElementTable

_PLACES = (' along its rows', ' along its columns')


class EdgeSpace(ElementSpace):
    """The edges of a ``.pconn.nii`` file.

    Parameters
    ----------
    rows, columns : Parcels
        The parcels along either dimension.
    """

    kind = 'edges'
    table_forms = (TableForm('parcels/parcel_id_from'), TableForm('parcels/parcel_id_to'))
    extensions = (cifti.PCONN.extension,)

    def __init__(self, rows: Parcels, columns: Parcels) -> None:
        self.rows = rows
        self.columns = columns

    @classmethod
    def from_axes(cls, rows: ParcelsAxis, columns: ParcelsAxis) -> EdgeSpace:
        """Make a space of two axes of nibabel's."""
        return cls(Parcels.from_axis(rows), Parcels.from_axis(columns))

    @classmethod
    def from_pconn(cls, path: str | PathLike[str]) -> EdgeSpace:
        """Make a space of an image.

        Raises
        ------
        SourceNotFoundError, FormatError
            If it cannot be read, is of another kind, or its data are not as many rows and columns
            as it describes parcels. Where one description is about both dimensions the data must
            be square.
        """
        matrix = cifti.Matrix.from_file(path, cifti.PCONN)
        space = cls(*(Parcels(index_map, path) for index_map in matrix.index_maps))
        for dimension, parcels in enumerate((space.rows, space.columns)):
            parcels.require_length(matrix, dimension, _PLACES[dimension])
        return space

    @classmethod
    def from_references(cls, references: References, sources: Sequence[Source]) -> EdgeSpace:
        """Make the space of ``references.example``, else of the first source."""
        return cls.from_pconn(example_file(cls, references, sources))

    @classmethod
    def from_template(cls, template: Template) -> EdgeSpace:
        """Make the space again of its :meth:`template`."""
        rows, columns = (np.asarray(template[name]) for name in ('rows', 'columns'))
        return cls(Parcels.from_bytes(rows), Parcels.from_bytes(columns))

    def template(self) -> Template:
        """Return ``rows`` and ``columns``: the XML about either, (n_bytes,) uint8."""
        return {'rows': self.rows.to_bytes(), 'columns': self.columns.to_bytes()}

    @classmethod
    def stored_facts(
        cls, tables: Mapping[str, ElementTable], template: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the shape of the matrix."""
        ends = tuple(
            tables[form.path].values.size for form in cls.table_forms if form.path in tables
        )
        return {'grid': ends} if len(ends) == len(cls.table_forms) else {}

    def __len__(self) -> int:
        return len(self.rows) * len(self.columns)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, EdgeSpace):
            return NotImplemented
        return self.rows == other.rows and self.columns == other.columns

    __hash__ = None

    def tables(self) -> dict[str, ElementTable]:
        """Return the names of the parcels: of the rows as ``…_from``, of the columns as ``…_to``.

        As in the predecessor's files, each is as long as its dimension; edge ``e`` goes from
        ``e // n_columns`` to ``e % n_columns``.
        """
        return {
            'parcels/parcel_id_from': ElementTable(self.rows.axis.name.astype(object)),
            'parcels/parcel_id_to': ElementTable(self.columns.axis.name.astype(object)),
        }

    def check(self, source: Source) -> int:
        """Compare the parcels of both dimensions, whole."""
        return self._matrix(source.path).reading_bytes

    def read(self, source: Source) -> np.ndarray:
        """Read all entries in C order: float32 if so on disk, float64 otherwise."""
        return self._matrix(source.path).read().reshape(-1)

    def write(self, values: np.ndarray, path: Path, fill: float = 0.0, name: str = '') -> None:
        """Write a float32 matrix, which keeps no name. There is nothing to fill."""
        with np.errstate(over='ignore'):
            data = values.astype(np.float32).reshape(self.matrix_shape())
        index_maps = self.rows.index_map, self.columns.index_map
        cifti.write_matrix(cifti.PCONN, index_maps, data, path)

    def extension(self, compress: bool) -> str:
        """Return ``.pconn.nii``: CIFTI files are not compressed."""
        return cifti.PCONN.extension

    def labels(self, elements: np.ndarray) -> list[str]:
        """Return the names of both parcels."""
        rows, columns = np.divmod(elements, len(self.columns))
        starts, ends = self.rows.axis.name[rows], self.columns.axis.name[columns]
        return [f'{start} – {end}' for start, end in zip(starts, ends, strict=True)]

    def matrix_shape(self) -> tuple[int, int]:
        """Return the numbers of parcels along the rows and along the columns."""
        return len(self.rows), len(self.columns)

    def _matrix(self, path: Path) -> cifti.Matrix:
        matrix = cifti.Matrix.from_file(path, cifti.PCONN)
        for dimension, parcels in enumerate((self.rows, self.columns)):
            parcels.require(matrix, dimension, _PLACES[dimension])
        return matrix
