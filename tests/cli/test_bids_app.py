"""``modelarrayio-bids`` as its user meets it, from derivatives to HDF5 and from results to maps."""

import csv
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys

import h5py
import nibabel as nb
import numpy as np
import pytest
import trees
from held import Held
from stores import write_results
from tools import require_tool

from modelarrayio_bids.cli.bids_app import main

SCALARS = ['cbf', 'cbf_score', 'cbf_scrub', 'dki_fa', 'dki_mk', 'tensor_fa']
CBF = 'cbf/space-MNI152NLin2009cAsym'


@pytest.fixture(scope='module')
def study(tmp_path_factory):
    return trees.write_study(tmp_path_factory.mktemp('study') / 'study', trees.people(5))


@pytest.fixture(scope='module')
def outputs(study):
    """What a plain run of the group level leaves, to be read only."""
    output = study.parent / 'out'
    assert main([str(study), str(output), 'group', '--nprocs', '2']) == 0
    return output


def rows(path):
    with open(path, newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))


def said(capsys):
    """The one line a failed run said."""
    lines = [line for line in capsys.readouterr().err.splitlines() if ': error: ' in line]
    assert len(lines) == 1
    return lines[0]


def test_every_scalar_becomes_a_file_of_its_own(outputs):
    stores = sorted(outputs.rglob('*_modelarray.h5'))
    assert [path.parent.name for path in stores] == SCALARS
    for store in stores:
        stem = store.name.removesuffix('_modelarray.h5')
        for ending in ('cohort.csv', 'desc-group_mask.nii.gz', 'coverage.nii.gz'):
            assert (store.parent / f'{stem}_{ending}').is_file()
        for ending in ('cohort', 'desc-group_mask', 'coverage', 'modelarray'):
            json.loads((store.parent / f'{stem}_{ending}.json').read_text('utf-8'))
    assert {path.name for path in outputs.iterdir()} == {
        *SCALARS,
        'code',
        'figures',
        'logs',
        'report.html',
        'dataset_description.json',
        '.bidsignore',
    }


def test_the_official_validator_finds_no_error(outputs):
    validator = require_tool('bids-validator-deno')
    command = [validator, '--format', 'json', str(outputs)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    issues = json.loads(done.stdout)['issues']['issues']
    assert [issue for issue in issues if issue['severity'] == 'error'] == []


def test_the_matrix_holds_the_maps_of_the_cohort(outputs):
    table = rows(outputs / f'{CBF}_cohort.csv')
    group = nb.load(outputs / f'{CBF}_desc-group_mask.nii.gz').get_fdata() > 0
    with h5py.File(outputs / f'{CBF}_modelarray.h5') as file:
        values = file['scalars/cbf/values'][()]
        names = file['scalars/cbf/column_names'].asstr()[()].tolist()
    assert names == [row['source_file'] for row in table]
    for row, stored in zip(table, values, strict=True):
        data = nb.load(row['source_file']).get_fdata(dtype=np.float32)
        inside = nb.load(row['source_mask_file']).get_fdata() > 0
        np.testing.assert_array_equal(stored, np.where(inside, data, np.nan)[group])


def test_cohorts_serve_r_and_the_file_command(outputs, tmp_path):
    table = rows(outputs / f'{CBF}_cohort.csv')
    assert list(table[0]) == [
        'scalar_name',
        'source_file',
        'source_mask_file',
        'mask_source',
        'participant_id',
        'age',
        'sex',
        'site',
    ]
    assert {row['mask_source'] for row in table} == {'same-dataset'}
    assert [row['age'] == '' for row in table].count(True) == 1  # the n/a of participants.tsv
    from modelarrayio_bids.cli.files import main as files

    again = tmp_path / 'again.h5'
    mask = f'{outputs / CBF}_desc-group_mask.nii.gz'
    arguments = ['--mask', mask, '--cohort-file', f'{outputs / CBF}_cohort.csv']
    assert files(['to-modelarray', *arguments, '--output', str(again)]) == 0
    with h5py.File(again) as one, h5py.File(outputs / f'{CBF}_modelarray.h5') as other:
        np.testing.assert_array_equal(
            one['scalars/cbf/values'][()], other['scalars/cbf/values'][()]
        )


def test_coverage_counts_the_masks(outputs):
    masks = [
        nb.load(row['source_mask_file']).get_fdata() > 0
        for row in rows(outputs / f'{CBF}_cohort.csv')
    ]
    coverage = nb.load(outputs / f'{CBF}_coverage.nii.gz')
    np.testing.assert_array_equal(coverage.get_fdata(), np.sum(masks, axis=0))
    group = nb.load(outputs / f'{CBF}_desc-group_mask.nii.gz').get_fdata() > 0
    # A fifth of five masks: one is enough.
    np.testing.assert_array_equal(group, np.any(masks, axis=0))


def test_the_threshold_is_a_fraction_of_the_subjects(study, tmp_path):
    output = tmp_path / 'out'
    arguments = ['--no-report', '--scalars', 'cbf', '--group-mask-threshold', '1']
    assert main([str(study), str(output), 'group', *arguments]) == 0
    coverage = nb.load(output / f'{CBF}_coverage.nii.gz').get_fdata()
    group = nb.load(output / f'{CBF}_desc-group_mask.nii.gz').get_fdata() > 0
    np.testing.assert_array_equal(group, coverage == 5)
    with h5py.File(output / f'{CBF}_modelarray.h5') as file:
        assert not np.isnan(file['scalars/cbf/values'][()]).any()


def test_a_given_mask_is_the_group_mask(study, tmp_path, outputs):
    given = f'{outputs / CBF}_desc-group_mask.nii.gz'
    output = tmp_path / 'out'
    arguments = ['--no-report', '--scalars', 'cbf', '--mask', given]
    assert main([str(study), str(output), 'group', *arguments]) == 0
    assert {row['mask_source'] for row in rows(output / f'{CBF}_cohort.csv')} == {'given'}
    np.testing.assert_array_equal(
        nb.load(output / f'{CBF}_desc-group_mask.nii.gz').get_fdata(), nb.load(given).get_fdata()
    )


def test_listing_builds_nothing(study, tmp_path, capsys):
    assert main([str(study), str(tmp_path / 'out'), 'group', '--list-scalars']) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1 : len(SCALARS) + 1]] == SCALARS
    assert 'same-dataset (5)' in lines[1]
    assert 'Left out:' in lines
    assert not (tmp_path / 'out').exists()


