"""Where datasets and tables may be when they are not where a person said: remedies for errors.

Nothing here fails: a folder that cannot be read has no hint to give.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from modelarrayio_bids.derivatives.bids import identity, name_shapes
from modelarrayio_bids.derivatives.bids.folders import subfolders, subject_folders
from modelarrayio_bids.derivatives.bids.identity import DESCRIPTION, Identity
from modelarrayio_bids.errors import shell_pattern
from modelarrayio_bids.formats.pointers import not_installed

# Enough to recognise one's own.
_MOST = 3


def of_no_dataset(root: Path, followed: Collection[Path] = ()) -> str:
    """Return what to give in place of a folder that is no dataset.

    Parameters
    ----------
    root : pathlib.Path
        The folder.
    followed : collection of pathlib.Path, optional
        Folders that were given already.
    """
    given = {os.path.realpath(path) for path in (root, *followed)}
    held = [path for path in _datasets_in(root) if os.path.realpath(path) not in given]
    if held:
        return f'Of the datasets in it, give one, or several: {_as_options(held)}.'
    above = next((path for path in root.parents if os.path.lexists(path / DESCRIPTION)), None)
    if above is not None and os.path.realpath(above) not in given:
        return f'It is a folder of the dataset {above}: give that.'
    instead = '; or leave this one out.' if followed else '.'
    remedy = f'Give the folder that holds the sub-* folders, or the fixel directories{instead}'
    return f'{remedy} {name_shapes.suggestion(root)}'.rstrip()


def of_raw(root: Path) -> str:
    """Return what to do with raw data that have no derivatives of their own."""
    inside = [path for path in _datasets_in(root) if not identity.is_own_output(path)]
    near = inside or [
        path
        for folder in (root.parent, root.parent / 'derivatives')
        for path in subfolders(folder)
        if identity.is_derivative(Identity.read(path).description)
        and not identity.is_own_output(path)
    ]
    if near:
        return f'Name its derivatives, such as {_as_options(near)}.'
    if absent := not_installed(root):
        paths = list(map(str, absent))
        return f'Its subdatasets are not installed: datalad get -n {shell_pattern(paths)}'
    return (
        'Run a pipeline on it first, such as QSIRecon, ASLPrep, XCP-D or fMRIPrep, or name the '
        'derivatives with -d NAME=PATH.'
    )


def of_own_output(root: Path) -> str:
    """Return what to give in place of a folder that this program wrote."""
    sources = [str(path) for path in source_folders(root)]
    made_from = f' ({sources[0]})' if sources else ''
    return f'Give the dataset it was made from{made_from}, then a folder for the outputs.'


def source_folders(root: Path) -> Iterator[Path]:
    """Yield the folders a dataset names as its sources, as far as they are on this machine."""
    sources = Identity.read(root).description.get('SourceDatasets')
    for source in sources if isinstance(sources, list) else []:
        url = urlsplit(str(source.get('URL', '')) if isinstance(source, dict) else '')
        if url.scheme in {'', 'file'} and url.path:
            yield root / unquote(url.path)


def _datasets_in(root: Path) -> list[Path]:
    """Return datasets below a folder, none of them ours: the nearest that there are."""
    for level in (
        [root, root / 'derivatives'],
        [*_searched(root), *_searched(root / 'derivatives')],
    ):
        found = [path for folder in level for path in subfolders(folder) if _looks_like_one(path)]
        if found:
            return found
    return []


def _searched(folder: Path) -> Iterator[Path]:
    """Yield folders that may hold datasets: no subject is searched."""
    return (path for path in subfolders(folder) if not path.name.startswith(('sub-', '.')))


def _looks_like_one(folder: Path) -> bool:
    if folder.name.startswith(('sub-', '.')) or identity.is_own_output(folder):
        return False
    return os.path.lexists(folder / DESCRIPTION) or any(subject_folders(folder))


def _as_options(roots: Iterable[Path]) -> str:
    roots = list(roots)
    options = ' '.join(f'-d {root.name}={root}' for root in roots[:_MOST])
    return f'{options} (and {len(roots) - _MOST} more)' if len(roots) > _MOST else options
