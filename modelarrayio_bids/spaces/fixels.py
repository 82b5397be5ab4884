"""Fixels: the elements of MRtrix's fixel directories.

The elements are the fixels in MRtrix's order, that of the rows of every fixel data file. An index
image gives each voxel its number of fixels and the first of them; a directions image gives each
fixel its direction. Voxels count as MRtrix counts them (axes nearest to right, anterior,
superior), whichever way a file has them on disk.

>>> import numpy as np
>>> index = np.zeros((3, 1, 1, 2), np.uint32)
>>> index[2, 0, 0] = 2, 0  # two fixels, the first is fixel 0
>>> index[1, 0, 0] = 1, 2
>>> space = FixelSpace.from_arrays(index, directions=np.eye(3), affine=np.eye(4))
>>> space
<FixelSpace of 3 fixels>
>>> space.tables()['voxels'].values.T.tolist()  # voxel_id, i, j, k
[[0, 2, 0, 0], [1, 1, 0, 0]]
>>> space.tables()['fixels'].values.T.tolist()  # fixel_id, voxel_id, x, y, z
[[0.0, 0.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 1.0, 0.0], [2.0, 1.0, 0.0, 0.0, 1.0]]
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from nibabel.affines import apply_affine

from modelarrayio_bids.__about__ import NAME
from modelarrayio_bids.cohort import Source
from modelarrayio_bids.errors import (
    FormatError,
    ModelArrayIOError,
    OutputError,
    SourceNotFoundError,
    SpaceError,
    SpaceMismatchError,
    UsageError,
)
from modelarrayio_bids.formats import compression, mif, nifti
from modelarrayio_bids.runtime.atomic import replacing
from modelarrayio_bids.runtime.locations import is_file, location
from modelarrayio_bids.runtime.text_format import by
from modelarrayio_bids.spaces.base import ElementSpace, References, Template
from modelarrayio_bids.spaces.geometry import VOXEL_TABLE, Grid, GridElements, place_names
from modelarrayio_bids.store.kinds import TableForm
from modelarrayio_bids.store.schema import ElementTable, Tables

#: The two files of a fixel directory beside its data, and the endings that MRtrix takes for them.
COMPANIONS = ('index', 'directions')
DIRECTORY_ENDINGS = ('.mif', '.mif.gz', '.nii', '.nii.gz')
#: Directions went through float32, and through text in some tools.
DIRECTION_TOLERANCE = 1e-6
# A value in the order of the fixels, and as float64.
_VALUE_BYTES = 16


@dataclass(frozen=True)
class FixelIndex:
    """Fixels of each voxel: the checked content of an index image.

    Parameters
    ----------
    header : modelarrayio_bids.formats.mif.MifHeader
        Header of the index image, (i, j, k, 2).
    positions : numpy.ndarray
        (n_voxels,) int64: voxels with fixels, in the order of their first one, as positions in the
        grid in C order.
    counts : numpy.ndarray
        (n_voxels,) uint32: their numbers of fixels.
    """

    header: mif.MifHeader
    positions: np.ndarray
    counts: np.ndarray

    @classmethod
    def from_file(cls, path: str | PathLike[str]) -> FixelIndex:
        """Read and check an index image, MRtrix or NIfTI.

        Raises
        ------
        SourceNotFoundError, FormatError
            If it cannot be read, or is not an index image.
        SpaceError
            As :meth:`from_image`.
        """
        with _opened(path) as (header, values):
            return cls.from_image(header, values, path)

    @classmethod
    def from_image(
        cls, header: mif.MifHeader, values: np.ndarray, path: str | PathLike[str] | None = None
    ) -> FixelIndex:
        """Check an index image's values: (i, j, k, 2), count and first fixel.

        Raises
        ------
        FormatError
            If these are not counts and positions.
        SpaceError
            If there are no fixels, or their ranges overlap or leave gaps.
        """
        _require_index(values, path)
        pairs = values.reshape(-1, 2)
        occupied = np.flatnonzero(pairs[:, 0])
        counts, firsts = pairs[occupied].T.astype(np.int64)
        order = np.argsort(firsts, kind='stable')
        index = cls(header, occupied[order], counts[order].astype(np.uint32))
        index._require_consecutive(firsts[order], path)
        return index

    @property
    def shape(self) -> tuple[int, ...]:
        """Three voxel counts."""
        return self.header.shape[:3]

    @property
    def grid(self) -> Grid:
        """Return the grid of the voxels."""
        return Grid(self.shape, self.header.affine)

    @property
    def n_fixels(self) -> int:
        """Number of fixels."""
        return int(self.counts.sum())

    @property
    def firsts(self) -> np.ndarray:
        """First fixel of each voxel, (n_voxels,) int64."""
        return np.cumsum(self.counts, dtype=np.int64) - self.counts

    def __eq__(self, other: object) -> bool:
        """Return whether both have the same fixels in the same voxels of the same grid."""
        if not isinstance(other, FixelIndex):
            return NotImplemented
        return (
            self.grid == other.grid
            and np.array_equal(self.positions, other.positions)
            and np.array_equal(self.counts, other.counts)
        )

    __hash__ = None  # type: ignore[assignment]  # equality has a tolerance

    def image(self) -> np.ndarray:
        """Return values of the index image: (i, j, k, 2) uint32, zero where there is no fixel."""
        values = np.zeros((int(np.prod(self.shape)), 2), np.uint32)
        values[self.positions, 0] = self.counts
        values[self.positions, 1] = self.firsts
        return values.reshape(*self.shape, 2)

    def voxels(self) -> np.ndarray:
        """Return i, j, k of each voxel with fixels: (3, n_voxels)."""
        return np.stack(np.unravel_index(self.positions, self.shape))

    def require_within_grid(self) -> None:
        """Refuse voxels outside of the grid, without fixels, or listed twice.

        Raises
        ------
        SpaceMismatchError
            If there are some.
        """
        inside = (self.positions >= 0) & (self.positions < np.prod(self.shape))
        if not (
            self.positions.shape == self.counts.shape == np.unique(self.positions).shape
            and inside.all()
            and self.counts.all()
        ):
            raise SpaceMismatchError(
                f'{self.counts.size} counts of fixels for {self.positions.size} voxels, expected a '
                f'count above 0 for each of some voxels of a grid of {by(self.shape)}'
            )

    def _require_consecutive(self, firsts: np.ndarray, path: str | PathLike[str] | None) -> None:
        wrong = np.flatnonzero(firsts != self.firsts)
        if not wrong.size:
            return
        voxel = int(wrong[0])
        where = tuple(self.voxels()[:, voxel].tolist())
        found, expected = int(firsts[voxel]), int(self.firsts[voxel])
        problem = 'leaves a gap' if found > expected else 'has ranges that overlap'
        raise SpaceError(
            f'{problem}: the fixels of voxel {where} start at {found}, expected {expected}',
            path,
            'Give the index image of a directory that MRtrix wrote.',
        )


class FixelSpace(ElementSpace):
    """The fixels of a template.

    Parameters
    ----------
    index : FixelIndex
        Fixels of each voxel.
    directions : numpy.ndarray
        (n_fixels, 3), unit vectors in RAS+; kept as float32.
    """

    kind = 'fixels'
    table_forms = (
        TableForm('fixels', ('fixel_id', 'voxel_id', 'x', 'y', 'z')),
        replace(VOXEL_TABLE, counts=False),
    )
    extensions = mif.EXTENSIONS
    heeds = ('index', 'directions')
    has_neighbours = True

    def __init__(self, index: FixelIndex, directions: np.ndarray) -> None:
        self.index = index
        with np.errstate(over='ignore'):
            self.directions = np.array(directions, dtype=np.float32)
        if self.directions.shape != (len(self), 3):
            raise SpaceMismatchError(
                f'directions of shape {self.directions.shape}, expected {(len(self), 3)}'
            )
        self._same_folders: dict[Path, bool] = {}
        # The two files it is from, by their bytes: most folders of a study hold copies.
        self._files: tuple[bytes, bytes] | None = None
        self._lock = Lock()

    @classmethod
    def from_arrays(
        cls, index: np.ndarray, directions: np.ndarray, affine: np.ndarray
    ) -> FixelSpace:
        """Make a space of the values of an index image, (i, j, k, 2), and directions.

        Raises
        ------
        FormatError, SpaceError
            As :meth:`FixelIndex.from_image`.
        """
        header = mif.MifHeader.on_grid(np.uint32, index.shape, affine)
        return cls(FixelIndex.from_image(header, index), directions)

    @classmethod
    def from_files(cls, index: str | PathLike[str], directions: str | PathLike[str]) -> FixelSpace:
        """Make a space of an index and a directions image, each MRtrix or NIfTI.

        Raises
        ------
        SourceNotFoundError, FormatError
            If one cannot be read, or is not such an image.
        SpaceError
            If the index contradicts itself.
        SpaceMismatchError
            If the two hold different numbers of fixels.
        """
        checked = FixelIndex.from_file(index)
        with _opened(directions) as (header, values):
            _require_directions(header, checked, index, directions)
            space = cls(checked, values.reshape(-1, 3))
        space._files = (compression.digest(index), compression.digest(directions))
        return space

    @classmethod
    def from_fixel_directory(cls, folder: str | PathLike[str]) -> FixelSpace:
        """Make a space of ``index`` and ``directions`` (.mif, .mif.gz, .nii, .nii.gz) in a folder.

        Raises
        ------
        SourceNotFoundError
            If the folder lacks one.
        SpaceError
            If it has several, or as :meth:`from_files`.
        """
        place = location(folder)
        return cls.from_files(_find(place, 'index'), _find(place, 'directions'))

    @classmethod
    def from_references(cls, references: References, sources: Sequence[Source]) -> FixelSpace:
        """Make the space of the named files, or of the fixel directory the first source is in.

        ``references.index`` may also be a fixel directory by itself; without sources, the one
        ``references.example`` is in will do.
        """
        index, directions = references.index, references.directions
        folder = index if index is not None and index.is_dir() else None
        if index is not None and directions is not None:
            return cls.from_files(_find(folder, 'index') if folder else index, directions)
        image = sources[0].path if sources else references.example
        if index is None and directions is None and image is not None:
            folder = image.parent
        if folder is not None:
            return cls.from_fixel_directory(folder)
        raise UsageError(
            'fixels need an index and a directions image',
            remedy='Give --index-file and --directions-file, or --index-file with a fixel '
            'directory.',
        )

    @classmethod
    def from_template(cls, template: Template) -> FixelSpace:
        """Make the space again of its :meth:`template`.

        Raises
        ------
        FormatError
            If the header cannot be used.
        SpaceMismatchError
            If fixels are outside of its grid or twice in a voxel, or directions are not as many.
        """
        header = mif.MifHeader.from_bytes(np.asarray(template['header'], np.uint8).tobytes())
        index = FixelIndex(
            header,
            np.asarray(template['positions'], np.int64),
            np.asarray(template['counts'], np.uint32),
        )
        index.require_within_grid()
        return cls(index, np.asarray(template['directions']))

    def template(self) -> Template:
        """Return what rebuilds both images, the index without its empty voxels.

        ``header`` is the index image's as MRtrix text; ``positions`` (n_voxels,) int64 and
        ``counts`` (n_voxels,) uint32 are those of :class:`FixelIndex`; ``directions`` (n_fixels,
        3) float32.
        """
        return {
            'header': np.frombuffer(self.index.header.to_bytes(), np.uint8),
            'positions': self.index.positions,
            'counts': self.index.counts,
            'directions': self.directions,
        }

    @classmethod
    def stored_facts(cls, tables: Tables, template: Mapping[str, Any]) -> dict[str, Any]:
        """Return the number of voxels with fixels."""
        voxels = tables.get('voxels')
        return {} if voxels is None else {'n_voxels': voxels.values.shape[-1]}

    def __len__(self) -> int:
        return self.index.n_fixels

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FixelSpace):
            return NotImplemented
        return self.index == other.index and np.allclose(
            self.directions, other.directions, rtol=0, atol=DIRECTION_TOLERANCE, equal_nan=True
        )

    __hash__ = None

    def tables(self) -> dict[str, ElementTable]:
        """Return ``fixels`` (fixel_id, voxel_id, x, y, z) and ``voxels`` (voxel_id, i, j, k).

        Voxels are numbered in the order of their first fixel.
        """
        voxels = np.empty((4, self.index.counts.size), np.int32)
        voxels[0] = np.arange(self.index.counts.size)
        voxels[1:] = self.index.voxels()
        fixels = np.empty((5, len(self)))
        fixels[0] = np.arange(len(self))
        fixels[1] = np.repeat(voxels[0], self.index.counts)
        fixels[2:] = self.directions.T
        return {
            'fixels': ElementTable(fixels, self.table_forms[0].columns),
            'voxels': ElementTable(voxels, VOXEL_TABLE.columns),
        }

    def check(self, source: Source) -> int:
        """Look for one real value per fixel in a whole file, and compare the directory it lies in.

        Data files say nothing of where their fixels are: the index beside them does.
        """
        header = mif.MifHeader.from_file(source.path)
        self._require_values(header.realigned(), source.path)
        if not self._is_same(source.path.parent):
            raise SpaceMismatchError(
                'lies in a fixel directory with another index or other directions than expected',
                source.path,
                'Map it to the template (fixelcorrespondence), or leave it out.',
            )
        return header.n_bytes + len(self) * _VALUE_BYTES

    def read(self, source: Source) -> np.ndarray:
        """Read one value per fixel: float32 if so on disk, float64 otherwise, without a mask."""
        with mif.opened(source.path, realign=True) as (header, values):
            self._require_values(header, source.path)
            single = values.dtype.newbyteorder('=') == np.float32
            return np.array(values.reshape(-1), dtype=np.float32 if single else np.float64)

    def write(self, values: np.ndarray, path: Path, fill: float = 0.0, name: str = '') -> None:
        """Write a fixel data file, (n_fixels, 1, 1) float32; every place is an element."""
        with np.errstate(over='ignore'):
            data = np.asarray(values).astype(np.float32)
        header = self._data_header(columns=1)
        mif.write(header, data.reshape(header.shape), path)

    def write_companions(self, folder: Path) -> list[Path]:
        """Write ``index.mif`` and ``directions.mif``, which make the folder a fixel directory.

        In a fixel directory of these fixels they stay as they are.
        """
        if self._holds_these(folder):
            return [_find(folder, stem) for stem in COMPANIONS]
        index, directions = folder / 'index.mif', folder / 'directions.mif'
        for path in (index, directions):
            _require_alone(path)
        header = self.index.header
        pairs = {**header.pairs, 'nfixels': str(len(self))}
        header = replace(header, dtype=np.dtype(np.uint32), pairs=pairs)
        with replacing(index) as partial:
            mif.write(header, self.index.image(), partial)
        with replacing(directions) as partial:
            mif.write(self._data_header(columns=3), self.directions[..., np.newaxis], partial)
        return [index, directions]

    def extension(self, compress: bool) -> str:
        """Return ``.mif.gz``, or ``.mif`` uncompressed."""
        return '.mif.gz' if compress else '.mif'

    def labels(self, elements: np.ndarray) -> list[str]:
        """Return numbers and places: two fixels of a voxel are at one place."""
        places = place_names(self.coordinates(elements), self.index.grid.voxel_edge)
        numbers = elements.tolist()
        return [f'fixel {n} at {place}' for n, place in zip(numbers, places, strict=True)]

    def coordinates(self, elements: np.ndarray) -> np.ndarray:
        """Return the centres of their voxels."""
        voxels = np.searchsorted(self.index.firsts, elements, side='right') - 1
        return apply_affine(self.index.grid.affine, self.index.voxels()[:, voxels].T)

    def grid_elements(self) -> GridElements:
        """Return the voxels of the index, each with its fixels."""
        n_voxels = self.index.counts.size
        voxels = np.repeat(np.arange(n_voxels), self.index.counts)
        everything = np.arange(len(self))
        return GridElements(self.index.grid, self.index.voxels(), voxels, everything)

    def _holds_these(self, folder: Path) -> bool:
        """Return whether a folder is a fixel directory of these fixels.

        The data in one of other fixels must keep the index they were made for.
        """
        try:
            fits = self._fits(folder)
        except ModelArrayIOError:
            return False  # of no use to anyone as it is
        if not fits:
            raise OutputError(
                'is a fixel directory of other fixels, whose data would lose their index',
                folder,
                'Export to a folder of its own.',
            )
        return is_fixel_directory(folder)

    def _is_same(self, folder: Path) -> bool:
        with self._lock:
            if folder not in self._same_folders:
                self._same_folders[folder] = self._fits(folder)
            return self._same_folders[folder]

    def _fits(self, folder: Path) -> bool:
        """Return whether data in a folder are on these fixels, as far as the folder says."""
        if not is_fixel_directory(folder):
            return True
        files = tuple(compression.digest(_find(folder, stem)) for stem in COMPANIONS)
        return files == self._files or FixelSpace.from_fixel_directory(folder) == self

    def _data_header(self, columns: int) -> mif.MifHeader:
        # MRtrix gives fixel data the index's voxel sizes and no transform of their own.
        return mif.MifHeader(
            np.dtype(np.float32),
            (len(self), columns, 1),
            self.index.header.zooms[:3],
            transform=np.eye(3, 4),
            pairs={'comments': NAME},
        )

    def _require_values(self, header: mif.MifHeader, path: Path) -> None:
        shape = header.shape
        if any(n != 1 for n in shape[1:]):
            raise FormatError(
                f'is {by(shape)}, expected one value for each of {len(self)} fixels: '
                f'{len(self)} × 1 × 1',
                path,
                'Give a fixel data file; of one with several columns, extract one with '
                'mrconvert -coord 1.',
            )
        if shape[0] != len(self):
            raise SpaceMismatchError(
                f'holds {shape[0]} fixels, expected {len(self)}, those of the index image',
                path,
                'Map it to the template (fixelcorrespondence), or leave it out.',
            )
        _require_real(header, path)


def is_fixel_directory(folder: Path) -> bool:
    """Return whether a folder holds the two images that every fixel directory has."""
    return all(_candidates(folder, stem) for stem in COMPANIONS)


def _candidates(folder: Path, stem: str) -> list[Path]:
    paths = (folder / f'{stem}{ending}' for ending in DIRECTORY_ENDINGS)
    return [path for path in paths if is_file(path)]


@contextmanager
def _opened(path: str | PathLike[str]) -> Iterator[tuple[mif.MifHeader, np.ndarray]]:
    """Open an index or directions image, its axes as MRtrix sees them."""
    if not str(path).endswith(nifti.EXTENSIONS):
        with mif.opened(path, realign=True) as image:
            yield image
        return
    with nifti.opened(path, single=False) as voxels:
        volume = voxels.volume
        header = mif.MifHeader.on_grid(voxels.flat.dtype, volume.shape, volume.affine).realigned()
        yield header, header.arrange(voxels.take(np.arange(voxels.flat.size)))


def _require_directions(
    header: mif.MifHeader,
    index: FixelIndex,
    index_path: str | PathLike[str],
    path: str | PathLike[str],
) -> None:
    shape = header.shape
    if shape[1:2] != (3,) or any(n != 1 for n in shape[2:]):
        raise FormatError(f'is {by(shape)}, expected fixels × 3 × 1', path, 'Give directions.mif.')
    if shape[0] != index.n_fixels:
        raise SpaceMismatchError(
            f'holds {shape[0]} directions, expected {index.n_fixels}, the fixels of {index_path}',
            path,
            'Give index and directions of one fixel directory.',
        )
    _require_real(header, path)


def _require_real(header: mif.MifHeader, path: str | PathLike[str]) -> None:
    if header.dtype.kind == 'c':
        raise FormatError(
            f'holds values of type {header.dtype}, expected real numbers',
            path,
            'Save magnitude as its own file.',
        )


def _require_index(values: np.ndarray, path: str | PathLike[str] | None) -> None:
    if values.ndim != 4 or values.shape[3] != 2:
        raise FormatError(
            f'is {by(values.shape)}, expected a fixel index: i × j × k × 2',
            path,
            'Give index.mif.',
        )
    whole = values.dtype.kind in 'iu' or (
        values.dtype.kind == 'f' and np.array_equal(values, np.trunc(values))
    )
    if not whole or not np.isfinite(values).all() or values.min() < 0:
        raise FormatError(
            'holds values other than whole numbers from 0, expected fixel counts and positions',
            path,
            'Give index.mif.',
        )
    if not values[..., 0].any():
        raise SpaceError('is an index without a single fixel', path, 'Give a template with fixels.')


def _find(folder: Path, stem: str) -> Path:
    found = _candidates(folder, stem)
    if len(found) == 1:
        return found[0]
    if not found:
        raise SourceNotFoundError(
            f'has no {stem} image ({stem}.mif, .mif.gz, .nii or .nii.gz)',
            folder,
            'Give --index-file and --directions-file.',
        )
    raise SpaceError(
        f'has {len(found)} {stem} images: {", ".join(path.name for path in found)}',
        folder,
        'Keep one, or give --index-file and --directions-file.',
    )


def _require_alone(path: Path) -> None:
    for other in _candidates(path.parent, path.stem):
        if other != path:
            raise OutputError(
                f'would exist twice, also as {path.name}, which MRtrix does not accept',
                other,
                'Remove it, or choose another folder.',
            )
