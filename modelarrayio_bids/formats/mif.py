"""MRtrix images: a text header, and data in any order and direction of axes.

In memory an image looks as nibabel's do: an array in the order of its axes, an affine to mm in
RAS+, a header. The values are true ones, intensity scaling applied, in the type of the disk where
there is none to apply.

>>> import numpy as np
>>> image = MifImage(np.arange(6, dtype=np.float32).reshape(3, 2, 1), affine=np.diag([2, 2, 2, 1]))
>>> image.header.pairs['comments'] = 'from a doctest'
>>> again = MifImage.from_bytes(image.to_bytes())
>>> again.header.get_zooms(), again.header.pairs
((2.0, 2.0, 2.0), {'comments': 'from a doctest'})
>>> print(image.header.to_bytes().decode().splitlines()[3])
layout: +0,+1,+2

The format is described at https://mrtrix.readthedocs.io (Image file formats); where that leaves a
question open, the answer here is what MRtrix 3.0 does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from nibabel.filebasedimages import FileHolder, SerializableImage
from nibabel.spatialimages import SpatialHeader, SpatialImage

from modelarrayio_bids.errors import FormatError, SourceNotFoundError
from modelarrayio_bids.formats import compression

EXTENSIONS = ('.mif.gz', '.mif')
_SEPARATE = '.mih'
_MAGIC = 'mrtrix image'
_END = re.compile(rb'\n[ \t]*END[ \t\r]*(?:#[^\n]*)?(?:\n|\Z)')
_DATA_PLACE = re.compile(r'(\.|\.\S.*?|[^.\s].*?)(?:\s+(\d{1,18}))?')
_FIRST_BYTES = 16384
#: What the ``file:`` line and the end of the header take at most; MRtrix leaves as much.
_LAST_LINES = 24
_ALIGNMENT = 4
_LONGEST_TOLD = 100
_COMPULSORY = frozenset({'dim', 'vox', 'layout', 'datatype', 'transform', 'scaling', 'file'})

_NUMBERS = {
    'Int16': 'i2', 'UInt16': 'u2', 'Int32': 'i4', 'UInt32': 'u4', 'Int64': 'i8', 'UInt64': 'u8',
    'Float16': 'f2', 'Float32': 'f4', 'Float64': 'f8', 'CFloat32': 'c8', 'CFloat64': 'c16',
}  # fmt: skip
#: MRtrix's name of each numpy type, by ``dtype.str``.
_NAMES = {'|b1': 'Bit', '|i1': 'Int8', '|u1': 'UInt8'} | {
    f'{order}{code}': f'{name}{suffix}'
    for name, code in _NUMBERS.items()
    for order, suffix in (('<', 'LE'), ('>', 'BE'))
}
#: By lower-case name; without a suffix the byte order is the machine's.
_DTYPES = {name.lower(): np.dtype(code) for code, name in _NAMES.items()} | {
    name.lower(): np.dtype(code) for name, code in _NUMBERS.items()
}


class MifHeader(SpatialHeader):
    """The header of an MRtrix image.

    Parameters
    ----------
    data_dtype : numpy dtype, optional
        ``bool`` is MRtrix's Bit.
    shape : tuple of int, optional
        Lengths of the axes.
    zooms : tuple of float, optional
        Voxel sizes, mm for the first three axes.
    strides : tuple of int, optional
        MRtrix's symbolic strides: 1 for the axis that runs fastest on disk, negative where it runs
        backwards. By default the axes' own order.
    transform : numpy.ndarray, optional
        (3, 4): direction cosines, and the position in mm (RAS+) of the first voxel. By default the
        image is centred on the origin, as in MRtrix.
    scaling : tuple of float, optional
        Offset and scale: the value of a stored integer is ``offset + scale * stored``. Other types
        are never scaled: MRtrix 3.0 does not, whatever their header says.
    pairs : dict of str, optional
        Further entries in order; one of several lines has them in one string.

    Attributes
    ----------
    data_file : pathlib.Path or None
        Where the data were found to be: None is the file of the header itself.
    data_offset : int
        In bytes.
    """

    def __init__(
        self,
        data_dtype: Any = np.float32,
        shape: Sequence[int] = (1,),
        zooms: Sequence[float] | None = None,
        *,
        strides: Sequence[int] | None = None,
        transform: np.ndarray | None = None,
        scaling: tuple[float, float] | None = None,
        pairs: Mapping[str, str] | None = None,
    ) -> None:
        self.strides: tuple[int, ...] = tuple(strides or ())
        super().__init__(data_dtype, shape, zooms)
        self.transform = None if transform is None else np.array(transform, dtype=np.float64)
        self.scaling = scaling
        self.pairs = dict(pairs or {})
        self.data_file: Path | None = None
        self.data_offset = 0

    @classmethod
    def from_file(cls, path: str | PathLike[str]) -> MifHeader:
        """Read the header alone, and compare the file's size with what it promises.

        Raises
        ------
        SourceNotFoundError
            If there is no such file, or not the one its data are in.
        FormatError
            If it is no MRtrix image, or not whole.
        """
        header = cls.from_bytes(_read_start(path), path)
        header.check_size(header.data_file or Path(path))
        return header

    @classmethod
    def from_bytes(cls, start: bytes, path: str | PathLike[str] | None = None) -> MifHeader:
        """Understand the first bytes of a file, those up to the data at least.

        Parameters
        ----------
        start : bytes
            Inflated.
        path : path-like, optional
            Named in errors; where it ends in ``.mih`` the header needs no END.

        Raises
        ------
        FormatError
            If they are no header of an MRtrix image.
        """
        size = _header_size(start, path)
        fields, pairs = _entries(start[:size].decode('utf-8', 'surrogateescape'))
        header = _Fields(fields, path).header(cls)
        header.pairs = pairs
        header.data_file, header.data_offset = _data_place(fields, size, path)
        return header

    def copy(self) -> MifHeader:
        """An independent header."""
        twin = type(self)(
            self.get_data_dtype(),
            self.get_data_shape(),
            self.get_zooms(),
            strides=self.strides,
            transform=self.transform,
            scaling=self.scaling,
            pairs=self.pairs,
        )
        twin.data_file, twin.data_offset = self.data_file, self.data_offset
        return twin

    def __eq__(self, other: object) -> bool:
        """Whether both would be written alike."""
        if not isinstance(other, MifHeader):
            return NotImplemented
        return self.to_bytes() == other.to_bytes()

    __hash__ = None  # type: ignore[assignment]

    def set_data_dtype(self, dtype: Any) -> None:
        """Choose the type on disk.

        Raises
        ------
        FormatError
            If MRtrix has none like it.
        """
        if np.dtype(dtype).str not in _NAMES:
            raise FormatError(
                f'MRtrix images cannot hold values of type {np.dtype(dtype)}',
                remedy='Convert them to a float, complex, integer or boolean type first.',
            )
        super().set_data_dtype(dtype)

    def set_data_shape(self, shape: Sequence[int]) -> None:
        """Set the lengths of the axes; another number of them makes the strides plain ones."""
        super().set_data_shape(shape)
        if len(self.strides) != len(self.get_data_shape()):
            self.strides = tuple(range(1, len(self.get_data_shape()) + 1))

    def get_best_affine(self) -> np.ndarray:
        """Voxel indices to mm in RAS+, (4, 4) float64."""
        transform = self._transform()
        affine = np.eye(4)
        affine[:3, :3] = transform[:, :3] * self._edges()
        affine[:3, 3] = transform[:, 3]
        return affine

    def set_affine(self, affine: np.ndarray) -> None:
        """Take voxel sizes and transform from an affine (4, 4)."""
        edges = np.linalg.norm(affine[:3, :3], axis=0)
        zooms = self.get_zooms()
        self.set_zooms((*edges[: len(zooms)].tolist(), *zooms[3:]))
        cosines = affine[:3, :3] / np.where(edges > 0, edges, 1)
        self.transform = np.column_stack([cosines, affine[:3, 3]])

    def realigned(self) -> MifHeader:
        """The header as MRtrix commands see it: axes nearest to right, anterior, superior.

        MRtrix does this to every image it opens; most files on disk are so already. Shape, voxel
        sizes, strides and transform change together, so that the data stay where they are in mm.
        Entries about single axes (phase encoding, say) are left as they are.
        """
        transform = self._transform()
        axes = _nearest_axes(transform[:, :3])
        flipped = [axis for row, axis in enumerate(axes) if transform[row, axis] < 0]
        if axes == [0, 1, 2] and not flipped:
            return self.copy()
        edges, shape = self._edges(), _three(self.get_data_shape(), 1)
        strides = [*self.strides, *range(len(self.strides) + 1, 4)]
        for axis in flipped:
            transform[:, 3] += transform[:, axis] * (shape[axis] - 1) * edges[axis]
            transform[:, axis] *= -1
            strides[axis] *= -1
        header = type(self)(
            self.get_data_dtype(),
            [*(shape[axis] for axis in axes), *self.get_data_shape()[3:]],
            [*edges[axes], *self.get_zooms()[3:]],
            strides=[*(strides[axis] for axis in axes), *strides[3:]],
            transform=transform[:, [*axes, 3]],
            scaling=self.scaling,
            pairs=self.pairs,
        )
        header.data_file, header.data_offset = self.data_file, self.data_offset
        return header

    @property
    def n_bytes(self) -> int:
        """Size of the file that holds the data, up to their end."""
        n_values = int(np.prod(self.get_data_shape(), dtype=object))
        bits = 1 if self.get_data_dtype().kind == 'b' else 8 * self.get_data_dtype().itemsize
        return self.data_offset + (n_values * bits + 7) // 8

    def check_size(self, path: str | PathLike[str]) -> None:
        """Compare the size of the file that holds the data, without reading them if it fits.

        Raises
        ------
        SourceNotFoundError
            If there is no such file.
        FormatError
            If it has fewer or more bytes than the header promises.
        """
        try:
            is_there = Path(path).is_file()
        except (OSError, ValueError):  # too long, or with a NUL
            is_there = False
        if not is_there:
            raise SourceNotFoundError(
                'no such file, though a header names it as its data',
                _told(str(path)),
                'Copy both files.',
            )
        if compression.inflated_size(path) != self.n_bytes % 2**32:
            with compression.inflated(path) as data:
                self._require_size(len(data), path)

    def decode(
        self, data: bytes | memoryview, path: str | PathLike[str] | None = None
    ) -> np.ndarray:
        """The values in a file's bytes, scaled.

        Returns
        -------
        numpy.ndarray
            In the shape of the header. Unscaled it is a read-only view, in the type and byte order
            of the disk; scaled, float64.

        Raises
        ------
        FormatError
            If there are fewer or more bytes than the header promises.
        """
        self._require_size(len(data), path)
        n_values = int(np.prod(self.get_data_shape()))
        if self.get_data_dtype().kind == 'b':
            packed = np.frombuffer(data, np.uint8, offset=self.data_offset)
            flat = np.unpackbits(packed, count=n_values).view(bool)
        else:
            flat = np.frombuffer(
                data, self.get_data_dtype(), count=n_values, offset=self.data_offset
            )
        if self.scaling is not None and self.get_data_dtype().kind in 'iu':
            offset, scale = self.scaling
            flat = flat.astype(np.float64)
            flat *= scale
            flat += offset
        return self.arrange(flat)

    def arrange(self, flat: np.ndarray) -> np.ndarray:
        """Values in the order of the disk as an array of the header's shape: a view."""
        order = self._disk_order()
        on_disk = flat.reshape([self.get_data_shape()[axis] for axis in order], order='F')
        return on_disk.transpose(np.argsort(order))[self._directions()]

    def encode(self, values: np.ndarray) -> bytes:
        """The inverse of :meth:`decode`; true values are written, never scaled ones.

        Raises
        ------
        FormatError
            If the type on disk is an integer or real one that would change the values.
        """
        stored = _converted(values, self.get_data_dtype())[self._directions()].transpose(
            self._disk_order()
        )
        if self.get_data_dtype().kind == 'b':
            return np.packbits(stored.ravel(order='F')).tobytes()
        return stored.tobytes(order='F')

    def to_bytes(self) -> bytes:
        """Header of a file in which the data follow: its length is the data's offset.

        Raises
        ------
        FormatError
            If an entry could not be read back.
        """
        text = '\n'.join(self._lines()) + '\n'
        head = text.encode('utf-8', 'surrogateescape')
        offset = len(head) + _LAST_LINES
        offset += -offset % _ALIGNMENT
        return (head + f'file: . {offset}\nEND\n'.encode()).ljust(offset, b'\0')

    def _lines(self) -> Iterator[str]:
        yield _MAGIC
        yield 'dim: ' + ','.join(map(str, self.get_data_shape()))
        yield 'vox: ' + ','.join(map(_number, self.get_zooms()))
        yield 'layout: ' + ','.join(f'{"-" if s < 0 else "+"}{abs(s) - 1}' for s in self.strides)
        yield f'datatype: {_NAMES[self.get_data_dtype().str]}'
        for row in self._transform():
            yield 'transform: ' + ', '.join(map(_number, row))
        for key, value in self.pairs.items():
            _require_readable_pair(key, value)
            yield from (f'{key}: {line}' for line in value.split('\n') if line.strip())

    def _edges(self) -> np.ndarray:
        """Voxel edges in mm along three axes; where unknown, the mean of the others."""
        edges = np.array(_three(self.get_zooms(), np.nan))
        known = np.isfinite(edges)
        return np.where(known, edges, edges[known].mean() if known.any() else 1.0)

    def _transform(self) -> np.ndarray:
        if self.transform is not None and np.isfinite(self.transform).all():
            return self.transform.copy()
        centre = (np.array(_three(self.get_data_shape(), 1)) - 1) * self._edges() / 2
        return np.column_stack([np.eye(3), -centre])

    def _disk_order(self) -> list[int]:
        return sorted(range(len(self.strides)), key=lambda axis: abs(self.strides[axis]))

    def _directions(self) -> tuple[slice, ...]:
        return tuple(slice(None, None, -1 if stride < 0 else 1) for stride in self.strides)

    def _require_size(self, found: int, path: str | PathLike[str] | None) -> None:
        if found < self.n_bytes:
            raise FormatError(
                f'is truncated: {found} bytes of the {self.n_bytes} its header promises',
                path,
                'Copy or make the file again.',
            )
        if found > self.n_bytes:
            raise FormatError(
                f'has {found} bytes where its header promises {self.n_bytes}: its offset, '
                'dimensions or type are wrong',
                path,
                'Make the file again.',
            )


