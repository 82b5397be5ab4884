"""Pages of the documentation, as their readers follow them."""

import doctest
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tools import require_r

ROOT = Path(__file__).parent.parent
DOCS = ROOT / 'docs'


@dataclass(frozen=True)
class Step:
    """A command, and what the page shows below it."""

    command: str
    output: str


def blocks(page, language):
    """The texts of a page's fenced blocks of one language."""
    return re.findall(
        rf'^```{language}\n(.*?)^```$', page.read_text('utf-8'), re.MULTILINE | re.DOTALL
    )


def steps(page):
    """Each command of a page's console blocks; lines that end in a backslash go on."""
    for block in blocks(page, 'console'):
        for part in re.split(r'^\$ ', block, flags=re.MULTILINE)[1:]:
            command, output = re.fullmatch(
                r'((?:[^\n]*\\\n)*[^\n]*\n)(.*)', part, re.DOTALL
            ).groups()
            yield Step(command.rstrip(), output)


def follow_all(page, folder):
    """Run every command of a page, in order; without R as far as it goes."""
    copy_downloads(page, folder)
    for step in steps(page):
        if step.command.startswith('Rscript'):
            require_r('rhdf5')
        follow(step, folder)


def follow(step, folder):
    """Run a command as a reader would, and compare what the terminal shows; what it shows."""
    done = subprocess.run(
        step.command, shell=True, cwd=folder, env=environment(), text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600,
    )  # fmt: skip
    shown = done.stdout
    assert done.returncode == 0, f'$ {step.command}\n{shown}'
    same = doctest.OutputChecker().check_output(step.output, shown, doctest.ELLIPSIS)
    assert same, f'$ {step.command}\n{shown}'
    return shown


def environment():
    """That of this process, with the commands beside its interpreter first."""
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ['PATH']])
    return os.environ | {'PATH': places, 'LC_ALL': 'C.UTF-8', 'COLUMNS': '100'}


def copy_downloads(page, folder):
    """The files that a page lets its reader download."""
    for name in set(re.findall(r'\{download\}`(?:[^`<]+<)?([^`>]+)', page.read_text('utf-8'))):
        shutil.copy(page.parent / name, folder)
