"""Each pitfall of pybids that this layer steers around, on a tree that shows it."""

import re

import pytest
import trees
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelarrayio_bids.derivatives.bids.dataset import Dataset
from modelarrayio_bids.derivatives.bids.entities import names
from modelarrayio_bids.derivatives.bids.query import find_images


def found(root, *args, **kwargs):
    images = find_images(Dataset.from_folder(root), *args, **kwargs)
    return {image.path.relative_to(root).as_posix(): dict(image.entities) for image in images}


def touch(root, *paths):
    trees.describe(root, 'x')
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


def test_entities_of_derivatives_are_parsed(tmp_path):
    path = 'sub-01/dwi/sub-01_space-MNIInfant_cohort-1_model-dki_param-fa_dwimap.nii.gz'
    assert found(touch(tmp_path / 'x', path)) == {
        path: {
            'subject': '01',
            'space': 'MNIInfant',
            'cohort': '1',
            'model': 'dki',
            'param': 'fa',
            'suffix': 'dwimap',
            'datatype': 'dwi',
            'extension': '.nii.gz',
        }
    }


def test_folders_above_the_dataset_do_not_lend_their_names(tmp_path):
    root = tmp_path / 'sub-99' / 'ses-9' / 'anat' / 'desc-x_space-y' / 'derivatives' / 'ds'
    path = 'sub-01/perf/sub-01_cbf.nii.gz'
    assert found(touch(root, path))[path] == {
        'subject': '01',
        'suffix': 'cbf',
        'datatype': 'perf',
        'extension': '.nii.gz',
    }


def test_an_equals_sign_in_the_path_is_harmless(tmp_path):
    assert len(found(touch(tmp_path / 'a=b' / 'x', 'sub-01/perf/sub-01_cbf.nii.gz'))) == 1


def test_nested_and_source_datasets_and_other_files_are_not_entered(tmp_path):
    kept = 'sub-01/dwi/sub-01_param-fa_dwimap.nii'
    root = touch(
        tmp_path / 'x',
        kept,
        'derivatives/y/sub-01/dwi/sub-01_param-md_dwimap.nii.gz',
        'sourcedata/sub-01/dwi/sub-01_param-md_dwimap.nii.gz',
        'sub-01/figures/sub-01_param-md_dwimap.svg',
        'sub-01/dwi/sub-01_model-gqi_dwimap.fib.gz',
        'sub-01/dwi/sub-01_model-csd_param-fod_dwimap.mif.gz',
        'sub-01/dwi/.sub-01_param-md_dwimap.nii.gz',
        'README',
    )
    assert list(found(root)) == [kept]


def test_an_empty_sidecar_and_a_missing_description_are_harmless(tmp_path):
    root = touch(tmp_path / 'x', 'sub-01/perf/sub-01_cbf.nii.gz', 'sub-01/perf/sub-01_cbf.json')
    (root / 'dataset_description.json').unlink()
    assert len(found(root)) == 1


@pytest.mark.parametrize('participants', [['01'], ['sub-01']])
def test_participants_with_or_without_prefix_and_whole_labels_only(tmp_path, participants):
    paths = [f'sub-{label}/perf/sub-{label}_cbf.nii.gz' for label in ('01', '010', '1')]
    assert list(found(touch(tmp_path / 'x', *paths), participants)) == paths[:1]


def test_sessions_keep_what_belongs_to_none_and_the_anatomy_of_others(tmp_path):
    root = touch(
        tmp_path / 'x',
        'sub-01/anat/sub-01_desc-brain_mask.nii.gz',
        'sub-01/ses-1/anat/sub-01_ses-1_desc-brain_mask.nii.gz',
        'sub-01/ses-1/perf/sub-01_ses-1_cbf.nii.gz',
        'sub-01/ses-2/perf/sub-01_ses-2_cbf.nii.gz',
        'sub-01/ses-20/perf/sub-01_ses-20_cbf.nii.gz',
    )
    assert list(found(root, sessions=['ses-2'])) == [
        'sub-01/anat/sub-01_desc-brain_mask.nii.gz',
        'sub-01/ses-1/anat/sub-01_ses-1_desc-brain_mask.nii.gz',
        'sub-01/ses-2/perf/sub-01_ses-2_cbf.nii.gz',
    ]


def test_an_empty_dataset_has_no_images(tmp_path):
    assert found(touch(tmp_path / 'x')) == {}


labels = st.from_regex(r'[a-zA-Z0-9+]{1,8}', fullmatch=True)
optional = [name for name in names() if name not in {'subject', 'suffix', 'datatype', 'extension'}]


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(
            labels,
            st.dictionaries(st.sampled_from(optional), labels, max_size=8),
            st.from_regex(r'[a-zA-Z][a-zA-Z0-9]{0,8}', fullmatch=True),
            st.sampled_from(['anat', 'func', 'dwi', 'perf']),
            st.sampled_from(['.nii', '.nii.gz', '.dscalar.nii']),
        ),
        max_size=5,
    )
)
def test_what_is_found_is_what_was_made(tmp_path_factory, files):
    expected = {}
    for subject, entities, suffix, datatype, extension in files:
        ordered = [name for name in names() if name in entities]
        parts = [f'{"ses" if n == "session" else n}-{entities[n]}' for n in ordered]
        name = '_'.join([f'sub-{subject}', *parts, suffix]) + extension
        expected[f'sub-{subject}/{datatype}/{name}'] = {
            'subject': subject,
            **entities,
            'suffix': suffix,
            'datatype': datatype,
            'extension': extension,
        }
    assert found(touch(tmp_path_factory.mktemp('ds'), *expected)) == expected


def test_patterns_look_at_the_base_name_alone():
    from modelarrayio_bids.derivatives.bids.entities import configuration

    for entity in configuration()['entities']:
        if entity['name'] != 'datatype':
            assert not re.search(entity['pattern'], f'/{entity["name"]}-x/sub-1_ses-2/plain')
