"""Sizes, fonts and colours that all figures share, and how figures become files.

Maps are drawn by Pillow, pixel by pixel; charts by matplotlib, without pyplot and within
:func:`drawing`, so that neither a user's matplotlibrc nor an earlier figure changes them, and
nothing is changed for others. Text is large enough to be read on a phone, where a figure is as wide
as the screen.

>>> colour_map('vik').N
256
"""

from __future__ import annotations

import functools
import io
import textwrap
import warnings
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import Colormap, ListedColormap
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

#: Inches. On a screen of 390 pixels a point of text is then 0.9 pixels high.
WIDTH = 5.6
DPI = 160
#: Between all things, in inches.
GAP = 0.08
#: Points.
TITLE, TEXT, SMALL = 12.5, 10.5, 9.5
#: Perceptually uniform: for values of one sign, and for those of both.
ONE_SIDED, DIVERGING = 'viridis', 'vik'
#: Colour of what is missing, or was not taken.
NO_VALUE = '#d9d9d9'
#: Colours that read on white, also by those who do not tell red from green.
USUAL, OUT = '#1f4e79', '#b3261e'
_LINE = 0.22
# Letters of a title in a line: bold ones, of which an average one is 0.67 of their size wide.
_LETTERS = 46
# Units of SVG files, in points.
_SVG_DPI = 72

_SETTINGS = {
    'font.size': TEXT,
    'xtick.labelsize': SMALL,
    'ytick.labelsize': SMALL,
    'axes.titlesize': TEXT,
    'axes.titlelocation': 'left',
    # A fixed place: else everything around is measured, for each title and in each pass.
    'axes.titley': 1.0,
    # Text stays text: it can be searched, read aloud, and takes a tenth of the space.
    'svg.fonttype': 'none',
    # The same figure is the same bytes.
    'svg.hashsalt': 'modelarrayio',
}


@contextmanager
def drawing() -> Iterator[None]:
    """Set matplotlib to its defaults and our settings; afterwards as it was before.

    The settings are the process's: figures are drawn one after another, not in threads.
    """
    with style.context(['default', _SETTINGS]), warnings.catch_warnings():
        # Its font lacks the signs of some scripts. The texts beside a figure have them.
        warnings.filterwarnings('ignore', 'Glyph .* missing from')
        yield


@functools.cache
def colour_map(name: str) -> Colormap:
    """Return one of our colour maps (in ``data/colours``), or one of matplotlib's."""
    own = files('modelarrayio_bids').joinpath('data', 'colours', f'{name}.txt')
    if not own.is_file():
        return mpl.colormaps[name]
    lines = own.read_text('ascii').splitlines()
    return ListedColormap([f'#{line}' for line in lines if not line.startswith('#')], name)


def colours_of(name: str, number: int) -> np.ndarray:
    """Return evenly spaced colours of a map, (number, 3) uint8."""
    return colour_map(name)(np.linspace(0, 1, number), bytes=True)[:, :3]


@dataclass(frozen=True)
class Picture:
    """A finished figure.

    Parameters
    ----------
    data : bytes
        The file.
    media_type : str
        ``image/png`` or ``image/svg+xml``.
    size : tuple of int
        Width and height in pixels.
    alt : str
        Alternative text, in sentences.
    caption : str
        Explanation of colours, their limits and the background.
    href : str, optional
        Its file, from the page it is on.
    """

    data: bytes
    media_type: str
    size: tuple[int, int]
    alt: str
    caption: str
    href: str = ''

    @property
    def extension(self) -> str:
        """``.png`` or ``.svg``."""
        return {'image/png': '.png', 'image/svg+xml': '.svg'}[self.media_type]

    @property
    def data_uri(self) -> str:
        """The picture itself, as a page holds it."""
        return f'data:{self.media_type};base64,{b64encode(self.data).decode("ascii")}'


