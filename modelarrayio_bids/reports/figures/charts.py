"""Charts of the people of a cohort: one after the other, in the order of its rows.

Of many people each is a hair's breadth; who stands out is named at the place.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from modelarrayio_bids.reports.figures import style
from modelarrayio_bids.reports.figures.scales import number
from modelarrayio_bids.reports.figures.style import Picture
from modelarrayio_bids.reports.findings.outliers import (
    MOST_DEVIATIONS,
    Finding,
    deviations,
    fractions,
    usual,
)
from modelarrayio_bids.reports.findings.participants import Availability, Phenotype, shortened
from modelarrayio_bids.store.summary import QUANTILES, Summary

#: Of more people a drawing of lines is larger than an image of it.
_MOST_LINES = 300
#: More names would cover each other.
_MOST_NAMES = 6
#: Width of a letter by its size.
_LETTER = 0.6
#: Both read on white, and by who does not tell red from green.
_USUAL, _OUT = '#1f4e79', '#b3261e'
# Inches.
_PANEL, _SMALL_PANEL, _MATRIX_ROW, _THRESHOLD = 1.55, 1.35, 0.3, 2.3
_LABEL_LINE = 0.16
# Letters in a line of a label.
_LABEL = 26
_COLUMNS = 2
_MOST_LEVELS = 8
_BINS = 20
# Of a drawing: beyond, the width of an axis or its margin is infinite.
_FARTHEST = 1e300


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
    panels = _panels_of_sources(summary, what)
    # Of numbers as large as there are no squares and no margins.
    with style.drawing(), np.errstate(over='ignore', invalid='ignore'):
        height = _PANEL * len(panels) + 0.4
        figure = style.titled(f'Each image of {what}', height)
        axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        for axis, panel in zip(axes, panels, strict=True):
            panel.draw(axis)
            axis.set_title(panel.title, fontsize=style.TEXT, loc='left', parse_math=False)
            odd = panel.odd(findings)
            axis.plot(odd, panel.heights[odd], '.', color=_OUT, ms=8)
            axis.margins(x=0.02, y=0.15)
        axes[-1].set_xlabel('Images, in the order of the cohort')
        _fitted(figure, height)
        for axis, panel in zip(axes, panels, strict=True):
            _name(axis, panel, names, findings)
        alt = _alt_of_sources(summary, names, findings, what)
        caption = (
            'Above: thin lines from the 5th to the 95th percentile, thick ones from the 25th to '
            'the 75th, dots at the median. Images to look at are red, where they are unusual.'
        )
        draw_as = style.svg if len(names) <= _MOST_LINES else style.png
        return draw_as(figure, alt, caption)


def _alt_of_sources(
    summary: Summary, names: Sequence[str], findings: Sequence[Finding], what: str
) -> str:
    middle = usual(summary.correlation)
    told = f'{middle:.2f}' if math.isfinite(middle) else 'none'
    sources = dict.fromkeys(finding.source for finding in findings)
    return (
        f'Distribution of {what} in each of {_counted(len(names), "image")}, their correlation '
        f'with the mean of the others (median {told}), and their missing and zero elements. '
        + _named_people(names, sources)
    )


@dataclass(frozen=True)
class _Panel:
    """One number of each source.

    Parameters
    ----------
    title : str
        What it is.
    heights : numpy.ndarray
        (n_sources,): the number.
    draw : callable
        Draws all of them.
    kinds : frozenset of str
        Of the findings that are to be seen here.
    if_far : frozenset of str
        Of those that are, where the number itself is far from everybody's.
    """

    title: str
    heights: np.ndarray
    draw: Callable[[Axes], None]
    kinds: frozenset[str]
    if_far: frozenset[str] = frozenset()

    def odd(self, findings: Sequence[Finding], but: Collection[str] = ()) -> list[int]:
        """The sources whose findings are to be seen here, the farthest first."""
        far = np.nan_to_num(abs(deviations(self.heights)))
        seen = {
            finding.source
            for finding in findings
            if np.isfinite(self.heights[finding.source])
            and finding.kind not in but
            and (
                finding.kind in self.kinds
                or (finding.kind in self.if_far and far[finding.source] > MOST_DEVIATIONS)
            )
        }
        apart = abs(self.heights - usual(self.heights))
        return sorted(seen, key=lambda source: (-apart[source], source))

    def named(self, findings: Sequence[Finding]) -> list[int]:
        """Those of them to be named: copies, whose number is like the others', only if few."""
        copies = {finding.source for finding in findings if finding.kind == 'identical'}
        return self.odd(findings, ('identical',) if len(copies) > _MOST_NAMES else ())


