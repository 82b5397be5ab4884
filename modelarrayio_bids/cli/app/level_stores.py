"""The HDF5 files of an output folder that the levels after ``group`` work on."""

from __future__ import annotations

import argparse
from fnmatch import fnmatchcase
from pathlib import Path

from modelarrayio_bids.derivatives.bids.output_names import require_stores
from modelarrayio_bids.errors import NoMatchError


def wanted_stores(options: argparse.Namespace) -> list[Path]:
    """Return the HDF5 files of an output folder, those of ``--scalars`` if it is given.

    Raises
    ------
    SourceNotFoundError
        If there is no HDF5 file.
    NoMatchError
        If no scalar is among those wanted.
    """
    stores = require_stores(options.output_dir)
    patterns = options.scalars or ['*']
    wanted = [
        store for store in stores if any(fnmatchcase(store.parent.name, each) for each in patterns)
    ]
    if not wanted:
        held = ', '.join(sorted({store.parent.name for store in stores}))
        raise NoMatchError(
            f'holds no scalar {" or ".join(options.scalars)}',
            options.output_dir,
            f'Scalars it holds: {held}.',
        )
    return wanted
