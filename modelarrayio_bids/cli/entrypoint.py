"""``modelarrayio-bids`` as it is installed, and as the image starts: the BIDS App.

So that an image needs one entry point only, a file command of ``modelarrayio`` as the first word
is handed to it: ``docker run IMAGE to-modelarray …``. A dataset of that name has to be given as
``./to-modelarray``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from modelarrayio_bids.cli import bids_app, files


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of ``modelarrayio-bids``; returns an exit code."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    program = files if words[:1] and words[0] in files.COMMANDS else bids_app
    return program.main(words)


if __name__ == '__main__':
    raise SystemExit(main())
