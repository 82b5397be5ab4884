"""What an analysis found: for each term a map of what survives, and where it is.

What counts is a p value below 0.05 that was corrected for the number of tests, as ModelArray's
``.fdr``; where there is none, one below 0.001 that was not, and that is said. Clusters describe
where elements survive: they were not tested themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelarrayio_bids.derivatives.outputs.statmaps import MODEL
from modelarrayio_bids.reports.figures.pictures import Background, map_pictures
from modelarrayio_bids.reports.figures.scales import Scale, cell, number
from modelarrayio_bids.reports.figures.style import Picture
from modelarrayio_bids.reports.figures.surfaces import Surface, meshes_of
from modelarrayio_bids.reports.findings.clusters import (
    Cluster,
    Clusters,
    connectivity_rule,
    find_clusters,
)
from modelarrayio_bids.reports.findings.terms import (
    DF,
    LOG_P,
    Observations,
    Term,
    TermValues,
    read_terms,
)
from modelarrayio_bids.runtime.text_format import count
from modelarrayio_bids.spaces import ElementSpace
from modelarrayio_bids.store.reader import Analysis

#: Clusters that are listed.
MOST_CLUSTERS = 10
# What an infinite value weighs: it can be added.
_HEAVIEST = 1e30
#: What the columns of a table of clusters are.
CLUSTER_COLUMNS = {
    'cluster': 'By size, from 1.',
    'size': 'Number of elements.',
    'volume_mm3': 'Volume of the elements, where they have one.',
    'peak': 'Value that is furthest from zero.',
    'x': 'Of the peak, in mm to the right (RAS+), where it is one place.',
    'y': 'Of the peak, in mm to the front.',
    'z': 'Of the peak, in mm upwards.',
    'where': 'What the peak is called.',
}
#: What the columns of a table of results are.
RESULT_COLUMNS = {
    'analysis': 'Name in the HDF5 file.',
    'term': "Term of the model's formula; model: all of it.",
    'shown': 'Result that is shown.',
    'p': 'Result that decides.',
    'correction': "How p was corrected for the number of tests: a method of R's p.adjust.",
    'level': 'What p must be below.',
    'n_min': 'Least number of images in the model of an element.',
    'n_max': 'Greatest number of images in the model of an element.',
    'elements': 'Elements that have a p value.',
    'survived': 'Elements whose p is below the level.',
    'smallest_p': 'The least p, corrected as said.',
    'formula': 'Of the model, where the file keeps it.',
    'statistic': 'What the result that is shown is, where the file or its p values tell: t or F.',
    'df_min': 'Least number of degrees of freedom of the statistic, where known.',
    'df_max': 'Greatest number of them.',
    'clusters': 'Number of clusters of those that survived.',
}


@dataclass(frozen=True)
class ResultFigure:
    """What was found of one term.

    Parameters
    ----------
    title : str
        What was asked: ``cbf ~ age + sex: age``.
    finding : str
        What came out, in sentences.
    rule : str
        What the clusters are.
    pictures : tuple of Picture
        The map of what survives; of everything, where nothing does.
    clusters : Clusters
        Of what survives.
    numbers : dict
        As :data:`RESULT_COLUMNS` says: a row of a table of results.
    """

    title: str
    finding: str
    rule: str
    pictures: tuple[Picture, ...]
    clusters: Clusters
    numbers: Mapping[str, Any]

    def rows(self) -> list[dict[str, Any]]:
        """The largest clusters, as :data:`CLUSTER_COLUMNS` says."""
        return [_row(rank, each) for rank, each in enumerate(self.clusters.largest, start=1)]


def result_figures(
    results: Analysis,
    space: ElementSpace,
    n_images: int,
    subject: str,
    *,
    formula: str = '',
    surfaces: Mapping[str, Surface] | None = None,
    background: Background | None = None,
    threads: int = 1,
    show_intercept: bool = False,
) -> Iterator[ResultFigure]:
    """Draw each term of an analysis that has a p value.

    Parameters
    ----------
    results : Analysis
        Of an open file.
    space : ElementSpace
        The file's elements.
    n_images : int
        How many images were analysed, where the analysis does not say of how many an element's
        model was made.
    subject : str
        What was analysed: a scalar's name.
    formula : str, optional
        Of the model, with what was analysed on its left side; blank where it is not known.
    surfaces : dict of Surface, optional
        Those at hand.
    background : Background, optional
        What lies below slices.
    threads : int, optional
        That inflate.
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
    at_hand = surfaces or {}
    meshes = meshes_of(at_hand)
    terms = read_terms(results, threads, n_images=n_images, show_intercept=show_intercept)
    for values, observations in terms:
        found = _Found.of(results, space, values, observations, n_images)
        clusters = find_clusters(space, found.values, found.kept, meshes, MOST_CLUSTERS)
        title, finding = found.title(formula or subject), found.sentences(clusters)
        pictures = _pictures(found, title, f'{title}: {finding}', at_hand, background)
        numbers = {
            'analysis': results.name,
            **found.numbers(),
            'formula': formula or 'n/a',
            **found.tested(),
            'clusters': clusters.count,
        }
        yield ResultFigure(
            title, finding, connectivity_rule(space, meshes), tuple(pictures), clusters, numbers
        )


