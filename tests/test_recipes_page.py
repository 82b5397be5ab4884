"""``docs/recipes.md`` as its reader follows it: the files, the recipe and the commands it shows."""

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import listings
import pytest
import trees
from tools import require_tool

PAGE = Path(__file__).parent.parent / 'docs' / 'recipes.md'


def blocks(language):
    """The texts of the page's fenced blocks of one language."""
    return re.findall(
        rf'^```{language}\n(.*?)^```$', PAGE.read_text('utf-8'), re.MULTILINE | re.DOTALL
    )


def steps():
    """Each command of the page, with what it shows below it."""
    for block in blocks('console'):
        for part in re.split(r'^\$ ', block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition('\n')
            yield command, output


@pytest.fixture
def folder(tmp_path):
    """What the page takes as given: the files it lists, for three participants."""
    command, output = next(steps())
    dataset, _, below = command.removeprefix('ls ').partition('/sub-01/')
    listed = [f'sub-01/{below}/{name}' for name in output.split()]
    listings.write(tmp_path / dataset, listed, trees.people(3), 'qsmtool')
    trees.describe(tmp_path / 'study')
    (recipe,) = blocks('yaml')
    (tmp_path / 'qsmtool.yaml').write_text(recipe)
    return tmp_path


def test_every_command_does_what_the_page_shows(folder):
    require_tool('modelarrayio-bids')
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ['PATH']])
    environment = os.environ | {'PATH': places}
    for command, expected in steps():
        done = subprocess.run(
            command, shell=True, cwd=folder, env=environment, capture_output=True, text=True,
            check=False, timeout=120,
        )  # fmt: skip
        shown = done.stdout if done.returncode == 0 else last_line(done.stderr)
        checker = doctest.OutputChecker()
        assert checker.check_output(expected, shown, doctest.ELLIPSIS), f'$ {command}\n{shown}'


def last_line(text):
    return text.splitlines()[-1] + '\n'


def test_the_page_names_every_recipe_that_comes_along():
    from modelarrayio_bids.derivatives.recipes import builtin_recipes

    table = PAGE.read_text('utf-8').partition('## ')[0]
    assert all(f'`{recipe.name}`' in table for recipe in builtin_recipes())
