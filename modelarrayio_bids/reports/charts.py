"""Charts of the people of a cohort: one after the other, in the order of its rows.

Of many people each is a hair's breadth; who stands out is named at the place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from modelarrayio_bids.reports import style
from modelarrayio_bids.reports.people import Availability, Phenotype
from modelarrayio_bids.reports.quality import Finding, fractions, usual
from modelarrayio_bids.reports.scales import number
from modelarrayio_bids.reports.style import Picture
from modelarrayio_bids.store.summary import QUANTILES, Summary

#: Of more people a drawing of lines is larger than an image of it.
_MOST_LINES = 300
#: More names would cover each other.
_MOST_NAMES = 8
#: Both read on white, and by who does not tell red from green.
_USUAL, _OUT = '#1f4e79', '#b3261e'
# Inches.
_PANEL, _SMALL_PANEL, _MATRIX_ROW, _THRESHOLD = 1.55, 1.35, 0.3, 2.3
_COLUMNS = 2
_MOST_LEVELS = 8
_BINS = 20


def chart_of_sources(
    summary: Summary, names: Sequence[str], findings: Sequence[Finding], what: str
) -> Picture:
    """Each source's distribution, likeness to the others, and elements without a value.

    Parameters
    ----------
    summary : Summary
        Of the values.
    names : sequence of str
        Whom each source is of.
    findings : sequence of Finding
        Sources to be named.
    what : str
        What the values are, with units.
    """
    named = dict.fromkeys(finding.source for finding in findings)
    panels = _panels_of_sources(summary, what)
    with style.drawing():
        height = _PANEL * len(panels) + 0.4
        figure = style.titled(f'Each image of {what}', height)
        axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        for axis, (title, heights, draw) in zip(axes, panels, strict=True):
            draw(axis)
            axis.set_title(title, fontsize=style.TEXT, loc='left')
            _name(axis, heights, names, list(named))
        axes[-1].set_xlabel('Images, in the order of the cohort')
        _fitted(figure, height)
        alt = (
            f'Distribution of {what} in each of {len(names)} images, their correlation with the '
            f'mean of the others (median {usual(summary.correlation):.2f}), and their missing and '
            f'zero elements. {_named_people(names, named)}'
        )
        caption = (
            'Above: thin lines from the 5th to the 95th percentile, thick ones from the 25th to '
            'the 75th, dots at the median. Images to look at are red.'
        )
        draw_as = style.svg if len(names) <= _MOST_LINES else style.png
        return draw_as(figure, alt, caption)


def _panels_of_sources(
    summary: Summary, what: str
) -> list[tuple[str, np.ndarray, Callable[[Axes], None]]]:
    """Title, heights of the sources, and how to draw it."""
    rows = summary.rows
    medians = rows['quantiles'][:, QUANTILES.index(0.5)]
    missing, zeros = (fractions(rows[name], summary) for name in ('n_missing', 'n_zero'))

    def draw_spread(axis: Axes) -> None:
        at = np.arange(len(rows))
        quantiles = rows['quantiles'].T
        for low, high, width in ((0, 4, 0.6), (1, 3, 2.2)):
            axis.vlines(at, quantiles[low], quantiles[high], color=_USUAL, lw=_thin(width, at.size))
        axis.plot(at, medians, '.', color='white', mec=_USUAL, ms=_thin(5, at.size), mew=0.8)

    def draw_dots(axis: Axes, values: np.ndarray) -> None:
        axis.plot(np.arange(values.size), values, '.', color=_USUAL, ms=_thin(6, values.size))

    def draw_fractions(axis: Axes) -> None:
        draw_dots(axis, 100 * missing)
        axis.plot(np.arange(zeros.size), 100 * zeros, '+', color='#5b5b5b', ms=5)

    return [
        (what, medians, draw_spread),
        (
            'Correlation with the mean of the others',
            summary.correlation,
            lambda axis: draw_dots(axis, summary.correlation),
        ),
        (
            'Distance from the mean, in standard deviations',
            summary.distance,
            lambda axis: draw_dots(axis, summary.distance),
        ),
        (
            'Elements without a value (dots) and zero (crosses), %',
            100 * np.maximum(missing, zeros),
            draw_fractions,
        ),
    ]


def _thin(width: float, count: int) -> float:
    """A width of lines and dots that leaves room between them."""
    return width if count <= 80 else max(width * 80 / count, 0.4)


def _name(axis: Axes, heights: np.ndarray, names: Sequence[str], sources: Sequence[int]) -> None:
    for source in sources:
        axis.plot(source, heights[source], '.', color=_OUT, ms=8)
    for source in sources[:_MOST_NAMES]:
        if not math.isfinite(heights[source]):
            continue
        late = source > len(names) / 2
        axis.annotate(
            names[source],
            (source, heights[source]),
            (-5 if late else 5, 3),
            textcoords='offset points',
            ha='right' if late else 'left',
            fontsize=style.SMALL,
            color=_OUT,
        )
    axis.margins(x=0.02, y=0.15)


def _named_people(names: Sequence[str], sources: Mapping[int, None]) -> str:
    if not sources:
        return 'None stands out.'
    return f'To look at: {", ".join(names[source] for source in sources)}.'


def chart_of_threshold(of_count: np.ndarray, threshold: float | None) -> Picture:
    """How many voxels a group mask has, by the fraction of masks that it asks for.

    Parameters
    ----------
    of_count : numpy.ndarray
        (n_masks + 1,) int: voxels that are in none of the masks, in one, and so on.
    threshold : float or None
        The fraction that was asked for.
    """
    n_masks = of_count.size - 1
    kept = np.cumsum(of_count[::-1])[::-1][1:]
    wanted = np.arange(1, n_masks + 1) / n_masks
    with style.drawing():
        figure = style.titled('Size of the group mask, by its threshold', _THRESHOLD)
        axis = figure.subplots()
        axis.step(wanted, kept, where='pre', color=_USUAL)
        if threshold is not None:
            axis.axvline(threshold, color=_OUT, lw=1)
            axis.annotate(f' {threshold:g}', (threshold, 0.05), xycoords=('data', 'axes fraction'),
                          color=_OUT)  # fmt: skip
        axis.set(xlabel='Fraction of people a voxel needs', ylabel='Voxels', xlim=(0, 1))
        axis.set_ylim(bottom=0)
        axis.yaxis.set_major_formatter(lambda value, _: number(value))
        _fitted(figure, _THRESHOLD)
        everybody, anybody = int(kept[-1]), int(kept[0])
        alt = (
            f'Voxels of the group mask by threshold: {anybody:,} are in any mask, {everybody:,} in '
            f'all {n_masks}.'
        )
        used = '' if threshold is None else f' The red line is the threshold used, {threshold:g}.'
        return style.svg(figure, alt, f'How the group mask shrinks.{used}')


def chart_of_availability(availability: Availability) -> Picture:
    """Whose images are in which file: a column for each person, a row for each file."""
    matrix = availability.matrix
    with style.drawing():
        height = _MATRIX_ROW * len(matrix) + 0.9
        figure = style.titled('Whose images are in which file', height)
        axis = figure.subplots()
        colours = ListedColormap([style.NO_VALUE, _USUAL])
        axis.imshow(
            matrix, cmap=colours, vmin=0, vmax=1, aspect='auto', interpolation='nearest'
        )  # fmt: skip
        axis.set_yticks(
            range(len(matrix)), [output.scalar for output in availability.outputs],
            fontsize=style.SMALL,
        )  # fmt: skip
        axis.set_yticks(np.arange(0.5, len(matrix) - 1), minor=True)
        axis.grid(which='minor', axis='y', color='white', lw=2)
        axis.tick_params(which='minor', length=0)
        axis.set_xlabel('People, by label')
        _fitted(figure, height)
        alt = (
            f'{availability.complete} of {len(availability.people)} people are in all '
            f'{len(matrix)} files. '
            + ' '.join(
                f'{output.scalar}: {int(row.sum())}.'
                for output, row in zip(availability.outputs, matrix, strict=True)
            )
        )
        return style.svg(figure, alt, 'Blue: has an image. Grey: has none, or was left out.')


def chart_of_phenotypes(phenotypes: Sequence[Phenotype]) -> Picture:
    """A histogram of each amount, bars of each category."""
    rows = -(-len(phenotypes) // _COLUMNS)
    with style.drawing():
        height = _SMALL_PANEL * rows + 0.2
        figure = style.titled('Phenotypes', height)
        axes = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
        for axis, phenotype in zip(axes, phenotypes, strict=False):
            _draw_phenotype(axis, phenotype)
        for axis in axes[len(phenotypes) :]:
            axis.set_visible(False)
        _fitted(figure, height)
        alt = ' '.join(f'{one.name}: {one.described()}.' for one in phenotypes)
        return style.svg(figure, alt, 'How many people or visits have each value.')


def _draw_phenotype(axis: Axes, phenotype: Phenotype) -> None:
    if phenotype.is_numeric and phenotype.numbers is not None:
        axis.hist(phenotype.numbers, _BINS, color=_USUAL)
    else:
        shown = dict(list(phenotype.counts.items())[:_MOST_LEVELS])
        axis.bar([_short(value) for value in shown], list(shown.values()), color=_USUAL)
    axis.set_title(_short(phenotype.name, 28), fontsize=style.TEXT, loc='left')
    axis.tick_params(labelsize=style.SMALL)


def _short(text: str, most: int = 8) -> str:
    return text if len(text) <= most else f'{text[: most - 1]}…'


def _fitted(figure: Figure, height: float) -> None:
    """Give the axes all the room below the title: so many inches."""
    figure.tight_layout(rect=(0, 0, 1, height / figure.get_size_inches()[1]))
