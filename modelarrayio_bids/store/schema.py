"""Paths, attributes and rules of ModelArray's HDF5 format.

The rules were tried against the R package ModelArray (commit 556abf1) with rhdf5 2.42 and
HDF5Array 1.26; ``docs/file-format.md`` gives the reason for each. Shapes are as h5py sees them: R
sees the transpose.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from modelarrayio_bids.errors import SchemaError

#: Newest HDF5 file format written: R's libhdf5 1.10 cannot open what ``'latest'`` writes.
LIBVER = ('earliest', 'v110')

SCALARS = 'scalars'
RESULTS = 'results'
VALUES = 'values'
COLUMN_NAMES = 'column_names'
RESULTS_MATRIX = 'results_matrix'
RESULT_NAMES_ATTRIBUTE = 'colnames'
ELEMENT_ID = 'element_id'
LEVELS_PREFIX = 'lut_forcol'

#: Ours: R ignores it.
PROVENANCE = 'modelarrayio'
TEMPLATE = 'modelarrayio/template'
KIND_ATTRIBUTE = 'kind'
SOURCES = 'modelarrayio/sources'
#: Data of :class:`modelarrayio_bids.store.summary.Summary`, by scalar.
SUMMARIES = 'modelarrayio/summaries'
#: A digest of everything that decides the content: see ``identity_of`` in ``conversion.build``.
IDENTITY_ATTRIBUTE = 'identity'
#: Layout of values, as JSON of a :class:`modelarrayio_bids.store.chunk_layout.Layout`.
LAYOUT_ATTRIBUTE = 'layout'
#: Earlier runs that wrote the file, oldest first: a JSON object each.
HISTORY = 'modelarrayio/history'
#: Of ``/results/<analysis>/modelarrayio``: how many sources the scalars that have more by now had
#: when the analysis was made, as JSON.
N_SOURCES_ATTRIBUTE = 'n_sources'
#: Of the same group, of an analysis made by ``fit``: what was fitted, and to what (texts and JSON).
FORMULA_ATTRIBUTE = 'formula'
MODEL_ATTRIBUTE = 'model'
#: Elements without all results, by reason: JSON.
NOT_FITTED_ATTRIBUTE = 'not_fitted'
#: Of the same group, of an analysis with a permutation test: the names of its p values, and the
#: greatest |t| or F of each labelling, (n_tests, n_labellings), that of the unpermuted one first.
NULL_TESTS = 'null_tests'
NULL_MAXIMA = 'null_maxima'
#: Of the same group: what an analysis was merged from.
MERGED_ANALYSES = 'merged_analysis'
MERGED_FILES = 'merged_file'
SOURCE_SIZES = 'size'
SOURCE_TIMES = 'modified'
SOURCE_STATUS = (SOURCE_SIZES, SOURCE_TIMES)

#: Reserved words of R's parser (``?Reserved``).
R_RESERVED = frozenset(
    {'if', 'else', 'repeat', 'while', 'function', 'for', 'next', 'break', 'in', 'TRUE', 'FALSE'}
    | {'NULL', 'Inf', 'NaN', 'NA', 'NA_integer_', 'NA_real_', 'NA_character_', 'NA_complex_'}
)
# Nor what stands for arguments in R ("...", "..1"), nor for all other columns in a formula (".").
_R_NAME = re.compile(r'(?!\.(\.\.|\.[0-9]+)?$)([A-Za-z]|\.(?![0-9]))[A-Za-z0-9._]*')


@dataclass(frozen=True)
class ElementTable:
    """One table of the elements' identities.

    Parameters
    ----------
    values : numpy.ndarray
        (n_columns, n_elements) numbers, or (n_elements,) strings (for edges those of the rows or
        of the columns).
    columns : tuple of str
        Names of the rows of ``values``; empty for a table of strings.
    attributes : dict, optional
        Further attributes: lists of strings.
    """

    values: np.ndarray
    columns: tuple[str, ...] = ()
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def agrees_with(self, other: ElementTable) -> bool:
        """Return whether both say the same of as many elements, in the columns that both have.

        The first column, which counts them, is left out: it says nothing of what they are.
        """
        if self.values.shape[-1] != other.values.shape[-1]:
            return False
        if not self.columns or not other.columns:
            return np.array_equal(self.values, other.values)
        shared = [name for name in other.columns[1:] if name in self.columns]
        pairs = (
            (self.values[self.columns.index(name)], other.values[other.columns.index(name)])
            for name in shared
        )
        # Mostly they are equal, which takes a tenth of the time to see.
        return all(
            np.array_equal(*pair) or np.allclose(*pair, rtol=0, atol=1e-6, equal_nan=True)
            for pair in pairs
        )


#: Tables of elements, by their paths in a file.
Tables = Mapping[str, ElementTable]


def scalar_path(scalar: str, leaf: str = '') -> str:
    """Return the path of a scalar's group, or of a dataset in it.

    >>> scalar_path('FA', VALUES)
    'scalars/FA/values'
    """
    return '/'.join(part for part in (SCALARS, scalar, leaf) if part)


def summary_path(scalar: str, leaf: str = '') -> str:
    """Return the path of a scalar's summary, or of a dataset in it.

    >>> summary_path('FA', 'rows/mean')
    'modelarrayio/summaries/FA/rows/mean'
    """
    return '/'.join(part for part in (SUMMARIES, scalar, leaf) if part)


def result_path(analysis: str, leaf: str = RESULTS_MATRIX) -> str:
    """Return the path of a dataset of an analysis.

    >>> result_path('mylm')
    'results/mylm/results_matrix'
    """
    return f'{RESULTS}/{analysis}/{leaf}'


def without_ids(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names of an analysis' results, of which :data:`ELEMENT_ID` is none."""
    return tuple(name for name in names if name != ELEMENT_ID)


