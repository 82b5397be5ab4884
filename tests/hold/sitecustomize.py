"""Python imports this before a program that ``held.py`` starts, and which is to stand still.

Files say that it stands and that it may go on: they pass shells, containers and schedulers too.
"""

import json
import os
import re
import sys
import time

# After which nobody is left who could let it go on, in seconds.
GIVE_UP = 900


def hold(folder: str, event: str, pattern: str, first: int) -> None:
    """Stand still at each event whose arguments match, from the first of interest on."""
    seen = 0

    def hook(name: str, arguments: tuple) -> None:
        nonlocal seen
        if name == event and re.search(pattern, ' '.join(map(str, arguments))):
            seen += 1
            if seen >= first and not os.path.exists(f'{folder}/go'):
                stand(
                    f'{folder}/stands{seen - first}', f'{folder}/go', f'{folder}/go{seen - first}'
                )

    sys.addaudithook(hook)


def stand(sign: str, *until: str) -> None:
    os.mkdir(sign)
    end = time.monotonic() + GIVE_UP
    while not any(map(os.path.exists, until)) and time.monotonic() < end:
        # What a signal raises leaves it, and the hook.
        time.sleep(0.002)


# What the program starts does not stand.
if 'HELD' in os.environ:
    hold(*json.loads(os.environ.pop('HELD')))
