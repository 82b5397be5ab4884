"""A file that is about to be replaced by what is made of it.

Nobody may write to it meanwhile: what came would be lost with the old file. HDF5's own lock, held
for reading, keeps writers away from beginning to end; where the file system has no locks, the
file's size and time tell at the end that it changed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path

import h5py
import numpy as np

from modelarrayio_bids.errors import FormatError, OutputError
from modelarrayio_bids.store import items, schema
from modelarrayio_bids.store.reader import StoreReader, is_store, read_counts
from modelarrayio_bids.store.scalars import Scalar, scalar_groups
from modelarrayio_bids.store.writer import COMPRESSIONS, Layout

#: Groups and datasets of a file, by their paths.
Parts = Mapping[str, h5py.Group | h5py.Dataset]


class LockedStoreReader(StoreReader):
    """A file open for reading, and closed to whoever would write: a context manager.

    Parameters
    ----------
    path : path-like
        The file.

    Raises
    ------
    SourceNotFoundError
        If there is none.
    FormatError
        If it is not HDF5.
    OutputError
        If another program is writing to it.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._status = _status(self.path)

    def require_unchanged(self) -> None:
        """Refuse to go on if the file is no longer what was read.

        Raises
        ------
        OutputError
            If its size, its time or the file itself has changed.
        """
        if _status(self.path) != self._status:
            raise OutputError(
                'was changed by another program while it was read; it stays as it is now',
                self.path,
                'Run the same command again when nothing else writes to it.',
            )

    @property
    def history(self) -> tuple[str, ...]:
        """What made the file before, oldest first: a JSON object each."""
        found = items.dataset_at(self._file, schema.HISTORY)
        return () if found is None else items.texts_of(found)

    def layout(self, scalars: Iterable[Scalar]) -> Layout:
        """How values are stored: as the file says, or as its scalars show.

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
                said = f'has a layout that is none at /{schema.PROVENANCE} ({error})'
                raise FormatError(said, self.path, 'Build it again.') from error
            if layout.dtype == dtype.name:
                return layout
        return _shown(datasets[0], dtype)

    def parts_of(self, scalar: str) -> Parts:
        """All that the file holds of a scalar."""
        ours = items.groups(items.group_at(self._file, schema.PROVENANCE))
        paths = {f'{schema.PROVENANCE}/{name}/{scalar}': group for name, group in ours.items()}
        known = {path: group[scalar] for path, group in paths.items() if scalar in group}
        # Not of a scalar, whatever its name: what makes the space again.
        known.pop(f'{schema.TEMPLATE}/{scalar}', None)
        return {schema.scalar_path(scalar): scalar_groups(self._file)[scalar], **known}

    def results(self) -> Parts:
        """All analyses."""
        return {schema.RESULTS: self._file[schema.RESULTS]} if self.analyses else {}

    def others(self, known: Iterable[str]) -> Parts:
        """What is neither ours nor ModelArray's, nor at one of these paths."""
        ours = {schema.SCALARS, schema.RESULTS, schema.PROVENANCE}
        ours |= {path.partition('/')[0] for path in known}
        return {name: part for name, part in items.members(self._file).items() if name not in ours}


def appended_to(path: Path) -> list[str]:
    """Names of the sources that were added to a file after it was made; none without a file."""
    if not is_store(path):
        return []
    with LockedStoreReader(path) as file:
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


def _status(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _shown(dataset: h5py.Dataset, dtype: np.dtype) -> Layout:
    """The layout of values that another program, or an older version, wrote."""
    if dataset.chunks is None:
        return Layout(dtype.name)
    compression = dataset.compression or 'none'
    if compression not in COMPRESSIONS:
        return Layout(dtype.name)
    # 4 is what h5py and rhdf5 take when nobody chose: then it is for us to choose.
    level = dataset.compression_opts if compression == 'gzip' else None
    return Layout(
        dtype.name,
        compression,
        None if level == 4 else level,
        bool(dataset.shuffle),
        chunk_bytes=math.prod(dataset.chunks) * dtype.itemsize,
    )
