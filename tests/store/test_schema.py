import re
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tools import require_tool

from modelarrayio_bids.errors import SchemaError
from modelarrayio_bids.store.schema import R_RESERVED, check_scalar_name, in_formula, is_r_name


def accepted(name):
    return is_r_name(name) and name != 'scalars'


@pytest.mark.parametrize('name', ['FA', 'dki_fa', 'x.1', '.hidden', 'noddi_icvf_modulated'])
def test_names_r_can_use(name):
    check_scalar_name(name)
    assert is_r_name(name)


@pytest.mark.parametrize(
    'name',
    ['1st', '_x', 'a b', 'a-b', '.1', 'µ', 'TRUE', '...', '..1', '1', '2.x', 'FA-w'],
)
def test_names_that_need_backticks(name):
    check_scalar_name(name)
    assert not is_r_name(name)
    assert in_formula(name) == f'`{name}`'


@pytest.mark.parametrize('name', ['', ' ', 'a/b', 'scalars', 'FA\n', '.', '..'])
def test_names_of_other_places_in_the_file(name):
    with pytest.raises(SchemaError, match='cannot be the name of a scalar'):
        check_scalar_name(name)


def test_the_rule_is_that_of_r(tmp_path):
    # make.names() leaves a syntactic name as it is.
    rscript = require_tool('Rscript')
    drawn = []

    @settings(max_examples=300, deadline=None, database=None)
    @given(st.text('aZ09._ -', min_size=1, max_size=4))
    def draw(text):
        drawn.append(text)

    draw()
    names = sorted({*drawn, *R_RESERVED, '..1', '...', '.x', '.9'})
    (tmp_path / 'names.txt').write_text('\n'.join(names) + '\n')
    code = f'x <- readLines("{tmp_path}/names.txt"); cat(make.names(x) == x)'
    done = subprocess.run([rscript, '-e', code], check=True, capture_output=True, text=True)
    syntactic = [word == 'TRUE' for word in done.stdout.split()]
    assert len(syntactic) == len(names)
    for name, valid in zip(names, syntactic, strict=True):
        assert valid or not accepted(name), name
        # Names to make.names(), but these stand for other things in formulas and calls.
        other = re.fullmatch(r'\.|\.\.\.|\.\.[0-9]+', name)
        assert accepted(name) or not valid or other, name
