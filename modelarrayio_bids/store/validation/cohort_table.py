"""Rules on the table that R gets beside the file: a cohort CSV."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from modelarrayio_bids.cohort import SCALAR, SOURCE, read_rows, what_r_wants
from modelarrayio_bids.formats.delimited_text import TextTable
from modelarrayio_bids.runtime.text_format import some
from modelarrayio_bids.store.r_view import ScalarView
from modelarrayio_bids.store.validation.rules import Finding


@dataclass(frozen=True)
class CohortTable:
    """The table, every cell as ``read.csv`` leaves it: unlike a cohort's, with its blanks.

    Parameters
    ----------
    table : TextTable
        The file as text.
    columns : tuple of str
        Names of the columns.
    rows : list of dict
        By column: the cells.
    """

    table: TextTable
    columns: tuple[str, ...]
    rows: list[dict[str, str]]

    @classmethod
    def from_file(cls, path: Path) -> CohortTable:
        """Read a CSV, or a table named ``.tsv``.

        Raises
        ------
        SourceNotFoundError, FormatError, CohortError
            As :func:`modelarrayio_bids.cohort.read_rows`.
        """
        return cls(*read_rows(path, tidy=False))

    @property
    def name(self) -> str:
        """Name of the file."""
        return str(self.table.path)

    def findings(self, views: Sequence[ScalarView]) -> Iterator[Finding]:
        """Yield what would keep R from analysing these scalars with this table."""
        has_mark = self.table.encoding == 'utf-8-sig'
        unread = '' if has_mark else what_r_wants(self.table)
        if has_mark:
            yield Finding('cohort-mark', self.name, 'begins with a byte order mark')
        for view in views:
            if view.name in self.columns:
                yield Finding('cohort-scalar', self.name, f'has a column {view.name}')
        if SOURCE not in self.columns or unread:
            found = f'{unread}, so that read.csv() finds' if unread else 'has'
            yield Finding('cohort-column', self.name, f'{found} no column {SOURCE}')
            return
        for view in views:
            if view.names is not None:
                yield from self._of_sources(view.name, view.names.texts)
        if len(self._scalars) > 1:
            held = [view.name for view in views if view.name in self._scalars]
            chosen = next(iter(held), self._scalars[0])
            found = f'has rows of {some(self._scalars)}; those of one are, in R, '
            found += f'phenotypes[phenotypes${SCALAR} == "{chosen}", ]'
            yield Finding('cohort-mixed', self.name, found)

    def _of_sources(self, scalar: str, names: Sequence[str]) -> Iterator[Finding]:
        sources = self._sources(scalar)
        if twice := [source for source, count in Counter(sources).items() if count > 1]:
            found = f'has more than once, for {scalar}: {some(twice)}'
            yield Finding('cohort-twice', self.name, found)
        missing = sorted(set(names) - set(sources))
        more = sorted(set(sources) - set(names))
        if missing or more:
            found = _difference(scalar, missing, more)
            yield Finding('cohort-sources', self.name, found)

    @property
    def _scalars(self) -> tuple[str, ...]:
        """Names of the scalars the rows are of, where a column says it."""
        found = dict.fromkeys(row.get(SCALAR, '').strip() for row in self.rows)
        return tuple(name for name in found if name)

    def _sources(self, scalar: str) -> list[str]:
        """Return the sources of a scalar: of all rows, if no column tells scalars apart."""
        chosen = (row for row in self.rows if row.get(SCALAR, scalar).strip() in {scalar, ''})
        return [row[SOURCE] for row in chosen]


def _difference(scalar: str, missing: Sequence[str], more: Sequence[str]) -> str:
    """Say how the sources of a table differ from those of a file."""
    parts = [f'lacks {len(missing):,} sources of {scalar} ({some(missing)})'] if missing else []
    parts += [f'has {len(more):,} that it has not ({some(more)})'] if more else []
    return ' and '.join(parts) + _what_differs(missing, more)


def _what_differs(missing: Sequence[str], more: Sequence[str]) -> str:
    """Name the only difference of two sets of paths; blank where there are others.

    >>> _what_differs(['FA/a.nii'], [' FA/a.nii'])
    '; only blanks around them differ'
    """
    if {name.strip() for name in missing} == {name.strip() for name in more}:
        return '; only blanks around them differ'
    same = {PurePath(name).name for name in missing} == {PurePath(name).name for name in more}
    return '; only the folders differ' if same else ''
