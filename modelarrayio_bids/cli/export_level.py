"""The export level: every analysis in the HDF5 files of an output folder → folders of maps."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

from modelarrayio_bids.cli.options import add, plugin
from modelarrayio_bids.cli.session import session
from modelarrayio_bids.errors import AnalysisNotFoundError, SourceNotFoundError

STORE_ENDING = '_modelarray.h5'

#: HDF5 file, analysis, and the folder for its maps.
Job = tuple[Path, str, Path]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this level."""
    group = parser.add_argument_group('export')
    add(
        group,
        '--analysis-name',
        nargs='+',
        action='extend',
        default=[],
        metavar='NAME',
        help='only these analyses (default: all)',
    )


def run_export(options: argparse.Namespace) -> int:
    """Run the level, or with ``--dry-run`` only say what it would write."""
    jobs = find_jobs(options.output_dir, options.analysis_name)
    if options.dry_run:
        for store, analysis, folder in jobs:
            print(f'{analysis} of {store} would be written to {folder}')
        return 0
    _export(options, jobs)
    print(f'\nExported {len(jobs)} analyses:')
    for _, analysis, folder in jobs:
        print(f'  {analysis}  {folder}')
    return 0


def find_jobs(output_dir: Path, wanted: Sequence[str]) -> list[Job]:
    """Every analysis in the HDF5 files below a folder, or those wanted.

    Raises
    ------
    SourceNotFoundError
        If there is no HDF5 file.
    AnalysisNotFoundError
        If there is no analysis, or one that is wanted is in no file.
    """
    from modelarrayio_bids.store.reader import analyses_of

    stores = sorted(output_dir.absolute().rglob(f'*{STORE_ENDING}'))
    if not stores:
        raise SourceNotFoundError(
            f'holds no file named *{STORE_ENDING}', output_dir, 'Run the group level first.'
        )
    jobs = [
        (store, name, store.parent / f'{store.name.removesuffix(STORE_ENDING)}_{name}')
        for store in stores
        for name in analyses_of(store)
    ]
    held = sorted({name for _, name, _ in jobs})
    if not held or set(wanted) - set(held):
        missing = ', '.join(sorted(set(wanted) - set(held))) or 'at all'
        raise AnalysisNotFoundError(
            f'holds no analysis {missing}',
            output_dir,
            f'Analyses it holds: {", ".join(held) or "none"}.',
        )
    return [job for job in jobs if not wanted or job[1] in wanted]


def _export(options: argparse.Namespace, jobs: Sequence[Job]) -> None:
    from modelarrayio_bids.workflows import init_export_wf
    from modelarrayio_bids.workflows.execution import run_workflow

    where = plugin(options)
    with session(options) as folders:
        workflow = init_export_wf(
            jobs,
            compress=options.compress,
            log_p=options.log_p,
            outside='nan' if math.isnan(options.outside) else 'zero',
            nprocs=options.nprocs,
        )
        where.ask_for(workflow, options.nprocs, options.mem_mb)
        run_workflow(workflow, folders.work, folders.logs, where)
