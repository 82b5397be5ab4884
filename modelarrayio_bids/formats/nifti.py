"""NIfTI-1 and NIfTI-2 volumes: the header alone, some voxels of the data, and a map written.

nibabel reads the header; the data are taken from the inflated bytes in their type on disk, since
a float64 copy of every image is what most of the predecessor's time went into.
"""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from os import PathLike
from pathlib import Path

import numpy as np
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from modelarrayio_bids.errors import FormatError
from modelarrayio_bids.formats import compression
from modelarrayio_bids.runtime.locations import location
from modelarrayio_bids.runtime.text_format import by

EXTENSIONS = ('.nii.gz', '.nii')
_HEADER_CLASSES = {348: Nifti1Header, 540: Nifti2Header}
_LONGEST_HEADER = max(_HEADER_CLASSES)
_READABLE_KINDS = 'iuf'
# Fields of a header that say where voxels are, and in which units.
_GEOMETRY = (
    *('pixdim', 'xyzt_units', 'qform_code', 'sform_code', 'srow_x', 'srow_y', 'srow_z'),
    *('quatern_b', 'quatern_c', 'quatern_d', 'qoffset_x', 'qoffset_y', 'qoffset_z'),
)


@dataclass(frozen=True)
class Volume:
    """The header of a three-dimensional image.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    header : nibabel.nifti1.Nifti1Header or nibabel.nifti2.Nifti2Header
        As on disk.
    """

    path: Path
    header: Nifti1Header

    @classmethod
    def from_file(cls, path: str | PathLike[str]) -> Volume:
        """Read the header of a ``.nii`` or ``.nii.gz`` file alone.

        Raises
        ------
        SourceNotFoundError
            If there is no such file.
        FormatError
            If it is not a NIfTI volume, holds several, or is shorter than its header says.
        """
        volume = cls.from_bytes(compression.read_start(path, _LONGEST_HEADER), path)
        require_whole(path, volume.n_bytes)
        return volume

    @classmethod
    def from_bytes(cls, start: bytes, path: str | PathLike[str], *, single: bool = True) -> Volume:
        """Understand the first bytes of a file; errors as :meth:`from_file`.

        Several volumes are refused, unless ``single`` is false.
        """
        volume = cls(location(path), parse_header(start, path))
        if single:
            require_volume(volume)
        require_real_numbers(volume.header, path)
        return volume

    @property
    def shape(self) -> tuple[int, ...]:
        """Three voxel counts; a fourth axis of one volume is dropped."""
        return _spatial_shape(self.header)

    @property
    def affine(self) -> np.ndarray:
        """Voxel indices to mm in RAS+, (4, 4) float64: sform, else qform, else the voxel sizes.

        Raises
        ------
        FormatError
            If they are not numbers, or give several voxels one place.
        """
        try:
            affine = self.header.get_best_affine()
        except (HeaderDataError, ValueError):
            affine = np.zeros((4, 4))
        if not np.isfinite(affine).all() or not np.linalg.det(affine[:3, :3]):
            raise FormatError(
                'has an affine that cannot be used (sform or qform)',
                self.path,
                'Fix its header, or make the image again.',
            )
        return affine

    @property
    def n_bytes(self) -> int:
        """Minimal size of the decompressed file, in bytes."""
        itemsize = self.header.get_data_dtype().itemsize
        return self.header.get_data_offset() + math.prod(self.shape) * itemsize


@dataclass(frozen=True)
class Stack:
    """Header of a 4-D file whose volumes are images of their own.

    Parameters
    ----------
    volume : Volume
        Any of its volumes.
    n_volumes : int
        Number of volumes.
    """

    volume: Volume
    n_volumes: int

    @classmethod
    def from_file(cls, path: str | PathLike[str]) -> Stack:
        """Read the header alone.

        Raises
        ------
        SourceNotFoundError
            If there is no such file.
        FormatError
            If it is not a NIfTI image of three or four dimensions.
        """
        whole = parse_header(compression.read_start(path, _LONGEST_HEADER), path)
        place, header, shape = location(path), whole.copy(), whole.get_data_shape()
        header.set_data_shape(shape[:3])
        require_volume(Volume(place, header if len(shape) == 4 else whole))
        require_real_numbers(header, path)
        return cls(Volume(place, header), shape[3] if len(shape) == 4 else 1)

    @property
    def size(self) -> int:
        """Size of a volume in bytes."""
        return math.prod(self.volume.shape) * self.volume.header.get_data_dtype().itemsize

    def require(self, number: int) -> None:
        """Refuse a volume that is not there.

        Raises
        ------
        FormatError
            With how many there are.
        """
        if number >= self.n_volumes:
            raise FormatError(
                f'has {self.n_volumes} volumes, and no volume {number}',
                self.volume.path,
                'Count volumes from 0, as FSL does.',
            )


