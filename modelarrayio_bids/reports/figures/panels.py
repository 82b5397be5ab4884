"""Pictures of elements as arrays, for anybody to draw: slices through a grid, or a matrix.

Slices are as nilearn and fMRIPrep show them: right is right and up is up, whatever the affine, so
the subject's left is on the left of the picture ("neurological").

>>> grid = GridElements.of(np.argwhere(np.ones((2, 3, 4))).T, (2, 3, 4), np.diag([-2.0, 2, 2, 1]))
>>> panels = grid.panels(np.arange(24.0))
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

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from nibabel.orientations import inv_ornt_aff, io_orientation

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
    """One picture.

    Parameters
    ----------
    title : str
        What it shows: ``z = 12 mm``.
    image : numpy.ndarray
        (rows, columns) float32, the first row on top; NaN where there is no element.
    plane : numpy.ndarray, optional
        (3, 3) float64, in mm of RAS+: its columns are the step to the next row, the step to the
        next column, and the centre of the first pixel. None for a picture of no place.
    sides : tuple of str, optional
        What is left and right of it: ``('L', 'R')`` or ``('P', 'A')``.
    """

    title: str
    image: np.ndarray
    plane: np.ndarray | None = None
    sides: tuple[str, str] | None = None

    @property
    def extent(self) -> tuple[float, float]:
        """Width and height: in mm, or in pixels of a picture of no place."""
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
            raise ValueError(f'{self.title} is no place')
        rows, columns = np.indices(self.image.shape)
        return np.stack([rows, columns, np.ones_like(rows)], axis=-1) @ self.plane.T


@dataclass(frozen=True)
class GridElements:
    """Elements that are voxels of a grid whose axes run to the right, to the front and up.

    Parameters
    ----------
    indices : numpy.ndarray
        (3, n_elements) integers.
    affine : numpy.ndarray
        (4, 4), indices to mm in RAS+.
    box : numpy.ndarray
        (3, 2): first and last index shown, the elements with a margin.
    """

    indices: np.ndarray
    affine: np.ndarray
    box: np.ndarray

    @classmethod
    def of(cls, indices: np.ndarray, shape: tuple[int, ...], affine: np.ndarray) -> GridElements:
        """Turn a grid of any orientation.

        Parameters
        ----------
        indices : numpy.ndarray
            (3, n_elements), one or more.
        shape : tuple of int
            Three voxel counts.
        affine : numpy.ndarray
            (4, 4), indices to mm in RAS+.
        """
        orientation = _orientation(affine)
        turned = np.empty_like(indices)
        counts = np.empty(3, int)
        for axis, (target, direction) in enumerate(orientation):
            counts[target] = shape[axis]
            turned[target] = indices[axis] if direction > 0 else shape[axis] - 1 - indices[axis]
        first, last = turned.min(axis=1), turned.max(axis=1)
        margin = np.ceil((last - first + 1) * _MARGIN).astype(int)
        box = np.stack([np.maximum(first - margin, 0), np.minimum(last + margin, counts - 1)], 1)
        return cls(turned, affine @ inv_ornt_aff(orientation, shape), box)

    def panels(self, values: np.ndarray, weights: np.ndarray | None = None) -> list[Panel]:
        """Slices across each axis: four axial ones, two coronal and two sagittal.

        Parameters
        ----------
        values : numpy.ndarray
            (n_elements,).
        weights : numpy.ndarray, optional
            (n_elements,), not negative: how much each wants to be seen. A slice of each direction
            goes through the heaviest, and the others divide the weight evenly. Without weights,
            or if all are zero, all elements count alike.
        """
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
    """nibabel's, (3, 2) integers; as it is on disk where an affine has no inverse."""
    orientation = io_orientation(affine)
    if np.isnan(orientation).any():
        return np.array([[0, 1], [1, 1], [2, 1]])
    return orientation.astype(int)


def _distinct(wanted: list[int], free: set[int]) -> list[int]:
    """For each the nearest number that is still free, in order; fewer where none is left."""
    chosen = []
    for number in wanted[: len(free)]:
        nearest = min(free, key=lambda one: (abs(one - number), one))
        free.remove(nearest)
        chosen.append(nearest)
    return sorted(chosen)


def _title(plane: np.ndarray, shape: tuple[int, ...], across: int, step: np.ndarray) -> str:
    """Where a slice is: in its middle, if an oblique one is at several places."""
    rows, columns = shape
    place = float(plane[across] @ [(rows - 1) / 2, (columns - 1) / 2, 1])
    varies = float(abs(plane[across, :2]) @ [rows - 1, columns - 1])
    thickness = float(np.linalg.norm(step))
    sign = '≈' if varies > thickness / 2 else '='
    return f'{"xyz"[across]} {sign} {millimetres(place, thickness)} mm'


def millimetres(place: float, step: float) -> str:
    """A coordinate, with the digits that a grid of this spacing in mm deserves.

    >>> millimetres(-0.3, 2), millimetres(12.34, 0.7)
    ('0', '12.3')
    """
    digits = max(0, math.ceil(-math.log10(step))) if step > 0 else 0
    # Adding 0 turns -0 to 0.
    return f'{round(place, digits) + 0:.{digits}f}'


def place_names(coordinates: np.ndarray, step: float) -> list[str]:
    """Places, for a person.

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
