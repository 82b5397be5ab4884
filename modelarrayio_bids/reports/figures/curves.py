"""Charts of smooths at the peaks of clusters: the curve, its band, and the images."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from modelarrayio_bids.models.curves import CONFIDENCE, FittedCurve
from modelarrayio_bids.reports.figures import style
from modelarrayio_bids.reports.figures.style import Picture
from modelarrayio_bids.reports.findings.participants import shortened

# Read on white, and by who does not tell red from green.
_IMAGES, _CURVE = '#1f4e79', '#b3261e'
# Inches: of a panel, of the room between panels, and of the room for texts around them.
_PANEL, _BETWEEN, _LEFT, _RIGHT, _BELOW, _ABOVE = 1.35, 0.55, 0.85, 0.1, 0.5, 0.3
_COLUMNS = 2


def chart_of_curves(curves: Sequence[tuple[str, FittedCurve]], title: str, scalar: str) -> Picture:
    """Draw a smooth at several elements.

    Parameters
    ----------
    curves : sequence of tuple
        What each element is called, and the curve there; one or more, all of one smooth.
    title : str
        What was fitted.
    scalar : str
        The response.
    """
    rows = -(-len(curves) // _COLUMNS)
    smooth = curves[0][1]
    with style.drawing():
        height = _ABOVE + _PANEL * rows + _BETWEEN * (rows - 1) + _BELOW
        figure = style.titled(title, height)
        axes = figure.subplots(rows, _COLUMNS, squeeze=False, sharex=True).ravel()
        _place(figure, height)
        for axis, (name, curve) in zip(axes, curves, strict=False):
            _draw(axis, name, curve)
        for axis in axes[len(curves) :]:
            axis.set_visible(False)
        for axis in axes[max(0, len(curves) - _COLUMNS) : len(curves)]:
            axis.set_xlabel(shortened(smooth.covariate, 30), parse_math=False)
            axis.tick_params(labelbottom=True)
        axes[0].set_ylabel(shortened(_height(smooth, scalar), 24), parse_math=False)
        return style.svg(figure, f'{title}. {" ".join(_told(curves))}', _caption(smooth))


def _place(figure: Figure, height: float) -> None:
    """Give panels their room below the title."""
    across, up = figure.get_size_inches()
    figure.subplots_adjust(
        left=_LEFT / across,
        right=1 - _RIGHT / across,
        bottom=_BELOW / up,
        top=(height - _ABOVE) / up,
        hspace=_BETWEEN / _PANEL,
        wspace=0.3,
    )


def _draw(axis: Axes, name: str, curve: FittedCurve) -> None:
    axis.plot(curve.x, curve.y, '.', color=_IMAGES, ms=4)
    low, high = curve.values - curve.margin, curve.values + curve.margin
    axis.fill_between(curve.grid, low, high, color=_CURVE, alpha=0.2, lw=0)
    axis.plot(curve.grid, curve.values, color=_CURVE, lw=1.6)
    axis.set_title(shortened(name, 34), fontsize=style.SMALL, loc='left', parse_math=False)
    axis.tick_params(labelsize=style.SMALL)


def _height(curve: FittedCurve, scalar: str) -> str:
    return f'{scalar} per {curve.by}' if curve.by else scalar


def _caption(curve: FittedCurve) -> str:
    said = f'{curve.label} at the peak of each cluster, with its pointwise {CONFIDENCE:.0%} band.'
    images = 'The mean is 0. Dots are images, without what other terms explain. ' * (not curve.by)
    return (
        f'{said} {images}Peaks were chosen by this very effect: curves look better than those of '
        'new data would.'
    )


def _told(curves: Sequence[tuple[str, FittedCurve]]) -> list[str]:
    """Describe each curve: where it is lowest and highest."""
    return [
        f'{name}: lowest at {curve.grid[int(curve.values.argmin())]:.3g}, '
        f'highest at {curve.grid[int(curve.values.argmax())]:.3g}.'
        for name, curve in curves
    ]
