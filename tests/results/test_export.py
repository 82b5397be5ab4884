import json
import logging

import h5py
import nibabel as nb
import numpy as np
import pytest
from images import AFFINE, SHAPE, group_mask, save, write_cohort
from stores import write_results

from modelarrayio_bids.cohort import Cohort
from modelarrayio_bids.conversion.build import to_modelarray
from modelarrayio_bids.errors import (
    AnalysisNotFoundError,
    FormatError,
    OutputError,
    ResultNameCollisionError,
    SchemaError,
    SpaceMismatchError,
    UsageError,
)
from modelarrayio_bids.results.export import ExportOptions, export_results
from modelarrayio_bids.spaces import References, VoxelSpace

INSIDE = group_mask() > 0
N = int(INSIDE.sum())
NAMES = ['element_id', 'Intercept.estimate', 'age.p.value', 'age.p.value.fdr', 'model.nobs']


@pytest.fixture
def store(tmp_path):
    write_cohort(tmp_path)
    space = VoxelSpace.from_mask_file(tmp_path / 'group_mask.nii.gz')
    return to_modelarray(Cohort.from_csv(tmp_path / 'cohort.csv'), space, tmp_path / 'x.h5')


@pytest.fixture
def matrix():
    rng = np.random.default_rng(5)
    values = rng.random((N, len(NAMES)))
    values[:, 0] = np.arange(N)
    values[3, 2:] = np.nan
    values[4, 2] = 1e-9
    return values


def in_chunks(store, analysis, width):
    """Store results as chunks of some elements, which are read one after another."""
    with h5py.File(store, 'a') as file:
        group = file[f'results/{analysis}']
        values, names = group['results_matrix'][()], group['results_matrix'].attrs['colnames']
        del group['results_matrix']
        dataset = group.create_dataset(
            'results_matrix', data=values, chunks=(len(values), width), compression='gzip'
        )
        dataset.attrs['colnames'] = names


def volume(values, outside=0.0):
    data = np.full(SHAPE, outside, np.float32)
    data[INSIDE] = values
    return data


def test_every_result_becomes_a_float32_map(tmp_path, store, matrix):
    write_results(store, 'mylm', NAMES, matrix)
    written = export_results(store, 'mylm', tmp_path / 'maps')
    expected = {
        'mylm_element_id.nii.gz': matrix[:, 0],
        'mylm_Intercept.estimate.nii.gz': matrix[:, 1],
        'mylm_age.p.value.nii.gz': matrix[:, 2],
        'mylm_age.1m.p.value.nii.gz': 1 - matrix[:, 2],
        'mylm_age.p.value.fdr.nii.gz': matrix[:, 3],
        'mylm_age.1m.p.value.fdr.nii.gz': 1 - matrix[:, 3],
        'mylm_model.nobs.nii.gz': matrix[:, 4],
    }
    assert [path.name for path in written] == list(expected)
    assert {path.name for path in (tmp_path / 'maps').iterdir()} == {
        *expected,
        'mylm_results.json',
    }
    for name, values in expected.items():
        image = nb.load(tmp_path / 'maps' / name)
        assert image.get_data_dtype() == np.float32
        np.testing.assert_array_equal(image.affine, AFFINE)
        np.testing.assert_array_equal(image.get_fdata(dtype=np.float32), volume(values))


def test_a_subset_is_placed_by_element_id(tmp_path, store, matrix):
    rows = [20, 4, 17, 9]
    write_results(store, 'part', NAMES, matrix[rows])
    export_results(store, 'part', tmp_path / 'maps')
    data = nb.load(tmp_path / 'maps' / 'part_Intercept.estimate.nii.gz').get_fdata()
    where = [tuple(index) for index in np.argwhere(INSIDE)[rows]]
    for index, value in zip(where, matrix[rows, 1], strict=True):
        assert data[index] == np.float32(value)
    assert np.isnan(data[INSIDE]).sum() == N - 4
    assert (data[~INSIDE] == 0).all()


