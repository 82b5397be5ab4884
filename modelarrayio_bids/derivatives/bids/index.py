"""Entities of the images of a dataset, as pybids parses them from a listing of names.

The index of :class:`bids.BIDSLayout` is a database with several rows and objects per file, and asks
the disk about each. Names repeat their parts, though: 50,000 images of 500 subjects have a few
hundred. :func:`bids.layout.parse_file_entities` is asked once for each part, and nothing is stored.

A dataset's own ``layout_config.json``, with which pybids would know further entities, is not read.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from modelarrayio_bids.derivatives.bids import entities as bids_entities
from modelarrayio_bids.derivatives.bids.entities import Entities
from modelarrayio_bids.derivatives.bids.pybids import Config, parse_file_entities
from modelarrayio_bids.runtime.progress import tracked

_FOLDERS = re.compile(r'[/\\]')


def index_names(root: Path, names: Sequence[str]) -> Iterator[tuple[Path, Entities]]:
    """Yield path and entities of each image.

    Parameters
    ----------
    root : pathlib.Path
        The dataset's folder, absolute.
    names : sequence of str
        Paths from there, with ``/`` between, sorted.
    """
    base_names = [name.rpartition('/')[2] for name in names]
    further = {key for name in base_names for key in bids_entities.unknown_pairs(name)}
    parser = NameParser(sorted(further))
    for name in tracked(names, f'Indexing {root.name}', len(names), 'names'):
        # Ten times as fast as root / name.
        yield Path(os.path.join(root, name)), parser.entities(name)  # noqa: PTH118


class NameParser:
    """pybids' parsing of names with our entities, each part of a name but once.

    Parameters
    ----------
    further : iterable of str, optional
        Keys of entities that BIDS does not know.

    >>> NameParser().entities('sub-01/perf/sub-01_desc-mean_cbf.nii.gz')
    {'suffix': 'cbf', 'datatype': 'perf', 'extension': '.nii.gz', 'desc': 'mean', 'subject': '01'}
    """

    def __init__(self, further: Iterable[str] = ()) -> None:
        config = Config.load(bids_entities.configuration(further))
        self._parse = functools.cache(functools.partial(parse_file_entities, config=config))

    def entities(self, name: str) -> Entities:
        """Return the entities of a file, by its path below the dataset's folder.

        Patterns look at one part of the base name between ``_``; those of suffix and extension at
        the last one, that of the datatype at the folder. Of an entity named twice the first counts.
        """
        *folders, base = _FOLDERS.split(name)
        *parts, last = base.split('_')
        found: dict[str, str] = dict(self._parse(f'/{"".join(folders[-1:])}/_{last}'))
        for part in reversed(parts):
            found |= self._parse(f'/{part}_')
        return found
