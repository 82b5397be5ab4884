"""The scripts of the group level, run by R: on its files, and with a stand-in for ModelArray.

The stand-in, ``tests/r/ModelArray``, has the arguments of the real functions, refuses what they
refuse and writes where they write.
"""

import csv
import os
import random
import shutil
import subprocess
from pathlib import Path

import h5py
import nibabel as nb
import numpy as np
import pytest
import trees
from tools import require_r, require_tool

from modelarrayio_bids.cli.bids_app import main
from modelarrayio_bids.cohort import Cohort
from modelarrayio_bids.derivatives.rscripts.fit_script import FitScript, columns_of
from modelarrayio_bids.derivatives.rscripts.model import Model

R = Path(__file__).parent / 'r'
CBF = 'space-MNI152NLin2009cAsym'


@pytest.fixture(scope='session')
def library(tmp_path_factory):
    """A library of R packages with the stand-in."""
    require_r('rhdf5')
    folder = tmp_path_factory.mktemp('library')
    install = [
        require_tool('R'),
        'CMD',
        'INSTALL',
        '--no-docs',
        '--no-test-load',
        f'--library={folder}',
    ]
    subprocess.run([*install, R / 'ModelArray'], check=True, capture_output=True)
    return folder


@pytest.fixture
def rscript(library, tmp_path):
    """Run R with the stand-in: what it says."""

    def run(*arguments, folder=tmp_path, **variables):
        done = subprocess.run(
            [require_tool('Rscript'), *map(str, arguments)],
            cwd=folder, env=os.environ | {'R_LIBS': str(library)} | variables, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace',
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        return done.stdout

    return run


@pytest.fixture(scope='module')
def study(tmp_path_factory):
    """Blood flow and fixels of 24 people."""
    root, people = trees.describe(tmp_path_factory.mktemp('fit') / 'study'), trees.people(24)
    trees.write_participants(root, people)
    trees.write_aslprep(root / 'derivatives' / 'aslprep', people)
    trees.write_fixels(root / 'derivatives' / 'mrtrix', people)
    return root


@pytest.fixture(scope='module')
def built(study):
    """The outputs of the group level, to be copied."""
    output = study.parent / 'built'
    scalars = ['--scalars', 'cbf', 'fd', '--nprocs', '2', '--no-report']
    assert main([str(study), str(output), 'group', *scalars]) == 0
    return output


@pytest.fixture
def output(built, tmp_path):
    return shutil.copytree(built, tmp_path / 'out')


def results(store, analysis='lm'):
    """The results of an analysis, by name."""
    with h5py.File(store) as file:
        matrix = file[f'results/{analysis}/results_matrix'][()]
        names = file[f'results/{analysis}/column_names'].asstr()[()]
        return dict(zip(names, matrix, strict=True))


def phenotypes(cohort):
    with cohort.open(newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))


