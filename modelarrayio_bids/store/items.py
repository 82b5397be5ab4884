"""Read items of an HDF5 file: all content is read through this module.

A file may have been damaged, or written by any program. What is not as expected becomes an error of
one line with the path inside the file, and what a dataset declares is compared with what it stores
before memory is asked for.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from modelarrayio_bids.errors import FormatError, ModelArrayIOError

#: Exceptions of h5py, numpy and struct for damaged or unknown content.
UNREADABLE = (OSError, RuntimeError, LookupError, TypeError, ValueError, MemoryError, struct.error)
_REMEDY = 'Copy the file again, or build it again.'
# Deflate makes a thousandth of zeros; what is small may also never have been written.
_MOST_INFLATED, _SMALL = 1100, 256 * 2**20
# Far more than there are sources, results, parcels or structures of anything.
_MOST_TEXTS = 2**22


@contextmanager
def damage_told(path: str | Path, where: str, what: str = 'cannot be read') -> Iterator[None]:
    """Turn what reading raises into a :class:`FormatError` with the file and the path inside it."""
    try:
        yield
    except ModelArrayIOError as error:
        if error.path is not None or not isinstance(error, FormatError):
            raise
        # A codec's, which knows no file.
        said = f'{what} at /{where.strip("/")} ({error.what})'
        raise FormatError(said, path, _REMEDY) from error
    except UNREADABLE as error:
        reason = (
            'it asks for more memory than there is' if isinstance(error, MemoryError) else error
        )
        said = f'{what} at /{where.strip("/")} ({reason})'
        raise FormatError(said, path, _REMEDY) from error


def is_from_h5py(error: BaseException | None) -> bool:
    """Return whether h5py raised an error, about something it could not make sense of."""
    if not isinstance(error, UNREADABLE) or isinstance(error, ModelArrayIOError):
        return False
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and str(trace.tb_frame.f_globals.get('__name__')).startswith('h5py')


def unexpected(item: h5py.HLObject, what: str) -> FormatError:
    """Return the error of an item that is not what it should be."""
    return FormatError(f'{item.name} {what}', item.file.filename, _REMEDY)


def item_at(parent: h5py.Group, path: str) -> Any:
    """Return what is at a path; None if nothing is, or a link leads nowhere.

    Raises
    ------
    FormatError
        If it is damaged, or links go round in circles.
    """
    with damage_told(parent.file.filename, f'{parent.name}/{path}'):
        try:
            return parent[path]
        except ValueError:  # a path through a dataset
            return None
        except KeyError:
            above, _, leaf = path.rpartition('/')
            holder = parent.get(above) if above else parent
            if not isinstance(holder, h5py.Group) or leaf not in holder:
                return None
            if isinstance(holder.get(leaf, getlink=True), h5py.HardLink):
                raise
            return None


def group_at(parent: h5py.Group, path: str) -> h5py.Group | None:
    """Return the group at a path; None if nothing is there.

    Raises
    ------
    FormatError
        If something else is.
    """
    return _of_type(parent, path, h5py.Group, 'group')


def dataset_at(parent: h5py.Group, path: str) -> h5py.Dataset | None:
    """Return the dataset at a path; None if nothing is there.

    Raises
    ------
    FormatError
        If something else is.
    """
    return _of_type(parent, path, h5py.Dataset, 'dataset')


def _of_type(parent: h5py.Group, path: str, expected: type, noun: str) -> Any:
    found = item_at(parent, path)
    if found is not None and not isinstance(found, expected):
        raise unexpected(found, f'is not a {noun}')
    return found


def groups_in(parent: h5py.Group, path: str) -> dict[str, h5py.Group]:
    """Return the groups in a group by name; none where it is not there."""
    group = item_at(parent, path)
    return groups(group) if isinstance(group, h5py.Group) else {}


def members(group: h5py.Group | None) -> dict[str, Any]:
    """Return what is in a group by name; links that lead nowhere are left out."""
    if group is None:
        return {}
    with damage_told(group.file.filename, group.name):
        # Names that are not UTF-8 come as bytes: they cannot be requested.
        names = [name for name in group if isinstance(name, str)]
    found = {name: item_at(group, name) for name in names}
    return {name: item for name, item in found.items() if item is not None}


def groups(group: h5py.Group | None) -> dict[str, h5py.Group]:
    """Return the groups in a group by name."""
    return {name: item for name, item in members(group).items() if isinstance(item, h5py.Group)}


def datasets(group: h5py.Group | None) -> dict[str, h5py.Dataset]:
    """Return what is in a group by name.

    Raises
    ------
    FormatError
        If something is not a dataset.
    """
    found = members(group)
    for item in found.values():
        if not isinstance(item, h5py.Dataset):
            raise FormatError('holds what should be a dataset', item.file.filename, _REMEDY)
    return found


def shape_of(dataset: h5py.Dataset) -> tuple[int, ...]:
    """Return the shape of a dataset; (0,) of one that holds nothing at all."""
    with damage_told(dataset.file.filename, dataset.name):
        return dataset.shape if dataset.shape is not None else (0,)


def type_of(dataset: h5py.Dataset) -> np.dtype:
    """Return the type of a dataset.

    Raises
    ------
    FormatError
        If numpy has no such type.
    """
    with damage_told(dataset.file.filename, dataset.name):
        return dataset.dtype


def require_stored(dataset: h5py.Dataset) -> None:
    """Refuse a dataset that declares more than what is stored of it can be.

    Raises
    ------
    FormatError
        With both amounts.
    """
    with damage_told(dataset.file.filename, dataset.name):
        # A chunk is inflated whole, however little of it is within the shape.
        shapes = (shape_of(dataset), dataset.chunks or ())
        values = max(int(np.prod(shape, dtype=object)) for shape in shapes)
        declared = values * dataset.id.get_type().get_size()
        stored = dataset.id.get_storage_size()
    if declared > max(_SMALL, _MOST_INFLATED * stored):
        raise unexpected(dataset, f'declares {declared:,} bytes and stores {stored:,}')


def values_of(dataset: h5py.Dataset, kinds: str = 'fiub') -> np.ndarray:
    """Return all values of a dataset of numbers, or of other kinds by numpy's letters.

    Raises
    ------
    FormatError
        If they are not numbers, cannot be read, or are more than is stored.
    """
    if type_of(dataset).kind not in kinds:
        raise unexpected(dataset, f'is {type_of(dataset)}, expected numbers')
    require_stored(dataset)
    with damage_told(dataset.file.filename, dataset.name):
        return np.asarray(dataset[()]) if dataset.shape is not None else np.empty(0)


def texts_of(dataset: h5py.Dataset) -> tuple[str, ...]:
    """Return each of the strings of a dataset, whatever its shape; numbers as text, as R does.

    Raises
    ------
    FormatError
        If they cannot be read, or are too many.
    """
    if np.prod(shape_of(dataset), dtype=object) > _MOST_TEXTS:
        raise unexpected(dataset, f'declares {shape_of(dataset)} texts')
    require_stored(dataset)
    with damage_told(dataset.file.filename, dataset.name):
        return texts(np.ravel(dataset[()])) if dataset.shape is not None else ()


def array_of(dataset: h5py.Dataset) -> np.ndarray:
    """Return what a dataset holds, numbers or texts."""
    if h5py.check_string_dtype(type_of(dataset)) is None:
        return values_of(dataset)
    return np.array(texts_of(dataset), dtype=object)


def attribute(item: h5py.HLObject, name: str) -> Any:
    """Return an attribute of an item; None if it has none of the name.

    Raises
    ------
    FormatError
        If it cannot be read.
    """
    with damage_told(item.file.filename, f'{item.name}, attribute {name}'):
        found = item.attrs.get(name)
    return None if isinstance(found, h5py.Empty) else found


def texts_attribute(item: h5py.HLObject, name: str) -> tuple[str, ...] | None:
    """Return the strings of an attribute; None if there is none."""
    found = attribute(item, name)
    return None if found is None else texts(np.ravel(found))


def text_attribute(item: h5py.HLObject, name: str) -> str:
    """Return an attribute as text, the first of several; blank if there is none."""
    return next(iter(texts_attribute(item, name) or ()), '')


def text_attributes(item: h5py.HLObject | None) -> dict[str, str]:
    """Return all attributes of an item as text, by name; none where there is no item."""
    if item is None:
        return {}
    with damage_told(item.file.filename, item.name):
        names = [name for name in item.attrs if isinstance(name, str)]
    return {name: text_attribute(item, name) for name in names}


def json_object(said: str, path: str | Path, where: str) -> dict[str, Any]:
    """Return the JSON object of a text.

    Raises
    ------
    FormatError
        If it is another kind of JSON, or none.
    """
    with damage_told(path, where, 'holds JSON that cannot be read'):
        found = json.loads(said)
        # Text that cannot be encoded cannot be written again.
        json.dumps(found, ensure_ascii=False).encode()
    if not isinstance(found, dict):
        raise FormatError(f'holds JSON that is not an object at {where}', path, _REMEDY)
    return found


def texts(values: Any) -> tuple[str, ...]:
    """Return the strings of an attribute or a dataset of any program."""
    return tuple(text(value) for value in np.atleast_1d(values).tolist())


def text(value: Any) -> str:
    r"""Return a string as text: h5py's come as str or bytes, R's are padded with NUL.

    >>> text(b'age.estimate\0\0')
    'age.estimate'
    """
    if isinstance(value, str):
        # h5py hides what is not UTF-8 in what cannot be printed.
        value = value.encode('utf-8', 'surrogateescape')
    if isinstance(value, bytes):
        value = value.decode('utf-8', errors='replace')
    return str(value).rstrip('\0').strip()
