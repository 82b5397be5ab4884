"""Every command of the tutorials, run in their order; what they show is what comes."""

import subprocess

import pytest
from pages import DOCS, copy_downloads, follow, steps
from tools import missing, require_tool

TUTORIALS = sorted((DOCS / 'tutorials').glob('*.md'))


def has_rhdf5():
    program = require_tool('Rscript')
    code = 'quit(status = !requireNamespace("rhdf5", quietly = TRUE))'
    return not subprocess.run([program, '-e', code], check=False, capture_output=True).returncode


@pytest.mark.parametrize('page', TUTORIALS, ids=lambda page: page.stem)
def test_the_tutorial_does_what_it_shows(page, tmp_path):
    require_tool('modelarrayio')
    copy_downloads(page, tmp_path)
    for step in steps(page):
        if step.command.startswith('Rscript') and not has_rhdf5():
            missing('the R package rhdf5 is not installed: the page was followed as far as R')
        follow(step, tmp_path)


def test_there_is_one_for_voxels_fixels_and_greyordinates():
    assert {page.stem for page in TUTORIALS} >= {'voxels', 'fixels', 'greyordinates'}
