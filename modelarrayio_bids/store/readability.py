"""A test in a separate process: can the HDF5 library open a file without hanging.

It goes round in circles on some damaged files, and crashes on others. Commands that read a file in
their own process ask first; what else is wrong with it, they find out themselves.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import h5py

from modelarrayio_bids.errors import ModelArrayIOError
from modelarrayio_bids.runtime.isolation import read_alone
from modelarrayio_bids.store.items import array_of, attribute, damage_told, item_at, require_stored
from modelarrayio_bids.store.opening import require_file

# Names and numbers of sources, results and elements; values have more.
_READ_WHOLE = 4 * 2**20


def require_readable(*paths: Path) -> None:
    """Refuse files that may not be read, and those on which HDF5 never ends, or crashes.

    Raises
    ------
    SourceNotFoundError, FormatError
        With the first such file.
    """
    for path in paths:
        require_file(path)
        read_alone(_look_at_all, path)


def _look_at_all(path: Path) -> None:
    # A lock that another program holds is for the command to find.
    with suppress(Exception), h5py.File(path, 'r', locking=False) as file:
        _look_at(file, set())


def _look_at(item: h5py.HLObject, seen: set[int]) -> None:
    """Read all about an item and what is in it, whatever of it is damaged."""
    with damage_told(item.file.filename, item.name):
        address = h5py.h5o.get_info(item.id).addr
    if address in seen:
        return
    seen.add(address)
    with suppress(ModelArrayIOError), damage_told(item.file.filename, item.name):
        for name in item.attrs:
            with suppress(ModelArrayIOError):
                attribute(item, name)
    with suppress(ModelArrayIOError), damage_told(item.file.filename, item.name):
        if isinstance(item, h5py.Dataset):
            require_stored(item)
            if item.nbytes <= _READ_WHOLE:
                array_of(item)
        elif isinstance(item, h5py.Group):
            for name in item:
                with suppress(ModelArrayIOError):
                    _look_at(item_at(item, name), seen)
