"""Errors as they travel from a node to the caller of a workflow."""

import inspect
import json
import pickle

import pytest

from modelarrayio_bids import errors
from modelarrayio_bids.interfaces.node_errors import (
    ERROR_FILE,
    errors_below,
    forget_errors,
    leave_error,
)
from modelarrayio_bids.runtime.termination import Terminated

PROBLEMS = [
    errors.FormatError('is damaged', 'x.nii', 'Make it anew.'),
    errors.SpaceMismatchError('has 3 voxels', '/y/[1]/\udce9.nii', 'Resample it.'),
]
KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.ModelArrayIOError) and kind is not errors.CohortProblemsError
]


class OfAnotherProgram(errors.FormatError):
    exit_code = 99


def travelled(error, folder):
    node = folder / 'workflow' / 'node'
    node.mkdir(parents=True)
    leave_error(error, node)
    (found,) = errors_below(folder)
    return found


def facts(error):
    return type(error), str(error), error.exit_code


@pytest.mark.parametrize('kind', [*KINDS, OfAnotherProgram], ids=lambda kind: kind.__name__)
def test_errors_come_back_whole(tmp_path, kind):
    error = kind('is "wrong"', tmp_path / 'a b', 'Fix it.')
    assert facts(travelled(error, tmp_path)) == facts(error)


def test_several_come_back_together(tmp_path):
    error = errors.CohortProblemsError(PROBLEMS)
    found = travelled(error, tmp_path)
    assert facts(found) == facts(error)
    assert list(map(facts, found.problems)) == list(map(facts, PROBLEMS))


@pytest.mark.parametrize('end', [KeyboardInterrupt(), Terminated(), SystemExit(3)])
def test_how_a_process_was_told_to_end(tmp_path, end):
    found = travelled(end, tmp_path)
    assert (type(found), found.args) == (type(end), end.args)


def test_a_class_that_is_not_known_here_keeps_what_it_said(tmp_path):
    error = {'class': 'Elsewhere', 'what': 'is bad', 'path': None, 'remedy': '', 'exit_code': 3}
    (tmp_path / ERROR_FILE).write_text(json.dumps(error))
    (found,) = errors_below(tmp_path)
    assert facts(found) == (errors.ModelArrayIOError, 'is bad.', 3)


class Trap:
    """Whoever unpickles it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, 'w')


@pytest.mark.parametrize(
    'content', [b'', b'{', b'null', b'{"class": "FormatError"}', b'\xff', None]
)
def test_what_is_no_error_is_passed_over(tmp_path, content):
    if content is None:
        content = pickle.dumps(Trap(str(tmp_path / 'sprung')))
        (tmp_path / 'modelarrayio_error.pickle').write_bytes(content)
    (tmp_path / ERROR_FILE).write_bytes(content)
    assert errors_below(tmp_path) == []
    assert not (tmp_path / 'sprung').exists()


def test_those_of_an_earlier_run_are_forgotten(tmp_path):
    travelled(PROBLEMS[0], tmp_path)
    forget_errors(tmp_path)
    assert errors_below(tmp_path) == []
