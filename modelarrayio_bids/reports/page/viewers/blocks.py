"""Arrays inside a page: deflated, in base64, each with what a script needs to make it again.

>>> block = Block.of('voxels', np.array([3, 4, 5], np.int32), delta=True)
>>> block.name, block.type, block.delta
('voxels', 'Int32Array', True)
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Self

import numpy as np

from modelarrayio_bids.formats.compression import deflate

_TYPES = {'f4': 'Float32Array', 'i4': 'Int32Array', 'i2': 'Int16Array', 'u2': 'Uint16Array'}
_BYTES = 'Uint8Array'


@dataclass(frozen=True)
class Block:
    """An array as text.

    Parameters
    ----------
    name : str
        Name that scripts know it by.
    type : str
        JavaScript's array of such numbers.
    text : str
        Base64 of a zlib stream of the bytes: the first bytes of all numbers, then the second ones.
    delta : bool
        True if each number is stored as the difference from the one before.
    """

    name: str
    type: str
    text: str
    delta: bool = False

    @classmethod
    def of(cls, name: str, array: np.ndarray, *, delta: bool = False) -> Self:
        """Encode an array of float32, int32, int16, uint16 or uint8."""
        kind = _TYPES.get(array.dtype.str[1:], _BYTES)
        values = np.diff(array, prepend=array.dtype.type(0)) if delta else array
        little = np.ascontiguousarray(values, values.dtype.newbyteorder('<'))
        planes = np.ascontiguousarray(
            little.reshape(-1).view(np.uint8).reshape(-1, array.itemsize).T
        )
        text = base64.b64encode(deflate(planes.data.cast('B'))).decode('ascii')
        return cls(name, kind, text, delta)