@pytest.mark.parametrize('threads', [1, 3])
def test_elements_in_any_order_and_several_chunks(tmp_path, store, matrix, threads):
    write_results(store, 'mylm', NAMES, matrix[np.random.default_rng(6).permutation(N)])
    in_chunks(store, 'mylm', 4)
    maps = tmp_path / 'maps'
    export_results(store, 'mylm', maps, options=ExportOptions(threads=threads))
    for column, name in enumerate(NAMES):
        data = nb.load(maps / f'mylm_{name}.nii.gz').get_fdata(dtype=np.float32)
        np.testing.assert_array_equal(data, volume(matrix[:, column]))


def test_more_values_than_are_kept_in_memory(tmp_path):
    # 21 images of 96 x 96 x 96 float32 are 71 MiB, above 64 MiB: they go through a file.
    shape, names = (96, 96, 96), [f'x{number}.p.value' for number in range(7)]
    mask = save(tmp_path / 'mask.nii.gz', np.ones(shape, np.uint8))
    p = np.random.default_rng(7).random((np.prod(shape), len(names)))
    write_results(tmp_path / 'x.h5', 'big', names, p)
    options = ExportOptions(compress=False, log_p=True, threads=2)
    export_results(tmp_path / 'x.h5', 'big', tmp_path / 'maps', References(mask=mask), options)
    for name, values in zip(names, p.T, strict=True):
        stem = name.removesuffix('.p.value')
        forms = {'p.value': values, '1m.p.value': 1 - values, 'mlog10.p.value': -np.log10(values)}
        for form, expected in forms.items():
            image = nb.load(tmp_path / 'maps' / f'big_{stem}.{form}.nii')
            np.testing.assert_array_equal(
                image.get_fdata(dtype=np.float32), expected.astype(np.float32).reshape(shape)
            )


def test_numbers_that_a_map_cannot_hold(tmp_path, store, matrix):
    # -log10 of 0 and of what is no p-value; and what is above the largest float32, 3.4e38.
    matrix[5, 2], matrix[8, 2], matrix[6, 1], matrix[7, 1] = 0, -1, 1e300, -1e300
    write_results(store, 'mylm', NAMES, matrix)
    export_results(store, 'mylm', tmp_path / 'maps', options=ExportOptions(log_p=True))
    logarithms, estimates = (
        nb.load(tmp_path / 'maps' / f'mylm_{name}.nii.gz').get_fdata(dtype=np.float32)[INSIDE]
        for name in ('age.mlog10.p.value', 'Intercept.estimate')
    )
    assert np.flatnonzero(np.isinf(logarithms)).tolist() == [5]
    assert np.flatnonzero(np.isnan(logarithms)).tolist() == [3, 8]
    assert np.flatnonzero(np.isinf(estimates)).tolist() == [6, 7]
    assert (logarithms[5], estimates[6], estimates[7]) == (np.inf, np.inf, -np.inf)


def test_options(tmp_path, store, matrix):
    write_results(store, 'mylm', NAMES, matrix)
    options = ExportOptions(compress=False, log_p=True, fill=np.nan, threads=3)
    export_results(store, 'mylm', tmp_path / 'maps', options=options)
    data = nb.load(tmp_path / 'maps' / 'mylm_age.mlog10.p.value.nii').get_fdata(dtype=np.float32)
    np.testing.assert_array_equal(data, volume(-np.log10(matrix[:, 2]), np.nan))
    # What 1 - p cannot show: 1e-9 and 0 are both exactly 1 in float32.
    assert data[tuple(np.argwhere(INSIDE)[4])] == np.float32(9)


def test_the_sidecar_tells_what_each_map_is(tmp_path, store, matrix):
    write_results(store, 'mylm', NAMES, matrix, levels={5: ['female', 'männlich']})
    export_results(store, 'mylm', tmp_path / 'maps')
    sidecar = json.loads((tmp_path / 'maps' / 'mylm_results.json').read_text('utf-8'))
    assert sidecar['Analysis'] == 'mylm'
    assert sidecar['Images']['mylm_age.1m.p.value.nii.gz'] == {'Result': 'age.p.value'}
    assert sidecar['Images']['mylm_model.nobs.nii.gz'] == {
        'Result': 'model.nobs',
        'Levels': {'1': 'female', '2': 'männlich'},
    }


