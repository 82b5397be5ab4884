"""The pages that are no tutorials: what they show is run, what they list is all there is."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import demo_study
import h5py
import numpy as np
import pytest
import raised
import trees
from held import Held
from images import write_cohort
from once import once
from pages import DOCS, ROOT, environment, follow_all
from tools import require_tool

import modelarrayio_bids


@pytest.fixture
def study(tmp_path):
    """A dataset of one pipeline."""
    root = trees.describe(tmp_path / 'study')
    persons = trees.people(4)
    trees.write_participants(root, persons)
    trees.write_aslprep(root / 'derivatives' / 'aslprep', persons)
    return root


@pytest.fixture
def demo(shared, tmp_path):
    """A working folder after ``make demo``, but for its outputs."""

    def fill(folder):
        demo_study.write_study(folder / 'study', demo_study.people())
        demo_study.write_visits(folder / 'visits', demo_study.people())

    return shutil.copytree(once(shared / 'demo', fill), tmp_path / 'demo')


@pytest.mark.usefixtures('demo')
def test_the_first_five_minutes(tmp_path):
    require_tool('modelarrayio-bids')
    follow_all(DOCS / 'start.md', tmp_path)


def test_what_programs_read_is_as_shown(tmp_path):
    require_tool('modelarrayio')
    follow_all(DOCS / 'troubleshooting.md', tmp_path)


@pytest.mark.usefixtures('demo')
def test_what_is_in_a_file_of_the_demo(tmp_path):
    from modelarrayio_bids.cli.bids_app import main

    require_tool('modelarrayio')
    folders = [str(tmp_path / 'demo' / name) for name in ('study', 'out')]
    model = ['--scalars', 'cbf', '--formula', '~ age + sex + site', '--no-report']
    assert main([*folders, 'group', 'model', *model]) == 0
    follow_all(DOCS / 'usage-info.md', tmp_path)


def test_what_is_wrong_with_a_file(tmp_path):
    require_tool('modelarrayio')
    write_cohort(tmp_path, subjects=5)
    for name, layout in {
        'FA': {'chunks': (1, 24)},
        'uint8': {'dtype': 'u1', 'chunks': True},
    }.items():
        build(tmp_path, f'{name}.h5')
        with h5py.File(tmp_path / f'{name}.h5', 'r+') as file:
            data = np.nan_to_num(file['scalars/FA/values'][()])
            del file['scalars/FA/values']
            file.create_dataset('scalars/FA/values', data=data, **layout)
    follow_all(DOCS / 'usage-validate.md', tmp_path)


@pytest.mark.usefixtures('demo')
def test_linear_models(tmp_path):
    require_tool('modelarrayio-bids')
    sexes = [person.sex for person in trees.people(24)]
    write_cohort(tmp_path, subjects=24, sex=sexes).rename(tmp_path / 'cohort_FA.csv')
    build(tmp_path, 'FA.h5', 'cohort_FA.csv')
    follow_all(DOCS / 'models.md', tmp_path)
    follow_all(DOCS / 'curves.md', tmp_path)
    follow_all(DOCS / 'permutation.md', tmp_path)


@pytest.mark.usefixtures('demo')
def test_random_intercepts(tmp_path):
    require_tool('modelarrayio-bids')
    follow_all(DOCS / 'random-intercept.md', tmp_path)


def build(folder, name, cohort='cohort.csv'):
    from modelarrayio_bids.cli.files import main

    options = ['--mask', folder / 'group_mask.nii.gz', '--cohort-file', folder / cohort]
    assert main(['to-modelarray', *map(str, options), '--output', str(folder / name)]) == 0


def test_every_rule_is_on_the_page_of_the_file():
    assert '```{rules}\n' in (DOCS / 'file-format.md').read_text('utf-8')


def test_the_workflow_goes_behind_another_pipelines_sink(study, tmp_path):
    script = DOCS / 'examples' / 'after_a_sink.py'
    folders = [study, tmp_path / 'results', tmp_path / 'work']
    done = subprocess.run(
        [sys.executable, script, *folders], check=True, capture_output=True, text=True,
        env=environment(), cwd=tmp_path,
    )  # fmt: skip
    store = tmp_path / 'results/cbf_smooth/space-MNI152NLin2009cAsym_modelarray.h5'
    assert f'cbf_smooth {store}' in done.stdout
    assert store.exists()


SCRIPTS = sorted((DOCS / 'hpc').glob('*.sh'))


@pytest.mark.parametrize('script', SCRIPTS, ids=lambda script: script.stem)
def test_job_scripts_are_shown_and_are_bash(script):
    subprocess.run([require_tool('bash'), '-n', script], check=True)
    assert f'literalinclude}} hpc/{script.name}' in (DOCS / 'hpc.md').read_text('utf-8')


@pytest.mark.parametrize('script', [script for script in SCRIPTS if script.stem != 'slurm-plugin'])
def test_job_scripts_run_with_what_their_scheduler_sets(script, study, tmp_path):
    variables = {
        'SLURM_CPUS_PER_TASK': '1',
        'SLURM_ARRAY_TASK_ID': '0',
        'NSLOTS': '1',
        'NCPUS': '1',
        'PBS_O_WORKDIR': str(tmp_path),
        'SLURM_MEM_PER_NODE': '2000',
        'PATH': f'{stand_in_for_apptainer(tmp_path)}:{environment()["PATH"]}',
    }
    subprocess.run(
        [require_tool('bash'), script], check=True, cwd=tmp_path, capture_output=True,
        env=environment() | variables | places(study, tmp_path),
    )  # fmt: skip
    assert list(tmp_path.rglob('results/**/cbf/*_modelarray.h5'))


def stand_in_for_apptainer(folder):
    """A folder with a program that runs ours without a container, by what is bound."""
    (folder / 'bin').mkdir()
    program = folder / 'bin' / 'apptainer'
    program.write_text(f"""#!{sys.executable}
