"""Text in HDF5 files, whoever wrote it."""

from __future__ import annotations

from typing import Any

import numpy as np


def texts(values: Any) -> tuple[str, ...]:
    """Each of the strings of an attribute or a dataset."""
    return tuple(text(value) for value in np.atleast_1d(values).tolist())


def text(value: Any) -> str:
    r"""Vlen strings come as str or bytes, R's fixed-width ones padded with NUL.

    >>> text(b'age.estimate\0\0')
    'age.estimate'
    """
    if isinstance(value, str):
        # h5py hides what is not UTF-8 in what cannot be printed.
        value = value.encode('utf-8', 'surrogateescape')
    if isinstance(value, bytes):
        value = value.decode('utf-8', errors='replace')
    return str(value).rstrip('\0').strip()
