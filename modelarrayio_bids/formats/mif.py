"""MRtrix images: a text header, and data in any order and direction of axes.

Values are true ones, intensity scaling applied, in the type of the disk where there is none to
apply; an affine leads to mm in RAS+.

>>> header = MifHeader.on_grid(np.float32, (3, 2, 1), affine=np.diag([2, 2, 2, 1]))
>>> values = np.arange(6, dtype=np.float32).reshape(3, 2, 1)
>>> data = header.to_bytes() + header.encode(values)
>>> again = MifHeader.from_bytes(data)
>>> again.zooms, again.decode(data).tolist() == values.tolist()
((2.0, 2.0, 2.0), True)
>>> print(header.to_bytes().decode().splitlines()[3])
layout: +0,+1,+2

The format is described at https://mrtrix.readthedocs.io (Image file formats); where that leaves a
question open, the answer here is what MRtrix 3.0 does.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from nibabel.affines import from_matvec

from modelarrayio_bids.errors import FormatError, SourceNotFoundError
from modelarrayio_bids.formats import compression
from modelarrayio_bids.runtime.locations import is_file, location

EXTENSIONS = ('.mif.gz', '.mif')
_SEPARATE = '.mih'
_MAGIC = 'mrtrix image'
_END = re.compile(rb'\n[ \t]*END[ \t\r]*(?:#[^\n]*)?(?:\n|\Z)')
_DATA_PLACE = re.compile(r'(\.|\.\S.*?|[^.\s].*?)(?:\s+(\d{1,18}))?')
_LENGTHS = re.compile(r'\s*0{0,9}[1-9]\d{0,17}\s*(,\s*0{0,9}[1-9]\d{0,17}\s*)*')
_AXES = re.compile(r'\s*[+-]?\d{1,9}\s*(,\s*[+-]?\d{1,9}\s*)*')
_FIRST_BYTES = 16384
#: Maximal size of the ``file:`` line and the end of the header; MRtrix leaves as much.
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


@dataclass(frozen=True, eq=False)
class MifHeader:
    """The header of an MRtrix image.

    Parameters
    ----------
    dtype : numpy.dtype
        Type of the values on disk; ``bool`` is MRtrix's Bit.
    shape : tuple of int
        Lengths of the axes.
    zooms : tuple of float
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
    data_file : pathlib.Path, optional
        The file of the data, where it is not that of the header.
    data_offset : int, optional
        Offset of the data in the file, in bytes.
    """

    dtype: np.dtype
    shape: tuple[int, ...]
    zooms: tuple[float, ...]
    strides: tuple[int, ...] = ()
    transform: np.ndarray | None = None
    scaling: tuple[float, float] | None = None
    pairs: Mapping[str, str] = field(default_factory=dict)
    data_file: Path | None = None
    data_offset: int = 0

    def __post_init__(self) -> None:
        if not self.strides:
            object.__setattr__(self, 'strides', tuple(range(1, len(self.shape) + 1)))

    @classmethod
    def on_grid(cls, dtype: Any, shape: Sequence[int], affine: np.ndarray) -> MifHeader:
        """Make the header of values on a grid of voxels, whose affine is (4, 4).

        Raises
        ------
        FormatError
            If MRtrix has no type like that of the values.
        """
        if np.dtype(dtype).str not in _NAMES:
            raise FormatError(
                f'MRtrix images cannot hold values of type {np.dtype(dtype)}',
                remedy='Convert them to a float, complex, integer or boolean type first.',
            )
        edges = np.linalg.norm(affine[:3, :3], axis=0)
        cosines = affine[:3, :3] / np.where(edges > 0, edges, 1)
        zooms = (*edges.tolist(), *[1.0] * len(shape))[: len(shape)]
        transform = np.column_stack([cosines, affine[:3, 3]])
        return cls(np.dtype(dtype), tuple(shape), zooms, transform=transform)

    @classmethod
    def from_file(cls, path: str | PathLike[str]) -> MifHeader:
        """Read the header alone, and compare the file's size with what it promises.

        Raises
        ------
        SourceNotFoundError
            If there is no such file, or not the one its data are in.
        FormatError
            If it is not an MRtrix image, or is truncated.
        """
        header = cls.from_bytes(_whole_header(partial(compression.read_start, path)), path)
        header.check_size(header.data_file or location(path))
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
            If they are not a header of an MRtrix image.
        """
        size = _header_size(start, path)
        fields, pairs = _entries(start[:size].decode('utf-8', 'surrogateescape'))
        header = _Fields(fields, path).header()
        file, offset = _data_place(fields, size, path)
        return replace(header, pairs=pairs, data_file=file, data_offset=offset)

    @property
    def affine(self) -> np.ndarray:
        """Voxel indices to mm in RAS+, (4, 4) float64."""
        transform = self._transform()
        return from_matvec(transform[:, :3] * self._edges(), transform[:, 3])

    def realigned(self) -> MifHeader:
        """Return the header as MRtrix commands see it: axes nearest to right, anterior, superior.

        MRtrix does this to every image it opens; most files on disk are so already. Shape, voxel
        sizes, strides and transform change together, so that the data stay where they are in mm.
        Entries about single axes (phase encoding, say) are left as they are.
        """
        transform = self._transform()
        axes = _nearest_axes(transform[:, :3])
        flipped = [axis for row, axis in enumerate(axes) if transform[row, axis] < 0]
        if axes == [0, 1, 2] and not flipped:
            return self
        edges, shape = self._edges(), _three(self.shape, 1)
        strides = [*self.strides, *range(len(self.strides) + 1, 4)]
        for axis in flipped:
            transform[:, 3] += transform[:, axis] * (shape[axis] - 1) * edges[axis]
            transform[:, axis] *= -1
            strides[axis] *= -1
        return replace(
            self,
            shape=(*(shape[axis] for axis in axes), *self.shape[3:]),
            zooms=(*edges[axes].tolist(), *self.zooms[3:]),
            strides=(*(strides[axis] for axis in axes), *strides[3:]),
            transform=transform[:, [*axes, 3]],
        )

    @property
    def n_bytes(self) -> int:
        """Minimal size in bytes of the file with the data."""
        bits = 1 if self.dtype.kind == 'b' else 8 * self.dtype.itemsize
        return self.data_offset + (math.prod(self.shape) * bits + 7) // 8

    def check_size(self, path: str | PathLike[str]) -> None:
        """Compare the size of the file that holds the data, without reading them if it fits.

        Raises
        ------
        SourceNotFoundError
            If there is no such file.
        FormatError
            If it has fewer or more bytes than the header promises.
        """
        if not is_file(location(path)):
            raise SourceNotFoundError(
                'no such file, though a header names it as its data',
                _told(str(path)),
                'Copy both files.',
            )
        if not compression.has_size(path, self.n_bytes):
            with compression.inflated(path) as data:
                self._require_size(len(data), path)

    def decode(
        self, data: bytes | memoryview, path: str | PathLike[str] | None = None
    ) -> np.ndarray:
        """Return the values in a file's bytes, scaled.

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
        n_values = math.prod(self.shape)
        if self.dtype.kind == 'b':
            packed = np.frombuffer(data, np.uint8, offset=self.data_offset)
            flat = np.unpackbits(packed, count=n_values).view(bool)
        else:
            flat = np.frombuffer(data, self.dtype, count=n_values, offset=self.data_offset)
        if self.scaling is not None and self.dtype.kind in 'iu':
            offset, scale = self.scaling
            flat = flat.astype(np.float64)
            flat *= scale
            flat += offset
        return self.arrange(flat)

    def arrange(self, flat: np.ndarray) -> np.ndarray:
        """Return values in the order of the disk as an array of the header's shape: a view."""
        order = self._disk_order()
        on_disk = flat.reshape([self.shape[axis] for axis in order], order='F')
        return on_disk.transpose(np.argsort(order))[self._directions()]

    def encode(self, values: np.ndarray) -> bytes:
        """Return the bytes of values in the shape of the header: the inverse of :meth:`decode`."""
        stored = np.asarray(values, self.dtype)[self._directions()]
        return stored.transpose(self._disk_order()).tobytes(order='F')

    def to_bytes(self) -> bytes:
        """Return the header of a file in which the data follow: its length is their offset."""
        text = '\n'.join(self._lines()) + '\n'
        head = text.encode('utf-8', 'surrogateescape')
        offset = len(head) + _LAST_LINES
        offset += -offset % _ALIGNMENT
        return (head + f'file: . {offset}\nEND\n'.encode()).ljust(offset, b'\0')

    def _lines(self) -> Iterator[str]:
        yield _MAGIC
        yield 'dim: ' + ','.join(map(str, self.shape))
        yield 'vox: ' + ','.join(map(_number, self.zooms))
        yield 'layout: ' + ','.join(f'{"-" if s < 0 else "+"}{abs(s) - 1}' for s in self.strides)
        yield f'datatype: {_NAMES[self.dtype.str]}'
        for row in self._transform():
            yield 'transform: ' + ', '.join(map(_number, row))
        for key, value in self.pairs.items():
            yield from (f'{key}: {line}' for line in value.split('\n') if line.strip())

    def _edges(self) -> np.ndarray:
        """Return voxel edges in mm along three axes; where unknown, the mean of the others."""
        edges = np.array(_three(self.zooms, np.nan))
        known = np.isfinite(edges)
        return np.where(known, edges, edges[known].mean() if known.any() else 1.0)

    def _transform(self) -> np.ndarray:
        if self.transform is not None and np.isfinite(self.transform).all():
            return self.transform.copy()
        centre = (np.array(_three(self.shape, 1)) - 1) * self._edges() / 2
        return np.column_stack([np.eye(3), -centre])

    def _disk_order(self) -> list[int]:
        return sorted(range(len(self.strides)), key=lambda axis: abs(self.strides[axis]))

    def _directions(self) -> tuple[slice, ...]:
        return tuple(slice(None, None, -1 if stride < 0 else 1) for stride in self.strides)

    def _require_size(self, found: int, path: str | PathLike[str] | None) -> None:
        compression.require_bytes(found, self.n_bytes, path)
        if found > self.n_bytes:
            raise FormatError(
                f'has {found} bytes where its header promises {self.n_bytes}: its offset, '
                'dimensions or type are wrong',
                path,
            )


