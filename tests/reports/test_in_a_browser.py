"""The page in Chromium: alone, on a wide screen and a phone, by keyboard, and judged by axe."""

import functools
import http.server
import os
import threading
from pathlib import Path
from typing import ClassVar

import pytest
from reports.conftest import ABSENT, PATIENCE

SIZES = [(1280, 900), (390, 844)]


class Server(http.server.SimpleHTTPRequestHandler):
    """Hands out a folder and remembers what was asked of it."""

    asked: ClassVar[list] = []

    def log_message(self, _format, *arguments):
        self.asked.append(self.path)


@pytest.fixture(scope='module', params=['reported', 'modelled'])
def address(request):
    handler = functools.partial(Server, directory=str(request.getfixturevalue(request.param)))
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{server.server_port}/report.html'
        server.shutdown()


@pytest.fixture(params=SIZES, ids=lambda size: str(size[0]))
def opened(request, browser, address):
    """The page at one size, everything it asked for, and what its console said."""
    width, height = request.param
    page = browser.new_page(viewport={'width': width, 'height': height})
    page.asked, page.said = [], []
    page.on('request', lambda one: page.asked.append(one.url))
    page.on('console', lambda one: page.said.append(one.text))
    page.on('pageerror', lambda one: page.said.append(str(one)))
    page.set_default_timeout(PATIENCE)
    page.goto(address)
    yield page
    page.close()


def test_it_loads_nothing_but_itself(opened, address):
    opened.wait_for_load_state('networkidle')
    asked = [url for url in opened.asked if not url.startswith('data:')]
    assert asked == [address]
    assert Server.asked.count('/report.html') == len(Server.asked)
    assert opened.said == []


def test_every_figure_is_drawn(opened):
    sizes = opened.evaluate('[...document.images].map(one => [one.naturalWidth, one.clientWidth])')
    assert len(sizes) > 5
    assert all(natural > 0 and shown > 300 for natural, shown in sizes)
    if folder := os.environ.get('MODELARRAYIO_ARTIFACTS'):
        width = opened.viewport_size['width']
        opened.screenshot(path=Path(folder) / f'report-{width}.png', full_page=True)


def test_nothing_is_wider_than_the_screen(opened):
    assert opened.evaluate('document.documentElement.scrollWidth <= window.innerWidth')


def test_by_keyboard(opened):
    opened.keyboard.press('Tab')
    assert opened.evaluate('document.activeElement.textContent') == 'Skip to content'
    opened.keyboard.press('Enter')
    assert opened.url.endswith('#main')
    # Every link, and everything that scrolls, can be reached.
    # What is folded away is reached once it is opened.
    places = opened.locator('a[href], [tabindex="0"], summary')
    wanted = places.evaluate_all('all => all.filter(one => one.checkVisibility()).length')
    reached = set()
    focused = '[...document.querySelectorAll("*")].indexOf(document.activeElement)'
    for _ in range(wanted + 5):
        opened.keyboard.press('Tab')
        reached.add(opened.evaluate(focused))
    # Of all but the link before the content that was followed.
    assert len(reached) >= wanted - 1


def test_nothing_is_folded_away_on_paper(opened):
    names = opened.locator('#people details:not([open]) li')
    assert ABSENT in names.first.text_content()
    seen = 'names => names.map(one => one.checkVisibility())'
    assert not any(names.evaluate_all(seen))
    opened.emulate_media(media='print')
    assert all(names.evaluate_all(seen))
    assert ABSENT in opened.locator('main').inner_text()


def test_axe_finds_nothing(opened):
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(opened).response['violations']
    told = [(one['id'], one['help'], [node['target'] for node in one['nodes']]) for one in found]
    assert told == []
