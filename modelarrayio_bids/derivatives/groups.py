"""The images of one scalar in one space: a row each, and the cohort they make."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from modelarrayio_bids import masks
from modelarrayio_bids.cohort import MASK, MASK_RUNG, SCALAR, SOURCE, Cohort, Source
from modelarrayio_bids.derivatives.naming import DEFAULT_KIND, Outputs, stem
from modelarrayio_bids.derivatives.pairing import ANATOMICAL, MAP_ITSELF
from modelarrayio_bids.derivatives.participants import PARTICIPANT, RUN, SESSION, Participants
from modelarrayio_bids.errors import ModelArrayIOError, raise_problems
from modelarrayio_bids.formats.atomic import replacing
from modelarrayio_bids.parallel import ordered_map
from modelarrayio_bids.progress import tracked
from modelarrayio_bids.reading import source_problems
from modelarrayio_bids.spaces import SPACES, References, space_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Row:
    """One image and what serves it.

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
    rung : str
        Where on the ladder of :mod:`modelarrayio_bids.derivatives.pairing`.
    """

    image: Path
    participant: str
    session: str | None
    run: str | None
    mask: Path | None
    rung: str

    def cells(self, scalar: str, mask: Path | None) -> dict[str, str]:
        """The row of a cohort, without phenotypes; mask, session and run where there are any."""
        cells = {
            SCALAR: scalar,
            SOURCE: str(self.image),
            PARTICIPANT: f'sub-{self.participant}',
        }
        if mask is not None:
            cells |= {MASK: str(mask), MASK_RUNG: self.rung}
        if self.session is not None:
            cells[SESSION] = f'ses-{self.session}'
        if self.run is not None:
            cells[RUN] = f'run-{self.run}'
        return cells


@dataclass(frozen=True)
class ScalarGroup:
    """The images of one scalar in one space: what becomes one HDF5 file.

    Parameters
    ----------
    scalar : str
        Its name in R.
    entities : dict
        What tells this group from the scalar's others: space, resolution, task, ...
    rows : tuple of Row
        By participant, session and run.
    dataset : str
        The dataset the images are from.
    long_name, units : str
        For a person; units may be unknown, hence empty.
    kind : str
        The kind of elements.
    range : tuple of float, optional
        Lowest and highest value of a colour bar, where known.
    """

    scalar: str
    entities: Mapping[str, str]
    rows: tuple[Row, ...]
    dataset: str
    long_name: str = ''
    units: str = ''
    kind: str = DEFAULT_KIND
    range: tuple[float, float] | None = None

    @property
    def needs_masks(self) -> bool:
        """Whether the images need masks, and the group one of its own."""
        return SPACES[self.kind].needs_masks

    @property
    def space(self) -> str:
        """The space as fMRIPrep's ``--output-spaces`` writes it.

        >>> ScalarGroup('fa', {'space': 'MNI152NLin6Asym', 'res': '2'}, (), 'x').space
        'MNI152NLin6Asym:res-2'
        """
        more = [f'{name}-{self.entities[name]}' for name in ('cohort', 'res', 'den')
                if name in self.entities]  # fmt: skip
        return ':'.join([self.entities.get('space', ''), *more])

    @property
    def stem(self) -> str:
        """The group's entities as BIDS writes them, and its kind."""
        return stem(self.entities, self.kind)

    @property
    def participants(self) -> tuple[str, ...]:
        """Labels, each once, sorted."""
        return tuple(sorted({row.participant for row in self.rows}))

    @property
    def rungs(self) -> dict[str, int]:
        """How many images each rung serves."""
        return dict(Counter(row.rung for row in self.rows))

    def outputs(self, output_dir: Path) -> Outputs:
        """Where this group's files go."""
        return Outputs.of(output_dir.absolute(), self.scalar, self.entities, self.kind)

    def problems(self) -> list[ModelArrayIOError]:
        """What keeps the images and their masks from being one cohort, from headers alone."""
        if not self.needs_masks:
            return _element_problems(
                [Source(self.scalar, str(row.image), row.image) for row in self.rows]
            )
        # An anatomical mask may lie on a grid of its own: it is resampled.
        own = [row.mask for row in self.rows if row.mask is not None and row.rung != ANATOMICAL]
        return masks.grid_problems([*(row.image for row in self.rows), *own])

    def write_cohort(
        self,
        outputs: Outputs,
        participants: Participants,
        threads: int = 1,
    ) -> Cohort:
        """Make the masks that are needed and still to be made, and write the cohort CSV.

        Parameters
        ----------
        outputs : Outputs
            Where to.
        participants : Participants
            The phenotypes.
        threads : int, optional
            How many masks to make at a time.

        Returns
        -------
        Cohort
            What was written.

        Raises
        ------
        ModelArrayIOError
            If a mask cannot be made (all such together), or nothing can be written.
        """
        made = self._masks(outputs, threads) if self.needs_masks else [None] * len(self.rows)
        names = participants.renamed(self.scalar)
        cells = [row.cells(self.scalar, mask) for row, mask in zip(self.rows, made, strict=True)]
        own = dict.fromkeys(column for row in cells for column in row)
        ordered = [column for column in (*_FIRST, SESSION, RUN) if column in own]
        cohort = Cohort.from_rows(
            {column: row.get(column, '') for column in ordered}
            | participants.of(source.participant, names)
            for row, source in zip(cells, self.rows, strict=True)
        )
        with replacing(outputs.cohort) as file:
            cohort.to_csv(file)
        self._report_blanks(participants)
        return cohort

    def _masks(self, outputs: Outputs, threads: int) -> Sequence[Path | None]:
        made = ordered_map(partial(_mask_or_problem, outputs), self.rows, threads)
        shown = tracked(made, f'Finding masks of {self.scalar}', len(self.rows), 'images')
        found = list(shown)
        raise_problems([one for one in found if isinstance(one, ModelArrayIOError)])
        return [one for one in found if isinstance(one, Path)]

    def _report_blanks(self, participants: Participants) -> None:
        if participants.path is None:
            return
        if unlisted := participants.unlisted(self.participants):
            logger.warning(
                '%s: %d participants are not in %s, their phenotypes stay blank: %s',
                *(self.scalar, len(unlisted), participants.path, _some(unlisted)),
            )
        for column, count in participants.blanks(self.participants).items():
            logger.info('%s: %s is blank for %d participants', self.scalar, column, count)


