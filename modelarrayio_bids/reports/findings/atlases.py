"""Regions of atlases that lie beside the images: names for places of a map.

QSIRecon, ASLPrep and XCP-D keep the atlases that they used with their outputs, and TemplateFlow
those that it has fetched: segmentations of a template, with a table of what each number means.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

import nibabel as nb
import numpy as np
from nibabel.affines import apply_affine

from modelarrayio_bids.derivatives.bids.entities import is_native
from modelarrayio_bids.errors import FormatError, ModelArrayIOError
from modelarrayio_bids.formats import nifti
from modelarrayio_bids.formats.delimited_text import read_table
from modelarrayio_bids.reports.findings.nearby_files import VOLUME_SPACES, atlas_files, space_label
from modelarrayio_bids.spaces import ElementSpace

logger = logging.getLogger(__name__)

_DLABEL = '.dlabel.nii'
# A place without a region in one is looked up in the next: cortex in one, nuclei in another.
_MOST_ATLASES = 3
_NAMES = ('name', 'label')


@dataclass(frozen=True, eq=False)
class Atlas:
    """A segmentation whose regions have names.

    Parameters
    ----------
    name : str
        Its label in the name of the file.
    regions : dict of str
        Names by number.
    volume : numpy.ndarray
        (i, j, k) numbers of the voxels; 0 outside of all regions.
    inverse : numpy.ndarray
        (4, 4) mm in RAS+ to voxel indices.
    surfaces : dict of numpy.ndarray
        (n_vertices,) numbers, by structure as CIFTI calls it.
    """

    name: str
    regions: Mapping[int, str]
    volume: np.ndarray
    inverse: np.ndarray
    surfaces: Mapping[str, np.ndarray]

    def numbers(self, space: ElementSpace) -> np.ndarray:
        """Return the number at each element, (n_elements,) int; 0 outside of all regions."""
        found = np.zeros(len(space), int)
        places = space.coordinates(np.arange(len(space)))
        placed = np.flatnonzero(np.isfinite(places).all(axis=1))
        indices = np.rint(apply_affine(self.inverse, places[placed])).astype(int)
        inside = ((indices >= 0) & (indices < self.volume.shape)).all(axis=1)
        found[placed[inside]] = self.volume[tuple(indices[inside].T)]
        for structure, surface in space.surface_elements().items():
            numbers = self.surfaces.get(structure)
            if numbers is not None and numbers.size == surface.n_vertices:
                found[surface.elements] = numbers[surface.vertices]
        return found


@dataclass(frozen=True, eq=False)
class Regions:
    """The region of each element.

    Parameters
    ----------
    names : list of str
        Regions, with their atlases; the first, blank, is that of elements outside of all.
    codes : numpy.ndarray
        (n_elements,) uint16 positions in ``names``.
    """

    names: list[str]
    codes: np.ndarray

    def __getitem__(self, element: int) -> str:
        """Return the name of an element's region; blank without one."""
        return self.names[self.codes[element]]

    @classmethod
    def of(cls, space: ElementSpace, sources: Sequence[Path]) -> Regions:
        """Look elements up in the atlases at hand.

        Parameters
        ----------
        space : ElementSpace
            The elements. Parcels and edges have names already, and get none.
        sources : sequence of pathlib.Path
            Images of the cohort, whose names tell the space.
        """
        names, codes = [''], np.zeros(len(space), int)
        for atlas in _at_hand(sources) if space.has_neighbours else ():
            regions, numbers = sorted(atlas.regions.items()), atlas.numbers(space)
            known = np.array([number for number, _ in regions])
            at = np.searchsorted(known, numbers).clip(max=known.size - 1)
            is_new = (codes == 0) & (known[at] == numbers)
            codes[is_new] = len(names) + at[is_new]
            names += [f'{name} ({atlas.name})' for _, name in regions]
        return cls(names, codes.astype(np.uint16))


def _at_hand(sources: Sequence[Path]) -> Iterator[Atlas]:
    """Yield some atlases in the space that the names of images tell."""
    space = space_label(sources)
    if space is None or is_native(space):
        return
    spaces = dict.fromkeys((space, VOLUME_SPACES.get(space, space)))
    paths = (path for label in spaces for path in atlas_files(sources, label))
    yield from islice(filter(None, map(_readable, paths)), _MOST_ATLASES)


@lru_cache(maxsize=2 * _MOST_ATLASES)
def _readable(path: Path) -> Atlas | None:
    try:
        return _of_surfaces(path) if path.name.endswith(_DLABEL) else _of_volume(path)
    except (ModelArrayIOError, np.linalg.LinAlgError) as error:
        logger.info('Not used as an atlas: %s', error)
        return None


def _of_volume(path: Path) -> Atlas:
    with nifti.opened(path) as voxels:
        shape, affine = voxels.volume.shape, voxels.volume.affine
        numbers = voxels.take(np.arange(voxels.flat.size)).reshape(shape, order='F')
    return Atlas(_label(path), _regions(path), _small(numbers), np.linalg.inv(affine), {})


def _of_surfaces(path: Path) -> Atlas:
    try:
        image = nb.load(path)
        labels, models = map(image.header.get_axis, range(2))
        numbers = np.asarray(image.dataobj)[0]
    except Exception as error:  # nibabel's parsers raise anything
        raise FormatError('is no CIFTI file of labels', path) from error
    volume, surfaces = np.zeros(models.volume_shape or (1, 1, 1), int), {}
    for structure, where, model in models.iter_structures():
        if structure in model.nvertices:
            surfaces[structure] = np.zeros(model.nvertices[structure], int)
            surfaces[structure][model.vertex] = numbers[where]
        else:
            volume[tuple(model.voxel.T)] = numbers[where]
    affine = np.eye(4) if models.affine is None else models.affine
    regions = {number: name for number, (name, _) in labels.label[0].items() if number}
    if not regions:
        raise FormatError('has no labels', path, 'Give a .dlabel.nii with some.')
    return Atlas(_label(path), regions, _small(volume), np.linalg.inv(affine), surfaces)


def _small(numbers: np.ndarray) -> np.ndarray:
    """Return integers in as few bytes as they need."""
    numbers = np.nan_to_num(numbers).clip(0)
    return numbers.astype(np.min_scalar_type(int(numbers.max(initial=0))))


def _label(path: Path) -> str:
    return path.name.partition('atlas-')[2].partition('_')[0]


def _regions(path: Path) -> dict[int, str]:
    """Return the names in the table beside a segmentation: of its name, or of a part of it."""
    parts = set(path.name.split('.')[0].split('_'))
    tables = [each for each in path.parent.glob('*_dseg.tsv') if set(each.stem.split('_')) <= parts]
    if not tables:
        raise FormatError('has no table of regions beside it', path, 'Put it there.')
    table = read_table(max(tables, key=lambda each: len(each.name)))
    named = next((name for name in _NAMES if name in table.header), '')
    if 'index' not in table.header or not named:
        raise FormatError('has no columns index and name', table.path, 'Add them.')
    columns = [table.header.index(column) for column in ('index', named)]
    whole = (row for row in table.rows if len(row) > max(columns))
    cells = ([row[column] for column in columns] for row in whole)
    found = {int(index): name for index, name in cells if index.isdecimal() and int(index)}
    if not found:
        raise FormatError('has no rows of regions', table.path, 'Add them.')
    return found
