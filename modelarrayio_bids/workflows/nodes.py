"""Nodes of our workflows: what they may use, as Nipype's plugins schedule by it, and the first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from nipype import MapNode, Node
from nipype.interfaces.base import BaseInterface
from nipype.interfaces.utility import IdentityInterface

#: MiB of a node that reads, builds or draws, where no limit was given: the most seen, rounded up.
#: Blocks of a matrix have 64 MiB at most, see ``runtime.resources``.
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

    def node(
        self, interface: BaseInterface, name: str, iterated: Sequence[str] = (), **keywords: Any
    ) -> Node:
        """Return a node that reads, builds or draws; it maps where inputs are iterated."""
        keywords |= {'n_procs': self.nprocs, 'mem_gb': (self.mem_mb or _USUAL_MB) / 1024}
        if iterated:
            return MapNode(interface, list(iterated), name, **keywords)
        return Node(interface, name, **keywords)

    def light_node(self, interface: BaseInterface, name: str, **keywords: Any) -> Node:
        """Return a node that writes small files in one thread."""
        mem_gb = min(self.mem_mb or _USUAL_MB, _LIGHT_MB) / 1024
        return Node(interface, name, n_procs=1, mem_gb=mem_gb, **keywords)

    def memory(self) -> dict[str, int]:
        """Return the inputs of an interface that works in one thread."""
        return {} if self.mem_mb is None else {'mem_mb': self.mem_mb}

    def inputs(self) -> dict[str, int]:
        """Return the inputs of an interface that keeps to the limits."""
        return {'num_threads': self.nprocs, **self.memory()}


def inputnode_of(**given: Any) -> Node:
    """Return the node with the inputs of a workflow; those that are blank may be connected."""
    node = Node(IdentityInterface(list(given), mandatory_inputs=False), 'inputnode')
    node.inputs.trait_set(**{field: value for field, value in given.items() if value})
    return node


def absolute(paths: Iterable[str | PathLike[str]]) -> list[str]:
    """Return paths as text that does not depend on the folder of a node."""
    return [str(Path(path).absolute()) for path in paths]
