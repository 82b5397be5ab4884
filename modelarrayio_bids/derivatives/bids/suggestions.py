"""Where datasets and tables may be when they are not where a person said: remedies for errors.

Nothing here fails: a folder that cannot be read has no hint to give.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from modelarrayio_bids.__about__ import NAME

DESCRIPTION = 'dataset_description.json'
# Enough to recognise one's own.
_MOST = 3


def of_no_dataset(root: Path) -> str:
    """What to give in place of a folder that is no dataset."""
    if held := _datasets_in([root, root / 'derivatives']):
        return f'Of the datasets in it, give one, or several: {_as_options(held)}.'
    for above in root.parents:
        if (above / DESCRIPTION).exists():
            return f'It is a folder of the dataset {above}: give that.'
    return 'Give the folder that holds the sub-* folders, or the fixel directories.'


def of_raw(root: Path) -> str:
    """What to do with raw data that have no derivatives of their own."""
    near = _datasets_in([root.parent, root.parent / 'derivatives'])
    if near := [folder for folder in near if _is_derivative(_described(folder))]:
        return f'Name its derivatives, such as {_as_options(near)}.'
    return (
        'Run a pipeline on it first, such as QSIRecon, ASLPrep, XCP-D or fMRIPrep, or name the '
        'derivatives with -d NAME=PATH.'
    )


def is_own_output(root: Path) -> bool:
    """Whether this program wrote a folder, as the folder says."""
    made_by = _described(root).get('GeneratedBy')
    entries = made_by if isinstance(made_by, list) else []
    return any(isinstance(entry, dict) and entry.get('Name') == NAME for entry in entries)


def of_own_output(root: Path) -> str:
    """What to give in place of a folder that this program wrote."""
    sources = [str(path) for path in source_folders(root)]
    made_from = f' ({sources[0]})' if sources else ''
    return f'Give the dataset it was made from{made_from}, then a folder for the outputs.'


def source_folders(root: Path) -> Iterator[Path]:
    """The folders a dataset names as its sources, as far as they are on this machine."""
    sources = _described(root).get('SourceDatasets')
    for source in sources if isinstance(sources, list) else []:
        url = urlsplit(str(source.get('URL', '')) if isinstance(source, dict) else '')
        if url.scheme in {'', 'file'} and url.path:
            yield root / unquote(url.path)


def _datasets_in(folders: Iterable[Path]) -> list[Path]:
    """Datasets right below these folders, none of them ours."""
    found = [path.parent for folder in folders for path in sorted(folder.glob(f'*/{DESCRIPTION}'))]
    return [path for path in found if not is_own_output(path)]


def _as_options(roots: list[Path]) -> str:
    options = ' '.join(f'-d {root.name}={root}' for root in roots[:_MOST])
    return f'{options} (and {len(roots) - _MOST} more)' if len(roots) > _MOST else options


def _is_derivative(description: dict[str, Any]) -> bool:
    return description.get('DatasetType') == 'derivative' or 'GeneratedBy' in description


def _described(root: Path) -> dict[str, Any]:
    try:
        description = json.loads((root / DESCRIPTION).read_text('utf-8-sig'))
    except (OSError, ValueError):
        return {}
    return description if isinstance(description, dict) else {}
