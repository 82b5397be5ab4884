"""Values of the variables of a formula, for all rows of a table."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from modelarrayio_bids.errors import CohortError, FormulaError
from modelarrayio_bids.models.formula.arguments import FALSE, TRUE, constant
from modelarrayio_bids.models.formula.bases import BASES
from modelarrayio_bids.models.formula.factors import FACTORS
from modelarrayio_bids.models.formula.numeric import NUMERIC
from modelarrayio_bids.models.formula.operators import OPERATORS
from modelarrayio_bids.models.formula.syntax import (
    Call,
    Expression,
    Name,
    Number,
    Text,
    deparse,
    shortened,
)
from modelarrayio_bids.models.formula.values import (
    CONTRASTS,
    ArgumentError,
    Basis,
    Contrasts,
    Numbers,
    Texts,
    Value,
    Vector,
    column_values,
)
from modelarrayio_bids.models.r_numbers import r_number
from modelarrayio_bids.runtime.text_format import some

if TYPE_CHECKING:
    import pandas as pd

_CONSTANTS: dict[str, Value | None] = {
    'TRUE': TRUE,
    'T': TRUE,
    'FALSE': FALSE,
    'F': FALSE,
    'NA': constant(np.nan),
    'NaN': constant(np.nan),
    'Inf': constant(np.inf),
    'pi': constant(np.pi),
    'NULL': None,
    **{f'contr.{kind}': Contrasts(kind, is_numbered=True) for kind in CONTRASTS},
}
#: Functions of formulas, by R's names: parameters are called as R's are, with ``_`` for ``.``.
FUNCTIONS: dict[str, Callable[..., Value]] = {**NUMERIC, **FACTORS, **BASES}
_PACKAGES = frozenset({'base', 'stats', 'splines'})
# Beyond these, sums of squares would overflow float64, or vanish.
_LEAST, _GREATEST = 1e-140, 1e140


class Evaluator:
    """A table whose columns are the variables of a formula.

    Parameters
    ----------
    table : pandas.DataFrame
        Cells are texts; NaN where there is none.
    scalars : collection of str
        Names that have other values at each element.
    levels : mapping
        Codes that a data dictionary lists, by column.
    path : str or os.PathLike, optional
        The table's file, for messages.
    """

    def __init__(
        self,
        table: pd.DataFrame,
        scalars: Collection[str] = (),
        levels: Mapping[str, Sequence[str]] | None = None,
        path: Any = None,
    ) -> None:
        self.table = table
        self.scalars = frozenset(scalars)
        self.levels = levels or {}
        self.path = path
        self.names = frozenset(map(str, table.columns))
        self._columns: dict[str, Vector] = {}

    def column(self, name: str) -> Vector:
        """Return the values of a column.

        Raises
        ------
        CohortError
            If some are infinite.
        """
        if name not in self._columns:
            values = column_values(self.table[name].tolist(), self.levels.get(name, ()))
            self._columns[name] = values
            self._check_finite(name, values)
            if isinstance(values, Numbers):
                check_magnitude(name, values.data, self.path)
        return self._columns[name]

    def _check_finite(self, name: str, values: Vector) -> None:
        if isinstance(values, Numbers) and (infinite := np.isinf(values.data)).any():
            rows = some([row + 1 for row in np.flatnonzero(infinite).tolist()])
            raise CohortError(
                f'{name} is infinite in row {rows}', self.path, 'Make the cells blank, or finite.'
            )

    def variable(self, expression: Expression) -> Vector | Basis:
        """Return the values of a variable for all rows, as R's ``model.frame`` finds them.

        Raises
        ------
        FormulaError
            If it has names or functions that are not known here, or does not depend on the row.
        CohortError
            If a column cannot be used.
        """
        with np.errstate(all='ignore'):
            value = self.value(expression)
        if value is None or isinstance(value, Contrasts) or value.is_constant:
            raise FormulaError(f'{_label(expression)} is neither a column nor computed from one')
        return value

    def value(self, expression: Expression) -> Value | None:
        """Return the value of an expression; None is R's NULL."""
        if isinstance(expression, Number):
            kind = 'whole' if expression.whole else 'number'
            return Numbers(np.array([expression.value]), kind, is_constant=True)
        if isinstance(expression, Text):
            return Texts((expression.text,), is_constant=True)
        if isinstance(expression, Name):
            return self._named(expression.name)
        return self._called(expression)

    def _named(self, name: str) -> Value | None:
        if name in self.scalars:
            raise FormulaError(
                f'{name} is a scalar, with other values at each element: it can be a term, also '
                f'in an interaction, but functions of it are not known',
                remedy=f'Write {name}, or a power such as I({name}^2).',
            )
        if name in self.names:
            return self.column(name)
        if name in _CONSTANTS:
            return _CONSTANTS[name]
        raise self.no_column(name)

    def no_column(self, name: str) -> FormulaError:
        """Return an error with the columns whose names are closest."""
        columns = [*map(str, self.table.columns), *sorted(self.scalars)]
        return FormulaError(
            f'there is no column {shortened(name)}', self.path, _suggestion(name, columns)
        )

    def _called(self, call: Call) -> Value | None:
        if call.function == '(':
            return self.value(call.arguments[0])
        apply = _function(call.function)
        arguments = [self._argument(call, index) for index in range(len(call.arguments))]
        try:
            if call.function in OPERATORS or _is_variadic(apply):
                return apply(*arguments)
            return apply(**_bound(apply, call.names, arguments))
        except ArgumentError as error:
            raise FormulaError(f'{_label(call)} {error}', remedy=self._oddity(call)) from error

    def _oddity(self, call: Call) -> str:
        """Say of an argument that is text which cell makes it so."""
        for argument in call.arguments:
            name = argument.name if isinstance(argument, Name) else ''
            if name in self.names and isinstance(column := self.column(name), Texts):
                odd = next(text for text in column.data if text and r_number(text) is None)
                return f'{shortened(name)} is text: {shortened(odd)!r} is not a number.'
        return ''

    def _argument(self, call: Call, index: int) -> Value | None:
        """Return an argument; the second of ``C()`` may be the name of contrasts.

        Of contrasts chosen by name, the columns have the names of levels.
        """
        argument = call.arguments[index]
        is_contrasts = call.function == 'C' and (index == 1 or call.names[index] == 'contr')
        if is_contrasts and isinstance(argument, Name | Text):
            name = argument.name if isinstance(argument, Name) else argument.text
            kind = name.removeprefix('contr.')
            if kind in CONTRASTS and not (isinstance(argument, Name) and name != kind):
                return Contrasts(kind)
        return self.value(argument)


