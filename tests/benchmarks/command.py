"""The command line of the benchmarks."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from benchmarks import peer, report
from benchmarks.cases import CASES, SMALL
from benchmarks.measure import CommandError
from benchmarks.tasks import Bench, NotMeasuredError, Task


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the cases asked for; 1 if a program failed in one of them."""
    options = _parser().parse_args(arguments)
    cases = chosen(options.cases)
    if options.list:
        print('\n'.join(f'{case.name:24}{case.goal}' for case in cases))
        return 0
    rows, notes = measure(cases, _bench(options))
    facts = ', '.join(f'{name} {value}' for name, value in report.machine().items())
    if rows:
        print(f'\n{report.table(rows)}\n\n{facts}; median of {options.runs} runs')
    print('\n'.join(notes))
    if options.json:
        report.save(options.json, rows, notes, options.runs)
    return int(any('failed' in note for note in notes))


def chosen(patterns: Sequence[str]) -> list[Task]:
    """The cases whose names match any of the patterns; the small ones without any."""
    if not patterns:
        return list(SMALL)
    found = [case for case in CASES if any(fnmatchcase(case.name, p) for p in patterns)]
    if not found:
        raise SystemExit(f'No case is named {", ".join(patterns)}. See --list.')
    return found


def measure(cases: Iterable[Task], bench: Bench) -> tuple[list[report.Row], list[str]]:
    """The rows of all cases, and notes about those that could not be measured."""
    rows, notes = [], []
    for case in cases:
        print(f'{case.name} …', file=sys.stderr, flush=True)
        try:
            for row in case.rows(bench):
                rows.append(row)
                print(report.table([row]), file=sys.stderr, flush=True)
        except NotMeasuredError as error:
            notes.append(f'{case.name}: not measured: {error}')
        except CommandError as error:
            notes.append(f'{case.name}: failed: {error}')
    return rows, notes


def _bench(options: argparse.Namespace) -> Bench:
    folder = options.folder.absolute()
    command = None
    if not options.no_peer:
        command = (options.peer or peer.install(folder / 'peer')).absolute()
    # The interpreter of an environment is a link: its programs lie beside the link.
    ours = Path(sys.executable).parent
    if not (ours / 'modelarrayio').exists():
        raise SystemExit(f'There is no modelarrayio in {ours}. Use make benchmark.')
    peer_runs = options.runs if options.peer_runs is None else options.peer_runs
    return Bench(
        folder, ours, command, options.runs, peer_runs, options.subjects, not options.no_warm_up
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='benchmarks', description=__doc__)
    add = parser.add_argument
    add('cases', nargs='*', metavar='CASE', help='names or shell patterns (default: small ones)')
    add('--list', action='store_true', help='name the cases (all: --list "*") and stop')
    add('--subjects', type=int, metavar='N', help="in place of each case's own")
    add('--runs', type=int, default=3, metavar='N', help='measured runs (default: %(default)s)')
    add('--peer-runs', type=int, metavar='N', help='of the peer (default: as many)')
    add('--no-warm-up', action='store_true', help='leave out the first, unmeasured run of each')
    add(
        '--folder',
        type=Path,
        default=Path('benchmark'),
        metavar='DIR',
        help='for data, which are kept, and outputs (default: %(default)s)',
    )
    add('--json', type=Path, metavar='FILE', help='write the rows there too')
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        '--peer', type=Path, metavar='PROGRAM', help='its modelarrayio (default: installed once)'
    )
    which.add_argument('--no-peer', action='store_true', help='measure ours only')
    return parser
