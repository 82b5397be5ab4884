"""Indexes kept between runs: what makes one stale or useless, and that it is then not used.

That one is used shows in a mark set in it, with the digest that belongs to it: the index is a
pybids database, and a label changed there is what a run finds.
"""

import logging
import os
import shutil
import sqlite3
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import bids
import pytest
import trees

import modelarrayio_bids
from modelarrayio_bids.derivatives.bids.dataset import Dataset
from modelarrayio_bids.derivatives.bids.index_cache import content_digest
from modelarrayio_bids.derivatives.bids.query import find_images
from modelarrayio_bids.derivatives.bids.tags import read_rows
from modelarrayio_bids.errors import OutputError

NAMES = [f'sub-{label}/perf/sub-{label}_{suffix}.nii.gz' for label in '12' for suffix in ('a', 'b')]


@pytest.fixture
def root(tmp_path):
    return made(tmp_path / 'study')


def made(root):
    trees.describe(root, 'x')
    for name in NAMES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def found(root, kept, **options):
    images = find_images(Dataset.from_folder(root), database_dir=kept, **options)
    return {image.path.relative_to(root).as_posix(): image.entities for image in images}


def mark(kept):
    """Change the suffix in every index that is kept."""
    for file in kept.rglob('layout_index.sqlite'):
        with closing(sqlite3.connect(file)) as database, database:
            database.execute("UPDATE tags SET _value = 'marked' WHERE entity_name = 'suffix'")
            rows = read_rows(database.execute)
            database.execute('UPDATE modelarrayio_bids SET content = ?', (content_digest(rows),))


def is_marked(images):
    return {entities['suffix'] for entities in images.values()} == {'marked'}


def test_what_is_found_is_the_same_with_and_without(root, tmp_path):
    plain = found(root, None)
    assert list(plain) == NAMES
    assert found(root, tmp_path / 'kept') == plain
    assert found(root, tmp_path / 'kept') == plain


def test_an_index_that_holds_is_used(root, tmp_path):
    found(root, tmp_path / 'kept')
    mark(tmp_path / 'kept')
    assert is_marked(found(root, tmp_path / 'kept'))


def test_an_index_is_a_database_of_pybids(root, tmp_path):
    found(root, tmp_path / 'kept')
    (folder,) = (tmp_path / 'kept').iterdir()
    assert len(bids.BIDSLayout(database_path=folder).get(suffix='a')) == 2


def add(root):
    (root / 'sub-3/perf').mkdir(parents=True)
    (root / 'sub-3/perf/sub-3_a.nii.gz').touch()


def delete(root):
    (root / NAMES[0]).unlink()


def move(root):
    (root / NAMES[0]).rename(root / 'sub-2/perf/sub-1_a.nii.gz')


def rename(root):
    (root / NAMES[0]).rename(root / 'sub-1/perf/sub-1_c.nii.gz')


@pytest.mark.parametrize('change', [add, delete, move, rename])
def test_a_dataset_that_changed_is_indexed_anew(root, tmp_path, change):
    found(root, tmp_path / 'kept')
    mark(tmp_path / 'kept')
    before = {path: path.stat() for path in root.rglob('*')}
    change(root)
    for path, stat in before.items():  # as on a disk whose times are too coarse to tell
        if path.exists():
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert found(root, tmp_path / 'kept') == found(root, None)
    assert found(root, tmp_path / 'kept') == found(root, None)


def test_other_files_change_nothing(root, tmp_path):
    found(root, tmp_path / 'kept')
    mark(tmp_path / 'kept')
    (root / 'sub-1/perf/sub-1_a.json').write_text('{}')
    assert is_marked(found(root, tmp_path / 'kept'))


def test_datasets_and_selections_have_indexes_of_their_own(root, tmp_path):
    kept = tmp_path / 'kept'
    other = made(tmp_path / 'other' / 'study')
    found(root, kept)
    mark(kept)
    assert not is_marked(found(other, kept))
    assert list(found(root, kept, participants=['2'])) == NAMES[2:]
    assert is_marked(found(root, kept))
    assert len(list(kept.iterdir())) == 3


def test_a_dataset_in_the_place_of_another_is_indexed_anew(root, tmp_path):
    """The folder may be a mount point: /data of a container."""
    found(root, tmp_path / 'kept')
    mark(tmp_path / 'kept')
    shutil.rmtree(root)
    trees.describe(root, 'y')
    assert found(root, tmp_path / 'kept') == {}


SCRIPT = """
import sys
from pathlib import Path
from modelarrayio_bids.derivatives.bids.dataset import Dataset
from modelarrayio_bids.derivatives.bids.query import find_images
dataset = Dataset.from_folder(Path(sys.argv[1]))
print({image.entities['suffix'] for image in find_images(dataset, database_dir=Path(sys.argv[2]))})
"""


@pytest.mark.parametrize(
    ('file', 'old', 'new', 'used'),
    [
        ('__about__.py', '__version__ = ', '__version__ = ', True),
        ('__about__.py', '__version__ = ', '__version__ = "99" + ', False),
        ('data/entities.json', '"bundle"', '"b"', False),
    ],
)
def test_another_version_or_configuration_indexes_anew(root, tmp_path, file, old, new, used):
    found(root, tmp_path / 'kept')
    mark(tmp_path / 'kept')
    package = Path(modelarrayio_bids.__file__).parent
    other = shutil.copytree(package, tmp_path / 'other' / package.name)
    text = (other / file).read_text('utf-8')
    assert text.count(old) == 1
    (other / file).write_text(text.replace(old, new), 'utf-8')
    done = subprocess.run(
        [sys.executable, '-c', SCRIPT, str(root), str(tmp_path / 'kept')],
        cwd=other.parent,
        env={**os.environ, 'PYTHONPATH': str(other.parent)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert ('marked' in done.stdout) is used


def truncate(file):
    file.write_bytes(file.read_bytes()[:20_000])


def empty(file):
    file.write_bytes(b'')


def scribble(file):
    """A label is changed, and the file is a whole database still."""
    content = file.read_bytes()
    assert b'2_b.nii.gz' in content
    file.write_bytes(content.replace(b'perf', b'pcrf'))


def replace_by_pybids(file):
    file.unlink()
    bids.BIDSLayout(file.parent, validate=False, database_path=file.parent)


@pytest.mark.parametrize('damage', [truncate, empty, scribble, replace_by_pybids])
def test_a_damaged_index_is_made_again_and_said_to_be(root, tmp_path, damage, caplog):
    found(root, tmp_path / 'kept')
    (file,) = (tmp_path / 'kept').rglob('layout_index.sqlite')
    damage(file)
    assert found(root, tmp_path / 'kept') == found(root, None)
    (said,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert said.message.startswith(f'{file} is damaged (')
    caplog.clear()
    assert found(root, tmp_path / 'kept') == found(root, None)
    assert not caplog.records


def test_runs_at_once_do_not_disturb_each_other(root, tmp_path):
    with ProcessPoolExecutor(4, get_context('spawn')) as pool:
        several = list(pool.map(partial(found, root), [tmp_path / 'kept'] * 6))
    assert several == [found(root, None)] * 6
    (folder,) = (tmp_path / 'kept').iterdir()
    assert [path.name for path in folder.iterdir()] == ['layout_index.sqlite']


def test_a_folder_that_cannot_be_made_is_named(root, tmp_path):
    (tmp_path / 'kept').touch()
    with pytest.raises(OutputError, match=r'kept/.*a file is where a folder should be'):
        found(root, tmp_path / 'kept')
