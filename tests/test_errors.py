import inspect
import pickle

import pytest

from modelarrayio_bids import errors
from modelarrayio_bids.errors import (
    CohortProblemsError,
    FormatError,
    ModelArrayIOError,
    SchemaError,
    SourceNotFoundError,
    raise_problems,
)

ALL = [
    error
    for _, error in inspect.getmembers(errors, inspect.isclass)
    if issubclass(error, ModelArrayIOError)
]
SINGLE = [error for error in ALL if error is not CohortProblemsError]


@pytest.mark.parametrize('error', SINGLE)
def test_survives_pickling(error):
    raised = error('is truncated', 'sub-01.nii.gz', 'Copy it again.')
    back = pickle.loads(pickle.dumps(raised))
    assert type(back) is error
    assert (back.what, back.path, back.remedy) == (raised.what, raised.path, raised.remedy)
    assert str(back) == 'sub-01.nii.gz: is truncated. Copy it again.'


def test_several_problems_survive_pickling():
    several = CohortProblemsError([SchemaError('is odd', 'a'), SchemaError('is odd', 'b')])
    back = pickle.loads(pickle.dumps(several))
    told = '2 problems, nothing was written:\n  a: is odd.\n  b: is odd.'
    assert str(back) == str(several) == told


def test_one_problem_of_many_files_is_said_once():
    several = CohortProblemsError([SchemaError('is odd', name) for name in 'abcd'])
    told = '4 problems, nothing was written:\n  4 files, each: is odd.\n    a\n    b\n    c\n    d'
    assert str(several) == told


def test_the_tree_in_the_docstring_is_the_tree():
    for error in ALL:
        assert error.__name__ in errors.__doc__


def test_exit_codes_are_those_of_the_specification():
    # BIDS execution specification (16, 18) and sysexits.h, as BIDS.md lists them.
    assert errors.UsageError('x').exit_code == 64
    assert errors.FormatError('x').exit_code == 65
    assert errors.SourceNotFoundError('x').exit_code == 66
    assert errors.OutputError('x').exit_code == 73
    assert errors.WouldLoseResultsError('x').exit_code == 73
    assert errors.InvalidDatasetError('x').exit_code == 16
    assert errors.NoMatchError('x').exit_code == 18


def test_several_problems_keep_a_common_exit_code():
    absent = SourceNotFoundError('no such file', 'a')
    assert CohortProblemsError([absent, absent]).exit_code == 66
    assert CohortProblemsError([absent, FormatError('is odd', 'b')]).exit_code == 65


def test_problems_are_raised_alone_or_together():
    raise_problems([])
    with pytest.raises(FormatError):
        raise_problems([FormatError('is odd')])
    with pytest.raises(CohortProblemsError):
        raise_problems([FormatError('is odd'), FormatError('is even')])
