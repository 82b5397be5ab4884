"""Options of the group level about masks and grids: which voxels of which images count."""

from __future__ import annotations

import argparse

from modelarrayio_bids.cli.options import add, add_list, add_path
from modelarrayio_bids.errors import UsageError

# As in derivatives.cohorts.mask_matching, which --help must not load.
MASK_SOURCES = (
    'same-dataset',
    'other-dataset',
    'relaxed',
    'anatomical',
    'map-itself',
    'no-map-itself',
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    group = parser.add_argument_group('group: masks and grids')
    add_path(
        group,
        '--mask',
        metavar='NIFTI',
        help='mask that serves every volume, before any that is found',
    )
    add_list(
        group,
        '--mask-source',
        choices=MASK_SOURCES,
        metavar='SOURCE',
        help='allow only masks of these sources, of which the first that has exactly one serves '
        '(default: all but no-map-itself): same-dataset, other-dataset, relaxed (of another run, '
        'acquisition or task), '
        "anatomical (that of the anatomy, on the map's grid), map-itself (finite voxels other than "
        'zero), no-map-itself (any but that)',
    )
    add_path(
        group,
        '--group-mask-file',
        metavar='NIFTI',
        help="the voxels to analyse, such as a template's own mask, on the grid of the images; "
        "values outside a subject's own mask are missing all the same",
    )
    add(
        group,
        '--group-mask-threshold',
        type=float,
        metavar='FRACTION',
        help='fraction of subjects a voxel needs (default: 0.2, as num.subj.lthr.rel in '
        'ModelArray, so that the file holds what it would analyse)',
    )
    add(
        group,
        '--on-grid-mismatch',
        choices=('error', 'drop', 'resample'),
        default='error',
        help='images on another grid than most, or than --group-mask-file: stop and name them, '
        'leave them out, or resample them linearly (default: %(default)s)',
    )


def threshold(options: argparse.Namespace) -> float:
    """Return the fraction of masks a voxel of the group mask is in.

    Raises
    ------
    UsageError
        If it is no fraction, or stands beside a group mask.
    """
    from modelarrayio_bids.masks import DEFAULT_THRESHOLD, masks_needed

    given = options.group_mask_threshold
    if given is None:
        return DEFAULT_THRESHOLD
    if options.group_mask_file is not None:
        raise UsageError(
            'a group mask that is given has no threshold',
            remedy='Leave out --group-mask-file or --group-mask-threshold.',
        )
    masks_needed(given, 1)
    return given
