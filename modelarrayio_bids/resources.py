"""What a run may use of the machine: threads, and memory as a promise.

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
from dataclasses import dataclass
from pathlib import Path

from modelarrayio_bids.errors import UsageError

MIB = 2**20
_CGROUP = Path('/sys/fs/cgroup')
#: Smallest and largest block that was fast, from 50 sources to 2,000.
_SMALLEST_WANTED, _LARGEST_WANTED = 16 * MIB, 256 * MIB
# What the allocator keeps and the HDF5 library caches, measured as the most beyond the rest.
_SLACK = 10 * MIB
# What one run holds more than another of the same: measured, between 1 and 2 MiB.
_SPREAD = 4 * MIB
# Chunks in the hands of a thread: shuffled, deflated, and waiting to be written.
_CHUNKS = 4


@dataclass(frozen=True)
class Resources:
    """What a run may use.

    Parameters
    ----------
    threads : int
        Read and compress at the same time.
    memory : int, optional
        Most bytes of the process; without it, what :func:`memory_limit` finds.
    scratch : pathlib.Path, optional
        Folder for rows that do not fit; by default the output's.
    """

    threads: int = 1
    memory: int | None = None
    scratch: Path | None = None

    def __post_init__(self) -> None:
        if self.threads < 1:
            raise UsageError('at least one thread is needed', remedy='Give 1 or more.')

    def block_bytes(
        self, shape: tuple[int, int], itemsize: int, chunk_bytes: int, source_bytes: int
    ) -> int:
        """Bytes that a block of columns may have.

        Parameters
        ----------
        shape : tuple of int
            Rows and columns of the matrix.
        itemsize, chunk_bytes : int
            Bytes of one value, and of a chunk.
        source_bytes : int
            Most bytes that reading one source takes.

        Raises
        ------
        UsageError
            As :meth:`room`.
        """
        needed = self.threads * source_bytes + self.writing_bytes(chunk_bytes)
        room = self.room(shape[1], needed, max(chunk_bytes, MIB))
        return min(wanted_block(shape, itemsize), room)

    def writing_bytes(self, chunk_bytes: int) -> int:
        """Bytes of the chunks that are on their way from a block to the file."""
        return (self.threads + 1) * _CHUNKS * chunk_bytes

    def room(self, n_elements: int, needed: int, least: int = 0) -> int:
        """Bytes left beside what the process holds and what it will need.

        Parameters
        ----------
        n_elements : int
            Of an image, for an error to name.
        needed : int
            Bytes that reading and writing take.
        least : int, optional
            Bytes that have to be left.

        Raises
        ------
        UsageError
            If the memory allowed is not enough: with the least that would do.
        """
        memory = memory_limit() if self.memory is None else self.memory
        give_back_memory()
        needed += resident_bytes() + _SLACK
        if memory < needed + least:
            enough = -(-(needed + least + _SPREAD) // MIB)
            raise UsageError(
                f'{memory // MIB} MB of memory are too few to read images of {n_elements:,} '
                f'elements in {self.threads} threads',
                remedy=f'Give at least {enough} MB (--mem-mb), or fewer threads (--nprocs).',
            )
        return memory - needed


def wanted_block(shape: tuple[int, int], itemsize: int) -> int:
    """Bytes of the block that is fastest for a matrix of this shape.

    Small blocks stay in the processor's reach, large ones make long reads and writes: the geometric
    mean of the matrix and 1 MiB was the fastest, from 50 sources to 2,000.
    """
    best = math.isqrt(shape[0] * shape[1] * itemsize * MIB)
    return min(max(best, _SMALLEST_WANTED), _LARGEST_WANTED)


def memory_limit() -> int:
    """Bytes this process may use: the least of what the machine, its cgroup and Slurm allow."""
    return min(_limits())


def _limits() -> Iterator[int]:
    yield os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
    yield from _cgroup_limits()
    yield from _slurm_limits()
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        # Counted with what is mapped and not resident, such as the text of libraries.
        yield max(0, soft - _mapped_bytes() + resident_bytes())


def _cgroup_limits() -> Iterator[int]:
    """Of version 2, of this process and all above it, and of version 1."""
    own = _text(Path('/proc/self/cgroup')).rpartition('::')[2].strip().lstrip('/')
    for group in (_CGROUP / own, *(_CGROUP / own).parents):
        if group.is_relative_to(_CGROUP) and (limit := _text(group / 'memory.max')).isdecimal():
            yield int(limit)
    if (limit := _text(_CGROUP / 'memory' / 'memory.limit_in_bytes')).isdecimal():
        yield int(limit)


def _slurm_limits() -> Iterator[int]:
    """What sbatch was asked for, in MiB (its manual, "OUTPUT ENVIRONMENT VARIABLES")."""
    per_node = os.environ.get('SLURM_MEM_PER_NODE', '')
    if per_node.isdecimal() and int(per_node):
        yield int(per_node) * MIB
    per_processor = os.environ.get('SLURM_MEM_PER_CPU', '')
    processors = os.environ.get('SLURM_CPUS_ON_NODE', '')
    if per_processor.isdecimal() and processors.isdecimal() and int(per_processor):
        yield int(per_processor) * int(processors) * MIB


def give_back_memory() -> None:
    """Return to the system what was freed: glibc keeps it, for each thread there ever was."""
    trim = getattr(ctypes.CDLL(None), 'malloc_trim', None)
    if trim is not None:
        trim(0)


def resident_bytes() -> int:
    """Bytes of memory this process holds now; the most it ever held where that is not known."""
    pages = _text(Path('/proc/self/statm')).split()
    if pages:
        return int(pages[1]) * os.sysconf('SC_PAGE_SIZE')
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == 'darwin' else peak * 1024


def _mapped_bytes() -> int:
    pages = _text(Path('/proc/self/statm')).split()
    return int(pages[0]) * os.sysconf('SC_PAGE_SIZE') if pages else resident_bytes()


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ''
