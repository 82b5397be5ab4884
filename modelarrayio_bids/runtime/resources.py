"""Limits of a run: threads, and memory as a guarantee.

Memory is what the system counts as resident, Python and its libraries included. What a process
holds is looked up rather than assumed; what reading needs follows from the headers; the rest goes
to the blocks of the matrix, whose size is free to choose.
"""

from __future__ import annotations

import ctypes
import math
import os
import resource
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from modelarrayio_bids.errors import UsageError
from modelarrayio_bids.runtime.text_format import count

MIB = 2**20
_CGROUP = Path('/sys/fs/cgroup')
#: Smallest and largest block that was fast, from 50 sources to 10,000.
_SMALLEST_WANTED, _LARGEST_WANTED = 16 * MIB, 64 * MIB
# Memory of the allocator and of HDF5's caches: the largest measured difference to the rest.
_SLACK = 10 * MIB
# Difference in memory between equal runs: measured, between 1 and 2 MiB.
_SPREAD = 4 * MIB
# Chunks in the hands of a thread: shuffled, deflated, and waiting to be written.
_CHUNKS = 4
# Bytes of small chunks that go from thread to thread together.
_PIECE = MIB // 4
# Names of a source as Python and the HDF5 library hold them, measured with 40,000.
_NAMES = 1024


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ''


def peak_bytes() -> int:
    """Return the most bytes this process ever held."""
    for line in _text(Path('/proc/self/status')).splitlines():
        if line.startswith('VmHWM:'):
            return int(line.split()[1]) * 1024
    # Elsewhere; on Linux it is the greater of this and of the program that started this one.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == 'darwin' else peak * 1024


