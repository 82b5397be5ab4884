"""Writes what ``--help-all`` prints into the pages of the commands: ``make descriptor``."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parents[1]
SHOWN = re.compile(r'^\$ ([^\n]*--help-all)\n.*?(?=^```$)', re.MULTILINE | re.DOTALL)
# Defaults of the machine that this runs on.
OF_THE_MACHINE = re.compile(r'(?<=default: )([^()]*, )\d+(?=\))')


def printed(found: re.Match[str]) -> str:
    """Return a command and what it prints, as a terminal of 100 columns shows it."""
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ['PATH']])
    env = os.environ | {'COLUMNS': '100', 'PATH': places}
    done = subprocess.run(found[1].split(), env=env, text=True, check=True, capture_output=True)
    text = OF_THE_MACHINE.sub(r'\1...', done.stdout)
    return f'$ {found[1]}\n{text}'


if __name__ == '__main__':
    for page in DOCS.glob('usage*.md'):
        page.write_text(SHOWN.sub(printed, page.read_text('utf-8')), 'utf-8')
