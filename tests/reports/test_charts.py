"""Charts of people: who is named where, and what they say of odd numbers."""

import warnings
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from modelarrayio_bids.cohort import Cohort
from modelarrayio_bids.derivatives.bids.output_names import Outputs
from modelarrayio_bids.reports.figures.cohort_charts import (
    chart_of_availability,
    chart_of_phenotypes,
    chart_of_sources,
    chart_of_threshold,
)
from modelarrayio_bids.reports.findings.outliers import Finding
from modelarrayio_bids.reports.findings.output_folder import Output
from modelarrayio_bids.reports.findings.participants import Availability, Phenotype
from modelarrayio_bids.store.summary import QUANTILES, ROW, Summary

SVG = '{http://www.w3.org/2000/svg}'
N_ELEMENTS = 1000


@pytest.fixture(autouse=True)
def no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        yield


def summary_of(n_people, unit=1.0):
    """Of people who are all alike, but for a little."""
    little = np.linspace(0, 1, n_people)
    rows = np.zeros(n_people, ROW)
    rows['quantiles'] = (40 + 20 * np.array(QUANTILES) + little[:, None]) * unit
    each = np.ones(N_ELEMENTS, np.float32)
    correlation, distance = 0.9 + little / 100, 1 + little / 10
    return Summary(rows, correlation, distance, n_people * each.astype(np.int32), each, each)


def panels(picture):
    """What is written in each of the axes of an SVG."""
    root = ET.fromstring(picture.data)
    groups = [one for one in root.iter(f'{SVG}g') if one.get('id', '').startswith('axes_')]
    return [[''.join(text.itertext()) for text in one.iter(f'{SVG}text')] for one in groups]


def named(picture):
    """People who are named, from left to right."""
    return [text for texts in panels(picture) for text in texts if text.startswith('sub-')]


def people(count):
    return [f'sub-{number:02}' for number in range(count)]


def test_each_is_named_that_is_odd_somewhere():
    summary = summary_of(60)
    summary.rows['quantiles'][5] += 100
    summary.correlation[15], summary.distance[25] = 0.1, 5
    summary.rows['n_zero'][35], summary.rows['n_missing'][45] = 600, N_ELEMENTS
    summary.rows['quantiles'][45] = np.nan
    kinds = {5: 'level', 15: 'unlike', 25: 'unlike', 35: 'zeros', 45: 'empty', 55: 'mirrored'}
    found = [Finding(source, kind, kind) for source, kind in kinds.items()]
    found += [Finding(source, 'identical', 'a copy') for source in (10, 50)]
    picture = chart_of_sources(summary, people(60), found, 'cbf')
    odd = ('05', '10', '15', '25', '35', '45', '50', '55')
    assert named(picture) == [f'sub-{number}' for number in odd]


def test_the_farthest_are_named_and_many_copies_are_not():
    summary = summary_of(60)
    far = range(2, 60, 6)
    summary.correlation[far] = np.linspace(0.5, 0.1, len(far))
    found = [Finding(source, 'unlike', '') for source in far]
    found += [Finding(source, 'identical', '') for source in range(20)]
    # The correlation is least in the last; copies, who are the first, are like the others.
    expected = [f'sub-{number:02}' for number in [*far][-6:]]
    assert named(chart_of_sources(summary, people(60), found, 'cbf')) == expected


def test_names_do_not_cover_each_other():
    summary = summary_of(60)
    summary.correlation[26:32] = 0.5, 0.6, 0.6, 0.6, 0.4, 0.6
    found = [Finding(source, 'unlike', '') for source in range(26, 32)]
    # Sixty images on less than five inches: a name is wider than two of them.
    assert named(chart_of_sources(summary, people(60), found, 'cbf')) == ['sub-26', 'sub-30']


@pytest.mark.parametrize('unit', [1e300, 1e306, -1e306, np.nan, np.inf])
def test_wild_numbers_are_drawn_without_a_word(unit, capfd):
    summary = summary_of(20, unit)
    summary.rows['quantiles'][:3] *= -1
    summary.correlation[:] = np.nan
    summary.distance[:] = unit
    found = [Finding(source, 'level', '') for source in range(9)]
    picture = chart_of_sources(summary, people(20), found, '$x$ \\alpha')
    assert '(median none)' in picture.alt
    assert capfd.readouterr().err == ''


def test_one_of_everything():
    picture = chart_of_sources(summary_of(1), ['sub-$\\x$'], [Finding(0, 'level', '')], 'cbf')
    assert 'in each of 1 image,' in picture.alt
    assert chart_of_threshold(np.array([3, 5]), 0.5).alt.endswith('5 in the one mask.')
    availability = Availability.of([output('cbf', 'space-MNI')])
    assert chart_of_availability(availability).alt == '1 of 1 people is in the one file. cbf: 1.'


def output(scalar, stem, *folders):
    row = {'scalar_name': scalar, 'source_file': 'x.nii', 'participant_id': 'sub-01'}
    files = Outputs(Path('out', *folders, scalar), stem)
    return Output(Path('out'), files, Cohort(tuple(row), (row,)), {}, {})


def test_files_of_one_scalar_are_told_apart():
    availability = Availability.of([
        output('cbf', 'space-MNI152NLin6Asym'),
        output('cbf', 'space-fsLR_den-91k'),
        output('cbf', 'space-fsLR_den-91k', 'second'),
        output('fa', 'space-fsLR_den-91k'),
    ])  # fmt: skip
    assert availability.labels == (
        'cbf (space-MNI152NLin6Asym)',
        'cbf (space-fsLR den-91k)',
        'cbf (second space-fsLR den-91k)',
        'fa',
    )
    picture = chart_of_availability(availability)
    assert 'all 4 files. cbf (space-MNI152NLin6Asym): 1.' in picture.alt
    written = ' '.join(panels(picture)[0])
    assert 'space-MNI152NLin6Asym' in written


def test_phenotypes_of_any_size():
    long = Phenotype('$\\x$', ('a' * 200, 'a' * 199 + 'b', 'c'))
    wild = Phenotype('wild', ('1e300', '-1.7e308', '1.7e308', '2'))
    nothing = Phenotype('zero', ('0', '0.0', '-0'))
    assert long.described() == f'{"a" * 39}… 1, {"a" * 39}… 1, c 1'
    # Of four, two of them 0: the root of 2 · 1.7² / 3, in 1e308.
    assert wild.described().endswith('SD 1.39e+308')
    assert nothing.described() == '0 to 0, mean 0, SD 0'
    picture = chart_of_phenotypes([long, wild, nothing])
    # Values that begin alike have bars of their own.
    assert panels(picture)[0].count('aaaaaaa…') == 2