class MifImage(SpatialImage, SerializableImage):
    """An MRtrix image, as nibabel's images are.

    Parameters
    ----------
    dataobj : array-like
        True values.
    affine : numpy.ndarray or None
        (4, 4): voxel indices to mm in RAS+. None takes the header's.
    header : MifHeader or another of nibabel's, optional
        Strides and entries are kept. The type on disk is that of the data, not the header's: a
        template of integers must not round statistics. ``set_data_dtype`` chooses another.
    extra, file_map : optional
        As in nibabel.
    """

    header_class = MifHeader
    files_types = (('image', '.mif'),)
    valid_exts = ('.mif',)
    _compressed_suffixes = ('.gz',)

    def __init__(
        self,
        dataobj: Any,
        affine: np.ndarray | None,
        header: SpatialHeader | None = None,
        extra: Mapping[str, Any] | None = None,
        file_map: Mapping[str, FileHolder] | None = None,
    ) -> None:
        if affine is None:
            own = self.header_class.from_header(header)
            own.set_data_shape(dataobj.shape)
            affine = own.get_best_affine()
        super().__init__(dataobj, affine, header=header, extra=extra, file_map=file_map)
        self.header.set_data_dtype(dataobj.dtype)
        self.header.scaling = None

    @classmethod
    def from_filename(cls, filename: str | PathLike[str]) -> MifImage:
        """Read a ``.mif``, ``.mif.gz``, or ``.mih`` and the file beside it.

        Raises
        ------
        SourceNotFoundError
            If there is no such file.
        FormatError
            If it is no MRtrix image, or not whole.
        """
        header, values = read(filename)
        file_map = cls.filespec_to_file_map(filename)
        return cls(values, header.get_best_affine(), header, file_map=file_map)

    load = from_filename

    @classmethod
    def from_file_map(
        cls, file_map: Mapping[str, FileHolder], *, mmap: Any = True, keep_file_open: Any = None
    ) -> MifImage:
        """Read what nibabel holds as a file name or an open stream.

        ``mmap`` and ``keep_file_open`` are nibabel's; data are always read at once.
        """
        holder = file_map['image']
        if holder.fileobj is None:
            return cls.from_filename(holder.filename)
        data = holder.fileobj.read()
        header = MifHeader.from_bytes(data, holder.filename)
        if header.data_file is not None:
            raise FormatError(
                'has its data in another file', holder.filename, 'Open it by its name.'
            )
        return cls(header.decode(data, holder.filename), header.get_best_affine(), header)

    @classmethod
    def filespec_to_file_map(cls, filespec: str | PathLike[str]) -> dict[str, FileHolder]:
        """One file of any name: the contents say whether it is an image."""
        return {'image': FileHolder(filename=str(filespec))}

    def to_file_map(
        self, file_map: Mapping[str, FileHolder] | None = None, dtype: Any = None
    ) -> None:
        """Write to the file or stream nibabel holds, compressed if its name ends in ``.gz``.

        Raises
        ------
        FormatError
            If the name is none of an MRtrix image, or the type on disk would change the values.
        """
        holder = (file_map or self.file_map)['image']
        self.update_header()
        header = self.header.copy()
        if dtype is not None:
            header.set_data_dtype(dtype)
        values = np.asanyarray(self.dataobj)
        if holder.fileobj is None:
            write(header, values, holder.filename)
        else:
            holder.fileobj.write(header.to_bytes() + header.encode(values))

    def _affine2header(self) -> None:
        self.header.set_affine(self.affine)


