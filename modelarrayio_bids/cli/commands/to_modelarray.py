"""``modelarrayio to-modelarray``: the images of a cohort → one HDF5 file."""

from __future__ import annotations

import argparse
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelarrayio_bids.cli.options import MEGABYTE, Section, command, references, resources

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
    parser = command(
        *(commands, to_modelarray),
        help='write the images of a cohort to one HDF5 file',
        description='Write the images of a cohort CSV to one HDF5 file for ModelArray. The image '
        'type (voxels, fixels, greyordinates, vertices, parcels or edges) is inferred from the '
        'file extension.',
        epilog=_EXAMPLES,
    )
    _add_cohort(parser)
    parser.add_references()
    parser.add_map()
    _add_output(parser)
    _add_layout(parser)
    parser.add_resources()
    parser.add_remote()
    _add_unused(parser)
    parser.add_log_level()


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
    if options.backend == 'hdf5':
        return nullcontext(output)
    from modelarrayio_bids.store import tiledb_store

    tiling = tiledb_store.Tiling(*_storage(options, tiledb_store.TILE_BYTES))
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
    return Layout(options.dtype, *_storage(options, DEFAULT_CHUNK_BYTES))


def _storage(options: argparse.Namespace, chunk_bytes: int) -> tuple[Any, ...]:
    """Return compression, its level, order of bytes, columns of a chunk and its bytes.

    Numbers that are out of range are taken as the predecessor does.
    """
    level, chunk_mb = options.compression_level, options.target_chunk_mb
    return (
        options.compression,
        None if level is None else min(max(level, 0), 9),
        options.shuffle,
        max(options.chunk_voxels, 0),
        chunk_bytes if chunk_mb is None else chunk_mb * MEGABYTE,
    )


def _add_cohort(parser: Section) -> None:
    parser.add_input(
        '--cohort-file',
        required=True,
        metavar='CSV',
        help='table with one row per image: scalar_name, source_file, source_mask_file, '
        'phenotypes. Relative paths start from the working folder, otherwise from the folder '
        'of the CSV',
    )
    parser.add_scalar_columns()


def _add_output(parser: Section) -> None:
    group = parser.section('output')
    group.add_path(
        '--output',
        metavar='H5',
        common=True,
        help='file to write (default: modelarray.h5; with --backend tiledb, modelarray.tdb)',
    )
    split = group.exclusive()
    split.add(
        '--split-files',
        dest='split',
        action='store_true',
        default=None,
        common=True,
        help='one file per scalar. Names start with SCALAR_ (default for wide cohorts)',
    )
    split.add(
        '--no-split-files',
        dest='split',
        action='store_false',
        default=None,
        help='write all scalars to one file (default for long cohorts)',
    )
    group.add_flag('--overwrite', common=True, help='replace the file even if it holds results')


def _add_layout(parser: Section) -> None:
    group = parser.section('storage')
    group.add(
        '--backend',
        choices=('hdf5', 'tiledb'),
        default='hdf5',
        help='format of the output; tiledb, a folder that R cannot read, needs the extra [tiledb] '
        '(default: %(default)s)',
    )
    group.add(
        '--dtype',
        choices=('float32', 'float64'),
        default='float32',
        help='data type of the values (default: %(default)s)',
    )
    group.add(
        '--compression',
        choices=('gzip', 'zstd', 'lzf', 'none'),
        default='gzip',
        help='compression of the values; zstd is for TileDB, lzf for HDF5 (default: %(default)s)',
    )
    group.add(
        '--compression-level',
        type=int,
        metavar='0-9',
        help='level of zlib (default: a compressor faster than zlib, with files about 1%% larger)',
    )
    group.add(
        '--no-shuffle',
        dest='shuffle',
        action='store_false',
        help='do not reorder the bytes of values before compression',
    )
    chunk = group.exclusive()
    chunk.add(
        '--chunk-voxels',
        type=int,
        default=0,
        metavar='N',
        help='elements in each chunk, which spans all images (default: by --target-chunk-mb)',
    )
    chunk.add(
        '--target-chunk-mb',
        type=float,
        metavar='MIB',
        help='size of each chunk in MiB (default: 0.0625, which R reads fastest)',
    )


def _add_unused(parser: Section) -> None:
    """Add an option of the predecessor that has no effect here."""
    group = parser.section('accepted for compatibility, without effect')
    group.add('--workers', type=int, default=1, metavar='N', help='workers that write TileDB')
