"""Part of a page that shows a slice of everybody's map, and those to look at beside the mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modelarrayio_bids.reports.figures.contact_sheet import MOST_TILES, Sheet, Slice, sheet_of
from modelarrayio_bids.reports.figures.scales import Scale, number
from modelarrayio_bids.reports.findings.outliers import Finding
from modelarrayio_bids.reports.findings.output_folder import Output
from modelarrayio_bids.reports.findings.participants import participant
from modelarrayio_bids.runtime.grouping import grouped
from modelarrayio_bids.store.scalars import Scalar
from modelarrayio_bids.store.summary import Summary

_OPTION = '--exclude-participant-label'
_SUBJECT = 'sub-'


@dataclass(frozen=True)
class Tile:
    """One image on a page.

    Parameters
    ----------
    name : str
        Participant and visit.
    distance : str
        Distance from the others.
    findings : tuple of str
        Why to look at it.
    place : tuple of float
        Position on the sheet, in percent.
    path, option : str
        Its file, and the option that leaves the participant out; blank if nobody is named.
    """

    name: str
    distance: str
    findings: tuple[str, ...]
    place: tuple[float, float]
    path: str
    option: str


@dataclass(frozen=True)
class Carousel:
    """A slice of everybody's map, the farthest from the others first.

    Parameters
    ----------
    sheet : Sheet
        All tiles: the mean's is the first.
    tiles : list of Tile
        Tiles of the images.
    left_out : int
        Images that are not shown: those nearest to the others.
    mean : tuple of float
        Position of the mean's tile.
    """

    sheet: Sheet
    tiles: list[Tile]
    left_out: int
    mean: tuple[float, float]

    @property
    def flagged(self) -> list[Tile]:
        """Tiles of the images to inspect."""
        return [tile for tile in self.tiles if tile.findings]


def order_of(summary: Summary, findings: Sequence[Finding]) -> np.ndarray:
    """Return rows of images to show, the farthest from the others first, and all that are named."""
    distance = np.nan_to_num(summary.distance, nan=np.inf)
    order = np.argsort(-distance, kind='stable')
    named = np.isin(order, [one.source for one in findings])
    # Of those that are not named, the nearest are left out.
    free = max(0, MOST_TILES - int(named.sum()))
    return order[named | (np.cumsum(~named) <= free)]


def carousel_of(
    output: Output, scalar: Scalar, shown: Slice, summary: Summary, findings: Sequence[Finding]
) -> Carousel:
    """Draw the slice of each image, and of their mean.

    Parameters
    ----------
    output : Output
        The files.
    scalar : Scalar
        The values.
    shown : Slice
        Slice that is shown.
    summary : Summary
        Summary of all values.
    findings : sequence of Finding
        Images to inspect, with the reasons.

    Raises
    ------
    FormatError
        If the file is damaged.
    """
    rows = order_of(summary, findings)
    values = np.concatenate([
        summary.mean[np.newaxis, shown.elements],
        scalar.columns(shown.elements)[rows],
    ])  # fmt: skip
    alt = f'{shown.title} of the mean of {output.scalar}, then of each image.'
    sheet = sheet_of(shown, values, Scale.of(summary.mean, output.measure), alt)
    said = grouped((one.source, one.text) for one in findings)
    sources = output.cohort.sources()
    tiles = [
        Tile(
            name=output.names[row],
            distance=number(float(summary.distance[row])),
            findings=tuple(said.get(row, ())),
            place=sheet.place(place),
            path=str(sources[row].path),
            option=_option(output.names[row]),
        )
        for place, row in enumerate(rows.tolist(), start=1)
    ]
    return Carousel(sheet, tiles, len(summary.rows) - len(rows), sheet.place(0))


def _option(name: str) -> str:
    who = participant(name)
    return f'{_OPTION} {who.removeprefix(_SUBJECT)}' if who.startswith(_SUBJECT) else ''
