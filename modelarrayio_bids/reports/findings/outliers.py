"""Outliers: sources that differ from the others, and the measures that show it.

A few numbers of each source are compared with those of all sources. Distances are in robust
standard deviations, the distance from the median in units of 1.4826 times the median absolute
deviation; beyond :data:`MOST_DEVIATIONS` it is named (B. Iglewicz and D. Hoaglin, How to Detect
and Handle Outliers, 1993, advise 3.5). Outliers are only listed, never left out.

>>> values = np.array([0.90, 0.91, 0.92, 0.93, 0.94, 0.2])
>>> deviations(values).round(1).tolist()
[-0.7, -0.2, 0.2, 0.7, 1.1, -32.2]
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.recfunctions import repack_fields

from modelarrayio_bids.runtime.grouping import grouped
from modelarrayio_bids.runtime.text_format import some
from modelarrayio_bids.spaces import ElementSpace
from modelarrayio_bids.store.scalars import Scalar
from modelarrayio_bids.store.summary import ROW, Summary

#: Robust standard deviations from the median that are still like the others.
MOST_DEVIATIONS = 3.5
#: Fewer sources say nothing of what is usual.
FEWEST_SOURCES = 5
#: Fractions of elements that differ by less are ignored, however similar the others are.
LEAST_FRACTION = 0.05
#: A correlation that differs by less is none either.
LEAST_CORRELATION = 0.05
#: Nor is a distance of less than so many times the usual one.
LEAST_DISTANCE = 2.0
#: The median of a source may lie within this fraction of the spread within sources.
LEAST_LEVEL = 0.5
#: A source is flipped if flipping brings it this much nearer to the others, and so near as they
#: are: ratios of squares of z. An image that is symmetric has 1.
MIRRORED, LIKE_OTHERS = 0.8, 2.0
# Elements that are compared with their mirror images, and runs of them, at least.
_ELEMENTS, _RUNS, _FEWEST_ELEMENTS = 1024, 64, 50
# Larger z are cut off.
_MOST_SQUARE = 3.0**2
_TWINS_NAMED = 5
# Bytes of the values of all sources there: some copies of them are held.
_HELD = 8 * 2**20
_LACKS = 'lacks {value:.0%} of the elements (cohort median: {usual:.0%})'
_IS_ZERO = 'is zero at {value:.0%} of the elements (cohort median: {usual:.0%})'
_CORRELATES = 'correlation with the mean of the others: {value:.2f} (cohort median: {usual:.2f})'
_DIFFERS = (
    'differs from the mean map by {value:.1f} SD on average; others by {usual:.1f} (median), '
    'listed from {limit:.1f}'
)
_HAS_MEDIAN = 'has the median {value:.4g} (cohort median: {usual:.4g})'


@dataclass(frozen=True)
class Finding:
    """A conspicuous property of a source.

    Parameters
    ----------
    source : int
        Number of its row.
    kind : str
        In one word: ``identical``, ``mirrored``, ``missing``, ``zeros``, ``infinite``, ``unlike``,
        ``level``, ``empty`` or ``constant``.
    text : str
        In a sentence, what was found.
    """

    source: int
    kind: str
    text: str


def findings(
    summary: Summary, names: Sequence[str], others: Sequence[Finding] = ()
) -> list[Finding]:
    """Return all there is to say of the sources, those of one source together, in their order.

    Parameters
    ----------
    summary : Summary
        Summary of the values.
    names : sequence of str
        Name of each source, for display.
    others : sequence of Finding
        Found elsewhere: see :func:`mirrored`.
    """
    found = [
        *_empty(summary),
        *_identical(summary, names),
        *others,
        *_infinite(summary),
        *(_unusual(summary) if len(names) >= FEWEST_SOURCES else ()),
    ]
    # Once for each kind: the first says most. Where nothing is to be seen, that says all.
    nothing = {'empty', 'constant'}
    blank = {finding.source for finding in found if finding.kind in nothing}
    first: dict[tuple[int, str], Finding] = {}
    for one in found:
        if one.source not in blank or one.kind in nothing:
            first.setdefault((one.source, one.kind), one)
    return sorted(first.values(), key=lambda finding: finding.source)


def deviations(values: np.ndarray) -> np.ndarray:
    """Return how far each is from the median, in robust standard deviations: (n,), NaN for NaN.

    Where more than half are alike, whatever differs is infinitely far.
    """
    apart = values - usual(values)
    with np.errstate(divide='ignore', invalid='ignore'):
        return np.where(apart == 0, 0.0, apart / (1.4826 * usual(np.abs(apart))))


def usual(values: np.ndarray) -> float:
    """Return the median of those that are finite; NaN where none is."""
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else np.nan


def fractions(counts: np.ndarray, summary: Summary) -> np.ndarray:
    """Return counts of elements as fractions of all: (n_sources,)."""
    return counts / max(1, summary.count.size)


def _empty(summary: Summary) -> Iterator[Finding]:
    for source in np.flatnonzero(np.isnan(summary.rows['mean'])):
        yield Finding(int(source), 'empty', 'has no finite value at any element')
    flat = (summary.rows['minimum'] == summary.rows['maximum']) & (summary.count.size > 1)
    for source in np.flatnonzero(flat):
        value = summary.rows['minimum'][source]
        yield Finding(int(source), 'constant', f'has the value {value:.4g} at every element')


def _infinite(summary: Summary) -> Iterator[Finding]:
    for source in np.flatnonzero(summary.rows['n_infinite']):
        count = summary.rows['n_infinite'][source]
        yield Finding(int(source), 'infinite', f'is infinite at {count:,} elements')


def _identical(summary: Summary, names: Sequence[str]) -> Iterator[Finding]:
    """Yield images under two names: the same file, or the same values in another file."""
    fields = [name for name in ROW.names or () if name != 'sha256']
    values = repack_fields(summary.rows[fields])
    # Maps of so many ones and zeros have all else alike.
    likeness = np.stack([summary.correlation, summary.distance], axis=1)
    # Constant maps and maps without values are expected to differ.
    varied = summary.rows['maximum'] > summary.rows['minimum']
    same_values = [
        row.tobytes() + more.tobytes() for row, more in zip(values, likeness, strict=True)
    ]
    for what, keys in (
        ('is the same file as that of', summary.rows['sha256'].tolist()),
        ('has the same values as that of', same_values),
    ):
        told = [key if one else b'' for key, one in zip(keys, varied, strict=True)]
        for sources in groups_of(told):
            few = sources[: _TWINS_NAMED + 1]
            for source in sources:
                twins = (names[other] for other in few if other != source)
                said = some(twins, _TWINS_NAMED, len(sources) - 1)
                yield Finding(source, 'identical', f'{what} {said}')


def groups_of(keys: Sequence[bytes]) -> list[list[int]]:
    """Return the positions of each key that is there several times; blank keys are ignored."""
    same = grouped((key, source) for source, key in enumerate(keys))
    return [sources for key, sources in same.items() if key and len(sources) > 1]


def _unusual(summary: Summary) -> Iterator[Finding]:
    """Yield numbers far from everybody's: above the median (1), below it (-1), or either (0)."""
    rows = summary.rows
    missing, zeros = (fractions(rows[name], summary) for name in ('n_missing', 'n_zero'))
    medians = rows['quantiles'][:, rows['quantiles'].shape[1] // 2]
    farther = (LEAST_DISTANCE - 1) * usual(summary.distance)
    limit = _limit(summary.distance, farther)
    for kind, values, least, sign, text in (
        ('missing', missing, LEAST_FRACTION, 1, _LACKS),
        ('zeros', zeros, LEAST_FRACTION, 1, _IS_ZERO),
        ('unlike', summary.correlation, LEAST_CORRELATION, -1, _CORRELATES),
        ('unlike', summary.distance, farther, 1, _DIFFERS),
        ('level', medians, LEAST_LEVEL * usual(rows['sd']), 0, _HAS_MEDIAN),
    ):
        middle, far = usual(values), deviations(values)
        out = (abs(far) > MOST_DEVIATIONS) & (abs(values - middle) > least) & (far * sign >= 0)
        for source in np.flatnonzero(out):
            value = float(values[source])
            told = text.format(value=value, usual=middle, limit=limit)
            yield Finding(int(source), kind, told)


def _limit(values: np.ndarray, least: float) -> float:
    """Return the value above which one is far from the median."""
    middle = usual(values)
    return middle + max(MOST_DEVIATIONS * 1.4826 * usual(np.abs(values - middle)), least)


def mirrored(scalar: Scalar, space: ElementSpace, summary: Summary) -> list[Finding]:
    """Find sources that are nearer to the others when they are flipped.

    Some runs of elements and their mirror images are read: chunks span all sources, so that these
    are few reads. What is usual at an element is the median of all, and a square of z counts up to
    a limit: neither a few wild voxels nor other broken maps hide a flipped one.
    """
    if len(summary.rows) < FEWEST_SOURCES:
        return []
    found = []
    chosen = _chosen(summary, scalar.chunk_columns)
    for exchanged, partners in space.flip_candidates():
        elements = chosen[partners[chosen] >= 0]
        elements = elements[partners[elements] != elements]
        if elements.size < _FEWEST_ELEMENTS:
            continue
        own, flipped = _distances(scalar, elements, partners[elements])
        nearer = (flipped < MIRRORED * own) & (flipped < LIKE_OTHERS * usual(own))
        for source in np.flatnonzero(nearer):
            text = f'looks flipped: resembles the others after exchanging {exchanged}'
            found.append(Finding(int(source), 'mirrored', text))
    return found


def _chosen(summary: Summary, chunk: int) -> np.ndarray:
    """Choose elements, whole chunks of them, evenly spaced; without spread they tell nothing."""
    n_chunks = -(-summary.count.size // chunk)
    wanted = min(n_chunks, max(_RUNS, -(-_ELEMENTS // chunk)))
    starts = np.unique(np.linspace(0, n_chunks - 1, wanted).astype(np.int64)) * chunk
    elements = (starts[:, None] + np.arange(chunk)).ravel()
    elements = elements[elements < summary.count.size]
    elements = elements[summary.sd[elements] > 0]
    most = max(_FEWEST_ELEMENTS, _HELD // (8 * max(1, len(summary.rows))))
    return elements[:: -(-elements.size // most)] if elements.size > most else elements


def _distances(
    scalar: Scalar, elements: np.ndarray, partners: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return how far each source is from the others, as it is and flipped: squares of z."""
    values, exchanged = (
        np.where(np.isfinite(read), read, np.nan)
        for read in (scalar.columns(at).astype(np.float64) for at in (elements, partners))
    )
    with warnings.catch_warnings():
        # Elements without any value, and sources without any element.
        warnings.simplefilter('ignore', RuntimeWarning)
        middle = np.nanmedian(values, axis=0)
        spread = 1.4826 * np.nanmedian(np.abs(values - middle), axis=0)
        spread[spread == 0] = np.nan
        both = np.isfinite(values) & np.isfinite(exchanged)
        squares = (
            np.minimum(np.square((image - middle) / spread), _MOST_SQUARE)
            for image in (values, exchanged)
        )
        own, flipped = (np.nanmean(each, axis=1, where=both) for each in squares)
    return own, flipped
