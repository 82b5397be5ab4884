"""The dataset level of BIDS Stats Models, translated to R's formulas.

``Factor`` makes a column of each level, ``sex.F`` and ``sex.M``, and ``X`` names those that enter
the design. A formula says the same where ``X`` has the intercept and all levels but one, which is
the reference, or no intercept and all levels of one factor. Everything else is refused by name.

Specification: https://bids-standard.github.io/stats-models (1.0.0).
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

from modelarrayio_bids.cohort import read_rows
from modelarrayio_bids.errors import ModelFileError, raise_problems
from modelarrayio_bids.models.formula.syntax import quoted_name
from modelarrayio_bids.models.formula.terms import Terms
from modelarrayio_bids.models.formula.values import Numbers, Vector, column_values, factor_of
from modelarrayio_bids.runtime.text_format import some

_FACTORS = ('Factor', 'Dummy')
#: Parameters of Factor as pybids reads them, in any case and with or without underscores.
_PARAMETERS = ('name', 'input', 'constraint', 'reflevel', 'sep', 'description')
_CONSTRAINTS = ('none', 'drop_one')
_INTERCEPT = 1
# No exponents: they would make endless numbers.
_WEIGHT = re.compile(r'[-+]?\d{1,20}(\.\d{1,20})?(/\d{1,20})?')


@dataclass(frozen=True)
class CohortColumns:
    """Columns of a cohort CSV.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    """

    path: Path

    @cached_property
    def values(self) -> Mapping[str, Vector]:
        """Values of each column.

        Raises
        ------
        CohortError
            If the file cannot be read.
        """
        _, names, rows = read_rows(self.path)
        return {name: column_values([row[name] for row in rows]) for name in names}

    def is_numeric(self, name: str) -> bool:
        """Return whether a formula takes a column for numbers, not for levels."""
        values = self.values[name]
        return isinstance(values, Numbers) and values.kind != 'logical'

    def levels(self, name: str) -> tuple[str, ...]:
        """Return the levels of a column as ``factor()`` of R orders them."""
        return tuple(factor_of(self.values[name]).levels)


def nodes_of(content: Mapping[str, Any], path: Path) -> list[ModelNode]:
    """Return the nodes of a BIDS Stats Model whose form was checked.

    Raises
    ------
    ModelFileError
        If it asks for transformations that are not known here.
    """
    raise_problems([
        ModelFileError(f'node {node["Name"]}: {what}', path, remedy)
        for node in content['Nodes']
        for instruction in (node.get('Transformations') or {}).get('Instructions', ())
        for what, remedy in _beyond_factor(instruction)
    ])  # fmt: skip
    return [ModelNode(node['Name'], node, path) for node in content['Nodes']]


@dataclass(frozen=True)
class ModelNode:
    """A node of the level Dataset.

    Parameters
    ----------
    name : str
        Its name, and that of the analysis.
    node : dict
        The node.
    path : pathlib.Path
        The file.
    """

    name: str
    node: Mapping[str, Any]
    path: Path

    def takes(self, scalar: str) -> bool:
        """Return True: the node is of every scalar."""
        return True

    def formula_for(self, columns: CohortColumns) -> str:
        """Return the model in R's words.

        Raises
        ------
        ModelFileError
            If the columns in ``X`` are not in the cohort, or no formula says the same.
        """
        return self._design(columns).formula

    def settings_for(self, columns: CohortColumns) -> dict[str, Any]:
        """Return the contrasts and F tests.

        Raises
        ------
        ModelFileError
            If a contrast names what is not in ``X``.
        """
        coefficients = self._design(columns).coefficients
        found: dict[str, dict[str, str]] = {'contrasts': {}, 'f_tests': {}}
        for contrast in self._contrasts(list(coefficients)):
            kind = 'f_tests' if contrast['Test'] == 'F' else 'contrasts'
            text = self._text(contrast, coefficients)
            if text != contrast['Name'] and text != 'Intercept':
                found[kind][contrast['Name']] = text
        return {kind: texts for kind, texts in found.items() if texts}

    def _design(self, columns: CohortColumns) -> _Design:
        try:
            return _Design.of(self.node['Model']['X'], [*_factors(self.node)], columns)
        except _UnlikeFormulaError as error:
            what, remedy = error.args
            raise ModelFileError(f'node {self.name}: {what}', self.path, remedy) from error

    def _contrasts(self, variables: Sequence[str | int]) -> Iterator[Mapping[str, Any]]:
        yield from self.node.get('Contrasts') or ()
        dummies = self.node.get('DummyContrasts')
        if dummies is not None:
            for variable in dummies.get('Contrasts') or variables:
                named = {'Name': str(variable), 'ConditionList': [variable], 'Weights': [1]}
                yield named | {'Test': dummies['Test']}

    def _text(self, contrast: Mapping[str, Any], coefficients: Mapping[str | int, str]) -> str:
        """Return a contrast, or what an F test is of, by the names of coefficients."""
        variables = contrast['ConditionList']
        if unknown := [variable for variable in variables if variable not in coefficients]:
            known = ', '.join(map(str, coefficients))
            raise self._unlike(contrast, f'{unknown[0]} is not in X', f'X has: {known}.')
        weights = contrast['Weights']
        rows = weights if isinstance(weights[0], list) else [weights]
        if any(len(row) != len(variables) for row in rows):
            what = f'has not {len(variables)} weights, one for each of its ConditionList'
            raise self._unlike(contrast, what, 'Give as many.')
        names = [coefficients[variable] for variable in variables]
        try:
            sums = [[*_weighted(names, row)] for row in rows]
        except (TypeError, ValueError, ArithmeticError) as error:
            raise self._unlike(contrast, str(error), 'Give numbers, or "1/3".') from error
        return self._joint(contrast, sums) if contrast['Test'] == 'F' else self._one(contrast, sums)

    def _one(self, contrast: Mapping[str, Any], sums: Sequence[Sequence[tuple[str, str]]]) -> str:
        if len(sums) > 1 or not sums[0]:
            what = 'is a t test of several rows' if len(sums) > 1 else 'has no weight other than 0'
            raise self._unlike(contrast, what, 'Give one row of weights.')
        return _sum(sums[0])

    def _joint(self, contrast: Mapping[str, Any], sums: Sequence[Sequence[tuple[str, str]]]) -> str:
        if any(len(one) != 1 for one in sums):
            what = 'tests combinations of coefficients together'
            raise self._unlike(contrast, what, 'Give rows with one weight other than 0.')
        return ' + '.join(one[0][1] for one in sums)

    def _unlike(self, contrast: Mapping[str, Any], what: str, remedy: str) -> ModelFileError:
        place = f'node {self.name}, contrast {contrast["Name"]}'
        return ModelFileError(f'{place}: {what}', self.path, remedy)


class _UnlikeFormulaError(Exception):
    """A node that no formula can express."""


@dataclass(frozen=True)
class _Factor:
    """A column whose levels are columns of their own: ``sex`` makes ``sex.F`` and ``sex.M``."""

    column: str
    separator: str = '.'
    reference: str | None = None
    drops_one: bool = False

    def variables(self, columns: CohortColumns) -> dict[str, str]:
        """Return the level of each column it makes."""
        if self.column not in columns.values:
            near = difflib.get_close_matches(self.column, columns.values, 3)
            what = f'Factor: {columns.path} has no column {self.column}'
            raise _UnlikeFormulaError(what, f'It has: {some(near or list(columns.values), 8)}.')
        levels = columns.levels(self.column)
        if self.reference is not None and self.reference not in levels:
            what = f'Factor: {self.column} has no level {self.reference}'
            raise _UnlikeFormulaError(what, f'It has: {some(levels, 8)}.')
        dropped = self.reference
        if self.drops_one and dropped is None:
            # pybids sorts texts by their code points.
            dropped = levels[0] if columns.is_numeric(self.column) else min(levels)
        kept = [level for level in levels if level != dropped]
        return {f'{self.column}{self.separator}{level}': level for level in kept}


@dataclass(frozen=True)
class _Design:
    """A formula, and the name in R of the coefficient of each column of ``X``."""

    formula: str
    coefficients: Mapping[str | int, str]

    @classmethod
    def of(
        cls, wanted: Sequence[str | int], factors: Sequence[_Factor], columns: CohortColumns
    ) -> _Design:
        """Say ``X`` as a formula; raise :class:`_UnlikeFormulaError` where that is not possible."""
        made = {factor: factor.variables(columns) for factor in factors}
        listed = _expanded(wanted, made, columns)
        of_levels = {name for levels in made.values() for name in levels}
        used = {
            factor: {name: level for name, level in levels.items() if name in listed}
            for factor, levels in made.items()
            if not levels.keys().isdisjoint(listed)
        }
        has_intercept = _INTERCEPT in listed
        _require_one_reference_each(used, columns, has_intercept=has_intercept)
        found: dict[str | int, str] = {_INTERCEPT: 'Intercept'} if has_intercept else {}
        terms = []
        # Without an intercept, the first factor of a formula has a column for each level.
        for factor, levels in sorted(
            used.items(), key=lambda item: -_is_full(item[0], item[1], columns)
        ):
            terms.append(_factor_label(factor.column, [*levels.values()], columns))
            found |= {name: f'{terms[-1]}{level}' for name, level in levels.items()}
        for name in listed:
            if isinstance(name, str) and name not in of_levels:
                terms.append(_numeric_label(name, columns))
                found[name] = terms[-1]
        formula = ' + '.join(['1' if has_intercept else '0', *terms])
        return cls(f'~ {formula}', {name: found[name] for name in listed})


def _expanded(
    wanted: Sequence[str | int], made: Mapping[_Factor, Mapping[str, str]], columns: CohortColumns
) -> list[str | int]:
    """Return the columns that ``X`` names, patterns replaced by what they match."""
    replaced = {factor.column for factor in made}
    known = [name for levels in made.values() for name in levels]
    known += [name for name in columns.values if name not in replaced]
    found: list[str | int] = []
    for name in wanted:
        if name == _INTERCEPT:
            found.append(_INTERCEPT)
            continue
        matching = [each for each in known if fnmatchcase(each, str(name))]
        if not matching:
            near = difflib.get_close_matches(str(name), known, 3)
            remedy = f'Nearest: {", ".join(near)}.' if near else f'Columns are: {some(known, 12)}.'
            raise _UnlikeFormulaError(f'X: {columns.path} has no column for {name}', remedy)
        found += matching
    return list(dict.fromkeys(found))


def _is_full(factor: _Factor, used: Mapping[str, str], columns: CohortColumns) -> bool:
    return len(used) == len(columns.levels(factor.column))


def _require_one_reference_each(
    used: Mapping[_Factor, Mapping[str, str]], columns: CohortColumns, *, has_intercept: bool
) -> None:
    """Refuse columns of levels that R's contrasts of treatment do not make."""
    full = [factor.column for factor, names in used.items() if _is_full(factor, names, columns)]
    if full and (has_intercept or len(full) > 1):
        others = 'the intercept' if has_intercept else f'those of {full[0]}'
        raise _UnlikeFormulaError(
            f'X: the columns of all levels of {full[-1]} and {others} determine each other',
            f'Leave one level of {full[-1]} out: the others are compared with it.',
        )
    for factor, names in used.items():
        absent = [level for level in columns.levels(factor.column) if level not in names.values()]
        if len(absent) > 1:
            raise _UnlikeFormulaError(
                f'X: {len(absent)} levels of {factor.column} are left out ({some(absent, 5)})',
                'Leave out one, which the others are compared with.',
            )
        if not has_intercept and not full:
            raise _UnlikeFormulaError(
                f'X: has neither the intercept nor all levels of {factor.column}',
                f'Add 1, or {factor.column}{factor.separator}{absent[0]}.',
            )


