"""Patterns of the names of images in a folder, as suggestions for ``--images``."""

from __future__ import annotations

import itertools
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from modelarrayio_bids.derivatives.bids.folders import entries, is_folder
from modelarrayio_bids.derivatives.bids.patterns import PARTICIPANT
from modelarrayio_bids.spaces import SPACES, files_of

#: Images that are looked at, folders deep: enough to know the shapes of a large study.
_MOST_IMAGES, _DEEPEST = 20_000, 6
# That a suggestion lists.
_MOST_SHAPES = 3
# A label of BIDS, or else the first number of two digits or more: most studies count people.
_LABEL = re.compile(
    r'sub-[A-Za-z0-9]+|(?<![A-Za-z0-9])[A-Za-z]{0,4}[0-9]{2,}(?![A-Za-z0-9])|[0-9]{2,}'
)
# Of images; what stands before ``.nii`` or ``.gii`` tells its kind.
_ENDING = r'(\.[a-z]+)?(\.nii|\.gii)(\.gz)?$|\.mif(\.gz)?$|\.mg[hz]$'


def common_shapes(root: Path) -> list[tuple[str, int]]:
    """Return the commonest shapes of the paths of images below a folder, and how many have each.

    >>> shape('01/T1/01_thickness.dscalar.nii')
    '{participant}/T1/{participant}_thickness.dscalar.nii'
    >>> shape('mri/mwp1sub-01_T1w.nii')
    'mri/mwp1{participant}_T1w.nii'
    """
    names = itertools.islice(_images(root), _MOST_IMAGES)
    counted = Counter(filter(None, map(shape, names)))
    return [found for found in counted.most_common(_MOST_SHAPES) if found[1] > 1]


def suggestion(root: Path) -> str:
    """Return a sentence with ready ``--images``; blank where no shape is common."""
    lines = [
        f"--images '{_scalar_of(pattern)}={pattern}' ({count} images)"
        for pattern, count in common_shapes(root)
    ]
    return f'If it is one of these, give it: {"; ".join(lines)}.' if lines else ''


def shape(name: str) -> str:
    """Return a path with ``{participant}`` where its first label is; blank without a label."""
    found = _LABEL.search(name)
    return '' if found is None else name.replace(found[0], f'{{{PARTICIPANT}}}')


def _images(root: Path) -> Iterator[str]:
    endings = tuple(ending for space in SPACES.values() for ending in space.extensions)
    waiting = [PurePosixPath()]
    while waiting:
        folder = waiting.pop()
        for entry in entries(root / folder):
            if entry.name.endswith(endings):
                # Of a pair of hemispheres, one names both.
                if files_of(Path(entry.name))[0].name == entry.name:
                    yield (folder / entry.name).as_posix()
            elif (
                not entry.name.startswith('.')
                and len(folder.parts) < _DEEPEST
                and is_folder(entry)
                and not os.path.islink(entry.path)  # noqa: PTH114 - links may form a circle
            ):
                waiting.append(folder / entry.name)


def _scalar_of(pattern: str) -> str:
    """Return a name made of what a shape says beside the participant.

    >>> _scalar_of('mri/mwp1{participant}_T1w.nii')
    'mwp1_T1w'
    """
    base = re.sub(_ENDING, '', PurePosixPath(pattern).name)
    words = re.findall(r'[A-Za-z][A-Za-z0-9]*', base.replace(f'{{{PARTICIPANT}}}', ' '))
    return '_'.join(words) or 'image'
