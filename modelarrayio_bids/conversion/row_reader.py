"""Reading: the headers of all sources first, then their values, row by row."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from modelarrayio_bids.cohort import VOLUME, Source
from modelarrayio_bids.errors import (
    CohortError,
    ModelArrayIOError,
    RemoteFileError,
    SpaceMismatchError,
    UsageError,
    raise_problems,
)
from modelarrayio_bids.runtime.locations import held_bytes, readers
from modelarrayio_bids.runtime.parallel import ordered_map
from modelarrayio_bids.runtime.progress import tracked
from modelarrayio_bids.spaces import ElementSpace
from modelarrayio_bids.store.scratch import as_stored

logger = logging.getLogger(__name__)


def check_sources(sources: Sequence[Source], space: ElementSpace, threads: int = 1) -> int:
    """Compare every source's header with the space, and raise all problems at once.

    Returns
    -------
    int
        Most bytes of memory that reading one of them takes.

    Raises
    ------
    ModelArrayIOError
        The one problem, or a :class:`CohortProblemsError` of all.
    RemoteFileError, UsageError
        If a remote one does not come, or cannot without a package or credentials.
    """
    most, problems = checked_sources(sources, space, threads)
    raise_problems(problems)
    return most


def checked_sources(
    sources: Sequence[Source], space: ElementSpace, threads: int = 1
) -> tuple[int, list[ModelArrayIOError]]:
    """Return the most bytes that reading a source takes, and all problems of headers once."""
    checks = ordered_map(partial(_check, space), sources, readers_of(sources, threads))
    found = list(tracked(checks, 'Checking headers', len(sources), 'images'))
    sizes = [size for size in found if isinstance(size, int)]
    problems = [problem for problem in found if isinstance(problem, ModelArrayIOError)]
    if space.origin is not None and _all_differ_alike(problems, sources):
        what = f'is on another grid than all {len(sources)} images: each {problems[0].what}'
        remedy = 'Give a mask on the grid of the images.'
        return 0, [SpaceMismatchError(what, space.origin, remedy)]
    # One mask may serve many rows: say it once.
    return max(sizes, default=0), list({str(problem): problem for problem in problems}.values())


def _all_differ_alike(problems: Sequence[ModelArrayIOError], sources: Sequence[Source]) -> bool:
    """Return whether several images differ from the space, and none otherwise than the others."""
    return (
        1 < len(sources) == len(problems)
        and all(isinstance(problem, SpaceMismatchError) for problem in problems)
        # Not their own masks, where the images are as they should be.
        and all(
            problem.path == str(source.path)
            for problem, source in zip(problems, sources, strict=True)
        )
        and len({problem.what for problem in problems}) == 1
    )


def readers_of(sources: Iterable[Source], threads: int) -> int:
    """Return how many sources are read at a time."""
    return readers((path for source in sources for path in (source.path, source.mask)), threads)


def read_rows(
    sources: Sequence[Source],
    space: ElementSpace,
    put: Callable[[int, np.ndarray], None],
    threads: int,
    dtype: np.dtype,
) -> None:
    """Read the values of sources, each handed on in the thread that read it.

    Parameters
    ----------
    sources : sequence of Source
        Sources of one scalar.
    space : ElementSpace
        The elements.
    put : callable
        Takes the number of a row and its values, (n_elements,).
    threads : int
        Threads that read.
    dtype : numpy.dtype
        Type in which values will be kept: images with larger values cause a warning.
    """

    def read(part: tuple[int, Any]) -> None:
        row, stacked = part
        source = sources[row]
        values = space.read(source) if stacked is None else space.read_stacked(source, stacked)
        stored = as_stored(values, dtype)
        n_finite = np.count_nonzero(np.isfinite(values))
        if not n_finite:
            logger.warning('%s: has no finite value at any element', sources[row].path)
        elif stored is not values and np.count_nonzero(np.isfinite(stored)) < n_finite:
            what = '%s: has values that %s cannot hold; they become infinite'
            logger.warning(what, sources[row].path, dtype.name)
        put(row, stored)

    done = ordered_map(read, _parts(sources, space), readers_of(sources, threads))
    for _ in tracked(done, f'Reading {sources[0].scalar}', len(sources), 'images'):
        pass


def _parts(sources: Sequence[Source], space: ElementSpace) -> Iterator[tuple[int, Any]]:
    """Yield each row, with what was read of it already: volumes of one file, inflated once."""
    stacks: dict[Path, dict[int, int]] = defaultdict(dict)
    for row, source in enumerate(sources):
        if source.volume is None:
            yield row, None
        else:
            stacks[source.path][source.volume] = row
    for path, rows in stacks.items():
        for number, volume in zip(sorted(rows), space.stacked(path, list(rows)), strict=True):
            yield rows[number], volume


def _check(space: ElementSpace, source: Source) -> int | ModelArrayIOError:
    try:
        if source.volume is not None and not space.stacks:
            raise CohortError(
                f'{source.name} has a {VOLUME}, and only NIfTI files of voxels hold several images',
                remedy='Leave that cell blank.',
            )
        return space.check(source) + max(map(held_bytes, (source.path, source.mask)))
    except (UsageError, RemoteFileError):
        raise  # of all sources: nothing to wait for as often as there are any
    except ModelArrayIOError as error:
        return error
