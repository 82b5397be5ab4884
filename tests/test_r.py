"""R reads what we write, and we read what R writes, as the package ModelArray does both."""

import csv
from dataclasses import dataclass

import nibabel as nb
import numpy as np
import pytest
from greyordinates import brain_models, parcels, random_values, save_map, save_matrix
from images import SHAPE, expected_rows, group_mask, write_cohort, write_csv
from mrtrix import direction_values, fixel_directory, save_values
from vertices import N_ELEMENTS, save_pair

from modelarrayio_bids.cli.files import main
from modelarrayio_bids.spaces.stored import validate

INSIDE = np.argwhere(group_mask() > 0)


@pytest.fixture
def store(tmp_path):
    write_cohort(tmp_path, subjects=5)
    options = ['--mask', tmp_path / 'group_mask.nii.gz', '--cohort-file', tmp_path / 'cohort.csv']
    assert main(['to-modelarray', *map(str, options), '--output', str(tmp_path / 'x.h5')]) == 0
    return tmp_path / 'x.h5'


@dataclass
class Seen:
    """What ``read_store.R`` printed."""

    shape: list
    names: list
    columns: list
    structures: list
    values: list
    table: list


@pytest.fixture
def look(rscript, tmp_path):
    """R's view of a scalar and a table of a file, at some elements (zero-based here)."""

    def call(store, scalar, table, elements, n_sources):
        out = tmp_path / 'seen.txt'
        rscript('read_store.R', store, scalar, table, out, *(n + 1 for n in elements))
        lines = out.read_text().splitlines()
        shape, names, rest = lines[0], lines[1 : n_sources + 1], lines[n_sources + 1 :]
        numbers = [
            [np.nan if v in {'NA', 'NaN'} else float.fromhex(v) for v in line.split()]
            for line in rest[2::2]
        ]
        words = [line.split() for line in rest[3::2]]
        shape = [int(n) for n in shape.split()]
        return Seen(shape, names, rest[0].split(), rest[1].split(), numbers, words)

    return call


def test_r_sees_elements_by_sources(look, tmp_path, store):
    elements = [0, 6, len(INSIDE) - 1]
    seen = look(store, 'FA', 'voxels', elements, 5)
    assert seen.shape == [len(INSIDE), 5]
    # R matches these with the CSV's column as an exact set.
    with open(tmp_path / 'cohort.csv', newline='') as file:
        assert seen.names == [row['source_file'] for row in csv.DictReader(file)]
    assert seen.columns == ['voxel_id', 'i', 'j', 'k']
    np.testing.assert_array_equal(seen.values, expected_rows(5)[:, elements].T)
    assert [[int(n) for n in voxel] for voxel in seen.table] == [
        [element, *INSIDE[element]] for element in elements
    ]


def build(folder, paths, *options):
    """An HDF5 file of one scalar ``x``."""
    write_csv(folder / 'c.csv', ['scalar_name', 'source_file'], [['x', path] for path in paths])
    arguments = ['--cohort-file', folder / 'c.csv', '--output', folder / 'x.h5', *options]
    assert main(['to-modelarray', *map(str, arguments)]) == 0
    return folder / 'x.h5'


def test_r_sees_fixels(look, tmp_path):
    folder = fixel_directory(tmp_path / 'fixels')
    values = np.random.default_rng(0).random((2, 6)).astype('f4')
    paths = [save_values(folder / f'sub-{n}.mif', row) for n, row in enumerate(values)]
    seen = look(build(tmp_path, paths), 'x', 'fixels', range(6), 2)
    np.testing.assert_array_equal(seen.values, values.T)
    assert seen.columns == ['fixel_id', 'voxel_id', 'x', 'y', 'z']
    # The voxel of each fixel, in the order of first fixels: 3, 1 and 2 of them (mrtrix.VOXELS).
    assert [row[:2] for row in seen.table] == [[str(n), v] for n, v in enumerate('000122')]
    np.testing.assert_allclose(
        [[float(n) for n in row[2:]] for row in seen.table], direction_values(), atol=1e-6
    )


def test_r_sees_greyordinates(look, tmp_path):
    values = [random_values(66, seed=n) for n in range(2)]
    paths = [
        save_map(tmp_path / f'{n}.dscalar.nii', row, brain_models()) for n, row in enumerate(values)
    ]
    elements = [0, 19, 49]
    seen = look(build(tmp_path, paths), 'x', 'greyordinates', elements, 2)
    np.testing.assert_array_equal(seen.values, np.array(values)[:, elements].T)
    assert seen.columns == ['vertex_id', 'structure_id']
    rows = [dict(zip(seen.columns, map(int, row), strict=True)) for row in seen.table]
    assert [seen.structures[row['structure_id']] for row in rows] == [
        'CIFTI_STRUCTURE_CORTEX_LEFT',
        'CIFTI_STRUCTURE_CORTEX_RIGHT',
        'CIFTI_STRUCTURE_BRAIN_STEM',
    ]
    assert [row['vertex_id'] for row in rows] == elements


