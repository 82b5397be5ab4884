"""Masks: the group's, a subject's on another grid, and one made from a map.

>>> import numpy as np
>>> counts = np.array([[[5, 4, 1, 0]]], dtype=np.int32)
>>> found = Coverage(counts, n_masks=5, header=None)
>>> found.group_mask(0.2).astype(int).ravel().tolist()
[1, 1, 1, 0]
>>> found.group_mask(1.0).astype(int).ravel().tolist()
[1, 0, 0, 0]
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from threading import Lock

import numpy as np
from nibabel.nifti1 import Nifti1Header

from modelarrayio_bids.__about__ import NAME
from modelarrayio_bids.errors import (
    EmptyCohortError,
    ModelArrayIOError,
    RemoteFileError,
    SpaceError,
    SpaceMismatchError,
    UsageError,
    raise_problems,
)
from modelarrayio_bids.formats import nifti
from modelarrayio_bids.resampling import resampled
from modelarrayio_bids.runtime.atomic import replacing
from modelarrayio_bids.runtime.locations import location, readers
from modelarrayio_bids.runtime.parallel import ordered_map
from modelarrayio_bids.runtime.progress import tracked
from modelarrayio_bids.runtime.text_format import count
from modelarrayio_bids.spaces.geometry import Grid
from modelarrayio_bids.spaces.voxels import VoxelSpace

logger = logging.getLogger(__name__)

#: Fraction of the masks a voxel must be in: the default of ``num.subj.lthr.rel`` in ModelArray,
#: which leaves out an element that fewer subjects have. So no voxel it would analyse by default is
#: missing; in small cohorts its ``num.subj.lthr.abs`` of 10 subjects leaves out more.
DEFAULT_THRESHOLD = 0.2
# Voxels looked at together.
_PART = 2**20


@dataclass(frozen=True)
class Coverage:
    """Number of masks that each voxel is in.

    Parameters
    ----------
    counts : numpy.ndarray
        (i, j, k) int32.
    n_masks : int
        Number of masks that were counted.
    header : nibabel.nifti1.Nifti1Header
        Geometry of the masks.
    """

    counts: np.ndarray
    n_masks: int
    header: Nifti1Header

    def group_mask(self, threshold: float = DEFAULT_THRESHOLD) -> np.ndarray:
        """Return the voxels in at least ``ceil(threshold * n_masks)`` masks: (i, j, k) bool.

        Raises
        ------
        UsageError
            If the threshold is not above 0 and at most 1.
        SpaceError
            If no voxel is in so many masks.
        """
        needed = masks_needed(threshold, self.n_masks)
        mask = self.counts >= needed
        if not mask.any():
            raise SpaceError(
                f'no voxel is in {needed} of the {self.n_masks} masks (the best covered is in '
                f'{self.counts.max(initial=0)})',
                remedy='Lower --group-mask-threshold, or check whether the masks overlap.',
            )
        return mask


def masks_needed(threshold: float, n_masks: int) -> int:
    """Return in how many masks a voxel must be: the fraction, rounded up.

    >>> masks_needed(0.2, 5), masks_needed(0.7, 10), masks_needed(0.07, 100), masks_needed(0.2, 24)
    (1, 7, 7, 5)

    Raises
    ------
    UsageError
        If the threshold is not above 0 and at most 1.
    """
    if not 0 < threshold <= 1:
        raise UsageError(
            f'a group mask threshold of {threshold} is not a fraction',
            remedy='Give a number above 0 and at most 1: the fraction of subjects a voxel needs.',
        )
    # 0.07 * 100 is 7.000000000000001 in binary: rounding up must not make 8 of it.
    return max(1, math.ceil(round(threshold * n_masks, 6)))


def coverage(masks: Sequence[Path], threads: int = 1) -> Coverage:
    """Count in how many masks each voxel is above 0.

    Every header is checked before any data are read. A thread has one mask in memory at a time; a
    file that stands several times is read once and counted as often as it stands.

    Raises
    ------
    EmptyCohortError
        If there is no mask.
    SourceNotFoundError, FormatError
        If one cannot be read.
    SpaceMismatchError
        If one is not on the grid that most of them share.
    CohortProblemsError
        If several of these are found.
    """
    times = Counter(location(mask) for mask in masks)
    if not times:
        raise EmptyCohortError('there is no mask to compute a group mask from')
    volumes, problems = _headers(times)
    raise_problems([*problems, *_off_grid(volumes, times)])
    counts = np.zeros(volumes[0].shape, np.int32)
    lock = Lock()

    def add(volume: nifti.Volume) -> None:
        with nifti.opened(volume.path) as mask:
            present = mask.positive()
        with lock:
            np.add(counts, np.int32(times[volume.path]), out=counts, where=present)

    counted = ordered_map(add, volumes, readers(times, threads))
    for _ in tracked(counted, 'Counting masks', len(volumes), 'masks'):
        pass
    return Coverage(counts, times.total(), volumes[0].header)


def group_mask(
    masks: Sequence[Path],
    output: str | PathLike[str],
    threshold: float = DEFAULT_THRESHOLD,
    coverage_output: str | PathLike[str] | None = None,
    threads: int = 1,
    *,
    given: Path | None = None,
) -> Path:
    """Write the voxels that enough masks have, or those of a given mask, and how many have each.

    Parameters
    ----------
    masks : sequence of pathlib.Path
        One per image, all on one grid.
    output : path-like
        The group mask, uint8.
    threshold : float, optional
        Fraction of the masks a voxel must be in, above 0 and at most 1.
    coverage_output : path-like, optional
        The number of masks each voxel is in, int32.
    threads : int, optional
        Threads that read.
    given : pathlib.Path, optional
        The group mask itself, which replaces the threshold.

    Returns
    -------
    pathlib.Path
        The group mask.

    Raises
    ------
    ModelArrayIOError
        As :func:`coverage` and :meth:`Coverage.group_mask`, or if nothing can be written; if the
        mask given is empty or on another grid.
    """
    masks_needed(threshold, len(masks))
    found = coverage(masks, threads)
    mask = (
        found.group_mask(threshold)
        if given is None
        else _given(given, Grid(found.counts.shape, found.header.get_best_affine()))
    )
    _write(found.header, mask.astype(np.uint8), output)
    if coverage_output is not None:
        _write(found.header, found.counts, coverage_output)
    return Path(output)


def _given(path: Path, grid: Grid) -> np.ndarray:
    space = VoxelSpace.from_mask_file(path)
    if space.grid != grid:
        raise SpaceMismatchError(
            grid.mismatch(space.grid), path, 'Give a group mask on the grid of the images.'
        )
    return space.mask


def say_unless_binary(path: Path) -> None:
    """Warn of a mask given by the user that is not 0 (or NaN) and one value above.

    Its voxels above 0 are taken all the same, as ``modelarrayio`` takes them. An image that cannot
    be read is left to its reader.
    """
    try:
        with nifti.opened(path) as voxels:
            size, parts = voxels.flat.size, _in_parts(voxels)
            found = [_counted(np.nan_to_num(part)) for part in parts]
    except ModelArrayIOError:
        return
    different = sorted({value for values, _ in found for value in values.tolist()})
    if different[-1] <= 0 or (len(different) == 2 and different[0] == 0):
        return
    inside = sum(int(times[values > 0].sum()) for values, times in found)
    taken = 'all' if inside == size else f'{inside:,} of {size:,}'
    logger.warning(
        '%s: has %s, a mask has two, 0 and another: voxels above 0 are taken, %s. Give a brain '
        'mask if this is not one.',
        *(path, count(len(different), 'different value'), taken),
    )


def _counted(part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the different values, and how many there are of each: of a mask, without sorting."""
    ends = np.array([part.min(), part.max()])
    times = np.array([np.count_nonzero(part == end) for end in ends])
    if times.sum() == part.size:
        return ends, times
    return np.unique(part, return_counts=True)


