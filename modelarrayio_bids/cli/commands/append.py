"""``modelarrayio append``: more images into an HDF5 file."""

from __future__ import annotations

import argparse
import logging

from modelarrayio_bids.cli.options import (
    add_flag,
    add_log_level,
    add_map,
    add_path,
    add_references,
    add_resources,
    add_scalar_columns,
    references,
    resources,
)

logger = logging.getLogger(__name__)


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add the command to a parser."""
    parser = commands.add_parser(
        'append',
        allow_abbrev=False,
        help='more images into an HDF5 file',
        description='Add the images a cohort CSV lists to an HDF5 file. The outcome is the file '
        'that both cohorts would have made at once; the images of the old rows are not read, and '
        'may be gone.',
    )
    parser.set_defaults(command=append)
    _add_cohort(parser)
    add_references(parser)
    add_path(
        parser,
        '--example-file',
        metavar='IMAGE',
        help='CIFTI image of the same elements, for a file that does not say which it holds',
    )
    add_map(parser)
    _add_output(parser)
    add_resources(parser)
    add_log_level(parser)


def append(options: argparse.Namespace) -> int:
    """Run the command."""
    from modelarrayio_bids.cohort import Cohort
    from modelarrayio_bids.conversion.append import append_sources
    from modelarrayio_bids.derivatives.outputs.append_outputs import AppendOutputs
    from modelarrayio_bids.runtime.inputs import refuse_inputs
    from modelarrayio_bids.spaces.inputs import files_read
    from modelarrayio_bids.store.readability import require_readable
    from modelarrayio_bids.store.reader import is_store

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
        logger.warning('%s has these images: only what is beside it follows', options.output)
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


def _add_cohort(parser: argparse.ArgumentParser) -> None:
    add_path(
        parser,
        '--cohort-file',
        required=True,
        metavar='CSV',
        help='one row per new image, and none for those the file holds; as for to-modelarray',
    )
    add_scalar_columns(parser)


def _add_output(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('output')
    add_path(group, '--output', required=True, metavar='H5', help='file to write, and to add to')
    add_path(
        group,
        '--input-hdf5',
        metavar='H5',
        help='file to add to, if it is another, which stays as it is',
    )
    results = group.add_mutually_exclusive_group()
    add_flag(
        results, '--keep-results', help='take over the results, marked as those of fewer images'
    )
    add_flag(results, '--overwrite', help='replace a file even if it holds results of ModelArray')
