"""Columns of cohorts and of tables of people: their names, and what dictionaries say of them.

Apart from the tables themselves, so that programs that need no table do not import pandas.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from modelarrayio_bids.cohort import MASK, MASK_SOURCE, SCALAR, SOURCE, Cohort
from modelarrayio_bids.derivatives.bids import entities as bids_entities
from modelarrayio_bids.derivatives.bids.json_files import read_json
from modelarrayio_bids.derivatives.bids.output_names import GROUP_ENTITIES
from modelarrayio_bids.errors import ModelArrayIOError
from modelarrayio_bids.runtime.text_format import count

logger = logging.getLogger(__name__)

PARTICIPANT = 'participant_id'
SESSION = 'session_id'
RUN = 'run_id'
KEYS = (PARTICIPANT, SESSION, RUN)
#: Column for images that were on another grid than the others: ``yes`` or ``no``.
RESAMPLED = 'resampled'
_OF_A_ROW = ('subject', 'session', 'run')
#: Entities that neither divide groups nor make rows, such as those of how an image was acquired.
#: Images that differ in them are combined, since the user, or a model, has to
#: judge the difference: a column says which is which.
MIXED = tuple(
    name
    for name in bids_entities.names()
    if name not in {*GROUP_ENTITIES, *_OF_A_ROW, 'suffix', 'datatype', 'extension'}
)
#: The columns of our own in a cohort, in their order.
OWN_COLUMNS = (
    *(SCALAR, SOURCE, MASK, MASK_SOURCE, RESAMPLED, *KEYS),
    *(f'{name}_id' for name in MIXED),
)


def said_of_repeats(cohort: Cohort) -> str:
    """Return what to know of a cohort of one scalar with several images of one participant.

    Blank where there is one of each.

    >>> row = {SCALAR: 'fa', PARTICIPANT: 'sub-1'}
    >>> rows = [row | {SOURCE: f'{n}.nii', 'age': n} for n in '12']
    >>> said_of_repeats(Cohort.from_rows(rows)).partition(',')[0]
    'fa: 2 images of 1 participant'
    """
    n_people = len({row.get(PARTICIPANT, row[SOURCE]) for row in cohort.rows})
    if n_people == len(cohort.rows):
        return ''
    return (
        f'{cohort.scalars[0]}: {count(len(cohort.rows), "image")} of '
        f'{count(n_people, "participant")}, and lm treats images of one participant as '
        'independent. Choose one image per participant (--session-label), or fit a model with an '
        f'intercept for each participant: model --formula with (1 | {PARTICIPANT})'
    )


def read_dictionary(path: Path) -> dict[str, dict[str, Any]]:
    """Read the JSON data dictionary of a table: column to its description.

    Without the file, or with a warning if it cannot be read, there are no descriptions.
    """
    try:
        content = read_json(path)
    except ModelArrayIOError as error:
        logger.warning('%s The columns are used without descriptions.', error)
        return {}
    said = {column: what for column, what in content.items() if isinstance(what, dict)}
    # Halves of surrogate pairs, which JSON can write, are not text that can be written again.
    return json.loads(json.dumps(said, ensure_ascii=False).encode('utf-8', 'replace'))
