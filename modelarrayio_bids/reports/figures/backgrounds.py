"""Backgrounds of maps: surfaces and anatomy; and the regions that their places are in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from modelarrayio_bids.reports.figures.anatomy import find_anatomy
from modelarrayio_bids.reports.figures.pictures import Background, MapBackground
from modelarrayio_bids.reports.figures.surfaces import Surface, find_surfaces
from modelarrayio_bids.reports.findings.atlases import Regions
from modelarrayio_bids.reports.findings.output_folder import Output
from modelarrayio_bids.spaces import ElementSpace
from modelarrayio_bids.store.summary import Summary


@dataclass(frozen=True)
class Surroundings:
    """Surfaces and anatomy that maps of a file are shown on, and names of places.

    Parameters
    ----------
    surfaces : dict of Surface
        Available surfaces, by structure.
    background : Background or None
        An anatomical image of the space, else the cohort's mean map, where it is known.
    space : ElementSpace
        The file's elements.
    sources : sequence of pathlib.Path
        Images of the cohort.
    """

    surfaces: Mapping[str, Surface]
    background: Background | None
    space: ElementSpace
    sources: Sequence[Path]

    @cached_property
    def regions(self) -> Regions:
        """Regions of the elements, of atlases at hand: looked up where a result needs them."""
        return Regions.of(self.space, self.sources)

    @classmethod
    def of(cls, output: Output, space: ElementSpace, summary: Summary | None) -> Surroundings:
        """Look for those of a file near its sources, and among the available templates."""
        sources = [source.path for source in output.cohort.sources()]
        cortex = space.surface_elements()
        sizes = {name: each.n_vertices for name, each in cortex.items()}
        named = next((each.surface for each in cortex.values()), '')
        background: Background | None = find_anatomy(sources)
        if background is None and summary is not None:
            background = MapBackground(space, summary.mean, "the cohort's mean map")
        return cls(find_surfaces(sizes, sources, named), background, space, sources)
