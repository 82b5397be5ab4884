"""The image as its users run it."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import h5py
import nibabel as nb
import numpy as np
import pytest
import trees
from held import HOOK, Held
from stores import write_results
from tools import require_tool

from modelarrayio_bids import __version__

OUTPUTS = Path(__file__).with_name('outputs.txt')
ROOT = Path(__file__).parents[2]
LICENCES = ROOT / 'docs/licences.md'


@pytest.fixture
def run(docker, image, confined, study, writable, tmp_path):
    """Run the image on a study, writable only in /out."""
    output = writable(tmp_path / 'out')

    def call(*arguments, options=(), start=image):
        mounts = ['-v', f'{study}:/data:ro', '-v', f'{output}:/out']
        return docker('run', *confined, *mounts, *options, start, *arguments)

    return call


def snapshot(folder, *but):
    """What writing anything in a folder would change, but in some of its folders."""
    paths = [folder, *(path for path in folder.rglob('*') if not {*but} & {path, *path.parents})]
    found = {path: path.lstat() for path in paths}
    return {path: (s.st_mode, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for path, s in found.items()}


def test_it_says_what_it_is(docker, image, run):
    assert run('--version').stdout == f'modelarrayio-bids {__version__}\n'
    labels = json.loads(docker('inspect', image).stdout)[0]['Config']['Labels']
    assert labels['org.opencontainers.image.version'] == __version__
    assert re.fullmatch('[0-9a-f]{40}|unknown', labels['org.opencontainers.image.revision'])


def test_nothing_in_it_that_only_builds(run):
    script = 'for name in pip pip3 gcc cc make git; do command -v $name; done; ls /root/.cache'
    done = run('-c', script, options=['--entrypoint', 'sh'])
    assert done.stdout == ''


def test_what_was_installed_can_be_imported_at_once(run):
    # Compiled code is there and not older than its source: nothing could be compiled later.
    script = 'find /opt -name "*.py" -path "*/modelarrayio_bids/*" | head -1; python -v -c "import '
    script += 'modelarrayio_bids.cli.bids_app" 2>&1 | grep -c "code object from .*/opt.*[.]py$"'
    done = run('-c', script, options=['--entrypoint', 'sh'])
    assert done.stdout.splitlines()[1] == '0'


def test_a_user_error_is_one_line_and_its_code(run):
    done = run('/data', '/out', 'participant')
    assert done.returncode == 17
    assert 'Use "group"' in done.stderr
    assert 'Traceback' not in done.stderr


def test_the_file_commands(run, built, tmp_path):
    output, _ = built
    shutil.copytree(output / 'cbf', tmp_path / 'out' / 'cbf')
    (cohort,) = (tmp_path / 'out').rglob('*_cohort.csv')
    inside = f'/out/cbf/{cohort.name}'
    mask = inside.replace('_cohort.csv', '_desc-group_mask.nii.gz')
    assert Path(tmp_path, mask[1:]).exists(), sorted(cohort.parent.iterdir())
    files = ['--cohort-file', inside, '--mask', mask, '--output', '/out/x.h5']
    done = run('to-modelarray', *files)
    assert done.returncode == 0, done.stderr
    assert run('export-results', '--help').stdout.startswith('usage: modelarrayio export-results')


def test_the_outputs_are_those_of_the_inventory(built):
    output, _ = built
    found = sorted(str(path.relative_to(output)) for path in output.rglob('*'))
    lines = [re.sub(r'\d{8}T\d{6}', '<time>', line) for line in found]
    if os.environ.get('MODELARRAYIO_ACCEPT') == '1':
        OUTPUTS.write_text('\n'.join(lines) + '\n')
    # Meant to be otherwise? make outputs
    assert lines == OUTPUTS.read_text().splitlines()
    if kept := os.environ.get('MODELARRAYIO_ARTIFACTS'):
        shutil.copytree(output, Path(kept) / 'image', dirs_exist_ok=True)


def test_the_licences_are_those_of_the_docs(docker, image):
    script = ROOT / 'docs/_ext/licences.py'
    mount = ['-v', f'{script}:/licences.py:ro', '--entrypoint', 'python']
    table = docker('run', '--rm', *mount, image, '/licences.py').stdout
    said, _, _ = LICENCES.read_text().partition('| package |')
    if os.environ.get('MODELARRAYIO_ACCEPT') == '1':
        LICENCES.write_text(said + table)
    # Meant to be otherwise? make outputs
    assert table.splitlines() == LICENCES.read_text().removeprefix(said).splitlines()
    # What a BSD program in one image with it may not be under.
    assert not re.search(r'unknown|(?<![LA-Z])GPL|AGPL', table)


def test_it_says_where_it_works(built):
    _, done = built
    assert re.search(r'Intermediate files are in /out/\S+, removed at the end', done.stderr)


def test_r_reads_what_the_image_built(built, rscript, tmp_path):
    output, _ = built
    (store,) = (output / 'cbf').glob('*.h5')
    seen = tmp_path / 'seen.txt'
    rscript('read_store.R', store, 'cbf', 'voxels', seen, '1')
    with h5py.File(store) as file:
        values = file['scalars/cbf/values']
        lines = seen.read_text().splitlines()
        assert lines[0] == f'{values.shape[1]} 24'
        first = [np.nan if word == 'NaN' else float.fromhex(word) for word in lines[27].split()]
        np.testing.assert_array_equal(first, values[:, 0])


def store_of(output, scalar):
    (store,) = (output / scalar).glob('*_modelarray.h5')
    return store


def results(store, scalar):
    """For each element, the last first: its number, an estimate and a p-value that tell it."""
    with h5py.File(store) as file:
        elements = np.arange(file[f'scalars/{scalar}/values'].shape[1])[::-1]
    return np.column_stack([elements, elements + 0.25, 1 / (elements + 2)])


NAMES = ['element_id', 'age.estimate', 'age.p.value']


def analyse(rscript, store, scalar, table):
    """Let R write the results into the file, by way of a table."""
    matrix = results(store, scalar)
    np.savetxt(table, matrix, '%.17g', ',', header=','.join(NAMES), comments='')
    rscript('write_results.R', store, 'mylm', table)
    return matrix


def values_of(output, scalar, statistic):
    """Those of the map at each element, and those elsewhere."""
    found = (output / scalar).rglob(f'*_contrast-age_stat-{statistic}_statmap.*')
    (path,) = (path for path in found if path.suffix != '.json')
    image = nb.load(path).get_fdata(dtype=np.float32)
    masks = list((output / scalar).glob('*_desc-group_mask.nii.gz'))
    # By element: the first axis of a volume changes slowest, as in the table of voxels.
    inside = nb.load(masks[0]).get_fdata() > 0 if masks else np.ones(image.shape, bool)
    return image[inside], image[~inside]


def test_from_derivatives_to_maps_of_what_r_wrote(
    docker, image, confined, study, rscript, writable, tmp_path
):
    """Read-only, as nobody, with no home; and nothing is written but where it is asked for."""
    host = tmp_path / 'host'
    output, ours, work = (writable(host / name) for name in ('out', 'ours', 'work'))
    (writable(host / 'beside') / 'file').touch()

    def run(output, *command):
        mounts = ['-v', f'{study}:/data:ro', '-v', f'{output}:/out', '-v', f'{work}:/work']
        start = ['--entrypoint', 'env', image, '-u', 'HOME', 'modelarrayio-bids', '/data', '/out']
        done = docker('run', *confined, *mounts, *start, *command, '-w', '/work')
        assert done.returncode == 0, done.stderr

    def others():
        return snapshot(study.parent) | snapshot(host, output, ours, work)

    before, scalars = others(), ['cbf', 'dki_fa', 'alff']
    run(output, 'group', '--scalars', *scalars)
    # The container's user owns the files; copies are ours to add results to.
    shutil.copytree(output, ours, dirs_exist_ok=True)
    for folder in ours.rglob('*/'):
        folder.chmod(0o777)
    written = {
        scalar: analyse(rscript, store_of(ours, scalar), scalar, tmp_path / f'{scalar}.csv')
        for scalar in scalars
    }
    run(ours, 'export')

    assert others() == before
    for scalar, matrix in written.items():
        elements, estimates, ps = matrix.T
        for statistic, expected in {'effect': estimates, 'p': ps, '1mp': 1 - ps}.items():
            found, outside = values_of(ours, scalar, statistic)
            np.testing.assert_array_equal(found[elements.astype(int)], expected.astype('f4'))
            assert not outside.any()
    description = json.loads((ours / 'dataset_description.json').read_text())
    assert description['GeneratedBy'][0]['Container']['Tag'] == image


MODEL = 'group model export --scalars cbf fd --num-subj-lthr-abs 3 --formula ~age'


@pytest.mark.parametrize('command', ['group --scalars cbf fd', 'export', MODEL])
def test_only_the_mounts_are_written_to(docker, image, study, built, writable, tmp_path, command):
    host = tmp_path / 'host'
    output, work = writable(host / 'out'), writable(host / 'work')
    if command == 'export':
        shutil.copytree(built[0], output, dirs_exist_ok=True)
        store = store_of(output, 'cbf')
        write_results(store, 'mylm', NAMES, results(store, 'cbf'))
    mounts = ['-v', f'{study}:/data', '-v', f'{output}:/out', '-v', f'{work}:/work']
    name = f'modelarrayio-{os.getpid()}'
    before = snapshot(study.parent), snapshot(host, output, work)
    try:
        # Not read-only, and as root: what it would write elsewhere, it could.
        arguments = ['/data', '/out', *command.split(), '-w', '/work']
        done = docker('run', '--name', name, *mounts, image, *arguments)
        assert done.returncode == 0, done.stderr
        changes = {line.split()[1] for line in docker('diff', name).stdout.splitlines()}
    finally:
        docker('rm', '--force', name)
    engine = ('/data', '/out', '/work', '/etc', '/run', '/dev', '/proc', '/sys')
    assert [path for path in changes if not path.startswith(engine)] == []
    assert (snapshot(study.parent), snapshot(host, output, work)) == before


@pytest.mark.parametrize(
    'environment',
    [
        # Apptainer's --cleanenv leaves next to nothing; --no-home and Slurm may leave no home.
        ['-i', '/opt/modelarrayio-bids/bin/modelarrayio-bids'],
        ['-u', 'HOME', '-u', 'LOGNAME', '-u', 'TMPDIR', 'modelarrayio-bids'],
        ['HOME=/nowhere', 'TMPDIR=/nowhere', 'modelarrayio-bids'],
        ['HOME=/out/home', 'XDG_CACHE_HOME=/', 'modelarrayio-bids'],
    ],
    ids=['empty', 'unset', 'missing', 'elsewhere'],
)
def test_environments_of_a_cluster(run, tmp_path, environment):
    start = ['--entrypoint', 'env', '--workdir', '/proc']
    done = run(*environment, '/data', '/out', 'group', '--scalars', 'cbf', options=start)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / 'out').iterdir()} == {
        *('.bidsignore', 'cbf', 'code', 'dataset_description.json', 'figures', 'logs'),
        'report.html',
    }


def test_mounts_and_files_that_are_links(docker, image, confined, study, writable, tmp_path):
    """As DataLad leaves datasets, and clusters their folders."""
    shutil.copytree(study, tmp_path / 'real', symlinks=True)
    (tmp_path / 'real' / 'annex').mkdir()
    for number, path in enumerate(sorted((tmp_path / 'real').rglob('*_cbf.nii.gz'))):
        content = tmp_path / 'real' / 'annex' / str(number)
        path.rename(content)
        path.symlink_to(os.path.relpath(content, path.parent))
    (tmp_path / 'data').symlink_to('real')
    writable(tmp_path / 'scratch' / 'out')
    (tmp_path / 'out').symlink_to('scratch/out')
    mounts = ['-v', f'{tmp_path / "data"}:/data:ro', '-v', f'{tmp_path / "out"}:/out']
    command = ['/data', '/out', 'group', '--scalars', 'cbf']
    done = docker('run', *confined, *mounts, image, *command)
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / 'scratch' / 'out' / 'cbf').glob('*.h5'))


def stopped(docker, confined, folder, signal, *command):
    """A container that got a signal where it had made one HDF5 file of several."""
    name = f'modelarrayio-{os.getpid()}'
    held = ['-v', f'{HOOK}:{HOOK}:ro', '-v', f'{folder}:{folder}', '-e', 'HELD', '-e', 'PYTHONPATH']
    start = [require_tool('docker'), 'run', '--name', name, *confined, *held, *command]
    options = {'folder': folder, 'stderr': subprocess.PIPE, 'text': True}
    try:
        with Held(start, 'os.rename', r'\.h5 ', 2, **options) as process:
            assert process.stands()
            docker('kill', '--signal', signal, name)
            process.let_go()
            _, said = process.communicate()
        return process.returncode, said
    finally:
        docker('rm', '--force', name)


@pytest.mark.parametrize(('signal', 'code'), [('TERM', 143), ('KILL', 137)])
def test_another_container_finishes_what_was_killed(
    docker, image, confined, writable, tmp_path, signal, code
):
    study = trees.write_study(tmp_path / 'study', trees.people(4))
    output = writable(tmp_path / 'out')
    mounts = ['-v', f'{study}:/data:ro', '-v', f'{output}:/out']
    command = [*mounts, image, '/data', '/out', 'group']
    ended, said = stopped(docker, confined, writable(tmp_path / 'held'), signal, *command)
    assert ended == code
    if signal == 'TERM':
        assert 'Run the same command again' in said
        assert not list(output.rglob('.unfinished-*'))
    done = docker('run', *confined, *command)
    assert done.returncode == 0, done.stderr
    assert 'Kept, made of the same images' in done.stderr
    if signal == 'KILL':
        assert 'Removed what a killed run had left' in done.stderr
    assert not list(output.rglob('.unfinished-*'))


#: Values of 4 bytes of 300 people in a cube: 2.03 GiB.
EDGE, SUBJECTS = 122, 300
MEMORY = 512 * 2**20


def write_large_study(root):
    """Blood flow of one byte per voxel, which differs between people; and the mask of each."""
    trees.describe(root)
    derivatives = trees.describe(root / 'derivatives' / 'aslprep', 'ASLPrep')
    grid = trees.Grid((EDGE,) * 3, 1.5)
    image = np.indices(grid.shape).sum(0).astype(np.uint8)
    mask = trees.save(np.ones_like(image), root / 'sourcedata' / 'mask.nii.gz', grid)
    for n in range(SUBJECTS):
        stem = derivatives / f'sub-{n:03}' / 'perf' / f'sub-{n:03}_space-{trees.SPACE}'
        trees.save(image + np.uint8(n % 256), Path(f'{stem}_cbf.nii.gz'), grid)
        os.link(mask, f'{stem}_desc-brain_mask.nii.gz')
    return image.ravel()


def granted(docker, image, limits):
    """Bytes that the kernel gives a container: its control group's, of version 2 or 1."""
    files = ('/sys/fs/cgroup/memory.max', '/sys/fs/cgroup/memory/memory.limit_in_bytes')
    start = ['--rm', *limits, '--entrypoint', 'cat', image]
    return docker('run', *start, *files).stdout.strip()


def test_a_cohort_of_two_gigabytes_in_a_container_of_half_a_gigabyte(
    docker, image, confined, writable, tmp_path
):
    limits = ['--memory', str(MEMORY), '--memory-swap', str(MEMORY)]
    assert granted(docker, image, limits) == str(MEMORY)
    values = write_large_study(tmp_path / 'study')
    assert SUBJECTS * values.size * 4 > 4 * MEMORY
    output = writable(tmp_path / 'out')
    mounts = ['-v', f'{tmp_path / "study"}:/data:ro', '-v', f'{output}:/out']
    done = docker('run', *confined, *limits, *mounts, image, '/data', '/out', 'group')
    assert done.returncode == 0, done.stderr
    with h5py.File(store_of(output, 'cbf')) as file:
        matrix = file['scalars/cbf/values']
        assert matrix.shape == (SUBJECTS, EDGE**3)
        for element in (0, EDGE**3 // 2, EDGE**3 - 1):
            column = values[element] + np.arange(SUBJECTS).astype(np.uint8)
            np.testing.assert_array_equal(matrix[:, element], column)


def test_whose_files_they_are(built, anyone):
    output, _ = built
    assert {path.stat().st_uid for path in output.rglob('*')} == {anyone}
