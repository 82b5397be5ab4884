"""A cohort and an element space → one HDF5 file.

The stages, each in a module of its own: every source's header is checked; rows are read in
threads; :mod:`~modelarrayio_bids.store.scratch` turns rows into blocks of columns within a memory
budget; :mod:`~modelarrayio_bids.store.writer` cuts blocks into chunks, compresses them in threads
and gives the file its name when it is whole.
"""

from __future__ import annotations

import logging
import math
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np

from modelarrayio_bids.__about__ import NAME, __version__
from modelarrayio_bids.cohort import Cohort, Source
from modelarrayio_bids.errors import ModelArrayIOError, UsageError, raise_problems
from modelarrayio_bids.parallel import ordered_map
from modelarrayio_bids.progress import tracked
from modelarrayio_bids.spaces import ElementSpace
from modelarrayio_bids.store import schema
from modelarrayio_bids.store.chunks import MIB, Blocks
from modelarrayio_bids.store.scratch import Scratch
from modelarrayio_bids.store.writer import Layout, StoreWriter

logger = logging.getLogger(__name__)

# Python with numpy, h5py and nibabel loaded, measured on Linux.
_PROGRAM_BYTES = 64 * MIB
# Bytes an element and thread while reading, measured on volumes whose mask is a quarter of the
# grid: the image compressed and inflated, its values, and what the allocator keeps of them.
_READING_BYTES = 64


@dataclass(frozen=True)
class Resources:
    """What a run may use.

    Parameters
    ----------
    threads : int
        Read and compress at the same time.
    memory : int, optional
        Bytes of the whole process; without it, blocks of 32 to 256 MiB are used.
    scratch : pathlib.Path, optional
        Folder for rows that do not fit; by default the output's.
    """

    threads: int = 1
    memory: int | None = None
    scratch: Path | None = None

    def __post_init__(self) -> None:
        if self.threads < 1:
            raise UsageError('at least one thread is needed', remedy='Give 1 or more.')

    def block_bytes(self, shape: tuple[int, int], itemsize: int) -> int:
        """Bytes of a block of columns for a matrix of this shape.

        Small blocks stay in the processor's reach, large ones make long writes: the geometric
        mean of the matrix and 1 MiB was the fastest, from 50 sources to 2,000.

        Raises
        ------
        UsageError
            If the memory allowed is not enough to read one image.
        """
        n_rows, n_columns = shape
        best = math.isqrt(n_rows * n_columns * itemsize * MIB)
        wanted = min(max(best, 32 * MIB), 256 * MIB)
        if self.memory is None:
            return wanted
        reading = _PROGRAM_BYTES + self.threads * n_columns * _READING_BYTES
        free = self.memory - reading
        if free < MIB:
            raise UsageError(
                f'{self.memory // MIB} MB of memory are too few to read images of {n_columns:,} '
                f'elements in {self.threads} threads',
                remedy=f'Give at least {-(-(reading + MIB) // MIB)} MB, or fewer threads.',
            )
        return min(wanted, free)


def to_modelarray(
    cohort: Cohort,
    space: ElementSpace,
    output: str | os.PathLike[str],
    layout: Layout = Layout(),
    resources: Resources = Resources(),
    *,
    overwrite: bool = False,
) -> Path:
    """Write every scalar of a cohort to one HDF5 file that ModelArray opens.

    Parameters
    ----------
    cohort : Cohort
        The sources, their order that of the rows.
    space : ElementSpace
        The elements, their order that of the columns.
    output : path-like
        The file. It appears when it is whole; one that was there is replaced then.
    layout : Layout, optional
        Type, chunks and compression of the values.
    resources : Resources, optional
        Threads and memory.
    overwrite : bool, optional
        Replace a file even if it holds results.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    CohortProblemsError
        With every source that cannot be used, before any data is read; one alone as its own error.
    WouldLoseResultsError
        If ``output`` holds results and ``overwrite`` is false.
    OutputError
        If it cannot be created.
    """
    output = Path(output)
    for scalar in cohort.scalars:
        schema.check_scalar_name(scalar)
    with StoreWriter(output, layout, overwrite=overwrite) as store:
        check_sources(cohort.sources(), space, resources.threads)
        # Before they are read: a source that changes meanwhile shows.
        facets = {scalar: _facets(cohort.sources(scalar)) for scalar in cohort.scalars}
        store.write_space(space.kind, space.tables(), space.template())
        for scalar in cohort.scalars:
            _write_scalar(store, cohort.sources(scalar), space, resources)
        store.write_provenance(_facts(), facets)
    logger.info('Wrote %s: %s', output, _contents(cohort, space))
    return output


