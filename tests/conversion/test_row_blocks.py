"""Row blocks read one by one, by different processes too, and the store made of them."""

import os
import subprocess
import sys

import greyordinates as cifti
import numpy as np
import pytest
import trees
from images import group_mask, save, subject_map, write_cohort

from modelarrayio_bids.cohort import Cohort
from modelarrayio_bids.conversion.build import assemble, to_modelarray
from modelarrayio_bids.conversion.row_blocks import plan_row_blocks
from modelarrayio_bids.errors import FormatError, SourceNotFoundError
from modelarrayio_bids.runtime.resources import MIB, Resources
from modelarrayio_bids.spaces import References, VoxelSpace, space_of
from modelarrayio_bids.store.chunk_layout import Layout

#: Read in a process of its own, as a job does: the CSV, the group mask, the folder, which block.
READER = """
import sys
from pathlib import Path
from modelarrayio_bids.cohort import Cohort
from modelarrayio_bids.runtime.resources import Resources
from modelarrayio_bids.conversion.row_blocks import plan_row_blocks
from modelarrayio_bids.spaces import VoxelSpace
from modelarrayio_bids.store.chunk_layout import Layout
cohort, space = Cohort.from_csv(sys.argv[1]), VoxelSpace.from_mask_file(sys.argv[2])
folder, number = Path(sys.argv[3]), int(sys.argv[4])
plan = plan_row_blocks(cohort.sources(), space, Layout(), folder, n_blocks=2)
print(plan[number].read(space, Resources(2)))
"""


@pytest.fixture(autouse=True)
def fixed_date(monkeypatch):
    """Files made of the same sources are then the same, byte for byte."""
    monkeypatch.setenv('SOURCE_DATE_EPOCH', '0')


@pytest.fixture
def voxels(tmp_path):
    """Seven maps, and their space."""
    cohort = Cohort.from_csv(write_cohort(tmp_path, subjects=7))
    return cohort, VoxelSpace.from_mask_file(tmp_path / 'group_mask.nii.gz')


def dense(folder):
    """Five CIFTI files of 66 greyordinates."""
    for number in range(5):
        values = cifti.random_values(66, seed=number)
        cifti.save_map(folder / f'sub-{number}_x.dscalar.nii', values, cifti.brain_models())
    return sorted(folder.glob('*.dscalar.nii'))


def fixels(folder):
    """Five files of one fixel directory."""
    trees.write_fixels(folder, trees.people(5), measures=('fd',))
    return sorted((folder / 'fd').glob('sub-*.mif'))


def cohort_and_space(paths):
    """Of images that say themselves which elements there are."""
    cohort = Cohort.from_rows({'scalar_name': 'x', 'source_file': str(path)} for path in paths)
    return cohort, space_of(cohort.sources(), References())


def plan(cohort, space, folder, layout=Layout(), **keywords):
    return plan_row_blocks(cohort.sources(), space, layout, folder / 'blocks', **keywords)


def assembled(cohort, space, folder, layout=Layout(), **keywords):
    """The bytes of the store that row blocks make, the last of them read first."""
    blocks = plan(cohort, space, folder, layout, **keywords)
    for block in reversed(blocks):
        block.read(space, Resources(2))
    return assemble(
        *(cohort, space, folder / 'joined.h5'), row_blocks=blocks, layout=layout, summaries=True
    ).read_bytes()


@pytest.mark.parametrize('n_blocks', [1, 2, 3, 7, 50])
@pytest.mark.parametrize('dtype', ['float32', 'float64'])
# With so little memory a block of columns is one chunk, of 4 of the 24 voxels.
@pytest.mark.parametrize('memory', [None, 1])
def test_voxels_are_the_same_as_read_at_once(voxels, tmp_path, n_blocks, dtype, memory):
    layout = Layout(dtype, chunk_columns=4)
    at_once = to_modelarray(*voxels, tmp_path / 'x.h5', layout, summaries=True).read_bytes()
    blocks = plan(*voxels, tmp_path, layout, n_blocks=n_blocks, memory=memory)
    assert len(blocks) == min(n_blocks, 7)
    assert len(blocks[0].blocks.spans()) == (1 if memory is None else 6)
    joined = assembled(*voxels, tmp_path, layout, n_blocks=n_blocks, memory=memory)
    assert joined == at_once


