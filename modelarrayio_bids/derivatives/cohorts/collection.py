"""The groups of images found for a request, what was left out, and the phenotypes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from modelarrayio_bids.derivatives.bids.dataset import Dataset
from modelarrayio_bids.derivatives.bids.output_names import sidecar
from modelarrayio_bids.derivatives.cohorts.columns import OWN_COLUMNS
from modelarrayio_bids.derivatives.cohorts.grids import reconciled
from modelarrayio_bids.derivatives.cohorts.groups import ScalarGroup
from modelarrayio_bids.derivatives.cohorts.phenotypes import Phenotypes, Unmatched
from modelarrayio_bids.derivatives.cohorts.request import Request
from modelarrayio_bids.errors import (
    FormulaError,
    ModelArrayIOError,
    SourceNotFoundError,
    WouldLoseResultsError,
    raise_problems,
)
from modelarrayio_bids.formats.pointers import fetch_error
from modelarrayio_bids.runtime.text_format import count, some
from modelarrayio_bids.store.reader import appended_to
from modelarrayio_bids.store.writer import refuse_to_replace

_COLUMNS = (
    *('scalar', 'kind', 'space', 'label', 'stem', 'dataset'),
    *('n_subjects', 'n_images', 'mask_sources'),
)
_EXAMPLES = 3


@dataclass(frozen=True)
class Collection:
    """Scalar groups, datasets and phenotypes found for a request.

    Parameters
    ----------
    request : Request
        Request that was answered.
    datasets : tuple of Dataset
        The datasets that were searched.
    groups : tuple of ScalarGroup
        By scalar and space.
    left_out : dict
        Reason to paths of images, the commonest first.
    phenotypes : Phenotypes
        Phenotypes of the participants.
    problems : tuple of ModelArrayIOError, optional
        Why it can only be looked at.
    """

    request: Request
    datasets: tuple[Dataset, ...]
    groups: tuple[ScalarGroup, ...]
    left_out: Mapping[str, Sequence[Path]]
    phenotypes: Phenotypes
    problems: tuple[ModelArrayIOError, ...] = ()

    def require_columns(self, names: Iterable[str]) -> None:
        """Refuse names of a formula that are neither columns of the cohorts nor scalars.

        Raises
        ------
        FormulaError
            With what there is.
        """
        scalars = (group.scalar for group in self.groups)
        known = {*self.phenotypes.columns, *OWN_COLUMNS, *scalars}
        if unknown := sorted({*names} - known):
            raise FormulaError(
                f'there is no column {" or ".join(unknown)}',
                remedy=f'Columns of phenotypes: {", ".join(self.phenotypes.columns) or "none"}.',
            )

    def table(self) -> pd.DataFrame:
        """Return the table that ``--list-scalars`` shows: a row per group.

        Returns
        -------
        pandas.DataFrame
            ``scalar``, ``kind``, ``space``, ``label`` (the space, and what else tells the group
            apart), ``stem``, ``dataset``, ``n_subjects``, ``n_images`` and ``mask_sources`` (number
            of images by the source of their masks).
        """
        rows = [
            (
                *(group.scalar, group.kind, group.space, _label(group), group.stem, group.dataset),
                *(len(group.participants), len(group.rows), group.mask_sources),
            )
            for group in self.groups
        ]
        return pd.DataFrame(rows, columns=[*_COLUMNS])

    @cached_property
    def not_fetched(self) -> list[SourceNotFoundError]:
        """Errors of the images and masks whose content is not here."""
        files = {
            path for group in self.groups for row in group.rows for path in (row.image, row.mask)
        }
        errors = map(fetch_error, sorted(path for path in files if path is not None))
        return [error for error in errors if error is not None]

    def document(self) -> dict[str, Any]:
        """Return what ``--list-scalars --json`` shows: nothing but JSON's own types."""
        left_out = [
            {'reason': reason, 'count': len(paths), 'examples': list(map(str, paths[:_EXAMPLES]))}
            for reason, paths in self.left_out.items()
        ]
        return {
            'scalars': [_as_object(group) for group in self.groups],
            'left_out': left_out,
            'not_fetched': [error.path for error in self.not_fetched],
            'problems': list(map(str, self.problems)),
        }

    def unmatched(self, group: ScalarGroup) -> list[Unmatched]:
        """Return participants of a group without phenotypes, and those without images."""
        return self.phenotypes.unmatched(group.visits, self.request.wants)

    def reconciled(self) -> Collection:
        """Return the collection with each group on one grid, judged by headers alone.

        Raises
        ------
        ModelArrayIOError
            All problems of all groups together.
        """
        request = self.request
        groups = reconciled(self.groups, request.on_grid_mismatch, request.group_mask_file)
        dropped = [
            one.image
            for before, after in zip(self.groups, groups, strict=True)
            for one in after.left_out[len(before.left_out) :]
        ]
        more = {'on another grid': dropped} if dropped else {}
        return replace(self, groups=groups, left_out={**self.left_out, **more})

    def files_read(self) -> Iterator[Path | None]:
        """Yield the images, the masks, and the files that were asked for by name."""
        request = self.request
        yield from (request.in_mask, request.group_mask_file, *request.phenotypes, *request.recipes)
        for group in self.groups:
            for row in group.rows:
                yield from (row.image, row.mask)

    def files_written(self, output_dir: Path) -> Iterator[Path]:
        """Yield the files that a run of the group level may write, where they have a fixed name."""
        yield from (output_dir / 'report.html', output_dir / 'dataset_description.json')
        for group in self.groups:
            outputs = group.outputs(output_dir)
            yield outputs.fit_script
            for file in (outputs.store, outputs.cohort, outputs.group_mask, outputs.coverage):
                yield from (file, sidecar(file))
            for row in group.rows:
                yield outputs.own_map(row.own_name)
                yield from (outputs.own_mask(row.own_name, how) for how in ('present', 'resampled'))

    def check_outputs(
        self,
        output_dir: Path,
        *,
        overwrite: bool = False,
        is_kept: Callable[[ScalarGroup], bool] = lambda _group: False,
    ) -> None:
        """Refuse to replace HDF5 files with results, or with images that only ``append`` added.

        Parameters
        ----------
        output_dir : pathlib.Path
            Folder of the outputs.
        overwrite : bool, optional
            Replace files that hold results.
        is_kept : callable, optional
            Tells which groups have a file that is not made anew, and may hold results.

        Raises
        ------
        WouldLoseResultsError, OutputError
            All such files together.
        """
        problems: list[ModelArrayIOError] = []
        for group in self.groups:
            try:
                refuse_to_replace(group.outputs(output_dir).store, overwrite=overwrite)
            except WouldLoseResultsError as error:
                if not is_kept(group):
                    remedy = 'Give another OUTPUT_DIR, or replace the file with --overwrite.'
                    problems.append(WouldLoseResultsError(error.what, error.path, remedy))
            except ModelArrayIOError as error:
                problems.append(error)
        raise_problems(problems)
        if not overwrite:
            raise_problems([
                problem
                for group in self.groups
                for problem in _dropped(group, group.outputs(output_dir).store)
            ])  # fmt: skip


