"""``report.html``: one page about everything in an output folder, with nothing outside of it."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from importlib.resources import files
from os import PathLike
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from modelarrayio_bids.__about__ import NAME, __version__
from modelarrayio_bids.derivatives.bids.dataset import DESCRIPTION, Dataset
from modelarrayio_bids.derivatives.bids.uris import path_of
from modelarrayio_bids.derivatives.cohorts.phenotype_checks import Remark, remarks
from modelarrayio_bids.derivatives.outputs.statmaps import StatMapNaming
from modelarrayio_bids.derivatives.rscripts.next_steps import Step, next_steps
from modelarrayio_bids.errors import ModelArrayIOError
from modelarrayio_bids.reports.figures.charts import chart_of_availability, chart_of_phenotypes
from modelarrayio_bids.reports.findings.outliers import (
    FEWEST_SOURCES,
    LEAST_CORRELATION,
    LEAST_DISTANCE,
    LEAST_FRACTION,
    MOST_DEVIATIONS,
)
from modelarrayio_bids.reports.findings.output_folder import Output, outputs_in
from modelarrayio_bids.reports.findings.participants import (
    Availability,
    Phenotype,
    phenotype_frame,
    phenotypes_of,
    repeated_measures,
)
from modelarrayio_bids.reports.page.album import Album, Shown
from modelarrayio_bids.reports.page.analyses import analysis_parts
from modelarrayio_bids.reports.page.citations import bibliography, markdown, works
from modelarrayio_bids.reports.page.methods import methods
from modelarrayio_bids.reports.page.scalars import ScalarPart, scalar_part, shared_files
from modelarrayio_bids.runtime.atomic import replacing
from modelarrayio_bids.runtime.progress import tracked
from modelarrayio_bids.runtime.resources import Resources
from modelarrayio_bids.runtime.text_format import count, some
from modelarrayio_bids.store.reader import StoreReader

logger = logging.getLogger(__name__)

#: Of the page, in the output folder.
NAME_OF_PAGE = 'report.html'
_LEFT_OUT = 'desc-leftOut_summary'
_TITLE = 'Group files for ModelArray'
#: Of a column with more values, nothing can be drawn.
_MOST_CATEGORIES = 30
# Names in a list of who is not in a file.
_MOST_NAMES = 200


def write_page(
    output_dir: Path,
    bids_dir: str | PathLike[str] | None = None,
    left_out: Mapping[str, int] | None = None,
    resources: Resources = Resources(),
    *,
    show_intercept: bool = False,
) -> Path:
    """Write the page, its figures and its tables, over those of an earlier run.

    Parameters
    ----------
    output_dir : pathlib.Path
        With what the group level made, and the results that ModelArray wrote into it.
    bids_dir : path-like, optional
        The study, for commands to run next.
    left_out : dict, optional
        Why images were left out to how many; by default what an earlier report said.
    resources : Resources, optional
        Memory.
    show_intercept : bool, optional
        Draw intercepts too, of models with other terms.

    Returns
    -------
    pathlib.Path
        The page.

    Raises
    ------
    SourceNotFoundError
        If there is no HDF5 file, or a cohort is missing.
    UsageError
        If the memory allowed is not enough.
    ModelArrayIOError
        If a file cannot be read.
    OutputError
        If nothing can be written.
    """
    outputs, album = outputs_in(output_dir), Album(output_dir)
    shown = tracked(
        (scalar_part(one, album, resources) for one in outputs), 'Drawing', len(outputs), 'files'
    )
    parts = list(shown)
    availability = Availability.of(outputs)
    context = {
        'title': _TITLE,
        'program': f'{NAME} {__version__}',
        'date': f'{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}',
        'output_dir': output_dir,
        'lead': _lead(outputs, availability),
        'steps': _steps(bids_dir, output_dir, outputs),
        'people': _people(availability, album),
        'left_out': _left_out(left_out, album),
        'phenotypes': _phenotypes(phenotypes_of(outputs), album),
        'scalars': parts,
        'results': [
            part
            for output in outputs
            for part in analysis_parts(output, album, show_intercept=show_intercept)
        ],
        **_attention(outputs, parts),
        'notes': [*repeated_measures(outputs), *map(str, _remarks(outputs))],
        **_methods(output_dir, outputs, availability.counts),
    }
    page = output_dir / NAME_OF_PAGE
    _write(page, _rendered(context))
    # Said to people who want warnings alone, too: nobody else looks at the images.
    level = logging.WARNING if context['attention'] else logging.INFO
    logger.log(level, 'Wrote %s: %s', page, context['verdict'])
    return page


def _steps(
    bids_dir: str | PathLike[str] | None, output_dir: Path, outputs: Sequence[Output]
) -> list[Step]:
    """What is left to do: models that have no results yet, results that have no maps yet."""
    scripts = [one.files.fit_script for one in outputs if one.files.fit_script.exists()]
    if not (bids_dir and scripts):
        return []
    analyses = {one.key: _analyses(one) for one in outputs}
    to_fit = [
        one.files.fit_script
        for one in outputs
        if one.files.fit_script in scripts and not analyses[one.key]
    ]
    fit, *others = next_steps(Path(bids_dir).absolute(), output_dir, to_fit or scripts)
    if to_fit:
        return [fit, *others]
    exported = all(_maps(one, name).is_dir() for one in outputs for name in analyses[one.key])
    return [] if exported else others


def _analyses(output: Output) -> frozenset[str]:
    """Those of a file, without slices that were merged."""
    with StoreReader(output.files.store) as store:
        return frozenset(store.analyses) - store.slices


def _maps(output: Output, analysis: str) -> Path:
    """The folder of the maps of an analysis."""
    return StatMapNaming.of(output.files.store, output.root).folder(analysis)


def _rendered(context: dict[str, Any]) -> str:
    folder = files('modelarrayio_bids').joinpath('data', 'report')
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(folder.joinpath('report.html').read_text('utf-8'))
    css = Markup(folder.joinpath('style.css').read_text('utf-8'))  # noqa: S704 - our own
    return template.render(context, css=css, sections=list(_sections(context)))


def _sections(context: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Anchors and names of the parts that there are."""
    for anchor, name, there in (
        ('look', 'To look at', True),
        ('next', 'What to do next', context['steps']),
        ('people', 'Who is in', True),
        ('phenotypes', 'Phenotypes', context['phenotypes']['rows']),
        ('scalars', 'Scalars', True),
        ('results', 'Results', context['results']),
        ('methods', 'Methods', True),
    ):
        if there:
            yield anchor, name


