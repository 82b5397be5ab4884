"""What a run may use, asked of whole processes; and that it keeps to it."""

import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from benchmarks import data
from images import save, write_cohort, write_csv

from modelarrayio_bids.errors import UsageError
from modelarrayio_bids.runtime.resources import Resources

LAUNCH = Path(data.__file__).with_name('launch.py')
PROGRAM = [sys.executable, '-m', 'modelarrayio_bids.cli.files']
KINDS = [
    data.Voxels('voxels'),
    data.Greyordinates('greyordinates'),
    data.Fixels('fixels', count=199_998),
]


def bare():
    """The environment without what a scheduler said of the job these tests may run in."""
    return {name: text for name, text in os.environ.items() if not name.startswith('SLURM_')}


def arguments(cohort, folder):
    options = ['--cohort-file', cohort.csv, *cohort.references, '--nprocs', '2']
    return [*PROGRAM, 'to-modelarray', *options, '--output', folder / 'x.h5']


def refused(command, **keywords):
    """The megabytes that a command says would do."""
    keywords = {'env': bare(), **keywords}
    done = subprocess.run(command, capture_output=True, text=True, check=False, **keywords)
    assert done.returncode == 64, done.stderr
    said = done.stderr.splitlines()[-1]
    assert 'MB of memory is too little' in said
    return int(re.search(r'Give at least (\d+) MB \(--mem-mb\)', said)[1])


@pytest.fixture
def small(tmp_path):
    """A command for a cohort of three images of 4 × 5 × 6 voxels."""
    write_cohort(tmp_path)
    return arguments(
        data.Cohort(tmp_path / 'cohort.csv', ['--mask', tmp_path / 'group_mask.nii.gz']), tmp_path
    )


# All of them 60 MB: Python with numpy, h5py and nibabel alone is more.
@pytest.mark.parametrize(
    'slurm',
    [
        {'SLURM_MEM_PER_NODE': '60'},
        {'SLURM_MEM_PER_CPU': '20', 'SLURM_CPUS_ON_NODE': '3'},
        {'SLURM_MEM_PER_NODE': '60', 'SLURM_MEM_PER_CPU': '9000', 'SLURM_CPUS_ON_NODE': '3'},
    ],
)
def test_what_slurm_gave_is_the_limit(small, tmp_path, slurm):
    assert refused(small, env=bare() | slurm) > 60
    assert not (tmp_path / 'x.h5').exists()


@pytest.mark.parametrize(
    'slurm',
    [
        # All memory of the node, as sbatch's manual has it of --mem=0.
        {'SLURM_MEM_PER_NODE': '0'},
        {'SLURM_MEM_PER_NODE': '2000'},
        {'SLURM_MEM_PER_CPU': '20'},
        {'SLURM_MEM_PER_CPU': '20', 'SLURM_CPUS_ON_NODE': '0'},
        {'SLURM_MEM_PER_NODE': '4G'},
    ],
)
def test_what_is_enough_or_says_nothing_is_no_hindrance(small, slurm):
    subprocess.run(small, check=True, env=bare() | slurm)


#: The command in a process whose addresses are limited once all libraries are at work: what they
#: map for themselves differs from build to build, and OpenBLAS ends a process that has too few. It
#: maps 32 MB to invert a matrix, however small; to multiply, on some processors alone.
LIMITED = """
import os, resource, sys, threading
import modelarrayio_bids.conversion.build, modelarrayio_bids.spaces
import numpy as np
from modelarrayio_bids.cli.files import main
np.linalg.inv(np.eye(4))
pages = int(open('/proc/self/statm').read().split()[0])
limit = pages * os.sysconf('SC_PAGE_SIZE') + int(sys.argv[1]) * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
threading.stack_size(int(sys.argv[2]) * 2**20)
sys.exit(main(sys.argv[3:]))
"""


def limited(command, megabytes, stack=8):
    """The command with one thread, whose stack and so many more megabytes it may map."""
    options = [str(megabytes + 8), str(stack), *command[len(PROGRAM) :], '--nprocs', '1']
    return [sys.executable, '-c', LIMITED, *options]


@pytest.mark.skipif(not Path('/proc/self/statm').exists(), reason='/proc is Linux')
def test_what_ulimit_gives_is_a_limit_too(small, tmp_path):
    # Fewer than the 10 MB of slack alone, see resources.py.
    for command in (limited(small, 6), limited([*small, '--mem-mb', '4000'], 6)):
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=bare())
        assert done.returncode == 64, done.stderr
        assert re.search(r'too (few|little).*Give at least \d+ MB', done.stderr.splitlines()[-1])
    assert not (tmp_path / 'x.h5').exists()
    subprocess.run(limited(small, 500), check=True, env=bare())


