"""Small BIDS derivatives with genuine images, for tests and for ``make demo``.

``python tests/trees.py OUT --subjects 24`` writes a study as five pipelines would have left it::

    OUT/participants.tsv              participant_id, age (one n/a), sex, site
    OUT/derivatives/fmriprep          tissue probabilities and brain masks, in MNI res-2
    OUT/derivatives/aslprep           blood flow and its masks, in MNI; time series
    OUT/derivatives/qsirecon          a native mask; its derivatives/qsirecon-DIPYDKI has
                                      maps in MNI, on a grid of their own and without masks
    OUT/derivatives/xcp_d             CIFTI: maps of greyordinates, parcels and edges
    OUT/derivatives/mrtrix            fixel directories fd and log_fc, with one file per person

Every map is, inside the brain, its base value plus ``EFFECT`` per year of age above 40 in the left
half (x < 0 in RAS+), plus noise of standard deviation ``NOISE``; zero outside. CIFTI files and
fixels have the effect in the first half of their elements. With ``--visits`` there are two sessions
of each person, three years apart, and blood flow alone. Numbers are the same on every call.
Needs numpy and nibabel.
"""

from __future__ import annotations

import argparse
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel as nb
import numpy as np
from nibabel.cifti2 import BrainModelAxis, ParcelsAxis, ScalarAxis

EFFECT = 0.01
NOISE = 0.05
BETWEEN = 0.1
SPACE = 'MNI152NLin2009cAsym'


@dataclass(frozen=True)
class Grid:
    """Voxel counts and the edge in mm; centred on the origin."""

    shape: tuple[int, int, int]
    edge: float

    @property
    def affine(self) -> np.ndarray:
        affine = np.diag([self.edge] * 3 + [1.0])
        affine[:3, 3] = -self.edge * (np.array(self.shape) - 1) / 2
        return affine


#: That of the masks and most maps, and a coarser one for diffusion maps.
TEMPLATE = Grid((16, 18, 16), 10.0)
DIFFUSION = Grid((13, 15, 13), 12.0)


@dataclass(frozen=True)
class Person:
    label: str
    age: float
    sex: str
    site: str


def people(count: int) -> list[Person]:
    """So many persons, of 20 to 60 years."""
    rng = np.random.default_rng(40)
    ages = rng.uniform(20, 60, count).round(1)
    return [
        Person(f'{n:02d}', float(age), 'FM'[n % 2], f'site{1 + n % 3}')
        for n, age in enumerate(ages, start=1)
    ]


def write_participants(root: Path, persons: list[Person], prefix: str = 'sub-') -> None:
    """The second person's age is n/a."""
    root.mkdir(parents=True, exist_ok=True)
    lines = ['participant_id\tage\tsex\tsite']
    for number, person in enumerate(persons, start=1):
        age = 'n/a' if number == 2 else person.age
        lines.append(f'{prefix}{person.label}\t{age}\t{person.sex}\t{person.site}')
    (root / 'participants.tsv').write_text('\n'.join(lines) + '\n')


def describe(root: Path, generator: str | None = None, **fields: object) -> Path:
    """A dataset_description.json: of a derivative if a generator is given, else of raw data."""
    root.mkdir(parents=True, exist_ok=True)
    description: dict[str, object] = {'Name': root.name, 'BIDSVersion': '1.10.0'}
    if generator is not None:
        description |= {'DatasetType': 'derivative', 'GeneratedBy': [{'Name': generator}]}
    else:
        description['DatasetType'] = 'raw'
    (root / 'dataset_description.json').write_text(json.dumps(description | fields))
    return root


def brain(person: Person, grid: Grid = TEMPLATE) -> np.ndarray:
    """An ellipsoid of 70 mm, or up to 5 more, that the person alone decides: (i, j, k) bool."""
    radius = 70 + 5 * _rng(person.label).random()
    indices = np.indices(grid.shape).reshape(3, -1)
    millimetres = nb.affines.apply_affine(grid.affine, indices.T)
    return (np.linalg.norm(millimetres, axis=1) < radius).reshape(grid.shape)