def _panels_of_sources(summary: Summary, what: str) -> list[_Panel]:
    rows = summary.rows
    quantiles = _drawable(rows['quantiles'].T)
    medians, distance = quantiles[QUANTILES.index(0.5)], _drawable(summary.distance)
    missing, zeros = (fractions(rows[name], summary) for name in ('n_missing', 'n_zero'))

    def draw_spread(axis: Axes) -> None:
        at = np.arange(len(rows))
        for low, high, width in ((0, 4, 0.6), (1, 3, 2.2)):
            axis.vlines(at, quantiles[low], quantiles[high], color=_USUAL, lw=_thin(width, at.size))
        axis.plot(at, medians, '.', color='white', mec=_USUAL, ms=_thin(5, at.size), mew=0.8)

    def draw_dots(axis: Axes, values: np.ndarray) -> None:
        axis.plot(np.arange(values.size), values, '.', color=_USUAL, ms=_thin(6, values.size))

    def draw_fractions(axis: Axes) -> None:
        draw_dots(axis, 100 * missing)
        axis.plot(np.arange(zeros.size), 100 * zeros, '+', color='#5b5b5b', ms=5)

    return [
        _Panel(
            *(what, medians, draw_spread),
            frozenset({'level', 'constant', 'infinite', 'identical'}),
        ),
        _Panel(
            *('Correlation with the mean of the others', summary.correlation),
            lambda axis: draw_dots(axis, summary.correlation),
            *(frozenset({'mirrored'}), frozenset({'unlike'})),
        ),
        _Panel(
            *('Distance from the mean, in standard deviations', distance),
            lambda axis: draw_dots(axis, distance),
            *(frozenset(), frozenset({'unlike', 'mirrored'})),
        ),
        _Panel(
            'Elements without a value (dots) and zero (crosses), %',
            *(100 * np.maximum(missing, zeros), draw_fractions),
            # What is empty has no median to be seen by.
            frozenset({'missing', 'zeros', 'empty'}),
        ),
    ]


def _drawable(values: np.ndarray) -> np.ndarray:
    """Values that an axis can span: NaN for infinite ones."""
    return np.where(np.isfinite(values), values.clip(-_FARTHEST, _FARTHEST), np.nan)


def _thin(width: float, count: int) -> float:
    """A width of lines and dots that leaves room between them."""
    return width if count <= 80 else max(width * 80 / count, 0.4)


def _name(axis: Axes, panel: _Panel, names: Sequence[str], findings: Sequence[Finding]) -> None:
    """Write the names of the farthest sources beside their dots, where there is room."""
    odd = panel.odd(findings)
    dots = _around_dots(axis, odd, panel)
    taken = np.empty((0, 4))
    for source in panel.named(findings):
        others = np.concatenate([taken, dots[np.array(odd) != source]])
        at = (source, float(panel.heights[source]))
        free = (
            place for place in _places(axis, at, names[source]) if not _overlaps(place.box, others)
        )
        place = next(free, None)
        if place is None:
            continue
        taken = np.vstack([taken, place.box.extents])
        axis.annotate(
            names[source],
            *(at, place.offset),
            textcoords='offset points',
            ha=place.side,
            va='center',
            fontsize=style.SMALL,
            color=_OUT,
            parse_math=False,
        )
        if len(taken) == _MOST_NAMES:
            return


def _overlaps(box: Bbox, others: np.ndarray) -> bool:
    """Whether it overlaps one of the others, (n, 4) as ``Bbox.extents``."""
    left, bottom, right, top = others.T
    beside = (box.x1 < left) | (box.x0 > right) | (box.y1 < bottom) | (box.y0 > top)
    return not beside.all()


def _around_dots(axis: Axes, sources: Sequence[int], panel: _Panel) -> np.ndarray:
    """What the dots of some sources cover, in pixels: (n, 4) as ``Bbox.extents``."""
    centres = [_pixels(axis, (source, float(panel.heights[source]))) for source in sources]
    radius = 2 * axis.figure.dpi / 72
    return np.array([(x - radius, y - radius, x + radius, y + radius) for x, y in centres])


