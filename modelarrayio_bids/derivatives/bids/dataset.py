"""The datasets of a run: found in a BIDS folder, or named with ``-d NAME=PATH``.

A folder of MRtrix's fixel directories counts as one, see
:mod:`~modelarrayio_bids.derivatives.bids.fixel_folders`.

>>> parse_dataset('dki=/data/qsirecon')
('dki', PosixPath('/data/qsirecon'))
>>> parse_dataset('/data/a=b/qsirecon')
('qsirecon', PosixPath('/data/a=b/qsirecon'))
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelarrayio_bids.__about__ import NAME
from modelarrayio_bids.derivatives.bids import suggestions
from modelarrayio_bids.derivatives.bids.fixel_folders import fixel_directories, fixel_files
from modelarrayio_bids.derivatives.bids.suggestions import DESCRIPTION
from modelarrayio_bids.errors import InvalidDatasetError, SourceNotFoundError, UsageError

logger = logging.getLogger(__name__)

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
        Its dataset_description.json.
    """

    name: str
    root: Path
    description: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_folder(cls, root: Path, name: str | None = None) -> Dataset:
        """Read the description of a dataset.

        Raises
        ------
        SourceNotFoundError
            If there is no such folder.
        InvalidDatasetError
            If its description cannot be read, or it has neither a description nor subjects nor
            fixel directories.
        """
        root = root.absolute()
        if not root.is_dir():
            raise SourceNotFoundError('no such folder', root, 'Check the path of the dataset.')
        dataset = cls(name or root.name, root, _read_description(root))
        if not (dataset.description or dataset.is_fixel_template or dataset.subjects):
            raise InvalidDatasetError(
                f'is no BIDS dataset: it holds neither {DESCRIPTION} nor sub-* folders',
                root,
                suggestions.of_no_dataset(root),
            )
        return dataset

    @property
    def generators(self) -> tuple[str, ...]:
        """The names of the programs that made it, as it says itself."""
        made_by = self.description.get('GeneratedBy', [])
        old = self.description.get('PipelineDescription', {})
        return tuple(str(one['Name']) for one in [*made_by, old] if one.get('Name'))

    @property
    def is_derivative(self) -> bool:
        """Whether it says so, or says which program made it."""
        return self.description.get('DatasetType') == 'derivative' or bool(self.generators)

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
        return (path.name[4:] for path in self.root.glob('sub-*') if path.is_dir())


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


def find_datasets(bids_dir: Path, given: Mapping[str, Path] | None = None) -> list[Dataset]:
    """The datasets to look for images in.

    Those given; else ``bids_dir`` when it is a derivative; else its ``derivatives/*``. Each brings
    its own ``derivatives/*`` along, as QSIRecon nests them. A folder reached twice counts once,
    and what this program wrote is passed over.

    Raises
    ------
    SourceNotFoundError
        If a folder is not there.
    InvalidDatasetError
        If one is no dataset, or an output folder of this program, or there is none with
        derivatives.
    """
    if given:
        tops = [Dataset.from_folder(Path(path), name) for name, path in given.items()]
    else:
        tops = _datasets_of(bids_dir)
    for root in (bids_dir, *(top.root for top in tops)):
        if suggestions.is_own_output(root):
            what = 'was written by this program: its outputs are no inputs'
            raise InvalidDatasetError(what, root, suggestions.of_own_output(root))
    found: dict[Path, Dataset] = {}
    for dataset in [*tops, *(nested for top in tops for nested in _nested(top))]:
        found.setdefault(dataset.root.resolve(), dataset)
    return list(_uniquely_named(found.values()))


def _datasets_of(bids_dir: Path) -> list[Dataset]:
    children = list(_children(bids_dir.absolute()))
    if children and not (bids_dir / DESCRIPTION).exists():
        return children
    top = Dataset.from_folder(bids_dir)
    if top.is_derivative or not (top.description or children):
        return [top]
    if not children:
        what = 'is a raw dataset without derivatives'
        raise InvalidDatasetError(what, top.root, suggestions.of_raw(top.root))
    return children


def _nested(dataset: Dataset) -> Iterator[Dataset]:
    for child in _children(dataset.root):
        yield child
        yield from _nested(child)


def _children(root: Path) -> Iterator[Dataset]:
    """The datasets among the folders of ``root/derivatives``."""
    for folder in sorted((root / 'derivatives').glob('*')):
        if not _is_dataset(folder):
            logger.info('%s is no dataset: passed over', folder)
            continue
        child = Dataset.from_folder(folder)
        if NAME not in child.generators:
            yield child


def _is_dataset(folder: Path) -> bool:
    return (
        (folder / DESCRIPTION).exists()
        or any(folder.glob('sub-*'))
        or any(True for _ in fixel_directories(folder))
    )


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
        yield Dataset(name, dataset.root, dataset.description)


def _read_description(root: Path) -> dict[str, Any]:
    path = root / DESCRIPTION
    try:
        description = json.loads(path.read_text('utf-8-sig'))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InvalidDatasetError(
            f'cannot be read ({error})',
            path,
            'Mend the file, or take it away: the name of the folder then says what made it.',
        ) from error
    if not _is_description(description):
        raise InvalidDatasetError(
            'is not what BIDS asks: an object whose GeneratedBy lists objects', path, 'Mend it.'
        )
    return description


def _is_description(description: Any) -> bool:
    if not isinstance(description, dict):
        return False
    made_by = description.get('GeneratedBy', [])
    old = description.get('PipelineDescription', {})
    return (
        isinstance(made_by, list)
        and all(isinstance(one, dict) for one in made_by)
        and isinstance(old, dict)
    )
