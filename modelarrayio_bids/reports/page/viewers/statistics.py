"""Results of an analysis in a viewer: what of each term is shown, and what thresholds it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from modelarrayio_bids.derivatives.outputs.statmaps import MODEL, ResultName
from modelarrayio_bids.models.adjustment import P_VALUE
from modelarrayio_bids.reports.findings.terms import SHOWN, read_together
from modelarrayio_bids.reports.page.results import ResultFigure
from modelarrayio_bids.reports.page.viewers.blocks import Block
from modelarrayio_bids.store import schema
from modelarrayio_bids.store.reader import Analysis, by_element

#: Most bytes of results that a page holds, as float32.
MOST_BYTES = 10 * 2**20


class Statistics:
    """The results of an analysis that a viewer holds.

    Parameters
    ----------
    results : Analysis
        The analysis.
    figures : sequence of ResultFigure
        Its terms.
    n_elements : int
        Number of elements.
    """

    def __init__(self, results: Analysis, figures: Sequence[ResultFigure], n_elements: int) -> None:
        self.results, self.figures, self.n_elements = results, figures, n_elements
        room = max(2 * len(figures), MOST_BYTES // (4 * max(n_elements, 1)))
        wanted = list(dict.fromkeys(name for _, name in sorted(self._wanted())))
        self.names, self.left_out = wanted[:room], wanted[room:]

    def _wanted(self) -> Iterator[tuple[tuple[int, int], str]]:
        """Yield names of results with their rank: what the report shows comes first."""
        for number, figure in enumerate(self.figures):
            told = figure.numbers
            for name in self._of_term(figure):
                statistic = ResultName.of(name).statistic
                rank = 0 if name in {told['shown'], told['p']} else 1 if statistic == P_VALUE else 2
                yield (rank, number), name

    def _of_term(self, figure: ResultFigure) -> list[str]:
        term = '' if figure.numbers['term'] == 'n/a' else figure.numbers['term']
        found = {name: ResultName.of(name) for name in self.results.names}
        return [
            name
            for name, one in found.items()
            if one.term == term and (one.statistic in SHOWN or one.statistic == P_VALUE)
        ]

    def facts(self) -> list[dict[str, Any]]:
        """Return the terms: what is shown of each, what thresholds it, and what the report says."""
        return [self._term(figure) for figure in self.figures]

    def _term(self, figure: ResultFigure) -> dict[str, Any]:
        told = figure.numbers
        names = [name for name in self._of_term(figure) if name in self.names]
        shown = {name: ResultName.of(name) for name in names}
        return {
            'name': told['term'],
            'title': 'the whole model' if told['term'] == MODEL else told['term'],
            'shown': [
                {'array': name, 'label': self._noun(one.statistic, told)}
                for name, one in shown.items()
                if one.statistic != P_VALUE
            ],
            'p': [
                {'array': name, 'correction': one.correction}
                for name, one in shown.items()
                if one.statistic == P_VALUE
            ],
            'first': told['shown'],
            'deciding': told['p'],
            'level': told['level'],
            'finding': figure.finding,
            'once': figure.once,
        }

    def _noun(self, statistic: str, told: Any) -> str:
        known = statistic == 'statistic' and told['statistic'] != 'n/a'
        return str(told['statistic']) if known else SHOWN[statistic]

    def blocks(
        self, coefficients: Sequence[str], elements: np.ndarray, into: np.ndarray
    ) -> Iterator[Block]:
        """Read the results, as many at a time as the memory for terms allows, and yield each.

        Parameters
        ----------
        coefficients : sequence of str
            Results that are wanted at some elements too.
        elements : numpy.ndarray
            (n,) these elements.
        into : numpy.ndarray
            (n_coefficients, n) float32: filled on the way, so that the file is read once.
        """
        names = list(dict.fromkeys([*self.names, *coefficients]))
        groups = [[schema.ELEMENT_ID, name] for name in names]
        positions: np.ndarray | None = None
        for number, (name, rows) in enumerate(
            zip(names, read_together(self.results, groups, 8), strict=True)
        ):
            if not number:
                element_ids = rows.get(schema.ELEMENT_ID)
                positions = self.results.positions(element_ids, self.n_elements)
            values = by_element(rows[name], positions, self.n_elements)
            if name in coefficients:
                into[coefficients.index(name)] = values[elements]
            if name in self.names:
                yield Block.of(name, values)
