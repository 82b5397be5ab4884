"""R's formulas as text: read into calls, and written again as R writes them.

A formula is what R's parser makes of it: names, numbers, texts, and calls of functions, of which
operators are some (Chambers and Hastie, "Statistical Models in S", 1992, chapter 2). Nothing is
evaluated here, and nothing is ever handed to Python to be evaluated.

>>> formula = parse('FA ~ age*sex + log(iq+1)')
>>> formula.function, formula.arguments[0]
('~', Name(name='FA'))
>>> deparse(formula)
'FA ~ age * sex + log(iq + 1)'

Operators bind as R's help page ``?Syntax`` says, so ``-2^2`` is -4 and ``a:b^2`` is ``a:(b^2)``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from modelarrayio_bids.errors import FormulaError
from modelarrayio_bids.models.r_numbers import number_text, r_number

#: Generous limits for formulas, which bound time and memory.
LONGEST = 10_000
DEEPEST = 60
_PLACE = 30

# R's ?Syntax, from the loosest to the tightest. `%any%` stands for all operators of that form.
_BINDING = {
    '~': 1,
    '||': 2,
    '|': 2,
    '&&': 3,
    '&': 3,
    **dict.fromkeys(['==', '!=', '<', '>', '<=', '>='], 5),
    '+': 6,
    '-': 6,
    '*': 7,
    '/': 7,
    '%any%': 8,
    ':': 9,
    '^': 11,
}
_NOT = 4
_COMPARISON = 5
_SIGN = 10
_POWER = 11
_TIGHT = frozenset({'/', '^', ':', '%%', '%/%'})

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>(?:0[xX][0-9A-Fa-f]+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)L?(?![\w.]))
    | (?P<name>(?:[^\W\d_]|\.(?!\d))[\w.]*)
    | `(?P<quoted>(?:[^`\\]|\\.)+)`
    | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<operator>::|\*\*|<<?-|->>?|<=|>=|==|!=|&&|\|\||%[^%\s]*%|[-+*/^:()<>,=~!&|])
    )""",
    re.VERBOSE,
)
_ESCAPE = re.compile(r'\\(.)', re.DOTALL)
_ESCAPES = {'n': '\n', 't': '\t', 'r': '\r', '\\': '\\', '"': '"', "'": "'", '`': '`'}
_SYNTACTIC = re.compile(r'(?:[^\W\d_]|\.(?!\d))[\w.]*')
CONSTANTS = frozenset({'TRUE', 'FALSE', 'NULL', 'Inf', 'NaN', 'NA'})
_KEYWORDS = frozenset({'if', 'else', 'repeat', 'while', 'function', 'for', 'next', 'break', 'in'})


@dataclass(frozen=True)
class Name:
    """A name: of a column, of a scalar, of a constant such as ``TRUE``."""

    name: str


@dataclass(frozen=True)
class Number:
    """A number; whole if it was written so, as ``2L``."""

    value: float
    whole: bool = False


@dataclass(frozen=True)
class Text:
    """A text in quotes."""

    text: str


@dataclass(frozen=True)
class Call:
    """A function, or operator, and its arguments.

    Parameters
    ----------
    function : str
        ``log``, ``splines::ns``, ``+``; ``(`` for parentheses.
    arguments : tuple of expressions
        In their order. A sum of many terms is one call.
    names : tuple of str
        For each argument the name it was given by, ``base`` in ``log(x, base = 2)``; else empty.
    """

    function: str
    arguments: tuple[Expression, ...]
    names: tuple[str, ...] = ()
    depth: int = field(default=1, compare=False, repr=False)


Expression = Name | Number | Text | Call


def parse(text: str) -> Expression:
    """Read an expression of R.

    Raises
    ------
    FormulaError
        If it is none, or one of R that has no place in a formula, such as an assignment.
    """
    if len(text) > LONGEST:
        raise FormulaError(f'the formula has {len(text):,} characters, more than {LONGEST:,}')
    parser = _Parser(list(_tokens(text)))
    expression = parser.expression()
    parser.expect('end')
    return expression


def names_in(expression: Expression) -> Iterator[str]:
    """Return each name that an expression mentions, but for those of functions."""
    if isinstance(expression, Name):
        yield expression.name
    elif isinstance(expression, Call):
        for argument in expression.arguments:
            yield from names_in(argument)


