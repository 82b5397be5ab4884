import io
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from greyordinates import N_VERTICES, brain_models, parcels
from meshes import sphere
from mrtrix import AFFINE as FIXEL_AFFINE
from mrtrix import direction_values, index_values
from PIL import Image
from scipy import stats
from stores import write_results

from modelarrayio_bids.errors import SchemaError
from modelarrayio_bids.reports.figures.panels import map_panels
from modelarrayio_bids.reports.figures.pictures import MapBackground
from modelarrayio_bids.reports.figures.surfaces import Surface
from modelarrayio_bids.reports.findings.meshes import Mesh
from modelarrayio_bids.reports.page.album import column_texts
from modelarrayio_bids.reports.page.results import result_figures
from modelarrayio_bids.spaces import (
    EdgeSpace,
    FixelSpace,
    GreyordinateSpace,
    ParcelSpace,
    VoxelSpace,
)
from modelarrayio_bids.store.reader import StoreReader

SHAPE = (12, 13, 14)
AFFINE = np.array([[-2.0, 0, 0, 12], [0, 2, 0, -12], [0, 0, 2, -14], [0, 0, 0, 1]])
NAMES = ['age.estimate', 'age.statistic', 'age.p.value', 'age.p.value.fdr', 'model.nobs']


@pytest.fixture
def space():
    return VoxelSpace.from_mask(np.ones(SHAPE), AFFINE)


@pytest.fixture
def planted():
    """Results of every voxel: a negative cube of 27 voxels, a positive one of 8."""
    rng = np.random.default_rng(2)
    statistic, p = rng.normal(size=SHAPE), rng.uniform(0.1, 1, SHAPE)
    statistic[2:5, 3:6, 4:7], p[2:5, 3:6, 4:7] = -5, 0.01
    statistic[8:10, 8:10, 8:10], p[8:10, 8:10, 8:10] = 6, 0.02
    statistic[3, 4, 5], statistic[9, 8, 9], p[9, 8, 9] = -7.25, 8.5, 1e-5
    columns = [statistic / 10, statistic, p / 10, p, np.full(SHAPE, 24)]
    return np.column_stack([column.ravel() for column in columns])


def figures(tmp_path, space, names, matrix, n_images=30, **options):
    with StoreReader(write_results(tmp_path / 'x.h5', 'mylm', names, matrix)) as reader:
        return list(result_figures(reader.analysis('mylm'), space, n_images, 'cbf', **options))


def test_of_equal_corrected_p_the_uncorrected_decide(tmp_path, space, planted):
    planted = planted.reshape(*SHAPE, -1)
    corrected = planted[..., 3]
    corrected[corrected < 0.05] = 0.03
    # A voxel of the negative cube, whose statistic is not the largest.
    planted[4, 5, 6, 2] = 1e-9
    (figure,) = figures(tmp_path, space, NAMES, planted.reshape(-1, len(NAMES)))
    assert (figure.numbers['peak'], figure.numbers['where']) == ('-5', '(4, -2, -2) mm')


