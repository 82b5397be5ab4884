"""Formulas and columns that are refused: one line that names what is wrong, and what to do."""

import numpy as np
import pandas as pd
import pytest
from models.tables import N_ROWS, table

from modelarrayio_bids.errors import CohortError, FormulaError, UsageError
from modelarrayio_bids.models.design import design

SCALARS = ('FA', 'RD', 'MD')
CELLS = table()


def odd_table():
    """Return the table with columns that cannot be used as they are."""
    even = np.arange(N_ROWS) % 2 == 0
    return CELLS.assign(
        participant_id=[f'sub-{number:03d}' for number in range(N_ROWS)],
        mistyped=CELLS['age'].where(CELLS.index != 3, 'n.a.'),
        infinite=CELLS['age'].where(CELLS.index != 5, '-Inf'),
        constant='x',
        always='T',
        negative='-1',
        zero='0',
        huge='1e200',
        tiny=np.where(even, '1e-200', '0'),
        blank=np.nan,
        first=np.where(even, '1', ''),
        second=np.where(even, '', '1'),
        MD='1',
    )


def refusal(formula, error=FormulaError):
    with pytest.raises(error) as caught:
        design(formula, odd_table(), SCALARS, path='cohort.csv')
    assert '\n' not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ('formula', 'said'),
    [
        ('FA ~ Agee', 'there is no column Agee. Do you mean age?'),
        ('FA ~ log(motio)', 'there is no column motio. Do you mean motion?'),
        ('FA ~ `a\nb`', r'there is no column a\nb. There are: FA, MD'),
        ('FA ~ agr + RDD', 'there is no column agr. Do you mean age?'),
        ('FX ~ age', 'the file has no scalar FX. Its scalars are FA, MD, RD.'),
        ('FA ~ FA + age', 'FA is on both sides of the formula'),
        ('FA ~ log(FA)', 'FA is on both sides of the formula'),
        ('log(FA) ~ age', 'the left side, log(FA), is not the name of a scalar'),
        ('FA ~ RD ~ age', 'the left side, FA ~ RD, is not the name of a scalar'),
        ('FA ~ (age ~ sex)', 'a formula has one ~'),
        ('FA ~ age:MD', 'MD is a scalar of the file and a column of the table. Rename the column.'),
        ('FA ~ log(RD)', 'RD is a scalar, with other values at each element'),
        ('FA ~ poly(RD, 2)', 'RD is a scalar, with other values at each element'),
        ('FA ~ I(RD * age)', 'Write RD, or a power such as I(RD^2).'),
        ('FA ~ nchar(site)', 'the function nchar is not known here. There are: C, I, abs'),
        ('FA ~ logg(age)', 'the function logg is not known here. Do you mean log'),
        ('FA ~ mgcv::ns(age)', 'the function mgcv::ns is not known here'),
        ('FA ~ age %o% sex', 'the operator %o% is not known here. Do you mean'),
        ('FA ~ I(age && sex)', 'the operator && is not known here'),
        ('FA ~ .', '. for all columns is not known here. Name the columns'),
    ],
)
def test_what_is_not_known_is_named(formula, said):
    assert said in refusal(formula)


@pytest.mark.parametrize(
    ('formula', 'said'),
    [
        ('', 'is incomplete'),
        ('age + sex', "the formula has no ~. Write it as 'FA ~ age + sex'."),
        ('FA ~', 'is incomplete'),
        ('FA ~ age +', 'is incomplete'),
        ('FA ~ log(age', 'is incomplete: it ends where a term or a bracket is missing'),
        ('FA ~ age)', "cannot be read from ')' on"),
        ('FA ~ age sex', "cannot be read from 'sex' on"),
        ('FA ~ age, sex', "cannot be read from ', sex' on"),
        ('FA ~ 2age', "cannot be read from '2age' on"),
        ('FA ~ age[1]', "cannot be read from '[1]' on"),
        ('FA ~ table$age', "cannot be read from '$age' on"),
        ('FA ~ age; sex', "cannot be read from '; sex' on"),
        ('FA ~ "age', "cannot be read from '\"age' on"),
        ('FA ~ age\x00', r"cannot be read from '\x00' on"),
        ('FA ~ factor(site, levels = "\\q")', 'has an unknown escape \\q'),
        ('FA ~ __import__("os")', 'cannot be read from \'__import__("os")\' on'),
        ('FA ~ age <- 3', 'a formula cannot contain an assignment (<-)'),
        ('FA ~ age = 3', 'a formula cannot contain an assignment (=)'),
        ('FA ~ if (sex) age', 'if of R cannot be used in a formula'),
        ('FA ~ I(18 < age < 40)', "cannot be read from '< 40)' on"),
        ('FA ~ `+`(age)', 'no function is called +'),
        ('FA ~ 2', '2 is not a term: a number in a formula is 0 or 1. Put arithmetic into I().'),
        ('FA ~ age * 2', '2 is not a term'),
        ('FA ~ age^1', 'no power 1'),
        ('FA ~ age^sex', 'no power sex'),
        ('FA ~ 0', 'neither terms nor an intercept'),
        ('FA ~ "x"', '"x" is neither a column nor computed from one'),
        ('FA ~ mean(age)', 'mean(age) is neither a column nor computed from one'),
        ('FA ~ age + NA', 'NA is neither a column'),
    ],
)
def test_what_is_no_formula_is_shown(formula, said):
    assert said in refusal(formula)


