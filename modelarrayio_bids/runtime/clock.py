"""The date of a run."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime

from modelarrayio_bids.errors import UsageError

_EPOCH = 'SOURCE_DATE_EPOCH'


def run_date() -> datetime:
    """Return the date of this run: now, or what ``SOURCE_DATE_EPOCH`` fixes.

    See https://reproducible-builds.org/specs/source-date-epoch.

    Raises
    ------
    UsageError
        If that variable is not a number of seconds, or of a date beyond the calendar.
    """
    text = os.environ.get(_EPOCH)
    try:
        return datetime.fromtimestamp(time.time() if text is None else float(text), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise UsageError(
            f'{_EPOCH} is {text!r}, which is not a date in seconds since 1970',
            remedy=f'Give a whole number, such as 1700000000, or unset {_EPOCH}.',
        ) from error
