"""The door: from a request to the groups of images that can be analysed.

::

    request = Request(Path('study'), Path('study/derivatives/modelarray'))
    collection = collect(request)
    print(collection.table())
    for group in collection.groups:
        group.write_cohort(group.outputs(request.output_dir), collection.phenotypes)
"""

from __future__ import annotations

import logging
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import pandas as pd

from modelarrayio_bids.derivatives.bids.dataset import Dataset
from modelarrayio_bids.derivatives.bids.entities import bare_label
from modelarrayio_bids.derivatives.bids.name_shapes import suggestion
from modelarrayio_bids.derivatives.bids.output_names import GROUP_ENTITIES, sidecar
from modelarrayio_bids.derivatives.bids.query import Image, find_fixel_files
from modelarrayio_bids.derivatives.cohorts import log_messages
from modelarrayio_bids.derivatives.cohorts.ambiguity import ambiguities, errors_of, misplaced
from modelarrayio_bids.derivatives.cohorts.classification import LeftOut, Sorting
from modelarrayio_bids.derivatives.cohorts.columns import MIXED, OWN_COLUMNS
from modelarrayio_bids.derivatives.cohorts.grids import reconciled
from modelarrayio_bids.derivatives.cohorts.groups import CohortRow, ScalarGroup
from modelarrayio_bids.derivatives.cohorts.mask_matching import (
    NOT_NEEDED,
    UNSERVED,
    MaskIndex,
    Pairing,
    allowed,
    pair,
)
from modelarrayio_bids.derivatives.cohorts.overview import as_object, listing
from modelarrayio_bids.derivatives.cohorts.participant_tables import Visit
from modelarrayio_bids.derivatives.cohorts.phenotypes import Phenotypes, Unmatched
from modelarrayio_bids.derivatives.cohorts.request import Request
from modelarrayio_bids.derivatives.recipes.recipe import fixel_recipe
from modelarrayio_bids.errors import (
    ModelArrayIOError,
    NoMatchError,
    SourceNotFoundError,
    UsageError,
    WouldLoseResultsError,
    raise_problems,
)
from modelarrayio_bids.formats.pointers import fetch_error
from modelarrayio_bids.runtime.text_format import count, some
from modelarrayio_bids.spaces import SPACES
from modelarrayio_bids.store.reader import appended_to
from modelarrayio_bids.store.writer import refuse_to_replace

logger = logging.getLogger(__name__)

#: So many labels are shown of those there are.
_MOST_LABELS = 30


