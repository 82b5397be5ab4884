"""What is in an HDF5 file, for a person: this program's or another's.

Headers, names and the structures of greyordinates are read, no values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from modelarrayio_bids.errors import SchemaError
from modelarrayio_bids.store import schema
from modelarrayio_bids.store.filters import filters_of
from modelarrayio_bids.store.items import (
    attribute,
    damage_told,
    dataset_at,
    datasets,
    group_at,
    item_at,
    shape_of,
    text_attribute,
    texts_of,
    unexpected,
    values_of,
)
from modelarrayio_bids.store.r_view import ScalarView, nested_scalars, scalar_names, scalar_view
from modelarrayio_bids.store.reader import StoreReader
from modelarrayio_bids.store.text import texts

# R holds every number as a double.
_BYTES_IN_R = 8
_PATHS = 'path'
#: The table of a kind of elements, in the order in which R looks for them.
_TABLES = {
    'greyordinates': 'greyordinates',
    'fixels': 'fixels',
    'voxels': 'voxels',
    'parcels/parcel_id': 'parcels',
    'parcels/parcel_id_from': 'edges',
}
_ENDS = ('parcels/parcel_id_from', 'parcels/parcel_id_to')


@dataclass(frozen=True)
class Origin:
    """What made a file.

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
    """What the elements are.

    Parameters
    ----------
    kind : str
        ``voxels``, ``fixels`` and so on; blank where nothing tells.
    count : int
        How many.
    grid : tuple of int, optional
        Shape of the images, for voxels of a file that knows it; of edges, that of the matrix.
    voxel_size : tuple of float, optional
        In mm, for the same voxels.
    n_voxels : int, optional
        In which fixels are.
    structures : dict of int, optional
        How many greyordinates each structure has, by its name in CIFTI.
    """

    kind: str
    count: int
    grid: tuple[int, ...] | None = None
    voxel_size: tuple[float, ...] | None = None
    n_voxels: int | None = None
    structures: dict[str, int] | None = None


@dataclass(frozen=True)
class Images:
    """Whether the images a scalar was made from are still those.

    Parameters
    ----------
    unchanged : int
        How many have the size and the time they had.
    changed, gone : tuple of str
        Paths of those that have not, and of those that are not there.
    """

    unchanged: int
    changed: tuple[str, ...]
    gone: tuple[str, ...]


@dataclass(frozen=True)
class ScalarContents:
    """A scalar.

    Parameters
    ----------
    name : str
        Its name.
    problem : str
        Why it cannot be used; blank if it can, and nothing else is told if not.
    n_sources, n_elements : int
        Its shape.
    dtype : str
        Type of its values.
    chunk : tuple of int, optional
        Sources and elements of a chunk; None where it is not cut.
    filters : tuple of str
        What chunks went through.
    stored_bytes, raw_bytes, r_bytes : int
        Size of its values in the file, inflated, and as R would hold them all.
    sources : tuple of str
        Names of the sources.
    images : Images, optional
        Of what it was made; None in a file that does not say.
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
        How many elements were analysed.
    results : tuple of str
        Names, without that of the elements' numbers.
    """

    name: str
    problem: str
    n_elements: int = 0
    results: tuple[str, ...] = ()


