import io
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest
from greyordinates import N_VERTICES, brain_models, parcels, voxels
from images import AFFINE, SHAPE, group_mask, save
from meshes import sphere
from mrtrix import AFFINE as FIXEL_AFFINE
from mrtrix import direction_values, index_values
from PIL import Image

from modelarrayio_bids.reports.figures import style
from modelarrayio_bids.reports.figures.anatomy import Anatomy
from modelarrayio_bids.reports.figures.panels import map_panels
from modelarrayio_bids.reports.figures.pictures import (
    MapBackground,
    density_picture,
    map_pictures,
    mask_picture,
    panel_rows,
)
from modelarrayio_bids.reports.figures.scales import Scale
from modelarrayio_bids.reports.figures.structures import structure_chart
from modelarrayio_bids.reports.figures.surfaces import Surface
from modelarrayio_bids.reports.findings.meshes import Mesh
from modelarrayio_bids.spaces import (
    EdgeSpace,
    FixelSpace,
    GreyordinateSpace,
    ParcelSpace,
    VoxelSpace,
)

# Pixels: three quarters of an inch.
BAR = 120
LEFT, RIGHT = 'CIFTI_STRUCTURE_CORTEX_LEFT', 'CIFTI_STRUCTURE_CORTEX_RIGHT'


@pytest.fixture
def space():
    """A box of 20 × 24 × 20 voxels of 8 mm."""
    affine = np.diag([8.0, 8, 8, 1])
    affine[:3, 3] = -80
    return VoxelSpace.from_mask(np.ones((20, 24, 20)), affine)


@pytest.fixture
def surfaces():
    """A ball for each cortex of ``brain_models``."""
    mesh = Mesh(*sphere(N_VERTICES))
    grey = np.full(N_VERTICES, 0.7, np.float32)
    return {
        LEFT: Surface('L', mesh, grey, Path('L.surf.gii')),
        RIGHT: Surface('R', mesh, grey, Path('R.surf.gii')),
    }


def pixels(picture):
    """Of a PNG: (rows, columns, 3) uint8."""
    with Image.open(io.BytesIO(picture.data)) as image:
        assert image.format == 'PNG'
        assert image.size == picture.size
        return np.asarray(image.convert('RGB'))


def has(picture, colour, tolerance=6):
    """Whether a hundred pixels or more above the colour bar have a colour."""
    wanted = np.array(mpl.colors.to_rgb(colour)) * 255
    above = pixels(picture)[:-BAR]
    return np.count_nonzero((abs(above - wanted) <= tolerance).all(axis=2)) >= 100


def texts(picture):
    """What is written in an SVG."""
    root = ET.fromstring(picture.data)
    return [''.join(each.itertext()) for each in root.iter('{http://www.w3.org/2000/svg}text')]


def coloured(scale, value):
    share = (value - scale.low) / (scale.high - scale.low)
    return style.colour_map(scale.colours)(share)


