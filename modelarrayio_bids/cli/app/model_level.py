"""The model level: a model at every element of the HDF5 files of an output folder."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from operator import attrgetter
from pathlib import Path

from nipype import Workflow

from modelarrayio_bids.cli.app.model_jobs import ModelJob, find_jobs, sort_jobs
from modelarrayio_bids.cli.app.reporting import only_report
from modelarrayio_bids.cli.app.run_summary import close_model
from modelarrayio_bids.cli.app.session import Session, session
from modelarrayio_bids.cli.options import plugin
from modelarrayio_bids.workflows import init_model_wf

logger = logging.getLogger(__name__)


def run(options: argparse.Namespace) -> None:
    """Run the level, or with ``--dry-run`` only show the designs."""
    # All designs before one is fitted.
    wanted, done = sort_jobs(find_jobs(options), overwrite=options.overwrite)
    if options.dry_run:
        plugin(options)
        _show(wanted, done)
        return
    log = _fit(options, wanted)
    close_model(_facts(wanted), _facts(done), log, options)


def _show(wanted: Sequence[ModelJob], done: Sequence[ModelJob]) -> None:
    for job in done:
        print(f'{job.analysis} of {job.store} would be kept: the same model made it')
    for job in wanted:
        print(f'{job.analysis} of {job.store}:')
        print(*(f'  {line}' for line in job.fit.described()), sep='\n')


def _facts(jobs: Sequence[ModelJob]) -> list[dict[str, str]]:
    return [
        {'analysis': job.analysis, 'formula': job.formula, 'store': str(job.store)} for job in jobs
    ]


def _fit(options: argparse.Namespace, jobs: Sequence[ModelJob]) -> Path:
    """Run a workflow for each model, one after another; return the log.

    Two models of one file at once would refuse each other: each writes a copy of it.
    """
    with session(options) as folders:
        if options.formula is None and options.model is None and jobs:
            suggested = dict.fromkeys(job.formula.partition('~')[2].strip() for job in jobs)
            logger.info(
                'No --formula, so the suggested one is fitted: ~ %s', ' or ~ '.join(suggested)
            )
        for number, (_, several) in enumerate(groupby(jobs, attrgetter('settings'))):
            folders.run(_workflow(folders, list(several), f'model{number or ""}_wf'))
        if options.report:
            only_report(options)
    return folders.log


def _workflow(folders: Session, jobs: Sequence[ModelJob], name: str) -> Workflow:

    job, options = jobs[0], folders.options
    asked = asdict(job.options) | {'allow_repeated': job.allow_repeated}
    if job.weights is not None:
        asked['weights'] = job.weights
    return init_model_wf(
        [job.store for job in jobs],
        [job.cohort for job in jobs],
        [job.formula for job in jobs],
        job.analysis,
        options={key: value for key, value in asked.items() if value is not None and value != ''},
        overwrite=options.overwrite,
        n_blocks=options.blocks or (0 if folders.plugin.is_local else 1),
        nprocs=options.nprocs,
        mem_mb=options.mem_mb,
        name=name,
    )
