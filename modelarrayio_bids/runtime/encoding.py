"""Names of files that are not UTF-8: HDF5, JSON and CSV cannot hold them, which is an error."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from modelarrayio_bids.errors import UsageError

_WHAT = 'holds bytes that are not UTF-8, which tables and HDF5 files cannot hold'
_REMEDY = 'Rename it, or give another path.'
# Characters that end a path within other text.
_END = re.compile(r'["\'\n\t,]|: ')


def require_utf8(value: Any) -> None:
    r"""Refuse a path or a text with bytes that are not UTF-8, or in the folder a path starts from.

    Other values are passed over; of lists and tuples every item is looked at.

    Raises
    ------
    UsageError
        With those bytes as ``\xe9``.

    Examples
    --------
    >>> require_utf8([Path('données'), 3])
    >>> require_utf8(Path('/data/donn\udce9es'))
    Traceback (most recent call last):
    modelarrayio_bids.errors.UsageError: /data/donn\xe9es: holds bytes that are not UTF-8, ...
    """
    if isinstance(value, list | tuple):
        for item in value:
            require_utf8(item)
    elif isinstance(value, str | Path):
        text = str(value.absolute() if isinstance(value, Path) else value)
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise UsageError(_WHAT, _shown(text), _REMEDY) from error


def refusal(error: UnicodeEncodeError) -> UsageError:
    """Return what to say of a name that was found to be no UTF-8 when it was to be written."""
    before, after = error.object[: error.start], error.object[error.start :]
    path = _END.split(before)[-1] + _END.split(after)[0]
    return UsageError(_WHAT, _shown(path), _REMEDY)


def _shown(text: str) -> str:
    try:
        return text.encode(errors='surrogateescape').decode(errors='backslashreplace')
    except UnicodeEncodeError:  # no byte of a path, as JSON may have them
        return text.encode(errors='backslashreplace').decode()
