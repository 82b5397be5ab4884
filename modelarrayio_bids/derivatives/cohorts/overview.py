"""What was found, to be shown: a line for a person, an object for a machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelarrayio_bids.derivatives.cohorts.groups import ScalarGroup


@dataclass(frozen=True)
class TableRow:
    """One line of ``--list-scalars``."""

    scalar: str
    kind: str
    space: str
    stem: str
    dataset: str
    n_subjects: int
    n_images: int
    rungs: Mapping[str, int]

    @classmethod
    def of(cls, group: ScalarGroup) -> TableRow:
        """The line of a group."""
        return cls(
            *(group.scalar, group.kind, group.space, group.stem, group.dataset),
            *(len(group.participants), len(group.rows), group.rungs),
        )

    @property
    def label(self) -> str:
        """The space, and what else tells the group apart."""
        entities = self.stem.removesuffix(f'desc-{self.kind}').replace('space-', '', 1)
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
