"""What is measured, and what is promised of it: the table, as data.

Ratios are to modelarrayio 26.0.0 with its defaults; memory is in MiB. Cases without a promise are
there to be quick.
"""

from benchmarks.data import Edges, Fixels, Greyordinates, Parcels, Voxels
from benchmarks.report import Goal
from benchmarks.tasks import (
    Build,
    Export,
    Fit,
    FitInR,
    Help,
    Index,
    Memory,
    PerSubject,
    ReadElement,
    Stack,
)

TWO_MM = Voxels('voxels-2mm')
ONE_MM = Voxels('voxels-1mm', (182, 218, 182), 1.0)
FIXELS = Fixels('fixels-mif')
FIXELS_GZ = Fixels('fixels-mif.gz', ending='.mif.gz')
GREYORDINATES = Greyordinates('dscalar-91k')
PARCELS = Parcels('pscalar-1056')
EDGES = Edges('pconn-456')
SMOOTH = 'x ~ s(age, k = 4, fx = TRUE) + sex'
# A file is at most so much larger than the peer's.
SIZE = 1.03

#: Those that run when none is named: a quarter of an hour on two cores.
SMALL = (
    Build('voxels-2mm-25', Goal(memory=128), TWO_MM, 25),
    Build('voxels-2mm-100', Goal(8, memory=128, floor=1.25, size=SIZE), TWO_MM, 100),
    Build('voxels-2mm-400', Goal(10, memory=128, floor=1.5, size=SIZE), TWO_MM, 400),
    PerSubject('voxels-2mm-2000', Goal(1, memory=160, floor=1.5), TWO_MM, 2000, files=400),
    Build('voxels-1mm-5', Goal(memory=256), ONE_MM, 5),
    Build('fixels-mif-50', Goal(6, memory=128, floor=2, size=SIZE), FIXELS, 50),
    Build('fixels-mif.gz-50', Goal(6, memory=128, floor=2, size=SIZE), FIXELS_GZ, 50),
    Build('dscalar-91k-25', Goal(memory=160), GREYORDINATES, 25),
    Export('export-2mm-30', Goal(18, memory=160, floor=2), TWO_MM, 30),
    ReadElement('read-element-100', Goal(2.5), TWO_MM, 100),
    Fit('fit-100', Goal(seconds=1.5)),
    Fit('fit-100-masks', Goal(seconds=3.5), missing='masks'),
    FitInR('fit-100-lm-in-R', Goal(1000)),
    Fit('fit-100-smooth', Goal(seconds=2), formula=SMOOTH),
    FitInR('fit-100-gam-in-R', Goal(1000), formula=SMOOTH, script='fit_smooths.R'),
    FitInR(
        'fit-80x3-lmer-in-R',
        Goal(200),
        people=80,
        visits=3,
        elements=20_000,
        formula='x ~ age + sex + (1 | participant_id)',
        script='fit_elements_lmer.R',
        elements_in_r=40,
    ),
    Help('help-modelarrayio', Goal(seconds=0.1)),
    Help('help-modelarrayio-bids', Goal(seconds=0.15), 'modelarrayio-bids'),
)

LARGE = (
    PerSubject('voxels-2mm-10000', Goal(1, memory=160, floor=1.5), TWO_MM, 10_000, files=400),
    Stack('voxels-2mm-stack-200', Goal(1, memory=128), TWO_MM, 200),
    Build('voxels-1mm-20', Goal(8, memory=256, size=SIZE), ONE_MM, 20),
    Build('dscalar-91k-50', Goal(20, memory=160, size=SIZE), GREYORDINATES, 50),
    Build('dscalar-91k-400', Goal(40, memory=160, size=SIZE), GREYORDINATES, 400),
    Export('export-1mm-6', Goal(7, memory=256), ONE_MM, 6),
    ReadElement('read-element-400', Goal(2.5), TWO_MM, 400),
    Fit('fit-100-permutations', Goal(seconds=150), options=('--permutations', '5000')),
    Fit(
        'fit-100-masks-permutations',
        Goal(seconds=300),
        missing='masks',
        options=('--permutations', '1000'),
    ),
    Fit('fit-1000', Goal(seconds=4), people=1000, elements=50_000),
    Fit(
        'fit-memory',
        Goal(memory=300),
        people=200,
        elements=600_000,
        missing='masks',
        options=('--mem-mb', '300'),
    ),
    Index('index-50000', Goal(seconds=5, memory=300)),
)

#: Every space, three budgets and three cohort sizes; 50 subjects have files of their own.
MEMORY = (
    Memory('memory-voxels-2mm', kind=TWO_MM, files=50),
    Memory('memory-voxels-1mm', kind=ONE_MM, files=5, sizes=(5, 20, 80), budgets=(256, 384, 768)),
    Memory('memory-fixels', kind=FIXELS, files=50),
    Memory('memory-fixels-gz', kind=FIXELS_GZ, files=50),
    Memory('memory-greyordinates', kind=GREYORDINATES, files=50),
    Memory('memory-parcels', kind=PARCELS, files=50),
    Memory('memory-edges', kind=EDGES, files=50),
)

CASES = (*SMALL, *LARGE, *MEMORY)
