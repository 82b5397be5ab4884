"""The choice of a map, in files that may hold several."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike

from modelarrayio_bids.errors import FormatError

_MOST_LISTED = 12


def map_position(names: Sequence[str], choice: str | None, path: str | PathLike[str]) -> int:
    """Return the position of the map to read, counted from 0.

    Parameters
    ----------
    names : sequence of str
        Names of the maps in the file.
    choice : str or None
        A name or, where no map has that name, a number counted from 1. None takes the only map.
    path : path-like
        The file, for an error to name.

    Raises
    ------
    FormatError
        If that is none of the maps, or several. Their names are listed.

    Examples
    --------
    >>> map_position(['mean', 'sd'], 'sd', 'x'), map_position(['mean', 'sd'], '1', 'x')
    (1, 0)
    """
    positions = [index for index, name in enumerate(names) if name == choice]
    if choice is None:
        positions = list(range(len(names)))
    elif not positions and choice.isdecimal() and 0 < int(choice) <= len(names):
        positions = [int(choice) - 1]
    if len(positions) != 1:
        raise _no_one_map(path, names, choice, len(positions))
    return positions[0]


def _no_one_map(
    path: str | PathLike[str], names: Sequence[str], choice: str | None, n_chosen: int
) -> FormatError:
    listed = ', '.join(
        f'{number} {name!r}' for number, name in enumerate(names[:_MOST_LISTED], start=1)
    )
    if len(names) > _MOST_LISTED:
        listed += f' and {len(names) - _MOST_LISTED} more'
    if choice is None:
        what = f'holds {len(names)} maps, expected one'
    elif n_chosen:
        what = f'holds {n_chosen} maps named {choice!r}'
    else:
        what = f'holds no map {choice!r}'
    return FormatError(f'{what} ({listed})', path, 'Choose one with --map, by name or number.')
