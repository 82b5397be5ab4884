"""Kinds of elements, recognised in an HDF5 file by the tables of their elements.

The kinds themselves are passed by the caller (``modelarrayio_bids.spaces``): what a
kind's tables look like is all that is asked here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from os import PathLike
from typing import Any, ClassVar, Protocol

import h5py
import numpy as np

from modelarrayio_bids.errors import ModelArrayIOError, SchemaError
from modelarrayio_bids.store import schema
from modelarrayio_bids.store.items import datasets, group_at, item_at, texts_attribute
from modelarrayio_bids.store.schema import ElementTable, Tables

# Exceptions from a damaged template.
_BROKEN = (
    *(ModelArrayIOError, ArithmeticError, AttributeError, LookupError, MemoryError),
    *(TypeError, ValueError),
)


@dataclass(frozen=True)
class TableForm:
    """The form of one table of a kind of elements.

    Parameters
    ----------
    path : str
        Path of the dataset.
    columns : tuple of str, optional
        Columns it must have, of numbers; none for a row of names.
    attributes : tuple of str, optional
        Lists of names it must have as attributes.
    counts : bool, optional
        True if the number of elements is its length, or, for a kind with several such tables, the
        product of their lengths. Other tables are companions.
    """

    path: str
    columns: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    counts: bool = True


class Elements(Protocol):
    """Elements made again of a template, as readers of a file need them."""

    kind: ClassVar[str]

    def __len__(self) -> int:
        """Return the number of elements."""

    def tables(self) -> dict[str, ElementTable]:
        """Return their tables, by path."""


class ElementKind(Protocol):
    """A kind of elements, as readers of a file need it."""

    kind: ClassVar[str]
    table_forms: ClassVar[tuple[TableForm, ...]]

    @classmethod
    def from_template(cls, template: Mapping[str, np.ndarray]) -> Elements:
        """Make the elements again, of what a file keeps of them."""

    @classmethod
    def stored_facts(cls, tables: Tables, template: Mapping[str, Any]) -> dict[str, Any]:
        """Return what tables and template say of the elements: fields of ``Elements``."""


def tables_in(file: h5py.File, kinds: Iterable[type[ElementKind]]) -> dict[str, h5py.Dataset]:
    """Return the tables of elements that a file has, by path, in the order of the kinds."""
    found = {form.path: item_at(file, form.path) for kind in kinds for form in kind.table_forms}
    return {path: item for path, item in found.items() if isinstance(item, h5py.Dataset)}


def kinds_of(paths: Collection[str], kinds: Iterable[type[ElementKind]]) -> list[type[ElementKind]]:
    """Return the kinds that tables at some paths are of: one, where nothing is wrong.

    A table that is only the companion of another kind's, as the voxels of fixels are, is of no
    kind of its own.
    """
    there = [kind for kind in kinds if any(path in paths for path in counting(kind))]
    companions = {form.path for kind in there for form in kind.table_forms if not form.counts}
    return [kind for kind in there if not set(counting(kind)) <= companions]


def counting(kind: type[ElementKind]) -> list[str]:
    """Return the paths of the tables whose lengths tell the number of elements."""
    return [form.path for form in kind.table_forms if form.counts]


def n_elements(kind: type[ElementKind], tables: Mapping[str, h5py.Dataset]) -> int | None:
    """Return how many elements the tables of a kind tell; None where one is missing."""
    paths = counting(kind)
    return prod(tables[path].shape[-1] for path in paths) if tables.keys() >= set(paths) else None


def made_again(
    name: str,
    template: Mapping[str, np.ndarray],
    kinds: Iterable[type[ElementKind]],
    path: str | PathLike[str],
) -> Elements:
    """Make elements again, of the template in a file and the name of their kind.

    Raises
    ------
    SchemaError
        If the kind is unknown, or the template damaged.
    """
    kind = next((kind for kind in kinds if kind.kind == name), None)
    if kind is None:
        what = f'has a template of elements of an unknown kind, {name!r}'
        raise SchemaError(what, path, 'Build it again.')
    try:
        return kind.from_template(template)
    except _BROKEN as error:
        said = error.what if isinstance(error, ModelArrayIOError) else repr(error)
        what = f'has a template of its {name} that cannot be used ({said})'
        raise SchemaError(what, path, 'Build it again.') from error


def disagreements(
    elements: Elements,
    tables: Tables,
    counts: Mapping[str, int],
    kinds: Iterable[type[ElementKind]],
    whose: str = 'the template',
) -> Iterator[str]:
    """Yield what a file says of its elements that is not so.

    Parameters
    ----------
    elements : Elements
        The elements as they are.
    tables : dict of ElementTable
        Tables of all kinds in the file, by path.
    counts : dict of int
        By scalar: its elements.
    kinds : iterable of ElementKind
        Kinds of elements that are recognised.
    whose : str, optional
        Origin of the elements, for messages.
    """
    there = f'{len(elements):,} {elements.kind}'
    if others := [kind.kind for kind in kinds_of(tables, kinds) if kind.kind != elements.kind]:
        yield f'has a table of {" and ".join(others)}, and {whose} {there}'
    for path, table in elements.tables().items():
        stored = tables.get(path)
        if stored is not None and not stored.agrees_with(table):
            number = stored.values.shape[-1]
            yield f'has other {elements.kind} ({number:,}) in /{path} than {whose} ({there})'
    for scalar, count in counts.items():
        if count != len(elements):
            yield f'has {count:,} values for each source of {scalar}, and {whose} {there}'


def facts_in(file: h5py.File, kind: type[ElementKind]) -> dict[str, Any]:
    """Return what a file says of its elements, of which this is the kind; no values are read."""
    attributes = {form.path: form.attributes for form in kind.table_forms}
    found = tables_in(file, [kind]).items()
    tables = {path: _unread(table, attributes[path]) for path, table in found}
    return kind.stored_facts(tables, datasets(group_at(file, schema.TEMPLATE)))


def _unread(table: h5py.Dataset, attributes: Sequence[str]) -> ElementTable:
    """Return a table whose values are read where they are asked for."""
    found = {name: texts_attribute(table, name) for name in attributes}
    named = {name: said for name, said in found.items() if said is not None}
    return ElementTable(table, texts_attribute(table, schema.COLUMN_NAMES) or (), named)
