"""Checks of an HDF5 file, of any program, by the rules in ``data/validation_rules.toml``.

Headers, links, names, the first column of element tables and the ``element_id`` of results are
read; values are not, whatever the size of the file. So nothing is said of what they are: infinite
values, and zeros that stand for something missing, are seen when the file is built.

Belongs here: what a file breaks, rule by rule. Does not: the rules, which are data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import h5py

from modelarrayio_bids.errors import FormatError, ModelArrayIOError
from modelarrayio_bids.store import schema
from modelarrayio_bids.store.items import UNREADABLE, groups_in
from modelarrayio_bids.store.kinds import ElementKind
from modelarrayio_bids.store.opening import open_for_reading
from modelarrayio_bids.store.r_view import ScalarView, scalar_names
from modelarrayio_bids.store.validation import analyses, cohort_table, elements, scalars, storage
from modelarrayio_bids.store.validation.rules import RULES, Finding, Rule, Severity, is_valid

__all__ = ['RULES', 'Finding', 'Rule', 'Severity', 'is_valid', 'validate']


def validate(
    path: Path, kinds: Sequence[type[ElementKind]], cohort_file: Path | None = None
) -> tuple[Finding, ...]:
    """Find every breach of a rule.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    kinds : sequence of ElementKind
        Kinds of elements that are recognised.
    cohort_file : pathlib.Path, optional
        The CSV that R would get as phenotypes.

    Returns
    -------
    tuple of Finding
        Errors first.

    Raises
    ------
    SourceNotFoundError
        If one of the two is not there.
    FormatError
        If one is not an HDF5 file, or the other is not a table.
    """
    cohort = None if cohort_file is None else cohort_table.CohortTable.from_file(cohort_file)
    with open_for_reading(path) as file:
        findings = list(_of_file(file, path, kinds, cohort))
    order = list(Severity)
    return tuple(sorted(findings, key=lambda finding: order.index(finding.rule.severity)))


def _of_file(
    file: h5py.File,
    path: Path,
    kinds: Sequence[type[ElementKind]],
    cohort: cohort_table.CohortTable | None,
) -> Iterator[Finding]:
    yield from _guarded('/', storage.of_file(file, path))
    yield from _guarded('/', storage.of_links(file, kinds))
    views: list[ScalarView] = []
    for name in _named(file, scalar_names):
        found = scalars.of_scalar(file, name, views)
        yield from _guarded(f'/{schema.scalar_path(name)}', found)
    yield from _guarded(f'/{schema.SCALARS}', scalars.of_all(file, views))
    counts = {view.name: view.shape[1] for view in views if view.values is not None}
    yield from _guarded('/', elements.of_elements(file, counts, kinds))
    yield from _guarded(f'/{schema.TEMPLATE}', elements.of_template(file, counts, kinds))
    for name in _named(file, lambda opened: groups_in(opened, schema.RESULTS)):
        found = analyses.of_analysis(file, name, max(counts.values(), default=0))
        yield from _guarded(f'/{schema.RESULTS}/{name}', found)
    if cohort is not None:
        yield from cohort.findings(views)


def _named(file: h5py.File, names: Callable[[h5py.File], Iterable[str]]) -> tuple[str, ...]:
    """Return names in a file; none where they cannot be read, which the rules on the whole tell."""
    try:
        return tuple(names(file))
    except FormatError:
        return ()


def _guarded(where: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    """Yield the findings, and what cannot be read is a finding too."""
    broken: set[str] = set()
    try:
        for finding in findings:
            broken.add(finding.id)
            yield finding
    except UNREADABLE as error:
        # Nor can h5py read what needs a filter that is not there.
        if 'filter-unknown' not in broken:
            said = error.what if isinstance(error, ModelArrayIOError) else error
            yield Finding('file-damaged', where, f'cannot be read ({said})')
