"""Where nodes run: the options, what comes of them, and how failures end."""

import json
import os
import subprocess
import sys
import textwrap

import h5py
import numpy as np
import pytest
import trees
from nipype import Node, Workflow
from nipype.interfaces.utility import Function

from modelarrayio_bids.cli.bids_app import get_parser, main
from modelarrayio_bids.cli.options import plugin
from modelarrayio_bids.errors import FormatError, SourceNotFoundError, UsageError
from modelarrayio_bids.workflows import init_modelarray_wf
from modelarrayio_bids.workflows.execution import run_workflow
from modelarrayio_bids.workflows.plugins import Plugin

STORE = 'cbf/space-MNI152NLin2009cAsym_modelarray.h5'


@pytest.fixture(scope='module')
def study(tmp_path_factory):
    return trees.write_study(tmp_path_factory.mktemp('study') / 'study', trees.people(5))


@pytest.fixture(scope='module')
def plain(study):
    """The values of a run that nothing special was asked of."""
    return built(study, study.parent / 'plain', '--no-report')


def built(study, output, *arguments):
    assert main([str(study), str(output), 'group', '--scalars', 'cbf', *map(str, arguments)]) == 0
    return values(output)


def values(output):
    with h5py.File(output / STORE) as file:
        return file['scalars/cbf/values'][()]


@pytest.mark.parametrize(
    ('text', 'plugin'),
    [
        ('plugin: MultiProc\n', Plugin('MultiProc')),
        ('plugin: SLURM\nplugin_args:\n  sbatch_args: -p long\n',
         Plugin('SLURM', {'sbatch_args': '-p long'})),
        ('{"plugin": "MultiProc", "plugin_args": {"n_procs": 2}}',
         Plugin('MultiProc', {'n_procs': 2})),
        ('\ufeffplugin: Linear\nplugin_args:\n', Plugin('Linear')),
    ],
)  # fmt: skip
def test_a_file_may_name_the_plugin(tmp_path, text, plugin):
    path = tmp_path / 'plugin.yml'
    path.write_text(text, 'utf-8')
    assert Plugin.from_file(path) == plugin


@pytest.mark.parametrize(
    ('content', 'says'),
    [
        (b'plugin: [SLURM', 'is not YAML'),
        (b'plugin: 2026-13-45', 'is not YAML'),
        (b'', 'names no plugin'),
        (b'- SLURM\n', 'names no plugin'),
        (b'plugin: 3\n', 'names no plugin'),
        (b'plugin_args: {}\n', 'names no plugin'),
        (b'plugin: SLURM\nsbatch_args: -p long\n', 'more than a plugin and its arguments'),
        (b'plugin: SLURM\nplugin_args: -p long\n', 'more than a plugin and its arguments'),
    ],
)
def test_files_that_name_none(tmp_path, content, says):
    path = tmp_path / 'plugin.yml'
    path.write_bytes(content)
    with pytest.raises(FormatError, match=f'plugin.yml: .*{says}.*Write "plugin: SLURM"'):
        Plugin.from_file(path)


@pytest.mark.parametrize(
    ('arguments', 'says'),
    [
        ('n_procs: many', "n_procs of MultiProc: 'many' is not of type 'integer'"),
        ('n_procs: 0', 'n_procs of MultiProc: 0 is less than the minimum of 1'),
        ('n_procs: true', "n_procs of MultiProc: True is not of type 'integer'"),
        # Nipype waits for ever for memory that there never is.
        ('memory_gb: 0.005', 'memory_gb of MultiProc: 0.005 is less than the minimum of 0.1'),
        ('raise_insufficient: true', 'raise_insufficient of MultiProc: False was expected'),
        ('mp_context: thread', 'mp_context of MultiProc: .thread. is not one of .*spawn'),
        ('sbatch_args: [-p, long]', 'sbatch_args of MultiProc: .* is not of type .string'),
    ],
)
def test_values_that_no_plugin_can_use(tmp_path, arguments, says):
    path = tmp_path / 'plugin.yml'
    path.write_text(f'plugin: MultiProc\nplugin_args: {{{arguments}}}\n')
    with pytest.raises(UsageError, match=f'plugin.yml: the argument {says}.*Give another value'):
        Plugin.from_file(path)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(SourceNotFoundError, match='no such file'):
        Plugin.from_file(tmp_path / 'none.yml')
    with pytest.raises(SourceNotFoundError, match='cannot be read'):
        Plugin.from_file(tmp_path)
    (tmp_path / 'bytes.yml').write_bytes(b'\xff\xfe\xfa')
    with pytest.raises(FormatError, match='is not text in UTF-8'):
        Plugin.from_file(tmp_path / 'bytes.yml')