def _lead(outputs: Sequence[Output], availability: Availability) -> str:
    images = sum(len(output.names) for output in outputs)
    are = 'is' if availability.complete == 1 else 'are'
    in_all = f' {count(availability.complete, "participant")} {are} in all of them.'
    return (
        f'{count(images, "image")} of {availability.counts}, in '
        f'{count(len(outputs), "HDF5 file")}.{in_all * (len(outputs) > 1)}'
    )


def _attention(outputs: Sequence[Output], parts: Sequence[ScalarPart]) -> dict[str, Any]:
    """Whom to look at: who, the scalar, its place in the page, and what; and the rules for it."""
    titles = _titles(outputs)
    found = [
        (who, titles[part.anchor], part.anchor, what)
        for part in parts
        for who, what in part.findings
    ]
    found += [
        (output.names[row], titles[output.key], output.key, f'is the same file as {others}')
        for output, row, others in shared_files(outputs, parts)
    ]
    few = [output.scalar for output in outputs if len(output.names) < FEWEST_SOURCES]
    unjudged = f'Too few images to compare: {some(few)}.' if few else ''
    return {
        'attention': found,
        'verdict': ' '.join(filter(None, [_verdict(found), unjudged])),
        'rules': _rules(),
    }


def _titles(outputs: Sequence[Output]) -> dict[str, str]:
    """By output's key: its scalar, with its space where another output has the same scalar."""
    times = Counter(output.scalar for output in outputs)
    return {
        output.key: f'{output.scalar}, {output.place}'
        if times[output.scalar] > 1
        else output.scalar
        for output in outputs
    }


def _verdict(found: Sequence[tuple[str, str, str, str]]) -> str:
    """How many images, and of whom."""
    images = list(dict.fromkeys(f'{who} ({scalar})' for who, scalar, _, _ in found))
    if not images:
        return 'No image stands out.'
    stand = 'stands' if len(images) == 1 else 'stand'
    return f'{count(len(images), "image")} {stand} out: {some(images)}.'


