"""What the pages on the file commands show, run as their readers run it."""

import shutil
import subprocess

import numpy as np
import pytest
from images import group_mask, write_cohort, write_csv
from pages import DOCS, copy_downloads, follow, follow_all, steps
from stores import write_results
from tools import require_tool

from modelarrayio_bids.cli.files import main

N = int(group_mask().sum())
HEADER = ['scalar_name', 'source_file', 'source_mask_file', 'participant_id', 'age']


def wave(name, numbers):
    rows = [
        [
            *('FA', f'FA/sub-{n:02d}_FA.nii.gz', f'masks/sub-{n:02d}_mask.nii.gz'),
            *(f'sub-{n:02d}', 20 + n),
        ]
        for n in numbers
    ]
    write_csv(name, HEADER, rows)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with a file of four subjects, and three more in two waves."""
    monkeypatch.chdir(tmp_path)
    require_tool('modelarrayio')
    write_cohort(tmp_path, subjects=7)
    for number, subjects in enumerate([range(4), range(4, 6), [6]], start=1):
        wave(tmp_path / f'wave{number}.csv', subjects)
    arguments = ['--cohort-file', 'wave1.csv', '--mask', 'group_mask.nii.gz', '--output', 'FA.h5']
    assert main(['to-modelarray', *arguments]) == 0
    return tmp_path


def test_slices_are_merged(folder):
    names = ['element_id', 'age.p.value', 'age.p.value.fdr']
    matrix = np.column_stack([np.arange(N), np.linspace(0, 1, N), np.linspace(0, 1, N)])
    (folder / 'parts').mkdir()
    for number, part in enumerate(np.split(matrix, 4), start=1):
        write_results(folder / 'parts' / f'job{number:03d}.h5', 'mylm', names, part)
    follow_all(DOCS / 'usage-merge-results.md', folder)


def test_images_are_added(folder):
    shutil.copy('FA.h5', 'analysed.h5')
    matrix = np.column_stack([np.arange(N), np.linspace(0, 1, N)])
    write_results('analysed.h5', 'mylm', ['element_id', 'age.p.value'], matrix)
    follow_all(DOCS / 'usage-append.md', folder)


def test_the_scripts_for_slices_are_r_and_bash(tmp_path):
    copy_downloads(DOCS / 'usage-merge-results.md', tmp_path)
    parse = f'invisible(parse("{tmp_path / "fit_slice.R"}"))'
    subprocess.run([require_tool('Rscript'), '-e', parse], check=True)
    subprocess.run([require_tool('bash'), '-n', tmp_path / 'fit_slices.sh'], check=True)


@pytest.mark.parametrize('page', sorted(DOCS.glob('usage*.md')), ids=lambda page: page.stem)
def test_pages_show_the_options_as_the_terminal_does(page, tmp_path):
    # Meant to be otherwise? make descriptor
    (step,) = (step for step in steps(page) if step.command.endswith('--help-all'))
    require_tool('modelarrayio')
    follow(step, tmp_path)
