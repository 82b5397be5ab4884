"""What is said aloud of a whole collection: alike things once, with the scalars they are about."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterable

from modelarrayio_bids.derivatives.groups import ScalarGroup
from modelarrayio_bids.derivatives.phenotypes import Phenotypes, Unmatched, some
from modelarrayio_bids.derivatives.tables import Visit

logger = logging.getLogger(__name__)


def say_left_out(groups: Iterable[ScalarGroup]) -> None:
    """How many images a person's demands left out, and whose."""
    dropped = [one for group in groups for one in group.left_out]
    for reason, count in Counter(one.reason for one in dropped).items():
        visits = sorted({one.visit for one in dropped if one.reason == reason})
        logger.warning(
            'left out %d images %s, of %d participants or visits: %s',
            *(count, reason, len(visits), some(map(str, visits))),
        )


def say_phenotypes(
    phenotypes: Phenotypes, visits: Collection[Visit], unmatched: Iterable[Unmatched]
) -> None:
    """Who is on one side of a join alone, and which phenotypes are blank or unexpected."""
    for one in unmatched:
        if one.without_phenotypes:
            logger.warning(
                '%d with images are not in %s, their phenotypes of it stay blank: %s',
                *(len(one.without_phenotypes), one.table, some(one.without_phenotypes)),
            )
        if one.without_images:
            logger.warning(
                '%d in %s have no image: %s',
                *(len(one.without_images), one.table, some(one.without_images)),
            )
    for column, count in phenotypes.blanks(visits).items():
        logger.info('%s is blank for %d of %d', column, count, len(visits))
    for oddity in phenotypes.oddities(visits):
        logger.warning('%s', oddity)
