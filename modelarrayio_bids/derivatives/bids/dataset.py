"""The datasets of a run: found in a BIDS folder, or named with ``-d NAME=PATH``.

A folder of MRtrix's fixel directories counts as one, see
:mod:`~modelarrayio_bids.derivatives.bids.fixel_folders`.

>>> parse_dataset('dki=/data/qsirecon')
('dki', PosixPath('/data/qsirecon'))
>>> parse_dataset('/data/a=b/qsirecon')
('qsirecon', PosixPath('/data/a=b/qsirecon'))
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from modelarrayio_bids.__about__ import NAME
from modelarrayio_bids.derivatives.bids import identity, suggestions
from modelarrayio_bids.derivatives.bids.fixel_folders import fixel_directories, fixel_files
from modelarrayio_bids.derivatives.bids.folders import subfolders, subject_folders
from modelarrayio_bids.derivatives.bids.identity import DESCRIPTION, Identity
from modelarrayio_bids.errors import (
    InvalidDatasetError,
    NotFetchedError,
    SourceNotFoundError,
    UsageError,
)
from modelarrayio_bids.formats.pointers import absence_error

logger = logging.getLogger(__name__)

#: Whether a folder holds images that a recipe knows by their paths.
Recognises = Callable[[Path], bool]
# A name stands between the colons of a BIDS URI, where RFC 3986 wants most characters escaped.
_NOT_IN_NAMES = re.compile(r'[^\w.+-]+', re.ASCII)


@dataclass(frozen=True)
class Dataset:
    """One BIDS dataset.

    Parameters
    ----------
    name : str
        What it is called here: the key of its BIDS URIs.
    root : pathlib.Path
        Its folder, absolute.
    description : dict, optional
        Its dataset_description.json; empty where there is none that can be used.
    problem : str, optional
        Why that file cannot be used.
    """

    name: str
    root: Path
    description: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ''

    @classmethod
    def from_folder(
        cls,
        root: Path,
        name: str | None = None,
        followed: Collection[Path] = (),
        recognises: Recognises = lambda _root: False,
    ) -> Dataset:
        """Read the description of a dataset.

        Parameters
        ----------
        root : pathlib.Path
            Its folder.
        name : str, optional
            What it is called; by default its folder's name.
        followed : collection of pathlib.Path, optional
            Folders that were given already: an error does not suggest them.
        recognises : callable, optional
            Tells whether a folder is one although nothing in it is named as BIDS does.

        Raises
        ------
        SourceNotFoundError
            If there is no such folder, or it cannot be read.
        InvalidDatasetError
            If it has neither a description that can be used nor ``sub-*`` folders nor fixel
            directories.
        """
        root = root.absolute()
        _require_readable(root)
        dataset = _dataset_at(root, name)
        if not (dataset.is_one or recognises(root)):
            if isinstance(absent := absence_error(root), NotFetchedError):
                raise absent
            lacking = f'it holds neither {DESCRIPTION} nor sub-* folders'
            if dataset.problem:
                lacking = f'its {DESCRIPTION} {dataset.problem}, and it holds no sub-* folders'
            if named := [path for path in subfolders(root) if path.name.lower().startswith('sub-')]:
                lacking += f' ({named[0].name} is none: BIDS writes sub- in lower case)'
            remedy = suggestions.of_no_dataset(root, followed)
            raise InvalidDatasetError(f'is no BIDS dataset: {lacking}', root, remedy)
        return dataset

    @property
    def is_one(self) -> bool:
        """Whether there is a description that can be used, a subject or a fixel directory."""
        return bool(self.description or any(subject_folders(self.root)) or self.fixel_directories)

    @property
    def generators(self) -> tuple[str, ...]:
        """The names of the programs that made it, as it says itself."""
        return identity.generators(self.description)

    @property
    def is_derivative(self) -> bool:
        """Whether it says so, or names a pipeline that made it."""
        return identity.is_derivative(self.description)

    @property
    def subjects(self) -> tuple[str, ...]:
        """Labels of its ``sub-*`` folders and fixel files, sorted."""
        files = {
            found['subject']
            for folder in self.fixel_directories
            for _, found in fixel_files(folder)
            if 'subject' in found
        }
        return tuple(sorted(files.union(self._subject_folders())))

    @property
    def fixel_directories(self) -> tuple[Path, ...]:
        """Its fixel directories: itself, or some of its folders."""
        return tuple(fixel_directories(self.root))

    @property
    def is_fixel_template(self) -> bool:
        """Whether it is nothing but fixel directories."""
        return bool(self.fixel_directories) and not any(self._subject_folders())

    def _subject_folders(self) -> Iterator[str]:
        return (path.name[4:] for path in subject_folders(self.root))


def parse_dataset(text: str) -> tuple[str, Path]:
    """Name and path of one ``-d`` option: ``NAME=PATH``, or a path named by its folder.

    The first ``=`` divides, unless there is a ``/`` before it: paths may hold one.

    Raises
    ------
    UsageError
        If the name or the path is empty.
    """
    name, equals, path = text.partition('=')
    if not equals or '/' in name:
        name, path = Path(text).absolute().name, text
    if not name or not path:
        raise UsageError(f'{text!r} names no dataset', remedy='Write it as NAME=PATH.')
    return name, Path(path)


def parse_datasets(texts: Iterable[str]) -> dict[str, Path]:
    """All ``-d`` options together.

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
        If one named is no dataset, or an output folder of this program, or there is none with
        derivatives.
    """
    if given:
        known = [bids_dir, *given.values()]
        tops = [
            Dataset.from_folder(Path(path), name, known, recognises) for name, path in given.items()
        ]
    else:
        tops = _datasets_of(bids_dir, recognises)
    for root in (bids_dir, *(top.root for top in tops)):
        if identity.is_own_output(root):
            what = 'was written by this program: its outputs are no inputs'
            raise InvalidDatasetError(what, root, suggestions.of_own_output(root))
    return list(_uniquely_named(_with_nested(tops, recognises)))


def _datasets_of(bids_dir: Path, recognises: Recognises) -> list[Dataset]:
    children = list(_children(bids_dir.absolute(), recognises))
    if children and not os.path.lexists(bids_dir / DESCRIPTION):
        return children
    top = Dataset.from_folder(bids_dir, recognises=recognises)
    if top.is_derivative or recognises(top.root) or not (top.description or children):
        return [top]
    if not children:
        what = 'is a raw dataset without derivatives'
        raise InvalidDatasetError(what, top.root, suggestions.of_raw(top.root))
    return children


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
        child = _dataset_at(folder)
        if not (child.is_one or recognises(folder)):
            logger.info('%s is no dataset: passed over', folder)
        elif NAME not in child.generators:
            yield child


def _dataset_at(root: Path, name: str | None = None) -> Dataset:
    """Return what may be a dataset, see :attr:`Dataset.is_one`."""
    said = Identity.read(root)
    return Dataset(name or root.name, root, said.description, said.problem)


def _require_readable(root: Path) -> None:
    try:
        os.scandir(root).close()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise absence_error(root, 'no such folder', 'Check the path of the dataset.') from error
    except (OSError, ValueError) as error:
        reason = getattr(error, 'strerror', None) or error
        raise SourceNotFoundError(
            f'cannot be read ({reason})', root, 'Check its permissions and its path.'
        ) from error


def _uniquely_named(datasets: Iterable[Dataset]) -> Iterator[Dataset]:
    """Names for BIDS URIs.

    Two folders may be called alike; then the folder above the second one tells them apart.
    """
    taken: set[str] = set()
    for dataset in datasets:
        name, above = _NOT_IN_NAMES.sub('-', dataset.name), dataset.root.parent
        while name in taken:
            name, above = _NOT_IN_NAMES.sub('-', f'{above.name}-{name}'), above.parent
        taken.add(name)
        yield replace(dataset, name=name)
