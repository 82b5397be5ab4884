"""Columns of a cohort as a formula reads them: numbers, or texts with levels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from modelarrayio_bids.cohort import read_rows
from modelarrayio_bids.models.formula.values import Numbers, Vector, column_values, factor_of


@dataclass(frozen=True)
class CohortColumns:
    """Columns of a cohort CSV.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    """

    path: Path

    @cached_property
    def values(self) -> Mapping[str, Vector]:
        """Values of each column.

        Raises
        ------
        CohortError
            If the file cannot be read.
        """
        _, names, rows = read_rows(self.path)
        return {name: column_values([row[name] for row in rows]) for name in names}

    def is_numeric(self, name: str) -> bool:
        """Return whether a formula takes a column for numbers, not for levels."""
        values = self.values[name]
        return isinstance(values, Numbers) and values.kind != 'logical'

    def levels(self, name: str) -> tuple[str, ...]:
        """Return the levels of a column as ``factor()`` of R orders them."""
        return tuple(factor_of(self.values[name]).levels)
