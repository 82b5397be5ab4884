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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from modelarrayio_bids.errors import UsageError, WouldLoseResultsError
from modelarrayio_bids.models.adjustment import LEVEL, p_adjust
from modelarrayio_bids.models.base import ElementwiseModel, column_places, counted, result_names
from modelarrayio_bids.models.permutation import PermutationTest, family_wise_p
from modelarrayio_bids.results.null_distributions import null_distribution, working_bytes
from modelarrayio_bids.results.values import Values, block_width, chunk_width
from modelarrayio_bids.runtime.disk import require_room
from modelarrayio_bids.runtime.parallel import one_blas_thread, ordered_map, short_turns
from modelarrayio_bids.runtime.progress import tracked
from modelarrayio_bids.runtime.resources import Resources
from modelarrayio_bids.store import schema
from modelarrayio_bids.store.chunk_layout import Blocks, Layout
from modelarrayio_bids.store.chunk_reader import StoredColumns
from modelarrayio_bids.store.provenance import run_provenance
from modelarrayio_bids.store.reader import StoreReader
from modelarrayio_bids.store.scratch import Scratch, open_scratch
from modelarrayio_bids.store.writer import StoreWriter

logger = logging.getLogger(__name__)

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
    significant : dict of int
        Elements below :data:`.adjustment.LEVEL`, by the name of the corrected p value.
    """

    path: Path
    name: str
    names: tuple[str, ...]
    n_elements: int
    not_fitted: Mapping[str, int]
    significant: Mapping[str, int]


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
    permutation: PermutationTest | None = None,
    null: np.ndarray | None = None,
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
        Model to fit.
    rows : dict of numpy.ndarray
        See :class:`Values`: of the response first, then of the scalars that the model needs.
    facts : dict of str
        Facts about the analysis to write into the file.
    output : pathlib.Path, optional
        A new file for the results alone; by default ``store`` takes them, and keeps what it holds.
    elements : range, optional
        Elements to fit (default: all).
    overwrite : bool, optional
        Replace an analysis of that name.
    permutation : PermutationTest, optional
        A permutation test, whose p values are further results.
    null : numpy.ndarray, optional
        (n_tests, n_labellings) greatest statistics of all labellings, where they are known.
    resources : Resources, optional
        Threads and memory.

    Raises
    ------
    WouldLoseResultsError
        If the file holds an analysis of that name and ``overwrite`` is false.
    UsageError
        If the elements are not in the file, the null distributions are of another test, or the
        memory allowed is not enough.
    OutputError
        If the file cannot be written, or the disk has no room for it.
    """
    path = Path(store)
    target = path if output is None else output
    schema.check_analysis_name(analysis)
    with StoreReader(path) as old:
        if output is None and analysis in old.analyses and not overwrite:
            raise WouldLoseResultsError(
                f'holds an analysis {analysis} that would be lost',
                path,
                'Give another --analysis-name, or replace it with --overwrite.',
            )
        values = Values({name: old.scalar(name) for name in rows}, rows)
        chosen = _chosen(elements, values.response.shape[1], path)
        tested = () if permutation is None else permutation.columns
        names = result_names(model) + tested
        if permutation is not None:
            _require_whole(permutation, elements, null, path)
        asked = _Asked(model, permutation, values, chosen)
        blocks = _blocks(asked, len(names), resources)
        matrix_bytes = 8 * blocks.n_rows * blocks.n_columns
        # Once on its way, and once in the file.
        require_room(target.resolve().parent, 2 * matrix_bytes, target)
        layout = Layout('float64', chunk_columns=blocks.chunk)
        folder = resources.scratch or target.resolve().parent
        copied = path if output is None else None
        replace = overwrite or output is None
        with (
            StoreWriter(target, layout, overwrite=replace, copy_of=copied) as writer,
            open_scratch(blocks, np.dtype(np.float64), folder) as results,
        ):
            not_fitted = _fill(results, asked, resources.threads)
            significant = _adjust(results, model)
            if permutation is not None:
                if null is None:
                    null = null_distribution(permutation, values, threads=resources.threads)
                significant |= _correct(results, names, permutation, null)
            writer.write_results(analysis, names, results, {}, resources.threads)
            told = {**facts, schema.NOT_FITTED_ATTRIBUTE: json.dumps(not_fitted)}
            tests = {} if null is None else {schema.NULL_TESTS: tested}
            maxima = {} if null is None else {schema.NULL_MAXIMA: null}
            writer.describe_results(analysis, run_provenance() | told, tests, maxima)
            old.require_unchanged()
    return FittedAnalysis(target, analysis, names, len(chosen), not_fitted, significant)


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


