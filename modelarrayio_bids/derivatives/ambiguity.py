"""Several images where one was expected: never a silent choice, always the filter that decides."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from modelarrayio_bids.derivatives import entities as bids_entities
from modelarrayio_bids.derivatives.query import Image
from modelarrayio_bids.errors import AmbiguousMatchError

#: What makes an image a row of its own in a cohort.
ROW_ENTITIES = ('subject', 'session', 'run')


def ambiguities(
    scalars: Mapping[tuple[str, str], Sequence[Image]],
) -> Iterator[AmbiguousMatchError]:
    """One error for each scalar and space that is not one image per row from one dataset.

    Parameters
    ----------
    scalars : mapping
        Scalar and stem to images.
    """
    for (scalar, stem), images in scalars.items():
        by_dataset = {image.dataset: image for image in reversed(images)}
        if len(by_dataset) > 1:
            yield _of_datasets(scalar, stem, by_dataset)
        elif several := _several(images):
            yield _of_images(scalar, stem, several)


def _several(images: Sequence[Image]) -> list[list[Image]]:
    rows: dict[tuple[str | None, ...], list[Image]] = defaultdict(list)
    for image in images:
        rows[tuple(image.entities.get(name) for name in ROW_ENTITIES)].append(image)
    return [row for row in rows.values() if len(row) > 1]


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
    labels = '; '.join(f'{name}: {_labels(name, first)}' for name in differing)
    return AmbiguousMatchError(
        f'{scalar} ({stem}) has several images for one row, for {len(several)} '
        f'participants, sessions or runs; first: {found}'
        + (f' (they differ in {labels})' if differing else ''),
        remedy=_remedy(differing, first[0]),
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


def _remedy(differing: Sequence[str], image: Image) -> str:
    if not differing:
        return 'Their names hold no entity that tells them apart: move one out of the dataset.'
    wanted = {name: image.entities.get(name) for name in differing}
    return f'Choose with --bids-filter-file, for instance {json.dumps({"scalar": wanted})}.'
