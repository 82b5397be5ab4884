"""An HDF5 file as a TileDB store, and back.

A store is a folder with the groups of the HDF5 file as TileDB groups, and its datasets as dense
arrays of one attribute, ``values``. Matrices of scalars are as modelarrayio 26.0.0 lays them out:
dimensions ``subjects`` and ``items``, tiles that span all subjects, and the names of sources as
JSON in the array's metadata ``column_names``; here they are an array beside it, too, whatever the
kind of elements. Attributes become metadata: texts as they are, lists as JSON.

TileDB has no empty array and none without dimensions: such a dataset is an array of one cell, with
its shape in the metadata.
"""

from __future__ import annotations

import functools
import gc
import json
import logging
import math
import os
import traceback
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from modelarrayio_bids.errors import (
    FormatError,
    ModelArrayIOError,
    OutputError,
    SourceNotFoundError,
    UnfinishedOutputError,
    UsageError,
)
from modelarrayio_bids.runtime.progress import tracked
from modelarrayio_bids.runtime.unfinished import Unfinished, remove_leftovers
from modelarrayio_bids.runtime.user_input import resolved
from modelarrayio_bids.store import items, schema
from modelarrayio_bids.store.chunk_layout import Blocks, Layout, chunk_columns
from modelarrayio_bids.store.chunk_reader import column_blocks
from modelarrayio_bids.store.opening import open_finished
from modelarrayio_bids.store.readability import require_readable
from modelarrayio_bids.store.scratch import StackedRows
from modelarrayio_bids.store.writer import StoreWriter

logger = logging.getLogger(__name__)

#: Bytes of a tile, as modelarrayio 26.0.0 aims for.
TILE_BYTES = 2 * 2**20
#: Level of zstd, as modelarrayio 26.0.0 has it.
_ZSTD_LEVEL, _GZIP_LEVEL = 5, 4
# Bytes of columns that are written together: TileDB makes a folder of each write.
_STRIPE_BYTES = 64 * 2**20
# Metadata of ours: names of attributes that are JSON of a list, and the shape of an odd dataset.
_LISTS, _SHAPE = 'modelarrayio_lists', 'modelarrayio_shape'
_VALUES, _INDEX = 'values', 'idx'
# TileDB's own files and folders in a store.
_RESERVED = '__'
# What TileDB has in a folder that is a group.
_MARKS = ('__tiledb_group.tdb', '__group')
_COMPRESSIONS = ('zstd', 'gzip', 'none')
_REMEDY = 'Name a store of modelarrayio.'


@dataclass(frozen=True)
class Tiling:
    """Form of the matrices in a store.

    Parameters
    ----------
    compression : {'zstd', 'gzip', 'none'}
        Compression of the values.
    level : int, optional
        Level of the compression.
    shuffle : bool, optional
        Order bytes by significance first.
    columns : int, optional
        Elements of a tile; 0 for what makes ``tile_bytes``.
    tile_bytes : float, optional
        Size of a tile to aim for.

    Raises
    ------
    UsageError
        If TileDB does not know the compression.
    """

    compression: str = 'zstd'
    level: int | None = None
    shuffle: bool = True
    columns: int = 0
    tile_bytes: float = TILE_BYTES

    def __post_init__(self) -> None:
        if self.compression not in _COMPRESSIONS:
            raise UsageError(
                f'TileDB knows no compression {self.compression}',
                remedy=f'Give one of {", ".join(_COMPRESSIONS)}.',
            )

    def filters(self) -> Any:
        """Return the filters, as a ``tiledb.FilterList``."""
        library = _library()
        found = [library.ByteShuffleFilter()] if self.shuffle else []
        if self.compression == 'zstd':
            found.append(library.ZstdFilter(_ZSTD_LEVEL if self.level is None else self.level))
        elif self.compression == 'gzip':
            found.append(library.GzipFilter(_GZIP_LEVEL if self.level is None else self.level))
        return library.FilterList(found)

    def width(self, dataset: h5py.Dataset) -> int:
        """Return how many columns a tile of a matrix has."""
        itemsize = dataset.dtype.itemsize
        return chunk_columns(dataset.shape, itemsize, self.tile_bytes, self.columns)


