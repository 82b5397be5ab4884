"""``modelarrayio append`` as its user meets it."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from benchmarks import data
from folders import bytes_of
from held import X_BEGUN, X_WHOLE, end
from images import expected_rows, save, write_cohort, write_csv
from stores import write_results
from tools import run_on_full_disk

from modelarrayio_bids.cli.files import main

COMMAND = [sys.executable, '-m', 'modelarrayio_bids.cli.files']
LAUNCH = Path(data.__file__).with_name('launch.py')
LONG = ['scalar_name', 'source_file', 'source_mask_file']
MASK = ['--mask', 'group_mask.nii.gz']


def table(name, numbers, scalars=('FA', 'MD')):
    rows = [
        [s, f'{s}/sub-{n:02d}_{s}.nii.gz', f'masks/sub-{n:02d}_mask.nii.gz']
        for s in scalars
        for n in numbers
    ]
    return str(write_csv(Path(name), LONG, rows))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with a file of four subjects, and three more."""
    monkeypatch.chdir(tmp_path)
    write_cohort(tmp_path, subjects=7, scalars=('FA', 'MD'))
    arguments = ['--cohort-file', table('old.csv', range(4)), *MASK, '--output', 'x.h5']
    assert main(['to-modelarray', *arguments]) == 0
    table('new.csv', range(4, 7))
    return tmp_path


def append(*more, cohort='new.csv'):
    return main(['append', '--cohort-file', cohort, '--output', 'x.h5', *more])


def failed(capsys):
    """The one line a failed command said."""
    (line,) = [line for line in capsys.readouterr().err.splitlines() if ': error: ' in line]
    return line


def test_subjects_are_added(folder, capsys):
    assert append() == 0
    said = capsys.readouterr().err
    assert said.splitlines() == [
        'INFO: Reading x.h5',
        'INFO: Wrote x.h5: FA × 4 + 3, MD × 4 + 3 over 24 voxels',
    ]
    with h5py.File('x.h5') as file:
        np.testing.assert_array_equal(file['scalars/FA/values'][()], expected_rows(7))
        # As the CSVs write them: R matches this text.
        names = file['scalars/FA/column_names'].asstr()[()]
        assert names.tolist() == [f'FA/sub-{n:02d}_FA.nii.gz' for n in range(7)]


def test_from_another_working_folder(folder, monkeypatch):
    (folder / 'elsewhere').mkdir()
    monkeypatch.chdir(folder / 'elsewhere')
    assert main(['append', '--cohort_file', '../new.csv', '--output', '../x.h5']) == 0
    with h5py.File('../x.h5') as file:
        np.testing.assert_array_equal(file['scalars/MD/values'][()], expected_rows(7, 100))


def test_a_wide_cohort(folder):
    rows = [
        [f'{s}/sub-{n:02d}_{s}.nii.gz' for s in ('FA', 'MD')] + [f'masks/sub-{n:02d}_mask.nii.gz']
        for n in range(4, 7)
    ]
    wide = str(write_csv(Path('wide.csv'), ['FA', 'MD', 'source_mask_file'], rows))
    assert append('--scalar-columns', 'FA', cohort=wide) == 0
    assert append('--scalar_columns', 'MD', cohort=wide) == 0
    with h5py.File('x.h5') as file:
        np.testing.assert_array_equal(file['scalars/MD/values'][()], expected_rows(7, 100))
        assert len(file['modelarrayio/history']) == 3


def test_results_of_fewer_subjects(folder, capsys):
    write_results('x.h5', 'mylm', ['element_id', 'p.value'], np.zeros((24, 2)))
    before = bytes_of(folder)
    assert append() == 73
    assert 'x.h5: holds results of the smaller cohort: mylm.' in failed(capsys)
    assert bytes_of(folder) == before
    assert append('--keep-results') == 0
    with h5py.File('x.h5') as file:
        ours = file['results/mylm/modelarrayio'].attrs
        assert json.loads(ours['n_sources']) == {'FA': 4, 'MD': 4}
    with pytest.raises(SystemExit) as ended:
        append('--keep-results', '--overwrite')
    assert ended.value.code == 64


def test_another_file_as_the_output(folder, capsys):
    before = Path('x.h5').read_bytes()
    arguments = ['--cohort-file', 'new.csv', '--input-hdf5', 'x.h5', '--output', 'y.h5']
    assert main(['append', *arguments]) == 0
    assert Path('x.h5').read_bytes() == before
    write_results('y.h5', 'mylm', ['element_id'], np.arange(24)[:, None])
    capsys.readouterr()
    assert main(['append', *arguments]) == 73
    assert 'y.h5: holds results that would be lost: mylm' in failed(capsys)
    assert main(['append', *arguments, '--overwrite']) == 0


