"""What no reader refused before: every kind ends with one line, wherever it comes from."""

import json
import os
from pathlib import Path

import pytest
from images import write_cohort, write_csv

from modelarrayio_bids.cli.files import main
from modelarrayio_bids.cli.run import run
from modelarrayio_bids.errors import OutputError
from modelarrayio_bids.runtime.user_input import resolved


def raised(error):
    raise error


@pytest.mark.parametrize(
    ('command', 'says'),
    [
        (lambda: Path('a\0b').stat(), 'NUL character'),
        (lambda: json.loads('[' * 100_000), 'nested too deep'),
        (lambda: json.loads('9' * 5000), 'thousands of digits'),
        ('\ud800'.encode, 'UTF-8'),
        (lambda: raised(RuntimeError('Could not determine home directory.')), 'begins with ~'),
        (lambda: raised(MemoryError()), 'memory'),
    ],
)
def test_what_python_raises_is_told_in_one_line(caplog, command, says):
    code = run('modelarrayio', command)
    assert code in {64, 65}
    (line,) = caplog.messages
    assert says in line


def test_an_output_that_leads_to_itself(tmp_path):
    (tmp_path / 'a').symlink_to(tmp_path / 'b')
    (tmp_path / 'b').symlink_to(tmp_path / 'a')
    with pytest.raises(OutputError, match='a: is a link to itself'):
        resolved(tmp_path / 'a')


@pytest.mark.parametrize('where', ['--mask', '--cohort-file', 'source_file', 'source_mask_file'])
@pytest.mark.parametrize('kind', ['device', 'pipe'])
def test_what_never_ends_is_no_input(tmp_path, monkeypatch, capsys, where, kind):
    monkeypatch.chdir(tmp_path)
    write_cohort(tmp_path)
    endless = '/dev/zero'
    if kind == 'pipe':
        endless = str(tmp_path / 'pipe.nii')
        os.mkfifo(endless)
    elif not where.startswith('--'):
        # A name that says which kind of image it is.
        endless = str(tmp_path / 'zero.nii')
        Path(endless).symlink_to('/dev/zero')
    options = {'--mask': 'group_mask.nii.gz', '--cohort-file': 'cohort.csv'}
    if where in options:
        options[where] = endless
    else:
        row = {'scalar_name': 'FA', 'source_file': 'FA/sub-00_FA.nii.gz'}
        row |= {'source_mask_file': 'group_mask.nii.gz', where: endless}
        write_csv(tmp_path / 'cohort.csv', list(row), [list(row.values())])
    words = [word for option in options.items() for word in option]
    assert main(['to-modelarray', *words, '--output', 'x.h5']) == 66
    says = 'is a pipe, a socket or a device, expected a file that can be read twice'
    assert f'{endless}: {says}' in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / 'x.h5').exists()
