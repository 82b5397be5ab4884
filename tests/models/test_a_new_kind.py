"""A kind of model that the package does not know: all of it is in this file.

The slope of Theil and Sen: the median of the slopes between all pairs of images (Sen, "Estimates of
the regression coefficient based on Kendall's tau", 1968). One line registers it.
"""

import json
import shutil
from typing import ClassVar

import numpy as np
import pytest
import trees
from models.contract import KindContract
from scipy import stats
from stores import read_results

from modelarrayio_bids.cli.bids_app import main
from modelarrayio_bids.cli.files import main as files
from modelarrayio_bids.errors import UsageError
from modelarrayio_bids.models.base import (
    BlockFit,
    ElementwiseModel,
    Hypothesis,
    Outcome,
    corrections_of,
)
from modelarrayio_bids.models.kinds import KINDS, ModelKind
from modelarrayio_bids.models.responses import read_responses

N = 24


class TheilSenKind(ModelKind):
    """The slope of Theil and Sen."""

    name = 'theil-sen'
    noun = 'Theil-Sen slope'
    help = 'the median slope between pairs of images, of one number'
    term_statistics = ('estimate', 'statistic', 'p.value', 'n.pairs')
    default_term_statistics = ('estimate', 'statistic', 'p.value')
    own_statistics: ClassVar = {'n.pairs': 'Number of pairs of images'}

    def model(self, design, options, weights):
        return TheilSen(design, options)


class TheilSen(ElementwiseModel):
    """A slope at every element."""

    reasons: ClassVar = {**ElementwiseModel.reasons, 77: 'ties everywhere'}

    def __init__(self, design, options):
        if design.names != ('(Intercept)', design.terms[0]):
            raise UsageError('a Theil-Sen slope is of one number', remedy='Name one.')
        self.design, self.options, self.term = design, options, design.terms[0]
        self.columns = tuple(f'{self.term}.{name}' for name in options.var_terms)
        self.corrections = corrections_of(self.columns, options)

    @property
    def tested(self):
        return {self.term: Hypothesis(self.term, 'z')}

    def fit(self, responses, scalars):
        fewest = self.options.fewest(len(responses))
        block, outcomes = read_responses(responses, {}, self.design.rows, None, fewest)
        values = np.full((len(self.columns), len(outcomes)), np.nan)
        x = self.design.matrix[:, 1]
        for element in np.flatnonzero(outcomes == Outcome.FITTED):
            there = slice(None) if block.present is None else block.present[:, element]
            found = slope_of(x[there], block.values[there, element])
            values[:, element] = [found[name] for name in self.options.var_terms]
        return BlockFit(values, outcomes)


def slope_of(x, y):
    first, second = np.triu_indices(len(x), 1)
    run = x[second] - x[first]
    slopes = (y[second] - y[first])[run != 0] / run[run != 0]
    tau = stats.kendalltau(x, y, method='asymptotic')
    z = np.sign(tau.statistic) * stats.norm.isf(tau.pvalue / 2)
    n_pairs = len(slopes)
    return {
        'estimate': np.median(slopes),
        'statistic': z,
        'p.value': tau.pvalue,
        'n.pairs': n_pairs,
    }


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setitem(KINDS, TheilSenKind.name, TheilSenKind())


class TestTheilSen(KindContract):
    name = 'theil-sen'
    formula = 'y ~ age'


@pytest.fixture(scope='module')
def study(tmp_path_factory):
    return trees.write_asl_study(tmp_path_factory.mktemp('kind') / 'study', trees.people(N))


@pytest.fixture(scope='module')
def built(study):
    output = study.parent / 'built'
    command = [str(study), str(output), 'group', '--scalars', 'cbf', '--no-report']
    assert main(command) == 0
    return output


@pytest.fixture
def output(built, tmp_path):
    return shutil.copytree(built, tmp_path / 'out')


@pytest.mark.parametrize(
    'run', [lambda: files(['fit', '--help-all']), lambda: main(['--help-all'])]
)
def test_help_tells_of_it(run, capsys):
    with pytest.raises(SystemExit):
        run()
    said = ' '.join(capsys.readouterr().out.split())
    assert 'theil-sen' in said
    assert 'the median slope between pairs of images' in said
    assert 'n.pairs' in said


def test_from_a_command_to_maps_and_the_report(study, output):
    options = ['--formula', '~ age', '--method', 'theil-sen', '--full-outputs']
    levels = ['model', 'export']
    assert main([str(study), str(output), *levels, *options]) == 0
    (store,) = output.glob('cbf/*_modelarray.h5')
    found = read_results(store, 'theil-sen')
    endings = ('estimate', 'statistic', 'p.value', 'n.pairs', 'p.value.fdr')
    assert list(found) == ['element_id', *(f'age.{name}' for name in endings)]
    # trees.py: EFFECT per year in the left half.
    strongest = np.nanargmin(found['age.p.value'])
    assert found['age.estimate'][strongest] == pytest.approx(trees.EFFECT, rel=0.3)
    assert np.nanmax(found['age.n.pairs']) <= N * (N - 1) / 2
    (folder,) = output.glob('cbf/*_node-theilMinusSen')
    told = {path.name: json.loads(path.read_text()) for path in folder.glob('*.json')}
    pairs = told[f'{folder.name}_contrast-age_stat-nPairs_statmap.json']
    assert pairs['Description'] == 'Number of pairs of images of age, in the analysis theil-sen.'
    statistic = told[f'{folder.name}_contrast-age_stat-statistic_statmap.json']
    assert statistic['StatisticType'] == 'z'
    assert statistic['ModelFormula'] == 'cbf ~ age'
    assert 'DegreesOfFreedom' not in statistic
    page = (output / 'report.html').read_text('utf-8')
    assert 'cbf: theil-sen' in page
    assert 'Columns of the design of cbf: theil-sen' in page


def test_the_slope_is_that_of_scipy(output):
    (store,) = output.glob('cbf/*_modelarray.h5')
    cohort = next(output.glob('cbf/*_cohort.csv'))
    command = ['fit', str(store), '--formula', '~ age', '--cohort-file', str(cohort)]
    assert files([*command, '--method', 'theil-sen']) == 0
    assert 'age.estimate' in read_results(store, 'theil-sen')
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 30))
    assert slope_of(x, y)['estimate'] == pytest.approx(stats.theilslopes(y, x).slope)


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        (['--formula', '~ age + sex'], 'a Theil-Sen slope is of one number'),
        (['--formula', '~ age', '--weights', 'age'], 'a Theil-Sen slope has no weights here'),
        (['--formula', '~ age', '--anova'], 'a Theil-Sen slope has no analysis of variance here'),
        (['--formula', '~ age', '--var-terms', 'std.error'], 'Choose among estimate, statistic'),
        (['--formula', '~ s(age)'], 's(age) is a smooth, which Theil-Sen slopes do not have'),
    ],
)
def test_what_it_does_not_have_is_refused(output, options, said, capsys):
    (store,) = output.glob('cbf/*_modelarray.h5')
    cohort = next(output.glob('cbf/*_cohort.csv'))
    command = ['fit', str(store), '--cohort-file', str(cohort), '--method', 'theil-sen']
    assert files([*command, *options]) == 64
    assert said in capsys.readouterr().err