def _factor_label(column: str, used: Sequence[str], columns: CohortColumns) -> str:
    """Return how a formula writes a factor whose reference is the level that is not used."""
    name, levels = quoted_name(column), columns.levels(column)
    reference = next((level for level in levels if level not in used), levels[0])
    if reference != levels[0]:
        return _as_r_writes(f'relevel(factor({name}), {json.dumps(reference)})')
    return _as_r_writes(f'factor({name})' if columns.is_numeric(column) else name)


def _numeric_label(name: str, columns: CohortColumns) -> str:
    if not columns.is_numeric(name):
        raise _UnlikeFormulaError(
            f'X: {name} is not numbers',
            'Make columns of its levels by the transformation Factor, and name these in X.',
        )
    return _as_r_writes(quoted_name(name))


def _as_r_writes(term: str) -> str:
    """Return a term as R deparses it, which is how its coefficients are called."""
    (label,) = Terms.of(f'~ {term}').variables
    return label


def _weighted(names: Sequence[str], weights: Sequence[Any]) -> Iterator[tuple[str, str]]:
    """Yield a weight and a coefficient for each weight other than 0."""
    for weight, name in zip(weights, names, strict=True):
        if isinstance(weight, str) and not _WEIGHT.fullmatch(weight):
            raise ValueError(f'{weight!r} is not a number')
        value = Fraction(weight)
        if value:
            is_float = isinstance(weight, float) and value.denominator > 1
            yield repr(weight) if is_float else str(value), name


