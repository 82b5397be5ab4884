"""Values of the vertices of one hemisphere, in the formats of FreeSurfer and GIFTI.

Which hemisphere a file is of is told by its name, as FreeSurfer, BIDS and the HCP write it. CAT12's
``s12.mesh.….gii`` holds both, the left half of its vertices before the right one.

>>> side('lh.thickness.fwhm10.fsaverage.mgh'), side('sub-1_hemi-R_space-fsLR_sulc.shape.gii')
('L', 'R')
>>> in_side('100307.L.thickness.32k_fs_LR.shape.gii', 'R')
'100307.R.thickness.32k_fs_LR.shape.gii'
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Self

import numpy as np

from modelarrayio_bids.errors import FormatError, SpaceMismatchError
from modelarrayio_bids.formats import compression, gifti, mgh
from modelarrayio_bids.formats.maps import map_position
from modelarrayio_bids.runtime.locations import location

EXTENSIONS = (*gifti.EXTENSIONS, *mgh.EXTENSIONS)
#: Of a label of FreeSurfer's, and of all files that may be a mask.
LABEL = '.label'
MASK_EXTENSIONS = (*EXTENSIONS, '.label.gii', LABEL)
#: Left, then right, as BIDS writes them.
SIDES = ('L', 'R')
#: Spellings of both in names of files, between dots and underscores, the plainest first.
_SPELLINGS = (('hemi-L', 'hemi-R'), ('hemi-lh', 'hemi-rh'), ('lh', 'rh'), ('L', 'R'))
_BOTH = re.compile(r'(?:^|\.)mesh\..*\.gii$')
# FreeSurfer's values and, with the participant's name behind, CAT12's. Other files have an ending.
_OTHER = 'annot|asc|csv|ctab|dat|gii|gz|json|label|log|mat|mgh|mgz|nii|png|stats|tsv|txt|w'
_CURV = re.compile(rf'[lr]h\.(?!.*\.(?:{_OTHER})$)')
_STRUCTURES = {'CortexLeft': 'L', 'CortexRight': 'R'}


@dataclass(frozen=True)
class SurfaceMaps:
    """The header of a file of one hemisphere.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    n_vertices : int
        Vertices of its surface.
    names : tuple of str
        Names of its maps; a number for each where it has no names.
    side : str
        The hemisphere that the file itself says it is of; empty where it does not.
    columns : numpy.ndarray, optional
        (n_vertices, n_maps), where reading the header took reading all.
    """

    path: Path
    n_vertices: int
    names: tuple[str, ...]
    side: str = ''
    columns: np.ndarray | None = None

    @classmethod
    def from_file(cls, path: str | PathLike[str], half: str = '') -> Self:
        """Read the header.

        Parameters
        ----------
        path : path-like
            The file.
        half : str, optional
            The hemisphere, ``L`` or ``R``, to take of a file that holds both.

        Raises
        ------
        SourceNotFoundError, FormatError
            If it cannot be read, or the file holds no values of one surface.
        """
        path = location(path)
        if _is_mgh(path):
            n_vertices, n_maps = mgh.dimensions(path)
            return cls(path, n_vertices, tuple(str(number + 1) for number in range(n_maps)))
        if is_curv(path.name):
            values = mgh.read_curv(path)
            return cls(path, len(values), ('1',), columns=values[:, np.newaxis])
        image = gifti.parsed(path)
        columns = gifti.columns(image, path)
        names = tuple(gifti.map_names(image, columns.shape[1]))
        of = _STRUCTURES.get(gifti.structure(image), '')
        if half and holds_both(path.name):
            columns, of = _half(columns, half, path), ''
        return cls(path, len(columns), names, of, columns)

    def read(self, choice: str | None = None) -> np.ndarray:
        """Return one map, (n_vertices,): float32 as it is on disk, any other type as float64.

        Parameters
        ----------
        choice : str, optional
            As :func:`~modelarrayio_bids.formats.maps.map_position` takes it.

        Raises
        ------
        FormatError
            If that is no one map, or the data cannot be read.
        """
        index = map_position(self.names, choice, self.path)
        return mgh.read(self.path, index) if self.columns is None else self._column(index)

    def maps(self, numbers: Sequence[int]) -> Iterator[np.ndarray]:
        """Yield some maps, by number from 0, in rising order: each as :meth:`read`."""
        if self.columns is None:
            return mgh.maps(self.path, numbers)
        return map(self._column, sorted(numbers))

    def _column(self, index: int) -> np.ndarray:
        assert self.columns is not None
        dtype = self.columns.dtype
        if dtype.kind not in 'fiu':
            raise FormatError(f'holds values of type {dtype}', self.path, 'Give real numbers.')
        is_single = dtype.newbyteorder('=') == np.float32
        return self.columns[:, index].astype(np.float32 if is_single else np.float64)


def is_curv(name: str) -> bool:
    """Return whether a file is FreeSurfer's, of values, without an ending.

    >>> is_curv('lh.thickness'), is_curv('rh.thickness.sub-01_T1w'), is_curv('lh.cortex.label')
    (True, True, False)
    """
    return _CURV.match(name) is not None


def holds_both(name: str) -> bool:
    """Return whether a file holds both hemispheres.

    >>> holds_both('s12.mesh.thickness.resampled_32k.sub-01.gii'), holds_both('lh.mesh.gii')
    (True, False)
    """
    return _BOTH.search(name) is not None and not side(name)


def _half(columns: np.ndarray, half: str, path: Path) -> np.ndarray:
    n_vertices, odd = divmod(len(columns), len(SIDES))
    if odd:
        what = f'has {len(columns):,} vertices, which two hemispheres cannot share'
        raise FormatError(what, path, 'Resample it again, both hemispheres merged.')
    start = SIDES.index(half) * n_vertices
    return columns[start : start + n_vertices]


def read_mask(path: Path, n_vertices: int) -> np.ndarray:
    """Return which vertices a mask names, (n_vertices,) boolean.

    Parameters
    ----------
    path : pathlib.Path
        A label of FreeSurfer's, which lists them, or a file with a number above 0 for each.
    n_vertices : int
        Vertices of the surface.

    Raises
    ------
    SourceNotFoundError, FormatError, SpaceMismatchError
        If it cannot be read, or is of a surface of another size.
    """
    if path.name.endswith(LABEL):
        listed = _listed(path)
        outside = listed[(listed < 0) | (listed >= n_vertices)]
        if outside.size:
            raise _other_size(path, f'has a vertex {outside[0]:,}', n_vertices)
        return np.isin(np.arange(n_vertices), listed)
    maps = SurfaceMaps.from_file(path)
    if maps.n_vertices != n_vertices:
        raise _other_size(path, f'has {maps.n_vertices:,} vertices', n_vertices)
    return maps.read() > 0


def _listed(path: Path) -> np.ndarray:
    """Return the vertices in a label: a comment, their number, then a row for each."""
    with compression.inflated(path) as data:
        text = bytes(data).decode('latin-1')
    try:
        _, count, *rows = text.splitlines()
        listed = [int(row.split()[0]) for row in rows if row.strip()]
        promised = int(count)
    except ValueError as error:
        raise FormatError('is not a label of FreeSurfer', path) from error
    if len(listed) != promised:
        what = f'lists {len(listed):,} vertices of the {promised:,} that it promises'
        raise FormatError(what, path)
    return np.array(listed, int)


def _other_size(path: Path, what: str, n_vertices: int) -> SpaceMismatchError:
    remedy = 'Give a mask of the surface that the images are on.'
    return SpaceMismatchError(f'{what}, expected {n_vertices:,}', path, remedy)


def write_map(values: np.ndarray, path: Path, name: str) -> None:
    """Write one map as float32: of the hemisphere that the file's name tells."""
    if _is_mgh(path):
        mgh.write(values, path)
    else:
        structures = {of: structure for structure, of in _STRUCTURES.items()}
        gifti.write(values, path, name, structures[side(path.name)])


def side(name: str) -> str:
    """Return ``L`` or ``R`` as a file's name tells; empty where it does not."""
    for spellings in _SPELLINGS:
        if found := _pattern(spellings).search(name):
            return SIDES[spellings.index(found[0])]
    return ''


def in_side(name: str, wanted: str) -> str:
    """Return the name of the same file of a hemisphere; as it is if it tells none.

    >>> in_side('lh.thickness.reg.rh.mgh', 'R')
    'rh.thickness.reg.rh.mgh'
    """
    for spellings in _SPELLINGS:
        pattern = _pattern(spellings)
        if pattern.search(name):
            return pattern.sub(spellings[SIDES.index(wanted)], name, count=1)
    return name


@functools.cache
def _pattern(spellings: tuple[str, str]) -> re.Pattern[str]:
    return re.compile(rf'(?:^|(?<=[._]))(?:{"|".join(spellings)})(?=[._])')


def _is_mgh(path: Path) -> bool:
    return path.name.endswith(mgh.EXTENSIONS)
