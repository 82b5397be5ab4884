"""Designs against R's ``model.matrix``: columns, their order, names, terms and rows."""

import contextlib
import subprocess
from inspect import signature
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from models.tables import table
from tools import require_tool

from modelarrayio_bids.errors import ModelArrayIOError
from modelarrayio_bids.models.design import design
from modelarrayio_bids.models.formula.evaluation import FUNCTIONS
from modelarrayio_bids.models.formula.operators import OPERATORS

TABLE = table()
SCRIPT = Path(__file__).parents[1] / 'r' / 'model_matrix.R'
FORMULAS = (Path(__file__).parent / 'formulas.txt').read_text('utf-8').splitlines()

NUMBERS = (
    *('age', 'iq', 'motion', '`age at scan`', 'I(age^2)', 'log(age)', 'scale(iq)'),
    *('poly(age, 2)', 'ns(motion, 3)', 'bs(age, df = 4)', 'poly(motion, 2, raw = TRUE)'),
)
FACTORS = (
    *('sex', 'site', 'handed', 'flag', 'TF', '`scanner type`', 'rare'),
    *('factor(num)', 'I(age > 40)', 'cut(motion, 3)', 'relevel(site, ref = "B")'),
    *('ordered(num)', 'factor(dose, levels = c("low", "mid", "high", "top"), ordered = TRUE)'),
    *('C(site, contr.sum)', 'C(site, helmert)'),
)

ARGUMENTS = (
    *('age', 'motion', 'num', 'sex', 'site', 'flag', 'TF', 'code', 'dose', 'factor(num)'),
    *('ordered(num)', 'log(age)', 'I(age/10)', 'floor(age/20)', 'age > 40', 'sex == "M"'),
    *('c(20, 40)', 'c(30, 50, 60)', 'c(0.2, 0.8)', '1:3', 'seq(10, 80, by = 10)'),
    *('c("A", "B")', 'c("A", "B", "C", "D")', 'c(1, 2, 3)', '"A"', '"2"', '"M"', 'NULL'),
    *('2', '3', '4', '5', '10', '0.5', '1', '-1', 'TRUE', 'FALSE', 'contr.sum', 'helmert'),
)
# R's ifelse() has the type of the values that happen to be chosen.
CALLED = sorted(FUNCTIONS.keys() - {'ifelse', 'c'})


def random_call(rng):
    """Return a call of a function, or of an operator, with arguments it may refuse."""
    if rng.random() < 0.2:
        one, operator, other = (rng.choice(some) for some in (ARGUMENTS, [*OPERATORS], ARGUMENTS))
        return f'I({one} {operator} {other})'
    function = rng.choice(CALLED)
    known = [name.replace('_', '.') for name in signature(FUNCTIONS[function]).parameters][1:]
    arguments = [rng.choice(ARGUMENTS)]
    for _ in range(rng.integers(0, 4) if known else 0):
        name = f'{rng.choice(known)} = ' if rng.random() < 0.6 else ''
        arguments.append(name + rng.choice(ARGUMENTS))
    return f'{function}({", ".join(arguments)})'


def random_formula(rng):
    """Return a formula whose factors and numbers stand in sums, products and nestings."""
    variables = [*rng.choice(NUMBERS, 2), *rng.choice(FACTORS, 3)]
    parts = [_random_part(rng, variables) for _ in range(rng.integers(1, 5))]
    text = parts[0]
    for part in parts[1:]:
        text += f' {rng.choice(["+", "+", "+", "-"])} {part}'
    return '~ ' + text + rng.choice(['', '', '', ' - 1', ' + 0', ' + sometimes'])


def _random_part(rng, variables):
    one, other, third = rng.choice(variables, 3)
    kind = rng.integers(9)
    if kind < 4:
        return one
    forms = (
        f'{one}:{other}',
        f'{one} * {other}',
        f'{one}/{other}',
        f'{one} %in% {other}',
        f'({one} + {other} + {third})^2',
    )
    return forms[kind - 4]


@pytest.fixture(scope='module')
def in_r(tmp_path_factory):
    """Return what R makes of formulas, all in one process."""
    program = require_tool('Rscript')
    folder = tmp_path_factory.mktemp('formulas')
    TABLE.to_csv(folder / 'table.csv', index=False)

    def answers(formulas):
        listed = folder / 'formulas.txt'
        listed.write_text('\n'.join(formulas) + '\n', 'utf-8')
        command = [program, SCRIPT, folder / 'table.csv', listed]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        lines = iter(done.stdout.split('\n'))
        return [_answer(lines, formula) for formula in formulas]

    return answers


def _answer(lines, formula):
    assert next(lines) == formula
    first = next(lines)
    if first.startswith('error'):
        return first
    names, terms = (tuple(filter(None, line.split('\t'))) for line in (first, next(lines)))
    assign, rows = (tuple(map(int, next(lines).split())) for _ in range(2))
    offset, values = (np.array(next(lines).split(), float) for _ in range(2))
    matrix = values.reshape(len(names), len(rows)).T
    return SimpleNamespace(
        names=names, terms=terms, assign=assign, rows=rows, offset=offset, matrix=matrix
    )