@contextmanager
def opened(
    path: str | PathLike[str], *, realign: bool = False
) -> Iterator[tuple[MifHeader, np.ndarray]]:
    """Read header and values in one pass over a file; they are valid within the context.

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
        If it is not an MRtrix image, or is truncated.
    """
    with ExitStack() as stack:
        data = stack.enter_context(compression.inflated(path))
        header = MifHeader.from_bytes(_whole_header(lambda size: bytes(data[:size])), path)
        if header.data_file is not None:
            path = header.data_file
            data = stack.enter_context(compression.inflated(path))
        if realign:
            header = header.realigned()
        yield header, header.decode(data, path)


def write(header: MifHeader, values: np.ndarray, path: str | PathLike[str]) -> None:
    """Write an image, compressed if the name ends in ``.gz``.

    Parameters
    ----------
    header : MifHeader
        With the shape of the values and the type to write.
    values : numpy.ndarray
        Numbers, in the shape of the header.
    path : path-like
        ``.mif`` or ``.mif.gz``; replaced if it exists.

    Raises
    ------
    FormatError
        If the name is another.
    """
    if not str(path).endswith(EXTENSIONS):
        what = 'is not a valid name for an MRtrix image'
        raise FormatError(what, path, 'Use .mif or .mif.gz.')
    compression.write_file(header.to_bytes() + header.encode(values), path)


