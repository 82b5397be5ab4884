"""The page of a viewer: everything it shows is in it, and it asks for nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from modelarrayio_bids.__about__ import NAME, __version__
from modelarrayio_bids.reports.figures.anatomy import Anatomy
from modelarrayio_bids.reports.figures.style import DIVERGING, ONE_SIDED, colours_of
from modelarrayio_bids.reports.figures.surfaces import meshes_of
from modelarrayio_bids.reports.findings.clusters import connectivity_rule
from modelarrayio_bids.reports.page.album import figure_name
from modelarrayio_bids.reports.page.model_parts import maps_of_term
from modelarrayio_bids.reports.page.results import ResultFigure
from modelarrayio_bids.reports.page.templates import Script, environment
from modelarrayio_bids.reports.page.topic import Topic
from modelarrayio_bids.reports.page.viewers.blocks import Block
from modelarrayio_bids.reports.page.viewers.places import (
    anatomy_block,
    anatomy_facts,
    mean_block,
    picture_notes,
    place_blocks,
    place_facts,
)
from modelarrayio_bids.reports.page.viewers.samples import Sample
from modelarrayio_bids.reports.page.viewers.statistics import Statistics

_NOT_TESTED = 'They describe where elements pass the threshold; cluster sizes are not tested.'
_SCRIPTS = tuple(
    f'viewer/{name}.js'
    for name in ('arrays', 'places', 'clusters', 'slices', 'surfaces', 'matrix', 'scatter', 'main')
)


@dataclass(frozen=True)
class _Content:
    """Everything that one viewer holds."""

    topic: Topic
    model: str
    mean: np.ndarray | None
    statistics: Statistics
    sample: Sample
    #: Names of the thresholded maps of each term.
    maps: Sequence[str]

    @cached_property
    def anatomy(self) -> tuple[Anatomy, dict[str, Any]] | None:
        """The anatomy below, and where it is shown."""
        below = self.topic.around.background
        if not isinstance(below, Anatomy):
            return None
        facts = anatomy_facts(self.topic.space, below)
        return None if facts is None else (below, facts)

    @property
    def notes(self) -> list[str]:
        """Definition of the clusters, and limits of what the page holds and shows, in sentences."""
        space, surfaces = self.topic.space, self.topic.around.surfaces
        left_out = ', '.join(self.statistics.left_out)
        return [
            f'Clusters: {connectivity_rule(space, meshes_of(surfaces))}. {_NOT_TESTED}',
            self.sample.described(),
            *([f'Not on this page, which would be too large: {left_out}.'] if left_out else ()),
            *picture_notes(space, surfaces),
        ]

    def facts(self) -> str:
        """Return everything but arrays as JSON."""
        told = {
            'title': self.topic.title,
            'places': place_facts(self.topic.space, self.topic.around),
            'terms': self.statistics.facts(),
            'images': self._images(),
            'maps': self.maps,
            'leftOut': self.statistics.left_out,
            'anatomy': self.anatomy[1] if self.anatomy else None,
            'sample': self.sample.facts(),
            'colours': {name: colours_of(name, 256).tolist() for name in (ONE_SIDED, DIVERGING)},
        }
        # Nothing in it ends the element it is in.
        return json.dumps(told, allow_nan=False).replace('<', '\\u003c')

    def _images(self) -> dict[str, Any] | None:
        """Return N, and how many images more than residual degrees of freedom there are."""
        facts = self.topic.facts
        if facts is None:
            return None
        df = facts.df_residual
        return {'n': facts.n_images, 'lost': None if df is None else facts.n_images - df}

    def blocks(self) -> Iterator[Block]:
        """Yield the arrays, one at a time in memory."""
        n_images = self.topic.n_images
        if isinstance(n_images, np.ndarray):
            yield Block.of('images', n_images.astype(np.int32), delta=True)
        yield from place_blocks(self.topic.space, self.topic.around)
        if self.mean is not None:
            yield mean_block(self.mean)
        if self.anatomy:
            yield anatomy_block(*self.anatomy)
        yield from self.sample.blocks()


def viewer_link(
    topic: Topic, model: str, figures: Sequence[ResultFigure], maps: Sequence[tuple[str, str]]
) -> str:
    """Write the viewer of an analysis, and return where it is from the report.

    Parameters
    ----------
    topic : Topic
        The analysis.
    model : str
        The formula, or what is known of it.
    figures : sequence of ResultFigure
        Its terms.
    maps : sequence of tuple
        Names of its maps, and where they are.

    Raises
    ------
    FormatError
        If the file is damaged.
    OutputError
        If it cannot be written.
    """
    output, store, fit = topic.output, topic.store, topic.fit
    scalar = fit.response if fit is not None else output.scalar
    statistics = Statistics(topic.results, figures, len(topic.space))
    summary = store.summary(output.scalar)
    of_terms = (maps_of_term(maps, topic.results.name, each.numbers['p']) for each in figures)
    content = _Content(
        *(topic, model, None if summary is None else summary.mean, statistics),
        sample=Sample(output, store.scalar(scalar), fit, statistics, figures),
        maps=[', '.join(name for name, _ in found) for found in of_terms],
    )
    template = environment().get_template('viewer.html')
    script, program = Script.of(*_SCRIPTS), f'{NAME} {__version__}'
    page = template.stream(content=content, script=script, program=program)
    return topic.album.page(page, figure_name(output, topic.what, 'viewer'))
