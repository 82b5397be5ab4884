"""Commands in a fork of the test's process: what one of its own is for, without its start.

To load the libraries again takes seconds of each start. What the start or the end of Python itself
does needs :mod:`subprocess`.
"""

import ctypes
import os
import sys
import tempfile
import traceback
from dataclasses import dataclass


@dataclass(frozen=True)
class Done:
    """How a command ended, with the names of :class:`subprocess.CompletedProcess`."""

    returncode: int
    stdout: str
    stderr: str


def run_forked(main, arguments, prepare=lambda: None):
    """Run ``main(arguments)`` in a fork of this process, after ``prepare()``."""
    streams = [tempfile.TemporaryFile() for _ in range(2)]  # noqa: SIM115
    child = os.fork()
    if not child:
        code = 99
        try:
            for number, stream in enumerate(streams, start=1):
                os.dup2(stream.fileno(), number)
            # What pytest put there is another process's.
            sys.stdout, sys.stderr = (
                os.fdopen(number, 'w', closefd=False, encoding='utf-8', errors='backslashreplace')
                for number in (1, 2)
            )
            prepare()
            code = main([str(word) for word in arguments])
        except SystemExit as ended:
            code = ended.code
        except BaseException:  # noqa: BLE001
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    texts = []
    for stream in streams:
        stream.seek(0)
        texts.append(stream.read().decode())
        stream.close()
    return Done(os.waitstatus_to_exitcode(status), *texts)


def drop_rights():
    """Let this process do no more than an owner may: root may do all, by its capabilities."""
    if os.geteuid() != 0:
        return
    # See capset(2); version 3 of the header, and none of three sets of two words each.
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    if ctypes.CDLL(None, use_errno=True).capset(header, (ctypes.c_uint32 * 6)()):
        raise OSError(ctypes.get_errno(), 'capset')
