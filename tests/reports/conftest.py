import json
import shutil
from html.parser import HTMLParser

import nibabel as nb
import numpy as np
import pytest
import trees
from once import once
from tools import missing

from modelarrayio_bids.cli.bids_app import main

#: Who has which fault. Sub-08 is 33.5 years old: a flip shows where age does.
FLIPPED, HALF, COPIED, COPY = 'sub-08', 'sub-11', 'sub-23', 'sub-42'
#: Has no image at all.
ABSENT = 'sub-60'
N_PEOPLE = 60

# As Debian, other distributions, and Google call it.
BROWSERS = ('chromium', 'chromium-browser', 'google-chrome')
# Nothing but the page: Chromium itself asks the network for updates.
OPTIONS = ['--no-sandbox', '--disable-gpu', '--disable-background-networking']

# Milliseconds, on a machine that others use too.
PATIENCE = 600_000


def cbf_of(derivative, label):
    return derivative / label / 'perf' / f'{label}_space-{trees.SPACE}_cbf.nii.gz'


def change(path, edit):
    """Write an image again, its values edited."""
    image = nb.load(path)
    values = edit(np.asarray(image.dataobj).copy())
    nb.save(nb.Nifti1Image(values, image.affine, image.header), path)


def front_gone(values):
    values[:, values.shape[1] // 2 :] = 0
    return values


@pytest.fixture(scope='session')
def planted(shared):
    """Blood flow of sixty people, four images of which are not what they should be."""
    return once(shared / 'planted' / 'study', plant)


def plant(root):
    trees.describe(root)
    people = trees.people(N_PEOPLE)
    trees.write_participants(root, people)
    derivative = trees.write_aslprep(root / 'derivatives' / 'aslprep', people)
    change(cbf_of(derivative, FLIPPED), lambda values: values[::-1])
    change(cbf_of(derivative, HALF), front_gone)
    shutil.copy(cbf_of(derivative, COPIED), cbf_of(derivative, COPY))
    shutil.rmtree(derivative / ABSENT)
    plant_atlas(derivative)


def plant_atlas(derivative):
    """An atlas of the two halves of the brain."""
    example = nb.load(cbf_of(derivative, COPIED))
    regions = np.ones(example.shape[:3], np.uint8)
    regions[: example.shape[0] // 2] = 2
    stem = derivative / 'atlases' / f'atlas-Halves_space-{trees.SPACE}_dseg'
    stem.parent.mkdir()
    nb.save(nb.Nifti1Image(regions, example.affine), stem.with_suffix('.nii.gz'))
    stem.with_suffix('.tsv').write_text('index\tname\n1\tFirst half\n2\tSecond half\n')


@pytest.fixture(scope='session')
def reported(planted):
    """What the group level leaves of two scalars, to be read only."""

    def fill(output):
        arguments = [str(planted), str(output), 'group', '--scalars', 'cbf', 'cbf_score']
        assert main([*arguments, '--nprocs', '2']) == 0

    return once(planted.parent / 'out', fill)


@pytest.fixture(scope='session')
def modelled(planted):
    """What one command leaves of one scalar, a model of it and its maps, to be read only."""
    levels = ['group', 'model', 'export', '--scalars', 'cbf', '--nprocs', '2']
    options = ['--formula', '~ age + sex + site', '--num-subj-lthr-rel', '0.6']

    def fill(output):
        assert main([str(planted), str(output), *levels, *options]) == 0

    return once(planted.parent / 'modelled', fill)


class Page(HTMLParser):
    """Tables by their captions, links, images, and text by section, of a page."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.links, self.images, self.texts, self.ids = {}, [], [], {}, set()
        self._section = self._caption = self._cell = None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        known = dict(attributes)
        self.ids.add(known.get('id'))
        if tag == 'section':
            self._section = known['id']
        elif tag in {'a', 'link', 'script'}:
            self.links.extend(filter(None, (known.get('href'), known.get('src'))))
        elif tag == 'img':
            self.images.append(known)
        elif tag == 'caption':
            self._caption = ''
        elif tag == 'tr':
            self.tables.setdefault(self._caption, []).append([])
        elif tag in {'td', 'th'}:
            self._cell = ''

    def handle_endtag(self, tag):
        if tag in {'td', 'th'}:
            self.tables[self._caption][-1].append(self._cell.strip())
            self._cell = None
        elif tag == 'section':
            self._section = None

    def handle_data(self, data):
        if self._caption == '':
            self._caption = data
        elif self._cell is not None:
            self._cell += data
        self.texts[self._section] = self.texts.get(self._section, '') + data


@pytest.fixture(scope='session')
def page(reported):
    return Page((reported / 'report.html').read_text('utf-8'))


def sidecar(path):
    return json.loads(path.read_text('utf-8'))


@pytest.fixture(scope='session')
def browser():
    playwright = pytest.importorskip('playwright.sync_api')

    # Without one of the system's, Playwright looks for its own.
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    with playwright.sync_playwright() as program:
        try:
            running = program.chromium.launch(executable_path=path, args=OPTIONS, timeout=PATIENCE)
        except playwright.Error as error:
            missing(f'no Chromium is installed ({str(error).splitlines()[0]})')
        yield running
        running.close()
