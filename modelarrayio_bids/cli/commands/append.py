"""``modelarrayio append``: more images into an HDF5 file."""

from __future__ import annotations

import argparse
import logging

from modelarrayio_bids.cli.options import Section, command, references, resources

logger = logging.getLogger(__name__)

_EXAMPLES = """examples:
  modelarrayio append --cohort-file new_people.csv --output FA.h5
  modelarrayio append --cohort-file new_people.csv --input-hdf5 FA.h5 --output FA_larger.h5
"""


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add the command to a parser."""
    parser = command(
        *(commands, append),
        help='add images to an HDF5 file',
        description='Add the images of a cohort CSV to an HDF5 file. The result is the same as if '
        'all images had been converted together; the old images are not read and need not exist '
        'any more.',
        epilog=_EXAMPLES,
    )
    _add_cohort(parser)
    parser.add_references()
    parser.add_input(
        '--example-file',
        metavar='IMAGE',
        help='image with the same elements; needed if another program made the file',
    )
    parser.add_map()
    _add_output(parser)
    parser.add_resources()
    parser.add_remote()
    parser.add_log_level()


def append(options: argparse.Namespace) -> int:
    """Run the command."""
    from modelarrayio_bids.cohort import Cohort
    from modelarrayio_bids.conversion.append import append_sources
    from modelarrayio_bids.derivatives.outputs.append_outputs import AppendOutputs
    from modelarrayio_bids.runtime.overwriting import refuse_inputs
    from modelarrayio_bids.spaces.input_files import files_read
    from modelarrayio_bids.store.opening import is_store
    from modelarrayio_bids.store.readability import require_readable

    cohort = Cohort.from_csv(options.cohort_file, options.scalar_columns)
    named = references(options, example=options.example_file, map=options.map)
    require_readable(options.input_hdf5 or options.output)
    if is_store(options.output):
        require_readable(options.output)
    read = [options.cohort_file, options.input_hdf5, *files_read(cohort.sources(), named)]
    refuse_inputs([options.output], read)
    beside = AppendOutputs.of(options.output, cohort, options.input_hdf5)
    if beside is not None:
        # Before the file is written: the two have to agree.
        refuse_inputs(beside.files(), read)
        beside.check()
    if beside is not None and options.input_hdf5 is None and beside.is_half_done():
        logger.warning(
            '%s contains these images already: only the files next to it are updated',
            options.output,
        )
    else:
        append_sources(
            cohort if beside is None else beside.added,
            options.output,
            options.input_hdf5,
            named,
            resources(options),
            keep_results=options.keep_results,
            overwrite=options.overwrite,
        )
    if beside is not None:
        beside.write(options.nprocs)
    return 0


def _add_cohort(parser: Section) -> None:
    parser.add_input(
        '--cohort-file',
        required=True,
        metavar='CSV',
        help='cohort of the new images only. The columns are those of to-modelarray',
    )
    parser.add_scalar_columns()


def _add_output(parser: Section) -> None:
    group = parser.section('output')
    group.add_path(
        '--output',
        required=True,
        metavar='H5',
        help='file to add to, or to write with --input-hdf5',
    )
    group.add_path(
        '--input-hdf5', metavar='H5', common=True, help='file to add to, which stays unchanged'
    )
    results = group.exclusive()
    results.add_flag(
        '--keep-results', common=True, help='keep results, marked as results of fewer images'
    )
    results.add_flag('--overwrite', common=True, help='replace the file even if it holds results')
