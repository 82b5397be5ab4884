"""Rules on the tables of elements, and on the template for exports."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

import h5py
import numpy as np

from modelarrayio_bids.errors import FormatError, SchemaError
from modelarrayio_bids.runtime.text_format import some
from modelarrayio_bids.store import items, schema
from modelarrayio_bids.store.kinds import (
    ElementKind,
    TableForm,
    counting,
    disagreements,
    kinds_of,
    made_again,
    n_elements,
    tables_in,
)
from modelarrayio_bids.store.reader import read_table
from modelarrayio_bids.store.validation.rules import Finding
from modelarrayio_bids.store.validation.storage import described, is_number, of_filters


def of_elements(
    file: h5py.File, counts: Mapping[str, int], kinds: Sequence[type[ElementKind]]
) -> Iterator[Finding]:
    """Yield all that is wrong with the tables.

    Parameters
    ----------
    file : h5py.File
        The file.
    counts : dict of int
        By scalar: its elements.
    kinds : sequence of ElementKind
        Kinds of elements that are recognised.
    """
    found = tables_in(file, kinds)
    forms = {form.path: form for kind in kinds for form in kind.table_forms}
    if not found:
        yield Finding('elements-missing', '/', 'has no table of the elements')
    for path, table in found.items():
        yield from of_filters(table)
        yield from _of_form(forms[path], table)
    there = kinds_of(found, kinds)
    yield from _of_kinds(found, there)
    good = {path: table for path, table in found.items() if _is_table(forms[path], table)}
    for kind in there:
        yield from _of_companions(found, kind)
        yield from _of_count(good, kind, counts)


def of_template(
    file: h5py.File, counts: Mapping[str, int], kinds: Sequence[type[ElementKind]]
) -> Iterator[Finding]:
    """Check that it tells the elements of the tables, and as many as each scalar has values."""
    group = items.group_at(file, schema.TEMPLATE)
    if group is None:
        return
    name, where = items.text_attribute(group, schema.KIND_ATTRIBUTE), f'/{schema.TEMPLATE}'
    try:
        arrays = {part: items.values_of(dataset) for part, dataset in items.datasets(group).items()}
        space = made_again(name, arrays, kinds, file.filename)
    except (FormatError, SchemaError) as error:
        yield Finding('elements-template', where, error.what)
        return
    found = tables_in(file, kinds)
    tables = {}
    # Tables of another number of elements, or that cannot be read, are reported by other rules.
    told = [n_elements(kind, found) for kind in kinds_of(found, kinds)] == [len(space)]
    for path, table in found.items() if told else ():
        with suppress(OSError, FormatError):
            tables[path] = read_table(table)
    for what in disagreements(space, tables, {} if told else counts, kinds):
        yield Finding('elements-template', where, what)


def _of_kinds(
    tables: Mapping[str, h5py.Dataset], kinds: Sequence[type[ElementKind]]
) -> Iterator[Finding]:
    """Find tables that cannot be of the same elements."""
    first, *others = [
        next(f'/{path}' for path in counting(kind) if path in tables) for kind in kinds
    ] or ['']
    if others:
        yield Finding('elements-kinds', first, f'is beside {" and ".join(others)}')


def _of_companions(
    tables: Mapping[str, h5py.Dataset], kind: type[ElementKind]
) -> Iterator[Finding]:
    """Find tables that say too little without another."""
    paths = [form.path for form in kind.table_forms]
    there = [path for path in paths if path in tables]
    for path in paths:
        if path not in tables:
            yield Finding('elements-companion', f'/{there[0]}', f'is there, and no /{path}')


def _of_count(
    tables: Mapping[str, h5py.Dataset], kind: type[ElementKind], counts: Mapping[str, int]
) -> Iterator[Finding]:
    number = n_elements(kind, tables)
    where = '/' + posixpath.commonpath(counting(kind))
    for scalar, count in counts.items():
        if number is not None and count != number:
            said = f'has {number:,} elements, {scalar} has {count:,}'
            yield Finding('elements-count', where, said)


def _of_form(form: TableForm, table: h5py.Dataset) -> Iterator[Finding]:
    if not _is_table(form, table):
        yield Finding('elements-form', table.name, f'is {described(table)}')
    elif form.columns:
        yield from _of_columns(form, table)
        yield from _of_ids(table)


def _of_ids(table: h5py.Dataset) -> Iterator[Finding]:
    """Check that the first column counts the elements."""
    items.require_stored(table)
    ids = table[0] if table.shape[0] else np.empty(0)
    if (odd := np.flatnonzero(ids != np.arange(ids.size))).size:
        first = int(odd[0])
        said = f'has {ids[first]:g} as the first column of element {first:,}, counted from 0'
        yield Finding('elements-ids', table.name, said)


def _is_table(form: TableForm, table: h5py.Dataset) -> bool:
    """Return whether it is numbers in two dimensions or, without columns, strings in one."""
    n_dimensions = len(table.shape or ())
    if form.columns:
        return n_dimensions == 2 and is_number(table.dtype)
    return n_dimensions == 1 and h5py.check_string_dtype(table.dtype) is not None


def _of_columns(form: TableForm, table: h5py.Dataset) -> Iterator[Finding]:
    has = items.texts_attribute(table, schema.COLUMN_NAMES) or ()
    if len(has) != table.shape[0]:
        said = f'has {table.shape[0]} columns and names of {len(has)} in {schema.COLUMN_NAMES}'
        yield Finding('elements-columns', table.name, said)
    elif missing := [column for column in form.columns if column not in has]:
        yield Finding('elements-columns', table.name, f'has no column {some(missing)}')
    for name in form.attributes:
        if items.attribute(table, name) is None:
            yield Finding('elements-columns', table.name, f'has no attribute {name}')
