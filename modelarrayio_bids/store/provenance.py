"""Software, command and date, as a file keeps them."""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime

from modelarrayio_bids.__about__ import NAME, __version__


def run_provenance() -> dict[str, str]:
    """Return what a file says of the run that makes it.

    ``SOURCE_DATE_EPOCH`` fixes the date, for reproducible files.
    """
    now = float(os.environ.get('SOURCE_DATE_EPOCH', time.time()))
    return {
        'software': NAME,
        'version': __version__,
        'command': ' '.join(sys.argv),
        'created': datetime.fromtimestamp(now, UTC).isoformat(timespec='seconds'),
    }
