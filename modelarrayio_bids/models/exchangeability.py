"""Permutations and sign flips of images with exchangeable errors.

Without blocks, errors of all images are exchangeable. Blocks of exchangeability say less (Winkler
et al., "Permutation inference for the general linear model", 2014, and "Multi-level block
permutation", 2015): images change places within their block, blocks change places as wholes with
others of their size, or both. Sign flips ask for errors that are symmetric about zero instead.

>>> blocks = np.array([0, 0, 1, 1])
>>> shuffling = Shuffling(blocks, within=False, whole=True)
>>> made = labellings(np.array([[0.0], [1.0], [2.0], [3.0]]), shuffling, number=5000, seed=0)
>>> made.order.tolist(), made.is_exact
([[0, 1, 2, 3], [2, 3, 0, 1]], True)
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, product
from typing import TypeVar

import numpy as np

from modelarrayio_bids.errors import UsageError

Item = TypeVar('Item', bound=Hashable)

# Labellings whose random numbers are drawn at a time.
_DRAWN = 256


@dataclass(frozen=True, eq=False)
class Shuffling:
    """Rearrangement of images: within blocks, of blocks as wholes, or both.

    Parameters
    ----------
    blocks : numpy.ndarray
        (n,) int: the block of each image, counted from 0.
    within, whole : bool
        Permute images within their blocks, and whole blocks with other blocks that have the same
        number of images. The first image of a block takes the place of the first of another
        one, and so on.
    """

    blocks: np.ndarray
    within: bool = True
    whole: bool = False

    def require_places(self) -> None:
        """Refuse blocks whose images, or that themselves, cannot change places.

        Raises
        ------
        UsageError
            With the ways out.
        """
        sizes = np.bincount(self.blocks)
        if self.n_fixed < len(self.blocks):
            return
        if not self.whole:
            raise UsageError(
                'each block is a single image, so nothing can be permuted within blocks',
                remedy='Leave the blocks out, or name another column.',
            )
        if len(sizes) == 1:
            raise UsageError(
                'there is only one block, so blocks cannot be permuted',
                remedy='Shuffle within it, or name another column.',
            )
        raise UsageError(
            f'no two blocks have the same number of images ({sizes.min()} to {sizes.max()}), so '
            'whole blocks cannot be permuted',
            remedy='Shuffle within blocks, or name another column.',
        )

    @property
    def n_fixed(self) -> int:
        """Number of images that no permutation moves."""
        sizes = np.bincount(self.blocks)
        alone = [members[0] for members in self.peers if len(members) == 1]
        return sum(int(sizes[block]) for block in alone if sizes[block] == 1 or not self.within)

    @property
    def peers(self) -> list[np.ndarray]:
        """Blocks of equal size, which may be exchanged with each other."""
        sizes = np.bincount(self.blocks)
        if not self.whole:
            return list(np.arange(len(sizes))[:, None])
        return [np.flatnonzero(sizes == size) for size in np.unique(sizes)]

    def require_flips(self) -> None:
        """Refuse a block of all images whose signs flip together, which changes no statistic.

        Raises
        ------
        UsageError
            With the ways out.
        """
        if not self.within and self.n_blocks == 1:
            raise UsageError(
                'there is only one block, and flipping all its signs does not change |t|',
                remedy='Leave the blocks out, or name another column.',
            )

    @property
    def n_blocks(self) -> int:
        """Number of blocks: 1 if all images are exchangeable."""
        return int(self.blocks.max()) + 1

    @property
    def name(self) -> str:
        """``within``, ``whole`` or ``both``; blank without blocks."""
        if self.n_blocks == 1:
            return ''
        return 'both' if self.within and self.whole else 'whole' if self.whole else 'within'

    def described(self) -> str:
        """Describe the blocks, to stand behind a number of labellings."""
        words = {'within': 'within', 'whole': 'of', 'both': 'within and of'}
        return f' {words[self.name]} {self.n_blocks:,} blocks' if self.name else ''

    @property
    def places(self) -> list[np.ndarray]:
        """Rows of each block."""
        order = np.argsort(self.blocks, kind='stable')
        return np.split(order, np.cumsum(np.bincount(self.blocks))[:-1])

    def moves(self, columns: np.ndarray) -> bool:
        """Return whether any rearrangement changes columns of a design, (n, p)."""
        rows = [columns[place] for place in self.places]
        if self.within and any((part != part[0]).any() for part in rows):
            return True
        return any((rows[block] != rows[peers[0]]).any() for peers in self.peers for block in peers)


@dataclass(frozen=True, eq=False)
class Labellings:
    """Labellings of a sample; the first one is the original.

    Parameters
    ----------
    shuffling : Shuffling
        Permutations that are allowed.
    order : numpy.ndarray
        (n_labellings, n) int32: which row of the design each image is set against.
    signs : numpy.ndarray or None
        (n_labellings, n) int8: 1 or -1 for each image; None without flips.
    is_exact : bool
        True if these are all permutations.
    """

    shuffling: Shuffling
    order: np.ndarray
    signs: np.ndarray | None = None
    is_exact: bool = False

    def __len__(self) -> int:
        return len(self.order)

    @property
    def n_fixed(self) -> int:
        """Number of images that no labelling changes."""
        return self.shuffling.n_fixed if self.signs is None else 0

    @property
    def nbytes(self) -> int:
        """Memory of the permutations in bytes."""
        return self.order.nbytes + (0 if self.signs is None else self.signs.nbytes)

    def moved(self, matrix: np.ndarray, part: slice) -> np.ndarray:
        """Return the rows of a matrix (n, p) as some labellings have them, (m, n, p)."""
        found = matrix[self.order[part]]
        return found if self.signs is None else found * self.signs[part, :, None]


def labellings(matrix: np.ndarray, shuffling: Shuffling, *, number: int, seed: int) -> Labellings:
    """Permute images: all permutations that differ, if they are few, or random ones.

    Parameters
    ----------
    matrix : numpy.ndarray
        (n, p) the design. Images with equal rows need not change places with each other.
    shuffling : Shuffling
        Permutations that are allowed.
    number : int
        Labellings, the unpermuted one included.
    seed : int
        Seed of the random numbers.

    Returns
    -------
    Labellings
        At most ``number``; of one seed, fewer are the first ones of more.
    """
    sample = _Classes.of(matrix, shuffling)
    if sample.n_arrangements <= number:
        return Labellings(shuffling, sample.arrangements(), is_exact=True)
    order = np.tile(np.arange(len(matrix), dtype=np.int32), (number, 1))
    n_blocks = len(shuffling.places)
    for first, keys in _random(seed, number, len(matrix) + n_blocks):
        order[first : first + len(keys)] = _shuffled(shuffling, keys[:, n_blocks:], keys)
    return Labellings(shuffling, order)


def sign_flips(matrix: np.ndarray, shuffling: Shuffling, *, number: int, seed: int) -> Labellings:
    """Flip signs of images: in all ways, if these are few, or in random ones.

    Images of a block flip together where blocks are not shuffled within. See :func:`labellings`.
    """
    n = len(matrix)
    units = np.arange(n) if shuffling.within else shuffling.blocks
    n_units = int(units.max()) + 1
    if exact := 2**n_units <= number:
        flips = np.array(list(product((1, -1), repeat=n_units)), np.int8)
    else:
        flips = np.ones((number, n_units), np.int8)
        for first, keys in _random(seed, number, n_units):
            flips[first : first + len(keys)] = np.where(keys < 0.5, -1, 1)
    order = np.tile(np.arange(n, dtype=np.int32), (len(flips), 1))
    return Labellings(shuffling, order, flips[:, units], exact)


def _random(seed: int, number: int, width: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield random numbers for all labellings but the first: its number, and (m, width)."""
    generator = np.random.Generator(np.random.PCG64(seed))
    for first in range(1, number, _DRAWN):
        yield first, generator.random((min(_DRAWN, number - first), width))