@dataclass(frozen=True)
class Contents:
    """What is in a file.

    Parameters
    ----------
    path : str
        As it was given.
    size : int
        In bytes.
    origin : Origin, optional
        What made it; None where it does not say.
    elements : Elements
        What they are.
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


def contents_of(path: Path) -> Contents:
    """Look into a file.

    Raises
    ------
    SourceNotFoundError
        If there is none.
    FormatError
        If it is not HDF5, or damaged.
    """
    with _Inspection(path) as inspection, damage_told(path, '/', 'has parts that cannot be read'):
        return inspection.contents()


class _Inspection(StoreReader):
    """A file open for reading, and what is in it."""

    def contents(self) -> Contents:
        names = (*scalar_names(self._file), *nested_scalars(self._file))
        views = [scalar_view(self._file, name) for name in names]
        return Contents(
            str(self.path),
            self.path.stat().st_size,
            _origin(self._file),
            _elements(self._file, views),
            tuple(_scalar(self._file, view) for view in views),
            tuple(self._contents_of_analysis(name) for name in self.analyses),
        )

    def _contents_of_analysis(self, name: str) -> AnalysisContents:
        if not isinstance(item_at(self._file, schema.result_path(name)), h5py.Dataset):
            return AnalysisContents(name, 'has no results matrix')
        try:
            found = self.analysis(name)
        except SchemaError as error:
            return AnalysisContents(name, error.what)
        results = tuple(result for result in found.names if result != schema.ELEMENT_ID)
        return AnalysisContents(name, '', found.matrix.shape[1], results)


def _origin(file: h5py.File) -> Origin | None:
    group = group_at(file, schema.PROVENANCE)
    if group is None:
        return None
    said = [text_attribute(group, name) for name in ('software', 'version', 'created', 'command')]
    return Origin(*said) if any(said) else None


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
    """Each image is looked up where it was."""
    known = datasets(group_at(file, f'{schema.SOURCES}/{scalar}'))
    if not {_PATHS, *schema.SOURCE_STATUS} <= set(known):
        return None
    paths = texts_of(known[_PATHS])
    sizes, times = (np.ravel(values_of(known[name])) for name in schema.SOURCE_STATUS)
    changed, gone = [], []
    for path, size, time in zip(paths, sizes, times, strict=True):
        try:
            status = Path(path).stat()
        except (OSError, ValueError):
            gone.append(path)
            continue
        if (status.st_size, status.st_mtime) != (size, time):
            changed.append(path)
    return Images(len(paths) - len(changed) - len(gone), tuple(changed), tuple(gone))


def _elements(file: h5py.File, views: list[ScalarView]) -> Elements:
    kind = next((kind for path, kind in _TABLES.items() if item_at(file, path) is not None), '')
    if (template := group_at(file, schema.TEMPLATE)) is not None:
        kind = text_attribute(template, schema.KIND_ATTRIBUTE) or kind
    count = max((view.shape[1] for view in views), default=0)
    details = _DETAILS.get(kind)
    return Elements(kind, count, **({} if details is None else details(file)))


def _of_voxels(file: h5py.File) -> dict[str, Any]:
    template = datasets(group_at(file, schema.TEMPLATE))
    if not {'mask', 'affine'} <= set(template):
        return {}
    edges = np.linalg.norm(values_of(template['affine'])[:3, :3], axis=0)
    return {'grid': shape_of(template['mask']), 'voxel_size': tuple(edges.tolist())}


def _of_fixels(file: h5py.File) -> dict[str, Any]:
    voxels = dataset_at(file, 'voxels')
    return {} if voxels is None else {'n_voxels': shape_of(voxels)[-1]}


def _of_edges(file: h5py.File) -> dict[str, Any]:
    ends = [table.size for path in _ENDS if (table := dataset_at(file, path)) is not None]
    return {'grid': tuple(ends)} if len(ends) == len(_ENDS) else {}


def _of_greyordinates(file: h5py.File) -> dict[str, Any]:
    table = dataset_at(file, 'greyordinates')
    return {} if table is None else {'structures': _structures(table)}


def _structures(table: h5py.Dataset) -> dict[str, int] | None:
    """Greyordinates of each structure; None where the table does not say."""
    said = [attribute(table, name) for name in (schema.COLUMN_NAMES, 'structure_names')]
    columns, names = (() if one is None else texts(np.ravel(one)) for one in said)
    if 'structure_id' not in columns or not names:
        return None
    ids = values_of(table)[columns.index('structure_id')].astype(int)
    if ids.size and not 0 <= ids.min() <= ids.max() < len(names):
        raise unexpected(table, 'has structures without a name')
    counts = np.bincount(ids, minlength=len(names))
    return dict(zip(names, counts.tolist(), strict=False))


_DETAILS: dict[str, Callable[[h5py.File], dict[str, Any]]] = {
    'voxels': _of_voxels,
    'fixels': _of_fixels,
    'edges': _of_edges,
    'greyordinates': _of_greyordinates,
}
