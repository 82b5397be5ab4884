"""``modelarrayio convert``: an HDF5 file → a TileDB store, or back."""

from __future__ import annotations

import argparse
from pathlib import Path

from modelarrayio_bids.cli.options import add_flag, add_log_level, add_nprocs


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add the command to a parser."""
    parser = commands.add_parser(
        'convert',
        allow_abbrev=False,
        help='an HDF5 file to a TileDB store, or back',
        description='Write all that an HDF5 file holds to a TileDB store, or all that a store '
        'holds to an HDF5 file that ModelArray opens. The source tells which.',
    )
    parser.set_defaults(command=convert)
    parser.add_argument('source', type=Path, metavar='SOURCE', help='an HDF5 file, or a store')
    parser.add_argument('output', type=Path, metavar='OUTPUT', help='the other, to be made')
    add_flag(parser, '--overwrite', help='replace what is there, even if it holds results')
    add_nprocs(parser)
    add_log_level(parser)


def convert(options: argparse.Namespace) -> int:
    """Run the command."""
    from modelarrayio_bids.runtime.inputs import refuse_inputs
    from modelarrayio_bids.store.tiledb_store import from_tiledb, to_tiledb

    refuse_inputs([options.output], [options.source])
    write = from_tiledb if options.source.is_dir() else to_tiledb
    write(options.source, options.output, threads=options.nprocs, overwrite=options.overwrite)
    return 0
