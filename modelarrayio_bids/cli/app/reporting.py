"""``--reports-only`` and ``--no-report``: the page about an output folder."""

from __future__ import annotations

import argparse

from modelarrayio_bids.cli.options import add


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of both levels."""
    group = parser.add_argument_group('report').add_mutually_exclusive_group()
    add(
        group,
        '--reports-only',
        action='store_true',
        help='make report.html again from what is in output_dir, and nothing else',
    )
    add(
        group,
        '--no-report',
        dest='report',
        action='store_false',
        help='make no report.html; --reports-only can make it later',
    )


def only_report(options: argparse.Namespace) -> int:
    """Make the report of an output folder."""
    from modelarrayio_bids.reports import make_report
    from modelarrayio_bids.runtime.resources import MIB, Resources

    memory = options.mem_mb * MIB if options.mem_mb else None
    folder, resources = options.output_dir.absolute(), Resources(memory=memory)
    print(f'Report: {make_report(folder, options.bids_dir, resources=resources)}')
    return 0
