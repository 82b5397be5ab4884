"""Lists, numbers and amounts, as a message says them."""

from __future__ import annotations

from collections.abc import Iterable


def some(names: Iterable[object], most: int = 5) -> str:
    """The first few names, and how many more there are.

    >>> some(['a', 'b', 'c'], most=2)
    'a, b and 1 more'
    """
    shown = list(map(str, names))
    more = f' and {len(shown) - most} more' if len(shown) > most else ''
    return ', '.join(shown[:most]) + more


def count(number: int, noun: str) -> str:
    """So many of something.

    >>> count(1, 'image'), count(1200, 'HDF5 file'), count(0, 'analysis')
    ('1 image', '1,200 HDF5 files', '0 analyses')
    """
    if number != 1:
        noun = f'{noun.removesuffix("is")}es' if noun.endswith('sis') else f'{noun}s'
    return f'{number:,} {noun}'


def amount(n_bytes: int) -> str:
    """Bytes, to one digit after the point.

    >>> amount(2_340_000_000), amount(81_000)
    ('2.3 GB', '0.1 MB')
    """
    unit, name = (10**9, 'GB') if n_bytes >= 10**9 else (10**6, 'MB')
    return f'{n_bytes / unit:,.1f} {name}'