@contextmanager
def opened(
    path: str | PathLike[str], *, realign: bool = False
) -> Iterator[tuple[MifHeader, np.ndarray]]:
    """Header and values in one pass over a file; the values are valid within the context.

    Parameters
    ----------
    path : path-like
        ``.mif``, ``.mif.gz`` or ``.mih``.
    realign : bool, optional
        As MRtrix sees the axes, see :meth:`MifHeader.realigned`.

    Raises
    ------
    SourceNotFoundError
        If there is no such file.
    FormatError
        If it is no MRtrix image, or not whole.
    """
    with ExitStack() as stack:
        data = stack.enter_context(compression.inflated(path))
        header = MifHeader.from_bytes(_start_of(data), path)
        if header.data_file is not None:
            path = header.data_file
            data = stack.enter_context(compression.inflated(path))
        if realign:
            header = header.realigned()
        yield header, header.decode(data, path)


def read(path: str | PathLike[str], *, realign: bool = False) -> tuple[MifHeader, np.ndarray]:
    """The same, with values to keep."""
    with opened(path, realign=realign) as (header, values):
        return header, values.copy(order='K')


def write(header: MifHeader, values: np.ndarray, path: str | PathLike[str]) -> None:
    """Write an image, compressed if the name ends in ``.gz``.

    Parameters
    ----------
    header : MifHeader
        With the shape of the values and the type to write.
    values : numpy.ndarray
        True values.
    path : path-like
        ``.mif`` or ``.mif.gz``; replaced if it exists.

    Raises
    ------
    FormatError
        If the name is another, or the type would change the values.
    """
    if not str(path).endswith(EXTENSIONS):
        raise FormatError(
            'is no name for an MRtrix image that is written', path, 'Use .mif or .mif.gz.'
        )
    compression.write_file(header.to_bytes() + header.encode(values), path)


