"""One BIDS dataset: its description, read leniently, its participants and fixel directories.

Nothing depends on ``dataset_description.json``: where it is damaged or odd, this is reported, and
the dataset is identified by the name of its folder. A folder of MRtrix's fixel directories counts
as a dataset, see :mod:`~modelarrayio_bids.derivatives.bids.fixel_folders`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from modelarrayio_bids.__about__ import NAME
from modelarrayio_bids.derivatives.bids.fixel_folders import fixel_directories, fixel_files
from modelarrayio_bids.derivatives.bids.folders import subfolders, subject_folders
from modelarrayio_bids.derivatives.bids.json_files import read_json
from modelarrayio_bids.derivatives.bids.name_shapes import suggestion
from modelarrayio_bids.errors import (
    InvalidDatasetError,
    ModelArrayIOError,
    NotFetchedError,
    SourceNotFoundError,
)
from modelarrayio_bids.formats.pointers import absence_error
from modelarrayio_bids.runtime.data_files import data_table
from modelarrayio_bids.runtime.locations import RemotePath, is_there, location

DESCRIPTION = 'dataset_description.json'

#: Predicate: True if a folder holds images that a recipe finds by their paths.
Recognises = Callable[[Path], bool]
_MOST_OPTIONS = 3


@dataclass(frozen=True)
class Dataset:
    """A BIDS dataset.

    Parameters
    ----------
    name : str
        The key of its BIDS URIs.
    root : pathlib.Path
        Its folder, absolute.
    description : dict, optional
        Content of dataset_description.json; empty where there is none that can be used.
    problem : str, optional
        Why that file cannot be used.
    """

    name: str
    root: Path
    description: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ''

    @classmethod
    def at(cls, root: Path, name: str | None = None) -> Dataset:
        """Return what may be a dataset, see :attr:`is_one`."""
        try:
            return cls(name or root.name, root, read_json(root / DESCRIPTION))
        except ModelArrayIOError as error:
            return cls(name or root.name, root, problem=error.what)

    @classmethod
    def from_folder(
        cls,
        root: Path,
        name: str | None = None,
        followed: Collection[Path] = (),
        recognises: Recognises = lambda _root: False,
    ) -> Dataset:
        """Return the dataset in a folder.

        Parameters
        ----------
        root : pathlib.Path
            The folder.
        name : str, optional
            Name of the dataset; by default that of its folder.
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
        dataset = cls.at(root, name)
        if not (dataset.is_one or recognises(root)):
            if isinstance(absent := absence_error(root), NotFetchedError):
                raise absent
            lacking = f'it holds neither {DESCRIPTION} nor sub-* folders'
            if dataset.problem:
                lacking = f'its {DESCRIPTION} {dataset.problem}, and it holds no sub-* folders'
            if named := [path for path in subfolders(root) if path.name.lower().startswith('sub-')]:
                lacking += f' ({named[0].name} is none: BIDS writes sub- in lower case)'
            remedy = _instead_of(root, followed)
            raise InvalidDatasetError(f'is not a BIDS dataset: {lacking}', root, remedy)
        return dataset

    @property
    def is_one(self) -> bool:
        """True if there is a usable description, a subject or a fixel directory."""
        return bool(self.description or any(subject_folders(self.root)) or self.fixel_directories)

    @property
    def generators(self) -> tuple[str, ...]:
        """Names of the programs that made it, however they are written.

        >>> Dataset('x', Path('x'), {'GeneratedBy': [{'Name': 'fMRIPrep'}]}).generators
        ('fMRIPrep',)
        """
        keys = ('GeneratedBy', 'PipelineDescription')
        return tuple(name for key in keys for name in _program_names(self.description.get(key)))

    @property
    def is_derivative(self) -> bool:
        """True if the description says so, or names a pipeline that made the dataset."""
        kind = str(self.description.get('DatasetType')).lower()
        if kind in {'derivative', 'raw'}:
            return kind == 'derivative'
        converters = data_table('bids_names.toml')['converters']
        return any(name.lower() not in converters for name in self.generators)

    @property
    def is_own_output(self) -> bool:
        """True if this program made the dataset."""
        return NAME in self.generators

    @property
    def subjects(self) -> tuple[str, ...]:
        """Labels of its ``sub-*`` folders and fixel files, sorted."""
        files = {
            found['subject']
            for folder in self.fixel_directories
            for _, found in fixel_files(folder)
            if 'subject' in found
        }
        return tuple(sorted(files.union(path.name[4:] for path in subject_folders(self.root))))

    @property
    def fixel_directories(self) -> tuple[Path, ...]:
        """Fixel directories: the dataset itself, or some of its folders."""
        return tuple(fixel_directories(self.root))

    @property
    def is_fixel_template(self) -> bool:
        """True if the dataset contains only fixel directories."""
        return bool(self.fixel_directories) and not any(subject_folders(self.root))

    def source_folders(self) -> Iterator[Path]:
        """Yield the folders it names as its sources, as far as they are on this machine."""
        sources = self.description.get('SourceDatasets')
        for source in sources if isinstance(sources, list) else []:
            url = urlsplit(str(source.get('URL', '')) if isinstance(source, dict) else '')
            if url.scheme in {'', 'file'} and url.path:
                yield self.root / unquote(url.path)
            elif url.scheme == 's3' and self.is_own_output:
                # Other people's are those that were downloaded once.
                yield location(url.geturl())


