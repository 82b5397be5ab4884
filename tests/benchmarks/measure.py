"""Programs run in turn, so that what else the machine does falls on all of them alike."""

import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

LAUNCH = Path(__file__).with_name('launch.py')


class CommandError(Exception):
    """A program that was to be measured did not end well."""

    def __init__(self, message, code):
        super().__init__(message, code)
        self.message = message
        self.code = code

    def __str__(self):
        return self.message


@dataclass(frozen=True)
class Command:
    """What is measured under one name.

    ``output`` is removed before each run, so that all of them start alike, or made a ``copy_of``
    another file where the command adds to it. A command that ``makes_ready`` prints the seconds
    that do not count, of the clock and of processors.
    """

    name: str
    arguments: tuple
    runs: int
    output: Path | None = None
    makes_ready: bool = False
    copy_of: Path | None = None


@dataclass(frozen=True)
class Measured:
    """Median seconds of the clock and of processors, and the highest peak memory in MiB."""

    seconds: float
    cpu: float
    peak: float


def in_turn(commands: Sequence[Command], *, warm: bool = True) -> dict[str, Measured]:
    """All commands in rounds until each had its number of runs.

    With ``warm`` each runs once unmeasured before: its inputs and its libraries are in the page
    cache then, as they are for the others.
    """
    for command in commands if warm else ():
        run(command)
    results = {command.name: [] for command in commands}
    for number in range(max(command.runs for command in commands)):
        for command in commands:
            if number < command.runs:
                results[command.name].append(run(command))
    return {name: _summary(runs) for name, runs in results.items()}


def run(command: Command) -> Measured:
    """One run of a command, its output left where it is."""
    _remove(command.output)
    if command.output is not None and command.copy_of is not None:
        shutil.copyfile(command.copy_of, command.output)
    # What the run before has left to be written would be on this one's account.
    os.sync()
    launcher = [sys.executable, '-I', '-S', LAUNCH, *map(str, command.arguments)]
    # Modules are compiled once, as where they are installed; and the path to a checkout of ours is
    # nothing to the peer's interpreter.
    hidden = {'PYTHONDONTWRITEBYTECODE', *(['PYTHONPATH'] if command.name == 'peer' else [])}
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    done = subprocess.run(launcher, check=False, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise CommandError(f'{command.arguments[0]}: {_last(done.stderr)}', None)
    printed, _, last = done.stdout.rstrip('\n').rpartition('\n')
    result = json.loads(last)
    if result['code']:
        words = ' '.join(map(str, command.arguments))
        message = f'{words} ended with {result["code"]}: {_last(done.stderr)}'
        raise CommandError(message, result['code'])
    idle = json.loads(_last(printed)) if command.makes_ready else (0, 0)
    return Measured(result['seconds'] - idle[0], result['cpu'] - idle[1], result['peak'])


def _summary(runs: list[Measured]) -> Measured:
    return Measured(
        statistics.median(run.seconds for run in runs),
        statistics.median(run.cpu for run in runs),
        max(run.peak for run in runs),
    )


def _remove(output: Path | None) -> None:
    if output is not None and output.is_dir():
        shutil.rmtree(output)
    elif output is not None:
        output.unlink(missing_ok=True)


def _last(text: str) -> str:
    return text.strip().rpartition('\n')[2]
