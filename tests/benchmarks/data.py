"""Cohorts on disk, made once and kept: the same numbers on every machine.

Every kind of images answers two questions: which options name its references (:meth:`references`,
which writes them too), and what one subject's files are (:meth:`write_subject`). Values are noise
that no two subjects share, since equal images would compress too well.
"""

from __future__ import annotations

import csv
import gzip
import os
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import h5py
import nibabel as nb
import numpy as np
import trees
from nibabel.cifti2 import BrainModelAxis, ParcelsAxis, ScalarAxis

#: nibabel's own level, and zlib's streams: what most tools leave behind.
LEVEL = 1
ANALYSIS = 'mylm'
#: Bytes before the data of a NIfTI file without extensions.
DATA_OFFSET = 352
#: Vertices of fsLR-32k, and those of them that are not medial wall.
SURFACES = {'CortexLeft': 29_696, 'CortexRight': 29_716}
N_VERTICES = 32_492
#: Voxels of the 19 structures of the 91k greyordinates (HCP's grayordinates template).
STRUCTURES = {
    'AccumbensLeft': 135,
    'AccumbensRight': 140,
    'AmygdalaLeft': 315,
    'AmygdalaRight': 332,
    'BrainStem': 3472,
    'CaudateLeft': 728,
    'CaudateRight': 755,
    'CerebellumLeft': 8709,
    'CerebellumRight': 9144,
    'DiencephalonVentralLeft': 706,
    'DiencephalonVentralRight': 712,
    'HippocampusLeft': 764,
    'HippocampusRight': 795,
    'PallidumLeft': 297,
    'PallidumRight': 260,
    'PutamenLeft': 1060,
    'PutamenRight': 1010,
    'ThalamusLeft': 1288,
    'ThalamusRight': 1248,
}
#: Squared radius of an ellipsoid whose half axes are 1 at the faces of a grid: it holds 230,533 of
#: 91 × 109 × 91 voxels and 1,874,824 of 182 × 218 × 182, as many as a brain.
BRAIN = 0.633


@dataclass(frozen=True)
class Kind(ABC):
    """One sort of images; ``name`` is their folder's."""

    name: str

    #: What a subject's images end in.
    endings = ()

    def references(self, folder: Path) -> list:
        """Options of the programs that name what these images are measured on."""
        return []

    @abstractmethod
    def write_subject(self, number: int, *paths: Path) -> None:
        """The files of one subject, one for each ending."""


@dataclass(frozen=True)
class Voxels(Kind):
    """Maps in a brain, each with a mask of its own up to 3% wider or narrower than the group's."""

    shape: tuple = (91, 109, 91)
    edge: float = 2.0

    endings = ('_FA.nii.gz', '_mask.nii.gz')

    def references(self, folder):
        path = folder / 'group_mask.nii.gz'
        if not path.exists():
            self._save(self.group_mask().astype(np.uint8), path)
        return ['--mask', path]

    def write_subject(self, number, image, mask):
        rng = np.random.default_rng(number)
        inside = _squared_radius(self.shape) < BRAIN * rng.uniform(0.97, 1.03)
        values = np.zeros(self.shape, np.float32)
        values[inside] = 0.4 + 0.1 * rng.standard_normal(np.count_nonzero(inside), np.float32)
        self._save(inside.astype(np.uint8), mask)
        self._save(values, image)

    def group_mask(self):
        return _squared_radius(self.shape) < BRAIN

    def _save(self, values, path):
        affine = np.diag([self.edge] * 3 + [1.0])
        affine[:3, 3] = -self.edge * np.array(self.shape) / 2
        _write(path, _gzipped(nb.Nifti1Image(values, affine).to_bytes()))


