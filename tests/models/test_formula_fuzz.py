"""Any text is a formula, or refused in one line, and soon."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from models.tables import table

from modelarrayio_bids.errors import ModelArrayIOError
from modelarrayio_bids.models.design import design
from modelarrayio_bids.models.formula.evaluation import FUNCTIONS
from modelarrayio_bids.models.formula.operators import OPERATORS
from modelarrayio_bids.models.formula.syntax import deparse, parse

CELLS = table().head(40)
COLUMNS = ['age', 'iq', 'motion', 'sex', 'site', 'num', 'flag', '`age at scan`', 'FA', 'x']
NAMES = st.sampled_from([*COLUMNS, 'TRUE', 'F', 'NULL', 'NA', 'Inf', 'contr.sum', '.'])
NUMBERS = st.sampled_from(['0', '1', '2', '3', '0.5', '-1', '1e5', '1e300', '2L', '40', '0x1F'])
TEXTS = st.sampled_from(['"A"', "'M'", '"2"', '""', '"contr.sum"', r'"\n"'])
WORDS = st.one_of(
    NAMES,
    NUMBERS,
    TEXTS,
    st.sampled_from([*FUNCTIONS, *OPERATORS, '(', ')', ',', '=', '~', '~', '||', '%x%', '`', '"']),
)
ARGUMENTS = (
    *(
        '',
        '',
        '',
        '',
        'x = ',
        'df = ',
        'degree = ',
        'levels = ',
        'knots = ',
        'base = ',
        'labels = ',
    ),
    *('Boundary.knots = ', 'intercept = ', 'breaks = ', 'raw = ', 'ref = ', 'na.rm = ', 'by = '),
)


def calls(inner):
    """Return calls of known functions and operators, with sensible arguments or not."""
    operator = st.sampled_from([*OPERATORS])
    binary = st.builds(lambda a, op, b: f'{a} {op} {b}', inner, operator, inner)
    argument = st.builds(str.__add__, st.sampled_from(ARGUMENTS), inner)
    call = st.builds(
        lambda name, arguments: f'{name}({", ".join(arguments)})',
        st.sampled_from(sorted(FUNCTIONS)),
        st.lists(argument, max_size=3),
    )
    grouped = st.builds('({})'.format, inner)
    sign = st.builds(str.__add__, st.sampled_from(['-', '+', '!']), inner)
    return st.one_of(binary, call, grouped, sign)


EXPRESSIONS = st.recursive(st.one_of(NAMES, NAMES, NUMBERS, TEXTS), calls, max_leaves=8)


def check(formula):
    try:
        made = design(formula, CELLS, scalars=['FA', 'MD'])
    except ModelArrayIOError as error:
        assert '\n' not in str(error)
        assert len(str(error)) < 1000
        return
    n_rows, n_columns = made.matrix.shape
    assert n_rows == made.rows.size > 0
    assert n_columns == len(made.names) == len(made.assign) == len(made.scalars)
    assert np.isfinite(made.matrix).all()
    assert set(made.assign) <= set(range(len(made.terms) + 1))


@settings(max_examples=500)
@given(right=EXPRESSIONS)
@example(right='I(MD^2):ns(age, 3)')
@example(right='ns(age, 1, Boundary.knots = c(90, 99))')
def test_expressions_have_a_design_or_are_refused(right):
    check(f'FA ~ {right}')


@settings(max_examples=300)
@given(words=st.lists(WORDS, max_size=12), gap=st.sampled_from(['', ' ']))
def test_so_it_is_with_words_in_any_order(words, gap):
    check(gap.join(words))
    check('~' + gap.join(words))


@settings(max_examples=300)
@given(text=st.text(max_size=60))
def test_so_it_is_with_any_text(text):
    check(text)
    check(f'~ age + `{text}`')
    check(f'~ age + factor(site, "{text}")')


@settings(max_examples=300)
@given(expression=EXPRESSIONS)
def test_what_is_written_is_read_again_as_it_was(expression):
    try:
        first = parse(expression)
    except ModelArrayIOError:
        return
    assert deparse(parse(deparse(first))) == deparse(first)


@pytest.mark.parametrize(
    'formula', ['~ poly(age, 3) * site', '~ ns(iq, 4) + flag', '~ cut(age, 4) + ordered(num)']
)
@settings(max_examples=20)
@given(order=st.permutations(range(len(CELLS))))
def test_the_order_of_rows_does_not_matter(formula, order):
    made = design(formula, CELLS)
    shuffled = design(formula, CELLS.iloc[order].reset_index(drop=True))
    place = np.argsort(np.array(order)[shuffled.rows])
    np.testing.assert_allclose(shuffled.matrix[place], made.matrix, atol=1e-12)
