"""The part of a page on the permutation test of one model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from modelarrayio_bids.reports.figures.permutations import (
    MOST_TESTS,
    chart_of_null_distributions,
)
from modelarrayio_bids.reports.figures.scales import cell, number
from modelarrayio_bids.reports.findings.output_folder import Output
from modelarrayio_bids.reports.findings.permutations import (
    NullDistribution,
    find_null_distributions,
)
from modelarrayio_bids.reports.page.album import Album, Part, figure_name
from modelarrayio_bids.results.model_facts import ModelFacts
from modelarrayio_bids.store.reader import StoreReader

#: Ending of the names of figures and tables about permutations.
ENDING = 'Permutations'


def permutation_part(
    output: Output, store: StoreReader, analysis: str, album: Album, what: str
) -> Part | None:
    """Draw the null distributions of an analysis, and write its thresholds; None without any.

    Parameters
    ----------
    output : Output
        The files it is of.
    store : StoreReader
        The HDF5 file.
    analysis : str
        Name of the analysis.
    album : Album
        Album for figures and tables.
    what : str
        Label of the analysis in their names.
    """
    found = find_null_distributions(store, analysis)
    facts = ModelFacts.of(store.described(analysis))
    if not found or facts is None:
        return None
    title = f'Null distributions of {output.scalar}: {analysis}'
    pictures = [
        album.add(
            chart_of_null_distributions(found[start : start + MOST_TESTS], title),
            figure_name(output, what + ENDING),
        )
        for start in range(0, len(found), MOST_TESTS)
    ]
    table = album.table(_rows(found), figure_name(output, what + ENDING, 'summary'), 'permutations')
    rows = [
        (one.term, one.statistic, *map(number, (one.threshold, one.observed, one.p)))
        for one in found
    ]
    return Part(pictures, [('Thresholds (TSV)', table)], rows, facts.permutation_method)


def _rows(found: list[NullDistribution]) -> Iterator[dict[str, Any]]:
    for one in found:
        yield {
            'test': one.term,
            'statistic': one.statistic,
            'threshold': cell(one.threshold),
            'observed': cell(one.observed),
            'smallest_p': cell(one.p),
            'labellings': len(one.maxima),
        }
