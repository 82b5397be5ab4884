"""The terms of a formula, expanded as R's ``terms.formula`` does.

The algebra is that of Wilkinson and Rogers ("Symbolic description of factorial models for analysis
of variance", Applied Statistics 22, 1973), with R's additions (``?formula``). A term is a set of
variables: ``a:b`` is the union of two, ``a*b`` is ``a + b + a:b``, ``a/b`` is ``a + a:b``,
``a %in% b`` is ``a:b``, ``(a + b)^2`` crosses a sum with itself, ``-`` takes terms away, 0 or
``-1`` the intercept. Whatever else stands in a formula is a variable: a column, or a call.

>>> terms = Terms.of('FA ~ sex*age + offset(log(tiv)) - 1')
>>> terms.response, terms.labels, terms.offsets, terms.has_intercept
('FA', ('sex', 'age', 'sex:age'), ('offset(log(tiv))',), False)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain

from modelarrayio_bids.errors import FormulaError
from modelarrayio_bids.models.formula.syntax import (
    CONSTANTS,
    Call,
    Expression,
    Name,
    Number,
    deparse,
    names_in,
    parse,
    shortened,
    without_parentheses,
)

#: Products of terms that an expansion may take; 30 covariates and all their pairs take 1,000.
_MOST_PRODUCTS = 50_000
#: Smooths of mgcv.
SMOOTHS = frozenset({'s', 'te', 'ti', 't2'})
#: Operators of random effects (lme4).
BARS = frozenset({'|', '||'})
# Arguments of smooths that are data.
_DATA_ARGUMENTS = frozenset({'', 'by'})

_Term = frozenset[str]


@dataclass(frozen=True)
class Terms:
    """The variables of a formula, and the terms they make.

    Parameters
    ----------
    response : str
        Name on the left of ``~``; empty if there is none.
    variables : dict
        Label of each variable, as R writes it, to its expression, in the order of the formula.
        Variables of terms that were taken away are among them: rows without their values are left
        out anyway, as R does.
    factors : tuple of tuple of str
        For each term its variables, in the order of ``variables``; terms of fewer variables come
        first.
    offsets : tuple of str
        Labels of the variables that are offsets.
    has_intercept : bool
        False after ``-1`` or ``+0``.
    """

    response: str
    variables: dict[str, Expression]
    factors: tuple[tuple[str, ...], ...]
    offsets: tuple[str, ...]
    has_intercept: bool
    special: tuple[Call, ...] = ()

    @classmethod
    def of(cls, formula: str) -> Terms:
        """Read a formula and expand it.

        Raises
        ------
        FormulaError
            If it cannot be read, has no ``~``, or has what does not make terms.
        """
        response, right = _sides(parse(formula))
        expansion = _Expansion()
        found = expansion.encode(right)
        special = _specials(expansion.variables, found)
        variables = _variables(expansion.variables)
        offsets = tuple(label for label in variables if _is_offset(variables[label]))
        kept = [term for term in found if term.isdisjoint({*offsets, *special})]
        factors = (
            tuple(label for label in variables if label in term) for term in sorted(kept, key=len)
        )
        return cls(
            *(response, variables, tuple(factors), offsets, expansion.has_intercept),
            tuple(special.values()),
        )

    @property
    def names(self) -> set[str]:
        """Names of columns and scalars on the right side."""
        return {name for one in self.variables.values() for name in names_in(one)} - CONSTANTS

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the terms: ``age``, ``age:sex``."""
        return tuple(':'.join(variables) for variables in self.factors)


def _sides(formula: Expression) -> tuple[str, Expression]:
    if not (isinstance(formula, Call) and formula.function == '~'):
        raise FormulaError('the formula has no ~', remedy="Write it as 'FA ~ age + sex'.")
    *left, right = formula.arguments
    if not left:
        return '', right
    response = without_parentheses(left[0])
    if not isinstance(response, Name):
        raise FormulaError(
            f'the left side, {shortened(deparse(response))}, is not the name of a scalar',
            remedy='Functions of a scalar are not modelled here.',
        )
    return response.name, right


def is_special(expression: Expression) -> bool:
    """Return whether an expression is a smooth or a random effect."""
    return isinstance(expression, Call) and expression.function in SMOOTHS | BARS


def written(special: Call) -> str:
    """Return a smooth or random effect as it stands in a formula.

    >>> [written(special) for special in Terms.of('~ s(age,k=4) + (1|id)').special]
    ['s(age, k = 4)', '(1 | id)']
    """
    text = shortened(deparse(special))
    return f'({text})' if special.function in BARS else text


def data_of(special: Call) -> tuple[Expression, ...]:
    """Return the expressions that a smooth or random effect takes values of."""
    if special.function in BARS:
        return special.arguments[-1:]
    names = special.names or ('',) * len(special.arguments)
    return tuple(
        argument
        for name, argument in zip(names, special.arguments, strict=True)
        if name in _DATA_ARGUMENTS
    )


def _specials(variables: Mapping[str, Expression], terms: list[_Term]) -> dict[str, Call]:
    """Return the smooths and random effects among terms, by label."""
    special = {
        label: each
        for label, each in variables.items()
        if isinstance(each, Call) and is_special(each) and any(label in term for term in terms)
    }
    for label, each in special.items():
        if any(label in term and len(term) > 1 for term in terms):
            raise FormulaError(
                f'{written(each)} is part of a product', remedy='Add it as a separate term, with +.'
            )
    return special