def _rules() -> str:
    return (
        f'Named is what is more than {MOST_DEVIATIONS:g} robust standard deviations (of the median '
        'absolute deviation) away from the median of all, and more than '
        f'{100 * LEAST_FRACTION:g}% of the elements, {LEAST_CORRELATION:g} of a correlation, or '
        f'{LEAST_DISTANCE:g} times the usual distance, or half a standard deviation of the level; '
        'files with the same content, constant or infinite values; and maps that are like the '
        'others once they are flipped.'
    )


def _remarks(outputs: Sequence[Output]) -> list[Remark]:
    """What looks like a slip in the phenotypes."""
    said = {name: what for output in outputs for name, what in output.said.items()}
    described = {name: what for name, what in said.items() if isinstance(what, dict)}
    return remarks(phenotype_frame(outputs), described)


def _methods(output_dir: Path, outputs: Sequence[Output], people: str) -> dict[str, Any]:
    """What was done and what it cites, also as files."""
    pipelines = pipelines_of(output_dir)
    paragraphs, cited = methods(outputs, people, pipelines), works(pipelines)
    _write(output_dir / 'logs' / 'CITATION.md', markdown(paragraphs, cited))
    _write(output_dir / 'logs' / 'CITATION.bib', bibliography(cited))
    return {'methods': paragraphs, 'references': cited}


def _people(availability: Availability, album: Album) -> dict[str, Any]:
    absent = [
        (label, [(reason, _some(names)) for reason, names in reasons.items()])
        for output, label in zip(availability.outputs, availability.labels, strict=True)
        if (reasons := availability.absent(output))
    ]
    n_people = len(availability.participants)
    return {
        'lead': f'{availability.complete:,} of {count(n_people, "participant")} are in every file.',
        'pictures': [album.add(chart_of_availability(availability), 'desc-availability_plot')],
        'rows': [
            (
                output.scalar,
                output.files.stem.replace('_', ' '),
                output.known.get('Elements', ''),
                f'{len(output.names):,}',
                f'{n_people - len(availability.participants_in(output)):,}',
            )
            for output in availability.outputs
        ],
        'absent': absent,
        'href': album.table(availability.rows(), 'desc-availability_summary'),
    }


def _left_out(counts: Mapping[str, int] | None, album: Album) -> list[tuple[str, str]]:
    """Why images were left out, and how many; kept as a table for reports to come."""
    if counts is not None:
        rows = [{'reason': reason, 'images': number} for reason, number in counts.items()]
        album.table(rows or [{'reason': 'n/a', 'images': 0}], _LEFT_OUT)
    return [(row['reason'], row['images']) for row in album.read(_LEFT_OUT) if row['images'] != '0']


def _some(names: Sequence[str]) -> list[str]:
    shown = list(names[:_MOST_NAMES])
    return shown + ([f'and {len(names) - len(shown):,} more'] if len(names) > len(shown) else [])


def _phenotypes(phenotypes: Sequence[Phenotype], album: Album) -> dict[str, Any]:
    drawn = [one for one in phenotypes if one.is_numeric or 0 < len(one.counts) <= _MOST_CATEGORIES]
    pictures: list[Shown] = []
    if drawn:
        pictures.append(album.add(chart_of_phenotypes(drawn), 'desc-phenotypes_plot'))
    rows = [(one.name, f'{one.n_missing:,}', one.described()) for one in phenotypes]
    return {'rows': rows, 'pictures': pictures}


def pipelines_of(output_dir: Path) -> list[str]:
    """Programs that made the images: those of the datasets an output folder is linked to."""
    try:
        description = json.loads((output_dir / DESCRIPTION).read_text('utf-8'))
    except (OSError, ValueError):
        return []
    links = description.get('DatasetLinks', {})
    return list(dict.fromkeys(name for link in links.items() for name in _generators(*link)))


def _generators(name: str, url: str) -> Sequence[str]:
    """Who made a dataset, as it says itself; else its name."""
    try:
        return Dataset.from_folder(path_of(url)).generators or (name,)
    except (ModelArrayIOError, OSError):
        return (name,)


def _write(path: Path, text: str) -> None:
    with replacing(path) as partial:
        partial.write_text(text, 'utf-8')
