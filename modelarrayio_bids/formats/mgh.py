"""FreeSurfer's ``.mgh`` and ``.mgz`` files, as far as they hold values of a surface, and ``curv``.

nibabel parses the header and writes files; data are taken from the bytes, since it would read them
through a file object again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from os import PathLike

import numpy as np
from nibabel.freesurfer.mghformat import DATA_OFFSET, MGHHeader, MGHImage

from modelarrayio_bids.errors import FormatError
from modelarrayio_bids.formats import compression

#: Compressed by their last letter.
EXTENSIONS = ('.mgh', '.mgz')
# Of nibabel's and FreeSurfer's: 8, 32 and 16 bits of integers, and float32.
_TYPES = (0, 1, 3, 4)
_VERSION = 1
# Of files in the format of lh.curv: numbers of vertices, triangles and values for each, float32.
_CURV_MAGIC, _CURV_START = b'\xff\xff\xff', 15
_REMEDY = 'Give surface data, as mri_surf2surf and mris_preproc write them.'


def dimensions(path: str | PathLike[str]) -> tuple[int, int]:
    """Return the numbers of vertices and of maps of a file, by its header.

    Raises
    ------
    SourceNotFoundError
        If there is no such file.
    FormatError
        If it is not of this format, a volume, or far too small for what its header promises.
    """
    header = _header(compression.read_start(path, DATA_OFFSET), path)
    n_vertices, n_maps = _dimensions(header, path)
    if not compression.may_hold(path, n_vertices * n_maps * header.get_data_dtype().itemsize):
        what = f'is too small for {n_maps:,} maps of {n_vertices:,} vertices, as its header has it'
        raise FormatError(what, path)
    return n_vertices, n_maps


def read(path: str | PathLike[str], index: int = 0) -> np.ndarray:
    """Return one map, (n_vertices,): float32 as it is on disk, any other type as float64.

    Raises
    ------
    SourceNotFoundError, FormatError
        As :func:`dimensions`, and if the file ends before its data do.
    """
    with compression.inflated(path) as data:
        header = _header(bytes(data[:DATA_OFFSET]), path)
        n_vertices, n_maps = _dimensions(header, path)
        dtype = header.get_data_dtype()
        expected = DATA_OFFSET + n_vertices * n_maps * dtype.itemsize
        compression.require_bytes(len(data), expected, path)
        start = DATA_OFFSET + index * n_vertices * dtype.itemsize
        values = np.frombuffer(data, dtype, n_vertices, start)
        return values.astype(np.float32 if dtype.kind == 'f' else np.float64)


def maps(path: str | PathLike[str], numbers: Sequence[int]) -> Iterator[np.ndarray]:
    """Yield some maps, by number from 0, in rising order: each as :func:`read`, inflated once.

    Raises
    ------
    SourceNotFoundError, FormatError
        As :func:`read`.
    """
    with compression.in_pieces(path) as take:
        header = _header(bytes(take(DATA_OFFSET)), path)
        n_vertices, _ = _dimensions(header, path)
        dtype, wanted = header.get_data_dtype(), set(numbers)
        for number in range(max(wanted, default=-1) + 1):
            data = take(n_vertices * dtype.itemsize)
            if number in wanted:
                values = np.frombuffer(data, dtype)
                yield values.astype(np.float32 if dtype.kind == 'f' else np.float64)


def read_curv(path: str | PathLike[str]) -> np.ndarray:
    """Return the values of a file in the format of ``lh.curv``, (n_vertices,) float32.

    Raises
    ------
    SourceNotFoundError, FormatError
        If there is no such file, or it is not of this format, as ``lh.white`` is not.
    """
    with compression.inflated(path) as data:
        start = bytes(data[:_CURV_START])
        if len(start) < _CURV_START or not start.startswith(_CURV_MAGIC):
            what = 'holds no values of vertices in a format of FreeSurfer'
            raise FormatError(what, path, 'Give a file such as lh.thickness, or .mgh.')
        n_vertices, _, n_values = np.frombuffer(start, '>i4', offset=len(_CURV_MAGIC)).tolist()
        expected = _CURV_START + 4 * n_vertices
        if n_vertices < 1 or n_values != 1 or len(data) < expected:
            raise FormatError(
                f'promises {n_values} values for each of {n_vertices:,} vertices in '
                f'{len(data):,} bytes',
                path,
            )
        return np.frombuffer(data, '>f4', n_vertices, _CURV_START).astype(np.float32)


def write(values: np.ndarray, path: str | PathLike[str]) -> None:
    """Write one map, (n_vertices,), as float32 on FreeSurfer's usual axes."""
    with np.errstate(over='ignore'):
        data = MGHImage(values.astype(np.float32).reshape(-1, 1, 1), None).to_bytes()
    if str(path).endswith('.mgz'):
        data = compression.gzip_compress(data)
    compression.write_file(data, path)


def _header(start: bytes, path: str | PathLike[str]) -> MGHHeader:
    size = MGHHeader.template_dtype.itemsize
    # What stands behind the data, the last fields of nibabel's header, is of no matter.
    header = MGHHeader(start[:size].ljust(size, b'\0'), check=False)
    if len(start) < DATA_OFFSET or header['version'] != _VERSION or header['type'] not in _TYPES:
        raise FormatError('is not an MGH file', path)
    return header


def _dimensions(header: MGHHeader, path: str | PathLike[str]) -> tuple[int, int]:
    *space, n_maps = map(int, header['dims'])
    n_vertices = math.prod(space)
    if n_vertices != max(space) or min(*space, n_maps) < 1:
        size = ' × '.join(map(str, space))
        raise FormatError(f'holds a volume ({size}), not values of a surface', path, _REMEDY)
    return n_vertices, n_maps
