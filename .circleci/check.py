"""Whether every job runs make targets only, and those that there are."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
#: Credentials are read where they are, and no make target should know them.
ALLOWED = re.compile(r'echo "\$REGISTRY_PASSWORD" \| docker login .*')


def commands(step: Any) -> Iterator[str]:
    """What a step runs in a shell."""
    if isinstance(step, dict) and 'run' in step:
        run = step['run']
        yield run if isinstance(run, str) else run['command']


def problems() -> Iterator[str]:
    """What is wrong, by job."""
    jobs = yaml.safe_load((HERE / 'config.yml').read_text())['jobs']
    listed = subprocess.run(['make', 'help'], cwd=HERE.parent, check=True, capture_output=True)
    targets = {line.split()[0] for line in listed.stdout.decode().splitlines() if line.strip()}
    for name, job in jobs.items():
        for command in (line for step in job['steps'] for line in commands(step)):
            target = re.fullmatch(r'make ([a-z-]+)(?: \w+=(?:[\w./:$-]+|"[\w./:$ -]+"))*', command)
            if target is None and not ALLOWED.fullmatch(command):
                yield f'{name} runs {command!r}, which is no make target'
            elif target is not None and target[1] not in targets:
                yield f'{name} runs make {target[1]}, which make help does not list'


if __name__ == '__main__':
    sys.exit('\n'.join(f'.circleci/config.yml: {problem}' for problem in problems()) or 0)
