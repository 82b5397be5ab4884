"""Analyses on a page: those that ModelArray wrote into a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from modelarrayio_bids.derivatives.outputs.statmaps import label
from modelarrayio_bids.errors import SchemaError
from modelarrayio_bids.reports.figures.backgrounds import Surroundings
from modelarrayio_bids.reports.figures.scales import number
from modelarrayio_bids.reports.findings.output_folder import Output
from modelarrayio_bids.reports.findings.terms import model_terms
from modelarrayio_bids.reports.page.album import Album, Part
from modelarrayio_bids.reports.page.model_parts import (
    ModelPart,
    component_part,
    links_to_maps,
    maps_of_term,
    model_part,
    p_value_part,
    permutation_part,
    picture_of_curves,
)
from modelarrayio_bids.reports.page.results import ResultFigure, result_figures
from modelarrayio_bids.reports.page.topic import Topic
from modelarrayio_bids.reports.page.viewers.viewer import viewer_link
from modelarrayio_bids.spaces import References
from modelarrayio_bids.spaces.stored import space_of_store
from modelarrayio_bids.store.reader import StoreReader

# Endings of the names of figures and tables of one analysis or term.
_ENDINGS = (
    *('', 'Results', 'Structures', 'Clusters', 'Components', 'ComponentsStructures', 'Curves'),
    *('Design', 'Correlations', 'Columns', 'PValues', 'Permutations'),
)
_SHOWN = ('cluster', 'size', 'volume_mm3', 'peak', 'where')


@dataclass(frozen=True)
class AnalysisPart(Part):
    """An analysis of a scalar on the page, with a note on the model or on why nothing is shown.

    Parameters
    ----------
    anchor, title : str
        Name of its place in the page; for people.
    terms : list of TermPart
        By term of the model.
    results : list of dict
        Their numbers, as ``columns.yaml`` says.
    model, p_values, components, permutations : Part, optional
        The model, of an analysis made by ``fit``; distributions of p values that are not corrected;
        what the model tells beside its tests; its permutation test.
    maps : list of tuple
        Names of the maps, and where they are.
    viewer : str
        The page on which its maps are walked through; blank without.
    """

    anchor: str = ''
    title: str = ''
    terms: list[TermPart] = field(default_factory=list)
    results: list[dict[str, Any]] = field(default_factory=list)
    model: ModelPart | None = None
    p_values: Part | None = None
    components: Part | None = None
    permutations: Part | None = None
    maps: list[tuple[str, str]] = field(default_factory=list)
    viewer: str = ''


@dataclass(frozen=True)
class TermPart(Part):
    """A term on a page: its map, and rows of the largest clusters.

    Parameters
    ----------
    title, finding, rule : str
        Title, result in sentences, and definition of the clusters.
    """

    title: str = ''
    finding: str = ''
    rule: str = ''


def analysis_parts(
    output: Output, album: Album, *, show_intercept: bool = False
) -> Iterator[AnalysisPart]:
    """Draw every analysis in a file, and write its numbers.

    Raises
    ------
    ModelArrayIOError
        If the file cannot be read, or a figure not written.
    """
    names = _Names()
    with StoreReader(output.files.store) as store:
        # A slice's corrected p values are of too few tests: the merged analysis has them all.
        analyses = sorted(set(store.analyses) - store.slices)
        if not analyses:
            return
        space = space_of_store(store, References())
        around = Surroundings.of(output, space, store.summary(output.scalar))
        for name, what in names.of(analyses):
            part = AnalysisPart(anchor=f'{output.key}-{what}', title=f'{output.scalar}: {name}')
            try:
                topic = Topic(output, store, store.analysis(name), space, around, album, what)
                figures = list(_figures(topic, show_intercept=show_intercept))
            except SchemaError as error:
                # From a killed run: everything else can be shown.
                yield replace(part, note=f'Not shown: {error.what}.')
            else:
                yield _drawn(part, topic, figures, names)


def _figures(topic: Topic, *, show_intercept: bool) -> Iterator[ResultFigure]:
    return result_figures(
        *(topic.results, topic.space, topic.n_images, topic.output.scalar),
        formula=topic.formula,
        surfaces=topic.around.surfaces,
        background=topic.around.background,
        regions=topic.around.regions,
        show_intercept=show_intercept,
    )


def _drawn(
    part: AnalysisPart, topic: Topic, figures: Sequence[ResultFigure], names: _Names
) -> AnalysisPart:
    output, told = topic.output, _model(topic)
    maps = links_to_maps(output, topic.results.name)
    part = replace(part, model=model_part(topic), maps=maps)
    if not figures:
        return replace(part, note='No result has a p value.')
    store = output.files.store.relative_to(output.root).as_posix()
    rows = [{'scalar': output.scalar, 'store': store, **figure.numbers} for figure in figures]
    terms = names.of([f'{topic.what} {figure.numbers["term"]}' for figure in figures])
    table = topic.table(rows, 'Results', 'results')
    return replace(
        part,
        links=[('Numbers (TSV)', table)],
        note=told,
        viewer=viewer_link(topic, told, figures, maps),
        terms=[
            _term(topic, figure, what, maps)
            for figure, (_, what) in zip(figures, terms, strict=True)
        ],
        results=rows,
        p_values=p_value_part(topic),
        components=component_part(topic),
        permutations=permutation_part(topic),
    )


class _Names:
    """Labels for the figures of one file, unique even if case is ignored.

    >>> names = _Names()
    >>> names.of(['my_lm', 'my.lm', 'gam'])
    [('my_lm', 'myLm2'), ('my.lm', 'myLm'), ('gam', 'gam')]
    >>> names.of(['gam age', 'gam Age'])
    [('gam age', 'gamAge2'), ('gam Age', 'gamAge')]
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def of(self, texts: Sequence[str]) -> list[tuple[str, str]]:
        """Return each text with its label; later ones of the same label get a number.

        Later is by the texts themselves: their order in a file changes nothing.
        """
        ranked = sorted(range(len(texts)), key=lambda place: texts[place])
        labels = {place: self._free(label(texts[place])) for place in ranked}
        return [(text, labels[place]) for place, text in enumerate(texts)]

    def _free(self, wanted: str) -> str:
        for time in count(1):
            found = wanted if time == 1 else f'{wanted}{time}'
            files = {f'{found}{ending}'.lower() for ending in _ENDINGS}
            if not files & self._taken:
                break
        self._taken |= files
        return found


def _model(topic: Topic) -> str:
    """Return the formula, or what the names of results tell of it."""
    if topic.formula:
        return f'Model: {topic.formula}.'
    terms = ', '.join(model_terms(topic.results.names))
    return terms and f'Terms of the model: {terms}. The file does not keep its formula.'


def _term(
    topic: Topic, figure: ResultFigure, what: str, maps: Sequence[tuple[str, str]]
) -> TermPart:
    pictures = [
        topic.add(picture, 'Structures' * place, 'map', what)
        for place, picture in enumerate(figure.pictures)
    ]
    if (curves := picture_of_curves(topic, figure)) is not None:
        pictures.append(topic.add(curves, 'Curves', what=what))
    rows = figure.rows()
    if rows:
        topic.table(rows, 'Clusters', 'clusters', what)
    # A page has no room for all digits of the table.
    short = [row | {'peak': number(float(row['peak']))} for row in rows]
    shown = [tuple(row[name] for name in _SHOWN) for row in short]
    return TermPart(
        *(pictures, maps_of_term(maps, topic.results.name, figure.numbers['p']), shown),
        title=figure.title,
        finding=figure.finding,
        rule=figure.rule,
    )