@pytest.mark.parametrize('write', [dense, fixels])
@pytest.mark.parametrize('n_blocks', [1, 2, 50])
def test_what_is_no_voxels_too(tmp_path, write, n_blocks):
    cohort, space = cohort_and_space(write(tmp_path))
    layout = Layout(chunk_columns=7)
    at_once = to_modelarray(cohort, space, tmp_path / 'x.h5', layout, summaries=True).read_bytes()
    assert assembled(cohort, space, tmp_path, layout, n_blocks=n_blocks, memory=1) == at_once


def test_without_a_number_there_is_a_block_for_every_gigabyte(voxels, tmp_path):
    assert len(plan(*voxels, tmp_path)) == 1
    # 150 rows of two million voxels in float32 are 1.1 GiB; their values are not looked at.
    space = VoxelSpace.from_mask(np.ones((125, 125, 128), bool), np.eye(4))
    sources = voxels[0].sources()[:1] * 150
    planned = plan_row_blocks(sources, space, Layout(), tmp_path)
    assert [len(block.sources) for block in planned] == [75, 75]
    assert planned[0].blocks.width * 150 * 4 <= 256 * MIB


def test_what_is_done_is_not_read_again(voxels, tmp_path):
    first, second = plan(*voxels, tmp_path, n_blocks=2)
    assert not first.is_done
    path = first.read(voxels[1], Resources(1))
    assert first.is_done
    assert not second.is_done
    before = path.stat()
    again, _ = plan(*voxels, tmp_path, n_blocks=2)
    assert again.read(voxels[1], Resources(1)) == path
    after = path.stat()
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)


def test_what_is_shorter_than_it_should_be_is_read_again(voxels, tmp_path):
    # Renamed before its bytes were on the disk, and then the power went.
    block, *_ = plan(*voxels, tmp_path, n_blocks=2)
    whole = block.read(voxels[1], Resources(1)).read_bytes()
    block.path.write_bytes(whole[:-1])
    assert not block.is_done
    assert block.read(voxels[1], Resources(1)).read_bytes() == whole


def names(cohort, space, folder, layout=Layout(), **keywords):
    return [block.path.name for block in plan(cohort, space, folder, layout, **keywords)]


@pytest.mark.parametrize('changed', ['FA/sub-01_FA.nii.gz', 'masks/sub-01_mask.nii.gz'])
def test_an_image_that_changed_makes_another_block_of_its_own_alone(voxels, tmp_path, changed):
    before = names(*voxels, tmp_path, n_blocks=2)
    os.utime(tmp_path / changed, (0, 0))
    after = names(*voxels, tmp_path, n_blocks=2)
    assert after[0] != before[0]
    assert after[1] == before[1]


def test_other_elements_types_and_cuts_make_other_blocks(voxels, tmp_path):
    cohort, space = voxels
    smaller = group_mask()
    smaller[0, 2, 3] = 0
    less = VoxelSpace.from_mask_file(save(tmp_path / 'less.nii.gz', smaller))
    everything = [
        names(cohort, space, tmp_path, n_blocks=2),
        names(cohort, less, tmp_path, n_blocks=2),
        names(cohort, space, tmp_path, Layout('float64'), n_blocks=2),
        names(cohort, space, tmp_path, n_blocks=3),
        names(cohort, space, tmp_path, Layout(chunk_columns=4), memory=1, n_blocks=2),
    ]
    flat = [name for found in everything for name in found]
    assert len(set(flat)) == len(flat)
    # Compression is the business of who assembles.
    assert names(cohort, space, tmp_path, Layout(level=9), n_blocks=2) == everything[0]


