import gzip
import struct
import subprocess

import nibabel as nb
import numpy as np
import pytest
from greyordinates import brain_models, left, maps, parcels, random_values, save_map, save_matrix
from hypothesis import given, settings
from hypothesis import strategies as st
from images import AFFINE
from nibabel.cifti2 import LabelAxis, SeriesAxis
from tools import require_tool

from modelarrayio_bids.errors import FormatError, ModelArrayIOError, SourceNotFoundError
from modelarrayio_bids.formats import cifti

HEADER = 540
DECOY = (
    b'<MatrixIndicesMap AppliesToMatrixDimension="1" '
    b'IndicesMapToDataType="CIFTI_INDEX_TYPE_LABELS"></MatrixIndicesMap>'
)


def read(path, kind=cifti.DSCALAR):
    return cifti.Matrix.from_file(path, kind).read()


def rewritten(path, old, new):
    """The file with its XML changed, by the layout NIfTI-2 gives: 540 bytes, 4, then the XML."""
    data = path.read_bytes()
    offset = struct.unpack_from('<q', data, 168)[0]
    xml = data[HEADER + 12 : offset].rstrip(b'\0').replace(old, new)
    assert xml != data[HEADER + 12 : offset].rstrip(b'\0')
    size = -(-(len(xml) + 8) // 16) * 16
    header = bytearray(data[:HEADER])
    struct.pack_into('<q', header, 168, HEADER + 4 + size)
    extension = struct.pack('<4B2i', 1, 0, 0, 0, size, 32) + xml.ljust(size - 8, b'\0')
    path.write_bytes(bytes(header) + extension + data[offset:])
    return path


def big_endian(path):
    """The same file as a big-endian machine would write it."""
    data = path.read_bytes()
    header = nb.Nifti2Header(data[:HEADER])
    offset = header.get_data_offset()
    size, code = struct.unpack_from('<2i', data, HEADER + 4)
    values = np.frombuffer(data, header.get_data_dtype(), offset=offset)
    path.write_bytes(
        header.as_byteswapped('>').binaryblock
        + data[HEADER : HEADER + 4]
        + struct.pack('>2i', size, code)
        + data[HEADER + 12 : offset]
        + values.byteswap().tobytes()
    )
    return path


@pytest.fixture
def dscalar(tmp_path):
    return save_map(tmp_path / 'x.dscalar.nii', random_values(66), brain_models())


@pytest.fixture
def two_maps(tmp_path):
    axes = maps('first', 'second'), brain_models()
    return save_matrix(tmp_path / 'two.dscalar.nii', random_values(2, 66), axes)


class TestValues:
    @pytest.mark.parametrize('swap', [False, True])
    @pytest.mark.parametrize('code', ['u1', 'i2', 'i4', 'u8', 'f4', 'f8'])
    def test_are_nibabels(self, tmp_path, code, swap):
        data = (random_values(3, 66) * 50).astype(code)
        path = save_matrix(tmp_path / 'x.dscalar.nii', data, (maps(*'abc'), brain_models()))
        if swap:
            big_endian(path)
        values = read(path)
        np.testing.assert_array_equal(values, data)
        assert values.dtype == (np.float32 if code == 'f4' else np.float64)
        assert values.flags.writeable

    def test_are_scaled_once(self, tmp_path):
        # Floats saved as integers: nibabel chooses a slope and an intercept.
        axes = maps('x'), brain_models()
        path = save_matrix(tmp_path / 'x.dscalar.nii', random_values(1, 66), axes, np.int16)
        assert nb.load(path).nifti_header['scl_slope'] not in (0, 1)
        np.testing.assert_array_equal(read(path), nb.load(path).get_fdata())

    def test_in_a_compressed_file(self, dscalar):
        expected = nb.load(dscalar).get_fdata()
        dscalar.write_bytes(gzip.compress(dscalar.read_bytes()))
        np.testing.assert_array_equal(read(dscalar), expected)

    def test_after_xml_of_more_than_a_mebibyte(self, dscalar):
        expected = nb.load(dscalar).get_fdata()
        rewritten(dscalar, b'</CIFTI>', b' ' * 2**21 + b'</CIFTI>')
        np.testing.assert_array_equal(read(dscalar), expected)

    def test_are_those_wb_command_prints(self, tmp_path):
        tool = require_tool('wb_command')
        data = random_values(2, 66)
        index_maps = [
            cifti.IndexMap.from_axis(maps('a & b', 'ü'), 0),
            cifti.IndexMap.from_axis(brain_models(), 1),
        ]
        path, text = tmp_path / 'x.dscalar.nii', tmp_path / 'x.txt'
        cifti.write_matrix(cifti.DSCALAR, index_maps, data, path)
        subprocess.run([tool, '-cifti-convert', '-to-text', path, text], check=True)
        # A row of the text is an element: wb_command's rows are nibabel's columns.
        np.testing.assert_allclose(np.loadtxt(text).T, data, rtol=1e-5)
        said = subprocess.run(
            [tool, '-file-information', path, '-only-map-names'],
            check=True,
            capture_output=True,
            text=True,
        )
        assert said.stdout.split('\n')[:2] == ['a & b', 'ü']


class TestWriting:
    @pytest.mark.parametrize(
        ('kind', 'code', 'name'),
        # CIFTI-2 specification, table of intent codes.
        [
            (cifti.DSCALAR, 3006, b'ConnDenseScalar'),
            (cifti.PSCALAR, 3008, b'ConnParcelScalr'),
            (cifti.PCONN, 3003, b'ConnParcels'),
        ],
    )
    def test_intent(self, tmp_path, kind, code, name):
        axes = {'SCALARS': maps('x'), 'BRAIN_MODELS': brain_models(), 'PARCELS': parcels()}
        axes = [axes[index_type] for index_type in kind.axes]
        index_maps = [cifti.IndexMap.from_axis(axis, 0) for axis in axes]
        data = random_values(*map(len, axes))
        path = tmp_path / f'x{kind.extension}'
        cifti.write_matrix(kind, index_maps, data, path)
        image = nb.load(path)
        assert image.nifti_header['intent_code'] == code
        assert image.nifti_header['intent_name'] == name
        assert 3000 <= image.nifti_header['intent_code'] < 3100
        np.testing.assert_array_equal(image.get_fdata(), data)
        for dimension, axis in enumerate(axes):
            assert image.header.get_axis(dimension) == axis

    def test_a_name_that_xml_cannot_hold_loses_those_characters(self, tmp_path):
        index_maps = [
            cifti.IndexMap.from_axis(cifti.map_axis('a\x00\x1b<b>'), 0),
            cifti.IndexMap.from_axis(brain_models(), 1),
        ]
        path = tmp_path / 'x.dscalar.nii'
        cifti.write_matrix(cifti.DSCALAR, index_maps, random_values(1, 66), path)
        assert cifti.Matrix.from_file(path, cifti.DSCALAR).map_names() == ['a<b>']


class TestMaps:
    @pytest.mark.parametrize(
        ('names', 'choice', 'index'),
        [
            (['a'], None, 0),
            (['a', 'b'], 'b', 1),
            (['a', 'b'], '1', 0),
            (['a', 'b'], '2', 1),
            (['2', '1'], '2', 0),  # a name goes before a number
        ],
    )
    def test_chosen(self, tmp_path, names, choice, index):
        data = random_values(len(names), 66)
        path = save_matrix(tmp_path / 'x.dscalar.nii', data, (maps(*names), brain_models()))
        matrix = cifti.Matrix.from_file(path, cifti.DSCALAR)
        assert matrix.map_names() == names
        assert matrix.map_index(choice) == index

    @pytest.mark.parametrize(
        ('names', 'choice', 'what'),
        [
            (['a', 'b'], None, "holds 2 maps, expected one (1 'a', 2 'b')"),
            (['a', 'b'], 'c', "holds no map 'c' (1 'a', 2 'b')"),
            (['a', 'b'], '3', "holds no map '3' (1 'a', 2 'b')"),
            (['a', 'b'], '0', "holds no map '0' (1 'a', 2 'b')"),
            (['a', 'a'], 'a', "holds 2 maps named 'a' (1 'a', 2 'a')"),
            (['a'] * 14, None, "12 'a' and 2 more)"),
        ],
    )
    def test_not_chosen_are_listed(self, tmp_path, names, choice, what):
        data = random_values(len(names), 66)
        path = save_matrix(tmp_path / 'x.dscalar.nii', data, (maps(*names), brain_models()))
        with pytest.raises(FormatError) as raised:
            cifti.Matrix.from_file(path, cifti.DSCALAR).map_index(choice)
        assert what in raised.value.what
        assert raised.value.path == str(path)
        assert raised.value.remedy == 'Choose one with --map, by name or number.'

    def test_must_all_be_named(self, two_maps):
        rewritten(two_maps, b'<NamedMap><MapName>second</MapName></NamedMap>', b'')
        with pytest.raises(FormatError, match='holds 2 maps but names 1'):
            cifti.Matrix.from_file(two_maps, cifti.DSCALAR).map_index('first')


class TestXml:
    @pytest.mark.parametrize(
        'noise',
        [
            b'<MetaData><MD><Name>n</Name><Value><![CDATA[%s]]></Value></MD></MetaData>' % DECOY,
            b'<!-- %s -->' % DECOY,
            b'<MetaData><MD><Name>note!</Name><Value>!</Value></MD></MetaData>',
        ],
    )
    def test_what_only_looks_like_a_dimension_is_none(self, dscalar, noise):
        expected = nb.load(dscalar).get_fdata()
        rewritten(dscalar, b'<Matrix>', b'<Matrix>' + noise)
        matrix = cifti.Matrix.from_file(dscalar, cifti.DSCALAR)
        assert [part.index_type for part in matrix.index_maps] == ['SCALARS', 'BRAIN_MODELS']
        assert matrix.index_maps[1].axis(dscalar) == brain_models()
        np.testing.assert_array_equal(matrix.read(), expected)

    def test_one_part_for_both_dimensions(self, tmp_path):
        path = save_matrix(tmp_path / 'x.pconn.nii', random_values(4, 4), (parcels(), parcels()))
        assert b'AppliesToMatrixDimension="0,1"' in path.read_bytes()
        matrix = cifti.Matrix.from_file(path, cifti.PCONN)
        assert [part.dimensions for part in matrix.index_maps] == [(0, 1)] * 2
        assert matrix.index_maps[0].along(1).dimensions == (1,)
        assert matrix.index_maps[0].along(1).axis(path) == parcels()

    def test_the_unit_of_the_affine_counts(self, dscalar):
        # 10 to the exponent metres: -2 is centimetres.
        rewritten(dscalar, b'MeterExponent="-3"', b'MeterExponent="-2"')
        axis = cifti.Matrix.from_file(dscalar, cifti.DSCALAR).index_maps[1].axis(dscalar)
        np.testing.assert_allclose(axis.affine[:3], AFFINE[:3] * 10)
        np.testing.assert_allclose(axis.affine[3], [0, 0, 0, 1])

    @pytest.mark.parametrize(
        ('old', 'new', 'what'),
        [
            (b'Version="2.0"', b'Version="1.0"', 'holds CIFTI-1.0, expected CIFTI-2'),
            (b'<CIFTI', b'<NIFTI', 'holds no CIFTI at all'),
            (b'MatrixDimension="1"', b'MatrixDimension="2"', r'about dimensions \[0, 2\]'),
            (b' IndicesMapToDataType', b' Type', 'cannot be used: .*IndicesMapToDataType'),
            (b'</MatrixIndicesMap></Matrix>', b'</Matrix>', 'cannot be used: it ends early'),
        ],
    )
    def test_that_is_of_no_use(self, dscalar, old, new, what):
        with pytest.raises(FormatError, match=what) as raised:
            cifti.Matrix.from_file(rewritten(dscalar, old, new), cifti.DSCALAR)
        assert raised.value.path == str(dscalar)

    @pytest.mark.parametrize(
        ('old', 'new'),
        [
            (b'<Volume ', b'<Dolume '),
            (b'IndexOffset="19"', b'IndexOffset="20"'),
            (b'IndexCount="30"', b'IndexCount="31"'),
            (b'CORTEX_LEFT', b'CORTEX_NORTH'),
            (b'VolumeDimensions="4,5,6"', b'VolumeDimensions="4,5"'),
            (b'<VertexIndices>3 5', b'<VertexIndices>three five'),
            (b'</BrainModel>', b''),
        ],
    )
    def test_that_contradicts_itself(self, dscalar, old, new):
        matrix = cifti.Matrix.from_file(rewritten(dscalar, old, new), cifti.DSCALAR)
        with pytest.raises(FormatError, match='has CIFTI XML that cannot be used: ') as raised:
            matrix.index_maps[1].axis(dscalar)
        assert raised.value.path == str(dscalar)


class TestRefusal:
    @pytest.mark.parametrize(
        ('axes', 'found'),
        [
            ((SeriesAxis(0, 1, 2), brain_models()), 'dense series (dtseries)'),
            ((SeriesAxis(0, 1, 2), parcels()), 'parcellated series (ptseries)'),
            (
                (LabelAxis(['a', 'b'], [{0: ('x', (0, 0, 0, 0))}] * 2), brain_models()),
                'dense labels (dlabel)',
            ),
            ((brain_models(), left()), 'dense connectivity (dconn)'),
            ((parcels(), brain_models()), 'mixed connectivity (dpconn)'),
            ((brain_models(), parcels()), 'mixed connectivity (pdconn)'),
            ((maps('a', 'b'), parcels()), 'parcellated scalars (pscalar)'),
            ((parcels(), parcels(), maps('a')), 'connectivity maps (pconnscalar)'),
            ((maps('a'), maps('b')), 'SCALARS × SCALARS'),
        ],
    )
    def test_of_another_kind_names_it(self, tmp_path, axes, found):
        shape = tuple(map(len, axes))
        path = save_matrix(tmp_path / 'x.dscalar.nii', random_values(*shape), axes)
        with pytest.raises(FormatError) as raised:
            cifti.Matrix.from_file(path, cifti.DSCALAR)
        assert raised.value.what == f'holds {found}, expected dense scalars (dscalar)'
        assert raised.value.remedy

    @pytest.mark.parametrize('image_class', [nb.Nifti1Image, nb.Nifti2Image])
    def test_of_a_plain_volume(self, tmp_path, image_class):
        path = tmp_path / 'x.dscalar.nii'
        image_class(random_values(4, 5, 6), AFFINE).to_filename(path)
        with pytest.raises(FormatError, match=r'x.dscalar.nii: is a plain NIfTI-[12] image'):
            cifti.Matrix.from_file(path, cifti.DSCALAR)
        assert nb.load(path).header['intent_code'] == 0

    def test_of_a_volume_with_another_extension(self, tmp_path):
        image = nb.Nifti2Image(random_values(4, 5, 6), AFFINE)
        image.header.extensions.append(nb.nifti1.Nifti1Extension('comment', b'CIFTI'))
        path = tmp_path / 'x.dscalar.nii'
        image.to_filename(path)
        with pytest.raises(FormatError, match='is a plain NIfTI-2 image'):
            cifti.Matrix.from_file(path, cifti.DSCALAR)

    def test_of_complex_values(self, tmp_path):
        data = random_values(1, 66).astype(np.float64)
        path = save_matrix(tmp_path / 'x.dscalar.nii', data, (maps('x'), brain_models()))
        stored = bytearray(path.read_bytes())
        struct.pack_into('<2h', stored, 12, 32, 64)  # NIfTI-2: the type's code and bits
        path.write_bytes(stored)
        with pytest.raises(FormatError, match='holds values of type complex64'):
            cifti.Matrix.from_file(path, cifti.DSCALAR)

    def test_of_a_file_that_is_not_there(self, tmp_path):
        with pytest.raises(SourceNotFoundError):
            cifti.Matrix.from_file(tmp_path / 'x.dscalar.nii', cifti.DSCALAR)

    def test_of_a_volume_that_says_it_is_cifti(self, dscalar):
        data = bytearray(dscalar.read_bytes())
        struct.pack_into('<q', data, 16, 5)  # NIfTI-2: dim[0] is at byte 16
        dscalar.write_bytes(data)
        with pytest.raises(FormatError, match='is 1 × 1 × 1 × 1 × 1, expected '):
            cifti.Matrix.from_file(dscalar, cifti.DSCALAR)


@settings(max_examples=30)
@given(part=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_short_anywhere_is_refused(tmp_path_factory, part):
    path = tmp_path_factory.mktemp('cut') / 'x.dscalar.nii'
    save_map(path, random_values(66), brain_models())
    data = path.read_bytes()
    path.write_bytes(data[: int(part * len(data))])
    with pytest.raises(FormatError, match=r'is truncated|is not a NIfTI image'):
        read(path)


@settings(max_examples=100)
@given(place=st.integers(0, 5000), byte=st.integers(0, 255))
def test_a_damaged_byte_does_no_more_than_an_error(tmp_path_factory, place, byte):
    path = tmp_path_factory.mktemp('bit') / 'x.dscalar.nii'
    save_map(path, random_values(66), brain_models())
    data = bytearray(path.read_bytes())
    data[place % len(data)] = byte
    path.write_bytes(data)
    try:
        matrix = cifti.Matrix.from_file(path, cifti.DSCALAR)
        matrix.index_maps[1].axis(path)
        matrix.map_index(None)
        matrix.read()
    except ModelArrayIOError as error:
        assert error.path == str(path)
