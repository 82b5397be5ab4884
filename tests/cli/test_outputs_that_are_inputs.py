"""No output may be, lead to, or be another name of a file that the same run reads."""

import os
import shutil

import h5py
import numpy as np
import pytest
import trees
from images import write_cohort
from stores import write_results

from modelarrayio_bids.cli.bids_app import main as bids_app
from modelarrayio_bids.cli.files import main


def itself(path, _folder):
    return path


def symbolic_link(path, folder):
    link = folder / f'link_{path.name}'
    link.symlink_to(path)
    return link


def hard_link(path, folder):
    link = folder / f'hard_{path.name}'
    link.hardlink_to(path)
    return link


def through_a_folder(path, folder):
    (folder / 'same').symlink_to(path.parent, target_is_directory=True)
    return folder / 'same' / path.name


LINKS = [itself, symbolic_link, hard_link, through_a_folder]
CONVERTED = ['FA/sub-02_FA.nii.gz', 'masks/sub-02_mask.nii.gz', 'group_mask.nii.gz', 'cohort.csv']


def state(folder):
    return {
        path: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob('*')
        if path.is_file()
    }


def run(*arguments):
    return main([str(argument) for argument in arguments])


def convert(folder, output, *options):
    files = ('--mask', folder / 'group_mask.nii.gz', '--cohort-file', folder / 'cohort.csv')
    return run('to-modelarray', *files, '--output', output, *options)


def is_refused(code, capsys):
    err = capsys.readouterr().err
    (line,) = [line for line in err.splitlines() if ': error: ' in line]
    return code == 64 and 'is read by this very run' in line and 'Write to another file' in line


@pytest.fixture
def data(tmp_path):
    write_cohort(tmp_path / 'data', subjects=4)
    return tmp_path / 'data'


