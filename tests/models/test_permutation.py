"""Permutation tests against brute force with numpy's lstsq, and against nilearn."""

from itertools import permutations, product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from modelarrayio_bids.errors import UsageError
from modelarrayio_bids.models.coordinates import Coordinates
from modelarrayio_bids.models.design import design
from modelarrayio_bids.models.exchangeability import Labellings, Shuffling, labellings, sign_flips
from modelarrayio_bids.models.linear import LinearModel
from modelarrayio_bids.models.options import ModelOptions
from modelarrayio_bids.models.permutation import LinearHypothesis, PermutationTest, family_wise_p
from modelarrayio_bids.models.system import Sample


def table(n, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame({
        'age': rng.uniform(8, 80, n).round(1),
        'sex': rng.choice(['F', 'M'], n),
        'site': [('A', 'B', 'C')[number % 3] for number in range(n)],
        'group': [('x', 'y')[number % 2] for number in range(n)],
        'w': rng.uniform(0.5, 2, n),
    }).astype(str)  # fmt: skip


def permuted(formula, cohort, blocks=None, weights=None, **options):
    """The permutation test of a linear model, with its design."""
    chosen = ModelOptions(num_subj_lthr_abs=0, num_subj_lthr_rel=0, **options)
    model = LinearModel(design(formula, cohort, ['FA']), chosen, weights)
    return model.permutation_test(blocks), model.design.matrix


def residual_ss(matrix, values):
    fitted = matrix @ np.linalg.lstsq(matrix, values, rcond=None)[0]
    return ((values - fitted) ** 2).sum()


def brute_force(full, reduced, tested, values, order, signs=None):
    """Freedman and Lane's F at one element, as the formula in the paper says; NaN if there is none.

    ``reduced`` and ``tested`` are the models without and with the tested columns, ``full`` the one
    whose residuals are the error; rows of all of them change places, those of ``values`` stay.
    """
    there = np.isfinite(values)
    nuisance = reduced[there]
    residuals = values[there] - nuisance @ np.linalg.lstsq(nuisance, values[there], rcond=None)[0]
    if signs is not None:
        residuals *= signs[there]
    full, reduced, tested = (matrix[order][there] for matrix in (full, reduced, tested))
    rank = np.linalg.matrix_rank(full)
    s = tested.shape[1] - reduced.shape[1]
    gained = np.linalg.matrix_rank(tested) - (np.linalg.matrix_rank(reduced) if reduced.size else 0)
    if gained < s or there.sum() <= rank:
        return np.nan
    less = residual_ss(reduced, residuals) if reduced.size else (residuals**2).sum()
    effect = (less - residual_ss(tested, residuals)) / s
    return effect / (residual_ss(full, residuals) / (there.sum() - rank))


def as_with_all(f, s, values, matrix):
    """The F that is as unlikely with all rows, by scipy.stats."""
    there = np.isfinite(values)
    df = there.sum() - np.linalg.matrix_rank(matrix[there])
    full = len(matrix) - np.linalg.matrix_rank(matrix)
    return f if df == full else stats.f.isf(stats.f.sf(f, s, df), s, full)


@pytest.mark.parametrize('share', [0, 0.2, 0.4])
def test_statistics_are_those_of_brute_force(share):
    cohort = table(16)
    test, x = permuted(
        'FA ~ age * sex + site', cohort, permutations=10, seed=3, anova=True,
        contrasts={'c': 'siteB - 0.5 * siteC'}, f_tests={'f': 'site + sex'},
    )  # fmt: skip
    rng = np.random.default_rng(1)
    values = rng.normal(size=(16, 12))
    values[rng.random(values.shape) < share] = np.nan
    # Columns: intercept, age, sexM, siteB, siteC, age:sexM. The contrast is zero where siteB is
    # half of siteC; type II tests age and sex in the model without their interaction.
    merged = np.column_stack([x[:, [0, 1, 2, 5]], x[:, 3] * 0.5 + x[:, 4]])
    no = [np.delete(x, column, axis=1) for column in range(6)]
    models = {
        'age': (no[1], x), 'sexM': (no[2], x), 'siteB': (no[3], x), 'siteC': (no[4], x),
        'age:sexM': (no[5], x), 'c': (merged, x), 'f': (x[:, [0, 1, 5]], x),
        'age.anova': (x[:, [0, 2, 3, 4]], no[5]), 'sex.anova': (x[:, [0, 1, 3, 4]], no[5]),
        'site.anova': (x[:, [0, 1, 2, 5]], x), 'age:sex.anova': (no[5], x),
    }  # fmt: skip
    assert test.columns == tuple(f'{name}.p.value.fwe' for name in models)
    assert test.left_out == {'Intercept': 'it is about the mean, which no permutation changes'}
    found = test.null_distribution(test.maxima(values, slice(0, 10)))
    observed = test.observed(values)
    for row, (hypothesis, (reduced, with_tested)) in enumerate(
        zip(test.hypotheses, models.values(), strict=True)
    ):
        s = with_tested.shape[1] - reduced.shape[1]
        by_element = np.array([
            [
                as_with_all(brute_force(x, reduced, with_tested, column, order), s, column, x)
                for column in values.T
            ]
            for order in test.labellings.order
        ])  # fmt: skip
        by_element[:, np.isnan(by_element[0])] = -np.inf
        if hypothesis.is_t:
            by_element = np.sqrt(np.where(by_element < 0, 0, by_element))
        np.testing.assert_allclose(found[row], np.nanmax(by_element, axis=1), rtol=1e-8)
        there = by_element[0] > 0
        np.testing.assert_allclose(observed[row][there], by_element[0][there], rtol=1e-8)


def test_weighted_residuals_are_permuted():
    cohort = table(12)
    weights = cohort.w.to_numpy(float)
    test, x = permuted('FA ~ age + sex', cohort, weights=weights, permutations=20)
    root = np.sqrt(weights)[:, None]
    x, values = x * root, np.random.default_rng(1).normal(size=(12, 8))
    found = test.null_distribution(test.maxima(values, slice(0, 20)))
    for row, column in enumerate((1, 2)):
        f = [
            max(brute_force(x, np.delete(x, column, 1), x, one, order) for one in (values * root).T)
            for order in test.labellings.order
        ]
        np.testing.assert_allclose(found[row], np.sqrt(f), rtol=1e-9)


def test_two_small_groups_are_permuted_in_all_ways():
    """By hand: 8!/(4! 4!) = 70 labellings, the share of those at least as great is p."""
    cohort = table(8)
    test, x = permuted('FA ~ group', cohort, permutations=5000)
    assert len(test.labellings) == 70
    assert test.described() == 'Permutation test: all 70 permutations'
    values = np.random.default_rng(5).normal(size=(8, 6)) + np.outer(x[:, 1], np.arange(6) / 2)
    null = test.null_distribution(test.maxima(values, slice(0, 70)))[0]
    groups = np.array(sorted(set(permutations(x[:, 1].astype(int)))))
    t = np.array([
        [abs(stats.ttest_ind(one[group == 1], one[group == 0])[0]) for one in values.T]
        for group in groups
    ])  # fmt: skip
    mine = np.flatnonzero((groups == x[:, 1]).all(axis=1))[0]
    expected = [(t.max(axis=1) >= t[mine, e] - 1e-9).mean() for e in range(6)]
    found = family_wise_p(test.observed(values)[0], null)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    # Labelling 0 is what was observed, so no p value is less than 1/70.
    assert min(found) >= 1 / 70 - 1e-15


def test_one_sample_flips_signs_in_all_ways():
    test, _ = permuted('FA ~ 1', table(7), permutations=5000)
    assert test.described() == 'Permutation test: all 128 sign flips'
    values = np.random.default_rng(5).normal(0.4, 1, size=(7, 5))
    null = test.null_distribution(test.maxima(values, slice(0, 128)))[0]
    t = np.array([
        np.abs(stats.ttest_1samp(values * np.array(signs)[:, None], 0)[0])
        for signs in product((1, -1), repeat=7)
    ])  # fmt: skip
    expected = [(t.max(axis=1) >= t[0, e] - 1e-9).mean() for e in range(5)]
    np.testing.assert_allclose(family_wise_p(test.observed(values)[0], null), expected, rtol=1e-12)


@pytest.mark.parametrize('n_missing', [0, 2])
def test_a_perfect_fit_is_the_greatest(n_missing):
    test, x = permuted('FA ~ age', table(12), permutations=50)
    values = np.random.default_rng(0).normal(size=(12, 4))
    values[:, 2] = 3 + x[:, 1]
    values[:n_missing] = np.nan
    null = test.null_distribution(test.maxima(values, slice(0, 50)))[0]
    p = family_wise_p(test.observed(values)[0], null)
    assert null[0] > 1e5
    assert p[2] == 1 / 50
    assert (p[[0, 1, 3]] > 1 / 50).all()


def nilearn_orders(number, n, seed):
    """The permutations that nilearn's ``permuted_ols`` makes in one job, the identity first."""
    from sklearn.utils import check_random_state

    rng = check_random_state(check_random_state(seed).randint(1, np.iinfo(np.int32).max - 1))
    orders = [np.arange(n)]
    for _ in range(number):
        orders.append(orders[-1][rng.permutation(n)])
    return np.array(orders)


def test_p_values_are_those_of_nilearn():
    pytest.importorskip('nilearn')
    from nilearn.mass_univariate import permuted_ols

    cohort, rng = table(24), np.random.default_rng(2)
    x = design('FA ~ age + sex + site', cohort, ['FA'])
    values = rng.normal(size=(24, 40)) + np.outer(x.matrix[:, 1], np.linspace(0, 0.03, 40))
    theirs = permuted_ols(
        x.matrix[:, [1]], values, x.matrix[:, [2, 3, 4]], model_intercept=True, n_perm=199,
        two_sided_test=True, random_state=7, n_jobs=1, output_type='dict',
    )  # fmt: skip
    orders = Labellings(Shuffling(np.zeros(24, int)), nilearn_orders(199, 24, 7))
    sample = Sample.from_design(x, None)
    coordinates = Coordinates(sample.matrix)
    age = LinearHypothesis.of_combinations('age', coordinates.inverse[1:2], is_t=True)
    test = PermutationTest(sample, coordinates, [age], orders, options=ModelOptions())
    null = test.null_distribution(test.maxima(values, slice(0, 200)))[0]
    np.testing.assert_allclose(null[1:], theirs['h0_max_t'].ravel(), rtol=1e-8)
    observed = test.observed(values)[0]
    np.testing.assert_allclose(observed, np.abs(theirs['t'].ravel()), rtol=1e-8)
    p = family_wise_p(observed, null)
    np.testing.assert_allclose(-np.log10(p), theirs['logp_max_t'].ravel(), atol=1e-12)
    assert p.min() < 0.05
    assert p.max() > 0.9


@pytest.mark.parametrize(('share', 'n_sets'), [(0, 1000), (0.15, 400)])
def test_false_positives_are_as_many_as_said(share, n_sets):
    """Data sets without any effect: any p of 0.05 or less in 5% of them, ± 1.5%.

    With missing images 4.6% of 3,000 sets.
    """
    n, cohort = 20, table(20)
    test, _ = permuted('FA ~ age + sex', cohort, permutations=100, seed=11)
    rng = np.random.default_rng(5)
    wrong = 0
    for _ in range(n_sets):
        # Elements alike, and errors that are not normal.
        values = rng.exponential(size=(n, 8)) + rng.exponential(size=(n, 1))
        values[rng.random(values.shape) < share] = np.nan
        null = test.null_distribution(test.maxima(values, slice(0, 100)))[0]
        wrong += np.nanmin(family_wise_p(test.observed(values)[0], null)) <= 0.05
    assert 0.035 <= wrong / n_sets <= 0.065


def test_blocks_change_places_as_wholes():
    blocks = np.repeat(np.arange(6), 2)
    shuffling = Shuffling(blocks, within=False, whole=True)
    made = labellings(np.arange(12.0)[:, None], shuffling, number=50, seed=0)
    for order in made.order:
        pairs = order.reshape(6, 2)
        assert sorted(pairs[:, 0]) == [0, 2, 4, 6, 8, 10]
        assert (pairs[:, 1] == pairs[:, 0] + 1).all()


BLOCKS = st.sampled_from(
    [
        [0, 0, 0, 0, 0, 0],
        [0, 1, 2, 0, 1, 2],
        [0, 1, 1, 2, 3, 3],
        [0, 1, 1, 0, 1, 2],
        [2, 1, 0, 2, 0, 3],
    ]
)


@given(
    st.lists(st.integers(0, 2), min_size=6, max_size=6),
    BLOCKS,
    st.sampled_from(['within', 'whole', 'both']),
)
def test_all_labellings_are_all_that_differ(values, blocks, how):
    """Against every permutation of six rows in blocks, those that are allowed and differ kept."""
    blocks = np.array(blocks)
    rows = np.array(values, float)[:, None]
    places = [np.flatnonzero(blocks == block) for block in range(blocks.max() + 1)]
    allowed = set()
    for order in permutations(range(6)):
        to = [tuple(np.array(order)[place]) for place in places]
        same = all(sorted(one) == list(place) for one, place in zip(to, places, strict=True))
        keeps_order = all(list(one) == sorted(one) for one in to)
        is_block = all(sorted(one) in [list(place) for place in places] for one in to)
        if {'within': same, 'whole': is_block and keeps_order, 'both': is_block}[how]:
            allowed.add(tuple(rows[list(order), 0]))
    shuffling = Shuffling(blocks, within=how != 'whole', whole=how in {'whole', 'both'})
    made = labellings(rows, shuffling, number=720, seed=0)
    assert made.is_exact
    assert len(made) == len(allowed)
    assert {tuple(rows[order, 0]) for order in made.order} == allowed
    assert made.order[0].tolist() == list(range(6))


@given(
    st.lists(st.integers(0, 4), min_size=12, max_size=12),
    st.sampled_from(['whole', 'both']),
    st.integers(0, 1000),
)
def test_only_blocks_of_one_size_change_places(codes, how, seed):
    blocks = np.unique(codes, return_inverse=True)[1]
    shuffling = Shuffling(blocks, within=how == 'both', whole=True)
    made = labellings(np.arange(12.0)[:, None], shuffling, number=100, seed=seed)
    for order in made.order:
        assert sorted(order) == list(range(12))
        for place in shuffling.places:
            came = order[place]
            assert (blocks == blocks[came[0]]).sum() == len(place)
            assert len(set(blocks[came])) == 1
            assert how == 'both' or sorted(came) == came.tolist()
    # An image that can move stays in its place in half of the labellings at most.
    assert shuffling.n_fixed == (made.order == np.arange(12)).all(axis=0).sum()


@given(st.integers(2, 40), st.integers(0, 1000))
def test_fewer_labellings_are_the_first_of_more(number, seed):
    rows = np.arange(30.0)[:, None]
    shuffling = Shuffling(np.arange(30) // 3, within=True, whole=True)
    few = labellings(rows, shuffling, number=number, seed=seed)
    many = labellings(rows, shuffling, number=600, seed=seed)
    np.testing.assert_array_equal(few.order, many.order[:number])
    flips = sign_flips(rows, shuffling, number=number, seed=seed)
    np.testing.assert_array_equal(
        flips.signs, sign_flips(rows, shuffling, number=600, seed=seed).signs[:number]
    )


def test_blocks_decide_what_is_shuffled():
    """Two visits of ten people: age differs between people, visit within them."""
    cohort = table(20).assign(visit=['0', '1'] * 10)
    cohort['age'] = np.repeat(np.arange(10.0) ** 1.5, 2).astype(str)
    people = np.repeat(np.arange(10), 2)
    between, _ = permuted('FA ~ age', cohort, people, permutations=50, exchangeability='p')
    assert between.described() == 'Permutation test: 50 random permutations of 10 blocks'
    within, _ = permuted('FA ~ age + visit', cohort, people, permutations=50, exchangeability='p')
    assert within.described() == 'Permutation test: 50 random permutations within 10 blocks'
    assert within.columns == ('visit.p.value.fwe',)
    assert within.left_out['age'] == 'it is the same in all places that images may have'
    asked = {'permutations': 50, 'exchangeability': 'p', 'shuffle': 'both'}
    both, _ = permuted('FA ~ age + visit', cohort, people, **asked)
    assert both.columns == ('age.p.value.fwe', 'visit.p.value.fwe')


def test_what_stays_in_place_is_told():
    """Ten people with two visits, one with three and one with one."""
    cohort = table(24).assign(visit=['0', '1'] * 10 + ['0', '1', '2', '0'])
    people = np.array([*np.repeat(np.arange(10), 2), 10, 10, 10, 11])
    for how, said in {
        'whole': ' of 12 blocks; 4 images never moved',
        'both': ' within and of 12 blocks; 1 image never moved',
        'within': ' within 12 blocks; 1 image never moved',
    }.items():
        asked = {'permutations': 50, 'exchangeability': 'p', 'shuffle': how}
        test, _ = permuted('FA ~ age + visit', cohort, people, **asked)
        assert test.described() == f'Permutation test: 50 random permutations{said}'
        assert test.columns[0] == 'age.p.value.fwe'
    signs, _ = permuted('FA ~ 1', cohort, people, **{**asked, 'shuffle': 'whole'})
    assert signs.described() == 'Permutation test: 50 random sign flips of 12 blocks'


@pytest.mark.parametrize(
    ('formula', 'blocks', 'options', 'message'),
    [
        ('FA ~ age', [0] * 12, {'shuffle': 'whole'}, 'there is only one block'),
        ('FA ~ 1', [0] * 12, {}, 'there is only one block, and flipping all its signs'),
        ('FA ~ age', range(12), {'shuffle': 'within'}, 'each block is a single image'),
        ('FA ~ age', [0] * 5 + [1] * 7, {'shuffle': 'whole'}, 'number of images (5 to 7), so'),
        ('FA ~ age', None, {'shuffle': 'both'}, '--shuffle has no effect without blocks'),
        (
            'FA ~ age',
            None,
            {'permutations': 10**8},
            '100,000,000 permutations of 12 images are too',
        ),
        ('FA ~ sex + 0', None, {}, 'permutations cannot test sexF, sexM: it is about the mean'),
    ],
)
def test_what_cannot_be_permuted(formula, blocks, options, message):
    asked = {'permutations': 10, 'exchangeability': 'b' if blocks is not None else '', **options}
    blocks = None if blocks is None else np.array(blocks)
    with pytest.raises(UsageError) as caught:
        permuted(formula, table(12), blocks, **asked)
    assert message in str(caught.value)


def test_covariates_that_differ_by_element_are_not_permuted():
    model = LinearModel(design('FA ~ MD', table(12), ['FA', 'MD']), ModelOptions(permutations=10))
    with pytest.raises(UsageError, match='MD has other values at each element'):
        model.permutation_test()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'permutations': 1}, '--permutations: 1 are too few for a p value'),
        ({'permutations': -5}, '--permutations: -5 are too few for a p value'),
        ({'permutations': 9, 'seed': -1}, '--seed: -1 is negative'),
        ({'permutations': 9, 'exchangeability': 'b', 'shuffle': 'all'}, "--shuffle: 'all' is not"),
        ({'shuffle': 'both'}, '--shuffle has no effect without --permutations'),
        ({'exchangeability': 'b'}, '--exchangeability has no effect without --permutations'),
    ],
)
def test_options_that_contradict_each_other(options, message):
    with pytest.raises(UsageError) as caught:
        ModelOptions(**options)
    assert message in str(caught.value)
