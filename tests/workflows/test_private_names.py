"""Nipype is used by its public names alone."""

import ast
from pathlib import Path

import pytest
from pages import DOCS

import modelarrayio_bids

PACKAGE = Path(modelarrayio_bids.__file__).parent
FILES = [
    *(PACKAGE / 'interfaces').glob('*.py'),
    *(PACKAGE / 'workflows').glob('*.py'),
    DOCS / '_ext' / 'nipype_pages.py',
    *(DOCS / 'examples').glob('*.py'),
]


def is_private(name):
    return name.startswith('_') and not name.endswith('__')


def private_names(tree):
    """Private attributes of anything but an object itself, and private names that are imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            of = ast.unparse(node.value)
            if of not in {'self', 'cls', 'os'} and not of.startswith('super('):
                yield f'{of}.{node.attr}'
        if isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names if is_private(alias.name))


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.stem)
def test_no_private_name_of_nipype(path):
    assert list(private_names(ast.parse(path.read_text('utf-8')))) == []


def test_what_a_subclass_of_nipypes_overrides():
    """Nipype documents ``_run_interface`` and ``_results`` as the way to write an interface."""
    from nipype.interfaces.base import SimpleInterface
    from nipype.pipeline.plugins.multiproc import MultiProcPlugin

    found = set()
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text('utf-8'))):
            if isinstance(node, ast.FunctionDef) and is_private(node.name):
                found |= {node.name} & (set(dir(SimpleInterface)) | set(dir(MultiProcPlugin)))
    assert found == {'_run_interface'}
