"""CIFTI-2 matrices: their axes as XML, some of their data, and a matrix written.

A CIFTI-2 file is a NIfTI-2 image whose extension of code 32 says, in XML, what each row and column
is. Most of a small file is that XML, and parsing it is most of the time nibabel takes to open one:
here the parts about each dimension are cut out as bytes, so that files of one cohort can be
compared as they are, and parsed by nibabel only when they differ.

As in the XML and in nibabel, dimension 0 is that of a row's entries, the first to vary on disk.

>>> from nibabel.cifti2 import BrainModelAxis
>>> axis = BrainModelAxis.from_surface([0, 1, 3], 4, 'CortexLeft')
>>> index_map = IndexMap.from_axis(axis, 1)
>>> index_map.index_type, index_map.dimensions
('BRAIN_MODELS', (1,))
>>> index_map.axis('sub-01_thickness.dscalar.nii').vertex.tolist()
[0, 1, 3]
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any
from xml.parsers.expat import ExpatError, ParserCreate

import numpy as np
from nibabel.cifti2 import cifti2_axes
from nibabel.cifti2.cifti2 import Cifti2HeaderError, Cifti2MatrixIndicesMap
from nibabel.cifti2.cifti2_axes import Axis, ScalarAxis
from nibabel.cifti2.parse_cifti2 import Cifti2Parser
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header

from modelarrayio_bids.errors import FormatError
from modelarrayio_bids.formats import compression, nifti
from modelarrayio_bids.formats.maps import map_position
from modelarrayio_bids.runtime.locations import location
from modelarrayio_bids.runtime.text_format import by

EXTENSION_CODE = 32
_HEADER_SIZE = 540
#: Enough for the header and XML of a file with a voxel or vertex for each of 91,282 elements.
_USUAL_START = 2**20
# A value taken from the buffer, and as float64.
_VALUE_BYTES = 16
_OPENING, _CLOSING = b'<MatrixIndicesMap', b'</MatrixIndicesMap>'
_ATTRIBUTE = re.compile(rb'(\w+)\s*=\s*["\']([^"\']*)["\']')
_VERSION = re.compile(rb'<CIFTI\b[^>]*\bVersion\s*=\s*["\']([^"\']*)')
_DIMENSIONS = re.compile(rb'(AppliesToMatrixDimension\s*=\s*["\'])[^"\']*')
_INDEX_TYPE = 'CIFTI_INDEX_TYPE_'
# Exceptions of nibabel's parser for bad XML, missing attributes and missing parts.
_PARSER_ERRORS = (
    *(ExpatError, Cifti2HeaderError, LookupError, ValueError, TypeError, AttributeError),
    *(ArithmeticError, RecursionError),
)
# XML 1.0 has no way to write these.
_UNWRITABLE = re.compile('[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]')


@dataclass(frozen=True)
class Kind:
    """One of the file types that CIFTI-2 defines.

    Parameters
    ----------
    name : str
        As in the file name's ending.
    noun : str
        Name for display.
    axes : tuple of str
        Index type of each dimension.
    intent : int, optional
        NIfTI intent code, for the kinds that are written.
    intent_name : str, optional
        The name that goes with it.
    remedy : str, optional
        Advice for kinds without one value per element; empty for kinds that can be read.
    """

    name: str
    noun: str
    axes: tuple[str, ...]
    intent: int = 0
    intent_name: str = ''
    remedy: str = ''

    @property
    def extension(self) -> str:
        """Ending of the file name, the dots included."""
        return f'.{self.name}.nii'


DSCALAR = Kind('dscalar', 'dense scalars', ('SCALARS', 'BRAIN_MODELS'), 3006, 'ConnDenseScalar')
PSCALAR = Kind('pscalar', 'parcellated scalars', ('SCALARS', 'PARCELS'), 3008, 'ConnParcelScalr')
PCONN = Kind('pconn', 'parcellated connectivity', ('PARCELS', 'PARCELS'), 3003, 'ConnParcels')

_REDUCE = 'Reduce it to one value per element, with wb_command -cifti-reduce for example.'
_LABELS = 'Labels are not measurements: give scalars, or the proportion of a label.'
_PARCELLATE = 'Parcellate both dimensions to a .pconn.nii, with wb_command -cifti-parcellate.'
_ONE_PLANE = 'Extract one .pconn.nii from it.'

#: Kinds of the CIFTI-2 standard (its table of intent codes), and Workbench's sdseries and plabel.
KINDS = (
    DSCALAR,
    PSCALAR,
    PCONN,
    Kind('dtseries', 'dense series', ('SERIES', 'BRAIN_MODELS'), remedy=_REDUCE),
    Kind('ptseries', 'parcellated series', ('SERIES', 'PARCELS'), remedy=_REDUCE),
    Kind('sdseries', 'scalar series', ('SERIES', 'SCALARS'), remedy=_REDUCE),
    Kind('dlabel', 'dense labels', ('LABELS', 'BRAIN_MODELS'), remedy=_LABELS),
    Kind('plabel', 'parcellated labels', ('LABELS', 'PARCELS'), remedy=_LABELS),
    Kind('dconn', 'dense connectivity', ('BRAIN_MODELS', 'BRAIN_MODELS'), remedy=_PARCELLATE),
    Kind('pdconn', 'mixed connectivity', ('BRAIN_MODELS', 'PARCELS'), remedy=_PARCELLATE),
    Kind('dpconn', 'mixed connectivity', ('PARCELS', 'BRAIN_MODELS'), remedy=_PARCELLATE),
    Kind('pconnseries', 'connectivity series', ('PARCELS', 'PARCELS', 'SERIES'), remedy=_ONE_PLANE),
    Kind('pconnscalar', 'connectivity maps', ('PARCELS', 'PARCELS', 'SCALARS'), remedy=_ONE_PLANE),
)
_BY_NAME = {kind.name: kind for kind in KINDS}
_BY_AXES = {kind.axes: kind for kind in KINDS}


@dataclass(frozen=True)
class IndexMap:
    """The elements of one dimension of a matrix, or several: one part of a file's XML.

    Parameters
    ----------
    index_type : str
        ``'BRAIN_MODELS'``, ``'PARCELS'``, ``'SCALARS'``, ``'LABELS'`` or ``'SERIES'``.
    dimensions : tuple of int
        The dimensions it is about.
    xml : bytes
        The element ``MatrixIndicesMap``, as on disk.
    """

    index_type: str
    dimensions: tuple[int, ...]
    xml: bytes

    @classmethod
    def from_xml(cls, xml: bytes, path: str | PathLike[str]) -> IndexMap:
        """Take the attributes from the opening tag.

        Raises
        ------
        FormatError
            If they are missing.
        """
        found = dict(_ATTRIBUTE.findall(xml, 0, xml.find(b'>') + 1))
        try:
            index_type = found[b'IndicesMapToDataType'].decode().removeprefix(_INDEX_TYPE)
            dimensions = tuple(map(int, found[b'AppliesToMatrixDimension'].split(b',')))
        except (KeyError, ValueError) as error:
            raise _damaged(path, f'a dimension without {error}') from error
        return cls(index_type, dimensions, xml)

    @classmethod
    def from_axis(cls, axis: Axis, dimension: int) -> IndexMap:
        """Describe a dimension by an axis of nibabel's."""
        return cls.from_xml(axis.to_mapping(dimension).to_xml(), 'axis')

    def along(self, dimension: int) -> IndexMap:
        """Return the same for one other dimension."""
        xml = _DIMENSIONS.sub(rb'\g<1>%d' % dimension, self.xml, count=1)
        return IndexMap(self.index_type, (dimension,), xml)

    def axis(self, path: str | PathLike[str]) -> Axis:
        """Parse the XML.

        Parameters
        ----------
        path : path-like
            The file it is from, for an error to name.

        Returns
        -------
        nibabel.cifti2.Axis
            Its affine, where it has one, from voxel indices to mm whatever the unit in the file.

        Raises
        ------
        FormatError
            If it is not valid XML, or contradicts itself.
        """
        try:
            mapping = _parsed(b'<CIFTI Version="2"><Matrix>%s</Matrix></CIFTI>' % self.xml)[0]
            _require_sequence(mapping)
            return _in_mm(cifti2_axes.from_index_mapping(mapping), mapping)
        except _PARSER_ERRORS as error:
            raise _damaged(path, str(error)) from error


