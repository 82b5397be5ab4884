"""``modelarrayio``: cohort CSV → HDF5, and results in HDF5 → images.

The options of these two are those of the predecessor (``modelarrayio`` 26.0.0): a script written
for it runs unchanged.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from modelarrayio_bids.cli.commands import (
    append,
    convert,
    export_results,
    fit,
    info,
    make_cohort,
    merge_results,
    to_modelarray,
    validate,
)
from modelarrayio_bids.cli.options import Section, log_format, use_remote
from modelarrayio_bids.cli.parser import Parser
from modelarrayio_bids.cli.run import run
from modelarrayio_bids.errors import EXIT_USAGE
from modelarrayio_bids.runtime import logs
from modelarrayio_bids.runtime.encoding import require_utf8

PROGRAM = 'modelarrayio'
_EXAMPLES = """examples:
  modelarrayio to-modelarray --cohort-file cohort_FA.csv --mask group_mask.nii.gz --output FA.h5
  modelarrayio fit FA.h5 --formula 'FA ~ age + sex' --cohort-file cohort_FA.csv --export maps
"""
#: Addresses that Python, NumPy and HDF5 take with one thread: 180 MiB were enough.
LEAST_MB = 208
_MODULES = (
    make_cohort, to_modelarray, append, fit, merge_results, export_results, info, validate,
    convert,
)  # fmt: skip
COMMANDS = tuple(each.__name__.rpartition('.')[2].replace('_', '-') for each in _MODULES)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``modelarrayio`` and return an exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    logs.configure('INFO', form=log_format(words))
    parser = get_parser()
    options = parser.parse_args(words)
    if not hasattr(options, 'command'):
        parser.print_help()
        return EXIT_USAGE
    logs.configure(options.log_level, form=options.log_format)
    return run(PROGRAM, lambda: _run(options), LEAST_MB)


def _run(options: argparse.Namespace) -> int:
    require_utf8(list(vars(options).values()))
    use_remote(options)
    return options.command(options)


def get_parser() -> argparse.ArgumentParser:
    """Return the parser of ``modelarrayio``."""
    parser = Parser(
        prog=PROGRAM,
        description='Write the images of a cohort to one HDF5 file for ModelArray, fit models, and '
        'write the results as images. COMMAND --help shows the options of a command.',
        epilog=_EXAMPLES,
    )
    Section(parser).add_version(PROGRAM, '-V', '--version')
    commands = parser.add_subparsers(title='commands', metavar='COMMAND', prog=PROGRAM)
    for command in _MODULES:
        command.add_command(commands)
    return parser


if __name__ == '__main__':
    raise SystemExit(main())