def check_magnitude(name: str, numbers: np.ndarray, path: Any) -> None:
    """Check that the squares of numbers are numbers; NaN is passed over.

    Raises
    ------
    CohortError
        If they are not.
    """
    largest = np.nanmax(np.abs(numbers), initial=0)
    if largest > _GREATEST or 0 < largest < _LEAST:
        raise CohortError(
            f'{shortened(name)} has values up to {largest:.3g}, whose squares are beyond double '
            f'precision',
            path,
            'Change its unit.',
        )


def _label(expression: Expression) -> str:
    return shortened(deparse(expression))


def _function(name: str) -> Any:
    package, _, plain = name.rpartition('::')
    known = OPERATORS if name in OPERATORS else FUNCTIONS
    if plain in known and (not package or package in _PACKAGES):
        return known[plain]
    noun = 'function' if name[0].isalpha() or name[0] == '.' else 'operator'
    raise FormulaError(
        f'the {noun} {shortened(name)} is not known here',
        remedy=_suggestion(name, list(OPERATORS if noun == 'operator' else FUNCTIONS)),
    )


def _suggestion(name: str, known: list[str]) -> str:
    folded = {other.casefold(): other for other in known}
    near = difflib.get_close_matches(name.casefold(), folded, n=3)
    if near:
        return f'Do you mean {" or ".join(shortened(folded[other]) for other in near)}?'
    known = [shortened(other) for other in known]
    return f'There are: {", ".join(sorted(known))}.' if len(known) < 100 else ''


def _is_variadic(apply: Any) -> bool:
    parameters = inspect.signature(apply).parameters.values()
    return any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters)


def _bound(
    apply: Any, names: Sequence[str], arguments: Sequence[Value | None]
) -> dict[str, Value | None]:
    """Match arguments to parameters as R does: by full name, the others by position."""
    parameters = inspect.signature(apply).parameters
    bound: dict[str, Value | None] = {}
    for name, argument in zip(names, arguments, strict=True):
        if name:
            bound[_parameter(name, parameters, bound)] = argument
    free = [parameter for parameter in parameters if parameter not in bound]
    positional = [a for name, a in zip(names, arguments, strict=True) if not name]
    if len(positional) > len(free):
        raise ArgumentError('has too many arguments')
    bound |= zip(free, positional, strict=False)
    for name, parameter in parameters.items():
        if parameter.default is parameter.empty and name not in bound:
            raise ArgumentError(f'lacks its argument {_r_name(name)}')
    return bound


def _parameter(name: str, parameters: Mapping[str, Any], bound: Mapping[str, Any]) -> str:
    known = {_r_name(parameter): parameter for parameter in parameters}
    if name not in known:
        raise ArgumentError(f'has an argument {shortened(name)}; known are {", ".join(known)}')
    if known[name] in bound:
        raise ArgumentError(f'has the argument {name} twice')
    return known[name]


def _r_name(parameter: str) -> str:
    # cut(ordered_result = ) is R's one argument here with an underscore.
    return parameter if parameter == 'ordered_result' else parameter.rstrip('_').replace('_', '.')
