"""Models of a scalar in an HDF5 file: from a formula and a cohort to results in the file."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from modelarrayio_bids.cohort import SOURCE, SUBJECT_COLUMNS
from modelarrayio_bids.errors import CohortError, UsageError
from modelarrayio_bids.models.adjustment import LEVEL, P_VALUE
from modelarrayio_bids.models.base import TOO_FEW, ElementwiseModel, FittedCurve
from modelarrayio_bids.models.design import Design, design
from modelarrayio_bids.models.formula.terms import Terms
from modelarrayio_bids.models.kinds import ModelKind, kind_of
from modelarrayio_bids.models.options import ModelOptions
from modelarrayio_bids.models.permutation import PermutationTest
from modelarrayio_bids.results.fit import FittedAnalysis, write_analysis
from modelarrayio_bids.results.fsl_design import FSLDesign
from modelarrayio_bids.results.matched_rows import MatchedRows
from modelarrayio_bids.results.model_facts import object_of
from modelarrayio_bids.results.null_distributions import null_distribution, working_bytes
from modelarrayio_bids.results.values import Values
from modelarrayio_bids.runtime.locations import location
from modelarrayio_bids.runtime.resources import Resources
from modelarrayio_bids.runtime.text_format import count, some
from modelarrayio_bids.store import schema
from modelarrayio_bids.store.reader import StoreReader

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

#: Condition number of the standardised design from which coefficients lose digits.
_ILL_CONDITIONED = 1e5
# Elements whose images are counted at a time.
_COUNTED = 8192
_COHORT, _FILES = 'cohort', 'design_files'
# Options that others tell: the kind, and the statistics by name.
_UNTOLD = frozenset({'method', 'full_outputs'})
_OF_PERMUTATIONS = frozenset({'permutations', 'seed', 'exchangeability', 'shuffle'})


@dataclass(frozen=True, eq=False)
class ModelFit:
    """A model of one scalar, ready to be fitted at every element.

    Parameters
    ----------
    store : pathlib.Path
        The HDF5 file.
    kind : ModelKind
        The kind of the model.
    phenotypes : MatchedRows
        Rows of the cohort, one for each image of the response.
    model : ElementwiseModel
        The model.
    rows : dict of numpy.ndarray
        See :class:`~modelarrayio_bids.results.values.Values`.
    weights : str, optional
        Column of the weights.
    permutation : PermutationTest, optional
        The permutation test that the options ask for.
    files : FSLDesign, optional
        The files that the columns come from.
    """

    store: Path
    kind: ModelKind
    phenotypes: MatchedRows
    model: ElementwiseModel
    rows: Mapping[str, np.ndarray]
    weights: str | None = None
    permutation: PermutationTest | None = None
    files: FSLDesign | None = None

    @classmethod
    def of(
        cls,
        store: str | os.PathLike[str],
        source: str | FSLDesign,
        cohort_file: str | os.PathLike[str] | None = None,
        options: ModelOptions = ModelOptions(),
        *,
        scalar: str = '',
        weights: str | None = None,
        allow_repeated: bool = False,
    ) -> ModelFit:
        """Read a model, the scalar it is about, and the phenotypes of its images.

        Parameters
        ----------
        store : path-like
            The HDF5 file.
        source : str or FSLDesign
            The model in R's words, such as ``FA ~ age + sex``; other scalars of the file may stand
            on the right. The left side may be missing where the file has one scalar. Or a design
            of FSL's files, with a row for each image of the scalar.
        cohort_file : path-like, optional
            A table whose rows are matched by ``source_file``. It has the covariates of a formula;
            of a design, it is the order of the rows, without it that of the HDF5 file.
        options : ModelOptions, optional
            Statistics to estimate, and thresholds for the elements; of a design, what is asked
            for besides the contrasts and tests of its files.
        scalar : str, optional
            Scalar to model by a design, if the file has several.
        weights : str, optional
            A column of weights.
        allow_repeated : bool, optional
            Accept several images of one participant.

        Raises
        ------
        FormulaError
            If the formula cannot be read, or names what is not there.
        FormatError
            If the design has not as many rows as there are images.
        CohortError
            If the cohort lacks an image, or a column of it cannot be used.
        UsageError
            If participants have several images and ``allow_repeated`` is false, or if options and
            files do not go together.
        """
        store = Path(store)
        with StoreReader(store) as reader:
            sources = reader.sources
        if isinstance(source, FSLDesign):
            files, path, options = source, source.matrix.path, source.options(options)
            response = _response(scalar, sources, store)
            formula = files.formula(response)
        else:
            files, path, formula = None, location(cohort_file or store), source
            response = _response(Terms.of(formula).response, sources, store, formula)
        kind = kind_of(Terms.of(formula), options.method)
        if cohort_file is None:
            phenotypes = MatchedRows.of_names(path, response, sources[response])
        else:
            phenotypes = MatchedRows.of(location(cohort_file), response, sources[response])
        if files is None:
            table, scalars = phenotypes.covariates(sources), [*sources]
        else:
            phenotypes = files.beside(phenotypes)
            table, scalars = phenotypes.table, [response]
        columns = design(formula, table, scalars, path=path)
        _require_enough(len(phenotypes.table), len(columns.names), options)
        model = kind.build(columns, options, _weights(phenotypes, weights))
        if not allow_repeated:
            phenotypes.require_one_row_each(columns.rows, model.groups)
        rows = {response: np.arange(len(phenotypes.table))}
        for other in model.scalars:
            rows[other] = phenotypes.rows_of(other, sources[other])
        permutation = None
        if options.permutations:
            blocks = _blocks(phenotypes, options.exchangeability, columns.rows)
            permutation = model.permutation_test(blocks)
        return cls(store, kind, phenotypes, model, rows, weights, permutation, files)

    @property
    def response(self) -> str:
        """Name of the scalar that is modelled."""
        return self.phenotypes.response

    def run(
        self,
        analysis: str | None = None,
        *,
        output: Path | None = None,
        elements: range | None = None,
        overwrite: bool = False,
        null: np.ndarray | None = None,
        resources: Resources = Resources(),
    ) -> FittedAnalysis:
        """Fit every element, and write the results: see :func:`.fit.write_analysis`.

        Without a name, the results are called as the kind of model.
        """
        analysis = analysis or self.kind.name
        for line in self._concerns():
            logger.warning('%s: %s', self.response, line)
        for line in self._labellings():
            logger.info('%s', line)
        fitted = write_analysis(
            self.store,
            analysis,
            self.model,
            self.rows,
            self._facts(),
            output=output,
            elements=elements,
            overwrite=overwrite,
            permutation=self.permutation,
            null=null,
            resources=resources,
        )
        outcomes = fitted.not_fitted.items()
        not_fitted = ''.join(f'; {number:,} with {reason}' for reason, number in outcomes)
        logger.info(
            'Wrote %s of %s: %s at %s%s',
            *(analysis, fitted.path, count(len(schema.without_ids(fitted.names)), 'result')),
            *(count(fitted.n_elements, 'element'), not_fitted),
        )
        few = fitted.not_fitted.get(TOO_FEW, 0)
        if few == fitted.n_elements:
            enough = int(self.model.options.fewest(len(self.phenotypes.table)))
            logger.warning(
                'no element has values in more than %d images, so nothing was tested. For a '
                'smaller study give --num-subj-lthr-abs, such as %d',
                *(enough, len(self.model.design.names) + 1),
            )
        elif elements is None:
            for line in _significant(fitted):
                logger.info('%s: %s', self.response, line)
        return fitted

    def null_distribution(
        self, block: tuple[int, int], resources: Resources = Resources()
    ) -> np.ndarray:
        """Return the greatest statistics of a block of labellings: see :mod:`.null_distributions`.

        Parameters
        ----------
        block : tuple of int
            Its number, counted from 0, and how many there are.
        resources : Resources, optional
            Threads and memory.
        """
        if self.permutation is None:
            raise UsageError('no permutations were requested', remedy='Give their number.')
        with StoreReader(self.store) as reader:
            values = Values({name: reader.scalar(name) for name in self.rows}, self.rows)
            needed = working_bytes(self.permutation, values, resources.threads)
            resources.room(values.response.shape[1], needed, to='permute')
            part = self.permutation.block(*block)
            return null_distribution(self.permutation, values, part, threads=resources.threads)

    def is_up_to_date(self, analysis: str) -> bool:
        """Return whether the file holds the results of just this model, at all elements.

        The cohort may lie elsewhere by now; what the model takes from it must be the same.
        """
        with StoreReader(self.store) as reader:
            if analysis not in reader.analyses:
                return False
            told, n_rows = reader.described(analysis), reader.analysis(analysis).matrix.shape[1]
            n_elements = reader.scalar(self.response).shape[1]
        return n_rows == n_elements and _comparable(told) == _comparable(self._facts())

    def curve(self, term: str, element: int) -> FittedCurve | None:
        """Return the curve that a term is, at an element; see :meth:`.ElementwiseModel.curve`."""
        with StoreReader(self.store) as reader:
            values = {
                name: reader.scalar(name).columns(np.array([element]))[rows, 0]
                for name, rows in self.rows.items()
            }
        for name, rows in self.rows.items():
            values[name] = np.where(rows < 0, np.nan, values[name])
        return self.model.curve(term, values.pop(self.response), values)

    def images_by_element(self) -> np.ndarray:
        """Count the images that an element's model is of: (n_elements,) int32."""
        rows = self.model.design.rows
        return np.concatenate([
            finite[rows].sum(axis=0, dtype=np.int32) for finite in self._finite_values()
        ])  # fmt: skip

    def _finite_values(self) -> Iterator[np.ndarray]:
        """Yield which images have all values at some elements, (n_images, width) boolean."""
        with StoreReader(self.store) as reader:
            values = Values({name: reader.scalar(name) for name in self.rows}, self.rows)
            n_elements = values.response.shape[1]
            for start in range(0, n_elements, _COUNTED):
                read = values.inflate(values.stored(start, min(start + _COUNTED, n_elements)))
                yield np.logical_and.reduce([np.isfinite(part) for part in read.values()])

    def described(self) -> Iterator[str]:
        """Describe the design: its columns, who is left out and why, images of each level."""
        plan = self.model.design
        yield f'Formula: {plan.formula}'
        yield f'Images: {len(plan.rows)} of {len(self.phenotypes.table)}'
        for column, rows in plan.lost.items():
            who = some([self._who(row) for row in rows], most=5)
            yield f'  left out: {column} is missing for {count(len(rows), "image")} ({who})'
        yield 'Columns of the design, with their means:'
        for name, mean, scalars in zip(
            plan.names, plan.matrix.mean(axis=0), plan.scalars, strict=True
        ):
            times = f' × {" × ".join(scalars)}' if scalars else ''
            aliased = '  aliased: collinear with other columns' * (name in self.model.aliased)
            yield f'  {name}{times}  {mean:.6g}{aliased}'
        yield from self._particulars()
        yield from self._labellings()
        yield f'Condition number, columns of length 1: {condition(plan, self.model.aliased):.3g}'
        yield from self._levels()

    def _particulars(self) -> Iterator[str]:
        if self.files is not None:
            yield self.files.described()
        yield from self.model.described()

    def _labellings(self) -> Iterator[str]:
        if self.permutation is not None:
            yield self.permutation.described()
            for name, reason in self.permutation.left_out.items():
                yield f'  {name} is not tested: {reason}'

    def _levels(self) -> Iterator[str]:
        if not self.model.design.levels:
            return
        yield 'Images of each level: in all, and fewest at any fitted element:'
        least = self._least()
        for factor, levels in self.model.design.levels.items():
            for level, images in zip(levels, self.model.design.counts[factor], strict=True):
                yield f'  {factor} {level}  {images}, {least[factor, level]}'

    def _least(self) -> dict[tuple[str, str], int]:
        """Return the fewest images of each level at any element that has enough images."""
        plan, options = self.model.design, self.model.options
        names = [(factor, level) for factor, levels in plan.levels.items() for level in levels]
        members = np.array([
            plan.codes[factor] == plan.levels[factor].index(level) for factor, level in names
        ])  # fmt: skip
        n_images = len(self.phenotypes.table)
        enough = options.fewest(n_images)
        least, is_any = np.full(len(names), n_images), False
        for finite in self._finite_values():
            fitted = finite[plan.rows][:, finite.sum(axis=0) > enough]
            images = members.astype(np.int32) @ fitted.astype(np.int32)
            least = np.minimum(least, images.min(axis=1, initial=n_images))
            is_any |= bool(fitted.size)
        return dict(zip(names, (least * is_any).tolist(), strict=True))

    def _lost(self, column: str) -> str:
        rows = self.model.design.lost[column]
        who = some(dict.fromkeys(map(self._who, rows)), most=5)
        return f'{column} is missing for {len(rows)} ({who})'

    def _who(self, row: int) -> str:
        table = self.phenotypes.table
        cells = table.iloc[row].dropna()
        # The image tells who it is where the participant is what is blank.
        columns = (*SUBJECT_COLUMNS, SOURCE, self.response, *cells.index)
        return str(cells[next(column for column in columns if column in cells)])

    def _concerns(self) -> Iterator[str]:
        if self.model.aliased:
            yield (
                f'{some(self.model.aliased)}: collinear with other columns of the design, so '
                'no results'
            )
        yield from self.model.concerns()
        yield from self._exchanged()
        plan = self.model.design
        for factor, levels in plan.levels.items():
            counts = plan.counts[factor]
            alone = [level for level, images in zip(levels, counts, strict=True) if images == 1]
            if alone:
                yield f'only one image has {factor} = {some(alone)}: is the level misspelt?'
        if plan.lost:
            n_images = count(len(self.phenotypes.table), 'image')
            why = ', '.join(self._lost(column) for column in plan.lost)
            yield f'{len(plan.rows)} of {n_images} in the model; left out: {why}'
        if (number := condition(self.model.design, self.model.aliased)) > _ILL_CONDITIONED:
            yield (
                f'the columns of the design are nearly collinear (condition {number:.2g}): '
                'standard errors will be large'
            )

    def _exchanged(self) -> Iterator[str]:
        """Return a warning if images of one participant change places with those of others."""
        options, rows = self.model.options, self.model.design.rows
        subject, images = self.phenotypes.images_of_participants(rows)
        repeated = sum(number > 1 for number in images.values())
        has_blocks = options.exchangeability or self.model.groups is not None
        if options.permutations and repeated and not has_blocks:
            yield (
                f'several images of {count(repeated, "participant")} are permuted as if they were '
                f'from different participants: give --exchangeability {subject}'
            )

    def digest(self, exchangeability: str) -> str:
        """Return a digest of the cells that the model is made of, in the order of the images.

        Parameters
        ----------
        exchangeability : str
            Column of the blocks that change places; blank without.
        """
        used = {*Terms.of(self.model.design.formula).names, self.weights, exchangeability}
        table = self.phenotypes.table
        cells = table[[column for column in table if column in used]].fillna('')
        return hashlib.sha256(cells.to_csv(index=False).encode()).hexdigest()[:16]

    def _facts(self) -> dict[str, str]:
        """Return what the file is to say of the analysis, beside software and date."""
        plan, options = self.model.design, self.model.options
        untold = _UNTOLD if options.permutations else _UNTOLD | _OF_PERMUTATIONS
        told = {
            'kind': self.kind.name,
            'response': self.response,
            'columns': plan.names,
            'terms': plan.terms,
            'aliased': self.model.aliased,
            'levels': {name: list(levels) for name, levels in plan.levels.items()},
            'n_images': len(plan.rows),
            'left_out': {column: len(rows) for column, rows in plan.lost.items()},
            'weights': self.weights,
            _COHORT: str(self.phenotypes.path.absolute()),
            'phenotypes': self.digest(options.exchangeability),
            'particulars': list(self._particulars()),
            'summarised': self.model.summarised,
            'tested': {name: asdict(tested) for name, tested in self.model.tested.items()},
            **{name: value for name, value in asdict(options).items() if name not in untold},
        }
        if self.files is not None:
            told[_FILES] = dict(self.files.files)
        if self.permutation is not None:
            told['permutation'] = self.permutation.facts()
        return {schema.FORMULA_ATTRIBUTE: plan.formula, schema.MODEL_ATTRIBUTE: json.dumps(told)}


