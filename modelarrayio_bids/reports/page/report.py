"""``report.html``: a self-contained page on everything in an output folder."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import chain
from os import PathLike
from pathlib import Path
from typing import Any

from modelarrayio_bids.__about__ import NAME, __version__
from modelarrayio_bids.derivatives.bids.dataset import DESCRIPTION, Dataset
from modelarrayio_bids.derivatives.bids.uris import path_of
from modelarrayio_bids.derivatives.cohorts.phenotype_checks import Remark, remarks
from modelarrayio_bids.derivatives.rscripts.next_steps import Step, next_steps
from modelarrayio_bids.errors import ModelArrayIOError
from modelarrayio_bids.reports.figures.cohort_charts import (
    chart_of_availability,
    chart_of_phenotypes,
)
from modelarrayio_bids.reports.findings import outliers
from modelarrayio_bids.reports.findings.output_folder import Output, outputs_in
from modelarrayio_bids.reports.findings.participants import (
    Availability,
    Phenotype,
    phenotype_frame,
    phenotypes_of,
    repeated_measures,
)
from modelarrayio_bids.reports.findings.results_table import RESULTS, finding, significant
from modelarrayio_bids.reports.page.album import Album
from modelarrayio_bids.reports.page.analyses import analysis_parts
from modelarrayio_bids.reports.page.methods import done, is_pipeline
from modelarrayio_bids.reports.page.scalars import ScalarPart, scalar_part, shared_files
from modelarrayio_bids.reports.page.templates import Script, environment
from modelarrayio_bids.runtime.atomic import replacing
from modelarrayio_bids.runtime.locations import location
from modelarrayio_bids.runtime.progress import tracked
from modelarrayio_bids.runtime.resources import Resources
from modelarrayio_bids.runtime.text_format import count, some
from modelarrayio_bids.store.reader import StoreReader

logger = logging.getLogger(__name__)

#: Name of the page in the output folder.
NAME_OF_PAGE = 'report.html'
_LEFT_OUT = 'desc-leftOut_summary'
#: Columns with more values are not drawn.
_MOST_CATEGORIES = 30


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
    drawn = (scalar_part(one, album, resources) for one in outputs)
    scalars = list(tracked(drawn, 'Drawing', len(outputs), 'files'))
    analyses = (analysis_parts(one, album, show_intercept=show_intercept) for one in outputs)
    results = list(chain.from_iterable(analyses))
    rows = [row for part in results for row in part.results]
    if rows:
        album.table(rows, RESULTS, 'results')
    availability, attention = Availability.of(outputs), _attention(outputs, scalars)
    verdict = _verdict(outputs, attention)
    _write(
        output_dir,
        title=_title(bids_dir) if rows else 'Group files for ModelArray',
        found=[finding(row) for row in significant(rows)],
        outputs=outputs,
        availability=availability,
        steps=_steps(bids_dir, output_dir, outputs),
        people=_people(availability, album),
        left_out=_left_out(left_out, album),
        phenotypes=_phenotypes(phenotypes_of(outputs), album),
        scalars=scalars,
        results=results,
        attention=attention,
        verdict=verdict,
        notes=[*repeated_measures(outputs), *map(str, _remarks(outputs))],
        done=done(outputs, availability.counts, pipelines_of(output_dir, outputs), rows),
    )
    # Also shown with --quiet: the report is the only check of the images.
    level = logging.WARNING if attention else logging.INFO
    logger.log(level, 'Wrote %s: %s', output_dir / NAME_OF_PAGE, verdict)
    return output_dir / NAME_OF_PAGE


def _write(output_dir: Path, **content: Any) -> None:
    """Write the page, and what is to be cited beside the logs."""
    context = {
        **content,
        'output_dir': output_dir,
        'program': f'{NAME} {__version__}',
        'date': f'{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}',
        'limits': outliers,
        'script': Script.of('report.js'),
    }
    for folder, name in (('logs', 'CITATION.md'), ('logs', 'CITATION.bib'), ('', NAME_OF_PAGE)):
        with replacing(output_dir / folder / name) as partial:
            environment().get_template(name).stream(context).dump(str(partial), 'utf-8')


def _title(bids_dir: str | PathLike[str] | None) -> str:
    """Return the title of a page with results, with the name of the study if it has one."""
    if not bids_dir:
        return 'Results of the group analysis'
    study = Dataset.at(location(bids_dir).absolute())
    return f'Results of {study.description.get("Name") or study.name or "the group analysis"}'


def _steps(
    bids_dir: str | PathLike[str] | None, output_dir: Path, outputs: Sequence[Output]
) -> list[Step]:
    """Return what is left to do: models that have no results yet, results that have no maps yet."""
    scripts = [one.files.fit_script for one in outputs if one.files.fit_script.exists()]
    if not (bids_dir and scripts):
        return []
    analyses = {one.key: _analyses(one) for one in outputs}
    to_fit = [
        one.files.fit_script
        for one in outputs
        if one.files.fit_script in scripts and not analyses[one.key]
    ]
    steps = next_steps(location(bids_dir).absolute(), output_dir, to_fit or scripts)
    if to_fit:
        return steps
    exported = all(one.maps_folder(name).is_dir() for one in outputs for name in analyses[one.key])
    return [] if exported else steps[-1:]


def _analyses(output: Output) -> frozenset[str]:
    """Return the analyses of a file, without slices that were merged."""
    with StoreReader(output.files.store) as store:
        return frozenset(store.analyses) - store.slices


def _attention(
    outputs: Sequence[Output], parts: Sequence[ScalarPart]
) -> list[tuple[str, str, str, str]]:
    """Return whom to look at: who, the scalar, its place in the page, and what."""
    times = Counter(output.scalar for output in outputs)
    titles = {
        output.key: output.scalar + f', {output.place}' * (times[output.scalar] > 1)
        for output in outputs
    }
    found = [
        (who, titles[part.anchor], part.anchor, what)
        for part in parts
        for who, what in part.findings
    ]
    return found + [
        (output.names[row], titles[output.key], output.key, f'is the same file as {others}')
        for output, row, others in shared_files(outputs, parts)
    ]


def _verdict(outputs: Sequence[Output], found: Sequence[tuple[str, str, str, str]]) -> str:
    """Return how many images stand out, and of whom."""
    images = list(dict.fromkeys(f'{who} ({scalar})' for who, scalar, _, _ in found))
    stand = 'stands' if len(images) == 1 else 'stand'
    told = f'{count(len(images), "image")} {stand} out: {some(images)}.'
    few = [output.scalar for output in outputs if len(output.names) < outliers.FEWEST_SOURCES]
    unjudged = f' Too few images to compare: {some(few)}.' if few else ''
    return (told if images else 'No image stands out.') + unjudged


def _remarks(outputs: Sequence[Output]) -> list[Remark]:
    """Return what looks like a slip in the phenotypes."""
    said = {name: what for output in outputs for name, what in output.said.items()}
    described = {name: what for name, what in said.items() if isinstance(what, dict)}
    return remarks(phenotype_frame(outputs), described)


def _people(availability: Availability, album: Album) -> dict[str, Any]:
    n_people = len(availability.participants)
    return {
        'pictures': [album.add(chart_of_availability(availability), 'desc-availability_plot')],
        'rows': [
            (
                *(output.scalar, output.place, output.known.get('Elements', '')),
                f'{len(output.names):,}',
                f'{n_people - len(availability.participants_in(output)):,}',
            )
            for output in availability.outputs
        ],
        'href': album.table(availability.rows(), 'desc-availability_summary'),
    }


def _left_out(counts: Mapping[str, int] | None, album: Album) -> list[tuple[str, str]]:
    """Return why images were left out, and how many; kept as a table for reports to come."""
    if counts is not None:
        rows = [{'reason': reason, 'images': number} for reason, number in counts.items()]
        album.table(rows or [{'reason': 'n/a', 'images': 0}], _LEFT_OUT)
    return [(row['reason'], row['images']) for row in album.read(_LEFT_OUT) if row['images'] != '0']


def _phenotypes(phenotypes: Sequence[Phenotype], album: Album) -> dict[str, Any]:
    drawn = [one for one in phenotypes if one.is_numeric or 0 < len(one.counts) <= _MOST_CATEGORIES]
    return {
        'rows': [(one.name, f'{one.n_missing:,}', one.described()) for one in phenotypes],
        'pictures': [album.add(chart_of_phenotypes(drawn), 'desc-phenotypes_plot')]
        if drawn
        else [],
    }


def pipelines_of(output_dir: Path, outputs: Sequence[Output]) -> list[str]:
    """Return programs that made the images and their masks, by the links of an output folder.

    Datasets that were searched, and of which no output has a file, made nothing of them.
    """
    try:
        description = json.loads((output_dir / DESCRIPTION).read_text('utf-8'))
    except (OSError, ValueError):
        return []
    used = {name for output in outputs for name in output.datasets}
    links = description.get('DatasetLinks', {})
    made = (_generators(name, url) for name, url in links.items() if name in used)
    return list(dict.fromkeys(chain.from_iterable(made)))


def _generators(name: str, url: str) -> Sequence[str]:
    """Return who made a dataset, as it says itself; else its name, if that is a program's."""
    named = (name,) if is_pipeline(name) else ()
    try:
        return Dataset.from_folder(path_of(url)).generators or named
    except (ModelArrayIOError, OSError):
        return named
