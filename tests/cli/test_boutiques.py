"""The Boutiques descriptor, judged by Boutiques' own program."""

import json
import shlex
import subprocess

import boutiques_descriptor
import pytest
from tools import require_tool

from modelarrayio_bids.__about__ import __version__
from modelarrayio_bids.cli.bids_app import get_parser, main


@pytest.fixture
def printed(tmp_path, capsys):
    """The descriptor as a file, as the command prints it."""
    with pytest.raises(SystemExit) as ended:
        main(['--bids-exec-spec'])
    assert ended.value.code == 0
    path = tmp_path / 'descriptor.json'
    path.write_text(capsys.readouterr().out, 'utf-8')
    return path


@pytest.fixture
def inputs(printed):
    return {one['id']: one for one in json.loads(printed.read_text('utf-8'))['inputs']}


def bosh(*words):
    done = subprocess.run(
        [require_tool('bosh'), *map(str, words)], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_package_ships_what_the_parser_takes(printed):
    assert printed.read_text('utf-8') == boutiques_descriptor.descriptor(), 'run make descriptor'


def test_boutiques_finds_it_valid(printed):
    assert 'OK' in bosh('validate', printed)


def test_it_tells_types_lists_choices_and_defaults(inputs):
    def told(name, *keys):
        return [inputs[name].get(key) for key in keys]

    assert told('bids_dir', 'type', 'optional') == ['File', False]
    assert told('output_dir', 'type', 'optional') == ['String', False]  # need not be there yet
    assert told('analysis_level', 'value-choices', 'list') == [['group', 'model', 'export'], True]
    assert told('model', 'type', 'command-line-flag') == ['File', '--model']
    assert told('correct_p_value_terms', 'default-value') == [['fdr']]
    assert told('mask', 'type', 'command-line-flag') == ['File', '--mask']
    assert told('phenotypes', 'type', 'list') == ['File', True]
    assert told('participant_label', 'type', 'list', 'min-list-entries') == ['String', True, 1]
    assert told('overwrite', 'type', 'optional') == ['Flag', True]
    assert told('compress', 'type', 'command-line-flag') == ['Flag', '--no-compress']
    assert told('verbose', 'type') == ['Flag']
    assert told('blocks', 'type', 'integer', 'minimum') == ['Number', True, 1]
    assert told('nprocs', 'default-value') == [None]  # that of another machine
    assert told('on_grid_mismatch', 'default-value') == ['error']
    assert 'same-dataset' in inputs['mask_source']['value-choices']
    assert '%(' not in json.dumps(inputs)


def test_it_has_the_version_the_groups_and_the_exit_codes(printed):
    spec = json.loads(printed.read_text('utf-8'))
    assert spec['tool-version'] == __version__
    exclusive = [group['members'] for group in spec['groups'] if 'mutually-exclusive' in group]
    assert exclusive == [['reports_only', 'report'], ['nipype_plugin', 'nipype_plugin_file']]
    members = [member for group in spec['groups'] for member in group['members']]
    assert sorted(members) == sorted(one['id'] for one in spec['inputs'])
    # The BIDS execution specification's, sysexits.h's, and those of signals.
    codes = [16, 17, 18, 64, 65, 66, 70, 73, 74, 75, 130, 143]
    assert [one['code'] for one in spec['error-codes']] == codes


def test_a_command_line_made_from_it_is_understood(printed, tmp_path):
    invocation = {
        'bids_dir': '/study',
        'output_dir': '/results',
        'analysis_level': ['group', 'model'],
        'datasets': ['asl=/a', 'dki=/b'],
        'participant_label': ['01', '02'],
        'recipe': ['/one.yaml', '/two.yaml'],
        'group_mask_threshold': 0.5,
        'overwrite': True,
        'compress': True,
        'outside': 'nan',
        'formula': '~ age * sex',
        'contrast': ['M=age + age:sexM', 'F=age'],
        'var_terms': ['estimate'],
        'nprocs': 3,
        'mem_mb': '8G',
        'mask_source': ['same-dataset', 'relaxed'],
    }
    path = tmp_path / 'invocation.json'
    path.write_text(json.dumps(invocation), 'utf-8')
    (command,) = [
        line
        for line in bosh('exec', 'simulate', '-i', path, printed).splitlines()
        if line.startswith('modelarrayio-bids ')
    ]
    options = vars(get_parser().parse_args(shlex.split(command)[1:]))
    assert str(options.pop('outside')) == 'nan'
    said = {name: options[name] for name in invocation if name in options}
    assert {
        name: [str(item) for item in value] if isinstance(value, list) else value
        for name, value in said.items()
        if name not in {'bids_dir', 'output_dir'}
    } == {
        name: value
        for name, value in (invocation | {'compress': False, 'mem_mb': 8192}).items()
        if name not in {'bids_dir', 'output_dir', 'outside'}
    }
    assert [str(options[name]) for name in ('bids_dir', 'output_dir')] == ['/study', '/results']


def test_it_needs_no_other_argument_and_minds_none(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path), '--bids_exec_spec', '--unheard-of'])
    assert ended.value.code == 0
    assert json.loads(capsys.readouterr().out)['name'] == 'modelarrayio-bids'
