"""Images that are not on the grid of the others: an error, left out, or resampled.

The grid is that of the group mask where one is given, else the one most files share. Nothing is
read but headers.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from modelarrayio_bids.derivatives.cohorts.groups import CohortRow, Dropped, ScalarGroup
from modelarrayio_bids.errors import ModelArrayIOError, SpaceMismatchError, raise_problems
from modelarrayio_bids.resampling import require_overlap
from modelarrayio_bids.runtime.text_format import some

logger = logging.getLogger(__name__)

ERROR = 'error'
DROP = 'drop'
RESAMPLE = 'resample'
POLICIES = (ERROR, DROP, RESAMPLE)

Odd = Mapping[str, SpaceMismatchError]


def reconciled(
    groups: Iterable[ScalarGroup], policy: str = ERROR, group_mask: Path | None = None
) -> tuple[ScalarGroup, ...]:
    """Return the groups, each on one grid.

    Parameters
    ----------
    groups : iterable of ScalarGroup
        As found.
    policy : {'error', 'drop', 'resample'}, optional
        Action for images on another grid. Only volumes can be resampled.
    group_mask : pathlib.Path, optional
        Says which grid is expected.

    Raises
    ------
    ModelArrayIOError
        All that keeps the groups from being on one grid.
    """
    found: list[ScalarGroup] = []
    problems: list[ModelArrayIOError] = []
    for group in groups:
        try:
            found.append(_reconciled(group, policy, group_mask))
        except ModelArrayIOError as error:
            problems += getattr(error, 'problems', [error])
    raise_problems(problems)
    return tuple(found)


def _reconciled(group: ScalarGroup, policy: str, group_mask: Path | None) -> ScalarGroup:
    problems = group.problems(group_mask)
    odd = {
        problem.path: problem
        for problem in problems
        if isinstance(problem, SpaceMismatchError) and problem.path is not None
    }
    files = {str(path) for row in group.rows for path in (row.image, row.mask)}
    mendable = policy == DROP or (policy == RESAMPLE and group.needs_masks)
    if not mendable or any(problem.path not in odd or problem.path not in files
                           for problem in problems):  # fmt: skip
        raise_problems(problems)
    if not odd:
        return group
    if policy == DROP:
        return _without(group, odd, group_mask)
    return _to_resample(group, odd, group_mask)


def _without(group: ScalarGroup, odd: Odd, group_mask: Path | None) -> ScalarGroup:
    kept = tuple(row for row in group.rows if not _why(row, odd))
    if not kept or (group_mask is None and 2 * len(kept) <= len(group.rows)):
        # Leaving out half of a study is not a solution, and which half would be arbitrary.
        raise SpaceMismatchError(
            f'{group.scalar} ({group.stem}): only {len(kept)} of {len(group.rows)} images are on '
            f'one grid; first of the others: {_first(odd)}',
            remedy='Give --on-grid-mismatch resample, or say with --group-mask-file which grid.',
        )
    left_out = [
        Dropped(row.image, row.visit, f'on another grid: {why.path} {why.what}')
        for row in group.rows
        if (why := _why(row, odd))
    ]
    logger.warning(
        '%s (%s): left out %d of %d images, on another grid: %s; first: %s',
        *(group.scalar, group.stem, len(left_out), len(group.rows)),
        *(some(str(one.visit) for one in left_out), _first(odd)),
    )
    return replace(group, rows=kept, left_out=(*group.left_out, *left_out))


def _to_resample(group: ScalarGroup, odd: Odd, group_mask: Path | None) -> ScalarGroup:
    on_grid = (row.image for row in group.rows if str(row.image) not in odd)
    reference = group_mask or next(on_grid, None)
    if reference is None:
        raise_problems(list(odd.values()))
        return group
    rows = tuple(replace(row, resampled=str(row.image) in odd) for row in group.rows)
    _require_overlaps(rows, reference)
    moved = [row for row in rows if row.resampled]
    logger.warning(
        '%s (%s): %d of %d images are resampled to the grid of %s: %s; first: %s',
        *(group.scalar, group.stem, len(moved), len(rows), reference),
        *(some(str(row.visit) for row in moved), _first(odd)),
    )
    return replace(group, rows=rows, reference=reference)


def _require_overlaps(rows: Iterable[CohortRow], reference: Path) -> None:
    problems: list[ModelArrayIOError] = []
    for row in rows:
        if row.resampled:
            try:
                require_overlap(row.image, reference)
            except ModelArrayIOError as error:
                problems.append(error)
    raise_problems(problems)


def _why(row: CohortRow, odd: Odd) -> SpaceMismatchError | None:
    """Return what is odd about the image of a row or, if nothing, about its mask."""
    return odd.get(str(row.image)) or odd.get(str(row.mask))


def _first(odd: Odd) -> str:
    problem = next(iter(odd.values()))
    return f'{problem.path} {problem.what}'
