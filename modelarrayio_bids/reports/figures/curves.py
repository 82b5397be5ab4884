"""Charts of smooths at the peaks of clusters: the curve, its band, and the images."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from modelarrayio_bids.models.curves import CONFIDENCE, FittedCurve
from modelarrayio_bids.reports.figures import style
from modelarrayio_bids.reports.figures.style import OUT, USUAL, Picture
from modelarrayio_bids.reports.findings.participants import shortened

# Inches: of a panel, between panels, and for the texts above and below them.
_PANEL, _BETWEEN, _ABOVE, _BELOW = 1.35, 0.55, 0.3, 0.5
_COLUMNS = 2


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
    rows = -(-len(curves) // _COLUMNS)
    smooth = curves[0][1]
    with style.drawing():
        height = _ABOVE + _PANEL * rows + _BETWEEN * (rows - 1) + _BELOW
        figure = style.titled(title, height)
        axes = style.axes_below(
            *(figure, height, (rows, _COLUMNS)),
            bottom=_BELOW,
            top=_ABOVE,
            apart=(_BETWEEN, 0.6),
            sharex=True,
        ).ravel()
        for axis, (name, curve) in zip(axes, curves, strict=False):
            _draw(axis, name, curve)
        for axis in axes[len(curves) :]:
            axis.set_visible(False)
        for axis in axes[max(0, len(curves) - _COLUMNS) : len(curves)]:
            axis.xaxis.set_visible(True)
            axis.set_xlabel(shortened(smooth.covariate, 30), parse_math=False)
            axis.tick_params(labelbottom=True)
        axes[0].set_ylabel(shortened(_height(smooth, scalar), 24), parse_math=False)
        return style.svg(figure, f'{title}. {" ".join(_told(curves))}', _caption(smooth))


def _draw(axis: Axes, name: str, curve: FittedCurve) -> None:
    axis.plot(curve.x, curve.y, '.', color=USUAL, ms=4)
    low, high = curve.values - curve.margin, curve.values + curve.margin
    axis.fill_between(curve.grid, low, high, color=OUT, alpha=0.2, lw=0)
    axis.plot(curve.grid, curve.values, color=OUT, lw=1.6)
    axis.set_title(shortened(name, 34), size=style.SMALL, parse_math=False)


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
