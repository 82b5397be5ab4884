"""``modelarrayio append`` to a file of the group level: what is beside it follows."""

import csv
import json
import os
import shutil

import h5py
import nibabel as nb
import numpy as np
import pytest
import trees
from folders import bytes_of

from modelarrayio_bids.cli import files
from modelarrayio_bids.cli.bids_app import main

STEM = f'space-{trees.SPACE}'
SCALAR = ['--scalars', 'cbf']


@pytest.fixture
def study(tmp_path):
    return trees.write_asl_study(tmp_path / 'study', trees.people(6))


@pytest.fixture
def output(study, tmp_path):
    """The group level of the first four."""
    first = ['--participant-label', '01', '02', '03', '04']
    assert main([str(study), str(tmp_path / 'out'), 'group', *SCALAR, *first, '--no-report']) == 0
    return tmp_path / 'out'


def image_of(study, label):
    perf = study / 'derivatives' / 'aslprep' / f'sub-{label}' / 'perf'
    return perf / f'sub-{label}_{STEM}_cbf.nii.gz'


def new(study, path, header, *rows):
    """A cohort of images by their labels, their paths relative to it, and further cells."""
    path.parent.mkdir(exist_ok=True)
    with open(path, 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(['scalar_name', 'source_file', 'source_mask_file', *header])
        for label, *cells in rows:
            image = os.path.relpath(image_of(study, label), path.parent)
            mask = image.replace('_cbf.', '_desc-brain_mask.')
            writer.writerow(['cbf', image, mask, *cells])
    return path


def append(output, cohort):
    store = output / 'cbf' / f'{STEM}_modelarray.h5'
    return files.main(['append', '--cohort-file', str(cohort), '--output', str(store)])


def table(output):
    with open(output / 'cbf' / f'{STEM}_cohort.csv', newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))


def test_columns_that_one_cohort_lacks_are_blank(study, output, tmp_path):
    header = ['participant_id', 'age', 'wave']
    cohort = new(study, tmp_path / 'new.csv', header, ['05', 'sub-05', '30', '2'])
    assert append(output, cohort) == 0
    *old, last = table(output)
    assert (last['participant_id'], last['age'], last['sex'], last['wave']) == (
        *('sub-05', '30', '', '2'),
    )
    assert {row['wave'] for row in old} == {''}
    # The others' paths are in full, and so is this one's: R and to-modelarray find it anywhere.
    assert last['source_file'] == str(image_of(study, '05'))
    assert last['source_mask_file'].startswith('/')
    with h5py.File(output / 'cbf' / f'{STEM}_modelarray.h5') as file:
        names = file['scalars/cbf/column_names'].asstr()[()].tolist()
        values = file['scalars/cbf/values'][4]
    assert names == [row['source_file'] for row in table(output)]
    inside = nb.load(output / 'cbf' / f'{STEM}_desc-group_mask.nii.gz').get_fdata() > 0
    expected = nb.load(image_of(study, '05')).get_fdata()[inside]
    there = np.isfinite(values)
    np.testing.assert_array_equal(values[there], expected[there].astype('f4'))


def test_sidecars_and_script_are_of_all_images(study, output, tmp_path):
    header = ['participant_id', 'sex']
    rows = [['05', 'sub-05', 'other'], ['06', 'sub-06', 'other']]
    script = output / 'code' / f'fit_cbf_{STEM}.R'
    assert 'An element is fitted if more than 2 of 4 images' in ' '.join(lines(script))
    assert append(output, new(study, tmp_path / 'new.csv', header, *rows)) == 0
    assert 'of 6 images have a value' in ' '.join(lines(script))
    assert 'other (2)' in script.read_text('utf-8')
    uri = f'bids:aslprep:sub-06/perf/sub-06_{STEM}_cbf.nii.gz'
    for name in ('cohort', 'modelarray'):
        sources = json.loads((output / 'cbf' / f'{STEM}_{name}.json').read_text())['Sources']
        assert sources[-1] == uri
        assert len(sources) == len(set(sources))


def lines(script):
    return [line.strip('# ') for line in script.read_text('utf-8').splitlines()]


def test_a_script_that_was_changed_is_kept(study, output, tmp_path, capsys):
    script = output / 'code' / f'fit_cbf_{STEM}.R'
    script.write_text(script.read_text('utf-8') + '# mine\n', 'utf-8')
    before = script.read_bytes()
    assert append(output, new(study, tmp_path / 'new.csv', [], ['05'])) == 0
    assert script.read_bytes() == before
    assert f'{script} was changed and is kept; that of this run is' in capsys.readouterr().err
    assert 'of 5 images' in ' '.join(lines(script.with_name(f'new_{script.name}')))


def test_a_row_that_nothing_tells_from_another_changes_nothing(study, output, tmp_path, capsys):
    (first, *_) = table(output)
    header = [name for name in first if name not in {
        'scalar_name', 'source_file', 'source_mask_file', 'mask_source'}]  # fmt: skip
    cells = [first[name] for name in header]
    before = bytes_of(output)
    cohort = new(study, tmp_path / 'new.csv', header, ['05', *cells])
    assert append(output, cohort) == 65
    assert 'sub-01 is listed twice' in capsys.readouterr().err
    assert bytes_of(output) == before


