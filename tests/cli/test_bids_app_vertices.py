"""``modelarrayio-bids`` on surface data: fMRIPrep's GIFTI pairs and FreeSurfer's own folder."""

import csv
import json

import h5py
import nibabel as nb
import numpy as np
import pytest
import trees

from modelarrayio_bids.cli.bids_app import main

PERSONS = trees.people(8)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trees.write_participants(tmp_path, PERSONS)
    return tmp_path


def run(*arguments):
    return main([*arguments, '--no-report'])


def listed(capsys, *arguments):
    assert main([*arguments, 'group', '--list-scalars', '--json']) == 0
    return json.loads(capsys.readouterr().out)['scalars']


def matrix(store, scalar):
    with h5py.File(store) as file:
        return file[f'scalars/{scalar}/values'][()]


def expected(name):
    """Values of everybody's cortex, left then right."""
    return np.array(
        [
            np.concatenate([values[trees.CORTEX[side]] for side, values in both.items()])
            for both in (trees.vertex_values(person, name) for person in PERSONS)
        ]
    )


def test_pairs_of_bids_there_and_back(folder, capsys):
    trees.write_surface_data(folder / 'fmriprep', PERSONS)
    (found,) = listed(capsys, 'fmriprep', 'out')
    assert (found['scalar'], found['kind'], found['space']) == (
        *('thickness', 'vertices', 'fsaverage3'),
    )
    assert len(found['images']) == len(PERSONS)
    assert run('fmriprep', 'out', 'group', '--phenotypes', 'participants.tsv') == 0
    stem = folder / 'out/thickness/space-fsaverage3_desc-vertices'
    store = f'{stem}_modelarray.h5'
    np.testing.assert_array_equal(matrix(store, 'thickness'), expected('thickness'))
    with open(f'{stem}_cohort.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    # Neither hemisphere is told by a column.
    assert list(rows[0]) == [
        *('scalar_name', 'source_file', 'participant_id', 'age', 'sex', 'site'),
    ]
    assert all('_hemi-L_' in row['source_file'] for row in rows)
    sources = json.loads((folder / f'{stem}_modelarray.json').read_text())['Sources']
    assert sum('_hemi-R_' in uri for uri in sources) == len(PERSONS)
    fit = ['model', '--formula', '~ age', '--num-subj-lthr-abs', '1']
    assert run('fmriprep', 'out', *fit) == 0
    assert run('fmriprep', 'out', 'export') == 0
    # Of a small study, too, the report finds the model again.
    assert main(['fmriprep', 'out', 'export', '--reports-only']) == 0
    page = (folder / 'out' / 'report.html').read_text('utf-8')
    assert 'Columns of the design (TSV)' in page
    maps = folder / 'out/thickness/space-fsaverage3_desc-vertices_node-lm'
    for side, inside in trees.CORTEX.items():
        name = f'hemi-{side}_space-fsaverage3_node-lm_contrast-age_stat-effect_statmap'
        image = nb.load(maps / f'{name}.shape.gii')
        assert image.agg_data().shape == (trees.N_VERTICES,)
        np.testing.assert_array_equal(image.agg_data() != 0, inside)
        assert (maps / f'{name}.json').exists()


def test_freesurfers_folder_is_recognised(folder, capsys):
    trees.write_subjects_dir(folder / 'freesurfer', PERSONS)
    scalars = listed(capsys, 'freesurfer', 'out')
    assert [found['scalar'] for found in scalars] == ['area_fwhm10', 'thickness_fwhm10']
    ask = ['group', '--phenotypes', 'participants.tsv', '--scalars', 'sulc_fwhm10']
    assert run('freesurfer', 'out', *ask) == 0
    store = folder / 'out/sulc_fwhm10/space-fsaverage_desc-vertices_modelarray.h5'
    np.testing.assert_array_equal(matrix(store, 'sulc_fwhm10'), expected('sulc'))


@pytest.mark.parametrize('hemisphere', ['{hemi}', 'lh'])
def test_a_pattern_names_pairs(folder, hemisphere):
    trees.write_subjects_dir(folder / 'study', PERSONS)
    pattern = f'area=sub-{{participant}}/surf/{hemisphere}.area.fwhm10.fsaverage.mgh'
    options = ['--images', pattern, '--images-space', 'fsaverage']
    assert run('study', 'out', 'group', '--phenotypes', 'participants.tsv', *options) == 0
    store = folder / 'out/area/space-fsaverage_desc-vertices_modelarray.h5'
    np.testing.assert_array_equal(matrix(store, 'area'), expected('area'))


def test_a_missing_hemisphere_is_told_before_anything_is_read(folder, capsys):
    trees.write_surface_data(folder / 'fmriprep', PERSONS)
    for label, side in (('03', 'R'), ('05', 'L')):
        name = f'sub-{label}_hemi-{side}_space-fsaverage3_thickness.shape.gii'
        (folder / 'fmriprep' / f'sub-{label}' / 'anat' / name).unlink()
    assert run('fmriprep', 'out', 'group') != 0
    said = capsys.readouterr().err
    assert 'the right hemisphere of sub-03_hemi-L_space-fsaverage3_thickness.shape.gii' in said
    assert 'the left hemisphere of sub-05_hemi-R_space-fsaverage3_thickness.shape.gii' in said
    assert not list(folder.glob('out/**/*.h5'))


def test_an_unknown_layout_is_suggested_once_a_pair(folder, capsys):
    trees.write_subjects_dir(folder / 'study', PERSONS)
    for path in (folder / 'study').glob('*/surf/*.fwhm10.*'):
        path.rename(path.with_name(path.name.replace('.fwhm10', '.sm10')))
    assert run('study', 'out', 'group') != 0
    said = capsys.readouterr().err
    if '--images' in said:
        assert '/surf/lh.' in said
        assert '/surf/rh.' not in said
