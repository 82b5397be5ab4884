"""What is made once for all processes of a run of pytest."""

import fcntl
import shutil
from pathlib import Path


def once(folder: Path, fill) -> Path:
    """Have a folder filled by the first that asks, while others wait; the folder."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    done = folder.with_name(f'{folder.name}.done')
    with open(folder.with_name(f'{folder.name}.lock'), 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            fill(folder)
            done.touch()
    return folder