def map_values(person: Person, name: str, grid: Grid = TEMPLATE) -> np.ndarray:
    """The values of a map: (i, j, k) float32."""
    base = 0.3 + 0.5 * _rng(name).random()
    values = base + _rng(person.label + name).normal(0, NOISE, grid.shape)
    values[: grid.shape[0] // 2] += EFFECT * (person.age - 40)
    return np.where(brain(person, grid), values, 0).astype(np.float32)


def write_map(path: Path, person: Person, grid: Grid = TEMPLATE, volumes: int = 1) -> Path:
    """A map, or a series of several volumes."""
    name = path.name.partition('_')[2]

    def make(path: Path) -> None:
        values = map_values(person, name, grid)
        save(np.stack([values] * volumes, axis=-1) if volumes > 1 else values, path, grid)

    return _written(path, (name, person, grid, volumes), make)


def write_mask(path: Path, person: Person, grid: Grid = TEMPLATE) -> Path:
    """The person's brain."""

    def make(path: Path) -> None:
        save(brain(person, grid).astype(np.uint8), path, grid)

    return _written(path, ('', path.suffix, person.label, grid), make)


#: Files that were written before, by what is in them: tests write the same ones again and again.
_CONTENTS: dict[tuple[object, ...], bytes] = {}


def _written(path: Path, content: tuple[object, ...], make: Callable[[Path], None]) -> Path:
    """A file of this content, made only once."""
    if content in _CONTENTS:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_CONTENTS[content])
    else:
        make(path)
        _CONTENTS[content] = path.read_bytes()
    return path