def test_a_plugin_nipype_cannot_wait_for():
    # SLURMGraph submits everything and returns.
    with pytest.raises(UsageError, match=r"'SLURMGraph'.*Choose among Linear, MultiProc, SLURM"):
        Plugin('SLURMGraph')


@pytest.mark.parametrize(
    ('arguments', 'says'),
    [
        (['--nipype-plugin', 'Nope'], "there is no plugin 'Nope'"),
        (['--nipype-plugin', 'SLURM'], 'needs a work folder that every node of the cluster sees'),
        (['--nipype-plugin-file', 'slurm.json'], 'Give one with -w'),
        (['--nipype-plugin', 'SLURM', '--nipype-plugin-file', 'slurm.json'], 'not allowed with'),
        (['--blocks', '0'], "'0' is not a number from 1"),
    ],
)
def test_options_that_cannot_be_followed(study, tmp_path, monkeypatch, capsys, arguments, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'slurm.json').write_text(json.dumps({'plugin': 'SLURM'}))
    try:
        code = main([str(study), str(tmp_path / 'out'), 'group', *arguments])
    except SystemExit as ended:  # argparse ends by itself
        code = ended.code
    assert code == 64
    assert says in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_blocks_on_one_machine_change_no_value(study, plain, tmp_path):
    arguments = ('--blocks', '2', '--no-report')
    np.testing.assert_array_equal(built(study, tmp_path / 'out', *arguments), plain)
    assert {path.name for path in (tmp_path / 'out').iterdir()} == {
        'cbf',
        'code',
        'logs',
        'dataset_description.json',
        '.bidsignore',
    }


def test_blocks_go_when_they_are_assembled(study, plain, tmp_path):
    arguments = ('--blocks', '2', '-w', tmp_path / 'work', '--no-report')
    for _ in range(2):
        np.testing.assert_array_equal(built(study, tmp_path / 'out', *arguments), plain)
        assert (tmp_path / 'work' / 'modelarray_wf').is_dir()
        assert not list((tmp_path / 'work').rglob('*.rows'))


def test_blocks_of_a_run_that_failed_serve_the_next(study, tmp_path, plain, capsys):
    broken = trees.write_study(tmp_path / 'study', trees.people(5))
    # Of the second block, which has the last three.
    path = min(broken.rglob('sub-05_space-MNI152NLin2009cAsym_cbf.nii.gz'))
    whole = path.read_bytes()
    # Its checksum (RFC 1952, 2.3.1): only who reads all of it finds out.
    path.write_bytes(whole[:-8] + bytes([whole[-8] ^ 0xFF]) + whole[-7:])
    arguments = ('--blocks', '2', '-w', str(tmp_path / 'work'), '--no-report')
    command = [str(broken), str(tmp_path / 'out'), 'group', '--scalars', 'cbf', *arguments]
    assert main(command) == 65
    assert f'{path}: is damaged' in capsys.readouterr().err
    assert not (tmp_path / 'out' / STORE).exists()
    (kept,) = (tmp_path / 'work' / 'row_blocks').iterdir()
    assert kept.name.startswith('cbf_')
    path.write_bytes(whole)
    assert main(command) == 0
    (log, *_) = sorted((tmp_path / 'out' / 'logs').glob('*.log'), reverse=True)
    assert 'Kept from an earlier run: 1 of 2 row blocks' in log.read_text()
    np.testing.assert_array_equal(values(tmp_path / 'out'), plain)


# More threads than any machine has: each node gets what there is.
@pytest.mark.parametrize('threads', ['1', '1000'])
@pytest.mark.parametrize('blocks', [(), ('--blocks', '2')])
def test_several_processes_change_no_value(study, plain, tmp_path, threads, blocks):
    arguments = ('--nipype-plugin', 'MultiProc', '--nprocs', threads, *blocks, '--no-report')
    np.testing.assert_array_equal(built(study, tmp_path / 'out', *arguments), plain)


