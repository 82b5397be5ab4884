"""Processors and memory of nodes, as Nipype's plugins schedule by them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

#: MiB of a node that reads, builds or draws, where no limit was given: the most seen, rounded up.
#: Blocks of a matrix have 256 MiB at most, see ``runtime.resources``.
_USUAL_MB = 1024
#: MiB of a node that writes small files: Python and its libraries.
_LIGHT_MB = 256


@dataclass(frozen=True)
class Allowance:
    """Processors and memory that each node of a workflow may use.

    Parameters
    ----------
    nprocs : int
        Threads.
    mem_mb : int, optional
        Memory in MiB; by default no limit, and what nodes usually take.
    """

    nprocs: int = 1
    mem_mb: int | None = None

    def working(self) -> dict[str, Any]:
        """Return ``n_procs`` and ``mem_gb`` of a node that reads, builds or draws."""
        return {'n_procs': self.nprocs, 'mem_gb': (self.mem_mb or _USUAL_MB) / 1024}

    def light(self) -> dict[str, Any]:
        """Return ``n_procs`` and ``mem_gb`` of a node that writes small files in one thread."""
        return {'n_procs': 1, 'mem_gb': min(self.mem_mb or _USUAL_MB, _LIGHT_MB) / 1024}

    def inputs(self) -> dict[str, int]:
        """Return the inputs of an interface that keeps to the limits."""
        limits = {'num_threads': self.nprocs}
        return limits if self.mem_mb is None else limits | {'mem_mb': self.mem_mb}

    def memory(self) -> dict[str, int]:
        """Return the inputs of an interface that works in one thread."""
        return {} if self.mem_mb is None else {'mem_mb': self.mem_mb}
