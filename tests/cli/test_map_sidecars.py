"""Sidecars of the maps of a fitted model, as ``export`` and ``export-results`` write them."""

import json

import numpy as np
import pytest
import trees
from stores import read_results

from modelarrayio_bids.cli import files
from modelarrayio_bids.cli.bids_app import main

FORMULA = 'cbf ~ age + site'
#: Of 16 people one has no age; the model has an intercept, age, and two of three sites.
N_IMAGES, N_COEFFICIENTS = 15, 4


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
    """Maps of two analyses: one with every kind of test, one that counts its images."""
    root = trees.write_asl_study(tmp_path_factory.mktemp('maps') / 'study', trees.people(16))
    output = root.parent / 'out'
    common = [str(root), str(output), '--scalars', 'cbf', '--no-report']
    model = ['model', '--formula', '~ age + site']
    tests = ['--anova', '--contrast', 'two=sitesite2 - sitesite3', '--f-test', 'all=age + site']
    assert main([*common, 'group', *model, *tests, '--effect-sizes']) == 0
    counted = ['--var-model', 'nobs', 'df.residual', '--analysis-name', 'counted']
    assert main([*common, *model, *counted]) == 0
    assert main([str(root), str(output), 'export', '--no-report']) == 0
    return output


def sidecar(exported, analysis, entities):
    (path,) = exported.glob(f'cbf/*_node-{analysis}/*_node-{analysis}_{entities}_statmap.json')
    return json.loads(path.read_text('utf-8'))


@pytest.mark.parametrize(
    ('entities', 'contrast', 'kind', 'numerator'),
    [
        ('contrast-Intercept_stat-statistic', '(Intercept)', 't', {}),
        ('contrast-age_stat-statistic', 'age', 't', {}),
        ('contrast-age_stat-p_desc-fdr', 'age', 't', {}),
        ('contrast-age_stat-1mp', 'age', 't', {}),
        ('contrast-age_stat-effect', 'age', None, {}),
        ('contrast-age_stat-stdEstimate', 'age', None, {}),
        ('contrast-two_stat-p', 'sitesite2 - sitesite3', 't', {}),
        ('contrast-all_stat-statistic', 'age + site', 'F', {'all.df': 3}),
        ('contrast-siteAnova_stat-statistic', 'site', 'F', {'site.anova.df': 2}),
        ('contrast-siteAnova_stat-cohensF2', 'site', None, {'site.anova.df': 2}),
        ('stat-p', None, 'F', {}),
    ],
)
def test_what_was_tested(exported, entities, contrast, kind, numerator):
    found = sidecar(exported, 'lm', entities)
    assert found['ModelFormula'] == FORMULA
    assert found['NumberOfImages'] == N_IMAGES
    assert found.get('Contrast') == contrast
    assert found.get('StatisticType') == kind
    # Of the whole model's F: all coefficients but the intercept.
    of_model = {'model.df': 3, 'model.df.residual': N_IMAGES - N_COEFFICIENTS}
    assert found['DegreesOfFreedom'] == {**numerator, **of_model}


def test_numbers_that_the_analysis_kept_have_their_extent(exported):
    found = sidecar(exported, 'counted', 'contrast-age_stat-p')
    (store,) = exported.rglob('*_modelarray.h5')
    results = read_results(store, 'counted')
    images, df = results['model.nobs'], results['model.df.residual']
    assert np.nanmin(images) < np.nanmax(images) == N_IMAGES
    assert found['NumberOfImages'] == [np.nanmin(images), N_IMAGES]
    assert found['DegreesOfFreedom']['model.df.residual'] == [np.nanmin(df), np.nanmax(df)]


def test_maps_under_the_names_of_r(exported, tmp_path):
    (store,) = exported.rglob('*_modelarray.h5')
    arguments = ['--input-hdf5', str(store), '--analysis-name', 'lm', '--output-dir', str(tmp_path)]
    assert files.main(['export-results', *arguments]) == 0
    found = json.loads((tmp_path / 'lm_results.json').read_text('utf-8'))
    assert found['ModelFormula'] == FORMULA
    assert found['NumberOfImages'] == N_IMAGES
    assert found['DegreesOfFreedom'] == {'model.df.residual': N_IMAGES - N_COEFFICIENTS}
    assert found['Images']['lm_two.p.value.nii.gz'] == {
        'Result': 'two.p.value',
        'Contrast': 'sitesite2 - sitesite3',
        'StatisticType': 't',
    }
