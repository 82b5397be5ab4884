"""A study of 24 people with a brain each, as five pipelines would have left it: ``make demo``.

``python docs/demo/demo_study.py OUT`` writes::

    OUT/participants.tsv            participant_id, age (one n/a), sex, site
    OUT/derivatives/fmriprep        T1w, brain mask and thickness of the cortex (CIFTI, surfaces)
    OUT/derivatives/aslprep         blood flow and its mask
    OUT/derivatives/qsirecon        derivatives/qsirecon-DIPYDKI: fractional anisotropy
    OUT/derivatives/xcp_d           regional homogeneity by parcel; correlations of parcels
    OUT/derivatives/mrtrix          a fixel directory: fibre density in crossing tracts

The brains are real ones' average (``head.nii.gz``, ``cortex.npz``: see ``README.md``), bent a
little for each person; the people are not real. Each measure changes with age in one place:
:data:`EFFECTS`. Blood flow of :data:`FLIPPED` is stored with left and right exchanged, and that of
:data:`HIGH_SITE` is high by :data:`SHIFT`. Numbers are the same on every call. Needs numpy, scipy
and nibabel. With ``--visits`` there are two sessions of each person, three years apart, and blood
flow alone.
"""

from __future__ import annotations

import argparse
import json
import zlib
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import nibabel as nb
import numpy as np
from nibabel.cifti2 import BrainModelAxis, ParcelsAxis, ScalarAxis
from nibabel.gifti import GiftiDataArray, GiftiImage
from scipy import ndimage, sparse

HERE = Path(__file__).parent
SPACE = 'MNI152NLin2009cAsym'
SURFACE = 'space-fsaverage_den-10k'
PEOPLE = 24
FLIPPED = 'sub-15'
#: A site whose scanner reads so many mL/100 g/min more.
HIGH_SITE, SHIFT = 'site3', 7.0


@dataclass(frozen=True)
class Effect:
    """What age does to a measure, in one place.

    Parameters
    ----------
    place : str
        Its name.
    centre : tuple of float
        In mm of the template.
    radius : float
        Standard deviation of a Gaussian, in mm.
    per_year : float
        Change of the measure at the centre.
    """

    place: str
    centre: tuple[float, float, float]
    radius: float
    per_year: float

    def at(self, points: np.ndarray, age: float) -> np.ndarray:
        """Return the change at points (3, ...) in mm, from that of a person of 40."""
        apart = np.moveaxis(points, 0, -1) - self.centre
        return self.per_year * (age - 40) * np.exp(-(apart**2).sum(-1) / (2 * self.radius**2))


EFFECTS = {
    'cbf': Effect('left thalamus', (-12, -18, 8), 9, -1.0),
    'dki_fa': Effect('genu of the corpus callosum', (0, 28, 4), 9, -0.007),
    'thickness': Effect('left precentral gyrus', (-40, -10, 52), 14, -0.02),
    'fd': Effect('left corticospinal tract', (-25, -20, 20), 18, -0.008),
    'reho': Effect('left posterior cingulate', (-6, -48, 28), 6, -0.004),
}
#: The edge that weakens, and by how much a year.
WEAK_EDGE, EDGE_PER_YEAR = ('L PosteriorCingulate', 'L Angular'), -0.015

#: Regions of the left hemisphere by a point in them, in mm; those of the right mirror them.
REGIONS = {
    'SuperiorFrontal': (-12, 30, 50),
    'MiddleFrontal': (-38, 35, 28),
    'InferiorFrontal': (-48, 20, 12),
    'Orbitofrontal': (-25, 38, -14),
    'AnteriorCingulate': (-6, 36, 14),
    'Precentral': (-40, -10, 52),
    'Postcentral': (-48, -26, 50),
    'SuperiorParietal': (-25, -60, 58),
    'Angular': (-46, -62, 34),
    'PosteriorCingulate': (-6, -48, 28),
    'Precuneus': (-8, -66, 48),
    'Cuneus': (-8, -85, 22),
    'Lingual': (-12, -70, -4),
    'LateralOccipital': (-36, -84, 2),
    'SuperiorTemporal': (-58, -18, 4),
    'MiddleTemporal': (-60, -40, -6),
    'TemporalPole': (-40, 14, -30),
    'Fusiform': (-35, -50, -18),
    'Parahippocampal': (-22, -28, -18),
    'Insula': (-38, 4, 2),
}