def _sum(parts: Sequence[tuple[str, str]]) -> str:
    """Return a sum of coefficients.

    >>> _sum([('1', 'age'), ('-1/2', 'sexM')])
    'age + -1/2*sexM'
    """
    return ' + '.join(name if weight == '1' else f'{weight}*{name}' for weight, name in parts)


def _factors(node: Mapping[str, Any]) -> Iterator[_Factor]:
    for instruction in (node.get('Transformations') or {}).get('Instructions', ()):
        own = {_plain(key): value for key, value in instruction.items()}
        inputs = own['input'] if isinstance(own['input'], list) else [own['input']]
        for column in inputs:
            reference = own.get('reflevel')
            yield _Factor(
                column,
                own.get('sep', '.'),
                None if reference is None else str(reference),
                drops_one=own.get('constraint') == 'drop_one',
            )


def _plain(key: str) -> str:
    return key.replace('_', '').lower()


def _beyond_factor(instruction: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what a transformation asks for that is not done here, and what to do."""
    name = instruction['Name']
    if name not in _FACTORS:
        yield (
            f'transformation {name} is not known here',
            f'Known: {" and ".join(_FACTORS)}. Change the phenotypes, or write a formula.',
        )
        return
    own = {_plain(key): value for key, value in instruction.items()}
    for key in instruction:
        if _plain(key) not in _PARAMETERS:
            yield f'transformation {name}: {key} is not known here', 'Leave it out.'
    if 'input' not in own:
        yield f'transformation {name}: lacks Input', 'Name the columns.'
    if own.get('constraint', 'none') not in _CONSTRAINTS:
        yield (
            f'transformation {name}: the constraint {own["constraint"]} is not known here',
            f'Known: {" and ".join(_CONSTRAINTS)}.',
        )
