"""R reads what we write, and we read what R writes, as the package ModelArray does both."""

import csv
import subprocess
from pathlib import Path

import nibabel as nb
import numpy as np
import pytest
from images import SHAPE, expected_rows, group_mask, write_cohort
from tools import missing, require_tool

from modelarrayio_bids.cli.files import main

SCRIPTS = Path(__file__).parent / 'r'
INSIDE = np.argwhere(group_mask() > 0)


@pytest.fixture(scope='session')
def rscript():
    program = require_tool('Rscript')
    code = 'quit(status = !all(sapply(c("rhdf5", "HDF5Array"), requireNamespace, quietly = TRUE)))'
    if subprocess.run([program, '-e', code], check=False, capture_output=True).returncode:
        missing('the R packages rhdf5 and HDF5Array are not installed')
    return lambda script, *arguments: subprocess.run(
        [program, SCRIPTS / script, *map(str, arguments)], check=True, capture_output=True
    )


@pytest.fixture
def store(tmp_path):
    write_cohort(tmp_path, subjects=5)
    options = ['--mask', tmp_path / 'group_mask.nii.gz', '--cohort-file', tmp_path / 'cohort.csv']
    assert main(['to-modelarray', *map(str, options), '--output', str(tmp_path / 'x.h5')]) == 0
    return tmp_path / 'x.h5'


def test_r_sees_elements_by_sources(rscript, tmp_path, store):
    elements = [1, 7, len(INSIDE)]
    rscript('read_store.R', store, 'FA', 'voxels', tmp_path / 'seen.txt', *elements)
    seen = (tmp_path / 'seen.txt').read_text().splitlines()
    assert seen[0] == f'{len(INSIDE)} 5'
    # R matches these with the CSV's column as an exact set.
    with open(tmp_path / 'cohort.csv', newline='') as file:
        assert seen[1:6] == [row['source_file'] for row in csv.DictReader(file)]
    assert seen[6] == 'voxel_id i j k'
    for number, element in enumerate(elements):
        values, voxel = seen[7 + 2 * number : 9 + 2 * number]
        read = [np.nan if v in {'NA', 'NaN'} else float.fromhex(v) for v in values.split()]
        np.testing.assert_array_equal(read, expected_rows(5)[:, element - 1])
        assert [int(n) for n in voxel.split()] == [element - 1, *INSIDE[element - 1]]


@pytest.mark.parametrize('rows', [range(len(INSIDE)), [20, 3, 11]], ids=['all', 'subset'])
def test_results_of_r_come_back_at_their_voxels(rscript, tmp_path, store, rows):
    with open(tmp_path / 'results.csv', 'w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['element_id', 'age.estimate', 'age.p.value'])
        writer.writerows([row, row + 0.25, 1 / (row + 2)] for row in rows)
    rscript('write_results.R', store, 'mylm', tmp_path / 'results.csv')
    arguments = [
        '--analysis-name',
        'mylm',
        '--input-hdf5',
        store,
        '--output-dir',
        tmp_path / 'maps',
    ]
    assert main(['export-results', *map(str, arguments)]) == 0
    estimate, p, one_minus_p = (
        nb.load(tmp_path / 'maps' / f'mylm_age.{name}.nii.gz').get_fdata(dtype=np.float32)
        for name in ('estimate', 'p.value', '1m.p.value')
    )
    # By counting through the mask, first axis slowest: not by the code under test.
    element = 0
    for i in range(SHAPE[0]):
        for j in range(SHAPE[1]):
            for k in range(SHAPE[2]):
                if not group_mask()[i, j, k]:
                    assert estimate[i, j, k] == 0
                    continue
                if element in rows:
                    assert estimate[i, j, k] == element + 0.25
                    assert p[i, j, k] == np.float32(1 / (element + 2))
                    assert one_minus_p[i, j, k] == np.float32(1 - 1 / (element + 2))
                else:
                    assert np.isnan(estimate[i, j, k])
                element += 1
    assert element == len(INSIDE)
