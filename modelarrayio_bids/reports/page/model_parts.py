"""The part of a page on one fitted model: its design, who is in, and its p values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

import numpy as np

from modelarrayio_bids.derivatives.outputs.statmaps import ResultName, label
from modelarrayio_bids.reports.figures.model_charts import (
    MOST_TERMS,
    chart_of_correlations,
    chart_of_design,
    chart_of_p_values,
)
from modelarrayio_bids.reports.figures.scales import cell, number
from modelarrayio_bids.reports.findings.designs import DesignFindings
from modelarrayio_bids.reports.findings.output_folder import Output
from modelarrayio_bids.reports.findings.p_values import BINS, PValues, find_p_values
from modelarrayio_bids.reports.page.album import Part
from modelarrayio_bids.reports.page.topic import Topic
from modelarrayio_bids.results.model_facts import ModelFacts
from modelarrayio_bids.runtime.text_format import some

#: Endings of the names of figures and tables about a model.
ENDINGS = ('Design', 'Correlations', 'Columns', 'PValues')
_P, _NUMBERS = 'PValues', ('mean', 'sd', 'vif')
# Names in a list of who is left out.
_MOST_NAMES = 200
_CHANGED = (
    'The design is not shown: the cohort that was fitted is gone, or another by now. Fit the model '
    'again, or put the cohort back.'
)


@dataclass(frozen=True)
class ModelPart(Part):
    """A fitted model on a page: a note says why its design is not shown.

    Parameters
    ----------
    facts : list of tuple
        Names and values.
    left_out : list of tuple
        Covariate, how many images lack it, and who.
    not_fitted : list of tuple
        Why elements have not all results, and how many.
    """

    facts: list[tuple[str, str]] = field(default_factory=list)
    left_out: list[tuple[str, str, str]] = field(default_factory=list)
    not_fitted: list[tuple[str, str]] = field(default_factory=list)


def model_part(topic: Topic) -> ModelPart | None:
    """Draw the model of an analysis, and write its numbers; None of one ``fit`` did not make."""
    if (facts := topic.facts) is None:
        return None
    design = None if topic.fit is None else DesignFindings.of(topic.fit, topic.images)
    levels = {} if design is None else design.levels
    facts_told = list(_facts(facts, len(topic.images), levels))
    not_fitted = [(reason, f'{number:,}') for reason, number in facts.not_fitted.items()]
    if design is None:
        left_out = [(name, f'{number:,}', 'n/a') for name, number in facts.left_out.items()]
        return ModelPart(note=_CHANGED, facts=facts_told, left_out=left_out, not_fitted=not_fitted)
    rows = list(_rows(design))
    table = topic.table(rows, 'Columns', 'design')
    return ModelPart(
        [topic.add(picture, name) for name, picture in _pictures(design, topic.title)],
        [('Columns of the design (TSV)', table)],
        [_shown(row) for row in rows],
        facts=facts_told,
        left_out=[
            (column, f'{len(who):,}', some(who, most=_MOST_NAMES))
            for column, who in design.left_out.items()
        ],
        not_fitted=not_fitted,
    )


def _facts(
    facts: ModelFacts, n_images: int, levels: Mapping[str, Mapping[str, int]]
) -> Iterator[tuple[str, str]]:
    yield 'Images in the model', f'{facts.n_images:,} of {n_images:,}'
    if facts.df_residual is not None:
        told = f'{facts.df_residual:,}, where every image has a value'
        yield 'Residual degrees of freedom', told
    for factor, counts in levels.items():
        yield f'Images by {factor}', some([f'{level} {n}' for level, n in counts.items()], most=12)
    for line in facts.particulars:
        what, _, how = line.partition(': ')
        yield what, how
    if facts.weights:
        yield 'Weights', f'{facts.weights} (correlations and VIF are without them)'
    for kind, named in (('Contrast', facts.contrasts), ('F test', facts.f_tests)):
        yield from ((f'{kind} {name}', text) for name, text in named.items())
    yield (
        'Elements are fitted if they have',
        f'more than {facts.fewest:g} images, and more than {100 * facts.smallest_share:g}% of all',
    )


def _pictures(design: DesignFindings, of: str) -> Iterator[tuple[str, Any]]:
    if design.names:
        yield 'Design', chart_of_design(design, f'Design of {of}')
    if len(design.varying) > 1:
        yield (
            'Correlations',
            chart_of_correlations(design, f'Correlations of the columns of {of}'),
        )


def _rows(design: DesignFindings) -> Iterator[dict[str, str]]:
    """Yield the columns of a design, as ``columns.yaml`` says."""
    for name, mean, spread in zip(
        design.names, design.means.tolist(), design.deviations.tolist(), strict=True
    ):
        yield {
            'column': name,
            'mean': cell(mean),
            'sd': cell(spread),
            'vif': cell(design.inflation.get(name, np.nan)),
            'aliased': 'yes' if name in design.aliased else 'no',
            'scalars': 'n/a',
        }
    for name, scalars in design.element_wise.items():
        yield {
            'column': name,
            **dict.fromkeys(('mean', 'sd', 'vif'), 'n/a'),
            'aliased': 'yes' if name in design.aliased else 'no',
            'scalars': ' '.join(scalars),
        }


def _shown(row: Mapping[str, str]) -> tuple[str, ...]:
    """Return a row with the digits that a page has room for."""
    numbers = ('' if row[name] == 'n/a' else number(float(row[name])) for name in _NUMBERS)
    aliased = 'determined by the others: no results' * (row['aliased'] == 'yes')
    scalars = f'differs by element: {row["scalars"]}' * (row['scalars'] != 'n/a')
    return (row['column'], *numbers, aliased or scalars)


def p_value_part(topic: Topic) -> Part | None:
    """Draw the p values of an analysis, and write their counts; None where it has none."""
    found = [one for one in find_p_values(topic.results) if one.n]
    if not found:
        return None
    title = f'p values of {topic.title}'
    pictures = [
        topic.add(chart_of_p_values(found[start : start + MOST_TERMS], title), _P)
        for start in range(0, len(found), MOST_TERMS)
    ]
    return Part(pictures, [('Histograms of p (TSV)', topic.table(_bins(found), _P, 'p_values'))])


def _bins(found: list[PValues]) -> Iterator[dict[str, Any]]:
    for one in found:
        for place, elements in enumerate(one.counts.tolist()):
            yield {
                'term': one.term or 'n/a',
                'from': cell(place / BINS),
                'to': cell((place + 1) / BINS),
                'elements': elements,
            }


def links_to_maps(output: Output, analysis: str) -> list[tuple[str, str]]:
    """Return the maps that were exported of an analysis: names, and where they are from a page."""
    root = output.root.absolute()
    return [
        (path.name, quote(path.relative_to(root).as_posix()))
        for path in sorted(output.maps_folder(analysis).glob('*_statmap.*'))
        if path.suffix != '.json'
    ]


def maps_of_term(maps: Sequence[tuple[str, str]], analysis: str, p: str) -> list[tuple[str, str]]:
    """Return those of some maps that show 1 - p of a term, by the name of its p value."""
    result = ResultName.of(p)
    entities = replace(result, statistic=f'1m.{result.statistic}').entities()
    named = '_'.join(f'{key}-{value}' for key, value in entities.items())
    ending = f'_node-{label(analysis)}_{named}_statmap.'
    return [(name, href) for name, href in maps if ending in name]
