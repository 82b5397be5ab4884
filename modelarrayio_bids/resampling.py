"""Maps on another grid, by linear interpolation: :func:`nibabel.processing.resample_from_to`.

nibabel hands the voxels to :func:`scipy.ndimage.affine_transform`. Whatever lies outside the field
of view of the image, or touches a voxel without a finite value, is NaN: nothing is made up.
"""

from __future__ import annotations

from itertools import product
from os import PathLike
from pathlib import Path

import numpy as np
from nibabel.affines import apply_affine
from nibabel.nifti1 import Nifti1Image

from modelarrayio_bids.__about__ import NAME
from modelarrayio_bids.errors import SpaceMismatchError
from modelarrayio_bids.formats import nifti
from modelarrayio_bids.runtime.atomic import replacing

#: For sidecars.
DESCRIPTION = {
    'Software': 'nibabel.processing.resample_from_to (scipy.ndimage.affine_transform)',
    'Interpolation': 'linear; of masks, nearest neighbour',
    'Outside': 'NaN outside the field of view of the original; 0 in masks',
}


def write_map(image: Path, like: Path, output: str | PathLike[str]) -> None:
    """Write a map on the grid of another image, float32.

    Raises
    ------
    SpaceMismatchError
        If nothing of it is on that grid.
    """
    target = nifti.Volume.from_file(like)
    with nifti.opened(image) as voxels:
        source = voxels.volume
        values = voxels.take(np.arange(voxels.flat.size)).reshape(source.shape, order='F')
    data = resampled(values.astype(np.float64), source, target, order=1, outside=np.nan)
    if not np.isfinite(data).any():
        raise _apart(source, target)
    header = nifti.map_header(target.header, NAME)
    with replacing(output, if_other=True) as partial:
        nifti.write_volume(header, data.astype(np.float32), partial)


def resampled(
    values: np.ndarray,
    source: nifti.Volume,
    target: nifti.Volume,
    order: int,
    outside: float = 0.0,
) -> np.ndarray:
    """Return values on the grid of another image.

    Parameters
    ----------
    values : numpy.ndarray
        (i, j, k), of the source.
    source, target : modelarrayio_bids.formats.nifti.Volume
        Grids of the voxels before and after resampling.
    order : int
        Order of the spline: 0 for nearest neighbour, 1 for linear interpolation.
    outside : float, optional
        Value where the source has none.
    """
    # It loads scipy, which takes 0.2 s and 25 MB that most runs do without.
    from nibabel.processing import resample_from_to  # noqa: PLC0415

    place = target.shape, target.affine
    moved = resample_from_to(Nifti1Image(values, source.affine), place, order=order, cval=outside)
    return np.asanyarray(moved.dataobj)


def require_overlap(image: Path, like: Path) -> None:
    """Refuse images whose fields of view have nothing in common, from their headers.

    Raises
    ------
    SpaceMismatchError
        With both files.
    """
    source, target = nifti.Volume.from_file(image), nifti.Volume.from_file(like)
    ends = [(-0.5, n - 0.5) for n in target.shape]
    corners = apply_affine(np.linalg.inv(source.affine) @ target.affine, list(product(*ends)))
    # The box around the target's corners, in voxels of the source.
    beyond = corners.min(axis=0) > np.array(source.shape) - 0.5
    if (beyond | (corners.max(axis=0) < -0.5)).any():
        raise _apart(source, target)


def _apart(source: nifti.Volume, target: nifti.Volume) -> SpaceMismatchError:
    return SpaceMismatchError(
        f'shares no field of view with {target.path}, on whose grid it should be',
        source.path,
        'Check both in a viewer, or leave the image out.',
    )
