"""Responses of a block of elements, and the elements that can be fitted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from modelarrayio_bids.models.base import Outcome


@dataclass(frozen=True, eq=False)
class Responses:
    """Responses of k elements in the n rows of a model.

    Parameters
    ----------
    values : numpy.ndarray
        (n, k) float64, the offset taken off; 0 where missing.
    present : numpy.ndarray or None
        (n, k) bool; None if nothing is missing.
    scalars : mapping
        (n, k) float64 of each scalar on the right-hand side; where a row is missing, the mean of
        those that are there.
    """

    values: np.ndarray
    present: np.ndarray | None
    scalars: Mapping[str, np.ndarray]

    @classmethod
    def empty(cls, n_rows: int, scalars: Iterable[str]) -> Responses:
        """Return a block of no elements: what is computed of it are names."""
        nothing = np.empty((n_rows, 0))
        return cls(nothing, None, dict.fromkeys(scalars, nothing))

    @property
    def there(self) -> np.ndarray:
        """(n, k) float64: 1 where a row has a value, 0 elsewhere."""
        if self.present is None:
            return np.ones(self.values.shape)
        return self.present.astype(np.float64)

    @property
    def n(self) -> np.ndarray:
        """(k,) Number of rows with a value at each element."""
        if self.present is None:
            return np.full(self.values.shape[1], len(self.values))
        return column_counts(self.present)

    def select(self, elements: np.ndarray) -> Responses:
        """Return those of some elements."""
        if len(elements) == self.values.shape[1]:
            return self
        present = None if self.present is None else self.present[:, elements]
        if present is not None and present.all():
            present = None
        scalars = {name: values[:, elements] for name, values in self.scalars.items()}
        return Responses(self.values[:, elements], present, scalars)


def read_responses(
    responses: np.ndarray,
    scalars: Mapping[str, np.ndarray],
    rows: np.ndarray,
    offset: np.ndarray | None,
    fewest: float,
) -> tuple[Responses, np.ndarray]:
    """Return the responses of a model's rows, and the outcome of elements that cannot be fitted.

    Parameters
    ----------
    responses : numpy.ndarray
        (n_table_rows, k) of any float type.
    scalars : mapping
        Arrays of that shape.
    rows : numpy.ndarray
        (n,) int: the rows of the table that are in the model.
    offset : numpy.ndarray or None
        (n,) float64.
    fewest : float
        More images than this have to be finite, of all in the table.

    Returns
    -------
    responses : Responses
    outcomes : numpy.ndarray
        (k,) uint8.
    """
    outcomes = np.full(responses.shape[1], Outcome.FITTED, np.uint8)
    finite = np.isfinite(responses)
    for values in scalars.values():
        finite &= np.isfinite(values)
    everywhere = bool(finite.all())
    n_finite = np.array([len(finite)]) if everywhere else column_counts(finite)
    enough = np.broadcast_to(n_finite > fewest, outcomes.shape)
    present = None if everywhere else _taken(finite, rows)
    values = _taken(responses, rows).astype(np.float64)
    if offset is not None:
        values -= offset[:, None]
    missing = False if present is None else ~present
    np.copyto(values, np.nan, where=missing)
    with np.errstate(invalid='ignore'):
        constant = np.fmax.reduce(values) == np.fmin.reduce(values)
    outcomes[constant] = Outcome.CONSTANT_RESPONSE
    if present is not None:
        enough = enough & present.any(axis=0)
    outcomes[~enough] = Outcome.TOO_FEW_IMAGES
    np.copyto(values, 0, where=missing)
    own = {name: _filled(_taken(array, rows), present) for name, array in scalars.items()}
    return Responses(values, present, own), outcomes


def column_counts(mask: np.ndarray) -> np.ndarray:
    """Return how many of each column are true, (k,)."""
    # Bytes, 255 rows at a time: far faster than the sum of booleans.
    counts = np.zeros(mask.shape[1], np.int64)
    for start in range(0, len(mask), 255):
        counts += np.add.reduce(mask[start : start + 255].view(np.uint8), axis=0, dtype=np.uint8)
    return counts


def _taken(array: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return some rows, without a copy if these are all."""
    return array if len(rows) == len(array) else array[rows]


def _filled(values: np.ndarray, present: np.ndarray | None) -> np.ndarray:
    """Return float64 values with the mean of the others where they are missing."""
    values = values.astype(np.float64)
    if present is None:
        return values
    np.copyto(values, 0, where=~present)
    counts = np.maximum(column_counts(present), 1)
    return np.where(present, values, values.sum(axis=0) / counts)
