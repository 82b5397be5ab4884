"""The distribution of a map in each structure, shown if there is no surface."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes

from modelarrayio_bids.reports.figures import style
from modelarrayio_bids.reports.figures.scales import number
from modelarrayio_bids.spaces import ElementSpace

#: Quantiles of a structure's values: a thin line, a thick line, and a dot.
PERCENTILES = (5, 25, 50, 75, 95)
# Inches.
_NAMES_WIDTH, _ROW_HEIGHT, _AXIS_HEIGHT = 1.95, 0.26, 0.55
# Structures of no more elements show each of them.
_MOST_DOTS = 60
_INK = '#1f3b5c'


@style.drawing()
def structure_chart(
    space: ElementSpace, values: np.ndarray, label: str, title: str
) -> style.Picture:
    """Draw the distributions, as SVG.

    Parameters
    ----------
    space : ElementSpace
        Elements that have structures.
    values : numpy.ndarray
        (n_elements,).
    label : str
        Name of the values.
    title : str
        Title of the map.
    """
    groups = {}
    for name, members in space.structures().items():
        groups[name] = values[members][np.isfinite(values[members])]
    medians = (
        f'{name} {number(float(np.median(each)))}' if each.size else f'{name} without a value'
        for name, each in groups.items()
    )
    height = len(groups) * _ROW_HEIGHT + _AXIS_HEIGHT
    named = f'{title}, by structure'
    figure, axes = style.titled_axes(named, height, left=_NAMES_WIDTH, bottom=_AXIS_HEIGHT, top=0)
    _draw_structures(axes[0, 0], groups, label)
    return style.svg(
        figure,
        f'{named}. Medians: {", ".join(medians)}.',
        'Dot: median; thick line: 25th to 75th percentile; thin line: 5th to 95th.',
    )


def _draw_structures(axes: Axes, groups: Mapping[str, np.ndarray], label: str) -> None:
    filled = [(row, values) for row, values in enumerate(groups.values()) if values.size]
    few = [(row, values) for row, values in filled if values.size <= _MOST_DOTS]
    if few:
        rows = np.repeat([row for row, _ in few], [values.size for _, values in few])
        dots = np.concatenate([values for _, values in few])
        axes.plot(dots, rows, '.', color=style.NO_VALUE, markersize=10)
    if filled:
        at = [row for row, _ in filled]
        ends = np.transpose([np.percentile(values, PERCENTILES) for _, values in filled])
        axes.hlines(at, ends[0], ends[4], _INK, linewidth=1)
        axes.hlines(at, ends[1], ends[3], _INK, linewidth=5)
        axes.plot(ends[2], at, 'o', color='white', markeredgecolor=_INK, markersize=6)
    axes.set_yticks(range(len(groups)), groups)
    axes.set_ylim(len(groups) - 0.5, -0.5)
    axes.set_xlabel(label, parse_math=False)
    axes.grid(axis='x', color=style.NO_VALUE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[['top', 'right', 'left']].set_visible(False)
    axes.tick_params(axis='y', length=0)
