"""The part of a page on the curves that a model fitted, at the peaks of clusters."""

from __future__ import annotations

from modelarrayio_bids.models.curves import FittedCurve
from modelarrayio_bids.reports.figures.curves import chart_of_curves
from modelarrayio_bids.reports.figures.style import Picture
from modelarrayio_bids.reports.page.results import ResultFigure
from modelarrayio_bids.results.model_fit import ModelFit

#: Ending of the names of figures of curves.
ENDING = 'Curves'


def picture_of_curves(fit: ModelFit | None, figure: ResultFigure) -> Picture | None:
    """Draw the curve of a term at the peak of each of its largest clusters.

    Parameters
    ----------
    fit : ModelFit or None
        The model, made again; None if it could not be.
    figure : ResultFigure
        Results of the term.

    Returns
    -------
    Picture or None
        None if nothing survived, or the term is not a curve.
    """
    if fit is None:
        return None
    found: list[tuple[str, FittedCurve]] = []
    for rank, cluster in enumerate(figure.clusters.largest, start=1):
        curve = fit.curve(figure.numbers['term'], cluster.peak)
        if curve is None:
            break
        found.append((f'{rank}: {cluster.where}', curve))
    return chart_of_curves(found, figure.title, fit.response) if found else None