def test_who_has_no_name_may_run_it(study, plain, tmp_path):
    nameless = {name: text for name, text in os.environ.items() if name not in {'LOGNAME', 'USER'}}
    command = [sys.executable, '-m', 'modelarrayio_bids.cli.bids_app', study, tmp_path / 'out']
    done = subprocess.run(
        [*command, 'group', '--scalars', 'cbf', '--no-report'],
        env=nameless,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(values(tmp_path / 'out'), plain)


#: Two nodes at once. One goes on for ever; the other, as soon as that has begun, fails.
TWO_NODES = """
import os, signal, sys, time
from pathlib import Path
os.environ['NIPYPE_NO_ET'] = '1'
from nipype import Node, Workflow
from nipype.interfaces.base import BaseInterfaceInputSpec, TraitedSpec
from modelarrayio_bids.cli.run import run
from modelarrayio_bids.errors import FormatError
from modelarrayio_bids.interfaces.base import LibraryInterface
from modelarrayio_bids.workflows.execution import run_workflow
from modelarrayio_bids.workflows.plugins import Plugin

HERE = Path(sys.argv[1])
BEGUN = HERE / 'begun'


class Waits(LibraryInterface):
    input_spec, output_spec = BaseInterfaceInputSpec, TraitedSpec

    def _call(self, folder):
        BEGUN.touch()
        time.sleep(3600)
        return {}


class Fails(LibraryInterface):
    input_spec, output_spec = BaseInterfaceInputSpec, TraitedSpec

    def _call(self, folder):
        while not BEGUN.exists():
            time.sleep(0.01)
        if sys.argv[2] == 'killed':
            os.kill(os.getpid(), signal.SIGKILL)
        raise {'ours': FormatError('is damaged', 'x.nii'), 'bug': ZeroDivisionError()}[sys.argv[2]]


if __name__ == '__main__':
    workflow = Workflow('both')
    workflow.add_nodes([Node(Waits(), 'waits'), Node(Fails(), 'fails')])
    (HERE / 'logs').mkdir()
    plugin = Plugin('MultiProc', {'n_procs': 2})
    where = HERE / 'work', HERE / 'logs', plugin
    sys.exit(run('program', lambda: bool(run_workflow(workflow, *where))))
"""


def two_nodes(folder, failure):
    script = folder / 'two_nodes.py'
    script.write_text(textwrap.dedent(TWO_NODES))
    return subprocess.run(
        [sys.executable, script, folder, failure],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_an_error_is_told_though_other_nodes_were_running(tmp_path):
    done = two_nodes(tmp_path, 'ours')
    assert done.returncode == 65, done.stderr
    assert done.stderr.splitlines()[-1].startswith('program: error: x.nii: is damaged.')
    assert 'begun' not in done.stderr.splitlines()[-1]
    assert not list((tmp_path / 'logs').iterdir())


def test_a_bug_is_not_taken_for_a_job_that_was_killed(tmp_path):
    done = two_nodes(tmp_path, 'bug')
    assert done.returncode == 70, done.stderr
    assert 'ZeroDivisionError' in done.stderr
    assert 'this is a bug' in done.stderr.splitlines()[-1]
    assert len(list((tmp_path / 'logs').glob('crash-*'))) == 1


def test_a_worker_that_is_killed_ends_the_run(tmp_path):
    done = two_nodes(tmp_path, 'killed')
    assert done.returncode == 75, done.stderr
    assert 'Fails was begun, and its process ended. It may have run out of memory' in done.stderr
    assert not list((tmp_path / 'logs').iterdir())


def test_row_blocks_keep_the_promise_about_memory_too(study, tmp_path, capfd):
    arguments = [str(study), str(tmp_path / 'out'), 'group', '--scalars', 'cbf', '--blocks', '2']
    assert main([*arguments, '--mem-mb', '20']) == 64
    assert 'Give at least' in capfd.readouterr().err
    assert not list((tmp_path / 'out').rglob('*.h5'))


#: What Nipype needs of Slurm; jobs are processes here. That of "waits" begins when a patient run
#: has asked for the queue three times after the other's end.
SLURM = {
    'sbatch': """\
        #!/bin/sh
        cd "$(dirname "$0")"
        for script; do :; done
        case "$*" in
        *waits*) (until [ -e go ]; do sleep 0.05; done; [ -e over ] || sh "$script") ;;
        *) sh "$script"; touch failed ;;
        esac >/dev/null 2>&1 &
        echo "Submitted batch job $!"
        """,
    'squeue': """\
        #!/bin/sh
        cd "$(dirname "$0")"
        if [ -e failed ]; then echo "$2" >>asked; fi
        if [ -e patient ] && [ "$(cat asked 2>/dev/null | wc -l)" -ge 3 ]; then touch go; fi
        if kill -0 "$2" 2>/dev/null; then echo "$2"; fi
        """,
}


def touch(path):
    from pathlib import Path

    Path(path).touch()
    return path


def fail(path):
    raise ValueError(path)


@pytest.mark.parametrize('stops', [False, True])
def test_other_jobs_are_waited_for_unless_told_not_to(tmp_path, monkeypatch, stops):
    for name, text in SLURM.items():
        (tmp_path / name).write_text(textwrap.dedent(text))
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv('PATH', str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv('LOGNAME', 'someone')
    workflow = Workflow('both')
    for name, function in (('waits', touch), ('fails', fail)):
        node = Node(Function(['path'], ['path'], function=function), name)
        node.inputs.path = str(tmp_path / 'ended')
        workflow.add_nodes([node])
    (tmp_path / 'logs').mkdir()
    if not stops:
        (tmp_path / 'patient').touch()
    slurm = Plugin('SLURM', stops_at_once=stops)
    try:
        with pytest.raises(RuntimeError):
            run_workflow(workflow, tmp_path / 'work', tmp_path / 'logs', slurm)
        assert (tmp_path / 'ended').exists() != stops
    finally:
        (tmp_path / 'over').touch()
        (tmp_path / 'go').touch()


@pytest.mark.parametrize(
    ('name', 'given', 'asked'),
    [
        ('SLURM', '', {'sbatch_args': ' --cpus-per-task=4 --mem=8000M'}),
        # Slurm refuses the two together.
        ('SLURM', '--mem-per-cpu=2G', {'sbatch_args': ' --cpus-per-task=4'}),
        ('PBS', '-l select=1:ncpus=4:mem=8gb', {'qsub_args': ' '}),
        ('SGE', '', {'qsub_args': ' -l h_vmem=12000M'}),
        ('SGE', '-pe smp 4 -l h_vmem=3G', {'qsub_args': ' '}),
        ('SLURM', '-c 8 --mem-bind=local', {'sbatch_args': ' --mem=8000M'}),
        ('PBS', '-q highmem -M mem@x.org', {'qsub_args': ' -l ncpus=4 -l mem=8000mb'}),
        ('LSF', '-q long', {'bsub_args': ' -n 4 -M 8000MB'}),
        ('LSF', '-n 8 -M 4000MB', {'bsub_args': ' '}),
    ],
)
def test_what_a_scheduler_is_asked_for(tmp_path, name, given, asked):
    (argument,) = asked
    workflow = init_modelarray_wf(tmp_path, tmp_path / 'out')
    Plugin(name, {argument: given} if given else {}).ask_for(workflow, 4, 8000)
    nodes = [workflow.get_node(name) for name in workflow.list_node_names()]
    assert all(node.plugin_args == asked for node in nodes)


def test_a_dry_run_looks_at_the_plugin(study, tmp_path, capsys):
    arguments = [str(study), str(tmp_path / 'out'), 'group', '--dry-run']
    assert main([*arguments, '--use-plugin', str(tmp_path / 'plugin.yml')]) == 66
    assert 'plugin.yml: no such file' in capsys.readouterr().err


@pytest.mark.parametrize(('options', 'stops'), [([], False), (['--stop-on-first-crash'], True)])
def test_not_to_wait_is_an_option(options, stops):
    arguments = ['study', 'out', 'group', '--nipype-plugin', 'SLURM', '-w', 'work']
    assert plugin(get_parser().parse_args([*arguments, *options])).stops_at_once == stops
