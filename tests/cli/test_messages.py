"""What the commands say of a run: how much, in which form, and what they say last."""

import json
import re
import sys

import h5py
import numpy as np
import pytest
import trees
from stores import write_results
from terminal import run_in_terminal, screen

from modelarrayio_bids.cli import files
from modelarrayio_bids.cli.bids_app import main

APP = [sys.executable, '-m', 'modelarrayio_bids.cli.bids_app']


def log_of(output):
    (log,) = (output / 'logs').glob('*.log')
    return log.read_text('utf-8')


def test_the_log_of_a_run_has_the_time(group, tmp_path):
    assert group()[0] == 0
    log = log_of(tmp_path / 'out')
    assert re.match(r'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d INFO: Intermediate files are in ', log)
    # And ends with what was printed last.
    assert re.search(r' INFO: 1 HDF5 file in .*\n  cbf  cbf/.*\n', log)
    assert log.endswith(' export\n')


def test_an_error_is_in_the_log_too(group, tmp_path):
    assert group(scalars=['none'])[0] == 18
    assert " ERROR: no scalar is called 'none'" in log_of(tmp_path / 'out')


def test_quiet_says_warnings_and_keeps_the_rest(flow, group, tmp_path):
    (tmp_path / 'table.tsv').write_text('participant_id\tiq\nsub-01\t100\n')
    code, out, err = group('-q', '--phenotypes', tmp_path / 'table.tsv', report=True)
    assert (code, out) == (0, '')
    assert [line.partition(':')[0] for line in err.splitlines()] == ['WARNING']
    assert 'INFO: Wrote ' in log_of(tmp_path / 'out')


def test_quiet_and_verbose_are_not_both(group):
    code, _, err = group('-q', '-v')
    assert code == 64
    assert '--quiet and --verbose contradict each other' in err


def test_the_settings_of_a_quiet_run_run_again(group, tmp_path, capfd):
    assert group('-q', '--log-format', 'json')[0] == 0
    (settings,) = (tmp_path / 'out' / 'logs').glob('*.toml')
    assert main(['--config-file', str(settings)]) == 0
    assert capfd.readouterr() == ('', '')


@pytest.mark.parametrize('plugin', ['Linear', 'MultiProc'])
def test_json_all_the_way(group, tmp_path, plugin):
    options = ('--log-format', 'json', '-v', '--nipype-plugin', plugin)
    code, out, err = group(*options, report=plugin == 'MultiProc')
    assert code == 0
    said = [json.loads(line) for line in err.splitlines()]
    assert all({'time', 'level', 'logger', 'message'} <= one.keys() for one in said)
    # Of a process that Nipype started, too.
    assert any(one['message'].startswith('Wrote ') for one in said)
    last = said[-1]
    store = tmp_path / 'out/cbf/space-MNI152NLin2009cAsym_modelarray.h5'
    script = tmp_path / 'out/code/fit_cbf_space-MNI152NLin2009cAsym.R'
    assert (last['scalars'], last['stores'], last['scripts']) == (
        ['cbf'],
        [str(store)],
        [str(script)],
    )
    assert last['left_out']['a time series'] == 8  # of 4 people, in two spaces
    programs = ['modelarrayio-bids', 'Rscript', 'modelarrayio-bids']
    assert [step['command'].split()[0] for step in last['next']] == programs
    assert last['next'][0]['command'].endswith('/out model export')
    assert last['message'] in out
    logged = [json.loads(line) for line in log_of(tmp_path / 'out').splitlines()]
    assert logged == said[-len(logged) :]


def test_errors_of_a_command_line_are_json_too(capsys):
    for program, words in ((main, ['x', 'y', 'group']), (files.main, ['to-modelarray'])):
        with pytest.raises(SystemExit) as ended:
            program([*words, '--log-format', 'json', '--none'])
        assert ended.value.code == 64
        (line,) = capsys.readouterr().err.splitlines()
        assert json.loads(line)['exit_code'] == 64


@pytest.mark.parametrize(
    ('options', 'level'),
    [
        ([], 'INFO'),
        (['-q'], 'WARNING'),
        (['--quiet'], 'WARNING'),
        (['-v'], 'DEBUG'),
        (['--log-level', 'ERROR'], 'ERROR'),
    ],
)
def test_the_file_commands_have_short_ways_for_levels(options, level):
    arguments = ['to-modelarray', '--cohort-file', 'c.csv', *options]
    assert files.get_parser().parse_args(arguments).log_level == level