def test_what_survives_is_told_drawn_and_listed(tmp_path, space, planted):
    (figure,) = figures(tmp_path, space, NAMES, planted)
    assert figure.title == 'cbf: age'
    # AFFINE: the voxel (9, 8, 9) lies at (12 - 18, -12 + 16, -14 + 18).
    assert figure.finding == (
        '35 of 2,184 voxels have FDR-corrected p < 0.05, in 2 clusters. '
        'Most significant: (-6, 4, 4) mm, test statistic = 8.5. '
        'Smallest p: 1e-05, corrected (fdr). N = 24.'
    )
    assert figure.rule == 'voxels that touch by a face, an edge or a corner'
    (picture,) = figure.pictures
    assert picture.alt == f'cbf: age: {figure.finding}'
    # The 98th percentile of the strengths, of which 7.25 and 8.5 are the greatest two.
    assert 'vik, from -7.65 to 7.65' in picture.caption
    with Image.open(io.BytesIO(picture.data)) as image:
        assert image.size == picture.size
    assert figure.rows() == [
        {
            'cluster': 1,
            'size': 27,
            'volume_mm3': '216',
            'peak': '-7.25',
            'x': '6',
            'y': '-4',
            'z': '-4',
            'where': '(6, -4, -4) mm',
        },
        {
            'cluster': 2,
            'size': 8,
            'volume_mm3': '64',
            'peak': '8.5',
            'x': '-6',
            'y': '4',
            'z': '4',
            'where': '(-6, 4, 4) mm',
        },
    ]
    assert figure.numbers == {
        'analysis': 'mylm',
        'term': 'age',
        'shown': 'age.statistic',
        'p': 'age.p.value.fdr',
        'correction': 'fdr',
        'level': 0.05,
        'n_min': 24,
        'n_max': 24,
        'elements': 2184,
        'survived': 35,
        'smallest_p': '1e-05',
        'formula': 'n/a',
        'statistic': 'n/a',
        'df_min': 'n/a',
        'df_max': 'n/a',
        'clusters': 2,
        'peak': '8.5',
        'where': '(-6, 4, 4) mm',
        'n_peak': '24',
        'df_peak': 'n/a',
        'kind': 'voxels',
    }
    # A file and its scalar stand before them.
    assert ['scalar', 'store', *figure.numbers] == list(column_texts()['results'])
    assert list(figure.rows()[0]) == list(column_texts()['clusters'])


def test_slices_go_through_the_strongest(tmp_path, space, planted):
    background = MapBackground(space, planted[:, 1], 'the mean')
    (figure,) = figures(tmp_path, space, NAMES, planted, background=background)
    assert 'Grey: the mean.' in figure.pictures[0].caption
    weights = np.where(planted[:, 3] < 0.05, abs(planted[:, 1]), 0)
    titles = {panel.title for panel in map_panels(space, planted[:, 1], weights)}
    assert {'x = -6 mm', 'y = 4 mm', 'z = 4 mm'} <= titles


def test_a_subset_in_any_order_returns_to_its_places(tmp_path, space, planted):
    chosen = np.random.default_rng(4).permutation(len(space))[:2000]
    chosen = np.union1d(chosen, np.flatnonzero(planted[:, 3] < 0.05))[::-1]
    matrix = np.column_stack([chosen, planted[chosen]])
    (figure,) = figures(tmp_path, space, ['element_id', *NAMES], matrix)
    assert f'35 of {chosen.size:,} voxels' in figure.finding
    assert [row['size'] for row in figure.rows()] == [27, 8]


def test_nothing_survives(tmp_path, space, planted):
    planted[:, 3] += 0.1
    (figure,) = figures(tmp_path, space, NAMES, planted)
    assert figure.finding == (
        'None of 2,184 voxels has FDR-corrected p < 0.05; all values are shown. '
        'Most significant, below the threshold: (-6, 4, 4) mm, test statistic = 8.5. '
        'Smallest p: 0.1, corrected (fdr). N = 24.'
    )
    assert not figure.rows()
    assert figure.numbers['clusters'] == 0
    assert len(figure.pictures) == 1


def test_without_a_correction_that_is_said(tmp_path, space, planted):
    # p / 10 is below 0.001 in one voxel, and at exactly 0.001 in the others of the first cube.
    planted[planted[:, 2] == 0.001, 2] = 0.0009
    (figure,) = figures(tmp_path, space, NAMES[:3], planted[:, :3])
    assert figure.finding.startswith(
        '28 of 2,184 voxels have uncorrected p < 0.001, in 2 clusters.'
    )
    # Without model.nobs it is what the file has.
    assert figure.finding.endswith('N = 30.')
    assert figure.numbers['correction'] == 'n/a'


def test_every_term_has_its_figure(tmp_path, space, planted):
    names = [f'{term}.p.value' for term in ('Intercept', 'model', 'age', 'p')] + ['p.value']
    found = figures(tmp_path, space, names, planted[:, [3] * 5])
    assert [figure.title for figure in found] == [
        'cbf: age',
        'cbf: p',
        'cbf',
        'cbf: the whole model',
    ]
    # -log10 of 1e-5, the only p below 0.001.
    assert 'Most significant: (-6, 4, 4) mm, -log10 p = 5.' in found[0].finding
    assert found[0].numbers['shown'] == '-log10 p'