#: Tracts, as points their middle goes through, in mm, and their radius.
TRACTS = {
    **{
        f'callosum {y}': (
            [(-44, y, 46), (-28, y, 32), (-12, y, 24), (12, y, 24), (28, y, 32), (44, y, 46)],
            6,
        )
        for y in range(-36, 28, 8)
    },
    'genu': ([(-22, 52, 6), (-14, 36, 4), (0, 29, 4), (14, 36, 4), (22, 52, 6)], 7),
    'splenium': ([(-24, -80, 10), (-18, -56, 14), (0, -40, 12), (18, -56, 14), (24, -80, 10)], 7),
    'left corticospinal': (
        [(-6, -26, -46), (-12, -18, -14), (-22, -17, 6), (-26, -20, 26), (-24, -24, 62)],
        7,
    ),
    'right corticospinal': (
        [(6, -26, -46), (12, -18, -14), (22, -17, 6), (26, -20, 26), (24, -24, 62)],
        7,
    ),
    'left longitudinal': ([(-32, -66, 24), (-36, -36, 32), (-36, 0, 32), (-34, 30, 22)], 7),
    'right longitudinal': ([(32, -66, 24), (36, -36, 32), (36, 0, 32), (34, 30, 22)], 7),
}


@dataclass(frozen=True)
class Person:
    """Somebody of the study."""

    label: str
    age: float
    sex: str
    site: str


def people(count: int = PEOPLE) -> list[Person]:
    """Return so many people, of 20 to 60 years."""
    ages = np.random.default_rng(40).uniform(20, 60, count).round(1)
    return [
        Person(f'sub-{n:02d}', float(age), 'FM'[n % 2], f'site{1 + n % 3}')
        for n, age in enumerate(ages, start=1)
    ]


def rng(*names: str) -> np.random.Generator:
    """Return random numbers that names decide."""
    return np.random.default_rng(zlib.crc32(' '.join(names).encode()))


# Volumes


@cache
def head() -> tuple[np.ndarray, np.ndarray]:
    """Return grey matter, white matter and T1w, (3, i, j, k) from 0 to 1, and the affine."""
    image = nb.load(HERE / 'head.nii.gz')
    return np.moveaxis(np.asarray(image.dataobj, np.float32), -1, 0) / 100, image.affine


@cache
def places() -> np.ndarray:
    """Return where voxels are, in mm: (3, i, j, k)."""
    tissues, affine = head()
    indices = np.indices(tissues.shape[1:])
    return np.tensordot(affine[:3, :3], indices, 1) + affine[:3, 3][:, None, None, None]


@lru_cache(maxsize=64)
def smooth_field(sd: float, mm: float, *names: str) -> np.ndarray:
    """Return noise of a standard deviation, smoothed by a Gaussian of so many mm: (i, j, k)."""
    values = rng(*names).normal(size=head()[0].shape[1:])
    values = ndimage.gaussian_filter(values, mm / 4, mode='wrap')
    return sd * values / values.std()


@cache
def own_head(person: Person) -> tuple[np.ndarray, np.ndarray]:
    """Return a person's tissues and T1w, (3, i, j, k), and brain mask: the template, bent."""
    tissues, _ = head()
    bent = [smooth_field(1.2, 16, person.label, axis) / 4 for axis in 'xyz']
    indices = np.indices(tissues.shape[1:]) + bent
    own = np.stack([ndimage.map_coordinates(tissue, indices, order=1) for tissue in tissues])
    brain = ndimage.binary_closing(own[0] + own[1] > 0.4, iterations=2)
    return own, ndimage.binary_fill_holes(brain)


def measure(person: Person, name: str, age: float, visit: str = '') -> np.ndarray:
    """Return blood flow (``cbf``) or fractional anisotropy (``fa``) of a person: (i, j, k)."""
    (grey, white, _), brain = own_head(person)
    flow = name == 'cbf'
    values = 60 * grey + 22 * white if flow else 0.14 * grey + 0.5 * white + 0.05
    level = 1 + rng(name, person.label, 'level').normal(0, 0.045)
    values = ndimage.gaussian_filter(values, 0.5) * (1 + smooth_field(0.12, 14, name)) * level
    noise = 2.5 if flow else 0.025
    values += smooth_field(noise, 8, name, person.label) + smooth_field(
        noise / 2, 3, name, person.label, visit
    )
    values += EFFECTS['cbf' if flow else 'dki_fa'].at(places(), age)
    values += SHIFT * (flow and person.site == HIGH_SITE)
    return np.where(brain, values.clip(0.001), 0).astype(np.float32)


