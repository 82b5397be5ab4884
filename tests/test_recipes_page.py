"""``docs/recipes.md`` as its reader follows it: the files, the recipe and the commands it shows."""

import doctest
import subprocess

import listings
import pytest
import trees
from pages import DOCS, blocks, environment, steps
from tools import require_tool

PAGE = DOCS / 'recipes.md'


@pytest.fixture
def folder(tmp_path):
    """What the page takes as given: the files it lists, for three participants."""
    first = next(steps(PAGE))
    dataset, _, below = first.command.removeprefix('ls ').partition('/sub-01/')
    listed = [f'sub-01/{below}/{name}' for name in first.output.split()]
    listings.write(tmp_path / dataset, listed, trees.people(3), 'qsmtool')
    trees.describe(tmp_path / 'study')
    (recipe,) = blocks(PAGE, 'yaml')
    (tmp_path / 'qsmtool.yaml').write_text(recipe)
    return tmp_path


def test_every_command_does_what_the_page_shows(folder):
    require_tool('modelarrayio-bids')
    for step in steps(PAGE):
        done = subprocess.run(
            step.command, shell=True, cwd=folder, env=environment(), capture_output=True, text=True,
            check=False, timeout=600,
        )  # fmt: skip
        shown = done.stdout if done.returncode == 0 else last_line(done.stderr)
        checker = doctest.OutputChecker()
        same = checker.check_output(step.output, shown, doctest.ELLIPSIS)
        assert same, f'$ {step.command}\n{shown}'


def last_line(text):
    return text.splitlines()[-1] + '\n'


def test_the_page_names_every_recipe_that_comes_along():
    from modelarrayio_bids.derivatives.recipes.recipe import builtin_recipes

    table = PAGE.read_text('utf-8').partition('## ')[0]
    assert all(f'`{recipe.name}`' in table for recipe in builtin_recipes())
