"""The viewer of an analysis in Chromium: thresholds, clusters, values, and every kind."""

import os
from pathlib import Path

import h5py
import nibabel as nb
import numpy as np
import pytest
import trees
from reports.conftest import PATIENCE

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
    position = [float(mm) for mm in place.strip('() m').split(', ')]
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