_FIRST = (SCALAR, SOURCE, MASK, MASK_RUNG, PARTICIPANT)


def _element_problems(sources: Sequence[Source]) -> list[ModelArrayIOError]:
    """What keeps images without masks apart; the first whole one says what is expected."""
    problems: dict[str, ModelArrayIOError] = {}
    for number in range(len(sources)):
        try:
            space = space_of(sources[number:], References())
        except ModelArrayIOError as error:
            if str(error) in problems:  # the folder's fault, which all of its files share
                break
            problems[str(error)] = error
        else:
            return [*problems.values(), *source_problems(sources[number:], space)]
    return list(problems.values())


def _mask_or_problem(outputs: Outputs, row: Row) -> Path | ModelArrayIOError:
    try:
        return _mask_file(row, outputs)
    except ModelArrayIOError as error:
        return error


def _mask_file(row: Row, outputs: Outputs) -> Path:
    """The file that serves a row, made where there is none on its image's grid."""
    if row.rung == MAP_ITSELF or row.mask is None:
        own = outputs.own_mask(row.image, 'present')
        masks.write_present(row.image, own)
        return own
    if row.rung == ANATOMICAL and not masks.same_grid(row.mask, row.image):
        own = outputs.own_mask(row.image, 'resampled')
        masks.write_resampled(row.mask, row.image, own)
        return own
    return row.mask.absolute()


def _some(labels: Sequence[str], most: int = 5) -> str:
    more = f' and {len(labels) - most} more' if len(labels) > most else ''
    return ', '.join(f'sub-{label}' for label in labels[:most]) + more