@pytest.mark.parametrize(
    ('formula', 'said'),
    [
        ('log(sex)', 'log(sex) needs numbers, not text'),
        ('poly(mistyped, 2)', "needs numbers, not text. mistyped is text: 'n.a.' is not a number."),
        ('I(sex * 2)', 'sex * 2 needs numbers, not text'),
        ('I(poly(age, 2))', 'needs a column, not a basis'),
        ('I(age + 1:3)', 'age + 1:3 combines values of different lengths'),
        ('I(site < "B")', 'has an order for numbers and ordered factors alone'),
        ('I(ordered(num) < "9")', "compares with '9', which is not a level"),
        ('I(iq - mean(iq))', 'mean(iq) has missing values: add na.rm = TRUE'),
        ('scale(blank)', 'scale(blank) has no values'),
        ('mean(blank, na.rm = TRUE):age', 'has fewer than two values'),
        ('log()', 'log() lacks its argument x'),
        ('log(age, 2, 3)', 'has too many arguments'),
        ('log(age, bass = 2)', 'has an argument bass; known are x, base'),
        ('log(age, base = 2, base = 3)', 'has the argument base twice'),
        ('log(age, iq)', 'needs numbers that are the same for all rows as base'),
        ('log(age, c(2, 3))', 'needs one number as base'),
        ('poly(num, 3)', 'needs a whole number from 1 to 2 as degree'),
        ('poly(zero, 1)', 'poly(zero, 1) is of one value only'),
        ('poly(age, 60)', 'has too high a degree for its values'),
        ('bs(age, df = 2)', 'needs a whole number from 3 to 150 as df'),
        ('ns(age, df = 2.5)', 'needs a whole number from 1 to 150 as df'),
        ('bs(num, df = 9)', 'has too few distinct values for so large a df'),
        ('ns(age, knots = 99)', 'needs knots between'),
        ('ns(age, Boundary.knots = c(1, 1))', 'needs two different boundary knots'),
        ('ns(age, 3, Boundary.knots = c(90, 99))', 'has no values between its boundary knots'),
        ('cut(age, 1)', 'needs a whole number from 2'),
        ('cut(age, c(1, 1, 99))', 'has a break twice'),
        ('cut(age, 3, labels = c("a", "b"))', 'needs 3 different labels'),
        ('quantile(age, 2):sex', 'needs probabilities from 0 to 1 as probs'),
        ('factor(site, levels = site)', 'needs values written out'),
        ('factor(site, levels = c("A", "A"))', 'has a level twice'),
        ('factor(site, labels = c("x", "y"))', 'has 2 labels for 4 levels'),
        ('relevel(site, ref = "Z")', "has no level 'Z': levels are A, B, C, D"),
        ('relevel(ordered(num), ref = "2")', 'cannot change the first of ordered levels'),
        ('C(site, contr.sum(3))', 'has contrasts of 3 levels for a factor of 4'),
        ('C(site, contr.treatment, base = 9)', 'has no level 9'),
        ('C(site, contr.sum(4, base = 2))', 'has no argument base'),
        ('C(site, 3)', 'needs contrasts, such as contr.sum'),
        ('ifelse(age > 40, factor(num), 1)', 'use as.character()'),
        ('offset(sex)', 'offset(sex) needs numbers, not text'),
        ('ordered(age)', 'ordered levels, too many for polynomial contrasts'),
    ],
)
def test_arguments_that_cannot_be_are_named(formula, said):
    assert said in refusal(f'FA ~ {formula}')


