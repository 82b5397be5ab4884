"""``modelarrayio make-cohort``: a cohort CSV from derivatives, patterns of paths or a stack."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from modelarrayio_bids.cli.app import masking, selection
from modelarrayio_bids.cli.options import command, named, place
from modelarrayio_bids.errors import NoMatchError, OutputError, UsageError
from modelarrayio_bids.runtime.locations import location
from modelarrayio_bids.runtime.text_format import some

if TYPE_CHECKING:
    from modelarrayio_bids.cohort import Cohort

# Inputs of a search that mean something where nothing is searched; no grid is looked at, either.
_OF_STACKS = {
    *('bids_dir', 'in_mask', 'phenotypes', 'on_grid_mismatch'),
    *('participant_label', 'exclude_participant_label'),
}
_EXAMPLES = """examples:
  modelarrayio make-cohort derivatives/qsirecon --scalars dki_fa --output cohort_FA.csv
  modelarrayio make-cohort vbm --images 'gmv=mri/mwp1{participant}_T1w.nii' \\
      --phenotypes people.csv --mask brain.nii.gz --output cohort_gmv.csv
"""


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add the command to a parser."""
    parser = command(
        *(commands, make_cohort),
        help='write a cohort CSV from BIDS derivatives, path patterns or a 4-D stack',
        description='Find images, their masks and phenotypes, and write the cohort CSV that '
        'to-modelarray, append and fit read.',
        epilog=_EXAMPLES,
    )
    parser.set_defaults(list_scalars=False, dry_run=False, json=False)
    parser.add(
        'bids_dir',
        type=place,
        metavar='FOLDER',
        help='BIDS dataset, derivatives, or any other folder',
    )
    parser.add_path('--output', required=True, metavar='CSV', help='cohort to write')
    parser.add_flag('--overwrite', common=True, help='replace the cohort if it exists')
    stack = parser.section('a 4-D stack')
    stack.add(
        '--stack',
        type=named,
        metavar='NAME=FILE',
        common=True,
        help='file whose volumes are the images; nothing is searched',
    )
    stack.add_path(
        '--participants',
        metavar='LIST',
        common=True,
        help='participant of each volume: one label per line, in the order of the volumes',
    )
    selection.add_options(parser, listing=False)
    masking.add_options(parser)
    parser.add_remote()
    parser.add_log_level()


def make_cohort(options: argparse.Namespace) -> int:
    """Run the command."""
    if options.output.exists() and not options.overwrite:
        raise OutputError('exists already', options.output, 'Replace it with --overwrite.')
    cohort = _of_images(options) if options.stack is None else _of_stack(options)
    cohort.to_csv(options.output)
    print(f'{options.output}: {len(cohort.rows)} images of {", ".join(cohort.scalars)}')
    own = any(one.mask for one in cohort.sources())
    mask = f'--mask {options.mask or "GROUP_MASK.nii.gz"} ' if own else ''
    files = f'--cohort-file {options.output} {mask}--output {cohort.scalars[0]}.h5'
    print(f'Next: modelarrayio to-modelarray {files}')
    return 0


def _of_images(options: argparse.Namespace) -> Cohort:
    from modelarrayio_bids.derivatives.cohorts.collect import collect
    from modelarrayio_bids.derivatives.cohorts.request import Request
    from modelarrayio_bids.derivatives.cohorts.single_table import cohort_of_images

    # The one output; its folder may hold what it will.
    options.output_dir = options.output
    collection = collect(Request.of(**selection.inputs(options)))
    _refuse_inputs(options, collection.files_read())
    return cohort_of_images(collection)


def _of_stack(options: argparse.Namespace) -> Cohort:
    from modelarrayio_bids.cohort import Cohort
    from modelarrayio_bids.derivatives.bids.entities import bare_label
    from modelarrayio_bids.derivatives.cohorts.columns import PARTICIPANT
    from modelarrayio_bids.derivatives.cohorts.participant_tables import read_labels
    from modelarrayio_bids.derivatives.cohorts.phenotypes import Phenotypes
    from modelarrayio_bids.derivatives.cohorts.single_table import cohort_of_stack
    from modelarrayio_bids.masks import say_unless_binary

    if options.participants is None:
        raise UsageError(
            'a stack does not name the participants of its volumes',
            remedy='List them with --participants.',
        )
    asked = selection.inputs(options)
    for name, value in asked.items():
        if value and name not in _OF_STACKS:
            raise UsageError(
                f'{selection.spelling(name)} has no effect with --stack: nothing is searched',
                remedy='Leave it out.',
            )
    name, _, file = options.stack.partition('=')
    stack, mask = location(file.strip()).absolute(), options.mask and options.mask.absolute()
    labels = [bare_label(text) for text in read_labels(options.participants, 'participant_id')]
    if mask is not None:
        say_unless_binary(mask)
    phenotypes = Phenotypes.find([options.bids_dir], options.phenotypes)
    _refuse_inputs(options, [stack, mask, options.participants, *options.phenotypes])
    cohort = cohort_of_stack(stack, name.strip(), labels, mask, phenotypes)
    wanted = _wanted(labels, asked['participant_label'], asked['exclude_participant_label'])
    return Cohort.from_rows([row for row in cohort.rows if bare_label(row[PARTICIPANT]) in wanted])


def _wanted(listed: Sequence[str], only: Sequence[str], excluded: Sequence[str]) -> set[str]:
    """Return the labels of the participants that are to be in the cohort."""
    from modelarrayio_bids.derivatives.bids.entities import bare_label

    there, chosen, out = set(listed), set(map(bare_label, only)), set(map(bare_label, excluded))
    # A list of participants to exclude often serves many datasets.
    if unknown := chosen - there or (out if out.isdisjoint(there) else set()):
        raise NoMatchError(
            f'no volume is of the participants {some(sorted(unknown))}',
            remedy=f'There are {some(sorted(there))}.',
        )
    return (chosen or there) - out


def _refuse_inputs(options: argparse.Namespace, read: Iterable[Path | None]) -> None:
    from modelarrayio_bids.runtime.overwriting import refuse_inputs

    refuse_inputs([options.output], read)
