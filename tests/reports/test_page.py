"""The page about an output folder, as its reader meets it."""

import base64
import csv
import gzip
import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import nibabel as nb
import numpy as np
import pytest
import trees
from reports.conftest import ABSENT, COPIED, COPY, FLIPPED, HALF, N_PEOPLE, Page, cbf_of, change
from stores import write_results

from modelarrayio_bids.cli import files
from modelarrayio_bids.cli.bids_app import main

LOOK = 'Images that differ from the others'


def found(page):
    """Who, of which scalar, for what."""
    return [tuple(row) for row in page.tables[LOOK][1:]]


def tsv(path):
    with open(path, newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file, delimiter='\t'))


def test_the_planted_faults_are_named_and_nobody_else(page):
    said = {}
    for who, scalar, what in found(page):
        assert scalar == 'cbf'
        said.setdefault(who, []).append(what)
    assert said.keys() == {FLIPPED, HALF, COPIED, COPY}
    assert said[FLIPPED] == ['looks flipped: resembles the others after exchanging left and right']
    assert any('is zero at 5' in what for what in said[HALF])
    assert said[COPIED] == [f'is the same file as that of {COPY}']
    assert said[COPY] == [f'is the same file as that of {COPIED}']
    assert '4 images stand out: sub-08 (cbf), ' in page.texts['look']


def test_who_is_not_in_and_why(page):
    rows = {row[0]: row for row in page.tables['Images of each scalar'][1:]}
    assert rows['cbf'][-2:] == [str(N_PEOPLE - 1), '1']
    assert ABSENT in page.texts['people']
    assert 'no image' in page.texts['people']
    reasons = dict(page.tables['Images that were found but not used'][1:])
    # Two time series of each: in MNI and without a space.
    assert reasons['a time series'] == str(2 * (N_PEOPLE - 1))


def test_phenotypes(page):
    rows = {
        row[0]: row[1:] for row in page.tables['Columns of the cohorts, over all participants'][1:]
    }
    ages = [person.age for person in trees.people(N_PEOPLE)]
    # One has no image, one no age.
    del ages[59], ages[1]
    assert rows['age'][0] == '1'
    assert rows['age'][1].startswith(f'{min(ages):g} to {max(ages):g}, mean {np.mean(ages):.3g}')
    assert rows['sex'][1] == 'M 30, F 29' or rows['sex'][1] == 'F 30, M 29'


def test_the_numbers_of_each_image(reported, planted):
    name = f'space-{trees.SPACE}_param-cbf_desc-sources_summary'
    rows = tsv(reported / 'figures' / f'{name}.tsv')
    assert len(rows) == N_PEOPLE - 1
    mask = nb.load(next(reported.glob('cbf/*_desc-group_mask.nii.gz'))).get_fdata() > 0
    for row in rows[:3]:
        path = cbf_of(planted / 'derivatives' / 'aslprep', row['participant'])
        own = nb.load(str(path).replace('_cbf.', '_desc-brain_mask.')).get_fdata() > 0
        inside = nb.load(path).get_fdata()[own & mask]
        assert row['sha256'] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert int(row['n_missing']) == (mask & ~own).sum()
        for column, value in (
            ('mean', inside.mean()),
            ('sd', inside.std()),
            ('minimum', inside.min()),
            ('maximum', inside.max()),
            ('q50', np.quantile(inside, 0.5)),
        ):
            assert float(row[column]) == pytest.approx(value, rel=1e-6)
    said = {row['participant'] for row in rows if row['findings'] != 'n/a'}
    assert said == {FLIPPED, HALF, COPIED, COPY}
    described = (reported / 'figures' / f'{name}.json').read_text()
    assert all(f'"{column}"' in described for column in rows[0])


