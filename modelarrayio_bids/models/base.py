"""The contract of a model that is fitted at every element.

A model takes blocks of elements and returns a column of results for each name in ``columns``.
Blocks are independent: results do not depend on how elements are divided, so threads and machines
can share them. What needs all elements, the adjustment of p values, is done once at the end
(:func:`adjusted`).

A new kind of model is a class with these attributes in a file of its own.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from modelarrayio_bids.errors import UsageError
from modelarrayio_bids.models.adjustment import p_adjust
from modelarrayio_bids.runtime.parallel import one_blas_thread, ordered_map

ELEMENT_ID = 'element_id'


class Outcome(enum.IntEnum):
    """How the fit at an element ended."""

    FITTED = 0
    TOO_FEW_IMAGES = 1
    CONSTANT_RESPONSE = 2
    NO_RESIDUAL_DF = 3
    #: Fitted, but some coefficients are not estimable from the images the element has.
    NOT_ALL_ESTIMABLE = 4


#: How each outcome is reported.
REASONS = {
    Outcome.TOO_FEW_IMAGES: 'too few images',
    Outcome.CONSTANT_RESPONSE: 'constant response',
    Outcome.NO_RESIDUAL_DF: 'no residual degrees of freedom',
    Outcome.NOT_ALL_ESTIMABLE: 'some coefficients not estimable',
}


@dataclass(frozen=True, eq=False)
class BlockFit:
    """Results of a block of elements.

    Parameters
    ----------
    values : numpy.ndarray
        (n_columns, n_elements) float64, a row for each of the model's ``columns``.
    outcomes : numpy.ndarray
        (n_elements,) uint8: an :class:`Outcome` each.
    """

    values: np.ndarray
    outcomes: np.ndarray


class ElementwiseModel(Protocol):
    """A model that is fitted at each element on its own."""

    #: Names of the results, as ModelArray writes them, without ``element_id`` and corrections.
    columns: tuple[str, ...]
    #: Which columns are adjusted for the number of elements, and by which method.
    corrections: tuple[tuple[str, str], ...]
    #: Scalars of the file that stand on the right-hand side.
    scalars: tuple[str, ...]

    def fit(self, responses: np.ndarray, scalars: Mapping[str, np.ndarray]) -> BlockFit:
        """Fit a block of elements.

        Parameters
        ----------
        responses : numpy.ndarray
            (n_table_rows, n_elements), of any float type; what is not finite is missing.
        scalars : mapping
            For each of ``self.scalars`` an array of the same shape.
        """


def result_names(model: ElementwiseModel) -> tuple[str, ...]:
    """Return the names of all results in the order of the file: element, raw, then corrected."""
    return (ELEMENT_ID, *model.columns, *(f'{raw}.{how}' for raw, how in model.corrections))


def adjusted(model: ElementwiseModel, values: np.ndarray) -> np.ndarray:
    """Adjust p values over all elements.

    Parameters
    ----------
    values : numpy.ndarray
        (n_columns, n_elements), as :meth:`ElementwiseModel.fit` returns them.

    Returns
    -------
    numpy.ndarray
        (n_corrections, n_elements) float64.
    """
    rows = [p_adjust(values[model.columns.index(raw)], how) for raw, how in model.corrections]
    return np.array(rows).reshape(len(rows), values.shape[1])


def fit_all(
    model: ElementwiseModel,
    responses: np.ndarray,
    scalars: Mapping[str, np.ndarray] | None = None,
    *,
    threads: int = 1,
    block: int = 2048,
) -> tuple[np.ndarray, np.ndarray]:
    """Fit all elements of a matrix in memory.

    Parameters
    ----------
    responses : numpy.ndarray
        (n_table_rows, n_elements).
    scalars : mapping, optional
        Arrays of that shape for the scalars on the right-hand side.
    threads : int
        Blocks fitted at the same time.
    block : int
        Elements in a block.

    Returns
    -------
    values : numpy.ndarray
        (n_results, n_elements) float64: a row for each of :func:`result_names`.
    outcomes : numpy.ndarray
        (n_elements,) uint8: an :class:`Outcome` each.
    """
    n_elements = responses.shape[1]
    n_raw = len(model.columns)
    values = np.empty((1 + n_raw + len(model.corrections), n_elements))
    outcomes = np.empty(n_elements, np.uint8)
    values[0] = np.arange(n_elements)

    def fit(part: slice) -> None:
        mine = {name: array[:, part] for name, array in (scalars or {}).items()}
        found = model.fit(responses[:, part], mine)
        values[1 : 1 + n_raw, part] = found.values
        outcomes[part] = found.outcomes

    with one_blas_thread():
        for _ in ordered_map(fit, _parts(n_elements, block), threads):
            pass
    values[1 + n_raw :] = adjusted(model, values[1 : 1 + n_raw])
    return values, outcomes


def counted(outcomes: np.ndarray) -> dict[str, int]:
    """Return how many elements were not fitted, or not wholly, by reason.

    >>> counted(np.array([0, 1, 1, 2], np.uint8))
    {'too few images': 2, 'constant response': 1}
    """
    counts = np.bincount(outcomes, minlength=len(Outcome))
    return {reason: int(counts[outcome]) for outcome, reason in REASONS.items() if counts[outcome]}


def _parts(length: int, step: int) -> Iterator[slice]:
    return (slice(start, min(start + step, length)) for start in range(0, length, step))


def checked_choice(given: Sequence[str], known: Sequence[str], option: str) -> tuple[str, ...]:
    """Return the chosen names, each once.

    Raises
    ------
    UsageError
        If one is not known; the known ones are listed.
    """
    unknown = [name for name in given if name not in known]
    if unknown:
        raise UsageError(
            f'{option}: {", ".join(map(repr, unknown))} is not known',
            remedy=f'Choose among {", ".join(known)}.',
        )
    return tuple(dict.fromkeys(given))
