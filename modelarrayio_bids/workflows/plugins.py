"""Where the nodes of a workflow run: Nipype's plugins, and what a scheduler is told of a node."""

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

from modelarrayio_bids.errors import FormatError, SourceNotFoundError, UsageError

#: In this process, one node after the other: each uses all threads by itself.
LOCAL = 'Linear'
#: Nipype's names of those that keep watch over their jobs, so that a run can say how it ended.
PLUGINS = ('Linear', 'MultiProc', 'SLURM', 'PBS', 'SGE', 'LSF', 'OAR', 'Condor')

# How each scheduler is asked for processors and memory (MiB), by the argument its plugin takes;
# before each the words by which a person asks for the same. Of the others, parallel environments
# and units differ from site to site: see --nipype-plugin-file.
_NODE_ARGUMENTS: dict[str, tuple[str, list[tuple[tuple[str, ...], str]]]] = {
    'SLURM': (
        'sbatch_args',
        [
            (('--cpus-per-task', '-c'), '--cpus-per-task={cpus}'),
            (('--mem', '--mem-per-cpu', '--mem-per-gpu'), '--mem={memory}M'),
        ],
    ),
    # PBS refuses others beside select.
    'PBS': (
        'qsub_args',
        [
            (('ncpus', 'nodes', 'select'), '-l ncpus={cpus}'),
            (('mem', 'select'), '-l mem={memory}mb'),
        ],
    ),
    # It counts addresses, of which a process has more than memory: half as many again is ample.
    'SGE': ('qsub_args', [(('h_vmem',), '-l h_vmem={addresses}M')]),
    'LSF': ('bsub_args', [(('-n',), '-n {cpus}'), (('-M',), '-M {memory}MB')]),
}

_COUNT = {'type': 'integer', 'minimum': 1}
_TEXT = {'type': 'string'}
# What Nipype documents of its plugins' arguments, as a JSON schema: of other values they make a
# traceback, or wait for ever, as with too little memory for any node.
_ARGUMENTS = {
    'properties': {
        **dict.fromkeys(('n_procs', 'max_jobs', 'max_tries', 'max_jobname_len'), _COUNT),
        **dict.fromkeys(('sbatch_args', 'qsub_args', 'bsub_args', 'oarsub_args'), _TEXT),
        'template': _TEXT,
        'dont_resubmit_completed_jobs': {'type': 'boolean'},
        # A node of ours asks for all threads, and takes what there is.
        'raise_insufficient': {'const': False},
        'n_gpu_procs': {'type': 'integer', 'minimum': 0},
        'memory_gb': {'type': 'number', 'minimum': 0.1},
        'retry_timeout': {'type': 'number', 'minimum': 0},
        'scheduler': {'enum': ['tsort', 'mem_thread']},
        'mp_context': {'enum': ['fork', 'forkserver', 'spawn']},
    }
}


class WorkerPool(ProcessPoolExecutor):
    """The workers of Nipype's MultiProc, whose death is a result like any other.

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
                f'there is no plugin {self.name!r} that can be waited for',
                remedy=f'Choose among {", ".join(PLUGINS)}.',
            )
        fault = best_match(Draft202012Validator(_ARGUMENTS).iter_errors(self.arguments))
        if fault is not None:
            raise UsageError(
                f'the argument {fault.json_path[2:]} of {self.name}: {fault.message}',
                remedy='Give another value, or leave it out.',
            )

    @classmethod
    def from_file(cls, path: Path) -> Plugin:
        """From YAML or JSON: ``plugin``, a name, and ``plugin_args``, as other BIDS Apps take it.

        Raises
        ------
        SourceNotFoundError, FormatError, UsageError
            If it cannot be used.
        """
        try:
            content = yaml.safe_load(path.read_text('utf-8-sig'))
        except FileNotFoundError as error:
            raise SourceNotFoundError('no such file', path, 'Check the path.') from error
        except OSError as error:
            what = f'cannot be read ({error.strerror})'
            raise SourceNotFoundError(
                what, path, 'Check that it is a file you may read.'
            ) from error
        except (yaml.YAMLError, ValueError) as error:
            # YAML has dates, and ValueError is what an impossible one makes.
            first = str(error).partition('\n')[0]
            raise FormatError(f'is no YAML ({first})', path, _EXAMPLE) from error
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
        """Whether all nodes run on this machine."""
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
        if self.name not in _NODE_ARGUMENTS:
            return
        argument, every = _NODE_ARGUMENTS[self.name]
        given = set(re.split(r'[\s=:,]+', self.arguments.get(argument, '')))
        amounts = {'cpus': cpus, 'memory': mem_mb, 'addresses': (mem_mb or 0) * 3 // 2}
        asked = [
            ours.format_map(amounts)
            for words, ours in every
            if given.isdisjoint(words) and (mem_mb or '{cpus}' in ours)
        ]
        for name in workflow.list_node_names():
            workflow.get_node(name).plugin_args = {argument: f' {" ".join(asked)}'}


_EXAMPLE = 'Write "plugin: SLURM" and, below it, "plugin_args: {sbatch_args: \'-p long\'}".'
