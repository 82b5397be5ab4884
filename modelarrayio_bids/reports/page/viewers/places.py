"""Places of elements in a viewer: voxels, vertices and meshes, names; and what lies below."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from modelarrayio_bids.reports.figures.anatomy import Anatomy
from modelarrayio_bids.reports.figures.backgrounds import Surroundings
from modelarrayio_bids.reports.figures.surfaces import Surface
from modelarrayio_bids.reports.page.viewers.blocks import Block
from modelarrayio_bids.spaces import ElementSpace
from modelarrayio_bids.spaces.cifti_base import spoken_structure
from modelarrayio_bids.spaces.geometry import GridElements

# Coordinates of vertices are whole numbers of these, mm.
_UNIT = 0.01
#: More elements than these are not named: by row and column, if they make a matrix.
_MOST_NAMES = 200_000
# Around the elements, mm; spacing of an anatomy's samples, mm, and how many there are at most.
_MARGIN, _SPACING, _MOST_SAMPLES = 8.0, 2.0, 1_000_000
#: Percentiles of a background that are black and white.
_GREY = (1, 99.5)


def place_facts(space: ElementSpace, around: Surroundings) -> dict[str, Any]:
    """Return what a viewer is to know of the places of elements, beside :func:`place_blocks`."""
    there, surfaces = space.grid_elements(), around.surfaces
    cortex = space.surface_elements()
    return {
        'kind': space.kind,
        'n': len(space),
        'touching': space.has_neighbours,
        'grid': None if there is None else _grid_facts(space, there),
        'surfaces': [
            {
                'structure': spoken_structure(name),
                'unit': _UNIT,
                'hemisphere': surfaces[name].hemisphere if name in surfaces else '',
                'vertices': each.n_vertices,
                'mesh': surfaces[name].path.name if name in surfaces else '',
            }
            for name, each in cortex.items()
        ],
        'structures': list(space.structures()),
        'regions': around.regions.names,
        'matrix': space.matrix_shape(),
    }


def _grid_facts(space: ElementSpace, there: GridElements) -> dict[str, Any]:
    volume = float(space.volumes(there.elements[:1])[0]) if there.elements.size else np.nan
    return {
        'shape': [int(size) for size in there.grid.shape],
        'affine': there.grid.affine.tolist(),
        'edge': there.grid.voxel_edge,
        'volume': volume if np.isfinite(volume) else None,
    }


def place_blocks(space: ElementSpace, around: Surroundings) -> Iterator[Block]:
    """Yield voxels, vertices and meshes, structures, regions and names of the elements."""
    if (there := space.grid_elements()) is not None:
        strides = np.array([1, there.grid.shape[0], there.grid.shape[0] * there.grid.shape[1]])
        voxels = (strides @ there.indices)[there.voxels]
        yield _integers('grid.voxels', voxels)
        yield _integers('grid.elements', there.elements)
    for number, (name, each) in enumerate(space.surface_elements().items()):
        yield _integers(f'surface{number}.vertices', each.vertices)
        yield _integers(f'surface{number}.elements', each.elements)
        if name in around.surfaces:
            yield from _mesh_blocks(number, around.surfaces[name])
    if structures := space.structures():
        codes = np.zeros(len(space), np.uint16)
        for code, members in enumerate(structures.values()):
            codes[members] = code
        yield Block.of('structures', codes)
    if around.regions.codes.any():
        yield Block.of('regions', around.regions.codes)
    if not space.has_neighbours and len(space) <= _MOST_NAMES:
        names = '\n'.join(space.labels(np.arange(len(space))))
        yield Block.of('names', np.frombuffer(names.encode(), np.uint8))


def _mesh_blocks(number: int, surface: Surface) -> Iterator[Block]:
    points = surface.mesh.points - surface.mesh.points.mean(axis=0)
    longest = np.iinfo(np.int16).max
    units = np.clip(np.round(points / _UNIT), -longest, longest).astype(np.int16)
    yield Block.of(f'surface{number}.points', units)
    yield _integers(f'surface{number}.triangles', surface.mesh.triangles.reshape(-1))
    if surface.mesh.places is not None:
        places = np.round(surface.mesh.places).astype(np.int16)
        yield Block.of(f'surface{number}.places', places)
    shade = np.clip(255 * surface.shade, 0, 255).astype(np.uint8)
    yield Block.of(f'surface{number}.shade', shade)


def _integers(name: str, values: np.ndarray) -> Block:
    return Block.of(name, values.astype(np.int32), delta=True)


def mean_block(mean: np.ndarray) -> Block:
    """Return the cohort's mean map as grey levels by element, 0 where it has none."""
    return Block.of('mean', _grey(mean))


def anatomy_facts(space: ElementSpace, anatomy: Anatomy) -> dict[str, Any] | None:
    """Return the grid that an anatomy is shown on: around the elements, along the axes of RAS+."""
    there = space.grid_elements()
    if there is None or not there.indices.size:
        return None
    ends = np.array([there.indices.min(axis=1), there.indices.max(axis=1)])
    corners = np.stack(np.meshgrid(*ends.T, indexing='ij'), axis=-1).reshape(-1, 3)
    places = corners @ there.grid.affine[:3, :3].T + there.grid.affine[:3, 3]
    low, high = places.min(axis=0) - _MARGIN, places.max(axis=0) + _MARGIN
    step = max(_SPACING, float(np.cbrt(np.prod(high - low) / _MOST_SAMPLES)))
    affine = np.diag([step, step, step, 1.0])
    affine[:3, 3] = low
    return {
        'name': anatomy.description,
        'shape': [int(size) for size in np.ceil((high - low) / step).astype(int) + 1],
        'affine': affine.tolist(),
    }


def anatomy_block(anatomy: Anatomy, facts: Mapping[str, Any]) -> Block:
    """Return an anatomy on the grid of :func:`anatomy_facts`, as grey levels in Fortran's order."""
    values = anatomy.on_grid(tuple(facts['shape']), np.array(facts['affine']))
    return Block.of('anatomy', _grey(values).reshape(-1, order='F'))


def _grey(values: np.ndarray) -> np.ndarray:
    """Return grey levels from 1 to 255 of an array, uint8; 0 where it has no value, or zero."""
    there = np.isfinite(values) & (values != 0)
    if not there.any():
        return np.zeros(values.shape, np.uint8)
    low, high = np.percentile(values[there], _GREY)
    share = (np.nan_to_num(values) - low) / max(float(high - low), 1e-30)
    return np.where(there, 1 + 254 * np.clip(share, 0, 1), 0).astype(np.uint8)


def picture_notes(space: ElementSpace, surfaces: Mapping[str, Surface]) -> Iterator[str]:
    """Yield what is to be known of how elements of a kind are shown."""
    there = space.grid_elements()
    if there is not None and there.are_shared:
        yield f'Of the {space.kind} of one voxel that pass, the strongest is shown.'
    if absent := [spoken_structure(name) for name in space.surface_elements().keys() - surfaces]:
        names = ', '.join(sorted(absent))
        yield f'No surface was at hand for the {names}: its vertices are in the list alone.'
