"""The design of a fitted model, rebuilt from its cohort: columns, collinearity, images.

>>> columns = np.array([[1.0, 5], [2, 3], [3, 4], [4, 1]])
>>> variance_inflation(columns, centred=True).round(2).tolist()  # 1 / (1 - 0.83²), twice
[3.24, 3.24]
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from modelarrayio_bids.errors import ModelArrayIOError
from modelarrayio_bids.models.design import INTERCEPT
from modelarrayio_bids.models.options import ModelOptions
from modelarrayio_bids.results.fsl_design import FSLDesign
from modelarrayio_bids.results.model_facts import ModelFacts
from modelarrayio_bids.results.model_fit import ModelFit


@dataclass(frozen=True, eq=False)
class DesignFindings:
    """The columns of a model that are the same at all elements, and the images behind its rows.

    Parameters
    ----------
    names : tuple of str
        Names of the columns.
    matrix : numpy.ndarray
        (n_rows, n_columns) float64.
    aliased : frozenset of str
        Columns that others determine.
    element_wise : dict
        By name of a column that other scalars multiply at each element: these scalars.
    left_out : dict
        Images without a covariate, by its column.
    levels : dict of dict
        Images of each level, by factor.
    """

    names: tuple[str, ...]
    matrix: np.ndarray
    aliased: frozenset[str]
    element_wise: Mapping[str, tuple[str, ...]]
    left_out: Mapping[str, Sequence[str]]
    levels: Mapping[str, Mapping[str, int]]

    @classmethod
    def of(cls, fit: ModelFit, names: Sequence[str]) -> DesignFindings:
        """Take them from a model.

        Parameters
        ----------
        fit : ModelFit
            The model.
        names : sequence of str
            Participant and visit of each image of the response.
        """
        plan = fit.model.design
        scalars = dict(zip(plan.names, plan.scalars, strict=True))
        shared = [column for column, each in enumerate(plan.scalars) if not each]
        counts = {
            factor: dict(zip(levels, plan.counts[factor], strict=True))
            for factor, levels in plan.levels.items()
        }
        return cls(
            names=tuple(plan.names[column] for column in shared),
            matrix=plan.matrix[:, shared],
            aliased=frozenset(fit.model.aliased),
            element_wise={name: each for name, each in scalars.items() if each},
            left_out={column: [names[row] for row in rows] for column, rows in plan.lost.items()},
            levels=counts,
        )

    @property
    def means(self) -> np.ndarray:
        """(n_columns,) float64."""
        return self.matrix.mean(axis=0)

    @cached_property
    def deviations(self) -> np.ndarray:
        """Standard deviations, (n_columns,) float64; 0 of a constant column."""
        return np.where(np.ptp(self.matrix, axis=0) > 0, self.matrix.std(axis=0, ddof=1), 0)

    @cached_property
    def standardised(self) -> np.ndarray:
        """Standard deviations from the mean, (n_rows, n_columns); NaN in constant columns."""
        spread = np.where(self.deviations > 0, self.deviations, np.nan)
        return (self.matrix - self.means) / spread

    @property
    def varying(self) -> list[int]:
        """Columns that are not constant."""
        return np.flatnonzero(self.deviations > 0).tolist()

    @property
    def correlations(self) -> np.ndarray:
        """Pearson's, of the varying columns: (n_varying, n_varying) float64."""
        columns = self.standardised[:, self.varying]
        return (columns.T @ columns / (len(columns) - 1)).clip(-1, 1)

    @cached_property
    def inflation(self) -> dict[str, float]:
        """Variance inflation factors, by name; of columns that are neither constant nor aliased.

        Without an intercept in the model the uncentred ones.
        """
        has_intercept = INTERCEPT in self.names
        asked = [
            column
            for column, name in enumerate(self.names)
            if name not in self.aliased and not (has_intercept and not self.deviations[column])
        ]
        found = variance_inflation(self.matrix[:, asked], centred=has_intercept)
        return {self.names[column]: one for column, one in zip(asked, found.tolist(), strict=True)}


def variance_inflation(matrix: np.ndarray, *, centred: bool) -> np.ndarray:
    """Return how much collinearity inflates the variance of each coefficient.

    That is 1 / (1 - R²), with R² of the column's regression on all others: the diagonal of the
    inverse of their correlations (Belsley, Kuh and Welsch, "Regression Diagnostics", 3.1).

    Parameters
    ----------
    matrix : numpy.ndarray
        (n_rows, n_columns) float64, linearly independent columns without the intercept's.
    centred : bool
        True if the model has an intercept.

    Returns
    -------
    numpy.ndarray
        (n_columns,) float64, 1 or more.
    """
    if not matrix.shape[1]:
        return np.empty(0)
    columns = matrix / np.abs(matrix).max(axis=0)
    if centred:
        columns -= columns.mean(axis=0)
    upper = np.linalg.qr(columns / np.linalg.norm(columns, axis=0), mode='r')
    inverse = np.linalg.solve(upper, np.eye(len(upper)))
    return np.maximum((inverse**2).sum(axis=1), 1)


def find_fit(
    store: Path, facts: ModelFacts, cohorts: Iterable[Path], n_images: int
) -> ModelFit | None:
    """Make a model again.

    Parameters
    ----------
    store : pathlib.Path
        The HDF5 file.
    facts : ModelFacts
        The model.
    cohorts : iterable of pathlib.Path
        Tables that may be the one it was fitted with, the likeliest first.
    n_images : int
        Images of the response.

    Returns
    -------
    ModelFit or None
        None if no table makes the design that was fitted: they are gone, or others by now.
    """
    for cohort in dict.fromkeys(cohorts):
        with suppress(ModelArrayIOError, OSError):
            fit = _fit(store, facts, cohort)
            if _is_same(fit, facts, n_images) and not _is_of_others(fit, facts):
                return fit
    return None


def is_outdated(store: Path, facts: ModelFacts, cohort: Path) -> bool:
    """Return whether the covariates of a model have other values in a cohort by now."""
    with suppress(ModelArrayIOError, OSError):
        return _is_of_others(_fit(store, facts, cohort), facts)
    return False


def _fit(store: Path, facts: ModelFacts, cohort: Path) -> ModelFit:
    source: str | FSLDesign = facts.formula
    table: Path | str | None = cohort
    if facts.design_files:
        source = FSLDesign.of(facts.design_files['mat'])
        # Rows are in the order of the table that was given, whatever other there is.
        table = None if facts.cohort == facts.design_files['mat'] else facts.cohort
    options = ModelOptions(
        method=facts.kind,
        num_subj_lthr_abs=facts.fewest,
        num_subj_lthr_rel=facts.smallest_share,
    )
    return ModelFit.of(
        *(store, source, table, options),
        scalar=facts.response,
        weights=facts.weights or None,
        allow_repeated=True,
    )


def _is_of_others(fit: ModelFit, facts: ModelFacts) -> bool:
    exchangeability = facts.permutation.get('exchangeability', '')
    return facts.phenotypes not in {'', fit.digest(exchangeability)}


def _is_same(fit: ModelFit, facts: ModelFacts, n_images: int) -> bool:
    plan = fit.model.design
    left_out = {column: len(rows) for column, rows in plan.lost.items()}
    return (
        plan.names == facts.columns
        and len(plan.rows) == facts.n_images
        and left_out == facts.left_out
        and len(fit.phenotypes.table) == n_images
    )