def test_it_holds_everything_it_shows(page, reported):
    for image in page.images:
        kind, _, data = image['src'].partition(';base64,')
        assert kind in {'data:image/png', 'data:image/svg+xml'}
        assert len(image['alt']) > 20
        # No figure fetches anything either; names of XML's own are no addresses.
        text = base64.b64decode(data).decode('latin-1')
        assert not re.search(r'(?:href|src)="(?!#)(?!data:)', text)
    files = [link for link in page.links if not link.startswith(('#', 'data:'))]
    assert files
    assert all((reported / link).is_file() for link in files)
    assert all(link[1:] in page.ids for link in page.links if link.startswith('#'))


def test_figures_are_files_too(page, reported):
    names = {path.name for path in (reported / 'figures').iterdir()}
    of_cbf = f'space-{trees.SPACE}_param-cbf_desc-'
    assert {
        f'{of_cbf}mean_map.png',
        f'{of_cbf}coverage_map.png',
        f'{of_cbf}threshold_plot.svg',
        f'{of_cbf}sources_plot.svg',
        'desc-availability_plot.svg',
        'desc-phenotypes_plot.svg',
    } <= names
    shown = {hashlib.sha256(base64.b64decode(one['src'].partition(',')[2])).digest()
             for one in page.images}  # fmt: skip
    kept = {hashlib.sha256((reported / 'figures' / name).read_bytes()).digest() for name in names}
    assert shown <= kept


def test_what_to_do_next(page, reported, planted):
    assert f'modelarrayio-bids {planted} {reported} model export' in page.texts['next']
    assert f'modelarrayio-bids {planted} {reported} export' in page.texts['next']
    assert f'{reported}/code/fit_' in page.texts['next']


def test_methods_and_what_they_cite(page, reported):
    text = (reported / 'logs' / 'CITATION.md').read_text('utf-8')
    assert 'cerebral blood flow' in text
    assert 'at least 20%' in text
    # The images are ASLPrep's: its paper is cited, and no other pipeline's.
    assert '10.1038/s41592-022-01458-7' in text
    assert 'fMRIPrep' not in text
    entries = re.findall(r'@article\{(\w+),', (reported / 'logs' / 'CITATION.bib').read_text())
    assert {'modelarray2023', 'aslprep2022', 'bids2016'} <= set(entries)
    assert '10.1016/j.neuroimage.2023.120037' in page.texts['methods']


def test_methods_tell_of_the_models(modelled):
    text = (modelled / 'logs' / 'CITATION.md').read_text('utf-8')
    assert re.search(
        r'The model ~ age \+ sex \+ site \(in .*\) was fitted .* \(N = [\d to]+\);', text
    )
    assert 'corrected for the number of elements (FDR)' in text
    assert Page((modelled / 'report.html').read_text('utf-8')).texts['methods'].count('FDR') == 1


def test_the_same_files_make_the_same_page_again(planted, reported, tmp_path):
    # A copy: other tests read what all share.
    output = tmp_path / 'out'
    shutil.copytree(reported, output)
    figures = {path: path.read_bytes() for path in (output / 'figures').iterdir()}
    before = without_time((output / 'report.html').read_text('utf-8'))
    assert main([str(planted), str(output), 'group', '--reports-only']) == 0
    after = without_time((output / 'report.html').read_text('utf-8'))
    assert after == before.replace(str(reported), str(output))
    assert {path: path.read_bytes() for path in (output / 'figures').iterdir()} == figures


def without_time(text):
    return re.sub(r'\d{4}-\d\d-\d\d \d\d:\d\d \S+', '', text)


