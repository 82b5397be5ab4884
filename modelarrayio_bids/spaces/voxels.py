"""Voxels: the elements of NIfTI volumes.

The elements are the voxels of a group mask, in C order of its array: the first axis slowest, as
``numpy.nonzero`` lists them.

>>> import numpy as np
>>> mask = np.zeros((2, 2, 2), bool)
>>> mask[1, 0, 1] = mask[0, 1, 0] = True
>>> space = VoxelSpace.from_mask(mask, affine=np.eye(4))
>>> space
<VoxelSpace of 2 voxels>
>>> space.tables()['voxels'].values.T.tolist()  # voxel_id, i, j, k
[[0, 0, 1, 0], [1, 1, 0, 1]]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from nibabel.affines import apply_affine
from nibabel.nifti1 import Nifti1Header
from nibabel.orientations import aff2axcodes

from modelarrayio_bids.__about__ import NAME
from modelarrayio_bids.cohort import Source
from modelarrayio_bids.errors import CohortError, SpaceError, SpaceMismatchError, UsageError
from modelarrayio_bids.formats import compression, nifti
from modelarrayio_bids.spaces.base import ElementSpace, References, Template
from modelarrayio_bids.spaces.geometry import VOXEL_TABLE, Grid, GridElements, place_names
from modelarrayio_bids.store.schema import ElementTable, Tables

_MOST_REMEMBERED = 8
# By an end of an axis (nibabel's codes): what is exchanged when it is reversed.
_EXCHANGED = {
    code: what
    for codes, what in (
        ('LR', 'left and right'),
        ('PA', 'front and back'),
        ('IS', 'top and bottom'),
    )
    for code in codes
}
_RESAMPLE = 'Resample it to the grid of the group mask, or leave it out.'
# A value taken from the buffer, as float64, and whether it is inside.
_VALUE_BYTES = 20


class VoxelSpace(ElementSpace):
    """The voxels of a group mask.

    Parameters
    ----------
    mask : numpy.ndarray
        Three-dimensional boolean.
    header : nibabel.nifti1.Nifti1Header
        Header of the group mask: geometry and units of exported images.

    Raises
    ------
    SpaceError
        If the mask is empty.
    """

    kind = 'voxels'
    table_forms = (VOXEL_TABLE,)
    extensions = nifti.EXTENSIONS
    needs_masks = True
    named_spaces = True
    heeds = ('mask',)
    stacks = True
    has_neighbours = True

    def __init__(self, mask: np.ndarray, header: Nifti1Header) -> None:
        self.mask = np.asarray(mask, dtype=bool)
        self.header = nifti.map_header(header, NAME)
        self.grid = Grid(self.mask.shape, self.header.get_best_affine())
        if not self.mask.any():
            raise SpaceError('the group mask is empty', remedy='Give a mask with voxels above 0.')
        self._positions = _disk_positions(self.mask)
        self._masks = _MaskCache()
        self._stacks: dict[Path, nifti.Stack] = {}
        # Headers compared before: equal ones are one object.
        self._on_grid: list[Nifti1Header] = []

    @classmethod
    def from_mask(cls, mask: np.ndarray, affine: np.ndarray) -> VoxelSpace:
        """Make a space of an array and its affine (voxel indices to mm in RAS+)."""
        header = Nifti1Header()
        header.set_data_shape(mask.shape)
        header.set_sform(affine, code='aligned')
        header.set_qform(affine, code='aligned', strip_shears=True)
        header.set_xyzt_units('mm')
        return cls(mask, header)

    @classmethod
    def from_mask_file(cls, path: str | PathLike[str]) -> VoxelSpace:
        """Make a space of a group mask on disk: voxels above 0.

        Raises
        ------
        SourceNotFoundError, FormatError
            If it cannot be read.
        SpaceError
            If it is empty.
        """
        with nifti.opened(path) as voxels:
            header, mask = voxels.volume.header, voxels.positive()
        if not mask.any():
            raise SpaceError('is an empty mask', path, 'Give a mask with voxels above 0.')
        space = cls(mask, header)
        space.origin = Path(path)
        return space

    @classmethod
    def from_references(cls, references: References, sources: Sequence[Source]) -> VoxelSpace:
        """Make the space of ``references.mask``, which voxels always need."""
        if references.mask is None:
            raise UsageError(
                'voxels need a group mask',
                remedy='Give a binary NIfTI image with --mask: modelarrayio-bids group writes '
                '…_desc-group_mask.nii.gz, or take the brain mask of the template.',
            )
        if sources and not any(source.mask for source in sources):
            raise CohortError(
                'no row of the cohort has a source_mask_file',
                remedy='Add the column; where a subject has no mask of its own, give the group '
                'mask.',
            )
        return cls.from_mask_file(references.mask)

    @classmethod
    def holds_several(cls, path: Path) -> bool:
        """Return whether there is a fourth axis of more than one volume."""
        header = nifti.parse_header(compression.read_start(path, 540), path)
        return len(nifti.Volume(path, header).shape) > 3

    @classmethod
    def from_template(cls, template: Template) -> VoxelSpace:
        """Make the space again of its :meth:`template`.

        Raises
        ------
        FormatError, SpaceError
            If the header or the mask cannot be used.
        SpaceMismatchError
            If they are of different grids.
        """
        block = np.asarray(template['header'], np.uint8).tobytes()
        volume = nifti.Volume(Path('template'), nifti.parse_header(block, 'template'))
        nifti.require_volume(volume)
        space = cls(np.asarray(template['mask'], dtype=bool), volume.header)
        for told in (Grid.of(volume), Grid(space.mask.shape, np.asarray(template['affine']))):
            space.grid.require(told, 'template', 'Build the file again.')
        return space

    def template(self) -> Template:
        """Return ``mask`` (i, j, k) uint8, ``affine`` (4, 4), ``header``: its bytes."""
        return {
            'mask': self.mask.view(np.uint8),
            'affine': self.grid.affine,
            'header': np.frombuffer(self.header.binaryblock, np.uint8),
        }

    @classmethod
    def stored_facts(cls, tables: Tables, template: Mapping[str, Any]) -> dict[str, Any]:
        """Return the grid and voxel size, where the file has a template."""
        if not {'mask', 'affine'} <= set(template):
            return {}
        edges = np.linalg.norm(template['affine'][:3, :3], axis=0)
        return {'grid': template['mask'].shape, 'voxel_size': tuple(edges.tolist())}

    def __len__(self) -> int:
        return self._positions.size

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, VoxelSpace):
            return NotImplemented
        return self.grid == other.grid and np.array_equal(self.mask, other.mask)

    __hash__ = None

    def tables(self) -> dict[str, ElementTable]:
        """Return ``voxels``: zero-based voxel_id, i, j, k, int32 (4, n_elements)."""
        values = np.empty((4, len(self)), np.int32)
        values[0] = np.arange(len(self), dtype=np.int32)
        self._locate(self._positions, values[1:])
        return {'voxels': ElementTable(values, VOXEL_TABLE.columns)}

    @classmethod
    def n_stacked(cls, path: Path) -> int:
        """Return the number of volumes."""
        return nifti.Stack.from_file(path).n_volumes

    def flip_candidates(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield each axis of the array, reversed: so it goes wrong where orientations are lost."""
        numbers = np.full(self.mask.shape, -1, np.int32)
        numbers[self.mask] = np.arange(len(self), dtype=np.int32)
        for axis, code in enumerate(aff2axcodes(self.grid.affine)):
            yield _EXCHANGED[code], np.flip(numbers, axis)[self.mask]

    def check(self, source: Source) -> int:
        """Compare the grids of the map, and of its mask, with the group mask's."""
        if source.volume is not None:
            return self._check_stacked(source, source.volume)
        volumes = [nifti.Volume.from_file(path) for path in (source.path, self._own_mask(source))]
        for volume in volumes:
            self._require_grid(volume)
        return max(volume.n_bytes for volume in volumes) + len(self) * _VALUE_BYTES

    def _check_stacked(self, source: Source, number: int) -> int:
        if source.path not in self._stacks:
            stack = nifti.Stack.from_file(source.path)
            self.grid.require(Grid.of(stack.volume), source.path, _RESAMPLE)
            self._stacks[source.path] = stack
        stack = self._stacks[source.path]
        stack.require(number)
        mask = nifti.Volume.from_file(self._own_mask(source))
        self._require_grid(mask)
        # One volume that is being read, and one that waits.
        return max(2 * stack.size, mask.n_bytes) + len(self) * _VALUE_BYTES

    def read(self, source: Source) -> np.ndarray:
        """Read values at the group mask's voxels: float32 if so on disk, float64 otherwise."""
        # The mask first: there are no values yet to be in memory beside it.
        inside = self._masks.get(self._own_mask(source), self._inside)
        with nifti.opened(source.path) as voxels:
            self._require_grid(voxels.volume)
            values = voxels.take(self._positions)
        values[~inside] = np.nan
        return values

    def stacked(self, path: Path, numbers: Sequence[int]) -> Iterator[nifti.Voxels]:
        """Yield some volumes of a 4-D file, in rising order."""
        return nifti.volumes(path, numbers)

    def read_stacked(self, source: Source, voxels: nifti.Voxels) -> np.ndarray:
        """Read values at the group mask's voxels from a volume of a 4-D file, as :meth:`read`."""
        inside = self._masks.get(self._own_mask(source), self._inside)
        values = voxels.take(self._positions)
        values[~inside] = np.nan
        return values

    def write(self, values: np.ndarray, path: Path, fill: float = 0.0, name: str = '') -> None:
        """Write a float32 volume, ``fill`` outside the group mask, described by its name."""
        header = nifti.map_header(self.header, name or NAME)
        with nifti.created(header, path) as data:
            data[:] = fill
            with np.errstate(over='ignore'):
                data[self._positions] = values

    def extension(self, compress: bool) -> str:
        """Return ``.nii.gz``, or ``.nii`` uncompressed."""
        return '.nii.gz' if compress else '.nii'

    def labels(self, elements: np.ndarray) -> list[str]:
        """Return the places of voxels in mm."""
        return place_names(self.coordinates(elements), self.grid.voxel_edge)

    def coordinates(self, elements: np.ndarray) -> np.ndarray:
        """Return the centres of the voxels."""
        return apply_affine(self.grid.affine, self._indices(elements).T)

    def volumes(self, elements: np.ndarray) -> np.ndarray:
        """Return the volume of a voxel for each."""
        return np.full(len(elements), self.grid.voxel_volume)

    def grid_elements(self) -> GridElements:
        """Return the voxels, one element each."""
        return GridElements.one_each(self.grid, self._indices(slice(None)))

    def _indices(self, elements: np.ndarray | slice) -> np.ndarray:
        """Return i, j, k of some elements: (3, n) int32."""
        positions = self._positions[elements]
        return self._locate(positions, np.empty((3, positions.size), np.int32))

    def _locate(self, positions: np.ndarray, indices: np.ndarray) -> np.ndarray:
        """Write i, j, k of positions into ``indices``, and return it."""
        n_i, n_j, _ = self.mask.shape
        # In place: positions are 64 bits wide, and there are as many as voxels.
        i, j, k = indices
        np.remainder(positions, n_i, out=i, casting='unsafe')
        np.floor_divide(positions, n_i, out=k, casting='unsafe')
        np.remainder(k, n_j, out=j)
        np.floor_divide(k, n_j, out=k)
        return indices

    def _inside(self, mask: Path) -> np.ndarray:
        with nifti.opened(mask) as voxels:
            self._require_grid(voxels.volume)
            inside = voxels.take_positive(self._positions)
        if not inside.any():
            raise SpaceMismatchError(
                'has no voxel in common with the group mask', mask, 'Check both masks in a viewer.'
            )
        return inside

    def _require_grid(self, volume: nifti.Volume) -> None:
        if any(volume.header is header for header in self._on_grid):
            return
        self.grid.require(Grid.of(volume), volume.path, _RESAMPLE)
        self._on_grid = [volume.header, *self._on_grid[: _MOST_REMEMBERED - 1]]

    @staticmethod
    def _own_mask(source: Source) -> Path:
        if source.mask is None:
            raise CohortError(
                f'{source.name} has no mask',
                remedy='Fill source_mask_file for every row; where a subject has no mask of its '
                'own, give the group mask.',
            )
        return source.mask


