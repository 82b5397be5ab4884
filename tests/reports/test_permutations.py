"""A permutation test from images to maps, their sidecars and the report, in one command."""

import csv
import json

import h5py
import numpy as np
import pytest
import trees
from reports.conftest import Page
from stores import read_results

from modelarrayio_bids.cli.bids_app import main

TESTS = ['age', 'sexM', 'site.anova']


@pytest.fixture(scope='module')
def permuted(tmp_path_factory):
    """The output folder of a run with 60 permutations of 16 people."""
    root = trees.describe(tmp_path_factory.mktemp('permuted') / 'study')
    people = trees.people(16)
    trees.write_participants(root, people)
    trees.write_aslprep(root / 'derivatives' / 'aslprep', people)
    output = root.parent / 'out'
    asked = ['--formula', '~ age + sex + site', '--anova', '--permutations', '60', '--seed', '2']
    assert (
        main([str(root), str(output), 'group', 'model', 'export', '--scalars', 'cbf', *asked]) == 0
    )
    return output


def null_maxima(output):
    (store,) = output.rglob('*_modelarray.h5')
    with h5py.File(store) as file:
        ours = file['results/lm/modelarrayio']
        return dict(zip(ours['null_tests'].asstr()[:], ours['null_maxima'][()], strict=True))


def test_maps_and_sidecars_tell_how_p_was_corrected(permuted):
    (path,) = permuted.glob('cbf/*_node-lm/*_contrast-age_stat-p_desc-fwe_statmap.json')
    told = json.loads(path.read_text('utf-8'))
    assert path.with_suffix('').with_suffix('.nii.gz').exists()
    assert (told['Correction'], told['StatisticType']) == ('fwe', 't')
    assert told['Permutations'] == {
        'NumberOfLabellings': 60,
        'IsExact': False,
        'SignFlips': False,
        'Seed': 2,
    }
    (other,) = permuted.glob('cbf/*_node-lm/*_contrast-age_stat-p_desc-fdr_statmap.json')
    assert 'Permutations' not in json.loads(other.read_text('utf-8'))


def test_the_report_shows_the_null_distribution(permuted):
    page = Page((permuted / 'report.html').read_text('utf-8'))
    header, *rows = page.tables['Permutation tests of cbf: lm']
    assert header == ['Test', 'Statistic', 'Threshold', 'Observed', 'Smallest p']
    maxima = null_maxima(permuted)
    assert {f'{row[0]}.p.value.fwe': row[1] for row in rows} == {
        name: 'F' if '.anova' in name else '|t|' for name in maxima
    }
    (path,) = permuted.glob('figures/*desc-lmPermutations_summary.tsv')
    with path.open(newline='', encoding='utf-8') as file:
        told = {row['test']: row for row in csv.DictReader(file, delimiter='\t')}
    (store,) = permuted.rglob('*_modelarray.h5')
    results = read_results(store, 'lm')
    for test in TESTS:
        null, p = maxima[f'{test}.p.value.fwe'], results[f'{test}.p.value.fwe']
        # The third of 60: two that are greater are less than 5% of the labellings.
        assert float(told[test]['threshold']) == pytest.approx(np.sort(null)[-3], rel=1e-4)
        assert float(told[test]['observed']) == pytest.approx(null[0], rel=1e-4)
        assert float(told[test]['smallest_p']) == pytest.approx(np.nanmin(p), rel=1e-4)
    assert 'Freedman and Lane, 60 random permutations, seed 2' in page.texts['results']
    # What counts in the maps is the correction by permutations.
    assert 'FWE-corrected p < 0.05' in page.texts['results']


def test_the_same_command_again_keeps_the_analysis(permuted, capsys):
    asked = ['--formula', '~ age + sex + site', '--anova', '--permutations', '60', '--no-report']
    common = [str(permuted.parent / 'study'), str(permuted), 'model', *asked]
    assert main([*common, '--seed', '2']) == 0
    assert 'Kept 1 analysis' in capsys.readouterr().out
    assert main([*common, '--seed', '3']) != 0
