"""The variables of a formula for the rows of a table that have all of them: R's ``model.frame``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np

from modelarrayio_bids.errors import CohortError, FormulaError
from modelarrayio_bids.models.formula.coding import contrasts_of
from modelarrayio_bids.models.formula.evaluation import Evaluator
from modelarrayio_bids.models.formula.syntax import (
    Call,
    Expression,
    Name,
    Number,
    names_in,
    shortened,
    without_parentheses,
)
from modelarrayio_bids.models.formula.terms import Terms
from modelarrayio_bids.models.formula.values import (
    Basis,
    Factor,
    Numbers,
    Texts,
    Vector,
    factor_of,
    without_unused_levels,
)
from modelarrayio_bids.models.r_numbers import r_number
from modelarrayio_bids.runtime.text_format import some

if TYPE_CHECKING:
    import pandas as pd

#: Text of more levels than this, most of them numbers, is taken for numbers with a mistake.
_MOST_LEVELS = 10
_HIGHEST_POWER = 9
#: R's limit for contr.poly.
_MOST_ORDERED = 95


@dataclass(frozen=True)
class ElementWise:
    """A variable with different values at each element: a product of scalars of the file."""

    scalars: tuple[str, ...]


Variable = Factor | Basis | Numbers | ElementWise


@dataclass(frozen=True, eq=False)
class Frame:
    """The variables of a model.

    Parameters
    ----------
    terms : Terms
        The formula.
    rows : numpy.ndarray
        (n_rows,) int: rows of the table with a value of every variable.
    variables : dict
        Label of each variable to its values, (n_rows,). Texts and logical values are factors, and
        factors have the levels that occur in these rows.
    lost : dict
        The other rows, (n_lost,) int: by the column that is blank there or, where no column is, by
        the variable.
    path : str or os.PathLike or None
        The table's file.
    """

    terms: Terms
    rows: np.ndarray
    variables: dict[str, Variable]
    lost: dict[str, np.ndarray]
    path: str | PathLike[str] | None = None

    @classmethod
    def of(
        cls,
        terms: Terms,
        table: pd.DataFrame,
        scalars: Collection[str] = (),
        *,
        levels: Mapping[str, Sequence[str]] | None = None,
        path: str | PathLike[str] | None = None,
    ) -> Frame:
        """Evaluate all variables, then leave out the rows that lack one; see :func:`design`."""
        _check_response(terms, scalars)
        evaluator = Evaluator(table, scalars, levels, path)
        values = {label: _value(each, evaluator) for label, each in terms.variables.items()}
        lost = _lost(terms, values, evaluator)
        present = np.ones(len(table), bool)
        for missing in lost.values():
            present[missing] = False
        rows = np.flatnonzero(present)
        if not rows.size:
            raise _no_rows(len(table), lost, path)
        kept = {
            label: value if isinstance(value, ElementWise) else _kept(value, rows)
            for label, value in values.items()
        }
        frame = cls(terms, rows, kept, lost, path)
        frame.check_values({label for label, value in values.items() if isinstance(value, Texts)})
        return frame

    @cached_property
    def factors(self) -> dict[str, Factor]:
        """The factors among the variables of terms, in the order of the formula."""
        return {
            label: value
            for label, value in self.variables.items()
            if isinstance(value, Factor) and any(label in term for term in self.terms.factors)
        }

    def counts(self, label: str) -> tuple[int, ...]:
        """Return the number of rows at each level of a factor."""
        factor = self.factors[label]
        return tuple(np.bincount(factor.codes, minlength=len(factor.levels)).tolist())

    def offset(self) -> np.ndarray | None:
        """Return the sum of the offsets, (n_rows,) float64."""
        offsets = [self.variables[label] for label in self.terms.offsets]
        numbers = [value.data for value in offsets if isinstance(value, Numbers)]
        return np.sum(numbers, axis=0) if numbers else None

    def check_values(self, texts: Collection[str]) -> None:
        """Check that numbers are finite, and that factors have levels worth the name.

        Parameters
        ----------
        texts : collection of str
            Labels of the variables that are text.
        """
        for label, value in self.variables.items():
            if isinstance(value, Basis | Numbers):
                self._check_finite(shortened(label), value.data)
        for label, factor in self.factors.items():
            self._check_levels(shortened(label), factor)
            if label in texts and isinstance(self.terms.variables[label], Name):
                self._check_text(shortened(label), factor)

    def _check_finite(self, label: str, numbers: np.ndarray) -> None:
        finite = np.isfinite(numbers.reshape(len(numbers), -1)).all(axis=1)
        if not finite.all():
            row = self.rows[np.argmin(finite)] + 1
            raise CohortError(
                f'{label} is infinite in row {row}', self.path, 'Change the value, or the formula.'
            )

    def _check_levels(self, label: str, factor: Factor) -> None:
        if len(factor.levels) == 1:
            raise CohortError(
                f'{label} is {shortened(factor.levels[0])!r} in every row of the model, a factor '
                f'of one level',
                self.path,
                'Leave it out of the formula.',
            )
        if contrasts_of(factor).kind == 'poly' and len(factor.levels) > _MOST_ORDERED:
            raise FormulaError(
                f'{label} has {len(factor.levels)} ordered levels, too many for polynomial '
                f'contrasts',
                remedy='Use its numbers, or C(…, contr.treatment).',
            )

    def _check_text(self, label: str, factor: Factor) -> None:
        """Refuse identifiers, and numbers that are text because of one cell."""
        n_levels, n_rows = len(factor.levels), self.rows.size
        odd = [shortened(level) for level in factor.levels if r_number(level) is None]
        if n_levels > _MOST_LEVELS and 2 * len(odd) < n_levels:
            raise CohortError(
                f'{label} is text, because {some(map(repr, odd), 3)} is not a number',
                self.path,
                f'Make such cells blank, or write factor({label}).',
            )
        if n_levels == n_rows > 2 or (n_levels > _MOST_LEVELS and 2 * n_levels > n_rows):
            raise CohortError(
                f'{label} is text with {n_levels} levels in {n_rows} rows, like an identifier',
                self.path,
                f'Leave it out, or write factor({label}).',
            )


def _check_response(terms: Terms, scalars: Collection[str]) -> None:
    response = terms.response
    if response and scalars and response not in scalars:
        raise FormulaError(
            f'the file has no scalar {shortened(response)}',
            remedy=f'Its scalars are {some(sorted(scalars))}.',
        )
    if response and any(response in names_in(each) for each in terms.variables.values()):
        raise FormulaError(f'{response} is on both sides of the formula')


def _value(variable: Expression, evaluator: Evaluator) -> Vector | Basis | ElementWise:
    used = evaluator.scalars.intersection(names_in(variable))
    if both := used.intersection(evaluator.names):
        raise FormulaError(
            f'{min(both)} is a scalar of the file and a column of the table',
            evaluator.path,
            'Rename the column.',
        )
    scalars = _product(variable) if used else ()
    return ElementWise(scalars) if scalars else evaluator.variable(variable)


def _product(variable: Expression) -> tuple[str, ...]:
    """Return the scalars whose product a variable is: MD, or MD twice for ``I(MD^2)``."""
    if isinstance(variable, Name):
        return (variable.name,)
    if not (isinstance(variable, Call) and variable.function == 'I'):
        return ()
    inner = without_parentheses(variable.arguments[0]) if variable.arguments else variable
    if not (isinstance(inner, Call) and inner.function == '^'):
        return _product(inner) if isinstance(inner, Name) else ()
    base, exponent = inner.arguments
    if not (isinstance(base, Name) and isinstance(exponent, Number)):
        return ()
    is_power = exponent.value in range(1, _HIGHEST_POWER + 1)
    return (base.name,) * int(exponent.value) if is_power else ()


def _lost(
    terms: Terms, values: Mapping[str, Vector | Basis | ElementWise], evaluator: Evaluator
) -> dict[str, np.ndarray]:
    """Return rows without a value, by the column that is blank there or else by the variable."""
    lost: dict[str, set[int]] = {}
    for label, value in values.items():
        if isinstance(value, ElementWise):
            continue
        unexplained = value.missing
        for name in dict.fromkeys(names_in(terms.variables[label])):
            if name not in evaluator.names:
                continue
            blank = evaluator.column(name).missing & value.missing
            lost.setdefault(name, set()).update(np.flatnonzero(blank).tolist())
            unexplained = unexplained & ~blank
        lost.setdefault(label, set()).update(np.flatnonzero(unexplained).tolist())
    return {by: np.array(sorted(rows)) for by, rows in lost.items() if rows}


def _no_rows(
    n_rows: int, lost: Mapping[str, np.ndarray], path: str | PathLike[str] | None
) -> CohortError:
    if not n_rows:
        return CohortError('the table has no rows', path)
    blanks = some(f'{shortened(by)} in {len(rows)}' for by, rows in lost.items())
    return CohortError(
        f'no row has all values of the model; missing, of {n_rows} rows: {blanks}',
        path,
        'Fill the cells, or leave a term out.',
    )


def _kept(value: Vector | Basis, rows: np.ndarray) -> Factor | Basis | Numbers:
    """Return the values of some rows; texts and logical values as factors."""
    if isinstance(value, Basis):
        return Basis(value.data[rows])
    if isinstance(value, Numbers) and value.kind != 'logical':
        return Numbers(value.data[rows])
    factor = factor_of(value)
    return without_unused_levels(replace(factor, codes=factor.codes[rows]))