import os, sys
run, *options = sys.argv[1:]
bound = {{to: source for source, to, *_ in (
    value.split(':') for flag, value in zip(options, options[1:]) if flag == '--bind')}}
image = next(place for place, word in enumerate(options) if word.endswith('.sif'))
assert run == 'run' and all(map(os.path.isdir, bound.values()))
os.environ.pop('SLURM_MEM_PER_NODE')  # --cleanenv
os.execvp('modelarrayio-bids', [run, *(bound.get(word, word) for word in options[image + 1 :])])
""")
    program.chmod(0o755)
    return program.parent


@pytest.mark.parametrize(('sent', 'code'), [(signal.SIGUSR2, 143), (signal.SIGUSR1, 0)])
def test_what_sge_sends_to_all_processes_ends_the_program_cleanly(study, tmp_path, sent, code):
    variables = {'NSLOTS': '1'} | places(study, tmp_path)
    script = [require_tool('bash'), DOCS / 'hpc' / 'sge.sh']
    with Held(
        script, 'os.rename', r'\.h5 ', env=environment() | variables, cwd=tmp_path,
        stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True,
    ) as job:  # fmt: skip
        assert job.stands()
        while not catches(job.pid, signal.SIGUSR2):
            time.sleep(0.01)
        os.killpg(job.pid, sent)
        if code == 0:
            job.let_go()
        # Else what the shell makes of it ends the program where it stands.
        assert job.wait() == code
    assert not list(tmp_path.rglob('results/**/.unfinished-*'))


def catches(number, sent):
    """Whether a process has a handler for a signal: a shell sets it after it has started others."""
    caught = re.search(r'^SigCgt:\s*(.*)', Path(f'/proc/{number}/status').read_text(), re.MULTILINE)
    return int(caught[1], 16) >> (sent - 1) & 1


@pytest.mark.usefixtures('slurm')
def test_slurm_runs_the_single_job(study, tmp_path):
    # What is asked for on the command line goes before what the script asks for.
    command = ['sbatch', '--wait', '--cpus-per-task=1', '--mem=1G', DOCS / 'hpc' / 'slurm.sh']
    done = subprocess.run(
        command, check=False, cwd=tmp_path, env=environment() | places(study, tmp_path), timeout=600
    )
    (log,) = tmp_path.glob('modelarray-*.log')
    assert done.returncode == 0, log.read_text()
    assert '3 HDF5 files in' in log.read_text()


def places(study, folder):
    return {
        'STUDY': str(study),
        'RESULTS': str(folder / 'results'),
        'WORK': str(folder / 'work'),
        'USER': 'someone',
    }


TROUBLE = (DOCS / 'troubleshooting.md').read_text('utf-8')


def test_every_exit_code_is_explained():
    from modelarrayio_bids.cli.run import EXIT_INTERRUPTED, EXIT_NOT_READ
    from modelarrayio_bids.runtime.termination import EXIT_TERMINATED

    codes = [0, EXIT_INTERRUPTED, EXIT_NOT_READ, EXIT_TERMINATED, *raised.exit_codes().values()]
    assert [code for code in codes if f'\n| {code} | ' not in TROUBLE] == []


def test_every_error_is_on_the_page_with_its_messages():
    assert '```{messages}' in TROUBLE
    found = raised.messages()
    # Those that group others are not raised themselves; this one's message is the others'.
    silent = {error.__name__ for error in raised.error_classes() if error.__subclasses__()}
    silent.add('CohortProblemsError')
    missed = {error.__name__ for error in raised.error_classes()} - set(found) - silent
    assert missed == set()


def test_messages_that_are_explained_are_raised():
    texts = [message.what for of_one in raised.messages().values() for message in of_one]
    explained = TROUBLE.partition('## Common errors')[2].partition('\n## ')[0]
    for line in explained.splitlines():
        if line.startswith('### '):
            told = line.removeprefix('### ')
            assert any(told in text for text in texts), told


def test_the_page_on_the_inside_names_every_part():
    page = (DOCS / 'inside.md').read_text('utf-8')
    parts = {path.stem for path in Path(modelarrayio_bids.__file__).parent.iterdir()}
    parts -= {'__init__', '__about__', '__pycache__', 'data', 'py'}
    assert [part for part in sorted(parts) if f'`{part}`' not in page] == []


def test_every_public_name_is_in_the_reference():
    page = (DOCS / 'api.md').read_text('utf-8')
    public = set(modelarrayio_bids.__all__) - {'__version__'}
    assert [name for name in sorted(public) if f'.{name}\n' not in page] == []


def test_the_documentation_builds_without_a_warning(tmp_path):
    # Whatever REQUIRE_TOOLS says: `make docs` has an environment of its own for it.
    for module in ('sphinx', 'furo', 'myst_parser', 'numpydoc'):
        pytest.importorskip(module)
    shutil.copytree(ROOT / 'docs', tmp_path / 'docs', ignore=shutil.ignore_patterns('_build'))
    for beside in ('README.md', 'CHANGELOG.md'):
        shutil.copy(ROOT / beside, tmp_path)
    options = ['-W', '-n', '--keep-going', '-q', tmp_path / 'docs', tmp_path / 'html']
    done = subprocess.run(
        [sys.executable, '-m', 'sphinx', *options], check=False, capture_output=True, text=True,
        env=environment() | {'PYTHONPATH': str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    usage = (tmp_path / 'html' / 'usage.html').read_text('utf-8')
    assert '--mem-mb, --mem MB' in usage


def test_the_comparison_tells_the_size_of_our_chunks():
    from modelarrayio_bids.store.chunk_layout import DEFAULT_CHUNK_BYTES

    page = (DOCS / 'predecessor.md').read_text('utf-8')
    assert f'Chunks are of {DEFAULT_CHUNK_BYTES // 1024:.0f} KiB' in page
