"""Rules on the results that ModelArray wrote."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import h5py
import numpy as np

from modelarrayio_bids.runtime.grouping import grouped
from modelarrayio_bids.runtime.text_format import some
from modelarrayio_bids.store import schema
from modelarrayio_bids.store.chunk_reader import block_columns
from modelarrayio_bids.store.items import item_at, members, require_stored, texts_of
from modelarrayio_bids.store.r_view import names_of_results
from modelarrayio_bids.store.validation.rules import Finding
from modelarrayio_bids.store.validation.storage import (
    described,
    is_number,
    of_attributes,
    of_filters,
    of_names_beside,
)


def of_analysis(file: h5py.File, name: str, n_elements: int) -> Iterator[Finding]:
    """Yield all that is wrong with an analysis.

    Parameters
    ----------
    file : h5py.File
        The file.
    name : str
        Name of the analysis.
    n_elements : int
        Elements of the file.
    """
    path = f'/{schema.result_path(name)}'
    matrix = item_at(file, path)
    if not isinstance(matrix, h5py.Dataset):
        yield Finding('results-missing', path, 'is not there')
        return
    yield from of_filters(matrix)
    yield from of_attributes(matrix, schema.RESULT_NAMES_ATTRIBUTE)
    if not is_number(matrix.dtype) or len(matrix.shape or ()) != 2 or not matrix.size:
        yield Finding('results-missing', path, f'is {described(matrix)}')
        return
    beside = item_at(file, schema.result_path(name, schema.COLUMN_NAMES))
    if isinstance(beside, h5py.Dataset):
        yield from of_filters(beside)
    found_names = names_of_results(file, name, matrix)
    if found_names is None:
        yield Finding('results-unnamed', path, 'has no names')
        return
    names = found_names.texts
    if len(names) != matrix.shape[0]:
        # As ModelArray's constructor does: the matrix is turned if that helps.
        rule = 'results-turned' if len(names) == matrix.shape[1] else 'results-count'
        found = f'is {described(matrix)}, and has {len(names):,} names'
        yield Finding(rule, path, found)
        if rule == 'results-count':
            return
    if isinstance(beside, h5py.Dataset) and beside.size:
        yield from of_names_beside('results-contradict', path, names, texts_of(beside))
    yield from _of_names(names, path)
    yield from _of_levels(matrix.parent, names)
    require_stored(matrix)
    yield from _of_ids(matrix, names, n_elements)


def _of_names(names: Sequence[str], path: str) -> Iterator[Finding]:
    if blank := [number for number, name in enumerate(names, start=1) if not name]:
        yield Finding('results-blank', path, f'has blank names: number {some(blank)}')
    alike = grouped(
        (schema.in_file_name(name).casefold(), repr(name)) for name in filter(None, names)
    )
    for group in alike.values():
        if len(group) > 1:
            yield Finding('results-collide', path, f'has results {" and ".join(group)}')


def _of_levels(group: h5py.Group, names: Sequence[str]) -> Iterator[Finding]:
    known = {f'{schema.LEVELS_PREFIX}{number}' for number in range(1, len(names) + 1)}
    for name, table in members(group).items():
        if not name.startswith(schema.LEVELS_PREFIX):
            continue
        if name not in known:
            found = f'is there, and {len(names)} results'
        elif not isinstance(table, h5py.Dataset) or not h5py.check_string_dtype(table.dtype):
            found = f'is {described(table) if isinstance(table, h5py.Dataset) else "a group"}'
        else:
            continue
        yield Finding('results-levels', f'{group.name}/{name}', found)


def _of_ids(matrix: h5py.Dataset, names: Sequence[str], n_elements: int) -> Iterator[Finding]:
    """Check that each row belongs to an element of its own."""
    if not n_elements:
        return
    is_turned = len(names) != matrix.shape[0]
    n_rows = matrix.shape[0 if is_turned else 1]
    if schema.ELEMENT_ID not in names:
        rule = 'results-without-ids' if n_rows == n_elements else 'results-rows'
        found = f'has no {schema.ELEMENT_ID}, {n_rows:,} rows, and the file {n_elements:,} elements'
        yield Finding(rule, matrix.name, found)
        return
    row = names.index(schema.ELEMENT_ID)
    if row:
        found = f'has {schema.ELEMENT_ID} as result number {row + 1}'
        yield Finding('results-without-ids', matrix.name, found)
    outside, twice = _odd_ids(_result(matrix, row, is_turned), n_elements)
    if outside is not None:
        found = f'has the {schema.ELEMENT_ID} {outside:g}, expected 0 to {n_elements - 1:,}'
        yield Finding('results-ids', matrix.name, found)
    if twice is not None:
        yield Finding(
            'results-ids-twice', matrix.name, f'has the {schema.ELEMENT_ID} {twice:g} twice'
        )


def _odd_ids(
    runs: Iterable[np.ndarray], n_elements: int
) -> tuple[np.float64 | None, np.int64 | None]:
    """Return the first value that is not an element, and the first duplicate.

    >>> [float(one) for one in _odd_ids([np.array([0.0, 2.0, 9.0]), np.array([2.0])], n_elements=3)]
    [9.0, 2.0]
    """
    seen = np.zeros(n_elements, bool)
    outside: list[np.float64] = []
    twice: list[np.int64] = []
    for ids in runs:
        good = np.isfinite(ids) & (ids == np.floor(ids)) & (ids >= 0) & (ids < n_elements)
        outside.extend(ids[~good][:1])
        found, counts = np.unique(ids[good].astype(np.int64), return_counts=True)
        twice.extend(found[(counts > 1) | seen[found]][:1])
        seen[found] = True
    return next(iter(outside), None), next(iter(twice), None)


def _result(matrix: h5py.Dataset, row: int, is_turned: bool) -> Iterator[np.ndarray]:
    """Yield the values of one result, float64, in runs that need few chunks each."""
    if is_turned:
        yield matrix[:, row].astype(np.float64)
        return
    width = block_columns(matrix)
    for start in range(0, matrix.shape[1], width):
        yield matrix[row, start : start + width].astype(np.float64)