def save_volume(values: np.ndarray, path: Path) -> None:
    """Write an image on the template's grid."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nb.Nifti1Image(values, head()[1])
    image.header.set_xyzt_units('mm', 'sec')
    image.set_sform(head()[1], 4)
    image.set_qform(head()[1], 4)
    nb.save(image, path)


def write_flow(dataset: Path, person: Person, visit: str = '', later: float = 0) -> None:
    """Write blood flow and its mask, as ASLPrep names them."""
    names = [name for name in (person.label, visit) if name]
    stem = dataset.joinpath(*names, 'perf', '_'.join([*names, f'space-{SPACE}']))
    values = measure(person, 'cbf', person.age + later, visit)
    brain = own_head(person)[1]
    if person.label == FLIPPED and not visit:
        values, brain = values[::-1], brain[::-1]
    save_volume(values, Path(f'{stem}_cbf.nii.gz'))
    save_volume(brain.astype(np.uint8), Path(f'{stem}_desc-brain_mask.nii.gz'))


def write_volumes(derivatives: Path, persons: list[Person]) -> None:
    """Write anatomy, blood flow and fractional anisotropy."""
    fmriprep = describe(derivatives / 'fmriprep', 'fMRIPrep')
    aslprep = describe(derivatives / 'aslprep', 'ASLPrep')
    qsirecon = describe(derivatives / 'qsirecon', 'qsirecon')
    nested = describe(qsirecon / 'derivatives' / 'qsirecon-DIPYDKI', 'qsirecon')
    for person in persons:
        own, brain = own_head(person)
        stem = fmriprep / person.label / 'anat' / f'{person.label}_space-{SPACE}'
        t1w = np.where(brain, 1000 * own[2], 0).astype(np.int16)
        save_volume(t1w, Path(f'{stem}_desc-preproc_T1w.nii.gz'))
        Path(f'{stem}_desc-preproc_T1w.json').write_text('{"SkullStripped": true}\n')
        save_volume(brain.astype(np.uint8), Path(f'{stem}_desc-brain_mask.nii.gz'))
        write_flow(aslprep, person)
        name = f'{person.label}_space-{SPACE}_model-dki_param-fa_dwimap.nii.gz'
        save_volume(measure(person, 'fa', person.age), nested / person.label / 'dwi' / name)


# The cortex


@cache
def cortex() -> dict[str, np.ndarray]:
    """Return surfaces in mm and thickness in mm, left first; and triangles of one hemisphere."""
    with np.load(HERE / 'cortex.npz') as found:
        return {
            'triangles': found['triangles'].astype(np.int32),
            **{
                name: np.stack([found[f'{name}_{side}'] for side in ('left', 'right')]) / unit
                for name, unit in (('midthickness', 10), ('inflated', 10), ('thickness', 50))
            },
        }


@cache
def grey_vertices() -> np.ndarray:
    """Return whether vertices have a cortex, and are not of the medial wall: (2, 10242)."""
    return cortex()['thickness'] > 0


@cache
def averaging() -> sparse.csr_array:
    """Return the matrix that averages a vertex and its neighbours: (20484, 20484)."""
    triangles = cortex()['triangles']
    n = cortex()['thickness'].shape[1]
    starts, ends = triangles.ravel(), np.roll(triangles, -1, axis=1).ravel()
    joined = sparse.coo_array((np.ones(starts.size), (starts, ends)), (n, n))
    both = sparse.block_diag([joined + sparse.eye_array(n)] * 2).tocsr()
    return sparse.diags_array(1 / both.sum(axis=1)) @ both


@cache
def brain_models() -> BrainModelAxis:
    """Return the greyordinates: both cortices without their medial walls."""
    left, right = (
        BrainModelAxis.from_surface(np.flatnonzero(here), here.size, name)
        for here, name in zip(grey_vertices(), ('CortexLeft', 'CortexRight'), strict=True)
    )
    return left + right


@cache
def vertices() -> np.ndarray:
    """Return where greyordinates are, in mm: (3, n)."""
    return cortex()['midthickness'][grey_vertices()].T


def thickness(person: Person) -> np.ndarray:
    """Return the thickness of a person's cortex: (n,)."""
    noise = rng('thickness', person.label).normal(size=grey_vertices().size)
    for _ in range(30):
        noise = averaging() @ noise
    noise *= 0.12 / noise.std()
    usual = cortex()['thickness'].ravel()
    for _ in range(3):
        usual = averaging() @ usual
    values = (usual + noise)[grey_vertices().ravel()]
    values += rng('thickness', person.label, 'level').normal(0, 0.05)
    return values + EFFECTS['thickness'].at(vertices(), person.age)


