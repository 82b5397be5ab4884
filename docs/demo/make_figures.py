"""Make the figures of the README and the documentation: ``make figures``.

``python docs/demo/make_figures.py demo/out`` writes ``docs/images``, of what ``make demo`` wrote.
Needs Pillow, and Playwright with Chromium for the pictures of pages.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

IMAGES = Path(__file__).parent.parent / 'images'
VOXELS = 'space-MNI152NLin2009cAsym_param-cbf_desc-'
CORTEX = 'space-fsaverage_den-10k_param-thickness_desc-'
#: Figures of the report, by their names in the documentation.
MAPS = {
    'voxels.png': f'{VOXELS}lmAge_map.png',
    'greyordinates.png': f'{CORTEX}greyordinatesLmAge_map.png',
    'fixels.png': 'param-fd_desc-fixelsLmAge_map.png',
}
#: Those that stand side by side in the README, and how high, in pixels.
RESULTS, HEIGHT = ('voxels.png', 'greyordinates.png', 'fixels.png'), 420
#: Pages, and the size of the window they are shown in.
PAGES = {
    'report.png': ('report.html', 1280, 900),
    'viewer.png': (f'{VOXELS}lm_viewer.html', 1280, 900),
}
COLOURS = 256


def side_by_side(paths: list[Path]) -> Image.Image:
    """Return pictures of one height in a row."""
    pictures = [Image.open(path).convert('RGB') for path in paths]
    scaled = [each.resize((each.width * HEIGHT // each.height, HEIGHT)) for each in pictures]
    row = Image.new('RGB', (sum(each.width for each in scaled), HEIGHT), 'white')
    left = 0
    for each in scaled:
        row.paste(each, (left, 0))
        left += each.width
    return row


def save(picture: Image.Image, path: Path) -> None:
    """Write a PNG of few colours."""
    picture.convert('RGB').quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


def photograph(outputs: Path) -> None:
    """Take pictures of pages as a browser shows them first."""
    with sync_playwright() as playwright:
        found = shutil.which('chromium') or shutil.which('google-chrome')
        browser = playwright.chromium.launch(executable_path=found, args=['--no-sandbox'])
        for name, (page, width, height) in PAGES.items():
            (path,) = outputs.rglob(page)
            window = browser.new_page(viewport={'width': width, 'height': height})
            window.goto(path.absolute().as_uri())
            window.wait_for_load_state('networkidle')
            window.screenshot(path=IMAGES / name)
            save(Image.open(IMAGES / name), IMAGES / name)
        browser.close()


def main() -> None:
    """Write all figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('outputs', type=Path, help='the output folder of make demo')
    outputs = parser.parse_args().outputs
    IMAGES.mkdir(exist_ok=True)
    for name, figure in MAPS.items():
        save(Image.open(outputs / 'figures' / figure), IMAGES / name)
    save(
        side_by_side([outputs / 'figures' / MAPS[name] for name in RESULTS]), IMAGES / 'results.png'
    )
    photograph(outputs)
    for path in sorted(IMAGES.glob('*.png')):
        print(f'{path}: {path.stat().st_size / 1000:.0f} kB')


if __name__ == '__main__':
    main()