def _pixels(axis: Axes, at: tuple[float, float]) -> tuple[float, float]:
    axis.get_xlim(), axis.get_ylim()  # counts what was drawn since they were asked for
    x, y = axis.transData.transform(at)
    return x, y


class _Place(NamedTuple):
    """Of a name beside a dot: how far, in points, on which side, and what it covers, in pixels."""

    offset: tuple[float, float]
    side: Literal['left', 'right']
    box: Bbox


def _places(axis: Axes, at: tuple[float, float], text: str) -> Iterator[_Place]:
    """Places within the axes for the name of a dot, from the best."""
    point = axis.figure.dpi / 72
    x, y = _pixels(axis, at)
    width, height = _LETTER * style.SMALL * len(text) * point, style.SMALL * point
    for up in (6, -6, 0, 14, -14):
        sides: tuple[tuple[Literal['left', 'right'], float], ...] = (
            ('left', x + 5 * point),
            ('right', x - 5 * point - width),
        )
        for side, start in sides:
            box = Bbox.from_bounds(start, y + up * point - height / 2, width, height)
            inside = axis.bbox.containsx(box.x0) and axis.bbox.containsx(box.x1)
            if inside and axis.bbox.containsy(box.y0) and axis.bbox.containsy(box.y1):
                yield _Place((5 if side == 'left' else -5, up), side, box)


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
            f'{_all(n_masks, "mask")}.'
        )
        used = '' if threshold is None else f' The red line is the threshold used, {threshold:g}.'
        return style.svg(figure, alt, f'How the group mask shrinks.{used}')


def chart_of_availability(availability: Availability) -> Picture:
    """Whose images are in which file: a column for each person, a row for each file."""
    matrix = availability.matrix
    labels = [textwrap.fill(label, _LABEL, break_on_hyphens=False) for label in availability.labels]
    lines = max(label.count('\n') for label in labels)
    with style.drawing():
        height = (_MATRIX_ROW + _LABEL_LINE * lines) * len(matrix) + 0.9
        figure = style.titled('Whose images are in which file', height)
        axis = figure.subplots()
        colours = ListedColormap([style.NO_VALUE, _USUAL])
        axis.imshow(
            matrix, cmap=colours, vmin=0, vmax=1, aspect='auto', interpolation='nearest'
        )  # fmt: skip
        axis.set_yticks(range(len(matrix)), labels, fontsize=style.SMALL, parse_math=False)
        axis.set_yticks(np.arange(0.5, len(matrix) - 1), minor=True)
        axis.grid(which='minor', axis='y', color='white', lw=2)
        axis.tick_params(which='minor', length=0)
        axis.set_xlabel('People, by label')
        axis.locator_params('x', integer=True, min_n_ticks=1)
        _fitted(figure, height)
        alt = (
            f'{availability.complete:,} of {len(availability.participants):,} people '
            f'{"is" if availability.complete == 1 else "are"} in {_all(len(matrix), "file")}. '
            + ' '.join(
                f'{label}: {int(row.sum())}.'
                for label, row in zip(availability.labels, matrix, strict=True)
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
        axis.hist(_drawable(phenotype.numbers), _BINS, color=_USUAL)
    else:
        shown = dict(list(phenotype.counts.items())[:_MOST_LEVELS])
        axis.bar(range(len(shown)), list(shown.values()), color=_USUAL)
        labels = [shortened(value, 8) for value in shown]
        axis.set_xticks(range(len(shown)), labels, parse_math=False)
    title = shortened(phenotype.name, 28)
    axis.set_title(title, fontsize=style.TEXT, loc='left', parse_math=False)
    axis.tick_params(labelsize=style.SMALL)


def _counted(count: int, noun: str) -> str:
    return f'{count:,} {noun}' if count == 1 else f'{count:,} {noun}s'


def _all(count: int, noun: str) -> str:
    return f'the one {noun}' if count == 1 else f'all {_counted(count, noun)}'


def _fitted(figure: Figure, height: float) -> None:
    """Give the axes all the room below the title: so many inches."""
    figure.tight_layout(rect=(0, 0, 1, height / figure.get_size_inches()[1]))
