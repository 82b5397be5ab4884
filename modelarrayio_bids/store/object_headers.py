"""Find datasets stored in a form that libraries older than their writer refuse.

HDF5 describes each object by messages, and each kind of message has versions; h5py tells nothing of
them. Programs that write a version unknown to HDF5 1.10 also write headers of version 2, with
type and layout in their first block: only that is read here, as the HDF5 File Format Specification
(version 3.0, IV.A.1.b) lays it out.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

import h5py

_DATATYPE, _LAYOUT = 0x03, 0x08
_HAS_ORDER, _HAS_PHASES, _HAS_TIMES = 0x04, 0x10, 0x20
# Flag of a message: its content is elsewhere.
_IS_SHARED = 0x02

#: Newest versions that HDF5 1.10 reads. Those of HDF5 1.12 and 2.0 were tried with R: whichever
#: object has one, HDF5Array does not open the file.
_KNOWN = {_DATATYPE: ('type', 3), _LAYOUT: ('layout', 4)}


def newer_than_r(file: h5py.File, binary: BinaryIO) -> dict[str, str]:
    """Find what R's HDF5, of version 1.10, does not know.

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

    def _visit(name: str, item: h5py.HLObject) -> None:
        if isinstance(item, h5py.Dataset):
            binary.seek(file.userblock_size + h5py.h5o.get_info(item.id).addr)
            if newer := _newer(binary):
                found[f'/{name}'] = newer

    file.visititems(_visit)
    return found


def _newer(binary: BinaryIO) -> str:
    """Say what is too new in the header that begins here; blank if nothing is."""
    signature, _, flags = struct.unpack('<4sBB', binary.read(6))
    if signature != b'OHDR':
        return ''
    binary.seek((16 if flags & _HAS_TIMES else 0) + (4 if flags & _HAS_PHASES else 0), 1)
    block = binary.read(int.from_bytes(binary.read(1 << (flags & 3)), 'little'))
    place, prefix = 0, '<BHB2x' if flags & _HAS_ORDER else '<BHB'
    while place + struct.calcsize(prefix) < len(block):
        kind, size, shared = struct.unpack_from(prefix, block, place)
        place += struct.calcsize(prefix)
        if kind in _KNOWN and not shared & _IS_SHARED:
            what, known = _KNOWN[kind]
            # The version of a type shares its byte with the class.
            version = block[place] >> 4 if kind == _DATATYPE else block[place]
            if version > known:
                return f'{what} of version {version}, known are those to {known}'
        place += size
    return ''
