"""Pictures beside and above each other, in the colours of one scale, with its bar below."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from modelarrayio_bids.reports.figures import style
from modelarrayio_bids.reports.figures.panels import Panel
from modelarrayio_bids.reports.figures.scales import Scale, number

# Inches. A strip of text is above every picture, and the bar's numbers and label are below it.
_STRIP = 0.24
_TALLEST, _LARGEST_MATRIX = 2.6, 4.4
# Its text is as wide.
_NARROWEST = 1.25
_BAR_HEIGHT, _BAR_WIDTH, _BAR_TEXT = 0.13, 3.4, 0.62
_OUTLINE = '#d81b60'


@dataclass(frozen=True)
class Tile:
    """A panel, with grey levels from 0 to 1 below and the outline of an area on top, or none."""

    panel: Panel
    grey: np.ndarray | None = None
    area: np.ndarray | None = None


@dataclass(frozen=True)
class Row:
    """Tiles beside each other, all at one scale: inches per mm."""

    tiles: Sequence[Tile]

    @property
    def scale(self) -> float:
        """Inches per mm: as large as fits, of a matrix as is enough."""
        widths, heights = zip(*(tile.panel.extent for tile in self.tiles), strict=True)
        if self.tiles[0].panel.plane is None:
            return _LARGEST_MATRIX / max(sum(widths), *heights)
        tallest = _TALLEST / max(heights)
        room = style.WIDTH - style.GAP * (len(widths) + 1)
        narrow: list[float] = []
        for width in sorted(widths):
            wide = sum(widths) - sum(narrow)
            scale = (room - _NARROWEST * len(narrow)) / wide
            if width * scale >= _NARROWEST:
                return min(scale, tallest)
            narrow.append(width)
        return min(_NARROWEST / max(widths), tallest)

    @property
    def height(self) -> float:
        """Of all of it, with the strip of text above and a gap below, in inches."""
        return self.scale * max(tile.panel.extent[1] for tile in self.tiles) + _STRIP + style.GAP

    def places(self) -> Iterator[tuple[Tile, float, float, float]]:
        """Each tile with its left edge, width and height in inches; all of them centred."""
        sizes = [self.scale * np.array(tile.panel.extent) for tile in self.tiles]
        slots = [max(width, _NARROWEST) for width, _ in sizes]
        left = (style.WIDTH - sum(slots) - style.GAP * (len(slots) - 1)) / 2
        for tile, slot, (width, height) in zip(self.tiles, slots, sizes, strict=True):
            yield tile, left + (slot - width) / 2, width, height
            left += slot + style.GAP


def mosaic(rows: Sequence[Row], scale: Scale, title: str, values: np.ndarray) -> Figure:
    """A title, the rows, and the colour bar; to be called within :func:`style.drawing`.

    Parameters
    ----------
    rows : sequence of Row
        From top to bottom.
    scale : Scale
        The colours of all of them.
    title : str
        What is shown.
    values : numpy.ndarray
        All of them: whether some lie beyond the scale.
    """
    top = sum(row.height for row in rows) + _BAR_HEIGHT + _BAR_TEXT
    figure = style.titled(title, top)
    for row in rows:
        for tile, left, width, height in row.places():
            bottom = top - _STRIP - height
            _draw_tile(figure, tile, (left, bottom, width, height), scale)
        top -= row.height
    _draw_bar(figure, scale, scale.extend(values), top - _BAR_HEIGHT)
    return figure


def _draw_tile(
    figure: Figure, tile: Tile, place: tuple[float, float, float, float], scale: Scale
) -> None:
    axes = style.axes_at(figure, *place)
    axes.set_axis_off()
    if tile.grey is not None:
        axes.imshow(tile.grey, 'gray', vmin=0, vmax=1, aspect='auto', interpolation='nearest')
    # Colours are reckoned in the type of the values: float32's largest would overflow.
    coloured = axes.imshow(tile.panel.image.astype(float), aspect='auto', interpolation='nearest')
    coloured.set(cmap=style.colour_map(scale.colours), clim=(scale.low, scale.high))
    if tile.area is not None and tile.area.any() and min(tile.area.shape) > 1:
        axes.contour(tile.area, levels=[0.5], colors=_OUTLINE, linewidths=1.2)
    left, right = tile.panel.sides or ('', '')
    axes.set_title(tile.panel.title, fontsize=style.TEXT, pad=3, parse_math=False)
    _, _, width, _ = place
    beside = (max(width, _NARROWEST) / width - 1) / 2
    for text, x, side in ((left, -beside, 'left'), (right, 1 + beside, 'right')):
        above = axes.annotate(text, (x, 1), (0, 3), 'axes fraction', textcoords='offset points')
        above.set(fontsize=style.SMALL, horizontalalignment=side)


def _draw_bar(figure: Figure, scale: Scale, extend: str, bottom: float) -> None:
    axes = style.axes_at(figure, (style.WIDTH - _BAR_WIDTH) / 2, bottom, _BAR_WIDTH, _BAR_HEIGHT)
    colours = ScalarMappable(Normalize(scale.low, scale.high), style.colour_map(scale.colours))
    bar = figure.colorbar(colours, cax=axes, orientation='horizontal', extend=extend)
    ticks = [scale.low, (scale.low + scale.high) / 2, scale.high]
    bar.set_ticks(ticks, labels=[number(tick) for tick in ticks])
    axes.set_xlabel(f'{scale.label} · colours: {scale.colours}', parse_math=False)
