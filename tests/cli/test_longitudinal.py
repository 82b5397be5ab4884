"""A study of two sessions, from derivatives to thresholded maps with a random intercept."""

import csv
import json

import nibabel as nb
import numpy as np
import pytest
import trees
from stores import read_results

from modelarrayio_bids.cli.bids_app import main

N = 24
FORMULA = '~ age + sex + (1 | participant_id)'
#: trees.py: variance of a person's deviation, and of the noise of an image.
BETWEEN, WITHIN = trees.BETWEEN**2, trees.NOISE**2


@pytest.fixture(scope='module')
def study(tmp_path_factory):
    return trees.write_visits(tmp_path_factory.mktemp('visits') / 'study', trees.people(N))


@pytest.fixture(scope='module')
def output(study):
    output = study.parent / 'out'
    command = [str(study), str(output), 'group', 'model', 'export', '--formula', FORMULA]
    assert main([*command, '--outside', 'nan', '--anova', '--var-model', 'icc', 'nobs']) == 0
    return output


def test_repeated_images_are_no_warning_where_the_model_knows_of_them(study, output, tmp_path):
    told = 'lm treats images of one participant as independent'
    logs = [log.read_text('utf-8') for log in (output / 'logs').glob('*.log')]
    assert logs
    assert not any(told in text for text in logs)
    command = [str(study), str(tmp_path / 'out'), 'group', '--no-report']
    # A bar inside of an argument makes no group.
    assert main([*command, '--formula', '~ factor(age | sex)']) == 0
    (log,) = (tmp_path / 'out' / 'logs').glob('*.log')
    assert f'WARNING: cbf: {2 * N} images of {N} participants, and {told}' in log.read_text('utf-8')


def image(output, name):
    (folder,) = output.glob('cbf/*_node-lmer')
    (path,) = folder.glob(f'*_node-lmer_{name}_statmap.nii.gz')
    return nb.load(path).get_fdata()


def halves(values):
    """Finite values of the left half and of the right one."""
    middle = trees.TEMPLATE.shape[0] // 2
    return [part[np.isfinite(part)] for part in (values[:middle], values[middle:])]


def test_the_planted_slope_is_found_where_it_was_planted(output):
    left, right = halves(image(output, 'contrast-age_stat-effect'))
    # Two images three years apart of 24 people tell a slope to 0.05 / (1.5 * sqrt(48)) = 0.005, and
    # 24 people's means to 0.1 / (12 * sqrt(24)) = 0.0017: together to about 0.0016.
    assert np.mean(left) == pytest.approx(trees.EFFECT, abs=0.003)
    assert np.mean(right) == pytest.approx(0, abs=0.003)
    left, right = halves(image(output, 'contrast-age_stat-p_desc-fdr'))
    assert np.mean(left < 0.05) > 0.95
    assert np.mean(right < 0.05) < 0.1


def test_variance_components_are_those_that_were_planted(output):
    # Of 24 people's deviations: 24 - 3 degrees of freedom, so to a factor of 1 ± sqrt(2 / 21).
    between = np.nanmean(image(output, 'contrast-participantId_stat-sdIntercept') ** 2)
    within = np.nanmean(image(output, 'contrast-Residual_stat-sdObservation') ** 2)
    assert between == pytest.approx(BETWEEN, rel=0.6)
    assert within == pytest.approx(WITHIN, rel=0.03)
    icc = np.nanmean(image(output, 'stat-icc'))
    assert icc == pytest.approx(between / (between + within), abs=0.03)


def test_sidecars_say_what_maps_are(output):
    (folder,) = output.glob('cbf/*_node-lmer')
    told = {
        path.name.partition('_node-lmer_')[2].removesuffix('_statmap.json'): json.loads(
            path.read_text()
        )
        for path in folder.glob('*.json')
    }
    age = told['contrast-age_stat-statistic']
    assert age['StatisticType'] == 't'
    assert age['ModelFormula'] == f'cbf {FORMULA}'
    (least, most) = age['DegreesOfFreedom']['age.df']
    assert 1 < least < most <= 45  # 48 images, 3 coefficients
    assert told['contrast-sexAnova_stat-statistic']['StatisticType'] == 'F'
    assert told['contrast-sexAnova_stat-statistic']['DegreesOfFreedom']['sex.anova.df'] == 1
    assert told['stat-icc']['Description'] == (
        'Intraclass correlation: share of the variance that is between groups of the model, in '
        'the analysis lmer.'
    )
    assert told['contrast-participantId_stat-sdIntercept']['Term'] == 'participant_id'


