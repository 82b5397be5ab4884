"""The predecessor, installed from PyPI into an environment of its own, once."""

import subprocess
import venv
from pathlib import Path

REQUIREMENT = 'modelarrayio==26.0.0'


def install(home: Path) -> Path:
    """The predecessor's command in an environment at ``home``, made if it is not there."""
    command = home / 'bin' / 'modelarrayio'
    if not command.exists():
        print(f'Installing {REQUIREMENT} into {home}', flush=True)
        venv.create(home, with_pip=True, clear=True)
        pip = [home / 'bin' / 'python', '-m', 'pip', 'install', '--quiet']
        subprocess.run([*pip, '--disable-pip-version-check', REQUIREMENT], check=True)
    return command