def check_analysis_name(name: str) -> None:
    """Refuse a name that would be another place in the file.

    Raises
    ------
    SchemaError
        With what to change.
    """
    if not name.strip() or '/' in name or name in {'.', '..'}:
        raise SchemaError(
            f'{name!r} cannot be the name of an analysis',
            remedy='Give one without "/", that is not blank.',
        )


def in_file_name(result: str) -> str:
    """Return a result's name as part of the name of its image, as the predecessor made it.

    >>> in_file_name('age:sexM estimate/se')
    'age:sexM_estimate_se'
    """
    return result.replace(' ', '_').replace('/', '_')


def check_scalar_name(name: str) -> None:
    """Refuse a scalar that would be another place in the file.

    >>> check_scalar_name('2nd')
    >>> check_scalar_name('a/b')
    Traceback (most recent call last):
    modelarrayio_bids.errors.SchemaError: 'a/b' cannot be the name of a scalar. Use letters, ...

    Raises
    ------
    SchemaError
        With what to change.
    """
    if not name.strip() or not name.isprintable() or '/' in name or name in {'.', '..', SCALARS}:
        raise SchemaError(
            f'{name!r} cannot be the name of a scalar',
            remedy='Use letters, digits, "_" and ".", starting with a letter '
            f'(and not "{SCALARS}").',
        )


def is_r_name(name: str) -> bool:
    """Return whether R takes a name in a formula as it is, without backticks.

    >>> is_r_name('dki_fa'), is_r_name('FA-w'), is_r_name('TRUE')
    (True, False, False)
    """
    return _R_NAME.fullmatch(name) is not None and name not in R_RESERVED


def in_formula(name: str) -> str:
    r"""Return a name as a formula of R takes it.

    >>> in_formula('dki_fa'), in_formula('my scalar')
    ('dki_fa', '`my scalar`')
    >>> print(in_formula('a`b'), in_formula('a\\b'))
    `a\`b` `a\\b`
    """
    if is_r_name(name):
        return name
    escaped = name.replace('\\', '\\\\').replace('`', '\\`')
    return f'`{escaped}`'