def _in_parts(voxels: nifti.Voxels) -> Iterator[np.ndarray]:
    """Yield the values of an image, a part at a time: less memory."""
    for start in range(0, voxels.flat.size, _PART):
        yield voxels.take(np.arange(start, min(start + _PART, voxels.flat.size)))


def write_resampled(mask: Path, like: Path, output: str | PathLike[str]) -> None:
    """Write a mask on the grid of another image, by nearest neighbour.

    Raises
    ------
    SpaceMismatchError
        If nothing of the mask is on that grid.
    """
    with nifti.opened(mask) as voxels:
        volume, inside = voxels.volume, voxels.positive()
    _write_on(like, volume, inside, output)


def write_present(image: Path, output: str | PathLike[str], like: Path | None = None) -> None:
    """Write the mask of an image's finite voxels other than zero.

    Parameters
    ----------
    image : pathlib.Path
        The map.
    output : path-like
        The mask, uint8.
    like : pathlib.Path, optional
        An image on the grid it should have, by nearest neighbour; else the map's own.

    Raises
    ------
    SpaceError
        If there is none.
    """
    with nifti.opened(image) as voxels:
        volume, present = voxels.volume, voxels.present()
    if not present.any():
        raise SpaceError(
            'has no finite value other than zero', image, 'Leave this image out, or make it again.'
        )
    if like is None:
        _write(volume.header, present.astype(np.uint8), output)
    else:
        _write_on(like, volume, present, output)


