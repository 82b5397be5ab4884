"""``--help`` fits on a screen, ``--help-all`` has all options; both end with examples that run."""

import re
import shlex
import subprocess
import sys

import pytest
from images import write_cohort

from modelarrayio_bids.cli import bids_app, files

LINES = 48


def parsers():
    yield bids_app.PROGRAM, bids_app.get_parser()
    yield files.PROGRAM, files.get_parser()
    actions = files.get_parser()._actions  # noqa: SLF001
    (commands,) = (action for action in actions if isinstance(action.choices, dict))
    for command in files.COMMANDS:
        yield f'{files.PROGRAM} {command}', commands.choices[command]


PROGRAMS = [name for name, _ in parsers()]


def help_of(name, option):
    program, *command = name.split()
    main = {bids_app.PROGRAM: bids_app, files.PROGRAM: files}[program].main
    with pytest.raises(SystemExit) as ended:
        main([*command, option])
    assert ended.value.code == 0


def spellings(text):
    return set(re.findall(r'(?<!\S)--[a-z][a-z0-9-]*', text.partition('\nexamples:')[0]))


@pytest.fixture(params=PROGRAMS)
def name(request):
    return request.param


@pytest.mark.parametrize('columns', [80, 100])
def test_help_fits_on_a_screen(name, columns, capsys, monkeypatch):
    monkeypatch.setenv('COLUMNS', str(columns))
    help_of(name, '--help')
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= LINES
    assert max(map(len, lines)) <= max(columns, 100)


def test_help_all_has_every_option(name, capsys):
    help_of(name, '--help-all')
    text = capsys.readouterr().out
    every = {
        word
        for action in dict(parsers())[name]._actions  # noqa: SLF001
        for word in action.option_strings
        if word.startswith('--') and '_' not in word
    }
    assert every <= spellings(text)
    help_of(name, '--help')
    assert spellings(capsys.readouterr().out) <= every


def examples(name, capsys):
    help_of(name, '--help')
    text = capsys.readouterr().out.partition('\nexamples:\n')[2].replace('\\\n', ' ')
    return [shlex.split(line) for line in text.splitlines()]


def test_help_ends_with_two_examples(name, capsys):
    program, *command = name.split()
    commands = examples(name, capsys)
    assert len(commands) == 2
    for words in commands:
        assert words[0] == program
        if command:
            assert words[1] == command[0]


def run(commands):
    for program, *words in commands:
        module = {bids_app.PROGRAM: bids_app, files.PROGRAM: files}[program]
        assert module.main(words) == 0, words


def test_examples_of_the_bids_app_run(flow, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'study').symlink_to(flow)
    # Four people are fewer than the models of the examples need.
    first, second = examples(bids_app.PROGRAM, capsys)
    run([first, [*second, '--formula', '~ 1', '--num-subj-lthr-abs', '1']])
    assert list((tmp_path / 'results').rglob('*_statmap.nii.gz'))


@pytest.mark.parametrize('command', ['', 'fit', 'export-results', 'info', 'validate'])
def test_examples_on_an_hdf5_file_run(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    sexes = ['F', 'M'] * 12
    write_cohort(tmp_path, subjects=24, sex=sexes).rename(tmp_path / 'cohort_FA.csv')
    options = ['--cohort-file', 'cohort_FA.csv', '--mask', 'group_mask.nii.gz']
    assert files.main(['to-modelarray', *options, '--output', 'FA.h5']) == 0
    if command == 'export-results':
        model = ['--formula', 'FA ~ age', '--cohort-file', 'cohort_FA.csv']
        assert files.main(['fit', 'FA.h5', *model]) == 0
    run(examples(f'modelarrayio {command}'.strip(), capsys))


HEAVY = ('numpy', 'pandas', 'nibabel', 'h5py', 'nipype', 'matplotlib', 'bids', 'scipy')


@pytest.mark.parametrize('module', ['bids_app', 'files'])
def test_help_loads_nothing_heavy(module):
    code = (
        f'import sys; from modelarrayio_bids.cli.{module} import get_parser; '
        'get_parser().format_help(); print(*sys.modules)'
    )
    done = subprocess.run([sys.executable, '-c', code], check=True, capture_output=True, text=True)
    assert set(HEAVY).isdisjoint(done.stdout.split())