@pytest.mark.parametrize(
    ('formula', 'said'),
    [
        ('infinite', 'cohort.csv: infinite is infinite in row 6. Make the cells blank, or finite.'),
        ('scale(infinite)', 'cohort.csv: infinite is infinite in row 6'),
        ('log(zero)', 'log(zero) is infinite in row 1'),
        ('offset(log(zero))', 'offset(log(zero)) is infinite in row 1'),
        ('huge', 'huge has values up to 1e+200, whose squares are beyond double precision'),
        ('scale(huge)', 'huge has values up to 1e+200'),
        ('offset(tiny)', 'tiny has values up to 1e-200'),
        ('I(age * 1e100):I(motion * 1e100)', 'has values up to '),
        ('age + I(motion * 1e-200)', 'Change its unit.'),
        ('log(negative) + age', f'missing, of {N_ROWS} rows: log(negative) in {N_ROWS}'),
        ('blank + age', f'missing, of {N_ROWS} rows: blank in {N_ROWS}'),
        ('first + second', f'{N_ROWS} rows: first in {N_ROWS // 2}, second in {N_ROWS // 2}'),
        ('constant', "constant is 'x' in every row of the model, a factor of one level"),
        ('always', "always is 'TRUE' in every row of the model"),
        ('cut(age, c(0, 99))', 'a factor of one level. Leave it out of the formula.'),
        ('participant_id', f'participant_id is text with {N_ROWS} levels in {N_ROWS} rows'),
        ('mistyped', "mistyped is text, because 'n.a.' is not a number. Make such cells blank"),
    ],
)
def test_columns_that_cannot_be_used_are_named(formula, said):
    assert said in refusal(f'FA ~ {formula}', CohortError)


def test_more_coefficients_than_rows_are_refused():
    assert 'the formula makes 600 coefficients, and 150 rows' in refusal(
        '~ 0 + factor(participant_id):site'
    )


def test_an_identifier_may_be_a_factor_if_it_is_meant():
    made = design('~ factor(participant_id) - 1', odd_table())
    np.testing.assert_array_equal(made.matrix, np.eye(N_ROWS))


def test_a_table_without_rows_is_refused():
    with pytest.raises(CohortError, match='the table has no rows'):
        design('~ 1', pd.DataFrame({'age': []}, dtype=object))


@pytest.mark.parametrize(
    'formula',
    [
        'FA ~ ' + '(' * 4000 + 'age' + ')' * 4000,
        'FA ~ ' + '-' * 9000 + 'age',
        'FA ~ ' + '!' * 9000 + 'age',
        'FA ~ I(' + '-'.join(['age'] * 2000) + ')',
        'FA ~ age^' + '^'.join(['2'] * 3000),
        'FA ~ ' + 'log(' * 1000 + 'age',
        'FA ~ I(age * ' + '9' * 5000 + ')',
        'FA ~ ' + '9' * 5000,
        'FA ~ ' + 'x' * 1_000_000,
        'FA ~ ' + ' + '.join(f'x{number}' for number in range(1500)),
        'FA ~ ' + ' * '.join('abcdefghijklmnopqrstuvwxyz'),
        'FA ~ (' + ' + '.join(f'x{number}' for number in range(900)) + ')^2',
        'FA ~ (age + sex + site + iq + motion + num + code + flag + dose)^999999999',
        'FA ~ poly(age, 999999999)',
        'FA ~ bs(age, df = 999999999)',
        'FA ~ bs(age, degree = 999999999)',
        'FA ~ cut(age, 999999999)',
        'FA ~ cut(age, seq(0, 1e300))',
        'FA ~ I(age %in% 1:999999999)',
        'FA ~ I(age^9999)',
        'FA ~ exp(exp(exp(age)))',
        'FA ~ factor(age):factor(motion):factor(iq):factor(age):factor(`age at scan`)',
    ],
)
def test_hostile_formulas_are_refused_in_one_line(formula):
    with pytest.raises((UsageError, CohortError)) as caught:
        design(formula, CELLS)
    assert len(str(caught.value)) < 600
    assert '\n' not in str(caught.value)


def test_a_long_sum_is_no_deep_one():
    cells = pd.DataFrame(np.eye(400).astype(str)).add_prefix('x')
    made = design('~ ' + ' + '.join(cells.columns[:399]), cells)
    assert made.matrix.shape == (400, 400)
