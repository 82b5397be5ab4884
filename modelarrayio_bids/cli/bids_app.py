"""``modelarrayio-bids``: the BIDS App."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from modelarrayio_bids.cli.app import level_options
from modelarrayio_bids.cli.app.settings import add_config_file, parse
from modelarrayio_bids.cli.commands.export_results import add_images
from modelarrayio_bids.cli.options import (
    Section,
    disk_path,
    log_format,
    place,
    positive,
    use_remote,
)
from modelarrayio_bids.cli.parser import Parser
from modelarrayio_bids.cli.run import run
from modelarrayio_bids.errors import UnknownLevelError, UsageError
from modelarrayio_bids.runtime import logs
from modelarrayio_bids.runtime.encoding import require_utf8

logger = logging.getLogger(__name__)

PROGRAM = 'modelarrayio-bids'
_EXAMPLES = """examples:
  modelarrayio-bids study results group --list-scalars
  modelarrayio-bids study results group model export --scalars cbf --formula '~ age + sex'
"""
#: Addresses that Nipype, pandas and SciPy take besides, without a report: 350 MiB were enough.
LEAST_MB = 350
#: In the order they run in.
LEVELS = ('group', 'model', 'export')


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``modelarrayio-bids`` and return an exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    logs.configure('INFO', form=log_format(words))
    parser = get_parser()
    return run(PROGRAM, lambda: _run(parser, parse(parser, words)), LEAST_MB)


def get_parser() -> Parser:
    """Return the parser of ``modelarrayio-bids``."""
    parser = Parser(
        prog=PROGRAM,
        # An option of several values in front of the folders would take them too.
        usage=f'{PROGRAM} bids_dir output_dir {{group,model,export}} ... [options]',
        description='Collect maps of BIDS derivatives in HDF5 files (group), fit a model at '
        "every element as R's ModelArray does (model), and write result maps (export).",
        epilog=_EXAMPLES,
    )
    options = Section(parser)
    _add_positional(options)
    level_options.add_options(options)
    add_images(options)
    options.add_resources()
    options.add_remote()
    options.add_cluster()
    _add_running(options)
    _add_messages(options)
    return parser


def _run(parser: Parser, options: argparse.Namespace) -> int:
    logs.configure(_level(options), form=options.log_format, nipype=options.verbose > 1)
    if options.omp_nthreads is not None:
        # In time: numpy's library of linear algebra looks when it is loaded.
        os.environ['OMP_NUM_THREADS'] = str(options.omp_nthreads)
    # Nipype asks who runs it for its crash files, and a container's user may have no name; it
    # also asks the network for a newer version of itself.
    os.environ.setdefault('LOGNAME', str(os.getuid()))
    os.environ.setdefault('NIPYPE_NO_ET', '1')
    os.environ.setdefault('NO_ET', '1')
    require_utf8(list(vars(options).values()))
    use_remote(options)
    unknown = [name for name in options.analysis_level if name not in LEVELS]
    if unknown and {str(options.bids_dir), str(options.output_dir)} & {*LEVELS}:
        raise UnknownLevelError(
            'the arguments are in another order than that of BIDS Apps',
            remedy=f'Write {PROGRAM} BIDS_DIR OUTPUT_DIR {{{",".join(LEVELS)}}}.',
        )
    if unknown:
        raise UnknownLevelError(
            f'there is no analysis level {unknown[0]!r}',
            remedy='Use "group" to build HDF5 files from all participants (choose some with '
            '--participant-label), "model" to fit a model at every element, or "export" '
            'to write results as images.',
        )
    for idle, given in parser.ignored(options, options.analysis_level).items():
        logger.warning('no effect, as the level %s does not run: %s', idle, ', '.join(given))
    if options.reports_only:
        from modelarrayio_bids.cli.app.reporting import only_report

        only_report(options)
        return 0
    wanted = [name for name in LEVELS if name in options.analysis_level]
    if 'model' in wanted[1:]:
        from modelarrayio_bids.cli.app.model_jobs import check_models

        check_models(options)
    if options.list_scalars or options.dry_run:
        # Nothing is made that a further level could look at.
        wanted = wanted[:1]
    for number, name in enumerate(wanted, start=1):
        # Loaded here: what it takes would keep --help, and the other levels, waiting.
        level = import_module(f'modelarrayio_bids.cli.app.{name}_level')
        level.run(_at_level(options, last=number == len(wanted)))
    return 0


def _at_level(options: argparse.Namespace, *, last: bool) -> argparse.Namespace:
    """Return the options for one of several levels: only the last makes the report."""
    report = options.report and last
    return argparse.Namespace(**{**vars(options), 'report': report})


def _level(options: argparse.Namespace) -> str:
    # No exclusive group of the parser: the settings that a run writes say both.
    if options.quiet and options.verbose:
        raise UsageError('--quiet and --verbose contradict each other', remedy='Give one of them.')
    return 'WARNING' if options.quiet else 'DEBUG' if options.verbose else 'INFO'


def _add_positional(options: Section) -> None:
    options.add('bids_dir', type=place, help='BIDS dataset of the study')
    options.add('output_dir', type=disk_path, help='folder for all outputs')
    options.add(
        'analysis_level',
        nargs='+',
        metavar='{group,model,export}',
        help='one or more levels, which run in this order; there is no participant level',
    )
    options.add_version(PROGRAM, '--version')
    options.add(
        '--bids-exec-spec',
        action=_PrintDescriptor,
        nargs=0,
        default=argparse.SUPPRESS,
        help='print the Boutiques descriptor of this command line (JSON)',
    )


def _add_running(options: Section) -> None:
    group = options.section('running')
    group.add_path(
        '-w',
        '--work-dir',
        metavar='DIR',
        common=True,
        help='folder for intermediate files. The default is a folder in output_dir, removed at the '
        'end',
    )
    group.add_flag('--dry-run', common=True, help='check everything, write nothing')
    group.add('--omp-nthreads', type=positive, metavar='N', help='BLAS threads; rarely matters')
    add_config_file(group)
    group.add_flag(
        '--notrack', help='accepted for compatibility with other BIDS Apps; nothing is ever tracked'
    )


def _add_messages(options: Section) -> None:
    group = options.section('messages')
    group.add(
        '-v',
        '--verbose',
        action='count',
        default=0,
        help='print more messages, and tracebacks of errors; -vv also prints messages of Nipype',
    )
    group.add(
        '--debug', action='store_const', dest='verbose', const=2, default=0, help='same as -vv'
    )
    group.add_flag(
        '-q',
        '--quiet',
        help='print only warnings and errors; the log in OUTPUT_DIR/logs has all messages',
    )
    group.add_log_format()


class _PrintDescriptor(argparse.Action):
    """Print the descriptor that the package ships and stop, whatever else is given."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from modelarrayio_bids.runtime.data_files import data_text

        print(data_text('boutiques.json'), end='')
        parser.exit()


if __name__ == '__main__':
    raise SystemExit(main())
