"""The distribution of a map in each structure: what is shown where there is no surface."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes

from modelarrayio_bids.reports.figures import style
from modelarrayio_bids.reports.figures.scales import number
from modelarrayio_bids.spaces import ElementSpace

#: Of a structure's values: a thin line, a thick one, and a dot.
PERCENTILES = (5, 25, 50, 75, 95)
# Inches.
_NAMES_WIDTH, _ROW_HEIGHT, _AXIS_HEIGHT = 1.95, 0.26, 0.55
# Structures of no more elements show each of them.
_MOST_DOTS = 60
_INK = '#1f3b5c'


def structure_chart(
    space: ElementSpace, values: np.ndarray, label: str, title: str
) -> style.Picture:
    """The distributions, as SVG.

    Parameters
    ----------
    space : ElementSpace
        Elements that have structures.
    values : numpy.ndarray
        (n_elements,).
    label : str
        What the values are.
    title : str
        What the map is.
    """
    groups = {}
    for name, members in space.structures().items():
        groups[name] = values[members][np.isfinite(values[members])]
    medians = (
        f'{name} {number(float(np.median(each)))}' if each.size else f'{name} without a value'
        for name, each in groups.items()
    )
    top = len(groups) * _ROW_HEIGHT + _AXIS_HEIGHT
    with style.drawing():
        figure = style.titled(f'{title}, by structure', top)
        width = style.WIDTH - _NAMES_WIDTH - 2 * style.GAP
        place = (_NAMES_WIDTH, _AXIS_HEIGHT, width, top - _AXIS_HEIGHT)
        _draw_structures(style.axes_at(figure, *place), groups, label)
        return style.svg(
            figure,
            f'{title}, by structure. Medians: {", ".join(medians)}.',
            'Dot: median; thick line: 25th to 75th percentile; thin line: 5th to 95th.',
        )


def _draw_structures(axes: Axes, groups: Mapping[str, np.ndarray], label: str) -> None:
    for row, values in enumerate(groups.values()):
        if not values.size:
            continue
        ends = np.percentile(values, PERCENTILES)
        if values.size <= _MOST_DOTS:
            axes.scatter(values, np.full(values.size, row), s=25, color=style.NO_VALUE)
        axes.plot(ends[[0, 4]], [row, row], color=_INK, linewidth=1)
        axes.plot(ends[[1, 3]], [row, row], color=_INK, linewidth=5, solid_capstyle='butt')
        axes.plot(ends[2], row, marker='o', color='white', markeredgecolor=_INK, markersize=6)
    axes.set_yticks(range(len(groups)), groups, fontsize=style.SMALL)
    axes.set_ylim(len(groups) - 0.5, -0.5)
    axes.set_xlabel(label, parse_math=False)
    axes.grid(axis='x', color=style.NO_VALUE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[['top', 'right', 'left']].set_visible(False)
    axes.tick_params(axis='y', length=0)
