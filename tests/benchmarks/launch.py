"""Run one command, and say how long it took and how much memory it had.

A program of its own that loads next to nothing: Linux counts the memory of the process that starts
another as that other's (``ru_maxrss`` lives through fork and exec), so a program started from one
with arrays in memory would seem to need as much.

The last line it prints is JSON: seconds of the clock and of processors, the exit code, and the peak
resident memory in MiB of the largest process the command was or waited for.
"""

import json
import os
import sys
import time


def main() -> None:
    start = time.monotonic()
    process = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ)
    _, status, usage = os.wait4(process, 0)
    seconds = time.monotonic() - start
    # macOS counts in bytes, Linux in KiB.
    peak = usage.ru_maxrss / (2**20 if sys.platform == 'darwin' else 2**10)
    cpu = usage.ru_utime + usage.ru_stime
    code = os.waitstatus_to_exitcode(status)
    result = {'code': code, 'seconds': seconds, 'cpu': cpu, 'peak': peak}
    print('\n' + json.dumps(result))


if __name__ == '__main__':
    main()
