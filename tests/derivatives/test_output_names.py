from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelarrayio_bids.derivatives.bids.output_names import Outputs, sidecar, syntactic
from modelarrayio_bids.store.schema import is_r_name


@given(st.from_regex(r'[a-zA-Z0-9+_.-]{1,20}', fullmatch=True))
def test_every_name_becomes_one_that_r_takes(name):
    assert is_r_name(syntactic(name))


@pytest.mark.parametrize('name', ['dki_fa', 'noddi_icvf_modulated'])
def test_names_that_r_takes_stay(name):
    assert syntactic(name) == name


def test_outputs_lie_in_the_scalars_folder_named_by_what_tells_groups_apart():
    entities = {
        'subject': '01',
        'res': '2',
        'space': 'X',
        'cohort': '1',
        'task': 'rest',
        'run': '1',
    }
    outputs = Outputs.of(Path('out'), 'reho', entities)
    assert [
        path.relative_to('out/reho').as_posix()
        for path in (outputs.cohort, outputs.group_mask, outputs.coverage, outputs.store)
    ] == [
        'task-rest_space-X_cohort-1_res-2_cohort.csv',
        'task-rest_space-X_cohort-1_res-2_desc-group_mask.nii.gz',
        'task-rest_space-X_cohort-1_res-2_coverage.nii.gz',
        'task-rest_space-X_cohort-1_res-2_modelarray.h5',
    ]


def test_sidecars_do_not_collide():
    outputs = Outputs(Path('cbf'), 'space-X')
    paths = [outputs.cohort, outputs.group_mask, outputs.coverage, outputs.store]
    assert len({sidecar(path) for path in paths}) == len(paths)
    assert sidecar(outputs.group_mask).name == 'space-X_desc-group_mask.json'
