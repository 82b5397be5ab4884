import json
import logging
from pathlib import Path

import pytest
import trees

from modelarrayio_bids.__about__ import NAME
from modelarrayio_bids.derivatives.bids.dataset import Dataset
from modelarrayio_bids.derivatives.bids.search import find_datasets, parse_dataset, parse_datasets
from modelarrayio_bids.derivatives.cohorts.input_warnings import input_warnings
from modelarrayio_bids.derivatives.cohorts.request import Request
from modelarrayio_bids.errors import InvalidDatasetError, SourceNotFoundError, UsageError


@pytest.mark.parametrize(
    ('text', 'name', 'path'),
    [
        ('fmriprep=/data/out', 'fmriprep', '/data/out'),
        ('a=/x=1/y', 'a', '/x=1/y'),
        ('/x=1/y', 'y', '/x=1/y'),
        ('out/fmriprep', 'fmriprep', 'out/fmriprep'),
        ('a=b', 'a', 'b'),
    ],
)
def test_an_option_divides_at_the_first_equals_sign(text, name, path):
    assert parse_dataset(text) == (name, Path(path))


@pytest.mark.parametrize('text', ['', '=x', 'a=', '/'])
def test_an_option_without_name_or_path_is_refused(text):
    with pytest.raises(UsageError, match='NAME=PATH'):
        parse_dataset(text)


def test_repeated_options_are_all_kept():
    assert parse_datasets(['a=/x', 'b=/y', 'a=/x']) == {'a': Path('/x'), 'b': Path('/y')}


def test_one_name_for_two_folders_is_refused():
    with pytest.raises(UsageError, match="two datasets are named 'a'"):
        parse_datasets(['a=/x', 'a=/y'])


def test_a_raw_folder_gives_its_derivatives_and_theirs(study):
    found = {dataset.name: dataset.root for dataset in find_datasets(study)}
    top = study / 'derivatives'
    assert found == {
        'aslprep': top / 'aslprep',
        'fmriprep': top / 'fmriprep',
        'qsirecon': top / 'qsirecon',
        'qsirecon-DIPYDKI': top / 'qsirecon' / 'derivatives' / 'qsirecon-DIPYDKI',
    }


def test_a_derivative_is_taken_itself_with_what_it_nests(study):
    found = [dataset.name for dataset in find_datasets(study / 'derivatives' / 'qsirecon')]
    assert found == ['qsirecon', 'qsirecon-DIPYDKI']


def test_a_given_name_wins_and_a_folder_reached_twice_counts_once(study):
    qsirecon = study / 'derivatives' / 'qsirecon'
    given = {'q': qsirecon, 'dki': qsirecon / 'derivatives' / 'qsirecon-DIPYDKI'}
    assert [dataset.name for dataset in find_datasets(study, given)] == ['q', 'dki']


def test_folders_of_one_name_are_told_apart_by_the_one_above(tmp_path):
    trees.describe(tmp_path)
    for parent in ('a', 'b'):
        trees.describe(tmp_path / 'derivatives' / parent, parent)
        trees.describe(tmp_path / 'derivatives' / parent / 'derivatives' / 'x', 'x')
    names = [dataset.name for dataset in find_datasets(tmp_path)]
    assert names == ['a', 'b', 'x', 'derivatives-x']


def test_a_folder_without_description_is_accepted(tmp_path):
    (tmp_path / 'fmriprep' / 'sub-01').mkdir(parents=True)
    assert [d.name for d in find_datasets(tmp_path / 'fmriprep')] == ['fmriprep']


def test_names_can_stand_in_a_bids_uri(tmp_path):
    for name in ('my maps:v1', 'my-maps-v1', 'fmriprep-24.1.0'):
        trees.describe(tmp_path / name, 'fMRIPrep')
    given = {name: tmp_path / name for name in ('my maps:v1', 'my-maps-v1', 'fmriprep-24.1.0')}
    names = [dataset.name for dataset in find_datasets(tmp_path, given)]
    assert names == ['my-maps-v1', f'{tmp_path.name}-my-maps-v1', 'fmriprep-24.1.0']


def test_our_own_output_among_the_derivatives_is_passed_over(tmp_path):
    trees.describe(tmp_path)
    trees.describe(tmp_path / 'derivatives' / 'fmriprep', 'fMRIPrep')
    trees.describe(tmp_path / 'derivatives' / 'modelarray', NAME)
    assert [dataset.name for dataset in find_datasets(tmp_path)] == ['fmriprep']