class _Fields:
    """The compulsory entries of a header, as text."""

    def __init__(self, fields: Mapping[str, list[str]], path: str | PathLike[str] | None) -> None:
        self._fields = fields
        self._path = path

    def header(self, cls: type[MifHeader]) -> MifHeader:
        shape = self._shape()
        return cls(
            self._dtype(),
            shape,
            self._zooms(len(shape)),
            strides=self._strides(len(shape)),
            transform=self._transform(),
            scaling=self._scaling(),
        )

    def _shape(self) -> tuple[int, ...]:
        text = self._text('dim')
        if not re.fullmatch(r'\s*\d{1,18}\s*(,\s*\d{1,18}\s*)*', text):
            raise self._unusable('dim', text, 'lengths of axes')
        shape = tuple(map(int, text.split(',')))
        if min(shape) < 1:
            raise self._unusable('dim', text, 'lengths of 1 or more')
        return shape

    def _zooms(self, n_axes: int) -> tuple[float, ...]:
        zooms = self._floats('vox', self._text('vox'))[:n_axes]
        if len(zooms) < min(3, n_axes) or any(zoom < 0 or np.isinf(zoom) for zoom in zooms):
            raise self._unusable('vox', self._text('vox'), 'one voxel size for each axis')
        return (*zooms, *[np.nan] * (n_axes - len(zooms)))

    def _strides(self, n_axes: int) -> tuple[int, ...]:
        text = self._text('layout')
        tokens = [token.strip() for token in text.split(',')]
        if not all(re.fullmatch(r'[+-]?\d{1,9}', token) for token in tokens):
            raise self._unusable('layout', text, 'axes such as +0,-1,+2')
        ranks = [abs(int(token)) + 1 for token in tokens]
        if sorted(ranks) != list(range(1, n_axes + 1)):
            raise self._unusable('layout', text, f'each of 0 to {n_axes - 1} once')
        signs = [-1 if token.startswith('-') else 1 for token in tokens]
        return tuple(sign * rank for sign, rank in zip(signs, ranks, strict=True))

    def _dtype(self) -> np.dtype:
        name = self._text('datatype')
        if name.lower() not in _DTYPES:
            raise self._unusable('datatype', name, 'Bit, Int8 … UInt64LE, Float32LE … CFloat64BE')
        return _DTYPES[name.lower()]

    def _transform(self) -> np.ndarray | None:
        lines = self._fields.get('transform', [])
        if not lines:
            return None
        rows = [self._floats('transform', line) for line in lines]
        if len(rows) < 3 or any(len(row) != 4 for row in rows):
            raise self._unusable('transform', '; '.join(lines), 'three rows of four numbers')
        return np.array(rows[:3])

    def _scaling(self) -> tuple[float, float] | None:
        if 'scaling' not in self._fields:
            return None
        scaling = self._floats('scaling', self._text('scaling'))
        if len(scaling) != 2:
            raise self._unusable('scaling', self._text('scaling'), 'an offset and a scale')
        return None if scaling == [0, 1] else (scaling[0], scaling[1])

    def _text(self, key: str) -> str:
        if key not in self._fields:
            raise FormatError(f'has no "{key}" in its header', self._path, 'Make the file again.')
        return self._fields[key][-1]

    def _floats(self, key: str, text: str) -> list[float]:
        try:
            return [float(number) for number in text.split(',')]
        except ValueError as error:
            raise self._unusable(key, text, 'numbers') from error

    def _unusable(self, key: str, text: str, expected: str) -> FormatError:
        return FormatError(
            f'has "{key}: {_told(text)}" in its header, expected {expected}',
            self._path,
            'Make the file again, with mrconvert for instance.',
        )


