"""Rules on the storage of a file and its datasets, whatever is in them."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np

from modelarrayio_bids.runtime.text_format import some
from modelarrayio_bids.store import schema
from modelarrayio_bids.store.hdf5_filters import COMMON, RARE, filters_of
from modelarrayio_bids.store.items import item_at, texts_attribute
from modelarrayio_bids.store.kinds import ElementKind
from modelarrayio_bids.store.object_headers import newer_than_r
from modelarrayio_bids.store.validation.rules import Finding

#: Attribute that rhdf5 adds to datasets.
_OF_RHDF5 = 'rhdf5-NA.OK'
_DIMENSION_LABELS = 'DIMENSION_LABELS'
#: Groups above what R reads, as scalars/scalars/FA/column_names: links of groups may make rings.
_DEEPEST = 3


def of_file(file: h5py.File, path: Path) -> Iterator[Finding]:
    """Check that R may and can open it."""
    if _is_locked(path):
        yield Finding('file-locked', '/', 'is open for writing in another program')
    with open(path, 'rb') as binary:
        newer = newer_than_r(file, binary)
    if newer:
        where, what = next(iter(newer.items()))
        more = f', and so are {len(newer) - 1} more' if len(newer) > 1 else ''
        yield Finding('file-too-new', where, f'is stored with a {what}{more}')


def of_links(file: h5py.File, kinds: Iterable[type[ElementKind]]) -> Iterator[Finding]:
    """Find what R reads and another file holds."""
    tables = {form.path.split('/')[0] for kind in kinds for form in kind.table_forms}
    read_by_r = {schema.SCALARS, schema.RESULTS, *tables}
    for where, link in _external_links(file, '', _DEEPEST):
        if where.split('/')[1] in read_by_r:
            missing = '; nothing can be read there' if item_at(file, where) is None else ''
            said = f'is in another file, {link.filename}, as {link.path}{missing}'
            yield Finding('file-elsewhere', where, said)


def _external_links(
    group: h5py.Group, path: str, levels: int
) -> Iterator[tuple[str, h5py.ExternalLink]]:
    """Yield links out of the file, by path, in a group and so many levels of groups in it."""
    for name in group:
        where = f'{path}/{name}'
        # Names that are not UTF-8 come as bytes.
        link = group.get(name, getlink=True) if isinstance(name, str) else None
        if isinstance(link, h5py.ExternalLink):
            yield where, link
        elif levels and isinstance(link, h5py.HardLink):
            item = item_at(group, name)
            if isinstance(item, h5py.Group):
                yield from _external_links(item, where, levels - 1)


def of_filters(dataset: h5py.Dataset) -> Iterator[Finding]:
    """Check that R can undo what its chunks went through."""
    names = [name for name in filters_of(dataset) if name not in COMMON]
    unknown, rare = [n for n in names if n not in RARE], [n for n in names if n in RARE]
    for rule, chosen in (('filter-unknown', unknown), ('filter-rare', rare)):
        if chosen:
            yield Finding(rule, dataset.name, f'is compressed by {" and ".join(chosen)}')


def of_attributes(dataset: h5py.Dataset, names: str) -> Iterator[Finding]:
    """Find attributes that R would read, but for that with names."""
    for name in sorted(set(dataset.attrs) - {names, _OF_RHDF5}):
        rule = 'attribute-deadly' if _is_deadly(dataset, name) else 'attribute'
        yield Finding(rule, dataset.name, f'has the attribute {name}')


def of_names_beside(
    rule: str, path: str, names: Sequence[str], beside: Sequence[str]
) -> Iterator[Finding]:
    """Compare the names that R takes from an attribute with those of a dataset."""
    if tuple(names) != tuple(beside):
        differ = sorted(set(beside) ^ set(names))
        found = f'differ in {some(differ)}' if differ else 'have another order'
        yield Finding(rule, path, f'attribute and dataset {found}')


def described(dataset: h5py.Dataset) -> str:
    """Say what it is made of.

    >>> with h5py.File('x', 'w', driver='core', backing_store=False) as file:
    ...     described(file.create_dataset('x', (2, 3), 'f4'))
    'float32, 2 × 3'
    """
    shape = 'nothing' if dataset.shape is None else ' × '.join(f'{n:,}' for n in dataset.shape)
    return f'{type_name(dataset.dtype)}, {shape or "one value"}'


def type_name(dtype: np.dtype) -> str:
    """Name a type: ``float32``, ``enumeration``, ``strings of fixed length (ascii)``."""
    string = h5py.check_string_dtype(dtype)
    if string is not None:
        length = 'variable' if string.length is None else 'fixed'
        return f'strings of {length} length ({string.encoding})'
    if h5py.check_enum_dtype(dtype) is not None:
        return 'enumeration'
    if dtype.names is not None:
        return 'compound'
    return dtype.name if dtype.isnative else f'{dtype.name} (big-endian)'


def is_number(dtype: np.dtype) -> bool:
    """Return whether it is whole numbers or floats, and nothing made of them."""
    return dtype.kind in 'iuf' and h5py.check_enum_dtype(dtype) is None


def _is_locked(path: Path) -> bool:
    """Return whether somebody holds the lock that HDF5 takes to write."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks
        return False
    finally:
        os.close(descriptor)
    return False


def _is_deadly(dataset: h5py.Dataset, name: str) -> bool:
    """Return whether it has a string of variable length without a content, not even an empty one.

    h5py shows such a string as an empty one, so that the two cannot be told apart. But labels of
    dimensions are written one by one, and those left out are such strings.
    """
    found = dataset.attrs.get_id(name)
    string = h5py.check_string_dtype(found.dtype)
    if string is None or string.length is not None:  # of a fixed length, R makes an empty text
        return False
    if found.get_space().get_simple_extent_type() == h5py.h5s.NULL:
        return True
    return name == _DIMENSION_LABELS and '' in (texts_attribute(dataset, name) or ())
