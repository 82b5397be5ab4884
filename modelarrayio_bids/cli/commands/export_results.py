"""``modelarrayio export-results``: the results in an HDF5 file → images."""

from __future__ import annotations

import argparse
import logging
import math
from pathlib import Path

from modelarrayio_bids.cli.options import Section, command, references, resources

logger = logging.getLogger(__name__)

_EXAMPLES = """examples:
  modelarrayio export-results --input-hdf5 FA.h5 --analysis-name lm --output-dir maps
  modelarrayio export-results --input-hdf5 FA.h5 --analysis-name lm --output-dir maps_nan \\
      --outside nan --log-p
"""


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add the command to a parser."""
    parser = command(
        *(commands, export_results),
        help='write the results in an HDF5 file as images',
        description='Write every result of an analysis in an HDF5 file as a float32 image. Files '
        'made by another program need --mask, --index-file or --example-file.',
        epilog=_EXAMPLES,
    )
    _add_analysis(parser)
    parser.add_references()
    _add_template(parser)
    add_images(parser)
    parser.add_resources()
    parser.add_log_level()


def export_results(options: argparse.Namespace) -> int:
    """Run the command."""
    from modelarrayio_bids.results.export import ExportOptions, export_results
    from modelarrayio_bids.store.tiledb_store import as_hdf5

    with as_hdf5(options.input_hdf5, options.output_dir, options.nprocs) as store:
        export_results(
            store,
            options.analysis_name,
            options.output_dir,
            references(options, example=_example(options, store)),
            ExportOptions(
                options.compress,
                options.log_p,
                options.outside,
                options.nprocs,
                memory=resources(options).memory,
            ),
            # These are not opened if a mask or the file itself is sufficient.
            named=[options.example_file, options.cohort_file],
            shown=options.input_hdf5,
        )
    return 0


def _example(options: argparse.Namespace, store: Path) -> Path | None:
    """Return the template image, where one is needed: given, or the cohort's first."""
    from modelarrayio_bids.cohort import Cohort
    from modelarrayio_bids.store.reader import StoreReader

    if options.mask is not None:
        return None
    with StoreReader(store) as reader:
        knows_its_elements = reader.template is not None
    if options.cohort_file is not None:
        cohort = None if knows_its_elements else Cohort.from_csv(options.cohort_file)
        return None if cohort is None else cohort.sources()[0].path
    if knows_its_elements and options.example_file and not options.example_file.exists():
        logger.warning('%s: no such file, but it is not needed', options.example_file)
        return None
    return options.example_file


def add_images(parser: Section) -> None:
    """Add options of what images hold and how they are written."""
    group = parser.section('exported images')
    group.add(
        '--no-compress',
        dest='compress',
        action='store_false',
        help='write .nii and .mif files instead of .nii.gz and .mif.gz',
    )
    group.add_flag('--log-p', help='also write -log10 p of each p value')
    group.add(
        '--outside',
        type=_fill,
        default=0.0,
        metavar='{0,nan}',
        help='value of voxels outside the group mask (default: 0)',
    )


def _fill(text: str) -> float:
    if text.lower() not in {'0', 'zero', 'nan'}:
        raise argparse.ArgumentTypeError(f'{text!r} is neither 0 nor nan')
    return math.nan if text.lower() == 'nan' else 0.0


def _add_analysis(parser: Section) -> None:
    parser.add('--analysis-name', required=True, metavar='NAME', help='name of the analysis')
    parser.add_path('--input-hdf5', required=True, metavar='H5', help='file with the results')
    parser.add_path(
        '--output-dir',
        required=True,
        metavar='DIR',
        help='folder for the images, created if needed',
    )


def _add_template(parser: Section) -> None:
    """Add options of the template; an HDF5 file of this program needs none."""
    group = parser.section('template').exclusive()
    group.add_input('--cohort-file', metavar='CSV', help='use the first image of this cohort')
    group.add_input(
        '--example-file', metavar='IMAGE', common=True, help='use this image as template'
    )
