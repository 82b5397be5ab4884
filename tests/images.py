"""Small images and cohorts with values known in advance."""

import csv

import nibabel as nb
import numpy as np

SHAPE = (4, 5, 6)
AFFINE = np.array([[-2.0, 0, 0, 90], [0, 2, 0, -126], [0, 0, 2, -72], [0, 0, 0, 1]])


def save(path, data, affine=AFFINE):
    """Write an image in the type of its data, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nb.save(nb.Nifti1Image(data, affine), path)
    return path


def group_mask(shape=SHAPE):
    """A mask that is no box: its order shows."""
    mask = np.zeros(shape, np.uint8)
    mask[1:-1, 1:-1, 1:-1] = 1
    mask[1, 1, 1] = 0
    mask[0, 2, 3] = 1
    return mask


def subject_map(number, shape=SHAPE):
    """Values that differ between voxels and between subjects."""
    return np.random.default_rng(number).normal(size=shape).astype(np.float32)


def subject_mask(number, shape=SHAPE):
    """The group's, less one voxel that moves from subject to subject."""
    mask = group_mask(shape)
    i, j, k = np.argwhere(mask)[number % int(mask.sum())]
    mask[i, j, k] = 0
    return mask


def write_cohort(folder, subjects=3, scalars=('FA',), **columns):
    """A cohort of maps with their own masks, a group mask beside it; the CSV's path."""
    save(folder / 'group_mask.nii.gz', group_mask())
    rows = []
    for scalar in scalars:
        for number in range(subjects):
            seed = number + 100 * list(scalars).index(scalar)
            name = f'sub-{number:02d}'
            source = save(folder / scalar / f'{name}_{scalar}.nii.gz', subject_map(seed))
            mask = save(folder / 'masks' / f'{name}_mask.nii.gz', subject_mask(number))
            row = [scalar, str(source), str(mask), name, str(20 + number)]
            rows.append(row + [values[number] for values in columns.values()])
    header = ['scalar_name', 'source_file', 'source_mask_file', 'participant_id', 'age', *columns]
    return write_csv(folder / 'cohort.csv', header, rows)


def write_csv(path, header, rows):
    """Write a table, and return its path."""
    with open(path, 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
    return path


def expected_rows(subjects=3, first_seed=0):
    """What a cohort's matrix must hold, by plain indexing of the arrays."""
    inside = group_mask() > 0
    rows = []
    for number in range(subjects):
        values = subject_map(number + first_seed).copy()
        values[subject_mask(number) == 0] = np.nan
        rows.append(values[inside])
    return np.array(rows)
