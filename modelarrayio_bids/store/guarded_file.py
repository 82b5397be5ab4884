"""A file for HDF5 on a disk that may fill: errors of writes are raised afterwards.

HDF5 keeps what it could not write, tries again when the process ends, and then ends it by a
segmentation fault. Failures are therefore hidden from it; the creator of the file checks
for them.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any


class GuardedFile(io.FileIO):
    """A file whose writes never fail, for :class:`h5py.File`.

    Attributes
    ----------
    failure : BaseException or None
        Error of the first write that failed (or interrupt); nothing is written after it.
    """

    failure: BaseException | None = None

    def check(self) -> None:
        """Raise what a write ended with.

        Raises
        ------
        OSError
            If the disk is full, say.
        """
        if self.failure is not None:
            raise self.failure

    def write(self, data: Any) -> int:
        """Write all of the data, or note why not."""
        self._attempt(lambda: self._write_all(memoryview(data)))
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        """Set the size, or note why not."""
        self._attempt(lambda: super(GuardedFile, self).truncate(size))
        return self.tell() if size is None else size

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer, with zeros for what was never written."""
        view = memoryview(buffer)
        read = super().readinto(view) or 0
        view[read:] = bytes(len(view) - read)
        return len(view)

    def _write_all(self, data: memoryview) -> None:
        while data:
            # A disk that is nearly full takes a part.
            data = data[super().write(data) :]

    def _attempt(self, step: Callable[[], Any]) -> None:
        if self.failure is None:
            try:
                step()
            except BaseException as error:  # noqa: BLE001 - also an interrupt would get lost in HDF5
                self.failure = error