def test_the_number_of_images_may_differ_between_elements(tmp_path, space, planted):
    planted[5:, 4] = 20
    (figure,) = figures(tmp_path, space, NAMES, planted)
    assert figure.finding.endswith('N = 20 at the peak (20 to 24 across elements).')
    assert (figure.numbers['n_min'], figure.numbers['n_max']) == (20, 24)


def test_the_smallest_p_is_the_strongest_and_tells_its_own_n_and_df(tmp_path, space):
    names, matrix = fitted()
    n_images = np.full(len(space), 24)
    # With 7 images, 4 degrees of freedom remain: p of t = 12 is larger than that of t = 10 with 21.
    n_images[5] = 7
    matrix[5, 4:6] = 12, 2 * stats.t.sf(12, 4)
    matrix[8, 4:6] = 10, 2 * stats.t.sf(10, 21)
    matrix[3, :] = np.nan  # not fitted, of fewer images still
    n_images[3] = 1
    figure = figures(tmp_path, space, names, matrix, n_images=n_images)[0]
    assert f'Most significant: {space.labels(np.array([8]))[0]}, t = 10.' in figure.finding
    assert figure.finding.endswith(
        'N = 24 at the peak (7 to 24 across elements), '
        'df = 21 at the peak (4 to 21 across elements).'
    )
    told = [figure.numbers[name] for name in ('n_min', 'n_max', 'df_min', 'df_max')]
    assert told == [7, 24, '4', '21']
    assert (figure.numbers['n_peak'], figure.numbers['df_peak']) == ('24', '21')


def test_numbers_that_are_none(tmp_path, space, planted):
    planted[:5, :4] = np.nan
    planted[9, 1], planted[9, 3] = np.inf, 0
    planted[10, 1], planted[10, 3] = np.nan, 0
    (figure,) = figures(tmp_path, space, NAMES, planted)
    assert figure.finding.startswith('37 of 2,179 voxels')
    assert 'test statistic = inf' in figure.finding
    assert 'Smallest p: 0, corrected' in figure.finding


def test_no_p_value_at_all(tmp_path, space, planted):
    planted[:, 3] = np.nan
    (figure,) = figures(tmp_path, space, NAMES, planted)
    assert figure.finding == 'No p value for any of 2,184 voxels. N = 24.'
    assert figure.numbers['smallest_p'] == 'n/a'
    assert figure.pictures


def test_an_analysis_without_p_values_has_no_figures(tmp_path, space, planted):
    assert figures(tmp_path, space, NAMES[:2], planted[:, :2]) == []


def test_rows_must_match_elements(tmp_path, space, planted):
    with pytest.raises(SchemaError, match='has 5 rows and no element_id'):
        figures(tmp_path, space, NAMES, planted[:5])


def small(tmp_path, space, kept, **options):
    """The figure of a statistic that counts up from 1, where these elements survive."""
    n = len(space)
    p = np.where(np.isin(np.arange(n), kept), 0.001, 0.5)
    matrix = np.column_stack([np.arange(1.0, n + 1), p])
    (figure,) = figures(tmp_path, space, ['a.statistic', 'a.p.value.fdr'], matrix, **options)
    return figure


def test_one_sided_statistics_have_a_one_sided_scale(tmp_path, space):
    figure = small(tmp_path, space, [100, 101, 200])
    # Percentiles 2 and 98 of 101, 102 and 201: 101.04 and 197.04, outwards to three digits.
    assert 'viridis, from 101 to 198' in figure.pictures[0].caption


def test_parcels_and_edges_are_listed_by_name(tmp_path):
    space = ParcelSpace.from_axes(parcels())
    figure = small(tmp_path, space, [0, 2, 3])
    assert figure.finding.startswith(
        '3 of 4 parcels have FDR-corrected p < 0.05. '
        'Most significant: Thalamus, test statistic = 4.'
    )
    assert [(row['where'], row['x'], row['volume_mm3']) for row in figure.rows()] == [
        ('Thalamus', 'n/a', 'n/a'),
        ('MT', 'n/a', 'n/a'),
        ('V1', 'n/a', 'n/a'),
    ]
    (tmp_path / 'x.h5').unlink()
    edges = EdgeSpace.from_axes(parcels(), parcels()[:3])
    figure = small(tmp_path, edges, [4, 11])
    assert [row['where'] for row in figure.rows()] == ['Thalamus – MT', 'V2 – V2']
    assert figure.rule == 'each edge by itself'


