"""The convention of docs/fixel-folders.md."""

import pytest
import trees
from hypothesis import given
from hypothesis import strategies as st

from modelarrayio_bids.derivatives.bids.dataset import Dataset
from modelarrayio_bids.derivatives.bids.fixel_folders import fixel_files, parse_name
from modelarrayio_bids.derivatives.bids.query import find_fixel_files, find_images
from modelarrayio_bids.derivatives.bids.search import find_datasets
from modelarrayio_bids.derivatives.cohorts.collect import Request, collect
from modelarrayio_bids.errors import AmbiguousMatchError, InvalidDatasetError

LABEL = st.from_regex(r'[a-zA-Z0-9+]{1,6}', fullmatch=True)


@pytest.fixture
def template(tmp_path):
    return trees.write_fixels(tmp_path / 'template', trees.people(2))


@pytest.mark.parametrize(
    ('stem', 'entities'),
    [
        ('sub-01', {'subject': '01'}),
        ('sub-100', {'subject': '100'}),
        ('sub-01_ses-02', {'subject': '01', 'session': '02'}),
        ('sub-01_fd', {'subject': '01'}),
        ('sub-01_ses-a_run-1_log_fc', {'subject': '01', 'session': 'a', 'run': '1'}),
        ('sub-01_acq-x_fd.smooth', {'subject': '01', 'acq': 'x'}),
        ('sub-01_mine-x', {'subject': '01', 'mine': 'x'}),
        ('01', {}),
        ('tvalue', {}),
        ('group_sub-01', {}),
        ('sub-01-02', {}),
        ('sub-', {}),
        ('sub-01_fd_ses-2', {}),
        ('sub-01 copy', {}),
    ],
)
def test_names_are_taken_whole_or_not_at_all(stem, entities):
    assert parse_name(stem) == entities


@given(LABEL, LABEL, st.sampled_from(['', '_fd', '_log_fc']))
def test_labels_come_back_as_they_were(subject, session, measure):
    assert parse_name(f'sub-{subject}{measure}') == {'subject': subject}
    both = {'subject': subject, 'session': session}
    assert parse_name(f'sub-{subject}_ses-{session}{measure}') == both


def test_files_of_a_directory(template):
    folder = template / 'log_fc'
    for name in ('sub-01_ses-2.mif.gz', 'notes.txt', '.sub-05.mif', 'tvalue.mif', 'sub-07.nii'):
        (folder / name).touch()
    found = {path.name: dict(entities) for path, entities in fixel_files(folder)}
    mif = {'suffix': 'log_fc', 'extension': '.mif'}
    assert found == {
        'sub-01.mif': {'subject': '01', **mif},
        'sub-02.mif': {'subject': '02', **mif},
        'sub-01_ses-2.mif.gz': {
            'subject': '01', 'session': '2', 'suffix': 'log_fc', 'extension': '.mif.gz'
        },
        'sub-07.nii': {'subject': '07', 'suffix': 'log_fc', 'extension': '.nii'},
        'tvalue.mif': mif,
    }  # fmt: skip


@pytest.mark.parametrize('ending', ['.mif', '.mif.gz', '.nii', '.nii.gz'])
def test_a_folder_with_index_and_directions_is_a_fixel_directory(tmp_path, ending):
    folder = tmp_path / 'fd'
    folder.mkdir()
    (folder / f'index{ending}').touch()
    with pytest.raises(InvalidDatasetError, match='or the fixel directories'):
        Dataset.from_folder(tmp_path)
    (folder / f'directions{ending}').touch()
    assert Dataset.from_folder(tmp_path).fixel_directories == (folder,)
    assert Dataset.from_folder(folder).fixel_directories == (folder,)


def test_a_template_is_a_dataset_with_its_participants_and_without_a_warning(template, caplog):
    dataset = Dataset.from_folder(template)
    assert dataset.subjects == ('01', '02')
    assert dataset.is_fixel_template
    assert not caplog.records


def test_templates_are_found_among_derivatives_and_by_name(template, tmp_path):
    study = trees.describe(tmp_path / 'study')
    (study / 'derivatives').mkdir()
    template.rename(study / 'derivatives' / 'mrtrix')
    trees.write_xcp_d(study / 'derivatives' / 'xcp_d', trees.people(1))
    assert [dataset.name for dataset in find_datasets(study)] == ['mrtrix', 'xcp_d']
    given = find_datasets(study, {'mine': study / 'derivatives' / 'mrtrix' / 'fd'})
    assert [dataset.name for dataset in given] == ['mine']


def test_fixel_directories_may_stand_beside_participants(tmp_path):
    root = trees.write_xcp_d(tmp_path / 'xcp_d', trees.people(1))
    trees.write_fixels(root, trees.people(3), ('fd',))
    # As NIfTI the companions would look like images of BIDS' own.
    (root / 'fd' / 'index.nii').touch()
    dataset = Dataset.from_folder(root)
    assert dataset.subjects == ('01', '02', '03')
    assert not dataset.is_fixel_template
    assert {image.entities['subject'] for image in find_images(dataset)} == {'01'}
    assert [image.path.name for image in find_fixel_files(dataset)] == [
        'sub-01.mif', 'sub-02.mif', 'sub-03.mif',
    ]  # fmt: skip


def test_participants_and_sessions_choose_whole_labels(tmp_path):
    root = trees.write_fixels(tmp_path / 'template', [], ('fd',))
    for name in ('sub-100', 'sub-1001', 'sub-10_ses-1', 'sub-10_ses-10', 'sub-10_ses-1_fd'):
        (root / 'fd' / f'{name}.mif').touch()
    dataset = Dataset.from_folder(root)

    def names(*chosen):
        return [image.path.name for image in find_fixel_files(dataset, *chosen)]

    assert names(['sub-100']) == ['sub-100.mif']
    assert names(['10'], ['ses-1']) == ['sub-10_ses-1.mif', 'sub-10_ses-1_fd.mif']


def test_files_that_name_nobody_are_named(template, caplog):
    for name in ('tvalue', 'control1'):
        (template / 'fd' / f'{name}.mif').touch()
    find_fixel_files(Dataset.from_folder(template))
    (record,) = caplog.records
    assert '2 fixel files' in record.message
    assert 'fd/control1.mif, fd/tvalue.mif' in record.message


def test_two_folders_of_one_name_to_r(template):
    trees.write_fixels(template, trees.people(1), ('log-fd', 'log.fd'))
    with pytest.raises(AmbiguousMatchError, match='would have the name of log-fd as a scalar'):
        find_fixel_files(Dataset.from_folder(template))


def test_a_header_apart_from_its_data_is_named_as_left_out(template, tmp_path):
    (template / 'fd' / 'sub-09.mih').write_text('mrtrix image\n')
    found = collect(Request(template, tmp_path / 'out', {'mrtrix': template}))
    (reason,) = [reason for reason in found.left_out if 'a header apart from its data' in reason]
    assert [path.name for path in found.left_out[reason]] == ['sub-09.mih']