class _Fields:
    """The compulsory entries of a header, as text."""

    def __init__(self, fields: Mapping[str, list[str]], path: str | PathLike[str] | None) -> None:
        self._fields = fields
        self._path = path

    def header(self) -> MifHeader:
        """Return the header they make, but for the place of the data."""
        text = self._matching('dim', _LENGTHS, 'lengths of axes, of 1 or more')
        shape = tuple(map(int, text.split(',')))
        name = self._text('datatype')
        if name.lower() not in _DTYPES:
            raise self._unusable('datatype', 'Bit, Int8 … UInt64LE, Float32LE … CFloat64BE')
        strides, zooms = self._strides(len(shape)), self._zooms(len(shape))
        transform, scaling = self._transform(), self._scaling()
        return MifHeader(_DTYPES[name.lower()], shape, zooms, strides, transform, scaling)

    def _zooms(self, n_axes: int) -> tuple[float, ...]:
        zooms = self._floats('vox')[:n_axes]
        if len(zooms) < min(3, n_axes) or any(zoom < 0 or np.isinf(zoom) for zoom in zooms):
            raise self._unusable('vox', 'one voxel size for each axis')
        return (*zooms, *[np.nan] * (n_axes - len(zooms)))

    def _strides(self, n_axes: int) -> tuple[int, ...]:
        tokens = self._matching('layout', _AXES, 'axes such as +0,-1,+2').split(',')
        strides = [(-1 if '-' in token else 1) * (abs(int(token)) + 1) for token in tokens]
        if sorted(map(abs, strides)) != list(range(1, n_axes + 1)):
            raise self._unusable('layout', f'each of 0 to {n_axes - 1} once')
        return tuple(strides)

    def _transform(self) -> np.ndarray | None:
        if 'transform' not in self._fields:
            return None
        rows = [self._floats('transform', line) for line in self._fields['transform']]
        if len(rows) < 3 or any(len(row) != 4 for row in rows):
            raise self._unusable('transform', 'three rows of four numbers')
        return np.array(rows[:3])

    def _scaling(self) -> tuple[float, float] | None:
        if 'scaling' not in self._fields:
            return None
        scaling = self._floats('scaling')
        if len(scaling) != 2:
            raise self._unusable('scaling', 'an offset and a scale')
        return None if scaling == [0, 1] else (scaling[0], scaling[1])

    def _text(self, key: str) -> str:
        if key not in self._fields:
            raise FormatError(f'has no "{key}" in its header', self._path)
        return self._fields[key][-1]

    def _matching(self, key: str, form: re.Pattern[str], expected: str) -> str:
        if not form.fullmatch(text := self._text(key)):
            raise self._unusable(key, expected)
        return text

    def _floats(self, key: str, text: str | None = None) -> list[float]:
        text = text or self._text(key)
        try:
            return [float(number) for number in text.split(',')]
        except ValueError as error:
            raise self._unusable(key, 'numbers') from error

    def _unusable(self, key: str, expected: str) -> FormatError:
        lines = self._fields[key] if key == 'transform' else self._fields[key][-1:]
        return FormatError(
            f'has "{key}: {_told("; ".join(lines))}" in its header, expected {expected}',
            self._path,
            'Make the file again, with mrconvert for instance.',
        )


