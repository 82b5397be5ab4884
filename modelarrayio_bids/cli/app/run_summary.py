"""The last lines of a run: what was made, what was left out, where to look, what to do next.

People get lines on standard output; the log of the run, and programs (``--log-format json``), the
same as data.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from modelarrayio_bids.cli.aligned_text import aligned
from modelarrayio_bids.derivatives.rscripts.next_steps import Step, export_command, next_steps
from modelarrayio_bids.reports.findings.results_table import finding, read_results, significant
from modelarrayio_bids.runtime import logs
from modelarrayio_bids.runtime.grouping import grouped
from modelarrayio_bids.runtime.text_format import count, some

#: So many reasons, and files, are shown: a terminal has 40 lines.
_MOST_REASONS = 5
_MOST_FILES = 20
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
    scripts = [output / Path(path).relative_to(output.absolute()) for path in made.scripts]
    steps = next_steps(options.bids_dir, output, scripts)
    if len(options.analysis_level) > 1:
        # The run goes on with them itself.
        steps = []
    places = [f'Report: {output / made.report.name}'] if made.report else []
    places.append(_of_log(made.log, output))
    # Of several levels the run goes on itself; a warning has told of repeats.
    repeats = _of_repeats(made) if steps else ''
    parts = [_of_files(made, output), _of_left_out(made), repeats]
    parts += ['\n'.join(places), _of_steps(steps)]
    facts = asdict(made) | {'next': [asdict(step) for step in steps]}
    logs.say_done('\n\n'.join(filter(None, parts)), facts)


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
    places = [f'Report: {output / "report.html"}'] * options.report
    parts = [
        _of_models(f'Fitted {count(len(fitted), "model")} in {output}:', fitted, output),
        _of_models(f'Kept {count(len(kept), "analysis")}, made by the same model:', kept, output),
        '\n'.join([*places, _of_log(log, output)]),
        _of_steps(steps),
    ]
    facts = {'fitted': list(fitted), 'kept': list(kept), 'log': str(log)}
    logs.say_done('\n\n'.join(filter(None, parts)), facts)


def _of_models(headline: str, models: Sequence[Mapping[str, str]], output: Path) -> str:
    rows = [
        (f'  {each["analysis"]}: {each["formula"]}', str(_below(Path(each['store']), output)))
        for each in models
    ]
    return '\n'.join([headline, *_first(rows)]) if rows else ''


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
    lines = [(f'  {name}', str(_below(to, output))) for _, name, to in jobs]
    found = _found_by(jobs, output) if page else []
    parts = [
        '\n'.join([f'Exported {count(len(jobs), "analysis")} to {output}:', *_first(lines)]),
        *_of_results(found),
        '\n'.join([*([f'Report: {output / page.name}'] if page else []), _of_log(log, output)]),
    ]
    facts = [{'store': str(store), 'analysis': name, 'folder': str(to)} for store, name, to in jobs]
    logs.say_done('\n\n'.join(parts), {'exported': facts, 'found': found, 'log': str(log)})


def _found_by(jobs: Sequence[tuple[Path, str, Path]], output: Path) -> list[dict[str, str]]:
    """Return the rows of the table of results that some analyses have."""
    wanted = {(_below(store, output).as_posix(), name) for store, name, _ in jobs}
    return [row for row in read_results(output) if (row['store'], row['analysis']) in wanted]


def _of_results(rows: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """Yield a table of terms with significant elements for each rule, then the other terms."""
    found = list(significant(rows))
    rules = grouped(((row['level'], row['correction']), _result(row)) for row in found)
    for (level, correction), cells in rules.items():
        is_corrected = correction != 'n/a'
        rule = f'corrected ({correction})' if is_corrected else 'not corrected'
        desc = f'_desc-{correction}' * is_corrected
        least = f'{1 - float(level):g}'
        where = f'These elements have values above {least} in …_stat-1mp{desc}_statmap.'
        lines = [f'Found, p < {level}, {rule}:', *_first([_RESULT_COLUMNS, *cells]), where]
        yield '\n'.join(lines)
    tested = [row for row in significant(rows, found=False) if int(row['elements'])]
    if tested:
        yield f'Nothing found for: {_of_nothing(tested, {row["term"] for row in found})}.'


def _of_nothing(rows: Sequence[Mapping[str, str]], above: Collection[str]) -> str:
    """Return the terms, several scalars' and analyses' once, and the smallest p of all."""
    terms = dict.fromkeys(row['term'] for row in rows)
    smallest = [
        (float(row['smallest_p']), row['correction']) for row in rows if row['smallest_p'] != 'n/a'
    ]
    best = ' (smallest p {:.2g}, correction {})'.format(*min(smallest)) if smallest else ''
    # Those that stand in the table for another scalar come last.
    ordered = sorted(terms, key=above.__contains__)
    named = [term + ' elsewhere' * (term in above) for term in ordered]
    return some(named, _MOST_TERMS) + best


def _result(row: Mapping[str, str]) -> tuple[str, ...]:

    scalar, *others = finding(row)
    return (f'  {scalar}', *others)


def _first(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines, and how many more there are."""
    lines = list(aligned(rows))
    if len(lines) > _MOST_FILES:
        lines[_MOST_FILES:] = [f'  and {len(lines) - _MOST_FILES} more']
    return lines


def _below(path: Path, output: Path) -> Path:
    """Return a path from the output folder: shorter than from the root."""
    return path.relative_to(output.absolute())


def _of_log(log: Path, output: Path) -> str:
    return f'Log: {output / _below(log, output)}'


def _of_files(made: GroupOutputs, output: Path) -> str:
    files = zip(made.scalars, map(Path, made.stores), strict=True)
    rows = [(f'  {scalar}', str(_below(store, output))) for scalar, store in files]
    beside = 'Next to each: its cohort CSV and, for voxels, the group mask and coverage map.'
    headline = f'{count(len(made.stores), "HDF5 file")} in {output}:'
    return '\n'.join([headline, *_first(rows), beside])


def _of_left_out(made: GroupOutputs) -> str:
    """Return the commonest reasons."""
    if not made.left_out:
        return ''
    reasons = sorted(made.left_out.items(), key=lambda item: -item[1])
    rest = reasons[_MOST_REASONS:]
    lines = [f'  {number} {reason}' for reason, number in reasons[:_MOST_REASONS]]
    if rest:
        others = count(len(rest), 'other reason')
        lines.append(f'  {sum(number for _, number in rest)} for {others}')
    total = sum(made.left_out.values())
    return '\n'.join([f'Left out {count(total, "image")} (details: --list-scalars):', *lines])


def _of_repeats(made: GroupOutputs) -> str:
    shown = [f'  {said}.' for said in made.repeats[:_MOST_REASONS]]
    if others := len(made.repeats) - len(shown):
        shown.append(f'  And {count(others, "scalar")} more.')
    return '\n'.join(['Several images of one participant:', *shown]) if shown else ''


def _of_steps(steps: Sequence[Step]) -> str:
    return '\n'.join(line for number, step in enumerate(steps) for line in _of_step(number, step))


def _of_step(number: int, step: Step) -> Iterator[str]:
    first = 'Or' if step.instead else 'Then' if number else 'Next'
    yield f'{first}, {step.what}:'
    yield f'  {step.command}'
