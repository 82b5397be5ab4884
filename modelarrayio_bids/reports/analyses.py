"""What a page says of the analyses that ModelArray wrote into a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from modelarrayio_bids.derivatives.statmaps import label
from modelarrayio_bids.errors import SchemaError
from modelarrayio_bids.export import space_of_store
from modelarrayio_bids.reports.album import Album, Shown, figure_name
from modelarrayio_bids.reports.outputs import Output
from modelarrayio_bids.reports.results import (
    CLUSTER_COLUMNS,
    RESULT_COLUMNS,
    ResultFigure,
    result_figures,
)
from modelarrayio_bids.reports.surroundings import Surroundings
from modelarrayio_bids.spaces import References
from modelarrayio_bids.store.reader import StoreReader

_SHOWN = ('size', 'volume_mm3', 'peak', 'where')
_HEADINGS = ('', 'Elements', 'mm³', 'Peak', 'Where')


@dataclass(frozen=True)
class AnalysisPart:
    """What a page says of one analysis of one scalar.

    Parameters
    ----------
    anchor, title : str
        Of its place in the page; for people.
    note : str
        Why there is nothing to see; blank where there is.
    terms : list of TermPart
        By term of the model.
    links : list of tuple
        Names of files, and where they are.
    """

    anchor: str
    title: str
    note: str
    terms: list[TermPart]
    links: list[tuple[str, str]]


@dataclass(frozen=True)
class TermPart:
    """What was found of one term.

    Parameters
    ----------
    title, finding, rule : str
        What was asked, what came out, and what a cluster is.
    pictures : list of Shown
        The map.
    header, rows : list
        The largest clusters.
    """

    title: str
    finding: str
    rule: str
    pictures: list[Shown]
    header: tuple[str, ...]
    rows: list[tuple[Any, ...]]


def analysis_parts(output: Output, album: Album) -> Iterator[AnalysisPart]:
    """Draw every analysis in a file, and write its numbers.

    Raises
    ------
    ModelArrayIOError
        If the file cannot be read, or a figure not written.
    """
    with StoreReader(output.files.store) as store:
        # A slice's corrected p values are of too few tests: the merged analysis has them all.
        for name in sorted(set(store.analyses) - store.slices):
            anchor, title = f'{output.key}-{label(name)}', f'{output.scalar}: {name}'
            try:
                figures = list(_figures(output, store, name))
            except SchemaError as error:
                # Of a run that was killed: everything else is there to be seen.
                yield AnalysisPart(anchor, title, f'Not shown: {error.what}.', [], [])
                continue
            terms = [_term(output, figure, album, name) for figure in figures]
            table = album.table(
                (figure.numbers for figure in figures),
                figure_name(output, f'{label(name)}Results', 'summary'),
                RESULT_COLUMNS,
            )
            note = '' if terms else 'No result has a p value.'
            yield AnalysisPart(anchor, title, note, terms, [('Numbers (TSV)', table)])


def _figures(output: Output, store: StoreReader, name: str) -> Iterator[ResultFigure]:
    space = space_of_store(store, References())
    around = Surroundings.of(output, space, store.summary(output.scalar))
    results = store.analysis(name)
    yield from result_figures(
        *(results, space, results.n_sources.get(output.scalar, len(output.names)), output.scalar),
        surfaces=around.surfaces,
        background=around.background,
    )


def _term(output: Output, figure: ResultFigure, album: Album, analysis: str) -> TermPart:
    what = label(f'{analysis} {figure.numbers["term"]}')
    pictures = [
        album.add(picture, figure_name(output, what + 'Structures' * number, 'map'))
        for number, picture in enumerate(figure.pictures)
    ]
    rows = figure.rows()
    if rows:
        album.table(rows, figure_name(output, f'{what}Clusters', 'summary'), CLUSTER_COLUMNS)
    shown = [(row['cluster'], *(row[name] for name in _SHOWN)) for row in rows]
    return TermPart(figure.title, figure.finding, figure.rule, pictures, _HEADINGS, shown)
