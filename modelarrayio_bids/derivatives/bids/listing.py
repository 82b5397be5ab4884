"""The names of the images in a dataset, to be indexed.

pybids makes path objects for every file before it looks whether the file matters, and asks the disk
once more whether it is a folder: 8 of the 14 s that it took for 50,000 files. Here a folder is read
once, and names decide: 0.15 s.
"""

from __future__ import annotations

import logging
import os
import re
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from modelarrayio_bids.derivatives.bids.folders import Entry, entries, is_folder
from modelarrayio_bids.runtime.progress import tracked
from modelarrayio_bids.runtime.text_format import some

logger = logging.getLogger(__name__)

#: All that pybids is asked for: volumes, CIFTI files, and surface data with names of BIDS.
_IMAGES = ('.nii', '.nii.gz', '.shape.gii', '.func.gii')
#: Folders of a dataset's root that hold other datasets, or nothing that was measured.
_PASSED_OVER = ('derivatives', 'sourcedata', 'code', 'logs', 'figures', 'models', 'stimuli')


def passed_over(
    participants: Collection[str], sessions: Collection[str], folders: Collection[str]
) -> re.Pattern[str]:
    """Return a pattern of what is not to be read: paths below the root, with a ``/`` before them.

    Parameters
    ----------
    participants, sessions : collection of str
        Bare labels of the only ones wanted; all if there is none.
    folders : collection of str
        Folders of the root to be passed over as well.
    """
    patterns = [rf'^/({_any_of({*_PASSED_OVER, *folders})})(/|$)']
    if participants:
        patterns.append(rf'^/sub-(?!({_any_of(participants)})([/_.]|$))')
    if sessions:
        others = rf'ses-(?!({_any_of(sessions)})([/_.]|$))[^/]*'
        patterns.append(rf'^/sub-[^/]+/{others}/(?!anat(/|$))')
    return re.compile('|'.join(patterns))


def image_names(root: Path, ignored: re.Pattern[str] | None = None) -> list[str]:
    """Return every image below a folder, by its path from there with ``/`` between, sorted.

    Links are followed, but each folder is read once, whatever links to it. Hidden files and
    folders, and folders with a dot in their name, are passed over; a folder that cannot be read is
    too, with a warning.

    Parameters
    ----------
    root : pathlib.Path
        The folder.
    ignored : re.Pattern, optional
        As :func:`passed_over` makes it.
    """
    found = tracked(_found(root, ignored), f'Looking into {root.name}', None, 'images')
    names = sorted(found)
    if capitals := [name for name in names if not name.endswith(_IMAGES)]:
        logger.warning(
            '%s: %d images end in capitals, not in .nii or .nii.gz: left out; rename them: %s',
            *(root, len(capitals), some(capitals, most=3)),
        )
    return [name for name in names if name.endswith(_IMAGES)]


def _found(root: Path, ignored: re.Pattern[str] | None) -> Iterator[str]:
    """Yield the images of each folder once, however many links lead there."""
    seen: set[str] = set()
    # Name, and place on disk. Links wait until what they may lead to was reached by its own name.
    folders, links = [('', os.path.realpath(root))], deque[tuple[str, str]]()
    while folders or links:
        above, place = folders.pop() if folders else links.popleft()
        if place in seen:
            continue
        seen.add(place)
        for entry in _candidates(root / above):
            name = f'{above}{entry.name}'
            if ignored is not None and ignored.search(f'/{name}'):
                continue
            # Datalad's files are links, and what they lead to need not be there: not asked for.
            is_image = entry.name.lower().endswith(_IMAGES)
            if is_image and not entry.is_dir(follow_symlinks=False):
                yield name
            elif entry.is_dir(follow_symlinks=False) or is_folder(entry):
                if is_image:
                    logger.warning('%s is a folder, not an image, and is left out', entry.path)
                if not entry.is_symlink():
                    folders.append((f'{name}/', f'{place}/{entry.name}'))
                elif not f'{place}/'.startswith(f'{os.path.realpath(entry.path)}/'):
                    links.append((f'{name}/', os.path.realpath(entry.path)))


def _candidates(folder: Path) -> Iterator[Entry]:
    """Yield what may be an image or hold some."""
    for entry in entries(folder):
        hidden = entry.name.startswith('.')
        if not hidden and ('.' not in entry.name or entry.name.lower().endswith(_IMAGES)):
            yield entry


def _any_of(labels: Iterable[str]) -> str:
    return '|'.join(re.escape(label) for label in sorted(labels))