@dataclass(frozen=True)
class Resources:
    """Threads, memory and disk that a run may use.

    Parameters
    ----------
    threads : int
        Read and compress at the same time.
    memory : int, optional
        Most bytes of the process, within ``ulimit -v``; by default what :func:`memory_limit` finds.
    scratch : pathlib.Path, optional
        Folder for rows that do not fit; by default the output's.
    """

    threads: int = 1
    memory: int | None = None
    scratch: Path | None = None

    #: Most the process held before it was to keep to this.
    _before: int = field(default_factory=peak_bytes, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.threads < 1:
            raise UsageError('at least one thread is needed', remedy='Give 1 or more.')

    def block_bytes(
        self,
        shape: tuple[int, int],
        itemsize: int,
        chunk_bytes: int,
        reading_bytes: int,
        beside: int = 0,
    ) -> int:
        """Return the bytes that a block of columns may have.

        Parameters
        ----------
        shape : tuple of int
            Rows and columns of the matrix.
        itemsize, chunk_bytes : int
            Bytes of one value, and of a chunk.
        reading_bytes : int
            Most bytes that reading takes, of all sources that are read at a time.
        beside : int, optional
            Bytes that something else takes meanwhile.

        Raises
        ------
        UsageError
            As :meth:`room`.
        """
        needed = beside + reading_bytes + self.writing_bytes(shape[0], chunk_bytes)
        room = self.room(shape[1], needed, max(chunk_bytes, MIB))
        return min(wanted_block(shape, itemsize), room)

    def writing_bytes(self, n_rows: int, chunk_bytes: int) -> int:
        """Return the bytes of chunks on their way from a block to the file, and of names."""
        piece = chunk_bytes * chunks_together(chunk_bytes)
        return (self.threads + 1) * _CHUNKS * piece + n_rows * _NAMES

    def room(self, n_elements: int, needed: int, least: int = 0, *, to: str = 'read') -> int:
        """Return the bytes left beside what the process holds and what it will need.

        Parameters
        ----------
        n_elements : int
            Number of elements of an image, for the error message.
        needed : int
            Bytes that reading and writing take.
        least : int, optional
            Bytes that have to be left.
        to : str, optional
            Verb for the error message: ``'read'``.

        Raises
        ------
        UsageError
            If the memory allowed is not enough: with the minimum that is needed.
        """
        # The system refuses addresses beyond ulimit's, whatever was asked for.
        memory = memory_limit() if self.memory is None else min([self.memory, *_address_limits()])
        give_back_memory()
        needed += resident_bytes() + _SLACK
        peak = peak_bytes()
        # Peak so far, if it was higher: for example to read a group mask of another type.
        enough = max(needed + least, peak if peak > self._before else 0)
        if memory < enough:
            enough = -(-(enough + _SPREAD) // MIB)
            raise UsageError(
                f'{memory // MIB} MB of memory is too little to {to} images of {n_elements:,} '
                f'elements in {count(self.threads, "thread")}',
                remedy=f'Give at least {enough} MB (--mem-mb), or fewer threads (--nprocs, and '
                '--s3-workers for remote files).',
            )
        return memory - needed


def chunks_together(chunk_bytes: int) -> int:
    """Return how many chunks a thread compresses before it hands them on.

    Handing one on costs as much Python as compressing 16 KiB: alone, chunks of 64 KiB pay a fifth.
    """
    return max(1, _PIECE // max(1, chunk_bytes))


def wanted_block(shape: tuple[int, int], itemsize: int) -> int:
    """Return the bytes of the block that is fastest for a matrix of this shape.

    Small blocks stay in the processor's reach, large ones make long reads and writes: the geometric
    mean of the matrix and 1 MiB was the fastest, from 50 sources to 2,000.
    """
    best = math.isqrt(shape[0] * shape[1] * itemsize * MIB)
    return min(max(best, _SMALLEST_WANTED), _LARGEST_WANTED)


def memory_limit() -> int:
    """Return the bytes this process may use by the machine, its cgroup, Slurm and ulimit."""
    machine = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
    return min(machine, *_cgroup_limits(), *_slurm_limits(), *_address_limits())


def _address_limits() -> Iterator[int]:
    """Yield what ``ulimit -v`` leaves."""
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        # Counted with what is mapped and not resident, such as the text of libraries.
        yield max(0, soft - _mapped_bytes() + resident_bytes())


def _cgroup_limits() -> Iterator[int]:
    """Yield limits of this process's group and all above it, versions 2 and 1 (cgroups(7))."""
    for line in _text(Path('/proc/self/cgroup')).splitlines():
        _, controllers, own = line.split(':', 2)
        if not controllers:
            root, name = _CGROUP, 'memory.max'
        elif 'memory' in controllers.split(','):
            root, name = _CGROUP / 'memory', 'memory.limit_in_bytes'
        else:
            continue
        group = root / own.lstrip('/')
        # A container sees its own group as the root, and still by its name outside.
        for folder in (group, *group.parents):
            if folder.is_relative_to(root) and (limit := _text(folder / name)).isdecimal():
                yield int(limit)


def _slurm_limits() -> Iterator[int]:
    """Yield what sbatch was asked for, in MiB (its manual, "OUTPUT ENVIRONMENT VARIABLES")."""
    for amount in (
        _from_environment('SLURM_MEM_PER_NODE'),
        _from_environment('SLURM_MEM_PER_CPU') * _from_environment('SLURM_CPUS_ON_NODE'),
    ):
        if amount:
            yield amount * MIB


def _from_environment(name: str) -> int:
    """Return a whole number; 0 for anything else."""
    text = os.environ.get(name, '')
    return int(text) if text.isdecimal() else 0


def give_back_memory() -> None:
    """Return to the system what was freed: glibc keeps it, for each thread there ever was."""
    trim = getattr(ctypes.CDLL(None), 'malloc_trim', None)
    if trim is not None:
        trim(0)


def resident_bytes() -> int:
    """Return the bytes this process holds; the most it ever held where that is not known."""
    pages = _text(Path('/proc/self/statm')).split()
    if pages:
        return int(pages[1]) * os.sysconf('SC_PAGE_SIZE')
    return peak_bytes()


def _mapped_bytes() -> int:
    pages = _text(Path('/proc/self/statm')).split()
    return int(pages[0]) * os.sysconf('SC_PAGE_SIZE') if pages else resident_bytes()
