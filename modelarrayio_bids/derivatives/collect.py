"""The door: from a request to the groups of images that can be analysed.

::

    request = Request(Path('study'), Path('study/derivatives/modelarray'))
    collection = collect(request)
    for row in collection.table():
        print(row.scalar, row.space, row.n_subjects, row.rungs)
    participants = collection.participants()
    for group in collection.groups:
        group.write_cohort(group.outputs(request.output_dir), participants)
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from modelarrayio_bids.derivatives.ambiguity import ambiguities
from modelarrayio_bids.derivatives.dataset import Dataset, find_datasets
from modelarrayio_bids.derivatives.entities import bare_label
from modelarrayio_bids.derivatives.filters import BidsFilters
from modelarrayio_bids.derivatives.groups import Row, ScalarGroup
from modelarrayio_bids.derivatives.naming import GROUP_ENTITIES
from modelarrayio_bids.derivatives.pairing import MAP_ITSELF, NOT_NEEDED, MaskIndex, Pairing, pair
from modelarrayio_bids.derivatives.participants import Participants
from modelarrayio_bids.derivatives.query import Image, find_fixel_files, find_images
from modelarrayio_bids.derivatives.recipes import (
    fixel_recipe,
    own_recipes,
    recipe_for,
    require_use,
)
from modelarrayio_bids.derivatives.sorting import LeftOut, Sorting
from modelarrayio_bids.errors import (
    ModelArrayIOError,
    NoMatchError,
    SourceNotFoundError,
    UsageError,
    raise_problems,
)
from modelarrayio_bids.spaces import SPACES
from modelarrayio_bids.store.writer import refuse_to_replace

logger = logging.getLogger(__name__)

#: How images were acquired: a difference between subjects is for a person to judge.
_MIXED_ENTITIES = ('acq', 'ce', 'trc', 'rec', 'dir')


@dataclass(frozen=True)
class Request:
    """What a person asks for.

    Parameters
    ----------
    bids_dir, output_dir : pathlib.Path
        The first two arguments of every BIDS App.
    datasets : dict, optional
        Name to folder, as given with ``-d``; without any, see
        :func:`~modelarrayio_bids.derivatives.dataset.find_datasets`.
    participants, sessions : tuple of str, optional
        The only ones wanted: labels with or without ``sub-`` and ``ses-``.
    scalars : tuple of str, optional
        The only ones wanted: names or shell patterns.
    bids_filters : BidsFilters, optional
        Further conditions.
    mask : pathlib.Path, optional
        A mask that serves every volume.
    database_dir : pathlib.Path, optional
        Where indexes of the datasets are kept for other runs, see
        :mod:`~modelarrayio_bids.derivatives.index_cache`.
    recipes : tuple of pathlib.Path, optional
        A person's own recipes, which win over those that come along.
    """

    bids_dir: Path
    output_dir: Path
    datasets: Mapping[str, Path] = field(default_factory=dict)
    participants: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()
    scalars: tuple[str, ...] = ()
    bids_filters: BidsFilters = field(default_factory=BidsFilters)
    mask: Path | None = None
    database_dir: Path | None = None
    recipes: tuple[Path, ...] = ()

    def look_into(self) -> list[Dataset]:
        """The datasets it is about.

        Raises
        ------
        SourceNotFoundError, InvalidDatasetError
            If one of them, or the mask, is not there or is not what it should be.
        UsageError
            If the output folder is one of them, or holds it; or if a label is empty.
        RecipeError
            If one of the recipes cannot be used, or serves none of them.
        """
        _require_labels('--participant-label', self.participants)
        _require_labels('--session-label', self.sessions)
        if self.mask is not None and not self.mask.is_file():
            raise SourceNotFoundError('no such file', self.mask, 'Check --mask.')
        datasets = find_datasets(self.bids_dir, self.datasets)
        for dataset in datasets:
            if dataset.root.resolve().is_relative_to(self.output_dir.resolve()):
                raise UsageError(
                    f'holds the dataset {dataset.name} ({dataset.root}), which is read',
                    self.output_dir,
                    'Give a folder of its own for the outputs.',
                )
        own = own_recipes(self.recipes)
        require_use(dict(zip(self.recipes, own, strict=True)), datasets)
        return datasets

    def selection(self) -> str:
        """Which images are wanted, whatever their scalars, in words for an error.

        >>> request = Request(Path('study'), Path('out'), participants=('01',), sessions=('ses-2',))
        >>> request.selection()
        ' of the participants 01 and of the sessions 2'
        """
        parts = [
            f' of the {noun} {_some([bare_label(label) for label in labels])}'
            for noun, labels in (('participants', self.participants), ('sessions', self.sessions))
            if labels
        ]
        if self.bids_filters.scalar:
            parts.append(' that the BIDS filters let pass')
        return ' and'.join(parts)


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

    @property
    def label(self) -> str:
        """The space, and what else tells the group apart."""
        entities = self.stem.removesuffix(f'desc-{self.kind}').replace('space-', '', 1)
        return entities.replace('_', ' ').strip() or 'n/a'


@dataclass(frozen=True)
class Collection:
    """What was found.

    Parameters
    ----------
    bids_dir : pathlib.Path
        As requested.
    datasets : tuple of Dataset
        Those looked into.
    groups : tuple of ScalarGroup
        By scalar and space.
    left_out : dict
        Reason to :class:`~modelarrayio_bids.derivatives.sorting.LeftOut`, the commonest first.
    """

    bids_dir: Path
    datasets: tuple[Dataset, ...]
    groups: tuple[ScalarGroup, ...]
    left_out: Mapping[str, LeftOut]

    def table(self) -> list[TableRow]:
        """What ``--list-scalars`` shows."""
        return [
            TableRow(
                group.scalar,
                group.kind,
                group.space,
                group.stem,
                group.dataset,
                len(group.participants),
                len(group.rows),
                group.rungs,
            )
            for group in self.groups
        ]

    def check(self) -> None:
        """Compare the elements of all images, from headers alone.

        Raises
        ------
        ModelArrayIOError
            All problems of all groups together.
        """
        raise_problems([problem for group in self.groups for problem in group.problems()])

    def check_outputs(self, output_dir: Path, *, overwrite: bool = False) -> None:
        """Refuse to make anything where an HDF5 file holds results: all that goes with it stays.

        Raises
        ------
        WouldLoseResultsError, OutputError
            All such files together.
        """
        problems: list[ModelArrayIOError] = []
        for group in self.groups:
            try:
                refuse_to_replace(group.outputs(output_dir).store, overwrite=overwrite)
            except ModelArrayIOError as error:
                problems.append(error)
        raise_problems(problems)

    def participants(self) -> Participants:
        """The phenotypes: of the BIDS folder, else of the first dataset that has any."""
        return Participants.from_folders([self.bids_dir, *(d.root for d in self.datasets)])


def collect(request: Request) -> Collection:
    """Find everything that can be analysed, and which mask serves each image.

    Raises
    ------
    SourceNotFoundError, InvalidDatasetError
        If a folder, or the mask, is not there or is not what it should be.
    UsageError
        As :meth:`Request.look_into`.
    NoMatchError
        If nothing is left, or a participant, session or scalar asked for is not there.
    OutputError
        If an index has to be written and cannot be.
    AmbiguousMatchError, CohortProblemsError
        If several images stand where one was expected: all such places together.
    """
    datasets = request.look_into()
    _require_participants(request, datasets)
    found = _sorted(request, datasets)
    _require_sessions(request, datasets, found)
    _require_scalars(found, request, datasets)
    selection = request.selection()
    found.only(request.scalars, selection and f' among the images{selection}')
    raise_problems(list(ambiguities(found.scalars)))
    found.drop_series()
    _require_scalars(found, request, datasets)
    groups = _groups(found, request.mask)
    return Collection(request.bids_dir, tuple(datasets), tuple(groups), found.left_out())


def _sorted(request: Request, datasets: Sequence[Dataset]) -> Sorting:
    sessions = frozenset(bare_label(label) for label in request.sessions)
    found = Sorting(request.bids_filters, sessions)
    own = own_recipes(request.recipes)
    for dataset in datasets:
        if not dataset.is_fixel_template:
            recipe = recipe_for(dataset, own)
            logger.info('%s (%s): recipe %s', dataset.name, dataset.root, recipe.name)
            images = find_images(dataset, request.participants, sessions, request.database_dir)
            found.add(images, recipe)
        for folder in dataset.fixel_directories:
            logger.info('%s (%s): a fixel directory', dataset.name, folder)
        fixels = find_fixel_files(dataset, request.participants, sessions)
        found.add(fixels, fixel_recipe())
    found.drop_copies()
    return found


def _require_participants(request: Request, datasets: Sequence[Dataset]) -> None:
    if not request.participants:
        return
    there = {label for dataset in datasets for label in dataset.subjects}
    wanted = {bare_label(label) for label in request.participants}
    if missing := sorted(wanted - there):
        raise NoMatchError(
            f'no dataset has the participants {", ".join(missing)}',
            remedy=f'There are: {", ".join(sorted(there)) or "none"}.',
        )


def _require_sessions(request: Request, datasets: Sequence[Dataset], found: Sorting) -> None:
    wanted = {bare_label(label) for label in request.sessions}
    missing = sorted(wanted - found.sessions_met)
    if not missing:
        return
    images = (
        image
        for dataset in datasets
        for find in (find_images, find_fixel_files)
        for image in find(dataset, request.participants)
    )
    there = sorted({image.entities['session'] for image in images if 'session' in image.entities})
    raise NoMatchError(
        f'there is no image{replace(request, sessions=()).selection()}'
        f' of the sessions {", ".join(missing)}',
        remedy=f'There are: {", ".join(there) or "none"}.',
    )


def _some(labels: Sequence[str], most: int = 5) -> str:
    more = f' and {len(labels) - most} more' if len(labels) > most else ''
    return ', '.join(labels[:most]) + more


def _require_labels(option: str, labels: Sequence[str]) -> None:
    for label in labels:
        if not bare_label(label.strip()):
            raise UsageError(
                f'{option} {label!r} is no label',
                remedy='Leave the option out to take all, or check the variable it came from.',
            )


def _require_scalars(found: Sorting, request: Request, datasets: Sequence[Dataset]) -> None:
    if found.scalars:
        return
    places = ', '.join(f'{dataset.name} ({dataset.root})' for dataset in datasets)
    reasons = '; '.join(
        f'{out.count} {reason}, such as {out.examples[0].name}'
        for reason, out in found.left_out().items()
    )
    raise NoMatchError(
        f'nothing to analyse among {found.n_images} images{request.selection()} of {places}'
        + (f'. Left out: {reasons}' if reasons else ''),
        remedy='Name other datasets with -d NAME=PATH, or ask for less with the filters.',
    )


def _groups(found: Sorting, given: Path | None) -> Iterator[ScalarGroup]:
    index = MaskIndex.from_images(found.masks)
    for (scalar, stem), images in sorted(found.scalars.items()):
        kind = images[0].kind
        masked = SPACES[kind].needs_masks
        pairings = [
            pair(image, index, given) if masked else Pairing(None, NOT_NEEDED) for image in images
        ]
        _say_passed_over(scalar, stem, pairings)
        rows = (_row(*both) for both in zip(images, pairings, strict=True))
        entities = images[0].entities
        wording = found.wordings[scalar]
        group = ScalarGroup(
            scalar,
            {name: entities[name] for name in GROUP_ENTITIES if name in entities},
            tuple(sorted(rows, key=_order)),
            images[0].dataset,
            wording.long_name,
            wording.units,
            kind,
            wording.range,
        )
        _say_map_itself(group)
        _say_mixed(group, images)
        yield group


def _row(image: Image, pairing: Pairing) -> Row:
    entities = image.entities
    return Row(
        image.path,
        entities['subject'],
        entities.get('session'),
        entities.get('run'),
        pairing.mask,
        pairing.rung,
    )


def _order(row: Row) -> tuple[str, str, str]:
    return row.participant, row.session or '', row.run or ''


def _say_passed_over(scalar: str, stem: str, pairings: Sequence[Pairing]) -> None:
    candidates: dict[str, list[tuple[Path, ...]]] = defaultdict(list)
    for pairing in pairings:
        for rung, paths in pairing.passed_over:
            candidates[rung].append(paths)
    for rung, several in candidates.items():
        logger.warning(
            '%s (%s): %d images have several masks on the rung %r, and none was taken; first: %s',
            *(scalar, stem, len(several), rung, ', '.join(map(str, several[0]))),
        )


def _say_mixed(group: ScalarGroup, images: Sequence[Image]) -> None:
    """Entities that neither divide groups nor become a column, where their labels differ."""
    for entity in _MIXED_ENTITIES:
        labels = Counter(image.entities.get(entity, 'none') for image in images)
        if len(labels) > 1:
            counts = ', '.join(f'{label} ({count})' for label, count in labels.most_common())
            logger.warning(
                '%s (%s): images of several %s labels are taken together: %s; choose with '
                '--bids-filter-file',
                *(group.scalar, group.stem, entity, counts),
            )


def _say_map_itself(group: ScalarGroup) -> None:
    if count := group.rungs.get(MAP_ITSELF):
        logger.warning(
            '%s (%s): no mask found for %d of %d images; their own finite voxels other than '
            'zero will serve',
            *(group.scalar, group.stem, count, len(group.rows)),
        )
