import re

import h5py
import numpy as np
import pytest
from images import AFFINE, SHAPE, expected_rows, group_mask, save, subject_map, write_cohort

from modelarrayio_bids.cohort import Cohort
from modelarrayio_bids.conversion.build import to_modelarray
from modelarrayio_bids.errors import CohortProblemsError, SchemaError, UsageError
from modelarrayio_bids.runtime.resources import MIB, Resources, resident_bytes
from modelarrayio_bids.spaces import VoxelSpace
from modelarrayio_bids.store.chunk_layout import Layout


def build(folder, **keywords):
    cohort = Cohort.from_csv(folder / 'cohort.csv')
    space = VoxelSpace.from_mask_file(folder / 'group_mask.nii.gz')
    return to_modelarray(cohort, space, folder / 'out.h5', **keywords)


def test_every_value_is_where_it_belongs(tmp_path):
    write_cohort(tmp_path, subjects=5, scalars=('FA', 'MD'))
    with h5py.File(build(tmp_path)) as file:
        for first_seed, scalar in ((0, 'FA'), (100, 'MD')):
            values = file[f'scalars/{scalar}/values']
            np.testing.assert_array_equal(values[()], expected_rows(5, first_seed))
            assert values.dtype == np.float32
            names = file[f'scalars/{scalar}/column_names'].asstr()[()]
            assert [name.split('/')[-1] for name in names] == [
                f'sub-{number:02d}_{scalar}.nii.gz' for number in range(5)
            ]
        assert set(file) == {'scalars', 'voxels', 'modelarrayio'}
        np.testing.assert_array_equal(file['voxels'][()].T[:, 1:], np.argwhere(group_mask()))


@pytest.mark.parametrize('threads', [1, 2, 5])
@pytest.mark.parametrize('columns', [1, 5, 1000])
def test_threads_and_chunks_change_no_value(tmp_path, threads, columns):
    write_cohort(tmp_path, subjects=7)
    layout = Layout('float64', chunk_columns=columns)
    with h5py.File(build(tmp_path, layout=layout, resources=Resources(threads))) as file:
        np.testing.assert_array_equal(file['scalars/FA/values'][()], expected_rows(7))


def test_rows_that_do_not_fit_go_through_a_scratch_file(tmp_path):
    # 9 rows of 1.7 million voxels are 58 MiB: the memory allowed leaves blocks of a few MiB.
    shape = (120, 120, 120)
    affine = np.diag([2.0, 2, 2, 1])
    mask = save(tmp_path / 'group_mask.nii.gz', np.ones(shape, np.uint8), affine)
    data = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    rows = [
        {
            'scalar_name': 'x',
            'source_file': str(save(tmp_path / f'{number}.nii', data + number, affine)),
            'source_mask_file': str(mask),
        }
        for number in range(9)
    ]
    space = VoxelSpace.from_mask_file(mask)
    # The matrix has 62 MB: two blocks of columns at least.
    resources = Resources(threads=1, memory=resident_bytes() + 90 * MIB)
    output = to_modelarray(Cohort.from_rows(rows), space, tmp_path / 'x.h5', resources=resources)
    with h5py.File(output) as file:
        for number in range(9):
            stored = file['scalars/x/values'][number]
            np.testing.assert_array_equal(stored, data.ravel() + np.float32(number))


def test_two_runs_make_the_same_file(tmp_path, monkeypatch):
    monkeypatch.setenv('SOURCE_DATE_EPOCH', '0')
    write_cohort(tmp_path)
    first = build(tmp_path).read_bytes()
    assert build(tmp_path).read_bytes() == first


def test_provenance_says_what_made_it_from_what(tmp_path):
    write_cohort(tmp_path)
    with h5py.File(build(tmp_path)) as file:
        facts = file['modelarrayio'].attrs
        assert facts['software'] == 'modelarrayio-bids'
        assert {'version', 'command', 'created'} <= set(facts)
        sources = file['modelarrayio/sources/FA']
        for row, path in enumerate(sources['path'].asstr()[()]):
            with open(path, 'rb') as image:
                assert sources['size'][row] == len(image.read())
        assert (np.diff(sources['modified'][()]) >= 0).all()


