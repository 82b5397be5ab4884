"""JSON files that are not as expected: a run says so in a line, or does without them."""

import json
import shutil

import pytest
import trees
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from modelarrayio_bids.cli.bids_app import main

BUDGET = settings(
    max_examples=settings().max_examples // 5,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
#: Files of a study, and options that name one.
PLACES = (
    'participants.json',
    'dataset_description.json',
    'derivatives/aslprep/dataset_description.json',
    '--bids-filter-file',
)
WORDS = ('Name', 'BIDSVersion', 'GeneratedBy', 'Levels', 'age', 'sex', 'cbf', 'suffix', 'session')


def values():
    """Any JSON, with the words that mean something more often than others."""
    text = st.one_of(st.sampled_from(WORDS), st.text())
    leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), text)
    return st.recursive(
        leaves,
        lambda inner: st.one_of(st.lists(inner), st.dictionaries(text, inner)),
        max_leaves=8,
    )


def contents():
    """The bytes of a file: JSON, JSON with a byte more or less, or none at all."""
    written = values().map(lambda value: json.dumps(value).encode())
    cut = st.tuples(written, st.integers(0, 50)).map(lambda pair: pair[0][: -1 - pair[1]])
    return st.one_of(written, cut, written.map(lambda data: b'\xef\xbb\xbf' + data), st.binary())


@pytest.fixture(scope='module')
def study(tmp_path_factory):
    root, people = trees.describe(tmp_path_factory.mktemp('json') / 'study'), trees.people(2)
    trees.write_participants(root, people)
    trees.write_aslprep(root / 'derivatives' / 'aslprep', people)
    return root


@BUDGET
@given(place=st.sampled_from(PLACES), content=contents())
@example(place='participants.json', content=b'[' * 100_000)
@example(place='--bids-filter-file', content=b'{"cbf": ' * 50_000)
@example(place='--bids-filter-file', content=b'{"cbf": {"session": ' + b'9' * 5000 + b'}}')
@example(place='derivatives/aslprep/dataset_description.json', content=b'{"Name": "\\ud800"}')
@example(place='dataset_description.json', content=b'{"GeneratedBy": {"Name": 1}}')
def test_any_json(study, tmp_path_factory, place, content):
    root = tmp_path_factory.mktemp('copy') / 'study'
    shutil.copytree(study, root)
    options = []
    file = root / place
    if place.startswith('--'):
        file = root.parent / 'given.json'
        options = [place, str(file)]
    file.write_bytes(content)
    arguments = [str(root), str(root.parent / 'out'), 'group', '--list-scalars', *options]
    # 16 and 18 are of the BIDS execution specification, the others of sysexits.h.
    assert main(arguments) in {0, 16, 18, 64, 65, 66}
    shutil.rmtree(root.parent)
