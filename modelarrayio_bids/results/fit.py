"""Models fitted at every element of an HDF5 file, and their results written into it.

The values are read by blocks of whole chunks, each block is fitted by a thread, and the results go
through a scratch file where memory is short. Adjusted p values need all elements and come last.

As in :mod:`~modelarrayio_bids.results.merge`, the analysis is written into a copy of the file,
which takes the file's place when it is whole.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from modelarrayio_bids.errors import UsageError, WouldLoseResultsError
from modelarrayio_bids.models.adjustment import p_adjust
from modelarrayio_bids.models.base import ElementwiseModel, counted, result_names
from modelarrayio_bids.runtime.disk import require_room
from modelarrayio_bids.runtime.parallel import one_blas_thread, ordered_map
from modelarrayio_bids.runtime.progress import tracked
from modelarrayio_bids.runtime.resources import Resources
from modelarrayio_bids.store import schema
from modelarrayio_bids.store.chunks import Blocks
from modelarrayio_bids.store.locked_reader import LockedStoreReader
from modelarrayio_bids.store.provenance import run_provenance
from modelarrayio_bids.store.scalars import Scalar
from modelarrayio_bids.store.scratch import Scratch
from modelarrayio_bids.store.writer import Layout, StoreWriter

logger = logging.getLogger(__name__)

# Elements fitted at a time by a thread: enough for BLAS, few enough for the processor's cache.
_BLOCK_ELEMENTS = 2048
# Elements of a chunk of results: about 1000, as ModelArray has them, in whole chunks of values.
_CHUNK_ELEMENTS = 1000
# Bytes that fitting takes for each image and element of a block, and for each result: measured.
_BYTES_PER_VALUE, _BYTES_PER_RESULT = 80, 32


@dataclass(frozen=True)
class FittedAnalysis:
    """An analysis that was written.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    name : str
        Name of the analysis.
    names : tuple of str
        Names of its results.
    n_elements : int
        Elements of the analysis.
    not_fitted : dict of int
        Elements without results, or without all of them, by reason.
    """

    path: Path
    name: str
    names: tuple[str, ...]
    n_elements: int
    not_fitted: Mapping[str, int]


@dataclass(frozen=True)
class Values:
    """Values of the scalars of a model, by blocks of elements.

    Parameters
    ----------
    scalars : dict of Scalar
        By name, the response first.
    rows : dict of numpy.ndarray
        By name: (n_images,) int, the row of the scalar's values for each image of the model, -1
        where there is none.
    """

    scalars: Mapping[str, Scalar]
    rows: Mapping[str, np.ndarray]

    @property
    def response(self) -> Scalar:
        """The scalar that is modelled."""
        return next(iter(self.scalars.values()))

    def read(self, start: int, stop: int) -> dict[str, np.ndarray]:
        """Read some elements: by scalar (n_images, width), NaN where there is no image."""
        return {name: self._read(name, start, stop) for name in self.scalars}

    def _read(self, name: str, start: int, stop: int) -> np.ndarray:
        scalar, rows = self.scalars[name], self.rows[name]
        values = np.empty((scalar.shape[0], stop - start), scalar.values.dtype)
        scalar.read_into(start, values)
        if np.array_equal(rows, np.arange(len(values))):
            return values
        taken = values[rows]
        taken[rows < 0] = np.nan
        return taken


def write_analysis(
    store: str | os.PathLike[str],
    analysis: str,
    model: ElementwiseModel,
    rows: Mapping[str, np.ndarray],
    facts: Mapping[str, str],
    *,
    output: Path | None = None,
    elements: range | None = None,
    overwrite: bool = False,
    resources: Resources = Resources(),
) -> FittedAnalysis:
    """Fit a model at every element, and write its results as ModelArray does.

    Parameters
    ----------
    store : path-like
        The file with the scalars.
    analysis : str
        Name of the analysis.
    model : ElementwiseModel
        What is fitted.
    rows : dict of numpy.ndarray
        See :class:`Values`: of the response first, then of the scalars that the model needs.
    facts : dict of str
        What the file is to say of the analysis.
    output : pathlib.Path, optional
        A new file for the results alone; by default ``store`` takes them, and keeps what it holds.
    elements : range, optional
        Those to fit, by default all.
    overwrite : bool, optional
        Replace an analysis of that name.
    resources : Resources, optional
        Threads and memory.

    Raises
    ------
    WouldLoseResultsError
        If the file holds an analysis of that name and ``overwrite`` is false.
    UsageError
        If the elements are not in the file, or the memory allowed is not enough.
    OutputError
        If the file cannot be written, or the disk has no room for it.
    """
    path = Path(store)
    target = path if output is None else output
    schema.check_analysis_name(analysis)
    with LockedStoreReader(path) as old:
        if output is None and analysis in old.analyses and not overwrite:
            raise WouldLoseResultsError(
                f'holds an analysis {analysis} that would be lost',
                path,
                'Give another --analysis-name, or replace it with --overwrite.',
            )
        values = Values({name: old.scalar(name) for name in rows}, rows)
        chosen = _chosen(elements, values.response.shape[1], path)
        names = result_names(model)
        blocks = _blocks(values, len(names), len(chosen), resources)
        matrix_bytes = 8 * blocks.n_rows * blocks.n_columns
        # Once on its way, and once in the file.
        require_room(target.resolve().parent, 2 * matrix_bytes, target)
        layout = Layout('float64', chunk_columns=blocks.chunk)
        folder = resources.scratch or target.resolve().parent
        copied = path if output is None else None
        replace = overwrite or output is None
        with (
            StoreWriter(target, layout, overwrite=replace, copy_of=copied) as writer,
            Scratch(blocks, np.dtype(np.float64), folder) as results,
        ):
            not_fitted = _fill(results, model, values, chosen, resources.threads)
            _adjust(results, model)
            written = writer.write_results(analysis, names, results, {}, resources.threads)
            n_chunks = -(-blocks.n_columns // blocks.chunk)
            for _ in tracked(written, f'Writing {analysis}', n_chunks, 'chunks'):
                pass
            told = {**facts, schema.NOT_FITTED_ATTRIBUTE: json.dumps(not_fitted)}
            writer.describe_results(analysis, run_provenance() | told)
            old.require_unchanged()
    return FittedAnalysis(target, analysis, names, len(chosen), not_fitted)


def _chosen(elements: range | None, n_elements: int, path: Path) -> range:
    if elements is None:
        return range(n_elements)
    if not elements or elements.start < 0 or elements.stop > n_elements:
        raise UsageError(
            f'has the elements 0:{n_elements}, not {elements.start}:{elements.stop}',
            path,
            'Give --elements FIRST:END, counted from 0, the last one not among them.',
        )
    return elements


def _blocks(values: Values, n_results: int, n_elements: int, resources: Resources) -> Blocks:
    """Return how elements are divided: all in one block where results fit into memory."""
    n_images, n_all = values.response.shape
    own = values.response.chunk_columns
    chunk = min(n_elements, max(1, round(_CHUNK_ELEMENTS / own)) * own)
    width = max(1, _BLOCK_ELEMENTS // chunk) * chunk
    of_values = n_images * len(values.scalars) * _BYTES_PER_VALUE
    at_work = width * (of_values + n_results * _BYTES_PER_RESULT)
    # Adjusting takes a few copies of one result.
    needed = max(resources.threads * at_work, 6 * 8 * n_elements)
    room = resources.room(n_all, needed, 8 * n_results * width, to='fit')
    if 8 * n_results * n_elements <= room:
        return Blocks(n_results, n_elements, chunk, -(-n_elements // chunk) * chunk)
    return Blocks(n_results, n_elements, chunk, width)


def _fill(
    results: Scratch, model: ElementwiseModel, values: Values, chosen: range, threads: int
) -> dict[str, int]:
    """Fit every block; return the elements that were not fitted, by reason."""
    blocks = results.blocks
    width = max(1, _BLOCK_ELEMENTS // blocks.chunk) * blocks.chunk
    starts = range(0, blocks.n_columns, width)
    parts = (chosen[start : start + width] for start in starts)
    fit = partial(_fit_block, results, model, values)
    name = values.response.name
    with one_blas_thread():
        fitted = ordered_map(fit, zip(starts, parts, strict=True), threads)
        outcomes = [*tracked(fitted, f'Fitting {name}', len(starts), 'blocks')]
    return counted(np.concatenate(outcomes))


def _fit_block(
    results: Scratch,
    model: ElementwiseModel,
    values: Values,
    block: tuple[int, range],
) -> np.ndarray:
    """Fit a block and keep its results; return how the fit at each element ended."""
    start, part = block
    read = values.read(part.start, part.stop)
    fitted = model.fit(read.pop(values.response.name), read)
    kept = np.full((results.blocks.n_rows, len(part)), np.nan)
    kept[0] = part
    kept[1 : 1 + len(fitted.values)] = fitted.values
    results.put_block(start, kept)
    return fitted.outcomes


def _adjust(results: Scratch, model: ElementwiseModel) -> None:
    """Adjust p values over all elements, one result at a time."""
    names = result_names(model)
    for raw, method in model.corrections:
        adjusted = p_adjust(results.row(names.index(raw)), method)
        results.put(names.index(f'{raw}.{method}'), adjusted)
