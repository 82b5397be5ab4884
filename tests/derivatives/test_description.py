import json

import pytest

from modelarrayio_bids.__about__ import NAME, URL, __version__
from modelarrayio_bids.derivatives.dataset import Dataset
from modelarrayio_bids.derivatives.description import write_description
from modelarrayio_bids.errors import OutputError


@pytest.fixture
def datasets(tmp_path):
    return [Dataset('fmriprep', tmp_path / 'a'), Dataset('aslprep', tmp_path / 'b')]


def test_it_says_what_made_the_output_and_of_what(tmp_path, datasets, monkeypatch):
    monkeypatch.delenv('MODELARRAYIO_CONTAINER_TAG', raising=False)
    path = write_description(tmp_path / 'out', datasets, tmp_path / 'study', ['cbf'])
    written = json.loads(path.read_text())
    assert written['DatasetType'] == 'derivative'
    assert written['GeneratedBy'] == [{'Name': NAME, 'Version': __version__, 'CodeURL': URL}]
    assert written['DatasetLinks'] == {
        'fmriprep': f'file://{tmp_path}/a',
        'aslprep': f'file://{tmp_path}/b',
    }
    assert [source['URL'] for source in written['SourceDatasets']] == [
        f'file://{tmp_path}/study',
        f'file://{tmp_path}/a',
        f'file://{tmp_path}/b',
    ]


def test_a_container_is_named(tmp_path, datasets, monkeypatch):
    monkeypatch.setenv('MODELARRAYIO_CONTAINER_TAG', 'pennlinc/modelarrayio-bids:0.1.0')
    path = write_description(tmp_path, datasets, tmp_path, ['cbf'])
    (made_by,) = json.loads(path.read_text())['GeneratedBy']
    assert made_by['Container'] == {'Type': 'docker', 'Tag': 'pennlinc/modelarrayio-bids:0.1.0'}


def test_those_of_an_earlier_version_are_refreshed(tmp_path, datasets):
    (tmp_path / 'dataset_description.json').write_text('{"Name": "old"}')
    (tmp_path / '.bidsignore').write_text('old')
    write_description(tmp_path, datasets, tmp_path, ['cbf'])
    assert 'old' not in (tmp_path / 'dataset_description.json').read_text()
    assert '*.h5' in (tmp_path / '.bidsignore').read_text().splitlines()


def test_a_folder_that_cannot_be_written(tmp_path, datasets):
    (tmp_path / 'file').touch()
    with pytest.raises(OutputError) as caught:
        write_description(tmp_path / 'file', datasets, tmp_path, ['cbf'])
    assert caught.value.exit_code == 73  # sysexits.h: EX_CANTCREAT