def is_tiledb(path: Path) -> bool:
    """Return whether a path is a folder that TileDB wrote, without loading TileDB."""
    # Path.exists() raises where a folder may not be entered; whoever opens the path says so.
    return any(os.path.exists(path / name) for name in _MARKS)  # noqa: PTH110


def refuse_to_replace(output: Path, *, overwrite: bool = False) -> None:
    """Refuse an output that is there, unless it is a store and ``overwrite`` is true.

    Raises
    ------
    OutputError
        With the reason; also for an output inside a store, which would become a part of it.
    """
    _refuse_inside(output)
    if not output.exists():
        return
    if not is_tiledb(output):
        raise OutputError('is there, and is no TileDB store', output, 'Write to another folder.')
    if not overwrite:
        raise OutputError(
            'is there', output, 'Write to another folder, or replace this one with --overwrite.'
        )


def _refuse_inside(output: Path) -> None:
    store = next(filter(is_tiledb, resolved(output).parents), None)
    if store is not None:
        raise OutputError(f'is inside the TileDB store {store}', output, 'Write to another folder.')


def to_tiledb(
    path: str | os.PathLike[str],
    output: str | os.PathLike[str],
    tiling: Tiling = Tiling(),
    *,
    threads: int = 1,
    overwrite: bool = False,
) -> Path:
    """Write all that an HDF5 file holds to a TileDB store.

    Parameters
    ----------
    path : path-like
        The HDF5 file.
    output : path-like
        The folder. It appears when it is whole.
    tiling : Tiling, optional
        Form of the matrices.
    threads : int, optional
        Threads that decompress and compress.
    overwrite : bool, optional
        Replace a store that is there.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    SourceNotFoundError, FormatError
        If the HDF5 file cannot be read, or holds what TileDB cannot.
    UsageError
        If TileDB is not installed.
    OutputError
        If the folder is there, or cannot be written.
    """
    path, output = Path(path), Path(output)
    _library()
    if resolved(path).is_relative_to(resolved(output)):
        what = f'holds {path}, which is read by this very run, and would be replaced'
        raise UsageError(what, output, 'Write to another folder.')
    refuse_to_replace(output, overwrite=overwrite)
    require_readable(path)
    _write_store(path, output, tiling, threads)
    return output


def from_tiledb(
    folder: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    threads: int = 1,
    overwrite: bool = False,
) -> Path:
    """Write all that a TileDB store holds to an HDF5 file that ModelArray opens.

    Parameters
    ----------
    folder : path-like
        The store: one of ours, or of modelarrayio 26.0.0.
    output : path-like
        The file. It appears when it is whole.
    threads : int, optional
        Threads that decompress and compress.
    overwrite : bool, optional
        Replace a file even if it holds results.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    SourceNotFoundError, FormatError
        If the folder is no store, or cannot be read.
    UsageError
        If TileDB is not installed.
    WouldLoseResultsError, OutputError
        As :class:`~modelarrayio_bids.store.writer.StoreWriter`.
    """
    folder, output = Path(folder), Path(output)
    if not folder.exists():
        raise SourceNotFoundError('no such folder', folder, 'Check the path.')
    if not is_tiledb(folder):
        raise FormatError('is no TileDB store', folder, 'Name the folder that holds "scalars".')
    if is_tiledb(folder.absolute().parent):
        remedy = 'Name the folder that holds "scalars".'
        raise FormatError('is a part of a TileDB store', folder, remedy)
    _refuse_inside(output)
    _write_hdf5(folder.absolute(), output, threads, overwrite=overwrite)
    logger.info('Wrote %s', output)
    return output


