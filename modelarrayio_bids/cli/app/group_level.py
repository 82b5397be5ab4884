"""The group level: BIDS derivatives → one HDF5 file per scalar and space."""

from __future__ import annotations

import argparse
import json
import logging
import shutil
from collections.abc import Mapping
from typing import Any

from modelarrayio_bids.cli.app import masking, selection
from modelarrayio_bids.cli.app.run_summary import GroupOutputs, close_group
from modelarrayio_bids.cli.app.session import check_folders, page_of, session
from modelarrayio_bids.cli.options import plugin
from modelarrayio_bids.cli.terminal_text import terminal_text
from modelarrayio_bids.cohort import Cohort
from modelarrayio_bids.derivatives.cohorts.collect import collect
from modelarrayio_bids.derivatives.cohorts.collection import Collection
from modelarrayio_bids.derivatives.cohorts.columns import said_of_repeats
from modelarrayio_bids.derivatives.cohorts.input_warnings import input_warnings
from modelarrayio_bids.derivatives.cohorts.mask_matching import NOT_NEEDED
from modelarrayio_bids.derivatives.cohorts.request import Request
from modelarrayio_bids.errors import by_command, raise_problems
from modelarrayio_bids.models.formula.terms import BARS, Terms
from modelarrayio_bids.runtime.text_format import count

logger = logging.getLogger(__name__)


def run(options: argparse.Namespace) -> None:
    """Run the level, or only show what it would take."""
    inputs = selection.inputs(options)
    threshold, request = masking.threshold(options), Request.of(**inputs)
    terms = Terms.of(options.formula or '~ 1')
    check_folders(options.bids_dir, options.output_dir, options.work_dir)
    datasets = request.look_into()
    if not options.skip_bids_validation:
        for line in input_warnings(request, datasets):
            logger.warning(line)
    if options.dry_run:
        plugin(options)
    if options.list_scalars or options.dry_run:
        _show(request, terms, check=options.dry_run, as_json=options.json)
    else:
        close_group(_build(options, inputs, threshold, terms), options)


def _build(
    options: argparse.Namespace, inputs: dict[str, Any], threshold: float, terms: Terms
) -> GroupOutputs:
    """Run the workflow."""
    from modelarrayio_bids.workflows import init_modelarray_wf

    # A formula with (1 | participant_id) is what would be advised.
    has_groups = any(special.function in BARS for special in terms.special)
    with session(options) as folders:
        in_blocks = options.blocks or not folders.plugin.is_local
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
        workflow.inputs.collect_cohort.warn_of_repeats = not has_groups
        if 'model' in options.analysis_level:
            workflow.inputs.collect_cohort.needed_columns = list(terms.names)
            # What is to be replaced is an analysis: the others of the file are not its price.
            workflow.get_node('to_modelarray').inputs.reuse_existing = True
        outputs = folders.run(workflow)
        if blocks_dir is not None:
            # As large as the data, and of no use once they are assembled.
            shutil.rmtree(blocks_dir)
    collected, written = outputs['collect_cohort'], outputs['write_fit_scripts']
    cohorts = () if has_groups else map(Cohort.from_csv, collected.final_cohort_files)
    is_last = options.analysis_level == ['group']
    if is_last and not options.report and (folders.output / 'report.html').exists():
        logger.warning('report.html is from an earlier run: update it with --reports-only')
    return GroupOutputs(
        tuple(collected.scalars),
        tuple(collected.store_files),
        tuple(written.out_files),
        dict(collected.left_out),
        folders.log,
        page_of(outputs),
        tuple(filter(None, map(said_of_repeats, cohorts))),
    )


def _show(request: Request, terms: Terms, *, check: bool, as_json: bool) -> None:
    """Print what a request finds; with ``check``, whether headers agree and terms have columns.

    Raises
    ------
    ModelArrayIOError
        After that, if it cannot be built so.
    """
    collection = collect(request, to_look_at=True)
    if as_json:
        print(json.dumps(collection.document(), indent=2, ensure_ascii=False))
    else:
        _print_table(collection)
    raise_problems(collection.problems)
    if check:
        collection.reconciled()
        collection.require_columns(terms.names)
        files = count(len(collection.groups), 'HDF5 file')
        print(f'\nAll headers agree. {files} would be written to {request.output_dir}.')


def _print_table(collection: Collection) -> None:
    """Print the scalars found as aligned columns, and what was left out and why."""
    rows = [('SCALAR', 'KIND', 'SPACE', 'SUBJECTS', 'IMAGES', 'MASKS', 'DATASET')]
    for row in collection.table().astype(object).to_dict('records'):
        texts = (str(row[name]) for name in ('scalar', 'kind', 'label', 'n_subjects', 'n_images'))
        rows.append((*texts, _masks(row['mask_sources']), row['dataset']))
    not_fetched = by_command(collection.not_fetched, most=0)
    shown = {'table': rows, 'left_out': collection.left_out, 'not_fetched': not_fetched}
    print(terminal_text('scalars', **shown))


def _masks(mask_sources: Mapping[str, int]) -> str:
    if set(mask_sources) == {NOT_NEEDED}:
        return 'not needed'
    return ', '.join(f'{source} ({count})' for source, count in mask_sources.items())