def test_r_sees_vertices(look, tmp_path):
    values = [random_values(N_ELEMENTS, seed=n) for n in range(2)]
    paths = [save_pair(tmp_path, f'sub-{n}/{{hemi}}.sulc.mgh', row) for n, row in enumerate(values)]
    # The last of the left hemisphere, without its first 3 of 40, and the first of the right.
    elements = [0, 36, 37]
    seen = look(build(tmp_path, paths), 'x', 'vertices', elements, 2)
    np.testing.assert_array_equal(seen.values, np.array(values)[:, elements].T)
    assert seen.columns == ['vertex_id', 'structure_id', 'surface_vertex']
    assert seen.structures == ['CIFTI_STRUCTURE_CORTEX_LEFT', 'CIFTI_STRUCTURE_CORTEX_RIGHT']
    rows = [list(map(int, row)) for row in seen.table]
    assert rows == [[0, 0, 3], [36, 0, 39], [37, 1, 0]]


def test_r_sees_parcels_and_edges(look, tmp_path):
    values = random_values(4)
    store = build(tmp_path, [save_map(tmp_path / '0.pscalar.nii', values, parcels())])
    seen = look(store, 'x', 'parcels/parcel_id', range(4), 1)
    assert seen.table == [['V1'], ['V2'], ['MT'], ['Thalamus']]
    np.testing.assert_array_equal(np.ravel(seen.values), values)
    values = random_values(4, 4)
    path = save_matrix(tmp_path / '0.pconn.nii', values, (parcels(), parcels()))
    seen = look(build(tmp_path, [path]), 'x', 'parcels/parcel_id_to', [1, 3], 1)
    assert seen.shape == [16, 1]
    assert seen.table == [['V2'], ['Thalamus']]


@pytest.mark.parametrize('rows', [range(len(INSIDE)), [20, 3, 11]], ids=['all', 'subset'])
def test_results_of_r_come_back_at_their_voxels(rscript, tmp_path, store, rows):
    with open(tmp_path / 'results.csv', 'w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['element_id', 'age.estimate', 'age.p.value'])
        writer.writerows([row, row + 0.25, 1 / (row + 2)] for row in rows)
    rscript('write_results.R', store, 'mylm', tmp_path / 'results.csv')
    assert validate(store) == ()
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


def test_r_would_adjust_merged_p_values_as_they_are(rscript, tmp_path, store):
    p = np.random.default_rng(0).beta(0.2, 3, (len(INSIDE), 2)).tolist()
    p[4] = ['NaN', 'NA']  # an element with too few subjects
    with open(tmp_path / 'results.csv', 'w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['element_id', 'age.p.value', 'model.p.value'])
        writer.writerows([row, *values] for row, values in enumerate(p))
    rscript('write_slices.R', store, tmp_path / 'results.csv', 5, 6, 17, len(INSIDE))
    arguments = ['--input-hdf5', str(store), '--analysis-name', 'mylm_*', '--merged-name', 'mylm']
    assert main(['merge-results', *arguments]) == 0
    lines = rscript('read_results.R', store, 'mylm').splitlines()
    methods = ['age.p.value.fdr', 'age.p.value.hommel', 'model.p.value.fdr', 'model.p.value.hommel']
    assert lines[0].split() == [str(len(INSIDE)), '7']
    assert lines[1:8] == ['element_id', 'age.p.value', 'model.p.value', *methods]
    told = [line.split() for line in lines[8:]]
    assert [words[:2] for words in told] == [[name, 'TRUE'] for name in ('ids', *methods)]
    # Not all of them are 1, which would be equal too.
    assert all(int(n_below_one) > 2 for *_, n_below_one in told[1:])


def test_r_sees_what_was_appended(look, tmp_path, store):
    write_cohort(tmp_path, subjects=7)
    with open(tmp_path / 'cohort.csv', newline='') as file:
        header, *rows = csv.reader(file)
    write_csv(tmp_path / 'more.csv', header, rows[5:])
    arguments = ['--cohort-file', str(tmp_path / 'more.csv'), '--output', str(store)]
    assert main(['append', *arguments]) == 0
    elements = [0, 6, len(INSIDE) - 1]
    seen = look(store, 'FA', 'voxels', elements, 7)
    assert seen.names == [row[header.index('source_file')] for row in rows]
    np.testing.assert_array_equal(seen.values, expected_rows(7)[:, elements].T)
