"""Files that the package ships in ``data``: tables of knowledge, schemas, templates."""

from __future__ import annotations

import functools
import json
import tomllib
from importlib.resources import files
from typing import Any


def data_text(*names: str) -> str:
    """Return the text of a file, by its path in ``data``."""
    return files('modelarrayio_bids').joinpath('data', *names).read_text('utf-8')


@functools.cache
def data_table(name: str) -> Any:
    """Return the content of a TOML or JSON file in ``data``; callers must not change it.

    >>> data_table('bids_names.toml')['aliases']['acquisition']
    'acq'
    """
    return (tomllib if name.endswith('.toml') else json).loads(data_text(name))