@dataclass(frozen=True)
class Collection:
    """What was found.

    Parameters
    ----------
    request : Request
        What was asked for.
    datasets : tuple of Dataset
        Those looked into.
    groups : tuple of ScalarGroup
        By scalar and space.
    left_out : dict
        Reason to :class:`~modelarrayio_bids.derivatives.cohorts.classification.LeftOut`, the
        commonest first.
    phenotypes : Phenotypes
        What is known of the participants.
    problems : tuple of ModelArrayIOError, optional
        Why it can only be looked at.
    """

    request: Request
    datasets: tuple[Dataset, ...]
    groups: tuple[ScalarGroup, ...]
    left_out: Mapping[str, LeftOut]
    phenotypes: Phenotypes
    problems: tuple[ModelArrayIOError, ...] = ()

    def table(self) -> pd.DataFrame:
        """Return what ``--list-scalars`` shows, see :func:`.overview.listing`."""
        return listing(self.groups)

    @cached_property
    def not_fetched(self) -> list[SourceNotFoundError]:
        """The errors that images and masks would end with, as their content is not here."""
        files = {
            path for group in self.groups for row in group.rows for path in (row.image, row.mask)
        }
        errors = map(fetch_error, sorted(path for path in files if path is not None))
        return [error for error in errors if error is not None]

    def document(self) -> dict[str, Any]:
        """What ``--list-scalars --json`` shows: nothing but JSON's own types."""
        left_out = [
            {'reason': reason, 'count': out.count, 'examples': list(map(str, out.examples))}
            for reason, out in self.left_out.items()
        ]
        return {
            'scalars': [as_object(group) for group in self.groups],
            'left_out': left_out,
            'not_fetched': [error.path for error in self.not_fetched],
            'problems': list(map(str, self.problems)),
        }

    def unmatched(self, group: ScalarGroup) -> list[Unmatched]:
        """Who of a group is in no table of phenotypes, and who of a table is not in the group."""
        return self.phenotypes.unmatched(group.visits, self.request.wants)

    def reconciled(self) -> Collection:
        """Each group on one grid, as the request wants it: from headers alone.

        Raises
        ------
        ModelArrayIOError
            All problems of all groups together.
        """
        request = self.request
        groups = reconciled(self.groups, request.on_grid_mismatch, request.group_mask)
        dropped = [
            one.image
            for before, after in zip(self.groups, groups, strict=True)
            for one in after.left_out[len(before.left_out) :]
        ]
        more = {'on another grid': LeftOut.of(dropped)} if dropped else {}
        return replace(self, groups=groups, left_out={**self.left_out, **more})

    def files_read(self) -> Iterator[Path | None]:
        """Yield the images, the masks, and the files that were asked for by name."""
        request = self.request
        yield from (request.mask, request.group_mask, *request.phenotypes, *request.recipes)
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
                yield from (outputs.own_map(row.image), outputs.own_mask(row.image, 'present'))
                yield outputs.own_mask(row.image, 'resampled')

    def check_outputs(
        self,
        output_dir: Path,
        *,
        overwrite: bool = False,
        is_kept: Callable[[ScalarGroup], bool] = lambda _group: False,
    ) -> None:
        """Refuse to make anything where an HDF5 file holds results: all that goes with it stays.

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
                    problems.append(error)
            except ModelArrayIOError as error:
                problems.append(error)
        raise_problems(problems)

    def check_added(self, output_dir: Path) -> None:
        """Refuse to make anything where an HDF5 file has images, by ``append``, that are not here.

        Raises
        ------
        WouldLoseResultsError
            All such files together.
        """
        stores = [(group, group.outputs(output_dir).store) for group in self.groups]
        raise_problems([problem for pair in stores for problem in _dropped(*pair)])


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


def collect(request: Request, *, to_look_at: bool = False) -> Collection:
    """Find everything that can be analysed, and which mask serves each image.

    Parameters
    ----------
    request : Request
        What is wanted.
    to_look_at : bool, optional
        Keep ambiguities as the collection's problems rather than raise them: one scalar's are no
        reason to hide the others.

    Raises
    ------
    SourceNotFoundError, InvalidDatasetError
        If a folder, or the mask, is not there or is not what it should be.
    UsageError
        As :meth:`Request.look_into`.
    NoMatchError
        If nothing is left, or a participant, session or scalar asked for is not there.
    AmbiguousMatchError, CohortProblemsError
        If several images stand where one was expected, or one in another's folder: all such
        places together.
    """
    log_messages.say_not_installed([request.bids_dir, *request.datasets.values()])
    datasets = request.look_into()
    log_messages.say_not_installed(dataset.root for dataset in datasets)
    _require_participants(request, datasets)
    _say_not_there(request, datasets)
    found = _sorted(request, datasets)
    _require_sessions(request, datasets, found)
    _require_scalars(found, request, datasets)
    selection = request.selection()
    found.only(request.scalars, selection and f' among the images{selection}')
    _require_scalars(found, request, datasets)
    found.only_in(request.spaces)
    phenotypes = Phenotypes.find(request.table_folders(datasets), request.phenotypes)
    phenotypes.require_served(request.phenotypes, found.visits)
    _require_columns_once(found, phenotypes)
    found.require(phenotypes, request.required)
    # An image in the wrong folder makes ambiguities of its own, which go with it.
    ambiguous = list(misplaced(found.scalars, datasets)) or list(
        ambiguities(found.scalars, phenotypes, request.chosen_rows)
    )
    problems = list(errors_of(ambiguous, (scalar for scalar, _ in found.scalars)))
    if not to_look_at:
        raise_problems(problems)
    found.drop_series()
    _require_scalars(found, request, datasets)
    groups = tuple(_groups(found, request))
    _require_masks(groups, request)
    everybody = {visit for group in groups for visit in group.visits}
    log_messages.say_map_itself(groups)
    log_messages.say_mixed(groups)
    log_messages.say_unknown(groups)
    log_messages.say_alike(groups)
    log_messages.say_left_out([one for dropped in found.dropped.values() for one in dropped])
    log_messages.say_unmatched(phenotypes.unmatched(everybody, request.wants))
    visits = _visits(groups)
    log_messages.say_blanks(phenotypes, visits)
    log_messages.say_remarks(phenotypes.remarks(visits))
    return Collection(
        request, tuple(datasets), groups, found.left_out(), phenotypes, tuple(problems)
    )


def _sorted(request: Request, datasets: Sequence[Dataset]) -> Sorting:
    sessions = frozenset(bare_label(label) for label in request.sessions)
    excluded = frozenset(bare_label(label) for label in request.excluded)
    found = Sorting(request.bids_filters, sessions, excluded)
    for dataset in datasets:
        if not dataset.is_fixel_template:
            recipe = request.recipe(dataset)
            logger.info('%s (%s): recipe %s', dataset.name, dataset.root, recipe.name)
            images = recipe.find_images(dataset, request.participants, sessions)
            found.add(images, recipe)
        for folder in dataset.fixel_directories:
            logger.info('%s (%s): a fixel directory', dataset.name, folder)
        fixels = find_fixel_files(dataset, request.participants, sessions)
        found.add(fixels, fixel_recipe())
    found.require_entities()
    found.drop_copies()
    return found


def _require_participants(request: Request, datasets: Sequence[Dataset]) -> None:
    if not request.participants:
        return
    there = _participants(request, datasets)
    wanted = {bare_label(label) for label in request.participants}
    if missing := sorted(wanted - there):
        raise NoMatchError(
            f'no dataset has the participants {", ".join(missing)}',
            remedy=_there_are(missing, there),
        )


def _participants(request: Request, datasets: Sequence[Dataset]) -> set[str]:
    """Return the labels of all participants of the datasets."""
    there: set[str] = set()
    for dataset in datasets:
        there.update(dataset.subjects)
        if (recipe := request.recipe(dataset)).images:
            there.update(one.entities['subject'] for one in recipe.find_images(dataset, (), ()))
    return there


def _visits(groups: Sequence[ScalarGroup]) -> list[Visit]:
    """Return everybody's visits, by what all groups tell: runs of one pipeline are no people."""
    told = [
        name
        for name in ('session', 'run')
        if all(any(getattr(row, name) for row in group.rows) for group in groups)
    ]
    rows = (row for group in groups for row in group.rows)
    return sorted(
        {
            Visit(row.participant, **{name: getattr(row, name) or '' for name in told})
            for row in rows
        }
    )


