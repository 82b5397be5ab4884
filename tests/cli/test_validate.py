"""``modelarrayio validate`` at a shell: what it prints, and how it ends."""

import json

import h5py
import numpy as np
import pytest
from forks import run_forked
from images import group_mask, write_cohort, write_csv

from modelarrayio_bids.cli.entrypoint import main as image
from modelarrayio_bids.cli.files import COMMANDS, get_parser, main

N = int(group_mask().sum())


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with a cohort and its file ``x.h5``."""
    monkeypatch.chdir(tmp_path)
    write_cohort(tmp_path, subjects=4)
    options = ['--mask', 'group_mask.nii.gz', '--cohort-file', 'cohort.csv', '--output', 'x.h5']
    assert main(['to-modelarray', *options]) == 0
    return tmp_path


def validate(*options):
    return run_forked(main, ['validate', 'x.h5', *options])


def rewrite(**layout):
    """Write the values again, in another way."""
    with h5py.File('x.h5', 'r+') as file:
        data = file['scalars/FA/values'][()]
        del file['scalars/FA/values']
        file.create_dataset('scalars/FA/values', data=np.nan_to_num(data), **layout)


def test_a_good_file(folder):
    done = validate('--cohort-file', 'cohort.csv')
    assert (done.returncode, done.stderr) == (0, '')
    assert done.stdout == 'x.h5: ModelArray can use it (no problems found)\n'


def test_an_error(folder):
    rewrite(dtype='u1', chunks=(4, N))
    done = validate()
    assert (done.returncode, done.stderr) == (65, '')  # sysexits.h: EX_DATAERR
    lines = done.stdout.splitlines()
    assert lines[0] == 'ERROR [values-type] /scalars/FA/values is uint8'
    assert lines[1] == '  Asked  values are float32 or float64'
    assert lines[2].startswith('  In R   R refuses to open them, or takes them for')
    assert lines[-1] == 'x.h5: ModelArray cannot use it (1 error)'
    assert max(map(len, lines)) <= 100


def test_warnings_are_no_failure(folder):
    rewrite(chunks=(1, N))
    with h5py.File('x.h5', 'r+') as file:
        file['scalars/FA/values'].attrs['unit'] = 'mm'
    done = validate()
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == 'x.h5: ModelArray can use it (2 warnings)'


def test_a_table_that_does_not_fit(folder):
    write_csv('other.csv', ['source_file', 'FA'], [['a.nii.gz', '1']])
    done = validate('--cohort-file', 'other.csv')
    assert done.returncode == 65
    assert done.stdout.splitlines()[-1] == 'x.h5: ModelArray cannot use it (2 errors)'


@pytest.mark.parametrize(
    ('separator', 'encoding', 'says'),
    [
        (';', 'utf-8', "[cohort-column] other.csv has ';' between its columns, so that read.csv()"),
        (
            '\t',
            'utf-8',
            "[cohort-column] other.csv has '\\t' between its columns, so that read.csv",
        ),
        (
            ',',
            'utf-16',
            '[cohort-column] other.csv is in UTF-16, so that read.csv() finds no column',
        ),
        (', ', 'utf-8', '[cohort-sources] other.csv lacks 4 sources of FA'),
    ],
)
def test_a_table_that_read_csv_reads_otherwise(folder, separator, encoding, says):
    text = (folder / 'cohort.csv').read_text().replace(',', separator)
    (folder / 'other.csv').write_text(text, encoding=encoding)
    done = validate('--cohort-file', 'other.csv')
    assert (done.returncode, done.stderr) == (65, '')
    first = done.stdout.splitlines()[0]
    assert first.startswith(f'ERROR {says}')
    assert first.endswith('only blanks around them differ') == (separator == ', ')


def test_the_same_for_a_program(folder):
    rewrite(chunks=(1, N))
    done = validate('--json')
    document = json.loads(done.stdout)
    assert list(document) == ['path', 'valid', 'findings']
    assert (document['path'], document['valid']) == ('x.h5', True)
    (finding,) = document['findings']
    assert list(finding) == ['rule', 'severity', 'where', 'found', 'asks', 'in_r', 'remedy']
    assert (finding['rule'], finding['severity']) == ('values-chunks', 'warning')
    assert finding['found'] == f'has chunks of 1 × {N}: R needs 4 for each element'
    rewrite(dtype='u1')
    done = validate('--json')
    assert (done.returncode, json.loads(done.stdout)['valid']) == (65, False)


@pytest.mark.parametrize(
    ('options', 'says', 'code'),
    [
        (['none.h5'], 'none.h5: no such file', 66),
        (['cohort.csv'], 'cohort.csv: cannot be opened as HDF5', 65),
        (['x.h5', '--cohort-file', 'none.csv'], 'none.csv: no such file', 66),
        (['x.h5', '--cohort-file', 'x.h5'], 'x.h5: is not text in UTF-8', 65),
    ],
)
def test_files_that_are_none(folder, capsys, options, says, code):
    assert main(['validate', *options]) == code
    captured = capsys.readouterr()
    assert captured.out == ''
    assert captured.err.splitlines()[-1].startswith(f'modelarrayio: error: {says}')


def test_a_file_that_may_only_be_read(folder):
    (folder / 'x.h5').chmod(0o444)
    before = (folder / 'x.h5').stat().st_mtime_ns
    assert validate().returncode == 0
    assert (folder / 'x.h5').stat().st_mtime_ns == before


def test_values_are_not_read(folder):
    # 100 GB that were never written.
    n = 25_000_000_000 // 4
    with h5py.File('x.h5', 'r+') as file:
        del file['scalars/FA/values'], file['voxels'], file['modelarrayio/template']
        file.create_dataset('scalars/FA/values', (4, n), 'f4', chunks=(4, 4096))
    done = validate()
    assert done.returncode == 0
    assert '[elements-missing]' in done.stdout


def test_the_image_hands_every_file_command_on(folder, capsys):
    commands = next(a for a in get_parser().actions() if a.choices)
    assert set(commands.choices) == set(COMMANDS)
    assert image(['validate', 'x.h5']) == 0
    assert 'ModelArray can use it' in capsys.readouterr().out
