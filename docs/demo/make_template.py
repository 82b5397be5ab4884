"""Make ``head.nii.gz`` and ``cortex.npz``, on which ``demo_study.py`` draws its people.

``python docs/demo/make_template.py`` reads files that nilearn ships; `README.md` beside this tells
where they come from and their licences. Needs nilearn; the demo does not.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nb
import nilearn
import numpy as np
from scipy import ndimage, sparse

HERE = Path(__file__).parent
SHIPPED = Path(nilearn.__file__).parent / 'datasets' / 'data'
#: In mm: the first voxel, and how many of 4 mm; x is symmetric about 0.
ORIGIN, SHAPE, EDGE = (-76, -112, -72), (39, 49, 39), 4
#: How far the right half lies in front of the left, in mm: the template has no sides of its own.
TORQUE = 4.0
#: In mm: below it the cortex is the medial wall, where fsaverage5 has no thickness.
THINNEST = 1.0


def tissue(name: str) -> np.ndarray:
    """Return a map of the template at 4 mm, its halves shifted: (39, 49, 39) uint8 percent."""
    image = nb.load(SHIPPED / f'mni_icbm152_{name}_tal_nlin_sym_09a_converted.nii.gz')
    values = ndimage.uniform_filter(np.asarray(image.dataobj, np.float32), EDGE)
    x, y, z = np.indices(SHAPE) * EDGE + np.array(ORIGIN)[:, None, None, None]
    places = np.stack([x, y - TORQUE / 2 * np.tanh(x / 15), z])
    inside = places - image.affine[:3, 3][:, None, None, None]
    moved = ndimage.map_coordinates(values, inside, order=1)
    return (moved * (100 / 255)).round().astype(np.uint8)


def gifti(name: str) -> list[np.ndarray]:
    """Return the arrays of one of fsaverage5's files."""
    data = gzip.decompress((SHIPPED / 'fsaverage5' / f'{name}.gii.gz').read_bytes())
    return [array.data for array in nb.GiftiImage.from_bytes(data).darrays]


def cortex() -> dict[str, np.ndarray]:
    """Return surfaces in tenths of mm, their triangles, and thickness in fiftieths of mm."""
    found = {}
    for side in ('left', 'right'):
        (pial, triangles), (white, _), (inflated, _) = (
            gifti(f'{name}_{side}') for name in ('pial', 'white', 'infl')
        )
        thickness = gifti(f'thick_{side}')[0].clip(THINNEST)
        thickness[medial_wall(thickness, triangles)] = 0
        found |= {
            'triangles': triangles.astype(np.uint16),
            f'midthickness_{side}': tenths((pial + white) / 2),
            f'inflated_{side}': tenths(inflated),
            f'thickness_{side}': (thickness * 50).astype(np.uint8),
        }
    return found


def medial_wall(thickness: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Return the largest patch of vertices without a cortex: (n,) boolean."""
    bare = thickness <= THINNEST
    starts, ends = triangles.ravel(), np.roll(triangles, -1, axis=1).ravel()
    joined = bare[starts] & bare[ends]
    edges = sparse.coo_array((joined[joined], (starts[joined], ends[joined])), [bare.size] * 2)
    _, patches = sparse.csgraph.connected_components(edges, directed=False)
    return patches == np.bincount(patches).argmax()


def tenths(points: np.ndarray) -> np.ndarray:
    """Return mm as whole tenths."""
    return (points * 10).round().astype(np.int16)


def main() -> None:
    """Write both files."""
    affine = np.diag([EDGE, EDGE, EDGE, 1.0])
    affine[:3, 3] = ORIGIN
    head = np.stack([tissue(name) for name in ('gm', 'wm', 't1')], axis=-1)
    nb.save(nb.Nifti1Image(head, affine), HERE / 'head.nii.gz')
    np.savez_compressed(HERE / 'cortex.npz', **cortex())


if __name__ == '__main__':
    main()
