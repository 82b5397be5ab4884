"""Contents of an output folder: each HDF5 file, and the cohort, sidecars and maps beside it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from modelarrayio_bids.cohort import MASK_SOURCE, SCALAR, SOURCE, Cohort
from modelarrayio_bids.derivatives.bids.json_files import read_json
from modelarrayio_bids.derivatives.bids.output_names import (
    STORE_ENDING,
    STORE_NAME,
    Outputs,
    sidecar,
)
from modelarrayio_bids.derivatives.cohorts.columns import PARTICIPANT, RUN, SESSION
from modelarrayio_bids.derivatives.outputs.statmaps import StatMapNaming
from modelarrayio_bids.errors import SourceNotFoundError
from modelarrayio_bids.runtime.text_format import some
from modelarrayio_bids.store.reader import StoreReader

# As BIDS writes the labels of the columns.
_PREFIXES = {PARTICIPANT: 'sub-', SESSION: 'ses-', RUN: 'run-'}


logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Output:
    """The files of one scalar in one space.

    Parameters
    ----------
    root : pathlib.Path
        The output folder.
    files : Outputs
        Paths of its files.
    cohort : Cohort
        The sources, their order that of the rows in the HDF5 file.
    known : dict
        Content of the sidecar of the HDF5 file.
    said : dict
        Content of the sidecar of the cohort.
    """

    root: Path
    files: Outputs
    cohort: Cohort
    known: Mapping[str, Any]
    said: Mapping[str, Any]

    @classmethod
    def of(cls, store: Path, root: Path) -> Output:
        """Return that of an HDF5 file.

        Raises
        ------
        SourceNotFoundError
            If the cohort is not beside it.
        FormatError
            If a sidecar is not JSON.
        """
        files = Outputs.beside(store)
        cohort = _in_order(Cohort.from_csv(files.cohort), files)
        return cls(
            root, files, cohort, read_json(sidecar(files.store)), read_json(sidecar(files.cohort))
        )

    @cached_property
    def scalar(self) -> str:
        """Name of the scalar in R."""
        return self.cohort.scalars[0]

    @property
    def title(self) -> str:
        """Name for display, with the space if another output has the same scalar."""
        return str(self.known.get('LongName', self.scalar))

    @property
    def units(self) -> str:
        """Units of the values; blank if they have none (``1`` in BIDS) or if unknown."""
        units = str(self.known.get('Units', ''))
        return '' if units == '1' else units

    @property
    def measure(self) -> str:
        """Name and units of the values: ``cbf (mL/100 g/min)``."""
        return f'{self.scalar} ({self.units})' if self.units else self.scalar

    @property
    def place(self) -> str:
        """Entities for display: ``space-MNI152NLin2009cAsym``."""
        return self.files.stem.replace('_', ' ')

    @property
    def key(self) -> str:
        """Identifier for anchors and names of figures, unique in the folder."""
        return '_'.join(filter(None, (*self.folders, self.files.stem)))

    def maps_folder(self, analysis: str) -> Path:
        """Return the folder of the maps that are exported of an analysis."""
        return StatMapNaming.of(self.files.store, self.root).folder(analysis)

    @property
    def folders(self) -> tuple[str, ...]:
        """Names of the folders below the output folder; the last is the scalar's."""
        return self.files.folder.relative_to(self.root).parts

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Participant and visit of each source: ``sub-01 ses-2``; else the file."""
        return tuple(visit_name(row) for row in self.cohort.rows)

    @property
    def mask_sources(self) -> tuple[str, ...]:
        """Source of the mask of each image; blank if none was needed."""
        return tuple(row.get(MASK_SOURCE, '') for row in self.cohort.rows)

    @property
    def left_out(self) -> Sequence[Mapping[str, str]]:
        """Images left out because of options: ``Image``, ``Of`` and ``Reason``."""
        return self.said.get('LeftOut', ())

    @property
    def datasets(self) -> set[str]:
        """Names of the datasets that images and masks are from, as BIDS URIs have them."""
        masks = sidecar(self.files.group_mask)
        told = [self.said, read_json(masks) if masks.exists() else {}]
        originals = self.said.get('Resampling', {}).get('Originals', {}).values()
        sources = [*originals, *(source for each in told for source in each.get('Sources', ()))]
        return {parts[1] for parts in (str(each).split(':') for each in sources) if len(parts) > 2}

    @property
    def unmatched(self) -> Mapping[str, Mapping[str, Sequence[str]]]:
        """Unmatched participants by table: ``WithoutPhenotypes`` and ``WithoutImages``."""
        return self.said.get('Unmatched', {})


def outputs_in(output_dir: Path) -> list[Output]:
    """Return those of a folder, by scalar and space.

    Files without a cohort beside them are left out with a warning.

    Raises
    ------
    SourceNotFoundError
        If there are none, or none has a cohort.
    """
    stores = sorted(
        path
        for path in output_dir.rglob(f'*{STORE_NAME}')
        if not any(part.startswith('.') for part in path.relative_to(output_dir).parts)
    )
    if not stores:
        raise SourceNotFoundError(
            f'holds no file named *{STORE_ENDING}', output_dir, 'Run the group level first.'
        )
    outputs = []
    for store in stores:
        try:
            outputs.append(Output.of(store, output_dir))
        except SourceNotFoundError as error:
            logger.warning('%s is not in the report: %s', store, error)
    if not outputs:
        raise SourceNotFoundError(
            'has no cohort next to its HDF5 files', output_dir, 'Run the group level again.'
        )
    return outputs


def _in_order(cohort: Cohort, files: Outputs) -> Cohort:
    """Return a row for each of the file's sources, in its order: tables get sorted, and files grow.

    As ModelArray does, they are matched by what ``source_file`` says.
    """
    rows = {row[SOURCE]: row for row in cohort.rows}
    with StoreReader(files.store) as store:
        scalar = store.scalar(cohort.scalars[0])
    if missing := [name for name in scalar.names if name not in rows]:
        logger.warning(
            '%s has no row for %d of the %d images of the file next to it, which R requires: %s',
            *(files.cohort, len(missing), len(scalar.names), some(missing)),
        )
    if more := rows.keys() - set(scalar.names):
        logger.warning(
            '%s has rows of %d images that are not in the file next to it: %s',
            *(files.cohort, len(more), some(sorted(more))),
        )
    blank = dict.fromkeys(cohort.columns, '') | {SCALAR: scalar.name}
    matched = (rows.get(name, blank | {SOURCE: name}) for name in scalar.names)
    return Cohort(cohort.columns, tuple(matched), cohort.folder)


def visit_name(row: Mapping[str, str]) -> str:
    """Return whom a row of a cohort is of.

    >>> visit_name({'participant_id': 'sub-01', 'session_id': 'ses-2', 'source_file': 'x.nii'})
    'sub-01 ses-2'
    """
    parts = [
        prefix + row[column].removeprefix(prefix)
        for column, prefix in _PREFIXES.items()
        if row.get(column)
    ]
    return ' '.join(parts) or Path(row[SOURCE]).name