@pytest.mark.skipif(not Path('/proc/self/statm').exists(), reason='/proc is Linux')
def test_threads_the_system_does_not_start_are_no_bug(small):
    command = limited(small, 100, stack=400)
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=bare())
    assert done.returncode == 64, done.stderr
    assert 'the system cannot start more threads. Give fewer (--nprocs)' in done.stderr


def test_the_users_word_goes_before_what_is_found(small):
    least = refused([*small, '--mem-mb', '60'])
    generous = [*small, '--mem-mb', str(2 * least)]
    subprocess.run(generous, check=True, env=bare() | {'SLURM_MEM_PER_NODE': '60'})


def measured(command):
    """Exit code and peak resident memory, in MB, of a command that a small process starts."""
    done = subprocess.run(
        [sys.executable, LAUNCH, *command], capture_output=True, text=True, check=True, env=bare()
    )
    result = json.loads(done.stdout.splitlines()[-1])
    return result['code'], result['peak']


@pytest.fixture(scope='module', params=KINDS, ids=lambda kind: kind.name)
def real_size(request, tmp_path_factory):
    """Twelve subjects of the size that studies have."""
    return data.cohort(request.param, tmp_path_factory.mktemp('cohorts'), 12)


def test_memory_stays_below_what_is_promised(real_size, tmp_path):
    command = arguments(real_size, tmp_path)
    least = refused([*command, '--mem-mb', '60'])
    for budget in (least, 2 * least):
        code, peak = measured([*command, '--mem-mb', str(budget)])
        assert code == 0
        assert peak <= budget


# Where the group mask, or one image, takes more than all the rest.
@pytest.mark.parametrize(
    ('source_type', 'mask_type', 'inside'),
    [('f8', 'u1', 0.3), ('u1', 'f8', 0.001), ('u1', 'u1', 0.001), ('u1', 'u1', 1)],
)
@pytest.mark.parametrize('n_members', [1, 9])
def test_memory_stays_below_whatever_the_images(
    tmp_path, source_type, mask_type, inside, n_members
):
    shape = (200, 200, 200)
    mask = np.zeros(shape, mask_type)
    mask[: int(200 * inside) or 1] = 1
    values = np.random.default_rng(0).integers(0, 9, shape).astype(source_type)
    for name, array in {'mask': mask, 'x': values}.items():
        path = save(tmp_path / f'{name}.nii', array)
        in_members(path, tmp_path / f'{name}.nii.gz', n_members)
    row = ['FA', tmp_path / 'x.nii.gz', tmp_path / 'mask.nii.gz']
    csv = write_csv(
        tmp_path / 'cohort.csv', ['scalar_name', 'source_file', 'source_mask_file'], [row]
    )
    cohort = data.Cohort(csv, ['--mask', tmp_path / 'mask.nii.gz'])
    command = [*arguments(cohort, tmp_path), '--nprocs', '1']
    least = refused([*command, '--mem-mb', '60'])
    code, peak = measured([*command, '--mem-mb', str(least)])
    assert code == 0
    assert peak <= least


def in_members(path, compressed, n_members):
    """Compress a file into so many gzip members, as bgzip does."""
    raw = path.read_bytes()
    size = -(-len(raw) // n_members)
    parts = [raw[start : start + size] for start in range(0, len(raw), size)]
    compressed.write_bytes(b''.join(gzip.compress(part, 1) for part in parts))


@pytest.fixture
def control_group():
    """A control group of version 1 or 2 that allows 60 MB, or none where we may not make one."""
    for root, limit in {
        '/sys/fs/cgroup/memory': 'memory.limit_in_bytes',
        '/sys/fs/cgroup': 'memory.max',
    }.items():
        group = Path(root, f'modelarrayio-test-{os.getpid()}')
        if not Path(root, 'cgroup.procs').exists():
            continue
        try:
            group.mkdir()
            (group / limit).write_text(str(60 * 2**20))
        except OSError:
            continue
        yield group
        group.rmdir()
        return
    pytest.skip('no control group may be made here')


def test_what_the_control_group_gives_is_the_limit(control_group):
    enter = f'import os; open({str(control_group / "cgroup.procs")!r}, "w").write(str(os.getpid()))'
    run = 'from modelarrayio_bids.runtime.resources import memory_limit; print(memory_limit())'
    done = subprocess.run(
        [sys.executable, '-c', f'{enter}; {run}'], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) == 60 * 2**20


def test_at_least_one_thread():
    with pytest.raises(UsageError, match='at least one thread is needed'):
        Resources(threads=0)