def _whole_header(first: Callable[[int], bytes]) -> bytes:
    """Return as many of the first bytes of a file as hold its whole header."""
    size = _FIRST_BYTES
    while True:
        start = first(size)
        if len(start) < size or not _is_image(start) or _END.search(start):
            return start
        size *= 4


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
        raise FormatError('is damaged: its header has no END', path)
    return len(start)


def _entries(text: str) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Return the compulsory entries by lower-case key, and the others, their lines joined."""
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
    """Return the file of the data, None for the header's own, and their offset."""
    text = fields.get('file', [''])[-1]
    found = _DATA_PLACE.fullmatch(text)
    if found is None:
        raise FormatError(
            f'has "file: {_told(text)}" in its header, expected a name (or ".") and an offset', path
        )
    offset = int(found[2] or 0)
    if found[1] != '.':
        return location(path or '.').parent / found[1], offset
    if offset < header_size:
        raise FormatError(
            f'has its data at byte {offset}, which is within the {header_size} bytes of its header',
            path,
        )
    return None, offset


def _told(text: str) -> str:
    """Return as much of an entry as a message has room for."""
    return text if len(text) <= _LONGEST_TOLD else f'{text[:_LONGEST_TOLD]}…'


def _nearest_axes(cosines: np.ndarray) -> list[int]:
    """Return the image axes closest to right, anterior and superior, as MRtrix chooses them."""
    axes = [int(axis) for axis in np.abs(cosines).argmax(axis=1)]
    for one, two, changed in ((0, 1, 1), (0, 2, 2), (1, 2, 2)):
        if axes[one] == axes[two]:
            kept = [axes[row] for row in range(3) if row != changed]
            axes[changed] = min({0, 1, 2} - set(kept))
    return axes


def _three(values: Iterable[Any], filler: Any) -> list[Any]:
    """Return the first three, and fillers where there are fewer: MRtrix adds axes to have three."""
    return [*values, filler, filler, filler][:3]


def _number(value: float) -> str:
    """Return the shortest text that reads back the same; whole numbers as MRtrix writes them."""
    return repr(float(value)).removesuffix('.0')