def test_a_dry_run_checks_and_writes_nothing(study, tmp_path, capsys):
    index = ['--bids-database-dir', str(tmp_path / 'index')]
    assert main([str(study), str(tmp_path / 'out'), 'group', '--dry-run', *index]) == 0
    assert f'{len(SCALARS)} HDF5 files would be written' in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_participants_sessions_and_filters_choose(study, tmp_path):
    filters = tmp_path / 'filters.json'
    filters.write_text('{"scalar": {"desc": null}}')
    chosen = ['--participant-label', 'sub-01', '03', '--bids-filter-file', str(filters)]
    chosen += ['--no-report', '--scalars', 'cbf*']
    output = tmp_path / 'out'
    assert main([str(study), str(output), 'group', *chosen]) == 0
    assert [row['participant_id'] for row in rows(output / f'{CBF}_cohort.csv')] == [
        'sub-01',
        'sub-03',
    ]
    assert sorted(path.parent.name for path in output.rglob('*.h5')) == ['cbf']


def test_it_says_what_it_made_and_what_to_do_next(study, tmp_path, capsys):
    arguments = ['--no-report', '--scalars', 'cbf']
    assert main([str(study), str(tmp_path / 'out'), 'group', *arguments]) == 0
    words = capsys.readouterr().out
    script = tmp_path / 'out' / 'code' / 'fit_cbf_space-MNI152NLin2009cAsym.R'
    export = f'modelarrayio-bids {study} {tmp_path / "out"} export'
    for part in ('1 HDF5 file in', 'Left out', f'Rscript {script}', export):
        assert part in words
    assert script.is_file()
    (log,) = (tmp_path / 'out' / 'logs').glob('*.log')
    assert 'Wrote' in log.read_text()


def test_a_work_folder_of_ones_own_is_kept(study, tmp_path):
    arguments = ['--scalars', 'cbf', '--no-report', '-w', str(tmp_path / 'work')]
    assert main([str(study), str(tmp_path / 'out'), 'group', *arguments]) == 0
    assert (tmp_path / 'work' / 'modelarray_wf').is_dir()
    # Run again over what it made: Nipype's cache does not stand in for making it.
    before = (tmp_path / 'out' / f'{CBF}_modelarray.h5').stat().st_mtime_ns
    assert main([str(study), str(tmp_path / 'out'), 'group', *arguments, '--overwrite']) == 0
    assert (tmp_path / 'out' / f'{CBF}_modelarray.h5').stat().st_mtime_ns > before


