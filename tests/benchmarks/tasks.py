"""What is run for each sort of case. A task says which rows it gives on a bench."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import h5py

from benchmarks import compare, data
from benchmarks.measure import Command, CommandError, Measured, in_turn, run
from benchmarks.report import Goal, Row

HERE = Path(__file__).parent
#: Exit code of both programs for options that cannot be (EX_USAGE).
USAGE = 64
ELEMENTS_READ = 300


class NotMeasuredError(Exception):
    """Something that a case needs is not there."""


@dataclass(frozen=True)
class Bench:
    """Where, with which programs and how often.

    Parameters
    ----------
    folder : pathlib.Path
        Data are kept in ``data``, outputs in ``work``.
    ours : pathlib.Path
        Folder of our programs.
    peer : pathlib.Path, optional
        The predecessor's command; without it only ours is measured.
    runs, peer_runs : int
        Measured runs of ours and of the predecessor.
    subjects : int, optional
        In place of each case's own.
    warm : bool
        Run everything once unmeasured before.
    """

    folder: Path
    ours: Path
    peer: Path | None = None
    runs: int = 3
    peer_runs: int = 3
    subjects: int | None = None
    warm: bool = True

    @property
    def data(self) -> Path:
        return _made(self.folder / 'data')

    def work(self, case: str) -> Path:
        """A folder for the outputs of a case."""
        return _made(self.folder / 'work' / case)

    def programs(self) -> dict[str, tuple[Path, int]]:
        """The command and the number of runs of each program that is measured."""
        peer = {} if self.peer is None else {'peer': (self.peer, self.peer_runs)}
        return {**peer, 'ours': (self.ours / 'modelarrayio', self.runs)}

    def in_turn(self, *commands: Command) -> dict[str, Measured]:
        """What was measured of each command, by its name."""
        return in_turn(commands, warm=self.warm)

    def floor(self, *arguments: object) -> Command:
        """The floor of some work, as a command."""
        words = (sys.executable, HERE / 'floor.py', os.cpu_count(), *arguments)
        return Command('floor', words, self.runs, makes_ready=True)


@dataclass(frozen=True)
class Task(ABC):
    """A case: its name, and what is promised of it."""

    name: str
    goal: Goal = Goal()

    @abstractmethod
    def rows(self, bench: Bench) -> Iterator[Row]:
        """Measure it."""

    def _row(self, measured: dict[str, Measured], **more) -> Row:
        """A row of what was measured of both programs and the floor."""
        ours, peer, floor = (measured.get(name) for name in ('ours', 'peer', 'floor'))
        compared = peer and {
            'peer_seconds': peer.seconds,
            'peer_memory': peer.peak,
            'ratio': peer.seconds / ours.seconds,
        }
        above = floor and {
            'floor': ours.seconds / floor.seconds,
            'floor_cpu': ours.cpu / floor.cpu,
        }
        return Row(
            self.name,
            seconds=ours.seconds,
            memory=ours.peak,
            **{'goal': self.goal, **(compared or {}), **(above or {}), **more},
        )


@dataclass(frozen=True)
class Build(Task):
    """``modelarrayio to-modelarray`` of a cohort; ``files`` of its subjects have their own."""

    kind: data.Kind | None = None
    subjects: int = 25
    files: int | None = None

    def rows(self, bench):
        subjects = bench.subjects or self.subjects
        cohort = data.cohort(self.kind, bench.data, subjects, self.files)
        commands = {c.name: c for c in self.commands(bench, cohort)}
        stores = {name: command.output for name, command in commands.items()}
        # The floor takes its chunks from our output, which is there when its turn comes.
        floor = bench.floor('build', cohort.csv, stores['ours'])
        measured = bench.in_turn(*commands.values(), floor)
        compared = {}
        if 'peer' in stores:
            compared['identical'] = compare.same_stores(stores['ours'], stores['peer'])
            compared['size'] = stores['ours'].stat().st_size / stores['peer'].stat().st_size
        yield self._row(measured, n=subjects, goal=self._promised(subjects), **compared)

    def _promised(self, subjects):
        """Nothing, for another number of subjects than the case's own."""
        return self.goal if subjects == self.subjects else Goal()

    def commands(self, bench: Bench, cohort: data.Cohort, *options: str) -> Iterator[Command]:
        """One for each program."""
        for name, (program, runs) in bench.programs().items():
            output = bench.work(self.name) / f'{name}-{cohort.csv.stem}.h5'
            words = ['--cohort-file', cohort.csv, *cohort.references, '--output', output]
            yield Command(name, (program, 'to-modelarray', *words, *options), runs, output)