@cache
def parcels() -> ParcelsAxis:
    """Return the regions: of each greyordinate the nearest point of its hemisphere."""
    points = np.array(list(REGIONS.values()), float)
    split = int(grey_vertices()[0].sum())
    models = []
    for side, sign, part in (('L', 1, slice(split)), ('R', -1, slice(split, None))):
        here = vertices().T[part]
        apart = ((here[:, None] - points * [sign, 1, 1]) ** 2).sum(-1).argmin(1)
        elements = np.arange(vertices().shape[1])[part]
        models += [
            (f'{side} {name}', brain_models()[elements[apart == number]])
            for number, name in enumerate(REGIONS)
        ]
    return ParcelsAxis.from_brain_models(models)


def centres() -> np.ndarray:
    """Return the points of all regions: (3, 40)."""
    left = np.array(list(REGIONS.values()), float).T
    return np.concatenate([left, left * [[-1], [1], [1]]], axis=1)


def homogeneity(person: Person) -> np.ndarray:
    """Return the regional homogeneity of a person's parcels: (40,)."""
    usual = rng('reho').normal(0.55, 0.05, centres().shape[1])
    own = rng('regional', person.label).normal(0, 0.025, usual.size)
    return usual + own + EFFECTS['reho'].at(centres(), person.age)


def correlations(person: Person) -> np.ndarray:
    """Return how a person's parcels correlate, nearer and mirrored ones more: (40, 40)."""
    points = centres()
    apart = np.linalg.norm(points[:, :, None] - points[:, None], axis=0)
    mirrored = np.linalg.norm((points * [[-1], [1], [1]])[:, :, None] - points[:, None], axis=0)
    usual = 0.7 * np.exp(-apart / 50) + 0.5 * np.exp(-mirrored / 25)
    own = rng('connectivity', person.label).normal(0, 0.1, usual.shape)
    values = usual + (own + own.T) / np.sqrt(2)
    ends = tuple(list(parcels().name).index(name) for name in WEAK_EDGE)
    for edge in (ends, ends[::-1]):
        values[edge] += EDGE_PER_YEAR * (person.age - 40)
    values = np.tanh(values)
    np.fill_diagonal(values, 1)
    return values


