"""Datasets of many subjects from the file listing of one real run, for tests.

A listing holds one path per line, as a real run wrote them for one subject; ``data/listings`` has
some, with their origins. :func:`write` repeats them for more subjects and puts small images behind
the names: 4-D where the name tells a series, of another shape in a subject's own space, CIFTI of
the kind the extension tells. All files of a kind are links to one: what is looked at is names and
headers, and thousands of images are there within a second.
"""

from __future__ import annotations

import gzip
import os
import re
from pathlib import Path

import trees

LISTINGS = Path(__file__).parent / 'data' / 'listings'
IMAGES = ('.nii', '.nii.gz')
_OWN_SPACES = {None, 'T1w', 'ACPC'}
_OWN_GRID = trees.Grid((11, 12, 13), 12.0)
_SERIES = re.compile(r'(timeseries|Timeseries)_cbf|_(bold|asl)\.|desc-preproc_dwi')
_CIFTI = ('.dscalar.nii', '.pscalar.nii', '.pconn.nii')


def paths(name: str) -> list[str]:
    """The paths of a listing, as they are."""
    return (LISTINGS / f'{name}.txt').read_text('utf-8').split()


def write(root: Path, listed: list[str], persons: list[trees.Person], generator: str) -> Path:
    """A dataset of these persons, and those nested in it, each with its description."""
    trees.describe(root, generator)
    for nested in {path.split('/')[1] for path in listed if path.startswith('derivatives/')}:
        trees.describe(root / 'derivatives' / nested, generator)
    for path in listed:
        label = re.search(r'sub-([a-zA-Z0-9]+)', path)
        if path.endswith('dataset_description.json'):
            continue
        kind = _kind(root.parent / f'{root.name}-kinds', path, persons[0])
        for person in persons if label else persons[:1]:
            own = path.replace(label[0], f'sub-{person.label}') if label else path
            (root / own).parent.mkdir(parents=True, exist_ok=True)
            os.link(kind, root / own)
    trees.write_participants(root, persons)
    return root


def images(root: Path) -> list[Path]:
    """Every image below a folder but its source data; of a pair of hemispheres the left."""
    left = ('.shape.gii', '.func.gii')
    found = (
        path
        for path in root.rglob('*')
        if path.name.endswith(IMAGES) or (path.name.endswith(left) and 'hemi-L' in path.name)
    )
    return sorted(path for path in found if 'sourcedata' not in path.relative_to(root).parts)


def _kind(folder: Path, path: str, person: trees.Person, own: trees.Grid = _OWN_GRID) -> Path:
    """The one file that stands behind all names of this kind."""
    name = Path(path).name
    space = re.search(r'_space-([a-zA-Z0-9+]+)', name)
    grid = own if (space and space[1]) in _OWN_SPACES else trees.TEMPLATE
    ending = next((ending for ending in _CIFTI if name.endswith(ending)), None)
    if ending is not None:
        return _once(folder / f'x{ending}', lambda file: trees.write_cifti(file, person))
    if not name.endswith('.nii.gz'):
        return _once(folder / 'empty', Path.touch)
    if '_mask.' in name:
        return _once(
            folder / f'mask-{grid.edge}.nii.gz', lambda file: trees.write_mask(file, person, grid)
        )
    volumes = 3 if _SERIES.search(name) else 1
    return _once(
        folder / f'map-{grid.edge}-{volumes}.nii.gz',
        lambda file: trees.write_map(file, person, grid, volumes),
    )


def _once(file: Path, make) -> Path:
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        make(file)
    return file


def plant(root: Path, listed: list[str], on_template: str = '$^') -> Path:
    """The files of a listing, and no descriptions: as somebody's download is.

    Images whose path has the pattern ``on_template`` are on one grid, though no name says so.
    """
    person = trees.people(1)[0]
    labels = sorted(set(re.findall(r'sub-([a-zA-Z0-9]+)', ' '.join(listed))))
    for path in listed:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        if path.endswith('participants.tsv'):
            (root / path).write_text('\n'.join(['participant_id', *labels]) + '\n')
            continue
        name = 'x_space-MNI_map.nii.gz' if re.search(on_template, path) else path
        label = re.search(r'sub-([a-zA-Z0-9]+)', path)
        edge = 12.0 + (labels.index(label[1]) if label else 0)
        grid = trees.Grid(_OWN_GRID.shape, edge)
        # Endings without .gz have a file of that kind as well.
        name = f'{name}.gz' if re.search(r'(?<!r)\.nii$', name) else name
        kind = _kind(root.parent / f'{root.name}-kinds', name, person, grid)
        if path.endswith('.nii') and kind.name.endswith('.gz'):
            (root / path).write_bytes(gzip.decompress(kind.read_bytes()))
        else:
            os.link(kind, root / path)
    return root