def test_the_report_tells_of_the_random_intercept(output):
    page = (output / 'report.html').read_text('utf-8')
    assert 'Random intercept of participant_id' in page
    assert '24 groups; images: 2 in 24 groups' in page
    assert 'Intraclass correlation' in page
    (path,) = (output / 'figures').glob('*desc-lmerComponents_summary.tsv')
    with open(path, newline='') as file:
        rows = {row['result']: row for row in csv.DictReader(file, delimiter='\t')}
    (store,) = output.glob('cbf/*.h5')
    found = read_results(store, 'lmer')
    assert list(rows) == ['model.icc', 'participant_id.sd__Intercept', 'Residual.sd__Observation']
    for name, row in rows.items():
        expected = np.nanpercentile(found[name], [5, 50, 95])
        assert [float(row[each]) for each in ('p5', 'median', 'p95')] == pytest.approx(
            expected, rel=1e-5
        )


def test_without_it_the_repeated_participants_are_an_error_that_shows_it(study, output, capsys):
    assert main([str(study), str(output), 'model', '--formula', '~ age + sex']) == 64
    said = capsys.readouterr().err
    assert 'Add a random intercept to the formula, (1 | participant_id)' in said


def test_an_intercept_of_other_groups_does_not_make_them_independent(study, output, capsys):
    assert main([str(study), str(output), 'model', '--formula', '~ age + (1 | site)']) == 64
    assert '24 participants have several images' in capsys.readouterr().err


def test_blocks_give_the_numbers_of_one_run(study, output):
    (store,) = output.glob('cbf/*.h5')
    whole = read_results(store, 'lmer')
    options = ['--formula', FORMULA, '--blocks', '3', '--analysis-name', 'blocks', '--no-report']
    assert main([str(study), str(output), 'model', *options]) == 0
    parts = read_results(store, 'blocks')
    for name, row in parts.items():
        np.testing.assert_array_equal(row, whole[name])


def test_a_dry_run_shows_the_groups(study, output, capsys):
    options = ['--formula', FORMULA, '--analysis-name', 'other', '--dry-run']
    assert main([str(study), str(output), 'model', *options, '--permutations', '50']) == 0
    said = capsys.readouterr().out
    assert 'Random intercept of participant_id: 24 groups; images: 2 in 24 groups' in said
    assert 'by least squares: 50 random permutations within and of 24 blocks' in said


def test_permutations_of_the_same_command(study, output, capsys):
    options = ['--formula', FORMULA, '--permutations', '200', '--seed', '1']
    permuted = study.parent / 'permuted'
    command = [str(study), str(permuted), 'group', 'model', 'export', *options]
    assert main([*command, '--outside', 'nan']) == 0
    assert (
        'Permutation test of the fixed effects by least squares: 200 random permutations within '
        'and of 24 blocks'
    ) in capsys.readouterr().err
    # The estimates are those of the command without permutations.
    for name in ('contrast-age_stat-effect', 'contrast-age_stat-p_desc-fdr'):
        np.testing.assert_array_equal(image(permuted, name), image(output, name))
    left, right = halves(image(permuted, 'contrast-age_stat-p_desc-fwe'))
    assert np.mean(left < 0.05) > 0.95
    assert np.mean(right < 0.05) < 0.05
    (path,) = permuted.glob('cbf/*_node-lmer/*contrast-age_stat-p_desc-fwe_statmap.json')
    assert json.loads(path.read_text())['Permutations'] == {
        'FittedModel': 'the fixed effects by least squares',
        'NumberOfLabellings': 200,
        'IsExact': False,
        'SignFlips': False,
        'Seed': 1,
        'ExchangeabilityBlocks': 'participant_id',
        'Shuffle': 'both',
    }
    page = (permuted / 'report.html').read_text('utf-8')
    assert (
        'Freedman and Lane of the fixed effects by least squares, 200 random permutations of '
        'images within 24 blocks of participant_id, and of the blocks, seed 1;'
    ) in page
    (store,) = permuted.glob('cbf/*.h5')
    whole = read_results(store, 'lmer')
    more = [*options, '--blocks', '3', '--analysis-name', 'blocks', '--no-report']
    assert main([str(study), str(permuted), 'model', *more]) == 0
    parts = read_results(store, 'blocks')
    assert list(parts) == list(whole)
    for name, row in parts.items():
        np.testing.assert_array_equal(row, whole[name])
