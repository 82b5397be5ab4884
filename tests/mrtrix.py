"""MRtrix as an oracle; MRtrix files and a fixel directory put together without our codec."""

import subprocess

import numpy as np
from tools import require_tool

GEOMETRY = 'vox: 2,2,2,1\ntransform: 1,0,0,-10\ntransform: 0,1,0,20\ntransform: 0,0,1,30\n'
# Voxel, number of fixels, first fixel: not in the order of the grid.
VOXELS = (((2, 0, 1), 3, 0), ((0, 1, 0), 1, 3), ((1, 1, 1), 2, 4))
SHAPE = (3, 2, 2)
AFFINE = np.array([[2.0, 0, 0, -10], [0, 2, 0, 20], [0, 0, 2, 30], [0, 0, 0, 1]])
_NAMES = {
    '<f4': 'Float32LE',
    '<f8': 'Float64LE',
    '<u4': 'UInt32LE',
    '<i2': 'Int16LE',
    '<c8': 'CFloat32LE',
}


def run(tool, *arguments):
    """What a command prints."""
    command = [require_tool(tool), *map(str, arguments), '-quiet']
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def dumped(path, shape, strides=(1, 2, 3, 4)):
    """The values mrdump prints: the axis with the smallest stride first, always forwards."""
    lines = run('mrdump', path).split()
    if lines[0].startswith('('):
        numbers = [complex(*map(float, line.strip('()').split(','))) for line in lines]
    else:
        numbers = [float(line) for line in lines]
    order = np.argsort(np.abs(strides[: len(shape)]))
    return np.array(numbers).reshape(np.take(shape, order), order='F').transpose(np.argsort(order))


def by_hand(path, header, body, offset=256):
    """A file of these header lines and data."""
    start = f'{header}file: . {offset}\nEND\n'.encode()
    path.write_bytes(start.ljust(offset, b'\0') + body)
    return path


def save_mif(path, data, geometry=GEOMETRY):
    """A plain image: the first axis fastest."""
    axes = ','.join(f'+{axis}' for axis in range(data.ndim))
    header = (
        f'mrtrix image\ndim: {",".join(map(str, data.shape))}\nlayout: {axes}\n'
        f'datatype: {_NAMES[data.dtype.str]}\n{geometry}'
    )
    return by_hand(path, header, data.tobytes(order='F'))


def index_values(voxels=VOXELS):
    values = np.zeros((*SHAPE, 2), '<u4')
    for voxel, count, first in voxels:
        values[voxel] = count, first
    return values


def direction_values(n_fixels=6):
    directions = np.random.default_rng(3).normal(size=(n_fixels, 3))
    return (directions / np.linalg.norm(directions, axis=1, keepdims=True)).astype('<f4')


def save_values(path, values):
    return save_mif(path, np.asarray(values, '<f4').reshape(-1, 1, 1))


def fixel_directory(folder, voxels=VOXELS, n_directions=6):
    folder.mkdir(exist_ok=True)
    save_mif(folder / 'index.mif', index_values(voxels))
    save_mif(folder / 'directions.mif', direction_values(n_directions)[..., np.newaxis])
    return folder
