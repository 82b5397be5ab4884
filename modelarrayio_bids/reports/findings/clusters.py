"""Clusters: connected elements above a threshold.

They describe where a result is; nothing is inferred from their sizes. Voxels touch by a face, an
edge or a corner (26 neighbours, as in FSL), vertices by an edge of their surface, and only within
a structure. Elements of positive and of negative value never make one cluster.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage, sparse

from modelarrayio_bids.reports.findings.atlases import Regions
from modelarrayio_bids.reports.findings.meshes import Mesh
from modelarrayio_bids.spaces import ElementSpace
from modelarrayio_bids.spaces.geometry import place_names

_TOUCHING = 'voxels that touch by a face, an edge or a corner'


@dataclass(frozen=True)
class Cluster:
    """Connected elements.

    Parameters
    ----------
    elements : numpy.ndarray
        (n,) positions in the space, ascending.
    peak : int
        The one whose value is furthest from zero; the first, if there are several.
    value : float
        Its value.
    where : str
        Name of the place: ``(-12, 34, 8) mm``, or the name of a parcel.
    coordinates : tuple of float, optional
        Coordinates in mm (RAS+); None for elements without a position.
    volume : float, optional
        Volume of all elements in mm³; None for elements without a volume.
    """

    elements: np.ndarray
    peak: int
    value: float
    where: str
    coordinates: tuple[float, ...] | None = None
    volume: float | None = None

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(self.elements.size)


@dataclass(frozen=True)
class Clusters:
    """The clusters of a map.

    Parameters
    ----------
    count : int
        Number of clusters.
    largest : tuple of Cluster
        The largest, in order; of two that are as large, that of the higher peak comes first.
    """

    count: int
    largest: tuple[Cluster, ...]


def find_clusters(
    space: ElementSpace,
    values: np.ndarray,
    keep: np.ndarray,
    meshes: Mapping[str, Mesh],
    most: int = 10,
    *,
    regions: Regions | None = None,
) -> Clusters:
    """Find the clusters of some elements.

    Parameters
    ----------
    space : ElementSpace
        Space of the elements.
    values : numpy.ndarray
        (n_elements,).
    keep : numpy.ndarray
        (n_elements,) boolean: those that survived. Those without a value never do.
    meshes : dict of Mesh
        By structure, as :meth:`~modelarrayio_bids.spaces.base.ElementSpace.surface_elements` has
        them. Without a mesh the vertices of a structure are one cluster.
    most : int, optional
        Maximal number of clusters to describe.
    regions : Regions, optional
        Regions of the elements.
    """
    alive = keep & ~np.isnan(values)
    sides = [np.flatnonzero(alive & (values >= 0)), np.flatnonzero(alive & (values < 0))]
    pieces = [_connected_components(space, elements, meshes) for elements in sides]
    elements = np.concatenate(sides)
    if not elements.size:
        return Clusters(0, ())
    above = pieces[0].max(initial=-1) + 1
    labels = np.concatenate([pieces[0], pieces[1] + above])
    counts = np.bincount(labels)
    # Piece by piece, the highest first, and of equally high ones the first.
    strength = abs(values[elements])
    order = np.lexsort((elements, -strength, labels))
    starts = np.cumsum(counts) - counts
    chosen = np.lexsort((-strength[order[starts]], -counts))[:most]
    members = (elements[order[starts[label] : starts[label] + counts[label]]] for label in chosen)
    described = (_cluster(space, values, each, meshes, regions) for each in members)
    return Clusters(counts.size, tuple(described))


def name_of(
    space: ElementSpace,
    element: int,
    meshes: Mapping[str, Mesh],
    regions: Regions | None = None,
) -> str:
    """Return the name of an element, its place where a mesh tells it, and its region."""
    at = np.array([element])
    name = space.labels(at)[0]
    place = coordinates_of(space, element, meshes)
    if np.isfinite(place).all() and not np.isfinite(space.coordinates(at)).all():
        name += f' {place_names(place[np.newaxis], 1)[0]}'
    return ', '.join(filter(None, (name, '' if regions is None else regions[element])))


def coordinates_of(space: ElementSpace, element: int, meshes: Mapping[str, Mesh]) -> np.ndarray:
    """Return the place of an element, of a vertex on its mesh, in mm: (3,); NaN without one."""
    place = space.coordinates(np.array([element]))[0]
    # A parcel has many vertices, and so no place.
    for structure, surface in space.surface_elements().items() if space.has_neighbours else ():
        places = meshes[structure].places if structure in meshes else None
        at = np.flatnonzero(surface.elements == element)
        if places is not None and at.size:
            place = places[surface.vertices[at[0]]].astype(np.float64)
    return place


def connectivity_rule(space: ElementSpace, meshes: Mapping[str, Mesh]) -> str:
    """Return the rule by which elements make a cluster, as part of a sentence."""
    if not space.has_neighbours:
        return f'each {space.kind.removesuffix("s")} by itself'
    rules = []
    if surfaces := space.surface_elements():
        joined = 'vertices that an edge of the surface joins'
        at_hand = surfaces.keys() <= meshes.keys()
        rules.append(joined if at_hand else 'all vertices of a cortex (no surface was found)')
    if (there := space.grid_elements()) is not None:
        rules.append(
            f'{space.kind} of one voxel, or of {_TOUCHING}' if there.are_shared else _TOUCHING
        )
    return ', or '.join(rules) + (', within a structure' if space.structures() else '')


def _connected_components(
    space: ElementSpace, elements: np.ndarray, meshes: Mapping[str, Mesh]
) -> np.ndarray:
    """Return the cluster of each of some elements, from 0 without gaps: (n,) int64."""
    if not space.has_neighbours:
        return np.arange(elements.size)
    components = np.full(len(space), -1)
    alive = np.zeros(len(space), bool)
    alive[elements] = True
    for members, labels in _by_neighbourhood(space, alive, meshes):
        components[members] = labels + components.max() + 1
    return np.unique(components[elements], return_inverse=True)[1]


def _by_neighbourhood(
    space: ElementSpace, alive: np.ndarray, meshes: Mapping[str, Mesh]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield elements that could touch each other, and the numbers of their clusters, from 0."""
    for structure, surface in space.surface_elements().items():
        here = alive[surface.elements]
        vertices = surface.vertices[here]
        mesh = meshes.get(structure)
        labels = np.zeros(vertices.size, int) if mesh is None else _joined(mesh, vertices)
        yield surface.elements[here], labels
    there = space.grid_elements()
    if there is None:
        return
    for members in space.structures().values() or [slice(None)]:
        inside = np.zeros_like(alive)
        inside[members] = alive[members]
        here = inside[there.elements]
        yield there.elements[here], _touching(there.indices[:, there.voxels[here]])


