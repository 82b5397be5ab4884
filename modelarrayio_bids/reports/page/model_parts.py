"""Parts of a page on one fitted model: its design, who is in, its p values, what else it tells."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

import numpy as np

from modelarrayio_bids.derivatives.outputs.statmaps import ResultName, label
from modelarrayio_bids.models.base import FittedCurve
from modelarrayio_bids.reports.figures import model_charts
from modelarrayio_bids.reports.figures.model_charts import MOST_TERMS
from modelarrayio_bids.reports.figures.pictures import map_pictures
from modelarrayio_bids.reports.figures.scales import Scale, cell, number
from modelarrayio_bids.reports.figures.style import Picture
from modelarrayio_bids.reports.findings.designs import DesignFindings
from modelarrayio_bids.reports.findings.output_folder import Output
from modelarrayio_bids.reports.findings.p_values import (
    BINS,
    NullDistribution,
    PValues,
    find_null_distributions,
    find_p_values,
)
from modelarrayio_bids.reports.page.album import Part
from modelarrayio_bids.reports.page.results import ResultFigure
from modelarrayio_bids.reports.page.topic import Topic
from modelarrayio_bids.results.model_facts import ModelFacts
from modelarrayio_bids.runtime.text_format import some
from modelarrayio_bids.store.reader import by_element
from modelarrayio_bids.store.schema import ELEMENT_ID

# Names in a list of who is left out.
_MOST_NAMES = 200
_CHANGED = (
    'The design is not shown: the cohort that was fitted is gone, or another by now. Fit the model '
    'again, or put the cohort back.'
)
_MISSING = (
    'Elements where images are missing count here with the |t| or F that has the same p if none '
    'were missing, so that maps may have larger values than those observed here.'
)
_PERCENTILES = {'p5': 5, 'median': 50, 'p95': 95}


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


def _pictures(design: DesignFindings, of: str) -> Iterator[tuple[str, Picture]]:
    if design.names:
        yield 'Design', model_charts.chart_of_design(design, f'Design of {of}')
    if len(design.varying) > 1:
        title = f'Correlations of the columns of {of}'
        yield 'Correlations', model_charts.chart_of_correlations(design, title)


def _rows(design: DesignFindings) -> Iterator[dict[str, str]]:
    """Yield the columns of a design, as ``columns.yaml`` says."""
    shared = zip(design.names, design.means.tolist(), design.deviations.tolist(), strict=True)
    for name, mean, spread in (*shared, *((name, np.nan, np.nan) for name in design.element_wise)):
        yield {
            'column': name,
            'mean': cell(mean),
            'sd': cell(spread),
            'vif': cell(design.inflation.get(name, np.nan)),
            'aliased': 'yes' if name in design.aliased else 'no',
            'scalars': ' '.join(design.element_wise.get(name, ())) or 'n/a',
        }


def _shown(row: Mapping[str, str]) -> tuple[str, ...]:
    """Return a row with the digits that a page has room for."""
    cells = (row[name] for name in ('mean', 'sd', 'vif'))
    numbers = ('' if text == 'n/a' else number(float(text)) for text in cells)
    aliased = 'determined by the others: no results' * (row['aliased'] == 'yes')
    scalars = f'differs by element: {row["scalars"]}' * (row['scalars'] != 'n/a')
    return (row['column'], *numbers, aliased or scalars)


def p_value_part(topic: Topic) -> Part | None:
    """Draw the p values of an analysis, and write their counts; None where it has none."""
    found = [one for one in find_p_values(topic.results) if one.n]
    if not found:
        return None
    title = f'p values of {topic.title}'
    pictures = _charts(topic, model_charts.chart_of_p_values, found, title, 'PValues')
    table = topic.table(_bins(found), 'PValues', 'p_values')
    return Part(pictures, [('Histograms of p (TSV)', table)])


def _charts(
    topic: Topic,
    draw: Callable[[list[Any], str], Picture],
    found: list[Any],
    title: str,
    ending: str,
) -> list[Picture]:
    """Draw some terms at a time."""
    starts = range(0, len(found), MOST_TERMS)
    return [topic.add(draw(found[start : start + MOST_TERMS], title), ending) for start in starts]


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
    # Names of fixels have nothing before.
    return [(name, href) for name, href in maps if ending in f'_{name}']


def permutation_part(topic: Topic) -> Part | None:
    """Draw the null distributions of an analysis, and write its thresholds; None without any."""
    found = find_null_distributions(topic.store, topic.results.name)
    if not found or topic.facts is None:
        return None
    title, ending = f'Null distributions of {topic.title}', 'Permutations'
    pictures = _charts(topic, model_charts.chart_of_null_distributions, found, title, ending)
    table = topic.table(_thresholds(found), ending, 'permutations')
    rows = [
        (one.term, one.statistic, *map(number, (one.threshold, one.observed, one.p)))
        for one in found
    ]
    note = topic.facts.permutation_method
    if np.unique(topic.n_images).size > 1:
        note = f'{note} {_MISSING}'
    return Part(pictures, [('Thresholds (TSV)', table)], rows, note)


def _thresholds(found: list[NullDistribution]) -> Iterator[dict[str, Any]]:
    for one in found:
        yield {
            'test': one.term,
            'statistic': one.statistic,
            'threshold': cell(one.threshold),
            'observed': cell(one.observed),
            'smallest_p': cell(one.p),
            'labellings': len(one.maxima),
        }


def component_part(topic: Topic) -> Part | None:
    """Describe results without a test, such as variance components; None of a model without."""
    summarised = topic.facts.summarised if topic.facts else ()
    names = [name for name in summarised if name in topic.results.names]
    if not names:
        return None
    rows = [_distribution(name, topic.result(name)) for name in names]
    table = topic.table(rows, 'Components', 'components')
    pictures = [
        topic.add(picture, 'Components' + 'Structures' * place, 'map')
        for place, picture in enumerate(_map(topic, names[0]))
    ]
    shown = [
        (row['description'], f'{row["elements"]:,}', *(number(row[key]) for key in _PERCENTILES))
        for row in rows
    ]
    return Part(pictures, [('Numbers (TSV)', table)], shown)


def _distribution(name: str, values: np.ndarray) -> dict[str, Any]:
    finite = values[np.isfinite(values)]
    found = np.percentile(finite, [*_PERCENTILES.values()]) if finite.size else [np.nan] * 3
    return {
        'result': name,
        'description': ResultName.of(name).described(),
        'elements': finite.size,
        **dict(zip(_PERCENTILES, map(float, found), strict=True)),
    }


def _map(topic: Topic, name: str) -> list[Picture]:
    ids = topic.result(ELEMENT_ID) if ELEMENT_ID in topic.results.names else None
    positions = topic.results.positions(ids, len(topic.space))
    values = by_element(topic.result(name), positions, len(topic.space))
    if not np.isfinite(values).any():
        return []
    # The bar has no room for the text after the colon, which is in the table.
    words = ResultName.of(name).described().partition(':')[0]
    title = f'{topic.output.scalar}: {words}'
    return map_pictures(
        *(topic.space, values, Scale.of(values, words), title),
        surfaces=topic.around.surfaces,
        background=topic.around.background,
        alt=f'Map of {title}',
    )


def picture_of_curves(topic: Topic, figure: ResultFigure) -> Picture | None:
    """Draw the curve of a term at the peak of each of its largest clusters.

    Returns
    -------
    Picture or None
        None if nothing survived, the term is not a curve, or the model cannot be made again.
    """
    if topic.fit is None:
        return None
    found: list[tuple[str, FittedCurve]] = []
    for rank, cluster in enumerate(figure.clusters.largest, start=1):
        curve = topic.fit.curve(figure.numbers['term'], cluster.peak)
        if curve is None:
            break
        found.append((f'{rank}: {cluster.where}', curve))
    if not found:
        return None
    return model_charts.chart_of_curves(found, figure.title, topic.fit.response)
