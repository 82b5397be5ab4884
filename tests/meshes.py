"""Small surfaces, and files of them."""

import nibabel as nb
import numpy as np
from scipy.spatial import ConvexHull


def sphere(n_vertices, centre=(0.0, 0.0, 0.0), radii=(35.0, 85.0, 55.0)):
    """Points spread over an ellipsoid as a Fibonacci lattice, and their hull, wound outwards."""
    steps = np.arange(n_vertices) + 0.5
    polar, azimuth = np.arccos(1 - 2 * steps / n_vertices), np.pi * (1 + 5**0.5) * steps
    points = np.stack(
        [np.cos(azimuth) * np.sin(polar), np.sin(azimuth) * np.sin(polar), np.cos(polar)], axis=1
    )
    triangles = ConvexHull(points).simplices.astype(np.int32)
    a, b, c = np.moveaxis(points[triangles], 1, 0)
    inwards = (np.cross(b - a, c - a) * a).sum(axis=1) < 0
    triangles[inwards] = triangles[inwards][:, ::-1]
    return (points * radii + centre).astype(np.float32), triangles


def save_mesh(path, points, triangles, structure=None):
    """Write a GIFTI surface, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = {'AnatomicalStructurePrimary': structure} if structure else {}
    arrays = [
        nb.gifti.GiftiDataArray(points, 'NIFTI_INTENT_POINTSET', meta=meta),
        nb.gifti.GiftiDataArray(triangles, 'NIFTI_INTENT_TRIANGLE'),
    ]
    nb.save(nb.gifti.GiftiImage(darrays=arrays), path)
    return path
