"""JSON sidecars, with the description and the sources of each output."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modelarrayio_bids import resampling
from modelarrayio_bids.cohort import MASK, MASK_SOURCE, SCALAR, SOURCE, Cohort
from modelarrayio_bids.derivatives.bids.description import software
from modelarrayio_bids.derivatives.bids.output_names import Outputs, sidecar
from modelarrayio_bids.derivatives.bids.uris import Uris
from modelarrayio_bids.derivatives.cohorts.collection import Collection
from modelarrayio_bids.derivatives.cohorts.columns import (
    MIXED,
    PARTICIPANT,
    RESAMPLED,
    RUN,
    SESSION,
)
from modelarrayio_bids.derivatives.cohorts.groups import ScalarGroup
from modelarrayio_bids.derivatives.cohorts.mask_matching import SEARCH_ORDER
from modelarrayio_bids.derivatives.cohorts.phenotypes import Phenotypes
from modelarrayio_bids.spaces.input_files import image_files

_COLUMNS = {
    SCALAR: 'The name of the scalar in the HDF5 file.',
    SOURCE: 'The image.',
    MASK: "The image's own mask: outside of it values are missing.",
    RESAMPLED: 'Whether the image was on another grid than the group: see Resampling.',
    MASK_SOURCE: f'Where that mask came from, one of: {", ".join(SEARCH_ORDER)}.',
    PARTICIPANT: 'The participant.',
    SESSION: 'The session.',
    RUN: 'The run.',
    **{f'{name}_id': f'The label of {name}, which differs between the images.' for name in MIXED},
}


def sidecars(
    group: ScalarGroup,
    outputs: Outputs,
    cohort: Cohort,
    collection: Collection,
    threshold: float | None = None,
) -> dict[Path, dict[str, Any]]:
    """Return sidecars of the cohort, the HDF5 file and, where there are any, mask and coverage.

    Parameters
    ----------
    group : ScalarGroup
        Images described by the sidecars.
    outputs : Outputs
        Files described by the sidecars.
    cohort : Cohort
        As :meth:`ScalarGroup.write_cohort` returned it.
    collection : Collection
        Collection with the group: names of its datasets are used in BIDS URIs.
    threshold : float, optional
        Fraction of the masks a voxel of the group mask is in; None if the user gave the mask.

    Returns
    -------
    dict
        By the sidecar's own path: its content.
    """
    uris = Uris(outputs.folder.parent, collection.datasets)
    sources, given = cohort.sources(), collection.request.group_mask_file
    masks = uris.of(source.mask for source in sources if source.mask is not None)
    masked = ', their masks' if group.needs_masks else ''
    limit = {} if threshold is None else {'GroupMaskThreshold': threshold}
    about: list[tuple[Path, str, list[str], dict[str, Any]]] = [
        (
            outputs.cohort,
            f'The images of {group.long_name}{masked} and the phenotypes.',
            uris.of(row.image for row in group.rows),
            {
                **_of_columns(group, cohort, collection.phenotypes),
                **_of_people(group, collection),
                **_of_grids(group, outputs, uris),
            },
        )
    ]
    if group.needs_masks:
        mask_sources = masks if given is None else uris.of([given])
        mask = outputs.group_mask, 'The voxels analysed.', mask_sources, {'Type': 'Brain', **limit}
        about += [mask, (outputs.coverage, 'The number of masks each voxel is in.', masks, {})]
    made_of = [path for path, *_ in about if path != outputs.coverage]
    images = uris.of(file for source in sources for file in image_files(source))
    facts = _of_store(group) | (limit if group.needs_masks else {})
    about.append(
        (outputs.store, f'{group.long_name}, for ModelArray.', [*uris.of(made_of), *images], facts)
    )
    return {
        sidecar(path): {
            'Description': what,
            'Sources': made_from,
            **content,
            'GeneratedBy': [software()],
        }
        for path, what, made_from, content in about
    }


def _of_store(group: ScalarGroup) -> dict[str, Any]:
    return {
        'Scalar': group.scalar,
        'LongName': group.long_name,
        **({'Units': group.units} if group.units else {}),
        **({'DisplayRange': list(group.range)} if group.range else {}),
        'Elements': group.kind,
    }


def _of_columns(
    group: ScalarGroup, cohort: Cohort, phenotypes: Phenotypes
) -> dict[str, dict[str, Any]]:
    """Return a data dictionary as BIDS has it, with levels and units of those of the tables."""
    said = {
        name: phenotypes.description(column)
        for column, name in phenotypes.renamed(group.scalar).items()
    }
    of_paths = {name for row in group.rows for name in row.columns}
    said |= {name: {'Description': 'Part of the path of the image'} for name in of_paths}
    return {
        column: {'Description': _COLUMNS[column]} if column in _COLUMNS else said[column]
        for column in cohort.columns
    }


def _of_people(group: ScalarGroup, collection: Collection) -> dict[str, Any]:
    """Return images that were left out, and participants in tables or among images alone."""
    unmatched = {
        str(one.table): {
            'WithoutPhenotypes': list(one.without_phenotypes),
            'WithoutImages': list(one.without_images),
        }
        for one in collection.unmatched(group)
    }
    left_out = [
        {'Image': str(one.image), 'Of': str(one.visit), 'Reason': one.reason}
        for one in group.left_out
    ]
    named = {'Unmatched': unmatched, 'LeftOut': left_out}
    return {name: content for name, content in named.items() if content}


def _of_grids(group: ScalarGroup, outputs: Outputs, uris: Uris) -> dict[str, Any]:
    """Return how images were brought to the grid of the others, and where they were before."""
    if group.reference is None:
        return {}
    originals = {
        uris.one(outputs.own_map(row.own_name)): uris.one(row.image)
        for row in group.rows
        if row.resampled
    }
    grid = {'Grid': uris.one(group.reference), 'Originals': originals}
    return {'Resampling': {**resampling.DESCRIPTION, **grid}}