def _variables(found: Mapping[str, Expression]) -> dict[str, Expression]:
    """Return variables, the data of smooths and random effects in the place of these."""
    variables: dict[str, Expression] = {}
    for label, expression in found.items():
        if isinstance(expression, Call) and is_special(expression):
            data = data_of(expression)
            variables |= {deparse(each): each for each in data if deparse(each) not in variables}
        else:
            variables[label] = expression
    return variables


def _is_offset(variable: Expression) -> bool:
    return isinstance(variable, Call) and variable.function == 'offset'


@dataclass
class _Expansion:
    """One formula on its way to terms."""

    variables: dict[str, Expression] = field(default_factory=dict)
    has_intercept: bool = True
    n_products: int = 0
    # Within what is taken away, 0 puts the intercept back.
    adding: bool = True

    def encode(self, expression: Expression) -> list[_Term]:
        """Return the terms of an expression, each once, in the order they appear."""
        expression = _NUMBERS.get(expression, expression)
        if expression == Name('NULL'):
            return []
        if isinstance(expression, Number):
            return self.intercept(expression)
        if isinstance(expression, Call) and expression.function in _OPERATORS:
            return _OPERATORS[expression.function](self, *expression.arguments)
        return [frozenset([self.variable(expression)])]

    def intercept(self, number: Number) -> list[_Term]:
        """Note that 1 adds the intercept and 0 takes it away."""
        if number.value not in {0, 1}:
            raise FormulaError(
                f'{deparse(number)} is not a term: a number in a formula is 0 or 1',
                remedy='Put arithmetic into I().',
            )
        self.has_intercept = bool(number.value) == self.adding
        return []

    def variable(self, expression: Expression) -> str:
        """Note a variable, and return its label."""
        if expression == Name('.'):
            raise FormulaError(
                '. for all columns is not known here', remedy='Name the columns: age + sex.'
            )
        label = deparse(expression)
        self.variables.setdefault(label, expression)
        return label

    def add(self, *arguments: Expression) -> list[_Term]:
        """Return the terms of ``a + b``."""
        return _unique(chain.from_iterable(map(self.encode, arguments)))

    def remove(self, *arguments: Expression) -> list[_Term]:
        """Return the terms of ``a - b``, or of ``-b``, which has none."""
        *kept, removed = arguments
        terms = self.add(*kept)
        self.adding = not self.adding
        unwanted = self.encode(removed)
        self.adding = not self.adding
        return [term for term in terms if term not in unwanted]

    def interact(self, left: Expression, right: Expression) -> list[_Term]:
        """Return the terms of ``a:b``."""
        return self.products(self.encode(left), self.encode(right))

    def cross(self, left: Expression, right: Expression) -> list[_Term]:
        """Return the terms of ``a*b``."""
        first, second = self.encode(left), self.encode(right)
        return _unique([*first, *second, *self.products(first, second)])

    def nest(self, left: Expression, right: Expression) -> list[_Term]:
        """Return the terms of ``a/b``; ``(a + b)/c`` is ``a + b + a:b:c``."""
        outer, inner = self.encode(left), self.encode(right)
        return _unique([*outer, *self.products(inner, [frozenset().union(*outer)])])

    def within(self, left: Expression, right: Expression) -> list[_Term]:
        """Return the terms of ``a %in% b``."""
        inner, outer = self.encode(left), self.encode(right)
        return self.products(inner, [frozenset().union(*outer)])

    def power(self, base: Expression, exponent: Expression) -> list[_Term]:
        """Return the terms of ``(a + b)^n``; beyond the number of variables no more come."""
        if not (isinstance(exponent, Number) and exponent.value >= 2):
            raise FormulaError(
                f'a formula has no power {shortened(deparse(exponent))}: it crosses terms with '
                f'themselves, 2 or more times',
                remedy='Put arithmetic into I(), as in I(age^2).',
            )
        terms = once = self.encode(base)
        for _ in range(1, int(min(exponent.value, 1 + len(self.variables)))):
            terms = self.products(terms, once)
        return terms

    def products(self, left: list[_Term], right: list[_Term]) -> list[_Term]:
        """Return each term of one sum with each of another."""
        self.n_products += len(left) * len(right)
        if self.n_products > _MOST_PRODUCTS:
            raise FormulaError('the formula has too many terms', remedy='Cross fewer variables.')
        return _unique(one | other for one in left for other in right)

    def refuse(self, *arguments: Expression) -> list[_Term]:
        """Refuse a second ``~``."""
        raise FormulaError('a formula has one ~')


_OPERATORS: dict[str, Callable[..., list[_Term]]] = {
    '(': _Expansion.encode,
    '+': _Expansion.add,
    '-': _Expansion.remove,
    ':': _Expansion.interact,
    '*': _Expansion.cross,
    '/': _Expansion.nest,
    '%in%': _Expansion.within,
    '^': _Expansion.power,
    '~': _Expansion.refuse,
}
#: R takes these for numbers.
_NUMBERS: dict[Expression, Expression] = {Name('TRUE'): Number(1.0), Name('FALSE'): Number(0.0)}


def _unique(terms: Iterable[_Term]) -> list[_Term]:
    return [term for term in dict.fromkeys(terms) if term]
