"""The mesh of a cortex, from GIFTI files and FreeSurfer's.

nibabel parses them; here is what a mesh needs, checked.
"""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike

import numpy as np
from nibabel.freesurfer import read_geometry

from modelarrayio_bids.errors import FormatError
from modelarrayio_bids.formats import compression, gifti

EXTENSION = '.surf.gii'


@dataclass(frozen=True)
class Mesh:
    """A surface of triangles.

    Parameters
    ----------
    points : numpy.ndarray
        (n_vertices, 3) float32, mm in RAS+.
    triangles : numpy.ndarray
        (n_triangles, 3) int32, positions in ``points``.
    structure : str, optional
        As GIFTI writes it: ``CortexLeft``; empty where the file does not say.
    places : numpy.ndarray, optional
        (n_vertices, 3) float32, mm in RAS+: where vertices are in the head, if ``points`` may be
        those of an inflated surface.
    """

    points: np.ndarray
    triangles: np.ndarray
    structure: str = ''
    places: np.ndarray | None = None

    @classmethod
    def from_file(cls, path: str | PathLike[str]) -> Mesh:
        """Read a ``.surf.gii`` file, or with any other ending one of FreeSurfer's.

        Raises
        ------
        SourceNotFoundError
            If there is no such file.
        FormatError
            If it is not of its format, or not one mesh.
        """
        if not str(path).endswith(EXTENSION):
            return cls(*_of_freesurfer(path))
        image = gifti.parsed(path)
        points = image.agg_data('NIFTI_INTENT_POINTSET')
        triangles = image.agg_data('NIFTI_INTENT_TRIANGLE')
        if not (_is_table(points, 'f') and _is_table(triangles, 'iu')):
            raise FormatError('holds no mesh', path, 'Give a .surf.gii file.')
        if triangles.size and not 0 <= triangles.min() <= triangles.max() < len(points):
            raise FormatError('has triangles with missing vertices', path)
        if not np.isfinite(points).all():
            raise FormatError('has vertices without coordinates (NaN)', path)
        meta = image.get_arrays_from_intent('NIFTI_INTENT_POINTSET')[0].meta
        structure = meta.get(gifti.STRUCTURE, '')
        return cls(points.astype(np.float32), triangles.astype(np.int32), structure)


def _of_freesurfer(path: str | PathLike[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return points and triangles of a file such as ``lh.inflated``."""
    compression.read_start(path, 1)  # has a word on content that is elsewhere
    try:
        points, triangles = read_geometry(path)
    except (IndexError, OSError, ValueError) as error:
        raise FormatError('holds no mesh of FreeSurfer', path) from error
    if not len(triangles) or not 0 <= triangles.min() <= triangles.max() < len(points):
        raise FormatError('has triangles with missing vertices', path)
    return points.astype(np.float32), triangles.astype(np.int32)


def _is_table(data: object, kinds: str) -> bool:
    """Return whether it is one array of triples; several come as a tuple, none as an empty one."""
    return (
        isinstance(data, np.ndarray)
        and data.dtype.kind in kinds
        and data.ndim == 2
        and data.shape[1] == 3
        and len(data) > 0
    )
