"""Analyses on a page: their places, figures and tables."""

import csv

import h5py
import numpy as np
import pytest
import trees
from stores import write_results

from modelarrayio_bids.cli.bids_app import main
from modelarrayio_bids.reports.findings.output_folder import outputs_in
from modelarrayio_bids.reports.page.album import Album
from modelarrayio_bids.reports.page.analyses import analysis_parts
from modelarrayio_bids.store.reader import StoreReader


@pytest.fixture
def output(tmp_path):
    """A file of three people."""
    root = trees.describe(tmp_path / 'study')
    trees.write_aslprep(root / 'derivatives' / 'aslprep', trees.people(3))
    arguments = [str(root), str(tmp_path / 'out'), 'group', '--scalars', 'cbf', '--no-report']
    assert main(arguments) == 0
    return outputs_in(tmp_path / 'out')[0]


def add(output, analysis, terms, strongest=5.0):
    """Results of which, of every term, one element survives."""
    with StoreReader(output.files.store) as store:
        n_elements = store.scalar('cbf').shape[1]
    statistic, p = np.zeros(n_elements), np.full(n_elements, 0.5)
    statistic[7], p[7] = strongest, 1e-6
    names = [f'{term}.{what}' for term in terms for what in ('statistic', 'p.value.fdr')]
    write_results(output.files.store, analysis, names, np.column_stack([statistic, p] * len(terms)))


def parts(output):
    return list(analysis_parts(output, Album(output.root)))


def files(output):
    return sorted(path.name for path in (output.root / 'figures').iterdir())


def test_names_that_differ_by_a_sign_or_by_case_have_figures_of_their_own(output):
    # The last: with the first of another analysis it would make the same words.
    analyses = {'my_lm': ['age', 'Age'], 'my.lm': ['age'], 'my': ['lm age', 'lm age Structures']}
    for analysis, terms in analyses.items():
        add(output, analysis, terms)
    found = parts(output)
    anchors = [part.anchor.lower() for part in found]
    assert len(set(anchors)) == len(analyses)
    shown = [picture.href for part in found for term in part.terms for picture in term.pictures]
    assert len({href.lower() for href in shown}) == len(shown) == 5
    assert len({name.lower() for name in files(output)}) == len(files(output))
    assert all((output.root / href).is_file() for href in shown)
    for part in found:
        ((_, href),) = part.links
        with open(output.root / href, newline='') as file:
            rows = list(csv.DictReader(file, delimiter='\t'))
        name = part.title.removeprefix('cbf: ')
        assert {row['analysis'] for row in rows} == {name}
        assert [row['term'] for row in rows] == analyses[name]


def test_the_order_of_terms_changes_no_name(output):
    add(output, 'first', ['age', 'Age'])
    (one,) = parts(output)
    before = {term.title: term.pictures[0].href for term in one.terms}
    for path in (output.root / 'figures').iterdir():
        path.unlink()
    with h5py.File(output.files.store, 'a') as file:
        del file['results/first']
    add(output, 'first', ['Age', 'age'])
    (other,) = parts(output)
    assert {term.title: term.pictures[0].href for term in other.terms} == before


def test_without_p_values_there_is_no_table(output):
    with StoreReader(output.files.store) as store:
        n_elements = store.scalar('cbf').shape[1]
    write_results(output.files.store, 'gam', ['age.estimate'], np.zeros((n_elements, 1)))
    (part,) = parts(output)
    assert part.note == 'No result has a p value.'
    assert part.links == []
    assert not list(output.root.rglob('*Results_summary*'))


@pytest.mark.parametrize(('peak', 'said'), [(np.inf, 'inf'), (-np.inf, '-inf')])
def test_an_infinite_peak_is_infinite(output, peak, said):
    add(output, 'lm', ['age'], peak)
    (part,) = parts(output)
    assert part.terms[0].rows[0][3] == said


def test_the_model_is_told_by_its_formula_or_by_its_terms(output):
    add(output, 'first', ['age', 'sexM'])
    add(output, 'second', ['age', 'sexM'])
    with h5py.File(output.files.store, 'a') as file:
        file.create_group('results/second/modelarrayio').attrs['formula'] = 'cbf ~ age + sex'
    by_terms, by_formula = parts(output)
    assert by_terms.note == 'Terms of the model: age, sexM. The file does not keep its formula.'
    assert by_formula.note == 'Model: cbf ~ age + sex.'
    assert [term.title for term in by_terms.terms] == ['cbf: age', 'cbf: sexM']
    assert [term.title for term in by_formula.terms] == [
        'cbf ~ age + sex: age',
        'cbf ~ age + sex: sexM',
    ]


def test_what_to_do_next_is_what_is_left_to_do(output, tmp_path):
    study, out = tmp_path / 'study', output.root

    def page(*words):
        assert main([str(study), str(out), *words]) == 0
        return (out / 'report.html').read_text('utf-8')

    fresh = page('group', '--reports-only')
    assert 'Rscript' in fresh
    assert ' export</code>' in fresh
    add(output, 'lm', ['age'])
    fitted = page('group', '--reports-only')
    assert 'Rscript' not in fitted
    assert ' export</code>' in fitted
    done = page('export')
    assert 'What to do next' not in done
    add(output, 'another', ['age'])
    assert ' export</code>' in page('group', '--reports-only')