def _there_are(missing: Iterable[str], there: Iterable[str]) -> str:
    """Return the labels there are, and those that may have been meant.

    >>> _there_are(['1', 'CONTROL2'], {'01', '02', 'control2'})
    'There are: 01, 02, control2. Do you mean 01, control2?'
    """
    remedy = f'There are: {some(sorted(there), most=_MOST_LABELS) or "none"}.'
    meant = {_plain(label) for label in missing}
    alike = [label for label in sorted(there) if _plain(label) in meant]
    return f'{remedy} Do you mean {some(alike)}?' if alike else remedy


def _plain(label: str) -> str:
    return label.lstrip('0').casefold()


def _require_sessions(request: Request, datasets: Sequence[Dataset], found: Sorting) -> None:
    wanted = {bare_label(label) for label in request.sessions}
    missing = sorted(wanted - found.sessions_met)
    if not missing:
        return
    images = (
        image
        for dataset in datasets
        for find in (request.recipe(dataset).find_images, find_fixel_files)
        for image in find(dataset, request.participants, ())
    )
    there = {image.entities['session'] for image in images if 'session' in image.entities}
    raise NoMatchError(
        f'there is no image{replace(request, sessions=()).selection()}'
        f' of the sessions {", ".join(missing)}',
        remedy=_there_are(missing, there)
        if there
        else 'No image there has a session: leave out --session-label.',
    )


