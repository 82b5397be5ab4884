"""``--config-file``, and the settings that every run leaves in its logs."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import h5py
import numpy as np
import pytest
import trees
from hypothesis import given, settings
from hypothesis import strategies as st

from modelarrayio_bids.__about__ import __version__
from modelarrayio_bids.cli.app.settings import parse
from modelarrayio_bids.cli.bids_app import get_parser, main


def settings_of(output):
    (path,) = (output / 'logs').glob('*_settings.toml')
    return path


def table(path):
    """All keys and values but where it was written, and with nan equal to itself."""
    content = tomllib.loads(path.read_text('utf-8'))
    return {key: str(value) for key, value in content.items() if key != 'output-dir'}


@pytest.fixture
def said(tmp_path, flow, capfd, monkeypatch):
    """Run the group level with a settings file of this text: exit code and its last line."""

    def run(text, *options):
        file = tmp_path / 'conf' / 'run.toml'
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, 'utf-8')
        monkeypatch.chdir(tmp_path)
        arguments = [str(flow), 'out', 'group', '--config-file', str(file), '--list-scalars']
        code = main([*arguments, *options])
        captured = capfd.readouterr()
        return code, captured.out if code == 0 else captured.err.splitlines()[-1]

    return run


def test_a_run_can_be_given_back(flow, tmp_path, monkeypatch):
    (tmp_path / 'labels.txt').write_text('01\n03\n')
    (tmp_path / 'there').mkdir()
    monkeypatch.chdir(tmp_path)
    derivative = os.path.relpath(flow / 'derivatives' / 'aslprep')
    arguments = ['-d', f'asl={derivative}', '--participant-label', '@labels.txt', '--scalars']
    arguments += ['cbf', '--group-mask-threshold', '1', '--mem', '1G', '--nprocs', '1', '--outside']
    arguments += ['nan', '--no-compress', '--no-report', '-v']
    assert main([str(flow), 'out', 'group', *arguments]) == 0
    first = settings_of(tmp_path / 'out')
    lines = first.read_text('utf-8').splitlines()
    assert lines[0].startswith(f'# modelarrayio-bids {__version__}, 20')
    assert lines[1].startswith(f'# modelarrayio-bids {flow} out group -d asl={derivative} --part')
    # Elsewhere, and with another output: the command line wins.
    monkeypatch.chdir(tmp_path / 'there')
    other = tmp_path / 'other'
    assert main([str(flow), str(other), 'group', '--config-file', str(first)]) == 0
    assert table(settings_of(other)) == table(first)
    stores = [next(output.rglob('*.h5')) for output in (tmp_path / 'out', other)]
    with h5py.File(stores[0]) as one, h5py.File(stores[1]) as two:
        assert one['scalars/cbf/values'].shape[0] == 2
        np.testing.assert_array_equal(one['scalars/cbf/values'][()], two['scalars/cbf/values'][()])


def any_options():
    """Words of a command line: every kind of option, each with values of its kind."""
    # No hyphen first: argparse takes that for an option.
    text = st.text(st.characters(codec='utf-8', exclude_characters='\0'), min_size=1)
    text = text.filter(lambda word: not word.startswith('-'))
    number = st.integers(1, 10**6).map(str)
    named = st.tuples(st.from_regex(r'[a-z]+', fullmatch=True), text).map('='.join)

    def option(flag, values, most=1):
        return st.lists(values, min_size=1, max_size=most).map(lambda words: [flag, *words])

    return st.lists(
        st.one_of(
            option('-d', st.one_of(named, text.map('./'.__add__)), 3),
            option('--participant-label', st.one_of(text, text.map('@'.__add__)), 3),
            option('--scalars', text, 3),
            option('--recipe', text),
            option('--mask', text),
            option('--mask-source', st.sampled_from(['same-dataset', 'relaxed']), 2),
            option('--on-grid-mismatch', st.sampled_from(['error', 'drop'])),
            option('--group-mask-threshold', st.floats(0, 1).map(repr)),
            option('--outside', st.sampled_from(['0', 'nan'])),
            option('--mem', number.map(lambda digits: f'{digits}M')),
            option('--nprocs', number),
            st.sampled_from([['--overwrite'], ['--no-compress'], ['-v'], ['-vv'], ['--debug']]),
        ),
        max_size=8,
    ).map(lambda options: [word for option in options for word in option])


@settings(deadline=None)
@given(any_options())
def test_settings_read_again_are_those_written(tmp_path_factory, words):
    path = tmp_path_factory.mktemp('settings') / 'run.toml'
    options = parse(get_parser(), ['study', 'out', 'group', *words])
    options.settings.write(path)
    again = parse(get_parser(), ['--config-file', str(path)])
    assert repr(again.settings.values) == repr(options.settings.values)
    assert again.settings.unset == options.settings.unset


def test_the_settings_of_a_run_need_nothing_else(flow, tmp_path):
    output = tmp_path / 'out'
    assert main([str(flow), str(output), 'group', '--scalars', 'cbf', '--no-report']) == 0
    kept = settings_of(output).rename(tmp_path / 'kept.toml')
    assert main(['--config-file', str(kept)]) == 0
    assert tomllib.loads(kept.read_text()) == tomllib.loads(settings_of(output).read_text())


def test_every_option_is_in_the_settings(flow, tmp_path):
    arguments = ['--scalars', 'cbf', '--no-report']
    assert main([str(flow), str(tmp_path / 'out'), 'group', *arguments]) == 0
    path = settings_of(tmp_path / 'out')
    (unset,) = [line for line in path.read_text().splitlines() if line.startswith('# Not set: ')]
    known = {*tomllib.loads(path.read_text()), *unset.removeprefix('# Not set: ').split(', ')}
    command = [sys.executable, '-m', 'modelarrayio_bids.cli.bids_app', '--bids-exec-spec']
    spec = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    asked = {
        one.get('command-line-flag', one['id']).removeprefix('--').replace('_', '-')
        for one in spec['inputs']
    }
    assert known == asked - {'config-file'}


def test_paths_are_relative_to_the_file(flow, tmp_path, monkeypatch, capsys):
    root = trees.describe(tmp_path / 'lab' / 'study')
    trees.write_aslprep(root / 'derivatives' / 'aslprep', trees.people(3))
    (tmp_path / 'lab' / 'who.txt').write_text('02')
    config = tmp_path / 'lab' / 'run.toml'
    config.write_text(
        'bids_dir = "study"\noutput_dir = "out"\nanalysis-level = "group"\nscalars = "cbf"\n'
        'participant_label = ["@who.txt"]\nlist-scalars = true\n'
        '[datasets]\nasl = "study/derivatives/aslprep"\n'
    )
    monkeypatch.chdir(tmp_path)
    assert main(['--config-file', 'lab/run.toml']) == 0
    (row,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith('cbf ')]
    assert row.split()[3:5] == ['1', '1']
    assert row.split()[-1] == 'asl'


def test_the_command_line_wins(said):
    text = 'scalars = ["cbf_scrub", "cbf_score"]\nnprocs = 1\nskip-bids-validation = true\n'
    assert [line.split()[0] for line in said(text)[1].splitlines()[1:3]] == [
        'cbf_score',
        'cbf_scrub',
    ]
    _, words = said(text, '--scalars', 'cbf')
    assert [line.split()[:1] for line in words.splitlines()[1:3]] == [['cbf'], []]
    # Options that exclude each other are one setting.
    assert said('nipype-plugin-file = "none.yml"', '--nipype-plugin', 'Linear')[0] == 0


@pytest.mark.parametrize(
    ('text', 'says'),
    [
        ('scalers = ["cbf"]', "has an unknown key 'scalers'. Did you mean scalars?"),
        (
            'qqqqq = 1',
            "has an unknown key 'qqqqq'. Keys are: allow-repeated, analysis-level, analysis-name, ",
        ),
        ('config-file = "x"', "has an unknown key 'config-file'"),
        ('[group]\nscalars = "cbf"', "has an unknown key 'group'"),
        ('nprocs = "many"', "nprocs: 'many' is not a number from 1."),
        ('nprocs = 0', "nprocs: '0' is not a number from 1."),
        ('mem = "x"', "mem-mb: 'x' is not a memory size: give megabytes, or such as 8G."),
        ('overwrite = "yes"', "overwrite: ignored explicit argument 'yes'."),
        ('participant_label = [1]', 'participant_label cannot be [1]. Put it in quotes.'),
        ('mask = 3', 'mask cannot be 3. Put it in quotes.'),
        ('mask = ["a", "b"]', "mask cannot be ['a', 'b']. It takes one value."),
        ('outside = 2', "outside: '2' is neither 0 nor nan."),
        ('on-grid-mismatch = "x"', "on-grid-mismatch: invalid choice: 'x' (choose from"),
        (
            'group-mask-threshold = 2021-01-01',
            "group-mask-threshold: invalid float value: '2021-01-01'",
        ),
        ('mask_source = ["x"]', "mask-source: invalid choice: 'x' (choose from"),
        ('nprocs = 1\nn_cpus = 1', 'has nprocs twice, as n_cpus too. Keep one.'),
        (
            'nipype-plugin = "Linear"\nnipype-plugin-file = "x"',
            'nipype-plugin-file: not allowed with nipype-plugin.',
        ),
    ],
)
def test_what_is_wrong_in_a_file_is_one_line(said, tmp_path, text, says):
    code, line = said(text)
    assert code == 64  # sysexits.h: EX_USAGE
    assert line.startswith(f'modelarrayio-bids: error: {tmp_path}/conf/run.toml: ')
    assert says in line


def test_a_file_that_is_no_toml_or_not_there(said, tmp_path, capfd):
    code, line = said('scalars = [cbf]')
    assert (code, 'is not TOML' in line, 'line 1' in line) == (65, True, True)
    assert main(['--config-file', str(tmp_path / 'none.toml')]) == 66
    assert f'{tmp_path}/none.toml: no such file. Check the path.' in capfd.readouterr().err


def test_what_neither_says_is_asked_for(tmp_path, capfd):
    (tmp_path / 'x.toml').write_text('analysis_level = "group"')
    with pytest.raises(SystemExit) as ended:
        main(['--config-file', str(tmp_path / 'x.toml'), str(tmp_path)])
    assert ended.value.code == 64
    assert f'neither the command line nor {tmp_path}/x.toml has output_dir' in (
        capfd.readouterr().err
    )


def test_options_of_a_command_line_may_stand_anywhere(said, flow, tmp_path, capfd):
    said('skip-bids-validation = true')
    config = str(tmp_path / 'conf' / 'run.toml')
    arguments = ['--scalars', 'cbf', '--config-file', config, str(flow), '--list-scalars']
    assert main([*arguments, str(tmp_path / 'out'), 'group']) == 0
    assert capfd.readouterr().out.splitlines()[1].split()[0] == 'cbf'


def test_the_page_shows_a_file_that_can_be_used(tmp_path):
    page = Path(__file__).parents[2] / 'docs' / 'group.md'
    (text,) = re.findall(r'```toml\n(.*?)```', page.read_text('utf-8'), re.DOTALL)
    (tmp_path / 'run.toml').write_text(text)
    options = parse(get_parser(), ['--config-file', str(tmp_path / 'run.toml')])
    assert options.output_dir == tmp_path / '../results'
    assert options.participant_label == [f'@{tmp_path}/included.txt']
    assert options.datasets == ['qsirecon=/study/derivatives/qsirecon']
    assert (options.mem_mb, options.overwrite) == (8192, True)
