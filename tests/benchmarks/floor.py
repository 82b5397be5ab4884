"""The least that the work could take: inflate the inputs, deflate the outputs, write them.

A program of its own, ``floor.py THREADS build COHORT STORE`` or ``floor.py THREADS export STORE
FOLDER``, that finds what goes in and out in a finished run of ours. Nothing is parsed, masked,
transposed or shuffled. It prints the seconds that finding took, of the clock and of processors,
which do not count: what is left is the start of Python with h5py and ISA-L, and these three steps.
Each thread inflates files into one buffer of its own, since the page faults of fresh memory cost as
much as inflating.
"""

import csv
import json
import os
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import local

import h5py
from isal import igzip, isal_zlib

BATCH = 64 * 2**20
LEVEL = 1
_own = local()


def build(threads, cohort, store):
    """Work on the images of a cohort and on the chunks of their HDF5 file."""
    with ready:
        with open(cohort, newline='', encoding='utf-8') as file:
            rows = list(csv.DictReader(file))
        masked = ('source_file', 'source_mask_file')
        paths = [row[key] for row in rows for key in masked if row[key]]
        file = h5py.File(store)
        values = file[f'scalars/{rows[0]["scalar_name"]}/values']
        chunks = (zlib.decompress(_read(store, *chunk)) for chunk in _chunks(values))
    inflating(inflate_file, paths, threads)
    deflating(lambda data: isal_zlib.compress(data, LEVEL), chunks, store, threads)


def export(threads, store, folder):
    """Work on the results in an HDF5 file and on their images."""
    with ready:
        with h5py.File(store) as file:
            chunks = _chunks(next(iter(file['results'].values()))['results_matrix'])
        images = (igzip.decompress(path.read_bytes()) for path in sorted(Path(folder).glob('*.gz')))
    inflating(lambda chunk: isal_zlib.decompress(_read(store, *chunk)), chunks, threads)
    deflating(lambda data: igzip.compress(data, LEVEL), images, store, threads)


class Ready:
    """The seconds that were spent making ready, of the clock and of processors."""

    def __init__(self):
        self.seconds = self.cpu = 0.0

    def __enter__(self):
        self.seconds -= time.monotonic()
        self.cpu -= time.process_time()

    def __exit__(self, *exception):
        self.seconds += time.monotonic()
        self.cpu += time.process_time()


ready = Ready()


def inflating(inflate, items, threads):
    """Inflate every item."""
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(inflate, items):
            pass


def deflating(deflate, blocks, beside, threads):
    """Deflate every block and write them, some at a time, to a file."""
    path = Path(beside).with_name('floor.bin')
    with ThreadPoolExecutor(threads) as pool, open(path, 'wb') as file:
        for batch in batches(blocks):
            file.writelines(pool.map(deflate, batch))
    with ready:
        path.unlink()


def batches(blocks):
    """Lists of blocks of about 64 MiB, made ready before they are handed over."""
    while True:
        batch, size = [], 0
        with ready:
            for block in blocks:
                batch.append(block)
                size += len(block)
                if size >= BATCH:
                    break
        if not batch:
            return
        yield batch


def inflate_file(path):
    """Inflate a file, or read one that is not compressed, into this thread's buffer."""
    opened = igzip.open if path.endswith('.gz') else open
    with opened(path, 'rb') as file:
        buffer = _buffer(_inflated_size(path))
        return file.readinto(buffer)


def _inflated_size(path):
    size = Path(path).stat().st_size
    if not path.endswith('.gz'):
        return size
    with open(path, 'rb') as file:
        file.seek(-4, os.SEEK_END)
        return int.from_bytes(file.read(), 'little')


def _buffer(size):
    if len(getattr(_own, 'buffer', b'')) < size:
        _own.buffer = bytearray(size)
    return memoryview(_own.buffer)[:size]


def _chunks(dataset):
    """Offset and size in the file of each chunk."""
    stored = map(dataset.id.get_chunk_info, range(dataset.id.get_num_chunks()))
    return [(chunk.byte_offset, chunk.size) for chunk in stored]


def _read(path, offset, size):
    with open(path, 'rb', buffering=0) as file:
        file.seek(offset)
        return file.read(size)


def main():
    threads, task, *arguments = sys.argv[1:]
    {'build': build, 'export': export}[task](int(threads), *arguments)
    print(json.dumps([ready.seconds, ready.cpu]))


if __name__ == '__main__':
    main()
