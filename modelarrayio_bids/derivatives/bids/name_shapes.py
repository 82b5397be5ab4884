"""Patterns of the names of images in a folder, as suggestions for ``--images``; its archives."""

from __future__ import annotations

import itertools
import os
import re
import shlex
from collections import Counter
from collections.abc import Callable, Iterator
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
_OF_WHOM = re.compile(r'^(_?(sub|ses|run)-[A-Za-z0-9]+)+')
# Ending of archives: the command that unpacks one beside itself.
_UNPACK = {
    **dict.fromkeys(('.tar', '.tar.gz', '.tar.xz', '.tar.bz2', '.tgz'), 'tar -xf'),
    '.zip': 'unzip -qn',
}
# Of images; what stands before ``.nii`` or ``.gii`` tells its kind.
_ENDINGS = tuple(ending for space in SPACES.values() for ending in space.extensions)
_ENDING = r'(\.[a-z]+)?(\.nii|\.gii)(\.gz)?$|\.mif(\.gz)?$|\.mg[hz]$'


def common_shapes(root: Path) -> list[tuple[str, int]]:
    """Return the commonest shapes of the paths of images below a folder, and how many have each.

    >>> shape('01/T1/01_thickness.dscalar.nii')
    '{participant}/T1/{participant}_thickness.dscalar.nii'
    >>> shape('mri/mwp1sub-01_T1w.nii')
    'mri/mwp1{participant}_T1w.nii'
    """
    names = itertools.islice(_files(root, _is_image), _MOST_IMAGES)
    counted = Counter(filter(None, map(shape, names)))
    return [found for found in counted.most_common(_MOST_SHAPES) if found[1] > 1]


def suggestion(root: Path) -> str:
    """Return a sentence with ready ``--images``, or how to unpack archives; blank if none is."""
    lines = [
        f"--images '{_scalar_of(pattern)}={pattern}' ({count} images)"
        for pattern, count in common_shapes(root)
    ]
    if lines:
        return f'If it is one of these, give it: {"; ".join(lines)}.'
    return unpacking(root)


def unpacking(root: Path) -> str:
    """Return a sentence with the command that unpacks the archives below a folder, if any."""
    names = itertools.islice(_files(root, lambda name: name.endswith(tuple(_UNPACK))), _MOST_IMAGES)
    kinds = Counter(_OF_WHOM.sub('*', PurePosixPath(name).name) for name in names)
    if not kinds:
        return ''
    ending = next(ending for ending in _UNPACK if next(iter(kinds)).endswith(ending))
    listed = ', '.join(f'{count} {kind}' for kind, count in kinds.most_common(_MOST_SHAPES))
    how = f"find {shlex.quote(str(root))} -name '*{ending}' -execdir {_UNPACK[ending]} {{}} ';'"
    return f'It holds archives ({listed}), in which nothing is looked for: unpack them with {how}'


def shape(name: str) -> str:
    """Return a path with ``{participant}`` where its first label is; blank without a label."""
    found = _LABEL.search(name)
    return '' if found is None else name.replace(found[0], f'{{{PARTICIPANT}}}')


def _is_image(name: str) -> bool:
    # Of a pair of hemispheres, one names both.
    return name.endswith(_ENDINGS) and files_of(Path(name))[0].name == name


def _files(root: Path, wanted: Callable[[str], bool]) -> Iterator[str]:
    """Yield the paths of files whose name is wanted."""
    waiting = [PurePosixPath()]
    while waiting:
        folder = waiting.pop()
        for entry in entries(root / folder):
            if wanted(entry.name):
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