@dataclass(frozen=True)
class PerSubject(Build):
    """A large cohort against a smaller one: the ratio is of their times per subject."""

    against: int = 400

    def rows(self, bench):
        bench = replace(bench, peer=None)
        cohorts = [
            data.cohort(self.kind, bench.data, subjects, self.files)
            for subjects in (self.subjects, self.against)
        ]
        measured = [
            replace(next(self.commands(bench, cohort)), name=cohort.csv.stem) for cohort in cohorts
        ]
        floor = bench.floor('build', cohorts[0].csv, measured[0].output)
        large, small, least = bench.in_turn(*measured, floor).values()
        ratio = small.seconds / self.against / (large.seconds / self.subjects)
        yield self._row({'ours': large, 'floor': least}, n=self.subjects, ratio=ratio)


@dataclass(frozen=True)
class Stack(Build):
    """A 4-D file against as many single files: the ratio is of their times."""

    def rows(self, bench):
        bench = replace(bench, peer=None)
        single = data.cohort(self.kind, bench.data, bench.subjects or self.subjects)
        cohorts = {'single': single, 'stack': data.stacked(single)}
        measured = bench.in_turn(
            *(
                replace(next(self.commands(bench, cohort)), name=name)
                for name, cohort in cohorts.items()
            )
        )
        stack = measured['stack']
        ratio = measured['single'].seconds / stack.seconds
        yield self._row({'ours': stack}, n=self.subjects, ratio=ratio)


@dataclass(frozen=True)
class Export(Task):
    """``modelarrayio export-results`` of an analysis: each program exports its own file."""

    kind: data.Voxels | None = None
    results: int = 30

    def rows(self, bench):
        cohort = data.cohort(self.kind, bench.data, subjects=2)
        commands = {command.name: command for command in self._commands(bench, cohort)}
        store = bench.work(self.name) / f'ours-{cohort.csv.stem}.h5'
        floor = bench.floor('export', store, commands['ours'].output)
        measured = bench.in_turn(*commands.values(), floor)
        compared = {}
        if 'peer' in commands:
            folders = [command.output for command in commands.values()]
            compared['identical'] = compare.same_images(*folders)
        yield self._row(measured, n=self.results, **compared)

    def _commands(self, bench, cohort):
        build = Build(self.name, kind=self.kind)
        for command in build.commands(bench, cohort):
            run(command)
            self._add_results(bench, command.output)
            output = bench.work(self.name) / command.name
            program, runs = bench.programs()[command.name]
            words = ['--analysis-name', data.ANALYSIS, '--input-hdf5', command.output]
            words += [*cohort.references, '--output-dir', output]
            yield Command(command.name, (program, 'export-results', *words), runs, output)

    def _add_results(self, bench, store):
        with h5py.File(store, 'a') as file:
            elements = file['scalars/x/values'].shape[1]
            with h5py.File(data.results(bench.data, elements, self.results)) as donor:
                donor.copy('results', file)


@dataclass(frozen=True)
class ReadElement(Build):
    """One element read in R: what a user of ModelArray waits for at each of 200,000."""

    def rows(self, bench):
        rscript = shutil.which('Rscript')
        if rscript is None:
            raise NotMeasuredError('Rscript is not installed')
        subjects = bench.subjects or self.subjects
        cohort = data.cohort(self.kind, bench.data, subjects, self.files)
        commands = {command.name: command for command in self.commands(bench, cohort)}
        for command in commands.values():
            run(command)
        stores = [command.output for command in commands.values()]
        words = [rscript, HERE / 'read_elements.R', 'x', str(ELEMENTS_READ), *stores]
        done = subprocess.run(words, check=False, capture_output=True, text=True)
        if done.returncode:
            raise NotMeasuredError(f'R says {done.stderr.strip().splitlines()[-1]}')
        seconds = dict(zip(commands, map(float, done.stdout.split()), strict=True))
        peer = seconds.get('peer')
        ratio = peer and peer / seconds['ours']
        goal = self._promised(subjects)
        yield Row(self.name, subjects, peer, seconds['ours'], ratio, goal=goal)