def test_results_are_on_it_after_export(planted, reported, tmp_path):
    output = tmp_path / 'out'
    shutil.copytree(reported, output)
    store = output / 'cbf' / f'space-{trees.SPACE}_modelarray.h5'
    with h5py.File(store) as file:
        n_elements = file['voxels'].shape[1]
    p, t = np.full(n_elements, 0.5), np.zeros(n_elements)
    # Two neighbours in C order, unless a row of the mask ends there: see below.
    with h5py.File(store) as file:
        places = file['voxels'][1:].T
    first = next(
        n for n in range(n_elements - 1) if np.abs(places[n + 1] - places[n]).tolist() == [0, 0, 1]
    )
    p[first : first + 2], t[first : first + 2] = 1e-6, (4.5, 5.25)
    names = ['element_id', 'age.statistic', 'age.p.value', 'age.p.value.fdr', 'model.nobs']
    matrix = np.column_stack([np.arange(n_elements), t, p, p, np.full(n_elements, 58)])
    write_results(store, 'mylm', names, matrix)
    write_results(store, 'killed', names, matrix, where=None)
    assert main([str(planted), str(output), 'export', '--analysis-name', 'mylm']) == 0
    page = Page((output / 'report.html').read_text('utf-8'))
    assert f'2 of {n_elements:,} voxels have FDR-corrected p < 0.05' in page.texts['results']
    assert 'N = 58.' in page.texts['results']
    assert 'killed has results without names: it was not finished' in page.texts['results']
    (caption,) = (one for one in page.tables if one and one.startswith('Largest clusters'))
    # 10 mm voxels; the array's origin is in the corner, the grid's in the middle.
    middle = (np.array(trees.TEMPLATE.shape) - 1) / 2
    where = ', '.join(f'{x:.0f}' for x in (places[first + 1] - middle) * trees.TEMPLATE.edge)
    assert page.tables[caption][1] == [
        '1',
        '2',
        '2000',
        '5.25',
        f'({where}) mm, Second half (Halves)',
    ]


def test_one_image_as_two_scalars(flow_of_four, tmp_path):
    for image in flow_of_four.rglob('*_desc-scrub_cbf.nii.gz'):
        shutil.copy(str(image).replace('_desc-scrub', ''), image)
    output = tmp_path / 'out'
    arguments = [str(flow_of_four), str(output), 'group', '--scalars', 'cbf', 'cbf_scrub']
    assert main(arguments) == 0
    page = Page((output / 'report.html').read_text('utf-8'))
    what = 'is the same file as sub-01 of cbf_scrub'
    assert ('sub-01', 'cbf', what) in found(page)
    assert len(found(page)) == 8


def test_scalars_with_nearly_one_label_have_figures_of_their_own(tmp_path):
    root = trees.describe(tmp_path / 'study')
    trees.write_qsirecon(root / 'derivatives' / 'qsirecon', trees.people(3))
    for image in root.rglob(f'*_space-{trees.SPACE}_model-dki_param-fa_dwimap.nii.gz'):
        shutil.copy(image, str(image).replace('_model-dki_param-fa', '_param-dkiFa'))
        change(image, lambda values: values * 100)
    output = tmp_path / 'out'
    assert main([str(root), str(output), 'group', '--scalars', 'dki_fa', 'dkifa']) == 0
    page = Page((output / 'report.html').read_text('utf-8'))
    links = [link for link in page.links if link.startswith('figures/')]
    assert len(links) == len(set(links))
    medians = {
        path.name: float(tsv(path)[0]['q50'])
        for path in (output / 'figures').glob('*_desc-sources*_summary.tsv')
    }
    # Names that differ by a capital letter are one file on a Mac.
    name = f'space-{trees.SPACE}_param-dki{{}}_desc-sources{{}}_summary.tsv'
    first, second = medians[name.format('Fa', '')], medians[name.format('fa', '2')]
    assert first == pytest.approx(100 * second)


def test_the_same_values_in_another_file(flow_of_four, tmp_path):
    images = sorted(flow_of_four.rglob(f'*_space-{trees.SPACE}_cbf.nii.gz'))
    masks = [Path(str(image).replace('_cbf.', '_desc-brain_mask.')) for image in images]
    # Compressed anew, as another machine would: other bytes.
    with gzip.open(images[1], 'wb', compresslevel=1) as file:
        file.write(gzip.decompress(images[0].read_bytes()))
    shutil.copy(masks[0], masks[1])
    output = tmp_path / 'out'
    assert main([str(flow_of_four), str(output), 'group', '--scalars', 'cbf']) == 0
    page = Page((output / 'report.html').read_text('utf-8'))
    what = 'has the same values as that of sub-02'
    assert ('sub-01', 'cbf', what) in found(page)
    assert 'Too few images to compare: cbf.' in page.texts['look']