def test_it_fits_what_numpy_fits_and_export_makes_maps(rscript, study, output):
    rscript(output / 'code' / f'fit_cbf_{CBF}.R')
    store = output / 'cbf' / f'{CBF}_modelarray.h5'
    found = results(store)
    with h5py.File(store) as file:
        values = file['scalars/cbf/values'][()].astype(float)
    rows = phenotypes(output / 'cbf' / f'{CBF}_cohort.csv')
    design = np.array([[1, float(r['age'] or 'nan'), r['sex'] == 'M'] for r in rows], float)
    # Of the sexes there are 12, one of 11 without a blank age: more than 24 - 11 are needed.
    fitted = np.isfinite(values).sum(axis=0) > 13
    assert 0 < fitted.sum() < fitted.size
    np.testing.assert_array_equal(np.isfinite(found['age.estimate']), fitted)
    np.testing.assert_array_equal(found['element_id'], np.arange(fitted.size))
    for element in np.flatnonzero(fitted)[:: fitted.sum() // 5]:
        there = np.isfinite(values[:, element]) & np.isfinite(design[:, 1])
        expected = np.linalg.lstsq(design[there], values[there, element], rcond=None)[0]
        names = [f'{term}.estimate' for term in ('Intercept', 'age', 'sexM')]
        np.testing.assert_allclose([found[name][element] for name in names], expected, rtol=1e-6)
        assert found['model.nobs'][element] == there.sum()
    assert main([str(study), str(output), 'export', '--no-report']) == 0
    folder = output / 'cbf' / f'{CBF}_node-lm'
    effect = nb.load(folder / f'{CBF}_node-lm_contrast-age_stat-effect_statmap.nii.gz').get_fdata()
    mask = nb.load(output / 'cbf' / f'{CBF}_desc-group_mask.nii.gz').get_fdata() > 0
    np.testing.assert_array_equal(effect[mask], found['age.estimate'].astype('f4'))
    # What trees.map_values put into the left half, per year, and nothing into the right.
    left = np.nanmean(effect[:8][mask[:8]])
    right = np.nanmean(effect[8:][mask[8:]])
    assert (left, right) == (pytest.approx(trees.EFFECT, rel=0.05), pytest.approx(0, abs=5e-4))


def test_a_level_that_came_later_is_not_dropped(rscript, output):
    table = output / 'cbf' / f'{CBF}_cohort.csv'
    table.write_text(table.read_text().replace(',M,', ',X,', 1))
    code = 'tryCatch(source(Sys.getenv("FIT")), error = print)'
    said = rscript('-e', code, FIT=str(output / 'code' / f'fit_cbf_{CBF}.R'))
    assert 'a level that this script does not know: X' in said


def test_the_commands_of_the_last_lines_are_those_to_run(rscript, study, built, output, capfd):
    # As printed, but for the folder: this test has a copy.
    assert main([str(study), str(built), 'group', '--scalars', 'cbf', 'fd', '--no-report']) == 0
    printed = capfd.readouterr().out.replace(str(built), str(output))
    fit, export = (line.strip() for line in printed.splitlines()[-3::2])
    rscript('-e', 'quit(status = system(Sys.getenv("FIT")))', FIT=fit)
    assert export.split() == ['modelarrayio-bids', str(study), str(output), 'export']
    assert main([*export.split()[1:], '--no-report']) == 0
    for store in output.rglob('*.h5'):
        assert np.isfinite(results(store)['age.p.value.fdr']).any()


def test_it_works_from_anywhere_moved_and_by_source(rscript, built, tmp_path):
    moved = shutil.copytree(built, tmp_path / 'a "b" ~ c' / "é's")
    script = moved / 'code' / 'fit_fd_desc-fixels.R'
    (tmp_path / 'elsewhere').mkdir()
    first = rscript(script, folder=tmp_path / 'elsewhere')
    assert f'Results are in {moved}/fd/' in first
    assert results(moved / 'fd' / 'desc-fixels_modelarray.h5')
    again = rscript('-e', f'source("{script.name}")', folder=script.parent)
    assert f'Results are in {moved}/fd/' in again
    # No characters but ASCII in the locale.
    assert 'Results are in' in rscript(script.relative_to(tmp_path), LC_ALL='C')


def test_a_copy_of_it_finds_the_files_where_they_were_made(rscript, study, tmp_path):
    output = tmp_path / 'out'
    assert main([str(study), str(output), 'group', '--no-report', '--scalars', 'fd']) == 0
    copy = shutil.copy(output / 'code' / 'fit_fd_desc-fixels.R', tmp_path / 'mine.R')
    assert f'Results are in {output}/fd/' in rscript(copy)


def test_blanks_codes_and_odd_names_become_what_they_are(rscript, study, tmp_path):
    table = tmp_path / 'more.csv'
    header = ['participant_id', 'Age', 'SEX', 'Größe', 'grp', 'true']
    with table.open('w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for n in range(1, 25):
            # R would read the levels "T" and "F" as truth, and "01" as 1.
            cells = [
                20 + 1.5 * n,
                'TF'[n % 2],
                '' if n == 3 else 150 + n * n,
                f'0{1 + n // 13}',
                'F',
            ]
            writer.writerow([f'sub-{n:02d}', *cells])
    for name in ('participants', 'derivatives/mrtrix'):
        assert not (tmp_path / 'study' / name).exists()
    root = trees.describe(tmp_path / 'study')
    (root / 'derivatives').mkdir()
    shutil.copytree(study / 'derivatives' / 'mrtrix', root / 'derivatives' / 'mrtrix')
    output = tmp_path / 'out'
    chosen = ['--scalars', 'fd', '--phenotypes', str(table)]
    assert main([str(root), str(output), 'group', '--no-report', *chosen]) == 0
    script = output / 'code' / 'fit_fd_desc-fixels.R'
    for locale in ('C.UTF-8', 'C'):
        rscript(script, LC_ALL=locale)
        found = results(output / 'fd' / 'desc-fixels_modelarray.h5')
        terms = [name.removesuffix('.estimate') for name in found if name.endswith('.estimate')]
        # Of a table whose columns R has no use for as they are called.
        assert terms == ['Intercept', 'Age', 'SEXT']
        assert np.isfinite(found['SEXT.estimate']).all()
        assert set(found['model.nobs']) == {24}


@pytest.mark.parametrize(('n', 'formula'), [(1, 'fd ~ 1'), (3, 'fd ~ 1'), (12, 'fd ~ age')])
def test_few_people_are_fitted_all_the_same(rscript, tmp_path, n, formula):
    root, people = trees.describe(tmp_path / 'study'), trees.people(n)
    trees.write_participants(root, people)
    trees.write_fixels(root / 'derivatives' / 'mrtrix', people, ('fd',))
    assert main([str(root), str(tmp_path / 'out'), 'group', '--no-report']) == 0
    script = tmp_path / 'out' / 'code' / 'fit_fd_desc-fixels.R'
    assert f'model <- {formula}\n' in script.read_text()
    rscript(script)
    found = results(tmp_path / 'out' / 'fd' / 'desc-fixels_modelarray.h5')
    assert np.isfinite(found['Intercept.estimate']).all()


@pytest.fixture(scope='module')
def visits(tmp_path_factory):
    """A study of 20 people with two sessions each, and what the group level made of it."""
    # Of few voxels: lme4 takes its time for each.
    tmp_path, grid = tmp_path_factory.mktemp('visits'), trees.Grid((7, 8, 7), 20.0)
    root, people = trees.describe(tmp_path / 'study'), trees.people(20)
    for person in people:
        for session in '12':
            perf = root / 'derivatives/aslprep' / f'sub-{person.label}' / f'ses-{session}' / 'perf'
            name = f'sub-{person.label}_ses-{session}_space-{trees.SPACE}'
            trees.write_map(perf / f'{name}_cbf.nii.gz', person, grid)
            trees.write_mask(perf / f'{name}_desc-brain_mask.nii.gz', person, grid)
    trees.describe(root / 'derivatives' / 'aslprep', 'ASLPrep')
    trees.write_participants(root, people)
    arguments = ['--session-label', '1', '2', '--no-report']
    assert main([str(root), str(tmp_path / 'out'), 'group', *arguments]) == 0
    return root, tmp_path / 'out'


def test_images_of_one_person_are_warned_of(rscript, visits):
    _, output = visits
    script = output / 'code' / f'fit_cbf_{CBF}.R'
    assert '40 images of 20 participants' in script.read_text()
    said = rscript(script)
    assert 'lm takes several images of one participant for different people' in said
    assert set(results(output / 'cbf' / f'{CBF}_modelarray.h5')) >= {'age.estimate'}


def test_a_mixed_model_is_there_for_them(rscript, visits, tmp_path):
    require_r('lme4')
    root, output = visits
    script = output / 'code' / f'fit_cbf_{CBF}.R'
    mine = output / 'code' / 'mine.R'
    mine.write_text(script.read_text().replace('mixed <- FALSE', 'mixed <- TRUE'))
    rscript(mine)
    store = output / 'cbf' / f'{CBF}_modelarray.h5'
    found = results(store, 'lmer')
    fitted = np.flatnonzero(np.isfinite(found['age.estimate']))
    assert set(found['model.nobs'][fitted]) <= set(range(1, 41))
    assert np.isfinite(found['age.p.value.fdr'][fitted]).all()
    # Both images of a participant are equally old: with as many images of everybody, a random
    # intercept moves the estimates of lm by nothing, and their errors by much.
    rows = phenotypes(output / 'cbf' / f'{CBF}_cohort.csv')
    with h5py.File(store) as file:
        values = file['scalars/cbf/values'][()].astype(float)
    design = np.array([[1, float(r['age'] or 'nan')] for r in rows], float)
    known = np.isfinite(design).all(axis=1)
    whole = [element for element in fitted if np.isfinite(values[known, element]).all()]
    assert whole
    for element in whole[:: len(whole) // 5 or 1]:
        expected = np.linalg.lstsq(design[known], values[known, element], rcond=None)[0]
        names = ['Intercept.estimate', 'age.estimate']
        np.testing.assert_allclose([found[n][element] for n in names], expected, rtol=1e-4)
    assert main([str(root), str(output), 'export', '--analysis-name', 'lmer', '--no-report']) == 0
    assert list(output.rglob('*node-lmer*contrast-age_stat-p_statmap.nii.gz'))


SIGNS = ['', '', '1', '-2.5', '3e2', '0x1A', '1d5', 'NA', 'Inf', 'TRUE', 'F', 'a b', '"', "'"]
SIGNS += ['\\', 'é', '漢', '𝄞', '#', '$x', '`', '\t', ' x', 'x,y', '%d', '{{ x }}', r'\n', '-']


def random_column(rng, n):
    """Texts as tables may have them: numbers, levels or anything."""
    kind = rng.randrange(3)
    if kind == 0:
        return [rng.choice(['', *(f'{rng.gauss(0, 9):.3g}' for _ in range(9))]) for _ in range(n)]
    chosen = rng.sample(SIGNS, rng.randrange(1, 5)) if kind == 1 else SIGNS
    return [rng.choice(chosen) for _ in range(n)]


def test_r_reads_any_table_as_we_do(rscript, tmp_path):
    """Rows, coefficients and rank of the model are those we chose it for."""
    rng, scripts, expected = random.Random(3), [], []
    for number in range(150):
        folder = tmp_path / f'{number}' / 'fa'
        folder.mkdir(parents=True)
        n, store, cohort = rng.randrange(1, 90), folder / 'modelarray.h5', folder / 'cohort.csv'
        store.touch()
        names = {''.join(rng.choices([*SIGNS, *'abc_.9'], k=2)).strip() for _ in range(3)} - {''}
        names |= {'age', 'sex'}
        table = {name: random_column(rng, n) for name in sorted(names)}
        Cohort.from_rows(
            {'scalar_name': 'fa', 'source_file': f'{row}.nii'}
            | {name: texts[row] for name, texts in table.items()}
            for row in range(n)
        ).to_csv(cohort)
        script = FitScript(tmp_path, folder.parent, cohort, store)
        scripts.append(script.write(folder.parent / 'code' / 'fit.R'))
        model = Model.suggested(columns_of(Cohort.from_csv(cohort), {}), list(map(str, range(n))))
        n_terms = sum(term.n_coefficients(model.complete) for term in model.terms)
        facts = [n, model.complete.sum(), 1 + n_terms, 1 + n_terms, model.fewest_images]
        expected.append('\t'.join(map(str, facts)))
    # Enough of them have something to fit.
    assert sum(line.split('\t')[2] != '1' for line in expected) > 50
    for locale in ('C.UTF-8', 'C'):
        lines = [line for line in rscript(R / 'designs.R', *scripts, LC_ALL=locale).splitlines()
                 if line.count('\t') == 5]  # fmt: skip
        for line, facts, script in zip(lines, expected, scripts, strict=True):
            assert line.rpartition('\t')[0] == facts, f'{line}\n{script.read_text()}'