def _read_start(path: str | PathLike[str]) -> bytes:
    """As much of a file as holds its whole header."""
    size = _FIRST_BYTES
    while True:
        start = compression.read_start(path, size)
        if len(start) < size or not _is_image(start) or _END.search(start):
            return start
        size *= 4


def _start_of(data: memoryview) -> bytes:
    """The same, of a file that is in memory."""
    size = _FIRST_BYTES
    while size < len(data) and not _END.search(data[:size]):
        size *= 4
    return bytes(data[:size])


def _is_image(start: bytes) -> bool:
    return start.partition(b'\n')[0].strip() == _MAGIC.encode()


def _header_size(start: bytes, path: str | PathLike[str] | None) -> int:
    if not _is_image(start):
        raise FormatError(
            f'is not an MRtrix image: its first line is not "{_MAGIC}"',
            path,
            'Give a .mif or .mif.gz file.',
        )
    end = _END.search(start)
    if end is not None:
        return end.end()
    if not str(path).endswith(_SEPARATE):
        raise FormatError('is damaged: its header has no END', path, 'Copy or make the file again.')
    return len(start)


def _entries(text: str) -> tuple[dict[str, list[str]], dict[str, str]]:
    """The compulsory entries by lower-case key, and the others, their lines joined."""
    fields: dict[str, list[str]] = {}
    pairs: dict[str, str] = {}
    for line in text.split('\n')[1:]:
        key, _, value = (part.strip() for part in line.partition('#')[0].partition(':'))
        if not key or not value:
            continue
        if key.lower() in _COMPULSORY:
            fields.setdefault(key.lower(), []).append(value)
        else:
            pairs[key] = f'{pairs[key]}\n{value}' if key in pairs else value
    return fields, pairs


