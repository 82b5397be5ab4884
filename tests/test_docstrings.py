"""Docstrings say what a thing is or does; ruff's D401 sees to functions, this to all else."""

import ast
import re
from pathlib import Path

import pytest

import modelarrayio_bids

PACKAGE = Path(modelarrayio_bids.__file__).parent
MODULES = sorted(PACKAGE.rglob('*.py'))
# Openings that leave out the noun: "What was found.", "Of the results.", "Whether it is fixed."
FRAGMENT = re.compile(r'(What|Of|Those|Whether|How|Where|That|Which|Whose|Whom|Who|None:)\b')
# A parameter of a numpydoc section, and the text below it.
PARAMETER = re.compile(r'^( *)\S.* : .*\n\1 {4}(\S.*)$', re.MULTILINE)


def fragments(source):
    """First lines of docstrings, and texts of parameters, that open without a noun or verb."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            text = ast.get_docstring(node) or ''
            openings = [text, *(opening for _, opening in PARAMETER.findall(text))]
            yield from (line.splitlines()[0] for line in openings if FRAGMENT.match(line))


@pytest.mark.parametrize(
    ('source', 'found'),
    [
        ('"""What was found."""', ['What was found.']),
        ('class A:\n    """Images, by scalar."""', []),
        (
            'def f():\n    """Find.\n\n    Parameters\n    ---\n    a : b\n        Of it.\n    """',
            ['Of it.'],
        ),
    ],
)
def test_fragments_are_recognised(source, found):
    assert list(fragments(source)) == found


@pytest.mark.parametrize('path', MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_docstring_opens_with_a_fragment(path):
    assert list(fragments(path.read_text('utf-8'))) == []
