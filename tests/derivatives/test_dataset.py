import logging
from pathlib import Path

import pytest
import trees

from modelarrayio_bids.__about__ import NAME
from modelarrayio_bids.derivatives.bids.dataset import (
    Dataset,
    find_datasets,
    parse_dataset,
    parse_datasets,
)
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
    assert 'work is no dataset' in caplog.text


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


@pytest.mark.parametrize('text', ['{', '[]', '{"GeneratedBy": {"Name": "x"}}', '"x"'])
def test_a_description_that_cannot_be_used(tmp_path, text):
    (tmp_path / 'dataset_description.json').write_text(text)
    with pytest.raises(InvalidDatasetError, match='dataset_description'):
        Dataset.from_folder(tmp_path)


def test_the_field_generatedby_took_the_place_of_is_read_too(tmp_path):
    (tmp_path / 'dataset_description.json').write_text('{"PipelineDescription": {"Name": "x"}}')
    dataset = Dataset.from_folder(tmp_path)
    assert dataset.generators == ('x',)
    assert dataset.is_derivative
