"""``modelarrayio info``: what is in an HDF5 file."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from modelarrayio_bids.cli.options import command, disk_path
from modelarrayio_bids.runtime.text_format import amount, by, count

if TYPE_CHECKING:
    from modelarrayio_bids.store.contents import AnalysisContents, Contents, ScalarContents

_EXAMPLES = """examples:
  modelarrayio info FA.h5
  modelarrayio info FA.h5 --json
"""


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add the command to a parser."""
    parser = command(
        *(commands, info),
        help='show what is in an HDF5 file',
        description='Show the elements, the scalars with their source images, and the analyses of '
        'an HDF5 file for ModelArray, whichever program made it. Values are not read.',
        epilog=_EXAMPLES,
    )
    parser.add('file', type=disk_path, metavar='FILE', help='the HDF5 file')
    parser.add_json()
    parser.add_log_level()


def info(options: argparse.Namespace) -> int:
    """Run the command."""
    from modelarrayio_bids.runtime.isolation import read_alone
    from modelarrayio_bids.spaces.stored import contents_of

    contents = read_alone(contents_of, options.file)
    if options.json:
        print(json.dumps(asdict(contents), indent=2, ensure_ascii=False))
    else:
        print(_text(contents))
    return 0


def _text(contents: Contents) -> str:
    from modelarrayio_bids.cli.terminal_text import terminal_text

    usable = [scalar for scalar in contents.scalars if not scalar.problem]
    return terminal_text(
        'info',
        contents=contents,
        usable=usable,
        table=_table(usable),
        analyses=list(map(_analysis, contents.analyses)),
    )


def _table(scalars: Sequence[ScalarContents]) -> Iterator[tuple[str, ...]]:
    yield 'SCALAR', 'SOURCES', 'TYPE', 'CHUNKS', 'FILTERS', 'STORED', 'OF RAW', 'WHOLE IN R'
    for scalar in scalars:
        chunk = by(scalar.chunk) if scalar.chunk else 'none'
        yield (
            scalar.name,
            f'{scalar.n_sources:,}',
            scalar.dtype,
            chunk,
            ' + '.join(scalar.filters) or 'none',
            amount(scalar.stored_bytes),
            f'{scalar.stored_bytes / scalar.raw_bytes:.0%}',
            amount(scalar.r_bytes),
        )


def _analysis(analysis: AnalysisContents) -> tuple[str, str]:
    if analysis.problem:
        return analysis.name, f'cannot be used: {analysis.problem}'
    from modelarrayio_bids.derivatives.outputs.statmaps import ResultName

    names = dict.fromkeys(ResultName.of(name).term or name for name in analysis.results)
    results = count(len(analysis.results), 'result')
    where = count(analysis.n_elements, 'element')
    model = f' of {analysis.formula}' * bool(analysis.formula)
    return analysis.name, f'{results} at {where}{model}: {", ".join(names)}'
