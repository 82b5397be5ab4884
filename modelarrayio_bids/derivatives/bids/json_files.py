"""JSON files: sidecars and descriptions, ours and other people's."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from modelarrayio_bids.errors import FormatError
from modelarrayio_bids.formats.delimited_text import read_text
from modelarrayio_bids.runtime.atomic import replacing
from modelarrayio_bids.runtime.locations import is_there


def parse_file(
    path: Path, parse: Callable[[str], Any], form: str, remedy: str = 'Check the file.'
) -> Any:
    """Read a text file with a parser of a form such as TOML.

    Raises
    ------
    SourceNotFoundError
        If there is no such file, or it cannot be read.
    FormatError
        If it is not of that form.
    """
    text, _ = read_text(path)
    try:
        return parse(text)
    except RecursionError as error:
        what = f'is not {form} that can be read (it is nested too deep)'
        raise FormatError(what, path, remedy) from error
    except ValueError as error:
        raise FormatError(f'is not {form} ({error})', path, remedy) from error


def parse_json(path: Path) -> Any:
    """Read a JSON file that holds anything; errors as :func:`parse_file`."""
    return parse_file(path, json.loads, 'JSON')


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds an object; nothing where there is no file.

    Raises
    ------
    SourceNotFoundError
        If it is a link whose content is not here.
    FormatError
        If it cannot be read, is not JSON, or holds something else.
    """
    if not is_there(path):
        return {}
    content = parse_json(path)
    if not isinstance(content, dict):
        raise FormatError('is not a JSON object', path, 'Fix it, or remove it.')
    return content


def write_json(content: Mapping[str, Any], path: Path) -> None:
    """Write a sidecar, whole or not at all."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(content, indent=2, ensure_ascii=False) + '\n', 'utf-8')
