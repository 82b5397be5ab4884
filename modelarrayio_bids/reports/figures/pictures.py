"""Maps of elements as figures: four views of the cortex, slices, a matrix, or structures.

Colours are of perceptually uniform maps, with their name and limits in the figure. What has no
value is not coloured: the anatomy, the cohort's mean map or the folds of the cortex show through.

>>> from modelarrayio_bids.spaces import VoxelSpace
>>> space = VoxelSpace.from_mask(np.ones((4, 5, 6)), np.diag([2.0, 2, 2, 1]))
>>> values = np.arange(120.0)
>>> (picture,) = map_pictures(space, values, Scale.of(values, 'cbf'), 'Mean of cbf')
>>> picture.media_type, picture.size[0]
('image/png', 896)
>>> picture.alt
'Mean of cbf. 120 voxels, values from 0 to 119, median 59.5.'
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol

import numpy as np

from modelarrayio_bids.reports.figures import style
from modelarrayio_bids.reports.figures.mosaics import Tile, mosaic
from modelarrayio_bids.reports.figures.panels import (
    Panel,
    density_panels,
    map_panels,
    painted_surfaces,
)
from modelarrayio_bids.reports.figures.scales import Scale, number
from modelarrayio_bids.reports.figures.structures import structure_chart
from modelarrayio_bids.reports.figures.style import Picture
from modelarrayio_bids.reports.figures.surfaces import Surface
from modelarrayio_bids.spaces import ElementSpace

# Grey levels: of a background of one value, and the darkest of another.
_PALE, _DARKEST = 0.87, 0.35


class Background(Protocol):
    """A layer below a map, in grey."""

    @property
    def description(self) -> str:
        """Name of the map for a caption: part of a sentence."""

    def under(self, panels: Sequence[Panel], weights: np.ndarray | None) -> list[np.ndarray]:
        """Return values for each panel of a space, made with these weights; NaN for white."""


@dataclass(frozen=True)
class MapBackground:
    """A map of the same elements, such as the cohort's mean.

    Parameters
    ----------
    space : ElementSpace
        The elements.
    values : numpy.ndarray
        (n_elements,).
    description : str
        Description of the map: ``the cohort's mean map``.
    """

    space: ElementSpace
    values: np.ndarray
    description: str

    def under(self, panels: Sequence[Panel], weights: np.ndarray | None) -> list[np.ndarray]:
        """Return the map at the same places."""
        return [panel.image for panel in map_panels(self.space, self.values, weights)]


def map_pictures(
    space: ElementSpace,
    values: np.ndarray,
    scale: Scale,
    title: str,
    *,
    surfaces: Mapping[str, Surface] | None = None,
    background: Background | None = None,
    weights: np.ndarray | None = None,
    alt: str = '',
) -> list[Picture]:
    """Draw a map: where it can be shown as one picture, and by structure what that leaves out.

    Parameters
    ----------
    space : ElementSpace
        The elements.
    values : numpy.ndarray
        (n_elements,); NaN is not coloured.
    scale : Scale
        Colours, and what the values are.
    title : str
        Title of the picture.
    surfaces : dict of Surface, optional
        Available surfaces, by structure.
    background : Background, optional
        Image below the slices.
    weights : numpy.ndarray, optional
        (n_elements,): what the slices should go through, see
        :func:`~modelarrayio_bids.reports.figures.panels.map_panels`.
    alt : str, optional
        Alternative text (default: range and median of the map).
    """
    at_hand = surfaces or {}
    cortex = painted_surfaces(space, values)
    shown = {name: each for name, each in cortex.items() if name in at_hand}
    panels = map_panels(space, values, weights)
    # A matrix has no background but itself.
    below = background if any(panel.plane is not None for panel in panels) else None
    if below is None and np.isnan(values).any():
        below = MapBackground(space, np.ones(len(space)), f'{space.kind} without a value')
    rows = [*_cortex_rows(shown, at_hand), *panel_rows(panels, below, weights)]
    pictures = []
    if rows:
        caption = _caption(scale, below, shown, at_hand)
        there = space.grid_elements()
        if there is not None and there.are_shared:
            caption += f' A voxel shows the mean of its {space.kind}.'
        texts = alt or described(space, values, title), caption
        pictures.append(_drawn(rows, scale, title, values, texts))
    if space.structures() and (not rows or len(shown) < len(cortex)):
        pictures.append(structure_chart(space, values, scale.label, title))
    return pictures


def mask_picture(
    space: ElementSpace,
    coverage: np.ndarray,
    title: str,
    background: Background | None = None,
) -> Picture | None:
    """Draw the outline of the elements, and in colour where not everybody has a value.

    Parameters
    ----------
    space : ElementSpace
        The elements: what the group mask left.
    coverage : numpy.ndarray
        (n_elements,): the fraction of the images that have a value.
    title : str
        Title of the picture.
    background : Background, optional
        The anatomy below.

    Returns
    -------
    Picture
        Or None for elements that cannot be shown in slices.
    """
    partial = np.where(coverage < 1, coverage, np.nan)
    panels = map_panels(space, partial)
    if all(panel.plane is None for panel in panels):
        return None
    outlines = [np.isfinite(panel.image) for panel in map_panels(space, np.ones(len(space)))]
    rows = panel_rows(panels, background, None, outlines)
    lowest = float(np.nanmin(coverage, initial=1))
    scale = Scale(min(lowest, 0.99), 1, 'fraction of images with a value')
    covered = np.count_nonzero(coverage >= 1)
    alt = (
        f'{title}. {len(space):,} {space.kind}; in {covered:,} of them every image has a value, '
        f'and in the least covered {lowest:.0%} of the images have one.'
    )
    caption = (
        'Outlined: the group mask. Coloured: where not every image has a value. '
        f'{_caption(scale, background)}'
    )
    return _drawn(rows, scale, title, partial, (alt, caption))


def density_picture(space: ElementSpace, title: str) -> Picture | None:
    """Draw how many elements each voxel has, for those of which a voxel can have several."""
    panels = density_panels(space)
    if not panels:
        return None
    counts = np.concatenate([panel.image[np.isfinite(panel.image)] for panel in panels])
    scale = Scale(0, max(1.0, float(counts.max())), f'{space.kind} per voxel')
    alt = f'{title}. {len(space):,} {space.kind}, up to {counts.max():.0f} in a voxel shown.'
    return _drawn(panel_rows(panels, None, None), scale, title, counts, (alt, scale.described()))


def described(space: ElementSpace, values: np.ndarray, title: str) -> str:
    """Describe range and median of a map, in a sentence after its title."""
    finite = values[np.isfinite(values)].astype(np.float64)
    if not finite.size:
        return f'{title}. None of {len(space):,} {space.kind} has a value.'
    missing = values.size - finite.size
    without = f', {missing:,} without a value' if missing else ''
    return (
        f'{title}. {len(space):,} {space.kind}{without}, values from {number(finite.min())} to '
        f'{number(finite.max())}, median {number(float(np.median(finite)))}.'
    )


def _caption(
    scale: Scale,
    background: Background | None,
    shown: Iterable[str] = (),
    surfaces: Mapping[str, Surface] | None = None,
) -> str:
    """Describe colours, and what they lie on."""
    sentences = [scale.described()]
    if background is not None:
        sentences.append(f'Grey: {background.description}.')
    if files := ', '.join(surfaces[name].path.name for name in shown) if surfaces else '':
        sentences.append(f'Surfaces: {files}.')
    return ' '.join(sentences)


def _cortex_rows(
    cortex: Mapping[str, np.ndarray], surfaces: Mapping[str, Surface]
) -> list[list[Tile]]:
    """Return two rows: hemispheres from outside, and from the middle."""
    if not cortex:
        return []
    ordered = sorted(cortex, key=lambda name: surfaces[name].hemisphere)
    rows = []
    for view, seen in enumerate(('lateral', 'medial')):
        tiles = []
        for name in ordered:
            surface = surfaces[name]
            side = {'L': 'left', 'R': 'right'}[surface.hemisphere]
            panel = surface.views[view].panel(cortex[name], f'{side}, {seen}')
            tiles.append(Tile(panel, surface.views[view].panel(surface.shade, '').image))
        rows.append(tiles)
    return rows


def panel_rows(
    panels: Sequence[Panel],
    background: Background | None,
    weights: np.ndarray | None,
    areas: Sequence[np.ndarray] | None = None,
) -> list[list[Tile]]:
    """Put panels on what lies below them, with areas to outline: axial slices first.

    Parameters
    ----------
    panels : sequence of Panel
        Panels of one space.
    background : Background, optional
        Image below the slices.
    weights : numpy.ndarray, optional
        With which the panels were made.
    areas : sequence of numpy.ndarray, optional
        For each panel (rows, columns) boolean.
    """
    greys: Sequence[np.ndarray | None] = [None] * len(panels)
    if background is not None and panels:
        greys = _grey_levels(background.under(panels, weights))
    tiles = [
        Tile(panel, grey, areas[number] if areas else None)
        for number, (panel, grey) in enumerate(zip(panels, greys, strict=True))
    ]
    return [list(beside) for _, beside in groupby(tiles, key=_upwards)]


def _upwards(tile: Tile) -> int:
    """Return the axis that runs upwards: axial slices are in one row, others in another."""
    plane = tile.panel.plane
    return -1 if plane is None else int(np.argmax(abs(plane[:, 0])))


def _grey_levels(images: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return levels from 0, black, to 1, white, light enough for dark colours to stand out."""
    images = [image.astype(np.float64) for image in images]
    everything = np.concatenate([image[np.isfinite(image)] for image in images])
    low, high = np.percentile(everything, (2, 98)) if everything.size else (0, 0)
    if low == high:
        return [np.where(np.isfinite(image), _PALE, np.nan) for image in images]
    return [
        _DARKEST + (1 - _DARKEST) * np.clip((image - low) / (high - low), 0, 1) for image in images
    ]


def _drawn(
    rows: Sequence[Sequence[Tile]],
    scale: Scale,
    title: str,
    values: np.ndarray,
    texts: tuple[str, str],
) -> Picture:
    return style.few_colours(mosaic(rows, scale, title, values), *texts)
