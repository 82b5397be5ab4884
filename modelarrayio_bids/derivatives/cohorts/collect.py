"""Entry point: from a request to the groups of images that can be analysed.

::

    request = Request(Path('study'), Path('study/derivatives/modelarray'))
    collection = collect(request)
    print(collection.table())
    for group in collection.groups:
        group.write_cohort(group.outputs(request.output_dir), collection.phenotypes)
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from operator import attrgetter, itemgetter
from typing import Any

from modelarrayio_bids.derivatives.bids.dataset import Dataset
from modelarrayio_bids.derivatives.bids.name_shapes import suggestion
from modelarrayio_bids.derivatives.bids.output_names import GROUP_ENTITIES
from modelarrayio_bids.derivatives.bids.query import Image, find_fixel_files
from modelarrayio_bids.derivatives.cohorts import log_messages
from modelarrayio_bids.derivatives.cohorts.ambiguity import ambiguities, errors_of, misplaced
from modelarrayio_bids.derivatives.cohorts.classification import ImageTriage
from modelarrayio_bids.derivatives.cohorts.collection import Collection
from modelarrayio_bids.derivatives.cohorts.columns import MIXED, OWN_COLUMNS
from modelarrayio_bids.derivatives.cohorts.groups import CohortRow, Dropped, ScalarGroup
from modelarrayio_bids.derivatives.cohorts.mask_matching import (
    NOT_NEEDED,
    UNSERVED,
    MaskIndex,
    Pairing,
    allowed,
    pair,
)
from modelarrayio_bids.derivatives.cohorts.participant_tables import Visit
from modelarrayio_bids.derivatives.cohorts.phenotypes import Phenotypes
from modelarrayio_bids.derivatives.cohorts.request import Request
from modelarrayio_bids.derivatives.recipes.recipe import Recipe, fixel_recipe
from modelarrayio_bids.errors import NoMatchError, UsageError, raise_problems
from modelarrayio_bids.masks import say_unless_binary
from modelarrayio_bids.runtime.text_format import some
from modelarrayio_bids.spaces import SPACES

logger = logging.getLogger(__name__)

_MOST_LABELS = 30


def collect(request: Request, *, to_look_at: bool = False) -> Collection:
    """Find everything that can be analysed, and which mask serves each image.

    Parameters
    ----------
    request : Request
        Request that selects images.
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
    for given in filter(None, (request.in_mask, request.group_mask_file)):
        say_unless_binary(given)
    log_messages.say_not_installed(dataset.root for dataset in datasets)
    _require_participants(request, datasets)
    _say_not_there(request, datasets)
    found = _triage(request, datasets)
    _require_sessions(request, datasets, found)
    _require_scalars(found, request, datasets)
    found.keep_scalars()
    _require_scalars(found, request, datasets)
    found.keep_spaces()
    phenotypes = Phenotypes.find(request.table_folders(datasets), request.phenotypes)
    phenotypes.require_served(request.phenotypes, found.visits)
    _require_columns_once(found, phenotypes)
    dropped = found.require(phenotypes)
    scalars = found.scalars
    # An image in the wrong folder makes ambiguities of its own, which go with it.
    ambiguous = list(misplaced(scalars, datasets)) or list(
        ambiguities(scalars, phenotypes, request.chosen_rows)
    )
    problems = list(errors_of(ambiguous, (scalar for scalar, _ in scalars)))
    if not to_look_at:
        raise_problems(problems)
    found.drop_series()
    _require_scalars(found, request, datasets)
    groups = tuple(_groups(found, dropped, request))
    _require_masks(groups, request)
    log_messages.say_of_groups(groups)
    log_messages.say_left_out([one for several in dropped.values() for one in several])
    everybody = {visit for group in groups for visit in group.visits}
    log_messages.say_unmatched(phenotypes.unmatched(everybody, request.wants))
    visits = _visits(groups)
    log_messages.say_blanks(phenotypes, visits)
    log_messages.say_remarks(phenotypes.remarks(visits))
    return Collection(
        request, tuple(datasets), groups, found.left_out(), phenotypes, tuple(problems)
    )


def _triage(request: Request, datasets: Sequence[Dataset]) -> ImageTriage:
    triage = ImageTriage.of(request, _find(request, datasets))
    triage.require_entities()
    triage.drop_copies()
    return triage


def _find(
    request: Request, datasets: Sequence[Dataset]
) -> Iterator[tuple[Recipe, Sequence[Image]]]:
    """Yield the images of each dataset, with the recipe for them."""
    labels = request.participant_label, request.session_label
    for dataset in datasets:
        if not dataset.is_fixel_template:
            recipe = request.recipe(dataset)
            logger.info('%s (%s): recipe %s', dataset.name, dataset.root, recipe.name)
            yield recipe, recipe.find_images(dataset, *labels)
        for folder in dataset.fixel_directories:
            logger.info('%s (%s): a fixel directory', dataset.name, folder)
        yield fixel_recipe(), find_fixel_files(dataset, *labels)


def _require_participants(request: Request, datasets: Sequence[Dataset]) -> None:
    if not request.participant_label:
        return
    there = _participants(request, datasets)
    if missing := sorted(set(request.participant_label) - there):
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
    """Return the visits of all participants, by the entities that all groups have."""
    untold = [
        name
        for name in ('session', 'run')
        if not all(any(getattr(row, name) for row in group.rows) for group in groups)
    ]
    rows = (row for group in groups for row in group.rows)
    return sorted({row.visit._replace(**dict.fromkeys(untold, '')) for row in rows})


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