@pytest.fixture
def store(data):
    assert convert(data, data / 'FA.h5') == 0
    with h5py.File(data / 'FA.h5') as file:
        n = file['scalars/FA/values'].shape[1]
    ids = np.arange(n)
    halves = {'all': ids, 'one': ids[: n // 2], 'two': ids[n // 2 :]}
    for name, elements in halves.items():
        table = np.stack([elements, np.full(len(elements), 0.25)], 1)
        write_results(data / 'FA.h5', name, ['element_id', 'age.p.value'], table)
    return data / 'FA.h5'


@pytest.mark.parametrize('link', LINKS)
@pytest.mark.parametrize('name', CONVERTED)
def test_to_modelarray(data, tmp_path, capsys, name, link):
    output = link(data / name, tmp_path)
    before = state(tmp_path)
    assert is_refused(convert(data, output, '--overwrite'), capsys)
    assert state(tmp_path) == before


def test_files_of_single_scalars(data, capsys):
    # --split-files writes FA_cohort.csv.
    (data / 'cohort.csv').rename(data / 'FA_cohort.csv')
    files = ('--mask', data / 'group_mask.nii.gz', '--cohort-file', data / 'FA_cohort.csv')
    options = ('--output', data / 'cohort.csv', '--split-files', '--overwrite')
    before = state(data)
    assert is_refused(run('to-modelarray', *files, *options), capsys)
    assert state(data) == before


@pytest.mark.parametrize('name', ['index.mif', 'directions.mif'])
def test_files_of_a_fixel_directory_that_nobody_named(tmp_path, capsys, name):
    trees.write_fixels(tmp_path, trees.people(2))
    images = sorted((tmp_path / 'fd').glob('*sub-*'))
    rows = [f'FD,{path}' for path in images]
    (tmp_path / 'c.csv').write_text('\n'.join(['scalar_name,source_file', *rows, '']))
    output = next(tmp_path.rglob(name))
    before = state(tmp_path)
    options = ('--cohort-file', tmp_path / 'c.csv', '--output', output, '--overwrite')
    assert is_refused(run('to-modelarray', *options), capsys)
    assert state(tmp_path) == before


@pytest.mark.parametrize('link', LINKS)
@pytest.mark.parametrize('name', ['new.csv', 'FA/sub-03_FA.nii.gz', 'group_mask.nii.gz', 'FA.h5'])
def test_append(data, tmp_path, capsys, name, link):
    lines = (data / 'cohort.csv').read_text().splitlines()
    (data / 'cohort.csv').write_text('\n'.join([*lines[:-1], '']))
    (data / 'new.csv').write_text('\n'.join([lines[0], lines[-1], '']))
    assert convert(data, data / 'FA.h5') == 0
    output = link(data / name, tmp_path)
    before = state(tmp_path)
    files = ('--cohort-file', data / 'new.csv', '--mask', data / 'group_mask.nii.gz')
    options = ('--input-hdf5', data / 'FA.h5', '--output', output, '--overwrite')
    assert is_refused(run('append', *files, *options), capsys)
    assert state(tmp_path) == before


@pytest.mark.parametrize('link', [symbolic_link, hard_link])
def test_merge_results(store, tmp_path, capsys, link):
    output = link(store, tmp_path)
    before = state(tmp_path)
    options = ('--analysis-name', 'one', 'two', '--merged-name', 'joined')
    files = ('--input-hdf5', store, '--output-hdf5', output)
    assert is_refused(run('merge-results', *options, *files), capsys)
    assert state(tmp_path) == before


@pytest.mark.parametrize('link', [itself, through_a_folder])
def test_the_merged_analysis_may_go_where_the_slices_are(store, tmp_path, link):
    options = ('--analysis-name', 'one', 'two', '--merged-name', 'joined')
    files = ('--input-hdf5', store, '--output-hdf5', link(store, tmp_path))
    assert run('merge-results', *options, *files) == 0
    with h5py.File(store) as file:
        assert 'joined' in file['results']


@pytest.mark.parametrize('option', ['--mask', '--example-file', '--cohort-file', '--input-hdf5'])
@pytest.mark.parametrize('link', [shutil.copy, symbolic_link, hard_link])
def test_export_results(store, data, tmp_path, capsys, option, link):
    # Named as the first image of the analysis will be.
    folder = tmp_path / 'maps'
    folder.mkdir()
    place = folder / 'all_age.p.value.nii.gz'
    mask = data / 'group_mask.nii.gz'
    options = {'--input-hdf5': store, '--mask': mask}
    # A cohort's images are not read where a mask is given: it is the table itself that has to stay.
    others = {'--cohort-file': data / 'cohort.csv', '--example-file': data / 'FA/sub-01_FA.nii.gz'}
    origin = {'--mask': mask, '--input-hdf5': store, **others}[option]
    if link is shutil.copy:
        shutil.copy(origin, place)
        origin = place
    elif link is symbolic_link:
        place.symlink_to(origin)
    else:
        place.hardlink_to(origin)
    options[option] = origin
    before = state(tmp_path)
    words = [word for pair in options.items() for word in pair]
    code = run('export-results', '--analysis-name', 'all', *words, '--output-dir', folder)
    assert is_refused(code, capsys)
    assert state(tmp_path) == before


def test_a_result_replaces_no_image_that_the_file_was_made_of(data, tmp_path, capsys):
    # The cohort is not named, and where it is, not read beside a mask: the file knows its images.
    (data / 'FA/sub-01_FA.nii.gz').rename(data / 'FA/all_age.p.value.nii.gz')
    table = data / 'cohort.csv'
    table.write_text(table.read_text().replace('sub-01_FA.nii', 'all_age.p.value.nii'))
    assert convert(data, data / 'new.h5') == 0
    with h5py.File(data / 'new.h5') as file:
        n = file['scalars/FA/values'].shape[1]
    write_results(data / 'new.h5', 'all', ['age.p.value'], np.full((n, 1), 0.25))
    before = state(tmp_path)
    names = ('--analysis-name', 'all', '--input-hdf5', data / 'new.h5')
    mask = ('--mask', data / 'group_mask.nii.gz')
    assert is_refused(run('export-results', *names, *mask, '--output-dir', data / 'FA'), capsys)
    assert state(tmp_path) == before


def test_maps_may_go_into_the_fixel_directory_they_are_about(tmp_path):
    trees.write_fixels(tmp_path, trees.people(2))
    images = sorted((tmp_path / 'fd').glob('*sub-*'))
    rows = [f'FD,{path}' for path in images]
    (tmp_path / 'c.csv').write_text('\n'.join(['scalar_name,source_file', *rows, '']))
    store = tmp_path / 'FD.h5'
    assert run('to-modelarray', '--cohort-file', tmp_path / 'c.csv', '--output', store) == 0
    with h5py.File(store) as file:
        n = file['scalars/FD/values'].shape[1]
    write_results(store, 'lm', ['age.p.value'], np.full((n, 1), 0.5))
    fixels = images[0].parent
    before = state(fixels)
    options = ('--analysis-name', 'lm', '--input-hdf5', store, '--output-dir', fixels)
    assert run('export-results', *options, '--index-file', fixels) == 0
    assert state(fixels).items() > before.items()


GROUP = {
    '--group-mask-file': 'space-MNI152NLin2009cAsym_desc-group_mask.nii.gz',
    '--mask': 'space-MNI152NLin2009cAsym_desc-group_mask.nii.gz',
    '--phenotypes': 'space-MNI152NLin2009cAsym_cohort.csv',
}


@pytest.mark.parametrize('link', LINKS)
@pytest.mark.parametrize('option', GROUP)
def test_group(tmp_path, capsys, option, link):
    root = trees.write_study(tmp_path / 'study', trees.people(2))
    command = [str(root), str(tmp_path / 'out'), 'group', '--no-report', '--scalars', 'cbf']
    assert bids_app(command) == 0
    capsys.readouterr()
    made = tmp_path / 'out' / 'cbf'
    given = link(made / GROUP[option], tmp_path)
    if option == '--phenotypes':
        os.utime(given)
    before = state(made)
    assert is_refused(bids_app([*command, '--overwrite', option, str(given)]), capsys)
    assert state(made) == before