def save_cifti(values: np.ndarray, axes: tuple[object, ...], path: Path) -> None:
    """Write a CIFTI image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nb.save(nb.Cifti2Image(values.astype(np.float32), axes), path)


def save_surfaces(stem: str) -> None:
    """Write the surfaces of both hemispheres as GIFTI."""
    kinds = {'midthickness': 'MidThickness', 'inflated': 'Inflated'}
    for name, kind in kinds.items():
        for side, whole, points in zip('LR', ('Left', 'Right'), cortex()[name], strict=True):
            about = {'AnatomicalStructurePrimary': f'Cortex{whole}', 'GeometricType': kind}
            arrays = [
                GiftiDataArray(points.astype(np.float32), 'NIFTI_INTENT_POINTSET', meta=about),
                GiftiDataArray(cortex()['triangles'], 'NIFTI_INTENT_TRIANGLE'),
            ]
            path = stem.replace('hemi-L', f'hemi-{side}') + f'_{name}.surf.gii'
            nb.save(GiftiImage(darrays=arrays), path)


def write_cortex(derivatives: Path, persons: list[Person]) -> None:
    """Write thickness, surfaces of the first person, and measures of parcels."""
    fmriprep, xcp_d = derivatives / 'fmriprep', describe(derivatives / 'xcp_d', 'xcp_d')
    named = ScalarAxis(['thickness'])
    for person in persons:
        sub = person.label
        path = fmriprep / sub / 'anat' / f'{sub}_{SURFACE}_thickness.dscalar.nii'
        save_cifti(thickness(person)[None], (named, brain_models()), path)
        if person is persons[0]:
            save_surfaces(str(path.with_name(f'{sub}_hemi-L_{SURFACE}')))
        func = xcp_d / sub / 'func'
        stem = f'{sub}_task-rest_{SURFACE.replace("_den", "_seg-Regions_den")}'
        save_cifti(
            homogeneity(person)[None],
            (ScalarAxis(['reho']), parcels()),
            func / f'{stem}_stat-reho_boldmap.pscalar.nii',
        )
        save_cifti(
            correlations(person),
            (parcels(), parcels()),
            func / f'{stem}_stat-pearsoncorrelation_boldmap.pconn.nii',
        )


# Fixels


@cache
def fixels() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the voxel of each fixel, its direction, and its tract: (n, 3), (n, 3) and (n,).

    White matter near the middle of a tract has a fixel of it. Tracts of one name but for numbers
    are one. Fixels of one voxel follow each other, as MRtrix wants them.
    """
    white = np.argwhere(head()[0][1] > 0.3)
    points = places()[:, *white.T].T
    found: dict[tuple[int, str], tuple[float, np.ndarray]] = {}
    for name, (path, radius) in TRACTS.items():
        steps = np.linspace(0, len(path) - 1, 60)
        line = np.stack(
            [np.interp(steps, range(len(path)), axis) for axis in np.transpose(path)], axis=1
        )
        along = np.gradient(ndimage.uniform_filter1d(line, 7, axis=0), axis=0)
        apart = np.linalg.norm(points[:, None] - line, axis=2)
        nearest, tract = apart.argmin(1), name.rstrip('-0123456789 ')
        for voxel in np.flatnonzero(apart.min(1) < radius):
            distance = apart[voxel, nearest[voxel]]
            if distance < found.get((voxel, tract), (np.inf, None))[0]:
                found[voxel, tract] = distance, along[nearest[voxel]]
    order = sorted(found)
    directions = np.array([found[key][1] for key in order])
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return white[[voxel for voxel, _ in order]], directions, np.array([tract for _, tract in order])


def density(person: Person) -> np.ndarray:
    """Return the fibre density of a person's fixels: (n,)."""
    voxels, _, tracts = fixels()
    values = 0.45 + smooth_field(0.06, 10, 'fd')[*voxels.T] + 0.05 * (tracts == 'callosum')
    values += smooth_field(0.04, 8, 'fd', person.label)[*voxels.T]
    values += rng('fd', person.label).normal(0, 0.02, values.size)
    effect = EFFECTS['fd'].at(places()[:, *voxels.T], person.age)
    return values + np.where(tracts == 'left corticospinal', effect, 0)


def save_mif(values: np.ndarray, path: Path, *, on_grid: bool = False) -> None:
    """Write an array as an MRtrix image, the first axis fastest."""
    affine = head()[1] if on_grid else np.eye(4)
    size = [f'{edge:g}' for edge in np.diag(affine)[:3]] + ['1'] * (values.ndim - 3)
    header = (
        f'mrtrix image\ndim: {",".join(map(str, values.shape))}\n'
        f'vox: {",".join(size)}\n'
        f'layout: {",".join(f"+{axis}" for axis in range(values.ndim))}\n'
        f'datatype: { {"f": "Float32LE", "u": "UInt32LE"}[values.dtype.kind] }\n'
        + ''.join(
            f'transform: {",".join("1" if row == axis else "0" for axis in range(3))},{origin:g}\n'
            for row, origin in enumerate(affine[:3, 3])
        )
        + 'file: . 512\nEND\n'
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header.encode().ljust(512, b'\0') + values.tobytes(order='F'))