def _require_whole(
    permutation: PermutationTest, elements: range | None, null: np.ndarray | None, path: Path
) -> None:
    """Refuse permutations of some elements, and null distributions of another test."""
    if elements is not None:
        raise UsageError(
            'permutations need all elements',
            path,
            'Leave --elements out; a cluster divides the permutations instead (--blocks).',
        )
    wanted = len(permutation.columns), len(permutation.labellings)
    if null is not None and null.shape != wanted:
        raise UsageError(
            f'the null distributions are of {null.shape[0]} tests and {null.shape[1]} labellings'
            f', and the model has {wanted[0]} and {wanted[1]}',
            remedy='Permute this model, in all of its blocks, once more.',
        )


@dataclass(frozen=True, eq=False)
class _Asked:
    """A model with its permutation test, its values and the selected elements."""

    model: ElementwiseModel
    permutation: PermutationTest | None
    values: Values
    chosen: range


def _blocks(asked: _Asked, n_results: int, resources: Resources) -> Blocks:
    """Return how results are divided: all in one block where they fit into memory."""
    values, chosen = asked.values, asked.chosen
    n_images, n_all = values.response.shape
    width, n_elements = block_width(values.response), len(chosen)
    of_values = n_images * len(values.scalars) * _BYTES_PER_VALUE
    at_work = width * (of_values + n_results * _BYTES_PER_RESULT)
    # Adjusting takes a few copies of one result.
    needed = max(resources.threads * at_work, 6 * 8 * n_elements)
    if asked.permutation is not None:
        needed = max(needed, working_bytes(asked.permutation, values, resources.threads))
    whole = 8 * n_results * n_elements
    # Blocks in a file are as wide as those that are fitted, from the first on.
    least = whole if chosen.start % width else min(whole, 8 * n_results * width)
    room = resources.room(n_all, needed, least, to='fit')
    chunk = min(n_elements, chunk_width(values.response))
    if whole <= room:
        return Blocks(n_results, n_elements, chunk, -(-n_elements // chunk) * chunk)
    return Blocks(n_results, n_elements, chunk, width)


def _fill(results: Scratch, asked: _Asked, threads: int) -> dict[str, int]:
    """Fit every block; return the elements that were not fitted, by reason."""
    fit = partial(_fit_block, results, asked)
    values, chosen = asked.values, asked.chosen
    # HDF5 reads in one thread at a time: this one. The others inflate and fit.
    stored = values.stored_blocks(chosen)
    width = block_width(values.response)
    n_blocks = -(-chosen.stop // width) - chosen.start // width
    with one_blas_thread(), short_turns():
        fitted = ordered_map(fit, stored, threads)
        outcomes = [*tracked(fitted, f'Fitting {values.response.name}', n_blocks, 'blocks')]
    return counted(np.concatenate(outcomes), asked.model.reasons)


def _fit_block(
    results: Scratch, asked: _Asked, stored: tuple[range, Mapping[str, StoredColumns]]
) -> np.ndarray:
    """Fit a block, and keep what is asked for of it; return how the fit ended there."""
    (block, columns), values, chosen = stored, asked.values, asked.chosen
    read = values.inflate(columns)
    responses = read.pop(values.response.name)
    fitted = asked.model.fit(responses, read)
    part = range(max(block.start, chosen.start), min(block.stop, chosen.stop))
    wanted = slice(part.start - block.start, part.stop - block.start)
    kept = np.full((results.blocks.n_rows, len(part)), np.nan)
    kept[0] = part
    kept[column_places(asked.model)] = fitted.values[:, wanted]
    if (permutation := asked.permutation) is not None:
        # Statistics, until the null distribution makes p values of them.
        kept[-len(permutation.columns) :] = permutation.observed(responses)[:, wanted]
    results.put_block(part.start - chosen.start, kept)
    return fitted.outcomes[wanted]


def _adjust(results: Scratch, model: ElementwiseModel) -> dict[str, int]:
    """Adjust p values over all elements, one result at a time; count those that are small."""
    names = result_names(model)
    counts = {}
    for raw, method in model.corrections:
        adjusted = p_adjust(results.row(names.index(raw)), method)
        results.put(names.index(f'{raw}.{method}'), adjusted)
        counts[f'{raw}.{method}'] = int((adjusted < LEVEL).sum())
    return counts


def _correct(
    results: Scratch, names: Sequence[str], permutation: PermutationTest, null: np.ndarray
) -> dict[str, int]:
    """Turn statistics into p values corrected for all elements; count those that are small."""
    counts = {}
    for name, maxima in zip(permutation.columns, null, strict=True):
        row = names.index(name)
        corrected = family_wise_p(results.row(row), maxima)
        results.put(row, corrected)
        counts[name] = int((corrected < LEVEL).sum())
    return counts
