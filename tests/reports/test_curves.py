"""A curve from derivatives to maps: it is found where it was planted, and drawn as it is."""

import re

import nibabel as nb
import numpy as np
import pytest
import trees
from reports.conftest import Page, cbf_of, sidecar
from scipy.stats import f as f_distribution

from modelarrayio_bids.cli.bids_app import main
from modelarrayio_bids.cli.files import main as files
from modelarrayio_bids.reports.findings.results_table import read_results

#: Voxels with a U-curve of age, lowest at 40 years; at 20 and 60 it is five standard deviations of
#: the noise higher.
PLANTED = (slice(9, 12), slice(6, 10), slice(6, 10))
DEPTH, LOWEST = 0.25, 40.0
FORMULA = '~ s(age, k = 4, fx = TRUE) + sex'


@pytest.fixture(scope='module')
def found(tmp_path_factory):
    """What one command leaves of forty people, to be read only."""
    root = trees.describe(tmp_path_factory.mktemp('curves') / 'study')
    people = trees.people(40)
    trees.write_participants(root, people)
    derivative = trees.write_aslprep(root / 'derivatives' / 'aslprep', people)
    for person in people:
        plant(cbf_of(derivative, f'sub-{person.label}'), person)
    output = root.parent / 'out'
    arguments = [str(root), str(output), 'group', 'model', 'export', '--scalars', 'cbf']
    assert main([*arguments, '--formula', FORMULA, '--effect-sizes']) == 0
    return output


def plant(path, person):
    """Take the line out of the left half, and put a U-curve where it is planted."""
    image = nb.load(path)
    values = np.asarray(image.dataobj).copy()
    inside = values != 0
    left = np.arange(values.shape[0])[:, None, None] < values.shape[0] // 2
    values -= inside * left * trees.EFFECT * (person.age - 40)
    values[PLANTED] += DEPTH * ((person.age - LOWEST) / 20) ** 2
    trees.save(np.where(inside, values, 0).astype(np.float32), path)


def statmap(output, what):
    (path,) = output.rglob(f'*_node-gam_contrast-sAge_{what}_statmap.nii.gz')
    return nb.load(path).get_fdata(), sidecar(path.with_name(path.name.replace('.nii.gz', '.json')))


def test_a_u_curve_is_found_where_it_was_planted(found):
    p, told = statmap(found, 'stat-p_desc-fdr')
    analysed = np.isfinite(p) & (statmap(found, 'stat-statistic')[0] != 0)
    planted = np.zeros(p.shape, bool)
    planted[PLANTED] = True
    survived = analysed & (p < 0.05)
    assert survived[planted & analysed].all()
    # Of what survives, 5% are expected to be false.
    assert (survived & ~planted).sum() <= 0.1 * survived.sum()
    assert told['Contrast'] == 's(age)'


def test_the_sidecar_says_what_the_statistic_is(found):
    values, told = statmap(found, 'stat-statistic')
    assert told['StatisticType'] == 'F'
    assert told['DegreesOfFreedom']['s_age.edf'] == 3
    p = statmap(found, 'stat-p')[0]
    # Everybody has these voxels: 39 people with an age, 3 curves, an intercept and sex.
    middle = (10, 8, 8)
    assert p[middle] == pytest.approx(f_distribution.sf(values[middle], 3, 34), rel=1e-4)


def test_the_table_has_the_degrees_of_freedom_of_the_sidecar(found):
    told = statmap(found, 'stat-statistic')[1]
    (row,) = (row for row in read_results(found) if row['term'] == 's_age')
    assert float(row['df_max']) == told['DegreesOfFreedom']['model.df.residual'] == 34
    # An intercept, sex and 3 curves, at every element.
    assert float(row['n_peak']) - float(row['df_peak']) == 5
    assert float(row['n_min']) - float(row['df_min']) == 5


def test_a_line_finds_nothing_there(found, tmp_path):
    (store,) = found.rglob('*_modelarray.h5')
    cohort = store.with_name(store.name.replace('modelarray.h5', 'cohort.csv'))
    model = ['--formula', 'cbf ~ age + sex', '--cohort-file', str(cohort)]
    copied = tmp_path / 'copy.h5'
    copied.write_bytes(store.read_bytes())
    assert files(['fit', str(copied), *model, '--export', str(tmp_path / 'maps')]) == 0
    p = nb.load(tmp_path / 'maps' / 'lm_age.p.value.fdr.nii.gz').get_fdata()
    assert (p[PLANTED] > 0.05).all()


def test_the_report_draws_the_curve_at_the_peak(found):
    page = Page((found / 'report.html').read_text('utf-8'))
    (image,) = (one for one in page.images if 'lowest at' in one['alt'])
    peaks = re.findall(r'lowest at ([0-9.]+), highest at ([0-9.]+[0-9])', image['alt'])
    assert float(peaks[0][0]) == pytest.approx(LOWEST, abs=4)
    assert abs(float(peaks[0][1]) - LOWEST) > 15
    (drawn,) = (found / 'figures').glob('*desc-gamSAgeCurves_plot.svg')
    text = drawn.read_text('utf-8')
    assert 'age' in text
    assert not list((found / 'figures').glob('*SexMCurves*'))
