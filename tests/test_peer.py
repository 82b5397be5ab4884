"""Equal, bit for bit, to the predecessor where the predecessor is right.

``modelarrayio`` 26.0.0 is installed from PyPI into an environment of its own, once; without a
network the tests are skipped (and fail where ``REQUIRE_TOOLS=1`` says nothing may be missing).
"""

import subprocess
import sys
from pathlib import Path

import h5py
import nibabel as nb
import numpy as np
import pytest
from greyordinates import brain_models, parcels, random_values, save_map, save_matrix
from images import AFFINE, SHAPE, group_mask, save, subject_mask, write_cohort, write_csv
from mrtrix import fixel_directory, run, save_values
from once import once
from stores import write_results
from tools import missing

from modelarrayio_bids.cli.files import main
from modelarrayio_bids.spaces.stored import validate
from modelarrayio_bids.store.validation import Severity

PEER = 'modelarrayio==26.0.0'
TABLES = ['voxels', 'fixels']
TABLES += [f'parcels/parcel_id{end}' for end in ('', '_from', '_to')]


@pytest.fixture(scope='session')
def peer(request):
    """The predecessor's command."""
    home = Path(request.config.cache.mkdir('peer')) / f'{sys.version_info[0]}.{sys.version_info[1]}'
    command = once(home, install_peer) / 'bin' / 'modelarrayio'
    return lambda *arguments: subprocess.run(
        [command, *map(str, arguments)], check=True, capture_output=True
    )


def install_peer(home):
    steps = [[sys.executable, '-m', 'venv', '--clear', '--without-pip', home]]
    # What is never imported need not be compiled.
    pip = [sys.executable, '-m', 'pip', '--python', home / 'bin' / 'python']
    steps += [[*pip, 'install', '--quiet', '--no-compile', PEER]]
    if any(subprocess.run(step, check=False, capture_output=True).returncode for step in steps):
        missing(f'{PEER} cannot be installed')


def both(peer, folder, *arguments):
    """Build with both programs; the two files."""
    common = ['to-modelarray', '--cohort-file', folder / 'cohort.csv', *arguments, '--output']
    peer(*common, folder / 'peer.h5')
    assert main([str(word) for word in [*common, folder / 'ours.h5']]) == 0
    return folder / 'ours.h5', folder / 'peer.h5'


def masked(folder):
    return '--mask', folder / 'group_mask.nii.gz'


def fixels(folder):
    fixel_directory(folder / 'fixels')
    return (
        '--index-file',
        folder / 'fixels/index.mif',
        '--directions-file',
        folder / 'fixels/directions.mif',
    )


def assert_same_values(ours, theirs, scalars):
    with h5py.File(ours) as a, h5py.File(theirs) as b:
        assert set(a['scalars']) == set(b['scalars']) == set(scalars)
        for scalar in scalars:
            mine, its = (file[f'scalars/{scalar}/values'] for file in (a, b))
            assert mine.dtype == its.dtype
            assert mine[()].tobytes() == its[()].tobytes()
            names = [file[f'scalars/{scalar}/column_names'].asstr()[()].tolist() for file in (a, b)]
            assert names[0] == names[1]
        for path in TABLES:
            assert (path in a) == (path in b)
            if path in b:
                np.testing.assert_array_equal(a[path][()], b[path][()])
                mine, its = (list(file[path].attrs.get('column_names', ())) for file in (a, b))
                assert mine == its


def assert_breaks_no_rule(path, folder):
    """By what R is said to do with it: notes apart, as of a cohort with several scalars."""
    findings = validate(path, folder / 'cohort.csv')
    assert {finding.rule.severity for finding in findings} <= {Severity.NOTE}


def test_a_long_cohort(peer, tmp_path):
    write_cohort(tmp_path, subjects=4, scalars=('FA', 'MD'))
    ours, theirs = both(peer, tmp_path, *masked(tmp_path))
    assert_same_values(ours, theirs, ['FA', 'MD'])
    assert_breaks_no_rule(theirs, tmp_path)