def titled_axes(
    title: str,
    height: float,
    shape: tuple[int, int] = (1, 1),
    *,
    left: float = 0.8,
    bottom: float = 0.5,
    top: float = 0.25,
    right: float = 0.15,
    apart: tuple[float, float] = (0.45, 0.8),
    **options: Any,
) -> tuple[Figure, np.ndarray]:
    """Return a figure of the common width, and axes below its title, at fixed places.

    To fit them takes half the time of a chart, and each tick a millisecond: they have few, and axes
    that share theirs have one at the bottom.

    Parameters
    ----------
    title : str
        Title of the figure.
    height : float
        Inches below the title.
    shape : tuple of int, optional
        Rows and columns.
    left, bottom, top, right : float, optional
        Inches for the texts around all axes.
    apart : tuple of float, optional
        Inches between rows, and between columns.
    **options
        Options of ``matplotlib.figure.Figure.subplots``.

    Returns
    -------
    figure : matplotlib.figure.Figure
    axes : numpy.ndarray
        (rows, columns) of ``matplotlib.axes.Axes``.
    """
    figure = _titled(title, height)
    up = figure.get_figheight()
    inside = height - bottom - top, WIDTH - left - right
    of_each = [
        (room - gap * (count - 1)) / count
        for room, gap, count in zip(inside, apart, shape, strict=True)
    ]
    places = {
        'left': left / WIDTH,
        'right': 1 - right / WIDTH,
        'bottom': bottom / up,
        'top': (height - top) / up,
        'hspace': apart[0] / of_each[0],
        'wspace': apart[1] / of_each[1],
    }
    axes: np.ndarray = figure.subplots(*shape, squeeze=False, gridspec_kw=places, **options)
    for axis in axes.flat:
        axis.locator_params(nbins=4)
    if options.get('sharex'):
        for axis in axes[:-1].flat:
            axis.xaxis.set_visible(False)
    return figure, axes


def pairs(
    title: str, number: int, row: float, around: float, **options: Any
) -> tuple[Figure, list[Axes]]:
    """Return so many axes side by side, two in a row of some inches; see :func:`titled_axes`."""
    n_rows = -(-number // 2)
    figure, axes = titled_axes(title, row * n_rows + around, (n_rows, 2), **options)
    if number % 2:
        axes[-1, 1].set_visible(False)
    return figure, axes.ravel()[:number].tolist()


def _titled(title: str, height: float) -> Figure:
    """Return an empty figure of the common width on white: a title above so many inches."""
    lines = textwrap.wrap(title, _LETTERS)
    whole = height + _LINE * len(lines) + 2 * GAP
    figure = Figure((WIDTH, whole), dpi=DPI, facecolor='white')
    figure.text(
        *(GAP / WIDTH, 1 - GAP / whole, '\n'.join(lines)),
        fontsize=TITLE,
        fontweight='bold',
        verticalalignment='top',
        parse_math=False,
    )
    return figure


def png(figure: Figure, alt: str, caption: str) -> Picture:
    """Return a chart as PNG, the same bytes on every call."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return few_colours(Image.fromarray(np.asarray(canvas.buffer_rgba())), alt, caption)


def svg(figure: Figure, alt: str, caption: str) -> Picture:
    """Return a chart as SVG, the same bytes on every call."""
    with io.BytesIO() as file:
        # Its canvas draws once, ``savefig`` twice.
        FigureCanvasSVG(figure).print_svg(file, metadata={'Date': None, 'Creator': None})
        width, height = (figure.get_size_inches() * _SVG_DPI).round().astype(int).tolist()
        return Picture(file.getvalue(), 'image/svg+xml', (width, height), alt, caption)


def few_colours(image: Image.Image, alt: str, caption: str) -> Picture:
    """Return an image as PNG of 256 colours, the same bytes on every call.

    That is a third of the size, and no colour is further off than anybody could see.
    """
    few = image.convert('RGB').quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    with io.BytesIO() as file:
        few.save(file, 'PNG')
        return Picture(file.getvalue(), 'image/png', image.size, alt, caption)


def pixels(inches: float) -> int:
    """Return a length in pixels of an image."""
    return round(inches * DPI)


@functools.cache
def font(points: float, name: str = 'DejaVuSans') -> ImageFont.FreeTypeFont:
    """Return a font that matplotlib brings, for Pillow: laid out the same on every machine."""
    path = Path(mpl.get_data_path(), 'fonts', 'ttf', f'{name}.ttf')
    return ImageFont.truetype(path, points * DPI / 72, layout_engine=ImageFont.Layout.BASIC)


def titled_image(title: str, height: float) -> tuple[Image.Image, int]:
    """Return a white image, a title above so many inches; and the row of pixels below the title."""
    lines = textwrap.wrap(title, _LETTERS)
    below = pixels(_LINE * len(lines) + 2 * GAP)
    image = Image.new('RGB', (pixels(WIDTH), below + pixels(height)), 'white')
    draw = ImageDraw.Draw(image)
    for row, line in enumerate(lines):
        place = pixels(GAP), pixels(GAP + _LINE * row)
        draw.text(place, line, 'black', font(TITLE, 'DejaVuSans-Bold'))
    return image, below