def test_numbers_that_no_element_has_are_not_told(tmp_path, store, matrix):
    names = ['element_id', 'age.estimate', 'model.nobs', 'model.df.residual']
    values = matrix[:, :4].copy()
    values[:, 2:] = np.nan
    write_results(store, 'mylm', names, values)
    export_results(store, 'mylm', tmp_path / 'maps')
    told = json.loads((tmp_path / 'maps' / 'mylm_results.json').read_text())
    assert not {'NumberOfImages', 'DegreesOfFreedom'} & told.keys()
    values[:, 2:] = 24, 21
    write_results(store, 'other', names, values)
    export_results(store, 'other', tmp_path / 'maps')
    told = json.loads((tmp_path / 'maps' / 'other_results.json').read_text())
    assert (told['NumberOfImages'], told['DegreesOfFreedom']) == (24, {'model.df.residual': 21})


def test_what_is_read_and_written_is_said(tmp_path, store, matrix, caplog):
    """First the file, since HDF5 may take for ever over a damaged one."""
    write_results(store, 'mylm', NAMES, matrix)
    with caplog.at_level(logging.INFO):
        images = export_results(store, 'mylm', tmp_path / 'maps')
    first, *_, last = [record.getMessage() for record in caplog.records]
    assert first == f'Reading {store}'
    assert last == f'Wrote {len(images)} images of mylm to {tmp_path / "maps"}'


def test_an_existing_folder_keeps_what_is_not_ours(tmp_path, store, matrix, caplog):
    write_results(store, 'mylm', NAMES, matrix)
    maps = tmp_path / 'maps'
    maps.mkdir()
    (maps / 'notes.txt').write_text('mine')
    (maps / 'mylm_model.nobs.nii.gz').write_text('stale')
    with caplog.at_level(logging.WARNING):
        export_results(store, 'mylm', maps)
    assert 'files with the same names are replaced' in caplog.text
    assert (maps / 'notes.txt').read_text() == 'mine'
    assert nb.load(maps / 'mylm_model.nobs.nii.gz').shape == SHAPE


def test_a_mask_that_agrees_is_welcome(tmp_path, store, matrix):
    write_results(store, 'mylm', NAMES, matrix)
    export_results(store, 'mylm', tmp_path / 'a', References(mask=tmp_path / 'group_mask.nii.gz'))
    export_results(store, 'mylm', tmp_path / 'b')
    for path in (tmp_path / 'a').glob('*.nii.gz'):
        assert path.read_bytes() == (tmp_path / 'b' / path.name).read_bytes()


@pytest.mark.parametrize('change', ['voxel', 'affine'])
def test_another_mask_is_refused(tmp_path, store, matrix, change):
    write_results(store, 'mylm', NAMES, matrix)
    mask, affine = group_mask(), AFFINE.copy()
    if change == 'voxel':
        mask[0, 2, 3], mask[0, 0, 0] = 0, 1
    else:
        affine[0, 3] += 1
    other = save(tmp_path / 'other.nii.gz', mask, affine)
    with pytest.raises(SpaceMismatchError, match='x.h5: holds .* and .*other.nii.gz'):
        export_results(store, 'mylm', tmp_path / 'maps', References(mask=other))
    assert not (tmp_path / 'maps').exists()


def test_a_file_of_the_predecessor_needs_its_mask(tmp_path, store, matrix):
    write_results(store, 'mylm', NAMES, matrix)
    with h5py.File(store, 'a') as file:
        del file['modelarrayio']
    with pytest.raises(UsageError, match='--mask'):
        export_results(store, 'mylm', tmp_path / 'maps')
    smaller = group_mask()
    smaller[0, 2, 3] = 0
    other = References(mask=save(tmp_path / 'other.nii.gz', smaller))
    with pytest.raises(SpaceMismatchError, match=f'other voxels .{N}'):
        export_results(store, 'mylm', tmp_path / 'maps', other)
    right = References(mask=tmp_path / 'group_mask.nii.gz')
    assert len(export_results(store, 'mylm', tmp_path / 'maps', right)) == len(NAMES) + 2