def test_every_analysis_is_exported(study, tmp_path, capsys):
    output, chosen = tmp_path / 'out', ['--no-report', '--scalars', 'cbf']
    assert main([str(study), str(output), 'group', *chosen, 'gm_probseg']) == 0
    stores = sorted(output.rglob('*.h5'))
    for store in stores:
        with h5py.File(store) as file:
            n = file['voxels'].shape[1]
        for analysis in ('mylm', 'mygam'):
            names = ['element_id', 'age.p.value']
            write_results(store, analysis, names, np.stack([np.arange(n), np.full(n, 0.25)], 1))
    assert main([str(study), str(output), 'export', '--no-report']) == 0
    stems = {
        f'{stem}_node-{analysis}'
        for stem in (CBF, 'gm_probseg/space-MNI152NLin2009cAsym_res-2')
        for analysis in ('mylm', 'mygam')
    }
    for stem in stems:
        name = f'{stem.split("/")[1]}_contrast-age_stat-1mp_statmap.nii.gz'
        data = nb.load(output / stem / name).get_fdata()
        assert set(np.unique(data)) == {0, 0.75}
    assert 'Exported 4 analyses' in capsys.readouterr().out
    assert main([str(study), str(output), 'export', *chosen]) == 0
    assert 'Exported 2 analyses' in capsys.readouterr().out
    assert main([str(study), str(output), 'export', '--scalars', 'cbv']) == 18
    assert 'holds no scalar cbv. Scalars it holds: cbf, gm_probseg.' in said(capsys)
    # What R wrote is not lost to a second run of the group level, nor is what belongs to it.
    before = {path: path.read_bytes() for path in (output / 'cbf').rglob('*') if path.is_file()}
    again = [*chosen, '--participant-label', '01', '02']
    assert main([str(study), str(output), 'group', *again]) == 73
    assert (
        'holds results that would be lost: mygam, mylm. Give another OUTPUT_DIR, or replace the '
        'file with --overwrite.'
    ) in said(capsys)
    after = {path: path.read_bytes() for path in (output / 'cbf').rglob('*') if path.is_file()}
    assert after == before
    assert main([str(study), str(output), 'group', *chosen, '--overwrite']) == 0


@pytest.mark.parametrize(
    ('formula', 'code', 'says'),
    [
        ('~ age +', 64, 'the formula is incomplete'),
        ('~ age + (age | sub) + (age | site)', 64, 'which is not fitted here'),
        ('~ age + iq', 0, ''),
    ],
)
def test_a_formula_is_judged_before_anything_is_built(study, tmp_path, capsys, formula, code, says):
    output = tmp_path / 'out'
    run = [str(study), str(output), 'group', 'model', '--scalars', 'cbf', '--formula', formula]
    if code:
        assert main(run) == code
        assert says in said(capsys)
        assert not list(tmp_path.rglob('*.h5'))
    else:
        assert main([*run, '--dry-run']) == 64
        assert 'there is no column iq. Columns of phenotypes: age' in said(capsys)


def test_only_the_named_analysis_is_exported(study, tmp_path, outputs, capsys):
    output = tmp_path / 'out'
    assert main([str(study), str(output), 'group', '--scalars', 'cbf', '--no-report']) == 0
    store = output / f'{CBF}_modelarray.h5'
    with h5py.File(store) as file:
        n = file['voxels'].shape[1]
    for analysis in ('one', 'two'):
        write_results(store, analysis, ['x'], np.zeros((n, 1)))
    arguments = ['--analysis-name', 'one', '--no-compress', '--no-report']
    assert main([str(study), str(output), 'export', *arguments]) == 0
    folder = output / f'{CBF}_node-one'
    assert [path.name for path in folder.glob('*.nii')] == [f'{folder.name}_stat-x_statmap.nii']
    assert not (output / f'{CBF}_node-two').exists()
    assert main([str(study), str(output), 'export', '--analysis-name', 'three']) == 66
    assert 'holds no analysis three. Analyses it holds: one, two.' in said(capsys)


