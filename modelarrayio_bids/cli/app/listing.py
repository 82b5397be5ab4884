"""``--list-scalars`` and ``--dry-run``: a table of what was found; nothing is written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from modelarrayio_bids.cli.aligned_text import aligned
from modelarrayio_bids.errors import by_command, raise_problems
from modelarrayio_bids.runtime.text_format import count

if TYPE_CHECKING:
    from modelarrayio_bids.derivatives.cohorts.collect import Collection
    from modelarrayio_bids.derivatives.cohorts.request import Request

_FEW = 3


def show(request: Request, *, check: bool, as_json: bool) -> int:
    """Print what a request finds; with ``check``, whether its headers agree.

    Raises
    ------
    ModelArrayIOError
        After that, if it cannot be built so.
    """
    from modelarrayio_bids.derivatives.cohorts.collect import collect

    collection = collect(request, to_look_at=True)
    if as_json:
        _print_json(collection)
    else:
        _print_table(collection)
    raise_problems(collection.problems)
    if check:
        collection.reconciled()
        files = count(len(collection.groups), 'HDF5 file')
        print(f'\nAll headers agree. {files} would be written to {request.output_dir}.')
    return 0


def _print_json(collection: Collection) -> None:
    print(json.dumps(collection.document(), indent=2, ensure_ascii=False))


def _print_table(collection: Collection) -> None:
    """Print the scalars found as aligned columns, and what was left out and why."""
    lines = [('SCALAR', 'KIND', 'SPACE', 'SUBJECTS', 'IMAGES', 'MASKS', 'DATASET')]
    for row in collection.table().astype(object).to_dict('records'):
        texts = (str(row[name]) for name in ('scalar', 'kind', 'label', 'n_subjects', 'n_images'))
        lines.append((*texts, _masks(row['mask_sources']), row['dataset']))
    print('\n'.join(aligned(lines)))
    if collection.left_out:
        print('\nLeft out:')
    for reason, paths in collection.left_out.items():
        print(f'  {len(paths)} {reason}{_examples(paths)}')
    for error in by_command(collection.not_fetched, most=0):
        print(f'\nNot fetched: {error}')


def _examples(paths: Sequence[Path]) -> str:
    """Return the names of all if they are few, else of one."""
    if len(paths) > _FEW:
        return f', such as {paths[0].name}'
    return ': ' + ', '.join(path.name for path in paths)


def _masks(mask_sources: Mapping[str, int]) -> str:
    from modelarrayio_bids.derivatives.cohorts.mask_matching import NOT_NEEDED

    if set(mask_sources) == {NOT_NEEDED}:
        return 'not needed'
    return ', '.join(f'{source} ({count})' for source, count in mask_sources.items())