def _data_place(
    fields: Mapping[str, list[str]], header_size: int, path: str | PathLike[str] | None
) -> tuple[Path | None, int]:
    """The file of the data, None for the header's own, and their offset."""
    text = fields.get('file', [''])[-1]
    found = _DATA_PLACE.fullmatch(text)
    if found is None:
        raise FormatError(
            f'has "file: {_told(text)}" in its header, expected a name (or ".") and an offset',
            path,
            'Make the file again.',
        )
    offset = int(found[2] or 0)
    if found[1] != '.':
        return Path(path or '.').parent / found[1], offset
    if offset < header_size:
        raise FormatError(
            f'has its data at byte {offset}, which is within the {header_size} bytes of its header',
            path,
            'Make the file again.',
        )
    return None, offset


def _told(text: str) -> str:
    """As much of an entry as a message has room for."""
    return text if len(text) <= _LONGEST_TOLD else f'{text[:_LONGEST_TOLD]}…'


def _require_readable_pair(key: str, value: str) -> None:
    broken = not key.strip() or any(mark in key for mark in ':#\n') or '#' in value
    if broken or key.lower() in _COMPULSORY:
        raise FormatError(
            f'the entry {key!r}: {value!r} could not be read back from an MRtrix header',
            remedy=f'Leave out "#" and, in the key, ":" and the words {sorted(_COMPULSORY)}.',
        )


