"""Results of an analysis: a map of the significant elements of each term, and its clusters.

What counts is a p value below 0.05 that was corrected for the number of tests, as ModelArray's
``.fdr``; where there is none, one below 0.001 that was not, and that is said. Clusters describe
where elements survive: they were not tested themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from modelarrayio_bids.derivatives.outputs.statmaps import MODEL
from modelarrayio_bids.reports.figures.pictures import Background, map_pictures
from modelarrayio_bids.reports.figures.scales import Scale, cell, number
from modelarrayio_bids.reports.figures.style import Picture
from modelarrayio_bids.reports.figures.surfaces import Surface, meshes_of
from modelarrayio_bids.reports.findings.atlases import Regions
from modelarrayio_bids.reports.findings.clusters import (
    Cluster,
    Clusters,
    connectivity_rule,
    find_clusters,
    name_of,
)
from modelarrayio_bids.reports.findings.meshes import Mesh
from modelarrayio_bids.reports.findings.terms import LOG_P, Peak, Term, TermValues, read_terms
from modelarrayio_bids.reports.page.album import column_texts
from modelarrayio_bids.runtime.text_format import count
from modelarrayio_bids.spaces import ElementSpace
from modelarrayio_bids.store.reader import Analysis

#: Clusters that are listed.
MOST_CLUSTERS = 10
# Finite weight of an infinite value, so that it can be added.
_HEAVIEST = 1e30
_NO_PEAK = Peak(-1, np.nan, np.nan, np.nan)


@dataclass(frozen=True)
class ResultFigure:
    """A term with its map and clusters.

    Parameters
    ----------
    title : str
        Title: ``cbf ~ age + sex: age``.
    finding : str
        Result, in sentences.
    rule : str
        Definition of the clusters.
    pictures : tuple of Picture
        The map of what survives; of everything, where nothing does.
    clusters : Clusters
        Clusters of significant elements.
    numbers : dict
        As ``columns.yaml`` says: a row of a table of results.
    once : bool, optional
        True if elements make a symmetric matrix: one of each two is counted and listed.
    """

    title: str
    finding: str
    rule: str
    pictures: tuple[Picture, ...]
    clusters: Clusters
    numbers: Mapping[str, Any]
    once: bool = False

    def rows(self) -> list[dict[str, Any]]:
        """Return the largest clusters, as ``columns.yaml`` says."""
        return [_row(rank, each) for rank, each in enumerate(self.clusters.largest, start=1)]


def result_figures(
    results: Analysis,
    space: ElementSpace,
    n_images: int | np.ndarray,
    subject: str,
    *,
    formula: str = '',
    surfaces: Mapping[str, Surface] | None = None,
    background: Background | None = None,
    regions: Regions | None = None,
    show_intercept: bool = False,
) -> Iterator[ResultFigure]:
    """Draw each term of an analysis that has a p value.

    Parameters
    ----------
    results : Analysis
        Results in an open file.
    space : ElementSpace
        The file's elements.
    n_images : int or numpy.ndarray
        Number of images in the analysis, or (n_elements,) at each element, where the results do
        not say.
    subject : str
        Name of the scalar that was analysed.
    formula : str, optional
        Formula of the model, with the scalar on its left side; blank if unknown.
    surfaces : dict of Surface, optional
        Available surfaces.
    background : Background, optional
        Image below the slices.
    regions : Regions, optional
        Regions of the elements.
    show_intercept : bool, optional
        Draw the intercept too, of a model with other terms.

    Raises
    ------
    SchemaError
        If the rows match no elements.
    FormatError
        If the file is damaged.
    """
    results.require_elements(len(space))
    drawn = partial(map_pictures, space, surfaces=surfaces, background=background)
    meshes = meshes_of(surfaces or {})
    for by_row in read_terms(results, n_images=n_images, show_intercept=show_intercept):
        everywhere = by_row.by_element(results, len(space))
        title = _title(by_row.term, formula or subject)
        told = {'analysis': results.name, 'formula': formula or 'n/a'}
        yield _figure(everywhere, space, meshes, title, told, drawn=drawn, regions=regions)


def _figure(
    everywhere: TermValues,
    space: ElementSpace,
    meshes: Mapping[str, Mesh],
    title: str,
    told: dict[str, Any],
    *,
    drawn: Callable[..., list[Picture]],
    regions: Regions | None,
) -> ResultFigure:
    once = everywhere.once(space.mirror())
    found = once or everywhere
    shown = found.shown, found.kept, meshes, MOST_CLUSTERS
    clusters = find_clusters(space, *shown, regions=regions)
    where = name_of(space, found.peak.place, meshes, regions) if found.peak else ''
    survival = _survival(found, space, clusters, where, once=once is not None)
    finding = ' '.join([*survival, *_circumstances(found)])
    numbers = _numbers(found) | told
    numbers |= {'clusters': clusters.count, 'where': where or 'n/a', 'kind': space.kind}
    return ResultFigure(
        *(title, finding, connectivity_rule(space, meshes)),
        pictures=tuple(_pictures(everywhere, title, f'{title}: {finding}', drawn)),
        clusters=clusters,
        numbers={name: numbers[name] for name in column_texts()['results'] if name in numbers},
        once=once is not None,
    )


def _title(term: Term, subject: str) -> str:
    named = {MODEL: f'{subject}: the whole model', '': subject}
    return named.get(term.name, f'{subject}: {term.name}')


def _numbers(found: TermValues) -> dict[str, Any]:
    """Return the columns of ``columns.yaml`` about a term, its p values, and its peak."""
    term, peak, df = found.term, found.peak or _NO_PEAK, found.df or (np.nan, np.nan)
    return {
        'term': term.name or 'n/a',
        'shown': term.shown or LOG_P,
        'p': term.p,
        'correction': term.correction or 'n/a',
        'level': term.level,
        'n_min': int(found.n_images[0]),
        'n_max': int(found.n_images[1]),
        'elements': found.n_tested,
        'survived': found.survived,
        'smallest_p': cell(found.smallest_p),
        'statistic': found.statistic or 'n/a',
        'df_min': cell(df[0]),
        'df_max': cell(df[1]),
        'peak': cell(peak.value),
        'n_peak': cell(peak.n_images),
        'df_peak': cell(peak.df) if found.df else 'n/a',
    }


def _survival(
    found: TermValues, space: ElementSpace, clusters: Clusters, where: str, *, once: bool
) -> Iterator[str]:
    """Yield sentences: how many elements survive, and the strongest."""
    kind, rule = space.kind, found.term.rule
    if not found.n_tested:
        yield f'No p value for any of {len(space):,} {kind}.'
        return
    if not found.survived:
        yield f'None of {found.n_tested:,} {kind} has {rule}; all values are shown.'
    else:
        # Every parcel or edge would be its own cluster.
        several = clusters.count not in {0, found.survived}
        pieces = f', in {count(clusters.count, "cluster")}' if several else ''
        twice = ' (each counted once)' * once
        verb = 'has' if found.survived == 1 else 'have'
        yield f'{found.survived:,} of {found.n_tested:,} {kind}{twice} {verb} {rule}{pieces}.'
    if found.term.name == MODEL:
        yield 'All terms together, against the mean alone.'
    if found.peak is not None:
        what = 'Most significant' if found.survived else 'Most significant, below the threshold'
        yield f'{what}: {where}, {found.noun} = {number(found.peak.value)}.'


def _circumstances(found: TermValues) -> Iterator[str]:
    """Yield sentences: the smallest p, N and df."""
    if np.isfinite(found.smallest_p):
        yield f'Smallest p: {number(found.smallest_p)}, {found.term.corrected}.'
    peak = found.peak or _NO_PEAK
    told = [_at_peak('N', found.n_images, peak.n_images)]
    if found.df:
        told.append(_at_peak('df', found.df, peak.df))
    yield ', '.join(told) + '.'


def _at_peak(name: str, ends: tuple[float, float], there: float) -> str:
    """Return a number at the peak, and where elements differ their range.

    >>> _at_peak('N', (23, 23), 23), _at_peak('N', (12, 23), 20), _at_peak('df', (7, 18), np.nan)
    ('N = 23', 'N = 20 at the peak (12 to 23 across elements)', 'df = 7 to 18 across elements')
    """
    if ends[0] == ends[1]:
        return f'{name} = {_range(ends)}'
    if np.isnan(there):
        return f'{name} = {_range(ends)} across elements'
    return f'{name} = {_range((there, there))} at the peak ({_range(ends)} across elements)'


def _pictures(
    found: TermValues, title: str, alt: str, drawn: Callable[..., list[Picture]]
) -> list[Picture]:
    """Draw what survives, or all of it."""
    term, noun = found.term, found.noun
    label = f'{noun} of {term.name}' if term.name else noun
    if not np.isfinite(found.shown).any():
        return []
    if not found.survived:
        return drawn(found.shown, Scale.of(found.shown, label), f'{title}: {noun}', alt=alt)
    shown = np.where(found.kept, found.shown, np.nan)
    weights = np.nan_to_num(abs(shown), posinf=_HEAVIEST)
    rule = term.rule.replace(' < ', '\xa0<\xa0')  # no line ends within
    named = f'{title}: {noun} where {rule}'
    return drawn(shown, _scale(found, label), named, weights=weights, alt=alt)


def _range(ends: tuple[float, float]) -> str:
    """Return one number, or from the least to the greatest.

    >>> _range((24, 24)), _range((1020, 1024))
    ('24', '1,020 to 1,024')
    """
    least, most = (f'{end:,.0f}' if end == round(end) else f'{end:.1f}' for end in ends)
    return least if least == most else f'{least} to {most}'


def _scale(found: TermValues, label: str) -> Scale:
    """Return a scale about 0, if values of both signs could have survived."""
    kept = found.shown[found.kept]
    if not (found.shown < 0).any():
        return Scale.of(kept, label)
    strength = abs(kept[np.isfinite(kept)])
    return Scale.symmetric(float(np.percentile(strength, 98)) if strength.size else 1.0, label)


def _row(rank: int, cluster: Cluster) -> dict[str, Any]:
    place = cluster.coordinates or (np.nan,) * 3
    return {
        'cluster': rank,
        'size': cluster.size,
        'volume_mm3': 'n/a' if cluster.volume is None else cell(cluster.volume),
        'peak': cell(cluster.value),
        **{axis: cell(coordinate) for axis, coordinate in zip('xyz', place, strict=True)},
        'where': cluster.where,
    }
