"""pybids, loaded so that settings of its own do not matter.

It reads ``pybids_config.json`` in the home folder, and ends with a traceback where that folder may
not be entered (on compute nodes, say), or does not exist, or the file is damaged. Nothing here
depends on its settings.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from modelarrayio_bids.errors import FormatError


@contextmanager
def _without_home() -> Iterator[None]:
    """Have no file in the home folder."""
    before = os.environ.get('HOME')
    os.environ['HOME'] = os.devnull
    try:
        yield
    finally:
        del os.environ['HOME']
        if before is not None:
            os.environ['HOME'] = before


try:
    with _without_home():
        from bids.layout import Config, parse_file_entities
except (OSError, ValueError) as error:
    raise FormatError(
        f'pybids cannot read its settings ({error})',
        'pybids_config.json',
        'Fix this file in the working folder, or the one that PYBIDS_CONFIG names.',
    ) from error

__all__ = ['Config', 'parse_file_entities']
