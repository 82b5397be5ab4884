"""The group level: BIDS derivatives → one HDF5 file per scalar and space."""

from __future__ import annotations

import argparse
import logging
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelarrayio_bids.cli.app import masking, selection
from modelarrayio_bids.cli.app.listing import show
from modelarrayio_bids.cli.app.reporting import only_report
from modelarrayio_bids.cli.app.run_summary import GroupOutputs, close_group
from modelarrayio_bids.cli.app.session import check_folders, session
from modelarrayio_bids.cli.options import add_flag, plugin

if TYPE_CHECKING:
    from modelarrayio_bids.derivatives.bids.dataset import Dataset
    from modelarrayio_bids.derivatives.cohorts.request import Request

logger = logging.getLogger(__name__)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this level."""
    selection.add_options(parser)
    masking.add_options(parser)
    group = parser.add_argument_group('group: outputs')
    add_flag(group, '--overwrite', help='replace HDF5 files even if they hold results')


def run_group(options: argparse.Namespace) -> int:
    """Run the level, or only show what it would take."""
    from modelarrayio_bids.derivatives.cohorts.request import Request

    if options.reports_only:
        return only_report(options)
    inputs = selection.inputs(options)
    threshold, request = masking.threshold(options), Request.of(**inputs)
    check_folders(options.bids_dir, options.output_dir, options.work_dir)
    datasets = request.look_into()
    if not options.skip_bids_validation:
        _advise(request, datasets)
    if options.dry_run:
        plugin(options)
    if options.list_scalars or options.dry_run:
        return show(request, check=options.dry_run, as_json=options.json)
    close_group(_build(options, inputs, threshold), options)
    return 0


def _advise(request: Request, datasets: Iterable[Dataset]) -> None:
    from modelarrayio_bids.derivatives.cohorts.input_warnings import input_warnings

    for line in input_warnings(request, datasets):
        logger.warning(line)


def _build(options: argparse.Namespace, inputs: dict[str, Any], threshold: float) -> GroupOutputs:
    """Run the workflow."""
    from modelarrayio_bids.cohort import Cohort
    from modelarrayio_bids.derivatives.cohorts.columns import said_of_repeats
    from modelarrayio_bids.workflows import init_modelarray_wf
    from modelarrayio_bids.workflows.execution import run_workflow

    where = plugin(options)
    with session(options) as folders:
        in_blocks = options.blocks or not where.is_local
        blocks_dir = folders.work / 'row_blocks' if in_blocks else None
        workflow = init_modelarray_wf(
            **inputs,
            threshold=threshold,
            overwrite=options.overwrite,
            nprocs=options.nprocs,
            mem_mb=options.mem_mb,
            blocks_dir=blocks_dir,
            n_blocks=options.blocks or 0,
            report=options.report,
        )
        where.ask_for(workflow, options.nprocs, options.mem_mb)
        outputs = run_workflow(workflow, folders.work, folders.logs, where)
        if blocks_dir is not None:
            # As large as the data, and of no use once they are assembled.
            shutil.rmtree(blocks_dir)
    collected, written = outputs['collect_cohort'], outputs['write_fit_scripts']
    cohorts = map(Cohort.from_csv, collected.final_cohort_files)
    page = outputs['make_report'].out_file if options.report else None
    if not options.report and (folders.output / 'report.html').exists():
        logger.warning('report.html is from an earlier run: update it with --reports-only')
    return GroupOutputs(
        tuple(collected.scalars),
        tuple(collected.store_files),
        tuple(written.out_files),
        dict(collected.left_out),
        folders.log,
        # Undefined where the memory was not enough for it.
        Path(page) if isinstance(page, str) else None,
        tuple(filter(None, map(said_of_repeats, cohorts))),
    )
