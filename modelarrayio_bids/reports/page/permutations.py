"""Part of a page about the permutation test of one model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from modelarrayio_bids.reports.figures.permutations import (
    MOST_TESTS,
    chart_of_null_distributions,
)
from modelarrayio_bids.reports.figures.scales import cell, number
from modelarrayio_bids.reports.findings.output_folder import Output
from modelarrayio_bids.reports.findings.permutations import (
    LEVEL,
    NullDistribution,
    find_null_distributions,
)
from modelarrayio_bids.reports.page.album import Album, Shown, figure_name
from modelarrayio_bids.results.model_facts import ModelFacts
from modelarrayio_bids.store.reader import StoreReader

#: Ending of the names of figures and tables about permutations.
ENDING = 'Permutations'
#: What the columns of a table of permutation tests are.
PERMUTATION_COLUMNS = {
    'test': 'Coefficient, contrast or F test.',
    'statistic': 'Which statistic: |t| or F.',
    'threshold': f'Above it p, corrected for all elements, is less than {LEVEL:g}.',
    'observed': 'The greatest that was observed.',
    'smallest_p': 'Its p value, corrected for all elements.',
    'labellings': 'Number of labellings, the unpermuted one among them.',
}


@dataclass(frozen=True)
class PermutationPart:
    """The permutation test of an analysis on a page.

    Parameters
    ----------
    how : str
        How many labellings of which kind.
    pictures : list of Shown
        Null distributions.
    header, rows : list of tuple
        The tests.
    links : list of tuple
        Names of files, and where they are.
    """

    how: str
    pictures: list[Shown]
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    links: list[tuple[str, str]]


def permutation_part(
    output: Output, store: StoreReader, analysis: str, album: Album, what: str
) -> PermutationPart | None:
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
        Where figures and tables go.
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
    table = album.table(
        _rows(found), figure_name(output, what + ENDING, 'summary'), PERMUTATION_COLUMNS
    )
    return PermutationPart(
        facts.permutation_method,
        pictures,
        ('Test', 'Statistic', 'Threshold', 'Observed', 'Smallest p'),
        [
            (one.term, one.statistic, *map(number, (one.threshold, one.observed, one.p)))
            for one in found
        ],
        [('Thresholds (TSV)', table)],
    )


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
