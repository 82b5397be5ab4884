"""Nipype's plugins, which run the nodes of a workflow, and the requests to schedulers."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from traceback import format_exception
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from nipype import Workflow
from nipype.pipeline.plugins.multiproc import MultiProcPlugin, process_initializer

from modelarrayio_bids.derivatives.bids.json_files import parse_file
from modelarrayio_bids.errors import FormatError, UsageError
from modelarrayio_bids.runtime.data_files import data_table

#: In this process, one node after the other: each uses all threads by itself.
LOCAL = 'Linear'
#: Nipype's names of those that keep watch over their jobs, so that a run can say how it ended.
PLUGINS = ('Linear', 'MultiProc', 'SLURM', 'PBS', 'SGE', 'LSF', 'OAR', 'Condor')


class WorkerPool(ProcessPoolExecutor):
    """The workers of Nipype's MultiProc; a killed worker returns an error as its result.

    MultiProc waits for results alone, and for ever for that of a worker that was killed.

    Attributes
    ----------
    is_broken : bool
        A worker was killed; the pool runs nothing more.
    """

    is_broken = False

    def submit(
        self, function: Callable[..., Any], /, *arguments: Any, **keywords: Any
    ) -> Future[Any]:
        """Return the future of a node; MultiProc gives its number as the last argument."""
        future: Future[Any] = Future()
        running = super().submit(function, *arguments, **keywords)
        running.add_done_callback(lambda ended: self._pass_on(ended, future, arguments[-1]))
        return future

    def _pass_on(self, ended: Future[Any], future: Future[Any], task: int) -> None:
        if ended.cancelled():
            future.cancel()
            return
        error = ended.exception()
        if error is None:
            future.set_result(ended.result())
            return
        self.is_broken = self.is_broken or isinstance(error, BrokenProcessPool)
        lines = format_exception(error)
        future.set_result({'result': None, 'traceback': lines, 'taskid': task})


def multiproc(arguments: dict[str, Any]) -> MultiProcPlugin:
    """Return Nipype's plugin with our pool, made as its own is."""
    plugin = MultiProcPlugin(arguments)
    plugin.pool.shutdown(wait=False)
    plugin.pool = WorkerPool(
        max_workers=plugin.processors,
        initializer=process_initializer,
        initargs=(str(Path.cwd()),),
        mp_context=get_context(arguments.get('mp_context')),
    )
    return plugin


@dataclass(frozen=True)
class Plugin:
    """A plugin of Nipype's with its arguments.

    Parameters
    ----------
    name : str
        As Nipype knows it.
    arguments : dict, optional
        As ``plugin_args`` of :meth:`nipype.Workflow.run`.
    stops_at_once : bool, optional
        When a node fails, also where other machines run them. Without it, what does not need that
        node goes on there, for a later run to use.
    """

    name: str = LOCAL
    arguments: dict[str, Any] = field(default_factory=dict)
    stops_at_once: bool = False

    def __post_init__(self) -> None:
        if self.name not in PLUGINS:
            raise UsageError(
                f'there is no plugin {self.name!r} that waits for its jobs',
                remedy=f'Choose among {", ".join(PLUGINS)}.',
            )
        fault = best_match(
            Draft202012Validator(data_table('plugins.toml')['arguments']).iter_errors(
                self.arguments
            )
        )
        if fault is not None:
            raise UsageError(
                f'the argument {fault.json_path[2:]} of {self.name}: {fault.message}',
                remedy='Give another value, or leave it out.',
            )

    @classmethod
    def from_file(cls, path: Path) -> Plugin:
        """Read YAML or JSON: ``plugin``, a name, and ``plugin_args``, as other BIDS Apps take it.

        Raises
        ------
        SourceNotFoundError, FormatError, UsageError
            If it cannot be used.
        """
        content = parse_file(path, _parse_yaml, 'YAML', _EXAMPLE)
        if not isinstance(content, dict) or not isinstance(content.get('plugin'), str):
            raise FormatError('names no plugin', path, _EXAMPLE)
        arguments = content.get('plugin_args') or {}
        if set(content) - {'plugin', 'plugin_args'} or not isinstance(arguments, dict):
            raise FormatError('holds more than a plugin and its arguments', path, _EXAMPLE)
        try:
            return cls(content['plugin'], arguments)
        except UsageError as error:
            raise UsageError(error.what, path, error.remedy) from error

    @property
    def is_local(self) -> bool:
        """True if all nodes run on this machine."""
        return self.name in {LOCAL, 'MultiProc'}

    def runner(self) -> str | MultiProcPlugin:
        """Return what :meth:`nipype.Workflow.run` takes as its plugin."""
        return multiproc(self.run_arguments) if self.name == 'MultiProc' else self.name

    @property
    def run_arguments(self) -> dict[str, Any]:
        """The arguments for :meth:`nipype.Workflow.run`."""
        # MultiProc refuses a node that asks for more threads than there are processors.
        return {'raise_insufficient': False, **self.arguments}

    def ask_for(self, workflow: Workflow, cpus: int, mem_mb: int | None) -> None:
        """Have every node ask the scheduler for processors and memory.

        What the plugin's own arguments ask for is left to them.
        """
        known = {each['name']: each for each in data_table('plugins.toml')['schedulers']}
        if self.name not in known:
            return
        argument, every = known[self.name]['argument'], known[self.name]['asks']
        given = set(re.split(r'[\s=:,]+', self.arguments.get(argument, '')))
        amounts = {'cpus': cpus, 'memory': mem_mb, 'addresses': (mem_mb or 0) * 3 // 2}
        asked = [
            ours.format_map(amounts)
            for words, ours in every
            if given.isdisjoint(words) and (mem_mb or '{cpus}' in ours)
        ]
        for name in workflow.list_node_names():
            workflow.get_node(name).plugin_args = {argument: f' {" ".join(asked)}'}


def _parse_yaml(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error).partition('\n')[0]) from error


_EXAMPLE = 'Write "plugin: SLURM" and, below it, "plugin_args: {sbatch_args: \'-p long\'}".'
