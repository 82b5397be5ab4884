"""Small images with a known effect, for the tutorials.

``python make_data.py {voxels,fixels,greyordinates} FOLDER`` writes twenty people's images and their
cohort CSV. In the first half of the elements (for voxels: the left of the brain) every value grows
by 0.004 a year; elsewhere there is noise alone. Needs numpy and nibabel.
"""

import argparse
import csv
import zlib
from pathlib import Path

import nibabel as nb
import numpy as np
from nibabel.cifti2 import BrainModelAxis, ScalarAxis

EFFECT = 0.004
NOISE = 0.02
AGES = np.random.default_rng(1).uniform(20, 60, 20).round()
SHAPE, EDGE = (10, 12, 10), 15.0


def main():
    """Make the data of one tutorial."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('kind', choices=['voxels', 'fixels', 'greyordinates'])
    parser.add_argument('folder', type=Path)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    {'voxels': voxels, 'fixels': fixels, 'greyordinates': greyordinates}[arguments.kind](
        arguments.folder
    )


def voxels(folder):
    """Maps and masks of FA; the group's mask."""
    for name in ('FA', 'individual_masks'):
        (folder / name).mkdir(exist_ok=True)
    save_volume(folder / 'group_mask.nii.gz', ellipsoid(60).astype(np.uint8))
    rows = []
    for label, person in people():
        source, mask = f'FA/{label}_FA.nii.gz', f'individual_masks/{label}_mask.nii.gz'
        brain = ellipsoid(50 + 12 * random(label + 'brain').random())
        save_volume(folder / source, np.where(brain, values(label, SHAPE), 0))
        save_volume(folder / mask, brain.astype(np.uint8))
        rows.append(('FA', source, mask, *person))
    write_cohort(folder / 'cohort_FA.csv', rows)


def fixels(folder):
    """A fixel directory of fibre density: 200 fixels in 100 voxels."""
    (folder / 'FD').mkdir(exist_ok=True)
    index = np.zeros((100, 2), np.uint32)
    index[:, 0] = np.tile([1, 2, 3, 2], 25)
    index[:, 1] = np.cumsum(index[:, 0]) - index[:, 0]
    directions = random('directions').normal(size=(200, 3, 1)).astype(np.float32)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    save_mif(folder / 'FD/index.mif', index.reshape(5, 5, 4, 2))
    save_mif(folder / 'FD/directions.mif', directions)
    rows = []
    for label, person in people():
        source = f'FD/{label}_fd.mif'
        save_mif(folder / source, values(label, (200, 1, 1)))
        rows.append(('FD', source, '', *person))
    write_cohort(folder / 'cohort_FD.csv', rows)


def greyordinates(folder):
    """Cortical thickness on two small cortices: 100 greyordinates."""
    (folder / 'thickness').mkdir(exist_ok=True)
    cortex = [
        BrainModelAxis.from_surface(np.arange(50), 32492, name)
        for name in ('CortexLeft', 'CortexRight')
    ]
    rows = []
    for label, person in people():
        source = f'thickness/{label}_thickness.dscalar.nii'
        axes = (ScalarAxis(['thickness']), cortex[0] + cortex[1])
        nb.save(nb.Cifti2Image(values(label, (100,))[np.newaxis], axes), folder / source)
        rows.append(('thickness', source, '', *person))
    write_cohort(folder / 'cohort_thickness.csv', rows)


def people():
    """Labels, each with what the cohort says of the person: label, age, sex."""
    for number, age in enumerate(AGES, start=1):
        yield f'sub-{number:02d}', (f'sub-{number:02d}', int(age), 'FM'[number % 2])


def values(label, shape):
    """Noise, and in the first half along the first axis the effect of age."""
    found = 0.45 + random(label).normal(0, NOISE, shape)
    found[: shape[0] // 2] += EFFECT * (AGES[int(label[4:]) - 1] - 40)
    return found.astype(np.float32)


def ellipsoid(radius):
    """Voxels within so many millimetres of the origin."""
    centred = np.indices(SHAPE).T - (np.array(SHAPE) - 1) / 2
    distances = EDGE * np.linalg.norm(centred, axis=-1).T
    return distances < radius


def save_volume(path, data):
    """An array as NIfTI."""
    affine = np.diag([EDGE, EDGE, EDGE, 1])
    affine[:3, 3] = -EDGE * (np.array(SHAPE) - 1) / 2
    nb.save(nb.Nifti1Image(data, affine), path)


def save_mif(path, data):
    """An array as MRtrix writes it, the first axis fastest."""
    header = (
        f'mrtrix image\ndim: {",".join(map(str, data.shape))}\n'
        f'vox: {",".join("2" * data.ndim)}\n'
        f'layout: {",".join(f"+{axis}" for axis in range(data.ndim))}\n'
        f'datatype: { {"f": "Float32LE", "u": "UInt32LE"}[data.dtype.kind] }\n'
        'transform: 1,0,0,0\ntransform: 0,1,0,0\ntransform: 0,0,1,0\nfile: . 256\nEND\n'
    )
    path.write_bytes(header.encode().ljust(256, b'\0') + data.tobytes(order='F'))


def write_cohort(path, rows):
    """The table that says which image is whose."""
    with open(path, 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(
            ['scalar_name', 'source_file', 'source_mask_file', 'subject_id', 'age', 'sex']
        )
        writer.writerows(rows)


def random(text):
    """Numbers that are the same on every call."""
    return np.random.default_rng(zlib.crc32(text.encode()))


if __name__ == '__main__':
    main()
