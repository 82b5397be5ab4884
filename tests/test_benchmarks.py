"""The benchmarks run. What they measure is nobody's business here: tests never time anything."""

import json
from pathlib import Path

import numpy as np
import pytest
from benchmarks import command, report
from benchmarks.cases import CASES, SMOOTH
from benchmarks.data import Edges, Fixels, Greyordinates, Parcels, Voxels
from benchmarks.measure import Command, CommandError, run
from benchmarks.report import Goal, Row
from benchmarks.tasks import Bench, Build, Export, Fit, FitInR, Help, Index, Memory, PerSubject
from tools import require_r, require_tool

VOXELS = Voxels('voxels', (12, 14, 12), 15.0)
KINDS = [
    VOXELS,
    Fixels('fixels', 300, (12, 14, 12)),
    Fixels('fixels-gz', 300, (12, 14, 12), '.mif.gz'),
    Greyordinates('dscalar', every=100),
    Parcels('pscalar', 20, every=100),
    Edges('pconn', 20, every=100),
]


@pytest.fixture
def bench(tmp_path):
    ours = Path(require_tool('modelarrayio')).parent
    return Bench(tmp_path, ours, runs=1, warm=False)


def measured(bench, *cases):
    rows, notes = command.measure(cases, bench)
    assert not notes
    return rows


@pytest.mark.parametrize('kind', KINDS[1:], ids=lambda kind: kind.name)
def test_every_kind_of_images_can_be_read(bench, kind):
    (row,) = measured(bench, Memory('memory', kind=kind, files=2, sizes=(3,), budgets=(500,)))
    assert (row.n, row.verdict) == (3, 'holds')
    assert row.memory > 10  # MiB: Python alone has more


def test_a_budget_that_is_refused_becomes_the_least_that_is_not(bench):
    case = Memory('memory', kind=VOXELS, sizes=(1,), budgets=(1, 2))
    (row,) = measured(bench, case)
    assert row.goal.memory > 2


def test_cases_without_the_predecessor(bench):
    rows = measured(
        bench,
        Build('build', Goal(ratio=8, memory=10_000), VOXELS, 2),
        PerSubject('more', Goal(ratio=1), VOXELS, 3, files=1, against=1),
        Export('export', Goal(), VOXELS, 3),
        Help('help'),
    )
    assert [row.case for row in rows] == ['build', 'more', 'export', 'help']
    assert all(row.floor > 0 and row.floor_cpu > 0 for row in rows[:3])
    # There is no ratio that could hold; the memory does.
    assert (rows[0].ratio, rows[0].verdict) == (None, 'holds')
    text = report.table(rows)
    assert all(row.case in text for row in rows)


def test_models_are_fitted(bench):
    (row,) = measured(bench, Fit('fit', Goal(memory=10_000), people=20, elements=300))
    assert (row.n, row.verdict) == (20, 'holds')


def test_models_are_fitted_in_r_as_well(bench):
    require_r('HDF5Array', 'broom', 'mgcv')
    smooths = {'formula': SMOOTH, 'script': 'fit_smooths.R'}
    rows = measured(
        bench,
        FitInR('fit', Goal(0.01), people=20, elements=300, missing='masks'),
        FitInR('curves', Goal(0.01), people=20, elements=300, **smooths),
    )
    assert [(row.n, row.verdict) for row in rows] == [(20, 'holds')] * 2
    assert all(row.peer_seconds > 0 for row in rows)


def test_random_intercepts_are_fitted_in_r_as_well(bench):
    require_r('HDF5Array', 'lmerTest')
    case = FitInR(
        'fit',
        Goal(0.01),
        people=20,
        visits=2,
        elements=300,
        formula='x ~ age + (1 | participant_id)',
        script='fit_elements_lmer.R',
        elements_in_r=3,
    )
    (row,) = measured(bench, case)
    assert (row.n, row.verdict) == (20, 'holds')
    assert row.peer_seconds > 0


def test_a_dataset_is_indexed(bench):
    rows, notes = command.measure([Index('index', files=100)], bench)
    assert ([row.n for row in rows], notes) == ([100], [])


def test_memory_of_the_caller_is_not_counted():
    # Linux lets the peak of a process that starts another live on in it (see launch.py).
    held = np.ones(200 * 2**17)
    assert held.nbytes == 200 * 2**20
    assert run(Command('ours', ('true',), runs=1)).peak < 100


def test_a_command_that_fails_says_so():
    with pytest.raises(CommandError, match='ended with 3: no such thing') as caught:
        run(Command('ours', ('sh', '-c', 'echo no such thing >&2; exit 3'), runs=1))
    assert caught.value.code == 3


def test_the_table_says_what_is_missed(tmp_path):
    rows = [
        Row('a', 400, 9.0, 1.0, 9.0, memory=100, identical=True, goal=Goal(10, memory=128)),
        Row('b', seconds=0.09, goal=Goal(seconds=0.1)),
        Row('c', identical=False),
    ]
    assert [row.verdict for row in rows] == ['misses ratio', 'holds', 'misses values']
    assert 'peer MB' not in report.table(rows)
    report.save(tmp_path / 'rows.json', rows, ['d: not measured'], runs=1)
    saved = json.loads((tmp_path / 'rows.json').read_text())
    assert [case['missed'] for case in saved['cases']] == [['ratio'], [], ['values']]


def test_cases_are_chosen_by_name(capsys):
    assert command.main(['--list', 'voxels-2mm-*', 'export-*']) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert {'voxels-2mm-400', 'export-1mm-6'} <= set(names) < {case.name for case in CASES}
    with pytest.raises(SystemExit, match='No case'):
        command.main(['nothing'])
    assert len({case.name for case in CASES}) == len(CASES)