def test_an_output_must_not_be_an_input(tmp_path, capsys):
    study = trees.write_study(tmp_path / 'study', trees.people(2))
    dataset = study / 'derivatives' / 'aslprep'
    before = (dataset / 'dataset_description.json').read_bytes()
    for arguments in ([str(study), str(dataset)], [str(study), str(study / 'derivatives')]):
        assert main([*arguments, 'group', '--scalars', 'cbf']) == 64
        assert 'which is read' in said(capsys)
    assert (dataset / 'dataset_description.json').read_bytes() == before


def test_datasets_may_be_named_by_relative_paths(tmp_path, monkeypatch):
    trees.write_study(tmp_path / 'study', trees.people(2))
    monkeypatch.chdir(tmp_path)
    arguments = ['-d', 'asl=study/derivatives/aslprep', '--scalars', 'cbf']
    assert main(['study', 'out', 'group', *arguments]) == 0
    assert (tmp_path / 'out' / f'{CBF}_modelarray.h5').is_file()


def test_datasets_named_one_by_one_all_count(tmp_path, capsys):
    # Other BIDS Apps keep the last -d alone, and cut a path at its last "=".
    study = trees.write_study(tmp_path / 'study', trees.people(2))
    moved = (study / 'derivatives' / 'aslprep').rename(tmp_path / 'run=1')
    arguments = ['-d', f'asl={moved}', '-d', f'anat={study / "derivatives" / "fmriprep"}']
    assert main([str(study), str(tmp_path / 'out'), 'group', '--list-scalars', *arguments]) == 0
    listed = capsys.readouterr().out
    assert f'{CBF.partition("/")[0]} ' in listed
    assert ' anat' in listed
    assert ' asl' in listed


def test_nothing_to_export(study, outputs, tmp_path, capsys):
    assert main([str(study), str(outputs), 'export']) == 66
    script = outputs / 'code' / 'fit_*.R'
    in_r = f'for script in {script}; do Rscript "$script" || break; done'
    first = "Fit a model first: model --formula '~ ...'; or with ModelArray in R"
    assert f'holds no analysis at all. {first}: {in_r}' in said(capsys)
    assert main([str(study), str(tmp_path), 'export']) == 66
    assert 'Run the group level first' in said(capsys)


@pytest.mark.parametrize(
    ('arguments', 'code', 'says'),
    [
        (['study', 'out', 'participant'], 17, 'no analysis level \'participant\'. Use "group"'),
        (['nowhere', 'out', 'group'], 66, 'nowhere: no such folder'),
        (['group', 'study', 'out'], 17, 'Write modelarrayio-bids BIDS_DIR OUTPUT_DIR {group,'),
        (['study', 'group', 'out'], 17, 'the arguments are in another order'),
        (['out', 'study', 'group'], 66, 'study looks like one: the order is BIDS_DIR OUTPUT_DIR'),
        (['study', 'out', 'group', '--participant-label', '1'], 18, 'Do you mean 01?'),
        (['study', 'out', 'group', '--session-label', '3'], 18, 'leave out --session-label'),
        (['study', 'study', 'group'], 64, 'holds the BIDS dataset itself'),
        (['study', 'out', 'group', '-w', 'study/work'], 64, 'work folder inside the BIDS dataset'),
        (['study', 'out', 'group', '--mask', 'none.nii.gz'], 66, 'none.nii.gz: no such file'),
        (['study', 'out', 'group', '-d', 'x=nowhere'], 66, 'nowhere: no such'),
        (['study', 'out', 'group', '--scalars', 'nothing'], 18, 'nothing'),
        (['study', 'out', 'group', '--participant-label', '99'], 18, 'the participants 99'),
        (['study', 'out', 'group', '--bids-filter-file', 'none.json'], 66, 'none.json: no such'),
        (['study', 'out', 'group', '--group-mask-threshold', '2'], 64, 'is not a fraction'),
        (['study', 'study/participants.tsv/out', 'group'], 73, 'cannot be created'),
        (['study/derivatives/raw', 'out', 'group'], 16, 'raw'),
    ],
)
def test_bad_calls(study, tmp_path, monkeypatch, capsys, arguments, code, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'study').symlink_to(study)
    raw = tmp_path / 'raw'
    raw.mkdir()
    description = {'Name': 'raw', 'BIDSVersion': '1.9.0', 'DatasetType': 'raw'}
    (raw / 'dataset_description.json').write_text(json.dumps(description))
    arguments = [word.replace('study/derivatives/raw', 'raw') for word in arguments]
    assert main(arguments) == code
    assert says in said(capsys)
    assert [path.name for path in tmp_path.glob('out/*')] in ([], ['logs'])


