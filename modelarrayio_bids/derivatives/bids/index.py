"""Entities of the images of a dataset, as pybids parses them from a listing of names.

The index of :class:`bids.BIDSLayout` is a database with several rows and objects per file, and asks
the disk about each. Names repeat their parts, though: 50,000 images of 500 subjects have a few
hundred. :func:`bids.layout.parse_file_entities` is asked once for each part, and nothing is stored.

A dataset's own ``layout_config.json``, with which pybids would know further entities, is not read.
Nor do settings of pybids itself matter: it reads ``pybids_config.json`` in the home folder, and
ends with a traceback where that folder may not be entered (on compute nodes, say), does not exist,
or holds a damaged file.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from modelarrayio_bids.derivatives.bids import entities as bids_entities
from modelarrayio_bids.derivatives.bids.entities import Entities
from modelarrayio_bids.errors import FormatError
from modelarrayio_bids.runtime.locations import location
from modelarrayio_bids.runtime.progress import tracked

_FOLDERS = re.compile(r'[/\\]')


@contextmanager
def _without_home() -> Iterator[None]:
    """Have no file in the home folder."""
    before = os.environ.get('HOME')
    os.environ['HOME'] = os.devnull
    try:
        yield
    finally:
        del os.environ['HOME']
        if before is not None:
            os.environ['HOME'] = before


try:
    with _without_home():
        from bids.layout import Config, parse_file_entities
except (OSError, ValueError) as error:
    raise FormatError(
        f'pybids cannot read its settings ({error})',
        'pybids_config.json',
        'Fix this file in the working folder, or the one that PYBIDS_CONFIG names.',
    ) from error


def index_names(root: Path, names: Sequence[str]) -> Iterator[tuple[Path, Entities]]:
    """Yield path and entities of each image.

    Parameters
    ----------
    root : pathlib.Path
        The dataset's folder, absolute.
    names : sequence of str
        Paths from there, with ``/`` between, sorted.

    Examples
    --------
    >>> [(_, found)] = index_names(Path('/x'), ['sub-01/perf/sub-01_desc-mean_cbf.nii.gz'])
    >>> found
    {'suffix': 'cbf', 'datatype': 'perf', 'extension': '.nii.gz', 'desc': 'mean', 'subject': '01'}
    """
    base_names = (name.rpartition('/')[2] for name in names)
    further = {key for name in base_names for key in bids_entities.unknown_pairs(name)}
    config = Config.load(bids_entities.configuration(sorted(further)))
    parse = functools.cache(functools.partial(parse_file_entities, config=config))
    for name in tracked(names, f'Indexing {root.name}', len(names), 'names'):
        # Ten times as fast as root / name.
        yield location(os.path.join(root, name)), _entities(name, parse)  # noqa: PTH118


def _entities(name: str, parse: Callable[[str], Mapping[str, str]]) -> Entities:
    """Return the entities of a file, by its path below the dataset's folder.

    Patterns look at one part of the base name between ``_``; those of suffix and extension at the
    last one, that of the datatype at the folder. Of an entity named twice the first counts.
    """
    *folders, base = _FOLDERS.split(name)
    *parts, last = base.split('_')
    found = dict(parse(f'/{"".join(folders[-1:])}/_{last}'))
    for part in reversed(parts):
        found |= parse(f'/{part}_')
    return found