def volumes(path: str | PathLike[str], numbers: Sequence[int]) -> Iterator[Voxels]:
    """Yield some volumes of a 4-D file, inflating it once.

    Parameters
    ----------
    path : path-like
        The file.
    numbers : sequence of int
        Numbers of the volumes, from 0; they are yielded in rising order.

    Raises
    ------
    SourceNotFoundError, FormatError
        As :meth:`Stack.from_file`, or if the file is damaged or ends before its data do.
    """
    stack = Stack.from_file(path)
    header, wanted = stack.volume.header, set(numbers)
    with compression.in_pieces(path) as take:
        take(header.get_data_offset())
        for number in range(max(wanted, default=-1) + 1):
            data = take(stack.size)
            if number in wanted:
                yield Voxels(stack.volume, np.frombuffer(data, header.get_data_dtype()))


@dataclass(frozen=True)
class Voxels:
    """The data of a volume, as stored on disk.

    Parameters
    ----------
    volume : Volume
        Content of the header.
    flat : numpy.ndarray
        (n_voxels,), in the type on disk, the first axis running fastest.
    """

    volume: Volume
    flat: np.ndarray

    def take(self, positions: np.ndarray) -> np.ndarray:
        """Return scaled values at some positions of ``flat``.

        Parameters
        ----------
        positions : numpy.ndarray
            (n,) integers.

        Returns
        -------
        numpy.ndarray
            (n,): float32 as it is on disk, any other type as float64, as nibabel's
            ``get_fdata`` would give them.
        """
        return scaled(self.flat.take(positions), scaling(self.volume.header))

    def take_positive(self, positions: np.ndarray) -> np.ndarray:
        """Return whether a mask is set at some positions of ``flat``: (n,) boolean. NaN is not."""
        return self._true(self.flat.take(positions)) > 0

    def positive(self) -> np.ndarray:
        """Return where a mask is set: boolean, three-dimensional. NaN is not."""
        return self._shaped(self._true(self.flat) > 0)

    def present(self) -> np.ndarray:
        """Return where a map has a finite value other than zero: boolean, three-dimensional."""
        values = self._true(self.flat)
        return self._shaped(np.isfinite(values) & (values != 0))

    def _true(self, stored: np.ndarray) -> np.ndarray:
        factors = scaling(self.volume.header)
        return stored if factors is None else scaled(stored, factors)

    def _shaped(self, values: np.ndarray) -> np.ndarray:
        return values.reshape(self.volume.shape, order='F')


@contextmanager
def opened(path: str | PathLike[str], *, single: bool = True) -> Iterator[Voxels]:
    """Read header and data in one pass over a file; they are valid within the context.

    Raises
    ------
    SourceNotFoundError, FormatError
        As :meth:`Volume.from_file`, or if the file ends before its data do.
    """
    with compression.inflated(path) as data:
        volume = Volume.from_bytes(bytes(data[:_LONGEST_HEADER]), path, single=single)
        compression.require_bytes(len(data), volume.n_bytes, path)
        flat = np.frombuffer(
            data,
            volume.header.get_data_dtype(),
            count=math.prod(volume.shape),
            offset=volume.header.get_data_offset(),
        )
        yield Voxels(volume, flat)


def parse_header(start: bytes, path: str | PathLike[str]) -> Nifti1Header:
    """Return the header in the first bytes of a file, of either version and byte order.

    The images of a cohort mostly share one header: equal bytes give the same object, which is
    not to be changed.

    Raises
    ------
    FormatError
        If there is none.
    """
    for order in '<>':
        size = struct.unpack(f'{order}i', start[:4])[0] if len(start) >= 4 else 0
        if size in _HEADER_CLASSES and len(start) >= size:
            try:
                return _parsed(start[:size], order)
            except (HeaderDataError, WrapStructError, ValueError, OverflowError) as error:
                raise FormatError(
                    f'has a NIfTI header that cannot be used ({error})', path
                ) from error
    raise FormatError('is not a NIfTI image', path, 'Give a .nii or .nii.gz file.')


@lru_cache(maxsize=16)
def _parsed(block: bytes, order: str) -> Nifti1Header:
    header = _HEADER_CLASSES[len(block)].from_fileobj(io.BytesIO(block), order)
    n_axes, *lengths = header['dim'].tolist()
    # nibabel takes any number of axes, and lengths below 0 for a convention of FreeSurfer's.
    if not 0 < n_axes < len(header['dim']) or min(lengths[:n_axes]) < 0:
        raise HeaderDataError(f'dim is {n_axes} axes of {by(lengths[: max(n_axes, 0)])}')
    _shorten_quaternion(header)
    return header


def _shorten_quaternion(header: Nifti1Header) -> None:
    """Make a rotation of what rounding left longer than 1, as NIfTI's own library does.

    ``nifti_quatern_to_mat44`` of nifti1_io.c; nibabel would have no affine.
    """
    parts = ('quatern_b', 'quatern_c', 'quatern_d')
    length = np.linalg.norm([float(header[part]) for part in parts])
    if 1 < length < np.inf:
        for part in parts:
            header[part] = float(header[part]) / length


