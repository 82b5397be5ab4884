"""Maps as flat pictures, in arrays: slices through elements on a grid, or a matrix.

Slices are as nilearn and fMRIPrep show them: right is right and up is up, whatever the affine, so
the subject's left is on the left of the picture ("neurological").

>>> from modelarrayio_bids.spaces import VoxelSpace
>>> space = VoxelSpace.from_mask(np.ones((2, 3, 4)), np.diag([-2.0, 2, 2, 1]))
>>> panels = map_panels(space, np.arange(24.0))
>>> [panel.title for panel in panels]
['z = 0 mm', 'z = 2 mm', 'z = 4 mm', 'z = 6 mm', 'y = 0 mm', 'y = 4 mm', 'x = -2 mm', 'x = 0 mm']
>>> panels[0].image  # anterior on top; the first axis runs to the left, so its end comes first
array([[20.,  8.],
       [16.,  4.],
       [12.,  0.]], dtype=float32)
>>> panels[0].sides
('L', 'R')
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from nibabel.affines import apply_affine
from nibabel.orientations import inv_ornt_aff, io_orientation

from modelarrayio_bids.runtime.text_format import by
from modelarrayio_bids.spaces import ElementSpace
from modelarrayio_bids.spaces.geometry import Grid, GridElements, millimetres

# Around the elements, as a fraction of their extent, so that anatomy around them can be seen.
_MARGIN = 0.05


class _View(NamedTuple):
    """Axes that a slice goes across, and that its rows and columns count along."""

    across: int
    rows: int
    columns: int
    sides: tuple[str, str]
    slices: int


_VIEWS = (
    _View(2, 1, 0, ('L', 'R'), 4),
    _View(1, 2, 0, ('L', 'R'), 2),
    _View(0, 2, 1, ('P', 'A'), 2),
)


@dataclass(frozen=True)
class Panel:
    """A slice or a view of a surface.

    Parameters
    ----------
    title : str
        Title of the panel: ``z = 12 mm``.
    image : numpy.ndarray
        (rows, columns) float32, the first row on top; NaN where there is no element.
    plane : numpy.ndarray, optional
        (3, 3) float64, in mm of RAS+: its columns are the step to the next row, the step to the
        next column, and the centre of the first pixel. None for a picture of no place.
    sides : tuple of str, optional
        Labels of the left and right edge: ``('L', 'R')`` or ``('P', 'A')``.
    """

    title: str
    image: np.ndarray
    plane: np.ndarray | None = None
    sides: tuple[str, str] | None = None

    @property
    def extent(self) -> tuple[float, float]:
        """Width and height in mm, or in pixels for a matrix."""
        rows, columns = self.image.shape
        if self.plane is None:
            return float(columns), float(rows)
        down, right, _ = np.linalg.norm(self.plane, axis=0)
        return float(columns * right), float(rows * down)

    def positions(self) -> np.ndarray:
        """Centre of every pixel in mm of RAS+: (rows, columns, 3).

        Raises
        ------
        ValueError
            If it is a picture of no place.
        """
        if self.plane is None:
            raise ValueError(f'{self.title} is not a place')
        rows, columns = np.indices(self.image.shape)
        return np.stack([rows, columns, np.ones_like(rows)], axis=-1) @ self.plane.T


def map_panels(
    space: ElementSpace, values: np.ndarray, weights: np.ndarray | None = None
) -> list[Panel]:
    """Return a map as slices through its voxels, or as its matrix; or none.

    Of a voxel with several elements the mean of those with a value is shown. Slices are four axial
    ones, two coronal and two sagittal.

    Parameters
    ----------
    space : ElementSpace
        The elements.
    values : numpy.ndarray
        (n_elements,).
    weights : numpy.ndarray, optional
        (n_elements,), not negative: how much each wants to be seen. A slice of each direction goes
        through the heaviest, and the others divide the weight evenly; a voxel weighs as much as
        the heaviest of its elements. Without weights, or if all are zero, all count alike.
    """
    if (shape := space.matrix_shape()) is not None:
        image = values.astype(np.float32).reshape(shape)
        return [Panel(f'{by(shape)}, rows and columns in the order of the file', image)]
    there = space.grid_elements()
    if there is None:
        return []
    heaviest = None if weights is None else _heaviest(there, weights)
    return _Slices.of(there.grid, there.indices).panels(_means(there, values), heaviest)


def density_panels(space: ElementSpace) -> list[Panel]:
    """Return slices of the number of elements in each voxel; none where no voxel has several."""
    there = space.grid_elements()
    if there is None or there.counts.max() == 1:
        return []
    return _Slices.of(there.grid, there.indices).panels(there.counts)


def painted_surfaces(space: ElementSpace, values: np.ndarray) -> dict[str, np.ndarray]:
    """Return a map on surfaces: by structure (n_vertices,) float32, NaN where no element is."""
    painted = {}
    for structure, there in space.surface_elements().items():
        painted[structure] = np.full(there.n_vertices, np.nan, np.float32)
        painted[structure][there.vertices] = values[there.elements]
    return painted


def _means(there: GridElements, values: np.ndarray) -> np.ndarray:
    """Return means by voxel, (n_voxels,): NaN where no element has a value."""
    values = values[there.elements]
    if there.voxels.size == there.indices.shape[1]:
        return values
    present = ~np.isnan(values)
    sums, counts = (
        np.bincount(there.voxels, each, there.indices.shape[1])
        for each in (np.where(present, values, 0), present)
    )
    with np.errstate(invalid='ignore'):
        return sums / counts


def _heaviest(there: GridElements, weights: np.ndarray) -> np.ndarray:
    """Return the greatest weight of the elements of each voxel, (n_voxels,)."""
    heaviest = np.zeros(there.indices.shape[1])
    np.maximum.at(heaviest, there.voxels, weights[there.elements])
    return heaviest


@dataclass(frozen=True)
class _Slices:
    """Voxels of a grid whose axes run to the right, to the front and up.

    Parameters
    ----------
    indices : numpy.ndarray
        (3, n_voxels) integers.
    affine : numpy.ndarray
        (4, 4), indices to mm in RAS+.
    box : numpy.ndarray
        (3, 2): first and last index shown, the voxels with a margin.
    """

    indices: np.ndarray
    affine: np.ndarray
    box: np.ndarray

    @classmethod
    def of(cls, grid: Grid, indices: np.ndarray) -> _Slices:
        """Turn a grid of any orientation; indices are (3, n_voxels), one or more."""
        orientation = _orientation(grid.affine)
        # Indices of the turned grid to those on disk.
        turn = inv_ornt_aff(orientation, grid.shape)
        turned = np.round(apply_affine(np.linalg.inv(turn), indices.T)).astype(int).T
        counts = abs(turn[:3, :3].T) @ grid.shape
        first, last = turned.min(axis=1), turned.max(axis=1)
        margin = np.ceil((last - first + 1) * _MARGIN).astype(int)
        box = np.stack([np.maximum(first - margin, 0), np.minimum(last + margin, counts - 1)], 1)
        return cls(turned, grid.affine @ turn, box.astype(int))

    def panels(self, values: np.ndarray, weights: np.ndarray | None = None) -> list[Panel]:
        """Cut values of the voxels, (n_voxels,), across each axis."""
        return [
            self._slice(values, view, number)
            for view in _VIEWS
            for number in self._chosen(view, weights)
        ]

    def _chosen(self, view: _View, weights: np.ndarray | None) -> list[int]:
        indices = self.indices[view.across]
        if weights is not None and not weights.any():
            weights = None
        shares = np.bincount(indices, weights).cumsum()
        wanted = np.searchsorted(shares / shares[-1], (np.arange(view.slices) + 0.5) / view.slices)
        if weights is not None:
            heaviest = indices[int(np.argmax(weights))]
            wanted[np.argmin(abs(wanted - heaviest))] = heaviest
        return _distinct(wanted.tolist(), set(range(indices.min(), indices.max() + 1)))

    def _slice(self, values: np.ndarray, view: _View, number: int) -> Panel:
        here = np.flatnonzero(self.indices[view.across] == number)
        (bottom, top), (left, right) = self.box[view.rows], self.box[view.columns]
        image = np.full((top - bottom + 1, right - left + 1), np.nan, np.float32)
        rows, columns = self.indices[view.rows, here], self.indices[view.columns, here]
        image[top - rows, columns - left] = values[here]
        first = np.ones(4)
        first[list(view[:3])] = number, top, left
        steps = self.affine[:3]
        plane = np.stack([-steps[:, view.rows], steps[:, view.columns], steps @ first], axis=1)
        title = _title(plane, image.shape, view.across, steps[:, view.across])
        return Panel(title, image, plane, view.sides)


def _orientation(affine: np.ndarray) -> np.ndarray:
    """Return nibabel's orientation, (3, 2) integers; as on disk where an affine has no inverse."""
    orientation = io_orientation(affine)
    if np.isnan(orientation).any():
        return np.array([[0, 1], [1, 1], [2, 1]])
    return orientation.astype(int)


def _distinct(wanted: list[int], free: set[int]) -> list[int]:
    """Return for each the nearest number still free, in order; fewer where none is left."""
    chosen = []
    for number in wanted[: len(free)]:
        nearest = min(free, key=lambda one: (abs(one - number), one))
        free.remove(nearest)
        chosen.append(nearest)
    return sorted(chosen)


def _title(plane: np.ndarray, shape: tuple[int, ...], across: int, step: np.ndarray) -> str:
    """Return where a slice is: in its middle, if an oblique one is at several places."""
    rows, columns = shape
    place = float(plane[across] @ [(rows - 1) / 2, (columns - 1) / 2, 1])
    varies = float(abs(plane[across, :2]) @ [rows - 1, columns - 1])
    thickness = float(np.linalg.norm(step))
    sign = '≈' if varies > thickness / 2 else '='
    return f'{"xyz"[across]} {sign} {millimetres(place, thickness)} mm'
