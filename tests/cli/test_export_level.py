"""The export level: statistical maps named by BIDS, in a dataset that stays one."""

import json
import shutil
import subprocess

import h5py
import nibabel as nb
import numpy as np
import pytest
import trees
from stores import write_results
from tools import require_tool

from modelarrayio_bids.cli.bids_app import main

CBF = f'space-{trees.SPACE}'
NODE = f'{CBF}_node-mylm'
NAMES = ['element_id', 'age:sexM.estimate', 'age:sexM.p.value', 'model.nobs']
IMAGES = [
    f'{NODE}_{entities}_statmap.nii.gz'
    for entities in (
        'stat-elementId',
        'contrast-ageXSexM_stat-effect',
        'contrast-ageXSexM_stat-p',
        'contrast-ageXSexM_stat-1mp',
        'stat-nobs',
    )
]


@pytest.fixture(scope='module')
def study(tmp_path_factory):
    return trees.write_demo(tmp_path_factory.mktemp('export') / 'study', trees.people(3))


@pytest.fixture(scope='module')
def built(study):
    """What the group level leaves for one scalar of voxels, and for fixels and greyordinates."""
    output = study.parent / 'built'
    scalars = ['--no-report', '--scalars', 'cbf', 'fd', 'thickness']
    assert main([str(study), str(output), 'group', *scalars]) == 0
    return output


@pytest.fixture
def output(built, tmp_path):
    return shutil.copytree(built, tmp_path / 'out')


def store_of(output, scalar='cbf'):
    (store,) = (output / scalar).glob('*_modelarray.h5')
    return store


def analyse(store, analysis, names, value=0.25):
    """Results as if R had made them."""
    with h5py.File(store) as file:
        n = next(iter(file['scalars'].values()))['values'].shape[1]
    matrix = np.full((n, len(names)), value)
    if 'element_id' in names:
        matrix[:, names.index('element_id')] = np.arange(n)
    write_results(store, analysis, names, matrix)


def files_of(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob('*.*')}


def said(capsys):
    (line,) = (line for line in capsys.readouterr().err.splitlines() if ': error: ' in line)
    return line


