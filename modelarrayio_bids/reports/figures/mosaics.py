"""Pictures beside and above each other, in the colours of one scale, with its bar below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from modelarrayio_bids.reports.figures import style
from modelarrayio_bids.reports.figures.panels import Panel
from modelarrayio_bids.reports.figures.scales import Scale, number

# Inches. A strip of text is above every picture, and the bar's numbers and label are below it.
_STRIP = 0.24
_TALLEST, _LARGEST_MATRIX = 2.6, 4.4
# Its text is as wide.
_NARROWEST = 1.25
_BAR_HEIGHT, _BAR_WIDTH, _BAR_TEXT = 0.13, 3.4, 0.62
_OUTLINE = (216, 27, 96)
# Pixels.
_THICK = 3


@dataclass(frozen=True)
class Tile:
    """A panel, with grey levels from 0 to 1 below and the outline of an area on top, or none."""

    panel: Panel
    grey: np.ndarray | None = None
    area: np.ndarray | None = None


def mosaic(
    rows: Sequence[Sequence[Tile]], scale: Scale, title: str, values: np.ndarray
) -> Image.Image:
    """Draw a title, rows of tiles, and the colour bar.

    Parameters
    ----------
    rows : sequence of sequence of Tile
        From top to bottom, from left to right; each row at one scale.
    scale : Scale
        The colours of all of them.
    title : str
        Title of the figure.
    values : numpy.ndarray
        All of them: whether some lie beyond the scale.
    """
    sizes = [_sizes(tiles) for tiles in rows]
    heights = [max(height for _, height in each) + _STRIP + style.GAP for each in sizes]
    image, top = style.titled_image(title, sum(heights) + _BAR_HEIGHT + _BAR_TEXT)
    for tiles, each, height in zip(rows, sizes, heights, strict=True):
        slots = [max(width, _NARROWEST) for width, _ in each]
        left = (style.WIDTH - sum(slots) - style.GAP * (len(slots) - 1)) / 2
        for tile, size, slot in zip(tiles, each, slots, strict=True):
            _draw_tile(image, tile, (left, slot, top, *size), scale)
            left += slot + style.GAP
        top += style.pixels(height)
    _draw_bar(ImageDraw.Draw(image), image, scale, scale.extend(values), top)
    return image


def _sizes(tiles: Sequence[Tile]) -> list[tuple[float, float]]:
    """Return widths and heights in inches: as large as fits, of a matrix as is enough."""
    extents = np.array([tile.panel.extent for tile in tiles])
    if tiles[0].panel.plane is None:
        factor = _LARGEST_MATRIX / extents.max()
    else:
        widths, heights = extents.T
        room = style.WIDTH - style.GAP * (len(tiles) + 1)
        factor = min(_TALLEST / heights.max(), room / widths.sum())
        while np.maximum(widths * factor, _NARROWEST).sum() > max(room, len(tiles) * _NARROWEST):
            factor *= 0.98
    return [(width, height) for width, height in (extents * factor).tolist()]


def _draw_tile(
    image: Image.Image,
    tile: Tile,
    place: tuple[float, float, int, float, float],
    scale: Scale,
) -> None:
    left, slot, top, width, height = place
    size = max(style.pixels(width), 1), max(style.pixels(height), 1)
    below = top + style.pixels(_STRIP)
    drawn = Image.fromarray(_coloured(tile, scale)).resize(size, Image.Resampling.NEAREST)
    image.paste(drawn, (style.pixels(left + (slot - width) / 2), below))
    if tile.area is not None:
        _outline(image, tile.area, (style.pixels(left + (slot - width) / 2), below), size)
    draw, baseline = ImageDraw.Draw(image), below - style.pixels(0.05)
    before, after = tile.panel.sides or ('', '')
    for text, x, anchor, points in (
        (tile.panel.title, left + slot / 2, 'ms', style.TEXT),
        (before, left, 'ls', style.SMALL),
        (after, left + slot, 'rs', style.SMALL),
    ):
        draw.text((style.pixels(x), baseline), text, 'black', style.font(points), anchor)


def _coloured(tile: Tile, scale: Scale) -> np.ndarray:
    """Return a panel's colours, its grey where it has no value: (rows, columns, 3) uint8."""
    values = tile.panel.image.astype(float)
    colours = style.colour_map(scale.colours)(scale.share(values), bytes=True)[..., :3]
    grey = np.ones_like(values) if tile.grey is None else np.nan_to_num(tile.grey, nan=1)
    below = (255 * grey).astype(np.uint8)[..., np.newaxis]
    return np.where(np.isnan(values)[..., np.newaxis], below, colours)


def _outline(
    image: Image.Image, area: np.ndarray, corner: tuple[int, int], size: tuple[int, int]
) -> None:
    """Draw the edge of an area, (rows, columns) boolean, on the inside."""
    large = np.asarray(Image.fromarray(area).resize(size, Image.Resampling.NEAREST))
    edge = large & ~ndimage.binary_erosion(large, iterations=_THICK)
    image.paste(_OUTLINE, corner, Image.fromarray(edge))


def _draw_bar(
    draw: ImageDraw.ImageDraw, image: Image.Image, scale: Scale, extend: str, top: int
) -> None:
    width, height = style.pixels(_BAR_WIDTH), style.pixels(_BAR_HEIGHT)
    left, bottom = (image.width - width) // 2, top + height
    colours = style.colours_of(scale.colours, width)
    image.paste(Image.fromarray(np.tile(colours, (height, 1, 1))), (left, top))
    draw.rectangle((left, top, left + width, bottom), outline='black')
    for end, out, colour in (
        ('min', (left, left - height), colours[0]),
        ('max', (left + width, left + width + height), colours[-1]),
    ):
        if extend in {end, 'both'}:
            tip = (out[1], top + height // 2)
            draw.polygon([(out[0], top), tip, (out[0], bottom)], tuple(colour.tolist()), 'black')
    for share in (0, 0.5, 1):
        x = left + share * width
        draw.line((x, bottom, x, bottom + 6), 'black', 2)
        value = number(scale.low + share * (scale.high - scale.low))
        draw.text((x, bottom + 12), value, 'black', style.font(style.SMALL), 'ma')
    label = f'{scale.label} · colours: {scale.colours}'
    place = (image.width // 2, bottom + style.pixels(0.26))
    draw.text(place, label, 'black', style.font(style.TEXT), 'ma')
