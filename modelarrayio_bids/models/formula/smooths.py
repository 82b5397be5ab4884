"""Smooths of a formula: ``s(age, k = 4, fx = TRUE)``, read and checked.

The words are those of R's package mgcv (Wood, "Generalized Additive Models: An Introduction with
R", 2nd edition, 2017, chapters 5 and 7). Known are smooths whose degrees of freedom are fixed
(``fx = TRUE``): they are columns of a linear model. A penalised smooth is another kind of fit.

>>> from modelarrayio_bids.models.formula.syntax import parse
>>> smooth = Smooth.of(parse('s(age, k = 4, fx = TRUE, by = sex)'))
>>> smooth.label, smooth.name, smooth.dimensions, smooth.bases, smooth.by
('s(age):sex', 's_age_BYsex', (4,), ('tp',), 'sex')
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from modelarrayio_bids.errors import FormulaError
from modelarrayio_bids.models.formula.operators import OPERATORS
from modelarrayio_bids.models.formula.syntax import (
    Call,
    Expression,
    Name,
    Number,
    Text,
    deparse,
    shortened,
    without_parentheses,
)

#: Bases that are known, as mgcv's ``bs`` names them.
BASES = ('tp', 'cr')
#: Least k: a line and one bend.
LEAST_K = 3
# mgcv's defaults: of s(), and of each margin of te() and ti().
_K_OF_S, _K_OF_MARGIN = 10, 5
_ARGUMENTS = ('k', 'fx', 'bs', 'by')
# Defaults of mgcv.
_DEFAULT = ('-1', 'NA')
_BRACKET = re.compile('[()]')


@dataclass(frozen=True)
class Smooth:
    """A smooth of one or several covariates.

    Parameters
    ----------
    function : {'s', 'ti', 'te'}
        Function of mgcv.
    covariates : tuple of str
        Labels of the variables.
    by : str
        Label of the variable that it is multiplied by; blank without.
    dimensions : tuple of int
        ``k`` of each covariate.
    bases : tuple of str
        ``bs`` of each covariate.
    is_fixed : bool
        True if degrees of freedom are fixed: ``fx = TRUE``.
    """

    function: str
    covariates: tuple[str, ...]
    by: str
    dimensions: tuple[int, ...]
    bases: tuple[str, ...]
    is_fixed: bool

    @classmethod
    def of(cls, call: Call) -> Smooth:
        """Read a call of ``s``, ``ti`` or ``te``.

        Raises
        ------
        FormulaError
            If it has an argument or a value that is not known here.
        """
        covariates, given = _arguments(call)
        of_s = call.function == 's'
        if call.function == 't2' or (of_s and len(covariates) > 1):
            listed = ', '.join(map(deparse, covariates))
            raise FormulaError(
                f'{_label(call)} is not fitted here',
                remedy=f'Write te({listed}, fx = TRUE), or ti() beside an s() of each.',
            )
        n = len(covariates)
        by = given.get('by')
        smooth = cls(
            function=call.function,
            covariates=tuple(map(deparse, covariates)),
            by='' if by is None else deparse(by),
            dimensions=_each(call, 'k', _K_OF_S if of_s else _K_OF_MARGIN, n),
            bases=_each(call, 'bs', 'tp' if of_s else 'cr', n),
            is_fixed=given.get('fx') in {Name('TRUE'), Name('T')},
        )
        smooth.check(call)
        return smooth

    @property
    def base_label(self) -> str:
        """Return mgcv's name without ``by``: ``ti(age,motion)``."""
        return f'{self.function}({",".join(self.covariates)})'

    @property
    def label(self) -> str:
        """Return mgcv's name; of a factor ``by`` each level's stands after it."""
        return self.base_label + (f':{self.by}' if self.by else '')

    @property
    def name(self) -> str:
        """Return ModelArray's name: ``s_age``, ``ti_age_motion``, ``s_age_BYsex``."""
        return result_name(self.label)

    def check(self, call: Call) -> None:
        """Check k and bs."""
        for basis in self.bases:
            if basis not in BASES:
                raise FormulaError(
                    f'{_label(call)} has a basis {shortened(basis)!r} that is not known here',
                    remedy=f'Known are {" and ".join(map(repr, BASES))}; '
                    'others are fitted by ModelArray.gam in R.',
                )
        for k in self.dimensions:
            if k < LEAST_K:
                raise FormulaError(
                    f'{_label(call)} has a k of {k}, below {LEAST_K}',
                    remedy=f'Choose k = {LEAST_K} or more, or leave the smooth out for a line.',
                )
        if len(set(self.covariates)) < len(self.covariates):
            raise FormulaError(f'{_label(call)} has a covariate twice', remedy='Name it once.')


