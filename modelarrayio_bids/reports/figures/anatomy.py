"""The anatomy below maps of voxels: a template's, or one of the subjects' in the same space.

Only images in the space of the sources are used, so that no subject's own anatomy is drawn below
maps of the group. In MNI152 spaces there is always one: the package has a template.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
from nibabel.affines import apply_affine
from scipy import ndimage

from modelarrayio_bids.derivatives.bids.entities import is_native
from modelarrayio_bids.errors import ModelArrayIOError
from modelarrayio_bids.formats import nifti
from modelarrayio_bids.reports.figures.panels import Panel
from modelarrayio_bids.reports.findings.nearby_files import (
    VOLUME_SPACES,
    anatomical_files,
    space_label,
    template_files,
)

logger = logging.getLogger(__name__)

#: The package's template, and how the spaces begin that it is good enough for.
TEMPLATE = 'tpl-MNI152NLin2009aSym_res-02_desc-brain_T1w.nii.gz'
_MNI152 = 'MNI152'


class Anatomy:
    """An anatomical image, to be shown below a map in grey.

    Parameters
    ----------
    path : pathlib.Path
        A NIfTI volume.

    Raises
    ------
    SourceNotFoundError, FormatError
        If it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with nifti.opened(path) as voxels:
            values = voxels.take(np.arange(voxels.flat.size)).astype(np.float32)
            self._values = values.reshape(voxels.volume.shape, order='F')
            self._inverse = np.linalg.inv(voxels.volume.affine)

    @property
    def description(self) -> str:
        """The name of its file."""
        return self.path.name

    def under(self, panels: Sequence[Panel], weights: np.ndarray | None) -> list[np.ndarray]:
        """Sample the image below each panel, by linear interpolation: NaN outside of it."""
        inverse = self._inverse
        places = (np.moveaxis(apply_affine(inverse, each.positions()), -1, 0) for each in panels)
        return [ndimage.map_coordinates(self._values, at, order=1, cval=np.nan) for at in places]

    def on_grid(self, shape: tuple[int, ...], affine: np.ndarray) -> np.ndarray:
        """Sample the image on a grid, (4, 4) indices to mm: float32 of this shape."""
        matrix = self._inverse @ affine
        return ndimage.affine_transform(
            *(self._values, matrix[:3, :3], matrix[:3, 3], shape),
            order=1,
            cval=np.nan,
            output=np.float32,
        )


def find_anatomy(sources: Sequence[Path]) -> Anatomy | None:
    """Return the first image that can be read; None without one, or without a shared space.

    Parameters
    ----------
    sources : sequence of pathlib.Path
        Images of the cohort, whose names give the space.
    """
    space = space_label(sources)
    if space is None or is_native(space):
        return None
    for path in _candidates(VOLUME_SPACES.get(space, space), sources):
        try:
            return Anatomy(path)
        except (ModelArrayIOError, np.linalg.LinAlgError) as error:
            logger.info('Not used as anatomy: %s', error)
    return None


def _candidates(space: str, sources: Sequence[Path]) -> Iterator[Path]:
    """Yield the template, its whole heads before its brains; the subjects'; then the package's."""
    templates = template_files([space], f'tpl-{space}*_T1w.nii.gz')
    yield from sorted(templates, key=lambda path: ('_desc-' in path.name, path.name))
    yield from anatomical_files(sources, f'*_space-{space}_*desc-preproc_T1w.nii.gz')
    if space.startswith(_MNI152):
        yield Path(str(files('modelarrayio_bids'))) / 'data' / 'templates' / TEMPLATE
