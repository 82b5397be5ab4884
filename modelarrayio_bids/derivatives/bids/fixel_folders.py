"""Fixel directories by our own convention, since BIDS has none: ``docs/fixel-folders.md``.

::

    template/
      fd/      index.mif  directions.mif  sub-01.mif  sub-02.mif  ...
      log_fc/  index.mif  directions.mif  sub-01_ses-1.mif.gz  ...

The folder's name is the scalar's. pybids is not asked: it finds no suffix in ``sub-01.mif`` and
would need one, and where it does find one in ``sub-01_fd.mif`` that may contradict the folder.

>>> parse_name('sub-01_ses-2_fd')
{'subject': '01', 'session': '2'}
>>> parse_name('01'), parse_name('sub-A-01')
({}, {})
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from modelarrayio_bids.derivatives.bids import entities as bids_entities
from modelarrayio_bids.derivatives.bids.folders import entries, subfolders
from modelarrayio_bids.runtime.locations import location
from modelarrayio_bids.spaces.fixels import COMPANIONS, DIRECTORY_ENDINGS, is_fixel_directory

#: Entities, each whole, and then perhaps the name of the measure.
_NAME = re.compile(
    r'sub-[a-zA-Z0-9+]+(?:_[a-zA-Z0-9]+-[a-zA-Z0-9+]+)*(?P<measure>(?:_[a-zA-Z0-9.]+)*)'
)
# Data of the last kind are named as left out.
_ENDINGS = (*DIRECTORY_ENDINGS, '.mih')
_COMPANIONS = {f'{stem}{ending}' for stem in COMPANIONS for ending in DIRECTORY_ENDINGS}


def fixel_directories(root: Path) -> Iterator[Path]:
    """Yield the fixel directories of a dataset, sorted: its folder itself, or folders in it."""
    if is_fixel_directory(root):
        yield root
    else:
        # Participants may be many, and their folders are none.
        folders = (path for path in subfolders(root) if not path.name.startswith(('sub-', '.')))
        yield from filter(is_fixel_directory, folders)


def fixel_files(folder: Path) -> Iterator[tuple[Path, bids_entities.Entities]]:
    """Yield the data files of a fixel directory, sorted, with their entities.

    The name of the folder is the ``suffix``. A file whose name is not ``sub-<label>``, further
    entities and a measure has no ``subject``.
    """
    for path in (location(entry.path) for entry in entries(folder)):
        ending = next((end for end in _ENDINGS if path.name.endswith(end)), None)
        if ending is None or path.name in _COMPANIONS or path.name.startswith('.'):
            continue
        named = parse_name(path.name.removesuffix(ending))
        yield path, {**named, 'suffix': folder.name, 'extension': ending}


def parse_name(stem: str) -> dict[str, str]:
    """Return the entities in the name of a fixel file; none if it does not name a participant."""
    found = _NAME.fullmatch(stem)
    if found is None:
        return {}
    parts = stem.removesuffix(found['measure']).split('_')
    pairs = (part.split('-') for part in parts)
    return {bids_entities.ALIASES.get(key, key): label for key, label in pairs}
