"""FSL's VEST files, as its documentation shows them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from modelarrayio_bids.errors import FormatError, SourceNotFoundError
from modelarrayio_bids.formats.vest import read_vest

# As Glm writes an unpaired t test of two groups (FSL wiki, "GLM").
MAT = """/NumWaves\t2
/NumPoints\t4
/PPheights\t\t1.000000e+00\t1.000000e+00

/Matrix
1.000000e+00\t0.000000e+00\t
1.000000e+00\t0.000000e+00\t
0.000000e+00\t1.000000e+00\t
0.000000e+00\t-1.500000e-01\t
"""
CON = """/ContrastName1\tpatients > controls
/ContrastName2\t
/NumWaves\t2
/NumContrasts\t2
/PPheights\t\t1.000000e+00\t1.000000e+00
/RequiredEffect\t\t1.203\t1.203

/Matrix
1 -1
-1 1
"""


def test_a_matrix_as_glm_writes_it(tmp_path):
    (tmp_path / 'design.mat').write_text(MAT)
    read = read_vest(tmp_path / 'design.mat')
    assert read.matrix.tolist() == [[1, 0], [1, 0], [0, 1], [0, -0.15]]
    assert read.header['NumPoints'] == '4'
    assert read.names('EVTitle', 'EV', 2) == ['EV1', 'EV2']


def test_contrasts_have_names(tmp_path):
    (tmp_path / 'design.con').write_text(CON)
    assert read_vest(tmp_path / 'design.con').names('ContrastName', 'C', 2) == [
        'patients > controls', 'C2'
    ]  # fmt: skip


@pytest.mark.parametrize(
    'text', [MAT.replace('\n', '\r\n'), '\ufeff' + MAT, MAT.replace('\n', '\n \n'), MAT.rstrip()]
)
def test_ends_of_lines_and_blank_ones_change_nothing(tmp_path, text):
    (tmp_path / 'design.mat').write_bytes(text.encode())
    assert read_vest(tmp_path / 'design.mat').matrix.shape == (4, 2)


@given(
    arrays.arrays(
        float, st.tuples(st.integers(1, 6), st.integers(1, 4)), elements=st.floats(-1e300, 1e300)
    )
)
def test_numbers_are_read_to_the_last_bit(tmp_path_factory, matrix):
    path = tmp_path_factory.getbasetemp() / 'any.mat'
    rows = '\n'.join('  '.join(map(repr, row)) for row in matrix.tolist())
    path.write_text(f'/NumWaves {matrix.shape[1]}\n/NumPoints {len(matrix)}\n/Matrix\n{rows}\n')
    assert np.array_equal(read_vest(path).matrix, matrix)


@pytest.mark.parametrize(
    ('changed', 'to', 'error'),
    [
        ('/Matrix', '', 'is not a VEST file: it has no line /Matrix'),
        ('/NumPoints\t4', '/NumPoints\t5', 'has 4 rows, and /NumPoints says 5'),
        ('/NumWaves\t2', '/NumWaves\t3', 'has 2 columns, and /NumWaves says 3'),
        ('\t-1.500000e-01', '', 'line 9 has 1 numbers, those before it have 2'),
        ('-1.500000e-01', 'nan', "line 9: 'nan' is not a number"),
        ('-1.500000e-01', '1e999', "line 9: '1e999' is not a number"),
        ('-1.500000e-01', '1,5', "line 9: '1,5' is not a number"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(tmp_path, changed, to, error):
    (tmp_path / 'design.mat').write_text(MAT.replace(changed, to))
    with pytest.raises(FormatError) as raised:
        read_vest(tmp_path / 'design.mat')
    assert error in str(raised.value)
    assert 'design.mat' in str(raised.value)
    assert '\n' not in str(raised.value)


def test_other_files_are_refused(tmp_path):
    (tmp_path / 'design.mat').write_bytes(b'\x1f\x8b\x08\x00\xff')
    with pytest.raises(FormatError, match='not UTF-8'):
        read_vest(tmp_path / 'design.mat')
    (tmp_path / 'empty.mat').write_text('/Matrix\n')
    with pytest.raises(FormatError, match='no rows'):
        read_vest(tmp_path / 'empty.mat')
    with pytest.raises(SourceNotFoundError):
        read_vest(tmp_path / 'absent.mat')