def test_the_group_level_does_not_drop_what_was_added(study, output, tmp_path, capsys):
    elsewhere = tmp_path / 'elsewhere.nii.gz'
    mask = str(image_of(study, '05')).replace('_cbf.', '_desc-brain_mask.')
    image_of(study, '05').rename(elsewhere)
    cohort = tmp_path / 'new.csv'
    header = 'scalar_name,source_file,source_mask_file'
    cohort.write_text(f'{header}\ncbf,{elsewhere},{mask}\n', 'utf-8')
    assert append(output, cohort) == 0
    before = bytes_of(output)
    capsys.readouterr()
    arguments = [str(study), str(output), 'group', *SCALAR, '--no-report']
    assert main(arguments) == 73
    said = f'holds 1 image that append added and this run would leave out: {elsewhere}'
    assert said in capsys.readouterr().err
    assert {
        path: content for path, content in bytes_of(output).items() if '/logs' not in str(path)
    } == {path: content for path, content in before.items() if '/logs' not in str(path)}
    assert main([*arguments, '--overwrite']) == 0
    assert len(table(output)) == 5


def test_the_group_level_may_find_what_was_added(study, output, tmp_path):
    cohort = new(study, tmp_path / 'cohorts' / 'new.csv', [], ['05'])
    assert '../study' in cohort.read_text('utf-8')
    assert append(output, cohort) == 0
    assert table(output)[-1]['source_file'] == str(image_of(study, '05'))
    linked = tmp_path / 'linked'
    linked.symlink_to(study)
    assert main([str(linked), str(output), 'group', *SCALAR, '--no-report']) == 0
    assert len(table(output)) == 6


def test_an_added_image_on_another_grid_is_not_dropped(study, output, tmp_path, capsys):
    assert append(output, new(study, tmp_path / 'new.csv', [], ['05'])) == 0
    for path in image_of(study, '05').parent.glob(f'*_{STEM}_*.nii.gz'):
        image = nb.load(path)
        image = nb.Nifti1Image(
            image.get_fdata(dtype='f4'), image.affine + np.eye(4)[:, [3, 0, 1, 2]]
        )
        nb.save(image, path)
    arguments = [str(study), str(output), 'group', *SCALAR, '--on-grid-mismatch', 'drop']
    assert main([*arguments, '--no-report']) == 73
    assert 'append added and this run would leave out' in capsys.readouterr().err
    assert len(table(output)) == 5


@pytest.mark.parametrize('broken', ['cbf/{}_modelarray.json', 'dataset_description.json'])
def test_what_is_needed_is_looked_at_first(study, output, tmp_path, capsys, broken):
    file = output / broken.format(STEM)
    sound = file.read_bytes()
    file.write_text('{', 'utf-8')
    before = bytes_of(output)
    cohort = new(study, tmp_path / 'new.csv', [], ['05'])
    assert append(output, cohort) in {16, 65}
    assert file.name in capsys.readouterr().err
    assert bytes_of(output) == before
    file.write_bytes(sound)
    assert append(output, cohort) == 0


def test_a_run_that_ended_between_file_and_table_is_completed(study, output, tmp_path, capsys):
    before = {path: path.read_bytes() for path in output.rglob('*') if path.is_file()}
    cohort = new(study, tmp_path / 'new.csv', ['participant_id'], ['05', 'sub-05'])
    assert append(output, cohort) == 0
    whole = {path: path.read_bytes() for path in output.rglob('*') if path.is_file()}
    for path, content in before.items():
        if path.suffix != '.h5':
            path.write_bytes(content)
    assert append(output, cohort) == 0
    said = capsys.readouterr().err
    assert 'contains these images already: only the files next to it are updated' in said
    assert {path: path.read_bytes() for path in whole} == whole
    assert append(output, cohort) == 65
    assert 'of the new sources of cbf already' in capsys.readouterr().err


def test_another_file_gets_the_cohort_of_the_first(study, output, tmp_path):
    store = output / 'cbf' / f'{STEM}_modelarray.h5'
    larger = tmp_path / 'larger' / 'cbf' / store.name
    cohort = new(study, tmp_path / 'new.csv', ['participant_id'], ['05', 'sub-05'])
    before = bytes_of(output)
    arguments = ['--cohort-file', str(cohort), '--input-hdf5', str(store), '--output', str(larger)]
    assert files.main(['append', *arguments]) == 0
    assert bytes_of(output) == before
    rows = table(tmp_path / 'larger')
    assert [row['participant_id'] for row in rows] == [f'sub-0{n}' for n in range(1, 6)]
    with h5py.File(larger) as file:
        names = file['scalars/cbf/column_names'].asstr()[()].tolist()
    assert names == [row['source_file'] for row in rows]


def test_a_table_that_is_not_ours_is_left_alone(study, output, tmp_path, capsys):
    folder = tmp_path / 'mine'
    shutil.copytree(output / 'cbf', folder, ignore=shutil.ignore_patterns('*.json'))
    own = folder / f'{STEM}_cohort.csv'
    before = own.read_bytes()
    store = folder / f'{STEM}_modelarray.h5'
    cohort = new(study, tmp_path / 'new.csv', [], ['05'])
    assert files.main(['append', '--cohort-file', str(cohort), '--output', str(store)]) == 0
    assert own.read_bytes() == before
    assert f'{own}: nothing beside it says that' in capsys.readouterr().err