def test_a_report_can_be_made_later(flow_of_four, tmp_path, capsys):
    output = tmp_path / 'out'
    arguments = [str(flow_of_four), str(output), 'group', '--scalars', 'cbf']
    assert main([*arguments, '--no-report']) == 0
    assert not (output / 'report.html').exists()
    assert 'Report:' not in capsys.readouterr().out
    assert main([str(flow_of_four), str(output), 'group', '--reports-only']) == 0
    page = Page((output / 'report.html').read_text('utf-8'))
    assert 'Too few images to compare: cbf.' in page.texts['look']


def test_of_a_file_without_summaries_it_says_so(flow_of_four, tmp_path):
    output = tmp_path / 'out'
    arguments = [str(flow_of_four), str(output), 'group', '--scalars', 'cbf', '--no-report']
    assert main(arguments) == 0
    (store,) = output.rglob('*.h5')
    with h5py.File(store, 'a') as file:
        del file['modelarrayio/summaries']
    assert main([str(flow_of_four), str(output), 'group', '--reports-only']) == 0
    page = Page((output / 'report.html').read_text('utf-8'))
    assert 'has no summaries' in page.texts['scalars']


def test_of_a_folder_above_several_runs(flow_of_four, tmp_path):
    for scalar in ('cbf', 'cbf_scrub'):
        folder = tmp_path / 'out' / scalar
        options = ['--scalars', scalar, '--no-report']
        assert main([str(flow_of_four), str(folder), 'group', *options]) == 0
    assert main([str(flow_of_four), str(tmp_path / 'out'), 'group', '--reports-only']) == 0
    page = Page((tmp_path / 'out' / 'report.html').read_text('utf-8'))
    assert [row[0] for row in page.tables['Images of each scalar'][1:]] == ['cbf', 'cbf_scrub']
    links = [link for link in page.links if link.endswith('.h5')]
    assert all((tmp_path / 'out' / link).is_file() for link in links)
    assert len(links) == 2


@pytest.fixture
def flow_of_four(tmp_path):
    root = trees.describe(tmp_path / 'study')
    trees.write_aslprep(root / 'derivatives' / 'aslprep', trees.people(4))
    return root


def test_labels_and_columns_are_text_not_html(tmp_path):
    root = trees.describe(tmp_path / 'study')
    trees.write_aslprep(root / 'derivatives' / 'aslprep', trees.people(3))
    rows = ['participant_id\t<b>odd & "name"\n', *(f'sub-0{n}\t<i>{n}</i>\n' for n in (1, 2, 3))]
    (root / 'participants.tsv').write_text(''.join(rows))
    output = tmp_path / 'out'
    assert main([str(root), str(output), 'group', '--scalars', 'cbf']) == 0
    text = (output / 'report.html').read_text('utf-8')
    assert '<i>1</i>' not in text
    assert '&lt;i&gt;1&lt;/i&gt;' in text


def test_few_people_have_a_report_too(flow_of_four, tmp_path):
    output = tmp_path / 'out'
    arguments = [str(flow_of_four), str(output), 'group', '--scalars', 'cbf']
    assert main([*arguments, '--participant-label', '01']) == 0
    page = Page((output / 'report.html').read_text('utf-8'))
    assert 'No image stands out' in page.texts['look']


def test_a_folder_without_files(tmp_path, capsys):
    (tmp_path / 'study').mkdir()
    (tmp_path / 'out').mkdir()
    assert main([str(tmp_path / 'study'), str(tmp_path / 'out'), 'group', '--reports-only']) == 66
    assert 'Run the group level first' in capsys.readouterr().err


def test_commands_that_make_no_figure_load_no_matplotlib():
    code = (
        'import sys, modelarrayio_bids.cli.files, modelarrayio_bids.cli.bids_app, '
        'modelarrayio_bids.interfaces, modelarrayio_bids.workflows; '
        'sys.exit("matplotlib" in sys.modules)'
    )
    assert subprocess.run([sys.executable, '-c', code], check=False).returncode == 0


