"""``modelarrayio to-modelarray``: the images of a cohort → one HDF5 file."""

from __future__ import annotations

import argparse
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from modelarrayio_bids.cli.options import (
    MEGABYTE,
    add,
    add_flag,
    add_input,
    add_log_level,
    add_map,
    add_path,
    add_references,
    add_remote,
    add_resources,
    add_scalar_columns,
    references,
    resources,
)

if TYPE_CHECKING:
    from modelarrayio_bids.cohort import Cohort
    from modelarrayio_bids.store.chunk_layout import Layout

_NAMES = {'hdf5': 'modelarray.h5', 'tiledb': 'modelarray.tdb'}
_EXAMPLES = """examples:
  modelarrayio to-modelarray --cohort-file cohort_FA.csv --mask group_mask.nii.gz --output FA.h5
  modelarrayio to-modelarray --cohort-file wide.csv --scalar-columns FA MD \\
      --mask group_mask.nii.gz --output dti.h5
"""


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add the command to a parser."""
    parser = commands.add_parser(
        'to-modelarray',
        help='write the images of a cohort to one HDF5 file',
        description='Write the images of a cohort CSV to one HDF5 file for ModelArray. The image '
        'type (voxels, fixels, greyordinates, vertices, parcels or edges) is inferred from the '
        'file extension.',
        epilog=_EXAMPLES,
    )
    parser.set_defaults(command=to_modelarray)
    _add_cohort(parser)
    add_references(parser)
    add_map(parser)
    _add_output(parser)
    _add_layout(parser)
    add_resources(parser)
    add_remote(parser)
    _add_unused(parser)
    add_log_level(parser)


def to_modelarray(options: argparse.Namespace) -> int:
    """Run the command."""
    from modelarrayio_bids.cohort import Cohort
    from modelarrayio_bids.conversion import build
    from modelarrayio_bids.conversion.row_reader import check_sources
    from modelarrayio_bids.runtime.overwriting import refuse_inputs
    from modelarrayio_bids.spaces import space_of
    from modelarrayio_bids.spaces.input_files import files_read

    if options.output is None:
        options.output = Path(_NAMES[options.backend])
    layout, allowed = _layout(options), resources(options)
    cohort = Cohort.from_csv(options.cohort_file, options.scalar_columns)
    sources, named = cohort.sources(), references(options, map=options.map)
    outputs = _outputs(options, cohort)
    refuse_inputs(outputs, [options.cohort_file, *files_read(sources, named)])
    space = space_of(sources, named)
    if len(outputs) > 1:
        # Every problem before the first file, not one file's after another.
        check_sources(sources, space, options.nprocs)
    for output, part in outputs.items():
        with _file(options, output) as file:
            build.to_modelarray(
                part,
                space,
                file,
                layout,
                allowed,
                overwrite=options.overwrite,
                is_final=file == output,
            )
    return 0


def _file(options: argparse.Namespace, output: Path) -> AbstractContextManager[Path]:
    """Return the HDF5 file to write: the output, or what a TileDB store is made of."""
    from modelarrayio_bids.store import tiledb_store

    if options.backend == 'hdf5':
        return nullcontext(output)
    chunk_mb = options.target_chunk_mb
    tiling = tiledb_store.Tiling(
        options.compression,
        _level(options),
        options.shuffle,
        max(options.chunk_voxels, 0),
        tiledb_store.TILE_BYTES if chunk_mb is None else chunk_mb * MEGABYTE,
    )
    return tiledb_store.made_of_hdf5(output, tiling, options.nprocs, overwrite=options.overwrite)


def _outputs(options: argparse.Namespace, cohort: Cohort) -> dict[Path, Cohort]:
    """Return one file for all scalars, or one for each, named ``<scalar>_<output>``."""
    split = bool(options.scalar_columns) if options.split is None else options.split
    if not split:
        return {options.output: cohort}
    name = options.output.name
    return {
        options.output.with_name(f'{scalar}_{name}'): cohort.only(scalar)
        for scalar in cohort.scalars
    }


def _layout(options: argparse.Namespace) -> Layout:
    from modelarrayio_bids.store.chunk_layout import DEFAULT_CHUNK_BYTES, Layout

    if options.backend == 'tiledb':
        return Layout(options.dtype)
    chunk_mb = options.target_chunk_mb
    return Layout(
        options.dtype,
        options.compression,
        _level(options),
        options.shuffle,
        max(options.chunk_voxels, 0),
        DEFAULT_CHUNK_BYTES if chunk_mb is None else chunk_mb * MEGABYTE,
    )


def _level(options: argparse.Namespace) -> int | None:
    """Return the level of compression; out of range, it is taken as the predecessor does."""
    level = options.compression_level
    return None if level is None else min(max(level, 0), 9)


def _add_cohort(parser: argparse.ArgumentParser) -> None:
    add_input(
        parser,
        '--cohort-file',
        required=True,
        metavar='CSV',
        help='table with one row per image: scalar_name, source_file, source_mask_file, '
        'phenotypes. Relative paths start from the working folder, otherwise from the folder '
        'of the CSV',
    )
    add_scalar_columns(parser)


def _add_output(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('output')
    add_path(
        group,
        '--output',
        metavar='H5',
        common=True,
        help='file to write (default: modelarray.h5; with --backend tiledb, modelarray.tdb)',
    )
    split = group.add_mutually_exclusive_group()
    add(
        split,
        '--split-files',
        dest='split',
        action='store_true',
        default=None,
        common=True,
        help='one file per scalar. Names start with SCALAR_ (default for wide cohorts)',
    )
    add(
        split,
        '--no-split-files',
        dest='split',
        action='store_false',
        default=None,
        help='write all scalars to one file (default for long cohorts)',
    )
    add_flag(group, '--overwrite', common=True, help='replace the file even if it holds results')


def _add_layout(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('storage')
    group.add_argument(
        '--backend',
        choices=('hdf5', 'tiledb'),
        default='hdf5',
        help='format of the output; tiledb, a folder that R cannot read, needs the extra [tiledb] '
        '(default: %(default)s)',
    )
    group.add_argument(
        '--dtype',
        choices=('float32', 'float64'),
        default='float32',
        help='data type of the values (default: %(default)s)',
    )
    group.add_argument(
        '--compression',
        choices=('gzip', 'zstd', 'lzf', 'none'),
        default='gzip',
        help='compression of the values; zstd is for TileDB, lzf for HDF5 (default: %(default)s)',
    )
    add(
        group,
        '--compression-level',
        type=int,
        metavar='0-9',
        help='level of zlib (default: a compressor faster than zlib, with files about 1%% larger)',
    )
    add(
        group,
        '--no-shuffle',
        dest='shuffle',
        action='store_false',
        help='do not reorder the bytes of values before compression',
    )
    chunk = group.add_mutually_exclusive_group()
    add(
        chunk,
        '--chunk-voxels',
        type=int,
        default=0,
        metavar='N',
        help='elements in each chunk, which spans all images (default: by --target-chunk-mb)',
    )
    add(
        chunk,
        '--target-chunk-mb',
        type=float,
        metavar='MIB',
        help='size of each chunk in MiB (default: 0.0625, which R reads fastest)',
    )


def _add_unused(parser: argparse.ArgumentParser) -> None:
    """Add an option of the predecessor that has no effect here."""
    group = parser.add_argument_group('accepted for compatibility, without effect')
    group.add_argument(
        '--workers', type=int, default=1, metavar='N', help='workers that write TileDB'
    )
