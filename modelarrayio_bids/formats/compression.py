"""Decompression of files into reusable buffers, and compression of buffers.

Neuroimaging files are gzip members of a known size: each is inflated at once into a buffer that
its thread keeps for the next one, since pages the system has to clear first cost as much as
inflating does. ISA-L does both directions two to ten times faster than zlib; where its wheel is
absent the standard library does the same. Both release the GIL.

>>> import pathlib, tempfile
>>> path = pathlib.Path(tempfile.mkdtemp(), 'FA.gz')
>>> _ = path.write_bytes(gzip_compress(b'FA' * 1000))
>>> with inflated(path) as data:
...     bytes(data) == b'FA' * 1000
True
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from os import PathLike
from typing import Any, BinaryIO

from modelarrayio_bids.errors import FormatError
from modelarrayio_bids.formats.pointers import opened
from modelarrayio_bids.runtime.locations import RemotePath, location
from modelarrayio_bids.runtime.user_input import open_regular

try:
    from isal import igzip, isal_zlib

    HAS_ISAL = True
    # ISA-L's stubs give its error an untyped class.
    _BROKEN: tuple[Any, ...] = (EOFError, zlib.error, gzip.BadGzipFile, isal_zlib.error)
except ImportError:  # pragma: no cover - every tested platform has a wheel
    HAS_ISAL = False
    _BROKEN = (EOFError, zlib.error, gzip.BadGzipFile)

GZIP_MAGIC = b'\x1f\x8b'
_ISAL_LEVEL = 1
_ZLIB_LEVEL = 4
# zlib's word for a gzip stream (zlib.h, inflateInit2).
_GZIP_BITS = 31
# A header and a trailer (RFC 1952, 2.3).
_SMALLEST_MEMBER = 18
# Deflate makes nothing smaller than 1/1032 (zlib.net, "zlib technical details").
_MOST_DEFLATED = 1032
# More bytes than gzip adds to a start that cannot be compressed, and than name a pointer.
_PIECE = 4096
# Bytes inflated at a time: what goes through Python's gzip objects is there twice.
_INFLATED_PIECE = 2**20


class _Buffers(threading.local):
    """The buffers of one thread that are free: one, unless two files are open at a time.

    They go with their thread. The main one reads a file here and there, and keeps none.
    """

    def __init__(self) -> None:
        self._free: list[bytearray] = []

    def take(self) -> bytearray:
        return self._free.pop() if self._free else bytearray()

    def give_back(self, buffer: bytearray) -> None:
        if threading.current_thread() is not threading.main_thread():
            self._free.append(buffer)


_BUFFERS = _Buffers()


@contextmanager
def inflated(path: str | PathLike[str]) -> Iterator[memoryview]:
    """Hand over all bytes of a file, inflated where they are gzip, their checksums verified.

    They are valid within the context; then the buffer serves the thread's next file. What follows
    the last member is ignored, as gzip does.

    Raises
    ------
    SourceNotFoundError
        If there is no such file, or it cannot be read.
    FormatError
        If the compressed data end early or are damaged.
    """
    buffer = _BUFFERS.take()
    try:
        buffer, size = _filled(buffer, path)
        yield memoryview(buffer)[:size]
    finally:
        _BUFFERS.give_back(buffer)


@contextmanager
def scratch(size: int) -> Iterator[memoryview]:
    """Hand over memory for a file to be made, which the thread uses again: its bytes are any."""
    buffer = _at_least(_BUFFERS.take(), size)
    try:
        yield memoryview(buffer)[:size]
    finally:
        _BUFFERS.give_back(buffer)


def write_file(data: bytes | memoryview, path: str | PathLike[str]) -> None:
    """Write a whole file, compressed if its name ends in ``.gz``."""
    if str(path).endswith('.gz'):
        data = gzip_compress(data)
    with open(path, 'wb') as file:
        file.write(data)


def digest(path: str | PathLike[str]) -> bytes:
    """Return what tells the bytes of one file from any other's: 16 bytes, BLAKE2b of its content.

    That of a remote file is made of what its server tells, since reading it takes as long as using
    it.
    """
    if isinstance(place := location(path), RemotePath):
        return place.digest()
    with _opened(path, whole=True) as file:
        return hashlib.file_digest(file, partial(hashlib.blake2b, digest_size=16)).digest()


def read_start(path: str | PathLike[str], size: int) -> bytes:
    """Return the first bytes of a file, inflated where they are gzip; fewer if it is shorter.

    Raises
    ------
    SourceNotFoundError
        If there is no such file.
    FormatError
        If the compressed data cannot be read.
    """
    with _opened(path) as file:
        return _inflated_start(file, size) if _is_gzip(file) else file.read(size)


def has_size(path: str | PathLike[str], n_bytes: int) -> bool:
    """Return whether a file says that it has a size once inflated, without inflating it.

    A gzip member ends in its size modulo 4 GiB (RFC 1952, 2.3.1). For a file of several members
    this is the last one's, and for a truncated file it is noise: a caller that is told no must look
    closer.
    """
    with open_regular(path) as file:
        if _is_gzip(file):
            return _last_size(file) == n_bytes % 2**32
        return _size(file) == n_bytes


def may_hold(path: str | PathLike[str], n_bytes: int) -> bool:
    """Return whether a file is large enough to hold so many bytes once inflated."""
    with open_regular(path) as file:
        return n_bytes <= (_MOST_DEFLATED if _is_gzip(file) else 1) * _size(file)


def require_bytes(found: int, expected: int, path: str | PathLike[str] | None) -> None:
    """Refuse a file, inflated, that ends before its data do.

    Raises
    ------
    FormatError
        With both numbers of bytes.
    """
    if found < expected:
        what = f'is truncated: {found} bytes of the {expected} its header promises'
        raise FormatError(what, path)


@contextmanager
def in_pieces(path: str | PathLike[str]) -> Iterator[Callable[[int], bytearray]]:
    """Hand over a function that returns the next bytes of a file, inflated where they are gzip.

    It serves what is too large to be in memory at once, from its start to its end.

    Raises
    ------
    SourceNotFoundError
        If there is no such file, or it cannot be read.
    FormatError
        If the compressed data are damaged, or the file ends before so many bytes.
    """
    with _opened(path, whole=True) as file:
        source = _inflating(file) if _is_gzip(file) else file

        def take(size: int) -> bytearray:
            found = bytearray(size)
            taken = 0
            while taken < size:
                more = source.readinto(memoryview(found)[taken : taken + _INFLATED_PIECE])
                if not more:
                    raise FormatError('is truncated', path)
                taken += more
            return found

        yield take


def gzip_compress(data: bytes | memoryview) -> bytes:
    """Compress into one gzip member without a time stamp: equal data give equal files."""
    if HAS_ISAL:
        return igzip.compress(data, compresslevel=_ISAL_LEVEL, mtime=0)
    return gzip.compress(data, compresslevel=_ISAL_LEVEL, mtime=0)


def deflate(data: bytes | memoryview, level: int | None = None) -> bytes:
    """Compress into a zlib stream, as HDF5's deflate filter expects.

    Parameters
    ----------
    data : bytes-like
        Any contiguous buffer.
    level : int, optional
        zlib's own level, 0 to 9. Without one the fastest available codec is used: ISA-L's level 1,
        ten times faster than zlib's 4 and 1% larger on diffusion maps.
    """
    if level is not None:
        return zlib.compress(data, level)
    if HAS_ISAL:
        return isal_zlib.compress(data, _ISAL_LEVEL)
    return zlib.compress(data, _ZLIB_LEVEL)


def inflate_exactly(data: bytes, size: int) -> bytes:
    """Return the inverse of :func:`deflate`, where the size of the answer is known.

    Raises
    ------
    FormatError
        If the data are damaged, or of another size.
    """
    try:
        found = (isal_zlib if HAS_ISAL else zlib).decompress(data, bufsize=size + 1)
    except _BROKEN as error:
        raise FormatError(f'compressed data are damaged: {error}') from error
    if len(found) != size:
        raise FormatError(f'compressed data hold {len(found)} bytes, expected {size}')
    return found


def _is_gzip(file: BinaryIO) -> bool:
    found = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
    file.seek(0)
    return found


def _filled(buffer: bytearray, path: str | PathLike[str]) -> tuple[bytearray, int]:
    """Return a buffer with the bytes of a file, this one if they fit, and their number."""
    with _opened(path, whole=True) as file:
        size = _size(file)
        if not _is_gzip(file):
            return _read_whole(file, _at_least(buffer, size + 1))
        # A trailer that says more is none.
        expected = min(_last_size(file), _MOST_DEFLATED * size)
        try:
            # One byte more, so that the end of the stream is met and its checksum read.
            return _read_whole(_inflating(file), _at_least(buffer, expected + 1))
        except _BROKEN:
            # Damaged, or followed by something else: slower, and sure which of them it is.
            file.seek(0)
            buffer.clear()
            _inflate_members(file, buffer)
            return buffer, len(buffer)


def _read_whole(file: Any, buffer: bytearray) -> tuple[bytearray, int]:
    size = 0
    while found := file.readinto(memoryview(buffer)[size : size + _INFLATED_PIECE]):
        size += found
        if size == len(buffer):
            # More than the trailer said: several members, or more than 4 GiB. In place, since a
            # second buffer would double what a run needs.
            buffer.extend(bytes(_INFLATED_PIECE))
    return buffer, size


def _at_least(buffer: bytearray, size: int) -> bytearray:
    return buffer if len(buffer) >= size else bytearray(size)


def _inflating(file: BinaryIO) -> Any:
    return igzip.IGzipFile(fileobj=file) if HAS_ISAL else gzip.GzipFile(fileobj=file)


def _size(file: BinaryIO) -> int:
    """Return the size of a file, which is at its start then."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return size


