"""What all figures share: their size, fonts and colours, and how they become files.

A figure is drawn without pyplot and within :func:`drawing`, so that neither a user's matplotlibrc
nor an earlier figure changes it, and nothing is changed for others. Text is large enough to be read
on a phone, where a figure is as wide as the screen.

>>> colour_map('vik').N
256
"""

from __future__ import annotations

import functools
import io
import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files

import matplotlib as mpl
import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap, ListedColormap
from matplotlib.figure import Figure
from PIL import Image

#: Inches. On a screen of 390 pixels a point of text is then 0.9 pixels high.
WIDTH = 5.6
DPI = 160
#: Between all things, in inches.
GAP = 0.08
#: Points.
TITLE, TEXT, SMALL = 12.5, 10.5, 9.5
#: Perceptually uniform: for values of one sign, and for those of both.
ONE_SIDED, DIVERGING = 'viridis', 'vik'
#: Of what is missing, or was not taken.
NO_VALUE = '#d9d9d9'
_LINE = 0.22
# Letters of a title in a line: bold ones, of which an average one is 0.67 of their size wide.
_LETTERS = 46
# Of an SVG's own units, points.
_SVG_DPI = 72

_SETTINGS = {
    'font.size': TEXT,
    # Text stays text: it can be searched, read aloud, and takes a tenth of the space.
    'svg.fonttype': 'none',
    # The same figure is the same bytes.
    'svg.hashsalt': 'modelarrayio',
}


@contextmanager
def drawing() -> Iterator[None]:
    """Matplotlib as it is out of the box, with our settings; afterwards as it was before.

    The settings are the process's: figures are drawn one after another, not in threads.
    """
    with style.context(['default', _SETTINGS]), warnings.catch_warnings():
        # Its font lacks the signs of some scripts. The texts beside a figure have them.
        warnings.filterwarnings('ignore', 'Glyph .* missing from')
        yield


@functools.cache
def colour_map(name: str) -> Colormap:
    """A colour map of ours (in ``data/colours``), or else of matplotlib's."""
    own = files('modelarrayio_bids').joinpath('data', 'colours', f'{name}.txt')
    if not own.is_file():
        return mpl.colormaps[name]
    lines = own.read_text('ascii').splitlines()
    return ListedColormap([f'#{line}' for line in lines if not line.startswith('#')], name)


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
        What it shows, in sentences, for who cannot see it.
    caption : str
        How to read it: colours and their limits, what lies below.
    """

    data: bytes
    media_type: str
    size: tuple[int, int]
    alt: str
    caption: str

    @property
    def extension(self) -> str:
        """``.png`` or ``.svg``."""
        return {'image/png': '.png', 'image/svg+xml': '.svg'}[self.media_type]


def titled(title: str, height: float) -> Figure:
    """An empty figure of the common width on white: a title above so many inches."""
    lines = textwrap.wrap(title, _LETTERS)
    whole = height + _LINE * len(lines) + 2 * GAP
    figure = Figure((WIDTH, whole), dpi=DPI, facecolor='white')
    figure.text(
        GAP / WIDTH,
        1 - GAP / whole,
        '\n'.join(lines),
        fontsize=TITLE,
        fontweight='bold',
        verticalalignment='top',
        parse_math=False,
    )
    return figure


def axes_at(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes at a place in inches."""
    across, up = figure.get_size_inches()
    return figure.add_axes((left / across, bottom / up, width / across, height / up))


def png(figure: Figure, alt: str, caption: str) -> Picture:
    """It as PNG of 256 colours, the same bytes on every call.

    That is a third of the size, and no colour is further off than anybody could see.
    """
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert('RGB')
    few = image.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    with io.BytesIO() as file:
        few.save(file, 'PNG', optimize=True)
        return Picture(file.getvalue(), 'image/png', image.size, alt, caption)


def svg(figure: Figure, alt: str, caption: str) -> Picture:
    """It as SVG, the same bytes on every call."""
    with io.BytesIO() as file:
        figure.savefig(file, format='svg', metadata={'Date': None, 'Creator': None})
        width, height = (figure.get_size_inches() * _SVG_DPI).round().astype(int).tolist()
        return Picture(file.getvalue(), 'image/svg+xml', (width, height), alt, caption)
