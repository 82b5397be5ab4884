"""The last lines of a run: what was made, what was left out, where to look, what to do next.

People get lines on standard output, made of templates; the log of the run, and programs
(``--log-format json``), the same as data.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from modelarrayio_bids.cli.terminal_text import terminal_text
from modelarrayio_bids.derivatives.rscripts.next_steps import Step, export_command, next_steps
from modelarrayio_bids.reports.findings.results_table import finding, read_results, significant
from modelarrayio_bids.runtime import logs
from modelarrayio_bids.runtime.grouping import grouped
from modelarrayio_bids.runtime.text_format import some

_MOST_TERMS = 8
_RESULT_COLUMNS = ('  SCALAR', 'ANALYSIS', 'TERM', 'ELEMENTS', 'STRONGEST', 'P', 'WHERE')


@dataclass(frozen=True)
class GroupOutputs:
    """Outputs of the group level, of this run or an earlier one.

    Parameters
    ----------
    scalars, stores, scripts : tuple of str
        Scalar, path and R script of each HDF5 file.
    left_out : dict
        Why images were left out to how many.
    log : pathlib.Path
        Log of the run.
    report : pathlib.Path or None
        The page, if one was wanted.
    repeats : tuple of str, optional
        Notes on scalars with several images of one participant.
    """

    scalars: tuple[str, ...]
    stores: tuple[str, ...]
    scripts: tuple[str, ...]
    left_out: Mapping[str, int]
    log: Path
    report: Path | None
    repeats: tuple[str, ...] = ()


def close_group(made: GroupOutputs, options: argparse.Namespace) -> None:
    """Say what the group level made."""
    # As the folder was typed: shorter, and known to the user.
    output = options.output_dir
    steps: list[Step] = []
    # Of several levels the run goes on itself.
    if len(options.analysis_level) == 1:
        scripts = [output / _below(Path(path), output) for path in made.scripts]
        steps = next_steps(options.bids_dir, output, scripts)
    text = terminal_text(
        'group',
        made=made,
        output=output,
        files=_rows(zip(made.scalars, made.stores, strict=True), output),
        reasons=sorted(made.left_out.items(), key=lambda item: -item[1]),
        log=output / _below(made.log, output),
        steps=steps,
    )
    logs.say_done(text, asdict(made) | {'next': [asdict(step) for step in steps]})


def close_model(
    fitted: Sequence[Mapping[str, str]],
    kept: Sequence[Mapping[str, str]],
    log: Path,
    options: argparse.Namespace,
) -> None:
    """Say what the model level fitted and kept, and how to get maps of it.

    Parameters
    ----------
    fitted, kept : sequence of mapping
        ``analysis``, ``formula`` and ``store`` of each.
    log : pathlib.Path
        The log.
    options : argparse.Namespace
        Options of the run.
    """
    steps, output = [], options.output_dir
    if 'export' not in options.analysis_level:
        command = export_command(options.bids_dir, output)
        steps = [Step('write the results as maps', command)]
    text = terminal_text(
        'model',
        output=output,
        fitted=_models(fitted, output),
        kept=_models(kept, output),
        report=options.report,
        log=output / _below(log, output),
        steps=steps,
    )
    facts = {'fitted': list(fitted), 'kept': list(kept), 'log': str(log)}
    logs.say_done(text, facts)


def close_export(
    jobs: Sequence[tuple[Path, str, Path]],
    log: Path,
    page: Path | None,
    options: argparse.Namespace,
) -> None:
    """Say what the export level wrote, and what was found.

    Parameters
    ----------
    jobs : sequence of tuple
        HDF5 file, analysis, and the folder of its maps.
    log : pathlib.Path
        The log.
    page : pathlib.Path or None
        The report, if this run made one.
    options : argparse.Namespace
        Options of the run.
    """
    output = options.output_dir
    results = _results_of(jobs, output) if page else []
    found = list(significant(results))
    tested = [row for row in significant(results, found=False) if int(row['elements'])]
    text = terminal_text(
        'export',
        output=output,
        maps=_rows(((name, to) for _, name, to in jobs), output),
        columns=_RESULT_COLUMNS,
        found=grouped(((row['level'], row['correction']), _result(row)) for row in found),
        nothing=_of_nothing(tested, {row['term'] for row in found}),
        page=page,
        log=output / _below(log, output),
    )
    facts = [{'store': str(store), 'analysis': name, 'folder': str(to)} for store, name, to in jobs]
    logs.say_done(text, {'exported': facts, 'found': results, 'log': str(log)})


def _results_of(jobs: Sequence[tuple[Path, str, Path]], output: Path) -> list[dict[str, str]]:
    """Return the rows of the table of results that some analyses have."""
    wanted = {(_below(store, output).as_posix(), name) for store, name, _ in jobs}
    return [row for row in read_results(output) if (row['store'], row['analysis']) in wanted]


def _of_nothing(rows: Sequence[Mapping[str, str]], above: Collection[str]) -> str:
    """Return the terms, several scalars' and analyses' once, and the smallest p of all."""
    terms = dict.fromkeys(row['term'] for row in rows)
    smallest = [
        (float(row['smallest_p']), row['correction']) for row in rows if row['smallest_p'] != 'n/a'
    ]
    best = ' (smallest p {:.2g}, correction {})'.format(*min(smallest)) if smallest else ''
    # Those that stand in the table for another scalar come last.
    ordered = sorted(terms, key=above.__contains__)
    named = [term + ' of other scalars' * (term in above) for term in ordered]
    return some(named, _MOST_TERMS) + best


def _result(row: Mapping[str, str]) -> tuple[str, ...]:
    scalar, *others = finding(row)
    return (f'  {scalar}', *others)


def _models(models: Sequence[Mapping[str, str]], output: Path) -> list[tuple[str, str]]:
    named = ((f'{each["analysis"]}: {each["formula"]}', each['store']) for each in models)
    return _rows(named, output)


def _rows(files: Iterable[tuple[str, str | Path]], output: Path) -> list[tuple[str, str]]:
    """Return names, indented, and their files as from the output folder."""
    return [(f'  {name}', str(_below(Path(path), output))) for name, path in files]


def _below(path: Path, output: Path) -> Path:
    """Return a path from the output folder: shorter than from the root."""
    return path.relative_to(output.absolute())
