"""Charts of a model: its design, the correlations of its columns, and its p values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from modelarrayio_bids.derivatives.outputs.statmaps import MODEL
from modelarrayio_bids.reports.figures import style
from modelarrayio_bids.reports.figures.scales import number
from modelarrayio_bids.reports.figures.style import OUT, USUAL, Picture
from modelarrayio_bids.reports.findings.designs import DesignFindings
from modelarrayio_bids.reports.findings.p_values import BINS, PValues
from modelarrayio_bids.reports.findings.participants import shortened

# Standard deviations that the colours span.
_SPAN = 2.5
# Inches.
_ROW, _LEAST, _MOST, _SQUARE, _PANEL = 0.11, 1.8, 4.2, 3.6, 1.6
# Inches that a letter of a name takes below a column.
_LETTER = 0.075
# Columns that have room for their names, and for numbers in their squares.
_MOST_NAMES, _MOST_NUMBERS = 30, 8
_LONGEST = 22
#: Terms of one chart of p values.
MOST_TERMS = 8


def chart_of_design(design: DesignFindings, title: str) -> Picture:
    """Draw the columns of a design, standardised: a row for each image.

    Parameters
    ----------
    design : DesignFindings
        The design.
    title : str
        Title of the figure: the model.
    """
    n_rows, n_columns = design.matrix.shape
    with style.drawing():
        room = _room_for(design.names)
        height = min(max(_ROW * n_rows, _LEAST), _MOST) + room + 0.2
        figure = style.titled(title, height)
        axis = _image(figure, height, design.standardised, _SPAN, bottom=room)
        _name_columns(axis, design.names)
        axis.set_ylabel('Images, in the order of the cohort')
        axis.locator_params('y', integer=True, min_n_ticks=1)
        caption = (
            f'Each column of the design, standardised: colours from -{_SPAN} to {_SPAN} standard '
            'deviations from the mean. Grey: constant.'
        )
        alt = f'{title}: {n_columns:,} columns of {n_rows:,} images, {", ".join(design.names)}.'
        return style.png(figure, alt, caption)


def chart_of_correlations(design: DesignFindings, title: str) -> Picture:
    """Draw the correlations of the columns that vary.

    Parameters
    ----------
    design : DesignFindings
        The design, two columns of which vary at least.
    title : str
        Title of the figure: the model.
    """
    names, found = [design.names[column] for column in design.varying], design.correlations
    with style.drawing():
        room = _room_for(names)
        height = _SQUARE + room
        figure = style.titled(title, height)
        left = 0.2 + _LETTER * max(len(shortened(name, _LONGEST)) for name in names)
        axis = _image(figure, height, found, 1, bottom=room, left=max(left, 0.5))
        _name_columns(axis, names)
        if len(names) <= _MOST_NAMES:
            labels = [shortened(name, _LONGEST) for name in names]
            axis.set_yticks(range(len(names)), labels, parse_math=False)
        if len(names) <= _MOST_NUMBERS:
            _write_numbers(axis, found)
        return style.png(figure, f'{title}. {_strongest(names, found)}', _strongest(names, found))


def _image(
    figure: Figure,
    height: float,
    values: np.ndarray,
    end: float,
    *,
    bottom: float,
    left: float = 0.8,
) -> Axes:
    """Draw a matrix in colours from minus to plus a number, with their bar on the right."""
    (axis,) = style.axes_below(figure, height, left=left, bottom=bottom, top=0.1, right=0.8).flat
    colours = style.colour_map(style.DIVERGING).with_extremes(bad=style.NO_VALUE)
    picture = {'aspect': 'auto', 'interpolation': 'nearest'}
    image = axis.imshow(values, cmap=colours, vmin=-end, vmax=end, **picture)
    low, high = axis.get_position().intervaly
    place = figure.add_axes((1 - 0.7 / style.WIDTH, low, 0.18 / style.WIDTH, high - low))
    figure.colorbar(image, cax=place, extend='both' if end > 1 else 'neither')
    return axis


def _strongest(names: Sequence[str], correlations: np.ndarray) -> str:
    first, second = np.triu_indices(len(names), 1)
    pairs = correlations[first, second]
    most = int(np.argmax(abs(pairs)))
    return f'The strongest: {names[first[most]]} and {names[second[most]]}, {pairs[most]:.2f}.'


def _write_numbers(axis: Axes, correlations: np.ndarray) -> None:
    for (row, column), value in np.ndenumerate(correlations):
        colour = 'white' if abs(value) > 0.5 else 'black'
        text = f'{value + 0:.2f}'
        axis.text(column, row, text, ha='center', va='center', size=style.SMALL, color=colour)


def _name_columns(axis: Axes, names: Sequence[str]) -> None:
    if len(names) > _MOST_NAMES:
        axis.set_xlabel('Columns, in the order of the table')
        axis.locator_params('x', integer=True, min_n_ticks=1)
        return
    axis.set_xticks(
        range(len(names)),
        [shortened(name, _LONGEST) for name in names],
        rotation=90 if _are_turned(names) else 0,
        parse_math=False,
    )


def _are_turned(names: Sequence[str]) -> bool:
    """Return whether names are too wide to stand beside each other."""
    return len(names) * max(len(shortened(name, _LONGEST)) for name in names) > 48


def _room_for(names: Sequence[str]) -> float:
    """Return the inches that names need below columns."""
    if len(names) > _MOST_NAMES or not _are_turned(names):
        return 0.4
    return 0.2 + _LETTER * max(len(shortened(name, _LONGEST)) for name in names)


def chart_of_p_values(found: Sequence[PValues], title: str) -> Picture:
    """Draw the histogram of p of each term, and its quantiles beside those of no effect.

    Parameters
    ----------
    found : sequence of PValues
        Distributions, :data:`MOST_TERMS` at most.
    title : str
        Title of the figure: the model.
    """
    with style.drawing():
        height = _PANEL * len(found) + 0.3
        figure = style.titled(title, height)
        axes = style.axes_below(figure, height, (len(found), 2), apart=(0.35, 0.75), sharex='col')
        for (left, right), one in zip(axes, found, strict=True):
            left.set_title(shortened(_name(one), 30), parse_math=False)
            _draw_histogram(left, one)
            _draw_quantiles(right, one)
        axes[-1, 0].set_xlabel('p, not corrected')
        axes[-1, 1].set_xlabel('−log10 p expected')
        caption = (
            'Left: how many elements have which p. Right: quantiles of −log10 p. Red: '
            'expected without an effect. Elements are not independent of each other, so both '
            'deviate more than independent tests would.'
        )
        return style.svg(figure, f'{title}. {" ".join(map(described, found))}', caption)


def _name(found: PValues) -> str:
    return {MODEL: 'The whole model', '': 'p'}.get(found.term, found.term)


def described(found: PValues) -> str:
    """Describe a distribution in a sentence."""
    name = _name(found)
    if not found.n:
        return f'{name}: no p value.'
    share = 100 * found.n_significant / found.n
    return f'{name}: {found.n:,} p values, {number(share)}% below 0.05 (without effect 5%).'


def _draw_histogram(axis: Axes, found: PValues) -> None:
    edges = np.linspace(0, 1, BINS + 1)
    axis.stairs(found.counts, edges, fill=True, color=USUAL)
    axis.axhline(found.n / BINS, color=OUT, lw=1.2)
    axis.set(xlim=(0, 1), ylabel='Elements')
    axis.set_ylim(bottom=0, top=max(1, 1.05 * found.counts.max(initial=0)))
    axis.yaxis.set_major_formatter(lambda value, _: number(value))


def _draw_quantiles(axis: Axes, found: PValues) -> None:
    end = float(found.expected.max(initial=1))
    axis.plot([0, end], [0, end], color=OUT, lw=1.2)
    axis.plot(found.expected, found.observed, '.', color=USUAL, ms=4)
    axis.set_ylabel('−log10 p')
    axis.set_xlim(left=0)
    axis.set_ylim(bottom=0)
