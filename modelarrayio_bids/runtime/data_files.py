"""Files that the package ships in ``data``: tables of knowledge, schemas, templates."""

from __future__ import annotations

import functools
import json
import tomllib
from collections.abc import Callable
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment


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


def templates(folder: str = '', /, **filters: Callable[..., Any]) -> Environment:
    """Return the templates in a folder of ``data``: only those of ``.html`` escape their values.

    Parameters
    ----------
    folder : str, optional
        Path in ``data``.
    **filters : callable
        Functions that templates may call, by name.
    """
    from jinja2 import (  # noqa: PLC0415 - of the commands, few make texts of templates
        Environment,
        PackageLoader,
        StrictUndefined,
        select_autoescape,
    )

    environment = Environment(
        loader=PackageLoader('modelarrayio_bids', f'data/{folder}'.rstrip('/')),
        autoescape=select_autoescape(['html']),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= filters
    return environment
