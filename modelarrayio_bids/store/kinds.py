"""Kinds of elements, as an HDF5 file tells them: by the tables that say what each element is.

The kinds themselves are handed in by whoever knows them (``modelarrayio_bids.spaces``): what a
kind's tables look like is all that is asked here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar, Protocol

import h5py
import numpy as np

from modelarrayio_bids.store import schema
from modelarrayio_bids.store.items import attribute, datasets, group_at, item_at
from modelarrayio_bids.store.schema import ElementTable
from modelarrayio_bids.store.text import texts


@dataclass(frozen=True)
class TableForm:
    """The form of one table of a kind of elements.

    Parameters
    ----------
    path : str
        Of the dataset.
    columns : tuple of str, optional
        Columns it must have, of numbers; none for a row of names.
    attributes : tuple of str, optional
        Lists of names it must have as attributes.
    counts : bool, optional
        Whether its length tells the number of elements: that of a kind with several such tables is
        the product of their lengths. Other tables are companions.
    """

    path: str
    columns: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    counts: bool = True


class ElementKind(Protocol):
    """What a file's readers ask of a kind of elements."""

    kind: ClassVar[str]
    table_forms: ClassVar[tuple[TableForm, ...]]

    @classmethod
    def stored_facts(
        cls, tables: Mapping[str, ElementTable], template: Mapping[str, Any]
    ) -> dict[str, Any]:
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


def facts_in(file: h5py.File, kind: type[ElementKind]) -> dict[str, Any]:
    """Return what a file says of its elements, of which this is the kind; no values are read."""
    attributes = {form.path: form.attributes for form in kind.table_forms}
    found = tables_in(file, [kind]).items()
    tables = {path: _unread(table, attributes[path]) for path, table in found}
    return kind.stored_facts(tables, datasets(group_at(file, schema.TEMPLATE)))


def _unread(table: h5py.Dataset, attributes: Sequence[str]) -> ElementTable:
    """A table whose values are read where they are asked for."""
    columns = attribute(table, schema.COLUMN_NAMES)
    found = {name: attribute(table, name) for name in attributes}
    named = {name: texts(np.ravel(said)) for name, said in found.items() if said is not None}
    return ElementTable(table, () if columns is None else texts(np.ravel(columns)), named)
