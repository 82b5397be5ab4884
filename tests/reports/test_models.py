"""Models on a page: the design, who is in, and the p values."""

import csv
import json

import h5py
import numpy as np
import pandas as pd
import pytest
import trees
from PIL import Image
from reports.conftest import ABSENT, N_PEOPLE, Page
from stores import read_results, write_results

from modelarrayio_bids.cli.bids_app import main
from modelarrayio_bids.cli.files import main as files
from modelarrayio_bids.reports.findings.designs import variance_inflation
from modelarrayio_bids.reports.findings.output_folder import outputs_in
from modelarrayio_bids.reports.findings.p_values import PValues, find_p_values
from modelarrayio_bids.reports.page.album import Album
from modelarrayio_bids.reports.page.analyses import analysis_parts
from modelarrayio_bids.store.reader import StoreReader

OF = 'cbf: lm'


@pytest.fixture(scope='session')
def shown(modelled):
    return Page((modelled / 'report.html').read_text('utf-8'))


def tsv(path):
    with open(path, newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file, delimiter='\t'))


def table(output, what):
    (path,) = (output / 'figures').glob(f'*desc-{what}_summary.tsv')
    described = json.loads(path.with_suffix('.json').read_text('utf-8'))
    rows = tsv(path)
    assert list(described) == list(rows[0])
    return rows


def covariates():
    """The columns of the design, of the people with an image and an age."""
    people = [one for one in trees.people(N_PEOPLE) if f'sub-{one.label}' not in {ABSENT, 'sub-02'}]
    return {
        'age': np.array([one.age for one in people]),
        'sexM': np.array([one.sex == 'M' for one in people], float),
        'sitesite2': np.array([one.site == 'site2' for one in people], float),
        'sitesite3': np.array([one.site == 'site3' for one in people], float),
    }


def textbook_vif(columns, name, *, intercept=True):
    """1 / (1 - R²), R² of the regression of a column on the others."""
    others = [value for other, value in columns.items() if other != name]
    own = columns[name]
    x = np.column_stack([*([np.ones(own.size)] if intercept else []), *others])
    rest = own - x @ np.linalg.lstsq(x, own, rcond=None)[0]
    total = own - own.mean() if intercept else own
    return (total @ total) / (rest @ rest)


def test_columns_have_their_textbook_numbers(modelled, shown):
    rows = {row['column']: row for row in table(modelled, 'lmColumns')}
    columns = covariates()
    assert list(rows) == ['(Intercept)', *columns]
    assert rows['(Intercept)']['vif'] == 'n/a'
    for name, values in columns.items():
        told = [float(rows[name][key]) for key in ('mean', 'sd', 'vif')]
        expected = [values.mean(), values.std(ddof=1), textbook_vif(columns, name)]
        assert told == pytest.approx(expected, rel=1e-6)
    on_page = shown.tables[f'Columns of the design of {OF}']
    assert on_page[0] == ['Column', 'Mean', 'SD', 'VIF', 'Note']
    assert [row[0] for row in on_page[1:]] == list(rows)
    assert on_page[2][3] == f'{textbook_vif(columns, "age"):.3g}'


def test_who_is_left_out_and_what_was_not_fitted(modelled, shown):
    assert shown.tables[f'Images left out of {OF}'][1:] == [['age', '1', 'sub-02']]
    n_in = N_PEOPLE - 2
    assert f'{n_in} of {N_PEOPLE - 1}' in shown.texts['results']
    (store,) = modelled.rglob('*_modelarray.h5')
    estimates = read_results(store, 'lm')['age.estimate']
    (row,) = shown.tables[f'Elements with incomplete results of {OF}'][1:]
    assert row == ['too few images', f'{np.isnan(estimates).sum():,}']


def test_pictures_are_files_that_say_what_they_show(modelled, shown):
    told = {image['alt'].split(':')[0].split(' of ')[0]: image['alt'] for image in shown.images}
    assert f'{N_PEOPLE - 2} images, (Intercept), age, sexM, sitesite2' in told['Design']
    columns = covariates()
    correlations = np.corrcoef(list(columns.values())) - 2 * np.eye(4)
    # Two of three sites exclude each other: no other pair is as strong.
    strongest = np.corrcoef(columns['sitesite2'], columns['sitesite3'])[0, 1]
    assert np.abs(correlations[~np.eye(4, dtype=bool)]).max() == pytest.approx(abs(strongest))
    assert f'sitesite2 and sitesite3, {strongest:.2f}' in told['Correlations']
    assert 'age: ' in told['p values']
    for what in ('Design', 'Correlations'):
        (path,) = (modelled / 'figures').glob(f'*desc-lm{what}_plot.png')
        with Image.open(path) as image:
            assert image.width > 800
    (path,) = (modelled / 'figures').glob('*desc-lmPValues_plot.svg')
    assert path.read_bytes().startswith(b'<?xml')


