"""Summaries, beside numpy's own functions on the whole matrix."""

import hashlib

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from images import AFFINE, save

from modelarrayio_bids.cohort import Cohort
from modelarrayio_bids.conversion.build import to_modelarray
from modelarrayio_bids.conversion.summaries import SummarisedBlocks, row_record
from modelarrayio_bids.runtime.resources import Resources
from modelarrayio_bids.spaces import VoxelSpace
from modelarrayio_bids.store.chunk_layout import Blocks, Layout
from modelarrayio_bids.store.reader import StoreReader
from modelarrayio_bids.store.scratch import open_scratch
from modelarrayio_bids.store.summary import QUANTILES

#: Rows × elements, with what real maps have: elements of few people, of one, of nobody; a constant.
SHAPE = (4, 5, 3)


def matrix(rows=7, seed=0):
    rng = np.random.default_rng(seed)
    values = 1000 + rng.normal(0, 2, (rows, np.prod(SHAPE))) + rng.normal(0, 5, np.prod(SHAPE))
    values[rng.random(values.shape) < 0.2] = np.nan
    values[:, 3] = np.nan
    values[1:, 4] = np.nan
    values[2:3, 10:20] = 0
    values[3:4, 5] = np.inf
    values[4:5, 6] = -np.inf
    values[:, 7] = 1001.5
    return values.astype(np.float32)


def summarised(values, *, width=1000, threads=1):
    blocks = Blocks(*values.shape, chunk=1, width=min(width, values.shape[1]))
    records = np.array([row_record(row) for row in values])
    with open_scratch(blocks, values.dtype, None) as scratch:
        for number, row in enumerate(values):
            scratch.put(number, row)
        seen = SummarisedBlocks(scratch, records, threads)
        passed = np.concatenate([block.copy() for _, block in seen], axis=1)
    np.testing.assert_array_equal(passed, values)
    return seen.summary()


def masked(values):
    """In float64, NaN for what is not finite."""
    return np.where(np.isfinite(values), values, np.nan).astype(np.float64)


def tempered(values):
    """The same, what is further than ten usual ranges from the usual median brought so near."""
    quantiles = np.array([row_record(row)['quantiles'] for row in values])
    middle, reach = np.median(quantiles[:, 2]), 10 * np.median(quantiles[:, 4] - quantiles[:, 0])
    return np.clip(masked(values), middle - reach, middle + reach)


def correlations(values):
    """By the definition: one row at a time, the mean of the others, numpy's corrcoef."""
    x = tempered(values)
    found = []
    for number, row in enumerate(x):
        rest = np.delete(x, number, axis=0)
        known = np.isfinite(rest).any(axis=0) & np.isfinite(row)
        others = np.nanmean(rest[:, known], axis=0)
        found.append(np.corrcoef(row[known], others)[0, 1])
    return np.array(found)


def test_elements_are_as_numpy_says():
    values = matrix()
    summary, x = summarised(values), masked(values)
    known = np.isfinite(x).sum(axis=0)
    np.testing.assert_array_equal(summary.count, known)
    some, several = known > 0, known > 1
    np.testing.assert_allclose(summary.mean[some], np.nanmean(x[:, some], axis=0), rtol=1e-7)
    np.testing.assert_allclose(summary.sd[several], np.nanstd(x[:, several], axis=0, ddof=1), 1e-6)
    assert np.isnan(summary.mean[~some]).all()
    assert np.isnan(summary.sd[~several]).all()


def test_rows_are_compared_with_the_mean_of_the_others():
    values = matrix()
    np.testing.assert_allclose(summarised(values).correlation, correlations(values), atol=1e-6)


def test_the_distance_is_the_root_mean_square_of_z():
    values = matrix()
    x = tempered(values)
    # Elements of several values, that are not all the same.
    x = x[:, [np.unique(column[np.isfinite(column)]).size > 1 for column in x.T]]
    z = (x - np.nanmean(x, axis=0)) / np.nanstd(x, axis=0, ddof=1)
    expected = np.sqrt(np.nanmean(z**2, axis=1))
    np.testing.assert_allclose(summarised(values).distance, expected, atol=1e-6)