def without_parentheses(expression: Expression) -> Expression:
    """Return what is in the parentheses around an expression."""
    while isinstance(expression, Call) and expression.function == '(':
        expression = expression.arguments[0]
    return expression


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    place: str


def _tokens(text: str) -> Iterator[_Token]:
    place = 0
    while rest := text[place:].strip():
        match = _TOKEN.match(text, place)
        if not match:
            raise FormulaError(
                f'the formula cannot be read from {_quoted(rest)} on',
                remedy='Put column names that are not valid names in R in `backticks`.',
            )
        place = match.end()
        kind = str(match.lastgroup)
        found = match[kind]
        if kind in {'quoted', 'text'}:
            found = _unescaped(found if kind == 'quoted' else found[1:-1])
        yield _Token('symbol' if kind == 'operator' else kind, found, rest[: _PLACE + 1])
    yield _Token('end', '', '')


def _unescaped(text: str) -> str:
    def character(match: re.Match[str]) -> str:
        if match[1] not in _ESCAPES:
            raise FormulaError(f'the text {_quoted(text)} has an unknown escape {match[0]}')
        return _ESCAPES[match[1]]

    return _ESCAPE.sub(character, text)


def shortened(text: str, longest: int = 60) -> str:
    r"""Return text for a message: on one line, and not longer than it has to be.

    >>> shortened('a\nb'), shortened('abcdef', longest=3)
    ('a\\nb', 'abc…')
    """
    text = text if len(text) <= longest else f'{text[:longest]}…'
    return ''.join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


def _quoted(text: str) -> str:
    return f"'{shortened(text, _PLACE)}'"


class _Parser:
    """A parser by binding power (Pratt, "Top down operator precedence", 1973)."""

    def __init__(self, tokens: list[_Token]) -> None:
        self.tokens = tokens
        self.position = 0
        self.nesting = 0

    @property
    def ahead(self) -> _Token:
        return self.tokens[self.position]

    def advance(self) -> _Token:
        self.position += 1
        return self.tokens[self.position - 1]

    def is_at(self, *symbols: str) -> bool:
        return self.ahead.kind == 'symbol' and self.ahead.text in symbols

    def expect(self, symbol: str) -> None:
        if not (self.is_at(symbol) or self.ahead.kind == symbol):
            raise self.unexpected()
        self.position += 1

    def unexpected(self) -> FormulaError:
        if self.ahead.kind == 'end':
            return FormulaError(
                'the formula is incomplete: it ends where a term or a bracket is missing'
            )
        if self.is_at('<-', '<<-', '->', '->>', '='):
            return FormulaError(
                f'a formula cannot contain an assignment ({self.ahead.text})', remedy='Write ~.'
            )
        return FormulaError(f'the formula cannot be read from {_quoted(self.ahead.place)} on')

    def expression(self, loosest: int = 0) -> Expression:
        """Read operands and the operators between them that bind tighter than ``loosest``."""
        self.nesting += 1
        if self.nesting > DEEPEST:
            raise _too_deep()
        left = self.operand()
        while self.binding() > loosest:
            operator = self.advance().text.replace('**', '^')
            binding = _binding(operator)
            # Powers bind to the right, and comparisons do not follow each other.
            right = self.expression(binding - (binding == _POWER))
            left = _joined(operator, left, right)
            if self.binding() == binding == _COMPARISON:
                raise self.unexpected()
        self.nesting -= 1
        return left

    def binding(self) -> int:
        return _binding(self.ahead.text.replace('**', '^')) if self.ahead.kind == 'symbol' else 0

    def operand(self) -> Expression:
        if self.is_at('~', '+', '-', '!'):
            sign = self.advance().text
            tightness = {'~': 1, '!': _NOT}.get(sign, _SIGN)
            return _call(sign, (self.expression(tightness),))
        if self.is_at('('):
            self.advance()
            inner = self.expression()
            self.expect(')')
            return _call('(', (inner,))
        if self.ahead.kind in {'end', 'symbol'}:
            raise self.unexpected()
        token = self.advance()
        if token.kind == 'number':
            return _number(token.text)
        if token.kind == 'text':
            return Text(token.text)
        return self.name_or_call(token)

    def name_or_call(self, token: _Token) -> Expression:
        name = token.text
        if token.kind == 'name' and name in _KEYWORDS:
            raise FormulaError(f'{name} of R cannot be used in a formula')
        if self.is_at('::'):
            self.advance()
            if self.ahead.kind != 'name':
                raise self.unexpected()
            name = f'{name}::{self.advance().text}'
            if not self.is_at('('):
                raise self.unexpected()
        if not self.is_at('('):
            return Name(name)
        if token.kind == 'quoted' and not _SYNTACTIC.fullmatch(name):
            raise FormulaError(f'no function is called {shortened(name)}')
        self.advance()
        return self.call(name)

    def call(self, function: str) -> Expression:
        names, arguments = [], []
        while not self.is_at(')'):
            names.append(self.argument_name())
            arguments.append(self.expression())
            if not self.is_at(')'):
                self.expect(',')
        self.advance()
        return _call(function, tuple(arguments), tuple(names))

    def argument_name(self) -> str:
        following = self.tokens[min(self.position + 1, len(self.tokens) - 1)]
        is_name = self.ahead.kind in {'name', 'quoted', 'text'}
        if not (is_name and following.kind == 'symbol' and following.text == '='):
            return ''
        name = self.advance().text
        self.advance()
        return name


