"""One slice of everybody's map on one sheet, so that a broken one is seen at once.

The sheet is one image of tiles, all of one size; a page shows each by itself.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image

from modelarrayio_bids.reports.figures import style
from modelarrayio_bids.reports.figures.panels import map_panels, painted_surfaces
from modelarrayio_bids.reports.figures.scales import Scale
from modelarrayio_bids.reports.figures.style import Picture
from modelarrayio_bids.reports.figures.surfaces import Surface
from modelarrayio_bids.spaces import ElementSpace

#: Most images on a sheet.
MOST_TILES = 300
# Pixels of a tile's longer side, and of the sheet.
_LONGEST, _MOST_PIXELS = 110, 2_500_000
# Most values that are read for a sheet.
_MOST_VALUES = 4_000_000
_COLUMNS = 10
# Colours of values, and the number of the one without.
_COLOURS, _BLANK = 255, 255


@dataclass(frozen=True)
class Slice:
    """A slice through a space, or a view of it, in a few pixels.

    Parameters
    ----------
    title : str
        Its place: ``z = 12 mm``.
    elements : numpy.ndarray
        (n,) positions in the space, ascending.
    numbers : numpy.ndarray
        (rows, columns) int: which of ``elements`` each pixel shows, -1 for none.
    sides : tuple of str, optional
        Labels of the left and right edge: ``('L', 'R')``.
    """

    title: str
    elements: np.ndarray
    numbers: np.ndarray
    sides: tuple[str, str] | None = None

    @classmethod
    def of(
        cls, space: ElementSpace, surfaces: Mapping[str, Surface], n_images: int
    ) -> Slice | None:
        """Choose the slice of a space that so many images are shown by; None if there is none.

        It is the left cortex from outside if there is a surface, else an axial slice through the
        middle of the voxels, or the matrix. Of the elements of a voxel the first is shown.
        """
        found = _element_numbers(space, surfaces)
        if found is None:
            return None
        title, image, sides = found
        image = image[_steps(image.shape, n_images)]
        elements, places = np.unique(image[image >= 0], return_inverse=True)
        numbers = np.full(image.shape, -1)
        numbers[image >= 0] = places
        return cls(title, elements, numbers, sides)

    def image(self, values: np.ndarray) -> np.ndarray:
        """Return values of its elements, (n,), as (rows, columns) float; NaN where none is."""
        return np.append(values, np.nan)[self.numbers]


@dataclass(frozen=True)
class Sheet:
    """Tiles on one image.

    Parameters
    ----------
    picture : Picture
        The image.
    columns, rows : int
        Numbers of tiles.
    ratio : float
        Width of a tile as a share of its height.
    title : str
        The slice.
    sides : tuple of str, optional
        Labels of its left and right edge.
    """

    picture: Picture
    columns: int
    rows: int
    ratio: float
    title: str
    sides: tuple[str, str] | None

    def place(self, number: int) -> tuple[float, float]:
        """Return where a tile is, as CSS counts the position of a background: in percent."""
        row, column = divmod(number, self.columns)
        return (
            100 * column / max(self.columns - 1, 1),
            100 * row / max(self.rows - 1, 1),
        )


def sheet_of(shown: Slice, values: np.ndarray, scale: Scale, alt: str) -> Sheet:
    """Draw a tile for each image.

    Parameters
    ----------
    shown : Slice
        Slice shown in each tile.
    values : numpy.ndarray
        (n_images, n_elements) of its elements.
    scale : Scale
        Colours of all of them.
    alt : str
        Alternative text of the sheet.
    """
    height, width = shown.numbers.shape
    columns = min(_COLUMNS, len(values))
    rows = -(-len(values) // columns)
    pixels = np.full((rows * height, columns * width), _BLANK, np.uint8)
    for number, of_one in enumerate(values):
        row, column = divmod(number, columns)
        tile = pixels[row * height : (row + 1) * height, column * width : (column + 1) * width]
        share = scale.share(shown.image(of_one.astype(float)))
        tile[:] = np.where(np.isnan(share), _BLANK, np.nan_to_num(share) * (_COLOURS - 1))
    data = _png(pixels, scale)
    picture = Picture(data, 'image/png', pixels.shape[::-1], alt, scale.described())
    return Sheet(picture, columns, rows, width / height, shown.title, shown.sides)


def _element_numbers(
    space: ElementSpace, surfaces: Mapping[str, Surface]
) -> tuple[str, np.ndarray, tuple[str, str] | None] | None:
    """Return a title, the element at each pixel of a picture (-1 for none), and its sides."""
    numbers = np.arange(len(space), dtype=np.float64)
    left = next((name for name, each in surfaces.items() if each.hemisphere == 'L'), None)
    if left is not None:
        painted = painted_surfaces(space, numbers)[left]
        panel = surfaces[left].views[0].panel(painted, 'left cortex, from outside')
        return panel.title, _whole(panel.image), panel.sides
    if (there := space.grid_elements()) is not None:
        first = np.full(len(space), np.nan)
        chosen = there.elements[np.unique(there.voxels, return_index=True)[1]]
        first[chosen] = chosen
        numbers = first
    panels = map_panels(space, numbers)
    if not panels:
        return None
    # Of four axial slices, from below, the third.
    panel = panels[min(2, len(panels) - 1)]
    title = 'the whole matrix' if panel.plane is None else panel.title
    return title, _whole(panel.image), panel.sides


def _whole(image: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(image), -1, np.nan_to_num(image)).astype(int)


def _steps(shape: tuple[int, ...], n_images: int) -> tuple[slice, slice]:
    """Return which rows and columns of a picture to take, so that everybody's fit."""
    pixels = math.prod(shape)
    step = max(
        max(shape) / _LONGEST,
        math.sqrt(pixels * min(n_images, MOST_TILES) / _MOST_PIXELS),
        math.sqrt(pixels * n_images / _MOST_VALUES),
    )
    every = slice(None, None, max(1, math.ceil(step)))
    return every, every


def _png(pixels: np.ndarray, scale: Scale) -> bytes:
    image = Image.fromarray(pixels).convert('P')
    colours = style.colours_of(scale.colours, _COLOURS)
    image.putpalette([*colours.ravel().tolist(), 255, 255, 255])
    with io.BytesIO() as file:
        image.save(file, 'PNG')
        return file.getvalue()
