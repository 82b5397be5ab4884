"""Running a workflow so that its errors are ours again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import active_children
from pathlib import Path
from typing import Any

from nipype import Workflow

from modelarrayio_bids.errors import ModelArrayIOError, raise_problems
from modelarrayio_bids.interfaces.base import errors_below, forget_errors


def run_workflow(
    workflow: Workflow,
    work_dir: Path,
    log_dir: Path,
    plugin: str = 'MultiProc',
    plugin_args: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Run a workflow in a folder of its own, crash files to the logs.

    Returns
    -------
    dict
        By a node's name: its outputs, as attributes.

    Raises
    ------
    ModelArrayIOError
        What its nodes failed for, where a user can mend it.
    RuntimeError
        Whatever else Nipype stopped for.
    """
    workflow.base_dir = str(work_dir)
    workflow.config['execution'] = {
        'crashdump_dir': str(log_dir),
        'crashfile_format': 'txt',
        'stop_on_first_crash': 'true',
        # Nipype looks for finished nodes every 2 s by default: most of ours take less.
        'poll_sleep_duration': '0.1',
        'check_version': 'false',
    }
    folder, before = work_dir / workflow.name, set(log_dir.glob('crash-*'))
    forget_errors(folder)
    try:
        with _workers_stopped():
            graph = workflow.run(plugin=plugin, plugin_args=plugin_args or {})
    except Exception:
        errors = _unique(errors_below(folder))
        if not errors:
            raise
        # The error says all there is to say: the crash files of this run would not add to it.
        for path in set(log_dir.glob('crash-*')) - before:
            path.unlink()
        raise_problems(errors)
    return {node.name: node.result.outputs for node in graph.nodes()}


@contextmanager
def _workers_stopped() -> Iterator[None]:
    """After an error or an interrupt, end the processes Nipype started and wait for them.

    Left alone they would finish their nodes, and write into folders that are being removed.
    """
    before = set(active_children())
    try:
        yield
    except BaseException:
        workers = set(active_children()) - before
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.join()
        raise


def _unique(errors: list[ModelArrayIOError]) -> list[ModelArrayIOError]:
    return list({str(error): error for error in errors}.values())
