"""Smooths as columns of a design, computed from the rows of the model.

A factor ``by`` multiplies the curves of all rows by 1 at a level and 0 elsewhere: each level has a
smooth of its own, of an ordered factor each but the first. A number ``by`` multiplies curves and
constant (of ``ti`` the curves alone). So does mgcv (``?gam.models``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from modelarrayio_bids.errors import FormulaError
from modelarrayio_bids.models.design import Design
from modelarrayio_bids.models.formula.smooth_bases import SmoothBasis
from modelarrayio_bids.models.formula.smooths import Smooth, result_name
from modelarrayio_bids.models.formula.syntax import Call, shortened
from modelarrayio_bids.models.formula.terms import written
from modelarrayio_bids.models.formula.values import ArgumentError, Factor, Numbers


@dataclass(frozen=True, eq=False)
class SmoothTerm:
    """A smooth that has columns and a test: of a factor ``by`` each level has one.

    Parameters
    ----------
    smooth : Smooth
        As the formula has it.
    basis : SmoothBasis
        Its columns, for any values of the covariates.
    level : str
        Level of the factor ``by``; blank without.
    number : str
        Label of the number ``by``; blank without.
    columns : tuple of int
        Its columns of the design.
    """

    smooth: Smooth
    basis: SmoothBasis
    level: str
    number: str
    columns: tuple[int, ...]

    @property
    def label(self) -> str:
        """Return mgcv's name: ``s(age)``, ``s(age):sexM``."""
        return f'{self.smooth.label}{self.level}'

    @property
    def name(self) -> str:
        """Return ModelArray's name: ``s_age``, ``s_age_BYsexM``."""
        return result_name(self.label)


def with_smooths(design: Design) -> tuple[Design, tuple[SmoothTerm, ...]]:
    """Return a design with the columns of its smooths, and the smooths.

    Raises
    ------
    FormulaError
        If a smooth cannot be made: of what is not a number, or of too few distinct values.
    """
    made: list[SmoothTerm] = []
    for call in design.special:
        smooth = Smooth.of(call)
        _require_fixed(smooth, call, design)
        try:
            for basis, level, columns in _parts(smooth, design):
                number = '' if level else smooth.by
                term = SmoothTerm(smooth, basis, level, number, _numbers(design, columns))
                design = _extended(design, term, columns)
                made.append(term)
        except ArgumentError as error:
            raise FormulaError(f'{shortened(smooth.base_label)} {error}') from error
    return design, tuple(made)


def _require_fixed(smooth: Smooth, call: Call, design: Design) -> None:
    if not smooth.is_fixed:
        label = shortened(smooth.base_label)
        formula, response = shortened(design.formula, 200), design.response or 'scalar'
        raise FormulaError(
            f'{written(call)} is a penalised smooth, whose degrees of freedom are estimated',
            remedy=f'Fix them, as in {label[:-1]}, k = 4, fx = TRUE), or fit it in R: '
            f'ModelArray.gam({formula}, modelarray, phenotypes, "{response}").',
        )


def _parts(smooth: Smooth, design: Design) -> Iterator[tuple[SmoothBasis, str, np.ndarray]]:
    """Yield basis, level and columns (n_rows, k) of a smooth, for each level."""
    covariates = [_numbers_of(design, label) for label in smooth.covariates]
    by = design.variables[smooth.by] if smooth.by else None
    basis = SmoothBasis.of(
        covariates,
        smooth.function,
        smooth.bases,
        smooth.dimensions,
        # A number that is the same everywhere leaves the constant of the curves to the intercept.
        is_centred=not isinstance(by, Numbers) or np.ptp(by.data) == 0,
    )
    columns = basis.at(covariates)
    if by is None:
        yield basis, '', columns
    elif isinstance(by, Factor):
        for code, level in list(enumerate(by.levels))[by.is_ordered :]:
            yield basis, level, columns * (by.codes == code)[:, np.newaxis]
    elif isinstance(by, Numbers):
        yield basis, '', columns * by.data[:, np.newaxis]
    else:
        raise ArgumentError(f'has a by, {smooth.by}, that is neither a factor nor a number')


def _numbers_of(design: Design, label: str) -> np.ndarray:
    value = design.variables[label]
    if isinstance(value, Numbers):
        return value.data
    if isinstance(value, Factor):
        raise ArgumentError(f'is of a factor: use the term {label}, or a smooth with by = {label}')
    raise ArgumentError('is not of a column of numbers')


def _numbers(design: Design, columns: np.ndarray) -> tuple[int, ...]:
    first = design.matrix.shape[1]
    return tuple(range(first, first + columns.shape[1]))


def _extended(design: Design, term: SmoothTerm, columns: np.ndarray) -> Design:
    """Return a design with the columns of a smooth; its levels make one term."""
    label, n_columns = term.smooth.label, columns.shape[1]
    is_new = label not in design.terms
    terms = (*design.terms, label) if is_new else design.terms
    return replace(
        design,
        matrix=np.hstack([design.matrix, columns]),
        names=(*design.names, *(f'{term.label}.{number}' for number in range(1, n_columns + 1))),
        terms=terms,
        factors=(*design.factors, (label,)) if is_new else design.factors,
        assign=(*design.assign, *[terms.index(label) + 1] * n_columns),
        scalars=(*design.scalars, *[()] * n_columns),
    )
