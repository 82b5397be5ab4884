"""The study of ``make demo``, and what its command finds in it."""

import json
import re
import subprocess

import demo_study
import nibabel as nb
import numpy as np
import pytest
from pages import ROOT, Step, blocks, follow
from tools import missing, require_tool

from modelarrayio_bids.reports.findings.results_table import read_results

README = (ROOT / 'README.md').read_text('utf-8')
#: Scalars by the measure whose effect they show.


@pytest.fixture(scope='module')
def outputs(tmp_path_factory):
    """A folder after ``make demo``: the study, outputs, and what the command printed."""
    folder = tmp_path_factory.mktemp('demo')
    demo_study.write_study(folder / 'demo' / 'study', demo_study.people())
    step = Step(re.search(r'^\$ (modelarrayio-bids .*)', README, re.MULTILINE)[1], '...')
    (folder / 'printed.txt').write_text(follow(step, folder), 'utf-8')
    return folder / 'demo'


@pytest.fixture(scope='module')
def ages(outputs):
    """The rows of the table of results about age, by scalar."""
    rows = read_results(outputs / 'out')
    return {row['scalar']: row for row in rows if row['term'] == 'age'}


def test_the_readme_shows_what_is_found(outputs):
    (shown,) = blocks(ROOT / 'README.md', 'text')
    printed = (outputs.parent / 'printed.txt').read_text('utf-8')
    assert shown.partition('\n')[2] in printed


def test_the_last_lines_tell_terms_without_an_effect_from_those_of_other_scalars(outputs):
    printed = (outputs.parent / 'printed.txt').read_text('utf-8')
    # Blood flow alone was planted higher at site3.
    assert 'Nothing found for: sexM, sitesite2, sitesite3 of other scalars (smallest p ' in printed


def test_make_demo_runs_the_command_of_the_readme():
    makefile = ROOT / 'Makefile'
    if not makefile.exists():
        missing('there is no Makefile in the image of the tests')
    command = re.search(r'^\$ modelarrayio-bids demo/study demo/out (.*)', README, re.MULTILINE)[1]
    assert f'$(DEMO)/study $(DEMO)/out {command}\n' in makefile.read_text('utf-8')


def test_every_effect_is_found(ages):
    assert set(ages) == {*demo_study.EFFECTS, 'pearsoncorrelation'}
    # Each is a decline, and 23 people tell it from noise.
    assert all(int(row['survived']) and float(row['peak']) < 0 for row in ages.values())


@pytest.mark.parametrize('scalar', ['cbf', 'dki_fa', 'fd'])
def test_the_peak_is_where_the_effect_was_planted(ages, scalar):
    place = re.search(r'\((.*)\) mm', ages[scalar]['where'])[1].split(', ')
    effect = demo_study.EFFECTS[scalar]
    # Within the radius of the effect.
    assert np.linalg.norm(np.array(place, float) - effect.centre) < effect.radius


def test_the_cortex_thins_at_the_precentral_gyrus(ages):
    vertex, side, place = re.fullmatch(
        r'vertex (\d+) of (left) cortex \((.*)\) mm', ages['thickness']['where']
    ).groups()
    point = demo_study.cortex()['midthickness'][0 if side == 'left' else 1, int(vertex)]
    effect = demo_study.EFFECTS['thickness']
    np.testing.assert_allclose(np.array(place.split(', '), float), point, atol=0.5)
    assert np.linalg.norm(point - effect.centre) < effect.radius


def test_the_edge_and_the_parcel_are_found(ages):
    assert ages['reho']['where'] == 'L PosteriorCingulate'
    assert set(ages['pearsoncorrelation']['where'].split(' – ')) == set(demo_study.WEAK_EDGE)


def test_the_site_that_is_high_is_found(outputs):
    rows = read_results(outputs / 'out')
    (site,) = (row for row in rows if (row['scalar'], row['term']) == ('cbf', 'sitesite3'))
    assert int(site['survived']) > 0.5 * int(site['elements'])


def test_the_flipped_image_is_named(outputs):
    page = (outputs / 'out' / 'report.html').read_text('utf-8')
    assert 'looks flipped' in page
    table = outputs / 'out' / 'cbf' / f'space-{demo_study.SPACE}_cohort.csv'
    assert demo_study.FLIPPED in table.read_text()


def test_every_dataset_is_bids(outputs):
    validator = require_tool('bids-validator-deno')
    study = outputs / 'study'
    for description in sorted(study.rglob('dataset_description.json')):
        command = [validator, '--format', 'json', description.parent]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        issues = json.loads(done.stdout)['issues']['issues']
        assert [issue for issue in issues if issue['severity'] == 'error'] == []


def test_fixels_are_those_mrtrix_reads(outputs):
    folder = outputs / 'study' / 'derivatives' / 'mrtrix' / 'fd'
    command = [require_tool('fixel2voxel'), '-quiet', folder / 'sub-01.mif', 'count']
    out = outputs / 'count.nii'
    subprocess.run([*command, out], check=True)
    image = nb.load(out)
    assert np.asarray(image.dataobj).sum() == len(demo_study.fixels()[0])
    np.testing.assert_allclose(image.affine, demo_study.head()[1], atol=1e-4)
