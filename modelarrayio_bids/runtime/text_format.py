"""Lists, numbers and amounts, as a message says them."""

from __future__ import annotations

from collections.abc import Iterable


def some(names: Iterable[object], most: int = 5, total: int | None = None) -> str:
    """Return the first few names, and how many more there are.

    Parameters
    ----------
    names : iterable
        The names: all, or the first few of ``total``.
    most : int, optional
        Number of items to show.
    total : int, optional
        Number of all items.

    Examples
    --------
    >>> some(['a', 'b', 'c'], most=2), some(['a', 'b'], most=2, total=9)
    ('a, b and 1 more', 'a, b and 7 more')
    """
    shown = list(map(str, names))
    total = len(shown) if total is None else total
    more = f' and {total - most} more' if total > most else ''
    return ', '.join(shown[:most]) + more


def count(number: int, noun: str) -> str:
    """Say how many of something there are.

    >>> count(1, 'image'), count(1200, 'HDF5 file'), count(0, 'analysis')
    ('1 image', '1,200 HDF5 files', '0 analyses')
    """
    if number != 1:
        noun = f'{noun.removesuffix("is")}es' if noun.endswith('sis') else f'{noun}s'
    return f'{number:,} {noun}'


def amount(n_bytes: int) -> str:
    """Say bytes in powers of 1000, as disks have them, to one digit after the point.

    >>> amount(2_340_000_000), amount(81_000), amount(1_000), amount(700), amount(1)
    ('2.3 GB', '81.0 kB', '1.0 kB', '700 bytes', '1 byte')
    """
    for unit, name in ((10**9, 'GB'), (10**6, 'MB'), (10**3, 'kB')):
        if n_bytes >= unit:
            return f'{n_bytes / unit:,.1f} {name}'
    return count(n_bytes, 'byte')


def by(counts: Iterable[int]) -> str:
    """Return the shape of an image or a matrix.

    >>> by((91, 109, 1))
    '91 × 109 × 1'
    """
    return ' × '.join(map(str, counts))