@contextmanager
def made_of_hdf5(
    output: Path, tiling: Tiling, threads: int = 1, *, overwrite: bool = False
) -> Iterator[Path]:
    """Hand over the HDF5 file to write, of which a store is made when the context ends well.

    Parameters
    ----------
    output, tiling, threads, overwrite
        As :func:`to_tiledb`.

    Raises
    ------
    UsageError, OutputError
        As :func:`to_tiledb`, before anything is written.
    """
    _library()
    refuse_to_replace(output, overwrite=overwrite)
    store = output.with_suffix('.h5')
    with OutputError.told(output):
        output.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(output.parent, f'-{store.name}')
        unfinished = Unfinished(store)
    with unfinished:
        with _named(output, unfinished.path):
            yield unfinished.path
        refuse_to_replace(output, overwrite=overwrite)
        _write_store(unfinished.path, output, tiling, threads)


@contextmanager
def _named(output: Path, unfinished: Path) -> Iterator[None]:
    """Let errors of a file on the way name what was asked for."""
    try:
        yield
    except OutputError as error:
        if error.path is None or Path(error.path) != unfinished:
            raise
        raise type(error)(error.what, output, error.remedy) from error


@contextmanager
def as_hdf5(path: Path, beside: Path, threads: int = 1) -> Iterator[Path]:
    """Hand over an HDF5 file with the results and elements of a store; or an HDF5 file as it is.

    Parameters
    ----------
    path : pathlib.Path
        A store, or an HDF5 file.
    beside : pathlib.Path
        An output: the file of a store lies where it will be, while the context lasts.
    threads : int, optional
        Threads that decompress and compress.

    Raises
    ------
    ModelArrayIOError
        As :func:`~modelarrayio_bids.store.readability.require_readable`, or :func:`from_tiledb`.
    """
    if not is_tiledb(path):
        require_readable(path)
        yield path
        return
    folder = next(parent for parent in resolved(beside).parents if parent.is_dir())
    with Unfinished(folder / f'{path.stem}.h5') as unfinished:
        _write_hdf5(path.absolute(), unfinished.path, threads, overwrite=True, scalars=False)
        yield unfinished.path


@functools.cache
def _library() -> Any:
    """Load TileDB, which few need."""
    try:
        import tiledb  # noqa: PLC0415 - an extra

        # Files are looked at in a fork before TileDB has anything open.
        warnings.filterwarnings('ignore', 'TileDB is a multithreading library', UserWarning)
    except ImportError as error:
        raise UsageError(
            'TileDB is not installed', remedy="Use pip install 'modelarrayio-bids[tiledb]'."
        ) from error
    return tiledb


# ---------------------------------------------------------------------------- HDF5 to TileDB


def _write_store(path: Path, output: Path, tiling: Tiling, threads: int) -> None:
    with open_finished(path) as file, _new_folder(output) as folder:
        _Writing(tiling, threads).group(file, folder)
    logger.info('Wrote %s', output)


@contextmanager
def _new_folder(output: Path) -> Iterator[Path]:
    """Make a folder that gets its name, or what it links to, when the context ends well."""
    # TileDB takes a relative path from where the process was when it first asked.
    place = resolved(output)
    with UnfinishedOutputError.told(output):
        place.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(place.parent, f'-{place.name}')
        with Unfinished(place, folder=True) as unfinished:
            try:
                yield unfinished.path
            except BaseException as error:
                # Groups that are open write once more when they go: before the folder does.
                traceback.clear_frames(error.__traceback__)
                gc.collect()
                if not isinstance(error, _library().TileDBError):
                    raise
                raise UnfinishedOutputError(f'could not be written ({error})', output) from error
            _put_in_place(unfinished.path, place)


def _put_in_place(new: Path, output: Path) -> None:
    if not output.exists():
        new.replace(output)
        return
    with Unfinished(output, folder=True) as old:
        # A folder replaces only one that is empty: the old one makes room, and is kept until then.
        output.replace(old.path)
        try:
            new.replace(output)
        except BaseException:
            old.path.replace(output)
            raise


