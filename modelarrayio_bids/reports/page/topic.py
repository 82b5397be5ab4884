"""The analysis that parts of a page are about, and all that these are drawn from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from modelarrayio_bids.reports.figures.backgrounds import Surroundings
from modelarrayio_bids.reports.figures.style import Picture
from modelarrayio_bids.reports.findings.designs import find_fit
from modelarrayio_bids.reports.findings.output_folder import Output
from modelarrayio_bids.reports.page.album import Album, figure_name
from modelarrayio_bids.results.model_facts import ModelFacts
from modelarrayio_bids.results.model_fit import ModelFit
from modelarrayio_bids.spaces import ElementSpace
from modelarrayio_bids.store import schema
from modelarrayio_bids.store.reader import Analysis, StoreReader


@dataclass(frozen=True)
class Topic:
    """An analysis in an HDF5 file.

    Parameters
    ----------
    output : Output
        The files it is of.
    store : StoreReader
        The HDF5 file, open.
    results : Analysis
        The analysis.
    space : ElementSpace
        The file's elements.
    around : Surroundings
        Surfaces and anatomy that maps are shown on.
    album : Album
        Album for figures and tables.
    what : str
        Label of the analysis in their names.
    """

    output: Output
    store: StoreReader
    results: Analysis
    space: ElementSpace
    around: Surroundings
    album: Album
    what: str

    @property
    def title(self) -> str:
        """Scalar and analysis, for people."""
        return f'{self.output.scalar}: {self.results.name}'

    @property
    def formula(self) -> str:
        """Formula of the model; blank if the file does not keep it."""
        return self.results.described.get(schema.FORMULA_ATTRIBUTE, '')

    @cached_property
    def facts(self) -> ModelFacts | None:
        """Facts that ``fit`` keeps of a model; None of an analysis that was not made by it."""
        return ModelFacts.of(self.results.described)

    @property
    def images(self) -> tuple[str, ...]:
        """Names of the images of the scalar that was modelled."""
        if self.facts is None or self.facts.response == self.output.scalar:
            return self.output.names
        return self.store.sources.get(self.facts.response, ())

    @cached_property
    def fit(self) -> ModelFit | None:
        """The model, made again; None if it was not made here, or cannot be."""
        if self.facts is None:
            return None
        # Where the cohort was, or beside the file, if the folder moved.
        there = [Path(self.facts.cohort)] if self.facts.cohort else []
        cohorts = [*there, self.output.files.cohort.absolute()]
        return find_fit(self.output.files.store, self.facts, cohorts, len(self.images))

    @cached_property
    def n_images(self) -> int | np.ndarray:
        """Images of the model: how many, or (n_elements,) if some lack values."""
        facts, fit, everybody = self.facts, self.fit, len(self.output.names)
        if facts is None:
            return self.results.n_sources.get(self.output.scalar, everybody)
        summary = self.store.summary(self.output.scalar)
        alone = fit is None or set(fit.rows) == {self.output.scalar}
        if summary is not None and alone and facts.response == self.output.scalar:
            if (summary.count == everybody).all():
                return facts.n_images
            if facts.n_images == everybody:
                return summary.count
        return facts.n_images if fit is None else fit.images_by_element()

    def result(self, name: str) -> np.ndarray:
        """Read a result, (n_rows,) float64."""
        return self.results.row(self.results.names.index(name))

    def add(self, picture: Picture, ending: str, suffix: str = 'plot', what: str = '') -> Picture:
        """Write a picture under a label, by default that of the analysis, with an ending."""
        return self.album.add(picture, self._name(what, ending, suffix))

    def table(
        self, rows: Iterable[Mapping[str, Any]], ending: str, kind: str, what: str = ''
    ) -> str:
        """Write a table under a label, by default that of the analysis, with an ending."""
        return self.album.table(rows, self._name(what, ending, 'summary'), kind)

    def _name(self, what: str, ending: str, suffix: str) -> str:
        return figure_name(self.output, f'{what or self.what}{ending}', suffix)