@pytest.mark.parametrize('names', [['a b', 'a_b'], ['a/b', 'a b'], ['A.x', 'a.x']])
def test_results_that_would_share_a_file_are_both_named(tmp_path, store, matrix, names):
    write_results(store, 'mylm', ['element_id', *names], matrix[:, :3])
    with pytest.raises(ResultNameCollisionError) as raised:
        export_results(store, 'mylm', tmp_path / 'maps')
    for name in names:
        assert repr(name) in str(raised.value)
    assert not (tmp_path / 'maps').exists()


def test_a_name_too_long_for_a_file(tmp_path, store, matrix):
    # 119 letters of 2 bytes and _sex.estimate.nii.gz: 258; _element_id.nii.gz makes 256.
    write_results(store, 'ä' * 119, ['element_id', 'sex.estimate'], matrix[:, :2])
    with pytest.raises(
        OutputError, match=r"'element_id' of ä+ needs a file name that is too long .256 bytes"
    ):
        export_results(store, 'ä' * 119, tmp_path / 'maps')
    assert not (tmp_path / 'maps').exists()


def test_a_companion_does_not_replace_a_result(tmp_path, store, matrix):
    write_results(store, 'mylm', ['element_id', 'age.p.value', 'age.1m.p.value'], matrix[:, :3])
    with pytest.raises(ResultNameCollisionError):
        export_results(store, 'mylm', tmp_path / 'maps')


def test_some_elements_without_their_numbers_are_refused(tmp_path, store, matrix):
    write_results(store, 'mylm', ['age.estimate'], matrix[:-1, 1:2])
    with pytest.raises(SchemaError, match=f'{N - 1} rows and no element_id, the file {N} elements'):
        export_results(store, 'mylm', tmp_path / 'maps')
    assert not (tmp_path / 'maps').exists()


def test_all_elements_without_their_numbers_are_in_the_order_of_the_file(tmp_path, store, matrix):
    write_results(store, 'mylm', ['age.estimate'], matrix[:, 1:2])
    (image,) = export_results(store, 'mylm', tmp_path / 'new' / 'maps')
    data = nb.load(image).get_fdata(dtype=np.float32)
    np.testing.assert_array_equal(data, volume(matrix[:, 1]))


def test_an_analysis_that_is_not_there(tmp_path, store, matrix):
    write_results(store, 'mylm', NAMES, matrix)
    with pytest.raises(AnalysisNotFoundError, match='Analyses it holds: mylm'):
        export_results(store, 'my', tmp_path / 'maps')
    assert not (tmp_path / 'maps').exists()


def test_a_folder_that_cannot_be_made(tmp_path, store, matrix):
    write_results(store, 'mylm', NAMES, matrix)
    (tmp_path / 'file').touch()
    with pytest.raises(OutputError, match='cannot be created'):
        export_results(store, 'mylm', tmp_path / 'file' / 'maps')


def test_results_that_are_damaged(tmp_path, store, matrix):
    write_results(store, 'mylm', ['element_id', 'age.estimate'], matrix[:, :2])
    with h5py.File(store, 'a') as file:
        values = file['results/mylm/results_matrix'][()]
        del file['results/mylm/results_matrix']
        dataset = file['results/mylm'].create_dataset(
            'results_matrix', data=values, chunks=values.shape, compression='gzip'
        )
        dataset.attrs['colnames'] = np.array([b'element_id', b'age.estimate'])
        dataset.id.write_direct_chunk((0, 0), b'no zlib stream')
    with pytest.raises(FormatError, match='cannot be read at /results/mylm') as caught:
        export_results(store, 'mylm', tmp_path / 'results')
    assert caught.value.path == str(store)
    assert not list((tmp_path / 'results').iterdir())