@dataclass(frozen=True)
class _Writing:
    """HDF5 items on their way into a store.

    Parameters
    ----------
    tiling : Tiling
        Form of the matrices.
    threads : int
        Threads that decompress.
    """

    tiling: Tiling
    threads: int

    def group(self, group: h5py.Group, folder: Path, *above: h5py.Group) -> None:
        library = _library()
        library.group_create(str(folder))
        with library.Group(str(folder), 'w') as made:
            made.meta.update(_metadata(group))
        for name, item in items.members(group).items():
            if name.startswith(_RESERVED):
                raise _cannot_hold(item, 'has a name that TileDB keeps for itself', 'Rename it.')
            if isinstance(item, h5py.Group):
                if item in (group, *above):
                    raise _cannot_hold(item, 'is a link to what holds it', 'Remove it.')
                self.group(item, folder / name, group, *above)
                continue
            try:
                self._dataset(item, folder / name)
            except ModelArrayIOError:
                raise
            except (NotImplementedError, TypeError, ValueError) as error:
                what = f'is of a type that TileDB cannot hold ({error})'
                raise _cannot_hold(item, what, 'Write it as float32, or remove it.') from error

    def _dataset(self, dataset: h5py.Dataset, folder: Path) -> None:
        metadata = _metadata(dataset)
        if _is_matrix(dataset):
            self._matrix(dataset, folder)
        else:
            array = _array(dataset)
            if array.ndim == 0 or array.size == 0 or (array.dtype == object and array.ndim > 1):
                metadata[_SHAPE] = json.dumps(array.shape)
                array = array.ravel() if array.size else np.zeros(1, array.dtype)
            _write_array(array, folder)
        names = items.dataset_at(dataset.parent, schema.COLUMN_NAMES)
        if folder.name == schema.VALUES and names is not None:
            metadata[schema.COLUMN_NAMES] = json.dumps(_array(names).tolist())
        with _library().open(str(folder), 'w') as made:
            made.meta.update(metadata)

    def _matrix(self, dataset: h5py.Dataset, folder: Path) -> None:
        library = _library()
        width = self.tiling.width(dataset)
        n_rows, n_columns = dataset.shape
        subjects = _dimension('subjects', n_rows, n_rows)
        domain = library.Domain(subjects, _dimension('items', n_columns, width))
        _create(folder, domain, _native(dataset), self.tiling.filters())
        stripes = _stripes(dataset, width, self.threads)
        n_stripes = len(range(0, n_columns, _stripe_width(dataset, width)))
        with library.open(str(folder), 'w') as made:
            for start, block in tracked(stripes, f'Writing {dataset.name}', n_stripes, 'stripes'):
                made[:, start : start + block.shape[1]] = {_VALUES: block}


def _cannot_hold(item: h5py.HLObject, what: str, remedy: str) -> FormatError:
    return FormatError(f'{item.name} {what}', item.file.filename, remedy)


def _is_matrix(dataset: h5py.Dataset) -> bool:
    shape = items.shape_of(dataset)
    return len(shape) == 2 and math.prod(shape) > 0 and items.type_of(dataset).kind == 'f'