@dataclass(frozen=True)
class Matrix:
    """The header of a CIFTI-2 file.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    header : nibabel.nifti2.Nifti2Header
        As on disk.
    index_maps : tuple of IndexMap
        One per dimension.
    """

    path: Path
    header: Nifti2Header
    index_maps: tuple[IndexMap, ...]

    @classmethod
    def from_file(cls, path: str | PathLike[str], kind: Kind) -> Matrix:
        """Read the header and the XML, and parse neither axis.

        Parameters
        ----------
        path : path-like
            The file.
        kind : Kind
            Required kind. Dimensions may be in another order.

        Raises
        ------
        SourceNotFoundError
            If there is no such file.
        FormatError
            If it is not CIFTI-2, of another kind, or shorter than its header says.
        """
        start = compression.read_start(path, _USUAL_START)
        header = nifti.parse_header(start[:_HEADER_SIZE], path)
        _require_nifti2(header, path, kind)
        _require_sizes(header, path)
        nifti.require_whole(path, _n_bytes(header))
        offset = header.get_data_offset()
        if offset > len(start):
            start = compression.read_start(path, offset)
        matrix = cls(location(path), header, _index_maps(_xml(start[:offset], header, path), path))
        _require_kind(matrix, kind)
        nifti.require_real_numbers(header, path)
        return matrix

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each dimension. NIfTI's first four are of length one and not counted."""
        return tuple(int(n) for n in self.header.get_data_shape()[4:])

    @property
    def reading_bytes(self) -> int:
        """Maximal memory in bytes for reading one map, which includes the XML twice."""
        xml = 2 * max(self.header.get_data_offset(), _USUAL_START)
        n_values = math.prod(self.shape)
        return _n_bytes(self.header) + xml + n_values * _VALUE_BYTES

    def dimensions(self, index_type: str) -> list[int]:
        """Return the dimensions of a type."""
        types = [index_map.index_type for index_map in self.index_maps]
        return [number for number, each in enumerate(types) if each == index_type]

    def map_names(self) -> list[str]:
        """Return the names of the maps of a file of scalars.

        Raises
        ------
        FormatError
            If there is not one for each.
        """
        (dimension,) = self.dimensions('SCALARS')
        names = [str(name) for name in self.index_maps[dimension].axis(self.path).name]
        if len(names) != self.shape[dimension]:
            raise FormatError(
                f'holds {self.shape[dimension]} maps but names {len(names)}', self.path
            )
        return names

    def map_index(self, choice: str | None) -> int:
        """Return the position of the map to read, as :func:`.maps.map_position` does."""
        return map_position(self.map_names(), choice, self.path)

    def read(self, part: Any = ...) -> np.ndarray:
        """Read the data.

        Parameters
        ----------
        part : index expression, optional
            Part of the matrix to read, before its type is converted.

        Returns
        -------
        numpy.ndarray
            Scaled: float32 as it is on disk, any other type as float64.

        Raises
        ------
        FormatError
            If the file ends before its data do.
        """
        with compression.inflated(self.path) as data:
            compression.require_bytes(len(data), _n_bytes(self.header), self.path)
            flat = np.frombuffer(
                data,
                self.header.get_data_dtype(),
                count=math.prod(self.shape),
                offset=self.header.get_data_offset(),
            )
            taken = np.array(flat.reshape(self.shape, order='F')[part], order='C')
        return nifti.scaled(taken, nifti.scaling(self.header))


