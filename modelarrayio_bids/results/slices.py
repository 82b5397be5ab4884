"""Analyses of some of the elements: found in HDF5 files, and compared with each other."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from modelarrayio_bids.errors import (
    AnalysisNotFoundError,
    CohortError,
    ModelArrayIOError,
    SchemaError,
    raise_problems,
)
from modelarrayio_bids.runtime.text_format import count, some
from modelarrayio_bids.store import schema
from modelarrayio_bids.store.reader import Analysis, StoreReader

logger = logging.getLogger(__name__)

#: Names of sources, by scalar.
Sources = Mapping[str, tuple[str, ...]]
# Up to here float64 counts one by one.
_MOST_ELEMENTS = 2**53


@dataclass(frozen=True)
class Slice:
    """An analysis of some of the elements.

    Parameters
    ----------
    results : Analysis
        Analysis without its numbers; its file is closed.
    elements : numpy.ndarray
        (n_rows,) int64: which element each row is about.
    sources : dict of tuple
        By scalar of its file: names of those it was made of. Empty where the file holds results
        alone.
    inflating_bytes : int
        Bytes that reading it takes at a time.
    """

    results: Analysis
    elements: np.ndarray
    sources: Sources
    inflating_bytes: int

    def __str__(self) -> str:
        return f'{self.results.name} ({self.results.path})'

    def blocks(
        self, levels: Mapping[str, tuple[str, ...]], threads: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield elements, (width,), and values, (n_results, width) float64, of runs of rows.

        Parameters
        ----------
        levels : dict
            By result name: the levels of factors, for the codes to stand for.
        threads : int
            Number of threads that inflate.
        """
        with StoreReader(self.results.path) as reader:
            for start, values in reader.analysis(self.results.name).blocks(threads):
                yield self.elements[start : start + values.shape[1]], self._coded(values, levels)

    def _coded(self, values: np.ndarray, levels: Mapping[str, tuple[str, ...]]) -> np.ndarray:
        """Return values whose codes stand for the joined levels."""
        for name, own in self.results.levels.items():
            if own == levels[name]:
                continue
            row = self.results.names.index(name)
            known = ~np.isnan(values[row])
            codes = values[row, known]
            if not np.isin(codes, np.arange(1, len(own) + 1)).all():
                raise SchemaError(
                    f'result {name} of {self.results.name} is a factor of '
                    f'{count(len(own), "level")}, and has other codes',
                    self.results.path,
                    'Run the analysis again.',
                )
            joined = np.array([levels[name].index(level) + 1.0 for level in own])
            values = values.copy()
            values[row, known] = joined[codes.astype(int) - 1]
        return values


def find_slices(
    paths: Sequence[Path],
    patterns: Sequence[str],
    merged: str,
    n_elements: int | None,
    threads: int,
) -> list[Slice]:
    """Return the analyses that patterns mean.

    Parameters
    ----------
    paths : sequence of pathlib.Path
        The HDF5 files.
    patterns : sequence of str
        Names, or shell patterns; a pattern does not mean the merged analysis.
    merged : str
        Name of the merged analysis.
    n_elements : int or None
        Number of elements; None if no file knows it.
    threads : int
        Number of threads that will inflate.

    Raises
    ------
    ModelArrayIOError
        With all that is wrong with them.
    """
    slices: list[Slice] = []
    problems: list[ModelArrayIOError] = []
    for path in paths:
        logger.info('Reading %s', path)
        with StoreReader(path) as reader:
            names, sources = reader.analyses, reader.sources
            wanted = [n for n in names if any(_means(pattern, n, merged) for pattern in patterns)]
            if not wanted:
                what = f'holds no analysis {" or ".join(map(repr, patterns))}'
                held = f'Analyses it holds: {some(names) or "none"}.'
                problems.append(AnalysisNotFoundError(what, path, held))
            for name in wanted:
                try:
                    results = reader.analysis(name)
                    slices.append(_read_slice(results, sources, n_elements, threads))
                except ModelArrayIOError as error:
                    problems.append(error)
    found = [one.results.name for one in slices]
    for pattern in patterns if slices else ():
        if not any(_means(pattern, name, merged) for name in found):
            what = f'no file holds an analysis {pattern!r}'
            problems.append(AnalysisNotFoundError(what, remedy='Check how it is spelled.'))
    raise_problems(problems)
    return slices


