"""A kind of elements that the package does not know: all of it is in this file.

Electrodes: text files with a name and a value in each line. One line registers them.
"""

import csv
import json

import h5py
import numpy as np
import pytest
from spaces.contract import SpaceContract
from stores import write_results

from modelarrayio_bids import to_modelarray
from modelarrayio_bids.cli.bids_app import main as bids_app
from modelarrayio_bids.cli.files import main
from modelarrayio_bids.cohort import Cohort
from modelarrayio_bids.errors import SpaceMismatchError
from modelarrayio_bids.spaces import SPACES, ElementSpace
from modelarrayio_bids.spaces.stored import validate
from modelarrayio_bids.store.kinds import TableForm
from modelarrayio_bids.store.schema import ElementTable

ENDING = '.electrodes.txt'
NAMES = ('Fp1', 'Fp2', 'C3', 'C4', 'O1')


class ElectrodeSpace(ElementSpace):
    """The electrodes of a cap, by name."""

    kind = 'electrodes'
    extensions = (ENDING,)
    table_forms = (TableForm('electrodes/electrode_id'),)

    def __init__(self, names):
        self.names = tuple(names)

    @classmethod
    def from_references(cls, references, sources):
        return cls(name for name, _ in rows_of(references.example or sources[0].path))

    @classmethod
    def from_template(cls, template):
        return cls(bytes(np.asarray(template['names'])).decode().split('\n'))

    def template(self):
        return {'names': np.frombuffer('\n'.join(self.names).encode(), np.uint8)}

    def __len__(self):
        return len(self.names)

    def __eq__(self, other):
        return isinstance(other, ElectrodeSpace) and self.names == other.names

    __hash__ = None

    def tables(self):
        return {'electrodes/electrode_id': ElementTable(np.array(self.names, object))}

    def check(self, source):
        if ElectrodeSpace(name for name, _ in rows_of(source.path)) != self:
            raise SpaceMismatchError('has other electrodes', source.path, 'Leave it out.')
        return 8 * len(self)

    def read(self, source):
        return np.array([value for _, value in rows_of(source.path)], np.float64)

    def write(self, values, path, fill=0.0, name=''):
        write_rows(path, values, self.names)

    def extension(self, compress):
        return ENDING

    def labels(self, elements):
        return [self.names[element] for element in elements]


def rows_of(path):
    return [line.split() for line in path.read_text().splitlines()]


def write_rows(path, values, names=NAMES):
    lines = (f'{name} {value!r}\n' for name, value in zip(names, values.tolist(), strict=True))
    path.write_text(''.join(lines))
    return path


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setitem(SPACES, ElectrodeSpace.kind, ElectrodeSpace)


class TestElectrodeSpace(SpaceContract):
    def make_space(self, folder):
        return ElectrodeSpace(NAMES)

    def make_others(self, folder):
        return [ElectrodeSpace(NAMES[:-1]), ElectrodeSpace(NAMES[::-1])]

    def make_row(self, folder, number, values):
        return {'source_file': str(write_rows(folder / f'{number}{ENDING}', values))}


POWER = np.random.default_rng(5).normal(10, 1, size=(8, len(NAMES)))


@pytest.fixture
def output(tmp_path):
    """What the file commands make of eight people, in a folder as the group level has them."""
    folder = tmp_path / 'out' / 'alpha'
    folder.mkdir(parents=True)
    with open(folder / 'cohort.csv', 'w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['participant_id', 'scalar_name', 'source_file'])
        for number, values in enumerate(POWER):
            path = write_rows(tmp_path / f'sub-{number:02d}{ENDING}', values)
            writer.writerow([f'sub-{number:02d}', 'alpha', path])
    command = ['--cohort-file', folder / 'cohort.csv', '--output', folder / 'modelarray.h5']
    assert main(['to-modelarray', *map(str, command)]) == 0
    analysed(folder / 'modelarray.h5')
    return tmp_path / 'out'


def analysed(store):
    results = np.column_stack([[5.0, -1, 0, 2, 9], [1e-4, 0.5, 0.9, 0.2, 1e-5]])
    write_results(store, 'mylm', ['age.statistic', 'age.p.value.fdr'], results)


def test_a_file_is_told_judged_and_exported(output, capsys):
    store = output / 'alpha' / 'modelarray.h5'
    capsys.readouterr()
    assert main(['info', str(store)]) == 0
    assert 'Elements  5 electrodes' in capsys.readouterr().out
    assert main(['info', str(store), '--json']) == 0
    assert json.loads(capsys.readouterr().out)['elements']['kind'] == 'electrodes'
    # No ids, since the results above have none: only a warning.
    assert {finding.rule.id for finding in validate(store)} == {'results-without-ids'}
    maps = output / 'maps'
    command = ['--analysis-name', 'mylm', '--input-hdf5', str(store), '--output-dir', str(maps)]
    assert main(['export-results', *command]) == 0
    shown = dict(rows_of(maps / f'mylm_age.statistic{ENDING}'))
    assert list(shown) == list(NAMES)
    assert list(map(float, shown.values())) == [5, -1, 0, 2, 9]


def test_rules_hold_for_its_table(output):
    store = output / 'alpha' / 'modelarray.h5'
    with h5py.File(store, 'r+') as file:
        del file['electrodes/electrode_id']
        file['electrodes/electrode_id'] = ['Fp1', 'Fp2']
    assert 'elements-count' in {finding.rule.id for finding in validate(store)}


def test_a_report_draws_nothing_special_and_is_whole(output):
    store = output / 'alpha' / 'modelarray.h5'
    cohort = Cohort.from_csv(store.with_name('cohort.csv'))
    to_modelarray(cohort, ElectrodeSpace(NAMES), store, overwrite=True, summaries=True)
    analysed(store)
    assert bids_app([str(output), str(output), 'group', '--reports-only']) == 0
    page = (output / 'report.html').read_text('utf-8')
    assert '5 electrodes' in page
    # By hand: two of the p values above are below 0.05, and the strongest is O1.
    assert '2 of 5 electrodes' in page
    assert 'Most significant: O1' in page
    assert 'each electrode by itself' in page
    with open(next((output / 'figures').glob('*desc-sources_summary.tsv'))) as file:
        means = [float(row['mean']) for row in csv.DictReader(file, delimiter='\t')]
    np.testing.assert_allclose(means, POWER.mean(axis=1), rtol=1e-6)
