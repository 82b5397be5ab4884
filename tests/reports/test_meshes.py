import nibabel as nb
import numpy as np
import pytest
from meshes import save_mesh, sphere

from modelarrayio_bids.errors import FormatError, SourceNotFoundError
from modelarrayio_bids.reports.findings.meshes import Mesh


def test_what_nibabel_wrote_is_read(tmp_path):
    points, triangles = sphere(20)
    mesh = Mesh.from_file(save_mesh(tmp_path / 'x.surf.gii', points, triangles, 'CortexLeft'))
    np.testing.assert_array_equal(mesh.points, points)
    np.testing.assert_array_equal(mesh.triangles, triangles)
    assert mesh.structure == 'CortexLeft'


def test_a_file_need_not_name_its_structure(tmp_path):
    assert not Mesh.from_file(save_mesh(tmp_path / 'x.surf.gii', *sphere(20))).structure


def test_what_is_no_mesh_is_refused(tmp_path):
    points, triangles = sphere(20)
    path = tmp_path / 'x.surf.gii'
    with pytest.raises(SourceNotFoundError, match='no such file'):
        Mesh.from_file(path)
    for content in (b'', b'no XML', b'<GIFTI></GIFT'):
        path.write_bytes(content)
        with pytest.raises(FormatError, match='is not a GIFTI file'):
            Mesh.from_file(path)
    with pytest.raises(FormatError, match='has triangles with missing vertices'):
        Mesh.from_file(save_mesh(path, points[:10], triangles))
    with pytest.raises(FormatError, match='has vertices without coordinates'):
        Mesh.from_file(save_mesh(path, np.where(points > 30, np.nan, points), triangles))
    with pytest.raises(FormatError, match='holds no mesh'):
        Mesh.from_file(save_mesh(path, points[:, :2], triangles))
    nb.save(nb.gifti.GiftiImage(darrays=[nb.gifti.GiftiDataArray(points[:, 0])]), path)
    with pytest.raises(FormatError, match='holds no mesh'):
        Mesh.from_file(path)


def test_a_damaged_file_is_refused(tmp_path):
    path = save_mesh(tmp_path / 'x.surf.gii', *sphere(200))
    whole = path.read_bytes()
    middle = len(whole) // 2
    path.write_bytes(whole[:middle])
    with pytest.raises(FormatError, match='is not a GIFTI file'):
        Mesh.from_file(path)
    path.write_bytes(whole[: middle - 50] + b'A' * 50 + whole[middle:])
    with pytest.raises(FormatError, match='is not a GIFTI file'):
        Mesh.from_file(path)
