"""Filters that chunks went through before they were stored, and those that R can undo.

Numbers are those of the HDF Group's registry. Which of them R undoes was tried with rhdf5 2.42 and
rhdf5filters 1.10 on files that h5py and hdf5plugin wrote.
"""

from __future__ import annotations

import h5py

_NAMES = {
    h5py.h5z.FILTER_DEFLATE: 'gzip',
    h5py.h5z.FILTER_SHUFFLE: 'shuffle',
    h5py.h5z.FILTER_FLETCHER32: 'fletcher32',
    h5py.h5z.FILTER_SZIP: 'szip',
    h5py.h5z.FILTER_NBIT: 'nbit',
    h5py.h5z.FILTER_SCALEOFFSET: 'scaleoffset',
    307: 'bzip2',
    32000: 'lzf',
    32001: 'blosc',
    32004: 'lz4',
    32008: 'bitshuffle',
    32013: 'zfp',
    32015: 'zstd',
    32017: 'sz',
    32024: 'sz3',
    32026: 'blosc2',
}
#: Part of HDF5 wherever it is, or of every h5py and every rhdf5.
COMMON = frozenset({'gzip', 'shuffle', 'fletcher32', 'lzf'})
#: Undone by R, and not by every program.
RARE = frozenset({'szip', 'nbit', 'scaleoffset', 'bzip2', 'blosc'})


def filters_of(dataset: h5py.Dataset) -> tuple[str, ...]:
    """Return the names of the filters of a dataset, in the order in which they were applied.

    >>> with h5py.File('x', 'w', driver='core', backing_store=False) as file:
    ...     filters_of(file.create_dataset('x', data=[1.0], shuffle=True, compression='gzip'))
    ('shuffle', 'gzip')
    """
    settings = dataset.id.get_create_plist()
    numbers = (settings.get_filter(index)[0] for index in range(settings.get_nfilters()))
    return tuple(_NAMES.get(number, f'filter {number}') for number in numbers)
