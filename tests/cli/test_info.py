"""``modelarrayio info``: what it says of files, and what a program gets."""

import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from greyordinates import brain_models, parcels, random_values, save_map, save_matrix
from images import group_mask, write_cohort, write_csv
from mrtrix import fixel_directory, save_values
from stores import being_written, write_results

from modelarrayio_bids.cli.files import main

N = int(group_mask().sum())
RESULTS = ['element_id', *(f'age{n}.p.value' for n in range(7))]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with a cohort of two scalars and its file ``x.h5``, with an analysis."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('SOURCE_DATE_EPOCH', '0')
    write_cohort(tmp_path, subjects=5, scalars=('FA', 'MD'))
    build('--mask', 'group_mask.nii.gz')
    write_results('x.h5', 'mylm', RESULTS, np.zeros((N - 4, len(RESULTS))))
    return tmp_path


def build(*options):
    command = ['to-modelarray', '--cohort-file', 'cohort.csv', '--output', 'x.h5']
    assert main([*command, *options]) == 0


@pytest.fixture
def info(capsys):
    """What the command says; the lines of its first part by their first word."""

    def run(*options, file='x.h5'):
        capsys.readouterr()
        assert main(['info', file, *options]) == 0
        return capsys.readouterr().out

    return run


def test_a_file_of_ours(folder, info):
    lines = info().splitlines()
    size = Path('x.h5').stat().st_size / 1000
    assert lines[0] == f'File      x.h5, {size:.1f} kB'
    assert lines[1].endswith(', 1970-01-01T00:00:00+00:00')
    # The affine of tests/images.py has edges of 2 mm.
    assert lines[3] == f'Elements  {N} voxels of 4 × 5 × 6, 2 × 2 × 2 mm each'
    table = [line.split('  ') for line in lines[5:8]]
    assert [row[0].strip() for row in table] == ['SCALAR', 'FA', 'MD']
    # 5 sources of 24 elements: doubles of 8 bytes in R.
    assert lines[6].endswith('960 bytes')
    assert 'Sources of MD, as source_file must name them:' in lines
    assert f'  {folder}/FA/sub-02_FA.nii.gz' in lines
    assert lines.count('  ... 2 more') == 2
    assert lines.count('  5 unchanged since the file was made') == 2
    shown = ', '.join(f'age{n}' for n in range(7))
    assert lines[-1] == f'  mylm  7 results at {N - 4} elements: {shown}'


def test_the_same_for_a_program(folder, info):
    document = json.loads(info('--json'))
    assert list(document) == ['path', 'size', 'origin', 'elements', 'scalars', 'analyses']
    assert document['origin']['software'] == 'modelarrayio-bids'
    elements = {'kind': 'voxels', 'count': N, 'grid': [4, 5, 6], 'voxel_size': [2.0, 2.0, 2.0]}
    assert elements.items() <= document['elements'].items()
    scalar = document['scalars'][0]
    with h5py.File('x.h5') as file:
        values = file['scalars/FA/values']
        assert scalar['stored_bytes'] == values.id.get_storage_size()
        assert scalar['raw_bytes'] == values[()].nbytes
        assert tuple(scalar['chunk']) == values.chunks
        assert scalar['sources'] == file['scalars/FA/column_names'].asstr()[()].tolist()
    assert scalar['filters'] == ['shuffle', 'gzip']
    assert scalar['images'] == {'unchanged': 5, 'changed': [], 'gone': [], 'remote': []}
    (analysis,) = document['analyses']
    assert analysis == {
        'name': 'mylm', 'problem': '', 'n_elements': N - 4, 'results': RESULTS[1:], 'formula': '',
    }  # fmt: skip


def test_images_that_changed_or_are_gone(folder, info):
    gone, newer, longer = (folder / 'FA' / f'sub-{n:02d}_FA.nii.gz' for n in range(3))
    gone.unlink()
    os.utime(newer, (1, 1))
    longer.write_bytes(longer.read_bytes() + b'x')
    line = (
        f'  2 unchanged since the file was made; changed since: 2, such as {newer}; '
        f'not found: 1, such as {gone}'
    )
    assert line in info().splitlines()