def _last_size(file: BinaryIO) -> int:
    """Return the size that the last member ends in; the file is back at its start."""
    if _size(file) < _SMALLEST_MEMBER:
        raise EOFError
    file.seek(-4, os.SEEK_END)
    size = int.from_bytes(file.read(4), 'little')
    file.seek(0)
    return size


def _inflated_start(file: BinaryIO, size: int) -> bytes:
    # Deflate makes hardly anything longer: so many bytes hold the start, but for a few.
    stream = zlib.decompressobj(wbits=_GZIP_BITS)
    start = stream.decompress(file.read(size + _PIECE), size)
    if len(start) == size:
        return start
    # The rare start that spans members, or a shorter file.
    file.seek(0)
    whole = bytearray()
    _inflate_members(file, whole)
    return bytes(whole[:size])


def _inflate_members(file: BinaryIO, whole: bytearray) -> None:
    """Add the members of a gzip file one by one, without what follows the last."""
    piece = file.read(_INFLATED_PIECE)
    while True:
        stream = zlib.decompressobj(wbits=_GZIP_BITS)
        while not stream.eof:
            if not piece:
                raise EOFError
            whole += stream.decompress(piece)
            piece = stream.unused_data or file.read(_INFLATED_PIECE)
        if len(piece) < len(GZIP_MAGIC):
            piece += file.read(_INFLATED_PIECE)
        if not piece.startswith(GZIP_MAGIC):
            return


@contextmanager
def _opened(path: str | PathLike[str], *, whole: bool = False) -> Iterator[io.BufferedReader]:
    """Open a file for reading, and turn what is wrong with its compression into an error."""
    with opened(path, whole=whole) as file:
        try:
            yield file
        except EOFError as error:
            what = 'is truncated: the compressed data end early'
            raise FormatError(what, path) from error
        except (zlib.error, gzip.BadGzipFile) as error:
            what = f'is damaged: {error}'
            raise FormatError(what, path) from error
