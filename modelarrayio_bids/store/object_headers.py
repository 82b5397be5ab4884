"""The form in which HDF5 stored an object, for libraries older than the one that wrote it.

HDF5 describes each object by messages, and each kind of message has versions. A library refuses
those it does not know, and h5py tells nothing of them: a few bytes have to be read by ourselves, as
the HDF5 File Format Specification (version 3.0, IV.A) lays them out.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import h5py

_DATATYPE, _LAYOUT, _CONTINUATION = 0x03, 0x08, 0x10
# Flags of a message: what it holds is elsewhere. Of a header of version 2: what comes before.
_IS_SHARED = 0x02
_HAS_ORDER, _HAS_PHASES, _HAS_TIMES = 0x04, 0x10, 0x20

#: Newest versions that HDF5 1.10 reads. Those of HDF5 1.12 and 2.0 were tried with R: whichever
#: object has one, HDF5Array does not open the file.
_KNOWN = {_DATATYPE: ('type', 3), _LAYOUT: ('layout', 4)}


@dataclass(frozen=True)
class _Form:
    """How the messages of one header are written.

    Parameters
    ----------
    file : binary file
        The whole HDF5 file.
    base : int
        Where HDF5 begins in it: after the user block.
    prefix : str
        What precedes each message, in the words of :mod:`struct`: type, size, flags.
    signature : bytes
        What a continuation begins with.
    checksum : int
        Bytes at the end of a continuation that are no message.
    """

    file: BinaryIO
    base: int
    prefix: str
    signature: bytes = b''
    checksum: int = 0

    def messages(self, start: int, size: int) -> Iterator[tuple[int, bytes]]:
        """Type and body of each message of a block, and of those that continue it."""
        self.file.seek(start)
        block = self.file.read(size)
        place, length = 0, struct.calcsize(self.prefix)
        while place + length <= size:
            kind, n_bytes, flags = struct.unpack_from(self.prefix, block, place)
            body = block[place + length : place + length + n_bytes]
            place += length + n_bytes
            if kind == _CONTINUATION:
                yield from self._continued(body)
            elif not flags & _IS_SHARED:
                yield kind, body

    def _continued(self, body: bytes) -> Iterator[tuple[int, bytes]]:
        # Sizes of offsets and lengths are 8 in every file that HDF5 writes unless it is told.
        offset, size = struct.unpack('<QQ', body[:16])
        skipped = len(self.signature)
        yield from self.messages(self.base + offset + skipped, size - skipped - self.checksum)


def newer_than_r(file: h5py.File, binary: BinaryIO) -> dict[str, str]:
    """What a file holds in a form that R's HDF5, of version 1.10, does not know.

    Parameters
    ----------
    file : h5py.File
        The file.
    binary : binary file
        The same, open for reading.

    Returns
    -------
    dict of str
        By path of a dataset: what is too new.
    """
    found: dict[str, str] = {}

    def visit(name: str, item: h5py.HLObject) -> None:
        if isinstance(item, h5py.Dataset) and (newer := _newer(item, file, binary)):
            found[f'/{name}'] = newer

    file.visititems(visit)
    return found


def _newer(dataset: h5py.Dataset, file: h5py.File, binary: BinaryIO) -> str:
    address = file.userblock_size + h5py.h5o.get_info(dataset.id).addr
    for kind, body in _messages(binary, address, file.userblock_size):
        if kind not in _KNOWN:
            continue
        what, known = _KNOWN[kind]
        # The version of a type shares its byte with the class.
        version = body[0] >> 4 if kind == _DATATYPE else body[0]
        if version > known:
            return f'{what} of version {version}, known are those to {known}'
    return ''


def _messages(file: BinaryIO, address: int, base: int) -> Iterator[tuple[int, bytes]]:
    """Type and body of every message of the object at an address."""
    file.seek(address)
    start = file.read(64)
    if start[:4] != b'OHDR':
        (size,) = struct.unpack_from('<I', start, 8)
        return _Form(file, base, '<HHB3x').messages(address + 16, size)
    flags, place = start[5], 6
    place += 16 if flags & _HAS_TIMES else 0
    place += 4 if flags & _HAS_PHASES else 0
    width = 1 << (flags & 3)
    size = int.from_bytes(start[place : place + width], 'little')
    prefix = '<BHB2x' if flags & _HAS_ORDER else '<BHB'
    return _Form(file, base, prefix, b'OCHK', 4).messages(address + place + width, size)
