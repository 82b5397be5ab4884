"""Log messages about a whole collection: alike things once, with the scalars concerned."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from modelarrayio_bids.derivatives.cohorts.groups import Dropped, ScalarGroup
from modelarrayio_bids.derivatives.cohorts.mask_matching import MAP_ITSELF, Pairing
from modelarrayio_bids.derivatives.cohorts.participant_tables import Visit
from modelarrayio_bids.derivatives.cohorts.phenotype_checks import Remark
from modelarrayio_bids.derivatives.cohorts.phenotypes import Phenotypes, Unmatched
from modelarrayio_bids.errors import shell_pattern
from modelarrayio_bids.formats.pointers import not_installed
from modelarrayio_bids.runtime.grouping import grouped
from modelarrayio_bids.runtime.text_format import count, some

logger = logging.getLogger(__name__)

#: So many columns of one check are said in full: tables have thousands.
_MOST_REMARKS = 5


def say_not_installed(roots: Iterable[Path]) -> None:
    """Warn of subdatasets of these folders that are not installed: nothing in them is seen."""
    for root in dict.fromkeys(roots):
        if folders := not_installed(root):
            logger.warning(
                'not installed, so its files are not found: %s (%s); datalad get -n %s',
                *(count(len(folders), 'subdataset'), some(folders, most=3)),
                shell_pattern(list(map(str, folders))),
            )


def say_passed_over(pairings: Mapping[str, Iterable[Pairing]]) -> None:
    """Warn of images with several masks from one source: how many, and of which scalars.

    Parameters
    ----------
    pairings : mapping
        Scalar to what was found for its images.
    """
    found = grouped(
        (mask_source, (scalar, paths))
        for scalar, ones in pairings.items()
        for one in ones
        for mask_source, paths in one.passed_over
    )
    for mask_source, several in found.items():
        logger.warning(
            '%d images have several masks from the source %r, and none was used; first: %s. '
            'Scalars: %s',
            *(len(several), mask_source, ', '.join(map(str, several[0][1]))),
            _each(scalar for scalar, _ in several),
        )


def say_of_groups(groups: Sequence[ScalarGroup]) -> None:
    """Warn of what is odd about groups of images."""
    _say_map_itself(groups)
    _say_mixed(groups)
    _say_unknown(groups)
    _say_alike(groups)


def _say_map_itself(groups: Iterable[ScalarGroup]) -> None:
    """Warn of images without a mask: how many, and of which scalars."""
    unserved = [group for group in groups if group.mask_sources.get(MAP_ITSELF)]
    if unserved:
        logger.warning(
            'no mask found for %d of %d images; their finite, non-zero voxels are used as masks. '
            'Scalars: %s. Give one mask for all images with --mask',
            sum(group.mask_sources[MAP_ITSELF] for group in unserved),
            sum(len(group.rows) for group in unserved),
            _each(group.scalar for group in unserved),
        )


def _say_mixed(groups: Iterable[ScalarGroup]) -> None:
    """Warn of images acquired in several ways, and name the column that tells."""
    found = grouped(
        ((entity, _counts(row.labels[entity] or 'none' for row in group.rows)), group.scalar)
        for group in groups
        for entity in group.mixed
    )
    for (entity, counts), scalars in found.items():
        logger.warning(
            'images of several %s labels are combined, with a column %s_id: %s; '
            'to select some, use --bids-filter-file. Scalars: %s',
            *(entity, entity, counts, _each(scalars)),
        )


def _say_unknown(groups: Iterable[ScalarGroup]) -> None:
    """Warn of images of one scalar that differ in unknown key-value pairs."""
    found = grouped((item, group.scalar) for group in groups for item in group.unknown.items())
    for (key, labels), scalars in found.items():
        logger.warning(
            'images whose names differ in %s-, which is not an entity of BIDS, are combined: %s; '
            'check that they belong together, or select some with --select %s=LABEL. Scalars: %s',
            *(key, some(labels), key, _each(scalars)),
        )


def _say_alike(groups: Iterable[ScalarGroup]) -> None:
    """Warn of groups of one scalar whose labels differ in capitals or leading zeros alone."""
    found = grouped(
        ((group.scalar, group.kind, _without_zeros(group.stem.lower())), group) for group in groups
    )
    for (scalar, *_), alike in found.items():
        if len(alike) > 1:
            logger.warning(
                '%s is in %d files, as labels differ in capitals or zeros alone (%s): rename the '
                'images of one if they are alike',
                *(scalar, len(alike)),
                ', '.join(f'{group.stem}: {len(group.rows)} images' for group in alike),
            )


def say_left_out(dropped: Sequence[Dropped]) -> None:
    """Warn of images that the user's demands left out: how many, and whose."""
    for reason, visits in grouped((one.reason, one.visit) for one in dropped).items():
        whose = sorted(set(visits))
        logger.warning(
            'left out %d images %s, of %d participants or visits: %s',
            *(len(visits), reason, len(whose), some(whose)),
        )


def say_unmatched(unmatched: Iterable[Unmatched]) -> None:
    """Report participants without phenotypes or without images."""
    for one in unmatched:
        if one.without_phenotypes:
            logger.warning(
                '%d with images are not in %s, so their phenotypes in it are blank: %s',
                *(len(one.without_phenotypes), one.table, some(one.without_phenotypes)),
            )
        if one.without_images:
            logger.info(
                '%d in %s have no image: %s',
                *(len(one.without_images), one.table, some(one.without_images)),
            )
        if alike := _but_for_zeros(one):
            logger.warning(
                '%s: did a spreadsheet drop leading zeros? Nothing is joined to %s',
                *(one.table, some(alike)),
            )


def say_blanks(phenotypes: Phenotypes, visits: Collection[Visit]) -> None:
    """Report phenotypes that are blank."""
    if blanks := phenotypes.blanks(visits):
        counts = (f'{column} ({count})' for column, count in blanks.items())
        logger.info('missing values among %d images: %s', len(visits), some(counts, most=20))


def say_remarks(found: Iterable[Remark]) -> None:
    """Warn of phenotypes that look like slips: some columns of each check, others by name."""
    for check, several in grouped((remark.check, remark) for remark in found).items():
        for remark in several[:_MOST_REMARKS]:
            logger.warning('phenotype %s', remark)
        if others := several[_MOST_REMARKS:]:
            names = (name for remark in others for name in remark.columns)
            logger.warning('%s more like it (%s): %s', len(others), check, some(names, most=20))


def _but_for_zeros(one: Unmatched) -> list[str]:
    """Return participants who would have a row if its label had its leading zeros."""
    there = {_without_zeros(label) for label in one.without_images}
    return [label for label in one.without_phenotypes if _without_zeros(label) in there]


def _without_zeros(label: str) -> str:
    return re.sub(r'-0+(?=\d)', '-', label)


def _counts(labels: Iterable[str]) -> str:
    return ', '.join(f'{label} ({n})' for label, n in Counter(labels).most_common())


def _each(names: Iterable[str]) -> str:
    return ', '.join(dict.fromkeys(names))