def _require_enough(n_images: int, n_columns: int, options: ModelOptions) -> None:
    """Refuse thresholds that no element passes, however many of its images have values."""
    fewest = int(options.fewest(n_images))
    if n_images <= fewest:
        raise UsageError(
            f'there are {n_images} images, and elements are fitted that have values in more than '
            f'{fewest}',
            remedy=f'For a smaller study give --num-subj-lthr-abs, such as {n_columns + 1}.',
        )


def _significant(fitted: FittedAnalysis) -> Iterator[str]:
    """Yield for each correction how many elements are significant, by term."""
    parts = [name.rpartition(f'.{P_VALUE}.') for name in fitted.significant]
    for method in dict.fromkeys(method for *_, method in parts):
        counts = ', '.join(
            f'{term} {number:,}'
            for (term, _, one), number in zip(parts, fitted.significant.values(), strict=True)
            if one == method and term != 'Intercept'
        )
        yield f'elements with p < {LEVEL}, corrected ({method}): {counts}'


def _comparable(facts: Mapping[str, str]) -> tuple[str | None, Any]:
    """Return the formula and the model that facts tell of, but for paths of tables."""
    told = object_of(facts.get(schema.MODEL_ATTRIBUTE, ''))
    known = {name: value for name, value in told.items() if name not in {_COHORT, _FILES}}
    return facts.get(schema.FORMULA_ATTRIBUTE), known