@dataclass(frozen=True)
class Fit(Task):
    """``modelarrayio fit`` of a file with one scalar ``x``."""

    formula: str = 'x ~ age + sex'
    people: int = 100
    elements: int = 230_000
    missing: str = ''
    options: tuple[str, ...] = ()
    visits: int = 1

    def rows(self, bench):
        yield self._row(bench.in_turn(self.command(bench)), n=self.people)

    def files(self, bench: Bench) -> tuple[Path, Path]:
        return data.scalar_file(
            *(bench.data, self.people, self.elements, self.missing), visits=self.visits
        )

    def command(self, bench: Bench) -> Command:
        store, cohort = self.files(bench)
        output = bench.work(self.name) / 'fitted.h5'
        words = ('fit', output, '--formula', self.formula, '--cohort-file', cohort, *self.options)
        return Command(
            'ours', (bench.ours / 'modelarrayio', *words), bench.runs, output, copy_of=store
        )


@dataclass(frozen=True)
class FitInR(Fit):
    """The same on one core against R, which fits some elements: the ratio is of times an element.

    ``script`` prints R's seconds for an element, and what it fitted with.
    """

    script: str = 'fit_elements.R'
    elements_in_r: int = ELEMENTS_READ
    options: tuple[str, ...] = ('--nprocs', '1')

    def rows(self, bench):
        rscript = shutil.which('Rscript')
        if rscript is None:
            raise NotMeasuredError('Rscript is not installed')
        ours = bench.in_turn(self.command(bench))['ours']
        store, cohort = self.files(bench)
        words = [rscript, HERE / self.script, store, cohort, self.formula, str(self.elements_in_r)]
        done = subprocess.run(words, check=False, capture_output=True, text=True)
        if done.returncode:
            raise NotMeasuredError(f'R says {done.stderr.strip().splitlines()[-1]}')
        seconds, how = done.stdout.split(maxsplit=1)
        print(f'R fitted with {how.strip()}', file=sys.stderr)
        theirs = float(seconds) * self.elements
        yield self._row(
            {'ours': ours}, n=self.people, ratio=theirs / ours.seconds, peer_seconds=theirs
        )


@dataclass(frozen=True)
class Help(Task):
    """A program's ``--help``. The peer has one program only."""

    program: str = 'modelarrayio'

    def rows(self, bench):
        peer = bench.peer if self.program == 'modelarrayio' else None
        programs = {'peer': peer} if peer else {}
        programs['ours'] = bench.ours / self.program
        # Short enough for many runs.
        commands = [
            Command(name, (program, '--help'), 5 * bench.runs) for name, program in programs.items()
        ]
        yield self._row(bench.in_turn(*commands))


@dataclass(frozen=True)
class Index(Task):
    """``modelarrayio-bids --list-scalars`` of a large dataset."""

    files: int = 50_000

    def rows(self, bench):
        root = data.derivatives(bench.data, self.files)
        program, work = bench.ours / 'modelarrayio-bids', bench.work(self.name)
        words = (program, root, work / 'out', 'group', '--list-scalars')
        yield self._row(bench.in_turn(Command('ours', words, bench.runs)), n=self.files)


@dataclass(frozen=True)
class Memory(Build):
    """The promise of ``--mem-mb``: peak memory for several budgets and cohort sizes."""

    sizes: tuple = (50, 200, 800)
    budgets: tuple = (128, 192, 384)

    def rows(self, bench):
        bench = replace(bench, peer=None)
        for subjects in (bench.subjects,) if bench.subjects else self.sizes:
            cohort = data.cohort(self.kind, bench.data, subjects, self.files)
            used = 0
            for budget in self.budgets:
                # The least that would do may be more than the next one.
                if budget > used:
                    row = self._within(bench, cohort, subjects, budget)
                    used = row.goal.memory
                    yield row

    def _within(self, bench, cohort, subjects, budget):
        """A run within a budget, or within the least if the program says it is too small."""
        try:
            measured = run(next(self.commands(bench, cohort, '--mem-mb', str(budget))))
        except CommandError as error:
            least = re.search(r'at least (\d+) MB', error.message)
            if error.code != USAGE or least is None or int(least[1]) <= budget:
                raise
            return self._within(bench, cohort, subjects, int(least[1]))
        return self._row({'ours': measured}, n=subjects, goal=Goal(memory=budget))


def _made(folder):
    folder.mkdir(parents=True, exist_ok=True)
    return folder
