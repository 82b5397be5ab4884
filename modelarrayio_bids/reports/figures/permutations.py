"""Charts of null distributions: the greatest statistics of all labellings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from modelarrayio_bids.reports.figures import style
from modelarrayio_bids.reports.figures.scales import number
from modelarrayio_bids.reports.figures.style import OUT, USUAL, Picture
from modelarrayio_bids.reports.findings.participants import shortened
from modelarrayio_bids.reports.findings.permutations import LEVEL, NullDistribution

# Inches, and bars of a histogram.
_PANEL, _COLUMNS, _BARS = 1.75, 2, 40
#: Tests of one chart.
MOST_TESTS = 8


def chart_of_null_distributions(found: Sequence[NullDistribution], title: str) -> Picture:
    """Draw the greatest statistic of each labelling, the threshold, and what was observed.

    Parameters
    ----------
    found : sequence of NullDistribution
        Distributions, one to :data:`MOST_TESTS`.
    title : str
        Title of the figure: the model.
    """
    rows = -(-len(found) // _COLUMNS)
    with style.drawing():
        height = _PANEL * rows + 0.3
        figure = style.titled(title, height)
        axes = style.axes_below(figure, height, (rows, _COLUMNS), apart=(0.75, 0.75)).ravel()
        for axis, one in zip(axes, found, strict=False):
            _draw(axis, one)
        for axis in axes[len(found) :]:
            axis.set_visible(False)
        caption = (
            'Blue: null distribution of the maximum statistic over all elements. Dashed: '
            f'the threshold of p < {LEVEL:g}, corrected for all elements. Red: the greatest that '
            'was observed.'
        )
        return style.svg(figure, f'{title}. {" ".join(map(described, found))}', caption)


def described(found: NullDistribution) -> str:
    """Describe a distribution in a sentence."""
    return (
        f'{found.term}: threshold {found.statistic} {number(found.threshold)}, greatest observed '
        f'{number(found.observed)}, corrected p {number(found.p)}.'
    )


def _draw(axis: Axes, found: NullDistribution) -> None:
    finite = found.maxima[np.isfinite(found.maxima)]
    axis.hist(finite, bins=_BARS, color=USUAL)
    axis.axvline(found.threshold, color='black', lw=1.2, ls='--')
    axis.axvline(found.observed, color=OUT, lw=1.6)
    axis.set_title(shortened(found.term, 30), parse_math=False)
    axis.set_xlabel(f'Greatest {found.statistic}')
    axis.set_ylabel('Labellings')
