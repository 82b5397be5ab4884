"""An HDF5 file, and the results ModelArray wrote into it, as they are asked for."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import h5py
import numpy as np

from modelarrayio_bids.errors import AnalysisNotFoundError, FormatError, OutputError, SchemaError
from modelarrayio_bids.store import items, schema
from modelarrayio_bids.store.chunk_layout import COMPRESSIONS, Layout
from modelarrayio_bids.store.chunk_reader import block_columns, column_blocks, inflating_bytes
from modelarrayio_bids.store.opening import is_store, open_finished
from modelarrayio_bids.store.r_view import names_of_results
from modelarrayio_bids.store.scalars import Scalar, read_scalar, scalar_groups
from modelarrayio_bids.store.summary import ROW, Summary

logger = logging.getLogger(__name__)

# Slices that an analysis was merged from.
_MERGED = f'{schema.PROVENANCE}/{schema.MERGED_ANALYSES}'
_OF_ELEMENTS = ('count', 'mean', 'sd')


#: Groups and datasets of a file, by their paths.
Parts = Mapping[str, h5py.Group | h5py.Dataset]


@dataclass(frozen=True)
class Analysis:
    """The results of one analysis.

    Parameters
    ----------
    name : str
        As given in R.
    names : tuple of str
        One per row of the matrix; a blank one is called ``componentNNN`` by its position.
    matrix : h5py.Dataset
        (n_results, n_rows) float64.
    levels : dict
        By result name: the levels of a factor, for values coded 1..k.
    path : pathlib.Path
        The file.
    n_sources : dict of int
        Number of sources when the analysis was made, for scalars that have more by now.
    described : dict of str
        Further facts in the file: see :meth:`StoreReader.described`.
    """

    name: str
    names: tuple[str, ...]
    matrix: h5py.Dataset
    levels: dict[str, tuple[str, ...]]
    path: Path
    n_sources: Mapping[str, int] = field(default_factory=dict)
    described: Mapping[str, str] = field(default_factory=dict)

    def blocks(self, threads: int = 1) -> Iterator[tuple[int, np.ndarray]]:
        """Yield first row and values, (n_results, width) float64, of runs of rows, in order.

        Raises
        ------
        FormatError
            If what is in the file is damaged.
        """
        with items.damage_told(self.path, f'{schema.RESULTS}/{self.name}'):
            for start, block in column_blocks(self.matrix, threads):
                yield start, block.astype(np.float64, copy=False)

    def row(self, number: int) -> np.ndarray:
        """Read one result, (n_rows,) float64, inflated a chunk at a time by HDF5 itself.

        Raises
        ------
        FormatError
            If what is in the file is damaged.
        """
        with items.damage_told(self.path, f'{schema.RESULTS}/{self.name}'):
            width = block_columns(self.matrix)
            starts = range(0, self.matrix.shape[1], width)
            parts = [self.matrix[number, start : start + width] for start in starts]
            return np.concatenate(parts).astype(np.float64, copy=False)

    def inflating_bytes(self, threads: int = 1) -> int:
        """Return the bytes of memory that :meth:`blocks` takes at a time."""
        return inflating_bytes(self.matrix, threads)

    def positions(self, element_ids: np.ndarray | None, n_elements: int) -> np.ndarray | None:
        """Return which element each row is about: (n_rows,) integers, None for all in order.

        Parameters
        ----------
        element_ids : numpy.ndarray
            The result :data:`~modelarrayio_bids.store.schema.ELEMENT_ID`, (n_rows,); None if
            there is none.
        n_elements : int
            Number of elements.

        Raises
        ------
        SchemaError
            If they are not distinct whole numbers below ``n_elements``.
        """
        if element_ids is None:
            return None
        whole = np.isfinite(element_ids) & (element_ids == np.floor(element_ids))
        whole &= (element_ids >= 0) & (element_ids < n_elements)
        if not whole.all():
            bad = element_ids[~whole][0]
            raise self._broken(
                f'has the {schema.ELEMENT_ID} {bad:g}, expected 0 to {n_elements - 1}'
            )
        positions = element_ids.astype(np.int64)
        if positions.size == n_elements and np.array_equal(positions, np.arange(n_elements)):
            return None
        if np.unique(positions).size != positions.size:
            raise self._broken(f'has an {schema.ELEMENT_ID} twice')
        return positions

    def require_elements(self, n_elements: int) -> None:
        """Refuse results without element numbers that are not one for each element.

        Raises
        ------
        SchemaError
            With both numbers.
        """
        n_rows = self.matrix.shape[1]
        if schema.ELEMENT_ID not in self.names and n_rows != n_elements:
            raise self._broken(
                f'has {n_rows} rows and no {schema.ELEMENT_ID}, the file {n_elements} elements'
            )

    def _broken(self, what: str) -> SchemaError:
        return SchemaError(
            f'analysis {self.name} {what}', self.path, 'Check the file, or run the analysis again.'
        )


def by_element(rows: np.ndarray, positions: np.ndarray | None, n_elements: int) -> np.ndarray:
    """Return a result by element, (n_elements,) float32: NaN at those that were not analysed.

    Parameters
    ----------
    rows : numpy.ndarray
        (n_rows,).
    positions : numpy.ndarray
        See :meth:`Analysis.positions`.
    n_elements : int
        Number of elements.
    """
    if positions is None:
        return rows.astype(np.float32, copy=False)
    values = np.full(n_elements, np.nan, np.float32)
    values[positions] = rows
    return values


class StoreReader:
    """A file opened for reading, which nobody can write meanwhile: a context manager.

    HDF5's own lock, held for reading, keeps writers away from beginning to end. Where the file
    system has no locks, :meth:`require_unchanged` tells at the end that it changed: what came
    meanwhile would be lost with a file that is replaced by what is made of it.

    Parameters
    ----------
    path : path-like
        The file.
    shown : path-like, optional
        The file that it was made of, which messages name instead.

    Raises
    ------
    SourceNotFoundError
        If there is none.
    FormatError
        If it is not HDF5.
    OutputError
        If it is being written.
    """

    def __init__(self, path: Path, shown: Path | None = None) -> None:
        self.path = Path(shown or path)
        self._place = Path(path)
        self._file = open_finished(self._place)
        self._status = _file_status(self._place)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._file.close()
        # Parts of the file that no other message is about.
        if items.is_from_h5py(error):
            with items.damage_told(self.path, '/', 'is damaged'):
                raise error  # type: ignore[misc]

    @property
    def analyses(self) -> tuple[str, ...]:
        """Names of the analyses in the file."""
        results = items.item_at(self._file, schema.RESULTS)
        return tuple(items.members(results)) if isinstance(results, h5py.Group) else ()

    @property
    def slices(self) -> frozenset[str]:
        """Names of the analyses that were merged into others of the file."""
        merged: dict[str, tuple[str, ...]] = {}
        for name in self.analyses:
            parts = items.dataset_at(self._file, schema.result_path(name, _MERGED))
            if parts is not None:
                merged[name] = items.texts_of(parts)
        return frozenset(part for parts in merged.values() for part in parts) - merged.keys()

    @property
    def scalars(self) -> tuple[str, ...]:
        """Names of the scalars in the file."""
        return tuple(scalar_groups(self._file))

    def scalar(self, name: str) -> Scalar:
        """Return one of the scalars.

        Raises
        ------
        SchemaError
            If R could not use it.
        """
        return read_scalar(self._file, name, self.path)

    @property
    def sources(self) -> dict[str, tuple[str, ...]]:
        """Names of the sources of each scalar, in the order of their rows."""
        return {name: self.scalar(name).names for name in self.scalars}

    @property
    def n_elements(self) -> int | None:
        """Number of values of each source; None where there is no scalar."""
        return next((self.scalar(name).values.shape[1] for name in self.scalars), None)

    @property
    def template(self) -> tuple[str, dict[str, np.ndarray]] | None:
        """Kind of the elements and the arrays that restore their space; None in other files."""
        group = items.group_at(self._file, schema.TEMPLATE)
        if group is None:
            return None
        arrays = {name: items.array_of(dataset) for name, dataset in items.datasets(group).items()}
        return items.text_attribute(group, schema.KIND_ATTRIBUTE), arrays

    @property
    def facts(self) -> dict[str, str]:
        """Facts about the creation of the file; empty if another program made it."""
        return items.text_attributes(items.group_at(self._file, schema.PROVENANCE))

    def described(self, analysis: str) -> dict[str, str]:
        """Return what is known of an analysis beside its numbers; nothing of one made by R."""
        place = schema.result_path(analysis, schema.PROVENANCE)
        return items.text_attributes(items.group_at(self._file, place))

    def null_distributions(self, analysis: str) -> dict[str, np.ndarray]:
        """Return the greatest statistic of each labelling, by p value; none without permutations.

        Of a permutation test: (n_labellings,) float64 each, |t| or F, the unpermuted one first.
        """
        paths = (
            schema.result_path(analysis, f'{schema.PROVENANCE}/{leaf}')
            for leaf in (schema.NULL_TESTS, schema.NULL_MAXIMA)
        )
        names, maxima = (items.dataset_at(self._file, path) for path in paths)
        if names is None or maxima is None:
            return {}
        values = items.values_of(maxima, 'f')
        if values.ndim != 2 or len(values) != len(told := items.texts_of(names)):
            raise SchemaError(
                f'null distributions of {analysis} are damaged', self.path, 'Fit it again.'
            )
        return dict(zip(told, values, strict=True))

    @property
    def identity(self) -> str | None:
        """Checksum of the inputs of the file, if it has one."""
        return self.facts.get(schema.IDENTITY_ATTRIBUTE)

    def summary(self, scalar: str) -> Summary | None:
        """Return the summary of a scalar's values, where the file has one."""
        group = items.group_at(self._file, schema.summary_path(scalar))
        if group is None:
            return None
        parts = (items.datasets(items.group_at(group, part)) for part in ('rows', 'elements'))
        of_rows, elements = (
            {name: items.values_of(one, 'fiubS') for name, one in part.items()} for part in parts
        )
        with items.damage_told(self.path, group.name, 'is not a summary of values'):
            rows = np.zeros(of_rows['mean'].shape, ROW)
            for name in ROW.names or ():
                rows[name] = of_rows[name]
            known = {name: of_rows[name] for name in ('correlation', 'distance')}
            return Summary(rows, **known, **{name: elements[name] for name in _OF_ELEMENTS})

    def table(self, path: str) -> schema.ElementTable | None:
        """Return an element table, or None where the file has none of that name."""
        dataset = items.dataset_at(self._file, path)
        return None if dataset is None else read_table(dataset)

    def require_unchanged(self) -> None:
        """Refuse to go on if the file is no longer what was read.

        Raises
        ------
        OutputError
            If its size, its time or the file itself has changed.
        """
        if _file_status(self._place) != self._status:
            raise OutputError(
                'was changed by another program while it was read; it stays as it is now',
                self.path,
                'Run the same command again when nothing else writes to it.',
            )

    @property
    def history(self) -> tuple[str, ...]:
        """Return what made the file before, oldest first: a JSON object each."""
        found = items.dataset_at(self._file, schema.HISTORY)
        return () if found is None else items.texts_of(found)

    def layout(self, scalars: Iterable[Scalar]) -> Layout:
        """Return how values are stored: as the file says, or as its scalars show.

        Parameters
        ----------
        scalars : iterable of Scalar
            One or more, whose values are to be stored in the same way.
        """
        datasets = [scalar.values for scalar in scalars]
        dtype = np.result_type(*(dataset.dtype for dataset in datasets))
        if recorded := self.facts.get(schema.LAYOUT_ATTRIBUTE):
            found = items.json_object(recorded, self.path, f'/{schema.PROVENANCE}')
            try:
                layout = Layout.from_dict(found)
            except (TypeError, ValueError, ArithmeticError) as error:
                said = f'has an invalid layout at /{schema.PROVENANCE} ({error})'
                raise FormatError(said, self.path, 'Build it again.') from error
            if layout.dtype == dtype.name:
                return layout
        return _layout_of(datasets[0], dtype)

    def parts_of(self, scalar: str) -> Parts:
        """Return all that the file holds of a scalar."""
        ours = items.groups(items.group_at(self._file, schema.PROVENANCE))
        paths = {f'{schema.PROVENANCE}/{name}/{scalar}': group for name, group in ours.items()}
        known = {path: group[scalar] for path, group in paths.items() if scalar in group}
        # Not a scalar, whatever its name, but the template of the space.
        known.pop(f'{schema.TEMPLATE}/{scalar}', None)
        return {schema.scalar_path(scalar): scalar_groups(self._file)[scalar], **known}

    def results(self) -> Parts:
        """Return all analyses, whole."""
        return {schema.RESULTS: self._file[schema.RESULTS]} if self.analyses else {}

    def others(self, known: Iterable[str]) -> Parts:
        """Return what is neither ours nor ModelArray's, nor at one of these paths."""
        ours = {schema.SCALARS, schema.RESULTS, schema.PROVENANCE}
        ours |= {path.partition('/')[0] for path in known}
        return {name: part for name, part in items.members(self._file).items() if name not in ours}

    def analysis(self, name: str) -> Analysis:
        """Return one analysis.

        Raises
        ------
        AnalysisNotFoundError
            If it is not there; says which are.
        SchemaError
            If it was never finished.
        """
        if name not in self.analyses:
            held = ', '.join(self.analyses) or 'none'
            raise AnalysisNotFoundError(
                f'holds no analysis {name!r}', self.path, f'Analyses it holds: {held}.'
            )
        matrix = items.dataset_at(self._file, schema.result_path(name))
        if matrix is None:
            raise self._unusable(name, 'has no results matrix: it was not finished')
        dtype, shape = items.type_of(matrix), items.shape_of(matrix)
        if dtype.kind not in 'fiu' or len(shape) != 2 or not all(shape):
            what = (
                f'is a matrix of {shape} {dtype}, expected numbers of some results at some elements'
            )
            raise self._unusable(name, what)
        items.require_stored(matrix)
        names, described = self._result_names(name, matrix), self.described(name)
        where = f'/{schema.result_path(name, schema.PROVENANCE)}'
        said = described.get(schema.N_SOURCES_ATTRIBUTE)
        n_sources = read_counts(said, self.path, where) if said else {}
        levels = self._levels(name, names)
        return Analysis(name, names, matrix, levels, self.path, n_sources, described)

    def _result_names(self, analysis: str, matrix: h5py.Dataset) -> tuple[str, ...]:
        """Return names from where ModelArray's versions put them, the newest place first."""
        found = names_of_results(self._file, analysis, matrix)
        if found is None:
            what = f'analysis {analysis} has results without names: it was not finished'
            raise SchemaError(what, self.path, 'Run it again in R.')
        if len(found.texts) != matrix.shape[0]:
            what = f'has {matrix.shape[0]} results and {len(found.texts)} names'
            raise self._unusable(analysis, what)
        return tuple(name or f'component{n:03d}' for n, name in enumerate(found.texts, start=1))

    def _unusable(self, analysis: str, what: str) -> SchemaError:
        return SchemaError(f'analysis {analysis} {what}', self.path, 'Run it again in R.')

    def _levels(self, analysis: str, names: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
        places = {
            name: schema.result_path(analysis, f'{schema.LEVELS_PREFIX}{column}')
            for column, name in enumerate(names, start=1)
        }
        tables = {name: items.dataset_at(self._file, place) for name, place in places.items()}
        return {name: items.texts_of(table) for name, table in tables.items() if table is not None}


def read_counts(said: str, path: Path, where: str) -> dict[str, int]:
    """Return what JSON says of how many sources each scalar had.

    Raises
    ------
    FormatError
        If it says something else.
    """
    found = items.json_object(said, path, where)
    if not all(type(count) is int and count >= 0 for count in found.values()):
        raise FormatError(
            f'holds invalid counts of sources at {where}', path, 'Build the file again.'
        )
    return found


def read_table(dataset: h5py.Dataset) -> schema.ElementTable:
    """Read a table of elements.

    Raises
    ------
    FormatError
        If it is none.
    """
    if len(items.shape_of(dataset)) == 1:
        return schema.ElementTable(np.array(items.texts_of(dataset), dtype=object))
    names = items.texts_attribute(dataset, schema.COLUMN_NAMES) or ()
    values = items.values_of(dataset)
    if values.ndim != 2 or len(names) != len(values):
        said = f'has the shape {values.shape} and {len(names)} names of columns'
        raise items.unexpected(dataset, said)
    return schema.ElementTable(values, names)


def analyses_of(path: Path) -> tuple[str, ...]:
    """Return the names of the analyses in a file; empty if there is no HDF5 file."""
    if not is_store(path):
        return ()
    with StoreReader(path) as file:
        return file.analyses


def appended_to(path: Path) -> list[str]:
    """Return names of the sources that were added to a file after it was made, if it is there."""
    if not is_store(path):
        return []
    with StoreReader(path) as file:
        if not file.history:
            return []
        event = items.json_object(file.history[0], path, f'/{schema.HISTORY}')
        said = json.dumps(event.get(schema.N_SOURCES_ATTRIBUTE, {}))
        first = read_counts(said, path, f'/{schema.HISTORY}')
        return [
            name
            for scalar in file.scalars
            for name in file.scalar(scalar).names[first.get(scalar, 0) :]
        ]


def _file_status(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _layout_of(dataset: h5py.Dataset, dtype: np.dtype) -> Layout:
    """Return the layout of values that another program, or an older version, wrote."""
    if dataset.chunks is None:
        return Layout(dtype.name)
    compression = dataset.compression or 'none'
    if compression not in COMPRESSIONS:
        return Layout(dtype.name)
    # 4 is what h5py and rhdf5 use by default: then we choose.
    level = dataset.compression_opts if compression == 'gzip' else None
    return Layout(
        dtype.name,
        compression,
        None if level == 4 else level,
        bool(dataset.shuffle),
        chunk_bytes=math.prod(dataset.chunks) * dtype.itemsize,
    )
