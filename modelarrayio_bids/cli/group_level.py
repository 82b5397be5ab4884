"""The group level: BIDS derivatives → one HDF5 file per scalar and space."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelarrayio_bids.cli.options import add, plugin
from modelarrayio_bids.cli.session import check_folders, session

if TYPE_CHECKING:
    from modelarrayio_bids.derivatives.collect import Collection, Request
    from modelarrayio_bids.derivatives.sorting import LeftOut

_R_STEPS = """
Next, in R:
  library(ModelArray)
  modelarray <- ModelArray("{store}", scalar_types = "{scalar}")
  phenotypes <- read.csv("{cohort}")
  result <- ModelArray.lm({scalar} ~ {term}, modelarray, phenotypes, "{scalar}")
  writeResults("{store}", df.output = result, analysis_name = "mylm")
and then, for maps of the results:
  modelarrayio-bids {bids_dir} {output_dir} export"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this level."""
    _add_selection(parser)
    _add_masks(parser)


def run_group(options: argparse.Namespace) -> int:
    """Run the level, or only show what it would take."""
    request, threshold = _request(options), _threshold(options)
    check_folders(options.bids_dir, options.output_dir, options.work_dir)
    request.look_into()
    if options.list_scalars or options.dry_run:
        return _show(request, check=options.dry_run)
    made = _build(options, request, threshold)
    _say(made, options)
    return 0


def _build(options: argparse.Namespace, request: Request, threshold: float) -> Any:
    """Run the workflow; the outputs of its first node say what it made."""
    from modelarrayio_bids.workflows import init_modelarray_wf
    from modelarrayio_bids.workflows.execution import run_workflow

    where = plugin(options)
    with session(options.bids_dir, options.output_dir, options.work_dir) as folders:
        in_blocks = options.blocks or not where.is_local
        blocks_dir = folders.work / 'row_blocks' if in_blocks else None
        workflow = init_modelarray_wf(
            options.bids_dir.absolute(),
            folders.output,
            datasets={name: str(root) for name, root in request.datasets.items()},
            participant_label=list(request.participants),
            session_label=list(request.sessions),
            scalars=list(request.scalars),
            bids_filters=_raw_filters(options.bids_filter_file),
            mask=request.mask,
            database_dir=request.database_dir,
            recipes=[str(path) for path in request.recipes],
            threshold=threshold,
            overwrite=options.overwrite,
            nprocs=options.nprocs,
            mem_mb=options.mem_mb,
            blocks_dir=blocks_dir,
            n_blocks=options.blocks or 0,
        )
        where.ask_for(workflow, options.nprocs, options.mem_mb)
        outputs = run_workflow(workflow, folders.work, folders.logs, where)
        if blocks_dir is not None:
            # As large as the data, and of no use once they are assembled.
            shutil.rmtree(blocks_dir)
    return outputs['collect_cohort']


def _request(options: argparse.Namespace) -> Request:
    from modelarrayio_bids.derivatives.collect import Request
    from modelarrayio_bids.derivatives.dataset import parse_datasets
    from modelarrayio_bids.derivatives.filters import BidsFilters

    filters = options.bids_filter_file
    return Request(
        options.bids_dir.absolute(),
        options.output_dir.absolute(),
        {name: root.absolute() for name, root in parse_datasets(options.datasets).items()},
        tuple(options.participant_label),
        tuple(options.session_label),
        tuple(options.scalars),
        BidsFilters() if filters is None else BidsFilters.from_file(filters),
        None if options.mask is None else options.mask.absolute(),
        None if options.bids_database_dir is None else options.bids_database_dir.absolute(),
        tuple(path.absolute() for path in options.recipe),
    )


def _raw_filters(path: Path | None) -> dict[str, Any]:
    """The filters once more, as the plain values that Nipype hashes; they were checked before."""
    import json

    return {} if path is None else json.loads(path.read_text('utf-8-sig'))


def _threshold(options: argparse.Namespace) -> float:
    from modelarrayio_bids.masks import DEFAULT_THRESHOLD, masks_needed

    if options.group_mask_threshold is None:
        return DEFAULT_THRESHOLD
    masks_needed(options.group_mask_threshold, 1)
    return options.group_mask_threshold


def _show(request: Request, *, check: bool) -> int:
    from modelarrayio_bids.derivatives.collect import collect

    collection = collect(request)
    _print_table(collection)
    if check:
        collection.check()
        print(f'\nAll headers agree. {len(collection.groups)} HDF5 files would be written to '
              f'{request.output_dir}.')  # fmt: skip
    return 0