def kind_of_name(name: str) -> Kind | None:
    """Return the kind a file is named as, compressed or not.

    >>> kind_of_name('sub-01_bold.dtseries.nii').noun
    'dense series'
    >>> kind_of_name('sub-01_FA.nii.gz') is None
    True
    """
    parts = name.removesuffix('.gz').split('.')
    return _BY_NAME.get(parts[-2]) if len(parts) > 2 and parts[-1] == 'nii' else None


def map_axis(name: str) -> Axis:
    """Return an axis of one map, with a name that XML can hold."""
    return ScalarAxis([_UNWRITABLE.sub('', name)])


def write_matrix(
    kind: Kind, index_maps: Sequence[IndexMap], data: np.ndarray, path: str | PathLike[str]
) -> None:
    """Write a matrix of two dimensions as little-endian float32.

    Parameters
    ----------
    kind : Kind
        Chooses the intent code.
    index_maps : sequence of IndexMap
        Content of each dimension.
    data : numpy.ndarray
        As long in each dimension as they say; what is too large becomes infinite.
    path : path-like
        Replaced if it exists.
    """
    parts = b''.join(
        index_map.along(dimension).xml for dimension, index_map in enumerate(index_maps)
    )
    xml = (
        b'<?xml version="1.0" encoding="UTF-8"?>\n'
        b'<CIFTI Version="2"><Matrix>%s</Matrix></CIFTI>' % parts
    )
    # NIfTI: extensions are padded to 16 bytes, and 8 of them are their own size and code.
    size = -(-(len(xml) + 8) // 16) * 16
    header = Nifti2Header(endianness='<')
    header.set_data_dtype(np.float32)
    header.set_data_shape((1, 1, 1, 1, *data.shape))
    header['intent_code'], header['intent_name'] = kind.intent, kind.intent_name
    header['magic'] = b'n+2\0\r\n\x1a\n'
    header.set_data_offset(_HEADER_SIZE + 4 + size)
    header.set_slope_inter(1, 0)
    with open(path, 'wb') as file:
        file.write(header.binaryblock)
        file.write(struct.pack('<4B2i', 1, 0, 0, 0, size, EXTENSION_CODE))
        file.write(xml.ljust(size - 8, b'\0'))
        with np.errstate(over='ignore'):
            file.write(data.astype('<f4', copy=False).tobytes('F'))


def _n_bytes(header: Nifti2Header) -> int:
    """Return the least size of the inflated file."""
    n_values = math.prod(int(n) for n in header.get_data_shape())
    return header.get_data_offset() + n_values * header.get_data_dtype().itemsize


def _xml(start: bytes, header: Nifti2Header, path: str | PathLike[str]) -> bytes:
    """Return the XML among a header's extensions."""
    order = header.endianness
    position = _HEADER_SIZE + 4
    while position + 8 <= len(start) and start[_HEADER_SIZE]:
        size, code = struct.unpack_from(f'{order}2i', start, position)
        if code == EXTENSION_CODE:
            return start[position + 8 : position + size].rstrip(b'\0')
        if size < 8:
            break
        position += size
    raise FormatError(
        'is a plain NIfTI-2 image, expected CIFTI-2',
        path,
        'Name it .nii if it is a volume, or make the CIFTI file again.',
    )


def _index_maps(xml: bytes, path: str | PathLike[str]) -> tuple[IndexMap, ...]:
    """Cut the XML into the parts about each dimension."""
    version = _VERSION.search(xml)
    if version is None or not version[1].startswith(b'2'):
        found = f'CIFTI-{version[1].decode("utf-8", "replace")}' if version else 'no CIFTI at all'
        raise FormatError(
            f'has an extension that holds {found}, expected CIFTI-2',
            path,
            'Convert it with wb_command -file-convert -cifti-version-convert.',
        )
    # Comments and CDATA could hold what looks like a tag: nibabel writes the same without them.
    # (One character is found several times faster than two, and most files have none.)
    is_rewritten = b'!' in xml and b'<!' in xml
    if is_rewritten:
        xml = _rewritten(xml, path)
    parts = list(_parts(xml, path))
    if not is_rewritten:
        _require_closed(xml, parts, path)
    by_dimension = {
        dimension: index_map
        for index_map in (IndexMap.from_xml(part, path) for part in parts)
        for dimension in index_map.dimensions
    }
    if sorted(by_dimension) != list(range(len(by_dimension))):
        raise _damaged(path, f'it is about dimensions {sorted(by_dimension)}')
    return tuple(by_dimension[dimension] for dimension in sorted(by_dimension))


def _parts(xml: bytes, path: str | PathLike[str]) -> Iterator[bytes]:
    start = xml.find(_OPENING)
    while start >= 0:
        tag_end = xml.find(b'>', start)
        is_empty = xml[tag_end - 1 : tag_end] == b'/'
        end = tag_end if is_empty else xml.find(_CLOSING, start) + len(_CLOSING) - 1
        if end < tag_end or tag_end < 0:
            raise _damaged(path, 'it ends early')
        yield xml[start : end + 1]
        start = xml.find(_OPENING, end)


def _require_closed(xml: bytes, parts: Sequence[bytes], path: str | PathLike[str]) -> None:
    """Refuse XML that is left open or broken around the parts, which are parsed where needed."""
    for part in parts:
        xml = xml.replace(part, b'', 1)
    try:
        ParserCreate().Parse(xml, True)
    except (ExpatError, ValueError, LookupError) as error:
        raise _damaged(path, str(error)) from error


def _parsed(xml: bytes) -> Any:
    """Return the matrix element, as nibabel parses it."""
    parser = Cifti2Parser()
    parser.parse(string=xml)
    return parser.header.matrix


def _rewritten(xml: bytes, path: str | PathLike[str]) -> bytes:
    try:
        return _parsed(xml).to_xml()
    except _PARSER_ERRORS as error:
        raise _damaged(path, str(error)) from error


def _require_sequence(mapping: Cifti2MatrixIndicesMap) -> None:
    """Refuse brain models that do not follow one another: nibabel names elements by their order."""
    expected = 0
    for model in mapping.brain_models:
        if model.index_offset != expected:
            raise ValueError(
                f'{model.brain_structure} starts at {model.index_offset}, expected {expected}'
            )
        n_indices = len(model.vertex_indices or ()) or len(model.voxel_indices_ijk or ())
        if n_indices != model.index_count:
            # nibabel would ask for memory for as many as are promised.
            raise ValueError(
                f'{model.brain_structure} has {n_indices} elements, and promises '
                f'{model.index_count}'
            )
        expected += model.index_count


def _in_mm(axis: Axis, mapping: Cifti2MatrixIndicesMap) -> Axis:
    """Apply the unit of the affine, which nibabel takes for millimetres whatever it says."""
    if getattr(axis, 'affine', None) is not None:
        exponent = mapping.volume.transformation_matrix_voxel_indices_ijk_to_xyz.meter_exponent
        scale = 10.0 ** (exponent + 3)
        axis.affine = np.diag([scale, scale, scale, 1.0]) @ axis.affine
    return axis


def _require_nifti2(header: Nifti1Header, path: str | PathLike[str], kind: Kind) -> None:
    if not isinstance(header, Nifti2Header):
        raise FormatError(
            f'is a plain NIfTI-1 image, expected CIFTI-2 ({kind.noun})',
            path,
            'Name it .nii if it is a volume, or make the CIFTI file again.',
        )


def _require_sizes(header: Nifti2Header, path: str | PathLike[str]) -> None:
    shape = tuple(int(n) for n in header.get_data_shape())
    if header.get_data_offset() < _HEADER_SIZE or not all(n > 0 for n in shape):
        raise FormatError(
            f'has a header that cannot be used: data of shape {shape} at byte '
            f'{header.get_data_offset()}',
            path,
        )


def _require_kind(matrix: Matrix, expected: Kind) -> None:
    axes = tuple(index_map.index_type for index_map in matrix.index_maps)
    if sorted(axes) != sorted(expected.axes):
        kind = _BY_AXES.get(axes) or _BY_AXES.get(axes[::-1])
        found = f'{kind.noun} ({kind.name})' if kind else ' × '.join(axes)
        raise FormatError(
            f'holds {found}, expected {expected.noun} ({expected.name})',
            matrix.path,
            (kind and kind.remedy) or 'Give the file an ending of its own kind.',
        )
    if len(matrix.shape) != len(axes) or set(matrix.header.get_data_shape()[:4]) != {1}:
        shape = by(matrix.header.get_data_shape())
        raise FormatError(f'is {shape}, expected 1 × 1 × 1 × 1 × rows × columns', matrix.path)


def _damaged(path: str | PathLike[str], reason: str) -> FormatError:
    return FormatError(f'has CIFTI XML that cannot be used: {reason}', path)
