"""The images of one scalar in one space: a row each, and the cohort they make."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from modelarrayio_bids import masks, resampling
from modelarrayio_bids.cohort import MASK, MASK_SOURCE, SCALAR, SOURCE, Cohort, Source
from modelarrayio_bids.conversion.row_reader import checked_sources
from modelarrayio_bids.derivatives.bids.entities import unknown_pairs
from modelarrayio_bids.derivatives.bids.output_names import DEFAULT_KIND, Outputs, space_name, stem
from modelarrayio_bids.derivatives.cohorts.columns import (
    OWN_COLUMNS,
    PARTICIPANT,
    RESAMPLED,
    RUN,
    SESSION,
)
from modelarrayio_bids.derivatives.cohorts.mask_matching import ANATOMICAL, MAP_ITSELF
from modelarrayio_bids.derivatives.cohorts.participant_tables import Visit
from modelarrayio_bids.derivatives.cohorts.phenotypes import Phenotypes
from modelarrayio_bids.errors import ModelArrayIOError, raise_problems
from modelarrayio_bids.runtime.parallel import ordered_map
from modelarrayio_bids.runtime.progress import tracked
from modelarrayio_bids.spaces import SPACES, References, space_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CohortRow:
    """One image, its mask and its entities.

    Parameters
    ----------
    image : pathlib.Path
        The map.
    participant : str
        Label, without ``sub-``.
    session, run : str or None
        Labels, where the image has them.
    mask : pathlib.Path or None
        The mask found; None where it is to be made from the map itself, or none is needed.
    mask_source : str
        Source of the mask: see :mod:`modelarrayio_bids.derivatives.cohorts.mask_matching`.
    labels : dict, optional
        Entities that neither divide groups nor make rows, where they differ in the group: this
        image's labels, or blanks.
    resampled : bool
        True if the image is on another grid than the group, and will be resampled.
    columns : dict, optional
        Further columns of the cohort, which the image's path holds.
    by_path : bool, optional
        True if a pattern of paths described the image, not its name.
    """

    image: Path
    participant: str
    session: str | None
    run: str | None
    mask: Path | None
    mask_source: str
    labels: Mapping[str, str] = field(default_factory=dict)
    resampled: bool = False
    columns: Mapping[str, str] = field(default_factory=dict)
    by_path: bool = False

    @property
    def visit(self) -> Visit:
        """Participant and visit of this image."""
        return Visit(self.participant, self.session or '', self.run or '')

    @property
    def own_name(self) -> str:
        """The image's name, with participant, session and run before it unless it has them.

        Files made for the image are named after this: names that paths tell apart are often alike.
        """
        pairs = zip(('sub', 'ses', 'run'), self.visit, strict=True)
        told = [f'{key}-{label}' for key, label in pairs if label]
        name = self.image.name
        return name if {*told} <= {*name.split('_')[:-1]} else '_'.join([*told, name])

    def to_csv_row(self, scalar: str, image: Path, mask: Path | None) -> dict[str, str]:
        """Return the row of a cohort without phenotypes; mask, session and run if there are any."""
        row = {SCALAR: scalar, SOURCE: str(image), PARTICIPANT: f'sub-{self.participant}'}
        if mask is not None:
            row |= {MASK: str(mask), MASK_SOURCE: self.mask_source}
        if self.session is not None:
            row[SESSION] = f'ses-{self.session}'
        if self.run is not None:
            row[RUN] = f'run-{self.run}'
        for name, label in self.labels.items():
            row[f'{name}_id'] = f'{name}-{label}' if label else ''
        return row | dict(self.columns)


@dataclass(frozen=True, slots=True)
class Dropped:
    """An image left out because a user required a phenotype or a grid.

    Parameters
    ----------
    image : pathlib.Path
        The map.
    visit : Visit
        Participant and visit of the image.
    reason : str
        Why it is left out: ``without age``, say.
    """

    image: Path
    visit: Visit
    reason: str


@dataclass(frozen=True)
class ScalarGroup:
    """The images of one scalar in one space: what becomes one HDF5 file.

    Parameters
    ----------
    scalar : str
        Its name in R.
    entities : dict
        Entities that distinguish this group from others of the scalar: space, task, ...
    rows : tuple of CohortRow
        By participant, session and run.
    dataset : str
        The dataset the images are from.
    long_name, units : str
        Descriptions for display; units may be unknown, hence empty.
    kind : str
        The kind of elements.
    range : tuple of float, optional
        Lowest and highest value of a colour bar, where known.
    left_out : tuple of Dropped
        Images left out because of options such as ``--require``, and why.
    reference : pathlib.Path, optional
        An image on the grid of the group, where some have to be resampled to it.
    """

    scalar: str
    entities: Mapping[str, str]
    rows: tuple[CohortRow, ...]
    dataset: str
    long_name: str = ''
    units: str = ''
    kind: str = DEFAULT_KIND
    range: tuple[float, float] | None = None
    left_out: tuple[Dropped, ...] = ()
    reference: Path | None = None

    @property
    def needs_masks(self) -> bool:
        """True if the images need masks, so that there is a group mask."""
        return SPACES[self.kind].needs_masks

    @property
    def space(self) -> str:
        """The space as fMRIPrep's ``--output-spaces`` writes it."""
        return space_name(self.entities)

    @property
    def stem(self) -> str:
        """The group's entities as BIDS writes them, and its kind."""
        return stem(self.entities, self.kind)

    @property
    def participants(self) -> tuple[str, ...]:
        """Labels, each once, sorted."""
        return tuple(sorted({row.participant for row in self.rows}))

    @property
    def visits(self) -> tuple[Visit, ...]:
        """Visits of the images, those left out as well."""
        return (*(row.visit for row in self.rows), *(one.visit for one in self.left_out))

    @property
    def mixed(self) -> tuple[str, ...]:
        """The entities in which images differ that are taken together."""
        return tuple(self.rows[0].labels) if self.rows else ()

    @property
    def unknown(self) -> dict[str, tuple[str, ...]]:
        """Unknown key-value pairs of file names that differ between images."""
        found = [unknown_pairs(row.image.name) for row in self.rows if not row.by_path]
        labels = {
            key: tuple(dict.fromkeys(pairs.get(key, 'none') for pairs in found))
            for key in sorted({key for pairs in found for key in pairs})
        }
        return {key: several for key, several in labels.items() if len(several) > 1}

    @property
    def mask_sources(self) -> dict[str, int]:
        """Number of images by mask source."""
        return dict(Counter(row.mask_source for row in self.rows))

    def outputs(self, output_dir: Path) -> Outputs:
        """Return the files of this group."""
        return Outputs.of(output_dir.absolute(), self.scalar, self.entities, self.kind)

    def problems(self, group_mask: Path | None = None) -> list[ModelArrayIOError]:
        """Return what keeps images and masks from being one cohort, from headers alone.

        Parameters
        ----------
        group_mask : pathlib.Path, optional
            Says which grid voxels have to be on; else it is the one that most files share.
        """
        if not self.needs_masks:
            return _element_problems(
                [Source(self.scalar, str(row.image), row.image) for row in self.rows]
            )
        # An anatomical mask may lie on a grid of its own: it is resampled.
        own = [
            row.mask for row in self.rows if row.mask is not None and row.mask_source != ANATOMICAL
        ]
        return masks.grid_problems([*(row.image for row in self.rows), *own], group_mask)

    def write_cohort(
        self, outputs: Outputs, phenotypes: Phenotypes, threads: int = 1, table: Path | None = None
    ) -> Cohort:
        """Make the maps and masks that are still to be made, and write the cohort CSV.

        Parameters
        ----------
        outputs : Outputs
            Files to write.
        phenotypes : Phenotypes
            Phenotypes of the participants.
        threads : int, optional
            Number of masks to make at a time.
        table : pathlib.Path, optional
            The CSV to write, where that is not yet to be the one among the outputs.

        Returns
        -------
        Cohort
            Cohort that was written.

        Raises
        ------
        ModelArrayIOError
            If one cannot be made (all such together), or nothing can be written.
        """
        cohort = Cohort.from_rows(self.table(phenotypes, self._files(outputs, threads)))
        cohort.to_csv(table or outputs.cohort)
        return cohort

    def table(
        self, phenotypes: Phenotypes, files: Iterable[tuple[Path, Path | None]]
    ) -> list[dict[str, str]]:
        """Return the rows of a cohort, phenotypes joined.

        Parameters
        ----------
        phenotypes : Phenotypes
            Phenotypes of the participants.
        files : iterable of tuple
            Image and mask of each row.
        """
        names = phenotypes.renamed(self.scalar)
        self._say_renamed(names)
        own = pd.DataFrame(
            [row.to_csv_row(self.scalar, *both) for row, both in zip(self.rows, files, strict=True)]
        )
        if self.reference is not None:
            own[RESAMPLED] = ['yes' if row.resampled else 'no' for row in self.rows]
        known = phenotypes.values(row.visit for row in self.rows).rename(columns=names)
        order = [*OWN_COLUMNS, *(column for column in own if column not in OWN_COLUMNS)]
        ordered = own[[column for column in order if column in own]].fillna('')
        joined = pd.concat([ordered, known.reset_index(drop=True)], axis='columns')
        rows: list[Any] = joined.to_dict('records')
        return rows

    def _files(self, outputs: Outputs, threads: int) -> Sequence[tuple[Path, Path | None]]:
        """Return image and mask of each row, made where they are still to be made."""
        if not self.needs_masks:
            return [(row.image, None) for row in self.rows]
        make = partial(_files_or_problem, outputs, self.reference)
        made = ordered_map(make, self.rows, threads)
        shown = tracked(made, f'Finding masks of {self.scalar}', len(self.rows), 'images')
        found = list(shown)
        raise_problems([one for one in found if isinstance(one, ModelArrayIOError)])
        return [one for one in found if not isinstance(one, ModelArrayIOError)]

    def _say_renamed(self, names: Mapping[str, str]) -> None:
        for column, name in names.items():
            if name != column:
                logger.warning(
                    'the phenotype %r is called %r in the cohort of %s, where %r is taken',
                    *(column, name, self.scalar, column),
                )