@dataclass(frozen=True)
class Fixels(Kind):
    """Data files of a fixel directory, three fixels in a voxel."""

    count: int = 600_000
    shape: tuple = (91, 109, 91)
    ending: str = '.mif'

    @property
    def endings(self):
        return (f'_fd{self.ending}',)

    def references(self, folder):
        index, directions = folder / 'index.mif', folder / 'directions.mif'
        if not directions.exists():
            trees.save_mif(self._index(), index)
            vectors = np.random.default_rng(0).standard_normal((self.count, 3, 1), np.float32)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            trees.save_mif(vectors, directions)
        return ['--index-file', index, '--directions-file', directions]

    def write_subject(self, number, path):
        values = np.random.default_rng(number).standard_normal((self.count, 1, 1), np.float32)
        plain = trees.save_mif(values, path.with_name(f'.{number}.mif'))
        data = plain.read_bytes()
        plain.unlink()
        _write(path, _gzipped(data) if self.ending.endswith('.gz') else data)

    def _index(self):
        """Count and first fixel of each voxel: (i, j, k, 2)."""
        positions = np.flatnonzero(_squared_radius(self.shape) < BRAIN)[: self.count // 3]
        index = np.zeros((np.prod(self.shape), 2), np.uint32)
        index[positions, 0] = 3
        index[positions, 1] = 3 * np.arange(len(positions))
        return index.reshape(*self.shape, 2)


@dataclass(frozen=True)
class Cifti(Kind):
    """CIFTI files: all have the first one's header, and only their values differ."""

    def write_subject(self, number, path):
        start, count = _cifti_start(self)
        values = np.random.default_rng(number).standard_normal(count, np.float32)
        _write(path, start + values.tobytes())

    @abstractmethod
    def axes(self) -> tuple:
        """Of rows and of columns."""


@dataclass(frozen=True)
class Greyordinates(Cifti):
    """Maps on two cortices and 19 structures, of which one in ``every`` element is there."""

    every: int = 1

    endings = ('_thickness.dscalar.nii',)

    def axes(self):
        return ScalarAxis(['thickness']), greyordinates(self.every)


@dataclass(frozen=True)
class Parcels(Cifti):
    """Maps of parcels: as many as the largest of XCP-D's atlases by default."""

    count: int = 1056
    every: int = 1

    endings = ('_coverage.pscalar.nii',)

    def axes(self):
        return ScalarAxis(['coverage']), parcels(self.count, self.every)


@dataclass(frozen=True)
class Edges(Cifti):
    """Connectivity matrices of parcels."""

    count: int = 456
    every: int = 1

    endings = ('_connectivity.pconn.nii',)

    def axes(self):
        return (parcels(self.count, self.every),) * 2


def greyordinates(every: int = 1) -> BrainModelAxis:
    """The 91,282 greyordinates of HCP, or one in so many of each structure."""
    axes = [
        BrainModelAxis.from_surface(np.arange(0, count, every), N_VERTICES, name)
        for name, count in SURFACES.items()
    ]
    shape, first = (91, 109, 91), 91 * 109 * 20
    for name, count in STRUCTURES.items():
        ijk = np.stack(np.unravel_index(np.arange(first, first + count, every), shape), axis=1)
        affine = trees.Grid(shape, 2.0).affine
        axes.append(BrainModelAxis(name, voxel=ijk, affine=affine, volume_shape=shape))
        first += count
    return sum(axes[1:], start=axes[0])


def parcels(count: int, every: int = 1) -> ParcelsAxis:
    """So many parcels of about equal size, together all greyordinates."""
    dense = greyordinates(every)
    edges = np.linspace(0, len(dense), count + 1).astype(int)
    return ParcelsAxis.from_brain_models(
        [(f'Parcel{n:04d}', dense[edges[n] : edges[n + 1]]) for n in range(count)]
    )


@dataclass(frozen=True)
class Cohort:
    """A cohort's table, and the options that name its references."""

    csv: Path
    references: list


def cohort(kind: Kind, home: Path, subjects: int, files: int | None = None) -> Cohort:
    """A cohort of a kind of images, missing files made.

    With ``files``, only so many subjects have data of their own. The others' files are hard links
    to theirs: the disk holds 400 images for 2,000, and no path stands twice in the cohort.
    """
    folder = home / kind.name
    folder.mkdir(parents=True, exist_ok=True)
    references = kind.references(folder)
    own = min(subjects, files or subjects)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda number: _subject(kind, folder, number), range(own)))
    for number in range(own, subjects):
        _link(_paths(kind, folder, number % own), _paths(kind, folder, number))
    return Cohort(_table(kind, folder, subjects), references)


