"""Scalars on a page: the file, the maps of its elements, and its people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from modelarrayio_bids.masks import coverage_counts
from modelarrayio_bids.reports import DRAWING_ELEMENT
from modelarrayio_bids.reports.figures.backgrounds import Surroundings
from modelarrayio_bids.reports.figures.cohort_charts import chart_of_sources, chart_of_threshold
from modelarrayio_bids.reports.figures.contact_sheet import Slice
from modelarrayio_bids.reports.figures.pictures import density_picture, map_pictures, mask_picture
from modelarrayio_bids.reports.figures.scales import Scale, cell
from modelarrayio_bids.reports.figures.style import Picture
from modelarrayio_bids.reports.findings.outliers import Finding, findings, groups_of, mirrored
from modelarrayio_bids.reports.findings.output_folder import Output
from modelarrayio_bids.reports.page.album import Album, Part, column_texts, figure_name
from modelarrayio_bids.reports.page.carousels import Carousel, carousel_of
from modelarrayio_bids.runtime.grouping import grouped
from modelarrayio_bids.runtime.resources import Resources
from modelarrayio_bids.runtime.text_format import amount, some
from modelarrayio_bids.spaces import ElementSpace, References
from modelarrayio_bids.spaces.stored import space_of_store
from modelarrayio_bids.store.reader import StoreReader
from modelarrayio_bids.store.summary import ROW, Summary

_NO_SUMMARY = 'This file has no summaries: build it again for figures (--overwrite).'


@dataclass(frozen=True)
class ScalarPart(Part):
    """One scalar in one space on a page, with a note on why there is nothing more to see.

    Parameters
    ----------
    name, anchor, title : str
        In R; of its place in the page; for people.
    facts : list of tuple
        Name and value of each fact about the file.
    findings : list of tuple
        Source and description of each finding.
    carousel : Carousel, optional
        A slice of everybody's map.
    checksums : tuple of bytes
        Checksum of the file of each image; empty if unknown.
    """

    name: str = ''
    anchor: str = ''
    title: str = ''
    facts: list[tuple[str, str]] = field(default_factory=list)
    findings: list[tuple[str, str]] = field(default_factory=list)
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
        scalar, n_elements = store.scalar(output.scalar), store.scalar(output.scalar).shape[1]
        resources.room(n_elements, DRAWING_ELEMENT * n_elements, to='draw')
        space, summary = space_of_store(store, References()), store.summary(output.scalar)
        part = ScalarPart(
            links=list(_links(output)),
            name=output.scalar,
            anchor=output.key,
            title=_title(output),
            facts=list(_facts(output, store, space)),
        )
        if summary is None:
            return replace(part, note=_NO_SUMMARY)
        around = Surroundings.of(output, space, summary)
        found = findings(summary, output.names, mirrored(scalar, space, summary))
        shown = Slice.of(space, around.surfaces, len(output.names))
        carousel = carousel_of(output, scalar, shown, summary, found) if shown else None
    table = album.table(
        _rows(output, summary, found), figure_name(output, 'sources', 'summary'), 'sources'
    )
    pictures = [
        album.add(picture, figure_name(output, what, suffix))
        for what, suffix, picture in _pictures(output, space, around, summary, found)
    ]
    if carousel is not None:
        album.add(carousel.sheet.picture, figure_name(output, 'images', 'map'))
    return replace(
        part,
        pictures=pictures,
        links=[('Numbers of each image (TSV)', table), *part.links],
        findings=[(output.names[one.source], one.text) for one in found],
        checksums=tuple(summary.rows['sha256'].tolist()),
        carousel=carousel,
    )


def _title(output: Output) -> str:
    units = f' ({output.units})' if output.units else ''
    space = f', {output.place}' if output.place else ''
    return f'{output.scalar}: {output.title}{units}{space}'


def _links(output: Output) -> Iterator[tuple[str, str]]:
    files = output.files
    for path in (files.store, files.cohort, files.group_mask, files.coverage):
        if path.exists():
            yield path.name, path.relative_to(output.root).as_posix()


def _facts(output: Output, store: StoreReader, space: ElementSpace) -> Iterator[tuple[str, str]]:
    scalar = store.scalar(output.scalar)
    n_rows, n_columns = scalar.shape
    yield 'Images', f'{n_rows:,}'
    yield 'Elements', f'{n_columns:,} {space.kind}'
    yield 'File', f'{amount(output.files.store.stat().st_size)}, {scalar.stored_as}'
    mask_sources = Counter(source for source in output.mask_sources if source)
    if mask_sources:
        told = (f'{source} {count}' for source, count in mask_sources.most_common())
        yield 'Masks', ', '.join(told)
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
    for shown, name, values in (
        ('mean', 'Mean', summary.mean),
        ('sd', 'Standard deviation', summary.sd),
    ):
        if np.isfinite(values).any():
            title, scale = f'{name} of {output.scalar} over the cohort', Scale.of(values, what)
            pictures = map_pictures(space, values, scale, title, surfaces=around.surfaces)
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