def _element_problems(sources: Sequence[Source]) -> list[ModelArrayIOError]:
    """Return problems of images without masks; the first whole one says what is expected."""
    problems: dict[str, ModelArrayIOError] = {}
    for number in range(len(sources)):
        try:
            space = space_of(sources[number:], References())
        except ModelArrayIOError as error:
            if str(error) in problems:  # the folder's fault, which all of its files share
                break
            problems[str(error)] = error
        else:
            return [*problems.values(), *checked_sources(sources[number:], space)[1]]
    return list(problems.values())


def _files_or_problem(
    outputs: Outputs, reference: Path | None, row: CohortRow
) -> tuple[Path, Path] | ModelArrayIOError:
    try:
        return _map_file(row, reference, outputs), _mask_file(row, reference, outputs)
    except ModelArrayIOError as error:
        return error


def _map_file(row: CohortRow, reference: Path | None, outputs: Outputs) -> Path:
    if not row.resampled or reference is None:
        return row.image
    moved = outputs.own_map(row.own_name)
    resampling.write_map(row.image, reference, moved)
    return moved


def _mask_file(row: CohortRow, reference: Path | None, outputs: Outputs) -> Path:
    """Return the mask that serves a row, made where there is none on the grid of its map."""
    if row.mask_source == MAP_ITSELF or row.mask is None:
        own = outputs.own_mask(row.own_name, 'present')
        masks.write_present(row.image, own, reference if row.resampled else None)
        return own
    like = reference or row.image
    if (reference or row.mask_source == ANATOMICAL) and not masks.same_grid(row.mask, like):
        own = outputs.own_mask(row.own_name, 'resampled')
        masks.write_resampled(row.mask, like, own)
        return own
    return row.mask.absolute()
