"""HDF5 files with results, written as ModelArray writes them; a file that is being written."""

import subprocess
import sys
from contextlib import contextmanager

import h5py
import numpy as np


def write_results(path, analysis, names, matrix, *, where='attribute', levels=None):
    """Add an analysis to a file.

    ``matrix`` is (n_rows, n_results) as R sees it. ``where`` puts the names where one version of
    ModelArray or another did; None leaves them out, as a killed run does.
    """
    with h5py.File(path, 'a') as file:
        group = file.require_group(f'results/{analysis}')
        dataset = group.create_dataset('results_matrix', data=np.asarray(matrix, float).T)
        padded = np.array([name.encode() for name in names], dtype='S64')
        if where == 'attribute':
            dataset.attrs['colnames'] = padded
        elif where == 'dataset':
            group.create_dataset('column_names', data=list(names), dtype=h5py.string_dtype())
        for column, texts in (levels or {}).items():
            group.create_dataset(f'lut_forcol{column}', data=list(texts), dtype=h5py.string_dtype())
    return path


@contextmanager
def being_written(path):
    """A file that another program has open for writing."""
    code = 'import h5py, sys; f = h5py.File(sys.argv[1], "r+"); print("open", flush=True); input()'
    with subprocess.Popen(
        [sys.executable, '-c', code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b'open\n'
        yield process
        process.communicate(b'\n')


def write_scalar(path, scalar, values, names):
    """Add a scalar to a file, (n_sources, n_elements), as the format's contract asks."""
    with h5py.File(path, 'a') as file:
        group = file.require_group(f'scalars/{scalar}')
        values = np.asarray(values, 'f4')
        chunks = len(names), min(7, values.shape[1])
        group.create_dataset('values', data=values, chunks=chunks, compression=4, shuffle=True)
        group.create_dataset('column_names', data=list(names), dtype=h5py.string_dtype())
    return path


def read_results(path, analysis):
    """The results of an analysis by name, each (n_rows,)."""
    with h5py.File(path) as file:
        group = file[f'results/{analysis}']
        names = group['column_names'].asstr()[()]
        return dict(zip(names, group['results_matrix'][()], strict=True))
