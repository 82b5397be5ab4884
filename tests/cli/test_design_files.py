"""``modelarrayio fit --design-mat``: FSL's design files as its users have them."""

import itertools
import json
import subprocess
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from stores import read_results, write_scalar
from tools import require_tool

from modelarrayio_bids.cli.files import main
from modelarrayio_bids.reports.findings.designs import find_fit
from modelarrayio_bids.results.model_facts import ModelFacts

N, ELEMENTS = 18, 7
NAMES = [f'sub-{n:02d}_FA.nii.gz' for n in range(N)]
RNG = np.random.default_rng(3)
AGE = RNG.normal(size=N).round(3)
# Three groups and a covariate without its mean.
DESIGN = np.column_stack([np.repeat(np.eye(3), 6, axis=0), AGE - AGE.mean()])
CONTRASTS = np.array([[1, -1, 0, 0], [0, 1, -1, 0], [1, 0, -1, 0], [0, 0, 0, 1.0]])
F_TESTS = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 0, 1]])
VALUES = RNG.normal(size=(N, ELEMENTS)) + 2 + (DESIGN @ [0, 0.4, 1, 0.5])[:, None]


def vest(path, matrix, rows='NumPoints', **header):
    """Write a matrix as FSL's Glm does."""
    matrix = np.atleast_2d(matrix)
    lines = [f'/{key}\t{value}' for key, value in header.items()]
    lines += [f'/NumWaves\t{matrix.shape[1]}', f'/{rows}\t{len(matrix)}']
    lines += ['/PPheights\t\t' + '\t'.join(['1.000000e+00'] * matrix.shape[1]), '', '/Matrix']
    lines += ['\t'.join(f'{value!r}' for value in row) + '\t' for row in matrix.tolist()]
    path.write_text('\n'.join(lines) + '\n')


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with FA.h5 and its design."""
    monkeypatch.chdir(tmp_path)
    write_scalar('FA.h5', 'FA', VALUES, NAMES)
    vest(tmp_path / 'design.mat', DESIGN)
    named = {'ContrastName1': 'A > B', 'ContrastName4': 'age'}
    vest(tmp_path / 'design.con', CONTRASTS, 'NumContrasts', **named)
    vest(tmp_path / 'design.fts', F_TESTS, 'NumContrasts')
    return tmp_path


def rewrite(values):
    """Make FA.h5 of other values."""
    Path('FA.h5').unlink()
    write_scalar('FA.h5', 'FA', values, NAMES[: len(values)])


def fit(*more, mat='design.mat'):
    return main(['fit', 'FA.h5', '--design-mat', mat, '--num-subj-lthr-abs', '5', *map(str, more)])


R = """
x <- as.matrix(read.csv("x.csv", header = FALSE)); y <- as.matrix(read.csv("y.csv", header = FALSE))
contrasts <- as.matrix(read.csv("c.csv", header = FALSE))
out <- sapply(seq_len(ncol(y)), function(element) {
  fitted <- lm(y[, element] ~ 0 + x); of <- summary(fitted); v <- vcov(fitted); b <- coef(fitted)
  joint <- function(l) drop(t(l %*% b) %*% solve(l %*% v %*% t(l)) %*% (l %*% b)) / nrow(l)
  f <- of$fstatistic
  c(t(of$coefficients[, c(1, 3, 4)]), of$r.squared, of$adj.r.squared,
    pf(f[1], f[2], f[3], lower.tail = FALSE), AIC(fitted),
    drop(contrasts %*% b) / sqrt(diag(contrasts %*% v %*% t(contrasts))),
    joint(contrasts[1:2, ]), joint(contrasts[4, , drop = FALSE]))
})
write.table(out, "out.csv", sep = ",", row.names = FALSE, col.names = FALSE)
"""


def test_results_are_those_of_lm_without_an_intercept(folder):
    asked = ['--design-con', 'design.con', '--design-fts', 'design.fts']
    model = ['r.squared', 'adj.r.squared', 'p.value', 'AIC']
    assert fit(*asked, '--var-model', *model) == 0
    found = read_results('FA.h5', 'lm')
    for name, matrix in {'x': DESIGN, 'y': VALUES, 'c': CONTRASTS}.items():
        np.savetxt(folder / f'{name}.csv', matrix, delimiter=',', fmt='%.17g')
    subprocess.run([require_tool('Rscript'), '-e', R], check=True, cwd=folder)
    names = [f'EV{n}.{s}' for n in range(1, 5) for s in ('estimate', 'statistic', 'p.value')]
    names += [f'model.{name}' for name in model]
    names += [f'{name}.statistic' for name in ('A > B', 'C2', 'C3', 'age', 'F1', 'F3')]
    expected = pd.read_csv(folder / 'out.csv', header=None)
    for name, row in zip(names, expected.to_numpy(), strict=True):
        # Values are stored in single precision.
        assert found[name].tolist() == pytest.approx(row.tolist(), 1e-4), name
    # The third contrast follows from the others.
    assert np.array_equal(found['F2.statistic'], found['F1.statistic'])
    assert np.allclose(found['F2.p.value'], found['F1.p.value'], rtol=1e-12)


def test_missing_images_are_left_out_of_contrasts_tested_together(folder):
    values = VALUES.copy()
    values[4, :] = np.nan
    rewrite(values)
    assert fit('--design-con', 'design.con', '--design-fts', 'design.fts') == 0
    found = read_results('FA.h5', 'lm')['F1.statistic']
    there = np.isfinite(values[:, 0])
    x, y = DESIGN[there], values[there].astype('f4').astype(float)
    b, rss, *_ = np.linalg.lstsq(x, y, rcond=None)
    # One mean for the three groups: what the F test takes away.
    reduced = np.linalg.lstsq(np.column_stack([np.ones(len(x)), x[:, 3]]), y, rcond=None)[1]
    f = (reduced - rss) / 2 / (rss / (len(x) - len(b)))
    assert found.tolist() == pytest.approx(f.tolist(), 1e-6)


def test_the_file_says_where_the_design_is(folder, capsys):
    assert fit('--design-con', 'design.con', '--design-fts', 'design.fts', '--dry-run') == 0
    told = capsys.readouterr().out
    assert 'Formula: FA ~ 0 + EV1 + EV2 + EV3 + EV4\n' in told
    assert 'FSL design: design.mat, design.con, design.fts\n' in told
    assert fit('--design-con', 'design.con', '--design-fts', 'design.fts') == 0
    with h5py.File('FA.h5') as file:
        facts = ModelFacts.of(dict(file['results/lm/modelarrayio'].attrs))
    assert facts.formula == 'FA ~ 0 + EV1 + EV2 + EV3 + EV4'
    assert facts.design_files == {e: str(folder / f'design.{e}') for e in ('mat', 'con', 'fts')}
    assert facts.contrasts['A > B'] == 'EV1 - EV2'
    assert facts.f_tests['F1'] == '`A > B` + `C2`'
    assert facts.sidecar_of('F1.p.value') == {'Contrast': '`A > B` + `C2`', 'StatisticType': 'F'}
    assert main(['validate', 'FA.h5']) == 0


@pytest.mark.parametrize('with_cohort', [False, True])
def test_a_report_makes_the_model_again(folder, with_cohort):
    table = pd.DataFrame({'source_file': NAMES[::-1]})
    table.to_csv('cohort.csv', index=False)
    assert fit(*(['--cohort-file', 'cohort.csv'] if with_cohort else [])) == 0
    with h5py.File('FA.h5') as file:
        facts = ModelFacts.of(dict(file['results/lm/modelarrayio'].attrs))
    found = find_fit(folder / 'FA.h5', facts, [Path(facts.cohort), Path('cohort.csv')], N)
    expected = DESIGN[::-1] if with_cohort else DESIGN
    assert np.array_equal(found.model.design.matrix, expected)


def test_rows_are_in_the_order_of_the_cohort(folder):
    assert fit() == 0
    order = np.random.default_rng(5).permutation(N)
    table = pd.DataFrame({'source_file': NAMES, 'participant_id': NAMES}).iloc[order]
    # Rows of another scalar are not counted.
    table = pd.concat([table.assign(scalar_name='FA'), table.assign(scalar_name='MD')])
    table.to_csv('cohort.csv', index=False)
    vest(folder / 'shuffled.mat', DESIGN[order])
    more = ['--cohort-file', 'cohort.csv', '--analysis-name', 'again']
    assert fit(*more, mat='shuffled.mat') == 0
    first, again = read_results('FA.h5', 'lm'), read_results('FA.h5', 'again')
    assert all(np.array_equal(first[name], again[name], equal_nan=True) for name in first)


def test_one_of_several_scalars_is_named(folder, capsys):
    write_scalar('FA.h5', 'MD', VALUES[::-1], NAMES)
    assert fit() == 64
    assert (
        'FA.h5: holds several scalars. Select one with --scalar. It holds: FA, MD.'
        in capsys.readouterr().err
    )
    assert fit('--scalar', 'MD') == 0
    expected = np.linalg.lstsq(DESIGN, VALUES[::-1], rcond=None)[0][3]
    assert read_results('FA.h5', 'lm')['EV4.estimate'].tolist() == pytest.approx(expected, 1e-4)


def test_columns_that_others_determine_are_aliased_as_in_lm(folder):
    vest(folder / 'design.mat', np.column_stack([np.ones(N), DESIGN]))
    contrast = [[0, 1, -1, 0, 0], [0, 0, 0, 1, 0]]
    vest(folder / 'design.con', contrast[:1], 'NumContrasts')
    assert fit('--design-con', 'design.con') == 0
    found = read_results('FA.h5', 'lm')
    assert np.isnan(found['EV4.estimate']).all()
    b = np.linalg.lstsq(DESIGN, VALUES, rcond=None)[0]
    assert found['C1.estimate'].tolist() == pytest.approx((b[0] - b[1]).tolist(), 1e-4)
    vest(folder / 'design.con', contrast, 'NumContrasts')
    assert fit('--design-con', 'design.con', '--overwrite') == 64


def test_groups_are_blocks_within_which_images_are_permuted(folder):
    """Against all permutations within two blocks of 4, by least squares of each."""
    rng = np.random.default_rng(8)
    values = rng.normal(size=(8, 5)).astype('f4')
    blocks = np.repeat([1, 2], 4)
    x = np.column_stack([np.ones(8), np.tile([0, 0, 1, 1], 2), blocks == 2]).astype(float)
    rewrite(values)
    vest(folder / 'design.mat', x)
    vest(folder / 'design.con', [[0, 1, 0]], 'NumContrasts')
    vest(folder / 'design.fts', [[1]], 'NumContrasts')
    vest(folder / 'design.grp', blocks[:, None])
    asked = ['--design-con', 'design.con', '--design-fts', 'design.fts', '--permutations', 5000]
    assert fit(*asked, '--design-grp', 'design.grp') == 0
    found = read_results('FA.h5', 'lm')
    greatest = []
    # 2 of 4 places are those of the second condition, in each block: 36 ways.
    for first, second in itertools.product(itertools.combinations(range(4), 2), repeat=2):
        moved = x.copy()
        moved[:, 1] = 0
        moved[[*first, *(4 + place for place in second)], 1] = 1
        greatest.append(np.abs(t_of(moved, values)))
    observed = np.abs(t_of(x, values))
    p = (np.max(greatest, axis=1)[:, None] >= observed - 1e-9).mean(axis=0)
    assert found['C1.p.value.fwe'].tolist() == pytest.approx(p.tolist())
    assert found['F1.p.value.fwe'].tolist() == pytest.approx(p.tolist())
    with h5py.File('FA.h5') as file:
        facts = ModelFacts.of(dict(file['results/lm/modelarrayio'].attrs))
    assert facts.permutation['n_labellings'] == 36
    assert facts.permutation['shuffle'] == 'within'
    assert facts.permutation['exchangeability'] == 'design.grp'


def t_of(x, y):
    """Return t of the second column."""
    b, rss, *_ = np.linalg.lstsq(x, y.astype(float), rcond=None)
    return b[1] / np.sqrt(rss / (len(x) - 3) * np.linalg.inv(x.T @ x)[1, 1])


def test_contrasts_are_permuted_together(folder):
    """Three groups of two: 90 ways to label six images."""
    values = np.random.default_rng(9).normal(size=(6, 4)).astype('f4')
    x = np.repeat(np.eye(3), 2, axis=0)
    rewrite(values)
    vest(folder / 'design.mat', x)
    vest(folder / 'design.con', CONTRASTS[:2, :3], 'NumContrasts')
    vest(folder / 'design.fts', [[1, 1]], 'NumContrasts')
    vest(folder / 'design.grp', np.ones((6, 1)))
    asked = ['--design-con', 'design.con', '--design-fts', 'design.fts', '--permutations', 5000]
    assert fit(*asked, '--design-grp', 'design.grp') == 0
    y = values.astype(float)
    total = ((y - y.mean(axis=0)) ** 2).sum(axis=0)

    def f_of(moved):
        rss = np.linalg.lstsq(moved, y, rcond=None)[1]
        return (total - rss) / 2 / (rss / 3)

    ways = {order: f_of(x[list(order)]) for order in itertools.permutations(range(6))}
    greatest = np.max([*ways.values()], axis=1)
    p = (greatest[:, None] >= f_of(x) * (1 - 1e-9)).mean(axis=0)
    assert read_results('FA.h5', 'lm')['F1.p.value.fwe'].tolist() == pytest.approx(p.tolist())


def test_signs_flip_where_the_design_is_ones(folder):
    values = np.random.default_rng(10).normal(0.5, size=(8, 5)).astype('f4')
    rewrite(values)
    vest(folder / 'design.mat', np.ones((8, 1)))
    assert fit('--permutations', 5000) == 0
    y = values.astype(float)
    signs = np.array(list(itertools.product((1, -1), repeat=8)))

    def t(data):
        return np.abs(data.mean(axis=0)) / (data.std(axis=0, ddof=1) / np.sqrt(8))

    greatest = np.array([t(y * sign[:, None]).max() for sign in signs])
    p = (greatest[:, None] >= t(y) - 1e-9).mean(axis=0)
    assert read_results('FA.h5', 'lm')['EV1.p.value.fwe'].tolist() == pytest.approx(p.tolist())


@pytest.mark.parametrize(
    ('make', 'more', 'code', 'error'),
    [
        (lambda: None, ['--formula', 'FA ~ 1'], 64, 'not allowed with'),
        (lambda: None, ['--design-fts', 'design.fts'], 64, 'F tests need contrasts'),
        (lambda: None, ['--design-grp', 'one.grp'], 66, 'no such file'),
        (('design.mat', DESIGN[1:]), [], 65, 'has 17 rows for 18 images of FA'),
        (('design.con', CONTRASTS[:, :3]), ['--design-con', 'design.con'], 65, 'of 3 columns, and'),
        (('design.con', CONTRASTS * 0), ['--design-con', 'design.con'], 65, 'contrast C1 is 0'),
        (
            ('design.fts', F_TESTS[:, :2]),
            ['--design-con', 'design.con', '--design-fts', 'design.fts'],
            *(65, 'is about 2 contrasts, and there are 4'),
        ),
        (('design.grp', DESIGN), ['--design-grp', 'design.grp'], 65, 'one number a row'),
        (('design.grp', AGE[:, None]), ['--design-grp', 'design.grp'], 64, 'no effect without'),
    ],
)
def test_what_does_not_fit_is_told_in_a_line(folder, capsys, make, more, code, error):
    if isinstance(make, tuple):
        name, matrix = make
        vest(folder / name, matrix, 'NumPoints' if name[-3:] in {'mat', 'grp'} else 'NumContrasts')
    before = (folder / 'FA.h5').read_bytes()
    try:
        assert fit(*more) == code
    except SystemExit as ended:
        assert ended.code == code
    told = capsys.readouterr().err
    assert error in told
    assert 'Traceback' not in told
    assert (folder / 'FA.h5').read_bytes() == before


def test_a_formula_needs_its_table(folder, capsys):
    assert main(['fit', 'FA.h5', '--formula', 'FA ~ 1']) == 64
    assert '--cohort-file' in capsys.readouterr().err
    given = ['--formula', 'FA ~ 1', '--cohort-file', 'c.csv', '--design-con', 'design.con']
    assert main(['fit', 'FA.h5', *given]) == 64
    assert '--design-con goes with --design-mat' in capsys.readouterr().err


def test_titles_of_columns_are_taken(folder):
    titles = {'EVTitle1': '"group A"', 'EVTitle4': 'age'}
    vest(folder / 'design.mat', DESIGN, **titles)
    vest(folder / 'design.con', CONTRASTS[:1], 'NumContrasts')
    assert fit('--design-con', 'design.con') == 0
    with h5py.File('FA.h5') as file:
        told = json.loads(file['results/lm/modelarrayio'].attrs['model'])
    # As R names columns that are no names.
    assert told['columns'] == ['`group A`', 'EV2', 'EV3', 'age']
    assert told['contrasts'] == {'C1': '`group A` - EV2'}