def map_header(header: Nifti1Header, description: str) -> Nifti1Header:
    """Return a header for a float32 map on the grid of another image.

    Geometry and units are kept; what described the other image's values (scaling, display range,
    intent, extensions) is not.
    """
    fresh = type(header)()
    fresh.set_data_dtype(np.float32)
    fresh.set_data_shape(_spatial_shape(header))
    for field in _GEOMETRY:
        fresh[field] = header[field]
    fresh['descrip'] = description.encode()[:79]
    fresh.set_slope_inter(1, 0)
    return fresh


def write_volume(header: Nifti1Header, data: np.ndarray, path: str | PathLike[str]) -> None:
    """Write one volume, compressed if the name ends in ``.gz``.

    Parameters
    ----------
    header : nibabel.nifti1.Nifti1Header
        With the shape of ``data``; the type written is that of ``data``.
    data : numpy.ndarray
        Three-dimensional.
    path : path-like
        Replaced if it exists.
    """
    header = header.copy()
    header.set_data_dtype(data.dtype)
    with created(header, path) as flat:
        flat[:] = data.reshape(-1, order='F')


@contextmanager
def created(header: Nifti1Header, path: str | PathLike[str]) -> Iterator[np.ndarray]:
    """Hand over the data of a volume to be filled, which is written when the context ends.

    Parameters
    ----------
    header : nibabel.nifti1.Nifti1Header
        With type and shape.
    path : path-like
        Replaced if it exists; compressed if it ends in ``.gz``.

    Yields
    ------
    numpy.ndarray
        (n_voxels,), any values, in the type of the header, the first axis running fastest.
    """
    header = header.copy()
    single = {Nifti1Header: (b'n+1', 352), Nifti2Header: (b'n+2\0\r\n\x1a\n', 544)}
    header['magic'], offset = single[type(header)]
    header.set_data_offset(offset)
    dtype, n_voxels = header.get_data_dtype(), int(np.prod(header.get_data_shape()))
    with compression.scratch(offset + n_voxels * dtype.itemsize) as image:
        image[:offset] = header.binaryblock.ljust(offset, b'\0')
        yield np.frombuffer(image, dtype, offset=offset)
        compression.write_file(image, path)


def scaling(header: Nifti1Header) -> tuple[float, float] | None:
    """Return slope and intercept, where the header has them and they change anything."""
    slope, inter = header.get_slope_inter()
    if slope is None or (slope == 1 and not inter):
        return None
    return float(slope), float(inter or 0.0)


def scaled(values: np.ndarray, scaling: tuple[float, float] | None) -> np.ndarray:
    """Return values as the header means them: plain float32 as it is, other types as float64."""
    if values.dtype.kind == 'f' and values.dtype.itemsize == 4 and scaling is None:
        return values.astype(np.float32, copy=False)
    values = values.astype(np.float64)
    if scaling is not None:
        slope, inter = scaling
        values *= slope
        if inter:
            # Adding 0 would turn -0 to 0.
            values += inter
    return values


def require_real_numbers(header: Nifti1Header, path: str | PathLike[str]) -> None:
    """Refuse complex values, colours, and a scaling that is none.

    Raises
    ------
    FormatError
        With the type found.
    """
    dtype = header.get_data_dtype()
    try:
        header.get_slope_inter()
        offset = header.get_data_offset()
    except (HeaderDataError, ValueError, OverflowError) as error:
        raise FormatError(str(error), path) from error
    if offset < header.structarr.nbytes:
        raise FormatError(f'has its data at byte {offset}, within its header', path)
    if dtype.kind not in _READABLE_KINDS:
        raise FormatError(
            f'holds values of type {dtype}, expected real numbers',
            path,
            'Save magnitude, or one channel, as its own image.',
        )


def require_whole(path: str | PathLike[str], n_bytes: int) -> None:
    """Refuse a file that inflates to less than its header promises.

    A size that is just right is trusted; everything is looked at only when it is not.

    Raises
    ------
    FormatError
        With both sizes.
    """
    if compression.has_size(path, n_bytes):
        return
    with compression.inflated(path) as data:
        compression.require_bytes(len(data), n_bytes, path)


def _spatial_shape(header: Nifti1Header) -> tuple[int, ...]:
    shape = tuple(int(n) for n in header.get_data_shape())
    return shape[:3] if all(n == 1 for n in shape[3:]) else shape


def require_volume(volume: Volume) -> None:
    """Refuse what is not one volume of voxels with places.

    Raises
    ------
    FormatError
        With what it is.
    """
    shape = volume.shape
    # NIfTI-1.1 gives CIFTI these intent codes.
    if 3000 <= int(volume.header['intent_code']) < 3100:
        raise FormatError(
            'is a CIFTI image, expected a volume, as its name says',
            volume.path,
            'Name it by its kind: .dscalar.nii, .pscalar.nii or .pconn.nii.',
        )
    if len(shape) != 3 or not all(shape):
        raise FormatError(
            f'is {by(shape)}, expected three dimensions or four with one volume',
            volume.path,
            'Extract one volume, or leave out time series.',
        )
    _ = volume.affine
