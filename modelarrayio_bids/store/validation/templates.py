"""Rules on the template, of which exporting makes the elements again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

import h5py

from modelarrayio_bids.errors import FormatError, SchemaError
from modelarrayio_bids.store import schema
from modelarrayio_bids.store.items import datasets, group_at, text_attribute, values_of
from modelarrayio_bids.store.kinds import (
    ElementKind,
    disagreements,
    kinds_of,
    made_again,
    n_elements,
    tables_in,
)
from modelarrayio_bids.store.reader import read_table
from modelarrayio_bids.store.validation.findings import Finding
from modelarrayio_bids.store.validation.rules import RULES


def of_template(
    file: h5py.File, counts: Mapping[str, int], kinds: Sequence[type[ElementKind]]
) -> Iterator[Finding]:
    """Whether it tells the same elements as the tables, and as many as each scalar has values."""
    group = group_at(file, schema.TEMPLATE)
    if group is None:
        return
    name, where = text_attribute(group, schema.KIND_ATTRIBUTE), f'/{schema.TEMPLATE}'
    try:
        arrays = {part: values_of(dataset) for part, dataset in datasets(group).items()}
        space = made_again(name, arrays, kinds)
    except (FormatError, SchemaError) as error:
        yield Finding(RULES['elements-template'], where, error.what)
        return
    found = tables_in(file, kinds)
    tables = {}
    # Tables of another number of elements, or that cannot be read, are told of by other rules.
    told = [n_elements(kind, found) for kind in kinds_of(found, kinds)] == [len(space)]
    for path, table in found.items() if told else ():
        with suppress(OSError, FormatError):
            tables[path] = read_table(table)
    for what in disagreements(space, tables, {} if told else counts, kinds):
        yield Finding(RULES['elements-template'], where, what)