def test_histograms_of_p_are_numpys(modelled):
    (store,) = modelled.rglob('*_modelarray.h5')
    results = read_results(store, 'lm')
    rows = table(modelled, 'lmPValues')
    terms = dict.fromkeys(row['term'] for row in rows)
    assert list(terms) == ['age', 'sexM', 'sitesite2', 'sitesite3', 'model']
    for term in terms:
        mine = [row for row in rows if row['term'] == term]
        p = results[f'{term}.p.value']
        counts, edges = np.histogram(p[np.isfinite(p)], np.arange(21) / 20)
        assert [int(row['elements']) for row in mine] == counts.tolist()
        assert [float(row['from']) for row in mine] == pytest.approx(edges[:-1])
        assert [float(row['to']) for row in mine] == pytest.approx(edges[1:])


def test_a_finding_names_the_map_of_its_threshold(modelled, shown):
    (path,) = modelled.glob('cbf/*_node-lm/*_contrast-age_stat-1mp_desc-fdr_statmap.nii.gz')
    # With the finding, and in the list of all maps.
    assert shown.links.count(path.relative_to(modelled).as_posix()) == 2
    (viewer,) = (modelled / 'figures').glob('*_viewer.html')
    text = viewer.read_text('utf-8')
    assert path.name in text
    assert 'href="../report.html"' in text


def test_n_and_df_are_counted_at_each_element(modelled):
    (store,) = modelled.rglob('*_modelarray.h5')
    with h5py.File(store) as file:
        values = file['scalars/cbf/values'][:]
    with open(next(modelled.rglob('*_cohort.csv')), newline='') as file:
        people = list(csv.DictReader(file))
    known = [all(one[name] not in {'', 'n/a'} for name in ('age', 'sex', 'site')) for one in people]
    images = np.isfinite(values[known]).sum(axis=0)
    # ModelArray fits elements with more than 60% of all images.
    fitted = images[np.isfinite(values).sum(axis=0) > 0.6 * len(people)]
    for row in table(modelled, 'lmResults'):
        assert (int(row['n_min']), int(row['n_max'])) == (fitted.min(), fitted.max())


def test_every_map_is_linked(modelled, shown):
    (folder,) = modelled.glob('cbf/*_node-lm')
    maps = sorted(folder.glob('*.nii.gz'))
    linked = [link for link in shown.links if link and 'statmap' in link]
    assert sorted(set(linked)) == [path.relative_to(modelled).as_posix() for path in maps]
    assert all((modelled / link).exists() for link in shown.links if link and ':' not in link
               and not link.startswith('#'))  # fmt: skip


@pytest.fixture
def study(tmp_path):
    """A file of 16 people, without a model."""
    root = trees.describe(tmp_path / 'study')
    people = trees.people(16)
    trees.write_participants(root, people)
    trees.write_aslprep(root / 'derivatives' / 'aslprep', people)
    arguments = [str(root), str(tmp_path / 'out'), 'group', '--scalars', 'cbf', '--no-report']
    assert main(arguments) == 0
    return outputs_in(tmp_path / 'out')[0]


def fit(output, formula, *more, cohort=None):
    return files([
        'fit', str(output.files.store), '--formula', formula, '--cohort-file',
        str(cohort or output.files.cohort), *more,
    ])  # fmt: skip


def part(output):
    (found,) = analysis_parts(output, Album(output.root))
    return found


def test_an_analysis_of_r_has_its_p_values_alone(study):
    with StoreReader(study.files.store) as store:
        n_elements = store.scalar('cbf').shape[1]
    p = np.random.default_rng(3).uniform(size=n_elements)
    names = ['age.estimate', 'age.p.value', 'age.p.value.fdr']
    write_results(study.files.store, 'gam', names, np.column_stack([p, p, p]))
    found = part(study)
    assert found.model is None
    assert found.maps == []
    assert len(found.p_values.pictures) == 1


def test_corrected_p_values_have_no_distribution(study):
    with StoreReader(study.files.store) as store:
        n_elements = store.scalar('cbf').shape[1]
    write_results(study.files.store, 'gam', ['age.p.value.fdr'], np.full((n_elements, 1), 0.5))
    assert part(study).p_values is None


def test_a_folder_that_moved_has_its_design(study, tmp_path):
    assert fit(study, 'cbf ~ age') == 0
    (tmp_path / 'out').rename(tmp_path / 'moved')
    (moved,) = outputs_in(tmp_path / 'moved')
    assert len(part(moved).model.rows) == 2


