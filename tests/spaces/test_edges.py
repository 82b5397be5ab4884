import subprocess

import nibabel as nb
import numpy as np
import pytest
from greyordinates import brain_models, parcels, random_values, save_matrix
from nibabel.cifti2 import SeriesAxis
from spaces.contract import SpaceContract
from tools import require_tool

from modelarrayio_bids.cohort import Source
from modelarrayio_bids.errors import FormatError, SpaceMismatchError, UsageError
from modelarrayio_bids.spaces import EdgeSpace, References, space_of


def source(path):
    return Source('x', path.name, path)


class TestEdgeSpace(SpaceContract):
    """Four parcels by three: rows and columns cannot be mistaken for each other."""

    def make_space(self, folder):
        return EdgeSpace.from_axes(parcels(), parcels()[:3])

    def make_others(self, folder):
        return [
            EdgeSpace.from_axes(parcels()[:3], parcels()),
            EdgeSpace.from_axes(parcels(), parcels()),
            EdgeSpace.from_axes(parcels(), parcels()[[0, 2, 1]]),
            EdgeSpace.from_axes(parcels()[[3, 1, 2, 0]], parcels()[:3]),
        ]

    def make_row(self, folder, number, values):
        axes = parcels(), parcels()[:3]
        path = folder / f'map-{number}.pconn.nii'
        return {'source_file': str(save_matrix(path, values.reshape(4, 3), axes))}

    def test_tables_have_one_entry_per_element(self, space):
        # As in the predecessor's files: one entry per row, and one per column.
        assert {path: table.values.tolist() for path, table in space.tables().items()} == {
            'parcels/parcel_id_from': ['V1', 'V2', 'MT', 'Thalamus'],
            'parcels/parcel_id_to': ['V1', 'V2', 'MT'],
        }


@pytest.fixture
def space():
    return EdgeSpace.from_axes(parcels(), parcels())


def test_edges_are_in_the_predecessors_order(tmp_path, space):
    # modelarrayio 26.0.0 takes get_fdata().astype(float32).ravel().
    path = save_matrix(tmp_path / 'x.pconn.nii', random_values(4, 4), (parcels(), parcels()))
    np.testing.assert_array_equal(space.read(source(path)), nb.load(path).get_fdata().ravel())
    values = np.arange(16.0)
    space.write(values, path)
    np.testing.assert_array_equal(nb.load(path).get_fdata(), values.reshape(4, 4))
    assert nb.load(path).get_data_dtype() == np.float32


@pytest.mark.parametrize(
    ('rows', 'columns', 'place'),
    [([1, 0, 2, 3], [0, 1, 2, 3], 'rows'), ([0, 1, 2, 3], [1, 0, 2, 3], 'columns')],
)
def test_both_dimensions_are_compared(tmp_path, space, rows, columns, place):
    axes = parcels()[rows], parcels()[columns]
    path = save_matrix(tmp_path / 'x.pconn.nii', random_values(4, 4), axes)
    with pytest.raises(SpaceMismatchError, match=f"'V2', expected 'V1' along its {place}"):
        space.check(source(path))


def test_a_matrix_of_two_sets_is_no_square_one(tmp_path, space):
    path = save_matrix(tmp_path / 'x.pconn.nii', random_values(4, 3), (parcels(), parcels()[:3]))
    with pytest.raises(SpaceMismatchError, match='has 3 parcels, expected 4 along its columns'):
        space.check(source(path))


def test_data_that_are_not_square_where_they_should_be(tmp_path, space):
    # One description for both dimensions, and the data of four rows and three columns.
    path = save_matrix(tmp_path / 'x.pconn.nii', random_values(4, 4), (parcels(), parcels()))
    data = bytearray(path.read_bytes())
    data[64:72] = (3).to_bytes(8, 'little')  # NIfTI-2: dim[6] is at byte 64
    path.write_bytes(data)
    what = 'holds values for 3 parcels along its columns, but describes 4'
    with pytest.raises(FormatError, match=what):
        space.check(source(path))
    with pytest.raises(FormatError, match=what):
        EdgeSpace.from_file(path)


def test_dense_connectivity_under_a_pconns_name(tmp_path, space):
    axes = brain_models()[:5], brain_models()[:5]
    path = save_matrix(tmp_path / 'x.pconn.nii', random_values(5, 5), axes)
    with pytest.raises(FormatError, match=r'holds dense connectivity \(dconn\), expected'):
        space.check(source(path))


def test_edges_have_no_maps(tmp_path):
    path = save_matrix(tmp_path / 'x.pconn.nii', random_values(4, 4), (parcels(), parcels()))
    with pytest.raises(UsageError, match='edges have no maps'):
        space_of([source(path)], References(map='1'))
    assert len(EdgeSpace.from_references(References(example=path), [])) == 16


def test_what_workbench_correlates_is_read_and_written(tmp_path):
    tool = require_tool('wb_command')
    axes = SeriesAxis(0, 2, 30), parcels()
    series = save_matrix(tmp_path / 'x.ptseries.nii', random_values(30, 4), axes)
    path = tmp_path / 'x.pconn.nii'
    subprocess.run([tool, '-cifti-correlation', series, path], check=True)
    space = EdgeSpace.from_file(path)
    assert space == EdgeSpace.from_axes(parcels(), parcels())
    expected = np.corrcoef(random_values(30, 4).T)
    np.testing.assert_allclose(space.read(source(path)).reshape(4, 4), expected, atol=1e-5)
    # Not symmetric: what wb_command calls rows are the second dimension.
    text = tmp_path / 'x.txt'
    space.write(np.arange(16), path)
    subprocess.run([tool, '-cifti-convert', '-to-text', path, text], check=True)
    np.testing.assert_array_equal(np.loadtxt(text), np.arange(16).reshape(4, 4).T)
