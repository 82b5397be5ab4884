"""Charts of a model: its design, p values, null distributions, and curves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from modelarrayio_bids.derivatives.outputs.statmaps import MODEL
from modelarrayio_bids.models.adjustment import LEVEL
from modelarrayio_bids.models.base import CONFIDENCE, FittedCurve
from modelarrayio_bids.reports.figures import style
from modelarrayio_bids.reports.figures.scales import number
from modelarrayio_bids.reports.figures.style import OUT, USUAL, Picture
from modelarrayio_bids.reports.findings.designs import DesignFindings
from modelarrayio_bids.reports.findings.p_values import BINS, NullDistribution, PValues
from modelarrayio_bids.reports.findings.participants import shortened

# Standard deviations that the colours span.
_SPAN = 2.5
# Inches.
_ROW, _LEAST, _MOST, _SQUARE = 0.11, 1.8, 4.2, 3.6
_P_PANEL, _NULL_PANEL = 1.6, 1.75
# Of a curve, between curves, and for the texts above and below them.
_CURVE, _BETWEEN, _ABOVE, _BELOW = 1.35, 0.55, 0.3, 0.5
# Inches that a letter of a name takes below a column.
_LETTER = 0.075
# Columns that have room for their names, and for numbers in their squares.
_MOST_NAMES, _MOST_NUMBERS = 30, 8
_LONGEST = 22
# Bars of a histogram.
_BARS = 40
#: Terms of one chart of p values or null distributions.
MOST_TERMS = 8


@style.drawing()
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
    room = _room_for(design.names)
    height = min(max(_ROW * n_rows, _LEAST), _MOST) + room + 0.2
    figure, axis = _image(title, height, design.standardised, _SPAN, bottom=room)
    _name_columns(axis, design.names)
    axis.set_ylabel('Images, in the order of the cohort')
    axis.locator_params('y', integer=True, min_n_ticks=1)
    caption = (
        f'Each column of the design, standardised: colours from -{_SPAN} to {_SPAN} standard '
        'deviations from the mean. Grey: constant.'
    )
    alt = f'{title}: {n_columns:,} columns of {n_rows:,} images, {", ".join(design.names)}.'
    return style.png(figure, alt, caption)


@style.drawing()
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
    labels = [shortened(name, _LONGEST) for name in names]
    room, left = _room_for(names), 0.2 + _LETTER * max(map(len, labels))
    figure, axis = _image(title, _SQUARE + room, found, 1, bottom=room, left=max(left, 0.5))
    _name_columns(axis, names)
    if len(names) <= _MOST_NAMES:
        axis.set_yticks(range(len(names)), labels, parse_math=False)
    if len(names) <= _MOST_NUMBERS:
        _write_numbers(axis, found)
    strongest = _strongest(names, found)
    return style.png(figure, f'{title}. {strongest}', strongest)


def _image(
    title: str,
    height: float,
    values: np.ndarray,
    end: float,
    *,
    bottom: float,
    left: float = 0.8,
) -> tuple[Figure, Axes]:
    """Draw a matrix in colours from minus to plus a number, with their bar on the right."""
    figure, axes = style.titled_axes(title, height, left=left, bottom=bottom, top=0.1, right=0.8)
    (axis,) = axes.flat
    colours = style.colour_map(style.DIVERGING).with_extremes(bad=style.NO_VALUE)
    picture = {'aspect': 'auto', 'interpolation': 'nearest'}
    image = axis.imshow(values, cmap=colours, vmin=-end, vmax=end, **picture)
    low, high = axis.get_position().intervaly
    place = figure.add_axes((1 - 0.7 / style.WIDTH, low, 0.18 / style.WIDTH, high - low))
    figure.colorbar(image, cax=place, extend='both' if end > 1 else 'neither')
    return figure, axis


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
    labels = [shortened(name, _LONGEST) for name in names]
    rotation = 90 if _are_turned(names) else 0
    axis.set_xticks(range(len(names)), labels, rotation=rotation, parse_math=False)


def _are_turned(names: Sequence[str]) -> bool:
    """Return whether names are too wide to stand beside each other."""
    return len(names) * max(len(shortened(name, _LONGEST)) for name in names) > 48


def _room_for(names: Sequence[str]) -> float:
    """Return the inches that names need below columns."""
    if len(names) > _MOST_NAMES or not _are_turned(names):
        return 0.4
    return 0.2 + _LETTER * max(len(shortened(name, _LONGEST)) for name in names)


@style.drawing()
def chart_of_p_values(found: Sequence[PValues], title: str) -> Picture:
    """Draw the histogram of p of each term, and its quantiles beside those of no effect.

    Parameters
    ----------
    found : sequence of PValues
        Distributions, :data:`MOST_TERMS` at most.
    title : str
        Title of the figure: the model.
    """
    height, shape = _P_PANEL * len(found) + 0.3, (len(found), 2)
    figure, axes = style.titled_axes(title, height, shape, apart=(0.35, 0.75), sharex='col')
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
    return style.svg(figure, f'{title}. {" ".join(map(_described, found))}', caption)


def _name(found: PValues) -> str:
    return {MODEL: 'The whole model', '': 'p'}.get(found.term, found.term)


def _described(found: PValues) -> str:
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


@style.drawing()
def chart_of_null_distributions(found: Sequence[NullDistribution], title: str) -> Picture:
    """Draw the greatest statistic of each labelling, the threshold, and what was observed.

    Parameters
    ----------
    found : sequence of NullDistribution
        Distributions, one to :data:`MOST_TERMS`.
    title : str
        Title of the figure: the model.
    """
    figure, axes = style.pairs(title, len(found), _NULL_PANEL, 0.3, apart=(0.75, 0.75))
    for axis, one in zip(axes, found, strict=True):
        axis.hist(one.maxima[np.isfinite(one.maxima)], bins=_BARS, color=USUAL)
        axis.axvline(one.threshold, color='black', lw=1.2, ls='--')
        axis.axvline(one.observed, color=OUT, lw=1.6)
        axis.set_title(shortened(one.term, 30), parse_math=False)
        axis.set_xlabel(f'Greatest {one.statistic}')
        axis.set_ylabel('Labellings')
    alt = ' '.join(
        f'{one.term}: threshold {one.statistic} {number(one.threshold)}, greatest observed '
        f'{number(one.observed)}, corrected p {number(one.p)}.'
        for one in found
    )
    caption = (
        'Blue: null distribution of the maximum statistic over all elements. Dashed: '
        f'the threshold of p < {LEVEL:g}, corrected for all elements. Red: the greatest that '
        'was observed.'
    )
    return style.svg(figure, f'{title}. {alt}', caption)


@style.drawing()
def chart_of_curves(curves: Sequence[tuple[str, FittedCurve]], title: str, scalar: str) -> Picture:
    """Draw a smooth at several elements.

    Parameters
    ----------
    curves : sequence of tuple
        Name of each element and its curve: one or more, all of one smooth.
    title : str
        Title of the figure: the model.
    scalar : str
        The response.
    """
    smooth = curves[0][1]
    figure, axes = style.pairs(
        *(title, len(curves), _CURVE + _BETWEEN, _ABOVE + _BELOW - _BETWEEN),
        bottom=_BELOW,
        top=_ABOVE,
        apart=(_BETWEEN, 0.6),
        sharex=True,
    )
    for axis, (name, curve) in zip(axes, curves, strict=True):
        _draw_curve(axis, name, curve)
    for axis in axes[-2:]:
        axis.xaxis.set_visible(True)
        axis.set_xlabel(shortened(smooth.covariate, 30), parse_math=False)
        axis.tick_params(labelbottom=True)
    height = f'{scalar} per {smooth.by}' if smooth.by else scalar
    axes[0].set_ylabel(shortened(height, 24), parse_math=False)
    alt = ' '.join(
        f'{name}: lowest at {curve.grid[int(curve.values.argmin())]:.3g}, '
        f'highest at {curve.grid[int(curve.values.argmax())]:.3g}.'
        for name, curve in curves
    )
    images = 'The mean is 0. Dots are images, without what other terms explain. ' * (not smooth.by)
    caption = (
        f'{smooth.label} at the peak of each cluster, with its pointwise {CONFIDENCE:.0%} band. '
        f'{images}Peaks were chosen by this very effect: curves look better than those of '
        'new data would.'
    )
    return style.svg(figure, f'{title}. {alt}', caption)


def _draw_curve(axis: Axes, name: str, curve: FittedCurve) -> None:
    axis.plot(curve.x, curve.y, '.', color=USUAL, ms=4)
    low, high = curve.values - curve.margin, curve.values + curve.margin
    axis.fill_between(curve.grid, low, high, color=OUT, alpha=0.2, lw=0)
    axis.plot(curve.grid, curve.values, color=OUT, lw=1.6)
    axis.set_title(shortened(name, 34), size=style.SMALL, parse_math=False)
