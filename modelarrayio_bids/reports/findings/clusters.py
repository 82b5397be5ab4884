"""Clusters: elements that survived a threshold and touch each other.

They describe where a result is; nothing is inferred from their sizes. What touches what is for the
space to say (:meth:`~modelarrayio_bids.spaces.base.ElementSpace.pieces`). Elements of positive and
of negative value never make one cluster.

>>> touching(np.array([[0, 1, 4], [0, 1, 4], [0, 1, 4]])).tolist()  # a corner is enough
[0, 0, 1]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from modelarrayio_bids.formats.gifti import Mesh
from modelarrayio_bids.spaces.base import ElementSpace

#: What :func:`touching` does, for a person.
TOUCHING = 'voxels that touch by a face, an edge or a corner'


@dataclass(frozen=True)
class Cluster:
    """Elements that touch each other.

    Parameters
    ----------
    elements : numpy.ndarray
        (n,) positions in the space, ascending.
    peak : int
        The one whose value is furthest from zero; the first, if there are several.
    value : float
        Its value.
    where : str
        What it is called: ``(-12, 34, 8) mm``, or a parcel's name.
    coordinates : tuple of float, optional
        Where it is in mm of RAS+, if it is a place.
    volume : float, optional
        Of all elements in mm³, if they fill any.
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
        How many there are.
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
) -> Clusters:
    """The clusters of some elements.

    Parameters
    ----------
    space : ElementSpace
        What they are elements of.
    values : numpy.ndarray
        (n_elements,).
    keep : numpy.ndarray
        (n_elements,) boolean: those that survived. Those without a value never do.
    meshes : dict of Mesh
        By structure, as :meth:`~modelarrayio_bids.spaces.base.ElementSpace.surfaces` has them.
    most : int, optional
        How many are described.
    """
    alive = keep & ~np.isnan(values)
    sides = [np.flatnonzero(alive & (values >= 0)), np.flatnonzero(alive & (values < 0))]
    pieces = [space.pieces(elements, meshes) for elements in sides]
    elements = np.concatenate(sides)
    if not elements.size:
        return Clusters(0, ())
    above = pieces[0].max(initial=-1) + 1
    labels, counts = _numbered(np.concatenate([pieces[0], pieces[1] + above]))
    # Piece by piece, the highest first, and of equally high ones the first.
    strength = abs(values[elements])
    order = np.lexsort((elements, -strength, labels))
    starts = np.cumsum(counts) - counts
    chosen = np.lexsort((-strength[order[starts]], -counts))[:most]
    members = (elements[order[starts[label] : starts[label] + counts[label]]] for label in chosen)
    return Clusters(counts.size, tuple(_cluster(space, values, each) for each in members))


def touching(indices: np.ndarray) -> np.ndarray:
    """Which voxels make one piece, by a face, an edge or a corner (26 neighbours, as in FSL).

    Parameters
    ----------
    indices : numpy.ndarray
        (3, n) integers, each once.

    Returns
    -------
    numpy.ndarray
        (n,) int64: the number of the piece, from 0.
    """
    # It takes 0.2 s and 25 MB that builds and exports do without.
    from scipy import ndimage  # noqa: PLC0415

    if not indices.size:
        return np.empty(0, np.int64)
    inside = tuple(indices - indices.min(axis=1, keepdims=True))
    volume = np.zeros([axis.max() + 1 for axis in inside], bool)
    volume[inside] = True
    pieces, _ = ndimage.label(volume, np.ones((3, 3, 3)))
    return pieces[inside].astype(np.int64) - 1


def connected(mesh: Mesh, vertices: np.ndarray) -> np.ndarray:
    """Which vertices make one piece, by the edges of triangles: as :func:`touching`.

    Parameters
    ----------
    mesh : Mesh
        The surface.
    vertices : numpy.ndarray
        (n,) positions in its points, each once.
    """
    from scipy import sparse  # noqa: PLC0415 - as above

    starts = mesh.triangles.ravel()
    ends = np.roll(mesh.triangles, -1, axis=1).ravel()
    n_points = len(mesh.points)
    edges = sparse.csr_array((np.ones(starts.size, bool), (starts, ends)), (n_points, n_points))
    _, pieces = sparse.csgraph.connected_components(edges[vertices][:, vertices], directed=False)
    return pieces.astype(np.int64)


def _numbered(pieces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers without gaps, and how many elements each has."""
    _, labels, counts = np.unique(pieces, return_inverse=True, return_counts=True)
    return labels, counts


def _cluster(space: ElementSpace, values: np.ndarray, members: np.ndarray) -> Cluster:
    """The cluster of some elements, the peak first."""
    peak = members[:1]
    place = space.coordinates(peak)[0]
    volume = space.volumes(members).sum()
    return Cluster(
        np.sort(members),
        int(peak[0]),
        float(values[peak[0]]),
        space.labels(peak)[0],
        tuple(place.tolist()) if np.isfinite(place).all() else None,
        float(volume) if np.isfinite(volume) else None,
    )
