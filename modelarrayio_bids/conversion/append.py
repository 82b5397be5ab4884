"""Appending sources to an HDF5 file: a new file of the old rows and the new ones.

Chunks span all sources, so none of the old ones can stay: the file is written anew, the old rows
from its own values and the new ones from their images, and takes the old one's place when it is
whole. It is the file that both cohorts would have made at once.
"""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from modelarrayio_bids.cohort import Cohort, Source
from modelarrayio_bids.conversion.build import (
    identity_of,
    read_matrix,
    source_provenance,
    write_scalar,
)
from modelarrayio_bids.conversion.row_reader import checked_sources
from modelarrayio_bids.errors import (
    CohortError,
    DuplicateSourceError,
    MixedSpacesError,
    ModelArrayIOError,
    UsageError,
    WouldLoseResultsError,
    raise_problems,
)
from modelarrayio_bids.runtime.disk import require_room
from modelarrayio_bids.runtime.locations import is_address, location, place_of
from modelarrayio_bids.runtime.resources import Resources
from modelarrayio_bids.runtime.text_format import some
from modelarrayio_bids.runtime.user_input import resolved
from modelarrayio_bids.spaces import ElementSpace, References, space_class
from modelarrayio_bids.spaces.stored import space_of_store
from modelarrayio_bids.store import schema
from modelarrayio_bids.store.chunk_layout import Layout
from modelarrayio_bids.store.provenance import run_provenance
from modelarrayio_bids.store.reader import StoreReader
from modelarrayio_bids.store.scalars import Scalar
from modelarrayio_bids.store.writer import StoreWriter, refuse_to_replace

logger = logging.getLogger(__name__)

_FACTS = ('software', 'version', 'command', 'created')
# Facts about a source that are unknown.
_UNKNOWN = {'path': '', 'mask': '', schema.SOURCE_SIZES: -1, schema.SOURCE_TIMES: math.nan}


@dataclass(frozen=True)
class Extension:
    """One scalar of a file, and the sources to add to it.

    Parameters
    ----------
    scalar : Scalar
        As it is in the file.
    added : tuple of Source
        The new rows.
    """

    scalar: Scalar
    added: tuple[Source, ...]

    @cached_property
    def held(self) -> tuple[Source, ...]:
        """The sources that the file holds, as far as it knows them."""
        facets = self.scalar.facets
        unknown = [''] * len(self.scalar.names)
        paths, masks = facets.get('path', unknown), facets.get('mask', unknown)
        return tuple(
            Source(self.scalar.name, name, location(path), location(mask) if mask else None)
            for name, path, mask in zip(self.scalar.names, paths, masks, strict=True)
        )

    @property
    def sources(self) -> tuple[Source, ...]:
        """Rows of the scalar to be, old and new."""
        return (*self.held, *self.added)

    @property
    def growth(self) -> int:
        """Expected growth of the values in the file in bytes, if the new ones compress as well."""
        return math.ceil(self.scalar.stored_bytes * len(self.added) / len(self.held))

    def doubles(self) -> list[str]:
        """Return the names of new sources that the file holds, by their name or by their path."""
        names = set(self.scalar.names)
        paths = {_normal(path) for path in self.scalar.facets.get('path', ()) if path}
        return [
            source.name
            for source in self.added
            if source.name in names or (source.volume is None and _normal(source.path) in paths)
        ]

    def facets(self) -> dict[str, list]:
        """Return facts about each source; blank, −1 or NaN of those of another program's file."""
        return {
            name: [*self.scalar.facets.get(name, [_UNKNOWN[name]] * len(self.held)), *new]
            for name, new in source_provenance(self.added).items()
        }

    def changed(self) -> list[str]:
        """Return the names of old sources whose images, on a disk, changed since."""
        sizes, times = (self.scalar.facets.get(name, ()) for name in schema.SOURCE_STATUS)
        return [
            source.name
            for source, size, modified in zip(self.held, sizes, times, strict=False)
            if size >= 0
            and not is_address(str(source.path))
            and source.path.is_file()
            and _status(source.path) != (size, modified)
        ]


