"""Charts of the images of a cohort, in the order of its rows.

Of many people each is a hair's breadth; who stands out is named below.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap

from modelarrayio_bids.reports.figures import style
from modelarrayio_bids.reports.figures.scales import number
from modelarrayio_bids.reports.figures.style import OUT, USUAL, Picture
from modelarrayio_bids.reports.findings.outliers import (
    MOST_DEVIATIONS,
    Finding,
    deviations,
    fractions,
    usual,
)
from modelarrayio_bids.reports.findings.participants import Availability, Phenotype, shortened
from modelarrayio_bids.runtime.text_format import count
from modelarrayio_bids.store.summary import QUANTILES, Summary

#: With more participants, a vector drawing is larger than an image.
_MOST_LINES = 300
#: Maximal number of names in one panel: more would overlap.
_MOST_NAMES = 6
# Letters of a name, and inches that a letter and a line of names take.
_NAME, _LETTER, _NAME_LINE = 24, 0.09, 0.17
# Inches.
_PANEL, _SMALL_PANEL, _MATRIX_ROW, _THRESHOLD = 1.4, 1.35, 0.3, 2.3
_LABEL_LINE, _LABELS = 0.16, 2.1
# Letters in a line of a label.
_LABEL = 26
_MOST_LEVELS = 8
_BINS = 20
# Limit of a drawing: beyond, the width of an axis or its margin is infinite.
_FARTHEST = 1e300


# Very large numbers have no squares and no margins.
@np.errstate(over='ignore', invalid='ignore')
@style.drawing()
def chart_of_sources(
    summary: Summary, names: Sequence[str], findings: Sequence[Finding], what: str
) -> Picture:
    """Draw each source's distribution, likeness to the others, and elements without a value.

    Parameters
    ----------
    summary : Summary
        Summary of the values.
    names : sequence of str
        Name of each source.
    findings : sequence of Finding
        Sources to be named.
    what : str
        Name and units of the values.
    """
    panels = _panels_of_sources(summary, what)
    named = _named(panels, findings, len(names))
    labels = [shortened(names[source], _NAME) for source in named]
    room = _LETTER * max(map(len, labels), default=0)
    height, shape = _PANEL * len(panels) + 0.4 + room, (len(panels), 1)
    figure, axes = style.titled_axes(
        f'Each image of {what}', height, shape, bottom=0.5 + room, apart=(0.35, 0), sharex=True
    )
    for axis, panel in zip(axes.flat, panels, strict=True):
        panel.draw(axis)
        axis.set_title(panel.title, parse_math=False)
        odd = panel.odd(findings)
        axis.plot(odd, panel.heights[odd], '.', color=OUT, ms=8)
        axis.margins(x=0.02, y=0.15)
    axes[-1, 0].set_xlabel('Images, in the order of the cohort')
    if named:
        axes[-1, 0].set_xticks(named, labels, color=OUT, rotation=90, parse_math=False)
    caption = (
        'Above: thin lines from the 5th to the 95th percentile, thick ones from the 25th to '
        'the 75th, dots at the median. Images to check are red, where they are unusual.'
    )
    draw_as = style.svg if len(names) <= _MOST_LINES else style.png
    return draw_as(figure, _alt_of_sources(summary, names, findings, what), caption)


def _alt_of_sources(
    summary: Summary, names: Sequence[str], findings: Sequence[Finding], what: str
) -> str:
    middle = usual(summary.correlation)
    told = f'{middle:.2f}' if math.isfinite(middle) else 'none'
    people = ', '.join(names[source] for source in dict.fromkeys(one.source for one in findings))
    return (
        f'Distribution of {what} in each of {count(len(names), "image")}, their correlation with '
        f'the mean of the others (median {told}), and their missing and zero elements. '
        + (f'To check: {people}.' if people else 'None stands out.')
    )


@dataclass(frozen=True)
class _Panel:
    """A panel with one number of each source.

    Parameters
    ----------
    title : str
        Title of the chart.
    heights : numpy.ndarray
        (n_sources,): the number.
    kinds : set of str
        Kinds of findings that are to be seen here.
    if_far : set of str
        Kinds that are where the number itself is far from everybody's.
    crosses : numpy.ndarray, optional
        (n_sources,): a second number.
    spread : numpy.ndarray, optional
        (5, n_sources): quantiles around the number.
    """

    title: str
    heights: np.ndarray
    kinds: Collection[str] = ()
    if_far: Collection[str] = ()
    dots: np.ndarray | None = None
    crosses: np.ndarray | None = None
    spread: np.ndarray | None = None

    def draw(self, axis: Axes) -> None:
        """Draw the numbers of all sources, from left to right."""
        at = np.arange(self.heights.size)
        if self.spread is not None:
            for low, high, width in ((0, 4, 0.6), (1, 3, 2.2)):
                ends = self.spread[low], self.spread[high]
                axis.vlines(at, *ends, color=USUAL, lw=_thin(width, at.size))
            size = _thin(5, at.size)
            axis.plot(at, self.heights, '.', color='white', mec=USUAL, mew=0.8, ms=size)
            return
        dots = self.heights if self.dots is None else self.dots
        axis.plot(at, dots, '.', color=USUAL, ms=_thin(6, at.size))
        if self.crosses is not None:
            axis.plot(at, self.crosses, '+', color='#5b5b5b', ms=5)

    def odd(self, findings: Sequence[Finding], but: Collection[str] = ()) -> list[int]:
        """Return the sources whose findings are to be seen here, the farthest first."""
        far = np.nan_to_num(abs(deviations(self.heights))) > MOST_DEVIATIONS
        seen = {
            one.source
            for one in findings
            if np.isfinite(self.heights[one.source])
            and one.kind not in but
            and (one.kind in self.kinds or (one.kind in self.if_far and far[one.source]))
        }
        apart = abs(self.heights - usual(self.heights))
        return sorted(seen, key=lambda source: (-apart[source], source))


def _named(panels: Sequence[_Panel], findings: Sequence[Finding], n_sources: int) -> list[int]:
    """Return the sources to be named, the farthest of each panel, where there is room.

    Copies, whose numbers are like the others', are named only if they are few.
    """
    copies = {one.source for one in findings if one.kind == 'identical'}
    but = ('identical',) if len(copies) > _MOST_NAMES else ()
    wanted = [source for panel in panels for source in panel.odd(findings, but)[:_MOST_NAMES]]
    apart = _NAME_LINE * n_sources / (style.WIDTH - 1)
    chosen: list[int] = []
    for source in dict.fromkeys(wanted):
        if all(abs(source - other) >= apart for other in chosen):
            chosen.append(source)
    return sorted(chosen)


def _panels_of_sources(summary: Summary, what: str) -> list[_Panel]:
    rows = summary.rows
    quantiles = _drawable(rows['quantiles'].T)
    missing, zeros = (100 * fractions(rows[name], summary) for name in ('n_missing', 'n_zero'))
    return [
        _Panel(
            *(what, quantiles[QUANTILES.index(0.5)]),
            {'level', 'constant', 'infinite', 'identical'},
            spread=quantiles,
        ),
        _Panel(
            *('Correlation with the mean of the others', summary.correlation),
            *({'mirrored'}, {'unlike'}),
        ),
        _Panel(
            *('Distance from the mean, in standard deviations', _drawable(summary.distance)),
            if_far={'unlike', 'mirrored'},
        ),
        _Panel(
            *('Elements without a value (dots) and zero (crosses), %', np.maximum(missing, zeros)),
            {'missing', 'zeros', 'empty'},
            dots=missing,
            crosses=zeros,
        ),
    ]


def _drawable(values: np.ndarray) -> np.ndarray:
    """Return values that an axis can span: NaN for infinite ones."""
    return np.where(np.isfinite(values), values.clip(-_FARTHEST, _FARTHEST), np.nan)


def _thin(width: float, n_sources: int) -> float:
    """Return a width of lines and dots that leaves room between them."""
    return width if n_sources <= 80 else max(width * 80 / n_sources, 0.4)


@style.drawing()
def chart_of_threshold(of_count: np.ndarray, threshold: float | None) -> Picture:
    """Draw how many voxels a group mask has, by the fraction of masks that it asks for.

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
    title = 'Size of the group mask, by its threshold'
    figure, axes = style.titled_axes(title, _THRESHOLD, left=1.1)
    (axis,) = axes.flat
    axis.step(wanted, kept, where='pre', color=USUAL)
    if threshold is not None:
        axis.axvline(threshold, color=OUT, lw=1)
        place = (threshold, 0.05)
        axis.annotate(f' {threshold:g}', place, xycoords=('data', 'axes fraction'), color=OUT)
    axis.set(xlabel='Fraction of people a voxel needs', ylabel='Voxels', xlim=(0, 1))
    axis.set_ylim(bottom=0)
    axis.yaxis.set_major_formatter(lambda value, _: number(value))
    alt = (
        f'Voxels of the group mask by threshold: {kept[0]:,} are in any mask, {kept[-1]:,} in '
        f'{_all(n_masks, "mask")}.'
    )
    used = '' if threshold is None else f' The red line is the threshold used, {threshold:g}.'
    return style.svg(figure, alt, f'How the group mask shrinks.{used}')


