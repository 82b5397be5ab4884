"""``modelarrayio info``: what is in an HDF5 file."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from modelarrayio_bids.cli.aligned_text import aligned
from modelarrayio_bids.cli.options import command, disk_path
from modelarrayio_bids.runtime.text_format import amount, by, count

if TYPE_CHECKING:
    from modelarrayio_bids.store.contents import (
        AnalysisContents,
        Contents,
        Elements,
        Images,
        ScalarContents,
    )

_EXAMPLES = """examples:
  modelarrayio info FA.h5
  modelarrayio info FA.h5 --json
"""
_SOURCES_SHOWN = 3
_RESULTS_SHOWN = 6


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
        print('\n'.join(_lines(contents)))
    return 0


def _lines(contents: Contents) -> Iterator[str]:
    facts = [('File', f'{contents.path}, {amount(contents.size)}'), *_origin(contents)]
    facts.append(('Elements', _elements(contents.elements)))
    yield from aligned(facts)
    if not contents.scalars:
        yield from ('', 'No scalars: this file was not made for ModelArray.')
    usable = [scalar for scalar in contents.scalars if not scalar.problem]
    if usable:
        yield ''
        yield from aligned(_table(usable))
    for scalar in usable:
        yield from ('', *_sources(scalar))
    for scalar in contents.scalars:
        if scalar.problem:
            yield from ('', _unusable(scalar))
    if contents.analyses:
        yield from ('', 'Analyses:')
        yield from (f'  {line}' for line in aligned(map(_analysis, contents.analyses)))


def _origin(contents: Contents) -> list[tuple[str, str]]:
    origin = contents.origin
    if origin is None:
        return [('Made by', 'unknown: the file does not say')]
    made = f'{origin.software} {origin.version}, {origin.created}'
    return [('Made by', made), ('Command', origin.command)]


def _elements(elements: Elements) -> str:
    """Return elements in one line."""
    text = f'{elements.count:,} {elements.kind or "of a kind that the file does not tell"}'
    if elements.grid is not None:
        text += f' of {by(elements.grid)}'
    if elements.voxel_size is not None:
        text += f', {" × ".join(f"{edge:g}" for edge in elements.voxel_size)} mm each'
    if elements.n_voxels is not None:
        text += f' in {elements.n_voxels:,} voxels'
    if elements.surface:
        text += f' of {elements.surface}'
    if elements.structures is not None:
        parts = (f'{_plain(name)} {count:,}' for name, count in elements.structures.items())
        text += f': {", ".join(parts)}'
    return text


def _plain(structure: str) -> str:
    """Return the plain name of a structure of CIFTI.

    >>> _plain('CIFTI_STRUCTURE_CORTEX_LEFT')
    'cortex left'
    """
    return structure.removeprefix('CIFTI_STRUCTURE_').replace('_', ' ').lower()


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


def _unusable(scalar: ScalarContents) -> str:
    return f'{scalar.name} cannot be used: {scalar.problem}. "modelarrayio validate" says more.'


def _sources(scalar: ScalarContents) -> Iterator[str]:
    if not scalar.sources:
        yield f'Sources of {scalar.name} have no names: "modelarrayio validate" says more.'
        return
    yield f'Sources of {scalar.name}, as source_file must name them:'
    yield from (f'  {name}' for name in scalar.sources[:_SOURCES_SHOWN])
    if len(scalar.sources) > _SOURCES_SHOWN:
        yield f'  ... {len(scalar.sources) - _SOURCES_SHOWN:,} more'
    if scalar.images is not None:
        yield f'  {_state(scalar.images)}'


def _state(images: Images) -> str:
    """Return how many images have changed since."""
    parts = [f'{images.unchanged:,} unchanged since the file was made']
    others = {'changed since': images.changed, 'not found': images.gone}
    for what, paths in {**others, 'remote, not looked up': images.remote}.items():
        if paths:
            parts.append(f'{what}: {len(paths):,}, such as {paths[0]}')
    return '; '.join(parts)


def _analysis(analysis: AnalysisContents) -> tuple[str, str]:
    if analysis.problem:
        return analysis.name, f'cannot be used: {analysis.problem}'
    shown = ', '.join(analysis.results[:_RESULTS_SHOWN])
    more = ', ...' if len(analysis.results) > _RESULTS_SHOWN else ''
    results = count(len(analysis.results), 'result')
    where = count(analysis.n_elements, 'element')
    model = f' of {analysis.formula}' * bool(analysis.formula)
    return analysis.name, f'{results} at {where}{model}: {shown}{more}'
