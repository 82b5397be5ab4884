"""Several images where one was expected: never a silent choice, always the filter that decides.

Sessions and runs of one participant are rows of their own where a table of phenotypes has a row
for each, or where a person names them (``--session-label 1 2``). Otherwise the rows would repeat
what is known of one person, and a model would take them for several.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from modelarrayio_bids.derivatives.bids import entities as bids_entities
from modelarrayio_bids.derivatives.bids.dataset import Dataset
from modelarrayio_bids.derivatives.bids.query import Image
from modelarrayio_bids.derivatives.cohorts.phenotypes import Phenotypes
from modelarrayio_bids.derivatives.cohorts.tables import Visit
from modelarrayio_bids.errors import AmbiguousMatchError

#: What makes an image a row of its own in a cohort.
ROW_ENTITIES = ('subject', 'session', 'run')
# Labels as they stand in folders right below a dataset's own: any signs, so that none is cut short.
_FOLDERS = re.compile(r'/sub-(?P<subject>[^/]+?)(?:[/_]ses-(?P<session>[^/]+))?/')
_CUT_SHORT = re.compile(r'(?:^|_)((?:sub|ses)-[a-zA-Z0-9+]+[^a-zA-Z0-9+_.][^_.]*)')
_SESSION = ('subject', 'session')


def ambiguities(
    scalars: Mapping[tuple[str, str], Sequence[Image]],
    phenotypes: Phenotypes,
    chosen: Collection[str] = (),
) -> Iterator[AmbiguousMatchError]:
    """What is not one image per row from one dataset, or has rows that nothing tells apart.

    Parameters
    ----------
    scalars : mapping
        Scalar and stem to images.
    phenotypes : Phenotypes
        What may tell sessions and runs apart.
    chosen : collection of str, optional
        Those of ``session`` and ``run`` that a person chose by name: each is to be a row.
    """
    repeated: dict[str, list[tuple[str, Sequence[Image]]]] = defaultdict(list)
    for (scalar, stem), images in scalars.items():
        by_dataset = {image.dataset: image for image in reversed(images)}
        if len(by_dataset) > 1:
            yield _of_datasets(scalar, stem, by_dataset)
        elif several := _several(images):
            yield _of_images(scalar, stem, several)
        else:
            for entity, alike in _repeated(images, phenotypes):
                if entity not in chosen:
                    repeated[entity].append((scalar, alike))
    for entity, found in repeated.items():
        yield _of_repeated(entity, found)


def misplaced(
    scalars: Iterable[Sequence[Image]], datasets: Iterable[Dataset]
) -> Iterator[AmbiguousMatchError]:
    """Images whose name says another participant or session than the folder they lie in.

    Nor may a label hold other signs than letters and digits: it would be cut short, and sub-A-01
    be taken for sub-A.
    """
    roots = {dataset.name: dataset.root for dataset in datasets}
    for image in (image for images in scalars for image in images):
        if found := _CUT_SHORT.search(image.path.name):
            yield AmbiguousMatchError(
                f'does not tell whose it is: {found[1]!r} is no label of BIDS, which has letters '
                'and digits only',
                image.path,
                'Rename it, its folder and its row in the tables.',
            )
        elif other := _other_folder(image, roots[image.dataset]):
            entity, label = other
            yield AmbiguousMatchError(
                f'is named after {entity} {image.entities[entity]} and lies in the folder of '
                f'{entity} {label}',
                image.path,
                'Find out whose it is, and rename it or move it.',
            )


def _other_folder(image: Image, root: Path) -> tuple[str, str] | None:
    folders = _FOLDERS.match(str(image.path)[len(str(root)) :])
    for entity, label in folders.groupdict().items() if folders else ():
        if label is not None and image.entities.get(entity, label) != label:
            return entity, label
    return None


def _repeated(
    images: Sequence[Image], phenotypes: Phenotypes
) -> Iterator[tuple[str, Sequence[Image]]]:
    """For each participant, or session of one, whose images no phenotypes tell apart: by what."""
    for entity, alike in (('session', _by(images, 'subject')), ('run', _by(images, *_SESSION))):
        for several in alike:
            firsts = {image.entities.get(entity): image for image in reversed(several)}
            visits = [Visit.of(image.entities) for image in firsts.values()]
            if len(visits) > 1 and not phenotypes.tell_apart(visits):
                yield entity, list(firsts.values())[::-1]


def _by(images: Sequence[Image], *names: str) -> list[list[Image]]:
    found: dict[tuple[str | None, ...], list[Image]] = defaultdict(list)
    for image in images:
        found[tuple(image.entities.get(name) for name in names)].append(image)
    return list(found.values())


def _several(images: Sequence[Image]) -> list[list[Image]]:
    return [row for row in _by(images, *ROW_ENTITIES) if len(row) > 1]


def _of_datasets(scalar: str, stem: str, examples: Mapping[str, Image]) -> AmbiguousMatchError:
    found = '; '.join(f'{name}: {image.path}' for name, image in sorted(examples.items()))
    return AmbiguousMatchError(
        f'{scalar} ({stem}) comes from {len(examples)} datasets ({found})',
        remedy='Name one of them alone with -d NAME=PATH, or give the scalars of one a name of '
        'their own with --recipe FILE.',
    )


def _of_images(scalar: str, stem: str, several: Sequence[Sequence[Image]]) -> AmbiguousMatchError:
    first = several[0]
    found = ', '.join(str(image.path) for image in first)
    differing = _differing(first)
    unknown = _unknown(first)
    told = {name: _labels(name, first) for name in differing} | unknown
    labels = '; '.join(f'{name}: {label}' for name, label in told.items())
    return AmbiguousMatchError(
        f'{scalar} ({stem}) has several images for one row, for {len(several)} '
        f'participants, sessions or runs; first: {found}'
        + (f' (they differ in {labels})' if labels else ''),
        remedy=_remedy(differing, first[0], unknown),
    )


def _of_repeated(entity: str, found: Sequence[tuple[str, Sequence[Image]]]) -> AmbiguousMatchError:
    scalars = ', '.join(dict.fromkeys(scalar for scalar, _ in found))
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
    """The option that takes one of them, and that which takes each as a row."""
    one = next(filter(None, labels))
    if entity == 'session' and None not in labels:
        return (
            f'Choose one with --session-label {one}; or take each as a row with --session-label '
            f'{" ".join(filter(None, labels))}'
        )
    single, each = (json.dumps({'scalar': {entity: what}}) for what in (one, list(labels)))
    return (
        f'Choose one with --bids-filter-file, for instance {single}; or take each as a row with '
        f'{each}'
    )


def _differing(images: Sequence[Image]) -> list[str]:
    return [
        name
        for name in bids_entities.names()
        if len({image.entities.get(name) for image in images}) > 1
    ]


def _labels(name: str, images: Sequence[Image]) -> str:
    labels = dict.fromkeys(image.entities.get(name, 'absent') for image in images)
    return ', '.join(labels)


def _unknown(images: Sequence[Image]) -> dict[str, str]:
    """What else tells these names apart, of which no filter and no recipe can speak."""
    found = [bids_entities.unknown_pairs(image.path.name) for image in images]
    labels = {
        key: list(dict.fromkeys(pairs.get(key, 'absent') for pairs in found))
        for key in dict.fromkeys(key for pairs in found for key in pairs)
    }
    return {key: ', '.join(several) for key, several in labels.items() if len(several) > 1}


def _remedy(differing: Sequence[str], image: Image, unknown: Collection[str]) -> str:
    if not differing and unknown:
        return (
            f'No entity is known by the name of {" or ".join(unknown)}, so no filter can choose: '
            'leave the scalar out with --scalars, or give a folder, of links say, with one of them.'
        )
    if not differing:
        return 'Their names hold no entity that tells them apart: move one out of the dataset.'
    wanted = {name: image.entities.get(name) for name in differing}
    return f'Choose with --bids-filter-file, for instance {json.dumps({"scalar": wanted})}.'
