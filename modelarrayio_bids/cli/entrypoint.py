"""``modelarrayio`` and ``modelarrayio-bids`` as they are installed, and as the image starts.

So that an image needs one entry point only, a file command of ``modelarrayio`` as the first word
is handed to it: ``docker run IMAGE to-modelarray …``. A dataset of that name has to be given as
``./to-modelarray``.

Before a command runs there is nothing to clean up: until then an interrupt ends the process as the
system does it, without a traceback. So nothing but this is imported first.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``modelarrayio-bids`` and return an exit code."""
    if arguments is None:
        return _alone('modelarrayio-bids')
    from modelarrayio_bids.cli import bids_app, files

    program = files if arguments[:1] and arguments[0] in files.COMMANDS else bids_app
    return program.main(list(arguments))


def modelarrayio() -> int:
    """Run ``modelarrayio`` and return an exit code."""
    return _alone('modelarrayio')


def _alone(program: str) -> int:
    """Run a program that has the process to itself."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        if program == 'modelarrayio-bids':
            return main(sys.argv[1:])
        from modelarrayio_bids.cli import files

        return files.main()
    finally:
        # All is written: Python's own end has nothing to tell of an interrupt.
        signal.signal(signal.SIGINT, signal.SIG_IGN)


if __name__ == '__main__':
    raise SystemExit(main())