def _write_on(
    like: Path, volume: nifti.Volume, inside: np.ndarray, output: str | PathLike[str]
) -> None:
    target = nifti.Volume.from_file(like)
    data = resampled(inside.astype(np.uint8), volume, target, order=0).astype(np.uint8)
    if not data.any():
        raise SpaceMismatchError(
            f'has no voxel on the grid of {like}', volume.path, 'Check both in a viewer.'
        )
    _write(target.header, data, output)


def coverage_counts(path: Path, n_masks: int) -> np.ndarray:
    """Count voxels of a coverage map in no mask, in one, …, in all: (n_masks + 1,) int64.

    Raises
    ------
    SourceNotFoundError, FormatError
        If it cannot be read.
    """
    counts = np.zeros(n_masks + 1, np.int64)
    with nifti.opened(path) as voxels:
        for part in _in_parts(voxels):
            # A map of an earlier cohort, of more people, is not counted beyond them.
            inside = np.clip(part.astype(np.int64), 0, n_masks)
            counts += np.bincount(inside, minlength=n_masks + 1)
    return counts


def same_grid(one: Path, other: Path) -> bool:
    """Return whether two images share their voxels, from their headers."""
    return Grid.of(nifti.Volume.from_file(one)) == Grid.of(nifti.Volume.from_file(other))


def grid_problems(images: Sequence[Path], reference: Path | None = None) -> list[ModelArrayIOError]:
    """Return what keeps images from being analysed together, from their headers.

    Parameters
    ----------
    images : sequence of pathlib.Path
        Maps and masks.
    reference : pathlib.Path, optional
        An image on the grid expected; without it, that is the grid most of them share.

    Returns
    -------
    list of ModelArrayIOError
        One for each file that cannot be read or lies on another grid.
    """
    times = Counter(images)
    volumes, problems = _headers(times)
    if reference is None:
        return [*problems, *_off_grid(volumes, times)]
    expected, unreadable = _headers([reference])
    if unreadable:
        return [*problems, *unreadable]
    grid = Grid.of(expected[0])
    unlike = _unlike(grid, volumes, str(reference))
    if 1 < len(volumes) == len(unlike) and not _off_grid(volumes, times):
        mismatch = grid.mismatch(Grid.of(volumes[0]))
        what = f'is on another grid than all {len(volumes)} images and masks: each {mismatch}'
        remedy = 'Give one on their grid, or move them to its grid: --on-grid-mismatch resample.'
        return [*problems, SpaceMismatchError(what, reference, remedy)]
    return [*problems, *unlike]


def _headers(paths: Collection[Path]) -> tuple[list[nifti.Volume], list[ModelArrayIOError]]:
    volumes: list[nifti.Volume] = []
    problems: list[ModelArrayIOError] = []
    found = ordered_map(_header, paths, readers(paths, 1))
    for one in tracked(found, 'Checking headers', len(paths), 'volumes'):
        if isinstance(one, nifti.Volume):
            volumes.append(one)
        else:
            problems.append(one)
    return volumes, problems


def _header(path: Path) -> nifti.Volume | ModelArrayIOError:
    try:
        return nifti.Volume.from_file(path)
    except (UsageError, RemoteFileError):
        raise
    except ModelArrayIOError as error:
        return error


def _off_grid(
    volumes: Sequence[nifti.Volume], times: Mapping[Path, int]
) -> list[SpaceMismatchError]:
    """Return errors of the masks that do not lie on the grid most of them share."""
    families: list[tuple[Grid, list[nifti.Volume]]] = []
    for volume in volumes:
        grid = Grid.of(volume)
        family = next((members for shared, members in families if shared == grid), None)
        if family is None:
            families.append((grid, [volume]))
        else:
            family.append(volume)
    if not families:
        return []
    counts = [sum(times[volume.path] for volume in members) for _, members in families]
    common = families[counts.index(max(counts))][0]
    return _unlike(common, volumes, f'{max(counts)} of {sum(counts)} files')


def _unlike(
    expected: Grid, volumes: Sequence[nifti.Volume], whose: str
) -> list[SpaceMismatchError]:
    """Return errors of the images on another grid than that expected, with whose that is."""
    return [
        SpaceMismatchError(
            f'{expected.mismatch(Grid.of(volume))}; the grid of {whose} is expected',
            volume.path,
            'Resample it (--on-grid-mismatch resample), or leave its image out (drop).',
        )
        for volume in volumes
        if Grid.of(volume) != expected
    ]


def _write(header: Nifti1Header, data: np.ndarray, path: str | PathLike[str]) -> None:
    with replacing(path, if_other=True) as partial:
        nifti.write_volume(nifti.map_header(header, NAME), data, partial)
