"""Which modules are loaded, and which names of other libraries are used."""

import ast
import functools
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import trees

import modelarrayio_bids

PACKAGE = Path(modelarrayio_bids.__file__).parent
MODULES = sorted(PACKAGE.rglob('*.py'))
#: Documented in spite of their names.
DOCUMENTED = {'_replace', '_asdict', '_fields'}
#: What subclasses have to use: of nipype's SimpleInterface (its documentation) and MultiProc, and
#: of Python's argparse.
ALLOWED = {
    'interfaces/base.py': {'self._results'},
    'workflows/plugins.py': {
        *('super()._async_callback', 'super()._get_result', 'self._task_obj'),
    },
    'cli/parser.py': {
        *('self._actions', 'self._mutually_exclusive_groups'),
        'group._group_actions',
    },
}

CONVERT = """
import sys
from pathlib import Path

import modelarrayio_bids
from modelarrayio_bids import Cohort, References, space_of, to_modelarray

folder = Path(sys.argv[1])
cohort = Cohort.from_csv(folder / 'cohort.csv')
space = space_of(list(cohort.sources()), References(mask=folder / 'mask.nii.gz'))
to_modelarray(cohort, space, folder / 'out.h5')
heavy = {'pandas', 'matplotlib', 'bids', 'nipype', 'sqlalchemy', 'fsspec'} & sys.modules.keys()
assert not heavy, heavy
"""


def is_private(name):
    return name.startswith('_') and not name.endswith('__') and name not in DOCUMENTED


def own_names(tree):
    """Private names that a module defines or assigns to."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


@functools.cache
def names_of(path):
    return frozenset(own_names(ast.parse(path.read_text('utf-8'))))


def private_uses(source, inherited=()):
    """Private names of others: attributes that neither the module nor the package defines."""
    tree = ast.parse(source)
    own = set(own_names(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            owner = ast.unparse(node.value)
            known = own.union(inherited) if owner in {'self', 'cls', 'super()'} else own
            # Python's own are what types of argparse are called.
            if node.attr not in known and owner not in sys.stdlib_module_names:
                yield ast.unparse(node)
        elif isinstance(node, ast.ImportFrom):
            parts = [*(node.module or '').split('.'), *(alias.name for alias in node.names)]
            yield from (part for part in parts if is_private(part))
        elif isinstance(node, ast.Import):
            names = (part for alias in node.names for part in alias.name.split('.'))
            yield from filter(is_private, names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in {'getattr', 'setattr'}:
            name = node.args[1]
            if isinstance(name, ast.Constant) and is_private(name.value):
                yield ast.unparse(node)


@pytest.mark.parametrize(
    ('source', 'found'),
    [
        ('from h5py._objects import phil', ['_objects']),
        ('import nibabel._compression', ['_compression']),
        ('from bids.layout.models import _create_tag_dict', ['_create_tag_dict']),
        ('layout.connection._engine.dispose()', ['layout.connection._engine']),
        ("getattr(frame, '_mgr')", ["getattr(frame, '_mgr')"]),
        ('class A:\n  def _x(self): return self._x + one._replace(a=1) + self.__class__', []),
    ],
)
def test_private_names_are_recognised(source, found):
    assert list(private_uses(source)) == found


@pytest.mark.parametrize('path', MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_private_name_of_a_library_is_used(path):
    defined = {name for other in MODULES for name in names_of(other)}
    found = set(private_uses(path.read_text('utf-8'), defined))
    assert found - ALLOWED.get(path.relative_to(PACKAGE).as_posix(), set()) == set()


def test_no_sql_is_written_where_pybids_is_used():
    texts = [path.read_text('utf-8') for path in (PACKAGE / 'derivatives').rglob('*.py')]
    assert not [text for text in texts if 'sqlite' in text or 'sqlalchemy' in text]


def test_a_pipeline_that_only_converts_loads_no_more_than_it_needs(tmp_path):
    person = trees.people(1)[0]
    image = trees.write_map(tmp_path / 'FA.nii.gz', person)
    mask = trees.write_mask(tmp_path / 'mask.nii.gz', person)
    (tmp_path / 'cohort.csv').write_text(
        f'scalar_name,source_file,source_mask_file\nFA,{image},{mask}\n'
    )
    code = textwrap.dedent(CONVERT)
    words = [sys.executable, '-c', code, str(tmp_path)]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
