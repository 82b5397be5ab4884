"""The part of a page on the permutation test of one model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from modelarrayio_bids.reports.figures.permutations import (
    MOST_TESTS,
    chart_of_null_distributions,
)
from modelarrayio_bids.reports.figures.scales import cell, number
from modelarrayio_bids.reports.findings.permutations import (
    NullDistribution,
    find_null_distributions,
)
from modelarrayio_bids.reports.page.album import Part
from modelarrayio_bids.reports.page.topic import Topic

#: Ending of the names of figures and tables about permutations.
ENDING = 'Permutations'
_MISSING = (
    'Elements where images are missing count here with the |t| or F that has the same p if none '
    'were missing, so that maps may have larger values than those observed here.'
)


def permutation_part(topic: Topic) -> Part | None:
    """Draw the null distributions of an analysis, and write its thresholds; None without any."""
    found = find_null_distributions(topic.store, topic.results.name)
    if not found or topic.facts is None:
        return None
    title = f'Null distributions of {topic.title}'
    pictures = [
        topic.add(chart_of_null_distributions(found[start : start + MOST_TESTS], title), ENDING)
        for start in range(0, len(found), MOST_TESTS)
    ]
    table = topic.table(_rows(found), ENDING, 'permutations')
    rows = [
        (one.term, one.statistic, *map(number, (one.threshold, one.observed, one.p)))
        for one in found
    ]
    note = topic.facts.permutation_method
    if np.unique(topic.n_images).size > 1:
        note = f'{note} {_MISSING}'
    return Part(pictures, [('Thresholds (TSV)', table)], rows, note)


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
