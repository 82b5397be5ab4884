"""Rules on scalars: their values, and the names of their sources."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

import h5py
import numpy as np

from modelarrayio_bids.runtime.text_format import some
from modelarrayio_bids.store import schema
from modelarrayio_bids.store.items import item_at, texts_of
from modelarrayio_bids.store.r_view import (
    ScalarView,
    matrix_of,
    nested_scalars,
    scalar_names,
    scalar_view,
)
from modelarrayio_bids.store.validation.rules import Finding
from modelarrayio_bids.store.validation.storage import (
    described,
    is_number,
    of_attributes,
    of_filters,
    of_names_beside,
    type_name,
)

# Four times what the predecessor aims for.
_LARGE_CHUNK = 8 * 2**20
_REPLACED = '\N{REPLACEMENT CHARACTER}'


def of_scalar(file: h5py.File, name: str, views: list[ScalarView]) -> Iterator[Finding]:
    """Yield all that is wrong with a scalar, which is added to the views if it is one."""
    if not schema.is_r_name(name) or name == schema.SCALARS:
        found = f'{name!r} is not a valid name in formulas of R'
        yield Finding('scalar-name', f'/{schema.scalar_path(name)}', found)
    beside = item_at(file, schema.scalar_path(name, schema.COLUMN_NAMES))
    if isinstance(beside, h5py.Dataset):
        yield from _of_names_dataset(beside)
    view = scalar_view(file, name)
    if view.values is None and _has_matrix_beside(file, name):
        item = item_at(file, view.path)
        found = 'has no values' if item is None else f'has no matrix: values {_instead(item)}'
        yield Finding('scalar-stray', f'/{schema.scalar_path(name)}', found)
        return
    views.append(view)
    yield from _of_names(view)
    yield from _of_names_attribute(view, beside)
    if view.values is None:
        yield Finding('values-missing', view.path, _instead(item_at(file, view.path)))
        return
    yield from of_filters(view.values)
    yield from of_attributes(view.values, schema.COLUMN_NAMES)
    yield from _of_type(view.values)
    yield from _of_orientation(view)
    yield from _of_chunks(view.values, view.shape[0], 1 if view.is_turned else 0)


def of_all(file: h5py.File, views: Sequence[ScalarView]) -> Iterator[Finding]:
    """Yield what is wrong with the scalars together."""
    for name in nested_scalars(file):
        where = f'/{schema.scalar_path(name)}'
        yield Finding('scalar-nested', where, 'is a scalar in a group of its own')
    if not scalar_names(file):
        yield Finding('file-without-scalars', f'/{schema.SCALARS}', 'holds no scalar')
    sources = {view.name: set(view.names.texts) for view in views if view.names is not None}
    first, *others = sources or ['']
    if differ := [name for name in others if sources[name] != sources[first]]:
        found = f'has scalars with other sources than {first}: {some(differ)}'
        yield Finding('sources-differ', f'/{schema.SCALARS}', found)


def _of_names(view: ScalarView) -> Iterator[Finding]:
    """Check that R finds names, and each of them is a name."""
    if view.names is None:
        where = f'/{schema.scalar_path(view.name)}'
        yield Finding('names-missing', where, f'has no {schema.COLUMN_NAMES}')
        return
    names, where = view.names.texts, view.names.path
    if where.startswith(f'/{schema.scalar_path(schema.SCALARS, view.name)}/'):
        yield Finding('names-nested', where, f'has the names of {view.name}')
    if view.values is not None and len(names) not in view.values.shape:
        found = f'has {len(names):,} names, the values {view.values.shape[0]:,} sources'
        yield Finding('names-count', where, found)
    if odd := [name for name in names if _REPLACED in name]:
        yield Finding('names-text', where, f'is not UTF-8: {some(odd)}')
    if blank := [number for number, name in enumerate(names, start=1) if not name]:
        yield Finding('names-blank', where, f'has blank names: number {some(blank)}')
    # Names above would be reported twice.
    counts = Counter(name for name in names if name and _REPLACED not in name)
    if twice := [name for name, count in counts.items() if count > 1]:
        yield Finding('names-twice', where, f'has names more than once: {some(twice)}')


def _of_names_dataset(dataset: h5py.Dataset) -> Iterator[Finding]:
    yield from of_filters(dataset)
    form = h5py.check_string_dtype(dataset.dtype)
    is_good = form is not None and form.length is None and form.encoding == 'utf-8'
    if not is_good or len(dataset.shape or ()) != 1:
        yield Finding('names-form', dataset.name, f'is {described(dataset)}')


def _of_names_attribute(view: ScalarView, dataset: object) -> Iterator[Finding]:
    """Compare names in an attribute with a dataset beside it."""
    if view.names is None or not view.names.in_attribute:
        return
    names = view.names.texts
    beside = texts_of(dataset) if isinstance(dataset, h5py.Dataset) else names
    if beside == names:
        found = f'has the names in its attribute {schema.COLUMN_NAMES}'
        yield Finding('names-attribute', view.path, found)
    else:
        yield from of_names_beside('names-contradict', view.path, names, beside)


def _has_matrix_beside(file: h5py.File, name: str) -> bool:
    """Return whether there is another scalar, whatever else may be wrong with it."""
    return any(matrix_of(file, other) is not None for other in scalar_names(file) if other != name)


def _instead(item: h5py.HLObject | None) -> str:
    """Say what is where a matrix should be."""
    if item is None:
        return 'is not there'
    return f'is {described(item) if isinstance(item, h5py.Dataset) else "a group"}'


def _of_type(values: h5py.Dataset) -> Iterator[Finding]:
    dtype = values.dtype
    if not is_number(dtype) or dtype == np.uint8:
        rule = 'values-type'
    elif dtype.kind in 'iu':
        rule = 'values-integer'
    elif dtype.str not in {'<f4', '<f8'}:
        rule = 'values-float'
    else:
        return
    yield Finding(rule, values.name, f'is {type_name(dtype)}')


def _of_orientation(view: ScalarView) -> Iterator[Finding]:
    n_sources, n_elements = view.shape
    if view.is_turned:
        found = f'is ({n_elements:,} elements, {n_sources:,} sources)'
        yield Finding('values-turned', view.path, found)
    elif n_sources == n_elements:
        yield Finding('values-square', view.path, f'has {n_sources:,} rows and as many columns')


def _of_chunks(values: h5py.Dataset, n_sources: int, axis: int) -> Iterator[Finding]:
    if values.is_virtual:
        yield Finding('values-virtual', values.name, 'is virtual')
        return
    if values.chunks is None:
        yield Finding('values-chunks', values.name, 'is not in chunks')
        return
    chunk = ' × '.join(f'{n:,}' for n in values.chunks)
    n_bytes = math.prod(values.chunks) * values.dtype.itemsize
    if values.chunks[axis] < n_sources:
        needed = math.ceil(n_sources / values.chunks[axis])
        found = f'has chunks of {chunk}: R needs {needed:,} for each element'
        yield Finding('values-chunks', values.name, found)
    elif n_bytes > _LARGE_CHUNK:
        found = f'has chunks of {chunk}, {n_bytes / 2**20:,.0f} MiB each'
        yield Finding('values-large-chunks', values.name, found)