def test_an_edge_and_its_mirror_image_are_one(tmp_path):
    edges = EdgeSpace.from_axes(parcels(), parcels())
    # Of 4 x 4 entries 6 pairs; the diagonal has no result. One pair survives.
    t = np.array([[np.nan, 1, 2, 3], [1, np.nan, 4, -9], [2, 4, np.nan, 6], [3, -9, 6, np.nan]])
    p = np.where(np.isnan(t), np.nan, np.where(t == -9, 0.001, 0.5))
    names, matrix = ['a.statistic', 'a.p.value.fdr'], np.column_stack([t.ravel(), p.ravel()])
    (figure,) = figures(tmp_path, edges, names, matrix)
    assert figure.finding.startswith('1 of 6 edges (each counted once) has FDR-corrected p < 0.05')
    assert (figure.numbers['survived'], figure.numbers['elements']) == (1, 6)
    assert [row['where'] for row in figure.rows()] == edges.labels(np.array([7]))
    # Other values in one triangle: every entry is by itself.
    matrix[13, 0] = -8
    (tmp_path / 'x.h5').unlink()
    (figure,) = figures(tmp_path, edges, names, matrix)
    assert figure.finding.startswith('2 of 12 edges have FDR-corrected p < 0.05')


def test_fixels_are_found_in_their_voxels(tmp_path):
    space = FixelSpace.from_arrays(index_values(), direction_values(), FIXEL_AFFINE)
    figure = small(tmp_path, space, [0, 1, 4])
    # The voxels of fixels 0 and 1, and of 4, are (2, 0, 1) and (1, 1, 1): they share an edge.
    assert figure.rows()[0]['size'] == 3
    assert figure.rows()[0]['where'] == 'fixel 4 at (-8, 22, 32) mm'
    assert figure.pictures


def test_greyordinates_use_a_surface_where_there_is_one(tmp_path):
    space = GreyordinateSpace.from_axes(brain_models())
    # Vertices 3 and 39 of the left cortex, and two voxels of the brain stem beside each other.
    kept = [0, 18, 49, 50]
    figure = small(tmp_path, space, kept)
    assert 'no surface was found' in figure.rule
    assert [row['size'] for row in figure.rows()] == [2, 2]
    assert [picture.extension for picture in figure.pictures] == ['.png', '.svg']
    (tmp_path / 'x.h5').unlink()
    mesh = Mesh(*sphere(N_VERTICES))
    surface = {
        f'CIFTI_STRUCTURE_CORTEX_{name}': Surface(side, mesh, np.ones(N_VERTICES), Path('x'))
        for name, side in (('LEFT', 'L'), ('RIGHT', 'R'))
    }
    figure = small(tmp_path, space, kept, surfaces=surface)
    assert [row['where'] for row in figure.rows()][1:] == [
        'vertex 39 of left cortex',
        'vertex 3 of left cortex',
    ]
    assert [picture.extension for picture in figure.pictures] == ['.png']
    (tmp_path / 'x.h5').unlink()
    # Where each vertex is in the head, beside the inflated shape.
    places = np.arange(3 * N_VERTICES, dtype=np.float32).reshape(-1, 3)
    placed = Surface('L', replace(mesh, places=places), np.ones(N_VERTICES), Path('x'))
    left = {'CIFTI_STRUCTURE_CORTEX_LEFT': placed}
    figure = small(tmp_path, space, kept[1:2], surfaces={**surface, **left})
    (row,) = figure.rows()
    assert row['where'] == figure.numbers['where'] == 'vertex 39 of left cortex (117, 118, 119) mm'
    assert (row['x'], row['y'], row['z']) == ('117', '118', '119')