def _converted(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if values.dtype == dtype:
        return values
    loses_imaginary = values.dtype.kind == 'c' and dtype.kind != 'c'
    if not loses_imaginary:
        with np.errstate(all='ignore'):
            stored = values.astype(dtype)
        if dtype.kind not in 'biu' or np.array_equal(stored, values):
            return stored
    raise FormatError(
        f'values of type {values.dtype} would change as {_NAMES[dtype.str]}',
        remedy='Choose a type that holds them, with set_data_dtype.',
    )


def _nearest_axes(cosines: np.ndarray) -> list[int]:
    """For right, anterior and superior the image axis closest to each, as MRtrix chooses."""
    axes = [int(axis) for axis in np.abs(cosines).argmax(axis=1)]
    for one, two, changed in ((0, 1, 1), (0, 2, 2), (1, 2, 2)):
        if axes[one] == axes[two]:
            kept = [axes[row] for row in range(3) if row != changed]
            axes[changed] = min({0, 1, 2} - set(kept))
    return axes


def _three(values: Iterable[Any], filler: Any) -> list[Any]:
    """The first three, and fillers where there are fewer: MRtrix adds axes to have three."""
    return [*values, filler, filler, filler][:3]


def _number(value: float) -> str:
    """Shortest text that reads back the same; whole numbers as MRtrix writes them."""
    return repr(float(value)).removesuffix('.0')
