"""``python tests/benchmarks``, and ``python -m benchmarks`` from ``tests/``."""

import sys
from pathlib import Path

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.command import main

if __name__ == '__main__':
    raise SystemExit(main())