def write_fixels(derivatives: Path, persons: list[Person]) -> None:
    """Write MRtrix's fixel directory of fibre density."""
    folder = derivatives / 'mrtrix' / 'fd'
    voxels, directions, _ = fixels()
    counts = np.zeros(head()[0].shape[1:], np.uint32)
    np.add.at(counts, tuple(voxels.T), 1)
    firsts = np.zeros_like(counts)
    there = tuple(np.unique(voxels, axis=0).T)
    firsts[there] = np.cumsum(counts[there]) - counts[there]
    save_mif(np.stack([counts, firsts], axis=-1), folder / 'index.mif', on_grid=True)
    save_mif(directions[:, :, None].astype(np.float32), folder / 'directions.mif')
    for person in persons:
        values = density(person)[:, None, None].astype(np.float32)
        save_mif(values, folder / f'{person.label}.mif')


# The dataset


#: Names of pipelines that BIDS does not have yet; theirs is such a file, too.
IGNORED = {
    'fMRIPrep': ['*.surf.gii', '*.dscalar.nii'],
    'ASLPrep': ['*_cbf.nii.gz', '*_desc-brain_mask.nii.gz'],
    'qsirecon': ['*_dwimap.nii.gz'],
    'xcp_d': ['*_boldmap.*'],
}


def describe(root: Path, generator: str = '') -> Path:
    """Write a dataset_description.json: of a derivative if a generator is given, else of raw."""
    root.mkdir(parents=True, exist_ok=True)
    made = {'DatasetType': 'derivative', 'GeneratedBy': [{'Name': generator}]}
    about = {'Name': root.name, 'BIDSVersion': '1.10.0', 'DatasetType': 'raw'}
    text = json.dumps(about | (made if generator else {}), indent=2)
    (root / 'dataset_description.json').write_text(text + '\n')
    if generator:
        (root / '.bidsignore').write_text('\n'.join(IGNORED[generator]) + '\n')
    return root


def write_participants(root: Path, persons: list[Person]) -> None:
    """Write the table of participants; the age of the second is not known."""
    lines = ['participant_id\tage\tsex\tsite']
    for number, person in enumerate(persons):
        age = 'n/a' if number == 1 else person.age
        lines.append(f'{person.label}\t{age}\t{person.sex}\t{person.site}')
    (root / 'participants.tsv').write_text('\n'.join(lines) + '\n')
    for person in persons:
        (root / person.label).mkdir()
    columns = {
        'age': {'Description': 'Age at the first visit', 'Units': 'year'},
        'sex': {'Description': 'Sex', 'Levels': {'F': 'female', 'M': 'male'}},
        'site': {'Description': 'Where the person was scanned'},
    }
    (root / 'participants.json').write_text(json.dumps(columns, indent=2) + '\n')


def write_study(root: Path, persons: list[Person]) -> Path:
    """Write everything but visits."""
    write_participants(describe(root), persons)
    write_volumes(root / 'derivatives', persons)
    write_cortex(root / 'derivatives', persons)
    write_fixels(root / 'derivatives', persons)
    return root


def write_visits(root: Path, persons: list[Person], years: tuple[float, ...] = (0, 3)) -> Path:
    """Write blood flow of sessions so many years after the first, and when they were."""
    write_participants(describe(root), persons)
    aslprep = describe(root / 'derivatives' / 'aslprep', 'ASLPrep')
    for person in persons:
        lines = ['session_id\tage']
        for number, later in enumerate(years, start=1):
            lines.append(f'ses-{number}\t{round(person.age + later, 1)}')
            write_flow(aslprep, person, f'ses-{number}', later)
        (root / person.label / f'{person.label}_sessions.tsv').write_text('\n'.join(lines) + '\n')
    return root


def main() -> None:
    """Write a study where the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('output', type=Path)
    parser.add_argument('--visits', action='store_true', help='two sessions of each, blood flow')
    arguments = parser.parse_args()
    write = write_visits if arguments.visits else write_study
    write(arguments.output, people())
    print(f'Wrote {arguments.output}. What age does, and where:')
    for name, effect in EFFECTS.items():
        if name == 'cbf' or not arguments.visits:
            place = ', '.join(map(str, effect.centre))
            print(f'  {name:18} {effect.per_year:+.3f} a year  {effect.place} ({place}) mm')
    if not arguments.visits:
        print(f'  {"pearsoncorrelation":18} {EDGE_PER_YEAR:+.3f} a year  {" – ".join(WEAK_EDGE)}')


if __name__ == '__main__':
    main()
