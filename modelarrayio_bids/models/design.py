"""The design of a model: the columns that R's ``model.matrix`` makes of a formula and a table.

>>> import pandas as pd
>>> table = pd.DataFrame({'age': ['20', '31', '', '45', '50'], 'sex': ['M', 'F', 'F', 'M', 'F']})
>>> made = design('FA ~ age*sex', table, scalars=['FA'])
>>> made.names
('(Intercept)', 'age', 'sexM', 'age:sexM')
>>> made.matrix.tolist()
[[1.0, 20.0, 1.0, 20.0], [1.0, 31.0, 0.0, 0.0], [1.0, 45.0, 1.0, 45.0], [1.0, 50.0, 0.0, 0.0]]
>>> made.rows.tolist(), {column: rows.tolist() for column, rows in made.lost.items()}
([0, 1, 3, 4], {'age': [2]})

Where R leaves a choice, or does what surprises, this is the choice here:

* Levels of text are in the order of the alphabet, whatever their case and on every machine; R's
  order depends on the locale. A data dictionary's ``Levels``, or ``factor(levels = )``, decide
  otherwise.
* Variables are evaluated for all rows of the table, then rows without all values are left out, and
  with them levels that no row has: as ``lm`` does, and once for all elements.
* Bases are made of the values that are there; R's ``poly`` fails where one is missing.
* Contrasts that ``C()`` chose stay when levels are left out; R falls back to its default.
* Columns of an interaction with a scalar are multiplied by it at each element.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np

from modelarrayio_bids.errors import FormulaError
from modelarrayio_bids.models.formula.coding import coded, uses_contrasts
from modelarrayio_bids.models.formula.evaluation import check_magnitude
from modelarrayio_bids.models.formula.frame import ElementWise, Frame, Variable
from modelarrayio_bids.models.formula.syntax import Call
from modelarrayio_bids.models.formula.terms import Terms, written
from modelarrayio_bids.models.formula.values import Basis, Factor, Numbers

if TYPE_CHECKING:
    import pandas as pd

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
    codes : mapping
        For each factor the level of each row, (n_rows,) int counted from 0.
    lost : mapping
        Rows of the table that are left out, (n_lost,) int ascending, by the column that is blank
        there or, where no column is, by the variable without a value, such as ``log(age)``.
        A row may be listed under several.
    special : tuple of Call
        Smooths and random effects of the formula, see :class:`~.formula.terms.Terms`; they have no
        columns here.
    variables : mapping
        Values of each variable of the formula, (n_rows,), by its label; of the data of smooths and
        random effects too.
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
    codes: Mapping[str, np.ndarray] = field(default_factory=dict)
    lost: Mapping[str, np.ndarray] = field(default_factory=dict)
    special: tuple[Call, ...] = ()
    variables: Mapping[str, Variable] = field(default_factory=dict)

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


def design(
    formula: str,
    table: pd.DataFrame,
    scalars: Collection[str] = (),
    *,
    levels: Mapping[str, Sequence[str]] | None = None,
    path: str | PathLike[str] | None = None,
) -> Design:
    """Make the design of a formula.

    Parameters
    ----------
    formula : str
        A formula of R, such as ``FA ~ age * sex``. The left side may be missing.
    table : pandas.DataFrame
        A row for each image; cells are texts, NaN (or blank, ``NA``, ``n/a``) where missing.
    scalars : collection of str, optional
        Scalars of the HDF5 file. The left side has to be one of them, and others may stand on the
        right, as covariates that have another value at each element.
    levels : mapping, optional
        For columns that a data dictionary describes, its codes: such a column is a factor whose
        levels are in this order.
    path : str or os.PathLike, optional
        The table's file, for messages.

    Returns
    -------
    Design
        Columns, their names and order are those of R's ``model.matrix`` after ``model.frame`` with
        ``drop.unused.levels = TRUE``.

    Raises
    ------
    FormulaError
        If the formula cannot be read, names what is not there, or has more columns than there are
        rows.
    CohortError
        If a column cannot be used: infinite numbers, numbers whose squares are beyond float64, one
        level, a level for each row, no row with all values.
    """
    terms = Terms.of(formula)
    frame = Frame.of(terms, table, scalars, levels=levels, path=path)
    _check_size(terms, frame)
    blocks = list(_blocks(terms, frame))
    matrix = np.concatenate([block.matrix for block in blocks], axis=1)
    names = tuple(name for block in blocks for name in block.names)
    for name, column in zip(names, matrix.T, strict=True):
        check_magnitude(name, column, path)
    return Design(
        matrix=matrix,
        names=names,
        terms=terms.labels,
        assign=tuple(
            number
            for number, block in enumerate(blocks, start=not terms.has_intercept)
            for _ in block.names
        ),
        rows=frame.rows,
        offset=frame.offset(),
        levels={label: factor.levels for label, factor in frame.factors.items()},
        scalars=tuple(block.scalars for block in blocks for _ in block.names),
        response=terms.response,
        formula=formula,
        factors=terms.factors,
        counts={label: frame.counts(label) for label in frame.factors},
        codes={label: factor.codes for label, factor in frame.factors.items()},
        lost=frame.lost,
        special=terms.special,
        variables=frame.variables,
    )


@dataclass(frozen=True, eq=False)
class _Block:
    """Columns of a term: (n_rows, k) float64, their names, and the scalars they belong to."""

    matrix: np.ndarray
    names: tuple[str, ...]
    scalars: tuple[str, ...] = ()

    def __mul__(self, other: _Block) -> _Block:
        """Return all products of two columns; those with one column of ``other`` are neighbours."""
        products = other.matrix[:, :, np.newaxis] * self.matrix[:, np.newaxis, :]
        return _Block(
            products.reshape(len(products), -1),
            tuple(f'{first}:{second}' for second in other.names for first in self.names),
            self.scalars + other.scalars,
        )


def _blocks(terms: Terms, frame: Frame) -> Iterator[_Block]:
    if terms.has_intercept:
        yield _Block(np.ones((frame.rows.size, 1)), (INTERCEPT,))
    for number, variables in enumerate(terms.factors):
        first, *others = (
            _block(frame, label, by_contrasts=_by_contrasts(label, number, terms, frame))
            for label in variables
        )
        for other in others:
            first *= other
        yield first


def _block(frame: Frame, label: str, *, by_contrasts: bool) -> _Block:
    """Return the columns of one variable."""
    value = frame.variables[label]
    if isinstance(value, Factor):
        matrix, levels = coded(value, by_contrasts=by_contrasts)
        return _Block(matrix, tuple(f'{label}{level}' for level in levels))
    if isinstance(value, ElementWise):
        return _Block(np.ones((frame.rows.size, 1)), (label,), value.scalars)
    if isinstance(value, Numbers):
        return _Block(value.data[:, np.newaxis], (label,))
    n_columns = value.data.shape[1]
    numbers = range(1, n_columns + 1) if n_columns > 1 else ('',)
    return _Block(value.data, tuple(f'{label}{number}' for number in numbers))


def _width(frame: Frame, label: str, *, by_contrasts: bool) -> int:
    """Return the number of columns of a variable."""
    value = frame.variables[label]
    if isinstance(value, Factor):
        return len(value.levels) - by_contrasts
    return value.data.shape[1] if isinstance(value, Basis) else 1


def _by_contrasts(label: str, number: int, terms: Terms, frame: Frame) -> bool:
    """Return whether a variable is coded by contrasts in a term.

    Without an intercept the first factor of all takes its place, with a column for each level.
    """
    if label not in frame.factors:
        return False
    earlier, term = terms.factors[:number], terms.factors[number]
    if not terms.has_intercept:
        before = [*(other for variables in earlier for other in variables)]
        before += term[: term.index(label)]
        if frame.factors.keys().isdisjoint(before):
            return False
    return uses_contrasts(label, term, earlier)


def _check_size(terms: Terms, frame: Frame) -> None:
    """Check that columns are not more than rows, before they are made."""
    n_columns = int(terms.has_intercept)
    for number, variables in enumerate(terms.factors):
        width = 1
        for label in variables:
            width *= _width(frame, label, by_contrasts=_by_contrasts(label, number, terms, frame))
        n_columns += width
    if n_columns == 0:
        beside = f' beside {written(terms.special[0])}' if terms.special else ''
        raise FormulaError(
            f'the formula has neither terms nor an intercept{beside}', remedy='Keep the intercept.'
        )
    if n_columns > frame.rows.size:
        raise FormulaError(
            f'the formula makes {n_columns:,} coefficients, and {frame.rows.size} rows have all '
            f'its values',
            remedy='Use fewer terms, or fewer levels.',
        )
