"""Whether two outputs hold the same values, bit for bit."""

from pathlib import Path

import h5py
import nibabel as nb
import numpy as np

BLOCK = 64 * 2**20


def same_stores(one: Path, other: Path) -> bool:
    """Whether two HDF5 files have the same matrix for every scalar."""
    with h5py.File(one) as a, h5py.File(other) as b:
        scalars = set(a['scalars'])
        return scalars == set(b['scalars']) and all(
            _same_matrix(a[path], b[path])
            for path in (f'scalars/{scalar}/values' for scalar in scalars)
        )


def same_images(one: Path, other: Path) -> bool:
    """Whether two folders have the same NIfTI images."""
    names = {path.name for path in one.glob('*.nii.gz')}
    return names == {path.name for path in other.glob('*.nii.gz')} and all(
        _same_bits(*(np.asanyarray(nb.load(folder / name).dataobj) for folder in (one, other)))
        for name in names
    )


def _same_matrix(one, other):
    if (one.shape, one.dtype) != (other.shape, other.dtype):
        return False
    # Whole chunks of the larger kind, so that none is inflated often.
    chunk = max(one.chunks[1], other.chunks[1])
    width = chunk * max(1, BLOCK // (one.shape[0] * chunk * one.dtype.itemsize))
    starts = range(0, one.shape[1], width)
    return all(_same_bits(one[:, i : i + width], other[:, i : i + width]) for i in starts)


def _same_bits(one, other):
    return one.dtype == other.dtype and one.tobytes() == other.tobytes()
