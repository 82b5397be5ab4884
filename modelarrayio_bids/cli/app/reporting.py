"""``--reports-only``: the page about an output folder."""

from __future__ import annotations

import argparse

from modelarrayio_bids.reports import make_report
from modelarrayio_bids.runtime.resources import MIB, Resources


def only_report(options: argparse.Namespace) -> None:
    """Make the report of an output folder."""
    memory = options.mem_mb * MIB if options.mem_mb else None
    page = make_report(
        options.output_dir.absolute(),
        options.bids_dir,
        resources=Resources(memory=memory),
        show_intercept=options.show_intercept,
    )
    print(f'Report: {page}')