@pytest.mark.parametrize('change', ['gone', 'another age', 'no age'])
def test_a_cohort_that_changed_is_not_taken_for_the_one_that_was_fitted(study, tmp_path, change):
    other = tmp_path / 'other.csv'
    table = pd.read_csv(study.files.cohort, dtype=str)
    table['score'] = [str(n) for n in range(len(table))]
    table.to_csv(other, index=False)
    assert fit(study, 'cbf ~ score', cohort=other) == 0
    assert part(study).model.note == ''
    if change == 'gone':
        other.unlink()
    else:
        table.loc[0, 'score'] = 'x' if change == 'another age' else ''
        table.to_csv(other, index=False)
    found = part(study).model
    assert found.note.startswith('The design is not shown: ')
    assert found.pictures == []
    assert dict(found.facts)['Images in the model'] == '16 of 16'


def test_columns_that_others_determine_and_weights_are_told(study, tmp_path):
    cohort = tmp_path / 'weighted.csv'
    table = pd.read_csv(study.files.cohort, dtype=str)
    table['months'] = (12 * table['age'].astype(float)).astype(str).replace('nan', '')
    table['w'] = [str(1 + n % 3) for n in range(len(table))]
    table.to_csv(cohort, index=False)
    assert fit(study, 'cbf ~ age + months', '--weights', 'w', cohort=cohort) == 0
    found = part(study).model
    rows = {row[0]: row for row in found.rows}
    assert rows['months'][3:] == ('', 'determined by the others: no results')
    assert rows['age'][3:] == ('1', '')
    assert dict(found.facts)['Weights'].startswith('w ')


def test_blocks_of_elements_keep_their_model(study):
    with StoreReader(study.files.store) as store:
        n_elements = store.scalar('cbf').shape[1]
    store = str(study.files.store)
    for name, elements in (('a', '0:900'), ('b', f'900:{n_elements}')):
        assert fit(study, 'cbf ~ age', '--analysis-name', name, '--elements', elements) == 0
    merge = ['--input-hdf5', store, '--analysis-name', 'a', 'b', '--merged-name', 'lm']
    assert files(['merge-results', *merge, '--output-hdf5', store]) == 0
    found = part(study)
    assert found.title == 'cbf: lm'
    assert len(found.model.rows) == 2
    estimates = read_results(store, 'lm')['age.estimate']
    assert found.model.not_fitted == [('too few images', f'{np.isnan(estimates).sum():,}')]


@pytest.mark.parametrize('seed', range(5))
@pytest.mark.parametrize('centred', [True, False])
def test_variance_inflation_is_the_textbooks(seed, centred):
    rng = np.random.default_rng(seed)
    base = rng.normal(size=(40, 4)) + 3
    base[:, 3] += rng.uniform(1, 50) * base[:, 0]
    columns = dict(enumerate(base.T))
    expected = [textbook_vif(columns, name, intercept=centred) for name in columns]
    # Units change nothing.
    units = [1e-200, 1, 1e12, 1e200]
    assert variance_inflation(base * units, centred=centred) == pytest.approx(expected, rel=1e-7)


def test_p_values_that_are_none_are_left_out():
    p = np.array([0, 0.05, 0.049, 1, np.nan, -1, 1.5, 1e-320])
    found = PValues.of('age', p)
    assert found.n == 5
    assert found.n_significant == 3
    assert found.counts[[0, 1, 19]].tolist() == [3, 1, 1]
    # Ranks 1 to 5 of 5; the smallest normal number stands for 0 and what is below it.
    assert found.expected == pytest.approx(-np.log10((np.arange(1, 6) - 0.5) / 5))
    assert found.observed == pytest.approx([307.65, 307.65, -np.log10(0.049), -np.log10(0.05), 0],
                                           abs=0.01)  # fmt: skip
    assert PValues.of('age', np.array([np.nan])).n == 0


def test_terms_are_read_in_as_many_passes_as_memory_asks_for(tmp_path):
    rng = np.random.default_rng(5)
    names = [f'x{n}.p.value' for n in range(7)]
    write_results(tmp_path / 'x.h5', 'lm', names, rng.uniform(size=(5000, 7)))
    with StoreReader(tmp_path / 'x.h5') as store:
        whole, parts = (
            list(find_p_values(store.analysis('lm'), memory=memory)) for memory in (1 << 20, 1)
        )
    assert [one.term for one in whole] == [f'x{n}' for n in range(7)]
    for one, other in zip(whole, parts, strict=True):
        assert one.counts.tolist() == other.counts.tolist()
        assert one.observed.tolist() == other.observed.tolist()
        assert one.observed.size <= 300