def _binding(operator: str) -> int:
    return _BINDING.get('%any%' if operator.startswith('%') else operator, 0)


def _joined(operator: str, left: Expression, right: Expression) -> Expression:
    """Call an operator; a sum takes one term more, so that long sums are not deep."""
    if isinstance(left, Call) and left.function == operator == '+' and len(left.arguments) > 1:
        return _call('+', (*left.arguments, right))
    return _call(operator, (left, right))


def _call(function: str, arguments: tuple[Expression, ...], names: tuple[str, ...] = ()) -> Call:
    depths = [argument.depth for argument in arguments if isinstance(argument, Call)]
    depth = 1 + max(depths, default=0)
    if depth > DEEPEST:
        raise _too_deep()
    return Call(function, arguments, names or ('',) * len(arguments), depth)


def _too_deep() -> FormulaError:
    return FormulaError(f'the formula is nested more than {DEEPEST} deep')


def _number(text: str) -> Number:
    value = r_number(text.removesuffix('L'))
    if value is None or not math.isfinite(value):
        raise FormulaError(f'{_quoted(text)} is too large a number')
    return Number(value, whole=text.endswith('L') and value.is_integer())


def deparse(expression: Expression) -> str:
    """Write an expression as R's ``deparse`` does: its variables and columns have these names.

    >>> deparse(parse("factor(site,levels = c('A', 'B'))"))
    'factor(site, levels = c("A", "B"))'
    >>> deparse(parse('I(age*1e5 - -age^.5/2)'))
    'I(age * 1e+05 - -age^0.5/2)'
    """
    if isinstance(expression, Name):
        return quoted_name(expression.name)
    if isinstance(expression, Number):
        # Terms are written without the L of whole numbers.
        return f'{expression.value:.0f}' if expression.whole else number_text(expression.value)
    if isinstance(expression, Text):
        return '"' + _escaped(expression.text, '"') + '"'
    return _deparsed_call(expression)


def _deparsed_call(call: Call) -> str:
    parts = [deparse(argument) for argument in call.arguments]
    if call.function == '(':
        return f'({parts[0]})'
    if call.function == '!' or (call.function in {'+', '-', '~'} and len(parts) == 1):
        return call.function + parts[0]
    if _binding(call.function):
        spaced = call.function if call.function in _TIGHT else f' {call.function} '
        return spaced.join(parts)
    named = (
        f'{quoted_name(name)} = {part}' if name else part
        for name, part in zip(call.names, parts, strict=True)
    )
    return f'{call.function}({", ".join(named)})'


def quoted_name(name: str) -> str:
    """Return a name as a formula has it: in backticks where it would not be read as a name.

    >>> quoted_name('age'), quoted_name('age at scan'), quoted_name('if')
    ('age', '`age at scan`', '`if`')
    """
    if _SYNTACTIC.fullmatch(name) and name not in _KEYWORDS:
        return name
    return f'`{_escaped(name, "`")}`'


def _escaped(text: str, quote: str) -> str:
    escapes = {'\\': '\\\\', quote: f'\\{quote}', '\n': '\\n', '\t': '\\t', '\r': '\\r'}
    return ''.join(escapes.get(character, character) for character in text)
