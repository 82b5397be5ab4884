"""What is remarked of phenotypes: slips that people make in tables, and nothing else."""

import json

import pandas as pd
import pytest
import trees
from hypothesis import given
from hypothesis import strategies as st

from modelarrayio_bids.derivatives.cohorts.collect import collect
from modelarrayio_bids.derivatives.cohorts.phenotype_checks import remarks
from modelarrayio_bids.derivatives.cohorts.request import Request

AGES = [str(age) for age in range(20, 60, 2)]


def look(dictionary=None, **columns):
    length = len(next(iter(columns.values())))
    index = [f'sub-{number}' for number in range(1, length + 1)]
    return remarks(pd.DataFrame(columns, index, dtype=object), dictionary)


@pytest.mark.parametrize(
    ('column', 'values', 'check', 'rows'),
    [
        ('age', ['-999', *AGES], 'missing code', ('sub-1',)),
        ('age', [*AGES, '999', '999'], 'missing code', ('sub-21', 'sub-22')),
        ('iq', ['100', '-9', '90', '110'], 'missing code', ('sub-2',)),
        ('score', ['1', '2', '99', '3'], 'missing code', ('sub-3',)),
        ('sex', ['M', 'F', 'm', 'M'], 'spelling', ('sub-3',)),
        ('site', ['New York', 'New  York', 'Oslo', 'New York'], 'spelling', ('sub-2',)),
        ('age', ['9,5', '10,25', '11'], 'decimal comma', ('sub-1', 'sub-2')),
        ('age', ['31', '28', '90+', '40'], 'no number', ('sub-3',)),
        ('group', ['1', '1.0', '2', '2'], 'number', ('sub-1', 'sub-2')),
        ('age', ['31', '28', '410', '40'], 'age', ('sub-3',)),
        ('age_at_scan', ['31', '-28', '41', '40'], 'age', ('sub-2',)),
        ('volume', [*AGES, '4000'], 'outlier', ('sub-21',)),
        ('scanner', ['Prisma', 'Prisma', 'Prisma'], 'constant', ()),
    ],
)
def test_a_slip_is_named_with_its_rows(column, values, check, rows):
    (remark,) = look(**{column: values})
    assert (remark.check, remark.columns, remark.rows) == (check, (column,), rows)
    assert all(row in str(remark) for row in rows)
    assert remark.remedy


@pytest.mark.parametrize(
    ('column', 'values'),
    [
        ('age', AGES),
        ('age', ['60', '72', '99', '95']),  # the oldest people are far from nobody
        ('percentile', ['3', '50', '99', '75']),
        ('change', ['-9', '-4', '7', '12']),
        ('age', ['300', '410', '380', '290']),  # days of infants
        ('sex', ['M', 'F', 'F', 'M']),
        ('note', ['12a', 'moved', 'x', '3']),
        ('handedness', ['1', '2', '1', '']),
        ('lesions', ['0'] * 20 + ['1', '7', '12']),
        ('only', ['', '', '']),
    ],
)
def test_what_is_usual_is_not_remarked(column, values):
    assert look(**{column: values}) == []


def test_levels_and_units_of_the_dictionary_are_meant():
    levels = {'edu': {'Levels': {'1': 'low', '2': 'high', '99': 'not asked'}}}
    assert look(levels, edu=['1', '2', '99', '1']) == []
    assert look({'age': {'Units': 'months'}}, age=['130', '200', '90', '80']) == []
    assert look({'age': {'Units': 'years'}}, age=['130', '20', '90', '80'])[0].rows == ('sub-1',)


def test_columns_that_say_the_same_are_named_together():
    (remark,) = look(age=['20', '30', '40'], Age_years=['20.0', '30.0', '40.0'], x=['1', '2', '3'])
    assert (remark.check, remark.columns) == ('equal', ('age', 'Age_years'))


def test_a_decimal_comma_hides_no_missing_code():
    found = look(age=['-999', '23,5', *AGES, '410'])
    assert [remark.check for remark in found] == ['decimal comma', 'missing code', 'age']
    assert [remark.rows for remark in found] == [('sub-2',), ('sub-1',), ('sub-23',)]


def test_one_code_is_not_remarked_twice():
    assert [one.check for one in look(age=[*AGES, '-999', '400'])] == ['missing code', 'age']


TEXTS = st.text('0123456789.,-+eEm M', max_size=5) | st.sampled_from(['', '1e400', 'Inf', '-99'])


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=15))
def test_any_texts_can_be_looked_at(rows):
    frame = pd.DataFrame(rows, columns=['age', 'b'], dtype=object)
    before = frame.copy()
    for remark in remarks(frame):
        assert set(remark.rows) <= set(map(str, frame.index))
        assert str(remark)
    assert frame.equals(before)


def test_slips_are_said_at_the_end_of_collecting_and_change_nothing(tmp_path, caplog):
    root = trees.write_aslprep(tmp_path / 'aslprep', trees.people(4))
    table = 'participant_id\tage\tsex\n01\t31\tM\n02\t-999\tm\n03\t28\tF\n04\t40\tM\n'
    (root / 'participants.tsv').write_text(table)
    found = collect(Request(root, tmp_path / 'out', scalars=('cbf',)))
    assert (
        'phenotype age: -999 of sub-02 is far from the others (28 to 40). If it means "missing", '
        'write n/a.'
    ) in caplog.text
    assert "phenotype sex: 'M' (2) and 'm' (1) are different levels to R" in caplog.text
    (group,) = found.groups
    cohort = group.write_cohort(group.outputs(tmp_path / 'out'), found.phenotypes)
    assert [(row['age'], row['sex']) for row in cohort.rows] == [
        ('31', 'M'),
        ('-999', 'm'),
        ('28', 'F'),
        ('40', 'M'),
    ]


def test_many_columns_do_not_flood_the_log(tmp_path, caplog):
    root = trees.write_aslprep(tmp_path / 'aslprep', trees.people(3))
    names = [f'q{number}' for number in range(40)]
    lines = [['participant_id', *names]] + [[f'0{n}', *['1'] * 40] for n in (1, 2, 3)]
    (root / 'participants.tsv').write_text('\n'.join(map('\t'.join, lines)) + '\n')
    (root / 'participants.json').write_text(json.dumps({'q0': {'Levels': {'1': 'yes'}}}))
    collect(Request(root, tmp_path / 'out', scalars=('cbf',)))
    assert caplog.text.count("is '1' for all participants") == 5
    assert '35 more like it (constant): q5, q6' in caplog.text
