"""The folders of one run of the BIDS App: outputs, logs and work."""

from __future__ import annotations

import argparse
import errno
import fcntl
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelarrayio_bids.cli.options import plugin
from modelarrayio_bids.errors import OutputError, SourceNotFoundError, UsageError
from modelarrayio_bids.runtime import logs
from modelarrayio_bids.runtime.locations import list_below
from modelarrayio_bids.runtime.unfinished import Unfinished, remove_leftovers

if TYPE_CHECKING:
    from nipype import Workflow

    from modelarrayio_bids.workflows.plugins import Plugin

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Session:
    """Folders of a run, and what runs its workflows.

    Parameters
    ----------
    output, logs, work : pathlib.Path
        Absolute folders that exist.
    log : pathlib.Path
        The log of the run.
    plugin : Plugin
        The place where nodes run.
    options : argparse.Namespace
        The parsed options.
    """

    output: Path
    logs: Path
    work: Path
    log: Path
    plugin: Plugin
    options: argparse.Namespace

    def run(self, workflow: Workflow) -> dict[str, Any]:
        """Run a workflow, and return the outputs of its nodes by name."""
        from modelarrayio_bids.workflows.execution import run_workflow

        self.plugin.ask_for(workflow, self.options.nprocs, self.options.mem_mb)
        return run_workflow(workflow, self.work, self.logs, self.plugin)


def page_of(outputs: dict[str, Any]) -> Path | None:
    """Return the report that a workflow made; None where the memory was not enough for it."""
    page = outputs['make_report'].out_file if 'make_report' in outputs else None
    return Path(page) if isinstance(page, str) else None


@contextmanager
def session(options: argparse.Namespace) -> Iterator[Session]:
    """Make the folders of a run; a work folder of our choosing is removed after it.

    Its log and its settings are written to the logs of the output.

    Raises
    ------
    SourceNotFoundError
        If there is no BIDS folder.
    UsageError
        If the folders would get into each other, or another run is at work in the work folder.
    OutputError
        If they cannot be made.
    """
    output_dir, work_dir, where = options.output_dir, options.work_dir, plugin(options)
    check_folders(options.bids_dir, output_dir, work_dir)
    output = output_dir.absolute()
    log_dir = output / 'logs'
    with ExitStack() as ours:
        try:
            log_dir.mkdir(parents=True, exist_ok=True)
            log = log_dir / f'modelarrayio-bids_{datetime.now().astimezone():%Y%m%dT%H%M%S}.log'
            logs.also_to(log)
            remove_leftovers(output, below=True)
            work = _work_folder(output, work_dir, ours)
        except OSError as error:
            raise OutputError.from_os_error(error, work_dir or output) from error
        options.settings.write(log.with_name(f'{log.stem}_settings.toml'))
        with _alone(work):
            yield Session(output, log_dir, work, log, where, options)


def check_folders(bids_dir: Path, output_dir: Path, work_dir: Path | None) -> None:
    """Refuse folders that would get into each other, before any is made."""
    if not _is_folder(bids_dir):
        list_below(bids_dir)  # says more of addresses
        remedy = 'Give the BIDS dataset first.'
        if (output_dir / 'dataset_description.json').exists() or any(output_dir.glob('sub-*')):
            remedy += f' {output_dir} looks like one: the order is BIDS_DIR OUTPUT_DIR.'
        raise SourceNotFoundError('no such folder', bids_dir, remedy)
    bids, output = bids_dir.resolve(), output_dir.resolve()
    if bids == output or bids.is_relative_to(output):
        raise UsageError(
            'holds the BIDS dataset itself',
            output_dir,
            f'Give a folder for the outputs, such as {bids_dir / "derivatives" / "modelarray"}.',
        )
    work = None if work_dir is None else work_dir.resolve()
    if work is not None and work.is_relative_to(bids) and not work.is_relative_to(output):
        raise UsageError(
            'is a work folder inside the BIDS dataset', work_dir, 'Give one outside, with -w.'
        )


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError as error:
        raise SourceNotFoundError(
            f'cannot be read ({error.strerror})', path, 'Check its permissions and its path.'
        ) from error


@contextmanager
def _alone(work: Path) -> Iterator[None]:
    """Keep other runs out of a work folder: each would take the other's results for its own."""
    with open(work / '.lock', 'w') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(
                'is the work folder of a run that has not ended',
                work,
                'Wait for it to end, or give another one with -w.',
            ) from error
        except OSError as error:
            # A file system that cannot lock; any other reason is the user's to know.
            if error.errno not in {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}:
                raise
        yield


def _work_folder(output: Path, work_dir: Path | None, ours: ExitStack) -> Path:
    if work_dir is None:
        work = ours.enter_context(Unfinished(output / 'work', folder=True)).path
        logger.info('Intermediate files are in %s, removed at the end (-w keeps them)', work)
        return work
    work_dir.mkdir(parents=True, exist_ok=True)
    remove_leftovers(work_dir, below=True)
    return work_dir.absolute()