def test_an_analysis_that_was_not_finished(folder, info):
    write_results('x.h5', 'killed', ['a'], np.zeros((N, 1)), where=None)
    lines = info().splitlines()
    assert lines[-2].startswith('  killed  cannot be used: analysis killed has results without')
    assert lines[-1].startswith('  mylm    7 results')


def test_a_file_of_another_program(folder, info):
    with h5py.File('x.h5', 'r+') as file:
        del file['modelarrayio']
    lines = info().splitlines()
    assert lines[1] == 'Made by   unknown: the file does not say'
    assert lines[2] == f'Elements  {N} voxels'
    assert 'unchanged since the file' not in info()
    assert json.loads(info('--json'))['scalars'][0]['images'] is None


def test_a_file_that_does_not_say_what_made_it(folder, info):
    with h5py.File('x.h5', 'r+') as file:
        file['modelarrayio'].attrs.clear()
    assert info().splitlines()[1] == 'Made by   unknown: the file does not say'


def test_scalars_where_the_predecessor_once_put_them(folder, info):
    with h5py.File('x.h5', 'r+') as file:
        file.move('scalars', 'FA and MD')
        file.move('FA and MD', 'scalars/scalars')
    lines = info().splitlines()
    assert [line.split()[:2] for line in lines[6:8]] == [['scalars/FA', '5'], ['scalars/MD', '5']]
    assert f'  {folder}/FA/sub-02_FA.nii.gz' in lines


def test_what_is_unknown_in_our_own_part_is_passed_over(folder, info):
    before = info('--json').partition('"origin"')[2]
    with h5py.File('x.h5', 'r+') as file:
        file['modelarrayio/summaries/FA/mean'] = np.zeros(5)
        file['modelarrayio'].attrs['x'] = 1
    assert info('--json').partition('"origin"')[2] == before


def test_a_file_without_scalars(tmp_path, info):
    h5py.File(tmp_path / 'x.h5', 'w').close()
    lines = info(file=str(tmp_path / 'x.h5')).splitlines()
    assert 'Elements  0 of a kind that the file does not tell' in lines
    assert lines[-1] == 'No scalars: this file was not made for ModelArray.'


def test_sources_without_names(folder, info):
    with h5py.File('x.h5', 'r+') as file:
        del file['scalars/FA/column_names']
    assert 'Sources of FA have no names' in info()


def fixels(folder):
    fixels = fixel_directory(folder / 'fixels')
    return [save_values(fixels / f'sub-{n}.mif', np.arange(6.0) + n) for n in range(2)]


def greyordinates(folder):
    values = [random_values(66, seed=n) for n in range(2)]
    return [
        save_map(folder / f'{n}.dscalar.nii', row, brain_models()) for n, row in enumerate(values)
    ]


def of_parcels(folder):
    return [save_map(folder / f'{n}.pscalar.nii', random_values(4), parcels()) for n in range(2)]


def edges(folder):
    both = (parcels(), parcels())
    return [save_matrix(folder / f'{n}.pconn.nii', random_values(4, 4), both) for n in range(2)]


@pytest.mark.parametrize(
    ('images', 'line'),
    [
        # mrtrix.VOXELS: 6 fixels in 3 voxels.
        (fixels, '6 fixels in 3 voxels'),
        # brain_models(): 19 and 30 vertices, 7 and 10 voxels.
        (
            greyordinates,
            '66 greyordinates: cortex left 19, cortex right 30, brain stem 7, thalamus left 10',
        ),
        (of_parcels, '4 parcels'),
        (edges, '16 edges of 4 × 4'),
    ],
)
def test_every_kind_of_elements(tmp_path, monkeypatch, info, images, line):
    monkeypatch.chdir(tmp_path)
    rows = [['x', path] for path in images(tmp_path)]
    write_csv('cohort.csv', ['scalar_name', 'source_file'], rows)
    build()
    assert f'Elements  {line}' in info().splitlines()
    with h5py.File('x.h5', 'r+') as file:
        del file['modelarrayio']
    assert f'Elements  {line}' in info().splitlines()