@style.drawing()
def chart_of_availability(availability: Availability) -> Picture:
    """Draw whose images are in which file: a column for each person, a row for each file."""
    matrix = availability.matrix
    labels = [textwrap.fill(label, _LABEL, break_on_hyphens=False) for label in availability.labels]
    lines = max(label.count('\n') for label in labels)
    height = (_MATRIX_ROW + _LABEL_LINE * lines) * len(matrix) + 0.7
    figure, axes = style.titled_axes(
        'Whose images are in which file', height, left=_LABELS, top=0.1
    )
    (axis,) = axes.flat
    colours = ListedColormap([style.NO_VALUE, USUAL])
    picture = {'aspect': 'auto', 'interpolation': 'nearest'}
    axis.imshow(matrix, cmap=colours, vmin=0, vmax=1, **picture)
    axis.set_yticks(range(len(matrix)), labels, parse_math=False)
    axis.hlines(np.arange(0.5, len(matrix) - 1), *axis.get_xlim(), color='white', lw=2)
    axis.set_xlabel('People, by label')
    axis.locator_params('x', integer=True, min_n_ticks=1)
    each = (f'{one}: {row.sum()}.' for one, row in zip(availability.labels, matrix, strict=True))
    alt = (
        f'{availability.complete:,} of {len(availability.participants):,} people '
        f'{"is" if availability.complete == 1 else "are"} in {_all(len(matrix), "file")}. '
        + ' '.join(each)
    )
    return style.svg(figure, alt, 'Blue: has an image. Grey: has none, or was left out.')


