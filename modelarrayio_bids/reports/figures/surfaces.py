"""The cortex, seen from outside and from between the hemispheres.

Meshes are looked for in FreeSurfer's folders of fsaverage, where the data are on it, among the
templates that TemplateFlow has fetched to this machine, then near the sources; nothing is fetched.
A mesh fits if its vertices are as many as the file says, its name tells a space that all subjects
share, and its hemisphere is that of the structure.

Views are ours: an orthographic projection, in which each pixel shows the triangle nearest to the
viewer. For 65,000 triangles that takes a fifth of the time that drawing them as polygons takes.
"""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, groupby
from pathlib import Path

import numpy as np
from scipy import sparse

from modelarrayio_bids.errors import ModelArrayIOError
from modelarrayio_bids.formats.surface_maps import side
from modelarrayio_bids.reports.figures.panels import Panel
from modelarrayio_bids.reports.findings.meshes import EXTENSION, Mesh
from modelarrayio_bids.reports.findings.nearby_files import (
    anatomical_files,
    freesurfer_folders,
    space_label,
    template_files,
)

logger = logging.getLogger(__name__)

#: Shapes to look at, the best first, and shapes that tell gyri from sulci.
SHAPES = ('inflated', 'midthickness', 'veryinflated', 'pial', 'white', 'smoothwm')
FOLDED = ('midthickness', 'white', 'smoothwm', 'pial')
#: Templates whose vertices correspond between people, by how they are called in names of files.
_SHARED = ('fsLR', 'fs_LR', 'fsaverage')
_CORTICES = {'CORTEX_LEFT': 'L', 'CORTEX_RIGHT': 'R'}
# Pixels of a view.
_LONGEST = 400
# A share of a corner at the opposite edge, but for rounding.
_EDGE = -1e-9
_TINY = 1e-30
# Grey levels of gyri and sulci, from black to white.
_LIGHT, _DARK = 0.86, 0.66


@dataclass(frozen=True)
class Surface:
    """A cortex to be drawn.

    Parameters
    ----------
    hemisphere : str
        ``L`` or ``R``.
    mesh : Mesh
        Triangles and coordinates of the surface.
    shade : numpy.ndarray
        (n_vertices,) float32, 0 black to 1 white: darker in sulci.
    path : pathlib.Path
        The mesh's file.
    """

    hemisphere: str
    mesh: Mesh
    shade: np.ndarray
    path: Path

    @functools.cached_property
    def views(self) -> tuple[View, View]:
        """Views from outside, and from the other hemisphere."""
        outwards = -1 if self.hemisphere == 'L' else 1
        return View.of(self.mesh, outwards), View.of(self.mesh, -outwards)


@dataclass(frozen=True)
class View:
    """View of a mesh along the axis from left to right.

    Parameters
    ----------
    vertices : numpy.ndarray
        (rows, columns) int32, the first row on top: the vertex seen, -1 where there is none.
    plane : numpy.ndarray
        As in :class:`~modelarrayio_bids.reports.figures.panels.Panel`.
    sides : tuple of str
        As there.
    """

    vertices: np.ndarray
    plane: np.ndarray
    sides: tuple[str, str]

    @classmethod
    def of(cls, mesh: Mesh, direction: int) -> View:
        """Look from the right (1: what is anterior is on the right) or from the left (-1)."""
        x, y, z = mesh.points.T.astype(np.float64)
        pixel = max(float(np.ptp(y)), float(np.ptp(z))) / _LONGEST or 1.0
        across = y * direction
        columns, rows = (across - across.min()) / pixel, (z.max() - z) / pixel
        plane = np.zeros((3, 3))
        plane[2, 0], plane[1, 1] = -pixel, pixel * direction
        plane[:, 2] = 0, across.min() * direction, z.max()
        seen = _nearest(np.stack([columns, rows], axis=1), x * direction, mesh.triangles)
        return cls(seen, plane, ('P', 'A') if direction > 0 else ('A', 'P'))

    def panel(self, values: np.ndarray, title: str) -> Panel:
        """Return values of the vertices, (n_vertices,), as they are seen."""
        image = np.append(values, np.nan).astype(np.float32)[self.vertices]
        return Panel(title, image, self.plane, self.sides)