def errors_of_the_validator(folder):
    validator = require_tool('bids-validator-deno')
    command = [validator, '--format', 'json', str(folder)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    issues = json.loads(done.stdout)['issues']['issues']
    return [issue for issue in issues if issue['severity'] == 'error']


def test_group_and_export_leave_a_dataset_that_is_valid(study, output):
    for store in output.rglob('*.h5'):
        analyse(store, 'mylm', NAMES)
    assert main([str(study), str(output), 'export', '--log-p']) == 0
    assert len(list(output.rglob('*_statmap.json'))) == 3 * (len(IMAGES) + 1)
    assert errors_of_the_validator(output) == []
    # The next run of the group level takes no result for a scalar.
    again = ['--scalars', 'cbf', '--overwrite', '--no-report']
    assert main([str(study), str(output), 'group', *again]) == 0
    assert errors_of_the_validator(output) == []


def test_maps_and_sidecars_of_a_scalar(study, output):
    analyse(store_of(output), 'mylm', NAMES)
    assert main([str(study), str(output), 'export', '--no-report']) == 0
    folder = output / 'cbf' / NODE
    assert {path.name for path in folder.iterdir()} == {
        name for image in IMAGES for name in (image, image.replace('.nii.gz', '.json'))
    }
    found = json.loads((folder / f'{NODE}_contrast-ageXSexM_stat-effect_statmap.json').read_text())
    of_store = json.loads(store_of(output).with_suffix('.json').read_text('utf-8'))
    del found['GeneratedBy']
    assert found == {
        'Description': 'Estimate of age:sexM, in the analysis mylm.',
        'Analysis': 'mylm',
        'Result': 'age:sexM.estimate',
        'Term': 'age:sexM',
        'Statistic': 'estimate',
        'Scalar': 'cbf',
        'ScalarLongName': of_store['LongName'],
        'ScalarUnits': of_store['Units'],
        'Elements': 'voxels',
        'Sources': [f'bids::cbf/{CBF}_modelarray.h5'],
    }


def test_results_and_a_folder_alone_become_a_dataset(study, output, tmp_path):
    other = tmp_path / 'other'
    (other / 'mine').mkdir(parents=True)
    store = other / 'mine' / 'space-x_modelarray.h5'
    store.write_bytes(store_of(output).read_bytes())
    analyse(store, 'mylm', NAMES)
    assert main([str(study), str(other), 'export']) == 0
    assert json.loads((other / 'dataset_description.json').read_text())['DatasetType'] == (
        'derivative'
    )
    assert errors_of_the_validator(other) == []


def test_a_dry_run_lists_the_files(study, output, capsys):
    analyse(store_of(output), 'mylm', NAMES)
    before = files_of(output)
    assert main([str(study), str(output), 'export', '--dry-run']) == 0
    lines = capsys.readouterr().out.splitlines()
    at = lines.index(f'mylm of {store_of(output)} would be written to {output / "cbf" / NODE}:')
    assert lines[at + 1 :] == [f'  {image}' for image in IMAGES]
    assert files_of(output) == before


def test_exporting_again_replaces_its_files_and_leaves_others(study, output):
    analyse(store_of(output), 'mylm', ['age.estimate'], value=1)
    assert main([str(study), str(output), 'export', '--no-report', '--outside', 'nan']) == 0
    folder = output / 'cbf' / NODE
    image = folder / f'{NODE}_contrast-age_stat-effect_statmap.nii.gz'
    assert set(np.unique(nb.load(image).get_fdata())[:1]) == {1}
    (folder / 'notes.txt').write_text('mine')
    with h5py.File(store_of(output), 'a') as file:
        del file['results/mylm']
    analyse(store_of(output), 'mylm', ['age.estimate'], value=2)
    assert main([str(study), str(output), 'export', '--no-report', '--outside', 'nan']) == 0
    assert set(np.unique(nb.load(image).get_fdata())[:1]) == {2}
    assert (folder / 'notes.txt').read_text() == 'mine'


def test_terms_that_would_collide_leave_everything_as_it_was(study, output, capsys):
    analyse(store_of(output), 'mylm', NAMES)
    analyse(store_of(output, 'thickness'), 'bad', ['age_c.estimate', 'ageC.estimate'])
    before = files_of(output)
    assert main([str(study), str(output), 'export']) == 65
    line = said(capsys)
    assert "results 'age_c.estimate' and 'ageC.estimate' of bad would both be written to" in line
    assert str(store_of(output, 'thickness')) in line
    assert files_of(output) == before


@pytest.mark.parametrize('chosen', [[], ['--analysis-name', 'my_lm']])
def test_analyses_that_would_collide_leave_everything_as_it_was(study, output, capsys, chosen):
    for analysis in ('my_lm', 'my.lm', 'other'):
        analyse(store_of(output), analysis, NAMES)
    before = files_of(output)
    assert main([str(study), str(output), 'export', *chosen]) == 65
    line = said(capsys)
    assert "'my_lm'" in line
    assert "'my.lm'" in line
    assert files_of(output) == before
    chosen = ['--no-report', '--analysis-name', 'other']
    assert main([str(study), str(output), 'export', *chosen]) == 0


def test_what_a_killed_run_left_stops_this_one_before_it_begins(study, output, capsys):
    analyse(store_of(output), 'mylm', NAMES)
    write_results(store_of(output, 'fd'), 'killed', ['x'], np.zeros((3, 1)), where=None)
    before = files_of(output)
    assert main([str(study), str(output), 'export']) == 65
    assert 'analysis killed has results without names' in said(capsys)
    assert files_of(output) == before


def test_maps_whose_analysis_the_file_has_lost_are_named(study, output, capfd):
    store = store_of(output)
    analyse(store, 'mylm', ['age.estimate'])
    analyse(store, 'other', ['age.estimate'])
    arguments = [str(study), str(output), 'export', '--no-report']
    assert main(arguments) == 0
    assert 'no longer have' not in capfd.readouterr().err
    with h5py.File(store, 'a') as file:
        del file['results/other']
    assert main(arguments) == 0
    err = capfd.readouterr().err
    assert err.count('maps of analyses that their HDF5 files no longer have') == 1
    assert f'{output}/cbf/{CBF}_node-other. Remove these folders' in err
    assert 'node-mylm. Remove' not in err
