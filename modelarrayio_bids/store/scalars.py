"""The scalars of an HDF5 file: their values, and what is known of the images these are from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from modelarrayio_bids.errors import SchemaError
from modelarrayio_bids.store import items, schema
from modelarrayio_bids.store.chunk_reader import StoredColumns, StoredForm, read_columns
from modelarrayio_bids.store.r_view import names_of

_REMEDY = 'Check the file, or build it again.'


@dataclass(frozen=True)
class Scalar:
    """One scalar of a file.

    Parameters
    ----------
    name : str
        Its name.
    names : tuple of str
        Names of the sources, one per row.
    values : h5py.Dataset
        (n_sources, n_elements) float32 or float64.
    facets : dict of list
        By name: what the file says of each source (``path``, ``mask``, ``size``, ``modified``).
        Empty in a file that is not ours.
    path : pathlib.Path
        The file.
    """

    name: str
    names: tuple[str, ...]
    values: h5py.Dataset
    facets: Mapping[str, list]
    path: Path

    @property
    def shape(self) -> tuple[int, int]:
        """Sources and elements."""
        return len(self.names), int(self.values.shape[1])

    @property
    def chunk_columns(self) -> int:
        """Number of elements in a chunk; 1 if the values are contiguous."""
        return int(self.values.chunks[1]) if self.values.chunks else 1

    @property
    def stored_as(self) -> str:
        """Type, chunks and filter in words: ``float32 in chunks of 24 × 682, gzip``."""
        chunks = ' × '.join(map(str, self.values.chunks or ()))
        cut = f'in chunks of {chunks}' if chunks else 'in one piece'
        return f'{self.values.dtype.name} {cut}, {self.values.compression or "not compressed"}'

    @property
    def stored_bytes(self) -> int:
        """Size of the values in the file, in bytes."""
        return int(self.values.id.get_storage_size())

    @property
    def chunk_bytes(self) -> int:
        """Size of a decompressed chunk of the values, in bytes."""
        return math.prod(self.values.chunks or ()) * self.values.dtype.itemsize

    def columns(self, elements: np.ndarray) -> np.ndarray:
        """Return the values of every source at some elements: (n_sources, elements.size).

        Chunks are inflated one at a time: those needed, and each once.
        """
        found = np.empty((self.shape[0], elements.size), self.values.dtype)
        width = self.chunk_columns
        for chunk in np.unique(elements // width):
            wanted = np.flatnonzero(elements // width == chunk)
            part = self.values[:, chunk * width : (chunk + 1) * width]
            found[:, wanted] = part[:, elements[wanted] - chunk * width]
        return found

    def read_into(self, start: int, into: np.ndarray, threads: int = 1) -> None:
        """Read some elements of all sources.

        Parameters
        ----------
        start : int
            First element.
        into : numpy.ndarray
            (n_sources, width), C order.
        threads : int, optional
            Threads that decompress.

        Raises
        ------
        FormatError
            If what is in the file is damaged.
        """
        with items.damage_told(self.path, f'scalars/{self.name}/values'):
            read_columns(self.values, start, into, threads)

    def stored(self, start: int, stop: int) -> StoredColumns:
        """Read some elements of all sources as they are stored, for a thread to :meth:`inflate`.

        Raises
        ------
        FormatError
            If the file is damaged.
        """
        with items.damage_told(self.path, f'scalars/{self.name}/values'):
            return StoredColumns.read(self.values, start, stop, StoredForm.of(self.values))

    def inflate(self, stored: StoredColumns) -> np.ndarray:
        """Return the values of some elements, (n_sources, width).

        Raises
        ------
        FormatError
            If what was stored is damaged.
        """
        with items.damage_told(self.path, f'scalars/{self.name}/values'):
            return stored.values()


def scalar_groups(file: h5py.File) -> dict[str, h5py.Group]:
    """Return the group of each scalar by name; from one group further in, as once was usual."""
    found = items.groups_in(file, schema.SCALARS)
    if (level := found.get(schema.SCALARS)) is not None and schema.VALUES not in level:
        found = items.groups(level)
    return {name: group for name, group in found.items() if schema.VALUES in group}


def read_scalar(file: h5py.File, name: str, path: Path) -> Scalar:
    """Read one of :func:`scalar_groups`.

    Raises
    ------
    SchemaError
        If its values are not a matrix of numbers that R reads, with as many rows as names.
    """
    group = scalar_groups(file)[name]
    values = items.dataset_at(group, schema.VALUES)
    shape, dtype = ((), '') if values is None else (items.shape_of(values), items.type_of(values))
    if len(shape) != 2 or dtype not in {np.dtype('<f4'), np.dtype('<f8')}:
        what = f'values of {name} are {len(shape)}-dimensional {dtype}'
        raise SchemaError(f'{what}, expected a matrix of float32 or float64', path, _REMEDY)
    items.require_stored(values)
    # The predecessor once wrote an attribute and no dataset.
    names = names_of(group, values, schema.COLUMN_NAMES, [schema.COLUMN_NAMES])
    texts = () if names is None else names.texts
    if len(texts) != shape[0]:
        what = f'{name} has {shape[0]} rows of values and {len(texts)} names of sources'
        raise SchemaError(what, path, _REMEDY)
    return Scalar(name, texts, values, _facets(file, name, len(texts)), path)


def _facets(file: h5py.File, scalar: str, n_sources: int) -> dict[str, list[Any]]:
    """Return what the file says of each source, by name; one value for each."""
    found = {}
    for name, dataset in items.datasets(items.group_at(file, f'{schema.SOURCES}/{scalar}')).items():
        numbers = name in schema.SOURCE_STATUS
        is_text = h5py.check_string_dtype(items.type_of(dataset)) is not None
        # Compared before anything is read: it may be much.
        if math.prod(items.shape_of(dataset)) != n_sources or numbers == is_text:
            kind = 'numbers' if numbers else 'texts'
            raise items.unexpected(dataset, f'is not {n_sources} {kind}, one for each source')
        found[name] = np.ravel(items.array_of(dataset)).tolist()
    return found
