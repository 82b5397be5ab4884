"""The scalars of an HDF5 file: their values, and what is known of the images these are from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from modelarrayio_bids.errors import FormatError, SchemaError
from modelarrayio_bids.store import schema
from modelarrayio_bids.store.chunked import read_columns
from modelarrayio_bids.store.text import texts

_REMEDY = 'Check the file, or build it again.'


@dataclass(frozen=True)
class Scalar:
    """One scalar of a file.

    Parameters
    ----------
    name : str
        Its name.
    names : tuple of str
        Of its sources, one per row.
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
        """Elements of a chunk; 1 where the values are in one piece."""
        return int(self.values.chunks[1]) if self.values.chunks else 1

    @property
    def stored_as(self) -> str:
        """Type, chunks and filter, for a person: ``float32 in chunks of 24 × 682, gzip``."""
        chunks = ' × '.join(map(str, self.values.chunks or ()))
        cut = f'in chunks of {chunks}' if chunks else 'in one piece'
        return f'{self.values.dtype.name} {cut}, {self.values.compression or "not compressed"}'

    @property
    def stored_bytes(self) -> int:
        """Bytes of the values in the file."""
        return int(self.values.id.get_storage_size())

    @property
    def chunk_bytes(self) -> int:
        """Bytes of a chunk of the values when it is inflated."""
        return math.prod(self.values.chunks or ()) * self.values.dtype.itemsize

    def columns(self, elements: np.ndarray) -> np.ndarray:
        """The values of every source at some elements: (n_sources, elements.size).

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
            That inflate.

        Raises
        ------
        FormatError
            If what is in the file is damaged.
        """
        try:
            read_columns(self.values, start, into, threads)
        except (FormatError, OSError) as error:
            said = error.what if isinstance(error, FormatError) else str(error)
            raise FormatError(
                f'values of {self.name} cannot be read: {said}',
                self.path,
                'Copy the file again, or build it again.',
            ) from error


def scalar_groups(file: h5py.File) -> dict[str, h5py.Group]:
    """The group of each scalar, by its name; from one group further in, as once was usual."""
    group = file.get(schema.SCALARS)
    inner = group.get(schema.SCALARS) if isinstance(group, h5py.Group) else None
    if isinstance(inner, h5py.Group) and schema.VALUES not in inner:
        group = inner
    if not isinstance(group, h5py.Group):
        return {}
    # A link may lead nowhere, and to what is no group.
    found = {name: group.get(name) for name in group}
    return {
        name: scalar
        for name, scalar in found.items()
        if isinstance(scalar, h5py.Group) and schema.VALUES in scalar
    }


def read_scalar(file: h5py.File, name: str, path: Path) -> Scalar:
    """One of :func:`scalar_groups`.

    Raises
    ------
    SchemaError
        If its values are no matrix of numbers that R reads, or are not as many rows as names.
    """
    group = scalar_groups(file)[name]
    values = group[schema.VALUES]
    if values.ndim != 2 or values.dtype not in {np.dtype('<f4'), np.dtype('<f8')}:
        raise SchemaError(
            f'values of {name} are {values.ndim}-dimensional {values.dtype}, expected a matrix of '
            'float32 or float64',
            path,
            _REMEDY,
        )
    names = _names(group, values)
    if len(names) != values.shape[0]:
        raise SchemaError(
            f'{name} has {values.shape[0]} rows of values and {len(names)} names of sources',
            path,
            _REMEDY,
        )
    facets = file.get(f'{schema.SOURCES}/{name}', {})
    return Scalar(name, names, values, {key: _listed(facets[key]) for key in facets}, path)


def _names(group: h5py.Group, values: h5py.Dataset) -> tuple[str, ...]:
    """The attribute first, as R does; the predecessor once wrote no dataset."""
    found = values.attrs.get(schema.COLUMN_NAMES)
    if found is None:
        found = group[schema.COLUMN_NAMES][()] if schema.COLUMN_NAMES in group else ()
    return texts(found)


def _listed(dataset: h5py.Dataset) -> list[Any]:
    if h5py.check_string_dtype(dataset.dtype) is None:
        return dataset[()].tolist()
    return list(texts(dataset[()]))