def result_name(label: str) -> str:
    """Return what results of a smooth are called by, as ModelArray does.

    >>> [result_name(label) for label in ['s(age)', 's(age):sexM', 'ti(age,motion)', 's(log(age))']]
    ['s_age', 's_age_BYsexM', 'ti_age_motion', 's_log_age']
    """
    function, first, *others = _BRACKET.split(label)
    rest = ''.join(others)
    return f'{function}_{first}{"_" * bool(rest)}{rest}'.replace(':', 'BY').replace(',', '_')


def _arguments(call: Call) -> tuple[list[Expression], dict[str, Expression]]:
    """Return covariates, and arguments by their names."""
    covariates = [a for name, a in zip(call.names, call.arguments, strict=True) if not name]
    named = {name: a for name, a in zip(call.names, call.arguments, strict=True) if name}
    for name in named:
        if call.names.count(name) > 1:
            raise FormulaError(
                f'{_label(call)} has {shortened(name)} twice', remedy='Give it once.'
            )
        if name not in _ARGUMENTS:
            raise FormulaError(
                f'{_label(call)} has an argument {shortened(name)} that is not known here',
                remedy=f'Known are {", ".join(_ARGUMENTS)}.',
            )
    if not covariates or not all(isinstance(each, Name | Call) for each in covariates):
        raise FormulaError(
            f'{_label(call)} is not a smooth of columns',
            remedy='Name the column first, and other arguments: s(age, k = 4, fx = TRUE).',
        )
    for each in covariates:
        if isinstance(each, Call) and each.function in OPERATORS:
            raise FormulaError(
                f'{_label(call)} is of an expression, of which mgcv would use only a part',
                remedy=f'Write I({shortened(deparse(each))}), or make a column of it.',
            )
    return covariates, named


def _each(call: Call, name: str, default: Any, n: int) -> tuple[Any, ...]:
    """Return ``k`` or ``bs`` for each of n covariates: one for all, or as many in ``c()``."""
    argument = dict(zip(call.names, call.arguments, strict=True)).get(name)
    if argument is None or deparse(argument) in _DEFAULT:
        return (default,) * n
    several = isinstance(argument, Call) and argument.function == 'c'
    listed = argument.arguments if isinstance(argument, Call) and several else (argument,)
    values = [_value(each, type(default)) for each in listed]
    if None in values or len(values) not in {1, n}:
        kind = 'a whole number' if name == 'k' else 'the name of a basis'
        raise FormulaError(
            f'{_label(call)} has a {name} that is not {kind}',
            remedy=f'Write one for all covariates, or {name} = c(…) with one for each.',
        )
    return tuple(values) if len(values) == n else (values[0],) * n


def _value(expression: Expression, kind: type) -> Any:
    """Return a whole number or a text; None of anything else."""
    expression = without_parentheses(expression)
    if kind is int and isinstance(expression, Number) and expression.value.is_integer():
        return int(expression.value)
    return expression.text if kind is str and isinstance(expression, Text) else None


def _label(call: Call) -> str:
    return shortened(deparse(call))