def _dropped(group: ScalarGroup, store: Path) -> Iterator[ModelArrayIOError]:
    added = appended_to(store)
    images = {os.path.realpath(row.image) for row in group.rows} if added else set()
    if dropped := [name for name in added if os.path.realpath(name) not in images]:
        yield WouldLoseResultsError(
            f'holds {count(len(dropped), "image")} that append added and this run would leave out: '
            f'{some(dropped)}',
            store,
            'Write to another folder, or replace this file with --overwrite.',
        )


def _label(group: ScalarGroup) -> str:
    entities = group.stem.removesuffix(f'desc-{group.kind}').replace('space-', '', 1)
    return entities.replace('_', ' ').strip() or 'n/a'


def _as_object(group: ScalarGroup) -> dict[str, Any]:
    """Return a group as ``--list-scalars --json`` shows it: its names, counts, and each image."""
    return {
        'scalar': group.scalar,
        'long_name': group.long_name,
        'units': group.units,
        'kind': group.kind,
        'space': group.space,
        'entities': dict(group.entities),
        'dataset': group.dataset,
        'participants': list(group.participants),
        'masks': group.mask_sources,
        'images': [
            {
                'path': str(row.image),
                'participant': row.participant,
                'session': row.session,
                'run': row.run,
                'mask': None if row.mask is None else str(row.mask),
                'mask_source': row.mask_source,
            }
            for row in group.rows
        ],
    }
