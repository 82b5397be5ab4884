"""``--reports-only`` and ``--no-report``: the page about an output folder."""

from __future__ import annotations

import argparse

from modelarrayio_bids.cli.options import Section


def add_options(parser: Section) -> None:
    """Add the options of both levels."""
    section = parser.section('report')
    group = section.exclusive()
    group.add_flag('--reports-only', help='only make report.html again from what is in output_dir')
    group.add(
        '--no-report',
        dest='report',
        action='store_false',
        help='do not make report.html (--reports-only can make it later)',
    )
    section.add_flag(
        '--show-intercept',
        help='also draw maps of the intercept in the report (by default only of models without '
        'other terms)',
    )


def only_report(options: argparse.Namespace) -> int:
    """Make the report of an output folder."""
    from modelarrayio_bids.reports import make_report
    from modelarrayio_bids.runtime.resources import MIB, Resources

    memory = options.mem_mb * MIB if options.mem_mb else None
    page = make_report(
        options.output_dir.absolute(),
        options.bids_dir,
        resources=Resources(memory=memory),
        show_intercept=options.show_intercept,
    )
    print(f'Report: {page}')
    return 0