def datasets_in(root: Path) -> list[Path]:
    """Return datasets below a folder, none of them ours: the nearest that there are."""
    tops = [root, root / 'derivatives']
    # No subject is searched.
    inner = [path for top in tops for path in subfolders(top) if _is_searched(path)]
    for level in (tops, inner):
        if found := [path for folder in level for path in subfolders(folder) if _looks_like(path)]:
            return found
    return []


def as_options(roots: Iterable[Path]) -> str:
    """Return the first few datasets as options of the command line."""
    roots = list(roots)
    options = ' '.join(f'-d {root.name}={root}' for root in roots[:_MOST_OPTIONS])
    more = len(roots) - _MOST_OPTIONS
    return f'{options} (and {more} more)' if more > 0 else options


def _instead_of(root: Path, followed: Collection[Path]) -> str:
    """Return advice on what to give in place of a folder that is not a dataset."""
    given = {os.path.realpath(path) for path in (root, *followed)}
    held = [path for path in datasets_in(root) if os.path.realpath(path) not in given]
    if held:
        return f'Of the datasets in it, give one, or several: {as_options(held)}.'
    above = next((path for path in root.parents if is_there(path / DESCRIPTION)), None)
    if above is not None and os.path.realpath(above) not in given:
        return f'It is a folder of the dataset {above}: give that.'
    instead = '; or leave this one out.' if followed else '.'
    remedy = f'Give the folder that holds the sub-* folders, or the fixel directories{instead}'
    return f'{remedy} {suggestion(root)}'.rstrip()


def _is_searched(folder: Path) -> bool:
    return not folder.name.startswith(('sub-', '.'))


def _looks_like(folder: Path) -> bool:
    dataset = Dataset.at(folder)
    if not _is_searched(folder) or dataset.is_own_output:
        return False
    return is_there(folder / DESCRIPTION) or any(subject_folders(folder))


def _program_names(entry: object) -> Iterator[str]:
    if isinstance(entry, str) and entry.strip():
        yield entry
    elif isinstance(entry, Mapping):
        yield from _program_names(entry.get('Name'))
    elif isinstance(entry, list):
        for one in entry:
            yield from _program_names(one)


def _require_readable(root: Path) -> None:
    if isinstance(root, RemotePath):
        if not root.is_dir():
            raise absence_error(root, 'no such folder', 'Check the address of the dataset.')
        return
    try:
        os.scandir(root).close()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise absence_error(root, 'no such folder', 'Check the path of the dataset.') from error
    except (OSError, ValueError) as error:
        reason = getattr(error, 'strerror', None) or error
        raise SourceNotFoundError(
            f'cannot be read ({reason})', root, 'Check its permissions and its path.'
        ) from error
