"""One cohort CSV, for use with the commands on files: no mask and no map is made."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelarrayio_bids.cohort import MASK, SCALAR, SOURCE, VOLUME, Cohort
from modelarrayio_bids.derivatives.cohorts.collection import Collection
from modelarrayio_bids.derivatives.cohorts.columns import PARTICIPANT
from modelarrayio_bids.derivatives.cohorts.participant_tables import Visit
from modelarrayio_bids.derivatives.cohorts.phenotypes import Phenotypes
from modelarrayio_bids.errors import CohortError, UsageError
from modelarrayio_bids.runtime.grouping import grouped
from modelarrayio_bids.runtime.text_format import some
from modelarrayio_bids.spaces import space_class

logger = logging.getLogger(__name__)


def cohort_of_images(collection: Collection) -> Cohort:
    """Return the images of a collection as one cohort.

    Raises
    ------
    UsageError
        If a scalar exists in several spaces, of several tasks, ...: a file holds one.
    """
    stems = grouped((group.scalar, group.stem) for group in collection.groups)
    for scalar, several in stems.items():
        if len(several) > 1:
            raise UsageError(
                f'{scalar} exists in several forms: {some(several)}',
                remedy='Choose one with --space, or with --select KEY=VALUE.',
            )
    rows: list[dict[str, str]] = []
    for group in collection.groups:
        rows += group.table(collection.phenotypes, [(row.image, row.mask) for row in group.rows])
        without = sum(row.mask is None for row in group.rows) if group.needs_masks else 0
        if without:
            logger.warning(
                '%d images of %s have no mask in the cohort, which to-modelarray requires: give '
                '--mask, such as the group mask',
                *(without, group.scalar),
            )
    return Cohort.from_rows(rows)


def cohort_of_stack(
    stack: Path, scalar: str, labels: Sequence[str], mask: Path | None, phenotypes: Phenotypes
) -> Cohort:
    """Return the volumes of a 4-D file as a cohort.

    Parameters
    ----------
    stack : pathlib.Path
        The file.
    scalar : str
        Name of the scalar.
    labels : sequence of str
        Participant of each volume, in their order: labels without ``sub-``.
    mask : pathlib.Path or None
        The mask of all of them.
    phenotypes : Phenotypes
        Phenotypes of the participants.

    Raises
    ------
    CohortError
        If the participants are not as many as the volumes.
    """
    space = space_class(stack.name)
    if not space.stacks:
        what = f'holds {space.kind}, and stacks are read of NIfTI, .mgh and .mgz files'
        raise CohortError(what, stack, 'Give one of these, or a file for each participant.')
    n_volumes = space.n_stacked(stack)
    if n_volumes != len(labels):
        raise CohortError(
            f'has {n_volumes} volumes for {len(labels)} participants',
            stack,
            'List each participant once, in the order in which the images were merged.',
        )
    known = phenotypes.values(Visit(label) for label in labels).to_dict('records')
    rows: list[dict[str, Any]] = [
        {
            SCALAR: scalar,
            SOURCE: f'{stack},{number}',
            VOLUME: str(number),
            MASK: '' if mask is None else str(mask),
            PARTICIPANT: f'sub-{label}',
            **{str(column): text for column, text in of_person.items()},
        }
        for number, (label, of_person) in enumerate(zip(labels, known, strict=True))
    ]
    return Cohort.from_rows(rows)
