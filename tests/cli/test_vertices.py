"""``modelarrayio`` on surface data: pairs of hemispheres to HDF5 and back."""

import json
import re

import h5py
import nibabel as nb
import numpy as np
import pytest
from images import write_csv
from vertices import CORTEX, N_ELEMENTS, load, save_gifti, save_mgh, save_pair, whole

from modelarrayio_bids.cli.files import main
from modelarrayio_bids.spaces.stored import validate

MGH = 'sub-{:02d}/surf/{{hemi}}.thickness.fwhm10.fsaverage.mgh'
GIFTI = 'sub-{0:02d}/anat/sub-{0:02d}_hemi-{{hemi}}_space-fsaverage_thickness.shape.gii'
COUNT = 12
AGES = np.linspace(20, 60, COUNT)
VALUES = np.random.default_rng(8).normal(2.5, 0.1, (COUNT, N_ELEMENTS)).astype(np.float32)
VALUES[:, :30] += (0.02 * AGES[:, np.newaxis]).astype(np.float32)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def cohort(folder, pattern, numbers=range(COUNT), name='cohort.csv'):
    """Write pairs and a cohort that names the left of each; return the names."""
    names = [
        str(save_pair(folder, pattern.format(n), VALUES[n]).relative_to(folder)) for n in numbers
    ]
    columns = ['scalar_name', 'source_file', 'participant_id', 'age']
    rows = [['thickness', name, f'sub-{n:02d}', AGES[n]] for name, n in zip(names, numbers)]  # noqa: B905
    write_csv(name, columns, rows)
    return names


def build(*more):
    return main(['to-modelarray', '--cohort-file', 'cohort.csv', '--output', 'x.h5', *more])


def fit(*more):
    options = ['--formula', 'thickness ~ age', '--cohort-file', 'cohort.csv']
    return main(['fit', 'x.h5', *options, *more])


def identity():
    with h5py.File('x.h5') as file:
        return file['modelarrayio'].attrs['identity']


@pytest.mark.parametrize(('pattern', 'ending'), [(MGH, '.mgh'), (GIFTI, '.shape.gii')])
def test_pairs_there_and_back(folder, pattern, ending):
    names = cohort(folder, pattern)
    assert build() == 0
    with h5py.File('x.h5') as file:
        np.testing.assert_array_equal(file['scalars/thickness/values'][()], VALUES)
        assert [name.decode() for name in file['scalars/thickness/column_names'][()]] == names
        table = file['vertices']
        assert table.attrs['column_names'].tolist() == [
            *('vertex_id', 'structure_id', 'surface_vertex'),
        ]
        expected = np.concatenate([np.flatnonzero(inside) for inside in CORTEX.values()])
        np.testing.assert_array_equal(table[2], expected)
    assert main(['validate', 'x.h5', '--cohort-file', 'cohort.csv']) == 0
    assert fit('--export', 'maps') == 0
    # Slopes of NumPy's least squares, another road to the same numbers.
    slopes = np.polyfit(AGES, VALUES.astype(np.float64), 1)[0]
    for side, expected in whole(slopes).items():
        shown = load(folder / f'maps/lm_age.estimate_hemi-{side}{ending}')
        np.testing.assert_allclose(shown, expected, rtol=1e-4, atol=1e-7)
    sidecar = json.loads((folder / 'maps/lm_results.json').read_text())
    assert f'lm_age.estimate_hemi-R{ending}' in sidecar['Images']


def test_outside_may_be_nan(folder):
    cohort(folder, MGH)
    assert build() == 0
    assert fit() == 0
    options = ['--analysis-name', 'lm', '--input-hdf5', 'x.h5', '--output-dir', 'maps']
    assert main(['export-results', *options, '--outside', 'nan']) == 0
    for side, inside in CORTEX.items():
        shown = load(folder / f'maps/lm_age.p.value_hemi-{side}.mgh')
        np.testing.assert_array_equal(np.isfinite(shown), inside)


