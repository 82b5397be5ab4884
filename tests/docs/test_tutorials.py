"""Every command of the tutorials, run in their order; what they show is what comes."""

import pytest
from pages import DOCS, follow_all
from tools import require_tool

TUTORIALS = sorted((DOCS / 'tutorials').glob('*.md'))


@pytest.mark.parametrize('page', TUTORIALS, ids=lambda page: page.stem)
def test_the_tutorial_does_what_it_shows(page, tmp_path):
    require_tool('modelarrayio')
    follow_all(page, tmp_path)


def test_there_is_one_for_voxels_fixels_and_greyordinates():
    assert {page.stem for page in TUTORIALS} >= {'voxels', 'fixels', 'greyordinates'}
