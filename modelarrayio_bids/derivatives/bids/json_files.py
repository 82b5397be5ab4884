"""JSON files: sidecars and descriptions, ours and other people's."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelarrayio_bids.errors import FormatError, ModelArrayIOError
from modelarrayio_bids.formats.pointers import absence_error, pointer_error
from modelarrayio_bids.runtime.atomic import replacing


def parse_json(path: Path) -> Any:
    """Read a JSON file, whatever it holds.

    Raises
    ------
    SourceNotFoundError
        If there is no such file.
    FormatError
        If it cannot be read, or is not JSON in UTF-8.
    """
    try:
        data = path.read_bytes()
        if elsewhere := pointer_error(data, path):
            raise elsewhere
        return json.loads(data.decode('utf-8-sig'))
    except ModelArrayIOError:
        raise
    except FileNotFoundError as error:
        raise absence_error(path) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise FormatError(f'cannot be read ({reason})', path, 'Check its permissions.') from error
    except UnicodeDecodeError as error:
        raise FormatError(f'is not UTF-8 ({error})', path, 'Save it as UTF-8.') from error
    except RecursionError as error:
        what = 'is not JSON that can be read (it is nested too deep)'
        raise FormatError(what, path, 'Check the file.') from error
    except ValueError as error:
        raise FormatError(f'is not JSON ({error})', path, 'Check the file.') from error


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds an object; nothing where there is no file.

    Raises
    ------
    SourceNotFoundError
        If it is a link whose content is not here.
    FormatError
        If it cannot be read, is not JSON, or holds something else.
    """
    if not os.path.lexists(path):
        return {}
    content = parse_json(path)
    if not isinstance(content, dict):
        raise FormatError('should be a JSON object', path, 'Fix it, or remove it.')
    return content


def write_json(content: Mapping[str, Any], path: Path) -> None:
    """Write a sidecar, whole or not at all."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(content, indent=2, ensure_ascii=False) + '\n', 'utf-8')
