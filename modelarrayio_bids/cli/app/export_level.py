"""The export level: every analysis in the HDF5 files of an output folder → folders of maps."""

from __future__ import annotations

import argparse
import logging
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from modelarrayio_bids.cli.app.level_stores import wanted_stores
from modelarrayio_bids.cli.app.run_summary import close_export
from modelarrayio_bids.cli.app.session import page_of, session
from modelarrayio_bids.cli.options import plugin
from modelarrayio_bids.derivatives.bids.description import complete_description
from modelarrayio_bids.derivatives.bids.output_names import Outputs, require_stores
from modelarrayio_bids.derivatives.outputs.statmaps import StatMapNaming
from modelarrayio_bids.derivatives.rscripts.next_steps import fit_command
from modelarrayio_bids.errors import AnalysisNotFoundError, ResultNameCollisionError
from modelarrayio_bids.reports.findings.designs import is_outdated
from modelarrayio_bids.results.export import ExportOptions, planned_files
from modelarrayio_bids.results.model_facts import ModelFacts
from modelarrayio_bids.runtime.text_format import some
from modelarrayio_bids.store.opening import is_store
from modelarrayio_bids.store.reader import StoreReader, analyses_of
from modelarrayio_bids.workflows import init_export_wf

logger = logging.getLogger(__name__)

#: HDF5 file, analysis, and the folder for its maps.
Job = tuple[Path, str, Path]


def run(options: argparse.Namespace) -> None:
    """Run the level, or with ``--dry-run`` only say what it would write."""
    jobs = find_jobs(options)
    # All of them before any is written.
    plans = list(_planned(options, jobs))
    if options.dry_run:
        plugin(options)
        for (store, analysis, folder), files in zip(jobs, plans, strict=True):
            print(f'{analysis} of {store} would be written to {folder}:')
            print(*(f'  {file}' for file in files), sep='\n')
        return
    _say_outdated(jobs)
    log, page = _export(options, jobs)
    if stale := [str(folder) for folder in _stale_folders(options.output_dir)]:
        logger.warning(
            'maps of analyses that their HDF5 files no longer have, maybe of other participants: '
            '%s. Remove these folders, or fit the models again.',
            some(stale),
        )
    close_export(jobs, log, page, options)


def _say_outdated(jobs: Sequence[Job]) -> None:
    """Warn of models whose covariates have other values by now, which a run of ``group`` wrote."""
    for store, analysis, _ in jobs:
        with StoreReader(store) as reader:
            facts = ModelFacts.of(reader.described(analysis))
        if facts is not None and is_outdated(store, facts, Outputs.beside(store).cohort):
            logger.warning(
                '%s of %s was fitted to other phenotypes than its cohort has now: fit it again '
                'with model --overwrite',
                *(analysis, store),
            )


def _stale_folders(output_dir: Path) -> Iterator[Path]:
    """Yield the folders of maps whose analysis is no longer in the HDF5 file beside them."""
    for store in require_stores(output_dir):
        naming = StatMapNaming.of(store, output_dir.absolute())
        kept = {naming.folder(analysis).name for analysis in analyses_of(store)}
        start = naming.folder('x').name.removesuffix('x')
        for folder in sorted(store.parent.iterdir()):
            if folder.name.startswith(start) and folder.is_dir() and folder.name not in kept:
                yield folder


def find_jobs(options: argparse.Namespace) -> list[Job]:
    """Return every analysis in the HDF5 files of the output folder, or those wanted.

    Raises
    ------
    SourceNotFoundError
        If there is no HDF5 file.
    NoMatchError
        If no scalar is among those wanted.
    AnalysisNotFoundError
        If there is no analysis, or one that is wanted is in no file.
    ResultNameCollisionError
        If two analyses would be written to one folder.
    """
    output_dir, wanted = options.output_dir, options.analysis_name
    root = output_dir.absolute()
    jobs = [
        (store, name, StatMapNaming.of(store, root).folder(name))
        for store in wanted_stores(options)
        for name in _analyses(store, wanted)
    ]
    held = sorted({name for _, name, _ in jobs})
    if not held or set(wanted) - set(held):
        missing = ', '.join(sorted(set(wanted) - set(held))) or 'at all'
        remedy = f'Analyses it holds: {", ".join(held)}.' if held else _fit_first(output_dir)
        raise AnalysisNotFoundError(f'holds no analysis {missing}', output_dir, remedy)
    chosen = [job for job in jobs if not wanted or job[1] in wanted]
    _check_folders(chosen, jobs)
    return chosen


def _fit_first(output_dir: Path) -> str:
    scripts = sorted((output_dir / 'code').glob('fit_*.R'))
    in_r = f': {fit_command(output_dir, scripts)}' if scripts else '.'
    return f"Fit a model first: model --formula '~ ...'; or with ModelArray in R{in_r}"


def _analyses(store: Path, wanted: Sequence[str]) -> list[str]:
    """Return the analyses of a file; slices of a merged one only if they are wanted.

    Their corrected p values are of too few tests.
    """
    if not is_store(store):
        return []
    with StoreReader(store) as reader:
        return [name for name in reader.analyses if name in wanted or name not in reader.slices]


def _check_folders(chosen: Sequence[Job], jobs: Sequence[Job]) -> None:
    """Refuse equal folders, also of analyses that may have been exported before."""
    for store, analysis, folder in chosen:
        for other_store, other, other_folder in jobs:
            same = folder.parent == other_folder.parent and (
                folder.name.casefold() == other_folder.name.casefold()
            )
            if same and (store, analysis) != (other_store, other):
                raise ResultNameCollisionError(
                    f'analyses {analysis!r} and {other!r} would both be written to {folder.name}',
                    store,
                    'Give one of them another name in R, or export it with modelarrayio '
                    'export-results.',
                )


def _planned(options: argparse.Namespace, jobs: Sequence[Job]) -> Iterator[list[str]]:
    """Yield the files of each job."""
    for store, analysis, _ in jobs:
        naming = StatMapNaming.of(store, options.output_dir)
        how = ExportOptions(options.compress, options.log_p, naming=naming)
        yield planned_files(store, analysis, how)


def _export(options: argparse.Namespace, jobs: Sequence[Job]) -> tuple[Path, Path | None]:
    """Run the workflow, and return its log and its report."""
    with session(options) as folders:
        stores, analyses, maps = zip(*jobs, strict=True)
        workflow = init_export_wf(
            stores,
            analyses,
            maps,
            bids_root=folders.output,
            report_of=options.bids_dir if options.report else None,
            show_intercept=options.show_intercept,
            compress=options.compress,
            log_p=options.log_p,
            outside='nan' if math.isnan(options.outside) else 'zero',
            nprocs=options.nprocs,
            mem_mb=options.mem_mb,
        )
        outputs = folders.run(workflow)
        written = {folder.relative_to(folders.output).parts[0] for _, _, folder in jobs}
        complete_description(folders.output, options.bids_dir, written)
    return folders.log, page_of(outputs)
