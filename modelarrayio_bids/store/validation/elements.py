"""Rules on the tables that say what each element is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import h5py
import numpy as np

from modelarrayio_bids.runtime.text_format import some
from modelarrayio_bids.store import schema
from modelarrayio_bids.store.items import attribute, item_at, require_stored
from modelarrayio_bids.store.text import texts
from modelarrayio_bids.store.validation.findings import Finding
from modelarrayio_bids.store.validation.rules import RULES
from modelarrayio_bids.store.validation.storage import described, is_number, of_filters

_COLUMNS = {
    'greyordinates': ('vertex_id', 'structure_id'),
    'fixels': ('fixel_id', 'voxel_id', 'x', 'y', 'z'),
    'voxels': ('voxel_id', 'i', 'j', 'k'),
}
_STRUCTURE_NAMES = 'structure_names'
_PARCELS = 'parcels/parcel_id'
_EDGES = ('parcels/parcel_id_from', 'parcels/parcel_id_to')


def of_elements(file: h5py.File, counts: Mapping[str, int]) -> Iterator[Finding]:
    """All that is wrong with the tables.

    Parameters
    ----------
    file : h5py.File
        The file.
    counts : dict of int
        By scalar: its elements.
    """
    tables = {path: item_at(file, path) for path in (*_COLUMNS, _PARCELS, *_EDGES)}
    found = {path: item for path, item in tables.items() if isinstance(item, h5py.Dataset)}
    if not found:
        yield Finding(RULES['elements-missing'], '/', 'has no table of the elements')
    for path, table in found.items():
        yield from of_filters(table)
        yield from _of_form(path, table)
    yield from _of_companions(found)
    yield from _of_kinds(found)
    good = {path: table for path, table in found.items() if _is_table(path, table)}
    for path, n_elements in _counted(good).items():
        for scalar, count in counts.items():
            if count != n_elements:
                said = f'has {n_elements:,} elements, {scalar} has {count:,}'
                yield Finding(RULES['elements-count'], path, said)


def _of_companions(tables: Mapping[str, h5py.Dataset]) -> Iterator[Finding]:
    """Tables that say too little without another."""
    for one, other in (_EDGES, _EDGES[::-1]):
        if one in tables and other not in tables:
            yield Finding(RULES['elements-columns'], f'/{one}', f'is there, and no /{other}')
    if 'fixels' in tables and 'voxels' not in tables:
        yield Finding(RULES['elements-voxels'], '/fixels', 'is there, and no /voxels')


def _of_kinds(tables: Mapping[str, h5py.Dataset]) -> Iterator[Finding]:
    """Tables that cannot be of the same elements; voxels are also those of fixels."""
    kinds = [path for path in _COLUMNS if path in tables]
    if kinds and (others := [path for path in (_PARCELS, *_EDGES) if path in tables]):
        kinds.append(others[0])
    elif kinds == ['fixels', 'voxels']:
        return
    if len(kinds) > 1:
        beside = ' and '.join(f'/{path}' for path in kinds[1:])
        yield Finding(RULES['elements-kinds'], f'/{kinds[0]}', f'is beside {beside}')


def _counted(tables: Mapping[str, h5py.Dataset]) -> dict[str, int]:
    """How many elements each table says there are, by its path."""
    lengths = {path: table.shape[-1] for path, table in tables.items()}
    if 'fixels' in lengths:
        # Of the fixels, and there are fewer.
        lengths.pop('voxels', None)
    ends = [lengths.pop(path) for path in _EDGES if path in lengths]
    edges = {'/parcels': ends[0] * ends[1]} if len(ends) == len(_EDGES) else {}
    return {f'/{path}': length for path, length in lengths.items()} | edges


def _of_form(path: str, table: h5py.Dataset) -> Iterator[Finding]:
    if not _is_table(path, table):
        yield Finding(RULES['elements-form'], table.name, f'is {described(table)}')
    elif path in _COLUMNS:
        yield from _of_columns(table, _COLUMNS[path])
        yield from _of_ids(table)


def _of_ids(table: h5py.Dataset) -> Iterator[Finding]:
    """Whether the first column counts the elements."""
    require_stored(table)
    ids = table[0] if table.shape[0] else np.empty(0)
    if (odd := np.flatnonzero(ids != np.arange(ids.size))).size:
        first = int(odd[0])
        said = f'has {ids[first]:g} as the first column of element {first:,}, counted from 0'
        yield Finding(RULES['elements-ids'], table.name, said)


def _is_table(path: str, table: h5py.Dataset) -> bool:
    """Numbers in two dimensions or, for parcels, strings in one."""
    n_dimensions = len(table.shape or ())
    if path in _COLUMNS:
        return n_dimensions == 2 and is_number(table.dtype)
    return n_dimensions == 1 and h5py.check_string_dtype(table.dtype) is not None


def _of_columns(table: h5py.Dataset, wanted: tuple[str, ...]) -> Iterator[Finding]:
    said = attribute(table, schema.COLUMN_NAMES)
    has = () if said is None else texts(np.ravel(said))
    if len(has) != table.shape[0]:
        said = f'has {table.shape[0]} columns and names of {len(has)} in {schema.COLUMN_NAMES}'
        yield Finding(RULES['elements-columns'], table.name, said)
    elif missing := [column for column in wanted if column not in has]:
        yield Finding(RULES['elements-columns'], table.name, f'has no column {some(missing)}')
    if 'structure_id' in wanted and attribute(table, _STRUCTURE_NAMES) is None:
        yield Finding(RULES['elements-columns'], table.name, f'has no attribute {_STRUCTURE_NAMES}')
