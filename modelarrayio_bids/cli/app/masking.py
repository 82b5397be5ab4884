"""Options of the group level about masks and grids."""

from __future__ import annotations

import argparse

from modelarrayio_bids.cli.options import Section
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


def add_options(parser: Section) -> None:
    """Add the options."""
    group = parser.section('group: masks and grids')
    group.add_input(
        '--mask',
        metavar='NIFTI',
        help='use this mask for every volume image, in place of the masks found',
    )
    group.add_list(
        '--mask-source',
        choices=MASK_SOURCES,
        metavar='SOURCE',
        help='allow only masks from these sources. For each image, the first source with exactly '
        'one mask is used: same-dataset, other-dataset, relaxed (of another run, acquisition or '
        "task), anatomical (the mask of the anatomy, on the map's grid), map-itself (finite, "
        'non-zero voxels of the map), or no-map-itself (all but map-itself) (default: all)',
    )
    group.add_input(
        '--group-mask-file',
        metavar='NIFTI',
        help="mask of the voxels to analyse, such as the template's, on the grid of the images. "
        "Values outside a subject's own mask are still missing",
    )
    group.add(
        '--group-mask-threshold',
        type=float,
        metavar='FRACTION',
        help='analyse voxels present in at least this fraction of subject masks (default: 0.2, the '
        'same as num.subj.lthr.rel in ModelArray)',
    )
    group.add(
        '--on-grid-mismatch',
        choices=('error', 'drop', 'resample'),
        default='error',
        help='what to do with images on another grid than most, or than --group-mask-file: stop '
        'with an error, drop them, or resample them linearly (default: %(default)s)',
    )


def threshold(options: argparse.Namespace) -> float:
    """Return the fraction of masks a voxel of the group mask is in.

    Raises
    ------
    UsageError
        If it is not a fraction, or stands beside a group mask.
    """
    from modelarrayio_bids.masks import DEFAULT_THRESHOLD, masks_needed

    given = options.group_mask_threshold
    if given is None:
        return DEFAULT_THRESHOLD
    if options.group_mask_file is not None:
        raise UsageError(
            '--group-mask-threshold has no effect with --group-mask-file',
            remedy='Leave out one of them.',
        )
    masks_needed(given, 1)
    return given
