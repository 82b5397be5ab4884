"""People are counted by participant, and visits by visit, in every place alike."""

import csv
import json
import re

import pytest
import trees

from modelarrayio_bids.cli.bids_app import main

N = 4


@pytest.fixture(scope='module')
def mixed(tmp_path_factory):
    """Blood flow of four people whose names have runs, and anisotropy of three without."""
    root, people = trees.describe(tmp_path_factory.mktemp('mixed') / 'study'), trees.people(N)
    trees.write_participants(root, people)
    flow = trees.describe(root / 'derivatives' / 'aslprep', 'ASLPrep')
    other = trees.describe(root / 'derivatives' / 'other', 'Other')
    unused = trees.describe(root / 'derivatives' / 'qsiprep', 'QSIPrep')
    trees.write_map(unused / 'sub-01' / 'dwi' / 'sub-01_space-T1w_dwiref.nii.gz', people[0])
    for person in people:
        sub = f'sub-{person.label}'
        name = f'{sub}_run-1_space-{trees.SPACE}'
        trees.write_map(flow / sub / 'perf' / f'{name}_cbf.nii.gz', person)
        trees.write_mask(flow / sub / 'perf' / f'{name}_desc-brain_mask.nii.gz', person)
        if person is not people[-1]:
            name = f'{sub}_space-{trees.SPACE}'
            trees.write_map(other / sub / 'dwi' / f'{name}_param-fa_dwimap.nii.gz', person)
            trees.write_mask(other / sub / 'dwi' / f'{name}_desc-brain_mask.nii.gz', person)
    assert main([str(root), str(root.parent / 'out'), 'group']) == 0
    return root, root.parent / 'out'


def test_one_person_with_and_without_runs_is_one(mixed, capsys):
    root, output = mixed
    page = (output / 'report.html').read_text('utf-8')
    assert '7 images of 4 participants, in 2 HDF5 files. 3 participants are in all of them.' in page
    assert '3 of 4 participants are in every file.' in page
    assert '3 of 4 people are in all 2 files.' in page
    text = (output / 'logs' / 'CITATION.md').read_text('utf-8')
    # QSIPrep's dataset was searched, and no image of it is in a file.
    assert re.search('of 4 participants, derived with (ASLPrep and Other|Other and ASLPrep) ', text)
    assert 'QSIPrep' not in text
    assert 'runs' not in page.partition('id="people"')[2].partition('</section>')[0]
    (table,) = output.glob('figures/desc-availability_summary.tsv')
    with table.open(newline='', encoding='utf-8') as file:
        rows = list(csv.DictReader(file, delimiter='\t'))
    assert [row['participant'] for row in rows] == [f'sub-0{n}' for n in range(1, N + 1)]
    assert [list(row.values())[1:].count('yes') for row in rows] == [2, 2, 2, 1]
    capsys.readouterr()
    assert main([str(root), str(output), 'group', '--list-scalars', '--json']) == 0
    printed = capsys.readouterr()
    assert 'missing values among 4 images: age (1)' in printed.err
    listed = json.loads(printed.out)['scalars']
    assert sorted(len(one['participants']) for one in listed) == [3, 4]
    # Nobody stands twice among the phenotypes: the ages of four people, one of them missing.
    (age,) = re.findall(r'>age</th>\s*<td[^>]*>(\d+)</td>', page)
    assert age == '1'


@pytest.fixture(scope='module')
def longitudinal(tmp_path_factory):
    """Blood flow of four people in two sessions."""
    root, people = trees.describe(tmp_path_factory.mktemp('long') / 'study'), trees.people(N)
    trees.write_participants(root, people)
    flow = trees.describe(root / 'derivatives' / 'aslprep', 'ASLPrep')
    for person in people:
        for session in '12':
            folder = flow / f'sub-{person.label}' / f'ses-{session}' / 'perf'
            name = f'sub-{person.label}_ses-{session}_space-{trees.SPACE}'
            trees.write_map(folder / f'{name}_cbf.nii.gz', person)
            trees.write_mask(folder / f'{name}_desc-brain_mask.nii.gz', person)
    return root


def test_repeated_measures_are_said_at_the_end_and_in_the_report(longitudinal, tmp_path, capsys):
    chosen = ['--session-label', '1', '2']
    assert main([str(longitudinal), str(tmp_path / 'out'), 'group', *chosen]) == 0
    printed = capsys.readouterr()
    said = 'cbf: 8 images of 4 participants, and lm treats images of one participant as independent'
    assert f'Several images of one participant:\n  {said}' in printed.out
    page = (tmp_path / 'out' / 'report.html').read_text('utf-8')
    assert '8 images of 4 participants (8 visits), in 1 HDF5 file.' in page
    assert said in page
    assert main([str(longitudinal), str(tmp_path / 'one'), 'group', '--session-label', '1']) == 0
    assert 'Several images' not in capsys.readouterr().out


def test_slips_in_tables_are_to_look_at(longitudinal, tmp_path):
    table = tmp_path / 'more.csv'
    table.write_text('participant_id,iq,hand\n01,100,R\n02,-999,r\n03,90,R\n04,110,L\n')
    chosen = ['--session-label', '1', '--phenotypes', str(table)]
    assert main([str(longitudinal), str(tmp_path / 'out'), 'group', *chosen]) == 0
    page = (tmp_path / 'out' / 'report.html').read_text('utf-8')
    look = page.partition('id="look"')[2].partition('</section>')[0]
    assert 'iq: -999 of sub-02 ses-1 is far from the others (90 to 110)' in look
    assert 'are different levels to R; the rarer: sub-02 ses-1' in look


def test_who_wants_warnings_alone_hears_of_images_that_stand_out(planted, tmp_path, capsys):
    output = tmp_path / 'out'
    assert main([str(planted), str(output), 'group', '-q', '--scalars', 'cbf']) == 0
    (said,) = [line for line in capsys.readouterr().err.splitlines() if 'report.html' in line]
    assert said.startswith('WARNING: ')
    assert '4 images stand out: sub-08 (cbf)' in said