def test_another_map_of_the_same_files_makes_other_blocks(tmp_path):
    for number in range(2):
        values = cifti.random_values(2, 66, seed=number)
        axes = (cifti.maps('mean', 'sd'), cifti.brain_models())
        cifti.save_matrix(tmp_path / f'sub-{number}_x.dscalar.nii', values, axes)
    rows = [
        {'scalar_name': 'x', 'source_file': str(path)}
        for path in sorted(tmp_path.glob('*.dscalar.nii'))
    ]
    cohort = Cohort.from_rows(rows)
    mean, sd = (space_of(cohort.sources(), References(map=name)) for name in ('mean', 'sd'))
    assert names(cohort, mean, tmp_path) != names(cohort, sd, tmp_path)


def test_a_missing_block_is_an_error_that_names_its_rows(voxels, tmp_path):
    blocks = plan(*voxels, tmp_path, n_blocks=2)
    blocks[0].read(voxels[1], Resources(1))
    with pytest.raises(SourceNotFoundError) as raised:
        assemble(*voxels, tmp_path / 'x.h5', row_blocks=blocks)
    said = str(raised.value)
    assert said.startswith(f'{blocks[1].path}: is missing')
    # Seven rows in two blocks: three and four.
    assert '4 images of FA' in said
    assert 'sub-03_FA.nii.gz to ' in said
    assert 'sub-06_FA.nii.gz' in said
    assert not [*tmp_path.glob('*.h5*'), *tmp_path.glob('.*')]


def test_an_image_that_changed_after_it_was_read_is_not_taken_for_what_it_was(voxels, tmp_path):
    for block in plan(*voxels, tmp_path, n_blocks=2):
        block.read(voxels[1], Resources(1))
    save(tmp_path / 'FA' / 'sub-05_FA.nii.gz', subject_map(55))
    with pytest.raises(SourceNotFoundError, match='An image changed while the cohort was read'):
        assemble(*voxels, tmp_path / 'x.h5', row_blocks=plan(*voxels, tmp_path, n_blocks=2))


def test_an_error_in_the_middle_leaves_nothing(voxels, tmp_path):
    path = tmp_path / 'FA' / 'sub-02_FA.nii.gz'
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    first, second = plan(*voxels, tmp_path, n_blocks=2)
    second.read(voxels[1], Resources(2))
    with pytest.raises(FormatError, match='sub-02_FA.nii.gz'):
        first.read(voxels[1], Resources(2))
    assert list((tmp_path / 'blocks').iterdir()) == [second.path]


def reader(folder, number=0):
    """A process that reads a block."""
    files = (folder / 'cohort.csv', folder / 'group_mask.nii.gz', folder / 'blocks', str(number))
    return subprocess.Popen(
        [sys.executable, '-c', READER, *files],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class Interrupted(VoxelSpace):
    """Voxels whose second image is interrupted while it is read."""

    def read(self, source):
        if source.name.endswith('sub-01_FA.nii.gz'):
            raise KeyboardInterrupt
        return super().read(source)


def test_an_interrupt_in_the_middle_leaves_nothing(voxels, tmp_path):
    space = Interrupted.from_mask_file(tmp_path / 'group_mask.nii.gz')
    (block,) = plan(voxels[0], space, tmp_path, n_blocks=1)
    with pytest.raises(KeyboardInterrupt):
        block.read(space, Resources(1))
    assert list((tmp_path / 'blocks').iterdir()) == []


def test_two_readers_at_once_of_one_block_end_well(voxels, tmp_path):
    readers = [reader(tmp_path) for _ in range(2)]
    ends = [process.communicate(timeout=600) for process in readers]
    assert [process.returncode for process in readers] == [0, 0], ends
    first, second = plan(*voxels, tmp_path, n_blocks=2)
    assert {out.strip() for out, _ in ends} == {str(first.path)}
    assert list((tmp_path / 'blocks').iterdir()) == [first.path]
    second.read(voxels[1], Resources(1))
    joined = assemble(*voxels, tmp_path / 'joined.h5', row_blocks=[first, second]).read_bytes()
    assert joined == to_modelarray(*voxels, tmp_path / 'x.h5').read_bytes()
