"""An HDF5 file that is written under a temporary name and renamed when it is complete."""

from __future__ import annotations

import json
import logging
import math
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Self

import h5py
import numpy as np

from modelarrayio_bids.errors import (
    ModelArrayIOError,
    OutputError,
    UnfinishedOutputError,
    WouldLoseResultsError,
)
from modelarrayio_bids.formats.compression import deflate
from modelarrayio_bids.runtime import disk
from modelarrayio_bids.runtime.parallel import ordered_map
from modelarrayio_bids.runtime.progress import tracked
from modelarrayio_bids.runtime.resources import chunks_together
from modelarrayio_bids.runtime.text_format import some
from modelarrayio_bids.runtime.unfinished import Unfinished, remove_leftovers
from modelarrayio_bids.runtime.user_input import resolved
from modelarrayio_bids.store import chunk_layout, items, schema
from modelarrayio_bids.store.chunk_layout import Layout
from modelarrayio_bids.store.guarded_file import GuardedFile
from modelarrayio_bids.store.opening import is_store
from modelarrayio_bids.store.reader import analyses_of
from modelarrayio_bids.store.scratch import ColumnBlocks
from modelarrayio_bids.store.summary import Summary

logger = logging.getLogger(__name__)

# Cells of a chunk of a table: enough for one read by R, and small against the values.
_TABLE_CHUNK = 2**18
_STRING = h5py.string_dtype('utf-8')