def test_info_tells_surface_and_hemispheres(folder, capsys):
    for n in range(COUNT):
        for side in ('lh', 'rh'):
            path = folder / f'sub-{n:02d}/surf/{side}.area.fsaverage3.mgh'
            save_mgh(path, np.full(642, 1 + n, np.float32))
    rows = [['area', f'sub-{n:02d}/surf/lh.area.fsaverage3.mgh'] for n in range(COUNT)]
    write_csv('cohort.csv', ['scalar_name', 'source_file'], rows)
    assert build() == 0
    capsys.readouterr()
    assert main(['info', 'x.h5']) == 0
    said = '1,284 vertices of fsaverage3: cortex left 642, cortex right 642'
    assert said in capsys.readouterr().out


def test_all_missing_hemispheres_are_told_at_once(folder, capsys):
    names = cohort(folder, MGH)
    for number in (3, 7):
        (folder / names[number].replace('lh.', 'rh.')).unlink()
    save_mgh(folder / names[5], np.ones(41, np.float32))
    assert build() == 65
    said = capsys.readouterr().err
    for number in (3, 7):
        assert f'sub-{number:02d}/surf/rh.thickness.fwhm10.fsaverage.mgh: no such file' in said
    assert 'has 41 vertices, expected 40' in said
    assert not (folder / 'x.h5').exists()


@pytest.mark.parametrize(
    ('damage', 'rule'),
    [
        (lambda table: table.attrs.__delitem__('structure_names'), 'elements-columns'),
        (lambda table: table.write_direct(np.zeros(table.shape, np.int32)), 'elements-ids'),
        (lambda table: table.__setitem__((2, 0), 9), 'elements-template'),
    ],
    ids=['names', 'ids', 'vertices'],
)
def test_rules_hold_for_their_table(folder, damage, rule):
    cohort(folder, MGH, range(3))
    assert build() == 0
    with h5py.File('x.h5', 'r+') as file:
        damage(file['vertices'])
    assert rule in {finding.rule.id for finding in validate(folder / 'x.h5')}


def test_later_images_are_added(folder):
    cohort(folder, MGH, range(8))
    assert build() == 0
    names = cohort(folder, MGH, range(8, COUNT), 'later.csv')
    assert main(['append', '--output', 'x.h5', '--cohort-file', 'later.csv']) == 0
    with h5py.File('x.h5') as file:
        np.testing.assert_array_equal(file['scalars/thickness/values'][()], VALUES)
        assert file['scalars/thickness/column_names'][-1].decode() == names[-1]


def test_slices_are_merged(folder):
    cohort(folder, MGH)
    assert build() == 0
    for first, end in ((0, 40), (40, N_ELEMENTS)):
        assert fit('--elements', f'{first}:{end}', '--analysis-name', f'lm_{first}') == 0
    merge = ['--input-hdf5', 'x.h5', '--analysis-name', 'lm_0', 'lm_40', '--merged-name', 'lm']
    assert main(['merge-results', *merge]) == 0


def test_a_changed_right_hemisphere_makes_the_file_again(folder):
    """The one that no cohort names."""
    names = cohort(folder, MGH)
    assert build() == 0
    before = identity()
    save_mgh(folder / names[0].replace('lh.', 'rh.'), np.ones(40, np.float32))
    assert build('--overwrite') == 0
    assert identity() != before


def test_freesurfers_files_without_ending(folder):
    names = []
    for n in range(COUNT):
        left = f'sub-{n:02d}/surf/lh.thickness.fsaverage'
        for name, values in zip(
            (left, left.replace('lh.', 'rh.')), whole(VALUES[n]).values(), strict=True
        ):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            nb.freesurfer.write_morph_data(folder / name, values)
        names.append(left)
    write_csv('cohort.csv', ['scalar_name', 'source_file'], [['thickness', name] for name in names])
    assert build() == 0
    with h5py.File('x.h5') as file:
        np.testing.assert_array_equal(file['scalars/thickness/values'][()], VALUES)


