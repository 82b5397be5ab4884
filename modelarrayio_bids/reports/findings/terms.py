"""Terms that an analysis tested, their p values and statistics.

>>> names = ('element_id', 'Intercept.p.value', 'age.statistic', 'age.p.value', 'age.p.value.fdr')
>>> for term in terms_of(names):
...     print(term)
Term(name='age', shown='age.statistic', p='age.p.value.fdr', correction='fdr')
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from modelarrayio_bids.derivatives.outputs.statmaps import MODEL, ResultName, statistics
from modelarrayio_bids.models.adjustment import FWE, LEVEL, P_VALUE
from modelarrayio_bids.models.statistics import two_sided_p, upper_p
from modelarrayio_bids.results.model_facts import ModelFacts
from modelarrayio_bids.runtime.resources import MIB
from modelarrayio_bids.store import schema
from modelarrayio_bids.store.reader import Analysis, by_element

#: Below which a p value counts: one that is corrected for many tests, and one that is not.
CORRECTED, UNCORRECTED = LEVEL, 0.001
# Corrections with names as short as this are abbreviations: FDR, FWE, BH.
_LONGEST_ABBREVIATION = 3
#: Results shown for a term, in order of preference, with their names; otherwise -log10 p.
SHOWN = {
    'statistic': 'test statistic',
    'estimate': 'estimate',
    'partial.rsq': 'partial R²',
    'delta.adj.rsq': 'change of adjusted R²',
}
LOG_P = '-log10 p'
#: The result that tells the residual degrees of freedom.
DF = f'{MODEL}.df.residual'
#: In names of results: corrections that are none, and the terms that are the intercept.
NO_CORRECTION = ('', 'none')
INTERCEPT = ('Intercept', '(Intercept)')
#: Bytes of what is kept of terms that are read together.
IN_MEMORY = 64 * MIB
# Three results, and what is made of them.
_BYTES_PER_ROW = 29
# Relative difference of values of one edge and of its mirror image, by rounding.
_SAME = 1e-4


@dataclass(frozen=True)
class Peak:
    """The row with the smallest p, and of several the value furthest from zero.

    Parameters
    ----------
    place : int
        Row of the analysis, or the element.
    value : float
        Its value.
    n_images, df : float
        Images and degrees of freedom there; NaN if unknown.
    """

    place: int
    value: float
    n_images: float
    df: float


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
        Correction for multiple tests: a method of R, ``fwe``, or blank.
    """

    name: str
    shown: str
    p: str
    correction: str

    @property
    def level(self) -> float:
        """Significance level."""
        return CORRECTED if self.correction else UNCORRECTED

    @property
    def rule(self) -> str:
        """Correction and level, in words."""
        if not self.correction:
            return f'uncorrected p < {self.level:g}'
        short = len(self.correction) <= _LONGEST_ABBREVIATION
        name = self.correction.upper() if short else self.correction.capitalize()
        return f'{name}-corrected p < {self.level:g}'

    @property
    def corrected(self) -> str:
        """Correction of p, or that there is none, in words."""
        if self.correction:
            return f'corrected ({self.correction})'
        return 'not corrected for the number of tests'

    @property
    def proof(self) -> str:
        """Name of the uncorrected p value of the statistic; blank without one."""
        return f'{self.name}.{P_VALUE}' if self.shown == f'{self.name}.statistic' else ''

    @property
    def own_df(self) -> tuple[str, ...]:
        """Names of results with the degrees of freedom of the statistic."""
        return () if self.name == MODEL else (f'{self.name}.df.residual', f'{self.name}.df')

    @property
    def noun(self) -> str:
        """Name of the values shown."""
        return SHOWN[ResultName.of(self.shown).statistic] if self.shown else LOG_P