def stacked(cohort: Cohort) -> Cohort:
    """The cohort whose images are the volumes of one 4-D file, the masks as they are."""
    with open(cohort.csv, newline='', encoding='utf-8') as file:
        rows = list(csv.DictReader(file))
    stack = cohort.csv.with_name(f'stack-{len(rows)}.nii.gz')
    if not stack.exists():
        _write(stack, _gzipped(_merged([row['source_file'] for row in rows])))
    table = cohort.csv.with_name(f'stack-{len(rows)}.csv')
    with open(table, 'w', newline='', encoding='utf-8') as file:
        writer = csv.DictWriter(file, [*rows[0], 'source_volume'])
        writer.writeheader()
        for number, row in enumerate(rows):
            writer.writerow({**row, 'source_file': stack, 'source_volume': number})
    return Cohort(table, cohort.references)


def _merged(paths: list[str]) -> bytes:
    """Return a 4-D file, one volume after another."""
    first = nb.load(paths[0])
    header = first.header.copy()
    header.set_data_shape((*first.shape, len(paths)))
    header['vox_offset'] = DATA_OFFSET
    start = header.binaryblock.ljust(DATA_OFFSET, b'\0')
    return start + b''.join(np.asarray(nb.load(p).dataobj).tobytes(order='F') for p in paths)


def results(home: Path, elements: int, count: int) -> Path:
    """An HDF5 file with nothing but an analysis of so many results, as R writes it.

    R's chunks are of 1,000 elements and all results, shuffled and deflated at level 6 (rhdf5's
    defaults). A third each are estimates, statistics and p-values.
    """
    path = home / f'results-{elements}x{count}.h5'
    if path.exists():
        return path
    kinds = ('estimate', 'statistic', 'p.value')
    names = [f'term{n // 3}.{kinds[n % 3]}' for n in range(count)]
    matrix = np.random.default_rng(count).random((count + 1, elements))
    matrix[0] = np.arange(elements)
    partial = path.with_suffix('.partial')
    with h5py.File(partial, 'w') as file:
        dataset = file.create_dataset(
            f'results/{ANALYSIS}/results_matrix',
            data=matrix,
            chunks=(count + 1, min(1000, elements)),
            compression=6,
            shuffle=True,
        )
        dataset.attrs['colnames'] = np.array(['element_id', *names], 'S32')
    return partial.replace(path)