def compare(formula, made, expected):
    assert not isinstance(expected, str), (formula, expected)
    assert made.names == expected.names, formula
    assert made.terms == expected.terms, formula
    assert made.assign == expected.assign, formula
    assert tuple(made.rows) == expected.rows, formula
    scale = np.abs(expected.matrix).max(axis=0, initial=1)
    np.testing.assert_allclose(
        made.matrix / scale, expected.matrix / scale, rtol=0, atol=1e-10, err_msg=formula
    )
    offset = np.array([]) if made.offset is None else made.offset
    np.testing.assert_allclose(offset, expected.offset, rtol=1e-12, err_msg=formula)


def test_every_construct_is_as_in_r(in_r):
    for formula, expected in zip(FORMULAS, in_r(FORMULAS), strict=True):
        compare(formula, design(formula, TABLE), expected)


def test_chosen_contrasts_stay_when_a_level_is_left_out():
    # R says 'contrasts dropped from factor' and takes treatment contrasts.
    made = design('~ C(rare, contr.sum) + sometimes', TABLE)
    assert made.names == ('(Intercept)', 'C(rare, contr.sum)1', 'sometimes')
    assert made.levels == {'C(rare, contr.sum)': ('x', 'y')}
    made = design('~ C(rare, contr.treatment(3, base = 2)) + sometimes', TABLE)
    assert made.matrix[:2, 1].tolist() == [1, 0]


def test_random_formulas_are_as_in_r(in_r):
    rng = np.random.default_rng(15)
    formulas = [random_formula(rng) for _ in range(300)]
    for formula, expected in zip(formulas, in_r(formulas), strict=True):
        if expected.names and len(expected.names) <= len(expected.rows):
            compare(formula, design(formula, TABLE), expected)


def test_random_calls_are_as_in_r_or_refused(in_r):
    rng = np.random.default_rng(2)
    made = {}
    while len(made) < 300:
        formula = f'~ {random_call(rng)} + sex'
        with contextlib.suppress(ModelArrayIOError):
            made[formula] = design(formula, TABLE)
    answers = dict(zip(made, in_r(made), strict=True))
    # C(), relevel() and droplevels() take texts here; in R they take factors alone.
    equal = [formula for formula in made if not isinstance(answers[formula], str)]
    assert len(equal) > 250
    for formula in equal:
        compare(formula, made[formula], answers[formula])


def test_the_design_says_who_is_in_and_who_is_not():
    cells = pd.DataFrame(
        {
            'age': ['20', '', '40', '-1', '50', '61'],
            'sex': ['M', 'F', 'n/a', 'F', 'M', 'F'],
        },
        dtype=object,
    )
    made = design('FA ~ log(age) + sex', cells, scalars=['FA'])
    assert {by: rows.tolist() for by, rows in made.lost.items()} == {
        'age': [1],
        'log(age)': [3],
        'sex': [2],
    }
    assert made.rows.tolist() == [0, 4, 5]


def test_levels_have_one_order_everywhere():
    cells = pd.DataFrame({'site': ['b', 'C', 'A', 'a', 'b', 'a']}, dtype=object)
    made = design('~ site', cells)
    assert made.levels == {'site': ('A', 'a', 'b', 'C')}
    assert made.counts == {'site': (1, 2, 2, 1)}
    assert made.names == ('(Intercept)', 'sitea', 'siteb', 'siteC')


def test_a_data_dictionary_gives_the_order_of_levels():
    cells = pd.DataFrame({'dose': ['2', '0', '1', '2'], 'sex': list('FMFX')}, dtype=object)
    made = design('~ dose + sex - 1', cells.iloc[[0, 1, 2, 3, 1]], levels={'dose': ('2', '1', '0')})
    assert made.levels['dose'] == ('2', '1', '0')


def test_scalars_are_columns_of_their_own_at_each_element():
    made = design('FA ~ MD * sex + I(RD^2) + MD:RD', TABLE, scalars=['FA', 'MD', 'RD'])
    assert made.response == 'FA'
    assert dict(zip(made.names, made.scalars, strict=True)) == {
        '(Intercept)': (),
        'MD': ('MD',),
        'sexM': (),
        'I(RD^2)': ('RD', 'RD'),
        'MD:sexM': ('MD',),
        'MD:RD': ('MD', 'RD'),
    }
    np.testing.assert_array_equal(made.matrix[:, 4], made.matrix[:, 2])
    np.testing.assert_array_equal(made.matrix[:, [1, 3, 5]], 1)


def test_terms_know_what_contains_them():
    made = design('~ age * sex + site', TABLE)
    assert made.containing('age') == made.containing('sex') == ['age:sex']
    assert made.containing('age:sex') == made.containing('site') == []
    assert made.columns('site') == [3, 4, 5]


def test_the_page_lists_every_function():
    page = (Path(__file__).parents[2] / 'docs' / 'formulas.md').read_text('utf-8')
    assert [name for name in FUNCTIONS if f'`{name}' not in page] == []