@pytest.mark.parametrize('dtype', ['float32', 'float64'])
def test_every_type_on_disk(peer, tmp_path, dtype):
    # Scaled integers, wide integers and floats, in both byte orders, with NaN and infinities.
    save(tmp_path / 'group_mask.nii.gz', group_mask())
    rng, rows = np.random.default_rng(3), []
    for number, code in enumerate(['u1', '>i2', 'i4', '>i8', 'u8', '>f4', 'f8', 'scaled']):
        data = rng.normal(0, 1e4, SHAPE)
        image = nb.Nifti1Image(data.astype('f4'), AFFINE)
        if code == 'scaled':
            image.set_data_dtype('i2')  # nibabel chooses slope and intercept when it saves
        else:
            data = np.abs(data) if code.startswith('u') else data
            data[1, 1, 2:4] = (np.nan, np.inf) if 'f' in code else 0
            header = nb.Nifti1Header(endianness='>' if code[0] == '>' else '<')
            image = nb.Nifti1Image(data.astype(code.strip('>')), AFFINE, header)
            image.set_data_dtype(code.strip('>'))
        path = tmp_path / f'{number}.nii.gz'
        nb.save(image, path)
        mask = save(tmp_path / f'mask-{number}.nii.gz', subject_mask(number))
        rows.append(['x', path, mask])
    write_csv(tmp_path / 'cohort.csv', ['scalar_name', 'source_file', 'source_mask_file'], rows)
    assert_same_values(*both(peer, tmp_path, *masked(tmp_path), '--dtype', dtype), ['x'])


def test_exported_maps(peer, tmp_path):
    write_cohort(tmp_path)
    files = both(peer, tmp_path, *masked(tmp_path))
    n = int(group_mask().sum())
    names = ['element_id', 'Intercept.estimate', 'age.p.value', 'age.p.value.fdr', 'a b/c']
    matrix = np.random.default_rng(0).random((n, len(names)))
    matrix[:, 0] = np.arange(n)
    matrix[5, 1:] = np.nan
    for path in files:
        write_results(path, 'mylm', names, matrix)
    common = ['export-results', '--mask', tmp_path / 'group_mask.nii.gz', '--analysis-name', 'mylm']
    peer(*common, '--input-hdf5', files[1], '--output-dir', tmp_path / 'peer')
    # Ours exports the predecessor's file too.
    for path in files:
        output = tmp_path / path.stem / 'ours'
        arguments = [*common, '--input-hdf5', path, '--output-dir', output]
        assert main([str(word) for word in arguments]) == 0
        theirs = sorted((tmp_path / 'peer').glob('*.nii.gz'))
        assert [p.name for p in theirs] == sorted(p.name for p in output.glob('*.nii.gz'))
        for image in theirs:
            a, b = nb.load(output / image.name), nb.load(image)
            assert a.get_data_dtype() == b.get_data_dtype() == np.float32
            assert a.get_fdata().tobytes() == b.get_fdata().tobytes()
            np.testing.assert_array_equal(a.affine, b.affine)
            assert a.header.get_xyzt_units() == b.header.get_xyzt_units()


def cifti_images(kind, number):
    """Values and axes of one image of a kind, and what its name ends in."""
    if kind == 'dscalar':
        return random_values(66, seed=number), brain_models()
    if kind == 'pscalar':
        return random_values(4, seed=number), parcels()
    return random_values(4, 4, seed=number), (parcels(), parcels())


def write_cifti_cohort(folder, kind, subjects=3):
    rows = []
    for number in range(subjects):
        values, elements = cifti_images(kind, number)
        write = save_matrix if kind == 'pconn' else save_map
        path = write(folder / f'sub-{number}.{kind}.nii', values, elements)
        rows.append(['x', path, f'sub-{number}'])
    return write_csv(folder / 'cohort.csv', ['scalar_name', 'source_file', 'participant_id'], rows)


@pytest.mark.parametrize('kind', ['dscalar', 'pscalar', 'pconn'])
def test_cifti_cohorts(peer, tmp_path, kind):
    write_cifti_cohort(tmp_path, kind)
    ours, theirs = both(peer, tmp_path)
    assert_same_values(ours, theirs, ['x'])
    assert_breaks_no_rule(theirs, tmp_path)
    if kind == 'dscalar':
        with h5py.File(ours) as a, h5py.File(theirs) as b:
            assert list(b['greyordinates'].attrs['column_names']) == ['vertex_id', 'structure_id']
            assert list(a['greyordinates'].attrs['column_names']) == ['vertex_id', 'structure_id']
            np.testing.assert_array_equal(a['greyordinates'][()], b['greyordinates'][()])