@dataclass(frozen=True, eq=False)
class TermValues:
    """Values of a term, by row of the analysis.

    Parameters
    ----------
    term : Term
        The term.
    shown : numpy.ndarray
        (n_rows,) float32: the result that is shown.
    kept : numpy.ndarray
        (n_rows,) boolean: where p counts.
    n_tested : int
        Number of rows with a p value.
    smallest_p : float
        The least of them; NaN if there is none.
    statistic : str
        ``t`` or ``F``, where the file says so or the numbers prove it, else blank.
    n_images : tuple of float
        Least and greatest number of images of a model: NaN where the analysis does not say.
    df : tuple of float, optional
        Least and greatest degrees of freedom of the statistic, where something tells.
    peak : Peak, optional
        The strongest row, of those that survived or of all; None where none has a value.
    element_ids : numpy.ndarray, optional
        (n_rows,) float64: the element of each row, where the analysis says.
    """

    term: Term
    shown: np.ndarray
    kept: np.ndarray
    n_tested: int
    smallest_p: float
    statistic: str
    n_images: tuple[float, float]
    df: tuple[float, float] | None
    peak: Peak | None
    element_ids: np.ndarray | None

    @property
    def noun(self) -> str:
        """Name of the values shown."""
        return self.statistic or self.term.noun

    @property
    def survived(self) -> int:
        """Number of rows with a significant p value."""
        return int(np.count_nonzero(self.kept))

    def by_element(self, results: Analysis, n_elements: int) -> TermValues:
        """Return it by element: NaN, and not kept, where nothing was analysed.

        Raises
        ------
        SchemaError
            If the rows are about no elements.
        """
        positions = results.positions(self.element_ids, n_elements)
        if positions is None:
            return self
        kept = np.zeros(n_elements, bool)
        kept[positions] = self.kept
        peak = self.peak and replace(self.peak, place=int(positions[self.peak.place]))
        shown = by_element(self.shown, positions, n_elements)
        return replace(self, shown=shown, kept=kept, peak=peak)

    def once(self, mirror: np.ndarray | None) -> TermValues | None:
        """Return it with one of each two elements of a symmetric matrix; None of any other.

        Parameters
        ----------
        mirror : numpy.ndarray, optional
            See :meth:`~modelarrayio_bids.spaces.base.ElementSpace.mirror`; of values by element.
        """
        if mirror is None or not (self.kept == self.kept[mirror]).all():
            return None
        if not np.allclose(self.shown, self.shown[mirror], rtol=_SAME, equal_nan=True):
            return None
        numbers = np.arange(mirror.size)
        on_diagonal = int(np.isfinite(self.shown[mirror == numbers]).sum())
        peak = self.peak
        peak = peak and replace(peak, place=min(peak.place, int(mirror[peak.place])))
        return replace(
            self,
            kept=self.kept & (numbers <= mirror),
            n_tested=(self.n_tested + on_diagonal) // 2,
            peak=peak,
        )


def terms_of(names: Sequence[str], *, show_intercept: bool = False) -> list[Term]:
    """Return the terms with a p value: those of the formula, then the whole model.

    That the intercept is not zero is asked only by a model that has nothing else: elsewhere it is
    left out, unless it is wanted. Of several corrections the one by permutations counts, or the
    first that stands in the analysis.
    """
    parsed = {name: ResultName.of(name) for name in names}
    deciding: dict[str, str] = {}
    for name, result in parsed.items():
        if result.statistic == P_VALUE:
            other = parsed.get(deciding.get(result.term, ''))
            if other is None or other.correction in NO_CORRECTION or result.correction == FWE:
                deciding[result.term] = name
    terms = [
        Term(term, _shown(term, parsed), p, parsed[p].correction.replace('none', ''))
        for term, p in deciding.items()
    ]
    asked = [term for term in terms if term.name not in INTERCEPT]
    if show_intercept or all(term.name == MODEL for term in asked):
        asked = terms
    return sorted(asked, key=lambda term: (term.name in INTERCEPT, term.name == MODEL))


