"""Charts of a model: its design, the correlations of its columns, and its p values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from modelarrayio_bids.derivatives.outputs.statmaps import MODEL
from modelarrayio_bids.reports.figures import style
from modelarrayio_bids.reports.figures.scales import number
from modelarrayio_bids.reports.figures.style import Picture
from modelarrayio_bids.reports.findings.designs import DesignFindings
from modelarrayio_bids.reports.findings.p_values import BINS, PValues
from modelarrayio_bids.reports.findings.participants import shortened

# Read on white, and by who does not tell red from green.
_USUAL, _LINE = '#1f4e79', '#b3261e'
# Standard deviations that the colours span.
_SPAN = 2.5
# Inches.
_ROW, _LEAST, _MOST, _SQUARE, _PANEL = 0.11, 1.8, 4.2, 3.6, 1.75
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
        What was fitted.
    """
    n_rows, n_columns = design.matrix.shape
    with style.drawing():
        height = min(max(_ROW * n_rows, _LEAST), _MOST) + _room_for(design.names) + 0.3
        figure = style.titled(title, height)
        axis = figure.subplots()
        colours = style.colour_map(style.DIVERGING).with_extremes(bad=style.NO_VALUE)
        image = axis.imshow(
            design.standardised, cmap=colours, vmin=-_SPAN, vmax=_SPAN, aspect='auto',
            interpolation='nearest',
        )  # fmt: skip
        _name_columns(axis, design.names)
        axis.set_ylabel('Images, in the order of the cohort')
        axis.locator_params('y', integer=True, min_n_ticks=1)
        bar = figure.colorbar(image, ax=axis, extend='both', fraction=0.05, pad=0.03)
        bar.set_label('Standard deviations from the mean', fontsize=style.SMALL)
        bar.ax.tick_params(labelsize=style.SMALL)
        _fit(figure, height)
        caption = 'Each column of the design, standardised. Grey: constant.'
        alt = f'{title}: {n_columns:,} columns of {n_rows:,} images, {", ".join(design.names)}.'
        return style.png(figure, alt, caption)


def chart_of_correlations(design: DesignFindings, title: str) -> Picture:
    """Draw the correlations of the columns that vary.

    Parameters
    ----------
    design : DesignFindings
        The design, two columns of which vary at least.
    title : str
        What was fitted.
    """
    names, found = [design.names[column] for column in design.varying], design.correlations
    with style.drawing():
        height = _SQUARE + _room_for(names)
        figure = style.titled(title, height)
        axis = figure.subplots()
        image = axis.imshow(
            found, cmap=style.colour_map(style.DIVERGING), vmin=-1, vmax=1, aspect='auto',
            interpolation='nearest',
        )  # fmt: skip
        _name_columns(axis, names)
        if len(names) <= _MOST_NAMES:
            labels = [shortened(name, _LONGEST) for name in names]
            axis.set_yticks(range(len(names)), labels, fontsize=style.SMALL, parse_math=False)
        if len(names) <= _MOST_NUMBERS:
            _write_numbers(axis, found)
        figure.colorbar(image, ax=axis, fraction=0.05, pad=0.03).ax.tick_params(
            labelsize=style.SMALL
        )
        _fit(figure, height)
        return style.png(figure, f'{title}. {_strongest(names, found)}', _strongest(names, found))


def _strongest(names: Sequence[str], correlations: np.ndarray) -> str:
    first, second = np.triu_indices(len(names), 1)
    pairs = correlations[first, second]
    most = int(np.argmax(abs(pairs)))
    return f'The strongest: {names[first[most]]} and {names[second[most]]}, {pairs[most]:.2f}.'


def _write_numbers(axis: Axes, correlations: np.ndarray) -> None:
    for (row, column), value in np.ndenumerate(correlations):
        colour = 'white' if abs(value) > 0.5 else 'black'
        axis.text(
            *(column, row, f'{value + 0:.2f}'),
            ha='center',
            va='center',
            fontsize=style.SMALL,
            color=colour,
        )


def _name_columns(axis: Axes, names: Sequence[str]) -> None:
    if len(names) > _MOST_NAMES:
        axis.set_xlabel('Columns, in the order of the table')
        axis.locator_params('x', integer=True, min_n_ticks=1)
        return
    axis.set_xticks(
        range(len(names)),
        [shortened(name, _LONGEST) for name in names],
        rotation=90 if _are_turned(names) else 0,
        fontsize=style.SMALL,
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
        What was fitted.
    """
    with style.drawing():
        height = _PANEL * len(found) + 0.25
        figure = style.titled(title, height)
        axes = figure.subplots(len(found), 2, squeeze=False)
        for (left, right), one in zip(axes, found, strict=True):
            name = {MODEL: 'the whole model', '': 'p'}.get(one.term, one.term)
            left.set_title(shortened(name, 30), fontsize=style.TEXT, loc='left', parse_math=False)
            _draw_histogram(left, one)
            _draw_quantiles(right, one)
        axes[-1, 0].set_xlabel('p, not corrected')
        axes[-1, 1].set_xlabel('−log10 p expected')
        _fit(figure, height)
        caption = (
            'Left: how many elements have which p. Right: quantiles of −log10 p. Red: as it is '
            'without any effect. Elements are not independent of each other: both vary by more '
            'than chance alone tells.'
        )
        return style.svg(figure, f'{title}. {" ".join(map(described, found))}', caption)


def described(found: PValues) -> str:
    """Describe a distribution in a sentence."""
    name = {MODEL: 'The whole model', '': 'p'}.get(found.term, found.term)
    if not found.n:
        return f'{name}: no p value.'
    share = 100 * found.n_significant / found.n
    return f'{name}: {found.n:,} p values, {number(share)}% below 0.05 (without effect 5%).'


def _draw_histogram(axis: Axes, found: PValues) -> None:
    edges = np.linspace(0, 1, BINS + 1)
    axis.stairs(found.counts, edges, fill=True, color=_USUAL)
    axis.axhline(found.n / BINS, color=_LINE, lw=1.2)
    axis.set(xlim=(0, 1), ylabel='Elements')
    axis.set_ylim(bottom=0, top=max(1, 1.05 * found.counts.max(initial=0)))
    axis.tick_params(labelsize=style.SMALL)
    axis.yaxis.set_major_formatter(lambda value, _: number(value))


def _draw_quantiles(axis: Axes, found: PValues) -> None:
    end = float(found.expected.max(initial=1))
    axis.plot([0, end], [0, end], color=_LINE, lw=1.2)
    axis.plot(found.expected, found.observed, '.', color=_USUAL, ms=4)
    axis.set_ylabel('−log10 p')
    axis.set_xlim(left=0)
    axis.set_ylim(bottom=0)
    axis.tick_params(labelsize=style.SMALL)


def _fit(figure: Figure, height: float) -> None:
    """Give the axes all the room below the title: so many inches."""
    figure.tight_layout(rect=(0, 0, 1, height / figure.get_size_inches()[1]))