class _MaskCache:
    """The last masks read, for cohorts in which many maps share one. Bits are packed.

    They are distinguished by their bytes: pipelines copy one mask beside every map.
    """

    def __init__(self) -> None:
        self._kept: dict[bytes, tuple[np.ndarray, int]] = {}
        self._lock = Lock()

    def get(self, path: Path, read: Callable[[Path], np.ndarray]) -> np.ndarray:
        """Return the mask of a file, (n_elements,) boolean: kept from before, or read now."""
        key = compression.digest(path)
        with self._lock:
            kept = self._kept.get(key)
        if kept is None:
            inside = read(path)
            with self._lock:
                self._kept[key] = (np.packbits(inside), inside.size)
                while len(self._kept) > _MOST_REMEMBERED:
                    del self._kept[next(iter(self._kept))]
            return inside
        return np.unpackbits(kept[0], count=kept[1]).view(bool)


def _disk_positions(mask: np.ndarray) -> np.ndarray:
    """Return where each voxel of a mask lies in data whose first axis runs fastest: (n,) int64.

    Plane by plane: three indices for every voxel of a brain at a time would be the largest thing in
    memory.
    """
    n_i, n_j, _ = mask.shape
    positions = np.empty(np.count_nonzero(mask), np.int64)
    start = 0
    for i, plane in enumerate(mask):
        j, k = np.nonzero(plane)
        positions[start : start + j.size] = i + n_i * (j + n_j * k)
        start += j.size
    return positions