def test_all_problems_are_told_before_anything_is_read(tmp_path):
    path = write_cohort(tmp_path, subjects=4)
    save(tmp_path / 'FA' / 'sub-00_FA.nii.gz', subject_map(0, (4, 5, 7)))
    moved = AFFINE.copy()
    moved[2, 3] += 1
    save(tmp_path / 'FA' / 'sub-01_FA.nii.gz', subject_map(1), moved)
    save(tmp_path / 'FA' / 'sub-02_FA.nii.gz', np.zeros((*SHAPE, 3), np.float32))
    (tmp_path / 'masks' / 'sub-03_mask.nii.gz').unlink()
    with pytest.raises(CohortProblemsError) as raised:
        build(tmp_path)
    said = str(raised.value)
    for part in (
        '4 problems, nothing was written',
        'sub-00_FA.nii.gz: has shape 4 × 5 × 7, expected 4 × 5 × 6',
        'sub-01_FA.nii.gz: has the expected shape 4 × 5 × 6 but another affine',
        'sub-02_FA.nii.gz: is 4 × 5 × 6 × 3, expected three dimensions',
        'sub-03_mask.nii.gz: no such file',
    ):
        assert part in said
    assert path.exists()
    assert not list(tmp_path.glob('*.h5*'))
    assert not list(tmp_path.glob('.*'))


def test_a_mask_shared_by_all_is_complained_of_once(tmp_path):
    write_cohort(tmp_path, subjects=4)
    cohort = Cohort.from_csv(tmp_path / 'cohort.csv')
    shared = str(save(tmp_path / 'shared.nii.gz', np.ones((2, 2, 2), np.uint8)))
    rows = [{**row, 'source_mask_file': shared} for row in cohort.rows]
    space = VoxelSpace.from_mask_file(tmp_path / 'group_mask.nii.gz')
    with pytest.raises(ValueError, match=r'^\S*shared.nii.gz: has shape 2 × 2 × 2'):
        to_modelarray(Cohort.from_rows(rows), space, tmp_path / 'x.h5')


def test_damage_inside_a_file_leaves_nothing_behind(tmp_path):
    # The header and the size are right: only reading the data tells.
    write_cohort(tmp_path, subjects=3)
    path = tmp_path / 'FA' / 'sub-01_FA.nii.gz'
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(ValueError, match='sub-01_FA.nii.gz: is (damaged|truncated)'):
        build(tmp_path)
    assert not [*tmp_path.glob('*.h5*'), *tmp_path.glob('.*')]


def test_names_that_r_needs_backticks_for_are_written_with_a_warning(tmp_path, caplog):
    # As the predecessor writes them.
    write_cohort(tmp_path, scalars=('FA-w',))
    build(tmp_path)
    assert "'FA-w' is not a valid name in R: a formula needs backticks, `FA-w` ~ age" in (
        caplog.text
    )


def test_names_that_are_other_places_are_refused_first(tmp_path):
    table = write_cohort(tmp_path)
    table.write_text(table.read_text().replace('FA,', 'a/b,'))
    with pytest.raises(SchemaError, match="'a/b' cannot be the name of a scalar"):
        build(tmp_path)


def test_memory_too_small_says_what_would_do(tmp_path):
    write_cohort(tmp_path)
    with pytest.raises(UsageError, match='Give at least') as refused:
        build(tmp_path, resources=Resources(memory=10 * MIB))
    least = int(re.search(r'at least (\d+) MB', str(refused.value))[1])
    # A process grows a little between two builds.
    build(tmp_path, resources=Resources(memory=(least + 5) * MIB))


@pytest.mark.parametrize(('dtype', 'is_said'), [('float32', True), ('float64', False)])
def test_values_that_float32_cannot_hold_are_said(tmp_path, caplog, dtype, is_said):
    write_cohort(tmp_path)
    values = np.full(SHAPE, 1e60)
    values[:2] = 1
    path = save(tmp_path / 'FA' / 'sub-01_FA.nii.gz', values)
    store = build(tmp_path, layout=Layout(dtype))
    said = f'{path}: has values that float32 cannot hold; they become infinite'
    assert (said in caplog.text) is is_said
    with h5py.File(store) as file:
        assert np.isinf(file['scalars/FA/values'][1]).any() == is_said