def condition(plan: Design, aliased: Collection[str] = ()) -> float:
    """Return the condition number of a design whose columns have length 1.

    Columns that a scalar multiplies at each element are left out, and those that others determine.
    Scaling makes it independent of units (Belsley, Kuh and Welsch, "Regression Diagnostics", 3.2).
    """
    shared = [
        column
        for column, scalars in enumerate(plan.scalars)
        if not scalars and plan.names[column] not in aliased
    ]
    matrix = plan.matrix[:, shared]
    lengths = np.linalg.norm(matrix, axis=0)
    return float(np.linalg.cond(matrix / np.where(lengths > 0, lengths, 1)))


def _response(
    named: str, sources: Mapping[str, tuple[str, ...]], store: Path, formula: str = ''
) -> str:
    """Return the scalar that is modelled: the one that is named, or the only one."""
    held = some(sorted(sources), most=8) or 'none'
    if named and named not in sources:
        whose = ', the left side of the formula' * bool(formula)
        raise UsageError(f'holds no scalar {named}{whose}', store, f'It holds: {held}.')
    if not named and len(sources) != 1:
        what, how = 'holds several scalars', 'Select one with --scalar. It holds'
        if formula:
            what = 'the formula does not say which scalar is modelled'
            left = f"'{min(sources, default='FA')} {formula.strip()}'"
            how = f'Put it on the left: {left}. The file holds'
        raise UsageError(what, store, f'{how}: {held}.')
    return named or next(iter(sources))


