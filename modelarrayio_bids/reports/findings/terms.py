"""What an analysis tested: which of its results decide, and their values.

>>> names = ('element_id', 'Intercept.p.value', 'age.statistic', 'age.p.value', 'age.p.value.fdr')
>>> for term in terms_of(names):
...     print(term)
Term(name='age', shown='age.statistic', p='age.p.value.fdr', correction='fdr')
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from modelarrayio_bids.derivatives.outputs.statmaps import MODEL, ResultName, statistics
from modelarrayio_bids.models.adjustment import FWE
from modelarrayio_bids.results.model_facts import ModelFacts
from modelarrayio_bids.runtime.resources import MIB
from modelarrayio_bids.store import schema
from modelarrayio_bids.store.reader import Analysis

#: Below which a p value counts: one that is corrected for many tests, and one that is not.
CORRECTED, UNCORRECTED = 0.05, 0.001
#: What is shown of a term, the best first, and what it is called; without any it is -log10 p.
SHOWN = {
    'statistic': 'test statistic',
    'estimate': 'estimate',
    'partial.rsq': 'partial R²',
    'delta.adj.rsq': 'change of adjusted R²',
}
LOG_P = '-log10 p'
_P = 'p.value'
#: The result that tells the residual degrees of freedom.
DF = f'{MODEL}.df.residual'
_NO_CORRECTION = ('', 'none')
_INTERCEPT = ('Intercept', '(Intercept)')
#: Bytes of what is kept of terms that are read together.
IN_MEMORY = 64 * MIB
# A float32 and a boolean.
_BYTES_PER_ROW = 5


@dataclass(frozen=True)
class Term:
    """A term that has a p value.

    Parameters
    ----------
    name : str
        In the model's formula; ``model`` for all of it, or blank.
    shown : str
        The result that is shown; blank for -log10 p.
    p : str
        The result that decides.
    correction : str
        How it was corrected for many tests: R's method, ``fwe``, or blank.
    """

    name: str
    shown: str
    p: str
    correction: str

    @property
    def level(self) -> float:
        """Below which p counts."""
        return CORRECTED if self.correction else UNCORRECTED

    @property
    def rule(self) -> str:
        """Level and correction, for a person."""
        return f'p < {self.level:g}, {self.corrected}'

    @property
    def corrected(self) -> str:
        """Whether and how p is corrected, for a person."""
        if self.correction:
            return f'corrected ({self.correction})'
        return 'not corrected for the number of tests'

    def proof(self, rows: Mapping[str, int]) -> tuple[int, int] | None:
        """Rows of the statistic and of its p value, not corrected, where both are there."""
        names = f'{self.name}.statistic', f'{self.name}.{_P}'
        if self.shown != names[0] or names[1] not in rows:
            return None
        return rows[names[0]], rows[names[1]]

    def df_row(self, rows: Mapping[str, int]) -> int | None:
        """Return the row of the statistic's own degrees of freedom; None if it has none."""
        names = (f'{self.name}.df.residual', f'{self.name}.df')
        if self.name == MODEL:
            return None
        return next((rows[name] for name in names if name in rows), None)

    @property
    def noun(self) -> str:
        """What is shown, for a person."""
        return SHOWN[ResultName.of(self.shown).statistic] if self.shown else LOG_P


