"""Small CIFTI files: two cortices with medial walls, two structures of voxels, four parcels."""

import nibabel as nb
import numpy as np
from images import AFFINE, SHAPE
from nibabel.cifti2 import BrainModelAxis, ParcelsAxis, ScalarAxis

N_VERTICES = 40


def left(vertices=range(3, 40, 2)):
    return BrainModelAxis.from_surface(list(vertices), N_VERTICES, 'CortexLeft')


def right(vertices=range(30)):
    return BrainModelAxis.from_surface(list(vertices), N_VERTICES, 'CortexRight')


def voxels(name='BrainStem', first=0, count=7, affine=AFFINE, shape=SHAPE):
    ijk = np.argwhere(np.ones(shape))[first : first + count]
    return BrainModelAxis(name, voxel=ijk, affine=affine, volume_shape=shape)


def brain_models(**keywords):
    """66 greyordinates: 19 + 30 vertices, 7 + 10 voxels."""
    return left() + right() + voxels(**keywords) + voxels('ThalamusLeft', 50, 10, **keywords)


def parcels(**keywords):
    """Four parcels: three on a surface, the last of voxels and vertices."""
    return ParcelsAxis.from_brain_models(
        [
            ('V1', left([3, 5, 7])),
            ('V2', left([9, 11])),
            ('MT', right([0, 4, 8])),
            ('Thalamus', voxels('ThalamusLeft', 50, 4, **keywords) + right([20])),
        ]
    )


def maps(*names):
    return ScalarAxis(list(names))


def save_matrix(path, data, axes, dtype=None):
    """Write with nibabel in the type of the data, and return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nb.Cifti2Image(data, header=axes)
    image.nifti_header.set_data_dtype(dtype or data.dtype)
    nb.save(image, path)
    return path


def save_map(path, values, elements, name='x'):
    """Write one map of one value per element."""
    return save_matrix(path, np.asarray(values)[np.newaxis], (maps(name), elements))


def random_values(*shape, seed=1):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)