def save(values: np.ndarray, path: Path, grid: Grid = TEMPLATE) -> Path:
    """An array as NIfTI, its folder made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nb.Nifti1Image(values, grid.affine)
    image.set_sform(grid.affine, 4)
    image.set_qform(grid.affine, 4)
    image.header.set_xyzt_units('mm', 'sec')
    nb.save(image, path)
    return path


def write_fmriprep(root: Path, persons: list[Person]) -> Path:
    """Probabilities of three tissues and the brain mask, in MNI res-2 and native; a bold series."""
    describe(root, 'fMRIPrep')
    for person in persons:
        sub = f'sub-{person.label}'
        anat, func = root / sub / 'anat', root / sub / 'func'
        for space in (f'_space-{SPACE}_res-2', ''):
            for tissue in ('GM', 'WM', 'CSF'):
                write_map(anat / f'{sub}{space}_label-{tissue}_probseg.nii.gz', person)
            write_mask(anat / f'{sub}{space}_desc-brain_mask.nii.gz', person)
        write_map(anat / f'{sub}_space-{SPACE}_res-2_desc-preproc_T1w.nii.gz', person)
        stem = f'{sub}_task-rest_space-{SPACE}_res-2'
        write_map(func / f'{stem}_desc-preproc_bold.nii.gz', person, volumes=3)
        write_map(func / f'{stem}_boldref.nii.gz', person)
        write_mask(func / f'{stem}_desc-brain_mask.nii.gz', person)
    return root


def write_aslprep(root: Path, persons: list[Person]) -> Path:
    """Three kinds of blood flow with a mask beside them, time series, and anatomy."""
    describe(root, 'ASLPrep')
    for person in persons:
        sub = f'sub-{person.label}'
        perf = root / sub / 'perf'
        for space in (f'_space-{SPACE}', ''):
            for desc in ('', '_desc-score', '_desc-scrub'):
                write_map(perf / f'{sub}{space}{desc}_cbf.nii.gz', person)
            series = perf / f'{sub}{space}_desc-timeseries_cbf.nii.gz'
            write_map(series, person, volumes=3)
            write_mask(perf / f'{sub}{space}_desc-brain_mask.nii.gz', person)
        anat = root / sub / 'anat' / f'{sub}_space-{SPACE}_label-GM_desc-preproc_probseg.nii.gz'
        write_map(anat, person)
    return root


def write_visits(root: Path, persons: list[Person], years: tuple[float, ...] = (0, 3)) -> Path:
    """Write blood flow of several sessions, so many years after the first.

    Ages are in the tables of sessions. A person's images share a deviation, of standard deviation
    ``BETWEEN``.
    """
    describe(root)
    write_participants(root, persons)
    pipeline = describe(root / 'derivatives' / 'aslprep', 'ASLPrep')
    for person in persons:
        sub = f'sub-{person.label}'
        own = BETWEEN * _rng(f'{sub} between').normal()
        lines = ['session_id\tage']
        for number, later in enumerate(years, start=1):
            ses, age = f'ses-{number}', round(person.age + later, 1)
            lines.append(f'{ses}\t{age}')
            stem = pipeline / sub / ses / 'perf' / f'{sub}_{ses}_space-{SPACE}'
            there = brain(person)
            values = 0.5 + own + _rng(stem.name).normal(0, NOISE, TEMPLATE.shape)
            values[: TEMPLATE.shape[0] // 2] += EFFECT * (age - 40)
            save(np.where(there, values, 0).astype('f4'), Path(f'{stem}_cbf.nii.gz'))
            save(there.astype(np.uint8), Path(f'{stem}_desc-brain_mask.nii.gz'))
        (root / sub).mkdir(parents=True, exist_ok=True)
        (root / sub / f'{sub}_sessions.tsv').write_text('\n'.join(lines) + '\n')
    return root


def write_qsirecon(root: Path, persons: list[Person]) -> Path:
    """Maps in a nested dataset, native ones too; the only mask is native, in the parent."""
    describe(root, 'qsirecon')
    nested = describe(root / 'derivatives' / 'qsirecon-DIPYDKI', 'qsirecon')
    for person in persons:
        sub = f'sub-{person.label}'
        write_mask(root / sub / 'dwi' / f'{sub}_space-T1w_desc-brain_mask.nii.gz', person)
        dwi = nested / sub / 'dwi'
        for space in (SPACE, 'T1w'):
            for measure in ('model-dki_param-fa', 'model-dki_param-mk', 'model-tensor_param-fa'):
                path = dwi / f'{sub}_space-{space}_{measure}_dwimap.nii.gz'
                write_map(path, person, DIFFUSION)
        (dwi / f'{sub}_space-T1w_model-gqi_dwimap.fib.gz').touch()
    return root


def greyordinates() -> BrainModelAxis:
    """Two cortices without a medial wall, and a thalamus: 132 elements."""
    left = BrainModelAxis.from_surface(np.arange(60), 32492, 'CortexLeft')
    right = BrainModelAxis.from_surface(np.arange(5, 65), 32492, 'CortexRight')
    indices = np.argwhere(np.ones((2, 2, 3)))
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    return left + right + BrainModelAxis(
        'ThalamusLeft', voxel=indices, affine=affine, volume_shape=(2, 2, 3)
    )  # fmt: skip


def parcels() -> ParcelsAxis:
    """Six parcels of ten greyordinates."""
    dense = greyordinates()
    return ParcelsAxis.from_brain_models(
        [(f'Parcel{n + 1}', dense[10 * n : 10 * n + 10]) for n in range(6)]
    )


def element_values(person: Person, name: str, count: int) -> np.ndarray:
    """Values with the effect in the first half: (count,) float32."""
    values = 0.3 + 0.5 * _rng(name).random() + _rng(person.label + name).normal(0, NOISE, count)
    values[: count // 2] += EFFECT * (person.age - 40)
    return values.astype(np.float32)


def write_cifti(path: Path, person: Person, maps: int = 1) -> Path:
    """A CIFTI file of the kind its name tells."""
    rows = ScalarAxis([f'map{n + 1}' for n in range(maps)])
    axes = {
        '.dscalar.nii': (rows, greyordinates()),
        '.pscalar.nii': (rows, parcels()),
        '.pconn.nii': (parcels(), parcels()),
    }[''.join(path.suffixes)]
    shape = tuple(len(axis) for axis in axes)
    values = element_values(person, path.name.partition('_')[2], int(np.prod(shape)))
    path.parent.mkdir(parents=True, exist_ok=True)
    nb.save(nb.Cifti2Image(values.reshape(shape), axes), path)
    return path


def write_xcp_d(root: Path, persons: list[Person]) -> Path:
    """Maps of greyordinates, parcels and edges of one task; series that are no scalars."""
    describe(root, 'xcp_d')
    for person in persons:
        sub = f'sub-{person.label}'
        write_cifti(root / sub / 'anat' / f'{sub}_space-fsLR_den-91k_thickness.dscalar.nii', person)
        stem = root / sub / 'func' / f'{sub}_task-rest_space-fsLR'
        for ending in (
            'den-91k_stat-alff_boldmap.dscalar.nii',
            'den-91k_stat-alff_desc-smooth_boldmap.dscalar.nii',
            'atlas-Tian_den-91k_stat-coverage_boldmap.pscalar.nii',
            'atlas-Tian_den-91k_stat-pearsoncorrelation_boldmap.pconn.nii',
        ):
            write_cifti(Path(f'{stem}_{ending}'), person)
        Path(f'{stem}_den-91k_desc-denoised_bold.dtseries.nii').touch()
        Path(f'{stem}_atlas-Tian_den-91k_stat-mean_timeseries.ptseries.nii').touch()
    return root


#: Vertices of a hemisphere; of the left the last 42, of the right the first 42 are the medial wall.
N_VERTICES = 642
CORTEX = {'L': np.arange(642) < 600, 'R': np.arange(642) >= 42}


def vertex_values(person: Person, name: str) -> dict[str, np.ndarray]:
    """Values of both hemispheres, (642,) float32 each: zero on the medial wall."""
    values = element_values(person, name, 1200)
    found = {}
    for (side, inside), part in zip(CORTEX.items(), np.split(values, 2), strict=True):
        found[side] = np.zeros(N_VERTICES, np.float32)
        found[side][inside] = part
    return found


def write_surface_data(root: Path, persons: list[Person]) -> Path:
    """Thickness on fsaverage3 as GIFTI pairs, with the participant's own beside it, and series."""
    describe(root, 'fMRIPrep')
    for person in persons:
        sub = f'sub-{person.label}'
        for side, values in vertex_values(person, 'thickness').items():
            stem = root / sub / 'anat' / f'{sub}_hemi-{side}'
            own = values[: -int(person.label)]
            for space, data in (('space-fsaverage3_', values), ('', own)):
                save_gifti(data[:, np.newaxis], Path(f'{stem}_{space}thickness.shape.gii'))
            series = root / sub / 'func' / f'{sub}_task-rest_hemi-{side}_space-fsaverage3'
            save_gifti(np.zeros((N_VERTICES, 3), np.float32), Path(f'{series}_bold.func.gii'))
    return root