@dataclass
class TermValues:
    """What was found of a term, by row of the analysis.

    Parameters
    ----------
    term : Term
        The term.
    shown : numpy.ndarray
        (n_rows,) float32: the result that is shown.
    kept : numpy.ndarray
        (n_rows,) boolean: where p counts.
    told : str, optional
        Its statistic, where the file says: ``t``, ``F``.
    n_tested : int
        How many rows have a p value.
    smallest_p : float
        The least of them; NaN if there is none.
    is_told : bool, optional
        Whether p is everywhere that of a t or F statistic; None where that cannot be looked up.
    least_df, most_df : float
        Residual degrees of freedom, or those of the statistic: NaN where nothing tells.
    """

    term: Term
    shown: np.ndarray
    kept: np.ndarray
    told: str = ''
    n_tested: int = 0
    smallest_p: float = np.nan
    is_told: bool | None = None
    least_df: float = np.nan
    most_df: float = np.nan

    @property
    def statistic(self) -> str:
        """``t`` or ``F``, where the file says so or the numbers prove it, else blank."""
        if self.told or not self.is_told:
            return self.told
        return 'F' if self.term.name == MODEL else 't'

    @property
    def noun(self) -> str:
        """What is shown, for a person."""
        return self.statistic or self.term.noun

    def take(self, start: int, values: np.ndarray, p: np.ndarray) -> None:
        """Take in some rows, from a first one: float64 values of both results."""
        stop = start + p.size
        with np.errstate(over='ignore', divide='ignore', invalid='ignore'):
            self.shown[start:stop] = values if self.term.shown else -np.log10(p)
        self.kept[start:stop] = p < self.term.level
        self.n_tested += int(np.count_nonzero(np.isfinite(p)))
        self.smallest_p = float(np.fmin(self.smallest_p, np.fmin.reduce(p)))

    def take_df(self, df: np.ndarray) -> None:
        """Take in the degrees of freedom of some rows."""
        self.least_df = float(np.fmin(self.least_df, np.fmin.reduce(df)))
        self.most_df = float(np.fmax(self.most_df, np.fmax.reduce(df)))

    def look_up(
        self, statistic: np.ndarray, p: np.ndarray, df: np.ndarray, n_coefficients: int
    ) -> None:
        """Compare p values of some rows, not corrected, with those of the statistic."""
        known = np.isfinite(statistic) & np.isfinite(p) & (df > 0)
        if self.is_told is False or not known.any():
            return
        if self.term.name == MODEL:
            expected = special.fdtrc(n_coefficients - 1, df[known], statistic[known])
        else:
            expected = 2 * special.stdtr(df[known], -abs(statistic[known]))
        self.is_told = bool(np.allclose(expected, p[known], rtol=1e-3, atol=1e-12))


@dataclass
class Observations:
    """What the rows of an analysis are about.

    Parameters
    ----------
    element_ids : numpy.ndarray, optional
        (n_rows,) float64: the element of each row, where the analysis says.
    least, most : float
        Number of images of a model: NaN where the analysis does not say.
    """

    element_ids: np.ndarray | None
    least: float = np.nan
    most: float = np.nan

    def take(self, counts: np.ndarray) -> None:
        """Take in the numbers of images of some rows."""
        self.least = float(np.fmin(self.least, np.fmin.reduce(counts)))
        self.most = float(np.fmax(self.most, np.fmax.reduce(counts)))


def terms_of(names: Sequence[str], *, show_intercept: bool = False) -> list[Term]:
    """Return the terms with a p value: those of the formula, then the whole model.

    That the intercept is not zero is asked only by a model that has nothing else: elsewhere it is
    left out, unless it is wanted. Of several corrections the one by permutations counts, or the
    first that stands in the analysis.
    """
    parsed = {name: ResultName.of(name) for name in names}
    deciding: dict[str, str] = {}
    for name, result in parsed.items():
        if result.statistic == _P:
            other = parsed.get(deciding.get(result.term, ''))
            if other is None or other.correction in _NO_CORRECTION or result.correction == FWE:
                deciding[result.term] = name
    terms = [
        Term(term, _shown(term, parsed), p, parsed[p].correction.replace('none', ''))
        for term, p in deciding.items()
    ]
    asked = [term for term in terms if term.name not in _INTERCEPT]
    if show_intercept or all(term.name == MODEL for term in asked):
        asked = terms
    return sorted(asked, key=lambda term: (term.name in _INTERCEPT, term.name == MODEL))


def model_terms(names: Sequence[str]) -> list[str]:
    """Return the terms of a model, those without a p value too, but not the intercept.

    >>> model_terms(['element_id', 'Intercept.estimate', 'age.estimate', 'age.p.value'])
    ['age']
    """
    known = statistics()
    found = (result.term for result in map(ResultName.of, names) if result.statistic in known)
    return [term for term in dict.fromkeys(found) if term not in {'', MODEL, *_INTERCEPT}]