def _touching(indices: np.ndarray) -> np.ndarray:
    """Return the clusters of voxels: (3, n) indices to (n,) integers."""
    if not indices.size:
        return np.empty(0, int)
    inside = tuple(indices - indices.min(axis=1, keepdims=True))
    volume = np.zeros([axis.max() + 1 for axis in inside], bool)
    volume[inside] = True
    labels, _ = ndimage.label(volume, np.ones((3, 3, 3)))
    return labels[inside] - 1


def _joined(mesh: Mesh, vertices: np.ndarray) -> np.ndarray:
    """Return the clusters of vertices, (n,) positions in the mesh's points, each once."""
    starts = mesh.triangles.ravel()
    ends = np.roll(mesh.triangles, -1, axis=1).ravel()
    n_points = len(mesh.points)
    edges = sparse.csr_array((np.ones(starts.size, bool), (starts, ends)), (n_points, n_points))
    return sparse.csgraph.connected_components(edges[vertices][:, vertices], directed=False)[1]


def _cluster(
    space: ElementSpace,
    values: np.ndarray,
    members: np.ndarray,
    meshes: Mapping[str, Mesh],
    regions: Regions | None,
) -> Cluster:
    """Describe the cluster of some elements, the peak first."""
    peak = members[:1]
    place = coordinates_of(space, int(peak[0]), meshes)
    volume = space.volumes(members).sum()
    return Cluster(
        np.sort(members),
        int(peak[0]),
        float(values[peak[0]]),
        name_of(space, int(peak[0]), meshes, regions),
        tuple(place.tolist()) if np.isfinite(place).all() else None,
        float(volume) if np.isfinite(volume) else None,
    )
