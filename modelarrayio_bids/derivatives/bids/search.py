"""The datasets of a run: found in a BIDS folder, or named with ``-d NAME=PATH``.

>>> parse_dataset('dki=/data/qsirecon')
('dki', PosixPath('/data/qsirecon'))
>>> parse_dataset('/data/a=b/qsirecon')
('qsirecon', PosixPath('/data/a=b/qsirecon'))
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from modelarrayio_bids.derivatives.bids.dataset import (
    DESCRIPTION,
    Dataset,
    Recognises,
    as_options,
    datasets_in,
)
from modelarrayio_bids.derivatives.bids.folders import subfolders, subject_folders
from modelarrayio_bids.errors import InvalidDatasetError, UsageError, shell_pattern
from modelarrayio_bids.formats.pointers import not_installed
from modelarrayio_bids.runtime.locations import is_there, location

logger = logging.getLogger(__name__)

# A name stands between the colons of a BIDS URI, where RFC 3986 wants most characters escaped.
_NOT_IN_NAMES = re.compile(r'[^\w.+-]+', re.ASCII)


def parse_dataset(text: str) -> tuple[str, Path]:
    """Return name and path of one ``-d`` option: ``NAME=PATH``, or a path named by its folder.

    The first ``=`` divides, unless there is a ``/`` before it: paths may hold one.

    Raises
    ------
    UsageError
        If the name or the path is empty.
    """
    name, equals, path = text.partition('=')
    if not equals or '/' in name:
        name, path = location(text).absolute().name, text
    if not name or not path:
        raise UsageError(f'{text!r} names no dataset', remedy='Write it as NAME=PATH.')
    return name, location(path)


def parse_datasets(texts: Iterable[str]) -> dict[str, Path]:
    """Return all ``-d`` options together.

    Raises
    ------
    UsageError
        If one name is given to two folders.
    """
    found: dict[str, Path] = {}
    for text in texts:
        name, path = parse_dataset(text)
        if name in found and found[name].resolve() != path.resolve():
            raise UsageError(
                f'two datasets are named {name!r}: {found[name]} and {path}',
                remedy='Write -d NAME=PATH with a name of its own for each.',
            )
        found[name] = path
    return found


def find_datasets(
    bids_dir: Path,
    given: Mapping[str, Path] | None = None,
    recognises: Recognises = lambda _root: False,
) -> list[Dataset]:
    """Return the datasets to look for images in.

    Those given; else ``bids_dir`` when it is a derivative; else its ``derivatives/*``. Each brings
    its own ``derivatives/*`` along, as QSIRecon nests them. A folder reached twice counts once,
    and what this program wrote is passed over.

    Parameters
    ----------
    bids_dir : pathlib.Path
        The folder.
    given : mapping, optional
        Name to folder.
    recognises : callable, optional
        Tells of a folder whether it is one although nothing in it is named as BIDS does.

    Raises
    ------
    SourceNotFoundError
        If a folder is not there.
    InvalidDatasetError
        If a given path is not a dataset, or an output folder of this program, or there is none with
        derivatives.
    """
    if given:
        known = [bids_dir, *given.values()]
        tops = [
            Dataset.from_folder(location(path), name, known, recognises)
            for name, path in given.items()
        ]
    else:
        tops = _datasets_of(bids_dir, recognises)
    for dataset in (Dataset.at(bids_dir), *tops):
        if dataset.is_own_output:
            source = next(dataset.source_folders(), None)
            made_from = '' if source is None else f' ({source})'
            raise InvalidDatasetError(
                'was written by this program: its outputs cannot be its inputs',
                dataset.root,
                f'Give the dataset it was made from{made_from}, then a folder for the outputs.',
            )
    return list(_uniquely_named(_with_nested(tops, recognises)))


def _datasets_of(bids_dir: Path, recognises: Recognises) -> list[Dataset]:
    children = list(_children(bids_dir.absolute(), recognises))
    if children and not is_there(bids_dir / DESCRIPTION):
        return children
    top = Dataset.from_folder(bids_dir, recognises=recognises)
    if top.is_derivative or recognises(top.root) or not (top.description or children):
        return [top]
    if not children:
        what = 'is a raw dataset without derivatives'
        raise InvalidDatasetError(what, top.root, _instead_of_raw(top.root))
    return children


def _instead_of_raw(root: Path) -> str:
    """Return what to do with raw data that have no derivatives of their own."""
    people = _people_in(root)
    near = datasets_in(root) or [
        path
        for folder in (root.parent, root.parent / 'derivatives')
        for path in subfolders(folder)
        if (dataset := Dataset.at(path)).is_derivative and not dataset.is_own_output
        # Folders side by side may be of different studies.
        if people & _people_in(path)
    ]
    if near:
        return f'Name its derivatives, such as {as_options(near)}.'
    if absent := not_installed(root):
        paths = list(map(str, absent))
        return f'Its subdatasets are not installed: datalad get -n {shell_pattern(paths)}'
    return (
        'Run a pipeline on it first, such as QSIRecon, ASLPrep, XCP-D or fMRIPrep, or name the '
        'derivatives with -d NAME=PATH.'
    )


def _people_in(root: Path) -> set[str]:
    return {folder.name for folder in subject_folders(root)}


def _with_nested(tops: Iterable[Dataset], recognises: Recognises) -> list[Dataset]:
    """Return datasets and those in their ``derivatives``, each folder once whatever links to it."""
    found: dict[str, Dataset] = {}
    waiting = list(tops)
    # By level, so that what was named comes before what was found in something else.
    while waiting:
        new = [
            dataset
            for dataset in waiting
            if found.setdefault(os.path.realpath(dataset.root), dataset) is dataset
        ]
        waiting = [child for dataset in new for child in _children(dataset.root, recognises)]
    return list(found.values())


def _children(root: Path, recognises: Recognises) -> Iterator[Dataset]:
    """Yield the datasets among the folders of ``root/derivatives``."""
    for folder in subfolders(root / 'derivatives'):
        child = Dataset.at(folder)
        if not (child.is_one or recognises(folder)):
            logger.info('%s is not a dataset and is ignored', folder)
        elif not child.is_own_output:
            yield child


def _uniquely_named(datasets: Iterable[Dataset]) -> Iterator[Dataset]:
    """Yield datasets with a name of their own each, for BIDS URIs.

    Two folders may be called alike; then the folder above the second one tells them apart.
    """
    taken: set[str] = set()
    for dataset in datasets:
        name, above = _NOT_IN_NAMES.sub('-', dataset.name), dataset.root.parent
        while name in taken:
            name, above = _NOT_IN_NAMES.sub('-', f'{above.name}-{name}'), above.parent
        taken.add(name)
        yield replace(dataset, name=name)
