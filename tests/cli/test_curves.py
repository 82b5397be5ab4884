"""Smooths as users of the commands meet them."""

import json

import h5py
import numpy as np
import pandas as pd
import pytest
from stores import read_results, write_scalar

from modelarrayio_bids.cli.files import main

N, ELEMENTS = 40, 30
NAMES = [f'sub-{n:02d}_FA.nii.gz' for n in range(N)]
FORMULA = 'FA ~ s(age, k = 4, fx = TRUE) + sex'


def people():
    rng = np.random.default_rng(1)
    return pd.DataFrame({
        'source_file': NAMES,
        'participant_id': [f'sub-{n:02d}' for n in range(N)],
        'age': rng.uniform(8, 22, N).round(1),
        'sex': rng.choice(['F', 'M'], N),
        'few': np.arange(N) % 3,
    })  # fmt: skip


def values():
    """Noise, and from element 20 on a U-curve of age."""
    found = np.random.default_rng(2).normal(size=(N, ELEMENTS))
    found[:, 20:] += 0.1 * (people().age.to_numpy()[:, None] - 15) ** 2
    found[:32, 5] = np.nan
    return found.astype('f4')


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with FA.h5 and its cohort."""
    monkeypatch.chdir(tmp_path)
    people().to_csv('cohort.csv', index=False)
    write_scalar('FA.h5', 'FA', values(), NAMES)
    return tmp_path


def fit(formula=FORMULA, *more, file='FA.h5'):
    return main(['fit', file, '--formula', formula, '--cohort-file', 'cohort.csv', *more])


def test_a_formula_with_a_smooth_is_an_additive_model(folder, capsys):
    assert fit() == 0
    assert capsys.readouterr().err == (
        'INFO: Wrote gam of FA.h5: 12 results at 30 elements; 1 with too few images\n'
        'INFO: FA: elements with p < 0.05, corrected (fdr): s_age 10, sexM 0\n'
    )
    found = read_results('FA.h5', 'gam')
    p = found['s_age.p.value.fdr']
    assert (p[20:] < 0.05).all()
    assert np.flatnonzero(np.isnan(p)).tolist() == [5]
    with h5py.File('FA.h5') as file:
        told = json.loads(file['results/gam/modelarrayio'].attrs['model'])
    assert told['kind'] == 'gam'
    assert told['tested']['s_age'] == {
        'contrast': 's(age)', 'statistic': 'F', 'df': {'s_age.edf': 3},
    }  # fmt: skip
    assert main(['validate', 'FA.h5']) == 0


def test_the_design_names_the_smooths(folder, capsys):
    assert fit('FA ~ s(age, k = 4, fx = TRUE, by = sex) + sex', '--dry-run') == 0
    said = capsys.readouterr().out
    assert 'Smooth s(age):sexF: 3 degrees of freedom' in said
    assert '  s(age):sexM.3  ' in said


def test_levels_without_a_term_of_their_own_are_warned_of(folder, capsys):
    assert fit('FA ~ s(age, k = 4, fx = TRUE, by = sex)') == 0
    said = capsys.readouterr().err
    assert 'WARNING: FA: smooths by sex have curves of the mean 0 at each level' in said
    assert fit('FA ~ s(age, k = 4, fx = TRUE, by = sex) + sex', '--overwrite') == 0
    assert 'WARNING' not in capsys.readouterr().err


def test_slices_are_joined_to_the_whole(folder):
    assert fit(FORMULA, '--full-outputs', '--effect-sizes') == 0
    for number, span in enumerate(('0:17', '17:30')):
        name = ('--analysis-name', f'part{number}', '--elements', span)
        assert fit(FORMULA, '--full-outputs', '--effect-sizes', *name) == 0
    joined = ['--input-hdf5', 'FA.h5', '--analysis-name', 'part*', '--merged-name', 'joined']
    assert main(['merge-results', *joined]) == 0
    whole, again = read_results('FA.h5', 'gam'), read_results('FA.h5', 'joined')
    for name, found in whole.items():
        np.testing.assert_array_equal(found, again[name], err_msg=name)


@pytest.mark.parametrize(
    ('formula', 'more', 'code', 'said'),
    [
        ('FA ~ s(age, k = 4)', [], 64, 'is a penalised smooth, whose degrees of freedom are'),
        ('FA ~ s(few, k = 4, fx = TRUE)', [], 64, 's(few) has a k of 4 for 3 distinct values'),
        (FORMULA, ['--anova'], 64, 'an additive model has no analysis of variance here'),
        (FORMULA, ['--var-terms', 'df'], 64, "--var-terms: 'df' is not known"),
        (FORMULA, ['--method', 'lm'], 64, 'is a smooth, which linear models do not have'),
        ('FA ~ s(age, fx = TRUE) + age', [], 64, 'hold some of the curves of s(age)'),
    ],
)
def test_what_cannot_be_fitted_leaves_the_file_alone(folder, capsys, formula, more, code, said):
    before = (folder / 'FA.h5').read_bytes()
    ended = fit(formula, *more)
    lines = capsys.readouterr().err.splitlines()
    assert said in lines[-1]
    assert (ended, len(lines)) == (code, 1)
    assert (folder / 'FA.h5').read_bytes() == before


def test_permutations_of_a_smooth(folder):
    assert fit(FORMULA, '--permutations', '200', '--seed', '1') == 0
    p = read_results('FA.h5', 'gam')['s_age.p.value.fwe']
    assert (p[20:] <= 0.05).all()
    assert np.isnan(p[5])


def test_the_interface_fits_a_smooth(folder):
    from modelarrayio_bids.interfaces.models import FitModel

    node = FitModel(in_file='FA.h5', cohort_file='cohort.csv', formula=FORMULA)
    node.inputs.var_terms = ['edf', 'p.value']
    node.inputs.var_model = ['dev.expl']
    node.run()
    found = read_results('FA.h5', 'gam')
    assert list(found)[1:7] == [
        *('s_age.edf', 's_age.p.value', 'Intercept.p.value', 'sexM.p.value'),
        *('model.dev.expl', 's_age.p.value.fdr'),
    ]
    assert found['s_age.edf'][0] == 3
