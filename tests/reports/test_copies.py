"""Images that are the same file, of very many people: what is said, and how much is looked up."""

from pathlib import Path

import numpy as np

from modelarrayio_bids.cohort import Cohort
from modelarrayio_bids.derivatives.bids.output_names import Outputs
from modelarrayio_bids.reports.findings.outliers import findings
from modelarrayio_bids.reports.findings.output_folder import Output
from modelarrayio_bids.reports.page.scalars import ScalarPart, shared_files
from modelarrayio_bids.store.summary import ROW, Summary

N = 1500


class CountedNames(list):
    """Names that count how often one is asked for."""

    asked = 0

    def __getitem__(self, place):
        CountedNames.asked += 1
        return super().__getitem__(place)


def names():
    CountedNames.asked = 0
    return CountedNames(f'sub-{number}' for number in range(N))


def test_everybodys_file_is_the_same():
    rows = np.zeros(N, ROW)
    rows['sha256'], rows['maximum'], rows['mean'] = b'a', 1, 0.5
    each = np.ones(7, np.float32)
    summary = Summary(rows, np.ones(N), np.ones(N), N * each.astype(np.int32), each, each)
    found = findings(summary, names())
    assert [finding.source for finding in found] == list(range(N))
    assert found[2].text == (
        'is the same file as that of sub-0, sub-1, sub-3, sub-4, sub-5 and 1494 more'
    )
    # Twice, once for the files and once for their values, five names or six.
    assert CountedNames.asked <= 12 * N


def output(scalar):
    rows = [{'scalar_name': scalar, 'source_file': f'{number}.nii'} for number in range(N)]
    files = Outputs(Path('out', scalar), 'space-X')
    made = Output(Path('out'), files, Cohort.from_rows(rows), {}, {})
    vars(made)['names'] = names()
    return made


def test_one_file_serves_everybody_in_two_scalars():
    outputs = [output('cbf'), output('att')]
    parts = [ScalarPart(checksums=(b'a',) * N) for one in outputs]
    CountedNames.asked = 0
    found = list(shared_files(outputs, parts))
    assert len(found) == 2 * N
    made, row, others = found[N + 3]
    assert (made.scalar, row) == ('att', 3)
    assert others == (
        'sub-0 of cbf, sub-1 of cbf, sub-2 of cbf, sub-3 of cbf, sub-4 of cbf and 1495 more'
    )
    assert CountedNames.asked <= 2 * N
    assert not list(shared_files(outputs[:1], parts[:1]))