@dataclass(frozen=True)
class _Plan:
    """The sources to add to a file, once everything about them was checked.

    Parameters
    ----------
    old : StoreReader
        The file to add to.
    space : ElementSpace
        Its elements.
    extensions : dict of Extension
        By scalar: those that get new sources.
    source_bytes : int
        Most bytes of memory that reading one of these takes.
    """

    old: StoreReader
    space: ElementSpace
    extensions: Mapping[str, Extension]
    source_bytes: int

    @property
    def scalars(self) -> dict[str, Extension]:
        """Scalars of the file, those too that get nothing."""
        return {
            name: self.extensions.get(name, Extension(self.old.scalar(name), ()))
            for name in self.old.scalars
        }

    @property
    def layout(self) -> Layout:
        """Layout of the values, as they are in the file."""
        return self.old.layout(extension.scalar for extension in self.extensions.values())

    def __str__(self) -> str:
        counts = ', '.join(
            f'{name} × {len(extension.held)} + {len(extension.added)}'
            for name, extension in self.extensions.items()
        )
        return f'{counts} over {len(self.space):,} {self.space.kind}'


def append_sources(
    cohort: Cohort,
    output: str | os.PathLike[str],
    origin: str | os.PathLike[str] | None = None,
    references: References = References(),
    resources: Resources = Resources(),
    *,
    keep_results: bool = False,
    overwrite: bool = False,
) -> Path:
    """Add the sources of a cohort to those of an HDF5 file.

    Parameters
    ----------
    cohort : Cohort
        The new sources, of scalars that the file holds. Those of a scalar follow the old ones, in
        the order of the cohort.
    output : path-like
        The file to write. It appears when it is whole, and replaces what was there.
    origin : path-like, optional
        The file to add to; by default ``output``.
    references : References, optional
        Files that say which elements there are, for a file that does not; and the map to take of
        images with several.
    resources : Resources, optional
        Threads and memory.
    keep_results : bool, optional
        Take over the results, marked as those of fewer sources.
    overwrite : bool, optional
        Replace a file even if it holds results.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    CohortProblemsError
        With everything that keeps sources from being added, before any data is read; one problem
        alone as its own error.
    WouldLoseResultsError
        If results would be lost and neither ``keep_results`` nor ``overwrite`` is true.
    OutputError
        If the file cannot be created, is being written, or the disk has no room for it.
    """
    output = Path(output)
    refuse_to_replace(output, overwrite=True)
    logger.info('Reading %s', output if origin is None else origin)
    with StoreReader(Path(output if origin is None else origin)) as old:
        in_place = output.exists() and old.path.samefile(output)
        if in_place and not overwrite:
            _require_kept(old, keep_results=keep_results)
        plan = _planned(cohort, old, _space(old, references), resources.threads)
        _require_room(plan, output)
        overwrite |= in_place and keep_results
        with StoreWriter(output, plan.layout, overwrite=overwrite) as store:
            _write(store, plan, resources)
            if keep_results:
                store.copy(old.results())
                store.mark_results({name: len(ext.held) for name, ext in plan.extensions.items()})
            old.require_unchanged()
    logger.info('Wrote %s: %s', output, plan)
    return output


def _write(store: StoreWriter, plan: _Plan, resources: Resources) -> None:
    # Before they are read: a source that changes meanwhile shows.
    facets = {name: extension.facets() for name, extension in plan.extensions.items()}
    facts = _facts(plan)
    store.write_space(plan.space.kind, plan.space.tables(), plan.space.template())
    for name, extension in plan.scalars.items():
        if not extension.added:
            store.copy(plan.old.parts_of(name))
            continue
        # Rows are recorded if the old ones were.
        known = plan.old.summary(name)
        with read_matrix(
            extension.added,
            space=plan.space,
            store=store,
            resources=resources,
            source_bytes=plan.source_bytes,
            summaries=known is not None,
            above=extension.scalar,
        ) as (matrix, new):
            records = None if known is None else np.concatenate([known.rows, new])
            write_scalar(store, extension.sources, matrix, resources.threads, records)
    store.write_provenance(facts, facets)
    store.write_history(_history(plan, facts))
    store.copy(plan.old.others(plan.space.tables()))


def _space(old: StoreReader, references: References) -> ElementSpace:
    """Return the elements of the file: its own, once they agree with those of a user's files."""
    files = replace(references, map=None)
    space = space_of_store(old, files)
    if files != References() and old.template is not None:
        space = space_of_store(old, References())
    return space if references.map is None else space.with_map(references.map)


def _planned(cohort: Cohort, old: StoreReader, space: ElementSpace, threads: int) -> _Plan:
    """Return what to add to which scalar, after all checks."""
    extensions = {
        name: Extension(old.scalar(name), cohort.sources(name))
        for name in cohort.scalars
        if name in old.scalars
    }
    others = list(_of_other_kinds(cohort, space, old.path))
    problems = [*_unknown_scalars(cohort, old), *_doubles(extensions.values()), *others]
    most = 0
    if not others:
        most, of_headers = checked_sources(cohort.sources(), space, threads)
        problems += of_headers
    raise_problems(problems)
    _tell(old, extensions)
    return _Plan(old, space, extensions, most)