def find_surfaces(
    sizes: Mapping[str, int], sources: Sequence[Path], named: str = ''
) -> dict[str, Surface]:
    """Return a surface for every cortex, of one place and shape; none if one of them has none.

    Parameters
    ----------
    sizes : dict of int
        By structure, as CIFTI calls it: how many vertices it has. Other structures than the two
        cortices are left out.
    sources : sequence of pathlib.Path
        Images of the cohort.
    named : str, optional
        Name of the surface, where it is known: only meshes of this one fit then.
    """
    labels = [label for label in _SHARED if _may_be(named, label)] or [named]
    wanted = {name: size for name, size in sizes.items() if _hemisphere_of(name)}
    if not wanted:
        return {}
    freesurfer = freesurfer_folders(sources) if named.startswith('fsaverage') else ()
    for place in chain(freesurfer, _places(sources, labels)):
        shown = next(filter(None, (_of_shape(place, shape, wanted) for shape in SHAPES)), None)
        if shown is None:
            continue
        folded = next(filter(None, (_of_shape(place, shape, wanted) for shape in FOLDED)), None)
        return {
            name: _surface(name, path, mesh, None if folded is None else folded[name][1])
            for name, (path, mesh) in shown.items()
        }
    return {}


def _surface(name: str, path: Path, mesh: Mesh, folded: Mesh | None) -> Surface:
    placed = mesh if folded is None else replace(mesh, places=folded.points)
    return Surface(_hemisphere_of(name), placed, shade(mesh if folded is None else folded), path)


def meshes_of(surfaces: Mapping[str, Surface]) -> dict[str, Mesh]:
    """Return the meshes of surfaces, by structure."""
    return {name: surface.mesh for name, surface in surfaces.items()}


def shade(mesh: Mesh) -> np.ndarray:
    """Return grey levels of a folded mesh, (n_vertices,) float32: sulci are darker than gyri.

    A vertex lies in a sulcus if its neighbours lie further outwards, along its normal, than itself.
    """
    corners = mesh.points[mesh.triangles].astype(np.float64)
    a, b, c = np.moveaxis(corners - corners.mean(axis=(0, 1)), 1, 0)
    normals = np.cross(b - a, c - a)
    # Triangles may be wound either way: outwards, a mesh holds a volume above zero.
    normals *= np.sign((normals * a).sum()) or 1
    around = _around(mesh)
    outwards = around @ normals
    outwards /= np.maximum(np.linalg.norm(outwards, axis=1, keepdims=True), _TINY)
    # The centre of the triangles around a vertex is a third itself, two thirds its neighbours.
    centres = around @ corners.mean(axis=1) / np.maximum(around.sum(axis=1), 1)[:, np.newaxis]
    depth = ((centres - mesh.points) * outwards).sum(axis=1)
    relative = np.clip((depth - np.median(depth)) / max(float(depth.std()), _TINY) + 0.5, 0, 1)
    return (_LIGHT - (_LIGHT - _DARK) * relative).astype(np.float32)


def _around(mesh: Mesh) -> sparse.csr_array:
    """Return which triangles meet in each vertex: (n_vertices, n_triangles), ones."""
    faces = np.repeat(np.arange(len(mesh.triangles)), 3)
    ones = np.ones(faces.size)
    shape = (len(mesh.points), len(mesh.triangles))
    return sparse.csr_array((ones, (mesh.triangles.ravel(), faces)), shape)