@pytest.mark.parametrize(
    ('arguments', 'code', 'says'),
    [
        (['--cohort-file', 'old.csv', '--output', 'x.h5'], 65, 'of the new sources of FA already'),
        (['--cohort-file', 'none.csv', '--output', 'x.h5'], 66, 'none.csv: no such file'),
        (['--cohort-file', 'new.csv', '--output', 'y.h5'], 66, 'y.h5: no such file'),
        (['--cohort-file', 'new.csv', '--output', 'new.csv'], 64, 'new.csv: is read by this'),
        (
            ['--cohort-file', 'new.csv', '--input-hdf5', 'x.h5', '--output', 'new.csv/y.h5'],
            73,
            'new.csv/y.h5: cannot be created',
        ),
        (['--cohort-file', 'new.csv', '--output', 'x.h5', '--map', '2'], 64, 'voxels have no maps'),
        (
            ['--cohort-file', 'new.csv', '--output', 'x.h5', '--index-file', 'none.mif'],
            64,
            'voxels need a group mask',
        ),
        (['--cohort-file', 'new.csv', '--output', 'x.h5', '--mem-mb', '9'], 64, 'is too little'),
    ],
)
def test_what_cannot_be(folder, capsys, arguments, code, says):
    before = bytes_of(folder)
    assert main(['append', *arguments]) == code
    said = capsys.readouterr().err
    assert says in said
    assert 'Traceback' not in said
    assert bytes_of(folder) == before


def large(folder, subjects=60, edge=60):
    """Enough incompressible data to fill a disk: the command."""
    shape, rng = (edge, edge, edge), np.random.default_rng(0)
    mask = save(folder / 'group_mask.nii.gz', np.ones(shape, np.uint8), np.eye(4))
    rows = [
        ['FA', save(folder / f'{n}.nii', rng.random(shape, np.float32), np.eye(4)), mask]
        for n in range(subjects)
    ]
    write_csv(folder / 'old.csv', LONG, rows[: subjects // 2])
    write_csv(folder / 'new.csv', LONG, rows[subjects // 2 :])
    build = ['--cohort-file', str(folder / 'old.csv'), '--mask', str(mask)]
    store = str(folder / 'x.h5')
    assert main(['to-modelarray', *build, '--output', store]) == 0
    return [*COMMAND, 'append', '--cohort-file', str(folder / 'new.csv'), '--output', store]


# In between: new images are being read, by another thread.
MOMENTS = {'begun': X_BEGUN, 'reading': ('open', r'sub-05_MD\.nii\.gz ', 3), 'whole': X_WHOLE}


@pytest.mark.parametrize('sent', [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize('moment', MOMENTS)
def test_a_run_that_is_ended_leaves_the_file_as_it_was(folder, tmp_path, sent, moment):
    command = [*COMMAND, 'append', '--cohort-file', 'new.csv', '--output', folder / 'x.h5']
    before = bytes_of(tmp_path)
    end(command, MOMENTS[moment], sent, tmp_path)
    after = bytes_of(tmp_path)
    left = [path for path in after if path not in before]
    assert {path: content for path, content in after.items() if path not in left} == before
    assert len(left) == (1 if sent == signal.SIGKILL else 0)
    # The next run removes what is left, and ends well.
    assert main(list(map(str, command[len(COMMAND) :]))) == 0
    assert set(bytes_of(tmp_path)) == set(before)


@pytest.mark.parametrize('limit', [2**10, 2**18, 2**20])
def test_a_disk_that_fills(tmp_path, limit):
    command = large(tmp_path, subjects=20)
    before = bytes_of(tmp_path)
    done = run_on_full_disk(command, limit)
    assert done.returncode == 74, done.stderr
    assert f'modelarrayio: error: {tmp_path}/x.h5: could not be written' in done.stderr
    assert bytes_of(tmp_path) == before


def measured(command):
    """Peak resident memory, in MB, of a command that a small process starts; its last words."""
    command = [sys.executable, LAUNCH, *command]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    result = json.loads(done.stdout.splitlines()[-1])
    return result['code'], result['peak'], done.stderr


def test_memory_stays_below_what_is_promised(tmp_path):
    # 60 rows of 1.3 million voxels have 300 MB.
    command = [*large(tmp_path, edge=110), '--nprocs', '2']
    code, _, said = measured([*command, '--mem-mb', '60'])
    assert code == 64
    least = int(re.search(r'Give at least (\d+) MB \(--mem-mb\)', said)[1])
    assert least < 200
    code, peak, said = measured([*command, '--mem-mb', str(least)])
    assert code == 0, said
    assert peak <= least