def _unknown_scalars(cohort: Cohort, old: StoreReader) -> Iterator[CohortError]:
    for name in cohort.scalars:
        if name not in old.scalars:
            held = ', '.join(old.scalars) or 'none'
            yield CohortError(
                f'holds no scalar {name!r}; it holds {held}',
                old.path,
                'Build a file of its own for it (to-modelarray), or leave its rows out.',
            )


def _doubles(extensions: Iterable[Extension]) -> Iterator[DuplicateSourceError]:
    for extension in extensions:
        if doubles := extension.doubles():
            yield DuplicateSourceError(
                f'holds {len(doubles)} of the new sources of {extension.scalar.name} already: '
                f'{some(doubles)}',
                extension.scalar.path,
                'Remove their rows from the cohort: only new ones are to be in it.',
            )


def _of_other_kinds(cohort: Cohort, space: ElementSpace, path: Path) -> Iterator[ModelArrayIOError]:
    """Yield what needs no header to be seen: images of another kind, and masks that no row has."""
    kinds = {space_class(source.path.name).kind: source.name for source in cohort.sources()}
    for kind, name in kinds.items():
        if kind != space.kind:
            yield MixedSpacesError(
                f'holds {space.kind}, and {name} is of {kind}', path, 'Leave such images out.'
            )
    if space.needs_masks and not any(source.mask for source in cohort.sources()):
        yield CohortError(
            'no row of the cohort has a source_mask_file',
            remedy='Add the column; where a subject has no mask of its own, give the group mask.',
        )


def _require_kept(old: StoreReader, *, keep_results: bool) -> None:
    if old.analyses and not keep_results:
        raise WouldLoseResultsError(
            f'holds results of the smaller cohort: {some(old.analyses)}',
            old.path,
            'Keep them, marked as such, with --keep-results, or drop them with --overwrite.',
        )


def _require_room(plan: _Plan, output: Path) -> None:
    """Look for room for the new file, and for the new rows until they are in it."""
    extensions = plan.extensions.values()
    most = max(len(ext.added) * ext.scalar.values.dtype.itemsize for ext in extensions)
    needed = plan.old.path.stat().st_size + sum(ext.growth for ext in extensions)
    require_room(resolved(output).parent, needed + most * len(plan.space), output)


def _tell(old: StoreReader, extensions: Mapping[str, Extension]) -> None:
    """Log what a user should know of, and nothing needs to be done about."""
    for name in old.scalars:
        if name not in extensions:
            logger.warning(
                '%s stays as it is, with %d sources: a formula across scalars needs equal sources',
                *(name, len(old.scalar(name).names)),
            )
    for name, extension in extensions.items():
        if changed := extension.changed():
            logger.warning(
                'Images of %s that changed since the file was made, whose rows stay as they were '
                '(%d): %s',
                *(name, len(changed), some(changed)),
            )


def _facts(plan: _Plan) -> dict[str, str]:
    """Return what makes the file, and what it would be known by, had it been made at once."""
    layout, scalars = plan.layout, plan.scalars.values()
    facts = run_provenance() | {schema.LAYOUT_ATTRIBUTE: layout.to_json()}
    if plan.old.identity is None:
        return facts
    held = [source for extension in scalars for source in extension.held]
    every = [source for extension in scalars for source in extension.sources]
    # Without an image of the old rows, this cannot be determined.
    with suppress(OSError, UsageError):
        if plan.old.identity == identity_of(held, plan.space, layout):
            facts[schema.IDENTITY_ATTRIBUTE] = identity_of(every, plan.space, layout)
    return facts


def _history(plan: _Plan, facts: Mapping[str, str]) -> list[str]:
    """Return what made the file, run by run, with the number of sources of each scalar then."""
    before = {name: len(extension.held) for name, extension in plan.scalars.items()}
    now = {name: len(extension.sources) for name, extension in plan.scalars.items()}
    return [*(plan.old.history or [_event(plan.old.facts, before)]), _event(facts, now)]


def _event(facts: Mapping[str, str], n_sources: Mapping[str, int]) -> str:
    told = {name: facts[name] for name in _FACTS if name in facts}
    return json.dumps({**told, schema.N_SOURCES_ATTRIBUTE: n_sources})


def _normal(path: str | Path) -> str:
    return place_of(location(path))


def _status(path: Path) -> tuple[int, float]:
    found = path.stat()
    return found.st_size, found.st_mtime
