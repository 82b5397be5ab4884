"""Running a workflow and raising the errors of its nodes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from glob import escape
from multiprocessing import active_children
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NoReturn

from nipype import Workflow

from modelarrayio_bids.errors import JobError, ModelArrayIOError, UsageError, raise_problems
from modelarrayio_bids.interfaces.base import AGAIN
from modelarrayio_bids.interfaces.node_errors import errors_below, forget_errors
from modelarrayio_bids.runtime.termination import undisturbed
from modelarrayio_bids.workflows.plugins import Plugin, WorkerPool

_LESS = (
    'It may have run out of memory: give less with --mem-mb, or fewer threads with --nprocs, and '
    'run the same command again.'
)
# Seconds for a worker to take away what is half-written.
_PATIENCE = 10


def run_workflow(
    workflow: Workflow, work_dir: Path, log_dir: Path, plugin: Plugin = Plugin()
) -> dict[str, Any]:
    """Run a workflow in a folder of its own, crash files to the logs.

    Returns
    -------
    dict
        By a node's name: its outputs, as attributes.

    Raises
    ------
    UsageError
        If the work folder's path would be a pattern, and other machines are to run nodes.
    ModelArrayIOError
        Error of its nodes that a user can fix; for a killed job, the name of the job.
    Exception
        Whatever else Nipype stopped for.
    """
    _check_name(work_dir, plugin)
    workflow.base_dir = str(work_dir)
    workflow.config['execution'] = _execution(work_dir, log_dir, plugin)
    folder, before = work_dir / workflow.name, set(log_dir.glob('crash-*'))
    forget_errors(folder)
    runner = plugin.runner()
    pool = getattr(runner, 'pool', None)
    with _workers_stopped():
        try:
            graph = workflow.run(plugin=runner, plugin_args=plugin.run_arguments)
        except Exception as error:
            # Before workers are stopped: files they leave afterwards are not causes.
            was_killed = isinstance(pool, WorkerPool) and pool.is_broken
            reasons = _killed_job_errors(folder) if was_killed else _reasons(error, folder, plugin)
            if reasons:
                # These say all there is to say: the crash files of this run would not add to it.
                for path in set(log_dir.glob('crash-*')) - before:
                    path.unlink()
                _raise(reasons)
            raise
    return {node.name: node.result.outputs for node in graph.nodes()}


def _is_pattern(work_dir: Path) -> bool:
    return escape(str(work_dir)) != str(work_dir)


def _check_name(work_dir: Path, plugin: Plugin) -> None:
    if _is_pattern(work_dir) and not plugin.is_local:
        raise UsageError(
            'has one of the characters * ? [ in its path: Nipype finds no results of jobs there',
            work_dir,
            'Give another work folder with -w.',
        )


def _execution(work_dir: Path, log_dir: Path, plugin: Plugin) -> dict[str, str]:
    settings = {
        'crashdump_dir': str(log_dir),
        'crashfile_format': 'txt',
        'check_version': 'false',
        'stop_on_first_crash': str(plugin.is_local or plugin.stops_at_once).lower(),
        # Nipype looks for finished nodes every 2 s by default: most of our nodes take less.
        'poll_sleep_duration': '0.1',
    }
    if _is_pattern(work_dir):
        # Nipype would take the path for a pattern, and what it does not find it cannot keep: with
        # all other files it would remove its own. Nothing is cached there.
        settings['remove_unnecessary_outputs'] = 'false'
    if not plugin.is_local:
        # A scheduler is not to be asked ten times a second, and a file of another machine may take
        # a while to be seen here.
        settings |= {'poll_sleep_duration': '2', 'job_finished_timeout': '15'}
    return settings


def _reasons(error: Exception, folder: Path, plugin: Plugin) -> list[BaseException]:
    """Return what nodes ended for, an interrupt before all else; nothing if it was a bug."""
    ends = errors_below(folder)
    if plugin.is_local:
        # A node of this machine that only began is one that still runs.
        ends = [end for end in ends if not isinstance(end, JobError)]
    interrupts = [end for end in ends if not isinstance(end, ModelArrayIOError)]
    return interrupts[:1] or ends or [*_missing_job_errors(error, folder)]


def _killed_job_errors(folder: Path) -> list[BaseException]:
    """Name the nodes that were begun when a worker was killed; others were told to end then."""
    begun = [end for end in errors_below(folder) if isinstance(end, JobError)]
    whats = [end.what for end in begun] or ['a worker process was killed']
    return [JobError(what, remedy=_LESS) for what in whats]


def _raise(reasons: Sequence[BaseException]) -> NoReturn:
    raise_problems([reason for reason in reasons if isinstance(reason, ModelArrayIOError)])
    raise reasons[0]


def _missing_job_errors(error: BaseException | None, folder: Path) -> list[ModelArrayIOError]:
    """Return the error of a job that a scheduler ended before its node began.

    Nipype looks for its result, finds none, and fails over telling that.
    """
    for cause in _chain(error):
        missing = Path(str(cause))
        if isinstance(cause, FileNotFoundError) and missing.is_relative_to(folder):
            step = missing.parent.name.lstrip('_')
            what = f'the job of {step} ended without a result'
            return [JobError(what, missing.parent, AGAIN)]
    return []


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__context__


@contextmanager
def _workers_stopped() -> Iterator[None]:
    """End the processes that Nipype started after an error or an interrupt.

    Left alone they would finish their nodes, and write into folders that are being removed.
    """
    before = set(active_children())
    try:
        yield
    except BaseException:
        with undisturbed():
            _stop(set(active_children()) - before)
        raise


def _stop(workers: Collection[BaseProcess]) -> None:
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.join(_PATIENCE)
        # One that was told between two nodes has forgotten it over its queue.
        worker.kill()
        worker.join()
