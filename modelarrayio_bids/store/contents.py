"""Contents of an HDF5 file for display, whichever program made it.

Headers, names and what tells where elements are is read, no values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import h5py
import numpy as np

from modelarrayio_bids.errors import SchemaError
from modelarrayio_bids.runtime.locations import is_address
from modelarrayio_bids.store import items, schema
from modelarrayio_bids.store.hdf5_filters import filters_of
from modelarrayio_bids.store.kinds import ElementKind, facts_in, kinds_of, tables_in
from modelarrayio_bids.store.r_view import ScalarView, nested_scalars, scalar_names, scalar_view
from modelarrayio_bids.store.reader import StoreReader

# R holds every number as a double.
_BYTES_IN_R = 8
_PATHS = 'path'


@dataclass(frozen=True)
class Origin:
    """The program and command that made a file.

    Parameters
    ----------
    software, version, created, command : str
        As it says itself; blank where it does not.
    """

    software: str
    version: str
    created: str
    command: str


@dataclass(frozen=True)
class Elements:
    """Kind, number and places of the elements.

    Parameters
    ----------
    kind : str
        The field's word for them; blank where nothing tells.
    count : int
        Number of elements.
    grid : tuple of int, optional
        Shape of the images, or of the matrix, that the elements make.
    voxel_size : tuple of float, optional
        In mm.
    n_voxels : int, optional
        Number of voxels with elements, for kinds with several elements in a voxel.
    structures : dict of int, optional
        Number of elements by structure, as CIFTI names it.
    surface : str, optional
        Name of the surface of all elements.
    """

    kind: str
    count: int
    grid: tuple[int, ...] | None = None
    voxel_size: tuple[float, ...] | None = None
    n_voxels: int | None = None
    structures: dict[str, int] | None = None
    surface: str | None = None


@dataclass(frozen=True)
class Images:
    """Images of a scalar, compared with those it was made from.

    Parameters
    ----------
    unchanged : int
        Number of images with unchanged size and modification time.
    changed, gone : tuple of str
        Paths of those that have not, and of those that are not there.
    remote : tuple of str
        Addresses of those that were not looked up.
    """

    unchanged: int
    changed: tuple[str, ...]
    gone: tuple[str, ...]
    remote: tuple[str, ...] = ()


@dataclass(frozen=True)
class ScalarContents:
    """A scalar.

    Parameters
    ----------
    name : str
        Its name.
    problem : str
        Why it cannot be used; blank if it can; otherwise, nothing else is known.
    n_sources, n_elements : int
        Its shape.
    dtype : str
        Type of its values.
    chunk : tuple of int, optional
        Sources and elements of a chunk; None where it is not cut.
    filters : tuple of str
        Filters of the chunks.
    stored_bytes, raw_bytes, r_bytes : int
        Size of its values in the file, inflated, and as R would hold them all.
    sources : tuple of str
        Names of the sources.
    images : Images, optional
        Images that it was made from; None if the file does not list them.
    """

    name: str
    problem: str
    n_sources: int = 0
    n_elements: int = 0
    dtype: str = ''
    chunk: tuple[int, ...] | None = None
    filters: tuple[str, ...] = ()
    stored_bytes: int = 0
    raw_bytes: int = 0
    r_bytes: int = 0
    sources: tuple[str, ...] = ()
    images: Images | None = None


@dataclass(frozen=True)
class AnalysisContents:
    """The results of an analysis.

    Parameters
    ----------
    name : str
        As given in R.
    problem : str
        Why they cannot be used; blank if they can.
    n_elements : int
        Number of elements that were analysed.
    results : tuple of str
        Names, without that of the elements' numbers.
    formula : str
        Formula of the model; blank where the file does not keep it.
    """

    name: str
    problem: str
    n_elements: int = 0
    results: tuple[str, ...] = ()
    formula: str = ''


@dataclass(frozen=True)
class Contents:
    """Contents of a file.

    Parameters
    ----------
    path : str
        As it was given.
    size : int
        In bytes.
    origin : Origin, optional
        Program that made the file; None if unknown.
    elements : Elements
        Elements of the file.
    scalars : tuple of ScalarContents
        By name.
    analyses : tuple of AnalysisContents
        By name.
    """

    path: str
    size: int
    origin: Origin | None
    elements: Elements
    scalars: tuple[ScalarContents, ...]
    analyses: tuple[AnalysisContents, ...]


def contents_of(path: Path, kinds: Sequence[type[ElementKind]]) -> Contents:
    """Look into a file.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    kinds : sequence of ElementKind
        Kinds of elements that are recognised.

    Raises
    ------
    SourceNotFoundError
        If there is none.
    FormatError
        If it is not HDF5, or damaged.
    """
    with (
        _Inspection(path) as inspection,
        items.damage_told(path, '/', 'has parts that cannot be read'),
    ):
        return inspection.contents(kinds)


class _Inspection(StoreReader):
    """A file open for reading, and what is in it."""

    def contents(self, kinds: Sequence[type[ElementKind]]) -> Contents:
        names = (*scalar_names(self._file), *nested_scalars(self._file))
        views = [scalar_view(self._file, name) for name in names]
        made_by = [self.facts.get(field.name, '') for field in fields(Origin)]
        return Contents(
            str(self.path),
            self.path.stat().st_size,
            Origin(*made_by) if any(made_by) else None,
            _elements(self._file, views, kinds),
            tuple(_scalar(self._file, view) for view in views),
            tuple(self._contents_of_analysis(name) for name in self.analyses),
        )

    def _contents_of_analysis(self, name: str) -> AnalysisContents:
        if not isinstance(items.item_at(self._file, schema.result_path(name)), h5py.Dataset):
            return AnalysisContents(name, 'has no results matrix')
        try:
            found = self.analysis(name)
        except SchemaError as error:
            return AnalysisContents(name, error.what)
        results = schema.without_ids(found.names)
        formula = found.described.get(schema.FORMULA_ATTRIBUTE, '')
        return AnalysisContents(name, '', found.matrix.shape[1], results, formula)


def _scalar(file: h5py.File, view: ScalarView) -> ScalarContents:
    values, (n_sources, n_elements) = view.values, view.shape
    if values is None:
        return ScalarContents(view.name, 'has no matrix of values')
    return ScalarContents(
        view.name,
        '',
        n_sources,
        n_elements,
        values.dtype.name,
        values.chunks,
        filters_of(values),
        values.id.get_storage_size(),
        values.size * values.dtype.itemsize,
        values.size * _BYTES_IN_R,
        () if view.names is None else view.names.texts,
        _images(file, view.name),
    )


def _images(file: h5py.File, scalar: str) -> Images | None:
    """Look each image up where it was, unless that takes a network."""
    known = items.datasets(items.group_at(file, f'{schema.SOURCES}/{scalar}'))
    if not {_PATHS, *schema.SOURCE_STATUS} <= set(known):
        return None
    paths = items.texts_of(known[_PATHS])
    sizes, times = (np.ravel(items.values_of(known[name])) for name in schema.SOURCE_STATUS)
    changed, gone, remote = [], [], []
    for path, size, time in zip(paths, sizes, times, strict=True):
        if is_address(path):
            remote.append(path)
            continue
        try:
            status = Path(path).stat()
        except (OSError, ValueError):
            gone.append(path)
            continue
        if (status.st_size, status.st_mtime) != (size, time):
            changed.append(path)
    others = tuple(map(tuple, (changed, gone, remote)))
    return Images(len(paths) - sum(map(len, others)), *others)


def _elements(
    file: h5py.File, views: list[ScalarView], kinds: Sequence[type[ElementKind]]
) -> Elements:
    there = [kind.kind for kind in kinds_of(tables_in(file, kinds), kinds)]
    name = there[0] if there else ''
    if (template := items.group_at(file, schema.TEMPLATE)) is not None:
        name = items.text_attribute(template, schema.KIND_ATTRIBUTE) or name
    count = max((view.shape[1] for view in views), default=0)
    known = next((kind for kind in kinds if kind.kind == name), None)
    return Elements(name, count, **({} if known is None else facts_in(file, known)))