def _shuffled(shuffling: Shuffling, keys: np.ndarray, block_keys: np.ndarray) -> np.ndarray:
    """Return the order that random keys make, (m, n): of rows in blocks, and of the blocks."""
    places = shuffling.places
    order = np.empty(keys.shape, np.int32)
    for peers in shuffling.peers:
        table = np.stack([places[block] for block in peers])
        to = np.argsort(block_keys[:, peers], axis=1)
        for number, rows in enumerate(table):
            taken = table[to[:, number]]
            if shuffling.within:
                taken = np.take_along_axis(taken, np.argsort(keys[:, rows], axis=1), axis=1)
            order[:, rows] = taken
    return order


@dataclass(frozen=True, eq=False)
class _Classes:
    """Rows of a design, those that are equal in one class.

    Parameters
    ----------
    rows : numpy.ndarray
        (n_classes,) int: a row of each class.
    contents : list of tuple
        For each block the classes of its rows.
    shuffling : Shuffling
        Permutations that are allowed.
    """

    rows: np.ndarray
    contents: list[tuple[int, ...]]
    shuffling: Shuffling

    @classmethod
    def of(cls, matrix: np.ndarray, shuffling: Shuffling) -> _Classes:
        # Adding 0 makes negative zeros equal to others.
        _, rows, classes = np.unique(matrix + 0.0, axis=0, return_index=True, return_inverse=True)
        classes = classes.ravel()
        return cls(rows, [tuple(classes[place].tolist()) for place in shuffling.places], shuffling)

    @property
    def n_arrangements(self) -> int:
        number = math.prod(map(_n_arrangements, self._among_peers()))
        if self.shuffling.within:
            number *= math.prod(map(_n_arrangements, self.contents))
        return number

    def arrangements(self) -> np.ndarray:
        """Return all that differ, (n_arrangements, n) int32, the identity first."""
        order = np.empty((self.n_arrangements, len(self.shuffling.blocks)), np.int32)
        where = np.concatenate(self.shuffling.places)
        first = tuple(item for content in self.contents for item in content)
        number = 0
        for arranged in self._all():
            if arranged != first:
                number += 1
                order[number, where] = self.rows[list(arranged)]
        order[0] = np.arange(order.shape[1])
        return order

    def _all(self) -> Iterator[tuple[int, ...]]:
        back = np.argsort(np.concatenate(self.shuffling.peers))
        for contents in product(*map(_arrangements, self._among_peers())):
            of_blocks = list(chain.from_iterable(contents))
            placed = [of_blocks[place] for place in back]
            ways = product(*map(_arrangements, placed)) if self.shuffling.within else [placed]
            for chosen in ways:
                yield tuple(chain.from_iterable(chosen))

    def _among_peers(self) -> list[list[tuple[int, ...]]]:
        """Return the contents of blocks that may change places with each other."""
        contents = self.contents
        if self.shuffling.within and self.shuffling.whole:
            # Blocks whose rows change places too are told apart by what they hold, in any order.
            contents = [tuple(sorted(content)) for content in contents]
        return [[contents[block] for block in peers] for peers in self.shuffling.peers]


def _n_arrangements(items: Sequence[Hashable]) -> int:
    """Return in how many ways items can be arranged, equal ones not told apart.

    >>> _n_arrangements('aab')
    3
    """
    alike = math.prod(math.factorial(n) for n in Counter(items).values())
    return math.factorial(len(items)) // alike


def _arrangements(items: Sequence[Item]) -> Iterator[tuple[Item, ...]]:
    """Yield all arrangements, equal items not told apart.

    >>> [''.join(letters) for letters in _arrangements('aab')]
    ['aab', 'aba', 'baa']
    """
    if not items:
        yield ()
    for item in dict.fromkeys(items):
        rest = list(items)
        rest.remove(item)
        for others in _arrangements(rest):
            yield item, *others
