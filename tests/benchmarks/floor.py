"""The least that the work could take: inflate the inputs, deflate the outputs, write them.

A program of its own, ``floor.py THREADS build COHORT STORE`` or ``floor.py THREADS export STORE
FOLDER``, that finds what goes in and out in a finished run of ours and prints its seconds. Nothing
is parsed, masked, transposed or shuffled, and nothing but these three steps is on the clock. Each
thread inflates files into one buffer of its own, since the page faults of fresh memory cost as much
as inflating.
"""

import csv
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
    """Seconds for the images of a cohort and the chunks of their HDF5 file."""
    with open(cohort, newline='', encoding='utf-8') as file:
        rows = list(csv.DictReader(file))
    paths = [row[key] for row in rows for key in ('source_file', 'source_mask_file') if row[key]]
    with h5py.File(store) as file:
        values = file[f'scalars/{rows[0]["scalar_name"]}/values']
        chunks = (zlib.decompress(_read(store, *chunk)) for chunk in _chunks(values))
        return inflating(inflate_file, paths, threads) + deflating(
            lambda data: isal_zlib.compress(data, LEVEL), chunks, store, threads
        )


def export(threads, store, folder):
    """Seconds for the results in an HDF5 file and their images."""
    with h5py.File(store) as file:
        chunks = _chunks(next(iter(file['results'].values()))['results_matrix'])
    images = (igzip.decompress(path.read_bytes()) for path in sorted(Path(folder).glob('*.gz')))
    seconds = inflating(lambda chunk: isal_zlib.decompress(_read(store, *chunk)), chunks, threads)
    return seconds + deflating(lambda data: igzip.compress(data, LEVEL), images, store, threads)


def inflating(inflate, items, threads):
    """Seconds to inflate every item."""
    start = time.monotonic()
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(inflate, items):
            pass
    return time.monotonic() - start


def deflating(deflate, blocks, beside, threads):
    """Seconds to deflate every block and to write them, some at a time, to a file."""
    path, seconds = Path(beside).with_name('floor.bin'), 0.0
    with ThreadPoolExecutor(threads) as pool, open(path, 'wb') as file:
        for batch in batches(blocks):
            start = time.monotonic()
            file.writelines(pool.map(deflate, batch))
            seconds += time.monotonic() - start
    path.unlink()
    return seconds


def batches(blocks):
    """Lists of blocks of about 64 MiB."""
    batch = []
    for block in blocks:
        batch.append(block)
        if sum(map(len, batch)) >= BATCH:
            yield batch
            batch = []
    if batch:
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
    print({'build': build, 'export': export}[task](int(threads), *arguments))


if __name__ == '__main__':
    main()
