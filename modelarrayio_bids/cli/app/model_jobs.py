"""Models and the HDF5 files of an output folder that they are fitted to."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from modelarrayio_bids.cli.app.level_stores import wanted_stores
from modelarrayio_bids.cli.model_options import model_options
from modelarrayio_bids.cohort import Cohort
from modelarrayio_bids.derivatives.bids.output_names import Outputs, sidecar
from modelarrayio_bids.derivatives.cohorts.participant_tables import read_dictionary
from modelarrayio_bids.derivatives.model_files.requests import (
    FormulaModel,
    ModelRequest,
    read_models,
)
from modelarrayio_bids.derivatives.model_files.stats_models import CohortColumns
from modelarrayio_bids.derivatives.rscripts.fit_script import suggested_formula
from modelarrayio_bids.errors import (
    CohortProblemsError,
    ModelArrayIOError,
    NoMatchError,
    UsageError,
    WouldLoseResultsError,
    raise_problems,
)
from modelarrayio_bids.models.formula.terms import Terms
from modelarrayio_bids.models.kinds import kind_of
from modelarrayio_bids.models.options import ModelOptions
from modelarrayio_bids.results.model_facts import ModelFacts
from modelarrayio_bids.results.model_fit import ModelFit
from modelarrayio_bids.store.reader import StoreReader


@dataclass(frozen=True)
class ModelJob:
    """A model of one HDF5 file.

    Parameters
    ----------
    store, cohort : pathlib.Path
        The file, and its cohort.
    analysis : str
        Name of the results.
    formula : str
        The model, the scalar on its left side.
    options : ModelOptions
        Statistics to estimate, and thresholds for the elements.
    weights : str or None
        Column of the weights.
    allow_repeated : bool
        True if several images of one participant are accepted.
    """

    store: Path
    cohort: Path
    analysis: str
    formula: str
    options: ModelOptions
    weights: str | None
    allow_repeated: bool

    @cached_property
    def fit(self) -> ModelFit:
        """The model with its design, ready to be fitted."""
        return ModelFit.of(
            self.store,
            self.formula,
            self.cohort,
            self.options,
            weights=self.weights,
            allow_repeated=self.allow_repeated,
        )

    @property
    def settings(self) -> tuple[str, ModelOptions, str | None, bool]:
        """Settings that jobs of one workflow share."""
        return self.analysis, self.options, self.weights, self.allow_repeated


def find_jobs(options: argparse.Namespace) -> list[ModelJob]:
    """Return the models to fit: model by model, each of the HDF5 files it is of.

    Raises
    ------
    SourceNotFoundError
        If there is no HDF5 file, or one has no cohort beside it.
    NoMatchError
        If no scalar is among those wanted.
    ModelArrayIOError
        If a file of models cannot be used.
    """
    requests = _requests(options)
    stores = wanted_stores(options)
    jobs: list[ModelJob] = []
    problems: list[ModelArrayIOError] = []
    for request in requests:
        taken = [store for store in stores if request.takes(store.parent.name)]
        if not taken:
            held = ', '.join(sorted({store.parent.name for store in stores}))
            what = f'model {request.name} is for a scalar that does not exist'
            problems.append(NoMatchError(what, options.model, f'There are: {held}.'))
        for store in taken:
            try:
                jobs.append(_job(options, request, store))
            except ModelArrayIOError as error:
                problems.append(error)
    raise_problems(problems)
    return jobs


def check_models(options: argparse.Namespace) -> None:
    """Refuse models that no HDF5 file could be fitted with, before one is built.

    Raises
    ------
    FormulaError
        If a formula cannot be read, or asks for a model that is not fitted here.
    ModelArrayIOError
        If a file of models cannot be used.
    """
    for request in _requests(options):
        if isinstance(request, FormulaModel) and request.formula is not None:
            kind_of(Terms.of(request.formula), model_options(options).method)


def sort_jobs(
    jobs: Sequence[ModelJob], *, overwrite: bool
) -> tuple[list[ModelJob], list[ModelJob]]:
    """Return the jobs to be done, and those whose results are there already.

    Raises
    ------
    WouldLoseResultsError
        If a file holds other results of that name, and they are not to be replaced.
    ModelArrayIOError
        If a design cannot be made.
    """
    wanted, done = [], []
    rename = 'Give the model another name, with --analysis-name NAME or in the file of --model'
    problems: list[ModelArrayIOError] = []
    for job in jobs:
        try:
            if not overwrite and job.fit.is_up_to_date(job.analysis):
                done.append(job)
                continue
            held = None if overwrite else _held(job)
        except ModelArrayIOError as error:
            problems += _named(error, job, jobs)
            continue
        if held is not None:
            remedy = f'{rename}, or replace the analysis with --overwrite.'
            problems.append(
                WouldLoseResultsError(
                    f'holds an analysis {job.analysis} {held}, that would be lost',
                    job.store,
                    remedy,
                )
            )
        wanted.append(job)
    raise_problems(problems)
    return wanted, done


def _held(job: ModelJob) -> str | None:
    """Return what a file holds under the name of a job, in words; None if it is nothing."""
    with StoreReader(job.store) as reader:
        if job.analysis not in reader.analyses:
            return None
        facts = ModelFacts.of(reader.described(job.analysis))
    if facts is None:
        return 'that was not made here'
    if facts.formula == job.fit.model.design.formula:
        return 'of this formula, with other phenotypes or options'
    return f'of another model, {facts.formula}'


def _named(
    error: ModelArrayIOError, job: ModelJob, jobs: Sequence[ModelJob]
) -> Iterator[ModelArrayIOError]:
    """Yield what is wrong with a model; its name with it, where there are several."""
    for problem in error.problems if isinstance(error, CohortProblemsError) else [error]:
        named = len({each.analysis for each in jobs}) > 1
        what = f'model {job.analysis}: {problem.what}' if named else problem.what
        yield type(problem)(what, problem.path, problem.remedy)


def _requests(options: argparse.Namespace) -> Sequence[ModelRequest]:
    names = options.analysis_name
    if options.model is None:
        if len(names) > 1:
            raise UsageError(
                f'--analysis-name has {len(names)} names, but one model is fitted',
                remedy='Give one; several models are listed in a file: --model.',
            )
        return [FormulaModel(names[0] if names else '', options.formula, ('*',))]
    if options.formula is not None:
        raise UsageError('--formula and --model contradict each other', remedy='Give one of them.')
    models = read_models(options.model)
    known = [model.name for model in models]
    raise_problems([
        UsageError(f'has no model {name}', options.model, f'It has: {", ".join(known)}.')
        for name in names
        if name not in known
    ])  # fmt: skip
    return [model for model in models if not names or model.name in names]


def _job(options: argparse.Namespace, request: ModelRequest, store: Path) -> ModelJob:
    cohort_file = Outputs.beside(store).cohort
    columns = CohortColumns(cohort_file)
    own = request.settings_for(columns)
    common = {'weights': options.weights, 'allow_repeated': options.allow_repeated}
    beside: Mapping[str, Any] = {key: own.pop(key, value) for key, value in common.items()}
    formula = _formula(request.formula_for(columns), cohort_file)
    settings = replace(model_options(options), **own)
    return ModelJob(
        store,
        cohort_file,
        request.name or kind_of(Terms.of(formula), settings.method).name,
        formula,
        settings,
        **beside,
    )


def _formula(formula: str | None, cohort_file: Path) -> str:
    """Return a formula with the scalar of a cohort on its left side, or the suggested one."""
    cohort = Cohort.from_csv(cohort_file)
    if formula is None:
        return suggested_formula(cohort, read_dictionary(sidecar(cohort_file)))
    left, tilde, right = formula.partition('~')
    if tilde and not left.strip():
        return f'{_quoted(cohort.scalars[0])} ~{right}'
    return formula


def _quoted(scalar: str) -> str:
    return scalar if scalar.isidentifier() else f'`{scalar}`'
