"""``modelarrayio convert``: an HDF5 file → a TileDB store, or back."""

from __future__ import annotations

import argparse

from modelarrayio_bids.cli.options import command, disk_path

_EXAMPLES = """examples:
  modelarrayio convert FA.h5 FA.tdb
  modelarrayio convert FA.tdb FA.h5
"""


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add the command to a parser."""
    parser = command(
        *(commands, convert),
        help='convert an HDF5 file to a TileDB store, or back',
        description='Copy everything in an HDF5 file to a TileDB store, or everything in a store '
        'to an HDF5 file that ModelArray opens. The direction depends on what SOURCE is. Needs '
        "TileDB: pip install 'modelarrayio-bids[tiledb]'.",
        epilog=_EXAMPLES,
    )
    parser.add('source', type=disk_path, metavar='SOURCE', help='an HDF5 file or a store')
    parser.add('output', type=disk_path, metavar='OUTPUT', help='the store or file to write')
    parser.add_flag(
        '--overwrite', common=True, help='replace an existing output, even if it contains results'
    )
    parser.add_nprocs()
    parser.add_log_level()


def convert(options: argparse.Namespace) -> int:
    """Run the command."""
    from modelarrayio_bids.runtime.overwriting import refuse_inputs
    from modelarrayio_bids.store.tiledb_store import from_tiledb, to_tiledb

    refuse_inputs([options.output], [options.source])
    write = from_tiledb if options.source.is_dir() else to_tiledb
    write(options.source, options.output, threads=options.nprocs, overwrite=options.overwrite)
    return 0
