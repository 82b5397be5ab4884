"""Software, command and date, as a file keeps them."""

from __future__ import annotations

import sys

from modelarrayio_bids.__about__ import NAME, __version__
from modelarrayio_bids.runtime.clock import run_date
from modelarrayio_bids.runtime.redaction import redacted


def run_provenance() -> dict[str, str]:
    """Return what a file says of the run that makes it.

    ``SOURCE_DATE_EPOCH`` fixes the date, for reproducible files.
    """
    return {
        'software': NAME,
        'version': __version__,
        'command': redacted(' '.join(sys.argv)),
        'created': run_date().isoformat(timespec='seconds'),
    }