def _stripe_width(dataset: h5py.Dataset, tile: int) -> int:
    column_bytes = dataset.shape[0] * dataset.dtype.itemsize
    return tile * max(1, _STRIPE_BYTES // (tile * column_bytes))


def _stripes(dataset: h5py.Dataset, tile: int, threads: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield first column and values of runs of whole tiles."""
    items.require_stored(dataset)
    n_rows, n_columns = dataset.shape
    width = _stripe_width(dataset, tile)
    stripe, first = np.empty((n_rows, min(width, n_columns)), _native(dataset)), 0
    with items.damage_told(dataset.file.filename, dataset.name):
        for start, block in column_blocks(dataset, threads):
            taken = 0
            while taken < block.shape[1]:
                at = start + taken - first
                part = block[:, taken : taken + width - at]
                stripe[:, at : at + part.shape[1]] = part
                taken += part.shape[1]
                if at + part.shape[1] == width or start + taken == n_columns:
                    yield first, np.ascontiguousarray(stripe[:, : at + part.shape[1]])
                    first = start + taken


def _write_array(array: np.ndarray, folder: Path) -> None:
    library = _library()
    if array.dtype == object:
        domain = library.Domain(_dimension(_INDEX, array.size, min(array.size, 1024)))
        _create(folder, domain, np.str_, None)
    else:
        lengths = enumerate(array.shape)
        domain = library.Domain(*(_dimension(f'd{axis}', n, n) for axis, n in lengths))
        array = array.astype(_native(array), copy=False)
        _create(folder, domain, array.dtype, Tiling().filters())
    with library.open(str(folder), 'w') as made:
        made[:] = {_VALUES: array}


def _native(item: Any) -> np.dtype:
    """Return the type in this machine's order of bytes, the only one TileDB has."""
    return item.dtype.newbyteorder('=')


def _dimension(name: str, length: int, tile: int) -> Any:
    return _library().Dim(name=name, domain=(0, length - 1), tile=tile, dtype=np.int64)


def _create(folder: Path, domain: Any, dtype: Any, filters: Any) -> None:
    library = _library()
    attribute = library.Attr(name=_VALUES, dtype=dtype, filters=filters)
    library.Array.create(str(folder), library.ArraySchema(domain=domain, attrs=[attribute]))


def _metadata(item: h5py.HLObject) -> dict[str, Any]:
    """Return the attributes of an HDF5 item as TileDB can hold them."""
    with items.damage_told(item.file.filename, item.name):
        names = [name for name in item.attrs if isinstance(name, str)]
    found = {name: _plain(items.attribute(item, name)) for name in names}
    told = {name: value for name, value in found.items() if value is not None}
    lists = sorted(name for name, value in told.items() if isinstance(value, list))
    told.update({name: json.dumps(told[name]) for name in lists})
    return {**told, _LISTS: json.dumps(lists)} if lists else told


def _array(dataset: h5py.Dataset) -> np.ndarray:
    """Return what a dataset holds, texts to the letter: blanks around them too."""
    if h5py.check_string_dtype(items.type_of(dataset)) is None:
        return items.values_of(dataset)
    items.require_stored(dataset)
    with items.damage_told(dataset.file.filename, dataset.name):
        found = np.asarray(dataset[()] if dataset.shape is not None else [], dtype=object)
    texts = np.empty(found.shape, object)
    texts.ravel()[:] = [_plain(value) for value in found.ravel()]
    return texts


def _plain(value: Any) -> Any:
    if isinstance(value, str | bytes):
        # h5py hides what is not UTF-8 in what cannot be printed.
        stored = value.encode(errors='surrogateescape') if isinstance(value, str) else value
        return stored.decode(errors='replace')
    if isinstance(value, np.ndarray):
        return [_plain(one) for one in value.ravel().tolist()]
    return value.item() if isinstance(value, np.generic) else value


# ---------------------------------------------------------------------------- TileDB to HDF5


def _write_hdf5(
    folder: Path, output: Path, threads: int, *, overwrite: bool, scalars: bool = True
) -> None:
    left_out = () if scalars else (f'{schema.SCALARS}/', f'{schema.SUMMARIES}/')
    found = [(path, kind) for path, kind in _walk(folder) if not f'{path}/'.startswith(left_out)]
    with StoreWriter(output, _layout(folder), overwrite=overwrite) as store:
        for path, kind in found:
            with _damage_told(folder / path):
                _read_item(store, folder, path, kind, threads)


@contextmanager
def _damage_told(item: Path) -> Iterator[None]:
    try:
        yield
    except ModelArrayIOError:
        raise
    except _library().TileDBError as error:
        raise FormatError(f'cannot be read ({error})', item, 'Copy the store again.') from error
    except (TypeError, ValueError) as error:  # JSON, shapes, and what HDF5 has no type for
        raise FormatError(f'cannot be an item of an HDF5 file ({error})', item, _REMEDY) from error


def _require_form(array: Any, uri: str) -> None:
    """Refuse arrays of other programs, and those that are not all there."""
    lengths = [(0, length - 1) for length in array.shape]
    domains = [tuple(map(int, array.dim(axis).domain)) for axis in range(array.ndim)]
    if array.schema.sparse or array.nattr != 1 or domains != lengths:
        what = 'is not a dense array of one attribute with dimensions from 0'
        raise FormatError(what, uri, _REMEDY)
    # TileDB hands over fill values for what was never written, or was deleted.
    written = _library().array_fragments(uri).nonempty_domain
    n_written = sum(math.prod(int(last - first) + 1 for first, last in part) for part in written)
    if n_written < math.prod(array.shape):
        raise FormatError('lacks some of its values', uri, 'Copy or write the store again.')


def _walk(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the path in a store, and 'group' or 'array', of all that is in it, groups first.

    By folders, since modelarrayio 26.0.0 does not enter arrays into their groups.
    """
    library = _library()
    for root, folders, _ in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(_RESERVED))
        kind = library.object_type(root)
        if kind == 'array':
            folders.clear()
        if kind is not None:
            yield '' if Path(root) == folder else Path(root).relative_to(folder).as_posix(), kind


def _layout(folder: Path) -> Layout:
    """Return the layout of the HDF5 file that a store was made of; else the usual one."""
    group = folder / schema.PROVENANCE
    if _library().object_type(str(group)) != 'group':
        return Layout()
    with _library().Group(str(group)) as made:
        said = dict(made.meta).get(schema.LAYOUT_ATTRIBUTE)
    return (
        Layout.from_dict(items.json_object(said, folder, schema.PROVENANCE)) if said else Layout()
    )


def _read_item(store: StoreWriter, folder: Path, path: str, kind: str, threads: int) -> None:
    library, uri = _library(), str(folder / path)
    if kind == 'group':
        with library.Group(uri) as group:
            store.write_group(path or '/', _attributes(dict(group.meta)))
        return
    with library.open(uri) as array:
        _require_form(array, uri)
        metadata = dict(array.meta)
        shape = metadata.pop(_SHAPE, None)
        is_values = Path(path).name == schema.VALUES
        names = metadata.pop(schema.COLUMN_NAMES, None) if is_values else None
        if shape is not None:
            shape = tuple(json.loads(shape))
            values: Any = _cells(array[:])[: math.prod(shape)].reshape(shape)
        elif array.ndim == 2 and array.attr(0).dtype.kind == 'f':
            values = _matrix(store, array)
        else:
            values = _cells(array[:])
        store.write_dataset(path, values, _attributes(metadata), threads)
    if names is not None and not (folder / path).with_name(schema.COLUMN_NAMES).is_dir():
        beside = path.rpartition('/')[0] + '/' + schema.COLUMN_NAMES
        store.write_dataset(beside, np.array(json.loads(names), object), {}, threads)


def _matrix(store: StoreWriter, array: Any) -> StackedRows:
    dtype = array.attr(0).dtype
    chunk = store.layout.chunk(array.shape)
    blocks = Blocks.within(array.shape, chunk, dtype.itemsize, _STRIPE_BYTES)

    def read_into(start: int, block: np.ndarray) -> None:
        block[:] = _cells(array[:, start : start + block.shape[1]])

    return StackedRows(blocks, dtype, [(blocks.n_rows, read_into)])


def _cells(found: Any) -> np.ndarray:
    """Return the one attribute of what TileDB read: a dict of arrays, or an array."""
    return next(iter(found.values())) if isinstance(found, Mapping) else found


def _attributes(metadata: dict[str, Any]) -> dict[str, Any]:
    lists = json.loads(metadata.pop(_LISTS, '[]'))
    return {name: json.loads(value) if name in lists else value for name, value in metadata.items()}
