"""The recipe for Apptainer makes what the Dockerfile makes."""

import re
import shlex

import pytest
from pages import DOCS, ROOT
from tools import missing

RECIPE, DOCKERFILE = ROOT / 'Apptainer.def', ROOT / 'Dockerfile'


@pytest.fixture(scope='module')
def docker():
    """Instructions of the stages that make the image for users, comments and line ends undone."""
    if not DOCKERFILE.exists():
        missing('there is no Dockerfile in the image of the tests')
    text = re.sub(r'^\s*#.*\n', '', DOCKERFILE.read_text('utf-8'), flags=re.MULTILINE)
    lines = text.replace('\\\n', ' ').splitlines()
    found, stage = [], ''
    for name, _, words in (line.partition(' ') for line in lines if line):
        stage = words.rpartition(' AS ')[2] if name == 'FROM' else stage
        if 'test' not in stage:
            found.append((name, words))
    return found


@pytest.fixture(scope='module')
def recipe():
    """Sections of the recipe: (name, lines without comments), in order."""
    text = RECIPE.read_text('utf-8').replace('\\\n', ' ')
    text = re.sub(r'^\s*#.*\n', '', text, flags=re.MULTILINE)
    parts = re.split(r'^%(.+)$', text, flags=re.MULTILINE)[1:]
    # What follows a section up to the next may be the header of a stage.
    return [
        (name, [line.strip() for line in body.splitlines() if line.startswith('    ')])
        for name, body in zip(parts[::2], parts[1::2], strict=True)
    ]


def commands(lines):
    """Each command of shell lines, as words."""
    joined = [part for line in lines for part in line.split(' && ')]
    return [[' '.join(word.split()) for word in shlex.split(command)] for command in joined]


def test_the_same_commands_in_the_same_order(docker, recipe):
    wanted = commands([words for name, words in docker if name == 'RUN'])
    # A tag is given when Docker's image is built; here it is in the environment.
    wanted = [command for command in wanted if command[0] != 'echo']
    made = [line for name, lines in recipe if name == 'post' for line in lines]
    found = [command for command in commands(made) if command[0] != 'set']
    build, final = found[:-3], found[-3:]
    lists = wanted.pop(2)
    assert (wanted[:2], lists) == (final[:2], final[2])
    # Lists of packages are fetched once in a stage.
    assert [each for each in wanted if each != ['apt-get', 'update']] == build[1:]


def test_the_same_files(docker, recipe):
    copied = [words.split() for name, words in docker if name == 'COPY']
    sources = {source for *all_of_one, _ in copied for source in all_of_one}
    given = {line.split()[0] for name, lines in recipe if name == 'files' for line in lines}
    own = {name for name in sources if not name.startswith(('/', '--'))}
    assert {name.split('/')[0] for name in own} == given
    assert all((ROOT / name).exists() for name in given)
    kept = [line.split() for name, lines in recipe if name == 'files from build' for line in lines]
    assert kept == [words[1:] for words in copied if words[0] == '--from=build']


def test_the_same_environment_and_entry_point(docker, recipe):
    sections = dict(recipe)
    variables = [word for name, words in docker if name == 'ENV' for word in words.split()]
    exported = [line.removeprefix('export ') for line in sections['environment']]
    tag = 'MODELARRAYIO_CONTAINER_TAG='
    assert [word for word in variables if not word.startswith(tag)] == exported[:-1]
    assert exported[-1] == f'{tag}modelarrayio-bids'
    assert ('ENTRYPOINT', '["modelarrayio-bids"]') in docker
    assert sections['runscript'] == ['exec modelarrayio-bids "$@"']


def test_both_begin_with_the_same_system(docker):
    bases = [words for name, words in docker if name == 'FROM']
    named = re.findall(r'^From: (.*)$', RECIPE.read_text('utf-8'), re.MULTILINE)
    assert {f'{base} AS python' for base in named} <= set(bases)
    assert f'apptainer build modelarrayio-bids.sif {RECIPE.name}' in (DOCS / 'hpc.md').read_text()
