"""Several images where one was expected: never a silent choice, always the filter that decides.

Sessions and runs of one participant are rows of their own where a table of phenotypes has a row
for each, or if the user selects them (``--session-label 1 2``). Otherwise the rows would repeat
what is known of one person, and a model would take them for several.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from modelarrayio_bids.derivatives.bids import entities as bids_entities
from modelarrayio_bids.derivatives.bids.dataset import Dataset
from modelarrayio_bids.derivatives.bids.query import Image
from modelarrayio_bids.derivatives.cohorts.participant_tables import Visit
from modelarrayio_bids.derivatives.cohorts.phenotypes import Phenotypes
from modelarrayio_bids.errors import AmbiguousMatchError
from modelarrayio_bids.runtime.grouping import grouped

#: Entities that give an image its own row in a cohort.
ROW_ENTITIES = ('subject', 'session', 'run')
# Labels as they stand in folders right below a dataset's own: any signs, so that none is cut short.
_FOLDERS = re.compile(r'/sub-(?P<subject>[^/]+?)(?:[/_]ses-(?P<session>[^/]+))?/')
_CUT_SHORT = re.compile(r'(?:^|_)((?:sub|ses)-[a-zA-Z0-9+]+[^a-zA-Z0-9+_.][^_.]*)')
_SESSION = ('subject', 'session')


# Scalar and stem.
Key = tuple[str, str]


class Ambiguity(NamedTuple):
    """An error about images that a model could confuse, and the scalars that it concerns."""

    scalars: tuple[str, ...]
    error: AmbiguousMatchError


def ambiguities(
    scalars: Mapping[Key, Sequence[Image]], phenotypes: Phenotypes, chosen: Collection[str] = ()
) -> Iterator[Ambiguity]:
    """Yield what is not one image per row from one dataset, or has rows that nothing tells apart.

    Scalars that are ambiguous in the same way are named together.

    Parameters
    ----------
    scalars : mapping
        Scalar and stem to images.
    phenotypes : Phenotypes
        Tables that may have a row for each session and run.
    chosen : collection of str, optional
        Entities (``session``, ``run``) selected by the user: each label becomes a row.
    """
    for (error_of, how), found in grouped(_odd(scalars, phenotypes, chosen)).items():
        names = tuple(dict.fromkeys(scalar for (scalar, _), _ in found))
        yield Ambiguity(names, error_of(how, found))


def _odd(
    scalars: Mapping[Key, Sequence[Image]], phenotypes: Phenotypes, chosen: Collection[str]
) -> Iterator[tuple[tuple[Callable[..., AmbiguousMatchError], Any], tuple[Key, Any]]]:
    """Yield the error of a scalar and in which way it is ambiguous; its key and its images."""
    for key, images in scalars.items():
        datasets = {image.dataset for image in images}
        if len(datasets) > 1:
            yield (_of_datasets, frozenset(datasets)), (key, images)
        elif several := [row for row in _by(images, *ROW_ENTITIES) if len(row) > 1]:
            yield (_of_images, _labels_of(several[0])), (key, several)
        else:
            for entity, alike in _repeated(images, phenotypes):
                if entity not in chosen:
                    yield (_of_repeated, entity), (key, alike)


def misplaced(
    scalars: Mapping[Key, Sequence[Image]], datasets: Iterable[Dataset]
) -> Iterator[Ambiguity]:
    """Yield images whose name says another participant or session than the folder they lie in.

    Nor may a label hold other signs than letters and digits: it would be cut short, and sub-A-01
    be taken for sub-A.
    """
    roots = {dataset.name: dataset.root for dataset in datasets}
    for (scalar, _), images in scalars.items():
        for image in images:
            found = None if image.by_path else _CUT_SHORT.search(image.path.name)
            if found:
                error = AmbiguousMatchError(
                    f'has an invalid participant or session label: {found[1]!r} is not a BIDS '
                    'label, which has only letters and digits',
                    image.path,
                    'Rename it, its folder and its row in the tables.',
                )
                yield Ambiguity((scalar,), error)
            elif other := _other_folder(image, roots[image.dataset]):
                entity, label = other
                error = AmbiguousMatchError(
                    f'is named after {entity} {image.entities[entity]} and lies in the folder of '
                    f'{entity} {label}',
                    image.path,
                    'Find out whose it is, and rename it or move it.',
                )
                yield Ambiguity((scalar,), error)


def errors_of(found: Sequence[Ambiguity], scalars: Iterable[str]) -> Iterator[AmbiguousMatchError]:
    """Yield the errors of ambiguities; the last one says how the other scalars can be built."""
    others = sorted(set(scalars).difference(*(one.scalars for one in found)))
    for number, (_, error) in enumerate(found, start=1):
        if others and number == len(found):
            instead = f'Or build the others: the same command with --scalars {" ".join(others)}'
            yield AmbiguousMatchError(error.what, error.path, f'{error.remedy} {instead}')
        else:
            yield error


def _other_folder(image: Image, root: Path) -> tuple[str, str] | None:
    folders = _FOLDERS.match(str(image.path)[len(str(root)) :])
    for entity, label in folders.groupdict().items() if folders else ():
        if label is not None and image.entities.get(entity, label) != label:
            return entity, label
    return None


def _repeated(
    images: Sequence[Image], phenotypes: Phenotypes
) -> Iterator[tuple[str, Sequence[Image]]]:
    """Yield images that no phenotypes tell apart, with the entity in which they differ."""
    for entity, alike in (('session', _by(images, 'subject')), ('run', _by(images, *_SESSION))):
        for several in alike:
            firsts = {image.entities.get(entity): image for image in reversed(several)}
            visits = [Visit.of(image.entities) for image in firsts.values()]
            if len(visits) > 1 and not phenotypes.tell_apart(visits):
                yield entity, list(firsts.values())[::-1]


def _by(images: Sequence[Image], *names: str) -> list[list[Image]]:
    pairs = ((tuple(image.entities.get(name) for name in names), image) for image in images)
    return list(grouped(pairs).values())


def _of_datasets(
    datasets: Collection[str], found: Sequence[tuple[Key, Sequence[Image]]]
) -> AmbiguousMatchError:
    examples = {image.dataset: image.path for image in reversed(found[0][1])}
    shown = '; '.join(f'{name}: {path}' for name, path in sorted(examples.items()))
    comes = 'comes' if len(found) == 1 else 'come'
    return AmbiguousMatchError(
        f'{_named(found)} {comes} from {len(datasets)} datasets ({shown})',
        remedy='Name one of them alone with -d NAME=PATH, or give the scalars of one a name of '
        'their own with --recipe FILE.',
    )


def _of_images(
    labels: str, found: Sequence[tuple[Key, Sequence[Sequence[Image]]]]
) -> AmbiguousMatchError:
    first = found[0][1][0]
    rows = {row_of(images[0]) for _, several in found for images in several}
    have = 'has' if len(found) == 1 else 'have'
    return AmbiguousMatchError(
        f'{_named(found)} {have} several images for one row, for {len(rows)} participants, '
        f'sessions or runs; first: {", ".join(str(image.path) for image in first)}'
        + (f' (they differ in {labels})' if labels else ''),
        remedy=_remedy(_differing(first), first[0]),
    )


def _named(found: Iterable[tuple[Key, Any]]) -> str:
    by_stem = grouped((stem, scalar) for (scalar, stem), _ in found)
    return ', '.join(f'{", ".join(scalars)} ({stem})' for stem, scalars in by_stem.items())


def row_of(image: Image) -> tuple[str | None, ...]:
    """Return the labels that make an image a row of its own in a cohort."""
    return tuple(image.entities.get(name) for name in ROW_ENTITIES)


def _labels_of(images: Sequence[Image]) -> str:
    """Return what tells images apart: entities and their labels."""
    labels = {
        name: dict.fromkeys(image.entities.get(name, 'absent') for image in images)
        for name in _differing(images)
    }
    return '; '.join(f'{name}: {", ".join(several)}' for name, several in labels.items())


def _of_repeated(entity: str, found: Sequence[tuple[Key, Sequence[Image]]]) -> AmbiguousMatchError:
    scalars = ', '.join(dict.fromkeys(scalar for (scalar, _), _ in found))
    participants = {image.entities['subject'] for _, images in found for image in images}
    first = found[0][1]
    labels = list({image.entities.get(entity): None for _, images in found for image in images})
    return AmbiguousMatchError(
        f'{scalars}: {len(participants)} participants have several {entity}s, which no table of '
        f'phenotypes tells apart; first: {", ".join(str(image.path) for image in first)}',
        remedy=f'{_choice(entity, labels)}; or give a table with a row for each, and a column '
        f'{entity}_id, with --phenotypes.',
    )


def _choice(entity: str, labels: Sequence[str | None]) -> str:
    """Return the options that take one of them, and each as a row."""
    one = next(filter(None, labels))
    if entity == 'session' and None not in labels:
        return (
            f'Choose one with --session-label {one}; or take each as a row with --session-label '
            f'{" ".join(filter(None, labels))}'
        )
    single, each = (json.dumps({'scalar': {entity: what}}) for what in (one, list(labels)))
    all_of_them = ','.join(label or '' for label in labels)
    return (
        f'Choose one with --select {entity}={one}, or --bids-filter-file, for instance {single}; '
        f'or take each as a row with --select {entity}={all_of_them}, or with {each}'
    )


def _differing(images: Sequence[Image]) -> list[str]:
    further = dict.fromkeys(name for image in images for name in image.entities)
    return [
        name
        for name in dict.fromkeys([*bids_entities.names(), *further])
        if len({image.entities.get(name) for image in images}) > 1
    ]


def _remedy(differing: Sequence[str], image: Image) -> str:
    if not differing:
        return 'Their names hold no entity that tells them apart: move one out of the dataset.'
    wanted = {name: image.entities.get(name) for name in differing}
    words = ' '.join(f'{name}={label or ""}' for name, label in wanted.items())
    return (
        f'Choose with --select {words}, or --bids-filter-file, for instance '
        f'{json.dumps({"scalar": wanted})}.'
    )
