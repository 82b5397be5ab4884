"""``modelarrayio merge-results``: analyses of slices of the elements → one of all."""

from __future__ import annotations

import argparse

from modelarrayio_bids.cli.options import Section, command, resources

_EXAMPLES = """examples:
  modelarrayio merge-results --input-hdf5 FA.h5 --analysis-name 'part*' --merged-name lm
  modelarrayio merge-results --input-hdf5 job1.h5 job2.h5 --analysis-name part1 part2 \\
      --merged-name lm --output-hdf5 FA.h5
"""


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add the command to a parser."""
    parser = command(
        *(commands, merge_results),
        help='join analyses that cover parts of the elements',
        description='Join analyses that were each run on some of the elements. Adjusted p values, '
        'such as .fdr, are computed again over all elements, as p.adjust in R does.',
        epilog=_EXAMPLES,
    )
    _add_slices(parser)
    _add_output(parser)
    parser.add_resources()
    parser.add_log_level()


def merge_results(options: argparse.Namespace) -> int:
    """Run the command."""
    from modelarrayio_bids.results.merge import merge_results
    from modelarrayio_bids.store.readability import require_readable

    require_readable(*options.input_hdf5)
    merge_results(
        options.input_hdf5,
        options.analysis_name,
        options.merged_name,
        options.output_hdf5,
        allow_gaps=options.allow_gaps,
        overwrite=options.overwrite,
        resources=resources(options),
    )
    return 0


def _add_slices(parser: Section) -> None:
    parser.add(
        '--analysis-name',
        nargs='+',
        required=True,
        metavar='NAME',
        help='names of the analyses to join. Or patterns in quotes: "mylm_part*"',
    )
    parser.add_path(
        '--input-hdf5',
        nargs='+',
        required=True,
        metavar='H5',
        help='files with these analyses. One file, or one for each job',
    )
    parser.add_flag('--allow-gaps', help='accept that some elements are in none of the analyses')


def _add_output(parser: Section) -> None:
    group = parser.section('output')
    group.add('--merged-name', required=True, metavar='NAME', help='name of the joined analysis')
    group.add_path(
        '--output-hdf5',
        metavar='H5',
        common=True,
        help='file to write it into. Its content is kept; it is created if it does not exist '
        '(default: the input file)',
    )
    group.add_flag('--overwrite', common=True, help='replace an analysis of the same name')