def check_sources(sources: Sequence[Source], space: ElementSpace, threads: int = 1) -> None:
    """Compare every source's header with the space, and raise all problems at once.

    Raises
    ------
    ModelArrayIOError
        The one problem, or a :class:`CohortProblemsError` of all.
    """
    raise_problems(source_problems(sources, space, threads))


def source_problems(
    sources: Sequence[Source], space: ElementSpace, threads: int = 1
) -> list[ModelArrayIOError]:
    """What the headers of sources have against the space: each problem once."""
    checks = ordered_map(partial(_problem, space), sources, threads)
    found = list(tracked(checks, 'Checking headers', len(sources), 'images'))
    # One mask may serve many rows: say it once.
    return list({str(problem): problem for problem in found if problem}.values())


def _problem(space: ElementSpace, source: Source) -> ModelArrayIOError | None:
    try:
        space.check(source)
    except ModelArrayIOError as error:
        return error
    return None


def _write_scalar(
    store: StoreWriter, sources: Sequence[Source], space: ElementSpace, resources: Resources
) -> None:
    scalar, shape = sources[0].scalar, (len(sources), len(space))
    dtype = np.dtype(store.layout.dtype)
    budget = resources.block_bytes(shape, dtype.itemsize)
    blocks = Blocks.within(shape, store.layout.chunk(shape), dtype.itemsize, budget)
    with Scratch(blocks, dtype, resources.scratch or store.path.parent) as scratch:
        rows = ordered_map(space.read, sources, resources.threads)
        for row, values in enumerate(tracked(rows, f'Reading {scalar}', len(sources), 'images')):
            if not np.isfinite(values).any():
                logger.warning('%s: has no finite value at any element', sources[row].path)
            scratch.put(row, values)
        names = [source.name for source in sources]
        n_chunks = -(-shape[1] // blocks.chunk)
        written = store.write_scalar(scalar, names, scratch, resources.threads)
        for _ in tracked(written, f'Writing {scalar}', n_chunks, 'chunks'):
            pass


def _facts() -> dict[str, str]:
    """What made the file; ``SOURCE_DATE_EPOCH`` fixes the date for reproducible files."""
    now = float(os.environ.get('SOURCE_DATE_EPOCH', time.time()))
    return {
        'software': NAME,
        'version': __version__,
        'command': ' '.join(sys.argv),
        'created': datetime.fromtimestamp(now, UTC).isoformat(timespec='seconds'),
    }


def _facets(sources: Sequence[Source]) -> dict[str, list]:
    """What would show later that a source has changed since."""
    status = [source.path.stat() for source in sources]
    return {
        'path': [str(source.path.absolute()) for source in sources],
        'mask': [str(source.mask.absolute()) if source.mask else '' for source in sources],
        schema.SOURCE_SIZES: [entry.st_size for entry in status],
        schema.SOURCE_TIMES: [entry.st_mtime for entry in status],
    }


def _contents(cohort: Cohort, space: ElementSpace) -> str:
    counts = ', '.join(f'{scalar} × {len(cohort.sources(scalar))}' for scalar in cohort.scalars)
    return f'{counts} over {len(space):,} {space.kind}'
