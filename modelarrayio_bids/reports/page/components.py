"""The part of a page on quantities without a test, such as variance components."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from modelarrayio_bids.derivatives.outputs.statmaps import ResultName
from modelarrayio_bids.reports.figures.pictures import map_pictures
from modelarrayio_bids.reports.figures.scales import Scale, number
from modelarrayio_bids.reports.page.album import Part
from modelarrayio_bids.reports.page.topic import Topic
from modelarrayio_bids.store import schema
from modelarrayio_bids.store.reader import Analysis

#: Ending of the names of the figures and the table.
ENDING = 'Components'
_PERCENTILES = {'p5': 5, 'median': 50, 'p95': 95}


def component_part(topic: Topic) -> Part | None:
    """Describe the results that a model wants summarised; None of one that has none."""
    summarised = topic.facts.summarised if topic.facts else ()
    names = [name for name in summarised if name in topic.results.names]
    if not names:
        return None
    rows = list(_rows(topic.results, names))
    table = topic.table(rows, ENDING, 'components')
    pictures = [
        topic.add(picture, ENDING + 'Structures' * place, 'map')
        for place, picture in enumerate(_map(topic, names[0]))
    ]
    shown = [
        (row['description'], f'{row["elements"]:,}', *(number(row[key]) for key in _PERCENTILES))
        for row in rows
    ]
    return Part(pictures, [('Numbers (TSV)', table)], shown)


def _rows(results: Analysis, names: list[str]) -> Iterator[dict[str, Any]]:
    for name in names:
        values = results.row(results.names.index(name))
        finite = values[np.isfinite(values)]
        found = np.percentile(finite, [*_PERCENTILES.values()]) if finite.size else [np.nan] * 3
        yield {
            'result': name,
            'description': ResultName.of(name).described(),
            'elements': finite.size,
            **dict(zip(_PERCENTILES, map(float, found), strict=True)),
        }


def _map(topic: Topic, name: str) -> list[Any]:
    results, space = topic.results, topic.space
    ids = None
    if schema.ELEMENT_ID in results.names:
        ids = results.row(results.names.index(schema.ELEMENT_ID))
    positions = results.positions(ids, len(space))
    values = np.full(len(space), np.nan, np.float32)
    found = results.row(results.names.index(name))
    values[slice(None) if positions is None else positions] = found
    if not np.isfinite(values).any():
        return []
    # The bar has no room for the text after the colon, which is in the table.
    words = ResultName.of(name).described().partition(':')[0]
    return map_pictures(
        *(space, values, Scale.of(values, words), f'{topic.output.scalar}: {words}'),
        surfaces=topic.around.surfaces,
        background=topic.around.background,
        alt=f'Map of {topic.output.scalar}: {words}',
    )