def _column(phenotypes: MatchedRows, name: str, what: str) -> pd.Series:
    """Return a column of the table that an option names."""
    table = phenotypes.table
    if name not in table:
        what = f'has no column {name} of {what}'
        raise CohortError(what, phenotypes.path, f'It has: {some([*table])}.')
    return table[name]


def _weights(phenotypes: MatchedRows, column: str | None) -> np.ndarray | None:
    """Return the weights of the rows, NaN where blank: (n_images,) float64."""
    if column is None:
        return None
    cells = _column(phenotypes, column, 'weights')
    try:
        return cells.to_numpy(np.float64, na_value=np.nan)
    except ValueError as error:
        raise CohortError(
            f'{column} is not a column of weights ({error})', phenotypes.path, 'Give numbers.'
        ) from error


def _blocks(phenotypes: MatchedRows, column: str, rows: np.ndarray) -> np.ndarray | None:
    """Return the block of exchangeability of each image, (n_images,) int; None without blocks."""
    if not column:
        return None
    cells = _column(phenotypes, column, 'blocks')
    if blank := int(cells.iloc[rows].isna().sum()):
        raise CohortError(
            f'{column} is blank for {count(blank, "image")}, which then has no block',
            phenotypes.path,
            'Fill it in, or leave these images out.',
        )
    return np.asarray(cells.astype('category').cat.codes)