def scalar_file(
    home: Path, people: int, elements: int, missing: str = '', visits: int = 1
) -> tuple[Path, Path]:
    """An HDF5 file with one scalar ``x`` as this package writes it, and its cohort.

    The values are noise. ``missing`` is ``masks`` where each image lacks elements at both ends, up
    to 3% of them, as people's own masks do; and nothing where all images have all elements. Images
    of one person share a deviation that is as large as the noise, if there are several ``visits``.
    """
    several = f'x{visits}' * (visits > 1)
    stem = home / f'scalar-{people}{several}x{elements}{missing and "-" + missing}'
    store, table = stem.with_suffix('.h5'), stem.with_suffix('.csv')
    if store.exists():
        return store, table
    images = people * visits
    names = [f'/data/sub-{number:05d}_x.nii.gz' for number in range(images)]
    with open(table, 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(['scalar_name', 'source_file', 'participant_id', 'age', 'sex', 'motion'])
        rng = np.random.default_rng(0)
        for image, name in enumerate(names):
            number, visit = divmod(image, visits)
            row = [20 + number * 7 % 60 + 2 * visit, 'FM'[number % 2], round(rng.gamma(2), 3)]
            writer.writerow(['x', name, f'sub-{number:05d}', *row])
    partial = store.with_suffix('.partial')
    with h5py.File(partial, 'w') as file:
        dataset = file.create_dataset(
            'scalars/x/values',
            (images, elements),
            np.float32,
            chunks=(images, min(elements, max(1, 2**16 // (4 * images)))),
            compression=4,
            shuffle=True,
        )
        for start in range(0, elements, 100 * dataset.chunks[1]):
            part = range(start, min(start + 100 * dataset.chunks[1], elements))
            values = _noise(images, part, elements, missing)
            if visits > 1:
                shared = np.random.default_rng(start + 1).normal(0, 0.1, (people, len(part)))
                values += shared.repeat(visits, axis=0).astype(np.float32)
            dataset[:, part.start : part.stop] = values
        file['scalars/x/column_names'] = np.array(names, h5py.string_dtype())
    partial.replace(store)
    return store, table


def _noise(people, part, elements, missing):
    rng = np.random.default_rng(part.start)
    values = 0.4 + 0.1 * rng.standard_normal((people, len(part)), np.float32)
    if missing:
        edges = np.random.default_rng(1).uniform(0, 0.03, (people, 1)) * elements / 2
        where = np.arange(part.start, part.stop)
        values[(where < edges) | (where >= elements - edges)] = np.nan
    return values


def derivatives(home: Path, files: int) -> Path:
    """A BIDS derivative of so many empty files: 50 a subject, with sidecars and a mask."""
    root = home / f'derivatives-{files}'
    subjects = files // 50
    if (root / 'dataset_description.json').exists():
        return root
    for number in range(subjects):
        stem = f'sub-{number:04d}_space-MNI152NLin2009cAsym'
        folder = root / f'sub-{number:04d}' / 'dwi'
        folder.mkdir(parents=True, exist_ok=True)
        names = [f'{stem}_model-tensor_param-p{param:02d}_dwimap' for param in range(24)]
        for name in [*names, f'{stem}_desc-brain_mask']:
            (folder / f'{name}.nii.gz').touch()
            (folder / f'{name}.json').write_text('{}')
    # Last: a folder without it was not finished.
    trees.describe(root, 'qsirecon')
    return root


def _subject(kind, folder, number):
    paths = _paths(kind, folder, number)
    if not all(path.exists() for path in paths):
        kind.write_subject(number, *paths)


def _link(originals, paths):
    for original, path in zip(originals, paths, strict=True):
        if not path.exists():
            os.link(original, path)


def _paths(kind, folder, number):
    return [folder / f'sub-{number:05d}{ending}' for ending in kind.endings]


def _table(kind, folder, subjects):
    path = folder / f'cohort-{subjects}.csv'
    header = ['scalar_name', 'source_file', 'source_mask_file', 'participant_id', 'age']
    with open(path, 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for number in range(subjects):
            image, *mask = _paths(kind, folder, number)
            writer.writerow(['x', image, *(mask or ['']), f'sub-{number:05d}', 20 + number % 60])
    return path


@lru_cache(maxsize=1)
def _squared_radius(shape):
    """Of each voxel from the centre, where the faces of the grid are at 1: float32."""
    axes = np.ogrid[tuple(slice(-1, 1, complex(0, size)) for size in shape)]
    return sum((axis**2).astype(np.float32) for axis in axes)


@lru_cache(maxsize=1)
def _cifti_start(kind):
    """Everything before the values, and how many they are."""
    axes = kind.axes()
    shape = tuple(len(axis) for axis in axes)
    data = nb.Cifti2Image(np.zeros(shape, np.float32), axes).to_bytes()
    count = int(np.prod(shape))
    return data[: -4 * count], count


def _gzipped(data):
    return gzip.compress(data, LEVEL, mtime=0)


def _write(path, data):
    """Whole or not at all: an interrupted run leaves nothing that looks ready."""
    partial = path.with_name(f'.{path.name}')
    partial.write_bytes(data)
    partial.replace(path)