def test_what_is_no_dataset_among_the_derivatives_is_passed_over_aloud(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    trees.describe(tmp_path)
    trees.describe(tmp_path / 'derivatives' / 'fmriprep', 'fMRIPrep')
    (tmp_path / 'derivatives' / 'work').mkdir()
    assert [dataset.name for dataset in find_datasets(tmp_path)] == ['fmriprep']
    assert 'work is not a dataset' in caplog.text


def test_derivatives_of_a_folder_that_is_no_dataset_itself(tmp_path):
    trees.describe(tmp_path / 'derivatives' / 'fmriprep', 'fMRIPrep')
    assert [dataset.name for dataset in find_datasets(tmp_path)] == ['fmriprep']


def test_a_raw_dataset_without_derivatives_says_what_to_give(tmp_path):
    trees.describe(tmp_path)
    (tmp_path / 'sub-01').mkdir()
    with pytest.raises(InvalidDatasetError, match='-d NAME=PATH') as caught:
        find_datasets(tmp_path)
    assert caught.value.exit_code == 16  # BIDS execution specification: invalid BIDS


@pytest.mark.parametrize('given', [None, {'x': Path('nowhere')}])
def test_a_folder_that_is_not_there(tmp_path, given):
    with pytest.raises(SourceNotFoundError, match='no such folder'):
        find_datasets(tmp_path / 'none', given)


def test_a_folder_with_neither_description_nor_subjects(tmp_path):
    with pytest.raises(InvalidDatasetError, match='neither'):
        find_datasets(tmp_path)


DAMAGED = {
    'trailing comma': b'{"Name": "x", "BIDSVersion": "1.8.0",}',
    'byte of Windows': b'{"Name": "Smith\x92s study"}',
    'cut off': b'{"Name": ',
    'empty': b'',
    'list': b'[]',
    'text': b'"x"',
    'null': b'null',
    'nested too deep': b'[' * 100_000,
    'number too long': b'{"Name": ' + b'1' * 5_000 + b'}',
}
ODD = {
    'object': ('{"GeneratedBy": {"Name": "fMRIPrep"}}', ('fMRIPrep',)),
    'null': ('{"GeneratedBy": null, "Name": "x"}', ()),
    'text': ('{"GeneratedBy": "fMRIPrep"}', ('fMRIPrep',)),
    'texts': ('{"GeneratedBy": ["fMRIPrep", "XCP-D"]}', ('fMRIPrep', 'XCP-D')),
    'no name': ('{"GeneratedBy": [{"Version": "1"}]}', ()),
    'name of a wrong kind': ('{"GeneratedBy": [{"Name": 3}, null]}', ()),
    'old object': ('{"PipelineDescription": "x"}', ('x',)),
    'types of wrong kinds': ('{"DatasetType": ["derivative"], "DatasetLinks": 1}', ()),
}


@pytest.mark.parametrize('damage', DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_description_stops_nobody(tmp_path, damage):
    trees.describe(tmp_path)
    trees.describe(tmp_path / 'derivatives' / 'fmriprep', 'fMRIPrep')
    for name in ('aslprep/sub-01', 'other'):
        (tmp_path / 'derivatives' / name).mkdir(parents=True)
    for name in ('aslprep', 'other'):
        (tmp_path / 'derivatives' / name / 'dataset_description.json').write_bytes(damage)
    found = {dataset.name: dataset for dataset in find_datasets(tmp_path)}
    assert list(found) == ['aslprep', 'fmriprep']
    assert found['aslprep'].problem.startswith(('is not', 'cannot'))
    lines = input_warnings(Request(tmp_path, tmp_path / 'out'), found.values())
    (line,) = (line for line in lines if 'aslprep' in line)
    assert line.endswith('named as its folder is')


@pytest.mark.parametrize(('text', 'programs'), ODD.values(), ids=ODD)
def test_who_made_a_dataset_is_read_however_it_is_written(tmp_path, text, programs):
    (tmp_path / 'sub-01').mkdir()
    (tmp_path / 'dataset_description.json').write_text(text)
    (dataset,) = find_datasets(tmp_path, {'x': tmp_path})
    assert (dataset.generators, dataset.problem) == (programs, '')


@pytest.mark.parametrize('damage', DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_description_alone_makes_no_dataset(tmp_path, damage):
    (tmp_path / 'dataset_description.json').write_bytes(damage)
    with pytest.raises(InvalidDatasetError, match='dataset_description') as caught:
        Dataset.from_folder(tmp_path)
    assert 'Fix' not in str(caught.value)


@pytest.mark.parametrize(
    'name', ['sub-01_qsirecon.zip', 'sub-01.html', 'sub-list.txt', 'sub-01_T1w.html', 'sub-01']
)
def test_files_that_are_called_like_subjects_make_no_dataset(tmp_path, name):
    trees.describe(tmp_path)
    trees.describe(tmp_path / 'derivatives' / 'fmriprep', 'fMRIPrep')
    (tmp_path / 'derivatives' / 'mriqc').mkdir()
    (tmp_path / 'derivatives' / 'mriqc' / name).touch()
    assert [dataset.name for dataset in find_datasets(tmp_path)] == ['fmriprep']
    with pytest.raises(InvalidDatasetError, match='not a BIDS dataset') as caught:
        find_datasets(tmp_path, {'m': tmp_path / 'derivatives' / 'mriqc'})
    assert f'dataset {tmp_path}' not in caught.value.remedy  # that was given


def test_derivatives_that_link_to_each_other_are_found_once(tmp_path):
    trees.describe(tmp_path)
    for name in 'abc':
        (tmp_path / 'derivatives' / name / 'sub-01').mkdir(parents=True)
        (tmp_path / 'derivatives' / name / 'derivatives').symlink_to(tmp_path / 'derivatives')
    (tmp_path / 'derivatives' / 'a' / 'sub-02').symlink_to(tmp_path / 'derivatives' / 'b')
    assert [dataset.name for dataset in find_datasets(tmp_path)] == ['a', 'b', 'c']


@pytest.mark.parametrize(
    ('fields', 'is_derivative'),
    [
        ({'GeneratedBy': [{'Name': 'HeuDiConv'}]}, False),
        ({'GeneratedBy': [{'Name': 'dcm2bids'}, {'Name': 'fMRIPrep'}]}, True),
        ({'DatasetType': 'raw', 'GeneratedBy': [{'Name': 'my scripts'}]}, False),
        ({'DatasetType': 'derivative', 'GeneratedBy': [{'Name': 'HeuDiConv'}]}, True),
        ({'GeneratedBy': [{'Name': 'my pipeline'}]}, True),
        ({'Name': 'x'}, False),
    ],
)
def test_a_raw_dataset_may_say_which_program_made_it(tmp_path, fields, is_derivative):
    (tmp_path / 'dataset_description.json').write_text(json.dumps(fields))
    assert Dataset.from_folder(tmp_path).is_derivative is is_derivative


def held(root, *names):
    for name in names:
        (root / name / 'sub-01').mkdir(parents=True)
    return root


@pytest.mark.parametrize(
    ('names', 'proposed'),
    [
        (['raw/derivatives/v1/fmriprep', 'raw2/derivatives/x'], 'raw/derivatives/v1/fmriprep'),
        (['raw/cpac_RBCv0', 'other/y'], 'raw/cpac_RBCv0'),
        (['raw/out/fmriprep', 'other/y'], 'raw/out/fmriprep'),
    ],
)
def test_derivatives_are_proposed_that_lie_nearest(tmp_path, names, proposed):
    trees.describe(held(tmp_path, *names) / 'raw')
    trees.describe(tmp_path / 'other' / 'y', 'fMRIPrep')
    trees.describe(tmp_path / 'neighbour', 'fMRIPrep')
    with pytest.raises(InvalidDatasetError, match='raw dataset') as caught:
        find_datasets(tmp_path / 'raw')
    assert f'{tmp_path / proposed}' in caught.value.remedy
    assert 'neighbour' not in caught.value.remedy


def test_a_dataset_without_description_is_named_one_level_down(tmp_path):
    held(tmp_path, 'cpac_RBCv0')
    with pytest.raises(InvalidDatasetError) as caught:
        find_datasets(tmp_path)
    assert f'-d cpac_RBCv0={tmp_path / "cpac_RBCv0"}' in caught.value.remedy


def test_the_field_generatedby_took_the_place_of_is_read_too(tmp_path):
    (tmp_path / 'dataset_description.json').write_text('{"PipelineDescription": {"Name": "x"}}')
    dataset = Dataset.from_folder(tmp_path)
    assert dataset.generators == ('x',)
    assert dataset.is_derivative
