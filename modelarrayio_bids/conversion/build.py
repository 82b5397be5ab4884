"""A cohort and an element space → one HDF5 file.

The stages, each in a module of its own: :mod:`~modelarrayio_bids.conversion.row_reader` checks
every source's header, then reads rows in threads; :mod:`~modelarrayio_bids.store.scratch` turns
rows into blocks of columns, as large as :mod:`~modelarrayio_bids.runtime.resources` finds memory
for; :mod:`~modelarrayio_bids.store.writer` cuts blocks into chunks, compresses them in threads
and gives the file its name when it is whole. On a cluster,
:mod:`~modelarrayio_bids.conversion.row_blocks` has the rows read on several machines.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np

from modelarrayio_bids.__about__ import __version__
from modelarrayio_bids.cohort import Cohort, Source
from modelarrayio_bids.conversion.row_blocks import (
    RowBlock,
    identity_of_source,
    joined,
    read_records,
)
from modelarrayio_bids.conversion.row_reader import check_sources, read_rows, readers_of
from modelarrayio_bids.conversion.summaries import RowRecorder, SummarisedBlocks, memory_needed
from modelarrayio_bids.runtime.locations import look_up
from modelarrayio_bids.runtime.resources import Resources, give_back_memory
from modelarrayio_bids.spaces import ElementSpace
from modelarrayio_bids.store import schema
from modelarrayio_bids.store.chunk_layout import Blocks, Layout
from modelarrayio_bids.store.opening import is_store
from modelarrayio_bids.store.provenance import run_provenance
from modelarrayio_bids.store.reader import StoreReader
from modelarrayio_bids.store.scalars import Scalar
from modelarrayio_bids.store.scratch import ColumnBlocks, StackedRows, open_scratch
from modelarrayio_bids.store.writer import StoreWriter

logger = logging.getLogger(__name__)

# A chunk of an older file in the hands of a thread: packed, shuffled, as it is; one more waits.
_INFLATED = 2 * 3
#: A matrix and, if it is to be summarised, what was recorded of its rows.
Rows = tuple[ColumnBlocks, np.ndarray | None]


def to_modelarray(
    cohort: Cohort,
    space: ElementSpace,
    output: str | os.PathLike[str],
    layout: Layout = Layout(),
    resources: Resources = Resources(),
    *,
    overwrite: bool = False,
    summaries: bool = False,
    is_final: bool = True,
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
    summaries : bool, optional
        Keep a :class:`~modelarrayio_bids.store.summary.Summary` of each scalar, as reports need it.
    is_final : bool, optional
        False where another file is made of this one, which is not announced then.

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
    with _new_store(cohort, output, layout, overwrite=overwrite) as store:
        most = check_sources(cohort.sources(), space, resources.threads)
        read = partial(
            read_matrix,
            space=space,
            store=store,
            resources=resources,
            source_bytes=most,
            summaries=summaries,
        )
        _fill(store, cohort, space, read, resources.threads)
    if is_final:
        logger.info('Wrote %s: %s', output, _contents(cohort, space))
    return Path(output)


def assemble(
    cohort: Cohort,
    space: ElementSpace,
    output: str | os.PathLike[str],
    *,
    row_blocks: Sequence[RowBlock],
    layout: Layout = Layout(),
    resources: Resources = Resources(),
    overwrite: bool = False,
    summaries: bool = False,
) -> Path:
    """Write the scalar of a cohort from row blocks that were read before, maybe elsewhere.

    Parameters
    ----------
    cohort, space, output
        As :func:`to_modelarray`; of one scalar.
    row_blocks : sequence of RowBlock
        All rows, in order.
    layout, resources, overwrite, summaries
        As :func:`to_modelarray`; the layout is that the row blocks were planned for.

    Returns
    -------
    pathlib.Path
        The file: the same as :func:`to_modelarray` makes.

    Raises
    ------
    SourceNotFoundError
        If a row block is missing.
    UsageError
        If the memory allowed is not enough.
    WouldLoseResultsError, OutputError
        As :func:`to_modelarray`.
    """
    blocks = row_blocks[0].blocks
    n_rows = len(cohort.sources())
    chunk_bytes = n_rows * blocks.chunk * np.dtype(layout.dtype).itemsize
    block_bytes = chunk_bytes * blocks.width // blocks.chunk

    @contextmanager
    def read(_: Sequence[Source]) -> Iterator[Rows]:
        needed = block_bytes + resources.writing_bytes(n_rows, chunk_bytes)
        if summaries:
            needed += memory_needed(len(space), resources.threads)
        resources.room(len(space), needed)
        with joined(row_blocks) as matrix:
            yield matrix, read_records(row_blocks) if summaries else None

    with _new_store(cohort, output, layout, overwrite=overwrite) as store:
        _fill(store, cohort, space, read, resources.threads)
    logger.info('Wrote %s: %s', output, _contents(cohort, space))
    return Path(output)


def is_up_to_date(
    cohort: Cohort, space: ElementSpace, output: Path, layout: Layout = Layout()
) -> bool:
    """Return whether a file is there that the same images would only make once more.

    So a run that was killed goes on after the last file it finished. Files appear when they are
    whole; what they are made of is compared by paths, sizes and times.

    Parameters
    ----------
    cohort, space, output, layout
        As :func:`to_modelarray`.
    """
    if not is_store(output):
        return False
    with StoreReader(output) as store:
        return store.identity == identity_of(cohort.sources(), space, layout)


def identity_of(sources: Iterable[Source], space: ElementSpace, layout: Layout) -> str:
    """Return a digest of everything that decides what a file will hold.

    Raises
    ------
    OSError
        If a source is not there.
    """
    sources = tuple(sources)
    look_up(path for source in sources for path in (source.path, source.mask))
    # Each scalar has rows of its own: the order of rows of different scalars does not matter.
    rows = [
        [source.scalar, source.name, *identity_of_source(source)]
        for source in sorted(sources, key=lambda source: source.scalar)
    ]
    identity = [__version__, space.kind, space.fingerprint(), asdict(layout), rows]
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()


def _new_store(
    cohort: Cohort, output: str | os.PathLike[str], layout: Layout, *, overwrite: bool
) -> StoreWriter:
    for scalar in cohort.scalars:
        schema.check_scalar_name(scalar)
        if not schema.is_r_name(scalar):
            logger.warning(
                '%r is not a valid name in R: a formula needs backticks, %s ~ age',
                *(scalar, schema.in_formula(scalar)),
            )
    return StoreWriter(Path(output), layout, overwrite=overwrite)


def _fill(
    store: StoreWriter,
    cohort: Cohort,
    space: ElementSpace,
    matrix_of: Callable[[Sequence[Source]], AbstractContextManager[Rows]],
    threads: int,
) -> None:
    # Before they are read: a source that changes meanwhile shows.
    facets = {scalar: source_provenance(cohort.sources(scalar)) for scalar in cohort.scalars}
    identity = identity_of(cohort.sources(), space, store.layout)
    facts = run_provenance() | {
        schema.IDENTITY_ATTRIBUTE: identity,
        schema.LAYOUT_ATTRIBUTE: store.layout.to_json(),
    }
    give_back_memory()
    store.write_space(space.kind, space.tables(), space.template(), threads)
    for scalar in cohort.scalars:
        sources = cohort.sources(scalar)
        with matrix_of(sources) as (matrix, records):
            write_scalar(store, sources, matrix, threads, records)
    store.write_provenance(facts, facets)


@contextmanager
def read_matrix(
    sources: Sequence[Source],
    *,
    space: ElementSpace,
    store: StoreWriter,
    resources: Resources,
    source_bytes: int,
    summaries: bool,
    above: Scalar | None = None,
) -> Iterator[Rows]:
    """Read the values of a scalar's sources into what memory there is, as rows of its matrix.

    Parameters
    ----------
    sources : sequence of Source
        The rows to read.
    space : ElementSpace
        The columns.
    store : StoreWriter
        The file that the matrix is for.
    resources : Resources
        Threads and memory.
    source_bytes : int
        Most bytes of memory that reading a source takes.
    summaries : bool
        Record the rows that are read.
    above : Scalar, optional
        Scalar of another file, whose rows come first and are read when needed.
    """
    n_above, n_new, n_elements = len(above.names) if above else 0, len(sources), len(space)
    dtype = np.dtype(store.layout.dtype)
    chunk = store.layout.chunk((n_above + n_new, n_elements))
    # A block of all rows stands beside one of the new rows alone.
    held = (n_above + n_new + (n_new if above else 0), n_elements)
    most = max(source_bytes, _INFLATED * above.chunk_bytes if above else 0)
    beside = memory_needed(n_elements, resources.threads) if summaries else 0
    chunk_bytes = held[0] * chunk * dtype.itemsize
    reading = readers_of(sources, resources.threads) * most
    budget = resources.block_bytes(held, dtype.itemsize, chunk_bytes, reading, beside)
    blocks = Blocks.within(held, chunk, dtype.itemsize, budget).with_rows(n_new)
    with open_scratch(blocks, dtype, resources.scratch or store.path.parent) as scratch:
        recorder = RowRecorder(sources, scratch.put, dtype)
        put = recorder if summaries else scratch.put
        read_rows(sources, space, put, resources.threads, dtype)
        give_back_memory()
        matrix: ColumnBlocks = scratch
        if above is not None:
            read_above = partial(above.read_into, threads=resources.threads)
            parts = (n_above, read_above), (n_new, scratch.read_into)
            matrix = StackedRows(blocks.with_rows(n_above + n_new), dtype, parts)
        yield matrix, recorder.records if summaries else None


def write_scalar(
    store: StoreWriter,
    sources: Sequence[Source],
    matrix: ColumnBlocks,
    threads: int,
    records: np.ndarray | None = None,
) -> None:
    """Write the values and the names of one scalar's sources, showing how far it is.

    With what was recorded of the rows when they were read
    (:mod:`~modelarrayio_bids.conversion.summaries`), a summary of them is written too.
    """
    if records is not None:
        summarised = SummarisedBlocks(matrix, records, threads)
        write_scalar(store, sources, summarised, threads)
        store.write_summary(sources[0].scalar, summarised.summary())
        return
    names = [source.name for source in sources]
    store.write_scalar(sources[0].scalar, names, matrix, threads)


def source_provenance(sources: Sequence[Source]) -> dict[str, list]:
    """Return what would show later that a source has changed since."""
    look_up(source.path for source in sources)
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