def read_terms(
    results: Analysis,
    threads: int = 1,
    memory: int = IN_MEMORY,
    n_images: float = np.nan,
    *,
    show_intercept: bool = False,
) -> Iterator[tuple[TermValues, Observations]]:
    """Yield the values of each term.

    The matrix is read once for as many terms as fit the memory: of most analyses for all.

    Parameters
    ----------
    results : Analysis
        The analysis.
    threads : int, optional
        That inflate.
    memory : int, optional
        Bytes for what is kept of terms.
    n_images : int, optional
        Number of images of a model, where the analysis does not say.
    show_intercept : bool, optional
        The intercept too, of a model with other terms.

    Raises
    ------
    FormatError
        If the file is damaged.
    """
    n_rows = results.matrix.shape[1]
    terms = terms_of(results.names, show_intercept=show_intercept)
    facts = ModelFacts.of(results.described)
    together = max(1, memory // (n_rows * _BYTES_PER_ROW))
    for start in range(0, len(terms), together):
        found = [
            TermValues(
                *(term, np.empty(n_rows, np.float32), np.empty(n_rows, bool)),
                _told(facts, term),
            )
            for term in terms[start : start + together]
        ]
        observations = _read(results, found, threads, n_images)
        while found:
            # Nobody else holds it: it goes when the next is asked for.
            yield found.pop(0), observations


def _read(
    results: Analysis, found: Sequence[TermValues], threads: int, n_images: float
) -> Observations:
    rows = {name: row for row, name in enumerate(results.names)}
    ids = np.empty(results.matrix.shape[1]) if schema.ELEMENT_ID in rows else None
    observations = Observations(ids)
    counts = [row for name, row in rows.items() if ResultName.of(name).statistic == 'nobs']
    n_coefficients = _count_coefficients(results.names)
    proofs = {each.term: each.term.proof(rows) for each in found}
    facts = ModelFacts.of(results.described)
    for start, values in results.blocks(threads):
        if ids is not None:
            ids[start : start + values.shape[1]] = values[rows[schema.ELEMENT_ID]]
        for row in counts:
            observations.take(values[row])
        for each in found:
            p = values[rows[each.term.p]]
            each.take(start, values[rows[each.term.shown]] if each.term.shown else p, p)
        df = _degrees_of_freedom(values, rows, counts, n_coefficients, n_images)
        if facts is not None and facts.df_residual is None and DF not in rows:
            df = np.full(values.shape[1], np.nan)
        for each in found:
            own = each.term.df_row(rows)
            each.take_df(df if own is None else values[own])
            if (proof := proofs[each.term]) is not None:
                each.look_up(values[proof[0]], values[proof[1]], df, n_coefficients)
    return observations


def _told(facts: ModelFacts | None, term: Term) -> str:
    """Return what the file says of a term's statistic, if that is shown; else blank."""
    shows_statistic = bool(term.shown) and ResultName.of(term.shown).statistic == 'statistic'
    if facts is None or term.name not in facts.tested or not shows_statistic:
        return ''
    return facts.tested[term.name].statistic


def _count_coefficients(names: Sequence[str]) -> int:
    """Number of terms that each are one coefficient of the model."""
    results = [ResultName.of(name) for name in names]
    return sum(one.statistic == 'estimate' and one.term != MODEL for one in results)


def _degrees_of_freedom(
    values: np.ndarray,
    rows: Mapping[str, int],
    counts: Sequence[int],
    n_coefficients: int,
    n_images: float,
) -> np.ndarray:
    """By row: as the analysis says, else what the coefficients leave of the images."""
    if DF in rows:
        return values[rows[DF]]
    images = values[counts[0]] if counts else np.full(values.shape[1], float(n_images))
    return images - n_coefficients if n_coefficients else np.full(values.shape[1], np.nan)


def _shown(term: str, parsed: Mapping[str, ResultName]) -> str:
    """The result that is shown of a term; blank if there is none."""
    of_term = {result.statistic: name for name, result in parsed.items() if result.term == term}
    return next((of_term[statistic] for statistic in SHOWN if statistic in of_term), '')