def test_all_bad_images_are_told_at_once_and_nothing_is_built(tmp_path, capsys):
    study = trees.write_study(tmp_path / 'study', trees.people(3))
    perf = study / 'derivatives' / 'aslprep'
    cut, moved = sorted(perf.rglob('sub-0[12]_space-MNI*Asym_cbf.nii.gz'))
    cut.write_bytes(cut.read_bytes()[:500])
    image = nb.load(moved)
    affine = image.affine + np.eye(4)[:, [3]] * [0, 0, 0, 1]
    affine[0, 3] += 4
    nb.save(nb.Nifti1Image(image.get_fdata(dtype=np.float32), affine), moved)
    assert main([str(study), str(tmp_path / 'out'), 'group']) == 65
    words = capsys.readouterr().err
    assert '2 problems, nothing was written' in words
    assert f'{cut}: is truncated' in words
    assert f'{moved}: has the expected shape' in words
    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['logs']
    assert not list((tmp_path / 'out' / 'logs').glob('crash*'))


def test_a_run_that_fails_leaves_an_earlier_cohort_with_its_file(tmp_path, capsys):
    root = trees.describe(tmp_path / 'study')
    aslprep = trees.write_aslprep(root / 'derivatives' / 'aslprep', trees.people(4))
    arguments = [str(root), str(tmp_path / 'out'), 'group', '--scalars', 'cbf', '--no-report']
    assert main([*arguments, '--exclude-participant-label', '04']) == 0
    (table,) = tmp_path.glob('out/cbf/*_cohort.csv')
    before = table.read_bytes()
    image = aslprep / 'sub-04' / 'perf' / f'sub-04_space-{trees.SPACE}_cbf.nii.gz'
    content = bytearray(image.read_bytes())
    content[len(content) // 2] ^= 255
    image.write_bytes(content)
    assert main(arguments) == 65
    assert 'sub-04' in capsys.readouterr().err
    assert table.read_bytes() == before
    shutil.rmtree(aslprep / 'sub-04')
    assert main(arguments) == 0
    assert table.read_bytes() == before


def test_an_interrupt_leaves_no_half_file(tmp_path):
    study = trees.write_study(tmp_path / 'study', trees.people(4))
    output = tmp_path / 'out'
    command = [sys.executable, '-m', 'modelarrayio_bids.cli.bids_app', study, output, 'group']
    command += ['--scalars', 'cbf', 'dki_fa']
    options = {'stderr': subprocess.PIPE, 'start_new_session': True, 'text': True}
    with Held(command, 'os.rename', r'\.h5 ', 2, **options) as process:
        assert process.stands()
        assert len(list(output.rglob('*.h5'))) == 2
        # As a terminal does: to every process of the run.
        os.killpg(process.pid, signal.SIGINT)
        process.let_go()
        process.communicate()
    assert process.returncode == 130
    stores = list(output.rglob('*.h5'))
    assert len(stores) == 1
    for store in stores:
        with h5py.File(store) as file:
            assert 'created' in file['modelarrayio'].attrs
    assert not list(output.rglob('.unfinished-*'))


def test_a_folder_for_pybids_databases_is_accepted_and_stays_empty(study, tmp_path, capsys):
    arguments = [str(study), str(tmp_path / 'out'), 'group', '--list-scalars']
    assert main(arguments) == 0
    plain = capsys.readouterr().out
    assert main([*arguments, '--bids-database-dir', str(tmp_path / 'kept')]) == 0
    assert capsys.readouterr().out == plain
    assert not (tmp_path / 'kept').exists()


def test_a_work_folder_that_another_run_is_using(study, tmp_path, capsys):
    work = tmp_path / 'work'
    work.mkdir()
    with open(work / '.lock', 'w') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        ended = main([str(study), str(tmp_path / 'out'), 'group', '-w', str(work)])
    assert ended == 64
    assert 'is the work folder of a run that has not ended' in capsys.readouterr().err
