"""The design of a model: the columns that R's ``model.matrix`` makes of a formula and a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

INTERCEPT = '(Intercept)'


@dataclass(frozen=True, eq=False)
class Design:
    """The columns of a model, for the rows of a table whose covariates are complete.

    Parameters
    ----------
    matrix : numpy.ndarray
        (n_rows, n_columns) float64. Of a column that is multiplied by scalars at each element, the
        part that is the same at all elements.
    names : tuple of str
        R's name of each column: ``(Intercept)``, ``age``, ``sexM``, ``age:sexM``.
    terms : tuple of str
        Labels of the terms in R's order: ``age``, ``sex``, ``age:sex``.
    assign : tuple of int
        Term of each column, counted from 1; 0 is the intercept (R's attribute ``assign``).
    rows : numpy.ndarray
        (n_rows,) int: which rows of the table these are, ascending.
    offset : numpy.ndarray or None
        (n_rows,) float64, the sum of all ``offset()``; None without one.
    levels : mapping
        Levels of each factor, the reference first; unused levels are dropped, as ``lm`` does.
    scalars : tuple of tuple of str
        For each column the scalars it is multiplied by at each element, such as ``('MD',)``;
        ``()`` for an ordinary column.
    response : str
        The scalar on the left of ``~``; empty if there is none.
    formula : str
        The formula as it was given.
    factors : tuple of tuple of str
        For each term the variables it is made of, in R's order: ``('age', 'sex')``.
    counts : mapping
        Rows of the design at each level of each factor.
    lost : mapping
        Rows of the table that are left out, (n_lost,) int ascending, by the column that is blank
        there or, where no column is, by the variable without a value, such as ``log(age)``.
        A row may be listed under several.
    """

    matrix: np.ndarray
    names: tuple[str, ...]
    terms: tuple[str, ...]
    assign: tuple[int, ...]
    rows: np.ndarray
    offset: np.ndarray | None
    levels: Mapping[str, tuple[str, ...]]
    scalars: tuple[tuple[str, ...], ...]
    response: str
    formula: str
    factors: tuple[tuple[str, ...], ...] = ()
    counts: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    lost: Mapping[str, np.ndarray] = field(default_factory=dict)

    def columns(self, term: str) -> list[int]:
        """Return the indices of the columns of a term."""
        number = self.terms.index(term) + 1
        return [column for column, assigned in enumerate(self.assign) if assigned == number]

    def containing(self, term: str) -> list[str]:
        """Return the other terms that a term is marginal to: ``age:sex`` of ``age``.

        Tests of type II leave these out (Fox, "Applied Regression Analysis", section 8.2; car's
        ``Anova``).
        """
        own = set(self.factors[self.terms.index(term)])
        return [
            other
            for other, variables in zip(self.terms, self.factors, strict=True)
            if other != term and own <= set(variables)
        ]
