"""``modelarrayio fit`` as its user meets it."""

import json
import re
import sys

import h5py
import numpy as np
import pandas as pd
import pytest
from folders import bytes_of
from stores import read_results, write_scalar
from tools import run_on_full_disk

from modelarrayio_bids.cli.files import main
from modelarrayio_bids.errors import UsageError
from modelarrayio_bids.models.adjustment import p_adjust
from modelarrayio_bids.models.options import ModelOptions
from modelarrayio_bids.results.model_facts import ModelFacts
from modelarrayio_bids.results.model_fit import ModelFit
from modelarrayio_bids.store.reader import StoreReader

COMMAND = [sys.executable, '-m', 'modelarrayio_bids.cli.files']
N, ELEMENTS = 30, 60
NAMES = [f'sub-{n:02d}_FA.nii.gz' for n in range(N)]


def people():
    """Phenotypes, a row for each image."""
    rng = np.random.default_rng(1)
    return pd.DataFrame({
        'source_file': NAMES,
        'participant_id': [f'sub-{n:02d}' for n in range(N)],
        'age': rng.uniform(8, 80, N).round(1),
        'sex': rng.choice(['F', 'M'], N),
        'w': rng.uniform(0.5, 2, N).round(2),
    })  # fmt: skip


def values(table):
    """Values with a slope of age, the larger the later the element; some images missing."""
    rng = np.random.default_rng(2)
    found = rng.normal(size=(N, ELEMENTS)) + np.outer(table.age, np.linspace(0, 0.2, ELEMENTS))
    found[:20, 40:50] = np.nan
    found[:2, 50:] = np.inf
    found[:, 12] = 3
    return found.astype('f4')


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with FA.h5 and its cohort."""
    monkeypatch.chdir(tmp_path)
    table = people()
    table.to_csv('cohort.csv', index=False)
    write_scalar('FA.h5', 'FA', values(table), NAMES)
    return tmp_path


def fit(formula='FA ~ age + sex', *more, file='FA.h5', cohort='cohort.csv'):
    return main(['fit', file, '--formula', formula, '--cohort-file', cohort, *map(str, more)])


def test_results_are_those_of_modelarray_lm(folder, capsys):
    assert fit() == 0
    assert capsys.readouterr().err == (
        'INFO: Wrote lm of FA.h5: 15 results at 60 elements; 10 with too few images; '
        '1 with constant response\n'
        'INFO: FA: elements with p < 0.05, corrected (fdr): age 43, sexM 0, model 43\n'
    )
    found = read_results('FA.h5', 'lm')
    # The order of ModelArray.lm's data frame: terms, model, corrections of terms, of the model.
    terms = ['Intercept', 'age', 'sexM']
    assert list(found) == [
        'element_id',
        *(f'{t}.{s}' for t in terms for s in ('estimate', 'statistic', 'p.value')),
        *('model.adj.r.squared', 'model.p.value'),
        *(f'{t}.p.value.fdr' for t in (*terms, 'model')),
    ]
    assert found['element_id'].tolist() == list(range(ELEMENTS))
    assert np.flatnonzero(np.isnan(found['age.estimate'])).tolist() == [12, *range(40, 50)]
    # By the normal equations, of an element with all images and of one that lacks two.
    table = people()
    design = np.column_stack([np.ones(N), table.age, table.sex == 'M'])
    for element, rows in ((5, slice(None)), (55, slice(2, None))):
        image = values(table)[rows, element].astype(float)
        expected = np.linalg.solve(design[rows].T @ design[rows], design[rows].T @ image)
        assert [found[f'{t}.estimate'][element] for t in terms] == pytest.approx(expected, 1e-9)
    raw, corrected = found['age.p.value'], found['age.p.value.fdr']
    assert corrected.tolist() == pytest.approx(p_adjust(raw, 'fdr').tolist(), nan_ok=True)


def test_the_file_says_what_was_fitted(folder):
    assert fit('FA ~ age * sex', '--analysis-name', 'both', '--contrast', 'M=age + age:sexM') == 0
    with h5py.File('FA.h5') as file:
        told = dict(file['results/both/modelarrayio'].attrs)
    assert told['formula'] == 'FA ~ age * sex'
    assert {'software', 'version', 'command', 'created'} <= told.keys()
    model = json.loads(told['model'])
    assert model['columns'] == ['(Intercept)', 'age', 'sexM', 'age:sexM']
    assert model['levels'] == {'sex': ['F', 'M']}
    assert model['contrasts'] == {'M': 'age + age:sexM'}
    assert model['num_subj_lthr_abs'] == 10
    assert json.loads(told['not_fitted']) == {'too few images': 10, 'constant response': 1}
    assert main(['validate', 'FA.h5']) == 0


def test_rows_are_matched_by_name(folder):
    assert fit('FA ~ age + sex', '--full-outputs') == 0
    table = people()
    other = pd.concat([table, table.assign(source_file='other_' + table.source_file, age=0)])
    other.sample(frac=1, random_state=3).to_csv('shuffled.csv', index=False)
    assert fit('FA ~ age + sex', '--full-outputs', '--allow-repeated', '--analysis-name', 'again',
               cohort='shuffled.csv') == 0  # fmt: skip
    first, again = read_results('FA.h5', 'lm'), read_results('FA.h5', 'again')
    assert list(first) == list(again)
    assert all(np.array_equal(first[name], again[name], equal_nan=True) for name in first)


@pytest.mark.parametrize('options', [['--nprocs', 1], ['--nprocs', 3], ['--mem-mb', 4000]])
def test_threads_and_memory_change_no_bit(folder, options):
    assert fit() == 0
    assert fit('FA ~ age + sex', *options, '--analysis-name', 'again') == 0
    first, again = read_results('FA.h5', 'lm'), read_results('FA.h5', 'again')
    assert all(np.array_equal(first[name], again[name], equal_nan=True) for name in first)


def test_slices_are_joined_by_merge_results(folder):
    assert fit() == 0
    for number, span in enumerate(('0:17', '17:41', '41:60')):
        assert fit('FA ~ age + sex', '--elements', span, '--analysis-name', f'part{number}') == 0
    arguments = ['--input-hdf5', 'FA.h5', '--analysis-name', 'part*', '--merged-name', 'joined']
    assert main(['merge-results', *arguments, '--allow-gaps']) == 0
    whole, joined = read_results('FA.h5', 'lm'), read_results('FA.h5', 'joined')
    with h5py.File('FA.h5') as file:
        one, other = (dict(file[f'results/{n}/modelarrayio'].attrs) for n in ('lm', 'joined'))
    assert one['formula'] == other['formula']
    assert json.loads(one['model']) == json.loads(other['model'])
    assert json.loads(one['not_fitted']) == json.loads(other['not_fitted'])
    assert list(whole) == list(joined)
    assert all(np.array_equal(whole[name], joined[name], equal_nan=True) for name in whole)


def test_slices_give_the_numbers_of_the_whole_to_the_last_bit(folder):
    n = 9000  # more than are fitted at once
    many = np.random.default_rng(6).normal(size=(N, n))
    many[:4, ::3] = np.nan
    write_scalar('many.h5', 'MD', many, NAMES)
    whole = ['--analysis-name', 'whole', '--correct-p-value-terms', 'none']
    assert fit('~ age + sex', *whole, file='many.h5') == 0
    part = ['--analysis-name', 'part', '--correct-p-value-terms', 'none', '--elements', '1234:7777']
    assert fit('~ age + sex', *part, file='many.h5') == 0
    whole, part = read_results('many.h5', 'whole'), read_results('many.h5', 'part')
    assert part['element_id'].tolist() == list(range(1234, 7777))
    for name in part.keys() - {'model.p.value.fdr'}:
        assert np.array_equal(whole[name][1234:7777], part[name], equal_nan=True)


def test_slices_of_other_models_say_nothing_of_a_formula(folder):
    assert fit('FA ~ age', '--elements', '0:30', '--analysis-name', 'part0') == 0
    assert fit('FA ~ age + offset(w)', '--elements', '30:60', '--analysis-name', 'part1') == 0
    arguments = ['--input-hdf5', 'FA.h5', '--analysis-name', 'part*', '--merged-name', 'joined']
    assert main(['merge-results', *arguments]) == 0
    with h5py.File('FA.h5') as file:
        told = dict(file['results/joined/modelarrayio'].attrs)
    assert not {'formula', 'model', 'not_fitted'} & told.keys()


def test_a_scalar_whose_name_needs_backticks(folder):
    write_scalar('x.h5', 'FA-x', values(people()), NAMES)
    write_scalar('x.h5', 'MD-x', np.random.default_rng(7).normal(size=(N, ELEMENTS)), NAMES)
    assert fit('`FA-x` ~ `MD-x` + age', file='x.h5') == 0
    found = read_results('x.h5', 'lm')
    assert '`MD-x`.estimate' in found
    assert np.isfinite(found['age.estimate']).sum() == ELEMENTS - 11


def second_scalar(folder):
    """MD of the people in another order, and without one of them."""
    order = np.random.default_rng(4).permutation(N)[:-1]
    md = np.random.default_rng(5).normal(size=(N, ELEMENTS)).astype('f4')
    names = [NAMES[n].replace('FA', 'MD') for n in order]
    write_scalar('FA.h5', 'MD', md[order], names)
    missing = (set(range(N)) - set(order)).pop()
    md[missing] = np.nan
    return md


def test_a_scalar_as_a_covariate(folder):
    md = second_scalar(folder)
    table = people()
    long = [table.assign(scalar_name=s, source_file=table.source_file.str.replace('FA', s))
            for s in ('FA', 'MD')]  # fmt: skip
    pd.concat(long).to_csv('long.csv', index=False)
    table.assign(FA=table.source_file, MD=table.source_file.str.replace('FA', 'MD')).drop(
        columns='source_file'
    ).to_csv('wide.csv', index=False)
    assert fit('FA ~ MD + age', cohort='long.csv') == 0
    found = read_results('FA.h5', 'lm')
    image, covariate = values(table)[:, 5].astype(float), md[:, 5].astype(float)
    there = np.isfinite(covariate)
    design = np.column_stack([np.ones(N), covariate, table.age])[there]
    expected = np.linalg.lstsq(design, image[there])[0]
    assert found['MD.estimate'][5] == pytest.approx(expected[1], 1e-9)
    # A wide cohort has columns of paths with the scalars' names.
    assert fit('FA ~ MD + age', '--overwrite', cohort='wide.csv') == 0
    again = read_results('FA.h5', 'lm')
    assert all(np.array_equal(found[name], again[name], equal_nan=True) for name in found)


def test_dry_run_shows_the_design_and_writes_nothing(folder, capsys):
    table = people()
    table.loc[[3, 4], 'age'] = np.nan
    table.to_csv('cohort.csv', index=False)
    before = bytes_of(folder)
    assert fit('FA ~ age + sex + I(2 * age)', '--dry-run') == 0
    shown = capsys.readouterr().out
    assert 'Images: 28 of 30' in shown
    assert 'age is missing for 2 images (sub-03, sub-04)' in shown
    assert f'(Intercept)  1\n  age  {table.age.mean():.6g}\n' in shown
    (doubled,) = (line for line in shown.splitlines() if line.startswith('  I(2 * age)'))
    assert 'aliased' in doubled
    men = (table.sex[table.age.notna()] == 'M').to_numpy()
    finite = np.isfinite(values(table)[table.age.notna()])
    least = finite[men][:, finite.sum(axis=0) > 10].sum(axis=0).min()
    assert f'sex M  {men.sum()}, {least}' in shown
    assert bytes_of(folder) == before


def test_a_study_that_is_too_small_is_told(folder, capsys):
    before = bytes_of(folder)
    assert fit('FA ~ age', '--num-subj-lthr-abs', 1000) == 64
    said = capsys.readouterr().err
    assert 'there are 30 images, and elements are fitted that have values in more than 1000' in said
    assert 'give --num-subj-lthr-abs, such as 3.\n' in said
    assert bytes_of(folder) == before


def test_a_study_whose_masks_leave_nothing_is_told(folder, capsys):
    # No element has values of all.
    found = np.full((N, ELEMENTS), np.nan, 'f4')
    found[np.arange(ELEMENTS) % N, np.arange(ELEMENTS)] = 1
    write_scalar('thin.h5', 'FA', found, NAMES)
    assert fit('FA ~ age', file='thin.h5') == 0
    said = capsys.readouterr().err
    assert 'no element has values in more than 10 images, so nothing was tested' in said
    assert 'elements with' not in said


def test_results_are_exported_where_asked(folder):
    from images import group_mask, write_cohort

    write_cohort(folder)
    arguments = ['--cohort-file', 'cohort.csv', '--mask', 'group_mask.nii.gz', '--output', 'x.h5']
    assert main(['to-modelarray', *arguments]) == 0
    with h5py.File('x.h5') as file:
        (scalar,) = file['scalars']
        n = file[f'scalars/{scalar}/values'].shape[0]
    more = ['--num-subj-lthr-abs', 1, '--num-subj-lthr-rel', 0, '--export', 'maps']
    assert fit(f'{scalar} ~ 1', *more, file='x.h5') == 0
    assert n > 1
    assert (folder / 'maps' / 'lm_Intercept.estimate.nii.gz').exists()
    assert group_mask().sum() == len(read_results('x.h5', 'lm')['element_id'])


@pytest.mark.parametrize(
    ('formula', 'options', 'code', 'says'),
    [
        ('FA ~ agee', [], 64, 'age'),
        ('FA ~ lgo(age)', [], 64, 'log'),
        ('FA ~ participant_id', [], 65, 'participant_id'),
        ('FA ~ poly(age, 29)', [], 64, ''),
        ('XX ~ age', [], 64, 'FA.h5: holds no scalar XX'),
        ('FA ~ age', ['--contrast', 'a=agee'], 64, 'Intercept, age'),
        ('FA ~ age', ['--contrast', 'age'], 64, "NAME='…'"),
        ('FA ~ age', ['--f-test', 'x=sex'], 64, 'age'),
        ('FA ~ age', ['--weights', 'nowhere'], 65, 'has no column nowhere'),
        ('FA ~ age', ['--weights', 'sex'], 65, 'sex'),
        ('FA ~ age', ['--elements', '50:61'], 64, 'has the elements 0:60'),
        ('FA ~ age', ['--elements', '5-7'], 64, 'FIRST:END'),
        ('FA ~ age', ['--var-terms', 'tstat'], 64, 'estimate'),
        ('FA ~ age', ['--analysis-name', 'a/b'], 65, "'a/b' cannot be the name"),
        ('FA ~ age', ['--num-subj-lthr-abs', 'x'], 64, 'not a number from 0'),
        ('FA ~ age', ['--mem-mb', '1'], 64, 'Give at least'),
        ('FA ~ (1 | participant_id)', [], 65, 'has a different participant_id'),
        ('FA ~ s(age)', [], 64, ''),
        ('FA ~ __import__("os").system("true")', [], 64, ''),
    ],
)
def test_what_cannot_be_is_one_line(folder, capsys, formula, options, code, says):
    before = bytes_of(folder)
    try:
        ended = fit(formula, *options)
    except SystemExit as end:
        ended = end.code
    said = capsys.readouterr().err
    assert (ended, 'Traceback' in said) == (code, False), said
    assert says in said
    assert said.count('error: ') == 1
    assert bytes_of(folder) == before


@pytest.mark.parametrize(
    ('change', 'code', 'says'),
    [
        (lambda t: t.drop(index=[3, 4]), 65, 'has no row for 2 images of FA: sub-03_FA.nii.gz'),
        (lambda t: pd.concat([t, t.iloc[[7]]]), 65, 'has several rows for sub-07_FA.nii.gz'),
        (lambda t: t.drop(columns='source_file'), 65, 'has neither a column source_file nor'),
        (lambda t: t.assign(participant_id='sub-01'), 64, '--allow-repeated'),
        (lambda t: t.assign(age=np.nan), 65, 'age'),
        (lambda t: t.assign(age=[np.inf, *t.age[1:]]), 65, 'age'),
        (lambda t: t.assign(sex='F'), 65, 'sex'),
    ],
)
def test_a_cohort_that_cannot_be_used_is_one_line(folder, capsys, change, code, says):
    change(people()).to_csv('cohort.csv', index=False)
    before = bytes_of(folder)
    assert fit() == code
    said = capsys.readouterr().err
    assert says in said
    assert said.count('error: ') == 1
    assert bytes_of(folder) == before


def test_an_analysis_is_replaced_only_when_asked(folder, capsys):
    assert fit() == 0
    before = bytes_of(folder)
    assert fit('FA ~ sex') == 73
    assert 'holds an analysis lm that would be lost' in capsys.readouterr().err
    assert bytes_of(folder) == before
    assert fit('FA ~ sex', '--overwrite') == 0
    assert 'age.estimate' not in read_results('FA.h5', 'lm')


@pytest.mark.parametrize('limit', [2**10, 24 * 2**10])
def test_a_disk_that_fills(folder, limit):
    before = bytes_of(folder)
    done = run_on_full_disk(
        [*COMMAND, 'fit', 'FA.h5', '--formula', 'FA ~ age', '--cohort-file', 'cohort.csv'], limit
    )
    assert done.returncode == 74, done.stderr
    assert bytes_of(folder) == before


def test_permutations_give_the_same_bits_whatever_the_machine(folder, capsys):
    """Against p values that models.permutation makes of the whole matrix at once."""
    asked = ['--permutations', 60, '--seed', 4, '--anova', '--contrast', 'c=age - sexM']
    assert fit('FA ~ age + sex', *asked) == 0
    # The least beside what the tests hold already.
    assert fit('FA ~ age + sex', *asked, '--mem-mb', 1, '--analysis-name', 'none') == 64
    least = int(re.search(r'Give at least (\d+) MB', capsys.readouterr().err)[1])
    more = {'two': ['--nprocs', 2], 'little': ['--mem-mb', least + 16]}
    for name, how in more.items():
        assert fit('FA ~ age + sex', *asked, *how, '--analysis-name', name) == 0
    found = read_results('FA.h5', 'lm')
    corrected = [name for name in found if name.endswith('.fwe')]
    assert corrected == [
        f'{term}.p.value.fwe' for term in ('age', 'sexM', 'c', 'age.anova', 'sex.anova')
    ]
    for name in more:
        other = read_results('FA.h5', name)
        assert all(np.array_equal(found[one], other[one], equal_nan=True) for one in found)
    p = found['age.p.value.fwe']
    np.testing.assert_array_equal(np.isnan(p), np.isnan(found['age.p.value']))
    assert np.nanmin(p) == 1 / 60
    # A t and its F are one test, and at each element not less likely than without correction.
    np.testing.assert_array_equal(p, found['age.anova.p.value.fwe'])
    with h5py.File('FA.h5') as file:
        ours = file['results/lm/modelarrayio']
        assert ours['null_tests'].asstr()[:].tolist() == corrected
        null = ours['null_maxima'][()]
        told = json.loads(ours.attrs['model'])
    assert null.shape == (5, 60)
    complete = np.isfinite(values(people())).all(axis=0)
    t = np.abs(found['age.statistic'][complete])
    assert null[0, 0] >= np.nanmax(t)
    expected = [(null[0] >= one * (1 - 1e-9)).mean() for one in t[~np.isnan(t)]]
    np.testing.assert_allclose(p[complete][~np.isnan(t)], expected, rtol=1e-12)
    assert (told['seed'], told['permutation']['n_labellings']) == (4, 60)
    assert told['permutation']['left_out'] == {
        'Intercept': 'it is about the mean, which no permutation changes'
    }


def test_another_seed_or_number_is_another_analysis(folder, capsys):
    assert fit('FA ~ age', '--permutations', 30, '--dry-run') == 0
    assert 'Permutation test: 30 random permutations' in capsys.readouterr().out
    assert fit('FA ~ age', '--permutations', 30) == 0
    with_others = read_results('FA.h5', 'lm')
    assert fit('FA ~ age', '--permutations', 30, '--seed', 1, '--overwrite') == 0
    other = read_results('FA.h5', 'lm')
    assert not np.array_equal(
        with_others['age.p.value.fwe'], other['age.p.value.fwe'], equal_nan=True
    )


@pytest.mark.parametrize(
    ('more', 'message'),
    [
        (['--permutations', 0], "'0' is not a whole number from 2"),
        (['--permutations', -3], "'-3' is not a whole number from 2"),
        (['--permutations', 9, '--seed', 'x'], "'x' is not a whole number from 0"),
        (['--permutations', 9, '--exchangeability', 'home'], 'has no column home of blocks'),
        (['--permutations', 9, '--exchangeability', 'blank'], 'blank is blank for 30 images'),
        (['--permutations', 9, '--exchangeability', 'one', '--shuffle', 'whole'], 'only one block'),
        (['--exchangeability', 'sex'], '--exchangeability has no effect without --permutations'),
        (['--permutations', 9, '--elements', '0:10'], 'permutations need all elements'),
        (['--permutations', 9, '--shuffle', 'both'], 'no effect without blocks'),
    ],
)
def test_permutations_that_cannot_be_made(folder, capsys, more, message):
    people().assign(one='a', blank='').to_csv('cohort.csv', index=False)
    before = bytes_of(folder)
    try:
        code = fit('FA ~ age', *more)
    except SystemExit as error:
        code = error.code
    told = capsys.readouterr().err
    assert code
    assert message in told.splitlines()[-1]
    assert bytes_of(folder) == before


def test_visits_change_places_within_people(folder, capsys):
    """15 people with two visits: what differs by visit is tested, what differs by person not."""
    table = people()
    table['participant_id'] = [f'sub-{n // 2:02d}' for n in range(N)]
    table['visit'] = [str(n % 2) for n in range(N)]
    table['age'] = np.repeat(table.age[::2].to_numpy(), 2)
    table.to_csv('cohort.csv', index=False)
    planted = values(table)
    planted[1::2, 5] += 5
    (folder / 'FA.h5').unlink()
    write_scalar('FA.h5', 'FA', planted, NAMES)
    asked = ['--permutations', 200, '--exchangeability', 'participant_id']
    assert fit('FA ~ visit + age', *asked) == 64
    assert 'several images' in capsys.readouterr().err
    assert fit('FA ~ visit + age', *asked, '--allow-repeated', '--dry-run') == 0
    told = capsys.readouterr().out
    assert 'Permutation test: 200 random permutations within 15 blocks' in told
    assert 'age is not tested: it is the same in all places' in told
    assert fit('FA ~ visit + age', *asked, '--allow-repeated') == 0
    found = read_results('FA.h5', 'lm')
    p = found['visit.p.value.fwe']
    assert np.flatnonzero(p < 0.05).tolist() == [5]
    assert p[5] == 1 / 200
    assert 'age.p.value.fwe' not in found


def test_people_with_other_visits_than_everybody_stay_in_place(folder, capsys):
    """13 people with two visits, one with three and one with one: four images never move."""
    table = people()
    who = [*np.repeat(np.arange(13), 2), 13, 13, 13, 14]
    table.assign(home=[f'h{n:02d}' for n in who]).to_csv('cohort.csv', index=False)
    asked = ['--permutations', 20, '--exchangeability', 'home', '--shuffle', 'whole']
    assert fit('FA ~ age', *asked) == 0
    told = capsys.readouterr().err
    assert 'random permutations of 15 blocks; 4 images never moved' in told
    with StoreReader('FA.h5') as store:
        facts = ModelFacts.of(store.described('lm'))
    assert facts.sidecar_of('age.p.value.fwe')['Permutations']['FixedImages'] == 4
    assert 'of 15 whole blocks of home, seed 0, 4 images never moved;' in facts.permutation_method


def test_signs_are_flipped_where_a_mean_is_all_there_is(folder):
    table = people()
    planted = values(table.assign(age=0.0))
    planted[:, 5] += 3
    (folder / 'FA.h5').unlink()
    write_scalar('FA.h5', 'FA', planted, NAMES)
    assert fit('FA ~ 1', '--permutations', 200) == 0
    p = read_results('FA.h5', 'lm')['Intercept.p.value.fwe']
    assert np.flatnonzero(p < 0.05).tolist() == [5]


def test_images_without_a_participant_are_told_by_their_names(folder, capsys):
    table = people()
    table['participant_id'] = [f'sub-{n // 2:02d}' for n in range(N)]
    table.loc[[3, 4], 'participant_id'] = np.nan
    table.to_csv('cohort.csv', index=False)
    assert fit('FA ~ age + (1 | participant_id)', '--dry-run') == 0
    told = 'participant_id is missing for 2 images (sub-03_FA.nii.gz, sub-04_FA.nii.gz)'
    assert told in capsys.readouterr().out


def test_repeated_images_are_those_that_the_model_has(folder, capsys):
    """A covariate of the first visit alone leaves an image each; none is repeated there."""
    table = people()
    table['participant_id'] = [f'sub-{n // 2:02d}' for n in range(N)]
    table['iq'] = table.age.where(table.index % 2 == 0)
    table.to_csv('cohort.csv', index=False)
    assert fit('FA ~ age') == 64
    assert fit('FA ~ iq', '--num-subj-lthr-abs', 5) == 0
    capsys.readouterr()
    asked = ['--permutations', 20, '--analysis-name', 'p']
    assert fit('FA ~ age', *asked, '--allow-repeated') == 0
    told = 'several images of 15 participants are permuted as if they were from different'
    assert told in capsys.readouterr().err
    blocks = ['--exchangeability', 'participant_id', '--allow-repeated']
    assert fit('FA ~ age', *asked, *blocks, '--overwrite') == 0
    assert fit('FA ~ age + (1 | participant_id)', *asked, '--overwrite') == 0
    assert 'as if' not in capsys.readouterr().err


def test_a_column_without_results_makes_no_standard_error_large(folder, capsys):
    assert fit('FA ~ age + I(2 * age)') == 0
    told = capsys.readouterr().err
    assert 'I(2 * age): collinear with other columns of the design, so no results' in told
    assert 'condition' not in told


def test_a_level_of_one_image_may_be_misspelt(folder, capsys):
    table = people()
    fit('FA ~ age + sex')
    assert 'misspelt' not in capsys.readouterr().err
    table.loc[4, 'sex'] = 'm'
    table.to_csv('cohort.csv', index=False)
    assert fit('FA ~ age + sex', '--overwrite') == 0
    told = 'WARNING: FA: only one image has sex = m: is the level misspelt?\n'
    assert told in capsys.readouterr().err


def test_null_distributions_of_another_test_are_refused(folder):
    before = bytes_of(folder)
    fitted = ModelFit.of('FA.h5', 'FA ~ age', 'cohort.csv', ModelOptions(permutations=20))
    with pytest.raises(
        UsageError, match='of 1 tests and 10 labellings, and the model has 1 and 20'
    ):
        fitted.run(null=np.ones((1, 10)))
    assert bytes_of(folder) == before


def test_a_file_tells_its_models(folder, capsys):
    assert fit('FA ~ age + sex') == 0
    capsys.readouterr()
    assert main(['info', 'FA.h5']) == 0
    assert '  lm  15 results at 60 elements of FA ~ age + sex: ' in capsys.readouterr().out