def model_terms(names: Sequence[str]) -> list[str]:
    """Return the terms of a model, those without a p value too, but not the intercept.

    >>> model_terms(['element_id', 'Intercept.estimate', 'age.estimate', 'age.p.value'])
    ['age']
    """
    known = statistics()
    found = (result.term for result in map(ResultName.of, names) if result.statistic in known)
    return [term for term in dict.fromkeys(found) if term not in {'', MODEL, *INTERCEPT}]


def read_together(
    results: Analysis,
    groups: Sequence[Sequence[str]],
    row_bytes: int,
    threads: int = 1,
    memory: int = IN_MEMORY,
) -> Iterator[dict[str, np.ndarray]]:
    """Yield for each group of results those of them there are: (n_rows,) float64 each, by name.

    The matrix is read once for as many groups as fit the memory: of most analyses for all.

    Parameters
    ----------
    results : Analysis
        The analysis.
    groups : sequence of sequence of str
        Names of results that are wanted together.
    row_bytes : int
        Bytes that a group takes for each row.
    threads : int, optional
        Threads that inflate.
    memory : int, optional
        Bytes for what is kept of groups.

    Raises
    ------
    FormatError
        If the file is damaged.
    """
    together = max(1, memory // (results.matrix.shape[1] * row_bytes))
    for start in range(0, len(groups), together):
        some = groups[start : start + together]
        wanted = dict.fromkeys(name for group in some for name in group)
        places = {name: results.names.index(name) for name in wanted if name in results.names}
        values = np.empty((len(places), results.matrix.shape[1]))
        for first, block in results.blocks(threads):
            values[:, first : first + block.shape[1]] = block[[*places.values()]]
        rows = dict(zip(places, values, strict=True))
        yield from (rows for _ in some)


def read_terms(
    results: Analysis,
    threads: int = 1,
    memory: int = IN_MEMORY,
    n_images: float | np.ndarray = np.nan,
    *,
    show_intercept: bool = False,
) -> Iterator[TermValues]:
    """Yield the values of each term.

    Parameters
    ----------
    results : Analysis
        The analysis.
    threads : int, optional
        Threads that inflate.
    memory : int, optional
        Bytes for what is kept of terms.
    n_images : int or numpy.ndarray, optional
        Number of images of a model, where the analysis does not say; or (n_elements,) at each.
    show_intercept : bool, optional
        The intercept too, of a model with other terms.

    Raises
    ------
    FormatError
        If the file is damaged.
    """
    terms = terms_of(results.names, show_intercept=show_intercept)
    shared = [schema.ELEMENT_ID, DF, *_counts_of_images(results.names)]
    groups = [(*shared, term.shown, term.p, term.proof, *term.own_df) for term in terms]
    found = read_together(results, groups, _BYTES_PER_ROW, threads, memory)
    for term, rows in zip(terms, found, strict=True):
        yield _values(results, term, rows, n_images)


def _values(
    results: Analysis,
    term: Term,
    rows: Mapping[str, np.ndarray],
    n_images: float | np.ndarray,
) -> TermValues:
    p, facts = rows[term.p], ModelFacts.of(results.described)
    with np.errstate(over='ignore', divide='ignore', invalid='ignore'):
        shown = (rows[term.shown] if term.shown else -np.log10(p)).astype(np.float32)
    images = _images(results, rows, n_images)
    df = rows[DF] if DF in rows else images - _lost(results.names, facts)
    said = _told(facts, term)
    proved = term.proof in rows and _proves(results.names, term, rows, df)
    own = next((rows[name] for name in term.own_df if name in rows), df)
    knows_df = np.isfinite(own).any() and (said or proved or DF in rows)
    tested, kept = np.isfinite(p), p < term.level
    counted = tested if tested.any() else slice(None)
    return TermValues(
        *(term, shown, kept, int(tested.sum()), float(np.fmin.reduce(p))),
        statistic=said or ('F' if term.name == MODEL else 't') * proved,
        n_images=_ends(images[counted]),
        df=_ends(own[counted]) if knows_df else None,
        peak=_peak(shown, kept, (p, rows.get(term.proof, p)), images, own),
        element_ids=rows.get(schema.ELEMENT_ID),
    )


def _images(
    results: Analysis, rows: Mapping[str, np.ndarray], n_images: float | np.ndarray
) -> np.ndarray:
    """Return the number of images by row of the analysis, (n_rows,) float64."""
    by_row = np.asarray(n_images, float)
    if by_row.ndim:
        positions = results.positions(rows.get(schema.ELEMENT_ID), by_row.size)
        by_row = by_row if positions is None else by_row[positions]
    counted = next((rows[name] for name in _counts_of_images(results.names)), np.array(np.nan))
    n_rows = results.matrix.shape[1]
    return np.broadcast_to(np.where(np.isfinite(counted), counted, by_row), n_rows)


def _peak(
    shown: np.ndarray,
    kept: np.ndarray,
    several: Iterable[np.ndarray],
    images: np.ndarray,
    df: np.ndarray,
) -> Peak | None:
    """Find the strongest row: of the smallest p; None where none has a value.

    Corrected p are often equal, and the uncorrected decide. The largest statistic need not have the
    smallest p, where degrees of freedom differ.
    """
    rows = np.flatnonzero(kept & ~np.isnan(shown) if kept.any() else np.isfinite(shown))
    if not rows.size:
        return None
    for p in several:
        of_rows = np.nan_to_num(p[rows], nan=np.inf)
        rows = rows[of_rows == of_rows.min()]
    place = int(rows[np.argmax(abs(shown[rows]))])
    return Peak(place, float(shown[place]), float(images[place]), float(df[place]))


def _ends(values: np.ndarray) -> tuple[float, float]:
    """Return the least and the greatest of some values; NaN if there is none."""
    return float(np.fmin.reduce(values)), float(np.fmax.reduce(values))


def _proves(
    names: Sequence[str], term: Term, rows: Mapping[str, np.ndarray], df: np.ndarray
) -> bool:
    """Return whether p, not corrected, is everywhere that of a t statistic, or of the model's F."""
    statistic, p = rows[term.shown], rows[term.proof]
    known = np.isfinite(statistic) & np.isfinite(p) & (df > 0)
    if term.name == MODEL:
        expected = upper_p(statistic[known], _count_coefficients(names) - 1, df[known])
    else:
        expected = two_sided_p(statistic[known], df[known])
    return bool(known.any() and np.allclose(expected, p[known], rtol=1e-3, atol=1e-12))


def _counts_of_images(names: Sequence[str]) -> list[str]:
    return [name for name in names if ResultName.of(name).statistic == 'nobs']


def _told(facts: ModelFacts | None, term: Term) -> str:
    """Return what the file says of a term's statistic, if that is shown; else blank."""
    shows_statistic = bool(term.shown) and ResultName.of(term.shown).statistic == 'statistic'
    if facts is None or term.name not in facts.tested or not shows_statistic:
        return ''
    return facts.tested[term.name].statistic


def _count_coefficients(names: Sequence[str]) -> int:
    """Return the number of terms that each are one coefficient of the model."""
    results = [ResultName.of(name) for name in names]
    return sum(one.statistic == 'estimate' and one.term != MODEL for one in results)


def _lost(names: Sequence[str], facts: ModelFacts | None) -> float:
    """Return how many images more than residual degrees of freedom there are; NaN if unknown.

    The model says it, as in the sidecars of its maps; else it is the number of coefficients.
    """
    if facts is not None:
        return np.nan if facts.df_residual is None else facts.n_images - facts.df_residual
    return _count_coefficients(names) or np.nan


def _shown(term: str, parsed: Mapping[str, ResultName]) -> str:
    """Return the result that is shown of a term; blank if there is none."""
    of_term = {result.statistic: name for name, result in parsed.items() if result.term == term}
    return next((of_term[statistic] for statistic in SHOWN if statistic in of_term), '')