class StoreWriter:
    """An HDF5 file being written: a context manager.

    It appears under its own name when the context ends well; otherwise nothing is left, and a
    file that was there before stays as it was.

    Parameters
    ----------
    path : pathlib.Path
        The file to be.
    layout : Layout
        Storage of the values.
    overwrite : bool
        Replace the file even if it holds results.
    copy_of : pathlib.Path, optional
        A file to begin with all that it holds.

    Raises
    ------
    WouldLoseResultsError
        If the file exists and holds results.
    OutputError
        If it cannot be created.
    """

    def __init__(
        self, path: Path, layout: Layout, *, overwrite: bool = False, copy_of: Path | None = None
    ) -> None:
        self.path = Path(path)
        self.layout = layout
        self._overwrite = overwrite
        refuse_to_replace(self.path, overwrite=overwrite)
        # Through a symbolic link, its target is what is written.
        self._target = resolved(self.path)
        with ExitStack() as undone:
            with OutputError.told(self.path):
                self._target.parent.mkdir(parents=True, exist_ok=True)
                remove_leftovers(self._target.parent, f'-{self._target.name}')
                self._unfinished = undone.enter_context(Unfinished(self._target))
            with (OutputError if copy_of is None else UnfinishedOutputError).told(self.path):
                if copy_of is not None:
                    disk.copy(copy_of, self._unfinished.path)
                self._on_disk = undone.enter_context(GuardedFile(self._unfinished.path, 'r+'))
                # No other program knows the name, so no lock is needed.
                mode = 'w' if copy_of is None else 'r+'
                self._file = h5py.File(self._on_disk, mode, libver=schema.LIBVER)
            undone.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            self._close()
            if kind is None:
                # Results may have come while this file was being made.
                refuse_to_replace(self.path, overwrite=self._overwrite)
                self._say_lost()
                _prepare_to_replace(self._target, self._unfinished.path)
                self._unfinished.path.replace(self._target)
        except ModelArrayIOError:
            raise
        except (OSError, RuntimeError) as failure:
            raise UnfinishedOutputError.from_os_error(_of_system(failure), self.path) from failure
        finally:
            self._unfinished.close()
        if isinstance(error, OSError) and not isinstance(error, ModelArrayIOError):
            raise UnfinishedOutputError.from_os_error(error, self.path) from error

    def _say_lost(self) -> None:
        """Warn of results that a file has, and the one that takes its place has not."""
        if is_store(self.path):
            kept = analyses_of(self._unfinished.path)
            if lost := [name for name in analyses_of(self.path) if name not in kept]:
                logger.warning('%s: replaced, and its results are gone: %s', self.path, some(lost))

    def _close(self) -> None:
        try:
            self._file.close()
        finally:
            self._on_disk.close()
        self._on_disk.check()

    def write_space(
        self,
        kind: str,
        tables: Mapping[str, schema.ElementTable],
        template: Mapping[str, np.ndarray],
        threads: int = 1,
    ) -> None:
        """Write the tables of elements, compressed in threads, and what makes their space again."""
        for path, table in tables.items():
            self._write_table(path, table, threads)
        group = self._file.create_group(schema.TEMPLATE)
        group.attrs[schema.KIND_ATTRIBUTE] = kind
        for name, array in template.items():
            self._write_array(f'{schema.TEMPLATE}/{name}', np.asarray(array), threads)

    def write_scalar(
        self, scalar: str, names: Sequence[str], matrix: ColumnBlocks, threads: int
    ) -> None:
        """Write a scalar's matrix and the names of its sources, showing how far it is.

        Parameters
        ----------
        scalar : str
            Its name.
        names : sequence of str
            One per row, as ModelArray will look for them.
        matrix : ColumnBlocks
            The rows, cut into blocks of whole chunks.
        threads : int
            Number of threads that compress.
        """
        self._write_matrix(schema.scalar_path(scalar, schema.VALUES), matrix, scalar, threads)
        self._write_strings(schema.scalar_path(scalar, schema.COLUMN_NAMES), names)

    def write_results(
        self,
        analysis: str,
        names: Sequence[str],
        matrix: ColumnBlocks,
        levels: Mapping[str, Sequence[str]],
        threads: int,
    ) -> None:
        """Write an analysis as ModelArray does, its names last; one of that name is replaced.

        Parameters
        ----------
        analysis : str
            Its name.
        names : sequence of str
            One per row.
        matrix : ColumnBlocks
            (n_results, n_rows) float64, the rows of R's table in the columns.
        levels : dict
            By result name: the levels of a factor, for values coded 1..k.
        threads : int
            Number of threads that compress.
        """
        if (group := f'{schema.RESULTS}/{analysis}') in self._file:
            del self._file[group]
        self._write_matrix(schema.result_path(analysis), matrix, analysis, threads)
        for column, name in enumerate(names, start=1):
            if name in levels:
                leaf = f'{schema.LEVELS_PREFIX}{column}'
                self._write_strings(schema.result_path(analysis, leaf), levels[name])
        self._write_strings(schema.result_path(analysis, schema.COLUMN_NAMES), names)

    def describe_results(
        self,
        analysis: str,
        facts: Mapping[str, str],
        lists: Mapping[str, Sequence[str]] | None = None,
        arrays: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        """Write what is known of an analysis where it goes when R writes that analysis anew.

        Parameters
        ----------
        analysis : str
            Its name; it is there.
        facts : dict of str
            Attributes of ``/results/<analysis>/modelarrayio``.
        lists : dict, optional
            By name: texts.
        arrays : dict, optional
            By name: numbers.
        """
        group = schema.result_path(analysis, schema.PROVENANCE)
        self._file.require_group(group).attrs.update(facts)
        for name, values in (lists or {}).items():
            self._write_strings(f'{group}/{name}', values)
        for name, array in (arrays or {}).items():
            self._write_array(f'{group}/{name}', array)

    def write_provenance(
        self, facts: Mapping[str, str], sources: Mapping[str, Mapping[str, Sequence]]
    ) -> None:
        """Write what made the file, and what is known of each scalar's sources.

        Parameters
        ----------
        facts : dict of str
            Attributes of ``/modelarrayio``.
        sources : dict of dict
            By scalar and by name: strings or numbers, one per source.
        """
        self._file.require_group(schema.PROVENANCE).attrs.update(facts)
        for scalar, facets in sources.items():
            for name, values in facets.items():
                path = f'{schema.SOURCES}/{scalar}/{name}'
                if values and isinstance(values[0], str):
                    self._write_strings(path, values)
                else:
                    self._write_array(path, np.asarray(values))

    def write_summary(self, scalar: str, summary: Summary) -> None:
        """Write what is known of a scalar's values."""
        parts = {'rows': summary.of_rows(), 'elements': summary.of_elements()}
        for part, arrays in parts.items():
            for name, array in arrays.items():
                self._write_array(schema.summary_path(scalar, f'{part}/{name}'), array)

    def mark_results(self, n_sources: Mapping[str, int]) -> None:
        """Note of every analysis there is how many sources these scalars had when it was made.

        What was noted before of a scalar stays.
        """
        for analysis in items.groups(items.group_at(self._file, schema.RESULTS)).values():
            ours = analysis.require_group(schema.PROVENANCE)
            said = items.text_attribute(ours, schema.N_SOURCES_ATTRIBUTE) or '{}'
            noted = items.json_object(said, self.path, ours.name)
            ours.attrs[schema.N_SOURCES_ATTRIBUTE] = json.dumps({**n_sources, **noted})

    def write_history(self, events: Sequence[str]) -> None:
        """Write what made the file before and now, oldest first: a JSON object each."""
        self._write_strings(schema.HISTORY, events)

    def write_group(self, path: str, attributes: Mapping[str, Any]) -> None:
        """Make a group, if it is not there, and note attributes of it: texts, numbers or lists."""
        _note(self._file.require_group(path), attributes)

    def write_dataset(
        self,
        path: str,
        values: np.ndarray | ColumnBlocks,
        attributes: Mapping[str, Any],
        threads: int = 1,
    ) -> None:
        """Write anything: numbers, an object array of texts, or a matrix block by block.

        Parameters
        ----------
        path : str
            Path of the dataset.
        values : numpy.ndarray or ColumnBlocks
            A matrix is stored in the layout of the file.
        attributes : dict
            Texts, numbers or lists of them.
        threads : int, optional
            Threads that compress a matrix.
        """
        if not isinstance(values, np.ndarray):
            self._write_matrix(path, values, path, threads)
        elif values.dtype == object:
            self._file.create_dataset(path, data=values, dtype=_STRING)
        else:
            self._write_array(path, values)
        _note(self._file[path], attributes)

    def copy(self, originals: Mapping[str, h5py.Group | h5py.Dataset]) -> None:
        """Take groups and datasets of another file as they are, by the paths they are to have."""
        for path, original in originals.items():
            # RuntimeError is HDF5's of what it cannot make sense of; a full disk is an OSError.
            try:
                self._file.copy(original, path)
            except (RuntimeError, LookupError, TypeError, ValueError) as error:
                raise items.unexpected(original, f'cannot be copied ({error})') from error

    def _write_matrix(self, path: str, matrix: ColumnBlocks, what: str, threads: int) -> None:
        blocks = matrix.blocks
        dataset = self._file.create_dataset(
            path,
            shape=(blocks.n_rows, blocks.n_columns),
            dtype=matrix.dtype,
            chunks=(blocks.n_rows, blocks.chunk),
            **self.layout.filters(),
        )
        written = self._written_chunks(dataset, matrix, threads)
        n_chunks = -(-blocks.n_columns // blocks.chunk)
        for _ in tracked(written, f'Writing {what}', n_chunks, 'chunks'):
            pass

    def _written_chunks(
        self, dataset: h5py.Dataset, matrix: ColumnBlocks, threads: int
    ) -> Iterator[int]:
        """Write chunk by chunk, and yield the first column of each within its block."""
        for first, block in matrix:
            starts = range(0, block.shape[1], dataset.chunks[1])
            if self.layout.compression == 'lzf':
                # Only HDF5 itself knows lzf.
                dataset[:, first : first + block.shape[1]] = block
                self._on_disk.check()
                yield from starts
                continue
            encode = partial(self._encoded, block, dataset.chunks[1])
            together = chunks_together(dataset.chunks[1] * block[:, :1].nbytes)
            groups = [starts[at : at + together] for at in range(0, len(starts), together)]
            write = dataset.id.write_direct_chunk
            for payloads in ordered_map(encode, groups, threads):
                for start, payload in payloads:
                    write((0, first + start), payload)
                self._on_disk.check()
                yield from (start for start, _ in payloads)

    def _encoded(
        self, block: np.ndarray, columns: int, starts: range
    ) -> list[tuple[int, bytes | np.ndarray]]:
        """Return some chunks as HDF5's own filters would leave them, by their first columns."""
        is_packed = self.layout.compression != 'none'
        order = chunk_layout.shuffled if self.layout.shuffle and is_packed else chunk_layout.plain
        chunks = (order(block, at, min(at + columns, block.shape[1]), columns) for at in starts)
        return [
            (at, deflate(chunk.data.cast('B'), self.layout.level) if is_packed else chunk)
            for at, chunk in zip(starts, chunks, strict=True)
        ]

    def _write_table(self, path: str, table: schema.ElementTable, threads: int) -> None:
        if table.values.ndim == 1:
            self._write_strings(path, table.values)
            return
        self._write_array(path, table.values, threads)
        for name, texts in {schema.COLUMN_NAMES: table.columns, **table.attributes}.items():
            self._file[path].attrs.create(name, list(texts), dtype=_STRING)

    def _write_array(self, path: str, array: np.ndarray, threads: int = 1) -> None:
        if array.ndim == 0 or array.size == 0:
            self._file.create_dataset(path, data=array)
            return
        columns = min(array.shape[-1], max(1, _TABLE_CHUNK // math.prod(array.shape[:-1])))
        dataset = self._file.create_dataset(
            path,
            shape=array.shape,
            dtype=array.dtype,
            chunks=(*array.shape[:-1], columns),
            compression='gzip',
            shuffle=True,
        )
        rows = np.ascontiguousarray(array).reshape(-1, array.shape[-1])
        starts = range(0, array.shape[-1], columns)

        def encoded(start: int) -> bytes:
            stop = min(start + columns, array.shape[-1])
            return deflate(chunk_layout.shuffled(rows, start, stop, columns).data.cast('B'))

        for start, payload in zip(starts, ordered_map(encoded, starts, threads), strict=True):
            dataset.id.write_direct_chunk((*[0] * (array.ndim - 1), start), payload)

    def _write_strings(self, path: str, texts: Iterable[str]) -> None:
        self._file.create_dataset(path, data=np.array(list(texts), dtype=object), dtype=_STRING)


def _note(item: h5py.HLObject, attributes: Mapping[str, Any]) -> None:
    for name, value in attributes.items():
        is_texts = isinstance(value, list) and all(isinstance(text, str) for text in value)
        item.attrs.create(name, value, dtype=_STRING if is_texts else None)


def refuse_to_replace(path: Path, *, overwrite: bool = False) -> None:
    """Refuse an output that would cost something.

    Raises
    ------
    OutputError
        If it is a folder or a device, or write-protected, or, without ``overwrite``, a file that
        is not HDF5.
    WouldLoseResultsError
        Without ``overwrite``, if it holds results.
    """
    remedy = 'Write to another file, or replace this one with --overwrite.'
    with OutputError.told(path):
        if path.is_dir() or (path.exists() and not path.is_file()):
            raise OutputError('exists and is not a file', path, 'Give the name of a file to write.')
        if path.exists() and not os.access(path, os.W_OK):
            how = 'Write to another file, or allow it with chmod u+w.'
            raise OutputError('is write-protected', path, how)
        if overwrite or not path.exists():
            return
        if path.stat().st_size and not is_store(path):
            raise OutputError('exists and is not an HDF5 file', path, remedy)
        if held := analyses_of(path):
            what = f'holds results that would be lost: {", ".join(held)}'
            raise WouldLoseResultsError(what, path, remedy)


def _of_system(failure: OSError | RuntimeError) -> OSError:
    """Return what the system said of a file that cannot be closed: h5py has it as text."""
    if isinstance(failure, OSError):
        return failure
    number = re.search(r'errno = (\d+)', str(failure))
    if number is None:
        raise failure
    return OSError(int(number[1]), os.strerror(int(number[1])))


def _prepare_to_replace(old: Path, new: Path) -> None:
    """Put a file on the disk, with the old one's permissions, before the old one is gone."""
    if not old.exists():
        return
    shutil.copymode(old, new)
    with open(new, 'rb') as file:
        os.fsync(file.fileno())