def write_subjects_dir(root: Path, persons: list[Person]) -> Path:
    """A folder of FreeSurfer's subjects, as recon-all -qcache leaves it."""
    for person in persons:
        surf = root / f'sub-{person.label}' / 'surf'
        surf.mkdir(parents=True, exist_ok=True)
        (surf.parent / 'mri').mkdir(exist_ok=True)
        volume = nb.freesurfer.MGHImage(np.zeros((4, 4, 4), np.uint8), np.eye(4))
        nb.save(volume, surf.parent / 'mri' / 'brain.mgz')
        for measure in ('thickness', 'area', 'sulc'):
            for side, values in vertex_values(person, measure).items():
                image = nb.freesurfer.MGHImage(values.reshape(-1, 1, 1), None)
                name = f'{side.lower()}h.{measure}.fwhm10.fsaverage.mgh'
                nb.save(image, surf / name)
    return root


def save_gifti(data: np.ndarray, path: Path) -> Path:
    """Write maps of vertices, (n_vertices, n_maps), a data array each."""
    path.parent.mkdir(parents=True, exist_ok=True)
    intent = 'NIFTI_INTENT_SHAPE'
    arrays = [nb.gifti.GiftiDataArray(np.ascontiguousarray(one), intent) for one in data.T]
    nb.save(nb.gifti.GiftiImage(darrays=arrays), path)
    return path


