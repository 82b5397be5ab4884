"""Scalars on a page: the file, the maps of its elements, and its people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modelarrayio_bids.masks import coverage_counts
from modelarrayio_bids.reports import DRAWING_ELEMENT
from modelarrayio_bids.reports.figures.backgrounds import Surroundings
from modelarrayio_bids.reports.figures.contact_sheet import Slice
from modelarrayio_bids.reports.figures.cohort_charts import chart_of_sources, chart_of_threshold
from modelarrayio_bids.reports.figures.pictures import density_picture, map_pictures, mask_picture
from modelarrayio_bids.reports.figures.scales import Scale, cell
from modelarrayio_bids.reports.figures.style import Picture
from modelarrayio_bids.reports.findings.outliers import Finding, findings, groups_of, mirrored
from modelarrayio_bids.reports.findings.output_folder import Output
from modelarrayio_bids.reports.page.album import Album, column_texts, figure_name
from modelarrayio_bids.reports.page.carousels import Carousel, carousel_of
from modelarrayio_bids.runtime.grouping import grouped
from modelarrayio_bids.runtime.resources import Resources
from modelarrayio_bids.runtime.text_format import amount, some
from modelarrayio_bids.spaces import ElementSpace, References
from modelarrayio_bids.spaces.stored import space_of_store
from modelarrayio_bids.store.reader import StoreReader
from modelarrayio_bids.store.summary import ROW, Summary


@dataclass(frozen=True)
class ScalarPart:
    """One scalar in one space on a page.

    Parameters
    ----------
    name, anchor, title : str
        In R; of its place in the page; for people.
    facts : list of tuple
        Name and value of each fact about the file.
    note : str
        Why there is nothing more to see; blank where there is.
    findings : list of tuple
        Source and description of each finding.
    pictures : list of Picture
        Maps and charts.
    links : list of tuple
        Names of files, and where they are.
    carousel : Carousel, optional
        A slice of everybody's map.
    checksums : tuple of bytes
        Checksum of the file of each image; empty if unknown.
    """

    name: str
    anchor: str
    title: str
    facts: list[tuple[str, str]]
    note: str
    findings: list[tuple[str, str]]
    pictures: list[Picture]
    links: list[tuple[str, str]]
    checksums: tuple[bytes, ...] = ()
    carousel: Carousel | None = None


def shared_files(
    outputs: Sequence[Output], parts: Sequence[ScalarPart]
) -> Iterator[tuple[Output, int, str]]:
    """Yield images of one scalar whose file is that of another scalar, too: which row, and of what.

    The same image may serve one scalar in several outputs, of several sessions, say.
    """
    images = [
        (output, row) for output, part in zip(outputs, parts, strict=True)
        for row in range(len(part.checksums))
    ]  # fmt: skip
    for group in groups_of([key for part in parts for key in part.checksums]):
        same = [images[number] for number in group]
        scalars = {output.scalar for output, _ in same}
        others = {
            scalar: some(
                f'{one.names[at]} of {one.scalar}' for one, at in same if one.scalar != scalar
            )
            for scalar in scalars
        }
        if len(scalars) > 1:
            yield from ((output, row, others[output.scalar]) for output, row in same)


def scalar_part(output: Output, album: Album, resources: Resources = Resources()) -> ScalarPart:
    """Look into one HDF5 file, draw it, and write the numbers of its sources.

    Raises
    ------
    UsageError
        If the memory allowed is not enough.
    ModelArrayIOError
        If a file cannot be read, or a figure not written.
    """
    with StoreReader(output.files.store) as store:
        n_elements = store.scalar(output.scalar).shape[1]
        resources.room(n_elements, DRAWING_ELEMENT * n_elements, to='draw')
        space = space_of_store(store, References())
        summary = store.summary(output.scalar)
        facts = list(_facts(output, store, space))
        around = Surroundings.of(output, space, summary)
        flipped = mirrored(store.scalar(output.scalar), space, summary) if summary else []
        found = findings(summary, output.names, flipped) if summary else []
        shown = Slice.of(space, around.surfaces, len(output.names)) if summary else None
        carousel = (
            carousel_of(output, store.scalar(output.scalar), shown, summary, found)
            if shown and summary
            else None
        )
    files = list(_files(output))
    links = [(path.name, path.relative_to(output.root).as_posix()) for path in files]
    if summary is None:
        note = 'This file has no summaries: build it again for figures (--overwrite).'
        return ScalarPart(output.scalar, output.key, _title(output), facts, note, [], [], links)
    table = album.table(
        _rows(output, summary, found), figure_name(output, 'sources', 'summary'), 'sources'
    )
    pictures = [
        album.add(picture, figure_name(output, what, suffix))
        for what, suffix, picture in _pictures(output, space, around, summary, found)
    ]
    if carousel is not None:
        album.add(carousel.sheet.picture, figure_name(output, 'images', 'map'))
    named = [(output.names[finding.source], finding.text) for finding in found]
    links = [('Numbers of each image (TSV)', table), *links]
    return ScalarPart(
        *(output.scalar, output.key, _title(output), facts, '', named, pictures, links),
        tuple(summary.rows['sha256'].tolist()),
        carousel,
    )


def _title(output: Output) -> str:
    units = f' ({output.units})' if output.units else ''
    space = f', {output.place}' if output.place else ''
    return f'{output.scalar}: {output.title}{units}{space}'


def _files(output: Output) -> Iterator[Path]:
    files = output.files
    for path in (files.store, files.cohort, files.group_mask, files.coverage):
        if path.exists():
            yield path


def _facts(output: Output, store: StoreReader, space: ElementSpace) -> Iterator[tuple[str, str]]:
    scalar = store.scalar(output.scalar)
    n_rows, n_columns = scalar.shape
    yield 'Images', f'{n_rows:,}'
    yield 'Elements', f'{n_columns:,} {space.kind}'
    yield 'File', f'{amount(output.files.store.stat().st_size)}, {scalar.stored_as}'
    mask_sources = Counter(source for source in output.mask_sources if source)
    if mask_sources:
        yield (
            'Masks',
            ', '.join(f'{source} {count}' for source, count in mask_sources.most_common()),
        )
    threshold = output.known.get('GroupMaskThreshold')
    if threshold is not None:
        yield 'Group mask', f'voxels in at least {100 * threshold:g}% of the masks'
    made: Mapping[str, Any] = output.known.get('Building', {})
    if made:
        yield 'Built in', f'{made["Seconds"]:.1f} s, with at most {made["PeakMemoryMB"]:,.0f} MB'
    if created := store.facts.get('created'):
        yield 'Built', f'{created}, version {store.facts.get("version", "unknown")}'


def _pictures(
    output: Output,
    space: ElementSpace,
    around: Surroundings,
    summary: Summary,
    found: Sequence[Finding],
) -> Iterator[tuple[str, str, Picture]]:
    """Yield what each shows, the suffix of its name, and the picture."""
    what = output.measure
    for shown, values in (('mean', summary.mean), ('sd', summary.sd)):
        if not np.isfinite(values).any():
            continue
        name = {'mean': 'Mean', 'sd': 'Standard deviation'}[shown]
        title = f'{name} of {output.scalar} over the cohort'
        pictures = map_pictures(
            space, values, Scale.of(values, what), title, surfaces=around.surfaces
        )
        for number, picture in enumerate(pictures):
            yield shown + 'Structures' * number, 'map', picture
    coverage = summary.count / len(summary.rows)
    mask = mask_picture(space, coverage, 'Group mask and coverage', around.background)
    if mask is not None and output.files.group_mask.exists():
        yield 'coverage', 'map', mask
    density = density_picture(space, f'Density of {space.kind}')
    if density is not None:
        yield 'density', 'map', density
    if output.files.coverage.exists():
        counts = coverage_counts(output.files.coverage, len(output.names))
        chart = chart_of_threshold(counts, output.known.get('GroupMaskThreshold'))
        yield 'threshold', 'plot', chart
    yield 'sources', 'plot', chart_of_sources(summary, output.names, found, what)


def _rows(output: Output, summary: Summary, found: Sequence[Finding]) -> Iterator[dict[str, Any]]:
    """Yield the numbers of each source, as ``columns.yaml`` says."""
    said = grouped((finding.source, finding.text) for finding in found)
    sources = output.cohort.sources()
    plain = [name for name in ROW.names or () if name not in {'quantiles', 'sha256'}]
    quantiles = [name for name in column_texts()['sources'] if name.startswith('q')]
    for number, row in enumerate(summary.rows):
        yield {
            'participant': output.names[number],
            'source_file': sources[number].name,
            'mask_source': output.mask_sources[number] or 'n/a',
            **{name: cell(row[name].item()) for name in plain},
            **{name: cell(float(q)) for name, q in zip(quantiles, row['quantiles'], strict=True)},
            'sha256': row['sha256'].decode(),
            'correlation': cell(float(summary.correlation[number])),
            'distance': cell(float(summary.distance[number])),
            'findings': '; '.join(said.get(number, ())) or 'n/a',
        }
