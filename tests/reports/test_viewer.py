"""The viewer of an analysis in Chromium: thresholds, clusters, values, and every kind."""

import os
import re
from pathlib import Path

import h5py
import nibabel as nb
import numpy as np
import pytest
import trees
from once import once
from reports.conftest import PATIENCE

from modelarrayio_bids.cli.bids_app import main

SIZES = [(390, 844), (1280, 900), (2560, 1440)]
LEVELS = (0.05, 0.01, 0.5)


@pytest.fixture
def opened(browser):
    """Open a viewer: everything it asks for and says is kept."""
    pages = []

    def see(path, size=(1280, 900)):
        page = browser.new_page(viewport={'width': size[0], 'height': size[1]})
        pages.append(page)
        page.asked, page.said = [], []
        page.on('request', lambda one: page.asked.append(one.url))
        page.on('console', lambda one: page.said.append(one.text))
        page.on('pageerror', lambda one: page.said.append(str(one)))
        page.set_default_timeout(PATIENCE)
        page.goto(path.as_uri())
        page.wait_for_selector(
            'body[data-ready] #rows tr, body[data-ready] #clusters-count:text("0 ")'
        )
        return page

    yield see
    for page in pages:
        page.close()


@pytest.fixture
def opened_report(browser):
    pages = []

    def see(path):
        pages.append(browser.new_page(viewport={'width': 1280, 'height': 900}))
        pages[-1].set_default_timeout(PATIENCE)
        pages[-1].goto(path.as_uri())
        return pages[-1]

    yield see
    for page in pages:
        page.close()


@pytest.fixture(scope='session')
def path(modelled):
    (found,) = (modelled / 'figures').glob('*_viewer.html')
    return found


def exported(modelled, name):
    (found,) = modelled.glob(f'cbf/*node-lm/*contrast-age_stat-{name}_statmap.nii.gz')
    return nb.load(found)


def counted(page):
    return int(page.locator('#count').get_attribute('data-count'))


def settle(page):
    """Wait until the list of clusters follows the threshold."""
    page.wait_for_timeout(300)


def test_a_click_on_a_cluster_and_a_move_of_the_slider(opened, path, modelled):
    page = opened(path)
    p = exported(modelled, 'p_desc-fdr').get_fdata()
    mask = nb.load(next(modelled.glob('cbf/*_desc-group_mask.nii.gz'))).get_fdata() > 0
    # p of 0 is no element, and float32 in the image as in the page.
    for level in LEVELS:
        page.locator('#level').fill(str(level))
        page.locator('#level').press('Enter')
        assert counted(page) == (mask & (p < np.float32(level))).sum()
    page.locator('#level').fill('0.05')
    page.locator('#level').press('Enter')
    before = counted(page)
    settle(page)
    page.locator('#rows button').nth(1).click()
    place = page.locator('#rows button').nth(1).text_content()
    assert page.locator('#where').text_content() == place
    (position,) = re.fullmatch(r'\((.*)\) mm, \w+ half \(Halves\)', place).groups()
    position = [float(mm) for mm in position.split(', ')]
    # The cross is there, and the numbers are those of the map.
    np.testing.assert_allclose(page.evaluate('viewer.slices.cross'), position, atol=0.51)
    t = exported(modelled, 'statistic')
    index = np.round(np.linalg.inv(t.affine) @ [*page.evaluate('viewer.slices.cross'), 1])[:3]
    shown = page.locator('#numbers dd').nth(1).text_content()
    assert float(shown) == pytest.approx(t.get_fdata()[tuple(index.astype(int))], rel=0.005)
    page.locator('#threshold').focus()
    page.keyboard.press('ArrowRight')
    level = float(page.locator('#level').input_value())
    assert level < 0.05
    after = counted(page)
    assert after == (mask & (p < np.float32(level))).sum()
    assert after < before
    assert f'p < {level:g}' in page.locator('#count').text_content()


def test_another_term_is_another_number_at_the_same_place(opened, path):
    page = opened(path)
    place, before = page.locator('#where').text_content(), page.locator('#numbers').text_content()
    page.locator('#term').select_option('sexM')
    assert page.locator('#where').text_content() == place
    assert page.locator('#numbers').text_content() != before
    page.locator('#term').select_option('age')
    assert page.locator('#numbers').text_content() == before


def test_a_threshold_that_was_chosen_stays_with_another_term(opened, path):
    page = opened(path)
    page.locator('#measure').select_option('p, not corrected')
    page.locator('#level').fill('0.001')
    page.locator('#level').press('Enter')
    before = counted(page)
    page.locator('#level').fill('-3')
    page.locator('#level').press('Enter')
    assert counted(page) == before
    page.locator('#term').select_option('sexM')
    assert page.locator('#level').input_value() == '0.001'
    assert 'p < 0.001, not corrected' in page.locator('#count').text_content()
    page.locator('#term').select_option('age')
    assert counted(page) == before


def test_clusters_are_those_of_the_report(opened, path, modelled):
    page = opened(path)
    table = next((modelled / 'figures').glob('*AgeClusters_summary.tsv'))
    lines = [line.split('\t') for line in table.read_text('utf-8').splitlines()]
    rows = [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]
    shown = page.locator('#rows tr').evaluate_all(
        'all => all.map(row => [...row.cells].map(one => one.textContent))'
    )
    assert [row[1] for row in shown[: len(rows)]] == [row['where'] for row in rows]
    assert [row[3].replace(',', '') for row in shown[: len(rows)]] == [row['size'] for row in rows]