#: Fixels of each voxel of the template, in MRtrix's order.
N_FIXELS = np.tile([1, 2, 0, 3], 30)


def write_fixels(
    root: Path, persons: list[Person], measures: tuple[str, ...] = ('fd', 'log_fc')
) -> Path:
    """A template folder: one fixel directory per measure, one file in it per person."""
    index = np.zeros((N_FIXELS.size, 2), np.uint32)
    index[:, 0] = N_FIXELS
    index[:, 1] = np.where(N_FIXELS, np.cumsum(N_FIXELS) - N_FIXELS, 0)
    count = int(N_FIXELS.sum())
    directions = _rng('directions').normal(size=(count, 3, 1))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    for measure in measures:
        save_mif(index.reshape(4, 5, 6, 2), root / measure / 'index.mif')
        save_mif(directions.astype(np.float32), root / measure / 'directions.mif')
        for person in persons:
            values = element_values(person, measure, count)
            save_mif(values.reshape(-1, 1, 1), root / measure / f'sub-{person.label}.mif')
    return root


def save_mif(values: np.ndarray, path: Path) -> Path:
    """An array as an MRtrix image, the first axis fastest, its folder made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = (
        f'mrtrix image\ndim: {",".join(map(str, values.shape))}\n'
        f'vox: {",".join("2" * values.ndim)}\n'
        f'layout: {",".join(f"+{axis}" for axis in range(values.ndim))}\n'
        f'datatype: { {"f": "Float32LE", "u": "UInt32LE"}[values.dtype.kind] }\n'
        'transform: 1,0,0,-4\ntransform: 0,1,0,-5\ntransform: 0,0,1,-6\nfile: . 256\nEND\n'
    )
    path.write_bytes(header.encode().ljust(256, b'\0') + values.tobytes(order='F'))
    return path


def write_study(root: Path, persons: list[Person]) -> Path:
    """The three pipelines of volumes, under a BIDS root of their own."""
    describe(root)
    write_participants(root, persons)
    write_fmriprep(root / 'derivatives' / 'fmriprep', persons)
    write_aslprep(root / 'derivatives' / 'aslprep', persons)
    write_qsirecon(root / 'derivatives' / 'qsirecon', persons)
    return root


def write_asl_study(root: Path, persons: list[Person]) -> Path:
    """One pipeline of volumes, and what participants.tsv says of everybody."""
    describe(root)
    write_participants(root, persons)
    write_aslprep(root / 'derivatives' / 'aslprep', persons)
    return root


def write_demo(root: Path, persons: list[Person]) -> Path:
    """All kinds of elements: the study, CIFTI files and fixels."""
    write_study(root, persons)
    write_xcp_d(root / 'derivatives' / 'xcp_d', persons)
    write_fixels(root / 'derivatives' / 'mrtrix', persons)
    return root


def _rng(text: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(text.encode()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('output', type=Path)
    parser.add_argument('--subjects', type=int, default=24)
    parser.add_argument('--visits', action='store_true', help='two sessions of each, ASLPrep alone')
    arguments = parser.parse_args()
    write = write_visits if arguments.visits else write_demo
    write(arguments.output, people(arguments.subjects))


if __name__ == '__main__':
    main()