@dataclass(frozen=True)
class _Found:
    """What was found of a term, by element: NaN, and nothing kept, where it was not analysed."""

    space: ElementSpace
    term: Term
    values: np.ndarray
    kept: np.ndarray
    n_tested: int
    smallest_p: float
    n_images: tuple[int, int]
    noun: str
    statistic: str
    df: tuple[float, float] | None

    @classmethod
    def of(
        cls,
        results: Analysis,
        space: ElementSpace,
        found: TermValues,
        observations: Observations,
        n_images: int,
    ) -> _Found:
        rows: np.ndarray | slice = slice(None)
        positions = results.positions(observations.element_ids, len(space))
        values, kept = np.full(len(space), np.nan, np.float32), np.zeros(len(space), bool)
        if positions is not None:
            rows = positions
        values[rows], kept[rows] = found.shown, found.kept
        told = np.isfinite(observations.least)
        ends = (observations.least, observations.most) if told else (n_images, n_images)
        least, most = (int(end) for end in ends)
        df = found.least_df, found.most_df
        proved = found.told or found.is_told or DF in results.names
        knows_df = np.isfinite(df[0]) and proved
        return cls(
            *(space, found.term, values, kept, found.n_tested, found.smallest_p, (least, most)),
            *(found.noun, found.statistic, df if knows_df else None),
        )

    @property
    def survived(self) -> int:
        return int(np.count_nonzero(self.kept))

    def title(self, subject: str) -> str:
        if self.term.name == MODEL:
            return f'{subject}: the whole model'
        return f'{subject}: {self.term.name}' if self.term.name else subject

    def sentences(self, clusters: Clusters) -> str:
        """What came out."""
        return ' '.join([*self._survival(clusters), *self._circumstances()])

    def numbers(self) -> dict[str, Any]:
        """All of :data:`RESULT_COLUMNS` but the first and the last."""
        return {
            'term': self.term.name or 'n/a',
            'shown': self.term.shown or LOG_P,
            'p': self.term.p,
            'correction': self.term.correction or 'n/a',
            'level': self.term.level,
            'n_min': self.n_images[0],
            'n_max': self.n_images[1],
            'elements': self.n_tested,
            'survived': self.survived,
            'smallest_p': cell(self.smallest_p),
        }

    def tested(self) -> dict[str, Any]:
        """Columns of :data:`RESULT_COLUMNS` about the statistic."""
        least, most = self.df or (np.nan, np.nan)
        return {
            'statistic': self.statistic or 'n/a',
            'df_min': cell(float(least)),
            'df_max': cell(float(most)),
        }

    def _survival(self, clusters: Clusters) -> Iterator[str]:
        kind, rule = self.space.kind, self.term.rule
        if not self.n_tested:
            yield f'No p value for any of {len(self.space):,} {kind}.'
        elif not self.survived:
            yield f'None of {self.n_tested:,} {kind} has {rule}; all values are shown.'
        else:
            # Of parcels and edges each is a cluster: to say so would tell nothing.
            several = clusters.count not in {0, self.survived}
            pieces = f' They make {count(clusters.count, "cluster")}.' if several else ''
            yield f'{self.survived:,} of {self.n_tested:,} {kind}: {rule}.{pieces}'
        shown = self.kept if self.survived else np.isfinite(self.values)
        strength = np.where(shown, abs(self.values), np.nan)
        if self.n_tested and not np.isnan(strength).all():
            strongest = np.array([np.nanargmax(strength)])
            value = number(float(self.values[strongest[0]]))
            what = 'Strongest' if self.survived else 'Highest peak, below the threshold'
            yield f'{what}: {self.space.labels(strongest)[0]}, {self.noun} = {value}.'

    def _circumstances(self) -> Iterator[str]:
        if np.isfinite(self.smallest_p):
            yield f'Smallest p: {number(self.smallest_p)}, {self.term.corrected}.'
        several = len({*self.n_images}) > 1 or len({*(self.df or ())}) > 1
        told = [f'N = {_range(self.n_images)}', *([f'df = {_range(self.df)}'] if self.df else [])]
        yield ', '.join([*told, *(['by element'] if several else [])]) + '.'


def _pictures(
    found: _Found,
    title: str,
    alt: str,
    surfaces: Mapping[str, Surface],
    background: Background | None,
) -> list[Picture]:
    """What survives, or all of it."""
    term, noun = found.term, found.noun
    label = f'{noun} of {term.name}' if term.name else noun
    if not np.isfinite(found.values).any():
        return []
    if not found.survived:
        return map_pictures(
            *(found.space, found.values, Scale.of(found.values, label), f'{title}: {noun}'),
            surfaces=surfaces,
            background=background,
            alt=alt,
        )
    shown = np.where(found.kept, found.values, np.nan)
    rule = term.rule.replace(' < ', '\xa0<\xa0')  # no line ends within
    return map_pictures(
        *(found.space, shown, _scale(found, label), f'{title}: {noun} where {rule}'),
        surfaces=surfaces,
        background=background,
        weights=np.nan_to_num(abs(shown), posinf=_HEAVIEST),
        alt=alt,
    )


def _range(ends: tuple[float, float]) -> str:
    """One number, or from the least to the greatest.

    >>> _range((24, 24)), _range((1020, 1024))
    ('24', '1,020 to 1,024')
    """
    least, most = (f'{end:,.0f}' if end == round(end) else f'{end:.1f}' for end in ends)
    return least if least == most else f'{least} to {most}'


def _scale(found: _Found, label: str) -> Scale:
    """About 0, if values of both signs could have survived."""
    kept = found.values[found.kept]
    if not (found.values < 0).any():
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