def _require_sessions(request: Request, datasets: Sequence[Dataset], found: ImageTriage) -> None:
    missing = sorted(set(request.session_label) - found.sessions_met)
    if not missing:
        return
    of_any = replace(request, session_label=())
    there = _triage(of_any, datasets).sessions_met
    absent = 'No image there has a session: leave out --session-label.'
    raise NoMatchError(
        f'there is no image{of_any.selection()} of the sessions {", ".join(missing)}',
        remedy=_there_are(missing, there) if there else absent,
    )


def _say_not_there(request: Request, datasets: Sequence[Dataset]) -> None:
    """Warn of participants to exclude who are not there: such a list often serves many datasets.

    If none of them is, the labels must be wrong.
    """
    excluded = set(request.exclude_participant_label)
    if not excluded:
        return
    there = _participants(request, datasets)
    if not excluded & there:
        raise NoMatchError(
            f'no dataset has any of the participants to exclude: {", ".join(sorted(excluded))}',
            remedy=_there_are(excluded, there),
        )
    if absent := sorted(excluded - there):
        logger.warning('no dataset has these participants to exclude: %s', ', '.join(absent))


def _require_scalars(found: ImageTriage, request: Request, datasets: Sequence[Dataset]) -> None:
    if len(found.used):
        return
    if request.images and not len(found.table):
        patterns = [pattern.text for one in request.images for pattern in one.patterns]
        raise NoMatchError(
            f'no file matches {some(patterns)} below {some([str(one.root) for one in datasets])}',
            remedy=suggestion(datasets[0].root) or 'Give patterns from that folder on.',
        )
    places = ', '.join(f'{dataset.name} ({dataset.root})' for dataset in datasets)
    reasons = '; '.join(
        f'{len(paths)} {reason}, such as {paths[0].name}'
        for reason, paths in found.left_out().items()
    )
    raise NoMatchError(
        f'nothing to analyse among {len(found.table)} images{request.selection()} of {places}'
        + (f'. Left out: {reasons}' if reasons else ''),
        remedy=(not len(found.table) and suggestion(datasets[0].root))
        or 'Name other datasets with -d NAME=PATH, or ask for less with the filters.',
    )


def _groups(
    found: ImageTriage, dropped: Mapping[Any, Sequence[Dropped]], request: Request
) -> Iterator[ScalarGroup]:
    find_mask = partial(
        pair,
        masks=MaskIndex.from_images(found.masks),
        given=request.in_mask,
        sources=allowed(request.mask_source),
    )
    passed_over: dict[str, list[Pairing]] = defaultdict(list)
    for (scalar, stem), members in sorted(found.groups.items(), key=itemgetter(0)):
        images = list(members.image)
        kind = images[0].kind
        masked = SPACES[kind].needs_masks
        pairings = [find_mask(image) if masked else Pairing(None, NOT_NEEDED) for image in images]
        passed_over[scalar] += pairings
        mixed = _mixed(images)
        rows = (_row(*both, mixed) for both in zip(images, pairings, strict=True))
        entities = images[0].entities
        description = members.recipe.iloc[0].described(scalar)
        yield ScalarGroup(
            scalar,
            {name: entities[name] for name in GROUP_ENTITIES if name in entities},
            tuple(sorted(rows, key=attrgetter('visit'))),
            ', '.join(sorted({image.dataset for image in images})),
            description.long_name,
            description.units,
            kind,
            description.range,
            left_out=tuple(dropped.get((scalar, stem), ())),
        )
    log_messages.say_passed_over(passed_over)


def _require_columns_once(found: ImageTriage, phenotypes: Phenotypes) -> None:
    """Refuse fields of patterns that are columns of the cohort already."""
    fields = {name for image in found.used.image for name, _ in image.columns}
    if twice := sorted(fields.intersection([*phenotypes.columns, *OWN_COLUMNS])):
        raise UsageError(
            f'{{{twice[0]}}} of a pattern is a column of the cohort without it',
            remedy=f'Write * there, or give the field another name, such as {twice[0]}_folder.',
        )


def _require_masks(groups: Sequence[ScalarGroup], request: Request) -> None:
    unserved = [(g.scalar, row) for g in groups for row in g.rows if row.mask_source == UNSERVED]
    if unserved:
        scalars = ', '.join(dict.fromkeys(scalar for scalar, _ in unserved))
        raise NoMatchError(
            f'{len(unserved)} of {sum(len(group.rows) for group in groups)} images have no mask '
            f'that --mask-source {" ".join(request.mask_source)} allows; first: '
            f'{unserved[0][1].image}. Scalars: {scalars}',
            remedy='Allow further sources, choose masks with --bids-filter-file, or give one with '
            '--mask.',
        )


def _mixed(images: Sequence[Image]) -> list[str]:
    """Return the entities that neither divide groups nor make rows, where labels differ."""
    return [name for name in MIXED if len({image.entities.get(name) for image in images}) > 1]


def _row(image: Image, pairing: Pairing, mixed: Sequence[str]) -> CohortRow:
    entities = image.entities
    return CohortRow(
        image.path,
        entities['subject'],
        entities.get('session'),
        entities.get('run'),
        pairing.mask,
        pairing.mask_source,
        {name: entities.get(name, '') for name in mixed},
        columns=dict(image.columns),
        by_path=image.by_path,
    )