@pytest.mark.parametrize(
    ('spoil', 'says', 'code'),
    [
        (lambda folder: (folder / 'x.h5').unlink(), 'x.h5: no such file', 66),
        (lambda folder: (folder / 'x.h5').write_text('?'), 'x.h5: cannot be opened as HDF5', 65),
    ],
)
def test_files_that_cannot_be_opened(folder, capsys, spoil, says, code):
    spoil(folder)
    assert main(['info', 'x.h5']) == code
    assert says in capsys.readouterr().err.splitlines()[-1]


def test_a_folder(folder, capsys):
    assert main(['info', 'FA']) == 66
    assert capsys.readouterr().err == (
        'modelarrayio: error: FA: is a folder. Name the HDF5 file in it; make one of a '
        'TileDB store with modelarrayio convert.\n'
    )


@pytest.mark.parametrize(
    'command',
    [
        ['info', 'x.h5'],
        ['export-results', '--input-hdf5', 'x.h5', '--analysis-name', 'mylm', '--output-dir', 'o'],
        ['merge-results', '--input-hdf5', 'x.h5', '--analysis-name', 'mylm', '--merged-name', 'm'],
    ],
)
def test_a_file_that_is_being_written(folder, capsys, command):
    capsys.readouterr()
    with being_written('x.h5'):
        assert main(command) == 73
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith('modelarrayio: error: x.h5: is being written by another program. Wait')


@pytest.mark.parametrize('options', [[], ['--json']])
def test_an_output_that_nobody_reads(folder, options):
    command = [sys.executable, '-m', 'modelarrayio_bids.cli.files', 'info', 'x.h5', *options]
    read, written = os.pipe()
    os.close(read)
    done = subprocess.run(command, check=False, stdout=written, stderr=subprocess.PIPE)
    os.close(written)
    # 128 + SIGPIPE, as a shell says of other programs.
    assert (done.returncode, done.stderr) == (141, b'')


def test_a_damaged_file(folder, capsys):
    content = (folder / 'x.h5').read_bytes()
    (folder / 'x.h5').write_bytes(content.replace(b'GCOL', b'XXXX'))
    assert main(['info', 'x.h5']) == 65
    said = capsys.readouterr().err.splitlines()[-1]
    where = 'cannot be read at /scalars/FA/column_names ('
    assert said.startswith(f'modelarrayio: error: x.h5: {where}')


def test_parts_of_ours_that_are_not_as_we_write_them(folder, info):
    with h5py.File('x.h5', 'r+') as file:
        del file['modelarrayio/template/mask'], file['modelarrayio/sources/FA/size']
        file['results/odd/results_matrix/x'] = 1
    lines = info().splitlines()
    assert lines[3] == f'Elements  {N} voxels'
    assert lines.count('  5 unchanged since the file was made') == 1
    assert '  odd   cannot be used: has no results matrix' in lines


def test_a_scalar_without_values_hides_nothing_else(folder, info):
    with h5py.File('x.h5', 'r+') as file:
        del file['scalars/MD/values']
    lines = info().splitlines()
    line = 'MD cannot be used: has no matrix of values. "modelarrayio validate" says more.'
    assert line in lines
    assert 'Sources of FA, as source_file must name them:' in lines
    assert not any(line.startswith('MD  ') for line in lines)
    assert '  mylm  7 results' in info()
    good, bad = json.loads(info('--json'))['scalars']
    assert (good['problem'], good['n_sources']) == ('', 5)
    assert (bad['problem'], bad['n_sources']) == ('has no matrix of values', 0)


def test_no_scalar_has_values(folder, info):
    with h5py.File('x.h5', 'r+') as file:
        del file['scalars/FA/values'], file['scalars/MD/values']
    lines = info().splitlines()
    assert [line.split()[0] for line in lines if 'cannot be used' in line] == ['FA', 'MD']
    assert not any(line.startswith('SCALAR') for line in lines)