def test_one_wild_row_does_not_hide_the_others():
    values = np.random.default_rng(3).normal(1, 0.1, (9, 400)).astype('f4')
    values += np.linspace(0, 1, 400, dtype='f4')
    usual = summarised(values)
    values[4] = 3e38
    wild = summarised(values)
    others = np.arange(9) != 4
    # One of eight others is flat now: their mean is less steep, as steady as before.
    np.testing.assert_allclose(wild.correlation[others], usual.correlation[others], atol=0.01)
    assert wild.distance[4] > 2.5 * np.median(wild.distance)


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(1, 9), seed=st.integers(0, 999), width=st.integers(1, 70))
def test_how_the_matrix_is_cut_changes_nothing(rows, seed, width):
    whole, cut = (summarised(matrix(rows, seed), width=w) for w in (1000, width))
    for name in ('correlation', 'distance', 'count', 'mean', 'sd'):
        np.testing.assert_array_equal(getattr(cut, name), getattr(whole, name))


@pytest.mark.parametrize('values', [np.full(5, np.nan), np.full(5, np.inf), np.zeros(5)])
def test_rows_with_nothing_in_them(values):
    summary = summarised(np.stack([values, np.arange(5.0), np.arange(5.0) + 1]).astype('f4'))
    assert np.isnan(summary.correlation[0])
    assert summary.correlation[1] == 1


def test_one_row_alone_has_nobody_to_be_compared_with():
    summary = summarised(matrix(1))
    assert np.isnan(summary.correlation).all()
    assert np.isnan(summary.distance).all()


def test_what_is_recorded_of_a_row():
    row = matrix()[3]
    record, finite = row_record(row), row[np.isfinite(row)].astype(np.float64)
    assert record['n_infinite'] == 1
    assert record['n_missing'] == np.isnan(row).sum()
    assert record['n_zero'] == 0
    assert row_record(matrix()[2])['n_zero'] > 0
    np.testing.assert_allclose(record['mean'], finite.mean())
    np.testing.assert_allclose(record['sd'], finite.std())
    np.testing.assert_allclose(record['quantiles'], np.quantile(finite, QUANTILES))
    assert (record['minimum'], record['maximum']) == (finite.min(), finite.max())


def test_quantiles_of_many_values_are_those_of_evenly_spaced_ones():
    row = np.random.default_rng(1).normal(size=500_000)
    error = np.abs(row_record(row)['quantiles'] - np.quantile(row, QUANTILES))
    # Four standard errors of a quantile of 16,384 normal values: at 5% it is 0.016 (density 0.103).
    assert (error < 4 * 0.017).all()


@pytest.fixture
def cohort(tmp_path):
    mask = save(tmp_path / 'mask.nii', np.ones(SHAPE, np.uint8))
    rows = [
        {
            'scalar_name': 'x',
            'source_file': str(save(tmp_path / f'{n}.nii.gz', row.reshape(SHAPE))),
            'source_mask_file': str(mask),
        }
        for n, row in enumerate(matrix())
    ]
    return Cohort.from_rows(rows)


def test_a_file_keeps_them(cohort, tmp_path):
    space = VoxelSpace.from_mask(np.ones(SHAPE), AFFINE)
    # Chunks of four elements, and threads.
    path = to_modelarray(
        *(cohort, space, tmp_path / 'x.h5', Layout(chunk_columns=4), Resources(2)), summaries=True
    )
    with StoreReader(path) as store:
        kept = store.summary('x')
        assert store.summary('y') is None
    expected = summarised(matrix())
    for name in ('correlation', 'distance', 'count', 'mean', 'sd'):
        np.testing.assert_array_equal(getattr(kept, name), getattr(expected, name))
    for source, checksum in zip(cohort.sources(), kept.rows['sha256'], strict=True):
        assert checksum.decode() == hashlib.sha256(source.path.read_bytes()).hexdigest()
    names = [name for name in kept.rows.dtype.names if name != 'sha256']
    np.testing.assert_array_equal(kept.rows[names], expected.rows[names])


def test_values_are_the_same_with_and_without(cohort, tmp_path):
    space = VoxelSpace.from_mask(np.ones(SHAPE), AFFINE)
    for name, summaries in (('with', True), ('without', False)):
        to_modelarray(cohort, space, tmp_path / f'{name}.h5', summaries=summaries)
    with h5py.File(tmp_path / 'with.h5') as one, h5py.File(tmp_path / 'without.h5') as other:
        values = 'scalars/x/values'
        np.testing.assert_array_equal(one[values][()], other[values][()])
        assert 'summaries' not in other['modelarrayio']
