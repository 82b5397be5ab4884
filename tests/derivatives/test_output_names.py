from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelarrayio_bids.derivatives.bids.output_names import (
    NameTemplate,
    Outputs,
    sidecar,
    space_name,
    stores_below,
    syntactic,
)
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


@pytest.mark.parametrize(
    ('text', 'entities', 'name'),
    [
        ('alff', {}, 'alff'),
        ('{model}_{param}', {'model': 'DKI', 'param': 'FA'}, 'dki_fa'),
        ('{suffix}[_{desc}]', {'suffix': 'cbf', 'desc': 'scrub'}, 'cbf_scrub'),
        ('{suffix}[_{desc}]', {'suffix': 'cbf'}, 'cbf'),
        ('{param}[_{desc}x]_map', {'param': 'FA', 'desc': 'a'}, 'fa_ax_map'),
        ('{param}', {'param': '3D'}, 'X3d'),
    ],
)
def test_a_template_is_filled_with_labels(text, entities, name):
    assert NameTemplate.from_text(text).fill(entities) == name


def test_a_template_keeps_capitals_where_it_says_so():
    assert NameTemplate('{param}', keeps_case=True).fill({'param': 'FA'}) == 'FA'


def test_entities_of_a_template():
    template = NameTemplate.from_text('{suffix}[_{desc}]')
    assert (template.required, template.entities) == (('suffix',), ('suffix', 'desc'))


@pytest.mark.parametrize('text', ['a-b', '{model', '{model} {param}', '[{desc}', '{sub}'])
def test_what_is_no_template(text):
    with pytest.raises(ValueError, match='^name: '):
        NameTemplate.from_text(text)


@pytest.mark.parametrize(
    ('entities', 'name'),
    [
        ({'space': 'X', 'cohort': '1', 'res': '2'}, 'X:cohort-1:res-2'),
        ({'space': 'X', 'suffix': 'cbf'}, 'X'),
        ({'suffix': 'cbf'}, ''),
    ],
)
def test_spaces_as_fmriprep_writes_them(entities, name):
    assert space_name(entities) == name


def test_scripts_lie_beside_the_scalars_folders():
    assert Outputs(Path('out/cbf'), '').fit_script == Path('out/code/fit_cbf.R')
    assert Outputs(Path('out/cbf'), 'res-2').fit_script == Path('out/code/fit_cbf_res-2.R')


def test_what_a_killed_run_left_is_no_output(tmp_path):
    names = ['cbf/x_modelarray.h5', 'cbf/.unfinished-1-x_modelarray.h5', '.work/x_modelarray.h5']
    for name in [*names, 'cbf/x.h5']:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert stores_below(tmp_path) == [tmp_path / names[0]]
