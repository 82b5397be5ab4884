"""Which texts are numbers: as R has it."""

import math
import subprocess

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tools import require_tool

from modelarrayio_bids.derivatives.rscripts.model import Column
from modelarrayio_bids.models.r_numbers import r_number
from modelarrayio_bids.reports.findings.participants import Phenotype

# Full-width and Arabic digits, a fraction and a superscript are no digits of R; nor is a blank
# that is none of ASCII.
TEXTS = (
    *('5', '+5', '-5', ' 5', '5 ', '\t5', '5.', '.5', '00012', '1e5', '1E+05', '1.e5', '1e-400'),
    *('1e', '1e+', '1E-', '1e400', '0x1F', '-0X1f', '0x' + 'f' * 300, 'Inf', 'inf', '-iNf'),
    *('infinity', '+INFINITY', 'NaN', 'nan', '-nan', '+NaN'),
    *('.', '-', 'e5', '0x', '0xg', 'NAN', 'nanx', 'infin', 'Infinit', '--5', '1e5.5', '1 2', '1f'),
    *('5L', '1d5', '1_000', '1,5', 'TRUE', 'i', '２５', '١', '½', '²', '5\xa0', '\u30005', '90+'),
)


def test_r_takes_the_same_for_numbers(tmp_path):
    program = require_tool('Rscript')
    listed = tmp_path / 'texts.txt'
    listed.write_text('\n'.join(TEXTS) + '\n', encoding='utf-8')
    code = (
        'for (text in readLines(commandArgs(TRUE)[1], encoding = "UTF-8")) {'
        ' x <- type.convert(text, as.is = TRUE);'
        ' cat(if (is.numeric(x)) sprintf("%a", as.numeric(x)) else "text", "\\n") }'
    )
    done = subprocess.run(
        [program, '-e', code, listed], check=True, capture_output=True, text=True
    ).stdout.split()
    assert len(done) == len(TEXTS)
    for text, said in zip(TEXTS, done, strict=True):
        found = r_number(text)
        if said == 'text':
            assert found is None, text
        else:
            assert np.array_equal(found, float.fromhex(said), equal_nan=True), text


@given(st.floats())
def test_every_number_python_writes_is_one(number):
    assert np.array_equal(r_number(repr(number)), number, equal_nan=True)


@given(st.text())
def test_every_text_has_an_answer(text):
    assert r_number(text) is None or isinstance(r_number(text), float)


@pytest.mark.parametrize('odd', ['２５', '1_000', '90+'])
def test_models_and_reports_have_one_rule(odd):
    assert Column('x', ('1', '2', odd)).numbers is None
    assert Phenotype('x', ('1', '2', odd)).numbers is None
    for numbers in (Column('x', ('1', ' 2', '0x3')), Phenotype('x', ('1', ' 2', '0x3'))):
        assert numbers.numbers.tolist() == [1, 2, 3]


def test_a_blank_is_a_number_that_is_missing():
    assert math.isnan(Column('x', ('1', '')).numbers[1])
    assert Phenotype('x', ('1', '')).numbers.tolist() == [1]
