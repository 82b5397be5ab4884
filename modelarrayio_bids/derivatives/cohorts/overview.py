"""Listings of the groups found: a table for a person, an object for a machine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from modelarrayio_bids.derivatives.cohorts.groups import ScalarGroup

_COLUMNS = (
    *('scalar', 'kind', 'space', 'label', 'stem', 'dataset'),
    *('n_subjects', 'n_images', 'rungs'),
)


def listing(groups: Iterable[ScalarGroup]) -> pd.DataFrame:
    """Return the table that ``--list-scalars`` shows: a row per group.

    Returns
    -------
    pandas.DataFrame
        ``scalar``, ``kind``, ``space``, ``label`` (the space, and what else tells the group
        apart), ``stem``, ``dataset``, ``n_subjects``, ``n_images`` and ``rungs`` (where masks came
        from, to the number of images).
    """
    rows = [
        (
            *(group.scalar, group.kind, group.space, _label(group), group.stem, group.dataset),
            *(len(group.participants), len(group.rows), group.rungs),
        )
        for group in groups
    ]
    return pd.DataFrame(rows, columns=[*_COLUMNS])


def _label(group: ScalarGroup) -> str:
    entities = group.stem.removesuffix(f'desc-{group.kind}').replace('space-', '', 1)
    return entities.replace('_', ' ').strip() or 'n/a'


def as_object(group: ScalarGroup) -> dict[str, Any]:
    """A group as ``--list-scalars --json`` shows it: its names, counts, and each image."""
    return {
        'scalar': group.scalar,
        'long_name': group.long_name,
        'units': group.units,
        'kind': group.kind,
        'space': group.space,
        'entities': dict(group.entities),
        'dataset': group.dataset,
        'participants': list(group.participants),
        'masks': group.rungs,
        'images': [
            {
                'path': str(row.image),
                'participant': row.participant,
                'session': row.session,
                'run': row.run,
                'mask': None if row.mask is None else str(row.mask),
                'mask_source': row.rung,
            }
            for row in group.rows
        ],
    }
