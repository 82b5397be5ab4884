"""Equal, bit for bit, to the predecessor where the predecessor is right.

``modelarrayio`` 26.0.0 is installed from PyPI into an environment of its own, once; without a
network the tests are skipped (and fail where ``REQUIRE_TOOLS=1`` says nothing may be missing).
"""

import shutil
import subprocess
import sys
import venv
from pathlib import Path

import h5py
import nibabel as nb
import numpy as np
import pytest
from images import AFFINE, SHAPE, group_mask, save, subject_mask, write_cohort, write_csv
from stores import write_results
from tools import missing

from modelarrayio_bids.cli.files import main

PEER = 'modelarrayio==26.0.0'


@pytest.fixture(scope='session')
def peer(request):
    """The predecessor's command."""
    home = Path(request.config.cache.mkdir('peer')) / f'{sys.version_info[0]}.{sys.version_info[1]}'
    command = home / 'bin' / 'modelarrayio'
    if not command.exists():
        venv.create(home, with_pip=True, clear=True)
        install = [home / 'bin' / 'python', '-m', 'pip', 'install', '--quiet', PEER]
        if subprocess.run(install, check=False, capture_output=True).returncode:
            shutil.rmtree(home)
            missing(f'{PEER} cannot be installed')
    return lambda *arguments: subprocess.run(
        [command, *map(str, arguments)], check=True, capture_output=True
    )


def both(peer, folder, *arguments):
    """Build with both programs; the two files."""
    common = ['to-modelarray', '--mask', folder / 'group_mask.nii.gz', *arguments]
    common += ['--cohort-file', folder / 'cohort.csv', '--output']
    peer(*common, folder / 'peer.h5')
    assert main([str(word) for word in [*common, folder / 'ours.h5']]) == 0
    return folder / 'ours.h5', folder / 'peer.h5'


def assert_same_values(ours, theirs, scalars):
    with h5py.File(ours) as a, h5py.File(theirs) as b:
        assert set(a['scalars']) == set(b['scalars']) == set(scalars)
        for scalar in scalars:
            mine, its = (file[f'scalars/{scalar}/values'] for file in (a, b))
            assert mine.dtype == its.dtype
            assert mine[()].tobytes() == its[()].tobytes()
            names = [file[f'scalars/{scalar}/column_names'].asstr()[()].tolist() for file in (a, b)]
            assert names[0] == names[1]
        np.testing.assert_array_equal(a['voxels'][()], b['voxels'][()])
        assert (
            a['voxels'].attrs['column_names'].tolist() == b['voxels'].attrs['column_names'].tolist()
        )


def test_a_long_cohort(peer, tmp_path):
    write_cohort(tmp_path, subjects=4, scalars=('FA', 'MD'))
    assert_same_values(*both(peer, tmp_path), ['FA', 'MD'])


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
    assert_same_values(*both(peer, tmp_path, '--dtype', dtype), ['x'])


def test_exported_maps(peer, tmp_path):
    write_cohort(tmp_path)
    files = both(peer, tmp_path)
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
