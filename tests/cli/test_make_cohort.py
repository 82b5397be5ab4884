"""``modelarrayio make-cohort``: what it writes is what the other commands read."""

import csv

import nibabel as nb
import numpy as np
import pytest
import trees

from modelarrayio_bids.cli.files import main


def rows(path):
    with open(path, newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return trees.write_study(tmp_path / 'study', trees.people(4))


def test_from_bids_to_a_file(study, capsys):
    assert main(['make-cohort', str(study), '--scalars', 'cbf', '--output', 'cohort.csv']) == 0
    next_one = 'to-modelarray --cohort-file cohort.csv --mask GROUP_MASK.nii.gz --output cbf.h5'
    assert f'Next: modelarrayio {next_one}' in capsys.readouterr().out
    found = rows('cohort.csv')
    assert [row['participant_id'] for row in found] == ['sub-01', 'sub-02', 'sub-03', 'sub-04']
    assert {row['scalar_name'] for row in found} == {'cbf'}
    assert found[0]['sex'] == 'M'
    mask = found[0]['source_mask_file']
    words = ['--cohort-file', 'cohort.csv', '--mask', mask, '--output', 'cbf.h5']
    assert main(['to-modelarray', *words]) == 0


def test_a_file_that_is_there_stays(study, capsys):
    (study.parent / 'cohort.csv').write_text('mine')
    words = ['make-cohort', str(study), '--scalars', 'cbf', '--output', 'cohort.csv']
    assert main(words) == 73
    assert (study.parent / 'cohort.csv').read_text() == 'mine'
    assert main([*words, '--overwrite']) == 0


def test_images_without_masks_are_told(study, capsys):
    output = study.parent / 'vbm'
    for person in trees.people(3):
        trees.write_map(output / f'gm_{person.label}.nii.gz', person)
    words = ['make-cohort', 'vbm', '--images', 'gmv=gm_{participant}.nii.gz', '--output', 'a.csv']
    assert main([*words, '--phenotypes', str(study / 'participants.tsv')]) == 0
    assert '3 images of gmv have no mask' in capsys.readouterr().err
    assert [row['sex'] for row in rows('a.csv')] == ['M', 'F', 'M']


def test_images_that_need_no_masks_are_told_of_none(study, capsys):
    trees.write_xcp_d(study / 'derivatives' / 'xcp_d', trees.people(4))
    words = ['make-cohort', str(study / 'derivatives' / 'xcp_d'), '--scalars', 'alff']
    assert main([*words, '--output', 'cohort.csv']) == 0
    assert 'no mask' not in capsys.readouterr().err


@pytest.mark.parametrize(
    ('stems', 'choice'),
    [
        (['space-MNI152NLin6Asym', 'space-T1wTemplate'], ['--space', 'MNI152NLin6Asym']),
        (
            ['task-nback_space-MNI152NLin6Asym', 'task-rest_space-MNI152NLin6Asym'],
            ['--select', 'task=rest'],
        ),
    ],
)
def test_a_scalar_in_several_forms(study, capsys, stems, choice):
    root = trees.describe(study.parent / 'asl', 'ASLPrep')
    for person in trees.people(2):
        for stem in stems:
            sub = f'sub-{person.label}'
            trees.write_map(root / sub / 'perf' / f'{sub}_{stem}_cbf.nii.gz', person)
    words = ['make-cohort', str(root), '--output', 'cohort.csv']
    assert main(words) == 64
    said = capsys.readouterr().err
    assert f'cbf exists in several forms: {stems[0]}, {stems[1]}. Choose one with' in said
    assert not (study.parent / 'cohort.csv').exists()
    assert main([*words, *choice]) == 0
    assert all(choice[1].replace('=', '-') in row['source_file'] for row in rows('cohort.csv'))


@pytest.fixture
def stack(study):
    values = np.random.default_rng(0).random((4, 5, 6, 4), np.float32)
    nb.save(nb.Nifti1Image(values, np.eye(4)), 'all_FA.nii.gz')
    nb.save(nb.Nifti1Image(np.ones(values.shape[:3], np.uint8), np.eye(4)), 'mask.nii.gz')
    (study.parent / 'order.txt').write_text('03\nsub-01\n04\n02\n')
    return ['make-cohort', str(study), '--stack', 'FA=all_FA.nii.gz', '--mask', 'mask.nii.gz']


def test_a_stack_with_the_order_of_its_participants(stack, study):
    assert main([*stack, '--participants', 'order.txt', '--output', 'cohort.csv']) == 0
    found = rows('cohort.csv')
    assert [row['participant_id'] for row in found] == ['sub-03', 'sub-01', 'sub-04', 'sub-02']
    assert [row['source_volume'] for row in found] == ['0', '1', '2', '3']
    assert [row['sex'] for row in found] == ['M', 'M', 'F', 'F']
    words = ['--cohort-file', 'cohort.csv', '--mask', 'mask.nii.gz', '--output', 'FA.h5']
    assert main(['to-modelarray', *words]) == 0


def test_participants_of_a_stack_are_chosen(stack, capsys):
    words = [*stack, '--participants', 'order.txt', '--overwrite', '--output', 'cohort.csv']
    assert main([*words, '--exclude-participant-label', '01', 'sub-09']) == 0
    found = rows('cohort.csv')
    assert [row['participant_id'] for row in found] == ['sub-03', 'sub-04', 'sub-02']
    # As the file counts them.
    assert [row['source_volume'] for row in found] == ['0', '2', '3']
    assert main([*words, '--participant-label', 'sub-02', '03']) == 0
    assert [row['source_volume'] for row in rows('cohort.csv')] == ['0', '3']
    assert main([*words, '--participant-label', '02', '9']) == 18
    assert main([*words, '--exclude-participant-label', '9']) == 18
    assert 'no volume is of the participants 9' in capsys.readouterr().err


@pytest.mark.parametrize(
    'option',
    ['--masks {participant}.nii', '--session-label 1', '--task-id rest', '--require age'],
)
def test_what_only_a_search_understands_is_refused_with_a_stack(stack, option, capsys):
    words = [*stack, '--participants', 'order.txt', '--output', 'cohort.csv', *option.split()]
    assert main(words) == 64
    assert 'has no effect with --stack' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('listed', 'says'),
    [
        ('01\n02\n', 'has 4 volumes for 2 participants'),
        (None, 'does not name the participants of its volumes'),
    ],
)
def test_stacks_of_other_people(stack, study, listed, says, capsys):
    options = []
    if listed is not None:
        (study.parent / 'order.txt').write_text(listed)
        options = ['--participants', 'order.txt']
    assert main([*stack, *options, '--output', 'cohort.csv']) in {64, 65}
    assert says in capsys.readouterr().err
    assert not (study.parent / 'cohort.csv').exists()