def test_values_and_fit_are_those_of_the_file(opened, path, modelled):
    page = opened(path)
    element, told = page.evaluate(
        '[viewer.element, viewer.scatter.points(viewer.element, viewer.covariate)]'
    )
    (store,) = modelled.glob('cbf/*.h5')
    with h5py.File(store) as file:
        values = file['scalars/cbf/values'][:, element]
    images = page.evaluate('viewer.scatter.facts.images')
    names = [f'sub-{person.label}' for person in trees.people(60)]
    people = {f'sub-{person.label}': person for person in trees.people(60)}
    at = [names.index(images[row]) for row in told['rows']]
    assert len(at) > 40
    # Rows of the file are in the order of the participants, of whom the last has no image.
    np.testing.assert_allclose(told['raw'], values[at], rtol=1e-3)
    who = [people[names[row]] for row in at]
    np.testing.assert_allclose(told['x'], [one.age for one in who])
    columns = np.column_stack([
        np.ones(len(who)), [one.age for one in who], [one.sex == 'M' for one in who],
        *([one.site == f'site{n}' for one in who] for n in (2, 3)),
    ])  # fmt: skip
    estimates = np.linalg.lstsq(columns, values[at].astype(float), rcond=None)[0]
    others = columns.copy()
    others[:, 1] = 0
    expected = columns[:, 1] * estimates[1] + (others @ estimates).mean()
    np.testing.assert_allclose(told['fitted'], expected, rtol=1e-3)
    np.testing.assert_allclose(
        told['adjusted'], expected + values[at] - columns @ estimates, rtol=2e-3, atol=1e-3
    )


def test_keys_move_the_slices(opened, path):
    page = opened(path)
    page.locator('#views canvas').first.focus()
    x, y, z = page.evaluate('viewer.slices.cross')
    edge = page.evaluate('viewer.places.grid.edge')
    for key in ('ArrowLeft', 'ArrowUp', 'PageUp'):
        page.keyboard.press(key)
    np.testing.assert_allclose(page.evaluate('viewer.slices.cross'), [x - edge, y + edge, z + edge])


@pytest.mark.parametrize('size', SIZES, ids=lambda size: str(size[0]))
def test_it_asks_for_nothing_fits_and_axe_finds_nothing(opened, path, size):
    from axe_playwright_python.sync_playwright import Axe

    page = opened(path, size)
    page.wait_for_load_state('networkidle')
    assert [url for url in page.asked if not url.startswith('data:')] == [path.as_uri()]
    assert page.said == []
    assert page.evaluate('document.documentElement.scrollWidth <= window.innerWidth')
    if folder := os.environ.get('MODELARRAYIO_ARTIFACTS'):
        page.screenshot(path=Path(folder) / f'viewer-{size[0]}.png', full_page=True)
    for scheme in ('light', 'dark'):
        page.emulate_media(color_scheme=scheme)
        found = Axe().run(page).response['violations']
        assert [(one['id'], [node['target'] for node in one['nodes']]) for one in found] == []


@pytest.fixture(scope='session')
def kinds(shared):
    """A model of one scalar of each kind but voxels, to be read only."""
    study = once(shared / 'viewed' / 'study', lambda root: trees.write_demo(root, trees.people(16)))
    names = ['thickness', 'coverage', 'pearsoncorrelation', 'fd', 'log_fc']

    def fill(output):
        arguments = [str(study), str(output), 'group', 'model', '--scalars', *names]
        assert main([*arguments, '--formula', '~ age + sex', '--nprocs', '2']) == 0

    return once(study.parent / 'out', fill)


@pytest.mark.parametrize('scalar', ['thickness', 'coverage', 'pearsoncorrelation', 'fd'])
def test_other_kinds_are_walked_through_too(opened, kinds, scalar):
    from axe_playwright_python.sync_playwright import Axe

    (path,) = (kinds / 'figures').glob(f'*param-{scalar}_desc-*_viewer.html')
    page = opened(path)
    (store,) = kinds.glob(f'{scalar}/*.h5')
    with h5py.File(store) as file:
        results = file['results/lm/results_matrix']
        names = [name.decode() for name in file['results/lm/column_names'][()].ravel()]
        p = results[names.index('age.p.value.fdr')]
    assert counted(page) == (p < 0.05).sum() > 0
    page.locator('#rows button').last.click()
    assert page.locator('#where').text_content() == page.locator('#rows button').last.text_content()
    assert page.evaluate('viewer.scatter.at(viewer.element).length') > 10
    assert page.said == []
    assert [one['id'] for one in Axe().run(page).response['violations']] == []


def test_the_report_filters_and_opens_what_is_folded(opened_report, kinds):
    page = opened_report(kinds / 'report.html')
    shown = 'all => all.filter(one => one.checkVisibility()).length'
    articles = page.locator('article')
    assert articles.evaluate_all(shown) == 10
    page.locator('#filter').fill('thick')
    assert articles.evaluate_all(shown) == 2
    page.locator('#filter').fill('')
    folded = page.locator('#scalars details').first
    assert folded.get_attribute('open') is None
    page.locator('nav [data-filter] a').last.click()
    assert page.locator('#scalars details').last.get_attribute('open') is not None


def test_everybody_is_in_the_carousel_and_who_stands_out_beside_the_mean(planted, reported, page):
    from reports.conftest import FLIPPED, HALF, N_PEOPLE, cbf_of

    text = (reported / 'report.html').read_text('utf-8')
    (_, first, *_) = text.split('<ul class="carousel"')
    names = [part.split('<')[0] for part in first.split('</ul>')[0].split('</span><span>')[1:]]
    assert len(names) == len(set(names)) == N_PEOPLE - 1
    # Half a brain is farthest from all others.
    assert names[0] == HALF
    for who in (HALF, FLIPPED):
        assert f'--exclude-participant-label {who.removeprefix("sub-")}' in page.texts['look']
        assert str(cbf_of(planted / 'derivatives' / 'aslprep', who)) in page.texts['look']
