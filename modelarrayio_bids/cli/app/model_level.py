"""The model level: a linear model at every element of the HDF5 files of an output folder."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from modelarrayio_bids.cli.app.reporting import only_report
from modelarrayio_bids.cli.app.run_summary import close_model
from modelarrayio_bids.cli.app.session import session
from modelarrayio_bids.cli.model_options import add_model, linear_options
from modelarrayio_bids.cli.options import add, plugin
from modelarrayio_bids.errors import (
    ModelArrayIOError,
    NoMatchError,
    SourceNotFoundError,
    UsageError,
    raise_problems,
)

if TYPE_CHECKING:
    from nipype import Workflow

    from modelarrayio_bids.results.linear import LinearFit
    from modelarrayio_bids.workflows.plugins import Plugin

logger = logging.getLogger(__name__)

_NAME = 'lm'


@dataclass(frozen=True)
class Fit:
    """A model of one HDF5 file.

    Parameters
    ----------
    store, cohort : pathlib.Path
        The file, and its cohort.
    formula : str
        The model, the scalar on its left side.
    """

    store: Path
    cohort: Path
    formula: str


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this level."""
    group = parser.add_argument_group('model')
    add(
        group,
        '--formula',
        metavar='FORMULA',
        help="linear model in R's words, '~ age + sex', for every scalar (default: the model that "
        'the R script of each proposes)',
    )
    add(
        group,
        '--allow-repeated',
        action='store_true',
        help='accept several images of one participant as if they were independent',
    )
    add_model(parser)


def run_model(options: argparse.Namespace) -> int:
    """Run the level, or with ``--dry-run`` only show the designs."""
    if options.reports_only:
        return only_report(options)
    analysis = _analysis(options)
    fits = find_fits(options)
    # All designs before one is fitted.
    designs = _designed(options, fits)
    if options.dry_run:
        plugin(options)
        for design in designs:
            print(f'{design.store}:')
            print(*(f'  {line}' for line in design.described()), sep='\n')
        return 0
    log = _fit(options, fits, analysis)
    close_model([(fit.store, fit.formula) for fit in fits], analysis, log, options)
    return 0


def find_fits(options: argparse.Namespace) -> list[Fit]:
    """Return a model for every HDF5 file below the output folder, or for the scalars wanted.

    Raises
    ------
    SourceNotFoundError
        If there is no HDF5 file, or one has no cohort beside it.
    NoMatchError
        If no scalar is among those wanted.
    """
    from modelarrayio_bids.derivatives.bids.naming import STORE_ENDING, Outputs

    stores = sorted(options.output_dir.absolute().rglob(f'*{STORE_ENDING}'))
    if not stores:
        raise SourceNotFoundError(
            f'holds no file named *{STORE_ENDING}', options.output_dir, 'Run the group level first.'
        )
    wanted = [store for store in stores if _is_wanted(store.parent.name, options.scalars)]
    if not wanted:
        held = ', '.join(sorted({store.parent.name for store in stores}))
        raise NoMatchError(
            f'holds no scalar {" or ".join(options.scalars)}',
            options.output_dir,
            f'Scalars it holds: {held}.',
        )
    return [_model_of(store, Outputs.beside(store).cohort, options.formula) for store in wanted]


def _is_wanted(scalar: str, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatchcase(scalar, pattern) for pattern in patterns)


def _model_of(store: Path, cohort_file: Path, formula: str | None) -> Fit:
    from modelarrayio_bids.cohort import Cohort
    from modelarrayio_bids.derivatives.bids.naming import sidecar
    from modelarrayio_bids.derivatives.cohorts.tables import read_dictionary
    from modelarrayio_bids.derivatives.rscripts.fit_script import suggested_formula

    cohort = Cohort.from_csv(cohort_file)
    if formula is None:
        return Fit(
            store, cohort_file, suggested_formula(cohort, read_dictionary(sidecar(cohort_file)))
        )
    left, tilde, right = formula.partition('~')
    if tilde and not left.strip():
        formula = f'{_quoted(cohort.scalars[0])} ~{right}'
    return Fit(store, cohort_file, formula)


def _quoted(scalar: str) -> str:
    return scalar if scalar.isidentifier() else f'`{scalar}`'


def _analysis(options: argparse.Namespace) -> str:
    if len(options.analysis_name) > 1:
        raise UsageError(
            f'--analysis-name has {len(options.analysis_name)} names, and one model is fitted',
            remedy='Give one; run the model level again for another model.',
        )
    return options.analysis_name[0] if options.analysis_name else _NAME


def _designed(options: argparse.Namespace, fits: Sequence[Fit]) -> list[LinearFit]:
    """Return the designs of all models, after all that is wrong with any was reported."""
    from modelarrayio_bids.results.linear import LinearFit

    designs, problems = [], []
    for fit in fits:
        try:
            designs.append(
                LinearFit.of(
                    fit.store,
                    fit.formula,
                    fit.cohort,
                    linear_options(options),
                    weights=options.weights,
                    allow_repeated=options.allow_repeated,
                )
            )
        except ModelArrayIOError as error:
            problems.append(error)
    raise_problems(problems)
    return designs


def _fit(options: argparse.Namespace, fits: Sequence[Fit], analysis: str) -> Path:
    """Run the workflow; return the log."""
    from modelarrayio_bids.workflows.execution import run_workflow

    where = plugin(options)
    with session(options) as folders:
        workflow = _workflow(options, fits, analysis, where)
        where.ask_for(workflow, options.nprocs, options.mem_mb)
        run_workflow(workflow, folders.work, folders.logs, where)
        if options.report:
            only_report(options)
    return folders.log


def _workflow(
    options: argparse.Namespace, fits: Sequence[Fit], analysis: str, where: Plugin
) -> Workflow:
    from modelarrayio_bids.workflows import init_model_wf

    asked = asdict(linear_options(options))
    if options.weights is not None:
        asked['weights'] = options.weights
    return init_model_wf(
        [fit.store for fit in fits],
        [fit.cohort for fit in fits],
        [fit.formula for fit in fits],
        analysis,
        options=dict(_traits(asked)) | {'allow_repeated': options.allow_repeated},
        overwrite=options.overwrite,
        reuse_existing=not options.overwrite,
        n_blocks=options.blocks or (0 if where.is_local else 1),
        nprocs=options.nprocs,
        mem_mb=options.mem_mb,
    )


def _traits(asked: dict[str, object]) -> Iterator[tuple[str, object]]:
    """Return options as Nipype's traits take them: lists, not tuples."""
    for name, value in asked.items():
        yield name, list(value) if isinstance(value, tuple) else value