def test_it_needs_no_home(flow_of_four, tmp_path):
    output = tmp_path / 'out'
    command = [sys.executable, '-m', 'modelarrayio_bids.cli.bids_app']
    arguments = [str(flow_of_four), str(output), 'group', '--scalars', 'cbf']
    # As in a container: a user without a home, and nothing but the output can be written to.
    environment = {'PATH': '/usr/bin:/bin', 'HOME': '/proc/nowhere', 'TMPDIR': '/proc/nowhere'}
    done = subprocess.run(
        [*command, *arguments], check=True, capture_output=True, text=True, env=environment,
        cwd='/proc',
    )  # fmt: skip
    assert 'atplotlib' not in done.stderr
    assert (output / 'report.html').exists()
    assert not list(output.rglob('.unfinished-*'))


def test_too_little_memory_for_a_report_costs_nothing_else(flow_of_four, tmp_path):
    output = tmp_path / 'out'
    command = [sys.executable, '-m', 'modelarrayio_bids.cli.bids_app', str(flow_of_four)]
    # Enough to build 1,736 voxels of four people, and not to load matplotlib besides.
    options = ['group', '--scalars', 'cbf', '--mem-mb']
    for memory, is_up_to_date in (('190', False), ('400', True)):
        done = subprocess.run(
            [*command, str(output), *options, memory], check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert ('no report was made: 190 MB' in done.stderr) is not is_up_to_date
        assert ('Report:' in done.stdout) is is_up_to_date
        assert list(output.rglob('*_modelarray.h5'))
        assert (output / 'report.html').exists() is is_up_to_date


def test_rows_are_matched_by_their_images_whatever_their_order(flow_of_four, tmp_path):
    output = tmp_path / 'out'
    assert main([str(flow_of_four), str(output), 'group', '--scalars', 'cbf', '--no-report']) == 0
    (table,) = output.glob('cbf/*_cohort.csv')
    header, *rows = table.read_text('utf-8').splitlines()
    # As a spreadsheet leaves it: sorted by something else, and one row lost.
    table.write_text('\n'.join([header, *sorted(rows, reverse=True)[:-1]]) + '\n', 'utf-8')
    assert main([str(flow_of_four), str(output), 'group', '--reports-only']) == 0
    (numbers,) = output.glob('figures/*desc-sources_summary.tsv')
    for row in tsv(numbers):
        image = next(flow_of_four.rglob(f'{row["source_file"].rpartition("/")[2]}'))
        assert row['sha256'] == hashlib.sha256(image.read_bytes()).hexdigest()
        # The row that was lost had the one image that nobody is told of.
        assert row['participant'] in {image.name.partition('_')[0], image.name}


def test_a_file_that_grew_is_reported_with_all_its_images(flow_of_four, tmp_path):
    output, arguments = tmp_path / 'out', ['group', '--scalars', 'cbf']
    first = ['--participant-label', '01', '02', '03']
    assert main([str(flow_of_four), str(output), *arguments, *first]) == 0
    everybody = tmp_path / 'everybody'
    assert main([str(flow_of_four), str(everybody), *arguments, '--no-report']) == 0
    (table,) = everybody.glob('cbf/*_cohort.csv')
    header, *rows = table.read_text('utf-8').splitlines()
    (tmp_path / 'new.csv').write_text('\n'.join([header, rows[-1]]) + '\n', 'utf-8')
    (store,) = output.glob('cbf/*_modelarray.h5')
    new = ['append', '--cohort-file', str(tmp_path / 'new.csv'), '--output', str(store)]
    assert files.main(new) == 0
    assert next(output.glob('cbf/*_cohort.csv')).read_bytes() == table.read_bytes()
    assert main([str(flow_of_four), str(output), 'group', '--reports-only']) == 0
    page = Page((output / 'report.html').read_text('utf-8'))
    assert page.tables['Images of each scalar'][1][3] == '4'