def _print_table(collection: Collection) -> None:
    """The scalars found, as aligned columns, and what was left out and why."""
    lines = [('SCALAR', 'KIND', 'SPACE', 'SUBJECTS', 'IMAGES', 'MASKS', 'DATASET')]
    for row in collection.table():
        counts = (str(row.n_subjects), str(row.n_images))
        lines.append((row.scalar, row.kind, row.label, *counts, _masks(row.rungs), row.dataset))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print(
            '  '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        )
    if collection.left_out:
        print('\nLeft out:')
    for reason, out in collection.left_out.items():
        print(f'  {out.count} {reason}{_examples(out)}')


def _examples(out: LeftOut) -> str:
    """All of them if they are few, else one."""
    if out.count > len(out.examples):
        return f', such as {out.examples[0].name}'
    return ': ' + ', '.join(path.name for path in out.examples)


def _masks(rungs: Mapping[str, int]) -> str:
    from modelarrayio_bids.derivatives.pairing import NOT_NEEDED

    if set(rungs) == {NOT_NEEDED}:
        return 'not needed'
    return ', '.join(f'{rung} ({count})' for rung, count in rungs.items())


def _say(made: Any, options: argparse.Namespace) -> None:
    """What was made, and what to do next."""
    print(f'\nMade {len(made.scalars)} HDF5 files in {options.output_dir}:')
    for scalar, store in zip(made.scalars, made.store_files, strict=True):
        print(f'  {scalar}  {store}')
    print('Beside each: its cohort CSV and, of voxels, the group mask and coverage map.')
    cohort = made.cohort_files[0]
    steps = {
        'scalar': made.scalars[0],
        'store': made.store_files[0],
        'cohort': cohort,
        'term': _term(Path(cohort)),
        'bids_dir': options.bids_dir,
        'output_dir': options.output_dir,
    }
    print(_R_STEPS.format_map(steps))


def _term(cohort: Path) -> str:
    """A phenotype to show a model with: age if there is one, else the first."""
    from modelarrayio_bids.cohort import Cohort
    from modelarrayio_bids.derivatives.participants import PARTICIPANT, RUN, SESSION

    found = Cohort.from_csv(cohort).phenotypes
    own = [name for name in found if name not in {PARTICIPANT, SESSION, RUN}]
    return 'age' if 'age' in own else next(iter(own), '1')


def _add_selection(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('group: what to take')
    group.add_argument(
        '-d',
        '--datasets',
        '--derivatives',
        nargs='+',
        action='extend',
        default=[],
        metavar='NAME=PATH',
        help='derivatives, or folders of fixel directories, to look into; repeatable (default: '
        'bids_dir if it is a derivative, or else its derivatives/*)',
    )
    several: dict[str, Any] = {'nargs': '+', 'action': 'extend', 'default': [], 'metavar': 'LABEL'}
    add(group, '--participant-label', help='only these, with or without sub-', **several)
    add(group, '--session-label', help='only these, with or without ses-', **several)
    several['metavar'] = 'NAME'
    group.add_argument('--scalars', help='only these: names or shell patterns', **several)
    add(
        group,
        '--bids-filter-file',
        type=Path,
        metavar='JSON',
        help='conditions on images by entity: {"scalar": {"acq": "x"}, "mask": {...}}; null for '
        '"must be absent", "*" for "must be there"',
    )
    group.add_argument(
        '--recipe',
        type=Path,
        action='append',
        default=[],
        metavar='YAML',
        help='what a pipeline of your own writes (docs/recipes.md); repeatable, and first to be '
        'asked',
    )
    add(
        group,
        '--bids-database-dir',
        type=Path,
        metavar='DIR',
        help='keep the index of each dataset here, and use it in later runs for as long as the '
        'dataset holds the same files',
    )
    add(
        group,
        '--list-scalars',
        action='store_true',
        help='show the scalars found, their spaces, subjects and masks, and build nothing',
    )


def _add_masks(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('group: masks and outputs')
    group.add_argument(
        '--mask',
        type=Path,
        metavar='NIFTI',
        help='mask that serves every volume, before any that is found',
    )
    add(
        group,
        '--group-mask-threshold',
        type=float,
        metavar='FRACTION',
        help='fraction of subjects a voxel needs (default: 0.2, as num.subj.lthr.rel in '
        'ModelArray, so that the file holds what it would analyse)',
    )
    group.add_argument(
        '--overwrite', action='store_true', help='replace HDF5 files that hold results'
    )
