"""Python imports this before a program that ``held.py`` starts, and which is to stand still.

Folders say that it stands and that it may go on: they pass shells, containers and schedulers too.
"""

import json
import os
import re
import sys
import time
from pathlib import Path

# After which nobody is left who could let it go on, in seconds.
GIVE_UP = 900


def hold(folder: str, event: str, pattern: str, first: int) -> None:
    """Stand still at each event whose arguments match, from the first of interest on."""
    seen, go = 0, Path(folder, 'go')

    def hook(name: str, arguments: tuple) -> None:
        nonlocal seen
        if name == event and re.search(pattern, ' '.join(map(str, arguments))):
            seen += 1
            if seen >= first and not go.exists():
                number = seen - first
                stand(Path(folder, f'stands{number}'), Path(folder, f'go{number}'), go)

    sys.addaudithook(hook)


def stand(sign: Path, *until: Path) -> None:
    sign.mkdir()
    end = time.monotonic() + GIVE_UP
    while not any(path.exists() for path in until) and time.monotonic() < end:
        # What a signal raises leaves it, and the hook.
        time.sleep(0.002)


# What the program starts does not stand.
if 'HELD' in os.environ:
    hold(*json.loads(os.environ.pop('HELD')))
