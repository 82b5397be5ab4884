"""Messages and progress: on terminals, in logs, and for programs."""

import json
import re
import subprocess
import sys
import textwrap

import pytest
from terminal import run_in_terminal, screen

from modelarrayio_bids.cli.run import run

#: A long piece of work that has something to say meanwhile; a bar shows each step of it.
WORK = """
import logging, os, sys
os.environ |= {'TQDM_MININTERVAL': '0', 'TQDM_MINITERS': '1'}
from modelarrayio_bids.runtime import logs, progress
progress.INTERVAL = 0
logs.configure(sys.argv[1], form=sys.argv[2])
for item in progress.tracked(
    iter(range(4)), 'Reading x', None if 'endless' in sys.argv else 4, 'images'
):
    if item == 2:
        logging.getLogger('x').warning('item %d is odd', item)
        logging.getLogger('x').info('and so on')
logging.getLogger('x').error('the end')
"""
WARNED = ['WARNING: item 2 is odd', 'INFO: and so on', 'ERROR: the end']


def work(*options):
    return [sys.executable, '-c', WORK, *options]


def piped(*options):
    done = subprocess.run(work(*options), check=True, capture_output=True, text=True)
    assert done.stdout == ''
    return done.stderr


def test_lines_go_above_a_bar_not_through_it():
    code, written = run_in_terminal(work('INFO', 'text'))
    assert code == 0
    assert re.search(r'Reading x: +\d+%\|.*\| 2/4 ', written)
    # Nothing of the bar stays.
    assert [line for line in screen(written) if line] == WARNED


def test_a_bar_without_an_end_counts():
    _, written = run_in_terminal(work('INFO', 'text', 'endless'))
    assert 'Reading x: 2 images' in written
    assert [line for line in screen(written) if line] == WARNED


def test_colour_is_for_what_asks_for_attention():
    _, written = run_in_terminal(work('INFO', 'text'))
    assert '\x1b[33mWARNING\x1b[0m: item 2' in written
    assert '\x1b[31mERROR\x1b[0m: the end' in written
    assert 'INFO: and' in written


def test_no_color_is_heeded():
    _, written = run_in_terminal(work('INFO', 'text'), NO_COLOR='1')
    assert '\x1b[3' not in written
    assert '2/4' in written
    # https://no-color.org: "when present and not an empty string".
    assert '\x1b[33m' in run_in_terminal(work('INFO', 'text'), NO_COLOR='')[1]


def test_a_dumb_terminal_gets_lines():
    _, written = run_in_terminal(work('INFO', 'text'), TERM='dumb')
    assert '\x1b' not in written
    assert '\r' not in written
    assert written.startswith('INFO: Reading x: 1 of 4 images, ')
    assert 'WARNING: item 2 is odd\n' in written


def test_what_is_quiet_draws_nothing():
    _, written = run_in_terminal(work('WARNING', 'text'))
    assert screen(written) == ['WARNING: item 2 is odd', 'ERROR: the end', '']
    assert '\r' not in written


def test_a_log_gets_a_line_now_and_then():
    lines = piped('INFO', 'text').splitlines()
    assert re.fullmatch(r'INFO: Reading x: 1 of 4 images, \d+\.\d/s, \d+ s left', lines[0])
    assert [line for line in lines if 'Reading' not in line] == WARNED
    assert piped('INFO', 'text', 'endless').startswith('INFO: Reading x: 1 images, ')


@pytest.mark.parametrize('where', ['pipe', 'terminal'])
def test_json_is_an_object_a_line(where):
    command = ('INFO', 'json')
    text = piped(*command) if where == 'pipe' else run_in_terminal(work(*command))[1]
    said = [json.loads(line) for line in text.splitlines()]
    assert [one['message'] for one in said if 'stage' not in one] == [
        'item 2 is odd', 'and so on', 'the end',
    ]  # fmt: skip
    assert {'level': 'WARNING', 'logger': 'x', 'message': 'item 2 is odd'}.items() <= next(
        one for one in said if one['level'] == 'WARNING'
    ).items()
    assert re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d', said[0]['time'])
    stages = [one for one in said if 'stage' in one]
    assert [(one['done'], one['total'], one['unit']) for one in stages] == [
        (n, 4, 'images') for n in (1, 2, 3)
    ]


def ended(failure, form):
    """How a command ends that fails so, and what it says."""
    script = f"""
        import sys, warnings
        from pathlib import Path
        from modelarrayio_bids.runtime import logs
        from modelarrayio_bids.cli.run import run
        from modelarrayio_bids.errors import *
        logs.configure('CRITICAL', Path(sys.argv[1]), form={form!r})
        def fail():
            {failure}
        sys.exit(run('program', fail))
    """

    def call(log):
        command = [sys.executable, '-c', textwrap.dedent(script), log]
        return subprocess.run(command, check=False, capture_output=True, text=True)

    return call


def test_an_error_is_one_object_whatever_level_is_shown(tmp_path):
    failure = "raise FormatError('is damaged', 'x.nii', 'Copy it again.')"
    done = ended(failure, 'json')(tmp_path / 'log')
    (line,) = done.stderr.splitlines()
    said = json.loads(line)
    assert said.pop('time')
    assert said == {
        'level': 'ERROR', 'logger': 'modelarrayio_bids', 'exit_code': 65,
        'message': 'x.nii: is damaged. Copy it again.',
        'what': 'is damaged', 'file': 'x.nii', 'remedy': 'Copy it again.',
    }  # fmt: skip
    assert done.returncode == 65
    assert (tmp_path / 'log').read_text() == done.stderr


def test_several_problems_are_one_object_with_each_of_them(tmp_path):
    failure = "raise CohortProblemsError([FormatError('a', 'x'), SourceNotFoundError('b', 'y')])"
    (line,) = ended(failure, 'json')(tmp_path / 'log').stderr.splitlines()
    problems = json.loads(line)['problems']
    assert [(one['file'], one['exit_code']) for one in problems] == [('x', 65), ('y', 66)]


@pytest.mark.parametrize('form', ['text', 'json'])
def test_a_bug_brings_its_traceback_to_the_log_too(tmp_path, form):
    done = ended("warnings.warn('old'); 1 / 0", form)(tmp_path / 'log')
    assert done.returncode == 70
    if form == 'json':
        said = [json.loads(line) for line in done.stderr.splitlines()]
        assert 'ZeroDivisionError' in said[-2]['traceback']
        assert (said[-1]['exit_code'], said[-1]['what'][:13]) == (70, 'this is a bug')
    else:
        assert done.stderr.splitlines()[-1].startswith('program: error: this is a bug')
        assert 'ZeroDivisionError' in done.stderr
    log = (tmp_path / 'log').read_text()
    assert 'ZeroDivisionError' in log
    assert 'this is a bug' in log.splitlines()[-1]


def test_an_end_is_said_without_any_logging(capsys):
    # As a program that embeds us may call it.
    script = "from modelarrayio_bids.cli.run import run; run('p', lambda: open('/none/x'))"
    done = subprocess.run(
        [sys.executable, '-c', script], check=True, capture_output=True, text=True
    )
    assert done.stderr.startswith('p: error: /none/x: cannot be opened or used (No such file')
    assert run('p', lambda: 3) == 3