def test_a_fixel_cohort(peer, tmp_path):
    references = fixels(tmp_path)
    rows = [
        ['fd', save_values(tmp_path / f'sub-{n}.mif', np.random.default_rng(n).random(6))]
        for n in range(3)
    ]
    write_csv(tmp_path / 'cohort.csv', ['scalar_name', 'source_file'], rows)
    ours, theirs = both(peer, tmp_path, *references)
    assert_same_values(ours, theirs, ['fd'])
    assert_breaks_no_rule(theirs, tmp_path)


def add_results(path, n):
    matrix = np.stack([np.arange(n), np.linspace(0, 1, n)], axis=1)
    return write_results(path, 'mylm', ['element_id', 'age.p.value'], matrix)


@pytest.mark.parametrize('kind', ['dscalar', 'pscalar', 'pconn'])
def test_exported_cifti_of_either_file(peer, tmp_path, kind):
    write_cifti_cohort(tmp_path, kind)
    files = both(peer, tmp_path)
    example = tmp_path / f'sub-0.{kind}.nii'
    common = ['export-results', '--analysis-name', 'mylm', '--example-file', example]
    n = cifti_images(kind, 0)[0].size
    peer(*common, '--input-hdf5', add_results(files[1], n), '--output-dir', tmp_path / 'peer')
    add_results(files[0], n)
    for path in files:
        output = tmp_path / f'of-{path.stem}'
        arguments = [*common, '--input-hdf5', path, '--output-dir', output]
        assert main([str(word) for word in arguments]) == 0
        theirs = sorted(path.name for path in (tmp_path / 'peer').iterdir())
        assert theirs == sorted(path.name for path in output.glob('*.nii'))
        for name in theirs:
            a, b = nb.load(output / name), nb.load(tmp_path / 'peer' / name)
            np.testing.assert_array_equal(a.get_fdata(), b.get_fdata(dtype=np.float32))
            assert a.get_data_dtype() == np.float32


def test_exported_fixels_of_either_file(peer, tmp_path):
    references = fixels(tmp_path)
    example = save_values(tmp_path / 'sub-0.mif', np.random.default_rng(0).random(6))
    write_csv(tmp_path / 'cohort.csv', ['scalar_name', 'source_file'], [['fd', example]])
    files = both(peer, tmp_path, *references)
    common = ['export-results', '--analysis-name', 'mylm', *references, '--example-file', example]
    peer(*common, '--input-hdf5', add_results(files[1], 6), '--output-dir', tmp_path / 'peer')
    add_results(files[0], 6)
    for path in files:
        output = tmp_path / f'of-{path.stem}'
        arguments = [*common, '--input-hdf5', path, '--output-dir', output]
        assert main([str(word) for word in arguments]) == 0
        theirs = {path.name for path in (tmp_path / 'peer').iterdir()}
        assert {path.name for path in output.iterdir()} == {*theirs, 'mylm_results.json'}
        for name in theirs:
            stats = [run('mrstats', folder / name) for folder in (output, tmp_path / 'peer')]
            assert stats[0] == stats[1]


def test_a_tiledb_store(peer, tmp_path):
    """The predecessor's store becomes the file that ours would have been, but for its elements."""
    write_cohort(tmp_path, subjects=3)
    words = ['to-modelarray', '--cohort-file', tmp_path / 'cohort.csv', *masked(tmp_path)]
    peer(*words, '--backend', 'tiledb', '--output', tmp_path / 'peer.tdb')
    assert main([str(word) for word in [*words, '--output', tmp_path / 'ours.h5']]) == 0
    assert main(['convert', str(tmp_path / 'peer.tdb'), str(tmp_path / 'back.h5')]) == 0
    with h5py.File(tmp_path / 'ours.h5') as ours, h5py.File(tmp_path / 'back.h5') as back:
        for name in ('values', 'column_names'):
            expected, found = (file[f'scalars/FA/{name}'][()] for file in (ours, back))
            assert expected.tolist() == found.tolist() or expected.tobytes() == found.tobytes()