def test_values_have_their_colours_on_white(space):
    values = np.full(len(space), 30.0)
    values[: len(space) // 2] = 90
    scale = Scale(0, 100, 'cbf')
    (picture,) = map_pictures(space, values, scale, 'Mean of cbf')
    for value in (30, 90):
        assert has(picture, coloured(scale, value))
    assert not has(picture, coloured(scale, 60), tolerance=1)
    assert (pixels(picture)[[0, -1]] == 255).all()
    assert picture.size[0] == 896  # 5.6 inches of 160 pixels
    assert picture.alt == 'Mean of cbf. 9,600 voxels, values from 30 to 90, median 60.'
    assert picture.caption == 'Colour map: viridis, from 0 to 100.'
    assert picture.extension == '.png'


def test_what_has_no_value_is_grey(space):
    values = np.full(len(space), np.nan)
    values[:5000] = -1
    scale = Scale.symmetric(2, 't')
    (picture,) = map_pictures(space, values, scale, 'age')
    assert has(picture, coloured(scale, -1))
    assert has(picture, '0.87')
    assert picture.caption == 'Colour map: vik, from -2 to 2. Grey: voxels without a value.'
    assert '4,600 without a value' in picture.alt


def test_a_map_of_nothing_is_a_picture_all_the_same(space):
    nothing = np.full(len(space), np.nan)
    (picture,) = map_pictures(
        space, nothing, Scale.of(nothing, 't'), 'age', alt='Nothing survives.'
    )
    assert has(picture, '0.87')
    assert picture.alt == 'Nothing survives.'
    (default,) = map_pictures(space, nothing, Scale.of(nothing, 't'), 'age')
    assert default.alt == 'age. None of 9,600 voxels has a value.'


@pytest.mark.parametrize('size', [np.finfo(np.float32).max, np.finfo(np.float64).tiny / 100])
def test_the_largest_and_smallest_values_have_colours(space, size):
    values = (np.linspace(-1, 1, len(space)) * size).astype(np.float32 if size > 1 else np.float64)
    scale = Scale.of(values, 'FA')
    assert 0 < scale.high < np.inf
    background = MapBackground(space, values, 'the mean map')
    (picture,) = map_pictures(space, values, scale, 'FA', background=background)
    assert f'values from {-size:.3g} to {size:.3g}' in picture.alt


def test_infinite_values_do_not_matter(space):
    values = np.linspace(0, 1, len(space))
    values[:2] = np.inf, -np.inf
    scale = Scale.of(values, 'FA')
    assert (scale.low, scale.high) == pytest.approx((0.02, 0.98), abs=0.002)
    assert 'values from 0.000208 to 1' in map_pictures(space, values, scale, 'FA')[0].alt


def test_the_background_shows_through(space):
    values = np.full(len(space), np.nan)
    below = np.zeros(len(space))
    below[:4800] = 50
    background = MapBackground(space, below, "the cohort's mean map")
    (picture,) = map_pictures(space, values, Scale(0, 1, 't'), 'age', background=background)
    assert has(picture, '0.35')
    assert picture.caption.endswith("Grey: the cohort's mean map.")


def test_anatomy_on_another_grid_lies_where_it_is(tmp_path, space):
    # Half as large voxels; bright to the right of x = 0 only.
    affine = np.diag([4.0, 4, 4, 1])
    affine[:3, 3] = -82
    values = np.zeros((40, 48, 40), np.int16)
    values[21:] = 1000
    anatomy = Anatomy(save(tmp_path / 'T1w.nii.gz', values, affine))
    panels = map_panels(space, np.ones(len(space)))
    for panel, grey in zip(panels, anatomy.under(panels, None), strict=True):
        x = panel.positions()[..., 0]
        assert (grey[x > 3] == 1000).all()
        assert (grey[(x < -3) & np.isfinite(grey)] == 0).all()
    assert anatomy.description == 'T1w.nii.gz'


def test_the_mask_is_outlined_and_gaps_are_coloured():
    space = VoxelSpace.from_mask(group_mask(), AFFINE)
    coverage = np.ones(len(space))
    coverage[:8] = 0.25
    picture = mask_picture(space, coverage, 'Mask of cbf')
    assert has(picture, '#d81b60', tolerance=20)
    assert has(picture, coloured(Scale(0.25, 1, ''), 0.25))
    n = len(space)
    assert picture.alt == (
        f'Mask of cbf. {n} voxels; in {n - 8} of them every image has a value, and in the least '
        'covered 25% of the images have one.'
    )
    assert picture.caption.startswith('Outlined: the group mask.')


def test_a_mask_that_all_share_is_only_outlined():
    space = VoxelSpace.from_mask(group_mask(), AFFINE)
    background = MapBackground(space, np.arange(len(space)), 'the mean')
    picture = mask_picture(space, np.ones(len(space)), 'Mask', background)
    assert has(picture, '#d81b60', tolerance=20)
    assert 'Grey: the mean.' in picture.caption
    for other in (
        ParcelSpace.from_axes(parcels()[:3]),
        EdgeSpace.from_axes(parcels(), parcels()),
    ):
        assert mask_picture(other, np.ones(len(other)), 'Mask', background) is None


@pytest.mark.parametrize('shape', [(1, 1, 1), (1, 30, 30), (60, 1, 2), (2, 2, 200)])
def test_grids_of_odd_shapes(shape):
    space = VoxelSpace.from_mask(np.ones(shape), AFFINE)
    values = np.arange(float(len(space)))
    (picture,) = map_pictures(space, values, Scale.of(values, 'x'), 'x')
    assert picture.size[1] < 1500
    assert mask_picture(space, np.full(len(space), 0.5), 'x') is not None


def test_a_cortex_is_drawn_on_its_surface(surfaces):
    space = GreyordinateSpace.from_axes(brain_models())
    values = np.arange(66.0)
    scale = Scale(0, 100, 'thickness')
    (picture,) = map_pictures(space, values, scale, 'Mean', surfaces=surfaces)
    # The medial wall is grey; 19 vertices on the left, 30 on the right, then the voxels.
    assert has(picture, '0.7')
    for value in (5, 40, 60):
        assert has(picture, coloured(scale, value), tolerance=8)
    assert 'Surfaces: L.surf.gii, R.surf.gii.' in picture.caption


def test_without_a_surface_structures_are_compared(surfaces):
    space = GreyordinateSpace.from_axes(brain_models())
    values = np.arange(66.0)
    slices, chart = map_pictures(space, values, Scale.of(values, 'thickness (mm)'), 'Mean')
    assert slices.media_type == 'image/png'
    assert chart.extension == '.svg'
    written = texts(chart)
    for text in ('left cortex', 'right cortex', 'brain stem', 'left thalamus', 'thickness (mm)'):
        assert text in written
    assert chart.alt == (
        'Mean, by structure. Medians: left cortex 9, right cortex 33.5, brain stem 52, '
        'left thalamus 60.5.'
    )
    # One hemisphere alone is no cortex.
    del surfaces[RIGHT]
    assert len(map_pictures(space, values, Scale.of(values, 'x'), 'Mean', surfaces=surfaces)) == 2
    without = GreyordinateSpace.from_axes(voxels())
    assert len(map_pictures(without, values[:7], Scale.of(values, 'x'), 'Mean')) == 1


def test_parcels_are_a_chart_or_on_a_surface(surfaces):
    space = ParcelSpace.from_axes(parcels()[:3])
    values = np.array([1.0, 2, 3])
    (chart,) = map_pictures(space, values, Scale.of(values, 'alff'), 'Mean of alff')
    assert chart.media_type == 'image/svg+xml'
    (painted,) = map_pictures(
        space, values, Scale.of(values, 'alff'), 'Mean of alff', surfaces=surfaces
    )
    assert painted.media_type == 'image/png'


def test_a_structure_without_a_value_is_named():
    space = GreyordinateSpace.from_axes(brain_models())
    values = np.where(np.arange(66) < 19, np.nan, 1.0)
    chart = structure_chart(space, values, 'x', 'Mean')
    assert 'left cortex without a value' in chart.alt


def test_edges_are_a_matrix():
    space = EdgeSpace.from_axes(parcels(), parcels()[:3])
    values = np.arange(12.0)
    scale = Scale(0, 11, 'z')
    background = MapBackground(space, values, 'nothing')
    (picture,) = map_pictures(space, values, scale, 'Mean', background=background)
    for value in values:
        assert has(picture, coloured(scale, value), tolerance=8)
    assert 'nothing' not in picture.caption


def test_fixels_show_their_density():
    space = FixelSpace.from_arrays(index_values(), direction_values(), FIXEL_AFFINE)
    picture = density_picture(space, 'Fixel density')
    assert picture.caption == 'Colour map: viridis, from 0 to 3.'
    for count in (1, 2, 3):
        assert has(picture, coloured(Scale(0, 3, ''), count), tolerance=8)
    assert picture.alt == 'Fixel density. 6 fixels, up to 3 in a voxel shown.'
    assert density_picture(VoxelSpace.from_mask(np.ones(SHAPE), AFFINE), 'x') is None


def test_text_is_taken_as_it_is(space):
    values = np.arange(float(len(space)))
    title = 'I(age^2) $x_1$ \\alpha {müller} <b> & 年齢 ' * 4
    (picture,) = map_pictures(space, values, Scale.of(values, 'µ$g'), title)
    assert picture.alt.startswith(title)
    chart = structure_chart(ParcelSpace.from_axes(parcels()), np.ones(4), '<x> & $y$', '<&>')
    assert '<x> & $y$' in texts(chart)


def test_a_long_title_stays_in_the_picture(space):
    values = np.arange(float(len(space)))
    title = 'pearsoncorrelation ~ age: test statistic where FDR-corrected p < 0.05'
    short, long = (
        map_pictures(space, values, Scale.of(values, 'x'), each)[0] for each in ('x', title)
    )
    assert (pixels(long)[:100, -13:] == 255).all()
    assert long.size[1] == pytest.approx(short.size[1] + 0.22 * 160, abs=1)  # a second line


def test_slices_of_one_direction_are_side_by_side():
    # Two axial slices only, and as many of the others as are shown of any volume.
    space = VoxelSpace.from_mask(np.ones((30, 30, 2)), np.eye(4))
    background = MapBackground(space, np.ones(len(space)), 'x')
    rows = panel_rows(map_panels(space, np.ones(len(space))), background, None)
    assert [[tile.panel.title[0] for tile in tiles] for tiles in rows] == [
        ['z', 'z'],
        ['y', 'y', 'x', 'x'],
    ]


def test_nothing_of_matplotlib_is_changed_and_nothing_changes_it(space):
    values = np.arange(float(len(space)))

    def drawn():
        (picture,) = map_pictures(space, values, Scale.of(values, 'x'), 'x')
        chart = structure_chart(ParcelSpace.from_axes(parcels()), np.ones(4), 'x', 'x')
        return picture.data, chart.data

    first = drawn()
    with mpl.rc_context({'font.size': 40, 'image.interpolation': 'bicubic', 'text.usetex': True}):
        before = dict(mpl.rcParams)
        assert drawn() == first
        assert dict(mpl.rcParams) == before
    assert 'vik' not in mpl.colormaps


@pytest.mark.parametrize(
    ('values', 'expected'),
    [
        ([], (0, 1, 'viridis')),
        ([np.nan, np.inf], (0, 1, 'viridis')),
        ([5, 5, 5], (2.5, 7.5, 'viridis')),
        ([0, 0], (-1, 1, 'viridis')),
        ([-1, 3], (-2.92, 2.92, 'vik')),  # the 98th percentile of two values: 3 - 0.08
        ([-3e-9, -1e-9], (-2.96e-9, -1.04e-9, 'viridis')),
        ([0, 123456], (2460, 121000, 'viridis')),  # 2469 and 120987, outwards to three digits
    ],
)
def test_scales(values, expected):
    scale = Scale.of(np.array(values, float), 'x')
    assert (scale.low, scale.high) == pytest.approx(expected[:2])
    assert scale.colours == expected[2]
    assert scale.low < scale.high


def test_our_colour_map_is_what_it_says():
    # Crameri's table has 0.001328 0.069836 0.379529 first, and its lightest colour in the middle.
    colours = style.colour_map('vik')
    assert colours(0.0)[:3] == pytest.approx((0.001328, 0.069836, 0.379529), abs=0.002)
    lightness = colours(np.arange(256))[:, :3].sum(axis=1)
    assert 120 <= lightness.argmax() <= 135
    assert re.fullmatch(r'#[0-9a-f]{6}', mpl.colors.to_hex(colours(255)))
