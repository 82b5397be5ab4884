"""Groups of rows, and sums over them at every element."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from modelarrayio_bids.models.reml import Products


class Grouping:
    """Groups of the rows of a model.

    Parameters
    ----------
    codes : numpy.ndarray
        (n,) int: the group of each row, 0 to n_groups - 1, each with a row.
    """

    def __init__(self, codes: np.ndarray) -> None:
        self.sizes = np.bincount(codes)
        self._order = np.argsort(codes, kind='stable')
        self._starts = np.cumsum(self.sizes) - self.sizes

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Return the sum over the rows of each group: (n, k) to (n_groups, k)."""
        return np.add.reduceat(values[self._order], self._starts, axis=0)

    def classes(self, sizes: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Divide groups into classes, of one size each if these are fewer than groups.

        Parameters
        ----------
        sizes : numpy.ndarray
            (n_groups, k) rows of each group at each element; k may be 1.

        Yields
        ------
        size : numpy.ndarray
            (k,) or (1,) rows of a group of the class.
        members : numpy.ndarray
            (n_groups, k) bool, or (n_groups, 1).
        """
        occurring = np.unique(sizes[sizes > 0])
        if len(occurring) <= len(sizes):
            for size in occurring:
                yield np.array([size]), sizes == size
        else:
            for group, size in enumerate(sizes):
                members = np.zeros((len(sizes), 1), bool)
                members[group] = True
                yield size, members

    def products(
        self,
        columns: Sequence[np.ndarray],
        gram: np.ndarray,
        residuals: np.ndarray,
        present: np.ndarray | None,
        rank: np.ndarray | int,
    ) -> Products:
        """Return what the likelihood is made of.

        Parameters
        ----------
        columns : sequence of numpy.ndarray
            Column of each coordinate, (n, k), or (n, 1) if all elements share it; 0 where a
            row is missing.
        gram : numpy.ndarray
            (p, p, k) or (p, p, 1): products of the columns.
        residuals : numpy.ndarray
            (n, k) what is left of the response, 0 where a row is missing.
        present : numpy.ndarray or None
            (n, k) float64, 1 for the rows that an element has; None if it has all.
        rank : numpy.ndarray or int
            (k,) independent columns.
        """
        n_rows, k = residuals.shape
        sizes = self.sizes[:, None] if present is None else self.sums(present)
        sums = [self.sums(column) for column in columns]
        own = self.sums(residuals)
        n = np.full(k, n_rows) if present is None else sizes.sum(axis=0)
        classes = [*self.classes(sizes)]
        return Products(
            df=n - rank,
            gram=gram,
            moments=np.array([_products(column, residuals) for column in columns]),
            squares=_products(residuals, residuals),
            sizes=_stacked([size for size, _ in classes]),
            counts=_stacked([members.sum(axis=0) for _, members in classes]),
            gram_sums=np.array([_grams(sums, members) for _, members in classes]),
            moment_sums=np.array([
                [_products(column * members, own) for column in sums] for _, members in classes
            ]),
            square_sums=np.array([_products(own * members, own) for _, members in classes]),
        )  # fmt: skip


def _grams(sums: Sequence[np.ndarray], members: np.ndarray) -> np.ndarray:
    """Return products of the sums of columns over some groups, (p, p, k)."""
    p = len(sums)
    width = max(members.shape[1], *(column.shape[1] for column in sums))
    found = np.empty((p, p, width))
    for i, column in enumerate(sums):
        some = column * members
        for j in range(i + 1):
            found[i, j] = found[j, i] = _products(some, sums[j])
    return found


def _products(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return sums of products over rows, (k,); (1,) if neither differs by element."""
    if one.shape[1] == 1:
        return (one.T @ other)[0]
    return np.einsum('nk,nk->k', one, np.broadcast_to(other, one.shape))


def _stacked(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Return rows (k,) or (1,) as an array, (c, k) or (c, 1)."""
    width = max(len(row) for row in rows)
    return np.array([np.broadcast_to(row, width) for row in rows], np.float64)
