import json
from pathlib import Path

import pytest

from modelarrayio_bids.__about__ import NAME, URL, __version__
from modelarrayio_bids.derivatives.bids.dataset import Dataset
from modelarrayio_bids.derivatives.bids.description import complete_description, write_description
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


@pytest.mark.parametrize('run_by', ['apptainer', 'singularity'])
def test_what_runs_the_container_is_named(tmp_path, datasets, monkeypatch, run_by):
    monkeypatch.setenv('MODELARRAYIO_CONTAINER_TAG', 'x')
    # Set inside every container, see "Environment Overview" of Apptainer's user guide.
    monkeypatch.setenv(f'{run_by.upper()}_CONTAINER', '/images/modelarrayio-bids.sif')
    path = write_description(tmp_path, datasets, tmp_path, ['cbf'])
    assert json.loads(path.read_text())['GeneratedBy'][0]['Container']['Type'] == run_by


def test_the_doi_of_a_source_is_handed_on(tmp_path):
    dataset = Dataset('x', tmp_path / 'x', {'DatasetDOI': 'doi:10.18112/openneuro.ds000001'})
    path = write_description(tmp_path, [dataset], tmp_path / 'study', ['cbf'])
    assert json.loads(path.read_text())['SourceDatasets'] == [
        {'URL': f'file://{tmp_path}/study'},
        {'URL': f'file://{tmp_path}/x', 'DOI': 'doi:10.18112/openneuro.ds000001'},
    ]


def test_links_that_sidecars_use_outlive_a_run_of_other_inputs(tmp_path, datasets, caplog):
    fmriprep, aslprep = datasets
    write_description(tmp_path, [fmriprep, aslprep], tmp_path, ['cbf'])
    (tmp_path / 'cbf').mkdir()
    (tmp_path / 'cbf' / 'x_modelarray.json').write_text('{"Sources": ["bids:aslprep:sub-01/x"]}')
    path = write_description(tmp_path, [Dataset('other', tmp_path / 'c')], tmp_path, ['fa'])
    links = json.loads(path.read_text())['DatasetLinks']
    assert links == {'aslprep': f'file://{tmp_path}/b', 'other': f'file://{tmp_path}/c'}
    assert not caplog.text
    path = write_description(tmp_path, [Dataset('aslprep', tmp_path / 'd')], tmp_path, ['fa'])
    assert json.loads(path.read_text())['DatasetLinks'] == {'aslprep': f'file://{tmp_path}/d'}
    assert f'stood for file://{tmp_path}/b; now it stands for file://{tmp_path}/d' in caplog.text


def test_links_of_runs_in_folders_below_are_known(tmp_path, datasets, caplog):
    write_description(tmp_path / 'cbf', datasets, tmp_path, ['cbf'])
    (tmp_path / 'cbf' / 'cbf').mkdir()
    sidecar = tmp_path / 'cbf' / 'cbf' / 'x_modelarray.json'
    sidecar.write_text('{"Sources": ["bids:aslprep:sub-01/x"]}')
    complete_description(tmp_path, tmp_path, ['cbf'])
    links = json.loads((tmp_path / 'dataset_description.json').read_text())['DatasetLinks']
    assert links == {'aslprep': f'file://{tmp_path}/b'}
    assert not caplog.text


def test_neighbours_that_disagree_or_are_broken_stop_nothing(tmp_path, datasets, caplog):
    for name, root in (('a', '/first'), ('b', '/second')):
        write_description(tmp_path / name, [Dataset('aslprep', Path(root))], tmp_path, ['cbf'])
        sidecar = tmp_path / name / 'cbf' / 'x_modelarray.json'
        sidecar.parent.mkdir()
        sidecar.write_text('{"Sources": ["bids:aslprep:sub-01/x"]}')
    (tmp_path / 'c').mkdir()
    (tmp_path / 'c' / 'dataset_description.json').write_text('{')
    complete_description(tmp_path, tmp_path, ['cbf'])
    assert '"bids:aslprep:" stands for both file:///first and file:///second' in caplog.text


def test_those_of_an_earlier_version_are_refreshed(tmp_path, datasets):
    (tmp_path / 'dataset_description.json').write_text('{"Name": "old"}')
    (tmp_path / '.bidsignore').write_text('old')
    write_description(tmp_path, datasets, tmp_path, ['cbf'])
    assert 'old' not in (tmp_path / 'dataset_description.json').read_text()
    assert '*.h5' in (tmp_path / '.bidsignore').read_text().splitlines()


def test_further_outputs_refresh_the_version_and_keep_the_sources(tmp_path, datasets):
    path = write_description(tmp_path, datasets, tmp_path / 'study', ['cbf'])
    first = json.loads(path.read_text())
    path.write_text(json.dumps({**first, 'GeneratedBy': [{'Name': NAME, 'Version': '0.0.1'}]}))
    complete_description(tmp_path, tmp_path / 'another', ['cbf'])
    assert json.loads(path.read_text()) == first
    others = '{"Name": "x", "GeneratedBy": [{"Name": "XCP-D"}]}'
    path.write_text(others)
    complete_description(tmp_path, tmp_path / 'another', ['cbf'])
    assert path.read_text() == others


def test_a_folder_that_cannot_be_written(tmp_path, datasets):
    (tmp_path / 'file').touch()
    with pytest.raises(OutputError) as caught:
        write_description(tmp_path / 'file', datasets, tmp_path, ['cbf'])
    assert caught.value.exit_code == 73  # sysexits.h: EX_CANTCREAT


def test_links_that_went_with_a_lost_description_are_named(tmp_path, datasets, caplog):
    output = tmp_path / 'out'
    (output / 'cbf').mkdir(parents=True)
    (output / 'cbf' / 'space-X_cohort.json').write_text('{"Sources": ["bids:gone:sub-01/a.nii"]}')
    write_description(output, datasets, tmp_path, ['cbf'])
    assert 'the meaning of "bids:gone:"' in caplog.text