@style.drawing()
def chart_of_phenotypes(phenotypes: Sequence[Phenotype]) -> Picture:
    """Draw a histogram of each amount, bars of each category."""
    figure, axes = style.pairs(
        *('Phenotypes', len(phenotypes), _SMALL_PANEL, 0.2),
        left=0.5,
        bottom=0.35,
        apart=(0.55, 0.5),
    )
    for axis, phenotype in zip(axes, phenotypes, strict=True):
        _draw_phenotype(axis, phenotype)
    alt = ' '.join(f'{one.name}: {one.described()}.' for one in phenotypes)
    return style.svg(figure, alt, 'How many people or visits have each value.')


def _draw_phenotype(axis: Axes, phenotype: Phenotype) -> None:
    if phenotype.is_numeric and phenotype.numbers is not None:
        axis.stairs(*np.histogram(_drawable(phenotype.numbers), _BINS), fill=True, color=USUAL)
    else:
        shown = dict(list(phenotype.counts.items())[:_MOST_LEVELS])
        axis.bar(range(len(shown)), list(shown.values()), color=USUAL)
        labels = [shortened(value, 8) for value in shown]
        axis.set_xticks(range(len(shown)), labels, parse_math=False)
    axis.set_title(shortened(phenotype.name, 28), parse_math=False)


def _all(number_of: int, noun: str) -> str:
    return f'the one {noun}' if number_of == 1 else f'all {count(number_of, noun)}'
