"""Row blocks: the rows of a matrix, read on several machines and joined on one.

A file holds the values of its rows, cut into column blocks, and after them what was recorded of
each row (:data:`~modelarrayio_bids.store.summary.ROW`).

A row block's name tells everything that decides its content: its sources with their sizes and
times, the elements, the type, how it is cut. So what an interrupted run left is found again, and
what belongs to other images, or to older ones, is not.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from modelarrayio_bids.cohort import Source
from modelarrayio_bids.conversion.row_reader import check_sources, read_rows, readers_of
from modelarrayio_bids.conversion.summaries import RowRecorder, memory_needed
from modelarrayio_bids.errors import SourceNotFoundError
from modelarrayio_bids.runtime.atomic import replacing
from modelarrayio_bids.runtime.resources import MIB, Resources, wanted_block
from modelarrayio_bids.spaces import ElementSpace
from modelarrayio_bids.spaces.input_files import image_files
from modelarrayio_bids.store.chunk_layout import Blocks, Layout
from modelarrayio_bids.store.scratch import RowFile, StackedRows
from modelarrayio_bids.store.summary import ROW

logger = logging.getLogger(__name__)

#: Values of a row block, unless the user says how many there are: minutes of reading, not seconds
#: of waiting for a node.
_ROW_BLOCK_BYTES = 1024 * MIB
# Version of the names: changes if the same name would mean other content.
_VERSION = 2


@dataclass(frozen=True)
class RowBlock:
    """Some rows of a scalar's matrix, in a file of their own.

    Parameters
    ----------
    path : pathlib.Path
        The file: there when it is whole.
    sources : tuple of Source
        One per row.
    blocks : Blocks
        Division of these rows into column blocks.
    dtype : str
        Data type of the values.
    """

    path: Path
    sources: tuple[Source, ...]
    blocks: Blocks
    dtype: str

    @property
    def rows(self) -> str:
        """Return the range of rows in words."""
        first, last = self.sources[0].name, self.sources[-1].name
        return f'{len(self.sources)} images of {self.sources[0].scalar}, {first} to {last}'

    @property
    def is_done(self) -> bool:
        """Return whether its file is there, and whole: a crash may leave one that is short."""
        try:
            size = self.path.stat().st_size
        except FileNotFoundError:
            return False
        return size == self.values_bytes + self.blocks.n_rows * ROW.itemsize

    @property
    def values_bytes(self) -> int:
        """Bytes of the values, before the records."""
        cells = self.blocks.n_rows * self.blocks.n_columns
        return cells * np.dtype(self.dtype).itemsize

    def read(self, space: ElementSpace, resources: Resources) -> Path:
        """Read the rows into the file, unless it is there from before.

        Raises
        ------
        ModelArrayIOError
            If a source cannot be read.
        UsageError
            If the memory allowed is not enough.
        OutputError
            If the file cannot be made.
        """
        if self.is_done:
            logger.info('Kept from an earlier run: %s', self.rows)
            return self.path
        most = check_sources(self.sources, space, resources.threads)
        beside = memory_needed(len(space), resources.threads)
        reading = readers_of(self.sources, resources.threads) * most
        resources.room(len(space), reading + beside)
        with replacing(self.path) as partial, open(partial, 'w+b') as file:
            rows = RowFile(file, self.blocks, np.dtype(self.dtype))
            recorder = RowRecorder(self.sources, rows.put, rows.dtype)
            read_rows(self.sources, space, recorder, resources.threads, rows.dtype)
            file.seek(self.values_bytes)
            file.write(recorder.records.tobytes())
            file.flush()
            # On the disk before it has its name: a machine that goes down leaves no holes in it.
            os.fsync(file.fileno())
        return self.path


def plan_row_blocks(
    sources: Sequence[Source],
    space: ElementSpace,
    layout: Layout,
    folder: Path,
    *,
    n_blocks: int = 0,
    memory: int | None = None,
) -> list[RowBlock]:
    """Return the row blocks that make the matrix of a scalar: the same on every machine.

    Parameters
    ----------
    sources : sequence of Source
        All rows.
    space : ElementSpace
        All columns.
    layout : Layout
        Layout of the HDF5 file to be made.
    folder : pathlib.Path
        For the files, seen by every machine.
    n_blocks : int, optional
        Number of blocks; 0 for blocks of at most a gigabyte of values each.
    memory : int, optional
        Bytes the machine that assembles may use.
    """
    shape, dtype = (len(sources), len(space)), np.dtype(layout.dtype)
    budget = wanted_block(shape, dtype.itemsize)
    if memory is not None:
        budget = min(budget, memory // 4)
    blocks = Blocks.within(shape, layout.chunk(shape), dtype.itemsize, budget)
    wanted = n_blocks or -(-shape[0] * shape[1] * dtype.itemsize // _ROW_BLOCK_BYTES)
    fingerprint = space.fingerprint()
    planned = []
    for part in _parts(sources, wanted):
        cut = blocks.with_rows(len(part))
        name = _name(part, fingerprint, cut, dtype.name)
        planned.append(RowBlock(folder / name, part, cut, dtype.name))
    return planned


@contextmanager
def joined(row_blocks: Sequence[RowBlock]) -> Iterator[StackedRows]:
    """Open the matrix of row blocks that are all done.

    Raises
    ------
    SourceNotFoundError
        If one is not: its sources may have changed since it was planned.
    """
    first = row_blocks[0]
    whole = first.blocks.with_rows(sum(block.blocks.n_rows for block in row_blocks))
    dtype = np.dtype(first.dtype)
    with ExitStack() as stack:
        parts = []
        for block in row_blocks:
            if not block.is_done:
                raise SourceNotFoundError(
                    f'is missing, the row block of {block.rows}',
                    block.path,
                    'An image changed while the cohort was read, or the file was removed: run '
                    'again.',
                )
            rows = RowFile(stack.enter_context(open(block.path, 'rb')), block.blocks, dtype)
            parts.append((block.blocks.n_rows, rows.read_into))
        yield StackedRows(whole, dtype, parts)


def read_records(row_blocks: Sequence[RowBlock]) -> np.ndarray:
    """Read what was recorded of the rows of row blocks that are all done: (n_rows,) of type ROW."""
    return np.concatenate(
        [np.fromfile(block.path, ROW, offset=block.values_bytes) for block in row_blocks]
    )


def _parts(sources: Sequence[Source], wanted: int) -> Iterator[tuple[Source, ...]]:
    """Yield runs of sources, their lengths as even as can be."""
    n_parts = min(wanted, len(sources))
    bounds = [len(sources) * part // n_parts for part in range(n_parts + 1)]
    for first, stop in pairwise(bounds):
        yield tuple(sources[first:stop])


def _name(sources: Sequence[Source], space: str, blocks: Blocks, dtype: str) -> str:
    identity = {
        'version': _VERSION,
        'space': space,
        'sources': [identity_of_source(source) for source in sources],
        'cut': [blocks.n_columns, blocks.width],
        'dtype': dtype,
    }
    digest = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
    return f'{sources[0].scalar}_{digest[:24]}.rows'


def identity_of_source(source: Source) -> list[str | int]:
    """Return paths, sizes and times of an image and its mask: others once one of them changed."""
    files = [*image_files(source), *([source.mask] if source.mask else [])]
    status = [file.stat() for file in files]
    facts: list[str | int] = [str(file.absolute()) for file in files]
    return facts + [number for entry in status for number in (entry.st_size, entry.st_mtime_ns)]
