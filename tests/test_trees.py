"""The trees that other tests stand on."""

import subprocess
import sys
from pathlib import Path

import nibabel as nb
import numpy as np
import trees


def test_the_age_effect_is_in_the_left_half_alone():
    """Slopes over 100 persons: each mean has a noise of NOISE / sqrt(hundreds of voxels)."""
    persons = trees.people(100)
    maps = np.stack([trees.map_values(person, 'x.nii.gz') for person in persons])
    inside = np.all([trees.brain(person) for person in persons], axis=0)
    half = trees.TEMPLATE.shape[0] // 2
    ages = np.array([person.age for person in persons])
    left = maps[:, :half][:, inside[:half]].mean(axis=1)
    right = maps[:, half:][:, inside[half:]].mean(axis=1)
    assert abs(np.polyfit(ages, left, 1)[0] - trees.EFFECT) < 1e-3
    assert abs(np.polyfit(ages, right, 1)[0]) < 1e-3
    x = nb.affines.apply_affine(trees.TEMPLATE.affine, [half - 1, 0, 0])[0]
    assert x < 0  # RAS+: left is negative


def test_the_program_writes_the_study(tmp_path):
    program = Path(trees.__file__)
    subprocess.run([sys.executable, program, tmp_path / 'demo', '--subjects', '3'], check=True)
    lines = (tmp_path / 'demo' / 'participants.tsv').read_text().splitlines()
    assert [line.split('\t')[1] == 'n/a' for line in lines[1:]] == [False, True, False]
    images = list((tmp_path / 'demo').rglob('*.nii.gz'))
    # Per person: fMRIPrep 12, ASLPrep 11, qsirecon 7.
    assert len(images) == 3 * (12 + 11 + 7)
    assert all(nb.load(image).affine[0, 0] > 0 for image in images)