def test_a_file_command_in_json(tmp_path, capsys):
    arguments = ['--cohort-file', str(tmp_path / 'none.csv'), '--log-format', 'json']
    assert files.main(['to-modelarray', *arguments]) == 66
    said = json.loads(capsys.readouterr().err)
    assert (said['what'], said['file']) == ('no such file', str(tmp_path / 'none.csv'))


@pytest.fixture(scope='module')
def study(tmp_path_factory):
    """Maps that need masks to be made, and such that do not."""
    people = trees.people(3)
    root = trees.write_asl_study(tmp_path_factory.mktemp('bars') / 'study', people)
    trees.write_fixels(root / 'derivatives' / 'mrtrix', people, ('fd',))
    return root


def test_every_stage_has_a_bar_and_none_stays(study, tmp_path):
    output = tmp_path / 'out'
    code, written = run_in_terminal([*APP, study, output, 'group', '--scalars', 'cbf', 'fd'])
    assert code == 0
    for stage in (
        'Looking into aslprep', 'Indexing aslprep', 'Checking headers', 'Finding masks of cbf',
        'Counting masks', 'Reading cbf', 'Reading fd', 'Writing cbf', 'Writing fd',
    ):  # fmt: skip
        assert re.search(rf'\r{stage}: ', written), stage
    left = screen(written)
    assert not [line for line in left if re.search(r'%\|| images/s', line)]
    assert left[-2].endswith(' export')
    store = output / 'fd' / 'desc-fixels_modelarray.h5'
    with h5py.File(store) as file:
        n = file['fixels'].shape[1]
    write_results(store, 'lm', ['x'], np.zeros((n, 1)))
    code, written = run_in_terminal([*APP, study, output, 'export', '--no-report'])
    assert code == 0
    for stage in ('Reading lm', 'Writing lm'):
        assert re.search(rf'\r{stage}: ', written), stage


def test_several_processes_draw_no_bars(study, tmp_path):
    options = ['--scalars', 'cbf', 'fd', '--nipype-plugin', 'MultiProc', '--nprocs', '2']
    code, written = run_in_terminal([*APP, study, tmp_path / 'out', 'group', *options])
    assert code == 0
    assert '%|' not in written


def test_what_was_left_out_is_said_the_commonest_first(group):
    code, out, _ = group('--exclude-participant-label', '02')
    assert code == 0
    block = out.partition('Left out ')[2].partition('\n\n')[0].splitlines()
    counts = [int(line.split()[0]) for line in block[1:]]
    assert sum(counts) == int(block[0].split()[0])
    assert counts[:5] == sorted(counts[:5], reverse=True)
    # The three kinds of blood flow that aslprep writes.
    assert '  3 images of excluded participants' in block


def test_images_on_another_grid_are_counted(tmp_path, capsys):
    root, people = trees.describe(tmp_path / 'study'), trees.people(5)
    trees.write_aslprep(root / 'derivatives' / 'aslprep', people)
    odd = min((root / 'derivatives').rglob('sub-03_space-MNI*Asym_cbf.nii.gz'))
    trees.write_map(odd, people[2], trees.DIFFUSION)
    options = ['--scalars', 'cbf', '--on-grid-mismatch', 'drop', '--no-report']
    assert main([str(root), str(tmp_path / 'out'), 'group', *options, '--log-format', 'json']) == 0
    last = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert last['left_out']['on another grid'] == 1


def test_in_a_container_the_next_steps_are_those_outside(group, monkeypatch, tmp_path):
    monkeypatch.setenv('MODELARRAYIO_CONTAINER_TAG', 'modelarrayio-bids:0.1.0')
    code, out, _ = group()
    assert code == 0
    for line in (
        f'(OUTPUT_DIR: the folder that is {tmp_path}/out in the container)',
        '  Rscript OUTPUT_DIR/code/fit_cbf_space-MNI152NLin2009cAsym.R\n',
        f'-v OUTPUT_DIR:{tmp_path}/out modelarrayio-bids:0.1.0 ',
        f' {tmp_path}/out export\n',
    ):
        assert line in out
    assert re.search(r'  docker run --rm -v BIDS_DIR:/\S+:ro -v ', out)
    monkeypatch.setenv('APPTAINER_CONTAINER', '/images/x y.sif')
    out = group()[1]
    assert re.search(r'  apptainer run --cleanenv -B BIDS_DIR:/\S+:ro -B ', out)
    assert " '/images/x y.sif' /" in out
