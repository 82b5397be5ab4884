"""What ``modelarrayio-bids`` says of inputs that cannot serve, or that could serve better."""

import json
import shutil
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import trees

from modelarrayio_bids.__about__ import NAME, __version__
from modelarrayio_bids.cli.bids_app import main


@pytest.fixture
def said(tmp_path, capfd):
    """Run the group level: its exit code, the one line of its error, and its warnings."""

    def run(root, *options):
        code = main([str(root), str(tmp_path / 'out'), 'group', *map(str, options)])
        lines = capfd.readouterr().err.splitlines()
        errors = [line for line in lines if ': error: ' in line]
        assert len(errors) == (code != 0)
        warnings = [line for line in lines if line.startswith('WARNING')]
        return code, ''.join(errors), warnings

    return run


@pytest.fixture
def own(flow, tmp_path):
    """A study of one's own that may be changed."""
    return Path(shutil.copytree(flow, tmp_path / 'study'))


def test_an_output_folder_is_no_input(said, flow, tmp_path):
    source = tmp_path / 'the study'
    folder = trees.describe(
        tmp_path / 'results', NAME, SourceDatasets=[{'URL': source.absolute().as_uri()}]
    )
    derivative = flow / 'derivatives' / 'aslprep'
    for arguments in (
        [folder],
        [tmp_path, '-d', f'x={folder}'],
        [folder, '-d', f'aslprep={derivative}'],
    ):
        code, error, _ = said(*arguments)
        assert code == 16
        assert f'{folder}: was written by this program: its outputs cannot be its inputs' in error
        assert f'Give the dataset it was made from ({source}), then' in error


def test_raw_data_alone(said, tmp_path):
    raw = trees.describe(tmp_path / 'lab' / 'raw')
    (raw / 'sub-01').mkdir()
    code, error, _ = said(raw)
    assert code == 16
    assert 'is a raw dataset without derivatives. Run a pipeline on it first' in error
    assert '-d NAME=PATH' in error


@pytest.mark.parametrize('place', ['lab/derivatives/aslprep', 'lab/aslprep'])
def test_raw_data_with_derivatives_beside_them(said, tmp_path, place):
    raw = trees.describe(tmp_path / 'lab' / 'raw')
    near = trees.describe(tmp_path / place, 'ASLPrep')
    others = trees.describe(tmp_path / 'lab' / 'another_study', 'ASLPrep')
    for folder, number in ((raw, 1), (raw, 2), (near, 2), (others, 3)):
        (folder / f'sub-0{number}').mkdir()
    trees.describe(tmp_path / 'lab' / 'results', NAME)
    code, error, _ = said(raw)
    assert code == 16
    assert error.endswith(f'Name its derivatives, such as -d aslprep={near}.')


def test_a_folder_that_is_no_dataset(said, own, tmp_path):
    (tmp_path / 'empty').mkdir()
    code, error, _ = said(tmp_path / 'empty')
    assert (code, 'holds neither dataset_description.json nor sub-* folders' in error) == (16, True)
    derivatives = own / 'derivatives'
    code, error, _ = said(derivatives)
    assert code == 16
    assert f'Of the datasets in it, give one, or several: -d aslprep={derivatives}/aslprep' in error
    subject = derivatives / 'aslprep' / 'sub-01'
    code, error, _ = said(subject)
    assert code == 16
    assert f'It is a folder of the dataset {subject.parent}: give that.' in error


def test_the_dataset_of_another_program_is_not_overwritten(flow, tmp_path, capfd):
    output = trees.describe(tmp_path / 'out', 'XCP-D')
    before = (output / 'dataset_description.json').read_bytes()
    assert main([str(flow), str(output), 'group']) == 64
    error = capfd.readouterr().err
    assert f'{output}: holds a dataset made by XCP-D, whose dataset_description.json' in error
    assert f'such as {output}/modelarray.' in error
    assert [path.name for path in output.iterdir()] == ['dataset_description.json']
    assert (output / 'dataset_description.json').read_bytes() == before


def test_phenotypes_that_lie_elsewhere_are_pointed_at(own, said):
    derivative = own / 'derivatives' / 'aslprep'
    arguments = [derivative, '--scalars', 'cbf', '--list-scalars']
    code, _, (warning, consequence) = said(*arguments)
    assert code == 0
    assert 'no phenotypes' in consequence
    assert f'{derivative} has no participants.tsv, but {own} has' in warning
    assert f'--phenotypes {own}/participants.tsv' in warning
    assert said(*arguments, '--phenotypes', own / 'participants.tsv')[2] == []
    assert said(*arguments, '--skip-bids-validation')[2] == [consequence]
    (own / 'participants.tsv').unlink()
    assert said(*arguments)[2] == [consequence]


def test_what_a_description_lacks_is_advice(own, said):
    path = own / 'derivatives' / 'aslprep' / 'dataset_description.json'
    path.write_text('{"Name": "x", "DatasetType": "derivative"}')
    code, _, (warning,) = said(own, '--list-scalars')
    assert code == 0
    assert warning.endswith(f'{path} lacks BIDSVersion, GeneratedBy, which BIDS requires')
    path.unlink()
    code, _, (warning,) = said(own, '--list-scalars')
    assert code == 0
    assert 'has no dataset_description.json; named as its folder is' in warning
    assert said(own, '--list-scalars', '--skip-bids-validation')[2] == []


def test_sources_resolve_through_the_links(flow, tmp_path):
    derivatives = flow / 'derivatives'
    output = tmp_path / 'out'
    arguments = ['-d', f'my maps:v1={derivatives}/aslprep', '--scalars', 'cbf', '--no-report']
    assert main([str(flow), str(output), 'group', *arguments]) == 0
    description = json.loads((output / 'dataset_description.json').read_text())
    links = description['DatasetLinks']
    assert links == {'my-maps-v1': (derivatives / 'aslprep').as_uri()}
    roots = {name: Path(unquote(urlsplit(url).path)) for name, url in links.items()} | {'': output}
    found = {
        source
        for sidecar in (output / 'cbf').glob('*.json')
        for source in json.loads(sidecar.read_text())['Sources']
    }
    assert {source.split(':')[1] for source in found} == {'', 'my-maps-v1'}
    for source in found:
        scheme, name, path = source.split(':')
        assert scheme == 'bids'
        assert (roots[name] / path).is_file()


def test_a_description_of_another_version_is_refreshed(flow, tmp_path):
    output = trees.describe(
        tmp_path / 'out', NAME, GeneratedBy=[{'Name': NAME, 'Version': '0.0.1'}]
    )
    assert main([str(flow), str(output), 'group', '--scalars', 'cbf', '--no-report']) == 0
    description = json.loads((output / 'dataset_description.json').read_text())
    assert [entry['Version'] for entry in description['GeneratedBy']] == [__version__]
    assert description['SourceDatasets'] == [
        {'URL': flow.as_uri()},
        {'URL': (flow / 'derivatives' / 'aslprep').as_uri()},
    ]


@pytest.mark.parametrize('text', ['abc', '', 'nan', 'inf', '99999999999999999', '-99999999999999'])
def test_a_date_that_cannot_be_is_refused_before_anything_is_read(
    tmp_path, monkeypatch, capfd, text
):
    monkeypatch.setenv('SOURCE_DATE_EPOCH', text)
    assert main([str(tmp_path / 'none'), str(tmp_path / 'out'), 'group']) == 64
    assert f'SOURCE_DATE_EPOCH is {text!r}, which is not a date' in capfd.readouterr().err
