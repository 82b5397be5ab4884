import csv
import json

import pytest
import trees

from modelarrayio_bids.cli.bids_app import main


@pytest.fixture(scope='session')
def flow(tmp_path_factory):
    """Blood flow of four people, and what participants.tsv says of them: to be read only."""
    return trees.write_asl_study(tmp_path_factory.mktemp('flow') / 'study', trees.people(4))


@pytest.fixture
def group(flow, tmp_path, capfd):
    """Run the group level on one scalar: exit code, standard output and standard error."""

    def run(*options, root=flow, scalars=('cbf',), report=False):
        chosen = ['--scalars', *scalars] if scalars else []
        chosen += [] if report else ['--no-report']
        code = main([str(root), str(tmp_path / 'out'), 'group', *chosen, *map(str, options)])
        return code, *capfd.readouterr()

    return run


@pytest.fixture
def cohort(tmp_path):
    """The rows of the one cohort a run wrote, and its sidecar."""

    def read():
        (path,) = (tmp_path / 'out').rglob('*_cohort.csv')
        with path.open(newline='', encoding='utf-8') as file:
            rows = list(csv.DictReader(file))
        return rows, json.loads(path.with_suffix('.json').read_text('utf-8'))

    return read