def _means(pattern: str, name: str, merged: str) -> bool:
    """Return whether a pattern means an analysis: none means the merged one, unless it is named."""
    return pattern == name or (name != merged and fnmatchcase(name, pattern))


def _read_slice(results: Analysis, sources: Sources, n_elements: int | None, threads: int) -> Slice:
    if schema.ELEMENT_ID not in results.names:
        raise SchemaError(
            f'analysis {results.name} has no {schema.ELEMENT_ID}: nothing tells which elements it '
            'is about',
            results.path,
            'Run it again, and write the table of ModelArray as it is.',
        )
    ids = results.row(results.names.index(schema.ELEMENT_ID))
    # If the number is unknown, any number is accepted.
    positions = results.positions(ids, n_elements or _MOST_ELEMENTS)
    # Sources appended since then follow them.
    then = {scalar: names[: results.n_sources.get(scalar)] for scalar, names in sources.items()}
    elements = np.arange(ids.size) if positions is None else positions
    return Slice(results, elements, then, results.inflating_bytes(threads))


def require_alike(slices: Sequence[Slice], held: Sources, target: Path) -> None:
    """Refuse slices of different models, scalars or sources.

    Parameters
    ----------
    slices : sequence of Slice
        All slices.
    held : dict of tuple
        Sources of the file to write to, by scalar; empty if there are none.
    target : pathlib.Path
        The file to write to.

    Raises
    ------
    ModelArrayIOError
        With all differences.
    """
    raise_problems([*_differences(slices), *_cohort_problems(slices, held, target)])


def _differences(slices: Sequence[Slice]) -> Iterator[SchemaError]:
    first = slices[0]
    for other in slices[1:]:
        what = _difference(first.results, other.results)
        if not what and first.results.n_sources != other.results.n_sources:
            # If both files list their sources, the names are compared.
            listed = first.sources and other.sources
            what = '' if listed else 'was made of another number of sources'
        if what:
            yield SchemaError(
                f'analysis {other.results.name} {what}, unlike {first}',
                other.results.path,
                'Merge analyses of the same model, run in the same way.',
            )


def _difference(one: Analysis, other: Analysis) -> str:
    """Say what keeps the results of another analysis apart from those of one; empty if nothing."""
    if len(one.names) != len(other.names):
        details = _exchanged(one.names, other.names)
        return f'has {count(len(other.names), "result")}, not {len(one.names)} ({details})'
    for number, (mine, its) in enumerate(zip(one.names, other.names, strict=True), start=1):
        if mine != its:
            return f'has {its!r} as its result {number}, not {mine!r}'
    if factors := set(one.levels) ^ set(other.levels):
        return f'has numbers where the other has levels, or the reverse, in {some(sorted(factors))}'
    return ''


def _exchanged(names: Sequence[str], others: Sequence[str]) -> str:
    """Say what other names lack of some, and what they have besides; empty if nothing.

    >>> _exchanged(['a', 'b'], ['b', 'c'])
    'without a, with c'
    """
    known, new = set(names), set(others)
    lacking = some([name for name in names if name not in new], most=3)
    besides = some([name for name in others if name not in known], most=3)
    return ', '.join([f'without {lacking}'] * bool(lacking) + [f'with {besides}'] * bool(besides))


def _cohort_problems(
    slices: Sequence[Slice], held: Sources, target: Path
) -> Iterator[ModelArrayIOError]:
    """Yield what slices of other scalars or sources than the first there are, or a file lacks."""
    known = [one for one in slices if one.sources]
    for other in known[1:]:
        whose = f'analysis {other.results.name}'
        yield from _other_cohort(known[0], other.sources, whose, other.results.path)
    if known and held:
        # It may have grown since.
        then = {
            scalar: tuple(set(names) & set(known[0].sources.get(scalar, ())))
            for scalar, names in held.items()
        }
        yield from _other_cohort(known[0], then, 'the file to write to', target)


def _other_cohort(
    first: Slice, sources: Sources, whose: str, path: Path
) -> Iterator[ModelArrayIOError]:
    if sources.keys() != first.sources.keys():
        yield SchemaError(
            f'{whose} is of {some(sorted(sources))}, {first} of {some(sorted(first.sources))}',
            path,
            'Merge analyses of one scalar, from files that hold the same.',
        )
        return
    for scalar, names in first.sources.items():
        if what := _exchanged(names, sources[scalar]):
            yield CohortError(
                f'{whose} is of other sources of {scalar} than {first}: {what}',
                path,
                'Merge analyses of the same images.',
            )