def test_own_surfaces_of_participants_are_refused_in_one_line(folder, capsys):
    for n in range(COUNT):
        for side in ('lh', 'rh'):
            path = folder / f'sub-{n:02d}/surf/{side}.thickness'
            path.parent.mkdir(parents=True) if side == 'lh' else None
            nb.freesurfer.write_morph_data(path, np.ones(1000 + n))
    rows = [['thickness', f'sub-{n:02d}/surf/lh.thickness'] for n in range(COUNT)]
    write_csv('cohort.csv', ['scalar_name', 'source_file'], rows)
    assert build() == 65
    (line,) = capsys.readouterr().err.splitlines()
    assert 'has 1,000 vertices, and the next images have 1,001, 1,002' in line
    assert 'mri_surf2surf' in line


def test_a_surface_itself_is_no_image(folder, capsys):
    nb.freesurfer.write_geometry(folder / 'lh.white', np.eye(3), np.array([[0, 1, 2]]))
    write_csv('cohort.csv', ['scalar_name', 'source_file'], [['x', 'lh.white']])
    assert build() == 65
    assert 'lh.white: holds no values of vertices' in capsys.readouterr().err


def test_both_hemispheres_in_one_file(folder):
    """As CAT12 merges them; every second with its data in a file beside it, as SPM writes them."""
    names = [f's12.mesh.thickness.resampled_32k.sub-{n:02d}.gii' for n in range(COUNT)]
    for n, name in enumerate(names):
        values = np.concatenate(list(whole(VALUES[n]).values()))
        save_gifti(folder / name, values)
        if n % 2:
            keep_data_beside(folder / name, values)
    rows = [['thickness', name, age] for name, age in zip(names, AGES, strict=True)]
    write_csv('cohort.csv', ['scalar_name', 'source_file', 'age'], rows)
    assert build() == 0
    with h5py.File('x.h5') as file:
        np.testing.assert_array_equal(file['scalars/thickness/values'][()], VALUES)
    assert fit('--export', 'maps') == 0
    slopes = np.polyfit(AGES, VALUES.astype(np.float64), 1)[0]
    for side, expected in whole(slopes).items():
        shown = load(folder / f'maps/lm_age.estimate_hemi-{side}.shape.gii')
        np.testing.assert_allclose(shown, expected, rtol=1e-4, atol=1e-7)


def keep_data_beside(path, values):
    beside = path.with_suffix('.dat')
    values.tofile(beside)
    text = path.read_text()
    text = re.sub(r'Encoding="\w+"', 'Encoding="ExternalFileBinary"', text)
    text = re.sub(r'ExternalFileName="" ?', f'ExternalFileName="{beside.name}" ', text)
    path.write_text(re.sub('<Data>.*</Data>', '<Data></Data>', text, flags=re.DOTALL))


def test_a_map_that_a_stack_lacks(folder, capsys):
    for side, values in whole(VALUES[0]).items():
        name = f'{side.lower()}h.thickness.stack.mgh'
        save_mgh(folder / name, np.stack([values, values], axis=1))
    rows = [['x', 'lh.thickness.stack.mgh', str(number)] for number in (0, 2)]
    write_csv('cohort.csv', ['scalar_name', 'source_file', 'source_volume'], rows)
    assert build() == 65
    assert 'has 2 maps, and no map 2. Count maps from 0' in capsys.readouterr().err


def test_an_output_may_not_replace_the_right_hemisphere(folder, capsys):
    names = cohort(folder, MGH)
    right = names[0].replace('lh.', 'rh.')
    assert (
        main(['to-modelarray', '--cohort-file', 'cohort.csv', '--output', right, '--overwrite'])
        == 64
    )
    assert right in capsys.readouterr().err
