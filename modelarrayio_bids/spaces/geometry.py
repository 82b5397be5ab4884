"""Places of elements, on a grid of voxels or on surfaces; and when two grids are one.

Pictures and clusters are made of these, whatever the kind of the elements.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations, product
from os import PathLike

import numpy as np

from modelarrayio_bids.errors import SpaceMismatchError
from modelarrayio_bids.formats import nifti
from modelarrayio_bids.runtime.text_format import by
from modelarrayio_bids.store.kinds import TableForm
from modelarrayio_bids.store.schema import ElementTable

#: Maximal distance of corners of two grids, as a fraction of the smallest voxel edge. Affines
#: that differ by their rounding to float32 or to six digits, or by having gone through a
#: quaternion, stay a hundred times below; a shift of a tenth of a voxel is ten times above.
GRID_TOLERANCE = 0.01

#: In an HDF5 file: the voxels that are elements, or that hold them.
VOXEL_TABLE = TableForm('voxels', ('voxel_id', 'i', 'j', 'k'))


@dataclass(frozen=True)
class Grid:
    """Grid of the voxels of an image.

    Parameters
    ----------
    shape : tuple of int
        Three voxel counts.
    affine : numpy.ndarray
        (4, 4) float64, voxel indices to mm in RAS+.
    """

    shape: tuple[int, ...]
    affine: np.ndarray

    @classmethod
    def of(cls, volume: nifti.Volume) -> Grid:
        """Return the grid of an image on disk."""
        return cls(volume.shape, volume.affine)

    def __eq__(self, other: object) -> bool:
        """Return whether both have one shape, and no corner is further apart than the tolerance."""
        if not isinstance(other, Grid):
            return NotImplemented
        return (
            self.shape == other.shape and self.distance(other) <= GRID_TOLERANCE * self.voxel_edge
        )

    __hash__ = None  # type: ignore[assignment]  # equality has a tolerance

    @property
    def voxel_edge(self) -> float:
        """Length in mm of the shortest voxel edge."""
        return float(np.linalg.norm(self.affine[:3, :3], axis=0).min())

    @property
    def voxel_volume(self) -> float:
        """Volume in mm³ of a voxel."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))

    def distance(self, other: Grid) -> float:
        """Return the greatest distance in mm between a corner of this grid and the other's."""
        ends = [(0, n - 1) for n in self.shape]
        corners = np.array([(*corner, 1.0) for corner in product(*ends)]).T
        apart = (self.affine - other.affine) @ corners
        return float(np.linalg.norm(apart[:3], axis=0).max())

    def mismatch(self, other: Grid) -> str:
        """Say how another grid differs from this one; empty where they are equal."""
        if other.shape != self.shape:
            return f'has shape {by(other.shape)}, expected {by(self.shape)}'
        if self == other:
            return ''
        return (
            f'has the expected shape {by(self.shape)} but another affine: its grid lies up to '
            f'{self.distance(other):.3g} mm away (allowed: '
            f'{GRID_TOLERANCE * self.voxel_edge:.2g} mm)'
        )

    def require(self, other: Grid, path: str | PathLike[str], remedy: str) -> None:
        """Refuse a file on another grid.

        Raises
        ------
        SpaceMismatchError
            With how the grid differs.
        """
        if self != other:
            raise SpaceMismatchError(self.mismatch(other), path, remedy)


@dataclass(frozen=True)
class GridElements:
    """The voxels that hold elements, and which elements each holds.

    A voxel may hold several elements, as with fixels, and an element fill several voxels, as
    parcels do. Elements that are in no voxel are not listed.

    Parameters
    ----------
    grid : Grid
        The grid of the voxels.
    indices : numpy.ndarray
        (3, n_voxels) integers: each voxel once.
    voxels, elements : numpy.ndarray
        (n_pairs,) integers: a position in ``indices``, and an element that is there.
    """

    grid: Grid
    indices: np.ndarray
    voxels: np.ndarray
    elements: np.ndarray

    @classmethod
    def one_each(
        cls, grid: Grid, indices: np.ndarray, elements: np.ndarray | None = None
    ) -> GridElements:
        """Place one element in each voxel: by default the first in the first, and so on."""
        voxels = np.arange(indices.shape[1])
        return cls(grid, indices, voxels, voxels if elements is None else elements)

    @property
    def are_shared(self) -> bool:
        """True if a voxel holds several elements."""
        return self.voxels.size > self.indices.shape[1]

    @property
    def counts(self) -> np.ndarray:
        """Number of elements in each voxel, (n_voxels,) integers."""
        return np.bincount(self.voxels, minlength=self.indices.shape[1])


@dataclass(frozen=True)
class SurfaceElements:
    """The vertices of a surface that belong to elements.

    Parameters
    ----------
    n_vertices : int
        Number of vertices of the surface.
    vertices, elements : numpy.ndarray
        (n_pairs,) integers: a vertex, and the element that is there.
    surface : str, optional
        Name of the surface, where it is known: others may have as many vertices.
    """

    n_vertices: int
    vertices: np.ndarray
    elements: np.ndarray
    surface: str = ''


def partner_vertices(surfaces: Sequence[SurfaceElements], n_elements: int) -> np.ndarray:
    """Return the element at the same vertex of the other surface, (n_elements,); -1 without one.

    Parameters
    ----------
    surfaces : sequence of SurfaceElements
        Both hemispheres, an element for each vertex; of one alone no element has a partner.
    n_elements : int
        Number of elements of the space.
    """
    partners = np.full(n_elements, -1)
    for here, there in permutations(surfaces, 2):
        of_vertex = np.full(max(here.n_vertices, there.n_vertices), -1)
        of_vertex[there.vertices] = there.elements
        partners[here.elements] = of_vertex[here.vertices]
    return partners


def structure_counts(table: ElementTable | None) -> dict[str, int] | None:
    """Return the number of elements of each structure, where a table says; else None."""
    if table is None or 'structure_id' not in table.columns or not table.attributes:
        return None
    (names,) = table.attributes.values()
    numbers = table.values[table.columns.index('structure_id')].astype(int)
    counts = np.bincount(numbers, minlength=len(names)).tolist()
    return dict(zip(names, counts, strict=False))


def millimetres(place: float, step: float) -> str:
    """Return a coordinate with the digits that a grid of this spacing in mm deserves.

    >>> millimetres(-0.3, 2), millimetres(12.34, 0.7)
    ('0', '12.3')
    """
    digits = max(0, math.ceil(-math.log10(step))) if step > 0 else 0
    # Adding 0 turns -0 to 0.
    return f'{round(place, digits) + 0:.{digits}f}'


def place_names(coordinates: np.ndarray, step: float) -> list[str]:
    """Return places as text.

    Parameters
    ----------
    coordinates : numpy.ndarray
        (n, 3), mm.
    step : float
        Spacing of their grid in mm, which decides the digits.

    Examples
    --------
    >>> place_names(np.array([[-12.0, 34.0, 8.0]]), 2)
    ['(-12, 34, 8) mm']
    """
    places = ([millimetres(value, step) for value in place] for place in coordinates.tolist())
    return [f'({", ".join(place)}) mm' for place in places]
