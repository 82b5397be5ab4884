"""``modelarrayio`` as its user meets it: options, messages, exit codes, what is left on disk."""

import json
import signal
import subprocess
import sys

import h5py
import numpy as np
import pytest
from held import X_BEGUN, X_WHOLE, Held
from images import (
    AFFINE,
    SHAPE,
    expected_rows,
    group_mask,
    save,
    subject_map,
    write_cohort,
    write_csv,
)
from stores import write_results
from tools import run_on_full_disk

from modelarrayio_bids.cli.files import main

COMMAND = [sys.executable, '-m', 'modelarrayio_bids.cli.files']
N = int(group_mask().sum())


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with a cohort and its group mask."""
    monkeypatch.chdir(tmp_path)
    write_cohort(tmp_path, scalars=('FA', 'MD'))
    return tmp_path


@pytest.fixture
def store(folder):
    """The same as an HDF5 file with an analysis."""
    assert build() == 0
    matrix = np.column_stack([np.arange(N), np.linspace(0, 1, N)])
    return write_results(folder / 'modelarray.h5', 'mylm', ['element_id', 'age.p.value'], matrix)


def build(*more):
    return main(
        ['to-modelarray', '--mask', 'group_mask.nii.gz', '--cohort-file', 'cohort.csv', *more]
    )


def export(*more, analysis='mylm', store='modelarray.h5', output='maps'):
    names = ['--analysis-name', analysis, '--input-hdf5', store, '--output-dir', output]
    return main(['export-results', *names, *more])


def contents(folder):
    """Every path below a folder with its bytes: what a failed run must leave as it was."""
    return {path: path.is_file() and path.read_bytes() for path in folder.rglob('*')}


def failed(code, capsys):
    """The one line a failed command said."""
    assert code != 0
    lines = [line for line in capsys.readouterr().err.splitlines() if ': error: ' in line]
    assert len(lines) == 1
    return lines[0]


def test_the_reference_workflow(folder, capsys):
    # The commands of the reference workflow, word for word but for the folder.
    data = str(folder)
    arguments = ['--mask', f'{data}/group_mask.nii.gz', '--cohort-file', f'{data}/cohort.csv']
    assert main(['to-modelarray', *arguments, '--output', f'{data}/FA.h5']) == 0
    matrix = np.column_stack([np.arange(N), np.linspace(0, 1, N)])
    write_results(folder / 'FA.h5', 'mylm', ['element_id', 'model.nobs'], matrix)
    arguments = ['--mask', f'{data}/group_mask.nii.gz', '--analysis-name', 'mylm']
    arguments += ['--input-hdf5', f'{data}/FA.h5', '--output-dir', f'{data}/FA_stats']
    assert main(['export-results', *arguments]) == 0
    assert (folder / 'FA_stats' / 'mylm_model.nobs.nii.gz').exists()
    assert 'WARNING' not in capsys.readouterr().err
    assert main(['export-results', *arguments, '--no-compress']) == 0
    told = capsys.readouterr().err
    assert ' exists: files with the same names are replaced.' in told
    assert (
        'holds 2 other maps that this analysis does not have, such as mylm_element_id.nii.gz'
        in told
    )
    assert (folder / 'FA_stats' / 'mylm_model.nobs.nii').exists()


def test_both_spellings_of_every_option(folder):
    options = ['--mask', 'group_mask.nii.gz', '--cohort_file', 'cohort.csv', '--output', 'a.h5']
    options += ['--no_split_files', '--dtype', 'float64', '--compression', 'gzip']
    options += ['--compression_level', '9', '--chunk_voxels', '5', '--log_level', 'WARNING']
    options += ['--s3_workers', '4', '--workers', '2', '--no-shuffle', '--backend', 'hdf5']
    assert main(['to-modelarray', *options]) == 0
    with h5py.File('a.h5') as file:
        values = file['scalars/FA/values']
        assert (values.dtype, values.chunks, values.shuffle) == (np.float64, (3, 5), False)
        assert values.compression_opts == 9
        np.testing.assert_array_equal(values[()], expected_rows())


def test_wide_cohorts_are_split_by_default(folder):
    rows = [
        [
            f'sub-{n:02d}',
            *(f'{s}/sub-{n:02d}_{s}.nii.gz' for s in ('FA', 'MD')),
            'group_mask.nii.gz',
        ]
        for n in range(3)
    ]
    write_csv(folder / 'wide.csv', ['participant_id', 'FA', 'MD', 'source_mask_file'], rows)
    wide = ['to-modelarray', '--mask', 'group_mask.nii.gz', '--cohort-file', 'wide.csv']
    wide += ['--output', 'out/x.h5', '--scalar-columns', 'FA', 'MD']
    assert main(wide) == 0
    assert sorted(path.name for path in (folder / 'out').iterdir()) == ['FA_x.h5', 'MD_x.h5']
    with h5py.File('out/MD_x.h5') as file:
        assert set(file['scalars']) == {'MD'}
        inside = np.array([subject_map(100 + n)[group_mask() > 0] for n in range(3)])
        np.testing.assert_array_equal(file['scalars/MD/values'][()], inside)
    assert main([*wide, '--no-split-files']) == 0
    with h5py.File('out/x.h5') as file:
        assert set(file['scalars']) == {'FA', 'MD'}


def test_long_cohorts_are_split_when_asked(folder):
    assert build('--split-files', '--target-chunk-mb', '1') == 0
    assert {path.name for path in folder.glob('*.h5')} == {'FA_modelarray.h5', 'MD_modelarray.h5'}


def test_a_problem_in_one_part_stops_a_split_before_its_first_file(folder, capsys):
    (folder / 'MD' / 'sub-02_MD.nii.gz').unlink()
    assert 'sub-02_MD.nii.gz: no such file' in failed(build('--split-files'), capsys)
    assert not list(folder.glob('*.h5'))


@pytest.mark.parametrize(
    ('arguments', 'code'), [([], 64), (['--nonsense'], 64), (['--version'], 0), (['--help'], 0)]
)
def test_ways_to_call_it(arguments, code, capsys):
    try:
        assert main(arguments) == code
    except SystemExit as ended:
        assert ended.code == code
    assert 'modelarrayio' in ''.join(capsys.readouterr())


# Bad input: what is done to the folder, what is run, what must be said, and the exit code.


def truncated_map(folder):
    path = folder / 'FA' / 'sub-01_FA.nii.gz'
    path.write_bytes(path.read_bytes()[:200])


def empty_mask(folder):
    save(folder / 'group_mask.nii.gz', np.zeros(SHAPE, np.uint8))


def mask_apart(folder):
    save(folder / 'masks' / 'sub-01_mask.nii.gz', (group_mask() == 0).astype(np.uint8))


def missing_map(folder):
    (folder / 'FA' / 'sub-01_FA.nii.gz').unlink()


def wrong_shape(folder):
    save(folder / 'FA' / 'sub-01_FA.nii.gz', subject_map(1, (4, 5, 7)))


def wrong_affine(folder):
    moved = AFFINE.copy()
    moved[0, 3] += 0.5
    save(folder / 'FA' / 'sub-01_FA.nii.gz', subject_map(1), moved)


def time_series(folder):
    save(folder / 'FA' / 'sub-01_FA.nii.gz', np.zeros((*SHAPE, 9), np.float32))


def table(header, *rows):
    return lambda folder: write_csv(folder / 'cohort.csv', header, rows)


LONG = ['scalar_name', 'source_file', 'source_mask_file']
FIRST = ['FA', 'FA/sub-00_FA.nii.gz', 'group_mask.nii.gz']

BAD_COHORTS = {
    'missing file': (missing_map, 'sub-01_FA.nii.gz: no such file', 66),
    'truncated file': (truncated_map, 'sub-01_FA.nii.gz: is truncated', 65),
    'wrong shape': (wrong_shape, 'has shape 4 × 5 × 7, expected 4 × 5 × 6', 65),
    'wrong affine': (wrong_affine, 'another affine: its grid lies up to 0.5 mm away', 65),
    'time series': (time_series, 'is 4 × 5 × 6 × 9, expected three dimensions', 65),
    'empty mask': (empty_mask, 'group_mask.nii.gz: is an empty mask', 65),
    'mask apart': (mask_apart, 'sub-01_mask.nii.gz: has no voxel in common', 65),
    'no mask column': (
        table(LONG[:2], FIRST[:2]),
        'no row of the cohort has a source_mask_file',
        65,
    ),
    'same source twice': (table(LONG, FIRST, FIRST), 'is listed twice for FA', 65),
    'same subject twice': (
        table(
            [*LONG, 'participant_id'],
            [*FIRST, 'sub-00'],
            ['FA', 'FA/sub-01_FA.nii.gz', 'group_mask.nii.gz', 'sub-00'],
        ),
        'sub-00 is listed twice for FA',
        65,
    ),
    'mixed formats': (
        table(LONG, FIRST, ['FA', 'FA/sub-01_FA.mif', '']),
        'the cohort mixes voxels (FA/sub-00_FA.nii.gz), fixels (FA/sub-01_FA.mif)',
        65,
    ),
    'unknown format': (
        table(LONG, FIRST, ['FA', 'FA/sub-01_FA.nrrd', '']),
        'sub-01_FA.nrrd: is not of a supported format',
        65,
    ),
    'name of a path': (table(LONG, ['a/b', *FIRST[1:]]), "'a/b' cannot be the name of a", 65),
    'unknown address': (
        table(LONG, ['FA', 'ftp://b/x.nii.gz', '']),
        'ftp://b/x.nii.gz: is an address that cannot be read',
        64,
    ),
    'empty table': (lambda folder: (folder / 'cohort.csv').write_text(''), 'is empty', 65),
    'no cohort': (lambda folder: (folder / 'cohort.csv').unlink(), 'cohort.csv: no such file', 66),
    'no group mask': (lambda folder: (folder / 'group_mask.nii.gz').unlink(), 'no such file', 66),
}


@pytest.mark.parametrize('case', BAD_COHORTS)
def test_bad_cohorts(folder, capsys, case):
    spoil, says, code = BAD_COHORTS[case]
    spoil(folder)
    h5py.File(folder / 'modelarray.h5', 'w').close()
    before = contents(folder)
    ended = build()
    assert says in failed(ended, capsys)
    assert ended == code
    assert contents(folder) == before


def a_constant():
    return np.full(SHAPE, 0.3, np.float32)


def an_image():
    return np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)


def from_zero_to_one():
    return np.linspace(0, 1, np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)


@pytest.mark.parametrize(
    ('values', 'says'),
    [
        (
            a_constant,
            'has 1 different value, a mask has two, 0 and another: voxels above 0 are taken, all.',
        ),
        (an_image, 'has 120 different values, '),
        (from_zero_to_one, 'voxels above 0 are taken, 119 of 120. Give a brain mask'),
    ],
)
def test_an_image_that_is_not_a_mask_is_not_taken_silently(folder, capsys, values, says):
    save(folder / 'group_mask.nii.gz', values())
    assert build() == 0
    said = capsys.readouterr().err
    assert said.count('group_mask.nii.gz: has ') == 1
    assert says in said


def test_a_mask_on_another_grid_than_all_images_is_what_is_named(folder, capsys):
    save(folder / 'group_mask.nii.gz', group_mask((4, 5, 7)))
    ended = build()
    assert ended == 65
    assert failed(ended, capsys).endswith(
        'group_mask.nii.gz: is on another grid than all 6 images: each has shape 4 × 5 × 6, '
        'expected 4 × 5 × 7. Give a mask on the grid of the images.'
    )


def test_a_formula_without_quotes_is_told(capsys):
    words = ['fit', 'FA.h5', '--cohort-file', 'c.csv', '--formula', 'FA', '~', 'age', '+', 'sex']
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 64
    assert "Write the formula in quotes: --formula '~ age + sex'" in capsys.readouterr().err


def test_an_option_close_to_the_unknown_one_is_named(capsys):
    with pytest.raises(SystemExit) as ended:
        build('--outputs', 'x.h5')
    assert ended.value.code == 64
    assert 'unrecognized arguments: --outputs x.h5. Did you mean --output?' in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize('above', [1, 255, np.float32(0.7)])
@pytest.mark.parametrize('outside', [0, np.nan])
def test_masks_have_two_values(folder, capsys, above, outside):
    mask = np.where(group_mask() > 0, above, outside)
    save(folder / 'group_mask.nii.gz', mask.astype(np.float32))
    assert build() == 0
    assert 'different value' not in capsys.readouterr().err


@pytest.mark.parametrize(
    ('options', 'says'),
    [
        (['--compression', 'zstd'], 'zstd compression cannot be read by R'),
        (['--target-chunk-mb', 'nan'], 'a chunk needs a size'),
        (['--scalar-columns', 'AD'], 'has no column AD'),
    ],
)
def test_bad_options(folder, capsys, options, says):
    before = contents(folder)
    assert says in failed(build(*options), capsys)
    assert contents(folder) == before


def test_an_output_that_holds_results(store, folder, capsys):
    before = contents(folder)
    ended = build()
    assert 'modelarray.h5: holds results that would be lost: mylm' in failed(ended, capsys)
    assert ended == 73
    assert contents(folder) == before
    assert build('--overwrite') == 0


def test_an_output_folder_that_cannot_be_written(store, folder, capsys):
    before = contents(folder)
    ended = build('--output', 'cohort.csv/x.h5')
    assert 'cohort.csv/x.h5: cannot be created (a file is where a folder should be)' in failed(
        ended, capsys
    )
    assert ended == 73
    ended = export(output='cohort.csv/maps')
    assert 'cohort.csv/maps: cannot be created (a file is where a folder should be)' in failed(
        ended, capsys
    )
    assert ended == 73
    assert contents(folder) == before


def test_an_analysis_that_is_not_there(store, folder, capsys):
    before = contents(folder)
    ended = export(analysis='mygam')
    assert "holds no analysis 'mygam'. Analyses it holds: mylm." in failed(ended, capsys)
    assert ended == 66
    assert contents(folder) == before


def test_results_without_names(store, folder, capsys):
    write_results(store, 'killed', ['a'], np.zeros((N, 1)), where=None)
    before = contents(folder)
    ended = export(analysis='killed')
    assert 'analysis killed has results without names' in failed(ended, capsys)
    assert ended == 65
    assert contents(folder) == before


def test_results_that_would_share_a_file(store, folder, capsys):
    write_results(store, 'twins', ['a b', 'a_b'], np.zeros((N, 2)))
    before = contents(folder)
    ended = export(analysis='twins')
    assert "results 'a b' and 'a_b' of twins would both be written" in failed(ended, capsys)
    assert ended == 65
    assert contents(folder) == before


def large_cohort(folder):
    """Enough incompressible data to fill a disk."""
    shape, rng = (60, 60, 60), np.random.default_rng(0)
    affine = np.diag([2.0, 2, 2, 1])
    mask = save(folder / 'group_mask.nii.gz', np.ones(shape, np.uint8), affine)
    rows = [['FA', save(folder / f'{n}.nii', rng.random(shape), affine), mask] for n in range(60)]
    write_csv(folder / 'cohort.csv', LONG, rows)


# HDF5 writes some of its own first and last, and the values between.
@pytest.mark.parametrize('limit', [2**10, 2**15, 2**18, 2**20])
def test_a_disk_that_fills(folder, limit):
    large_cohort(folder)
    before = contents(folder)
    options = ['--mask', 'group_mask.nii.gz', '--cohort-file', 'cohort.csv']
    done = run_on_full_disk([*COMMAND, 'to-modelarray', *options], limit)
    assert done.returncode == 74
    assert 'modelarrayio: error: modelarray.h5: could not be written' in done.stderr
    assert 'Traceback' not in done.stderr
    assert contents(folder) == before


def test_a_disk_that_fills_with_results(store, folder):
    options = ['--analysis-name', 'mylm', '--input-hdf5', store, '--output-dir', 'results']
    done = run_on_full_disk([*COMMAND, 'export-results', *options, '--no-compress'], 400)
    assert done.returncode == 74
    assert 'modelarrayio: error: results: could not be written (File too large)' in done.stderr
    assert not list((folder / 'results').iterdir())


# In between: images are being read for their values, by other threads.
MOMENTS = {'begun': X_BEGUN, 'reading': ('open', r'sub-02_MD\.nii\.gz ', 3), 'whole': X_WHOLE}


@pytest.mark.parametrize(('sent', 'code'), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize('moment', MOMENTS)
def test_an_interrupt_in_the_middle(folder, sent, code, moment):
    before = contents(folder)
    options = ['--mask', 'group_mask.nii.gz', '--cohort-file', 'cohort.csv', '--nprocs', '2']
    command = [*COMMAND, 'to-modelarray', *options, '--output', 'x.h5']
    with Held(command, *MOMENTS[moment], stderr=subprocess.PIPE, text=True) as process:
        assert process.stands()
        assert list(folder.glob('.unfinished-*-x.h5'))
        process.send_signal(sent)
        process.let_go()
        _, said = process.communicate()
    assert process.returncode == code
    assert 'Traceback' not in said
    assert contents(folder) == before


@pytest.mark.parametrize('chunk_mb', ['0', '-1'])
def test_chunks_of_no_size_are_of_one_element(folder, chunk_mb):
    # As the predecessor makes them (modelarrayio 26.0.0, storage/utils.py).
    assert build('--target-chunk-mb', chunk_mb) == 0
    with h5py.File('modelarray.h5') as file:
        assert file['scalars/FA/values'].chunks == (3, 1)


def test_a_mask_is_enough_whatever_the_cohort(store, folder):
    wide = [['sub-00', 's3://bucket/FA.nii.gz']]
    write_csv(folder / 'wide.csv', ['participant_id', 'FA'], wide)
    options = ['--mask', 'group_mask.nii.gz', '--cohort-file', 'wide.csv', '--output-dir', 'a']
    assert export(*options) == 0
    # And a file that knows its elements needs no image.
    assert export('--cohort-file', 'wide.csv', '--output-dir', 'b') == 0
    assert export('--example-file', 'gone.nii.gz', '--output-dir', 'c') == 0
    assert export('--cohort-file', 'nowhere.csv', '--output-dir', 'd') == 0


def test_exports_of_another_programs_file_name_what_said_its_elements(store, folder):
    with h5py.File(store, 'r+') as file:
        del file['modelarrayio']
    assert export('--mask', 'group_mask.nii.gz', '--output-dir', 'maps') == 0
    said = json.loads((folder / 'maps' / 'mylm_results.json').read_text())
    assert said['Sources'] == [str(folder / store), str(folder / 'group_mask.nii.gz')]