def _say_not_there(request: Request, datasets: Sequence[Dataset]) -> None:
    """A list of people to exclude is often longer than the dataset: said, and no error."""
    excluded = {bare_label(label) for label in request.excluded}
    if excluded and (absent := sorted(excluded - _participants(request, datasets))):
        logger.warning('no dataset has these participants to exclude: %s', ', '.join(absent))


def _require_scalars(found: Sorting, request: Request, datasets: Sequence[Dataset]) -> None:
    if found.scalars:
        return
    if request.images and not found.n_images:
        patterns = [pattern.text for one in request.images for pattern in one.patterns]
        raise NoMatchError(
            f'no file fits {some(patterns)} below {some([str(one.root) for one in datasets])}',
            remedy=suggestion(datasets[0].root) or 'Give patterns from that folder on.',
        )
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


def _groups(found: Sorting, request: Request) -> Iterator[ScalarGroup]:
    find_mask = partial(
        pair,
        masks=MaskIndex.from_images(found.masks),
        given=request.mask,
        rungs=allowed(request.mask_sources),
    )
    passed_over: dict[str, list[Pairing]] = defaultdict(list)
    for (scalar, stem), images in sorted(found.scalars.items()):
        kind = images[0].kind
        masked = SPACES[kind].needs_masks
        pairings = [find_mask(image) if masked else Pairing(None, NOT_NEEDED) for image in images]
        passed_over[scalar] += pairings
        mixed = _mixed(images)
        rows = (_row(*both, mixed) for both in zip(images, pairings, strict=True))
        entities = images[0].entities
        wording = found.wordings[scalar]
        yield ScalarGroup(
            scalar,
            {name: entities[name] for name in GROUP_ENTITIES if name in entities},
            tuple(sorted(rows, key=_order)),
            ', '.join(sorted({image.dataset for image in images})),
            wording.long_name,
            wording.units,
            kind,
            wording.range,
            left_out=tuple(found.dropped[scalar, stem]),
        )
    log_messages.say_passed_over(passed_over)


def _require_columns_once(found: Sorting, phenotypes: Phenotypes) -> None:
    """Refuse fields of patterns that are columns of the cohort already."""
    images = (image for images in found.scalars.values() for image in images)
    fields = {name for image in images for name, _ in image.columns}
    if twice := sorted(fields.intersection([*phenotypes.columns, *OWN_COLUMNS])):
        raise UsageError(
            f'{{{twice[0]}}} of a pattern is a column of the cohort without it',
            remedy=f'Write * there, or give the field another name, such as {twice[0]}_folder.',
        )


def _require_masks(groups: Sequence[ScalarGroup], request: Request) -> None:
    unserved = [(g.scalar, row) for g in groups for row in g.rows if row.rung == UNSERVED]
    if unserved:
        scalars = ', '.join(dict.fromkeys(scalar for scalar, _ in unserved))
        raise NoMatchError(
            f'{len(unserved)} of {sum(len(group.rows) for group in groups)} images have no mask '
            f'that --mask-source {" ".join(request.mask_sources)} allows; first: '
            f'{unserved[0][1].image}. Scalars: {scalars}',
            remedy='Allow further sources, choose masks with --bids-filter-file, or give one with '
            '--mask.',
        )


def _mixed(images: Sequence[Image]) -> list[str]:
    """The entities that neither divide groups nor make rows, where their labels differ."""
    return [name for name in MIXED if len({image.entities.get(name) for image in images}) > 1]


def _row(image: Image, pairing: Pairing, mixed: Sequence[str]) -> CohortRow:
    entities = image.entities
    return CohortRow(
        image.path,
        entities['subject'],
        entities.get('session'),
        entities.get('run'),
        pairing.mask,
        pairing.rung,
        {name: entities.get(name, '') for name in mixed},
        columns=dict(image.columns),
        by_path=image.by_path,
    )


def _order(row: CohortRow) -> tuple[str, str, str]:
    return row.participant, row.session or '', row.run or ''