def fitted(n_people=24):
    """By ordinary least squares of noise on age and sex: names and results of every voxel.

    From textbook formulas: t = b / se, F = (R² / (k - 1)) / ((1 - R²) / df).
    """
    rng = np.random.default_rng(8)
    age, sex = rng.uniform(20, 80, n_people), np.arange(n_people) % 2
    design = np.column_stack([np.ones(n_people), age, sex])
    values = rng.normal(size=(n_people, int(np.prod(SHAPE))))
    inverse, df = np.linalg.inv(design.T @ design), n_people - 3
    coefficients = inverse @ design.T @ values
    residual = ((values - design @ coefficients) ** 2).sum(axis=0)
    t = coefficients / np.sqrt(np.outer(np.diag(inverse), residual / df))
    explained = 1 - residual / ((values - values.mean(axis=0)) ** 2).sum(axis=0)
    f = explained / 2 / ((1 - explained) / df)
    names, columns = [], []
    for number, term in enumerate(('Intercept', 'age', 'sexM')):
        names += [f'{term}.{what}' for what in ('estimate', 'statistic', 'p.value')]
        columns += [coefficients[number], t[number], 2 * stats.t.sf(abs(t[number]), df)]
    names += ['model.statistic', 'model.p.value']
    return names, np.column_stack([*columns, f, stats.f.sf(f, 2, df)])


def test_statistics_that_p_values_prove_are_named(tmp_path, space):
    names, matrix = fitted()
    with StoreReader(write_results(tmp_path / 'x.h5', 'mylm', names, matrix)) as reader:
        results = reader.analysis('mylm')
        found = list(result_figures(results, space, 24, 'cbf', formula='cbf ~ age + sex'))
    titles = ['cbf ~ age + sex: age', 'cbf ~ age + sex: sexM', 'cbf ~ age + sex: the whole model']
    assert [figure.title for figure in found] == titles
    for figure, name in zip(found, ('t', 't', 'F'), strict=True):
        assert f' mm, {name} = ' in figure.finding
        assert figure.finding.endswith('not corrected for the number of tests. N = 24, df = 21.')
        told = {'formula': 'cbf ~ age + sex', 'statistic': name, 'df_min': '21', 'df_max': '21'}
        assert told.items() <= figure.numbers.items()


@pytest.mark.parametrize('n_images', [23, 30])
def test_what_p_values_do_not_prove_is_a_test_statistic(tmp_path, space, n_images):
    names, matrix = fitted()
    with StoreReader(write_results(tmp_path / 'x.h5', 'mylm', names, matrix)) as reader:
        found = list(result_figures(reader.analysis('mylm'), space, n_images, 'cbf'))
    for figure in found:
        assert 'test statistic = ' in figure.finding
        assert figure.finding.endswith(f'N = {n_images}.')
        assert figure.numbers['statistic'] == 'n/a'


def test_degrees_of_freedom_that_the_analysis_tells(tmp_path, space):
    names, matrix = fitted()
    df = np.full(len(matrix), 21.0)
    names, matrix = [*names, 'model.df.residual'], np.column_stack([matrix, df])
    found = figures(tmp_path, space, names, matrix)
    assert all(figure.finding.endswith('N = 30, df = 21.') for figure in found)
    assert [figure.numbers['statistic'] for figure in found] == ['t', 't', 'F']


def test_an_intercept_alone_is_what_was_asked(tmp_path, space):
    names, matrix = fitted()
    (figure,) = figures(tmp_path, space, names[:3], matrix[:, :3])
    assert figure.title == 'cbf: Intercept'


def test_nothing_to_be_seen_is_no_picture_and_no_warning(tmp_path, space):
    names, matrix = fitted()
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        found = figures(tmp_path, space, names, np.full_like(matrix, np.nan))
    assert [figure.pictures for figure in found] == [(), (), ()]
    assert found[0].finding == 'No p value for any of 2,184 voxels. N = 30.'


@pytest.mark.parametrize('term', ['I(age^2)', 'sitemüller $x$', 'age:sexM', '年齢', '<b>&'])
def test_terms_of_any_name(tmp_path, space, planted, term):
    names = [f'{term}.statistic', f'{term}.p.value.fdr']
    (figure,) = figures(tmp_path, space, names, planted[:, [1, 3]])
    assert figure.title == f'cbf: {term}'
