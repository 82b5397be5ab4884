"""Values of the images in a viewer: of all elements or of some, with covariates and the fit.

A page holds so many bytes of values. Whole chunks of the file are taken, since a chunk is inflated
whole: those with most elements of the largest clusters, then others at even distances.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from modelarrayio_bids.derivatives.cohorts.columns import OWN_COLUMNS
from modelarrayio_bids.models.base import labels_of
from modelarrayio_bids.models.formula.syntax import names_in
from modelarrayio_bids.models.formula.terms import BARS, Terms
from modelarrayio_bids.reports.findings.output_folder import Output
from modelarrayio_bids.reports.findings.participants import Phenotype
from modelarrayio_bids.reports.page.results import ResultFigure
from modelarrayio_bids.reports.page.viewers.blocks import Block
from modelarrayio_bids.reports.page.viewers.statistics import Statistics
from modelarrayio_bids.results.model_fit import ModelFit
from modelarrayio_bids.store.scalars import Scalar

#: Most bytes of values that a page holds, two for each.
MOST_BYTES = 2 * 2**20
# Values are whole numbers from 1 to this, between the least and the greatest of their element.
_STEPS = 65_535
_NO_FIT = ' The fit is not shown: the file does not store all coefficients of this model.'
# Covariates that are offered, of an analysis without a design, and levels of one that is a factor.
_MOST_COVARIATES, _MOST_LEVELS = 30, 12


@dataclass(frozen=True)
class Sample:
    """Values of the images of a scalar at some elements.

    Parameters
    ----------
    output : Output
        The files of the scalar.
    scalar : Scalar
        Its values.
    fit : ModelFit or None
        The model, made again; None if it could not be.
    statistics : Statistics
        The results.
    figures : sequence of ResultFigure
        The terms, with their clusters.
    """

    output: Output
    scalar: Scalar
    fit: ModelFit | None
    statistics: Statistics
    figures: Sequence[ResultFigure]

    def facts(self) -> dict[str, Any]:
        """Return whom the values are of, their covariates, and the columns of the design."""
        return {
            'images': [self.output.names[row] for row in self._rows],
            'measure': self.output.measure,
            'covariates': self._covariates(),
            'columns': self._columns(),
            'fitted': bool(self._estimates()),
        }

    def blocks(self) -> Iterator[Block]:
        """Yield results, then elements, values, and estimates of the coefficients there."""
        names = self._estimates()
        estimates = np.full((len(names), self.elements.size), np.nan, np.float32)
        yield from self.statistics.blocks(names, self.elements, estimates)
        yield Block.of('sample.elements', self.elements.astype(np.int32), delta=True)
        yield from _value_blocks(self.scalar.columns(self.elements)[self._rows].T)
        if names and self.fit is not None:
            yield Block.of('sample.estimates', estimates)
            yield Block.of('sample.design', self.fit.model.design.matrix.astype(np.float32))

    def described(self) -> str:
        """Return of which elements the page holds the values of the images, as a sentence."""
        held, n_elements = self.elements.size, self.statistics.n_elements
        which = 'every element' if held == n_elements else f'{held:,} of {n_elements:,} elements'
        some = ': those of the largest clusters, and others all over' * (held < n_elements)
        fit = '' if self._estimates() else _NO_FIT
        images = f'{len(self._rows):,} images'
        return f'This page holds the values of {images} at {which}{some}.{fit}'

    @property
    def _rows(self) -> np.ndarray:
        """Rows of the images that are shown: of the model, if it is known."""
        if self.fit is None:
            return np.arange(self.scalar.shape[0])
        return self.fit.model.design.rows

    @cached_property
    def elements(self) -> np.ndarray:
        """Elements whose values the page holds, in rising order, by whole chunks."""
        n_elements, width = self.statistics.n_elements, self.scalar.chunk_columns
        room = max(1, MOST_BYTES // (2 * max(len(self._rows), 1)))
        if room >= n_elements:
            return np.arange(n_elements)
        counts = np.zeros(-(-n_elements // width), int)
        for figure in self.figures:
            for cluster in figure.clusters.largest:
                np.add.at(counts, cluster.elements // width, 1)
        n_chunks = max(1, room // width)
        spread = np.linspace(0, counts.size - 1, n_chunks).astype(int)
        ranked = np.concatenate([np.flatnonzero(counts)[np.argsort(-counts[counts > 0])], spread])
        chunks = np.array(list(dict.fromkeys(ranked.tolist()))[:n_chunks])
        elements = (np.sort(chunks)[:, np.newaxis] * width + np.arange(width)).ravel()
        return elements[elements < n_elements]

    def _covariates(self) -> list[dict[str, Any]]:
        """Return covariates of the model, else all phenotypes: numbers, or levels and codes."""
        found = (_covariate(name, texts) for name, texts in self._texts().items())
        return [one for one in found if len(one.get('levels', ())) <= _MOST_LEVELS]

    def _texts(self) -> dict[str, tuple[str, ...]]:
        if self.fit is not None:
            table = self.fit.phenotypes.table.iloc[self._rows].fillna('')
            names = dict.fromkeys(name for used in self._variables().values() for name in used)
            return {name: tuple(map(str, table[name])) for name in names if name in table}
        rows = self.output.cohort.rows
        columns = [name for name in self.output.cohort.columns if name not in OWN_COLUMNS]
        return {
            name: tuple(row.get(name, '') for row in rows) for name in columns[:_MOST_COVARIATES]
        }

    def _variables(self) -> dict[str, list[str]]:
        """Return the columns of the cohort that each variable of the formula is made of."""
        if self.fit is None:
            return {}
        variables = Terms.of(self.fit.model.design.formula).variables
        return {label: list(names_in(each)) for label, each in variables.items()}

    def _columns(self) -> list[dict[str, Any]]:
        """Return the columns of the design, and which columns of the cohort each is made of."""
        if self.fit is None:
            return []
        plan, made_of = self.fit.model.design, self._variables()
        factors = ((), *plan.factors)
        return [
            {
                'name': name,
                'of': sorted({one for label in factors[term] for one in made_of.get(label, ())}),
            }
            for name, term in zip(labels_of(plan), plan.assign, strict=True)
        ]

    def _estimates(self) -> list[str]:
        """Return the results with the coefficients; none if they do not make up the whole fit."""
        if self.fit is None:
            return []
        plan = self.fit.model.design
        names = [f'{label}.estimate' for label in labels_of(plan)]
        whole = set(names) <= set(self.statistics.results.names)
        has_smooths = any(call.function not in BARS for call in plan.special)
        plain = plan.offset is None and not has_smooths and not any(plan.scalars)
        return names if whole and plain else []


def _covariate(name: str, texts: tuple[str, ...]) -> dict[str, Any]:
    found = Phenotype(name, texts)
    if found.is_numeric and found.numbers is not None:
        numbers = iter(found.numbers.tolist())
        present = set(found.counts)
        return {'name': name, 'numbers': [next(numbers) if t in present else None for t in texts]}
    levels = sorted(found.counts)
    codes = {level: code for code, level in enumerate(levels)}
    return {'name': name, 'levels': levels, 'codes': [codes.get(text, -1) for text in texts]}


def _value_blocks(values: np.ndarray) -> Iterator[Block]:
    """Yield values, (n_elements, n_images), as whole numbers, and what these stand for."""
    finite = np.isfinite(values)
    with np.errstate(over='ignore', invalid='ignore'):
        lows = np.where(finite, values, np.inf).min(axis=1, initial=np.inf).astype(np.float32)
        highs = np.where(finite, values, -np.inf).max(axis=1, initial=-np.inf).astype(np.float32)
        spans = np.where(highs > lows, highs - lows, 1)[:, np.newaxis]
        shares = np.nan_to_num((values - lows[:, np.newaxis]) / spans).clip(0, 1)
    coded = np.where(finite, 1 + np.round(shares * (_STEPS - 1)), 0).astype(np.uint16)
    yield Block.of('sample.values', coded)
    yield Block.of('sample.lows', lows)
    yield Block.of('sample.highs', highs)