def _nearest(pixels: np.ndarray, depth: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Return for each pixel the vertex nearest to it, of the triangle nearest to the viewer.

    Parameters
    ----------
    pixels : numpy.ndarray
        (n_vertices, 2): column and row of each vertex, not rounded.
    depth : numpy.ndarray
        (n_vertices,): the greater, the nearer.
    triangles : numpy.ndarray
        (n_triangles, 3).
    """
    a, b, c = np.moveaxis(pixels[triangles], 1, 0)
    triangles = triangles[_cross(b - a, c - a) != 0]  # others are seen edge-on: they cover nothing
    number, column, row = _pairs(pixels[triangles])
    second, third = _shares(pixels[triangles], number, column, row)
    first = 1 - second - third
    inside = np.flatnonzero((first >= _EDGE) & (second >= _EDGE) & (third >= _EDGE))
    shares = np.stack([first[inside], second[inside], third[inside]], axis=1)
    seen = triangles[number[inside]]
    order = np.argsort((depth[seen] * shares).sum(axis=1), kind='stable')
    columns, rows = np.ceil(pixels.max(axis=0)).astype(int) + 1
    image = np.full((rows, columns), -1, np.int32)
    vertices = seen[np.arange(len(seen)), shares.argmax(axis=1)]
    # If several triangles cover a pixel, the last one remains.
    image[row[inside][order], column[inside][order]] = vertices[order]
    return image


def _shares(
    corners: np.ndarray, number: np.ndarray, column: np.ndarray, row: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return how much of a place is the second and the third corner's of its triangle, 0 to 1."""
    a, b, c = np.moveaxis(corners, 1, 0)
    across, down = column - a[number, 0], row - a[number, 1]
    # Both are linear: their slopes along the columns and along the rows, by triangle.
    whole = _cross(b - a, c - a)
    x2, y2 = (c - a)[:, 1] / whole, (a - c)[:, 0] / whole
    x3, y3 = (a - b)[:, 1] / whole, (b - a)[:, 0] / whole
    return x2[number] * across + y2[number] * down, x3[number] * across + y3[number] * down


def _pairs(corners: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pair triangles, (n, 3, 2), with each pixel of their bounding box: number, column, row."""
    first = np.ceil(corners.min(axis=1)).astype(int)
    width, height = np.maximum(np.floor(corners.max(axis=1)).astype(int) - first + 1, 0).T
    sizes = width * height
    number = np.repeat(np.arange(len(corners)), sizes)
    offset = np.arange(number.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    row, column = np.divmod(offset, width[number])
    return number, first[number, 0] + column, first[number, 1] + row


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


def _hemisphere_of(structure: str) -> str:
    """Return ``L`` or ``R`` of a cortex, else empty."""
    return _CORTICES.get(structure.removeprefix('CIFTI_STRUCTURE_'), '')


def _may_be(named: str, label: str) -> bool:
    """Return whether a surface may be of a template, its name being known or blank."""
    return not named or named.replace('_', '').startswith(label.replace('_', ''))


def _places(sources: Sequence[Path], labels: Sequence[str]) -> Iterator[list[Path]]:
    """Yield folders with meshes, as lists of files: templates, then those near the sources."""
    templates = dict.fromkeys(filter(None, [space_label(sources), *labels]))
    files = chain(
        template_files([*templates], f'*{EXTENSION}'), anatomical_files(sources, f'*{EXTENSION}')
    )
    shared = (path for path in files if any(label in path.name for label in labels))
    for _, group in groupby(shared, key=lambda path: path.parent):
        yield list(group)


def _of_shape(
    place: Sequence[Path], shape: str, wanted: Mapping[str, int]
) -> dict[str, tuple[Path, Mesh]]:
    """Return for every structure a file and its mesh; nothing if one is missing."""
    found = {}
    for structure, size in wanted.items():
        hemisphere = _hemisphere_of(structure)
        named = (path for path in place if _is_named(path, shape, hemisphere))
        read = ((path, mesh) for path in named if (mesh := _fitting(path, hemisphere, size)))
        first = next(read, None)
        if first is None:
            return {}
        found[structure] = first
    return found


def _is_named(path: Path, shape: str, hemisphere: str) -> bool:
    """Return whether a name tells this shape, and this hemisphere or none."""
    if not re.search(rf'(?<![A-Za-z]){shape}(?![A-Za-z])', path.name.replace('very_', 'very')):
        return False
    return side(path.name) in {hemisphere, ''}


def _fitting(path: Path, hemisphere: str, size: int) -> Mesh | None:
    try:
        mesh = Mesh.from_file(path)
    except ModelArrayIOError as error:
        logger.info('Not used as a surface: %s', error)
        return None
    told = side(path.name) or {'CortexLeft': 'L', 'CortexRight': 'R'}.get(mesh.structure)
    return mesh if told == hemisphere and len(mesh.points) == size else None
