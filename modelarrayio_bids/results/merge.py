"""Analyses of slices of the elements → one analysis of all of them.

A cluster fits some elements in each job. Put together, all numbers stay as they are but for
adjusted p values: a run adjusts for the tests it knows of, its own. These are computed once more
from the raw p values of all elements.

The merged analysis is written into a copy of its file, which takes the file's place when it is
whole: HDF5 changes a file in several steps, and a process killed between two of them would leave
neither the results nor the data.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import chain
from pathlib import Path

import numpy as np

from modelarrayio_bids.errors import (
    SchemaError,
    SpaceMismatchError,
    UsageError,
    WouldLoseResultsError,
    raise_problems,
)
from modelarrayio_bids.models.adjustment import FWE, P_VALUE, corrected, p_adjust
from modelarrayio_bids.results.model_facts import joined
from modelarrayio_bids.results.slices import Slice, Sources, find_slices, require_alike
from modelarrayio_bids.runtime.disk import require_room
from modelarrayio_bids.runtime.overwriting import refuse_links
from modelarrayio_bids.runtime.progress import tracked
from modelarrayio_bids.runtime.resources import MIB, Resources
from modelarrayio_bids.runtime.text_format import amount, count
from modelarrayio_bids.runtime.user_input import resolved
from modelarrayio_bids.spaces import ElementSpace, References
from modelarrayio_bids.spaces.stored import space_of_store
from modelarrayio_bids.store import schema
from modelarrayio_bids.store.chunk_layout import Blocks, Layout
from modelarrayio_bids.store.provenance import run_provenance
from modelarrayio_bids.store.reader import Analysis, StoreReader
from modelarrayio_bids.store.scratch import Scratch, open_scratch
from modelarrayio_bids.store.writer import StoreWriter, refuse_to_replace

logger = logging.getLogger(__name__)

# As ModelArray stores what it computes: a thousand elements of all results to a chunk.
_LAYOUT = Layout('float64', chunk_columns=1000)
# Values of a block on its way to the file, where memory allows.
_IN_MEMORY = 128 * MIB
# As many rows as adjusting one takes, measured with a million p values.
_ROWS_TO_ADJUST = 8
# Runs of elements that an error lists.
_MOST_RANGES = 3


@dataclass(frozen=True)
class Merger:
    """Slices that make one analysis.

    Parameters
    ----------
    slices : tuple of Slice
        Parts of the analysis, with the same results.
    columns : numpy.ndarray
        (n_elements,) int64: the place of each element among those that some slice has.
    n_columns : int
        Number of elements that some slice has.
    adjusted : dict of tuple
        By number of a result, for adjusted p values: the number of the raw ones, and the method.
    n_sources : dict of int
        Number of sources in the slices, for scalars that have more by now.
    """

    slices: tuple[Slice, ...]
    columns: np.ndarray
    n_columns: int
    adjusted: Mapping[int, tuple[int, str]]
    n_sources: Mapping[str, int]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the results."""
        return self.slices[0].results.names

    def levels(self) -> dict[str, tuple[str, ...]]:
        """Return the levels of each factor: those of all slices, see :func:`joined_levels`."""
        return {
            name: joined_levels(one.results.levels[name] for one in self.slices)
            for name in self.slices[0].results.levels
        }

    def described(self) -> tuple[dict[str, str], dict[str, list[str]]]:
        """Return what the file is to say of the merged analysis: texts, and lists of texts."""
        results = [one.results for one in self.slices]
        facts = run_provenance() | joined([one.described for one in results])
        if self.n_sources:
            facts[schema.N_SOURCES_ATTRIBUTE] = json.dumps(self.n_sources)
        lists = {
            schema.MERGED_ANALYSES: [one.name for one in results],
            schema.MERGED_FILES: [str(one.path.absolute()) for one in results],
        }
        return facts, lists

    def fill(self, scratch: Scratch, threads: int) -> None:
        """Put every row together, each slice read once, and adjust p values."""
        levels = self.levels()
        for one in tracked(self.slices, 'Reading slices', len(self.slices), 'analyses'):
            for elements, block in one.blocks(levels, threads):
                scratch.put_columns(self.columns[elements], block)
        for number, (raw, method) in self.adjusted.items():
            scratch.put(number, p_adjust(scratch.row(raw), method))

    def blocks(self, resources: Resources) -> Blocks:
        """Return how the merged matrix is cut.

        Raises
        ------
        UsageError
            If the memory allowed is not enough, with the minimum that is needed.
        """
        shape = len(self.names), self.n_columns
        chunk = _LAYOUT.chunk(shape)
        chunk_bytes = 8 * shape[0] * chunk
        # p values, their order and what is made of them; then a block is filled beside a slice.
        adjusting = _ROWS_TO_ADJUST * 8 * self.n_columns if self.adjusted else 0
        writing = resources.writing_bytes(0, chunk_bytes)
        # The part of the decompressed data that goes into a block is copied once more.
        inflating = max(one.inflating_bytes for one in self.slices)
        needed = max(adjusting, inflating * 4 // 3 + writing)
        room = resources.room(self.n_columns, needed, 2 * chunk_bytes, to='merge')
        return Blocks.within(shape, chunk, 8, min(_IN_MEMORY, room // 2))


def joined_levels(factors: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """Join levels of one factor, of which slices have some each, in an order that all agree to.

    The order of the slices does not matter. Levels that nothing tells apart are in the order of
    their names, and so are all of them where two slices contradict each other.

    >>> joined_levels([['b', 'c'], ['a', 'b']])
    ('a', 'b', 'c')
    >>> joined_levels([['low', 'high'], ['high', 'low', 'lower']])
    ('high', 'low', 'lower')
    """
    order: TopologicalSorter[str] = TopologicalSorter()
    several = [tuple(levels) for levels in factors]
    for levels in several:
        for number, level in enumerate(levels):
            order.add(level, *levels[max(0, number - 1) : number])
    try:
        order.prepare()
    except CycleError:
        return tuple(sorted(set(chain.from_iterable(several))))
    joined: list[str] = []
    while order.is_active():
        ready = sorted(order.get_ready())
        joined += ready
        order.done(*ready)
    return tuple(joined)


def merge_results(
    stores: Sequence[str | os.PathLike[str]],
    analyses: Sequence[str],
    merged: str,
    output: str | os.PathLike[str] | None = None,
    *,
    allow_gaps: bool = False,
    overwrite: bool = False,
    resources: Resources = Resources(),
) -> Path:
    """Join analyses of slices of the elements.

    Parameters
    ----------
    stores : sequence of path-like
        The files that hold them.
    analyses : sequence of str
        Names, or patterns with ``*``, ``?`` and ``[…]``: of every file those that match. A pattern
        does not match ``merged``, which an earlier run may have written.
    merged : str
        Name of the analysis to write.
    output : path-like, optional
        The file to write it into, by default the one in ``stores``. One that is there keeps what it
        holds; a new one gets the elements beside the results, and no scalar.
    allow_gaps : bool, optional
        Leave elements that no slice has out of the merged analysis, too.
    overwrite : bool, optional
        Replace an analysis of that name.
    resources : Resources, optional
        Threads and memory.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    AnalysisNotFoundError
        If nothing in a file matches.
    SchemaError
        If slices overlap, leave gaps, or are of different models or scalars; if one was not
        finished, or an adjusted p value has no raw one beside it.
    CohortError
        If slices were made of different sources, or of some that ``output`` does not hold.
    SpaceMismatchError
        If the files are about different elements.
    WouldLoseResultsError
        If ``output`` holds an analysis of that name and ``overwrite`` is false.
    UsageError
        If ``output`` is another name of a file in ``stores``, such as a link to it.
    OutputError
        If the file cannot be written, or the disk has no room for it.
    """
    schema.check_analysis_name(merged)
    paths = list(dict.fromkeys(map(Path, stores)))
    target = _target(paths, output)
    with StoreReader(target) if target.exists() else nullcontext() as old:
        if old is not None and merged in old.analyses and not overwrite:
            raise WouldLoseResultsError(
                f'holds an analysis {merged} that would be lost',
                target,
                'Give another --merged-name, or replace it with --overwrite.',
            )
        space, n_elements = _elements([*paths, *([] if old is None else [target])])
        slices = find_slices(paths, analyses, merged, n_elements, resources.threads)
        held = {} if old is None else old.sources
        require_alike(slices, held, target)
        merger = _planned(slices, n_elements, held, allow_gaps=allow_gaps)
        _write(merger, merged, target, old, space=space, resources=resources)
    logger.info(
        'Wrote %s of %s: %s at %s, from %s',
        *(merged, target, count(len(schema.without_ids(merger.names)), 'result')),
        *(count(merger.n_columns, 'element'), count(len(merger.slices), 'analysis')),
    )
    return target


def _target(paths: Sequence[Path], output: str | os.PathLike[str] | None) -> Path:
    """Return the file to write to, once it is clear that it may be written."""
    if output is None and len(paths) > 1:
        raise UsageError(
            f'the analyses are in {len(paths)} files, and no output file was given',
            remedy='Name it with --output-hdf5, for example the file with the data.',
        )
    target = paths[0] if output is None else Path(output)
    refuse_links(target, paths)
    refuse_to_replace(target, overwrite=True)
    return target


def _elements(paths: Sequence[Path]) -> tuple[ElementSpace | None, int | None]:
    """Return the elements, and how many: all files that say which they are must say the same."""
    space: ElementSpace | None = None
    counts: dict[int, Path] = {}
    for path in paths:
        with StoreReader(path) as reader:
            own = space_of_store(reader, References()) if reader.template is not None else None
            count = reader.n_elements if own is None else len(own)
        if count is not None:
            counts.setdefault(count, path)
        if len(counts) > 1 or (own is not None and space is not None and own != space):
            raise SpaceMismatchError(
                f'has other elements than {next(iter(counts.values()))}',
                path,
                'Merge analyses of one file, or of copies of it.',
            )
        space = space or own
    return space, next(iter(counts), None)


def _planned(
    slices: Sequence[Slice], n_elements: int | None, held: Sources, *, allow_gaps: bool
) -> Merger:
    """Return how the slices make one analysis, if they do."""
    if n_elements is None and not allow_gaps:
        raise UsageError(
            'no file contains the number of elements, so missing elements cannot be detected',
            remedy='Name the file with the data as --output-hdf5, or give --allow-gaps.',
        )
    adjusted = _adjusted(slices[0].results)
    _refuse_family_wise(slices)
    present = _present(slices, n_elements or 1 + max(one.elements.max() for one in slices))
    if not present.all():
        _judge_gaps(np.flatnonzero(~present), len(slices), allow_gaps=allow_gaps)
    columns, n_columns = np.cumsum(present) - 1, int(present.sum())
    return Merger(tuple(slices), columns, n_columns, adjusted, _n_sources(slices, held))


def _n_sources(slices: Sequence[Slice], held: Sources) -> dict[str, int]:
    """Return how many sources slices were made of, of scalars that have more in the target."""
    known = next((one.sources for one in slices if one.sources), {})
    if known and held:
        return {
            scalar: len(names) for scalar, names in known.items() if len(names) < len(held[scalar])
        }
    return {scalar: n for one in slices for scalar, n in one.results.n_sources.items()}


def _adjusted(results: Analysis) -> dict[int, tuple[int, str]]:
    """Return by number of a result, for adjusted p values: the number of the raw ones, the method.

    Raises
    ------
    SchemaError
        If the raw ones are not there.
    """
    adjusted = {}
    for number, name in enumerate(results.names):
        if (found := corrected(name)) is None:
            continue
        raw, method = found
        if raw not in results.names:
            raise SchemaError(
                f'analysis {results.name} has {name} without {raw}: adjusted p values of slices '
                'can only be computed again from raw ones',
                results.path,
                'Run it again with "p.value" among var.terms and var.model.',
            )
        adjusted[number] = results.names.index(raw), method
    return adjusted


def _refuse_family_wise(slices: Sequence[Slice]) -> None:
    """Refuse p values that permutations corrected for the elements of each slice alone."""
    for name in slices[0].results.names if len(slices) > 1 else ():
        if name.endswith(f'.{P_VALUE}.{FWE}'):
            raise SchemaError(
                f'analysis {slices[0].results.name} has {name}, which permutations corrected for '
                'its own elements, and which cannot be computed again from slices',
                slices[0].results.path,
                'Fit all elements at once with --permutations, or merge analyses without them.',
            )


def _present(slices: Sequence[Slice], n_elements: int) -> np.ndarray:
    """Return whether a slice has each element, (n_elements,) bool; no two may have one.

    Raises
    ------
    SchemaError
        With the slices that overlap, and where.
    """
    owners = np.full(n_elements, -1, np.int32)
    problems = []
    for number, one in enumerate(slices):
        taken = owners[one.elements]
        for other in np.unique(taken[taken >= 0]):
            twice = _ranges(np.sort(one.elements[taken == other]))
            problems.append(
                SchemaError(
                    f'{slices[other]} and {one} overlap: both have the {schema.ELEMENT_ID} {twice}',
                    remedy='Leave one of them out, or run it again with other elements.',
                )
            )
        owners[one.elements] = number
    raise_problems(problems)
    return owners >= 0


def _judge_gaps(missing: np.ndarray, n_slices: int, *, allow_gaps: bool) -> None:
    """Refuse, or tell of, elements that are in no slice: (n_missing,) integers, ascending."""
    are, them = ('is', 'it') if missing.size == 1 else ('are', 'them')
    what = (
        f'{count(missing.size, "element")} {are} in none of the slices '
        f'({count(n_slices, "analysis")}): {schema.ELEMENT_ID} {_ranges(missing)}'
    )
    if allow_gaps:
        logger.warning('%s. There will be no results at these elements.', what)
        return
    breaks = np.flatnonzero(np.diff(missing) > 1)
    last = missing[breaks[0]] if breaks.size else missing[-1]
    raise SchemaError(
        what,
        remedy=f'Run {them} in R, which counts from 1 (element.subset = {missing[0] + 1}:{last + 1}'
        f'{" first" if breaks.size else ""}), or do without {them}: --allow-gaps.',
    )


def _ranges(elements: np.ndarray) -> str:
    """Say which runs of ascending numbers there are.

    >>> _ranges(np.array([0, 1, 2, 7, 9, 10, 12, 14]))
    '0–2, 7, 9–10 and 2 more ranges'
    """
    breaks = np.flatnonzero(np.diff(elements) > 1)
    firsts, lasts = elements[np.append(0, breaks + 1)], elements[np.append(breaks, -1)]
    shown = [
        f'{first:,}' if first == last else f'{first:,}–{last:,}'
        for first, last in zip(firsts[:_MOST_RANGES], lasts[:_MOST_RANGES], strict=True)
    ]
    others = firsts.size - _MOST_RANGES
    return ', '.join(shown) + (f' and {count(others, "more range")}' if others > 0 else '')


def _write(
    merger: Merger,
    merged: str,
    target: Path,
    old: StoreReader | None,
    *,
    space: ElementSpace | None,
    resources: Resources,
) -> None:
    """Write the merged analysis into a copy of the file that is there, or into a new one."""
    blocks = merger.blocks(resources)
    # Once on its way, and once in the file.
    require_room(resolved(target).parent, 2 * 8 * blocks.n_rows * blocks.n_columns, target)
    if old is not None:
        logger.info('Copying %s (%s), to add to the copy', target, amount(target.stat().st_size))
    copied = None if old is None else target
    with StoreWriter(target, _LAYOUT, overwrite=old is not None, copy_of=copied) as store:
        with open_scratch(blocks, np.dtype(np.float64), target.resolve().parent) as scratch:
            merger.fill(scratch, resources.threads)
            levels = merger.levels()
            store.write_results(merged, merger.names, scratch, levels, resources.threads)
        store.describe_results(merged, *merger.described())
        if old is not None:
            old.require_unchanged()
            return
        # A new file says which elements the results are about, for their export.
        if space is not None:
            store.write_space(space.kind, space.tables(), space.template())
        store.write_provenance(run_provenance(), {})
