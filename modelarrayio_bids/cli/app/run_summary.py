"""The last lines of a run: what was made, what was left out, where to look, what to do next.

People get lines on standard output; the log of the run, and programs (``--log-format json``), the
same as data.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modelarrayio_bids.runtime import logs
from modelarrayio_bids.runtime.text_format import count

if TYPE_CHECKING:
    from modelarrayio_bids.derivatives.rscripts.next_steps import Step

#: So many reasons, and files, are shown: a terminal has 40 lines.
_MOST_REASONS = 5
_MOST_FILES = 20


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
    from modelarrayio_bids.derivatives.rscripts.next_steps import next_steps

    # As the folder was typed: shorter, and what a person knows.
    output = options.output_dir
    scripts = [output / Path(path).relative_to(output.absolute()) for path in made.scripts]
    steps = next_steps(options.bids_dir, output, scripts)
    if len(options.analysis_level) > 1:
        # The run goes on with them itself.
        steps = []
    places = [f'Report: {made.report}'] if made.report else []
    places.append(f'Log: {made.log}')
    parts = [_of_files(made, output), _of_left_out(made), _of_repeats(made)]
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
    from modelarrayio_bids.derivatives.rscripts.next_steps import Step, export_command

    steps = []
    if 'export' not in options.analysis_level:
        command = export_command(options.bids_dir, options.output_dir)
        steps = [Step('write the results as maps', command)]
    places = [f'Report: {options.output_dir.absolute() / "report.html"}'] * options.report
    parts = [
        _of_models(f'Fitted {count(len(fitted), "model")}:', fitted),
        _of_models(f'Kept {count(len(kept), "analysis")}, made by the same model:', kept),
        '\n'.join([*places, f'Log: {log}']),
        _of_steps(steps),
    ]
    facts = {'fitted': list(fitted), 'kept': list(kept), 'log': str(log)}
    logs.say_done('\n\n'.join(filter(None, parts)), facts)


def _of_models(headline: str, models: Sequence[Mapping[str, str]]) -> str:
    lines = [f'  {each["analysis"]}: {each["formula"]}  {each["store"]}' for each in models]
    return '\n'.join([headline, *lines]) if lines else ''


def close_export(jobs: Sequence[tuple[Path, str, Path]], log: Path) -> None:
    """Say what the export level wrote."""
    lines = [
        f'Exported {count(len(jobs), "analysis")}:',
        *(f'  {name}  {to}' for _, name, to in jobs),
    ]
    facts = [{'store': str(store), 'analysis': name, 'folder': str(to)} for store, name, to in jobs]
    logs.say_done('\n'.join([*lines, '', f'Log: {log}']), {'exported': facts, 'log': str(log)})


def _of_files(made: GroupOutputs, output: Path) -> str:
    files = zip(made.scalars, made.stores, strict=True)
    lines = [f'  {scalar}  {store}' for scalar, store in files]
    if len(lines) > _MOST_FILES:
        lines[_MOST_FILES:] = [f'  and {len(lines) - _MOST_FILES} more']
    beside = 'Beside each: its cohort CSV and, of voxels, the group mask and coverage map.'
    return '\n'.join([f'{count(len(made.stores), "HDF5 file")} in {output}:', *lines, beside])


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
    return '\n'.join([f'Left out {count(total, "image")} (--list-scalars says more):', *lines])


def _of_repeats(made: GroupOutputs) -> str:
    shown = [f'  {said}.' for said in made.repeats[:_MOST_REASONS]]
    if others := len(made.repeats) - len(shown):
        shown.append(f'  And {count(others, "scalar")} more.')
    return '\n'.join(['Several images of one participant:', *shown]) if shown else ''


def _of_steps(steps: Sequence[Step]) -> str:
    return '\n'.join(line for number, step in enumerate(steps) for line in _of_step(number, step))


def _of_step(number: int, step: Step) -> Iterator[str]:
    yield f'{"Then" if number else "Next"}, {step.what}:'
    yield f'  {step.command}'
