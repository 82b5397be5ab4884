"""Options that people bring along from other BIDS Apps."""

import os
import subprocess
import sys
import textwrap

import pytest

from modelarrayio_bids.cli.bids_app import get_parser, main

PLACE = ['study', 'out', 'group']


@pytest.mark.parametrize(
    ('text', 'megabytes'),
    # Of 2**20 bytes, as Slurm's, whose suffixes are these too.
    [('4000', 4000), ('8G', 8192), ('8gb', 8192), ('1.5GiB', 1536), ('1T', 2**20), ('2048K', 2)],
)
@pytest.mark.parametrize('option', ['--mem', '--mem-mb', '--mem_mb'])
def test_memory_may_have_a_suffix(option, text, megabytes):
    assert get_parser().parse_args([*PLACE, option, text]).mem_mb == megabytes


def test_memory_in_gigabytes():
    # FitLins' word, and XCP-D's before 0.10.
    assert get_parser().parse_args([*PLACE, '--mem-gb', '1.5']).mem_mb == 1536


@pytest.mark.parametrize('text', ['0', 'G', '8X', '-1', '100K', '1e3', '8 Gigabytes'])
def test_what_is_no_memory_is_refused(text, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*PLACE, f'--mem={text}'])
    assert ended.value.code == 64  # sysexits.h: EX_USAGE
    said = f'{text!r} is not a memory size: give megabytes, or such as 8G'
    assert said in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, 'sched_setaffinity'), reason='no processors to choose here')
def test_threads_are_as_many_as_the_processors_given():
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert get_parser().parse_args(PLACE).nprocs == 1
    finally:
        os.sched_setaffinity(0, before)
    assert get_parser().parse_args(PLACE).nprocs == len(before)


@pytest.mark.parametrize('option', ['--session-label', '--session_label', '--session-id'])
def test_sessions_have_two_names(option):
    assert get_parser().parse_args([*PLACE, option, 'ses-1', '2']).session_label == ['ses-1', '2']


def test_the_version_alone(capsys):
    with pytest.raises(SystemExit) as ended:
        main(['--version'])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith('modelarrayio-bids ')


@pytest.mark.parametrize(
    ('options', 'debug', 'nipype'),
    [([], 0, 0), (['-v'], 1, 0), (['-vv'], 1, 1), (['-v', '--verbose'], 1, 1), (['--debug'], 1, 1)],
)
def test_more_is_said_when_asked_for(group, tmp_path, options, debug, nipype):
    code, _, words = group(*options)
    assert code == 0
    (log,) = (tmp_path / 'out' / 'logs').glob('*.log')
    for text in (words, log.read_text('utf-8')):
        assert ('DEBUG: ' in text) == debug
        assert ('Finished "write_sidecars"' in text) == nipype


def test_where_an_error_was_raised_is_said_when_asked_for(group):
    code, _, words = group(scalars=['none'])
    assert (code, 'Traceback' in words) == (18, False)
    code, _, words = group('-v', scalars=['none'])
    assert (code, 'Traceback' in words) == (18, True)
    assert words.splitlines()[-1].startswith('modelarrayio-bids: error: ')


def test_nothing_is_tracked_either_way(group):
    assert group('--notrack', '--list-scalars')[0] == 0


def test_linear_algebra_is_told_its_threads(flow, tmp_path):
    program = textwrap.dedent("""
        import os, sys
        from modelarrayio_bids.cli.bids_app import main
        assert 'numpy' not in sys.modules
        assert main(sys.argv[1:]) == 0
        assert 'numpy' in sys.modules
        print(os.environ['OMP_NUM_THREADS'])
    """)
    arguments = [str(flow), str(tmp_path / 'out'), 'group', '--dry-run', '--omp-nthreads', '3']
    done = subprocess.run(
        [sys.executable, '-c', program, *arguments],
        check=True,
        capture_output=True,
        text=True,
        env={name: value for name, value in os.environ.items() if name != 'OMP_NUM_THREADS'},
    )
    assert done.stdout.splitlines()[-1] == '3'
